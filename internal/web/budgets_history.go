package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// budgetHistory reads what the periods of an organization's budgets cost.
type budgetHistory struct {
	s       *server
	o       storage.OrganizationState
	now     time.Time
	marks   []storage.BudgetMark
	low     map[string]bool // the rules that tell of a balance now
	missing []spend.Window
	share   float64 // of a day that has usually come in by now
	shared  bool
}

// ruleHistory is the cost of a rule's subjects in buckets that periods are made of.
type ruleHistory struct {
	rule    BudgetRule
	known   bool                    // the configuration has the rule; else nothing else is set
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

// subject is how a budget stands, and what is known of its periods.
func (x *budgetHistory) subject(ctx context.Context, h *ruleHistory, b storage.Budget) budgetSubject {
	out := budgetSubject{budget: budgetRow(x.o, b), Name: subjectName(b), Left: b.Limit - b.Spent}
	out.RunsLow = b.PeriodName == balancePeriod && x.low[b.Rule]
	if out.Note != "" {
		out.Note = capital(out.Note)
	}
	out.Bar = drawBudget(b, h.rule, x.marks)
	if !h.known {
		return out
	}
	out.Explore = exploreBudget(x.o, h.rule, b, b.Period)
	if b.State != storage.BudgetWaiting {
		out.Low, out.High, out.Covered = x.interval(ctx, h, b)
		out.Course = drawCourse(b, h, out)
	}
	for i, w := range h.past {
		f := h.sums[i][b.Subject]
		if f.Basis == "" && h.gaps[i] {
			continue // nothing is known of it
		}
		out.Past = append(out.Past, pastPeriod{
			Name: periodName(b.PeriodName, w, zoneOf(b.TimeZone)), Percent: percentOf(int64(f.Cost), int64(b.Limit)), Over: f.Cost > b.Limit,
			Part: max(0, min(100, 100*f.Cost.USD()/b.Limit.USD())), Missing: h.gaps[i], Figures: f, Href: exploreBudget(x.o, h.rule, b, w),
		})
	}
	for len(out.Past) > 0 && out.Past[len(out.Past)-1].Basis == "" { // before the first use
		out.Past = out.Past[:len(out.Past)-1]
	}
	return out
}

// zoneOf is the zone that a stored budget names.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC // of a database that knows zones that this machine does not
	}
	return zone
}

// history reads the cost of a rule's subjects: of all, or of these alone where there are many more.
func (x *budgetHistory) history(ctx context.Context, of []storage.Budget, alone bool) (*ruleHistory, error) {
	b := of[0]
	h := &ruleHistory{rule: BudgetRule{Name: b.Rule}, current: map[string][]bucketCost{}, days: map[string][]bucketCost{}}
	i := slices.IndexFunc(x.s.Budgets, func(r BudgetRule) bool { return r.Name == b.Rule })
	if i < 0 || b.PeriodName == balancePeriod || b.Period.Empty() || b.Limit <= 0 {
		return h, nil // of a configuration before this one, or nothing that has periods
	}
	h.rule, h.known = x.s.Budgets[i], true
	rule := h.rule
	where := append([]report.Filter{{Dimension: spend.ByOrganization, Values: []string{x.o.ID}}}, rule.Where...)
	var only []storage.Match
	if alone {
		only = onlySubjects(of)
	}
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
			Kind: report.Costs, From: w.Start, To: w.End, Step: step, By: storedBy(rule.By), Teams: x.s.Teams, Where: where, Only: only,
		})
	}
	if x.missing == nil {
		w := spend.Window{Start: spend.Day.Floor(x.now).AddDate(-1, 0, -31), End: spend.Hour.Floor(x.now)}
		if x.missing, err = storage.Missing(ctx, x.s.Store, x.o.ID, w, spend.FactUsage, spend.FactCost); err != nil {
			return nil, err
		}
		x.missing = append([]spend.Window{}, x.missing...) // known, and not nil
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
			for _, r := range a.Rows {
				subject := subjectOf(rule.By, r)
				h.current[subject] = append(h.current[subject], bucketCost{spend.Window{Start: r.Start, End: r.End}, r.Figures})
			}
		}
	}
	return h, nil
}

// onlySubjects are filters for what the subjects name.
func onlySubjects(of []storage.Budget) []storage.Match {
	var ms []storage.Match
	for _, b := range of {
		for part := range strings.SplitSeq(b.Subject, ",") {
			dimension, id, ok := strings.Cut(part, "=")
			d := spend.Dimension(dimension)
			if !ok || !slices.Contains(spend.Dimensions, d) { // a team is no filter of the store
				continue
			}
			i := slices.IndexFunc(ms, func(m storage.Match) bool { return m.Dimension == d })
			if i < 0 {
				i = len(ms)
				ms = append(ms, storage.Match{Dimension: d})
			}
			if !slices.Contains(ms[i].Values, id) {
				ms[i].Values = append(ms[i].Values, id)
			}
		}
	}
	return ms
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
