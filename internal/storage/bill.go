package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// sharedOut reports whether the slot is a bill by the day whose cells are shared out to usage.
func sharedOut(s Slot) bool {
	return s.Report == spend.ReportCost && s.Grain == spend.Day && s.State == Billed
}

// Bill is [Owner.Bill] on a backend's transaction.
func Bill(ctx context.Context, tx Tx, day, now time.Time) error {
	tx = stalingOf(tx)
	w := spend.Day.Bucket(day)
	name := w.Start.Format(time.DateOnly)
	switch {
	case !w.Start.Equal(day):
		return fmt.Errorf("bill %s: not the start of a UTC day", day.UTC().Format(time.RFC3339))
	case w.End.After(now):
		return fmt.Errorf("bill %s: the day is not over", name)
	}
	slots, err := tx.Slots(ctx, spend.FactCost, w)
	if err != nil {
		return err
	}
	if len(slots) != 1 || slots[0].Report != spend.ReportCost {
		return fmt.Errorf("bill %s: cost report of the day: %w", name, ErrNotFound)
	}
	if slots[0].State == Billed {
		return nil
	}
	slots[0].State = Billed
	if err := tx.PutSlots(ctx, spend.FactCost, slots); err != nil {
		return err
	}
	if err := shareDay(ctx, tx, w); err != nil {
		return err
	}
	return tx.MarkChanged(ctx, []time.Time{w.Start})
}

// shareDay shares a day's bill out to the usage that counts on it.
func shareDay(ctx context.Context, tx Tx, day spend.Window) error {
	bill, err := tx.Rows(ctx, CostDay, day)
	if err != nil {
		return err
	}
	// In pieces: a day of a large organization has hundreds of thousands of rows, and a slice that grows
	// to them is there twice.
	var tables []Table
	var usage [][]Row
	for _, t := range []Table{UsageHour, UsageDay} {
		for _, w := range day.Buckets(t.Grain()) {
			rows, err := tx.Rows(ctx, t, w)
			if err != nil {
				return err
			}
			tables, usage = append(tables, t), append(usage, rows)
		}
	}
	cells, err := withDims(ctx, tx, bill)
	if err != nil {
		return err
	}
	weights, err := withDims(ctx, tx, usage...)
	if err != nil {
		return err
	}
	bills, rests := ShareOut(cells, weights)
	for n, rows := range usage {
		shares := make([]RowShare, len(rows))
		for i, r := range rows {
			shares[i] = RowShare{r.Bucket, r.Series, bills[i]}
		}
		if err := tx.PutShares(ctx, tables[n], shares); err != nil {
			return err
		}
		bills = bills[len(rows):]
	}
	left := make([]RowRest, len(bill))
	for i, b := range bill {
		left[i] = RowRest{b.Bucket, b.Series, rests[i], b.List - (b.Amount - rests[i])}
	}
	return tx.PutRests(ctx, left)
}

// DimsRow is a row and what its series stands for, which rows of one series share.
type DimsRow struct {
	*Row
	*spend.Dims
}

// withDims joins rows, in the order in which they are, to what their series stand for.
func withDims(ctx context.Context, tx Tx, rows ...[]Row) ([]DimsRow, error) {
	places, n := map[int64]int{}, 0
	var ids []int64
	for _, rs := range rows {
		n += len(rs)
		for i := range rs {
			if _, known := places[rs[i].Series]; !known {
				places[rs[i].Series] = len(ids)
				ids = append(ids, rs[i].Series)
			}
		}
	}
	dims, err := tx.Dims(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]DimsRow, 0, n)
	for _, rs := range rows {
		for i := range rs {
			out = append(out, DimsRow{&rs[i], &dims[places[rs[i].Series]]})
		}
	}
	return out, nil
}

// ShareOut shares the cells of a bill out to the usage of the same day by estimated cost, and
// where nothing in the cell is priced by tokens. It returns each usage row's share by kind and what
// of each cell matches no usage; the shares and the rests add up to the bill exactly.
func ShareOut(bill, usage []DimsRow) (shares []spend.Amounts, rests []spend.Money) {
	// Candidates are found by what a bill always tells; the rest of a cell may be untold.
	type place struct {
		workspace, model string
		kind             spend.Kind
	}
	candidates := map[place][]int32{}
	for i, u := range usage {
		for k := range spend.NumKinds {
			if u.Counts[k] > 0 || u.Estimate[k] > 0 {
				p := place{u.WorkspaceID, u.Model, k}
				if k == spend.WebSearches {
					p.model = "" // see searchesUntold
				}
				candidates[p] = append(candidates[p], int32(i))
			}
		}
	}
	shares = make([]spend.Amounts, len(usage))
	rests = make([]spend.Money, len(bill))
	for n, cell := range bill {
		rests[n] = cell.Amount
		kind, ok := kindOf(cell.CostType, cell.TokenType)
		if !ok || kind == spend.WebSearches && !searchesUntold(*cell.Dims) {
			continue
		}
		var matches []int32
		var byCost, byCount []spend.Money
		for _, i := range candidates[place{cell.WorkspaceID, cell.Model, kind}] {
			u := usage[i]
			if same(cell.ServiceTier, u.ServiceTier) && same(cell.ContextWindow, u.ContextWindow) && same(cell.InferenceGeo, u.InferenceGeo) {
				matches = append(matches, i)
				byCost = append(byCost, u.Estimate[kind])
				byCount = append(byCount, spend.Money(u.Counts[kind]))
			}
		}
		parts := spend.Shares(cell.Amount, byCost)
		if parts == nil {
			parts = spend.Shares(cell.Amount, byCount)
		}
		if parts == nil {
			continue
		}
		for i, part := range parts {
			shares[matches[i]][kind] += part
		}
		rests[n] = 0
	}
	return shares, rests
}

// untold are the dimensions that the cost report does not tell of web searches (they are null in
// all rows that are not of tokens). Shares of searches stand on usage rows, which have them, and are
// shown as the bill has them: without. So only a cell that tells none of them can be shared out.
var untold = []spend.Dimension{spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo}

func searchesUntold(d spend.Dims) bool {
	return !slices.ContainsFunc(untold, func(x spend.Dimension) bool { return *d.Field(x) != "" })
}

// same reports whether two values of a dimension may be one: a report that was not grouped by it,
// or does not tell it, leaves it empty.
func same(a, b string) bool { return a == b || a == "" || b == "" }

// kindOf is the kind that a cost type and token type stand for; false for what usage does not count.
func kindOf(costType, tokenType string) (spend.Kind, bool) {
	for k := range spend.NumKinds {
		if k.CostType() == costType && k.TokenType() == tokenType {
			return k, true
		}
	}
	return 0, false
}
