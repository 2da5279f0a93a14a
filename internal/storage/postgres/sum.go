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
	switch g.Step {
	case 0:
	case p.Table.Grain():
		bucket = "bucket"
	default:
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
	group := "group by 1, 2"
	if g.Step == p.Table.Grain() { // there are no series to sum up first
		inner, group = nil, ""
		for i, x := range sums {
			inner = append(inner, fmt.Sprintf("%s n%d", x, i))
		}
	}
	rows, err := t.Query(ctx, `
		select `+strings.Join(by, ", ")+`, `+strings.Join(outer, ", ")+`
		from (
			select `+bucket+` start, series, `+strings.Join(inner, ", ")+`
			from `+string(p.Table)+`
			where organization = $1 and bucket >= $2 and bucket < $3`+condition+where+`
			`+group+`) f
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
		if !g.Fits(len(out)) {
			return storage.ErrTooMany
		}
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
			add("cal_"+c, (*int64)(&s.Amounts[k]))
			add("est_"+c, (*int64)(&s.Lists[k]))
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
