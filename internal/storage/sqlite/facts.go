package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Column lists by kind, in the order of [spend.Kind].
const (
	countColumns = `uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input, output, web_searches`
	estColumns   = `est_uncached_input, est_cache_read_input, est_cache_creation_5m_input, est_cache_creation_1h_input, est_output, est_web_search`
	calColumns   = `cal_uncached_input, cal_cache_read_input, cal_cache_creation_5m_input, cal_cache_creation_1h_input, cal_output, cal_web_search`
	billColumns  = `bill_uncached_input, bill_cache_read_input, bill_cache_creation_5m_input, bill_cache_creation_1h_input, bill_output, bill_web_search`
)

// columns are a table's figures, without what is written after a bill.
func columns(t storage.Table) string {
	switch t {
	case storage.RequestHour, storage.RequestDay:
		return `requests`
	case storage.CostHour, storage.CostDay:
		return `amount, list`
	default:
		return countColumns + `, ` + estColumns + `, ` + calColumns + `, price`
	}
}

// factTables are all tables of facts.
var factTables = []storage.Table{
	storage.UsageMinute, storage.UsageHour, storage.UsageDay, storage.RequestHour, storage.RequestDay,
	storage.CostHour, storage.CostDay,
}

// batches are how many rows a statement writes; larger ones first.
var batches = []int{100, 10, 1}

// putStatement writes n rows.
func putStatement(t storage.Table, n int) string {
	names := strings.Split(columns(t), ", ")
	tuple := `(?, ?, ?` + strings.Repeat(`, ?`, len(names)) + `)`
	var sets []string
	for _, c := range names {
		sets = append(sets, c+` = excluded.`+c)
	}
	return `insert into ` + string(t) + ` (organization, bucket, series, ` + columns(t) + `)
		values ` + tuple + strings.Repeat(`, `+tuple, n-1) + `
		on conflict do update set ` + strings.Join(sets, `, `)
}

// rowsStatement reads the rows of a window.
func rowsStatement(t storage.Table) string {
	return `select bucket, series, ` + columns(t) + `
		from ` + string(t) + `
		where organization = ? and bucket >= ? and bucket < ?
		order by bucket, series`
}

// prepareFacts prepares the statements that facts are read and written with, which are long.
func (s *Store) prepareFacts(ctx context.Context) error {
	if s.prepared != nil {
		return nil
	}
	prepared := map[string]*sql.Stmt{}
	for _, t := range factTables {
		texts := []string{rowsStatement(t)}
		for _, n := range batches {
			texts = append(texts, putStatement(t, n))
		}
		for _, text := range texts {
			stmt, err := s.write.PrepareContext(ctx, text)
			if err != nil {
				return err
			}
			prepared[text] = stmt
		}
	}
	s.prepared = prepared
	return nil
}

// values are the row's figures in the order of columns, appended to args.
func values(t storage.Table, r *storage.Row, args []any) []any {
	switch t {
	case storage.RequestHour, storage.RequestDay:
		return append(args, r.Requests)
	case storage.CostHour, storage.CostDay:
		return append(args, int64(r.Amount), int64(r.List))
	}
	for _, c := range r.Counts {
		args = append(args, c)
	}
	for _, e := range r.Estimate {
		args = append(args, int64(e))
	}
	for _, e := range r.Calibrated {
		args = append(args, int64(e))
	}
	return append(args, int64(r.Price))
}

// targets are where the row's figures are scanned to, in the order of columns.
func targets(t storage.Table, r *storage.Row) []any {
	to := []any{&r.Bucket, &r.Series}
	switch t {
	case storage.RequestHour, storage.RequestDay:
		return append(to, &r.Requests)
	case storage.CostHour, storage.CostDay:
		return append(to, (*int64)(&r.Amount), (*int64)(&r.List))
	}
	for k := range r.Counts {
		to = append(to, &r.Counts[k])
	}
	for k := range r.Estimate {
		to = append(to, (*int64)(&r.Estimate[k]))
	}
	for k := range r.Calibrated {
		to = append(to, (*int64)(&r.Calibrated[k]))
	}
	return append(to, &r.Price)
}

func (t *tx) Rows(ctx context.Context, table storage.Table, w spend.Window) ([]storage.Row, error) {
	stmt := t.StmtContext(ctx, t.prepared[rowsStatement(table)])
	rows, err := stmt.QueryContext(ctx, t.organization, w.Start.Unix(), w.End.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []storage.Row
	var r storage.Row
	to := targets(table, &r)
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func (t *tx) PutRows(ctx context.Context, table storage.Table, rows []storage.Row) error {
	args := make([]any, 0, batches[0]*24)
	for _, n := range batches {
		if len(rows) < n {
			continue
		}
		stmt := t.StmtContext(ctx, t.prepared[putStatement(table, n)])
		for ; len(rows) >= n; rows = rows[n:] {
			args = args[:0]
			for i := range rows[:n] {
				args = append(args, t.organization, rows[i].Bucket, rows[i].Series)
				args = values(table, &rows[i], args)
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) DeleteRows(ctx context.Context, table storage.Table, rows []storage.Row) error {
	return t.each(ctx, `delete from `+string(table)+` where organization = ? and bucket = ? and series = ?`, len(rows), func(i int) []any {
		return []any{t.organization, rows[i].Bucket, rows[i].Series}
	})
}

func (t *tx) PutRevisions(ctx context.Context, f spend.Fact, revisions []storage.RowRevision) error {
	if f == spend.FactCost {
		return t.each(ctx, `
			insert into cost_revision (organization, bucket, grain, series, revised_at, old_amount, old_list, new_amount, new_list)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(revisions), func(i int) []any {
			r := revisions[i]
			return []any{
				t.organization, r.Bucket, int64(r.Grain), r.Series, r.RevisedAt.Unix(),
				int64(r.Old.Amount), int64(r.Old.List), int64(r.New.Amount), int64(r.New.List),
			}
		})
	}
	return t.each(ctx, `
		insert into usage_revision (organization, fact, bucket, grain, series, revised_at, `+prefixed(`old_`)+`, `+prefixed(`new_`)+`)
		values (?, ?, ?, ?, ?, ?`+strings.Repeat(`, ?`, 14)+`)`, len(revisions), func(i int) []any {
		r := revisions[i]
		args := []any{t.organization, string(f), r.Bucket, int64(r.Grain), r.Series, r.RevisedAt.Unix()}
		for _, side := range []storage.RevisedFigures{r.Old, r.New} {
			for _, c := range side.Counts {
				args = append(args, c)
			}
			args = append(args, side.Requests)
		}
		return args
	})
}

// prefixed are the columns of one side of a revision of usage.
func prefixed(side string) string {
	return side + strings.ReplaceAll(countColumns+`, requests`, `, `, `, `+side)
}

func (t *tx) PutShares(ctx context.Context, table storage.Table, shares []storage.RowShare) error {
	names := strings.Split(billColumns, ", ")
	return t.each(ctx, `
		update `+string(table)+` set `+strings.Join(names, ` = ?, `)+` = ?
		where organization = ? and bucket = ? and series = ?
			and (`+billColumns+`) is not (?, ?, ?, ?, ?, ?)`, len(shares), func(i int) []any {
		s := shares[i]
		var bill []any
		for _, b := range s.Bill {
			bill = append(bill, int64(b))
		}
		return append(append(bill, t.organization, s.Bucket, s.Series), bill...)
	})
}

func (t *tx) ClearShares(ctx context.Context, day spend.Window) error {
	for _, table := range []storage.Table{storage.UsageHour, storage.UsageDay} {
		_, err := t.ExecContext(ctx, `
			update `+string(table)+` set `+strings.ReplaceAll(billColumns, `,`, ` = null,`)+` = null
			where organization = ? and bucket >= ? and bucket < ?`, t.organization, day.Start.Unix(), day.End.Unix())
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) PutRests(ctx context.Context, rests []storage.RowRest) error {
	return t.each(ctx, `
		update cost_day set rest = ?, rest_list = ?
		where organization = ? and bucket = ? and series = ? and (rest, rest_list) is not (?, ?)`, len(rests), func(i int) []any {
		r := rests[i]
		return []any{int64(r.Rest), int64(r.List), t.organization, r.Bucket, r.Series, int64(r.Rest), int64(r.List)}
	})
}
