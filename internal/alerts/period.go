package alerts

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Period is a calendar period.
type Period string

// The periods. Weeks begin on Monday.
const (
	Daily     Period = "day"
	Weekly    Period = "week"
	Monthly   Period = "month"
	Quarterly Period = "quarter"
)

// Periods lists the periods.
var Periods = []Period{Daily, Weekly, Monthly, Quarterly}

// at is the period that t lies in by the calendar of the zone. Borders that are not on a whole hour
// in UTC move to the hour before: figures are no finer.
func (p Period) at(t time.Time, zone *time.Location) spend.Window {
	local := t.In(zone)
	y, m, d := local.Date()
	var start, end time.Time
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, zone) }
	switch p {
	case Daily:
		start, end = day(y, m, d), day(y, m, d+1)
	case Weekly:
		monday := d - (int(local.Weekday())+6)%7
		start, end = day(y, m, monday), day(y, m, monday+7)
	case Monthly:
		start, end = day(y, m, 1), day(y, m+1, 1)
	default:
		first := m - (m-1)%3
		start, end = day(y, first, 1), day(y, first+3, 1)
	}
	w := spend.Window{Start: spend.Hour.Floor(start), End: spend.Hour.Floor(end)}
	if !t.Before(w.End) { // in what was cut off the end
		return p.at(end.Add(time.Hour), zone)
	}
	return w
}

// shown is when a period begins and what it is called, by its own calendar.
func (p Period) shown(w spend.Window, zone *time.Location) string {
	local := w.Start.Add(59 * time.Minute).In(zone) // what a border was moved by does not change its day
	switch p {
	case Monthly:
		return local.Format("January 2006")
	case Daily:
		return local.Format("2006-01-02")
	default:
		return "the " + string(p) + " from " + local.Format("2006-01-02")
	}
}
