package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// AnomalyConfig fires when the trailing window is above what is usual for it: the same hours of the
// week in the weeks before. It must be so by an amount, by a ratio and beyond the usual spread. Too
// little history is silent.
type AnomalyConfig struct {
	// What is measured: cost_usd, tokens or requests.
	Metric Metric `yaml:"metric" jsonschema:"enum=cost_usd,enum=tokens,enum=requests"`
	// Over how long, in whole hours, from 1h to 7d.
	Window config.Duration `yaml:"window"`
	// By how much it must be above the usual value, in dollars, tokens or requests.
	MinIncrease float64 `yaml:"min_increase"`
	// How many times the usual value it must be.
	MinRatio float64 `yaml:"min_ratio"`
	// How many weeks of history to compare with, from 14d to 52w.
	History config.Duration `yaml:"history"`
}

// SetDefaults sets what every anomaly starts from.
func (c *AnomalyConfig) SetDefaults() {
	c.Metric, c.Window, c.MinRatio, c.History = CostUSD, config.Duration(time.Hour), 2, config.Duration(4*week)
}

const week = 7 * 24 * time.Hour

// spreads is how many times the usual spread a value must be off.
const spreads = 4

func (*AnomalyConfig) kind() string { return "anomaly" }

func (c *AnomalyConfig) check(p problems, _ *RuleConfig) {
	if !c.Metric.sums() {
		p("anomaly.metric", "must be one of %s, %s, %s", CostUSD, Tokens, Requests)
	}
	if w := c.Window.Duration(); w < time.Hour || w > week || w%time.Hour != 0 {
		p("anomaly.window", "must be whole hours from 1h to 7d")
	}
	if c.MinIncrease <= 0 {
		p("anomaly.min_increase", "must be above 0: what is small is not worth waking anybody")
	}
	if c.MinRatio <= 1 {
		p("anomaly.min_ratio", "must be above 1: 2 is twice the usual value")
	}
	if h := c.History.Duration(); h < 2*week || h > 52*week {
		p("anomaly.history", "must be from 14d to 52w")
	}
}

func (c *AnomalyConfig) judge(ctx context.Context, v *view, r *rule) (verdict, error) {
	v = v.of(c.Metric)
	if why := v.old(c.Metric); why != "" {
		return nothing(why), nil
	}
	end := spend.Hour.Floor(v.dataAt)
	w := spend.Window{Start: end.Add(-c.Window.Duration()), End: end}
	holes, err := v.incomplete(ctx, w)
	if err != nil {
		return verdict{}, err
	}
	if holes {
		return nothing("hours of the window were never read"), nil
	}
	s := v.shapeOf(c.Metric.costs(), r.dimensions())
	samples, weeks, err := c.samples(ctx, v, s, w)
	if err != nil {
		return verdict{}, err
	}
	if weeks < 2 {
		return nothing(fmt.Sprintf("too little history by the hour: %d of the %d weeks before are complete, 2 are needed", weeks, c.weeks())), nil
	}
	// What is new has no usual value: it must have been there two weeks ago.
	early, err := v.sum(ctx, s, spend.Window{Start: w.End.Add(-time.Duration(c.weeks()) * week).Add(-c.Window.Duration()), End: w.End.Add(-2 * week)}, false)
	if err != nil {
		return verdict{}, err
	}
	t, err := v.sum(ctx, s, w, false)
	if err != nil {
		return verdict{}, err
	}
	g := v.grouped(r, s)
	_, known := g.sums(early)
	now, some := g.sums(t)
	past := make([][]figures, len(samples))
	for i, x := range samples {
		past[i], _ = g.sums(x)
	}
	unit := c.Metric.unit()
	judged := map[string]finding{}
	young := 0
	var out verdict
	for i, group := range g.groups {
		if !known[i] {
			if some[i] {
				young++
			}
			continue
		}
		values := make([]float64, len(past))
		for j := range past {
			values[j] = c.Metric.of(past[j][i])
		}
		usual, limit := c.limit(values)
		value := c.Metric.of(now[i])
		labels := g.labels(group.subject)
		f := finding{
			subject: group.subject, labels: labels, value: value, limit: limit, unit: unit, asOf: w.End, basis: now[i].basis,
			breakdown: &breakdown{metric: c.Metric, window: w, group: group.subject},
		}
		times := ""
		if usual > 0 {
			times = fmt.Sprintf(", %.1f times as much", value/usual)
		}
		f.summary = fmt.Sprintf("%s of %s: %s in the %s up to %s, usual for this hour of the week is %s%s", capital(c.Metric.word()), v.who(r, labels),
			formatValue(value, unit), lasting(c.Window), stamp(w.End), formatValue(usual, unit), times)
		f.description = fmt.Sprintf("Compared with %d weeks; it fires above %s.", weeks, formatLimit(limit, unit))
		judged[group.subject] = f
		if value > limit {
			out.findings = append(out.findings, f)
		}
	}
	if young > 0 {
		out.note = fmt.Sprintf("%d are younger than two weeks and have no usual value yet", young)
		if young == 1 {
			out.note = "one is younger than two weeks and has no usual value yet"
		}
	}
	out.well = func(a spend.Alert) (finding, bool) {
		f, ok := judged[a.Subject]
		return f, ok
	}
	return out, nil
}

func (c *AnomalyConfig) weeks() int { return int(c.History.Duration() / week) }

// samples are the sums of the same window in the weeks before, and for short windows of the hours
// next to it, where everything is known. It also says how many weeks are.
func (c *AnomalyConfig) samples(ctx context.Context, v *view, s *shape, w spend.Window) ([]total, int, error) {
	shifts := []time.Duration{0}
	if c.Window.Duration() <= 3*time.Hour {
		shifts = []time.Duration{0, -time.Hour, time.Hour}
	}
	var out []total
	weeks := 0
	for k := 1; k <= c.weeks(); k++ {
		complete := false
		for _, shift := range shifts {
			by := -time.Duration(k)*week + shift
			x := spend.Window{Start: w.Start.Add(by), End: w.End.Add(by)}
			holes, err := v.incomplete(ctx, x)
			if err != nil {
				return nil, 0, err
			}
			if holes {
				continue
			}
			t, err := v.sum(ctx, s, x, false)
			if err != nil {
				return nil, 0, err
			}
			if t.window != x { // known by the day only: no hour of it can be compared
				continue
			}
			out = append(out, t)
			complete = true
		}
		if complete {
			weeks++
		}
	}
	return out, weeks, nil
}

// limit is the usual value, and the one above which it is an anomaly.
func (c *AnomalyConfig) limit(values []float64) (usual, limit float64) {
	usual = median(values)
	off := make([]float64, len(values))
	for i, x := range values {
		off[i] = max(x-usual, usual-x)
	}
	spread := 1.4826 * median(off) // of a normal distribution it is the standard deviation
	return usual, max(usual+c.MinIncrease, usual*c.MinRatio, usual+spreads*spread)
}

// median is the middle value; it sorts a copy.
func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	xs = slices.Clone(xs)
	slices.Sort(xs)
	if n := len(xs); n%2 == 0 {
		return (xs[n/2-1] + xs[n/2]) / 2
	}
	return xs[len(xs)/2]
}
