package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (t *tx) MixedPrices(ctx context.Context, table storage.Table, g spend.Grain, w spend.Window) ([]time.Time, error) {
	rows, err := t.QueryContext(ctx, fmt.Sprintf(`
		select distinct b
		from (
			select bucket - bucket %% %d as b
			from %s
			where organization = ? and bucket >= ? and bucket < ?
			group by b, series
			having min(price) = 0 and max(price) > 0
		)
		order by b`, int64(g), table), t.organization, w.Start.Unix(), w.End.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var buckets []time.Time
	for rows.Next() {
		var b int64
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		buckets = append(buckets, unix(b))
	}
	return buckets, rows.Err()
}

// foldedPrice is the price state of a sum of usage.
const foldedPrice = `case when max(price = 2) then 2 when max(price = 1) then 1 else max(price) end`

// summed are the columns, summed up.
func summed(columns string) string {
	return `sum(` + strings.ReplaceAll(columns, `, `, `), sum(`) + `)`
}

func (t *tx) FoldMinutes(ctx context.Context, hour spend.Window) error {
	_, err := t.ExecContext(ctx, `
		insert into usage_hour (organization, bucket, series, `+countColumns+`, `+estColumns+`, `+calColumns+`, price)
		select organization, ?, series, `+summed(countColumns)+`, `+summed(estColumns)+`, `+summed(calColumns)+`, `+foldedPrice+`
		from usage_minute
		where organization = ? and bucket >= ? and bucket < ?
		group by series`, hour.Start.Unix(), t.organization, hour.Start.Unix(), hour.End.Unix())
	return err
}

func (t *tx) FoldDay(ctx context.Context, f spend.Fact, day spend.Window) (int64, error) {
	var from, into, names, sums string
	switch f {
	case spend.FactUsage:
		from, into = `usage_hour`, `usage_day`
		names = countColumns + `, ` + estColumns + `, ` + calColumns + `, ` + billColumns + `, price`
		sums = summed(countColumns) + `, ` + summed(estColumns) + `, ` + summed(calColumns) + `, ` + summed(billColumns) + `, ` + foldedPrice
	case spend.FactRequests:
		from, into, names, sums = `request_hour`, `request_day`, `requests`, `sum(requests)`
	case spend.FactCost:
		from, into, names = `cost_hour`, `cost_day`, `amount, list, rest, rest_list`
		sums = `sum(amount), sum(list), sum(amount), sum(list)`
	}
	_, err := t.ExecContext(ctx, `
		insert into `+into+` (organization, bucket, series, `+names+`)
		select organization, ?, series, `+sums+`
		from `+from+`
		where organization = ? and bucket >= ? and bucket < ?
		group by series`, day.Start.Unix(), t.organization, day.Start.Unix(), day.End.Unix())
	if err != nil {
		return 0, err
	}
	return t.deleted(ctx, `delete from `+from+` where organization = ? and bucket >= ? and bucket < ?`,
		t.organization, day.Start.Unix(), day.End.Unix())
}

func (t *tx) PruneMinutes(ctx context.Context, w spend.Window) (int64, error) {
	return t.deleted(ctx, `delete from usage_minute where organization = ? and bucket >= ? and bucket < ?`,
		t.organization, w.Start.Unix(), w.End.Unix())
}

// deleted executes a statement and returns how many rows it was about.
func (t *tx) deleted(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
