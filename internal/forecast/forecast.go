// Package forecast says what a period will have cost when it ends, from what each day cost so far
// ([New]), and how long a prepaid balance lasts ([NewBalance]).
//
// It is pure: it knows neither the store nor the clock. Who calls it reads the days (package report
// does), and passes the moment of decision. The method is in model.go. How good it is, is measured
// by the backtest next to it (BenchmarkBacktest), and written down in docs/forecast.md.
package forecast

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Day is what one day cost.
type Day struct {
	spend.Window
	Cost spend.Money
}

// History is cost by day, as far as it is known.
type History struct {
	// Days are in order of time and do not overlap. A day of which anything is unknown is left out;
	// a day that cost nothing is in it. The last may be running: AsOf lies in it and Cost is what it
	// cost up to then.
	Days []Day
	// AsOf is up to when the cost is known.
	AsOf time.Time
	// Share is how much of a usual day's cost has come in by the time of day that AsOf is at, above 0
	// and at most 1; 0 is not known, and cost then counts as spread evenly over the day.
	Share float64
	// Zone is where the days begin at midnight; nil is UTC. A midnight that is not at a whole UTC hour
	// counts as the hour before, since cost is known by the hour.
	Zone *time.Location
}

// Method is how a forecast was made.
type Method string

// The methods.
const (
	Actual  Method = "actual"        // the period is over: nothing is left to expect
	RunRate Method = "run_rate"      // cost per time so far, goes on: too little is known for more
	Weekday Method = "weekday_trend" // level, weekday and growth of the last weeks
)

const (
	// MinDays is how many complete days a forecast needs; below it there is only a run rate.
	MinDays = 7
	// MaxDays is how many days before AsOf are looked at.
	MaxDays = 56
	// Coverage is how often, of a hundred times, the total should lie in the interval.
	Coverage = 80
	// maxHorizon bounds how far ahead a forecast goes.
	maxHorizon = 3 * 366 * 24 * time.Hour
)

// ErrNoHistory says that nothing is known to forecast from.
var ErrNoHistory = errors.New("no cost is known yet to forecast from")

// Forecast is what a period is expected to cost.
type Forecast struct {
	Period spend.Window
	AsOf   time.Time
	// Spent is what the known days of the period cost, up to AsOf.
	Spent spend.Money
	// Expected is the total at the period's end: as likely too high as too low. Totals of parts do not
	// add up to that of the whole: each is forecast from its own history.
	Expected spend.Money
	// Low and High are the interval that should hold the total 80 times of 100. Where Interval is
	// false none can be told, and both are Expected.
	Low, High spend.Money
	Interval  bool
	Method    Method
	// HistoryDays is how many complete days the forecast is made from. A history begins with its
	// first cost.
	HistoryDays int
	// MissingDays is how many days of the period, before AsOf, are not known. Expected holds an
	// estimate for them, Spent does not.
	MissingDays int
	// Today is the expected total of the day of now.
	Today spend.Money

	steps []step
}

// step is a day, and what the period has cost by its end.
type step struct {
	spend.Window
	total spend.Money
}

// New forecasts the cost of the period, a window of whole days in the history's zone: a day, a week,
// a month, or any other. It may lie ahead, or in the past. It returns [ErrNoHistory] where nothing is
// known, and another error for a question that makes no sense: an empty period, one that ends more
// than three years after AsOf, a history from after now, or days that are not in order.
func New(h History, period spend.Window, now time.Time) (Forecast, error) {
	f := Forecast{Period: period, AsOf: h.AsOf}
	switch {
	case period.Empty():
		return f, fmt.Errorf("forecast of %s: the period is empty", period)
	case h.AsOf.IsZero() || len(h.Days) == 0:
		return f, ErrNoHistory
	case h.AsOf.After(now):
		return f, fmt.Errorf("forecast: the cost is known up to %s, which is after now (%s)",
			h.AsOf.Format(time.RFC3339), now.Format(time.RFC3339))
	case period.End.Sub(h.AsOf) > maxHorizon || now.Sub(h.AsOf) > maxHorizon:
		return f, fmt.Errorf("forecast of %s: its end is more than three years after the newest cost (%s)",
			period, h.AsOf.Format(time.RFC3339))
	}
	for i, d := range h.Days {
		if d.Empty() || i > 0 && d.Start.Before(h.Days[i-1].End) {
			return f, fmt.Errorf("forecast: the history's day %s is empty or out of order", d.Window)
		}
	}
	m := fit(h)
	f.HistoryDays = m.days
	f.Method = RunRate
	if m.days >= MinDays {
		f.Method, f.Interval = Weekday, true
	}

	known := map[int64]spend.Money{}
	for _, d := range h.Days {
		known[d.Start.Unix()] = d.Cost
	}
	var open []ahead // what is still to come in the period
	var expected []float64
	first := h.day(period.Start)
	for day := first; day.Start.Before(period.End); day = h.day(day.End) {
		cost, ok := known[day.Start.Unix()]
		part := share(day, period)
		over := !day.End.After(h.AsOf)
		rest := 0.0
		switch {
		case ok && over:
		case ok:
			rest = part * (1 - h.arrived(day))
		default:
			rest = part
			if over {
				f.MissingDays++
			}
		}
		spent := scale(cost, part)
		f.Spent += spent
		left := rest * m.mean(day)
		if rest > 0 {
			open = append(open, ahead{m.age(day), left})
		}
		expected = append(expected, left)
		f.steps = append(f.steps, step{Window: day, total: f.Spent})
	}
	if len(open) == 0 {
		f.Method, f.Interval = Actual, false
	}
	median, low, high := m.outcomes(open)
	f.spread(expected, median)
	f.Low, f.High = f.Expected, f.Expected
	if f.Interval {
		f.Low, f.High = min(f.Expected, f.Spent+money(low)), max(f.Expected, f.Spent+money(high))
	}
	f.Today = h.today(m, known, now)
	return f, nil
}

// spread lays what is expected beyond the money spent over the days, so that the last ends at
// Expected.
func (f *Forecast) spread(expected []float64, median float64) {
	sum := 0.0
	for _, x := range expected {
		sum += x
	}
	f.Expected = f.Spent + money(median)
	at := 0.0
	for i, x := range expected {
		if at += x; sum > 0 {
			f.steps[i].total += money(median * (at / sum)) // the last share is exactly one
		}
	}
}

// Crosses is the day from whose end on the period has, or is expected to have, cost the amount; it is
// false where the period ends below that. A day after which credits brought the cost below the amount
// again is none. The day is given by its start.
func (f Forecast) Crosses(amount spend.Money) (day time.Time, ok bool) {
	for _, s := range f.steps {
		switch {
		case s.total < amount:
			day, ok = time.Time{}, false
		case !ok:
			day, ok = s.Start, true
		}
	}
	return day, ok
}

// today is what the day of now is expected to cost in the end.
func (h History) today(m model, known map[int64]spend.Money, now time.Time) spend.Money {
	day := h.day(now)
	cost, ok := known[day.Start.Unix()]
	rest := 1.0
	if ok {
		rest -= h.arrived(day)
	}
	if rest == 0 {
		return cost
	}
	middle, _, _ := m.outcomes([]ahead{{m.age(day), rest * m.mean(day)}})
	return cost + money(middle)
}

// DayOf is the day of the zone, nil for UTC, that t lies in. It begins at midnight, or at the full UTC
// hour before it.
func DayOf(t time.Time, zone *time.Location) spend.Window { return History{Zone: zone}.day(t) }

// day is the day that t lies in.
func (h History) day(t time.Time) spend.Window {
	if h.Zone == nil || h.Zone == time.UTC {
		return spend.Day.Bucket(t)
	}
	y, month, d := t.In(h.Zone).Date()
	midnight := func(d int) time.Time {
		return spend.Hour.Floor(time.Date(y, month, d, 0, 0, 0, 0, h.Zone))
	}
	w := spend.Window{Start: midnight(d), End: midnight(d + 1)}
	if !t.Before(w.End) { // after the full hour before the next midnight
		w = spend.Window{Start: w.End, End: midnight(d + 2)}
	}
	return w
}

// weekday is the day's day of the week, where it is.
func (h History) weekday(day spend.Window) time.Weekday {
	middle := day.Start.Add(day.Duration() / 2)
	if h.Zone == nil {
		return middle.UTC().Weekday()
	}
	return middle.In(h.Zone).Weekday()
}

// arrived is how much of the day's cost should have come in by AsOf.
func (h History) arrived(day spend.Window) float64 {
	switch {
	case !h.AsOf.After(day.Start):
		return 0
	case !h.AsOf.Before(day.End):
		return 1
	case h.Share > 0 && h.Share <= 1:
		return h.Share
	default:
		return h.AsOf.Sub(day.Start).Seconds() / day.Duration().Seconds()
	}
}

// share is how much of the day lies in the period.
func share(day, period spend.Window) float64 {
	return day.Intersect(period).Duration().Seconds() / day.Duration().Seconds()
}

func scale(m spend.Money, by float64) spend.Money {
	if by == 1 {
		return m
	}
	return money(m.USD() * by)
}

// money is an amount of dollars; what is beyond all measure is the greatest amount.
func money(usd float64) spend.Money {
	x := math.Round(usd * float64(spend.Dollar))
	const most = 1 << 62
	switch {
	case x >= most:
		return most
	case x <= -most:
		return -most
	case math.IsNaN(x):
		return 0
	default:
		return spend.Money(x)
	}
}
