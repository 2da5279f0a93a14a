package forecast

import (
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Period is a calendar period.
type Period string

// The periods. Weeks begin on Monday.
const (
	DayPeriod Period = "day"
	Week      Period = "week"
	Month     Period = "month"
	Quarter   Period = "quarter"
)

// Periods lists the periods, the shortest first.
var Periods = []Period{DayPeriod, Week, Month, Quarter}

// Valid reports whether the period is one of [Periods].
func (p Period) Valid() bool { return slices.Contains(Periods, p) }

// Window is the period that t lies in, in the zone, nil for UTC: whole days as [DayOf] has them.
func (p Period) Window(t time.Time, zone *time.Location) spend.Window {
	if zone == nil {
		zone = time.UTC
	}
	day := DayOf(t, zone)
	noon := day.Start.Add(day.Duration() / 2).In(zone) // the start may still be in the day before
	year, month, d := noon.Date()
	from, to := d, d+1
	months := 0
	switch p {
	case DayPeriod:
	case Week:
		from = d - (int(noon.Weekday())+6)%7
		to = from + 7
	case Quarter:
		month -= (month - 1) % 3
		from, to, months = 1, 1, 3
	default:
		from, to, months = 1, 1, 1
	}
	start := func(months, d int) time.Time {
		return DayOf(time.Date(year, month+time.Month(months), d, 12, 0, 0, 0, zone), zone).Start
	}
	return spend.Window{Start: start(0, from), End: start(months, to)}
}
