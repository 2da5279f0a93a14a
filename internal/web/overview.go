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

	"golang.org/x/sync/errgroup"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// How many rows the parts of the overview show.
const (
	topRows    = 6
	topBudgets = 4
	topAlerts  = 5
	topMovers  = 3 // of each dimension
	chartHours = 48
	// overviewParts is how many parts of the page are asked for at the same time.
	overviewParts = 4
)

// overviewData is what the page at / shows.
type overviewData struct {
	frame
	By            choice
	Organizations []overview
}

// choice is a dimension chosen among some; the template writes it as links.
type choice struct {
	Chosen spend.Dimension
	Of     []spend.Dimension
}

// overview is an organization on it.
type overview struct {
	Organization string
	ID, Anchor   string
	Now          time.Time
	By           choice
	UsageAt      time.Time // up to where usage is known; zero: nothing was read
	BillAt       time.Time // the same of the bill
	Empty        bool      // no cost of the last 30 days and this month is known

	Refused  []reportStatus
	Backfill *backfill
	Failing  []storage.RuleState
	Unmapped *unmapped
	SetAside []storage.CurrencySum

	Spent   []spent
	Month   bar
	End     monthEnd
	Budgets []budgetBar
	// QuietBudgets are the rules with a budget, where none of them has anything to show.
	QuietBudgets []storage.RuleState
	More         int // budgets that are not shown
	Alerts       alertsBrief
	Days         drawn
	Hours        drawn
	Judged       judgedHours
	Top          []ranking
	Moved        moved
	Limits       limitsTable
	Bill         billVerdict
}

// spent is the cost of a period, up to what is known of it.
type spent struct {
	Period string
	AsOf   time.Time
	report.Figures
	MissingHours int64 // never read, and so in no figure
}

// drawn is a chart with what it adds up to.
type drawn struct {
	chart
	AsOf    time.Time
	Total   report.Figures
	Rest    report.Figures // known of longer times only, and so in no bar
	Missing int64          // hours
}

// unmapped is the part of the month that no team is mapped to.
type unmapped struct {
	report.Figures
	Share float64
}

// alertsBrief is what fires, the worst first.
type alertsBrief struct {
	Configured bool // there are rules
	Evaluated  time.Time
	Firing     []alert // at most topAlerts
	More       int     // that fire beside
	Pending    int
	Silenced   int // of those that fire
}

// billVerdict is what was compared with the bill, in a line.
type billVerdict struct {
	Days, Agreeing int
	Off            int // comparisons that differ
	AsOf           time.Time
	Since          string
}

// ranking is who cost most this month.
type ranking struct {
	By   spend.Dimension
	AsOf time.Time
	Rows []ranked
	Rest int // how many more there are
}

type ranked struct {
	Name    string
	Percent float64 // of the greatest
	report.Figures
}

// overviewPage is the page at /. The parameter by says by what the last days are told apart.
func (s *server) overviewPage(r *http.Request) (any, error) {
	by, err := s.overviewBy(r.URL.Query())
	if err != nil {
		return nil, err
	}
	data := overviewData{
		frame: s.frame(r, "Overview", link{"/api/v1/costs?by=workspace,model", "costs"}, link{"/api/v1/forecast", "forecast"},
			link{"/api/v1/budgets", "budgets"}, link{"/api/v1/alerts", "alerts"}, link{"/api/v1/headroom", "headroom"}),
		By: by,
	}
	return &data, s.each(r.Context(), func(o storage.OrganizationState) error {
		p, err := s.overviewOf(r.Context(), o, by, data.Now)
		if err != nil {
			return fmt.Errorf("overview of %s: %w", o.Name, err)
		}
		p.Anchor = fmt.Sprintf("organization-%d", len(data.Organizations)+1)
		data.Organizations = append(data.Organizations, p)
		return nil
	})
}

func (s *server) overviewBy(values url.Values) (choice, error) {
	c := choice{spend.ByWorkspace, []spend.Dimension{spend.ByWorkspace, spend.ByModel}}
	if len(s.Teams) > 0 {
		c.Of = append(c.Of, spend.ByTeam)
	}
	for name, vs := range values {
		if name != "by" {
			return c, problem{http.StatusBadRequest, fmt.Sprintf("unknown parameter %q: the only one here is by", name)}
		}
		c.Chosen = spend.Dimension(vs[len(vs)-1])
	}
	switch {
	case slices.Contains(c.Of, c.Chosen):
		return c, nil
	case c.Chosen == spend.ByTeam:
		return c, problem{http.StatusBadRequest, "by: no teams are configured, so nothing can be told by team (section teams of the configuration)"}
	default:
		return c, problem{http.StatusBadRequest, fmt.Sprintf("by: %q is not one of workspace, model and team", string(c.Chosen))}
	}
}

// asking asks for costs of one organization.
func (s *server) asking(ctx context.Context, o storage.OrganizationState) func(w spend.Window, step report.Step, by ...spend.Dimension) (report.Answer, error) {
	return func(w spend.Window, step report.Step, by ...spend.Dimension) (report.Answer, error) {
		return report.Run(ctx, s.Store, s.costsOf(o, w, step, by...))
	}
}

func (s *server) costsOf(o storage.OrganizationState, w spend.Window, step report.Step, by ...spend.Dimension) report.Params {
	return report.Params{
		Kind: report.Costs, From: w.Start, To: w.End, Step: step, By: by, Teams: s.Teams,
		Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{o.ID}}},
	}
}

func (s *server) overviewOf(ctx context.Context, o storage.OrganizationState, by choice, now time.Time) (overview, error) {
	p := overview{Organization: o.Name, ID: o.ID, Now: now, By: by}
	marks, err := s.Store.Watermarks(ctx, o.ID)
	if err != nil {
		return p, err
	}
	p.UsageAt = newest(marks, []spend.Report{spend.ReportMessages, spend.ReportAnalyticsUsage})
	p.BillAt = newest(marks, []spend.Report{spend.ReportCost, spend.ReportAnalyticsCost})
	for _, m := range marks {
		if !m.RefusedAt.IsZero() {
			p.Refused = append(p.Refused, reportStatusOf(m))
		}
	}
	if s.Backfill > 0 {
		if p.Backfill, err = s.backfillOf(ctx, o, marks, now); err != nil {
			return p, err
		}
	}
	known, err := s.daysKnown(ctx, o, marks, now)
	if err != nil {
		return p, err
	}
	x := known
	// Each part fills in fields of its own, so they may be asked for at the same time.
	parts, asking := errgroup.WithContext(ctx)
	parts.SetLimit(overviewParts)
	parts.Go(func() (err error) {
		x.rows, err = s.daysBy(asking, o, known, spend.ByWorkspace, spend.ByModel)
		return err
	})
	if len(s.Teams) > 0 {
		parts.Go(func() (err error) { x.teams, err = s.daysBy(asking, o, known, spend.ByTeam); return err })
	}
	parts.Go(func() (err error) { x.weeks, err = s.weeksOf(asking, o, known); return err })
	parts.Go(func() (err error) { p.End, err = s.monthEnd(asking, o, now); return err })
	parts.Go(func() error {
		if err := s.judgedOf(asking, o, &p); err != nil {
			return err
		}
		return s.hoursOf(asking, o, &p)
	})
	parts.Go(func() (err error) { p.Limits, err = s.limitsTable(asking, o); return err })
	parts.Go(func() (err error) { p.Bill, err = s.billVerdict(asking, o, now); return err })
	if err := parts.Wait(); err != nil {
		return p, err
	}
	if err := s.spentOf(ctx, o, &p, x); err != nil {
		return p, err
	}
	p.Moved = movedOf(x)
	p.Days = daysOf(p, x)
	p.Month = barOf(p.Spent[2].Cost, p.End.Expected, p.End.Method != "", 0)
	p.Empty = p.Days.Total.Basis == "" && p.Spent[2].Basis == ""
	return p, nil
}

// past is the cost of the days that the overview shows: at least thirty, and the month. Most of the
// page is sums of its rows, so that they are asked for once.
type past struct {
	marks []storage.Watermark
	today spend.Window
	month spend.Window  // to date, whole days
	names uint64        // see [server.namesOf]
	known coverage      // of the same days
	rows  report.Answer // by workspace, model and day
	teams report.Answer // by team and day, where there are teams
	weeks weeks
}

// daysKnown begins a past: which days it has, and what is known of them.
func (s *server) daysKnown(ctx context.Context, o storage.OrganizationState, marks []storage.Watermark, now time.Time) (past, error) {
	today := spend.Day.Bucket(now)
	x := past{marks: marks, today: today, month: spend.Window{Start: spend.MonthStart(now), End: today.End}}
	days := dayWindows(today.Start, max(chartDays, now.Day()))
	var err error
	if x.names, err = s.namesOf(ctx, o.ID); err != nil {
		return x, err
	}
	x.known, err = s.coverageOf(ctx, o.ID, days, marks, spend.FactUsage, spend.FactCost)
	return x, err
}

// daysBy asks for the days; those before today are remembered.
func (s *server) daysBy(ctx context.Context, o storage.OrganizationState, x past, by ...spend.Dimension) (report.Answer, error) {
	ask := s.asking(ctx, o)
	w := spend.Window{Start: x.known.Days[0].Start, End: x.today.Start}
	before, err := remember(ctx, s.memory, o.ID, fmt.Sprint("days by ", by), w, x.names, func() (report.Answer, error) {
		return ask(w, report.StepDay, by...)
	})
	if err != nil {
		return before, err
	}
	a, err := ask(x.today, report.StepDay, by...)
	a.Rows = slices.Concat(before.Rows, a.Rows)
	return a, err
}

// of is the part of the answer in the window, which is whole days of it.
func (x past) of(a report.Answer, w spend.Window) report.Answer {
	out := report.Answer{Params: a.Params, Window: w}
	for _, r := range a.Rows {
		if !r.Start.Before(w.Start) && !r.End.After(w.End) {
			out.Rows = append(out.Rows, r)
			out.Total.Add(r.Figures)
		}
	}
	for _, d := range x.known.Days {
		if w.Covers(d.Window) {
			out.MissingHours += int64(d.Missing())
		}
	}
	out.AsOf = report.AsOfBasis(x.marks, out.Total.Basis)
	return out
}

// spentOf fills in what was spent, who spent most of it, and the budgets.
func (s *server) spentOf(ctx context.Context, o storage.OrganizationState, p *overview, x past) error {
	today := spend.Day.Bucket(p.Now)
	for _, period := range []struct {
		name string
		spend.Window
	}{
		{"Today", today},
		{"Yesterday", spend.Window{Start: today.Start.AddDate(0, 0, -1), End: today.Start}},
		{p.Now.Format("January"), x.month},
	} {
		a := x.of(x.rows, period.Window)
		p.Spent = append(p.Spent, spent{period.name, a.AsOf, a.Total, a.MissingHours})
	}
	for _, d := range p.By.Of {
		a := x.of(x.rows, x.month)
		if d == spend.ByTeam {
			a = x.of(x.teams, x.month)
			p.Unmapped = unmappedOf(fold(a, d))
		}
		p.Top = append(p.Top, rank(fold(a, d), d))
	}
	aside, err := s.Store.SetAside(ctx, o.ID, x.month)
	if err != nil {
		return err
	}
	p.SetAside = storage.SumSetAside(aside)
	budgets, err := s.Store.Budgets(ctx, o.ID)
	if err != nil {
		return err
	}
	p.Budgets = budgetBars(o, budgets)
	if len(budgets) == 0 {
		if p.QuietBudgets, err = s.budgetStates(ctx, o); err != nil {
			return err
		}
	}
	if len(p.Budgets) > topBudgets {
		p.More = len(p.Budgets) - topBudgets
		p.Budgets = p.Budgets[:topBudgets]
	}
	return nil
}

// unmappedOf is the part of the answer by team that is of none; nil: nothing is.
func unmappedOf(a report.Answer) *unmapped {
	for _, r := range a.Rows {
		if r.Team == team.Unmapped && r.Cost > 0 && a.Total.Cost > 0 {
			return &unmapped{r.Figures, r.Cost.USD() / a.Total.Cost.USD()}
		}
	}
	return nil
}

// rank orders the rows by cost, the greatest first.
func rank(a report.Answer, d spend.Dimension) ranking {
	a.Arrange(report.SortAmount)
	out := ranking{By: d, AsOf: a.AsOf}
	for i, r := range a.Rows {
		if i == topRows {
			out.Rest = len(a.Rows) - topRows
			break
		}
		x := ranked{Name: seriesName(r.Name(d), d), Figures: r.Figures}
		if most := a.Rows[0].Cost; most > 0 && r.Cost > 0 {
			x.Percent = 100 * r.Cost.USD() / most.USD()
		}
		out.Rows = append(out.Rows, x)
	}
	return out
}

// daysOf draws the last days.
func daysOf(p overview, x past) drawn {
	known := x.known
	known.Days = known.Days[len(known.Days)-chartDays:]
	days := make([]spend.Window, chartDays)
	for i, d := range known.Days {
		days[i] = d.Window
	}
	from := x.rows
	if p.By.Chosen == spend.ByTeam {
		from = x.teams
	}
	a := x.of(from, spend.Window{Start: days[0].Start, End: days[chartDays-1].End})
	y := plot{Label: fmt.Sprintf("Cost of each of the last %d days by %s", chartDays, p.By.Chosen), Of: string(p.By.Chosen)}
	y.Series, y.Bars = bars(a, p.By.Chosen, days, costUSD)
	nameDays(y.Bars, days)
	known.mark(y.Bars, p.Now)
	for i, d := range days {
		y.Bars[i].Href = "/explore?" + url.Values{
			"by": {string(p.By.Chosen)}, "from": {d.Start.Format(time.DateOnly)}, "to": {d.End.Format(time.DateOnly)}, "organization": {p.Organization},
		}.Encode()
	}
	return drawn{y.draw(), a.AsOf, a.Total, wider(a, days), a.MissingHours}
}

// hoursOf draws the last hours, with the anomalies that the rules found among them.
func (s *server) hoursOf(ctx context.Context, o storage.OrganizationState, p *overview) error {
	hours := lastHours(p.Now, chartHours)
	w := spend.Window{Start: hours[0].Start, End: hours[len(hours)-1].End}
	a, err := s.asking(ctx, o)(w, report.StepHour)
	if err != nil {
		return err
	}
	x := plot{Label: fmt.Sprintf("Cost of each of the last %d hours", chartHours)}
	x.Series, x.Bars = bars(a, "", hours, costUSD)
	for i, h := range hours {
		b := &x.Bars[i]
		b.Name = h.Start.Format("Mon 2 January 15:04") + " to " + h.End.Format("15:04")
		b.Mark = p.Judged.Marks[h.Start]
		if h.Start.Hour()%6 == 0 {
			b.Tick, b.Minor = h.Start.Format("15:04"), h.Start.Hour()%12 != 0
			if h.Start.Hour() == 0 {
				b.Tick = h.Start.Format("2 Jan")
			}
		}
		switch {
		case !h.Start.Before(p.UsageAt) && b.Basis == "":
			b.Missing = true
		case h.End.After(p.UsageAt):
			b.Part = true
		}
	}
	p.Hours = drawn{x.draw(), a.AsOf, a.Total, wider(a, hours), a.MissingHours}
	return nil
}

// lastHours are the n UTC hours through the running one.
func lastHours(now time.Time, n int) []spend.Window {
	first := spend.Hour.Floor(now).Add(time.Duration(1-n) * time.Hour)
	return spend.Window{Start: first, End: first.Add(time.Duration(n) * time.Hour)}.Buckets(spend.Hour)
}

// judgedOf fills in what fires, and what the rules said of the last hours.
func (s *server) judgedOf(ctx context.Context, o storage.OrganizationState, p *overview) error {
	rules, err := s.Store.RuleStates(ctx, o.ID)
	if err != nil {
		return err
	}
	as, err := s.Store.Alerts(ctx, o.ID)
	if err != nil {
		return err
	}
	if p.Alerts.Evaluated, err = s.Store.EvaluatedAt(ctx, o.ID); err != nil {
		return err
	}
	p.Alerts.Configured = len(rules) > 0
	for _, r := range rules {
		if r.Problem != "" {
			p.Failing = append(p.Failing, r)
		}
	}
	for _, a := range as {
		switch a.State {
		case spend.Firing, spend.Stale:
			p.Alerts.Firing = append(p.Alerts.Firing, alertRow(o, a.Alert, a.Told))
			if a.Silenced {
				p.Alerts.Silenced++
			}
		case spend.Pending:
			p.Alerts.Pending++
		}
	}
	slices.SortStableFunc(p.Alerts.Firing, func(a, b alert) int {
		return slices.Index(spend.Severities, b.Severity) - slices.Index(spend.Severities, a.Severity)
	})
	if n := len(p.Alerts.Firing); n > topAlerts {
		p.Alerts.Firing, p.Alerts.More = p.Alerts.Firing[:topAlerts], n-topAlerts
	}
	if p.Judged = judgedBy(rules); p.Judged.Rules == 0 {
		return nil
	}
	hours := lastHours(p.Now, chartHours)
	since := hours[0].Start.AddDate(0, 0, -7) // an anomaly that still goes on may have begun before
	history, err := s.Store.AlertHistory(ctx, o.ID, spend.Window{Start: since, End: p.Now.Add(time.Second)}, historyLimit)
	if err != nil {
		return err
	}
	p.Judged.mark(as, history, hours)
	return nil
}

// billVerdict is whether the figures match the bill, in a line.
func (s *server) billVerdict(ctx context.Context, o storage.OrganizationState, now time.Time) (billVerdict, error) {
	r, err := s.reconciledPage(ctx, o, now)
	return billVerdict{r.Days, r.Agreeing, len(r.Off) + r.More, r.AsOf, r.Month}, err
}

// reportStatusOf is how far a report has been read.
func reportStatusOf(m storage.Watermark) reportStatus {
	return reportStatus{m.Report, instant(m.DataAt), instant(m.ReadAt), instant(m.RefusedAt), m.Reason}
}

// bar is money spent beside what is expected and a limit, as the template "bar" draws it: in percent of
// the greatest of them.
type bar struct {
	Spent, Expected, Limit float64
	Over                   bool // more than the limit was spent
	Ahead                  bool // more than the limit is expected
}

func barOf(spent, expected spend.Money, forecasted bool, limit spend.Money) bar {
	full := max(spent, limit)
	if forecasted {
		full = max(full, expected)
	}
	if full <= 0 {
		return bar{}
	}
	percent := func(m spend.Money) float64 { return max(0, 100*m.USD()/full.USD()) }
	b := bar{Spent: percent(spent), Limit: percent(limit)}
	if forecasted {
		b.Expected = percent(expected)
	}
	b.Over = limit > 0 && spent > limit
	b.Ahead = limit > 0 && forecasted && expected > limit
	return b
}

// budgetBar is a budget with its bar.
type budgetBar struct {
	budget
	Bar    bar
	Of     string  // what it is for, by the values of its labels; empty: the organization
	Used   float64 // spent of the limit; 1 is all of it
	Likely float64 // the same of what is expected, where there is a forecast
}

// budgetBars makes a bar of each budget, those nearest to their limit, or over it, first.
func budgetBars(o storage.OrganizationState, bs []storage.Budget) []budgetBar {
	out := make([]budgetBar, 0, len(bs))
	for _, b := range bs {
		x := budgetBar{budget: budgetRow(o, b), Bar: barOf(b.Spent, b.Forecast, b.Forecasted, b.Limit)}
		var names []string
		for _, part := range strings.Split(b.Subject, ",") { // in the rule's order
			label, _, _ := strings.Cut(part, "=")
			if name, ok := b.Labels[label]; ok {
				names = append(names, cmp.Or(name, "(none)"))
			}
		}
		x.Of = strings.Join(names, ", ")
		if b.Limit > 0 {
			x.Used = b.Spent.USD() / b.Limit.USD()
			if b.Forecasted {
				x.Likely = b.Forecast.USD() / b.Limit.USD()
			}
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b budgetBar) int {
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(b.Likely, a.Likely))
	})
	return out
}
