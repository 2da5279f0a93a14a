package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// mergedPrice is the price state of a sum: uncertain if any row's is, else priced if any is, else
// what all are.
const mergedPrice = "coalesce(max(price) filter (where price in (1, 2)), max(price))"

// MixedPrices lists buckets in which a series has rows of price 0 and others.
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

// FoldMinutes sums the minutes of an hour up in usage_hour.
func (t *tx) FoldMinutes(ctx context.Context, hour spend.Window) error {
	columns := slices.Concat(countColumns, prefixed("est_", amountColumns))
	return t.exec(ctx, `
		insert into usage_hour (organization, bucket, series, price, `+strings.Join(columns, ", ")+`)
		select organization, $2, series, `+mergedPrice+`, `+each(columns, "sum(%)::bigint")+`
		from usage_minute
		where organization = $1 and bucket >= $2 and bucket < $3
		group by organization, series`,
		t.organization, hour.Start, hour.End)
}

// FoldDay sums the hours of a day up in the day table and removes them.
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
		columns = slices.Concat(countColumns, prefixed("est_", amountColumns), prefixed("bill_", amountColumns))
		values = columns
	}
	insert, sums := strings.Join(columns, ", "), each(values, "sum(%)::bigint")
	if f == spend.FactUsage {
		insert, sums = "price, "+insert, mergedPrice+", "+sums
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

// partition is a partition of usage_minute and the UTC day it holds.
type partition struct {
	name string
	day  spend.Window
}

// partitionLock is the advisory lock under which partitions are made, as several organizations may
// need the same one at the same time.
const partitionLock = "hashtextextended('anthropic-monitor partition', 0)"

// makePartitions makes the partitions that the rows need and that are not there yet. Attaching a
// table, other than creating one in its place, does not make readers wait.
func (t *tx) makePartitions(ctx context.Context, rows []storage.Row) error {
	days := map[int64]bool{}
	for _, r := range rows {
		days[r.Bucket/int64(spend.Day)] = true
	}
	if len(days) == 0 {
		return nil
	}
	// From here on no one can drop a partition before this transaction ends.
	if err := t.exec(ctx, "lock table usage_minute in row exclusive mode"); err != nil {
		return err
	}
	locked := false
	for d := range days {
		p := partitionOf(spend.Day.Bucket(unix(d * int64(spend.Day))))
		there, err := t.exists(ctx, p.name)
		if err != nil {
			return err
		}
		if !there && !locked {
			if err := t.exec(ctx, "select pg_advisory_xact_lock("+partitionLock+")"); err != nil {
				return err
			}
			locked = true
			if there, err = t.exists(ctx, p.name); err != nil {
				return err
			}
		}
		if there {
			continue
		}
		err = t.exec(ctx, "create table "+p.name+" (like usage_minute including all)")
		if err != nil {
			return err
		}
		err = t.exec(ctx, fmt.Sprintf("alter table usage_minute attach partition %s for values from ('%s') to ('%s')",
			p.name, p.day.Start.Format(time.RFC3339), p.day.End.Format(time.RFC3339)))
		if err != nil {
			return err
		}
	}
	return nil
}

const partitionPrefix, partitionDay = "usage_minute_", "20060102"

func partitionOf(day spend.Window) partition {
	return partition{partitionPrefix + day.Start.Format(partitionDay), day}
}

func (t *tx) exists(ctx context.Context, table string) (bool, error) {
	var there bool
	err := t.QueryRow(ctx, "select to_regclass($1) is not null", table).Scan(&there)
	return there, err
}

// partitions lists the partitions that lie in the window.
func (t *tx) partitions(ctx context.Context, w spend.Window) ([]partition, error) {
	rows, _ := t.Query(ctx, `
		select c.relname
		from pg_inherits i
		join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'usage_minute'::regclass
		order by c.relname`)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var ps []partition
	for _, n := range names {
		day, err := time.Parse(partitionDay, strings.TrimPrefix(n, partitionPrefix))
		if err != nil {
			continue // made by hand
		}
		if p := partitionOf(spend.Day.Bucket(day)); w.Covers(p.day) {
			ps = append(ps, p)
		}
	}
	return ps, nil
}

// PruneMinutes drops the partitions in the window that no other organization has rows in, and
// deletes the other rows.
func (t *tx) PruneMinutes(ctx context.Context, w spend.Window) (int64, error) {
	ps, err := t.partitions(ctx, w)
	if err != nil {
		return 0, err
	}
	dropped, removed, err := t.dropPartitions(ctx, ps)
	if err != nil {
		return 0, err
	}
	if dropped {
		delete(t.known, storage.UsageMinute)
	}
	tag, err := t.Exec(ctx, "delete from usage_minute where organization = $1 and bucket >= $2 and bucket < $3",
		t.organization, w.Start, w.End)
	return removed + tag.RowsAffected(), err
}

// dropPartitions drops those partitions that no other organization has rows in and returns how many
// rows of this one they held. Where other transactions keep a lock it does without: the next
// pruning comes.
func (t *tx) dropPartitions(ctx context.Context, ps []partition) (bool, int64, error) {
	var names []string
	var removed int64
	for _, p := range ps {
		// Keeps writers of other organizations out until the partition is gone, not readers.
		if err := t.exec(ctx, "lock table "+p.name+" in share mode"); err != nil {
			return false, 0, err
		}
		var own, others int64
		err := t.QueryRow(ctx, `
			select count(*) filter (where organization = $1), count(*) filter (where organization <> $1)
			from `+p.name, t.organization).Scan(&own, &others)
		if err != nil {
			return false, 0, err
		}
		if others == 0 {
			names = append(names, p.name)
			removed += own
		}
	}
	if len(names) == 0 {
		return false, 0, nil
	}
	// Dropping waits for readers, and other readers would wait behind it.
	err := pgx.BeginFunc(ctx, t.Tx, func(inner pgx.Tx) error {
		if _, err := inner.Exec(ctx, "set local lock_timeout = '300ms'"); err != nil {
			return err
		}
		if _, err := inner.Exec(ctx, "drop table "+strings.Join(names, ", ")); err != nil {
			return err
		}
		_, err := inner.Exec(ctx, "set local lock_timeout = default")
		return err
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == lockNotAvailable {
		return false, 0, nil
	}
	return err == nil, removed, err
}
