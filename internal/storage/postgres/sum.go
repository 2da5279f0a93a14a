package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Sum sums rows by series first and by the dimensions asked for then, so that the names of series
// are looked up once for each and not for each row.
func (t *tx) Sum(ctx context.Context, p storage.Part, g storage.Grouping) ([]storage.Sum, error) {
	args := []any{t.organization, p.Window.Start, p.Window.End}
	var s storage.Sum
	var start *time.Time // null, as all rows are in one group, if there is no step
	fields := []any{&start}
	bucket := "null::timestamptz"
	if g.Step != 0 {
		bucket = fmt.Sprintf("date_bin('%d seconds', bucket, 'epoch')", int64(g.Step))
	}
	by := []string{"start"}
	for _, d := range g.By {
		by = append(by, "s."+d.Column())
		fields = append(fields, s.Dims.Field(d))
	}
	where := ""
	for _, m := range g.Where {
		args = append(args, m.Values)
		where += fmt.Sprintf(" and %s = any($%d)", m.Dimension.Column(), len(args))
	}
	if p.Figures == storage.OpenFigures {
		where += " and cost_type not in ('tokens', 'web_search')"
	}
	if where != "" {
		where = " and series in (select id from series where organization = $1" + where + ")"
	}
	sums, targets, condition := figures(p.Figures, &s)
	fields = append(fields, targets...)
	inner, outer := make([]string, len(sums)), make([]string, len(sums))
	for i, x := range sums {
		// sum(bigint) is numeric: back to what it must fit in.
		inner[i] = fmt.Sprintf("sum(%s)::bigint n%d", x, i)
		outer[i] = fmt.Sprintf("coalesce(sum(n%d)::bigint, 0)", i)
	}
	rows, err := t.Query(ctx, `
		select `+strings.Join(by, ", ")+`, `+strings.Join(outer, ", ")+`
		from (
			select `+bucket+` start, series, `+strings.Join(inner, ", ")+`
			from `+string(p.Table)+`
			where organization = $1 and bucket >= $2 and bucket < $3`+condition+where+`
			group by 1, 2) f
		join series s on s.id = f.series
		group by `+strings.Join(by, ", "), args...)
	if err != nil {
		return nil, err
	}
	var uncertain *int64
	if p.Figures == storage.EstimateFigures {
		uncertain = fields[len(fields)-1].(*int64)
	}
	var out []storage.Sum
	_, err = pgx.ForEachRow(rows, fields, func() error {
		x := s
		if start != nil {
			x.Start = *start
		}
		x.Uncertain = uncertain != nil && *uncertain > 0
		out = append(out, x)
		return nil
	})
	return out, err
}

// figures are the expressions that are summed up for figures, where in s the sums go, and which
// rows count. Of estimates the last sum counts the rows whose price is uncertain.
func figures(f storage.Figures, s *storage.Sum) (sums []string, targets []any, condition string) {
	add := func(column string, target *int64) {
		sums, targets = append(sums, column), append(targets, target)
	}
	switch f {
	case storage.CountFigures:
		for k, c := range countColumns {
			add(c, &s.Counts[k])
		}
	case storage.RequestFigures:
		add("requests", &s.Requests)
	case storage.EstimateFigures:
		for k, c := range amountColumns {
			add("est_"+c, (*int64)(&s.Amounts[k]))
		}
		for k, c := range countColumns {
			add("case when price = 0 then "+c+" end", &s.Unpriced[k])
		}
		add("case when price = 2 then 1 end", new(int64))
	case storage.BillFigures:
		for k, c := range amountColumns {
			add("bill_"+c, (*int64)(&s.Amounts[k]))
		}
		condition = " and bill_output is not null"
	case storage.RestFigures:
		add("rest", (*int64)(&s.Amount))
		add("rest_list", (*int64)(&s.List))
		condition = " and (rest <> 0 or rest_list <> 0)"
	default: // AmountFigures, OpenFigures
		add("amount", (*int64)(&s.Amount))
		add("list", (*int64)(&s.List))
	}
	return sums, targets, condition
}

// State is when the organization went live and where its counters stand.
func (t *tx) State(ctx context.Context) (time.Time, int64, error) {
	var live *time.Time
	var counted int64
	err := t.QueryRow(ctx, "select live_at, counted_seq from organization where id = $1", t.organization).Scan(&live, &counted)
	return orZero(live), counted, err
}

// Counters reads all counters.
func (t *tx) Counters(ctx context.Context) ([]storage.StoredCounter, error) {
	return counters(ctx, t, t.organization)
}

func counters(ctx context.Context, q querier, organization int32) ([]storage.StoredCounter, error) {
	rows, _ := q.Query(ctx, `
		select id, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type, total, shown, folded
		from counter
		where organization = $1
		order by id`,
		organization)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.StoredCounter, error) {
		var c storage.StoredCounter
		err := row.Scan(&c.ID, &c.Name, &c.WorkspaceID, &c.APIKeyID, &c.Model, &c.ServiceTier, &c.CostType, &c.TokenType,
			&c.Total, &c.Shown, &c.Folded)
		return c, err
	})
}

// CounterDay reads a day's parts of the totals.
func (t *tx) CounterDay(ctx context.Context, day time.Time) (map[int64]int64, error) {
	rows, err := t.Query(ctx, "select counter, value from counter_day where organization = $1 and day = $2", t.organization, day)
	if err != nil {
		return nil, err
	}
	parts := map[int64]int64{}
	var counter, value int64
	_, err = pgx.ForEachRow(rows, []any{&counter, &value}, func() error {
		parts[counter] = value
		return nil
	})
	return parts, err
}

// PutCounters writes counters.
func (t *tx) PutCounters(ctx context.Context, counters []*storage.StoredCounter) error {
	batch := &pgx.Batch{}
	for _, c := range counters {
		if c.ID != 0 {
			batch.Queue("update counter set total = $3, shown = $4, folded = $5 where organization = $1 and id = $2",
				t.organization, c.ID, c.Total, c.Shown, c.Folded)
			continue
		}
		batch.Queue(`
			insert into counter (organization, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type,
				total, shown, folded)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			returning id`,
			t.organization, c.Name, c.WorkspaceID, c.APIKeyID, c.Model, c.ServiceTier, c.CostType, c.TokenType,
			c.Total, c.Shown, c.Folded).QueryRow(func(row pgx.Row) error { return row.Scan(&c.ID) })
	}
	return t.SendBatch(ctx, batch).Close()
}

// PutCounterDay replaces a day's parts of the totals.
func (t *tx) PutCounterDay(ctx context.Context, day time.Time, parts map[int64]int64) error {
	if err := t.exec(ctx, "delete from counter_day where organization = $1 and day = $2", t.organization, day); err != nil {
		return err
	}
	var counters, values []int64
	for c, v := range parts {
		counters, values = append(counters, c), append(values, v)
	}
	return t.exec(ctx, `
		insert into counter_day (organization, day, counter, value)
		select $1, $2, n.*
		from unnest($3::int[], $4::bigint[]) n`,
		t.organization, day, counters, values)
}

// PutCounted stores where the counters stand.
func (t *tx) PutCounted(ctx context.Context, counted int64) error {
	return t.exec(ctx, "update organization set counted_seq = $2 where id = $1", t.organization, counted)
}
