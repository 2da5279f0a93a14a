package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// batch is how many rows one statement carries at most.
const batch = 10_000

// The columns of the kinds that usage counts, in the order of [spend.Kind]; the columns
// of estimates, calibrated ones and shares have the same names behind est_, cal_ and bill_.
var (
	countColumns = []string{
		"uncached_input", "cache_read_input", "cache_creation_5m_input", "cache_creation_1h_input", "output", "web_searches",
	}
	amountColumns = []string{
		"uncached_input", "cache_read_input", "cache_creation_5m_input", "cache_creation_1h_input", "output", "web_search",
	}
)

// columnsOf lists the columns of a table's figures.
func columnsOf(t storage.Table) []string {
	switch t {
	case storage.RequestHour, storage.RequestDay:
		return []string{"requests"}
	case storage.CostHour, storage.CostDay:
		return []string{"amount", "list"}
	default:
		return slices.Concat(countColumns, prefixed("est_", amountColumns), prefixed("cal_", amountColumns), []string{"price"})
	}
}

// targets are pointers to the figures of r, in the order of columnsOf.
func targets(t storage.Table, r *storage.Row) []any {
	switch t {
	case storage.RequestHour, storage.RequestDay:
		return []any{&r.Requests}
	case storage.CostHour, storage.CostDay:
		return []any{(*int64)(&r.Amount), (*int64)(&r.List)}
	default:
		fields := make([]any, 0, 3*spend.NumKinds+1)
		for k := range r.Counts {
			fields = append(fields, &r.Counts[k])
		}
		for k := range r.Estimate {
			fields = append(fields, (*int64)(&r.Estimate[k]))
		}
		for k := range r.Calibrated {
			fields = append(fields, (*int64)(&r.Calibrated[k]))
		}
		return append(fields, (*int)(&r.Price))
	}
}

func prefixed(prefix string, columns []string) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = prefix + c
	}
	return out
}

// each joins what the format makes of each column.
func each(columns []string, format string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = strings.ReplaceAll(format, "%", c)
	}
	return strings.Join(out, ", ")
}

// known is what a table held in a window.
type known struct {
	window spend.Window
	rows   []storage.Row // sorted
}

// has reports whether there was a row of r's bucket and series.
func (k known) has(r storage.Row) bool {
	_, found := slices.BinarySearchFunc(k.rows, r, func(a, b storage.Row) int {
		if a.Bucket != b.Bucket {
			return int(a.Bucket - b.Bucket)
		}
		return int(a.Series - b.Series)
	})
	return found
}

func (t *tx) Rows(ctx context.Context, table storage.Table, w spend.Window) ([]storage.Row, error) {
	rows, err := t.Query(ctx, `
		select bucket, series, `+strings.Join(columnsOf(table), ", ")+`
		from `+string(table)+`
		where organization = $1 and bucket >= $2 and bucket < $3
		order by bucket, series`,
		t.organization, w.Start, w.End)
	if err != nil {
		return nil, err
	}
	var out []storage.Row
	var bucket time.Time
	var r storage.Row
	_, err = pgx.ForEachRow(rows, append([]any{&bucket, &r.Series}, targets(table, &r)...), func() error {
		r.Bucket = bucket.Unix()
		out = append(out, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !t.known[table].window.Covers(w) && t.owner != nil {
		t.known[table] = known{w, out}
	}
	return out, nil
}

// PutRows copies the rows that are new and updates the others.
func (t *tx) PutRows(ctx context.Context, table storage.Table, rows []storage.Row) error {
	if len(rows) == 0 {
		return nil
	}
	if t.owner == nil {
		return errReadOnly
	}
	span := spend.Window{Start: unix(rows[0].Bucket), End: unix(rows[0].Bucket + 1)}
	for _, r := range rows {
		span.Start = unix(min(span.Start.Unix(), r.Bucket))
		span.End = unix(max(span.End.Unix(), r.Bucket+1))
	}
	if !t.known[table].window.Covers(span) {
		if _, err := t.Rows(ctx, table, span); err != nil {
			return err
		}
	}
	stored := t.known[table]
	delete(t.known, table)
	var added, changed []storage.Row
	if len(stored.rows) == 0 {
		added = rows
	} else {
		for _, r := range rows {
			if stored.has(r) {
				changed = append(changed, r)
			} else {
				added = append(added, r)
			}
		}
	}
	if table == storage.UsageMinute {
		if err := t.makePartitions(ctx, added); err != nil {
			return fmt.Errorf("make partitions: %w", err)
		}
	}
	if err := t.copyRows(ctx, table, added); err != nil {
		return err
	}
	for c := range slices.Chunk(changed, batch) {
		if err := t.updateRows(ctx, table, c); err != nil {
			return err
		}
	}
	return nil
}

// copyRows adds rows that are not there.
func (t *tx) copyRows(ctx context.Context, table storage.Table, rows []storage.Row) error {
	if len(rows) == 0 {
		return nil
	}
	var r storage.Row
	var bucket time.Time
	values := append([]any{t.organization, &bucket, &r.Series}, targets(table, &r)...)
	_, err := t.CopyFrom(ctx, pgx.Identifier{string(table)},
		append([]string{"organization", "bucket", "series"}, columnsOf(table)...),
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			r = rows[i]
			bucket = unix(r.Bucket)
			return values, nil
		}))
	return err
}

// updateRows changes rows that are there.
func (t *tx) updateRows(ctx context.Context, table storage.Table, rows []storage.Row) error {
	columns := columnsOf(table)
	args := t.keys(len(rows), func(i int) (int64, int64) { return rows[i].Bucket, rows[i].Series })
	figures := make([][]int64, len(columns))
	for i := range columns {
		figures[i] = make([]int64, len(rows))
		args = append(args, figures[i])
	}
	for j := range rows {
		for i, f := range targets(table, &rows[j]) {
			switch f := f.(type) {
			case *int64:
				figures[i][j] = *f
			case *int:
				figures[i][j] = int64(*f)
			}
		}
	}
	tag, err := t.Exec(ctx, `
		update `+string(table)+` f
		set `+each(columns, "% = n.%")+`
		from `+unnest(columns)+`
		where `+matched, args...)
	if err != nil {
		return err
	}
	if n := int(tag.RowsAffected()); n != len(rows) {
		return fmt.Errorf("%d of %d rows of %s to change are not there", len(rows)-n, len(rows), table)
	}
	return nil
}

// keys are the first arguments of a statement about n rows: the organization, the rows' buckets in
// Unix seconds and series, the first and the last bucket.
func (t *tx) keys(n int, key func(i int) (bucket, series int64)) []any {
	buckets, series := make([]int64, n), make([]int64, n)
	for i := range n {
		buckets[i], series[i] = key(i)
	}
	return []any{t.organization, buckets, series, unix(slices.Min(buckets)), unix(slices.Max(buckets))}
}

// unnest is the SQL for the rows n of a statement whose first arguments are keys, followed by an
// array for each column.
func unnest(columns []string) string {
	arrays, names := []string{"$2::bigint[]", "$3::int[]"}, []string{"bucket", "series"}
	for i, c := range columns {
		arrays, names = append(arrays, fmt.Sprintf("$%d::bigint[]", 6+i)), append(names, c)
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") n (" + strings.Join(names, ", ") + ")"
}

// matched joins the rows n with those of the table f. Without the bounds the database would read
// all that the organization has.
const matched = `f.organization = $1 and f.bucket between $4 and $5
			and f.bucket = to_timestamp(n.bucket) and f.series = n.series`

func (t *tx) DeleteRows(ctx context.Context, table storage.Table, rows []storage.Row) error {
	for c := range slices.Chunk(rows, batch) {
		err := t.exec(ctx, `
			delete from `+string(table)+` f
			using `+unnest(nil)+`
			where `+matched,
			t.keys(len(c), func(i int) (int64, int64) { return c[i].Bucket, c[i].Series })...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) PutRevisions(ctx context.Context, f spend.Fact, revisions []storage.RowRevision) error {
	if len(revisions) == 0 {
		return nil
	}
	table, columns := "usage_revision", []string{"organization", "bucket", "grain", "series", "revised_at"}
	if f == spend.FactCost {
		table = "cost_revision"
		columns = append(columns, "old_amount", "old_list", "new_amount", "new_list")
	} else {
		columns = append(columns, "fact")
		figures := append(slices.Clone(countColumns), "requests")
		columns = slices.Concat(columns, prefixed("old_", figures), prefixed("new_", figures))
	}
	_, err := t.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromSlice(len(revisions), func(i int) ([]any, error) {
		r := &revisions[i]
		values := []any{t.organization, unix(r.Bucket), int64(r.Grain), r.Series, r.RevisedAt}
		if f == spend.FactCost {
			return append(values, int64(r.Old.Amount), int64(r.Old.List), int64(r.New.Amount), int64(r.New.List)), nil
		}
		values = append(values, string(f))
		for _, x := range []storage.RevisedFigures{r.Old, r.New} {
			for _, n := range x.Counts {
				values = append(values, n)
			}
			values = append(values, x.Requests)
		}
		return values, nil
	}))
	return err
}

func (t *tx) PutShares(ctx context.Context, table storage.Table, shares []storage.RowShare) error {
	columns := prefixed("bill_", amountColumns)
	for c := range slices.Chunk(shares, batch) {
		args := t.keys(len(c), func(i int) (int64, int64) { return c[i].Bucket, c[i].Series })
		var bills [spend.NumKinds][]int64
		for k := range bills {
			bills[k] = make([]int64, len(c))
			args = append(args, bills[k])
		}
		for i, s := range c {
			for k, m := range s.Bill {
				bills[k][i] = int64(m)
			}
		}
		err := t.exec(ctx, `
			update `+string(table)+` f
			set `+each(columns, "% = n.%")+`
			from `+unnest(columns)+`
			where `+matched+`
				and (`+each(columns, "f.%")+`) is distinct from (`+each(columns, "n.%")+`)`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) ClearShares(ctx context.Context, day spend.Window) error {
	for _, table := range []storage.Table{storage.UsageHour, storage.UsageDay} {
		err := t.exec(ctx, `
			update `+string(table)+`
			set `+each(prefixed("bill_", amountColumns), "% = null")+`
			where organization = $1 and bucket >= $2 and bucket < $3 and bill_output is not null`,
			t.organization, day.Start, day.End)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) PutRests(ctx context.Context, rests []storage.RowRest) error {
	if len(rests) == 0 {
		return nil
	}
	amounts, lists := make([]int64, len(rests)), make([]int64, len(rests))
	for i, r := range rests {
		amounts[i], lists[i] = int64(r.Rest), int64(r.List)
	}
	return t.exec(ctx, `
		update cost_day f
		set rest = n.rest, rest_list = n.rest_list
		from `+unnest([]string{"rest", "rest_list"})+`
		where `+matched+`
			and (f.rest, f.rest_list) is distinct from (n.rest, n.rest_list)`,
		append(t.keys(len(rests), func(i int) (int64, int64) { return rests[i].Bucket, rests[i].Series }), amounts, lists)...)
}
