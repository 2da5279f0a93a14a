package forecast

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TopUp is money added to a prepaid balance.
type TopUp struct {
	At     time.Time
	Amount spend.Money
}

// Prepaid is a balance as an operator entered it: what was there at Since, and what was added later.
// The API has no balance to ask for.
type Prepaid struct {
	Amount spend.Money
	Since  time.Time
	TopUps []TopUp
}

// Validate says everything that is wrong with the entries at now, each about a field by its name in
// the configuration (amount_usd, since, top_ups[0].date, top_ups[0].amount_usd).
func (p Prepaid) Validate(now time.Time) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Amount < 0 {
		wrong("amount_usd: must not be negative, it is %s", p.Amount)
	}
	if p.Since.IsZero() {
		wrong("since: must be set to the time at which the balance was amount_usd")
	} else if p.Since.After(now) {
		wrong("since: %s is in the future; enter a balance that was read already", p.Since.UTC().Format(time.RFC3339))
	}
	for i, t := range p.TopUps {
		at := t.At.UTC().Format(time.RFC3339)
		switch {
		case t.At.IsZero():
			wrong("top_ups[%d].date: must be set to the time of the top-up", i)
		case t.At.After(now):
			wrong("top_ups[%d].date: %s is in the future; enter a top-up once it has been made", i, at)
		case !p.Since.IsZero() && t.At.Before(p.Since):
			wrong("top_ups[%d].date: %s is before since (%s), so that it is in amount_usd already",
				i, at, p.Since.UTC().Format(time.RFC3339))
		}
		if t.Amount <= 0 {
			wrong("top_ups[%d].amount_usd: must be above 0, it is %s", i, t.Amount)
		}
	}
	return errors.Join(errs...)
}

// Used is what was used of the balance.
type Used struct {
	// Cost is what was billed, and estimated where the bill is not in, from Prepaid.Since up to AsOf.
	// Cost is known by the hour: count from the full hour that Since lies in.
	Cost spend.Money
	// Complete is false where hours between Since and AsOf were never read, or tokens have no known
	// price: the balance is then lower than what can be told.
	Complete bool
}

// Balance is what is left of a prepaid balance.
type Balance struct {
	AsOf time.Time
	// Left is the balance at AsOf: amount and top-ups less cost. Below zero more was used than entered.
	Left spend.Money
	// Complete is that of [Used].
	Complete bool
	// EmptyAt is the day, by its start, by whose end the balance is expected to be used up; the day of
	// AsOf where nothing is left. It is zero where that is further away than a year, or nothing can be
	// forecast.
	EmptyAt time.Time
	// DaysLeft is how many days the balance lasts, to a tenth, counted from AsOf. Where EmptyAt is zero
	// it is -1: a year or more, or unknown.
	DaysLeft float64
	// Method is how the cost ahead was forecast; empty where there is nothing to forecast from.
	Method Method
}

// balanceHorizon is how far ahead a balance is followed.
const balanceHorizon = 365

// NewBalance is the balance at the history's AsOf, and how long it lasts if cost goes on as forecast
// from the history (see [New]). Top-ups after AsOf count: they were made, and the cost is behind. It
// returns what [Prepaid.Validate] does, and [ErrNoHistory] where nothing has been read since.
func NewBalance(p Prepaid, used Used, h History, now time.Time) (Balance, error) {
	if err := p.Validate(now); err != nil {
		return Balance{}, err
	}
	b := Balance{AsOf: h.AsOf, Left: p.Amount - used.Cost, Complete: used.Complete, DaysLeft: -1}
	for _, t := range p.TopUps {
		b.Left += t.Amount
	}
	if h.AsOf.IsZero() || h.AsOf.Before(p.Since) {
		return b, ErrNoHistory
	}
	if b.Left <= 0 {
		b.EmptyAt, b.DaysLeft = h.day(h.AsOf).Start, 0
		return b, nil
	}
	// The days ahead are a period from now on: what it costs is what the balance loses.
	start := h.day(h.AsOf)
	end := start.End
	for range balanceHorizon {
		end = h.day(end).End
	}
	f, err := New(h, spend.Window{Start: start.Start, End: end}, now)
	if errors.Is(err, ErrNoHistory) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	b.Method = f.Method
	left := f.Spent + b.Left // Spent is what the running day cost already
	i := slices.IndexFunc(f.steps, func(s step) bool { return s.total >= left })
	if i < 0 {
		return b, nil
	}
	b.EmptyAt = f.steps[i].Start
	before, from := f.Spent, h.AsOf
	if i > 0 {
		before, from = f.steps[i-1].total, f.steps[i].Start
	}
	part := 1.0
	if day := f.steps[i].total - before; day > 0 {
		part = float64(left-before) / float64(day)
	}
	at := from.Add(time.Duration(part * float64(f.steps[i].End.Sub(from))))
	b.DaysLeft = float64(int64(at.Sub(h.AsOf).Hours()/24*10)) / 10
	return b, nil
}
