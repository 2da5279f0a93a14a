package storage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// ReplaceUsage is [Owner.ReplaceUsage] on a backend's transaction.
func ReplaceUsage(ctx context.Context, tx Tx, r Reading, usage []spend.Usage) (Change, error) {
	return replaceUsage(ctx, tx, spend.FactUsage, r, usage)
}

// ReplaceRequests is [Owner.ReplaceRequests] on a backend's transaction.
func ReplaceRequests(ctx context.Context, tx Tx, r Reading, usage []spend.Usage) (Change, error) {
	return replaceUsage(ctx, tx, spend.FactRequests, r, usage)
}

func replaceUsage(ctx context.Context, tx Tx, f spend.Fact, r Reading, usage []spend.Usage) (Change, error) {
	rows := make([]Row, len(usage))
	var factors Factors
	if f == spend.FactUsage {
		var err error
		if factors, err = tx.Factors(ctx); err != nil {
			return Change{}, err
		}
	}
	for i := range usage {
		u := &usage[i]
		if u.CostType != "" || u.TokenType != "" {
			return Change{}, fmt.Errorf("%s row %d of %s has a cost type", f, i, r.Window)
		}
		rows[i].Bucket = u.Bucket.Unix()
		if f == spend.FactRequests {
			rows[i].Requests = u.Requests
		} else {
			rows[i].Counts, rows[i].Estimate, rows[i].Price = u.Counts, u.Estimate, u.Price
			rows[i].Calibrated = factors.Apply(u.Model, u.Estimate)
		}
		for k := range u.Counts {
			if rows[i].Counts[k] < 0 || rows[i].Estimate[k] < 0 || rows[i].Requests < 0 {
				return Change{}, fmt.Errorf("%s row %d of %s is negative", f, i, r.Window)
			}
		}
	}
	return replace(ctx, tx, f, r, rows, func(i int) *spend.Dims { return &usage[i].Dims })
}

// ReplaceCosts is [Owner.ReplaceCosts] on a backend's transaction.
func ReplaceCosts(ctx context.Context, tx Tx, r Reading, costs []spend.Cost) (Change, error) {
	rows := make([]Row, len(costs))
	for i := range costs {
		c := &costs[i]
		rows[i] = Row{Bucket: c.Bucket.Unix(), Amount: c.Amount, List: c.List}
	}
	return replace(ctx, tx, spend.FactCost, r, rows, func(i int) *spend.Dims { return &costs[i].Dims })
}

// replace makes the rows the only ones of the reading's grain in its window.
func replace(ctx context.Context, tx Tx, f spend.Fact, r Reading, rows []Row, dims func(int) *spend.Dims) (Change, error) {
	tx = stalingOf(tx)
	r.Window = spend.Window{Start: r.Window.Start.UTC(), End: r.Window.End.UTC()}
	r.At, r.DataAt = r.At.UTC().Truncate(time.Second), r.DataAt.UTC()
	if err := checkReading(f, r); err != nil {
		return Change{}, err
	}
	start, end, grain := r.Window.Start.Unix(), r.Window.End.Unix(), int64(r.Grain)
	for i := range rows {
		if b := rows[i].Bucket; b < start || b >= end || b%grain != 0 {
			return Change{}, fmt.Errorf("%s row at %s does not lie in a %s of %s",
				f, time.Unix(b, 0).UTC().Format(time.RFC3339), r.Grain, r.Window)
		}
	}
	ids, err := tx.Intern(ctx, len(rows), dims)
	if err != nil {
		return Change{}, err
	}
	for i := range rows {
		rows[i].Series = ids[i]
	}
	sortRows(rows)
	for i := range rows[min(1, len(rows)):] {
		if compareRows(rows[i], rows[i+1]) == 0 {
			return Change{}, fmt.Errorf("two %s rows of %s have the same dimensions at %s",
				f, r.Window, time.Unix(rows[i].Bucket, 0).UTC().Format(time.RFC3339))
		}
	}

	slots, err := tx.Slots(ctx, f, r.Window.Align(spend.Day))
	if err != nil {
		return Change{}, err
	}
	units, err := Units(f, r, slots)
	if err != nil {
		return Change{}, err
	}
	d := diff{fact: f, reading: r, rows: rows, table: tables[f][r.Grain], days: map[int64]bool{}}
	if err := d.compare(ctx, tx, units); err != nil {
		return Change{}, err
	}
	if err := d.write(ctx, tx); err != nil {
		return Change{}, err
	}
	if f == spend.FactUsage {
		if err := d.updateKeyUse(ctx, tx); err != nil {
			return Change{}, err
		}
	}
	if err := d.reshare(ctx, tx); err != nil {
		return Change{}, err
	}
	return d.change, tx.MarkChanged(ctx, daysOf(d.days))
}

// diff is what a reading changes.
type diff struct {
	fact    spend.Fact
	reading Reading
	table   Table

	rows      []Row           // what was read
	put       [][]Row         // parts of it that are written
	remove    map[Table][]Row // rows of ruling grains that are gone, by table
	drop, set []Slot
	revisions []RowRevision
	days      map[int64]bool // days whose figures changed
	touched   map[int64]bool // days whose rows changed, figures or not
	counted   [][]Row        // rows read that count, by unit
	beside    [][]Row        // minutes read that only stand beside what counts
	lost      []lostUse
	change    Change
}

// compare goes through the units with what is stored beside what was read.
func (d *diff) compare(ctx context.Context, tx Tx, units []Unit) error {
	empty := len(d.rows) == 0
	same, err := tx.Rows(ctx, d.table, d.reading.Window)
	if err != nil {
		return err
	}
	d.remove, d.touched = map[Table][]Row{}, map[int64]bool{}
	for _, u := range units {
		stored, fresh := within(same, u.Window), within(d.rows, u.Window)
		ruling, mixed := stored, false
		if len(u.Old) > 0 && u.Old[0].Grain != d.reading.Grain || len(u.Old) > 1 {
			if len(u.New) > 0 {
				if ruling, err = d.rulingRows(ctx, tx, u.Old); err != nil {
					return err
				}
			}
			mixed = true
		}
		switch {
		case len(u.New) == 0 && empty:
			continue
		case empty && len(ruling) > 0 && d.hold(u, ruling):
			continue
		}
		d.merge(stored, fresh)
		if len(u.New) == 0 {
			d.beside = append(d.beside, fresh)
			continue
		}
		d.counted = append(d.counted, fresh)
		changed := d.figures(u, ruling, fresh, mixed)
		for _, s := range u.Old {
			if g := s.Grain; g != d.reading.Grain {
				if g != spend.Minute {
					t := tables[d.fact][g]
					d.remove[t] = append(d.remove[t], within(ruling, s.Window)...)
				}
				d.touched[s.Window.Start.Unix()/int64(spend.Day)] = true
			}
			if !slices.ContainsFunc(u.New, func(n Slot) bool { return n.Window == s.Window }) {
				d.drop = append(d.drop, s)
			}
		}
		for _, n := range u.New {
			if len(u.Old) == 1 && !mixed && !changed && u.Old[0].Report == n.Report {
				n.Since = u.Old[0].Since
			}
			d.set = append(d.set, n)
		}
	}
	return nil
}

// rulingRows reads the rows that count in the slots.
func (d *diff) rulingRows(ctx context.Context, tx Tx, slots []Slot) ([]Row, error) {
	var all []Row
	for _, s := range slots {
		rows, err := tx.Rows(ctx, tables[d.fact][s.Grain], s.Window)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// hold keeps the unit's rows in spite of an empty answer, and reports false where that answer has
// come often enough to be believed.
func (d *diff) hold(u Unit, ruling []Row) bool {
	believed := true
	var held []Slot
	for _, s := range u.Old {
		if len(within(ruling, s.Window)) > 0 {
			believed = s.hold(d.reading.At) && believed
			held = append(held, s)
		}
	}
	if believed {
		return false
	}
	for _, s := range held {
		d.set = append(d.set, s)
		d.change.Held = append(d.change.Held, s.Window)
	}
	return true
}

// merge compares rows of the reading's grain, both sorted.
func (d *diff) merge(stored, fresh []Row) {
	if len(stored) == 0 { // history that is read for the first time
		d.put = append(d.put, fresh)
		d.change.Written += len(fresh)
		return
	}
	next := 0
	pairs(stored, fresh, func(old, now *Row) {
		if now == nil {
			d.remove[d.table] = append(d.remove[d.table], *old)
			d.change.Deleted++
			return
		}
		if old == nil || *old != *now {
			d.put = append(d.put, fresh[next:next+1])
			d.change.Written++
		}
		next++
	})
}

// written are the rows to write, not copied where they are all that was read: an hour of a large
// organization is 100,000 rows by the minute.
func (d *diff) written() []Row {
	if d.change.Written == len(d.rows) {
		return d.rows
	}
	return slices.Concat(d.put...)
}

// figures compares what counted in the unit with what counts now and reports whether it differs.
// Where the grains differ the coarser one is compared.
func (d *diff) figures(u Unit, ruling, fresh []Row, mixed bool) bool {
	grain := d.reading.Grain
	if mixed {
		for _, s := range u.Old {
			grain = max(grain, s.Grain)
		}
		ruling, fresh = coarsen(ruling, grain), coarsen(fresh, grain)
	}
	settled := func(bucket int64) bool {
		for _, s := range u.Old {
			if s.Window.Contains(time.Unix(bucket, 0)) {
				return s.settled()
			}
		}
		return false
	}
	changed := false
	pairs(ruling, fresh, func(old, now *Row) {
		if old != nil && now != nil && *old == *now {
			return
		}
		changed = true
		var before, after Row
		if old != nil {
			before = *old
		}
		if now != nil {
			after = *now
		}
		at := max(before.Bucket, after.Bucket)
		series := max(before.Series, after.Series)
		d.days[at/int64(spend.Day)] = true
		d.touched[at/int64(spend.Day)] = true
		if before.figures() != after.figures() && settled(at) {
			d.revisions = append(d.revisions, RowRevision{
				Bucket: at, Series: series, Grain: grain, RevisedAt: d.reading.At,
				Old: before.figures(), New: after.figures(),
			})
		}
		if !before.Counts.IsZero() && after.Counts.IsZero() {
			d.lost = append(d.lost, lostUse{series, grain.Bucket(time.Unix(at, 0))})
		}
	})
	return changed
}

// write carries the difference out.
func (d *diff) write(ctx context.Context, tx Tx) error {
	for _, t := range slices.Sorted(maps.Keys(d.remove)) {
		if err := tx.DeleteRows(ctx, t, d.remove[t]); err != nil {
			return err
		}
	}
	if err := tx.PutRows(ctx, d.table, d.written()); err != nil {
		return err
	}
	if err := tx.DropSlots(ctx, d.fact, d.drop); err != nil {
		return err
	}
	if err := tx.PutSlots(ctx, d.fact, d.set); err != nil {
		return err
	}
	return tx.PutRevisions(ctx, d.fact, d.revisions)
}

// reshare brings the shares of billed days up to date with what changed in them.
func (d *diff) reshare(ctx context.Context, tx Tx) error {
	if d.fact == spend.FactRequests {
		return nil
	}
	for _, s := range d.drop {
		// A bill by the day gave way to one by the hour.
		if d.fact == spend.FactCost && s.Grain == spend.Day {
			if err := tx.ClearShares(ctx, s.Window); err != nil {
				return err
			}
		}
	}
	if len(d.touched) == 0 {
		return nil
	}
	slots, err := tx.Slots(ctx, spend.FactCost, d.reading.Window.Align(spend.Day))
	if err != nil {
		return err
	}
	for _, s := range slots {
		if d.touched[s.Window.Start.Unix()/int64(spend.Day)] && sharedOut(s) {
			if err := shareDay(ctx, tx, s.Window); err != nil {
				return err
			}
			d.days[s.Window.Start.Unix()/int64(spend.Day)] = true
		}
	}
	return nil
}

// CheckClaudeCode refuses rows that are not of the UTC day.
func CheckClaudeCode(day time.Time, rows []spend.ClaudeCode) error {
	if !spend.Day.Floor(day).Equal(day) {
		return fmt.Errorf("claude code %s: not the start of a UTC day", day.UTC().Format(time.RFC3339))
	}
	for _, r := range rows {
		if !r.Day.Equal(day) {
			return fmt.Errorf("claude code %s: a row is of %s", day.UTC().Format(time.DateOnly), r.Day.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
