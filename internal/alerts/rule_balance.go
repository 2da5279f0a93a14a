package alerts

import (
	"context"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// BalanceConfig fires when a prepaid balance runs low. The API does not tell balances: what was paid
// is entered here, what was used since is subtracted.
type BalanceConfig struct {
	// The balance at the time since.
	AmountUSD spend.Money `yaml:"amount_usd"`
	// When the balance was that: a date (its beginning in UTC) or a time.
	Since time.Time `yaml:"since"`
	// What was paid after that.
	TopUps []TopUp `yaml:"top_ups"`
	// Fires when less than this is left.
	BelowUSD spend.Money `yaml:"below_usd"`
	// Fires when what is left lasts for fewer days than this.
	DaysLeft float64 `yaml:"days_left"`
}

// TopUp is a payment.
type TopUp struct {
	// When: a date or a time.
	At time.Time `yaml:"at"`
	// How much.
	AmountUSD spend.Money `yaml:"amount_usd"`
}

func (*BalanceConfig) kind() string { return "balance" }

func (c *BalanceConfig) check(p problems, r *RuleConfig) {
	if c.AmountUSD < 0 {
		p("balance.amount_usd", "must not be negative")
	}
	if c.Since.IsZero() {
		p("balance.since", "must be set: the date on which the balance was amount_usd")
	}
	for i, t := range c.TopUps {
		if t.AmountUSD <= 0 {
			p(fmt.Sprintf("balance.top_ups[%d].amount_usd", i), "must be above 0")
		}
		if t.At.IsZero() {
			p(fmt.Sprintf("balance.top_ups[%d].at", i), "must be set")
		} else if t.At.Before(c.Since) {
			p(fmt.Sprintf("balance.top_ups[%d].at", i), "is before since, where amount_usd holds already")
		}
	}
	switch {
	case c.BelowUSD == 0 && c.DaysLeft == 0:
		p("balance", "must have below_usd, days_left, or both")
	case c.BelowUSD < 0:
		p("balance.below_usd", "must not be negative")
	case c.DaysLeft < 0:
		p("balance.days_left", "must not be negative")
	}
	r.onlyOrganizations(p, "balance")
}

// BalancePeriod is what stands for the period of a budget where a prepaid balance is shown as one: what
// was paid is the limit, from when it was entered on.
const BalancePeriod = "balance"

func (c *BalanceConfig) judge(ctx context.Context, v *view, r *rule) (verdict, error) {
	if why := v.old(CostUSD); why != "" {
		return nothing(why), nil
	}
	if !v.dataAt.After(c.Since) {
		return nothing("usage since " + stamp(c.Since) + " has not been read yet"), nil
	}
	w := spend.Window{Start: spend.Hour.Floor(c.Since), End: spend.Hour.Ceil(latest(v.now, v.dataAt))}
	if v.replay {
		w.End = v.dataAt
	}
	holes, err := v.incomplete(ctx, w)
	if err != nil {
		return verdict{}, err
	}
	if holes {
		return nothing("waiting for data: hours since " + stamp(c.Since) + " were not read yet"), nil
	}
	s := v.shapeOf(true, nil)
	t, err := v.sum(ctx, s, w, false)
	if err != nil {
		return verdict{}, err
	}
	var used figures
	for _, f := range t.cells {
		used.add(f)
	}
	paid := c.paid(v.dataAt)
	left := paid - used.cost
	days, err := c.days(ctx, v, s)
	if err != nil {
		return verdict{}, err
	}
	lasts := v.options.DaysLeft
	if lasts == nil {
		lasts = daysLeft
	}
	n, ok := lasts(days, v.dataAt, left)
	f := finding{
		labels: map[string]string{}, value: left.USD(), limit: c.BelowUSD.USD(), unit: spend.UnitUSD, below: true, asOf: v.dataAt, basis: used.basis,
		summary:   fmt.Sprintf("Prepaid balance of %s: %s left", v.org.Name, formatValue(left.USD(), spend.UnitUSD)),
		breakdown: &breakdown{metric: CostUSD, window: spend.Window{Start: latest(w.Start, w.End.AddDate(0, 0, -7)), End: w.End}},
	}
	low := c.BelowUSD > 0 && left < c.BelowUSD
	var ranOut time.Time
	if left <= 0 {
		if ranOut, err = c.ranOut(ctx, v, s, w); err != nil {
			return verdict{}, err
		}
		if !ranOut.IsZero() {
			f.summary += ". It ran out on " + ranOut.Format("Monday, 2 January 2006")
		}
	} else if ok {
		f.summary += fmt.Sprintf(", enough for %.1f days at the present rate", n)
	}
	if ok && c.DaysLeft > 0 && n < c.DaysLeft && !low {
		f.value, f.limit, f.unit = n, c.DaysLeft, spend.UnitDays
	}
	f.description = fmt.Sprintf("%s since %s used %s. The balance is what the configuration says was paid; the API does not tell it.",
		v.org.Name, stamp(c.Since), formatValue(used.cost.USD(), spend.UnitUSD))
	status := storage.Budget{
		Rule: r.Name, Labels: f.labels, PeriodName: BalancePeriod, Period: spend.Window{Start: w.Start, End: v.dataAt},
		Limit: paid, Spent: used.cost, State: storage.BudgetOK, AsOf: v.dataAt, Basis: used.basis,
	}
	if ok {
		status.ExhaustedAt = v.dataAt.Add(time.Duration(n * 24 * float64(time.Hour))).Truncate(time.Hour)
	}
	if left <= 0 {
		status.State, status.ExhaustedAt = storage.BudgetExceeded, ranOut
	}
	out := verdict{well: func(spend.Alert) (finding, bool) { return f, true }, budgets: []storage.Budget{status}}
	if low || ok && c.DaysLeft > 0 && n < c.DaysLeft {
		out.findings = []finding{f}
	}
	return out, nil
}

// paid is the balance without what was used, with what was paid up to a time.
func (c *BalanceConfig) paid(until time.Time) spend.Money {
	paid := c.AmountUSD
	for _, x := range c.TopUps {
		if !x.At.After(until) {
			paid += x.AmountUSD
		}
	}
	return paid
}

// ranOut is the day, by its start, since whose end nothing is left of a balance that is used up in the
// window. What was paid in between and used up as well does not count: it ran out again.
func (c *BalanceConfig) ranOut(ctx context.Context, v *view, s *shape, w spend.Window) (time.Time, error) {
	var since time.Time
	var used spend.Money
	for _, d := range w.Align(spend.Day).Buckets(spend.Day) {
		t, err := v.sum(ctx, s, d.Intersect(w), false)
		if err != nil {
			return time.Time{}, err
		}
		for _, f := range t.cells {
			used += f.cost
		}
		switch left := c.paid(earliest(d.End.Add(-time.Second), v.dataAt)) - used; {
		case left > 0:
			since = time.Time{}
		case since.IsZero():
			since = d.Start
		}
	}
	return since, nil
}

// days are what the whole days before cost, as far as they are known.
func (c *BalanceConfig) days(ctx context.Context, v *view, s *shape) ([]CostDay, error) {
	today := spend.Day.Floor(v.dataAt)
	from, err := v.knownFrom(ctx, spend.Window{Start: today.AddDate(0, 0, -historyDays), End: v.dataAt})
	if err != nil {
		return nil, err
	}
	var out []CostDay
	for _, d := range (spend.Window{Start: from, End: today}).Buckets(spend.Day) {
		t, err := v.sum(ctx, s, d, false)
		if err != nil {
			return nil, err
		}
		day := CostDay{Window: d}
		for _, f := range t.cells {
			day.Cost += f.cost
		}
		out = append(out, day)
	}
	return out, nil
}
