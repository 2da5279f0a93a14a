package storage

import (
	"slices"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// widen moves the edges of a query's window outward where they cut a day that is only known by the
// day. A bill by the day does not count as such where the usage it is shared out to is known by the
// hour: its shares can be cut; what of it has no share stands at the start of the day.
func widen(w spend.Window, usage, requests, cost []Slot) spend.Window {
	out := w
	edge := func(day spend.Window) {
		if day.Overlaps(w) && !w.Covers(day) {
			out.Start = minTime(out.Start, day.Start)
			out.End = maxTime(out.End, day.End)
		}
	}
	for _, s := range slices.Concat(usage, requests) {
		if s.Grain == spend.Day {
			edge(s.Window)
		}
	}
	for _, s := range cost {
		if s.Grain == spend.Day && !slices.ContainsFunc(usage, func(u Slot) bool { return u.Window.Overlaps(s.Window) }) {
			edge(s.Window)
		}
	}
	return out
}

// UsageParts says which rows count in the usage of the window. The slots are those that overlap it.
func UsageParts(w spend.Window, usage, requests []Slot) []Part {
	var parts []Part
	for _, m := range cut(slotWindows(usage, spend.Minute), w) {
		parts = append(parts, Part{Table: UsageMinute, Figures: CountFigures, Window: m})
	}
	if hasGrain(usage, spend.Hour) {
		parts = append(parts, Part{Table: UsageHour, Figures: CountFigures, Window: w})
	}
	if hasGrain(usage, spend.Day) {
		parts = append(parts, Part{Table: UsageDay, Figures: CountFigures, Window: w})
	}
	if hasGrain(requests, spend.Hour) {
		parts = append(parts, Part{Table: RequestHour, Figures: RequestFigures, Window: w})
	}
	if hasGrain(requests, spend.Day) {
		parts = append(parts, Part{Table: RequestDay, Figures: RequestFigures, Window: w})
	}
	return parts
}

// CostParts says which rows count in the costs of the window, stretch by stretch: where a bill by
// the hour is there, its rows; on days billed by the day, the shares of usage and what was not
// shared out; else the estimates, and of the open bill what no estimate covers. The slots are those
// that overlap the window. An answer that is told apart by what the bill does not know (split) or
// cuts the day shows shares as allocated.
func CostParts(w spend.Window, usage, cost []Slot, step spend.Grain, split bool) []Part {
	var parts []Part
	add := func(t Table, f Figures, in spend.Window, b spend.Basis) {
		if !in.Empty() {
			parts = append(parts, Part{t, f, in, b})
		}
	}
	var hours, days, open []spend.Window
	for _, s := range cost {
		switch {
		case s.Grain == spend.Hour:
			hours = append(hours, s.Window)
		case s.State == Billed:
			days = append(days, s.Window)
		default:
			open = append(open, s.Window)
		}
	}
	hours, days, open = cut(spend.Join(hours), w), cut(spend.Join(days), w), cut(spend.Join(open), w)

	for _, in := range hours {
		add(CostHour, AmountFigures, in, spend.Billed)
	}
	for _, in := range days {
		whole := spend.Window{Start: spend.Day.Ceil(in.Start), End: spend.Day.Floor(in.End)}
		if whole.Empty() {
			whole = spend.Window{Start: in.End, End: in.End}
		}
		byHour, byDay := spend.Allocated, spend.Allocated
		if !split {
			byDay = spend.Billed
			if step != spend.Hour {
				byHour = spend.Billed
			}
		}
		if hasGrain(usage, spend.Hour) {
			add(UsageHour, BillFigures, spend.Window{Start: in.Start, End: whole.Start}, spend.Allocated)
			add(UsageHour, BillFigures, whole, byHour)
			add(UsageHour, BillFigures, spend.Window{Start: whole.End, End: in.End}, spend.Allocated)
		}
		if hasGrain(usage, spend.Day) {
			add(UsageDay, BillFigures, whole, byDay)
		}
		add(CostDay, RestFigures, in, spend.Billed)
	}
	minutes := slotWindows(usage, spend.Minute)
	for _, in := range gaps(w, hours, days) {
		for _, m := range cut(minutes, in) {
			add(UsageMinute, EstimateFigures, m, spend.Estimated)
		}
		if hasGrain(usage, spend.Hour) {
			add(UsageHour, EstimateFigures, in, spend.Estimated)
		}
		if hasGrain(usage, spend.Day) {
			// A day of which some hours are billed cannot be split: it is left to the bill.
			add(UsageDay, EstimateFigures, spend.Window{Start: spend.Day.Ceil(in.Start), End: spend.Day.Floor(in.End)}, spend.Estimated)
		}
	}
	for _, in := range open {
		add(CostDay, OpenFigures, in, spend.Billed)
	}
	return parts
}

// cut is what of sorted windows lies in w.
func cut(ws []spend.Window, w spend.Window) []spend.Window {
	var out []spend.Window
	for _, x := range ws {
		if x = x.Intersect(w); !x.Empty() {
			out = append(out, x)
		}
	}
	return out
}

// gaps is what of w lies in none of the windows.
func gaps(w spend.Window, lists ...[]spend.Window) []spend.Window {
	taken := slices.Concat(lists...)
	slices.SortFunc(taken, func(a, b spend.Window) int { return a.Start.Compare(b.Start) })
	var out []spend.Window
	at := w.Start
	for _, t := range taken {
		if at.Before(t.Start) {
			out = append(out, spend.Window{Start: at, End: t.Start})
		}
		at = maxTime(at, t.End)
	}
	if at.Before(w.End) {
		out = append(out, spend.Window{Start: at, End: w.End})
	}
	return out
}

func hasGrain(slots []Slot, g spend.Grain) bool {
	return slices.ContainsFunc(slots, func(s Slot) bool { return s.Grain == g })
}
