package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

func (t *tx) PutStale(ctx context.Context, days []time.Time) error {
	return t.each(ctx, `
		insert into sum_day (organization, day, holds) values (?, ?, 0)
		on conflict do update set holds = 0 where holds`, len(days), func(i int) []any {
		return []any{t.organization, days[i].Unix()}
	})
}

func (t *tx) StaleDay(ctx context.Context, before time.Time) (time.Time, bool, error) {
	var day int64
	err := t.QueryRowContext(ctx, `
		select day
		from sum_day
		where organization = ? and day < ? and not holds
		order by day desc
		limit 1`, t.organization, before.Unix()).Scan(&day)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return unix(day), err == nil, err
}

func (t *tx) SummedDays(ctx context.Context, w spend.Window) ([]time.Time, error) {
	return collect(ctx, t, `select day from sum_day where organization = ? and day >= ? and day < ? and holds order by day`,
		[]any{t.organization, w.Start.Unix(), w.End.Unix()}, func(scan scanner) (time.Time, error) {
			var day int64
			err := scan(&day)
			return unix(day), err
		})
}

// SumDay adds hour by hour: to group a day at once would sort all of it in memory.
func (t *tx) SumDay(ctx context.Context, day spend.Window) error {
	sums := []struct{ from, into, key, figures, bills string }{
		{`usage_hour`, `usage_sum`, `series, price`, countColumns + `, ` + estColumns + `, ` + calColumns, billColumns},
		{`request_hour`, `request_sum`, `series`, `requests`, ``},
		{`cost_hour`, `cost_sum`, `series`, `amount, list`, ``},
	}
	var written int64
	for _, s := range sums {
		if _, err := t.deleted(ctx, `delete from `+s.into+` where organization = ? and bucket = ?`, t.organization, day.Start.Unix()); err != nil {
			return err
		}
		columns := s.key + `, ` + s.figures
		var sets []string
		for _, c := range strings.Split(s.figures, `, `) {
			sets = append(sets, c+` = `+c+` + excluded.`+c)
		}
		if s.bills != `` {
			columns += `, ` + s.bills
			for _, c := range strings.Split(s.bills, `, `) {
				sets = append(sets, c+` = coalesce(`+c+` + excluded.`+c+`, `+c+`, excluded.`+c+`)`)
			}
		}
		stmt, err := t.PrepareContext(ctx, `
			insert into `+s.into+` (organization, bucket, `+columns+`)
			select organization, ?, `+columns+`
			from `+s.from+`
			where organization = ? and bucket = ?
			on conflict do update set `+strings.Join(sets, `, `))
		if err != nil {
			return err
		}
		for _, h := range day.Buckets(spend.Hour) {
			result, err := stmt.ExecContext(ctx, day.Start.Unix(), t.organization, h.Start.Unix())
			if err != nil {
				return errors.Join(err, stmt.Close())
			}
			n, err := result.RowsAffected()
			if err != nil {
				return errors.Join(err, stmt.Close())
			}
			written += n
		}
		if err := stmt.Close(); err != nil {
			return err
		}
	}
	if written == 0 {
		_, err := t.ExecContext(ctx, `delete from sum_day where organization = ? and day = ?`, t.organization, day.Start.Unix())
		return err
	}
	_, err := t.ExecContext(ctx, `insert or replace into sum_day (organization, day, holds) values (?, ?, 1)`, t.organization, day.Start.Unix())
	return err
}
