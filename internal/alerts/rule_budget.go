package alerts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// BudgetConfig fires when a percentage of an amount is spent in a period, or will be by its end. Each
// percentage fires once a period; a higher one takes the place of a lower one.
type BudgetConfig struct {
	// How much may be spent.
	AmountUSD spend.Money `yaml:"amount_usd"`
	// In which calendar period: day, week (from Monday), month or quarter.
	Period Period `yaml:"period" jsonschema:"enum=day,enum=week,enum=month,enum=quarter"`
	// By whose calendar, such as Europe/Berlin; default: UTC.
	TimeZone string `yaml:"time_zone"`
	// Percentages of the amount that fire when they are spent.
	Actual []float64 `yaml:"actual"`
	// Percentages of the amount that fire when the forecast for the period's end reaches them.
	Forecast []float64 `yaml:"forecast"`
}

// SetDefaults sets what every budget starts from.
func (c *BudgetConfig) SetDefaults() {
	c.Period, c.Actual, c.Forecast = Monthly, []float64{50, 80, 100}, []float64{100}
}

func (*BudgetConfig) kind() string { return "budget" }

func (c *BudgetConfig) check(p problems, _ *RuleConfig) {
	if c.AmountUSD <= 0 {
		p("budget.amount_usd", "must be above 0")
	}
	if !slices.Contains(Periods, c.Period) {
		p("budget.period", "must be one of %s", join(Periods))
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "Local" {
		p("budget.time_zone", "is not known: a zone is named like Europe/Berlin; leave it out for UTC")
	}
	if len(c.Actual)+len(c.Forecast) == 0 {
		p("budget.actual", "must have a percentage, or forecast must")
	}
	for name, list := range map[string][]float64{"actual": c.Actual, "forecast": c.Forecast} {
		for i, x := range list {
			if x <= 0 || x > 1000 {
				p(fmt.Sprintf("budget.%s[%d]", name, i), "must be a percentage above 0 and at most 1000")
			} else if slices.Contains(list[:i], x) {
				p(fmt.Sprintf("budget.%s[%d]", name, i), "is there twice")
			}
		}
	}
}

// zone is the location; check has seen that it is known.
func (c *BudgetConfig) zone() *time.Location {
	l, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return time.UTC
	}
	return l
}

// notes says which percentages look like ratios, and where the zone's midnight is not on a whole hour of UTC.
func (c *BudgetConfig) notes(note problems) {
	for _, list := range []struct {
		name     string
		percents []float64
	}{{"actual", c.Actual}, {"forecast", c.Forecast}} {
		for i, x := range list.percents {
			if x <= 1 {
				note(fmt.Sprintf("budget.%s[%d]", list.name, i), "is %v percent of the amount: if %v is meant as a ratio, write %v", x, x, 100*x)
			}
		}
	}
	for _, month := range []time.Month{time.January, time.July} {
		if _, offset := time.Date(2026, month, 1, 0, 0, 0, 0, c.zone()).Zone(); offset%3600 != 0 {
			note("budget.time_zone", "midnight in %s is not on a whole hour of UTC: periods begin at the hour before", c.TimeZone)
			return
		}
	}
}

// historyDays is how far back a forecast looks.
const historyDays = 56

func (c *BudgetConfig) judge(ctx context.Context, v *view, r *rule) (verdict, error) {
	if why := v.old(CostUSD); why != "" {
		return nothing(why), nil
	}
	period := c.Period.at(v.dataAt, c.zone())
	spent := spend.Window{Start: period.Start, End: spend.Hour.Ceil(latest(v.now, v.dataAt))}
	if v.replay {
		spent.End = v.dataAt
	}
	spent = spent.Intersect(period)
	holes, err := v.incomplete(ctx, spent)
	if err != nil {
		return verdict{}, err
	}
	s := v.shapeOf(true, r.dimensions())
	t, err := v.sum(ctx, s, spent, false)
	if err != nil {
		return verdict{}, err
	}
	days, err := c.days(ctx, v, s, spent)
	if err != nil {
		return verdict{}, err
	}
	g := v.grouped(r, s)
	sums, some := g.sums(t)
	marks, past := v.marksOf(r.Name, period)
	b := budgetJudge{c: c, v: v, r: r, period: period, window: t.window, marks: marks, holes: holes}
	if holes {
		b.out = nothing(storage.BudgetWaiting + ": hours of " + c.Period.shown(period, c.zone()) + " were not read yet")
	} else {
		b.out.over = func(subject string) bool { return b.muted[subject] }
		b.out.well = b.well
		b.muted = map[string]bool{}
	}
	b.out.dropped = past
	byDay := make([][]spend.Money, len(days))
	for i := range days {
		byDay[i] = days[i].costs(g)
	}
	for i, group := range g.groups {
		if !some[i] && len(b.marks[group.subject]) == 0 {
			continue
		}
		costs := make([]CostDay, len(days))
		for j := range days {
			costs[j] = CostDay{days[j].window, byDay[j][i]}
		}
		b.subject(group.subject, g.labels(group.subject), sums[i], costs)
	}
	if len(r.By) == 0 && (len(g.groups) == 0 || !some[0] && len(b.marks[""]) == 0) {
		b.subject("", map[string]string{}, figures{}, nil)
	}
	return b.out, nil
}

// budgetDay is a day of the budget's zone and the sums of its parts, one of each UTC day that it lies in.
type budgetDay struct {
	window spend.Window
	parts  []budgetPart
}

type budgetPart struct {
	window spend.Window
	total  total
}

// costs are what the day cost, by the rule's groups. Of a UTC day that is known as a whole only, the part
// gets the share of its hours.
func (d *budgetDay) costs(g *grouper) []spend.Money {
	out := make([]spend.Money, len(g.groups))
	for _, p := range d.parts {
		sums, _ := g.sums(p.total)
		asked, summed := p.window.Duration(), p.total.window.Duration()
		for i, f := range sums {
			if summed > asked {
				f.cost = spend.Shares(f.cost, []spend.Money{spend.Money(asked), spend.Money(summed - asked)})[0]
			}
			out[i] += f.cost
		}
	}
	return out
}

// days are the zone's whole days that are known before the data ends, and the one in which it does.
func (c *BudgetConfig) days(ctx context.Context, v *view, s *shape, spent spend.Window) ([]budgetDay, error) {
	zone := c.zone()
	from := earliest(Daily.at(v.dataAt.AddDate(0, 0, -historyDays), zone).Start, Daily.at(spent.Start, zone).Start)
	known, err := v.knownFrom(ctx, spend.Window{Start: from, End: v.dataAt})
	if err != nil {
		return nil, err
	}
	day := Daily.at(known, zone)
	if day.Start.Before(known) {
		day = Daily.at(day.End, zone)
	}
	if day.Start.Equal(spend.Day.Floor(day.Start)) { // by whole days of UTC: all in few questions
		if err := v.need(ctx, s, spend.Window{Start: day.Start, End: spend.Day.Ceil(v.dataAt)}, false); err != nil {
			return nil, err
		}
	}
	var out []budgetDay
	for ; day.Start.Before(v.dataAt); day = Daily.at(day.End, zone) {
		d := budgetDay{window: day}
		in := day
		if in.End.After(v.dataAt) {
			in.End = spend.Hour.Ceil(v.dataAt)
			d.window.End = v.dataAt
		}
		for _, u := range in.Align(spend.Day).Buckets(spend.Day) {
			part := u.Intersect(in)
			t, err := v.sum(ctx, s, part, false)
			if err != nil {
				return nil, err
			}
			d.parts = append(d.parts, budgetPart{part, t})
		}
		out = append(out, d)
	}
	return out, nil
}

// budgetJudge judges the subjects of a budget.
type budgetJudge struct {
	c      *BudgetConfig
	v      *view
	r      *rule
	period spend.Window
	window spend.Window
	marks  map[string][]storage.BudgetMark // of the period, by subject
	holes  bool
	muted  map[string]bool  // alerts whose threshold was muted
	status []storage.Budget // as in out, for what is said of the well
	out    verdict
}

func (b *budgetJudge) subject(subject string, labels map[string]string, f figures, days []CostDay) {
	c, v := b.c, b.v
	forecast := v.options.Forecast
	if forecast == nil {
		forecast = runRate
	}
	in := ForecastInput{
		Days: days, AsOf: v.dataAt, Period: b.period, Spent: f.cost, Limit: c.AmountUSD, Zone: c.zone(), Organization: v.organization, Seq: v.seq,
	}
	look := forecast(in)
	status := storage.Budget{
		Rule: b.r.Name, Subject: subject, Labels: labels, PeriodName: string(c.Period), TimeZone: c.TimeZone, Period: b.period,
		Limit: c.AmountUSD, Spent: f.cost, State: storage.BudgetOK, AsOf: v.dataAt, Basis: f.basis, Note: look.Note,
	}
	if look.OK {
		status.Forecast, status.Forecasted, status.ExhaustedAt = look.Expected, true, b.day(look.ExhaustedAt)
	}
	if f.cost >= c.AmountUSD {
		status.State, status.ExhaustedAt = storage.BudgetExceeded, b.day(exhausted(days, b.period, c.AmountUSD))
	}
	if b.holes {
		status.State, status.Forecasted, status.Forecast, status.ExhaustedAt = storage.BudgetWaiting, false, 0, time.Time{}
		status.Note = "hours of the period were not read yet"
		b.put(status)
		return
	}
	b.put(status)
	for _, m := range b.mark(subject, status) {
		key := alertSubject(m)
		if m.Muted {
			b.muted[key] = true
			continue
		}
		b.out.findings = append(b.out.findings, b.finding(m, key, labels, status, f))
	}
}

func (b *budgetJudge) put(status storage.Budget) {
	b.status = append(b.status, status)
	b.out.budgets = append(b.out.budgets, status)
}

// mark brings the marks of a subject up to date and returns them.
func (b *budgetJudge) mark(subject string, status storage.Budget) []storage.BudgetMark {
	c := b.c
	crossed := func(kind string, threshold float64) bool {
		value := status.Spent
		if kind == storage.MarkForecast {
			if value = status.Forecast; !status.Forecasted {
				return false
			}
		}
		return float64(value)*100 >= float64(c.AmountUSD)*threshold && value > 0
	}
	var marks []storage.BudgetMark
	before := map[storage.BudgetMark]bool{}
	has := func(kind string, threshold float64) bool {
		return slices.ContainsFunc(marks, func(m storage.BudgetMark) bool { return m.Kind == kind && m.Threshold == threshold })
	}
	lists := []struct {
		kind       string
		thresholds []float64
	}{{storage.MarkActual, c.Actual}, {storage.MarkForecast, c.Forecast}}
	for _, m := range b.marks[subject] {
		before[m] = true
		wanted := slices.ContainsFunc(lists, func(x struct {
			kind       string
			thresholds []float64
		}) bool {
			return x.kind == m.Kind && slices.Contains(x.thresholds, m.Threshold)
		})
		if !wanted || m.Amount != c.AmountUSD && !crossed(m.Kind, m.Threshold) { // a changed amount arms it anew
			b.out.dropped = append(b.out.dropped, m)
			continue
		}
		m.Amount = c.AmountUSD
		marks = append(marks, m)
	}
	for _, x := range lists {
		for _, threshold := range x.thresholds {
			if crossed(x.kind, threshold) && !has(x.kind, threshold) {
				marks = append(marks, storage.BudgetMark{
					Rule: b.r.Name, Subject: subject, Period: b.period.Start, Kind: x.kind, Threshold: threshold,
					Amount: c.AmountUSD, CrossedAt: b.v.now,
				})
			}
		}
	}
	highest := map[string]float64{}
	for _, m := range marks {
		highest[m.Kind] = max(highest[m.Kind], m.Threshold)
	}
	for i := range marks {
		m := &marks[i]
		// What is spent says more than the forecast that it would be.
		m.Muted = m.Muted || m.Threshold < highest[m.Kind] || m.Kind == storage.MarkForecast && m.Threshold <= highest[storage.MarkActual]
		if !before[*m] {
			b.out.putMarks = append(b.out.putMarks, *m)
		}
	}
	return marks
}

// alertSubject is the subject of the alert about a crossed threshold.
func alertSubject(m storage.BudgetMark) string {
	return strings.TrimPrefix(fmt.Sprintf("%s,kind=%s,threshold=%s,period=%s", m.Subject, m.Kind,
		strconv.FormatFloat(m.Threshold, 'f', -1, 64), m.Period.UTC().Format("2006-01-02T15")), ",")
}

func (b *budgetJudge) finding(m storage.BudgetMark, key string, labels map[string]string, status storage.Budget, f figures) finding {
	c, v := b.c, b.v
	labels = maps.Clone(labels)
	labels["threshold"] = strconv.FormatFloat(m.Threshold, 'f', -1, 64)
	out := finding{
		subject: key, labels: labels, value: status.Spent.USD(), limit: c.AmountUSD.USD() * m.Threshold / 100, unit: spend.UnitUSD,
		asOf: v.dataAt, basis: f.basis, breakdown: &breakdown{metric: CostUSD, window: b.window, group: m.Subject},
	}
	name, who := c.Period.shown(b.period, c.zone()), v.who(b.r, labels)
	usd := func(x spend.Money) string { return formatValue(x.USD(), spend.UnitUSD) }
	spentPart := fmt.Sprintf("%s of %s spent in %s (%s)", usd(status.Spent), usd(c.AmountUSD), name, formatPercent(float64(status.Spent)/float64(c.AmountUSD)))
	if m.Kind == storage.MarkForecast {
		labels["threshold"] = "forecast " + labels["threshold"]
		out.value = status.Forecast.USD()
		out.summary = fmt.Sprintf("%s, %s: %s expected by the end of %s, %s of %s", b.r.Name, who, usd(status.Forecast), name,
			formatPercent(float64(status.Forecast)/float64(c.AmountUSD)), usd(c.AmountUSD))
		if float64(status.Forecast)*100 < float64(c.AmountUSD)*m.Threshold {
			out.summary += fmt.Sprintf(" (crossed %s %% at %s)", labels["threshold"][len("forecast "):], stamp(m.CrossedAt))
		}
		out.description = spentPart + "."
	} else {
		out.summary = fmt.Sprintf("%s, %s: %s", b.r.Name, who, spentPart)
		if status.Forecasted {
			out.description = fmt.Sprintf("Expected by the end: %s.", usd(status.Forecast))
		}
	}
	if day := status.ExhaustedOn(); !day.IsZero() {
		word := "It runs out on"
		if status.State == storage.BudgetExceeded {
			word = "It ran out on"
		}
		out.summary += fmt.Sprintf(". %s %s", word, day.Format("Monday, 2 January"))
	}
	if f.unpriced > 0 {
		out.description += "\n" + report.Count(f.unpriced) + " tokens have no known price and are not in it."
	}
	out.description = strings.TrimSpace(out.description)
	return out
}

// well says why an alert is over: a new period began, or the budget was changed.
func (b *budgetJudge) well(a spend.Alert) (finding, bool) {
	group, rest, _ := strings.Cut(","+a.Subject, ",kind=")
	group = strings.TrimPrefix(group, ",")
	current := strings.HasSuffix(rest, ",period="+b.period.Start.UTC().Format("2006-01-02T15"))
	var spent spend.Money
	labels := a.Labels // who has spent nothing in the new period has no status
	for _, s := range b.status {
		if s.Subject == group {
			spent, labels = s.Spent, s.Labels
		}
	}
	f := finding{
		subject: a.Subject, value: spent.USD(), limit: b.c.AmountUSD.USD(), unit: spend.UnitUSD, asOf: b.v.dataAt,
	}
	who := b.v.who(b.r, labels)
	state := fmt.Sprintf("%s of %s spent so far", formatValue(spent.USD(), spend.UnitUSD), formatValue(b.c.AmountUSD.USD(), spend.UnitUSD))
	if current {
		f.summary = fmt.Sprintf("%s, %s: changed, %s", b.r.Name, who, state)
	} else {
		f.summary = fmt.Sprintf("%s, %s: a new %s began, %s: %s", b.r.Name, who, b.c.Period, b.c.Period.shown(b.period, b.c.zone()), state)
	}
	return f, true
}

// day is the midnight of the zone's day that t, in the period, lies in; zero for the zero time. A day that
// begins at no whole hour of UTC begins here at the hour before: of its two dates it is the one that most
// of it has.
func (b *budgetJudge) day(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	zone := b.c.zone()
	day := Daily.at(earliest(t, b.period.End.Add(-time.Second)), zone)
	y, m, d := day.Start.Add(day.Duration() / 2).In(zone).Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, zone)
	if midnight.Day() != d { // the clock goes forward at midnight: the day begins at one
		midnight = midnight.Add(time.Hour)
	}
	return midnight.UTC()
}

// exhausted is the start of the day, or of the first known part of the period, in which the limit
// was reached, for the last time where credits brought the cost below it in between.
func exhausted(days []CostDay, period spend.Window, limit spend.Money) time.Time {
	var sum spend.Money
	var at time.Time
	for _, d := range days {
		in := d.Intersect(period)
		if in.Empty() {
			continue
		}
		switch sum += d.Cost; {
		case sum < limit:
			at = time.Time{}
		case at.IsZero():
			at = in.Start
		}
	}
	if !at.IsZero() {
		return at
	}
	if len(days) > 0 {
		return latest(period.Start, days[len(days)-1].Start)
	}
	return period.Start
}

// marksOf are the rule's marks of a period, by subject, and those of periods that are past.
func (v *view) marksOf(rule string, period spend.Window) (marks map[string][]storage.BudgetMark, past []storage.BudgetMark) {
	marks = map[string][]storage.BudgetMark{}
	for _, m := range v.crossed {
		switch {
		case m.Rule != rule:
		case m.Period.Equal(period.Start):
			marks[m.Subject] = append(marks[m.Subject], m)
		default:
			past = append(past, m)
		}
	}
	return marks, past
}
