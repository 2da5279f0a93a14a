package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (t *tx) PutStale(ctx context.Context, days []time.Time) error {
	if len(days) == 0 {
		return nil
	}
	return t.exec(ctx, `
		insert into sum_day as old (organization, day, holds)
		select $1, day, false
		from unnest($2::timestamptz[]) day
		on conflict (organization, day) do update
		set holds = false
		where old.holds`,
		t.organization, days)
}

func (t *tx) StaleDay(ctx context.Context, before time.Time) (time.Time, bool, error) {
	var day time.Time
	err := t.QueryRow(ctx, `
		select day
		from sum_day
		where organization = $1 and day < $2 and not holds
		order by day desc
		limit 1`,
		t.organization, before).Scan(&day)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return day, err == nil, err
}

func (t *tx) SummedDays(ctx context.Context, w spend.Window) ([]time.Time, error) {
	return collect(ctx, t, `
		select day
		from sum_day
		where organization = $1 and day >= $2 and day < $3 and holds
		order by day`,
		[]any{t.organization, w.Start, w.End}, pgx.RowTo[time.Time])
}

func (t *tx) SumDay(ctx context.Context, day spend.Window) error {
	sums := []struct {
		from, into   storage.Table
		key, columns []string
	}{
		{storage.UsageHour, storage.UsageSum, []string{"series", "price"},
			slices.Concat(countColumns, prefixed("est_", amountColumns), prefixed("cal_", amountColumns), prefixed("bill_", amountColumns))},
		{storage.RequestHour, storage.RequestSum, []string{"series"}, []string{"requests"}},
		{storage.CostHour, storage.CostSum, []string{"series"}, []string{"amount", "list"}},
	}
	var written int64
	for _, s := range sums {
		err := t.exec(ctx, "delete from "+string(s.into)+" where organization = $1 and bucket = $2", t.organization, day.Start)
		if err != nil {
			return err
		}
		key := strings.Join(s.key, ", ")
		tag, err := t.Exec(ctx, `
			insert into `+string(s.into)+` (organization, bucket, `+key+`, `+strings.Join(s.columns, ", ")+`)
			select $1, $2, `+key+`, `+each(s.columns, "sum(%)::bigint")+`
			from `+string(s.from)+`
			where organization = $1 and bucket >= $2 and bucket < $3
			group by `+key,
			t.organization, day.Start, day.End)
		if err != nil {
			return err
		}
		written += tag.RowsAffected()
		if err := t.analyze(ctx, s.into); err != nil {
			return err
		}
	}
	if written == 0 {
		return t.exec(ctx, "delete from sum_day where organization = $1 and day = $2", t.organization, day.Start)
	}
	return t.exec(ctx, `
		insert into sum_day (organization, day, holds)
		values ($1, $2, true)
		on conflict (organization, day) do update
		set holds = true`,
		t.organization, day.Start)
}

// analyze brings the statistics of a table up to date that has doubled since they were taken. The server
// does so too, but only some time after, and badly planned sums take several times as long.
func (t *tx) analyze(ctx context.Context, table storage.Table) error {
	var grown bool
	err := t.QueryRow(ctx, `
		select size > 0 and (reltuples < 0 or size >= 2 * relpages * current_setting('block_size')::bigint)
		from pg_class c, pg_relation_size(c.oid) size
		where c.oid = $1::text::regclass`,
		string(table)).Scan(&grown)
	if err != nil || !grown {
		return err
	}
	return t.exec(ctx, "analyze "+string(table))
}
