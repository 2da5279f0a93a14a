package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Sum sums over the table joined with series, where those are asked for.
func (t *tx) Sum(ctx context.Context, p storage.Part, g storage.Grouping) ([]storage.Sum, error) {
	var s storage.Sum
	var start int64
	var groups, picks []string
	var to []any
	if g.Step != 0 {
		groups = append(groups, fmt.Sprintf(`u.bucket - u.bucket %% %d`, int64(g.Step)))
		to = append(to, &start)
	}
	for _, d := range g.By {
		groups = append(groups, `s.`+d.Column())
		to = append(to, s.Field(d))
	}
	sums := func(columns string, form string, target func(i int) any) {
		for i, c := range strings.Split(columns, ", ") {
			picks = append(picks, fmt.Sprintf(form, c))
			to = append(to, target(i))
		}
	}
	filter := ``
	counts := func(i int) any { return &s.Counts[i] }
	amounts := func(i int) any { return (*int64)(&s.Amounts[i]) }
	switch p.Figures {
	case storage.CountFigures:
		sums(countColumns, `sum(u.%s)`, counts)
	case storage.RequestFigures:
		sums(`requests`, `sum(u.%s)`, func(int) any { return &s.Requests })
	case storage.EstimateFigures:
		sums(estColumns, `sum(u.%s)`, amounts)
		sums(countColumns, `sum(case when u.price = 0 then u.%s else 0 end)`, func(i int) any { return &s.Unpriced[i] })
		sums(`price`, `max(u.%s = 2)`, func(int) any { return &s.Uncertain })
	case storage.BillFigures:
		sums(billColumns, `sum(u.%s)`, amounts)
		filter = ` and u.bill_output is not null`
	case storage.AmountFigures, storage.OpenFigures, storage.RestFigures:
		cs := `amount, list`
		switch p.Figures {
		case storage.OpenFigures:
			filter = ` and s.cost_type not in ('tokens', 'web_search')`
		case storage.RestFigures:
			cs, filter = `rest, rest_list`, ` and (u.rest <> 0 or u.rest_list <> 0)`
		}
		sums(cs, `sum(u.%s)`, func(i int) any { return (*int64)([]*spend.Money{&s.Amount, &s.List}[i]) })
	default:
		return nil, fmt.Errorf("figures %d are not known", p.Figures)
	}
	args := []any{t.organization, p.Window.Start.Unix(), p.Window.End.Unix()}
	for _, m := range g.Where {
		filter += ` and s.` + m.Dimension.Column() + ` in (` + strings.TrimSuffix(strings.Repeat(`?, `, len(m.Values)), `, `) + `)`
		for _, v := range m.Values {
			args = append(args, v)
		}
	}
	query := `select ` + strings.Join(append(groups, picks...), `, `) + `
		from ` + string(p.Table) + ` u`
	if len(g.By) > 0 || len(g.Where) > 0 || p.Figures == storage.OpenFigures {
		query += ` join series s on s.id = u.series`
	}
	query += ` where u.organization = ? and u.bucket >= ? and u.bucket < ?` + filter
	if len(groups) > 0 {
		query += ` group by ` + strings.Join(groups, `, `)
	} else {
		query += ` having count(*) > 0`
	}
	rows, err := t.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []storage.Sum
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		if g.Step != 0 {
			s.Start = unix(start)
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
