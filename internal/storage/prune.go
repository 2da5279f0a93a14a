package storage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Prune is the part of [Owner.Prune] that is about facts, on a backend's transaction.
func Prune(ctx context.Context, tx Tx, k Keep) (int64, error) {
	tx = stalingOf(tx)
	minutes := spend.Window{Start: allTime.Start, End: spend.Hour.Floor(k.Minute)}
	days := spend.Window{Start: allTime.Start, End: spend.Day.Floor(k.Hour)}
	stuck, err := foldMinutes(ctx, tx, maxTime(minutes.End, days.End))
	if err != nil {
		return 0, err
	}
	removed, err := foldDays(ctx, tx, days)
	if err != nil {
		return removed, err
	}
	forgotten, err := forgetDays(ctx, tx, spend.Window{Start: allTime.Start, End: spend.Day.Floor(k.Day)})
	removed += forgotten
	if err != nil || minutes.Empty() {
		return removed, err
	}
	for _, w := range gaps(minutes, stuck) {
		n, err := tx.PruneMinutes(ctx, w)
		if err != nil {
			return 0, err
		}
		removed += n
	}
	return removed, nil
}

// foldMinutes makes hours before the time that minutes rule be ruled by the hour. It returns those
// that cannot be: a sum would no longer say how much of it is unpriced.
func foldMinutes(ctx context.Context, tx Tx, before time.Time) ([]spend.Window, error) {
	slots, err := tx.Slots(ctx, spend.FactUsage, spend.Window{Start: allTime.Start, End: before})
	if err != nil {
		return nil, err
	}
	var stuck []spend.Window
	for _, s := range slots {
		if s.Grain != spend.Minute {
			continue
		}
		mixed, err := tx.MixedPrices(ctx, UsageMinute, spend.Hour, s.Window)
		if err != nil {
			return nil, err
		}
		if len(mixed) > 0 {
			stuck = append(stuck, s.Window)
			continue
		}
		if err := tx.FoldMinutes(ctx, s.Window); err != nil {
			return nil, err
		}
		s.Grain = spend.Hour
		if err := tx.PutSlots(ctx, spend.FactUsage, []Slot{s}); err != nil {
			return nil, err
		}
	}
	return stuck, nil
}

// foldDays makes days in the window that hours rule be ruled by the day, fact by fact.
func foldDays(ctx context.Context, tx Tx, w spend.Window) (int64, error) {
	if w.Empty() {
		return 0, nil
	}
	hours := map[time.Time]map[spend.Fact][]Slot{}
	for _, f := range []spend.Fact{spend.FactUsage, spend.FactRequests, spend.FactCost} {
		slots, err := tx.Slots(ctx, f, w)
		if err != nil {
			return 0, err
		}
		for _, s := range slots {
			if s.Grain == spend.Day {
				continue
			}
			day := spend.Day.Floor(s.Window.Start)
			if hours[day] == nil {
				hours[day] = map[spend.Fact][]Slot{}
			}
			hours[day][f] = append(hours[day][f], s)
		}
	}
	var removed int64
	for _, start := range slices.SortedFunc(maps.Keys(hours), time.Time.Compare) {
		day, slots := spend.Day.Bucket(start), hours[start]
		mixed, err := tx.MixedPrices(ctx, UsageHour, spend.Day, day)
		if err != nil {
			return 0, err
		}
		for _, f := range foldable(slots, len(mixed) > 0) {
			n, err := tx.FoldDay(ctx, f, day)
			if err != nil {
				return 0, err
			}
			removed += n
			if err := tx.DropSlots(ctx, f, slots[f]); err != nil {
				return 0, err
			}
			if err := tx.PutSlots(ctx, f, []Slot{foldSlots(day, slots[f])}); err != nil {
				return 0, err
			}
		}
	}
	return removed, nil
}

// forgetDays removes all facts of the days in the window and their slots.
func forgetDays(ctx context.Context, tx Tx, w spend.Window) (int64, error) {
	if w.Empty() {
		return 0, nil
	}
	var removed int64
	for f, byGrain := range tables {
		slots, err := tx.Slots(ctx, f, w)
		if err != nil {
			return 0, err
		}
		slots = slices.DeleteFunc(slots, func(s Slot) bool { return !w.Covers(s.Window) })
		for _, day := range daysWith(slots) {
			for _, t := range byGrain {
				rows, err := tx.Rows(ctx, t, day)
				if err != nil {
					return 0, err
				}
				if err := tx.DeleteRows(ctx, t, rows); err != nil {
					return 0, err
				}
				removed += int64(len(rows))
			}
		}
		if err := tx.DropSlots(ctx, f, slots); err != nil {
			return 0, err
		}
	}
	return removed, nil
}

// daysWith lists the days that have one of the slots, which are sorted by start.
func daysWith(slots []Slot) []spend.Window {
	var days []spend.Window
	for _, s := range slots {
		if day := spend.Day.Bucket(s.Window.Start); len(days) == 0 || days[len(days)-1] != day {
			days = append(days, day)
		}
	}
	return days
}

// foldable lists the facts of a day that can be folded without changing any answer: where the bill
// covers only some of its hours, the others' estimates are needed, and so are the hours.
func foldable(slots map[spend.Fact][]Slot, mixed bool) []spend.Fact {
	var fs []spend.Fact
	if len(slots[spend.FactRequests]) > 0 {
		fs = append(fs, spend.FactRequests)
	}
	bills := len(slots[spend.FactCost])
	if bills > 0 && bills < 24 {
		return fs
	}
	byMinute := func(s Slot) bool { return s.Grain == spend.Minute }
	if u := slots[spend.FactUsage]; len(u) > 0 && !slices.ContainsFunc(u, byMinute) && (bills == 24 || !mixed) {
		fs = append(fs, spend.FactUsage)
	}
	if bills == 24 {
		fs = append(fs, spend.FactCost)
	}
	return fs
}

// foldSlots is the slot of a day in place of its hours: as settled as the least settled of them.
func foldSlots(day spend.Window, hours []Slot) Slot {
	s := hours[0]
	s.Window, s.Grain, s.SuspectSince, s.SuspectReads = day, spend.Day, time.Time{}, 0
	for _, h := range hours {
		s.ReadAt = minTime(s.ReadAt, h.ReadAt)
		s.Since = maxTime(s.Since, h.Since)
		if h.State == Provisional {
			s.State = Provisional
		}
	}
	if len(hours) < 24 {
		s.State = Provisional
	}
	return s
}
