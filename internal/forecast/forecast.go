// Package forecast says what a period will have cost when it ends, from what each day cost so far.
// It is pure: it knows neither the store nor the clock. How good it is, is measured by the backtest
// next to it (BenchmarkBacktest) and written down in docs/forecast.md.
package forecast

import (
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
}
