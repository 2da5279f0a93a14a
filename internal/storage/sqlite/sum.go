package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Sum sums over the table joined with series, where those are asked for.
func (t *tx) Sum(ctx context.Context, p storage.Part, g storage.Grouping) ([]storage.Sum, error) {
	var s storage.Sum
	counts := func(i int) any { return &s.Counts[i] }
	amounts := func(i int) any { return (*int64)(&s.Amounts[i]) }
	money := func(i int) any { return (*int64)([]*spend.Money{&s.Amount, &s.List}[i]) }
	q := sumQuery{part: p, grouping: g, sum: &s}
	switch p.Figures {
	case storage.CountFigures:
		q.pick(countColumns, counts)
	case storage.RequestFigures:
		q.pick(`requests`, func(int) any { return &s.Requests })
	case storage.BillFigures:
		q.pick(billColumns, amounts)
		q.filter = ` and u.bill_output is not null`
	case storage.AmountFigures:
		q.pick(`amount, list`, money)
	case storage.OpenFigures:
		q.pick(`amount, list`, money)
		q.filter = ` and u.series in (select id from series where cost_type not in ('tokens', 'web_search'))`
	case storage.RestFigures:
		q.pick(`rest, rest_list`, money)
		q.filter = ` and (u.rest <> 0 or u.rest_list <> 0)`
	case storage.EstimateFigures:
		var unpriced bool
		q.pick(calColumns, amounts)
		q.pick(estColumns, func(i int) any { return (*int64)(&s.Lists[i]) })
		q.picks = append(q.picks, `max(u.price = 2)`, `min(u.price) = 0`)
		q.to = append(q.to, &s.Uncertain, &unpriced)
		some := false
		sums, err := q.run(ctx, t, func() { some = some || unpriced })
		if err != nil || !some {
			return sums, err
		}
		// What has no price is rare: it is not summed in the same breath, which would double the time.
		s = storage.Sum{}
		u := sumQuery{part: p, grouping: g, sum: &s, filter: ` and u.price = 0`}
		u.pick(countColumns, func(i int) any { return &s.Unpriced[i] })
		more, err := u.run(ctx, t, func() {})
		return append(sums, more...), err
	default:
		return nil, fmt.Errorf("figures %d are not known", p.Figures)
	}
	return q.run(ctx, t, func() {})
}

// sumQuery is a query that is being put together, and where its rows are scanned to.
type sumQuery struct {
	part     storage.Part
	grouping storage.Grouping
	sum      *storage.Sum
	picks    []string
	to       []any
	filter   string
}

// pick adds the sums of columns.
func (q *sumQuery) pick(columns string, target func(i int) any) {
	for i, c := range strings.Split(columns, ", ") {
		q.picks = append(q.picks, `sum(u.`+c+`)`)
		q.to = append(q.to, target(i))
	}
}

// SQLite sorts what it groups, and with temporary tables in memory all of it at once. So a window is
// summed in pieces of about so many rows, and the groups of the pieces are added up here.
const pieceRows = 10_000

// group is what tells the groups of a query apart.
type group struct {
	start int64
	spend.Dims
}

// run runs the query and calls each after every row.
func (q *sumQuery) run(ctx context.Context, t *tx, each func()) ([]storage.Sum, error) {
	g := q.grouping
	var start, count int64
	var groups []string
	var keys []any
	grain := int64(q.part.Table.Grain())
	asStored := int64(g.Step) == grain // no group is in two pieces
	switch {
	case asStored:
		groups, keys = append(groups, `u.bucket`), append(keys, &start)
	case g.Step != 0:
		groups, keys = append(groups, fmt.Sprintf(`u.bucket - u.bucket %% %d`, int64(g.Step))), append(keys, &start)
	}
	for _, d := range g.By {
		groups = append(groups, `s.`+d.Column())
		keys = append(keys, q.sum.Field(d))
	}
	query := `select ` + strings.Join(slices.Concat(groups, q.picks, []string{`count(*)`}), `, `) + ` from ` + string(q.part.Table) + ` u`
	if len(g.By) > 0 || len(g.Where) > 0 {
		query += ` join series s on s.id = u.series`
	}
	query += ` where u.organization = ? and u.bucket >= ? and u.bucket < ?` + q.filter
	from, end := q.part.Window.Start.Unix(), q.part.Window.End.Unix()
	args := []any{t.organization, from, end}
	for _, m := range g.Where {
		query += ` and s.` + m.Dimension.Column() + ` in (` + strings.TrimSuffix(strings.Repeat(`?, `, len(m.Values)), `, `) + `)`
		for _, v := range m.Values {
			args = append(args, v)
		}
	}
	length := grain
	if len(groups) > 0 {
		query += ` group by ` + strings.Join(groups, `, `)
	} else {
		query += ` having count(*) > 0`
		length = end - from // nothing is sorted
	}
	stmt, err := t.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	var all []storage.Sum
	places := map[group]int{}
	to := slices.Concat(keys, q.to, []any{&count})
	piece := func() (rows int64, err error) {
		found, err := stmt.QueryContext(ctx, args...)
		if err != nil {
			return 0, err
		}
		defer found.Close()
		for found.Next() {
			if err := found.Scan(to...); err != nil {
				return 0, err
			}
			if !g.Fits(len(all) + 1) {
				return 0, storage.ErrTooMany
			}
			rows += count
			q.sum.Start = time.Time{}
			if g.Step != 0 {
				q.sum.Start = unix(start)
			}
			each()
			if asStored {
				all = append(all, *q.sum)
				continue
			}
			place, known := places[group{start, q.sum.Dims}]
			if !known {
				places[group{start, q.sum.Dims}] = len(all)
				all = append(all, *q.sum)
				continue
			}
			all[place].Add(q.sum)
		}
		return rows, found.Err()
	}
	for from < end {
		args[1], args[2] = from, min(from+length, end)
		rows, err := piece()
		if err != nil {
			return nil, err
		}
		from += length
		switch {
		case rows < pieceRows/2:
			length *= 2
		case rows > pieceRows && length > grain:
			length /= 2
		}
	}
	return all, nil
}
