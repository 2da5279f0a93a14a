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

// Reestimate is the part of [Owner.Reestimate] that is about facts, on a backend's transaction.
func Reestimate(ctx context.Context, tx Tx, from time.Time, estimate func(*spend.Usage)) error {
	tx = stalingOf(tx)
	w := spend.Window{Start: maxTime(from.UTC(), allTime.Start), End: allTime.End}
	slots, err := tx.Slots(ctx, spend.FactUsage, w)
	if err != nil {
		return err
	}
	costs, err := tx.Slots(ctx, spend.FactCost, w)
	if err != nil {
		return err
	}
	factors, err := tx.Factors(ctx)
	if err != nil {
		return err
	}
	var billed []spend.Window
	for _, s := range costs {
		if s.State == Billed {
			billed = append(billed, s.Window)
		}
	}
	billed = spend.Join(billed)
	changed := map[int64]bool{}
	for _, day := range openDays(slots, costs) {
		for _, t := range []Table{UsageMinute, UsageHour, UsageDay} {
			// By the hour, as a day of minutes is millions of rows in a large organization.
			for _, piece := range day.Intersect(w).Buckets(max(t.Grain(), spend.Hour)) {
				n, err := reestimate(ctx, tx, t, piece.Intersect(w), billed, factors, estimate)
				if err != nil {
					return err
				}
				if n > 0 {
					changed[day.Start.Unix()/int64(spend.Day)] = true
				}
			}
		}
	}
	return tx.MarkChanged(ctx, daysOf(changed))
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
