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
	Quiet         []quietBudgets
}

// quietBudgets are the rules with a budget of an organization in which none of them has anything to show.
type quietBudgets struct {
	Organization string
	Rules        []storage.RuleState
}

// budgetStates is how the rules with a budget fare.
func (s *server) budgetStates(ctx context.Context, o storage.OrganizationState) ([]storage.RuleState, error) {
	rules, err := s.Store.RuleStates(ctx, o.ID)
	return slices.DeleteFunc(rules, func(r storage.RuleState) bool { return r.Kind != "budget" && r.Kind != balancePeriod }), err
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
	Rest     int    // subjects that are not shown
	RestMost string // how much of its limit the first of them has spent
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
	RunsLow bool // a balance of which its rule tells now
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
		if len(all) == 0 {
			quiet, err := s.budgetStates(ctx, o)
			if err != nil {
				return err
			}
			if len(quiet) > 0 && page.Rule == "" {
				page.Quiet = append(page.Quiet, quietBudgets{o.Name, quiet})
			}
			page.None = page.None && len(quiet) == 0
		}
		page.None = page.None && len(all) == 0
		marks, err := s.Store.BudgetMarks(ctx, o.ID)
		if err != nil {
			return err
		}
		x := budgetHistory{s: s, o: o, now: now, marks: marks, low: map[string]bool{}}
		alerts, err := s.Store.Alerts(ctx, o.ID)
		if err != nil {
			return err
		}
		for _, a := range alerts {
			x.low[a.Rule] = x.low[a.Rule] || a.State == spend.Firing || a.State == spend.Stale
		}
		p.Rules, err = x.cards(ctx, slices.DeleteFunc(all, func(b storage.Budget) bool { return page.Rule != "" && b.Rule != page.Rule }))
		page.Organizations = append(page.Organizations, p)
		return err
	})
}

// cards makes a card of each rule, the subjects that have used up most first.
func (x *budgetHistory) cards(ctx context.Context, all []storage.Budget) ([]budgetCard, error) {
	var cards []budgetCard
	for len(all) > 0 {
		b := all[0]
		n := 1
		for n < len(all) && all[n].Rule == b.Rule {
			n++
		}
		of := all[:n]
		all = all[n:]
		card := budgetCard{
			Rule: b.Rule, Balance: b.PeriodName == balancePeriod, Period: b.PeriodName, Zone: cmp.Or(b.TimeZone, "UTC"), Limit: b.Limit,
			Alerts: alertFilter{Rule: b.Rule}.href(1), Each: b.Subject != "",
		}
		slices.SortStableFunc(of, func(a, b storage.Budget) int { return cmp.Compare(ratio(b), ratio(a)) })
		if card.Rest = len(of) - mostSubjects; card.Rest > 0 {
			card.RestMost = percentOf(int64(of[mostSubjects].Spent), int64(of[mostSubjects].Limit))
			of = of[:mostSubjects]
		}
		h, err := x.history(ctx, of, card.Rest > 0)
		if err != nil {
			return nil, fmt.Errorf("budget %s of %s: %w", b.Rule, x.o.Name, err)
		}
		for _, b := range of {
			subject := x.subject(ctx, h, b)
			subject.Alone = len(of) == 1
			card.Subjects = append(card.Subjects, subject)
		}
		cards = append(cards, card)
	}
	return cards, nil
}

// mostSubjects is how many subjects of a rule are shown.
const mostSubjects = 20

// ratio is how much of a budget is spent; below 0 where that is not known.
func ratio(b storage.Budget) float64 {
	if b.State == storage.BudgetWaiting || b.Limit <= 0 {
		return -1
	}
	return float64(b.Spent) / float64(b.Limit)
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

// Standing is the state in a word or two.
func (b budgetSubject) Standing() string {
	if b.Class() == "warning" {
		if b.RunsLow {
			return "runs low"
		}
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
	if b.RunsLow || b.Forecast != nil && *b.Forecast > b.Limit {
		return "warning"
	}
	return "ok"
}
