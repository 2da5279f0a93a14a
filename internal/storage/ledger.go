package storage

import (
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// An empty answer for slots that have rows is believed when it came this often, over this time.
const (
	suspectReads = 3
	suspectSpan  = 2 * time.Hour
)

// Unit is a part of a reading's window that is accepted or held as a whole.
type Unit struct {
	Window spend.Window // what of the reading's window it is
	Old    []Slot       // the slots in it before
	New    []Slot       // and after; empty where minutes are only kept beside a coarser grain
}

// checkReading refuses readings that cannot be stored as they are.
func checkReading(f spend.Fact, r Reading) error {
	ok := false
	switch f {
	case spend.FactUsage:
		ok = r.Report == spend.ReportMessages || r.Report == spend.ReportAnalyticsUsage
	case spend.FactRequests:
		ok = r.Report == spend.ReportAnalyticsUsage
	case spend.FactCost:
		ok = r.Report == spend.ReportAnalyticsCost && r.Grain == spend.Hour ||
			r.Report == spend.ReportCost && r.Grain == spend.Day
	}
	if _, stored := tables[f][r.Grain]; !ok || !stored {
		return fmt.Errorf("%s by the %s is not kept from report %q", f, r.Grain, r.Report)
	}
	w := r.Window
	if w.Empty() || !w.Aligned(r.Grain) || r.Grain == spend.Minute && !spend.Hour.Floor(w.Start).Equal(w.Start) {
		return fmt.Errorf("window %s is not one of whole %ss", w, r.Grain)
	}
	if f == spend.FactCost && r.Grain == spend.Hour && w.End.After(r.DataAt) {
		return fmt.Errorf("bill for %s reaches beyond its data at %s", w, r.DataAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// Units cuts a reading's window into units by the slots that the touched days have. Days that the
// reading has to leave alone are in none. It is an error where the window would leave a day with
// slots of two reports, or cut a day that is only known by the day.
func Units(f spend.Fact, r Reading, slots []Slot) ([]Unit, error) {
	var units []Unit
	for _, day := range r.Window.Buckets(spend.Day) {
		var old []Slot
		for len(slots) > 0 && slots[0].Window.Start.Before(day.End) {
			if slots[0].Window.Overlaps(day) {
				old = append(old, slots[0])
			}
			slots = slots[1:]
		}
		in := day.Intersect(r.Window)
		if len(old) == 0 {
			units = append(units, hourUnits(f, r, in, nil)...)
			continue
		}
		byDay := old[0].Grain == spend.Day
		if r.Grain == spend.Day && !byDay {
			continue
		}
		covered := true
		for _, s := range old {
			covered = covered && in.Covers(s.Window)
		}
		foreign := old[0].Report != r.Report
		switch {
		case foreign && !covered:
			return nil, fmt.Errorf("window %s covers only a part of %s, which belongs to report %q",
				r.Window, day.Start.Format(time.DateOnly), old[0].Report)
		case byDay && r.Grain == spend.Hour && !covered:
			return nil, fmt.Errorf("window %s covers only a part of %s, which is known by the day",
				r.Window, day.Start.Format(time.DateOnly))
		case foreign, byDay && r.Grain != spend.Minute:
			units = append(units, Unit{Window: in, Old: old, New: newSlots(f, r, in, old)})
		case byDay:
			units = append(units, Unit{Window: in, Old: old})
		default:
			units = append(units, hourUnits(f, r, in, old)...)
		}
	}
	return units, nil
}

// hourUnits makes a unit of each slot of the window, where slots are of the reading's report.
func hourUnits(f spend.Fact, r Reading, in spend.Window, old []Slot) []Unit {
	var units []Unit
	for _, w := range in.Buckets(max(r.Grain, spend.Hour)) {
		u := Unit{Window: w.Intersect(in)}
		for len(old) > 0 && old[0].Window.Start.Before(w.End) {
			if old[0].Window == w {
				u.Old = old[:1:1]
			}
			old = old[1:]
		}
		if len(u.Old) == 0 || u.Old[0].Grain <= r.Grain {
			u.New = newSlots(f, r, w, u.Old)
		}
		units = append(units, u)
	}
	return units
}

// newSlots are the slots of the window after the reading.
func newSlots(f spend.Fact, r Reading, in spend.Window, old []Slot) []Slot {
	var slots []Slot
	for _, w := range in.Buckets(max(r.Grain, spend.Hour)) {
		s := Slot{Window: w, Grain: r.Grain, Report: r.Report, State: Provisional, ReadAt: r.At, Since: r.At}
		switch {
		case f == spend.FactCost && r.Grain == spend.Hour:
			s.State = Billed
		case f != spend.FactCost && r.Window.Covers(w) && !w.End.After(r.DataAt):
			s.State = Complete
		}
		for _, o := range old {
			// What is settled stays so: a later answer revises it.
			if o.Window == w && o.Report == r.Report && o.State != Provisional {
				s.State = o.State
			}
		}
		slots = append(slots, s)
	}
	return slots
}

// hold counts an empty answer for a slot that has rows, and reports whether it is to be believed.
func (s *Slot) hold(at time.Time) bool {
	if s.SuspectReads == 0 {
		s.SuspectSince = at
	}
	s.SuspectReads++
	return s.SuspectReads >= suspectReads && at.Sub(s.SuspectSince) >= suspectSpan
}

// settled reports whether a change of the slot's figures is a revision.
func (s Slot) settled() bool { return s.State != Provisional }
