package report

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Step is the width of the buckets of an answer.
type Step string

// The steps. Weeks begin on Monday, months on the first, UTC. The first and the last of them hold what lies
// in the window, and their rows begin and end with it.
const (
	StepHour  Step = "hour"
	StepDay   Step = "day"
	StepWeek  Step = "week"
	StepMonth Step = "month"
	StepTotal Step = "total" // one sum over the whole window
)

// Steps lists the steps, the narrowest first.
var Steps = []Step{StepHour, StepDay, StepWeek, StepMonth, StepTotal}

// Start is the start of the calendar bucket that t lies in; the step total has one bucket, which has none.
func (s Step) Start(t time.Time) time.Time {
	day := spend.Day.Floor(t)
	switch s {
	case StepHour:
		return spend.Hour.Floor(t)
	case StepWeek:
		return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
	case StepMonth:
		return spend.MonthStart(t)
	default:
		return day
	}
}

// Next is the start of the calendar bucket behind the one that starts at t.
func (s Step) Next(t time.Time) time.Time {
	switch s {
	case StepHour:
		return t.Add(time.Hour)
	case StepWeek:
		return t.AddDate(0, 0, 7)
	case StepMonth:
		return t.AddDate(0, 1, 0)
	default:
		return t.AddDate(0, 0, 1)
	}
}

// Buckets cuts a window into buckets of the step.
func (s Step) Buckets(w spend.Window) []spend.Window {
	if s == StepTotal {
		return []spend.Window{w}
	}
	var bs []spend.Window
	for t := s.Start(w.Start); t.Before(w.End); t = s.Next(t) {
		bs = append(bs, spend.Window{Start: t, End: s.Next(t)}.Intersect(w))
	}
	return bs
}

// fold gives a row that the store has by the day the bucket of a wider step.
func (s Step) fold(r *Row, w spend.Window) {
	if s != StepWeek && s != StepMonth {
		return
	}
	start := s.Start(r.Start)
	b := spend.Window{Start: start, End: s.Next(start)}.Intersect(w)
	r.Start, r.End = b.Start, b.End
}
