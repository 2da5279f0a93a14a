package storage

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Drift is the estimates at list price over what was billed, of the last settled days.
type Drift struct {
	Estimated, Billed spend.Money
	Days              int
	Window            spend.Window
}

// Ratio is the drift as a number; false where nothing was billed.
func (d Drift) Ratio() (float64, bool) {
	if d.Billed <= 0 {
		return 0, false
	}
	return d.Estimated.USD() / d.Billed.USD(), true
}

// driftDays is how many settled days the drift is of.
const driftDays = 7

// DriftOf is the drift of the newest settled days among the checks.
func DriftOf(cs []Check) Drift {
	var d Drift
	for i := len(cs) - 1; i >= 0 && d.Days < driftDays; i-- {
		c := cs[i]
		if c.Name != CheckEstimate || c.Subject != Total {
			continue
		}
		d.Estimated += spend.Money(c.Ours)
		d.Billed += spend.Money(c.Theirs)
		d.Days++
		d.Window.Start = c.Day
		if d.Window.End.IsZero() {
			d.Window.End = c.Day.Add(spend.Day.Duration())
		}
	}
	return d
}

// DriftWindow is where the checks are that [DriftOf] needs.
func DriftWindow(now time.Time) spend.Window {
	return spend.Window{Start: spend.Day.Floor(now).AddDate(0, 0, -30), End: now}
}
