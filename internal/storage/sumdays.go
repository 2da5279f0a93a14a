package storage

import (
	"context"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// sumTables are the tables that hold the sums by the UTC day of the tables by the hour. A sum is of
// all rows of an hour's table on the day, whatever the ledger says: which rows count is decided as if
// there were no sums, and where that is all rows of a day, its sums stand for them.
var sumTables = map[Table]Table{UsageHour: UsageSum, RequestHour: RequestSum, CostHour: CostSum}

// SumDay is [Owner.SumDay] on a backend's transaction.
func SumDay(ctx context.Context, tx Tx, before time.Time) (bool, error) {
	day, ok, err := tx.StaleDay(ctx, spend.Day.Floor(before))
	if err != nil || !ok {
		return false, err
	}
	return true, tx.SumDay(ctx, spend.Day.Bucket(day))
}

// staling is a transaction that writes facts: the sums of a day do not hold from its first write to
// an hour of the day on.
type staling struct {
	Tx
	stale map[int64]bool // days whose sums were said not to hold
}

func stalingOf(tx Tx) Tx { return staling{tx, map[int64]bool{}} }

// mark says that the sums do not hold of the days that the buckets lie in.
func (t staling) mark(ctx context.Context, table Table, n int, bucket func(i int) int64) error {
	if _, summed := sumTables[table]; !summed {
		return nil
	}
	days := map[int64]bool{}
	for i := range n {
		if d := bucket(i) / int64(spend.Day); !t.stale[d] {
			t.stale[d], days[d] = true, true
		}
	}
	if len(days) == 0 {
		return nil
	}
	return t.PutStale(ctx, daysOf(days))
}

func (t staling) markDay(ctx context.Context, w spend.Window) error {
	return t.mark(ctx, UsageHour, 1, func(int) int64 { return w.Start.Unix() })
}

func (t staling) PutRows(ctx context.Context, table Table, rows []Row) error {
	if err := t.mark(ctx, table, len(rows), func(i int) int64 { return rows[i].Bucket }); err != nil {
		return err
	}
	return t.Tx.PutRows(ctx, table, rows)
}

func (t staling) DeleteRows(ctx context.Context, table Table, rows []Row) error {
	if err := t.mark(ctx, table, len(rows), func(i int) int64 { return rows[i].Bucket }); err != nil {
		return err
	}
	return t.Tx.DeleteRows(ctx, table, rows)
}

func (t staling) PutShares(ctx context.Context, table Table, shares []RowShare) error {
	if err := t.mark(ctx, table, len(shares), func(i int) int64 { return shares[i].Bucket }); err != nil {
		return err
	}
	return t.Tx.PutShares(ctx, table, shares)
}

func (t staling) ClearShares(ctx context.Context, day spend.Window) error {
	if err := t.markDay(ctx, day); err != nil {
		return err
	}
	return t.Tx.ClearShares(ctx, day)
}

func (t staling) FoldMinutes(ctx context.Context, hour spend.Window) error {
	if err := t.markDay(ctx, hour); err != nil {
		return err
	}
	return t.Tx.FoldMinutes(ctx, hour)
}

func (t staling) FoldDay(ctx context.Context, f spend.Fact, day spend.Window) (int64, error) {
	if err := t.markDay(ctx, day); err != nil {
		return 0, err
	}
	return t.Tx.FoldDay(ctx, f, day)
}

// summed is a transaction that reads sums in place of hours, on the days whose sums hold.
type summed struct {
	Tx
	days []spend.Window // joined
}

// summedOf is the transaction for a query, whose window in whole buckets is given.
func summedOf(ctx context.Context, tx Tx, w spend.Window, q Query) (Tx, error) {
	if q.Facts || q.Step != 0 && q.Step != spend.Day {
		return tx, nil
	}
	days, err := tx.SummedDays(ctx, w.Align(spend.Day))
	if err != nil || len(days) == 0 {
		return tx, err
	}
	windows := make([]spend.Window, len(days))
	for i, d := range days {
		windows[i] = spend.Day.Bucket(d)
	}
	return summed{tx, spend.Join(windows)}, nil
}

// Sum sums whole days by their sums, and the rest as it is.
func (t summed) Sum(ctx context.Context, p Part, g Grouping) ([]Sum, error) {
	table, ok := sumTables[p.Table]
	if !ok || g.Step != 0 && g.Step != spend.Day {
		return t.Tx.Sum(ctx, p, g)
	}
	whole := spend.Window{Start: spend.Day.Ceil(p.Window.Start), End: spend.Day.Floor(p.Window.End)}
	days := cut(t.days, whole)
	if len(days) == 0 {
		return t.Tx.Sum(ctx, p, g)
	}
	var parts []Part
	for _, w := range days {
		parts = append(parts, Part{table, p.Figures, w, p.Basis})
	}
	for _, w := range gaps(p.Window, days) {
		parts = append(parts, Part{p.Table, p.Figures, w, p.Basis})
	}
	if len(parts) == 1 {
		return t.Tx.Sum(ctx, parts[0], g)
	}
	var all []Sum
	for _, x := range parts {
		sums, err := t.Tx.Sum(ctx, x, g)
		if err != nil {
			return nil, err
		}
		all = append(all, sums...)
	}
	if g.Step == 0 { // by the day no group is in two parts
		all = joinSums(all)
	}
	return all, nil
}

// joinSums makes one sum of each group: what is uncertain of a group is told by the group as a whole.
func joinSums(sums []Sum) []Sum {
	type group struct {
		start time.Time
		spend.Dims
	}
	places := make(map[group]int, len(sums))
	out := sums[:0]
	for i := range sums {
		g := group{sums[i].Start, sums[i].Dims}
		if at, known := places[g]; known {
			out[at].Add(&sums[i])
			continue
		}
		places[g] = len(out)
		out = append(out, sums[i])
	}
	return slices.Clip(out)
}
