package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// BudgetRule is what the configuration says of a rule with a budget and the store does not: what its
// money is counted by, and at how many percent it tells.
type BudgetRule struct {
	Name             string
	By               []spend.Dimension
	Where            []report.Filter
	Actual, Forecast []float64
}

// balancePeriod is the period's name of a prepaid balance, which the store has among the budgets.
const balancePeriod = "balance"

// pastPeriods is how many periods before the running one are shown.
var pastPeriods = map[string]int{"day": 14, "week": 8, "month": 6, "quarter": 4}

// budgetsPage is what the page at /budgets shows.
type budgetsPage struct {
	frame
	Rule          string // only this one; empty: all
	Organizations []organizationBudgets
	None          bool // there is no budget at all
}

type organizationBudgets struct {
	Organization string
	Evaluated    time.Time
	Rules        []budgetCard
}

// budgetCard is a rule and how it stands for each of its subjects.
type budgetCard struct {
	Rule     string
	Balance  bool
	Each     bool // the amount is for each subject
	Period   string
	Zone     string
	Limit    spend.Money
	Subjects []budgetSubject
	Alerts   string // the page of its alerts
}

// budgetSubject is how a budget stands for one subject.
type budgetSubject struct {
	budget
	Name    string
	Bar     budgetScale
	Left    spend.Money // of a balance
	Low     spend.Money // with High the interval of the forecast, where Interval says that there is one
	High    spend.Money
	Covered bool
	Course  *course
	Past    []pastPeriod
	Explore string
	Alone   bool // the only one of its rule
}

// Coverage is how often of a hundred times the interval should hold the total.
func (budgetSubject) Coverage() int { return forecast.Coverage }

// Percent is how much of the limit is spent.
func (b budgetSubject) Percent() string {
	if b.Spent == nil || b.Limit <= 0 {
		return ""
	}
	return percentOf(int64(*b.Spent), int64(b.Limit))
}

// Days is how long a balance lasts, in whole days; -1 where that cannot be told.
func (b budgetSubject) Days() int {
	if b.ExhaustedAt == nil || b.AsOf == nil {
		return -1
	}
	return max(0, int(b.ExhaustedAt.Sub(*b.AsOf).Hours()/24))
}

// budgetScale is a bar of what is spent, in percent of its width.
type budgetScale struct {
	Spent, Forecast, Limit float64 // where they end
	Over                   bool
	Ticks                  []scaleTick
}

type scaleTick struct {
	X        float64
	Label    string
	Title    string
	Forecast bool
	Crossed  bool
}

// pastPeriod is what an earlier period cost.
type pastPeriod struct {
	Name, Percent string
	Part          float64 // of the limit, at most 100
	Over          bool
	Missing       bool // hours of it were never read
	report.Figures
	Href string
}

func (s *server) budgetsPage(r *http.Request) (any, error) {
	ctx, now := r.Context(), s.Now().UTC()
	for name := range r.URL.Query() {
		if name != "rule" {
			return nil, problem{http.StatusBadRequest, fmt.Sprintf("There is no parameter %q here, only rule.", name)}
		}
	}
	page := budgetsPage{frame: s.frame(r, "Budgets", link{"/api/v1/budgets", "budgets"}), Rule: r.URL.Query().Get("rule"), None: true}
	return &page, s.each(ctx, func(o storage.OrganizationState) error {
		p := organizationBudgets{Organization: o.Name}
		var err error
		if p.Evaluated, err = s.Store.EvaluatedAt(ctx, o.ID); err != nil {
			return err
		}
		all, err := s.Store.Budgets(ctx, o.ID)
		if err != nil {
			return err
		}
		page.None = page.None && len(all) == 0
		marks, err := s.Store.BudgetMarks(ctx, o.ID)
		if err != nil {
			return err
		}
		x := budgetHistory{s: s, o: o, now: now}
		for _, b := range all {
			if page.Rule != "" && b.Rule != page.Rule {
				continue
			}
			n := len(p.Rules)
			if n == 0 || p.Rules[n-1].Rule != b.Rule {
				p.Rules = append(p.Rules, budgetCard{
					Rule: b.Rule, Balance: b.PeriodName == balancePeriod, Period: b.PeriodName, Zone: cmp.Or(b.TimeZone, "UTC"), Limit: b.Limit,
					Alerts: "/alerts?" + url.Values{"rule": {b.Rule}}.Encode(),
				})
				n++
			}
			card := &p.Rules[n-1]
			card.Each = card.Each || b.Subject != ""
			subject, err := x.subject(ctx, b, marks)
			if err != nil {
				return fmt.Errorf("budget %s of %s: %w", b.Rule, o.Name, err)
			}
			card.Subjects = append(card.Subjects, subject)
		}
		for i := range p.Rules {
			subjects := p.Rules[i].Subjects
			for j := range subjects {
				subjects[j].Alone = len(subjects) == 1
			}
			slices.SortStableFunc(subjects, func(a, b budgetSubject) int { // the fullest first
				return cmp.Compare(b.ratio(), a.ratio())
			})
		}
		page.Organizations = append(page.Organizations, p)
		return nil
	})
}

func (b budgetSubject) ratio() float64 {
	if b.Spent == nil || b.Limit <= 0 {
		return -1
	}
	return float64(*b.Spent) / float64(b.Limit)
}

// budgetHistory reads what the periods of budgets cost, once for each rule.
type budgetHistory struct {
	s       *server
	o       storage.OrganizationState
	now     time.Time
	rules   map[string]*ruleHistory
	missing []spend.Window
	share   float64 // of a day that has usually come in by now
	shared  bool
}

// ruleHistory is the cost of a rule's subjects in buckets that periods are made of.
type ruleHistory struct {
	rule    BudgetRule
	asOf    time.Time
	current map[string][]bucketCost // by subject: of the running period
	days    map[string][]bucketCost // UTC days, also of before
	past    []spend.Window          // the earlier periods, the newest first
	sums    []map[string]report.Figures
	gaps    []bool
}

type bucketCost struct {
	spend.Window
	report.Figures
}

func (x *budgetHistory) subject(ctx context.Context, b storage.Budget, marks []storage.BudgetMark) (budgetSubject, error) {
	out := budgetSubject{budget: budgetRow(x.o, b), Name: subjectName(b), Left: b.Limit - b.Spent}
	if out.Note != "" {
		out.Note = capital(out.Note)
	}
	i := slices.IndexFunc(x.s.Budgets, func(r BudgetRule) bool { return r.Name == b.Rule })
	rule := BudgetRule{}
	if i >= 0 {
		rule = x.s.Budgets[i]
	}
	out.Bar = drawBudget(b, rule, marks)
	if i < 0 || b.PeriodName == balancePeriod || b.Period.Empty() {
		return out, nil
	}
	h, err := x.history(ctx, rule, b)
	if err != nil {
		return out, err
	}
	out.Explore = exploreBudget(x.o, rule, b, b.Period)
	if b.State != storage.BudgetWaiting {
		out.Low, out.High, out.Covered = x.interval(ctx, h, b)
		out.Course = drawCourse(b, h, out)
	}
	for i, w := range h.past {
		f := h.sums[i][b.Subject]
		p := pastPeriod{
			Name: periodName(b.PeriodName, w, zoneOf(b.TimeZone)), Percent: percentOf(int64(f.Cost), int64(b.Limit)), Over: f.Cost > b.Limit,
			Part: min(100, 100*f.Cost.USD()/b.Limit.USD()), Missing: h.gaps[i], Figures: f, Href: exploreBudget(x.o, rule, b, w),
		}
		if f.Basis == "" && h.gaps[i] {
			continue // nothing is known of it
		}
		out.Past = append(out.Past, p)
	}
	for len(out.Past) > 0 && out.Past[len(out.Past)-1].Basis == "" { // before the first use
		out.Past = out.Past[:len(out.Past)-1]
	}
	return out, nil
}

// subjectName is what a budget is about, by names.
func subjectName(b storage.Budget) string {
	if b.Subject == "" {
		return ""
	}
	var parts []string
	for part := range strings.SplitSeq(b.Subject, ",") { // in the order of the rule
		dimension, id, _ := strings.Cut(part, "=")
		name, ok := b.Labels[dimension]
		if !ok {
			name = id
		}
		parts = append(parts, seriesName(name, spend.Dimension(dimension)))
	}
	return strings.Join(parts, " · ")
}

// drawBudget lays the bar out: it goes as far as the greatest of the limit, the thresholds, what is spent
// and what is expected, up to five times the limit.
func drawBudget(b storage.Budget, rule BudgetRule, marks []storage.BudgetMark) budgetScale {
	limit := b.Limit.USD()
	if limit <= 0 {
		return budgetScale{}
	}
	percent := func(m spend.Money) float64 { return 100 * m.USD() / limit }
	full := 100.0
	for _, t := range slices.Concat(rule.Actual, rule.Forecast) {
		full = max(full, t)
	}
	full = max(full, percent(b.Spent))
	if b.Forecasted {
		full = max(full, percent(b.Forecast))
	}
	full = min(full*1.04, 500)
	at := func(p float64) float64 { return min(100, max(0, 100*p/full)) }
	bar := budgetScale{Spent: at(percent(b.Spent)), Limit: at(100), Over: b.Spent >= b.Limit}
	if b.Forecasted {
		bar.Forecast = at(percent(b.Forecast))
	}
	crossed := func(kind string, t float64) bool {
		return slices.ContainsFunc(marks, func(m storage.BudgetMark) bool {
			return m.Rule == b.Rule && m.Subject == b.Subject && m.Kind == kind && m.Threshold == t && m.Period.Equal(b.Period.Start)
		})
	}
	for _, list := range []struct {
		kind, words string
		thresholds  []float64
		forecast    bool
	}{{storage.MarkActual, "spent", rule.Actual, false}, {storage.MarkForecast, "expected by the end", rule.Forecast, true}} {
		for _, t := range list.thresholds {
			if t > full {
				continue
			}
			label := fmt.Sprintf("%g %%", t)
			tick := scaleTick{X: at(t), Forecast: list.forecast, Crossed: crossed(list.kind, t)}
			if !slices.ContainsFunc(bar.Ticks, func(other scaleTick) bool { return other.X == tick.X }) {
				tick.Label = label
			}
			tick.Title = fmt.Sprintf("Tells at %s %s: $%s", label, list.words, report.USD(spend.Money(t/100*float64(b.Limit))))
			if tick.Crossed {
				tick.Title += ", crossed"
			}
			bar.Ticks = append(bar.Ticks, tick)
		}
	}
	return bar
}

// zoneOf is the zone that a stored budget names.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC // of a database that knows zones that this machine does not
	}
	return zone
}

// history reads the cost of a rule's subjects.
func (x *budgetHistory) history(ctx context.Context, rule BudgetRule, b storage.Budget) (*ruleHistory, error) {
	if h := x.rules[rule.Name]; h != nil {
		return h, nil
	}
	h := &ruleHistory{rule: rule, current: map[string][]bucketCost{}, days: map[string][]bucketCost{}}
	zone, period := zoneOf(b.TimeZone), forecast.Period(b.PeriodName)
	utc := zone == time.UTC || b.TimeZone == ""
	start := b.Period.Start
	for range pastPeriods[b.PeriodName] {
		w := period.Window(start.Add(-time.Hour), zone)
		h.past = append(h.past, w)
		h.sums = append(h.sums, map[string]report.Figures{})
		start = w.Start
	}
	var err error
	ask := func(step report.Step, w spend.Window) (report.Answer, error) {
		return report.Run(ctx, x.s.Store, report.Params{
			Kind: report.Costs, From: w.Start, To: w.End, Step: step, By: storedBy(rule.By), Teams: x.s.Teams,
			Where: append([]report.Filter{{Dimension: spend.ByOrganization, Values: []string{x.o.ID}}}, rule.Where...),
		})
	}
	if x.missing == nil {
		w := spend.Window{Start: spend.Day.Floor(x.now).AddDate(-1, 0, -31), End: spend.Hour.Floor(x.now)}
		if x.missing, err = storage.Missing(ctx, x.s.Store, x.o.ID, w, spend.FactUsage, spend.FactCost); err != nil {
			return nil, err
		}
		x.missing = append([]spend.Window{}, x.missing...)
	}
	for _, w := range h.past {
		h.gaps = append(h.gaps, slices.ContainsFunc(x.missing, w.Overlaps))
	}
	known := b.Period
	known.End = earliest(known.End, spend.Day.Ceil(x.now))
	if utc {
		first := spend.Day.Floor(earliest(start, x.now.AddDate(0, 0, -forecast.MaxDays)))
		a, err := ask(report.StepDay, spend.Window{Start: first, End: spend.Day.Ceil(x.now)})
		if err != nil {
			return nil, err
		}
		h.asOf = a.AsOf
		for _, r := range a.Rows {
			subject := subjectOf(rule.By, r)
			h.days[subject] = append(h.days[subject], bucketCost{spend.Window{Start: r.Start, End: r.End}, r.Figures})
			if b.Period.Contains(r.Start) {
				h.current[subject] = append(h.current[subject], bucketCost{spend.Window{Start: r.Start, End: r.End}, r.Figures})
			}
			for i, w := range h.past {
				if w.Contains(r.Start) {
					f := h.sums[i][subject]
					f.Add(r.Figures)
					h.sums[i][subject] = f
				}
			}
		}
	} else {
		for i, w := range h.past {
			a, err := ask(report.StepTotal, w)
			if err != nil {
				return nil, err
			}
			for _, r := range a.Rows {
				h.sums[i][subjectOf(rule.By, r)] = r.Figures
			}
		}
	}
	if !utc || b.PeriodName == string(forecast.DayPeriod) {
		known.End = earliest(b.Period.End, spend.Hour.Ceil(x.now))
		clear(h.current)
		if !known.Empty() {
			a, err := ask(report.StepHour, known)
			if err != nil {
				return nil, err
			}
			h.asOf = a.AsOf
			for _, r := range a.Rows {
				subject := subjectOf(rule.By, r)
				h.current[subject] = append(h.current[subject], bucketCost{spend.Window{Start: r.Start, End: r.End}, r.Figures})
			}
		}
	}
	if x.rules == nil {
		x.rules = map[string]*ruleHistory{}
	}
	x.rules[rule.Name] = h
	return h, nil
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// storedBy are the dimensions that subjects are told apart by: a budget is of one organization.
func storedBy(by []spend.Dimension) []spend.Dimension {
	return slices.DeleteFunc(slices.Clone(by), func(d spend.Dimension) bool { return d == spend.ByOrganization })
}

// subjectOf is the subject that a row is about, as rules write it.
func subjectOf(by []spend.Dimension, r report.Row) string {
	var parts []string
	for _, d := range storedBy(by) {
		value := r.Team
		if d != spend.ByTeam {
			value = *r.Field(d)
		}
		parts = append(parts, string(d)+"="+value)
	}
	return strings.Join(parts, ",")
}

// interval is the forecast's interval, where it can be told and holds the forecast that the rule was
// judged by.
func (x *budgetHistory) interval(ctx context.Context, h *ruleHistory, b storage.Budget) (low, high spend.Money, ok bool) {
	if !b.Forecasted || len(h.days[b.Subject]) == 0 || b.AsOf.IsZero() || !b.Period.Contains(b.AsOf) {
		return 0, 0, false
	}
	if !x.shared {
		x.shared = true
		var err error
		if x.share, err = report.UsualShare(ctx, x.s.Store, x.o.ID, nil, b.AsOf); err != nil {
			x.s.Log.Debug("how much of a day has usually come in", "err", err)
		}
	}
	past := forecast.History{AsOf: b.AsOf, Share: x.share}
	costs := map[time.Time]spend.Money{}
	for _, d := range h.days[b.Subject] {
		costs[d.Start] = d.Cost
	}
	first := h.days[b.Subject][0].Start
	for _, w := range (spend.Window{Start: first, End: b.AsOf}).Buckets(spend.Day) {
		w.End = earliest(w.End, spend.Day.Ceil(b.AsOf))
		if w.Start.Before(b.AsOf.AddDate(0, 0, -forecast.MaxDays)) || slices.ContainsFunc(x.missing, w.Overlaps) {
			continue
		}
		past.Days = append(past.Days, forecast.Day{Window: w, Cost: costs[w.Start]})
	}
	f, err := forecast.New(past, b.Period, b.AsOf)
	if err != nil || !f.Interval || b.Forecast < f.Low || b.Forecast > f.High {
		return 0, 0, false
	}
	return f.Low, f.High, true
}

// exploreBudget is the page that shows what a budget's period cost.
func exploreBudget(o storage.OrganizationState, rule BudgetRule, b storage.Budget, w spend.Window) string {
	v := url.Values{"measure": {"cost"}, "by": {"model"}, "range": {customRange}, "from": {apiTime(w.Start)}, "to": {apiTime(w.End)}}
	v.Set("organization", o.Name)
	for _, f := range rule.Where {
		for _, value := range f.Values {
			v.Add(string(f.Dimension), cmp.Or(value, noValue(f.Dimension)))
		}
	}
	for _, part := range strings.Split(b.Subject, ",") {
		if dimension, id, ok := strings.Cut(part, "="); ok {
			d := spend.Dimension(dimension)
			switch {
			case id == "" || d == spend.ByAPIKey && id == spend.NoKey:
				id = noValue(d)
			case b.Labels[dimension] != "" && !strings.Contains(b.Labels[dimension], "("):
				id = b.Labels[dimension]
			}
			v.Set(dimension, id)
		}
	}
	return "/explore?" + readable(v)
}

// periodName is what a period is called, by its own calendar.
func periodName(name string, w spend.Window, zone *time.Location) string {
	local := w.Start.Add(59 * time.Minute).In(zone) // a border that is on no whole hour was moved to the hour before
	switch name {
	case "month":
		return local.Format("January 2006")
	case "quarter":
		return fmt.Sprintf("Q%d %d", (int(local.Month())+2)/3, local.Year())
	case "week":
		return "week from " + local.Format("2 January 2006")
	default:
		return local.Format("Monday, 2 January 2006")
	}
}

// PeriodName is what the running period is called.
func (b budgetSubject) PeriodName() string {
	if b.Start == nil || b.End == nil {
		return b.Period
	}
	return periodName(b.Period, spend.Window{Start: *b.Start, End: *b.End}, zoneOf(b.TimeZone))
}

// course is the drawing of what was spent over a period, in a field of 1000 by 200.
type course struct {
	Label       string
	Area, Line  string  // of what was spent
	Pace        string  // of spending evenly up to the limit
	Ahead       string  // of what is expected
	Range       string  // of the interval around it
	Limit       float64 // height of the limit
	Now         float64
	Ticks       []chartTick
	First, Last string
	Rows        []courseRow
	AsOf        time.Time
	Height      int
}

// courseRow is a bucket of the period as the table of the same has it.
type courseRow struct {
	Name      string
	Cost, Sum spend.Money
	Basis     spend.Basis
}

const (
	courseWidth  = 1000
	courseHeight = 160
)

// drawCourse draws the running period; nil where nothing of it is known.
func drawCourse(b storage.Budget, h *ruleHistory, s budgetSubject) *course {
	if h.asOf.IsZero() || !h.asOf.After(b.Period.Start) {
		return nil
	}
	asOf := earliest(h.asOf, b.Period.End)
	byHour := b.PeriodName == string(forecast.DayPeriod)
	most := max(b.Limit.USD(), b.Spent.USD())
	if b.Forecasted {
		most = max(most, b.Forecast.USD())
	}
	if s.Covered {
		most = max(most, s.High.USD())
	}
	step, n := roundStep(most)
	scale := courseHeight / (step * float64(n))
	c := &course{AsOf: asOf, Height: courseHeight}
	length := b.Period.Duration().Hours()
	at := func(t time.Time) float64 { return courseWidth * t.Sub(b.Period.Start).Hours() / length }
	y := func(m spend.Money) float64 { return courseHeight - max(0, m.USD())*scale }
	point := func(t time.Time, m spend.Money) string { return fmt.Sprintf("%.1f,%.1f", at(t), y(m)) }
	for i := range n + 1 {
		v := float64(i) * step
		c.Ticks = append(c.Ticks, chartTick{courseHeight - v*scale, dollarTick(v, step)})
	}
	buckets := slices.Clone(h.current[b.Subject])
	slices.SortFunc(buckets, func(a, b bucketCost) int { return a.Start.Compare(b.Start) })
	line := []string{point(b.Period.Start, 0)}
	var sum spend.Money
	zone := zoneOf(b.TimeZone)
	perDay := map[string]int{}
	for _, x := range buckets {
		line = append(line, point(x.Start, sum)) // nothing was spent since the bucket before
		sum += x.Cost
		line = append(line, point(earliest(x.End, asOf), sum))
		name := x.Start.In(zone).Format("Mon 2 January")
		if byHour {
			name = x.Start.In(zone).Format("15:04")
		}
		i, ok := perDay[name]
		if !ok {
			i = len(c.Rows)
			perDay[name] = i
			c.Rows = append(c.Rows, courseRow{Name: name})
		}
		c.Rows[i].Cost += x.Cost
		c.Rows[i].Sum = sum
		c.Rows[i].Basis = c.Rows[i].Basis.And(x.Basis)
	}
	line = append(line, point(asOf, sum))
	c.Line = strings.Join(line, " ")
	c.Area = c.Line + " " + point(asOf, 0) + " " + point(b.Period.Start, 0)
	c.Pace = point(b.Period.Start, 0) + " " + point(b.Period.End, b.Limit)
	c.Limit, c.Now = y(b.Limit), at(asOf)
	c.Label = fmt.Sprintf("Spent so far $%s of $%s", report.USD(sum), report.USD(b.Limit))
	if b.Forecasted && asOf.Before(b.Period.End) {
		c.Ahead = point(asOf, sum) + " " + point(b.Period.End, b.Forecast)
		c.Label += fmt.Sprintf(", expected by the end $%s", report.USD(b.Forecast))
		if s.Covered {
			c.Range = point(asOf, sum) + " " + point(b.Period.End, s.High) + " " + point(b.Period.End, s.Low)
		}
	}
	last := b.Period.End.Add(-time.Minute)
	c.First, c.Last = b.Period.Start.In(zone).Format("2 January"), last.In(zone).Format("2 January")
	if byHour {
		c.First, c.Last = "0:00", "24:00"
	}
	return c
}

// Standing is the state in a word or two.
func (b budgetSubject) Standing() string {
	if b.Class() == "warning" {
		return "ok so far"
	}
	return b.State
}

// Class is the style of the state.
func (b budgetSubject) Class() string {
	switch b.State {
	case storage.BudgetExceeded:
		return "critical"
	case storage.BudgetWaiting:
		return "info"
	}
	if b.Forecast != nil && *b.Forecast > b.Limit {
		return "warning"
	}
	return "ok"
}
