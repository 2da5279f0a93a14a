package collector

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// ledger is the slots of one fact by UTC day.
type ledger map[time.Time][]storage.Slot

func newLedger(slots []storage.Slot) ledger {
	l := ledger{}
	for _, s := range slots {
		d := spend.Day.Floor(s.Window.Start)
		l[d] = append(l[d], s)
	}
	return l
}

// owner is the report that rules the day; empty if none does yet.
func (l ledger) owner(d time.Time) spend.Report {
	if slots := l[d]; len(slots) > 0 {
		return slots[0].Report
	}
	return ""
}

// byDay reports whether the day is ruled by the day.
func (l ledger) byDay(d time.Time) bool {
	slots := l[d]
	return len(slots) > 0 && slots[0].Grain == spend.Day
}

// slot is the slot that t lies in, nil if there is none.
func (l ledger) slot(t time.Time) *storage.Slot {
	slots := l[spend.Day.Floor(t)]
	for i := range slots {
		if slots[i].Window.Contains(t) {
			return &slots[i]
		}
	}
	return nil
}

// full reports whether the day has no hole.
func (l ledger) full(d time.Time) bool {
	var covered time.Duration
	for _, s := range l[d] {
		covered += s.Window.Duration()
	}
	return covered == day
}

// readAt is when the oldest figure of the day was read; zero if nothing of it was.
func (l ledger) readAt(d time.Time) time.Time {
	var oldest time.Time
	for _, s := range l[d] {
		if oldest.IsZero() || s.ReadAt.Before(oldest) {
			oldest = s.ReadAt
		}
	}
	return oldest
}
