package alerts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// ThresholdConfig fires when a metric over the trailing window is above or below a limit. The window
// ends where the data does.
type ThresholdConfig struct {
	// What is measured: cost_usd, tokens, requests, cache_hit_ratio, share (of the organization's cost),
	// rate_limit_used_ratio or estimate_drift_ratio.
	Metric Metric `yaml:"metric" jsonschema:"enum=cost_usd,enum=tokens,enum=requests,enum=cache_hit_ratio,enum=share,enum=rate_limit_used_ratio,enum=estimate_drift_ratio"`
	// Over how long, from 1m to 90d.
	Window config.Duration `yaml:"window"`
	// Fires above this.
	Above *float64 `yaml:"above"`
	// Fires below this.
	Below *float64 `yaml:"below"`
	// Tokens that must be there before a ratio counts.
	AtLeast int64 `yaml:"at_least"`
}

// longestWindow is the longest window of a rule.
const longestWindow = config.Duration(90 * 24 * time.Hour)

func (*ThresholdConfig) kind() string { return "threshold" }

func (c *ThresholdConfig) check(p problems, r *RuleConfig) {
	if !slices.Contains(Metrics, c.Metric) {
		p("threshold.metric", "must be one of %s", join(Metrics))
		return
	}
	switch {
	case c.Metric == EstimateDriftRatio && c.Window != 0:
		p("threshold.window", "does not go with estimate_drift_ratio, which is over the last 7 settled days")
	case c.Metric == EstimateDriftRatio:
	case c.Window < config.Duration(time.Minute) || c.Window > longestWindow:
		p("threshold.window", "must be from 1m to 90d")
	case c.Window.Duration()%time.Minute != 0:
		p("threshold.window", "must be whole minutes")
	case c.Window > config.Duration(24*time.Hour) && c.Window.Duration()%time.Hour != 0:
		p("threshold.window", "must be whole hours beyond 1d")
	case c.Metric == RateLimitUsedRatio && c.Window > config.Duration(24*time.Hour):
		p("threshold.window", "must be at most 1d with rate_limit_used_ratio")
	}
	limit := c.Above
	switch {
	case c.Above == nil && c.Below == nil:
		p("threshold", "must have one of above and below")
	case c.Above != nil && c.Below != nil:
		p("threshold", "must have only one of above and below: make two rules")
	case c.Below != nil:
		limit = c.Below
	}
	side := "above"
	if c.Below != nil {
		side = "below"
	}
	ratio := c.Metric == CacheHitRatio || c.Metric == Share
	switch {
	case limit == nil:
	case *limit < 0:
		p("threshold."+side, "must not be negative")
	case c.Metric == CostUSD && *limit > mostUSD:
		p("threshold."+side, "must be at most 9000000000 dollars")
	case ratio && *limit > 1:
		p("threshold."+side, "must be from 0 to 1: 0.8 is 80 %%")
	case c.Below != nil && *limit == 0:
		p("threshold.below", "must be above 0: nothing is below 0")
	}
	if c.AtLeast < 0 {
		p("threshold.at_least", "must not be negative")
	}
	if c.AtLeast > 0 && !ratio {
		p("threshold.at_least", "goes with cache_hit_ratio and share only")
	}
	switch c.Metric {
	case EstimateDriftRatio:
		r.onlyOrganizations(p, "estimate_drift_ratio")
	case RateLimitUsedRatio:
		for _, f := range r.Where.filters() {
			if f.dimension != spend.ByWorkspace && f.dimension != spend.ByModel {
				p("where."+string(f.dimension), "does not go with rate_limit_used_ratio: rate limits are by workspace and group of models")
			}
		}
		for i, d := range r.By {
			if d != spend.ByOrganization && d != spend.ByWorkspace && d != spend.ByModel {
				p(fmt.Sprintf("by[%d]", i), "does not go with rate_limit_used_ratio, which has an alert for each limit by itself")
			}
		}
	}
}

func (c *ThresholdConfig) limit() float64 {
	if c.Below != nil {
		return *c.Below
	}
	return *c.Above
}

// crossed reports whether the value is on the wrong side.
func (c *ThresholdConfig) crossed(f figures, value float64) bool {
	if c.Metric == CostUSD { // exact
		if c.Below != nil {
			return f.cost < money(*c.Below)
		}
		return f.cost > money(*c.Above)
	}
	if c.Below != nil {
		return value < *c.Below
	}
	return value > *c.Above
}

// byDayOnly is why a backtest cannot tell of windows shorter than a day.
const byDayOnly = "what was used is known by the day only"

func (c *ThresholdConfig) judge(ctx context.Context, v *view, r *rule) (verdict, error) {
	switch c.Metric {
	case EstimateDriftRatio:
		return c.drift(ctx, v, r)
	case RateLimitUsedRatio:
		return c.limits(ctx, v, r)
	}
	v = v.of(c.Metric)
	if why := v.old(c.Metric); why != "" {
		return nothing(why), nil
	}
	w, minutes := c.span(v)
	s := v.shapeOf(c.Metric.costs(), r.dimensions())
	t, err := v.sum(ctx, s, w, minutes)
	if err != nil {
		return verdict{}, err
	}
	if v.replay && t.window != w.Align(spend.Hour) { // known by the day only, with hours that were yet to come
		if c.Window.Duration() < spend.Day.Duration() {
			return nothing(byDayOnly), nil
		}
		end := spend.Day.Floor(v.dataAt)
		w = spend.Window{Start: end.Add(-c.Window.Duration()), End: end}
		if t, err = v.sum(ctx, s, w, false); err != nil {
			return verdict{}, err
		}
	}
	holes, err := v.incomplete(ctx, t.window)
	if err != nil {
		return verdict{}, err
	}
	if holes && (c.Below != nil || !c.Metric.sums()) {
		return nothing("hours of the window were never read"), nil
	}
	var seen map[string]figures
	if c.Below != nil && c.Metric != CacheHitRatio {
		if seen, err = c.lately(ctx, v, r, s); err != nil {
			return verdict{}, err
		}
	}
	g := v.grouped(r, s)
	values := g.regroup(t)
	for subject := range seen {
		if _, ok := values[subject]; !ok && !v.archived(r, subject) {
			values[subject] = figures{}
		}
	}
	if len(r.By) == 0 && c.Metric != CacheHitRatio {
		if _, ok := values[""]; !ok {
			values[""] = figures{}
		}
	}
	enough, whole, err := c.enough(ctx, v, r, w, minutes, t)
	if err != nil {
		return verdict{}, err
	}
	out := verdict{well: func(a spend.Alert) (finding, bool) {
		f, ok := values[a.Subject]
		if !ok { // after a restart nothing else tells what it is about
			f := c.finding(v, r, a.Labels, t, a.Subject, figures{}, 0)
			if v.archived(r, a.Subject) {
				f.summary += ". It is archived"
			}
			return f, c.Metric != CacheHitRatio
		}
		return c.finding(v, r, g.labels(a.Subject), t, a.Subject, f, c.value(f, whole)), true
	}}
	if holes {
		out.note = "hours of the window were never read: what is there may be too little"
		out.unknown = func(string) bool { return true }
	}
	few := map[string]bool{}
	for subject, f := range values {
		if !enough(subject, f) {
			few[subject] = true
			continue
		}
		if value := c.value(f, whole); c.crossed(f, value) {
			out.findings = append(out.findings, c.finding(v, r, g.labels(subject), t, subject, f, value))
		}
	}
	switch {
	case out.unknown != nil:
	case c.Metric == Share && !enough("", figures{}): // a share of nothing
		out.unknown = func(string) bool { return true }
	case c.Metric == CacheHitRatio || c.Below != nil: // what has no figures any more is nothing to resolve by
		out.unknown = func(subject string) bool {
			_, ok := values[subject]
			_, about := v.valuesOf(r, subject)
			return (!ok || few[subject]) && about && !v.archived(r, subject)
		}
	}
	return out, nil
}

// span is the window, and whether it is cut by the minute. Above a limit, what is not complete yet
// counts too, so that a leak shows at once; everything else is of complete data only.
func (c *ThresholdConfig) span(v *view) (spend.Window, bool) {
	d := c.Window.Duration()
	minutes := d <= 24*time.Hour && c.Metric != Requests && !v.replay
	switch {
	case c.Above != nil && c.Metric.sums():
		return spend.Window{Start: v.dataAt.Add(-d), End: spend.Hour.Ceil(latest(v.now, v.dataAt))}, minutes
	case minutes:
		return spend.Window{Start: v.dataAt.Add(-d), End: v.dataAt}, true
	default:
		end := spend.Hour.Floor(v.dataAt)
		return spend.Window{Start: spend.Hour.Floor(end.Add(-d)), End: end}, false
	}
}

// lately are the groups that had figures in the last week: those that may be below a limit.
func (c *ThresholdConfig) lately(ctx context.Context, v *view, r *rule, s *shape) (map[string]figures, error) {
	end := spend.Hour.Ceil(v.dataAt)
	t, err := v.sum(ctx, s, spend.Window{Start: spend.Day.Floor(end.AddDate(0, 0, -7)), End: end}, false)
	if err != nil {
		return nil, err
	}
	return v.grouped(r, s).regroup(t), nil
}

// enough says which groups have the tokens that a ratio needs, and what a share is of.
func (c *ThresholdConfig) enough(
	ctx context.Context, v *view, r *rule, w spend.Window, minutes bool, t total,
) (enough func(subject string, f figures) bool, whole figures, err error) {
	switch c.Metric {
	case CacheHitRatio:
		return func(_ string, f figures) bool { return f.input > 0 && f.input >= c.AtLeast }, whole, nil
	case Share:
		for _, f := range t.cells {
			whole.add(f)
		}
		some := whole.cost > 0
		if c.AtLeast == 0 {
			return func(string, figures) bool { return some }, whole, nil
		}
		u, err := v.sum(ctx, v.shapeOf(false, r.dimensions()), w, minutes)
		if err != nil {
			return nil, whole, err
		}
		var tokens int64
		for _, f := range u.cells {
			tokens += f.tokens
		}
		return func(string, figures) bool { return some && tokens >= c.AtLeast }, whole, nil
	default:
		return func(string, figures) bool { return true }, whole, nil
	}
}

func (c *ThresholdConfig) value(f, whole figures) float64 {
	if c.Metric != Share {
		return c.Metric.of(f)
	}
	if whole.cost == 0 {
		return 0
	}
	return float64(f.cost) / float64(whole.cost)
}

func (c *ThresholdConfig) finding(
	v *view, r *rule, labels map[string]string, t total, subject string, f figures, value float64,
) finding {
	u := c.Metric.unit()
	out := finding{
		subject: subject, labels: labels, value: value, limit: c.limit(), unit: u, below: c.Below != nil, asOf: v.dataAt,
		basis: f.basis, breakdown: &breakdown{metric: c.Metric, window: t.window, group: subject},
	}
	out.summary = fmt.Sprintf("%s of %s: %s in the last %s (%s %s)", capital(c.Metric.word()), v.who(r, labels),
		formatValue(value, u), lasting(c.Window), c.side(), formatLimit(c.limit(), u))
	var more []string
	if widened := v.dataAt.Add(-c.Window.Duration()).Sub(t.window.Start); widened > time.Minute && c.Window > 0 {
		more = append(more, fmt.Sprintf("Counted from %s on: what is known there is not finer.", stamp(t.window.Start)))
	}
	if f.unpriced > 0 {
		more = append(more, report.Count(f.unpriced)+" tokens have no known price and are not in the cost.")
	}
	out.description = strings.Join(more, "\n")
	return out
}

func (c *ThresholdConfig) side() string {
	if c.Below != nil {
		return "limit: not below"
	}
	return "limit:"
}

// drift judges how far estimates are off the bill.
func (c *ThresholdConfig) drift(ctx context.Context, v *view, r *rule) (verdict, error) {
	if v.options.Drift == nil {
		return verdict{}, errors.New("estimate_drift_ratio is not measured by this program")
	}
	ratio, asOf, ok, err := v.options.Drift(ctx, v.organization, v.now)
	if err != nil {
		return verdict{}, fmt.Errorf("estimate drift: %w", err)
	}
	if !ok {
		return nothing("there is no settled bill to compare estimates with"), nil
	}
	f := finding{
		labels: map[string]string{}, value: ratio, limit: c.limit(), unit: spend.UnitRatio, below: c.Below != nil, asOf: asOf,
		summary: fmt.Sprintf("Estimates of %s are %s of the bill over the last 7 settled days (%s %s)",
			v.who(r, nil), formatPercent(ratio), c.side(), formatPercent(c.limit())),
		description: "Prices may have changed: see the section prices of the configuration.",
	}
	out := verdict{well: func(spend.Alert) (finding, bool) { return f, true }}
	if c.crossed(figures{}, ratio) {
		out.findings = []finding{f}
	}
	return out, nil
}

// limits judges how far rate limits are used: an alert for each limit.
func (c *ThresholdConfig) limits(ctx context.Context, v *view, r *rule) (verdict, error) {
	if v.options.Headroom == nil {
		return verdict{}, errors.New("rate_limit_used_ratio is not measured by this program")
	}
	if why := v.old(Tokens); why != "" {
		return nothing(why), nil
	}
	uses, err := v.options.Headroom(ctx, v.organization, spend.Window{Start: v.dataAt.Add(-c.Window.Duration()), End: v.dataAt})
	if v.replay && errors.Is(err, ErrNoMinutes) {
		return nothing("usage of that time is not known by the minute"), nil
	}
	if err != nil {
		return verdict{}, fmt.Errorf("rate limits: %w", err)
	}
	all := map[string]finding{}
	var out verdict
	for _, u := range uses {
		if len(r.Where.Workspace) > 0 && !matches(r.Where.Workspace, v.inventory.called(spend.ByWorkspace, u.WorkspaceID)...) ||
			len(r.Where.Model) > 0 && !matches(r.Where.Model, u.ModelGroup) || u.Limit <= 0 {
			continue
		}
		labels := map[string]string{"workspace": v.inventory.label(spend.ByWorkspace, u.WorkspaceID), "model_group": u.ModelGroup, "limiter": u.Limiter}
		where := v.org.Name
		if u.WorkspaceID != "" {
			where = "workspace " + labels["workspace"]
		}
		f := finding{
			subject: fmt.Sprintf("workspace=%s,model_group=%s,limiter=%s", u.WorkspaceID, u.ModelGroup, u.Limiter), labels: labels,
			value: u.Used / u.Limit, limit: c.limit(), unit: spend.UnitRatio, below: c.Below != nil, asOf: u.AsOf,
		}
		f.summary = fmt.Sprintf("Rate limit %s of %s in %s: %s used at the peak of the last %s (%s %s)",
			u.Limiter, u.ModelGroup, where, formatPercent(f.value), lasting(c.Window), c.side(), formatPercent(c.limit()))
		f.description = fmt.Sprintf("%s of %s a minute.", formatCount(u.Used), formatCount(u.Limit))
		all[f.subject] = f
		if c.crossed(figures{}, f.value) {
			out.findings = append(out.findings, f)
		}
	}
	out.well = func(a spend.Alert) (finding, bool) {
		f, ok := all[a.Subject]
		return f, ok
	}
	return out, nil
}

// who is what an alert with the labels is about, in words.
func (v *view) who(r *rule, labels map[string]string) string {
	var parts []string
	for _, d := range r.By {
		switch value := labels[string(d)]; {
		case d == spend.ByOrganization:
		case d == spend.ByAPIKey && value == "":
			parts = append(parts, "use without an API key")
		case d == spend.ByAPIKey:
			parts = append(parts, "API key "+value)
		case value == "":
			parts = append(parts, "no "+strings.ReplaceAll(string(d), "_", " "))
		default:
			parts = append(parts, strings.ReplaceAll(string(d), "_", " ")+" "+value)
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	for _, f := range r.Where.filters() {
		parts = append(parts, strings.ReplaceAll(string(f.dimension), "_", " ")+" "+strings.Join(f.patterns, " or "))
	}
	if len(parts) > 0 {
		return strings.Join(parts, ", ")
	}
	return v.org.Name
}

// old is why rules on the metric cannot tell; empty if they can.
func (v *view) old(m Metric) string {
	patience := v.options.StaleAfter
	if patience == 0 {
		patience = time.Hour
	}
	switch {
	case v.dataAt.IsZero() && m == Requests:
		return "no report that counts requests has been read"
	case v.dataAt.IsZero():
		if reason := v.usageRefused(); reason != "" {
			return "usage is refused to this key: " + reason
		}
		return "no usage has been read yet"
	case v.replay:
		return ""
	case v.now.Sub(v.readAt) > patience:
		return "usage was last read at " + stamp(v.readAt)
	case v.now.Sub(v.dataAt) > 24*time.Hour+patience:
		return "the newest usage is of " + stamp(v.dataAt)
	default:
		return ""
	}
}

// usageRefused is why no usage can be read, of which none ever was; empty where that may still come.
func (v *view) usageRefused() string {
	var reason string
	for _, m := range v.marks {
		if m.Report != spend.ReportMessages && m.Report != spend.ReportAnalyticsUsage {
			continue
		}
		if m.RefusedAt.IsZero() || m.Reason == storage.NoDataYet {
			return ""
		}
		if reason == "" || m.Report == spend.ReportMessages {
			reason = oneLine(m.Reason)
		}
	}
	return reason
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
