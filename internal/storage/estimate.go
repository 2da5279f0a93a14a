package storage

import (
	"context"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Confirm is [Owner.Confirm] on a backend's transaction.
func Confirm(ctx context.Context, tx Tx, f spend.Fact, w spend.Window, now time.Time) error {
	slots, err := tx.Slots(ctx, f, w)
	if err != nil {
		return err
	}
	slots = slices.DeleteFunc(slots, func(s Slot) bool { return !w.Covers(s.Window) })
	for i := range slots {
		slots[i].ReadAt = now.UTC().Truncate(time.Second)
		slots[i].SuspectSince, slots[i].SuspectReads = time.Time{}, 0
	}
	return tx.PutSlots(ctx, f, slots)
}

// Transact runs f in a transaction of a backend.
type Transact func(ctx context.Context, f func(Tx) error) error

// Reestimate is the part of [Owner.Reestimate] that is about facts.
func Reestimate(ctx context.Context, transact Transact, from time.Time, estimate func(*spend.Usage)) error {
	var factors Factors
	err := transact(ctx, func(tx Tx) (err error) {
		factors, err = tx.Factors(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return reestimateDays(ctx, transact, from, factors, estimate)
}

// reestimateDays gives each day a transaction of its own: what is not billed may be a year, and
// others that write to the database wait for the end of a transaction.
func reestimateDays(ctx context.Context, transact Transact, from time.Time, factors Factors, estimate func(*spend.Usage)) error {
	w := spend.Window{Start: maxTime(from.UTC(), allTime.Start), End: allTime.End}
	var days []spend.Window
	err := transact(ctx, func(tx Tx) error {
		slots, err := tx.Slots(ctx, spend.FactUsage, w)
		if err != nil {
			return err
		}
		costs, err := tx.Slots(ctx, spend.FactCost, w)
		days = openDays(slots, costs)
		return err
	})
	if err != nil {
		return err
	}
	for _, day := range days {
		err := transact(ctx, func(tx Tx) error {
			return reestimateDay(ctx, stalingOf(tx), day, day.Intersect(w), factors, estimate)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reestimateDay does it for the rows in a window of a UTC day.
func reestimateDay(ctx context.Context, tx Tx, day, w spend.Window, factors Factors, estimate func(*spend.Usage)) error {
	slots, err := tx.Slots(ctx, spend.FactUsage, day)
	if err != nil {
		return err
	}
	costs, err := tx.Slots(ctx, spend.FactCost, day)
	if err != nil {
		return err
	}
	billed := billedOf(costs)
	there := map[Table]bool{UsageMinute: true} // minutes may stand beside what counts
	for _, s := range slots {
		there[tables[spend.FactUsage][s.Grain]] = true
	}
	some := false
	for _, t := range []Table{UsageMinute, UsageHour, UsageDay} {
		if !there[t] {
			continue
		}
		// By the hour, as a day of minutes is millions of rows in a large organization.
		for _, piece := range w.Buckets(max(t.Grain(), spend.Hour)) {
			n, err := reestimate(ctx, tx, t, piece.Intersect(w), billed, factors, estimate)
			if err != nil {
				return err
			}
			some = some || n > 0
		}
	}
	if !some {
		return nil
	}
	return tx.MarkChanged(ctx, []time.Time{day.Start})
}

// reestimate does it for a table's rows in a window and returns how many changed.
func reestimate(ctx context.Context, tx Tx, t Table, w spend.Window, billed []spend.Window, factors Factors, estimate func(*spend.Usage)) (int, error) {
	stored, err := tx.Rows(ctx, t, w)
	if err != nil {
		return 0, err
	}
	rows, err := withDims(ctx, tx, stored)
	if err != nil {
		return 0, err
	}
	var changed []Row
	for _, r := range rows {
		bucket := t.Grain().Bucket(unix(r.Bucket))
		if slices.ContainsFunc(billed, func(b spend.Window) bool { return b.Covers(bucket) }) {
			continue
		}
		u := spend.Usage{Bucket: bucket.Start, Dims: *r.Dims, Counts: r.Counts, Estimate: r.Estimate, Price: r.Price}
		estimate(&u)
		now := *r.Row
		now.Estimate, now.Price = u.Estimate, u.Price
		now.Calibrated = factors.Apply(r.Model, u.Estimate)
		if now != *r.Row {
			changed = append(changed, now)
		}
	}
	return len(changed), tx.PutRows(ctx, t, changed)
}
