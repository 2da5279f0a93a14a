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

// foldedPrice is the price state of a sum: uncertain if any row's is, else priced if any is, else
// what all are.
const foldedPrice = "coalesce(max(price) filter (where price in (1, 2)), max(price))"

func (t *tx) MixedPrices(ctx context.Context, table storage.Table, g spend.Grain, w spend.Window) ([]time.Time, error) {
	rows, _ := t.Query(ctx, fmt.Sprintf(`
		select distinct start
		from (
			select date_bin('%d seconds', bucket, 'epoch') start
			from %s
			where organization = $1 and bucket >= $2 and bucket < $3
			group by 1, series
			having min(price) = 0 and max(price) > 0) mixed
		order by start`, int64(g), table),
		t.organization, w.Start, w.End)
	return pgx.CollectRows(rows, pgx.RowTo[time.Time])
}

func (t *tx) FoldMinutes(ctx context.Context, hour spend.Window) error {
	columns := slices.Concat(countColumns, prefixed("est_", amountColumns), prefixed("cal_", amountColumns))
	delete(t.known, storage.UsageHour)
	return t.exec(ctx, `
		insert into usage_hour (organization, bucket, series, price, `+strings.Join(columns, ", ")+`)
		select organization, $2, series, `+foldedPrice+`, `+each(columns, "sum(%)::bigint")+`
		from usage_minute
		where organization = $1 and bucket >= $2 and bucket < $3
		group by organization, series`,
		t.organization, hour.Start, hour.End)
}

func (t *tx) FoldDay(ctx context.Context, f spend.Fact, day spend.Window) (int64, error) {
	var from, into storage.Table
	var columns, values []string
	switch f {
	case spend.FactRequests:
		from, into = storage.RequestHour, storage.RequestDay
		columns, values = []string{"requests"}, []string{"requests"}
	case spend.FactCost:
		from, into = storage.CostHour, storage.CostDay
		columns, values = []string{"amount", "list", "rest", "rest_list"}, []string{"amount", "list", "amount", "list"}
	default:
		from, into = storage.UsageHour, storage.UsageDay
		columns = slices.Concat(countColumns, prefixed("est_", amountColumns), prefixed("cal_", amountColumns), prefixed("bill_", amountColumns))
		values = columns
	}
	insert, sums := strings.Join(columns, ", "), each(values, "sum(%)::bigint")
	if f == spend.FactUsage {
		insert, sums = "price, "+insert, foldedPrice+", "+sums
	}
	var removed int64
	err := t.QueryRow(ctx, `
		with hours as (
			delete from `+string(from)+`
			where organization = $1 and bucket >= $2 and bucket < $3
			returning *),
		days as (
			insert into `+string(into)+` (organization, bucket, series, `+insert+`)
			select organization, $2, series, `+sums+`
			from hours
			group by organization, series)
		select count(*)
		from hours`,
		t.organization, day.Start, day.End).Scan(&removed)
	delete(t.known, from)
	delete(t.known, into)
	return removed, err
}
