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

// partition is a partition of usage_minute and the UTC day it holds.
type partition struct {
	name string
	day  spend.Window
}

func partitionOf(day spend.Window) partition {
	return partition{partitionPrefix + day.Start.Format(partitionDay), day}
}

// Names of partitions are the prefix and the day.
const (
	partitionPrefix = "usage_minute_"
	partitionDay    = "20060102"
)

// partitions lists the partitions there are. Unlike to_regclass it sees what was committed since the
// transaction began.
func (t *tx) partitions(ctx context.Context) ([]partition, error) {
	names, err := collect(ctx, t, `
		select c.relname
		from pg_inherits i
		join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'usage_minute'::regclass
		order by c.relname`, nil, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var ps []partition
	for _, n := range names {
		// One that was made by hand has no such name.
		if day, err := time.Parse(partitionDay, strings.TrimPrefix(n, partitionPrefix)); err == nil {
			ps = append(ps, partitionOf(spend.Day.Bucket(day)))
		}
	}
	return ps, nil
}

// makePartitions makes the partitions that the rows need and that are not there yet.
func (t *tx) makePartitions(ctx context.Context, rows []storage.Row) error {
	days := map[int64]bool{}
	for _, r := range rows {
		days[r.Bucket/int64(spend.Day)] = true
	}
	var wanted []partition
	for d := range days {
		wanted = append(wanted, partitionOf(spend.Day.Bucket(unix(d*int64(spend.Day)))))
	}
	missing := func() ([]partition, error) {
		there, err := t.partitions(ctx)
		return slices.DeleteFunc(wanted, func(p partition) bool { return slices.Contains(there, p) }), err
	}
	// From here on no one can drop a partition before this transaction ends.
	if err := t.exec(ctx, "lock table usage_minute in row exclusive mode"); err != nil {
		return err
	}
	wanted, err := missing()
	if err != nil || len(wanted) == 0 {
		return err
	}
	// Of several organizations that need the same partition the first one makes it, the others wait.
	if err := t.exec(ctx, "select pg_advisory_xact_lock("+lockID("partitions")+")", ""); err != nil {
		return err
	}
	if wanted, err = missing(); err != nil {
		return err
	}
	for _, p := range wanted {
		// To create it as a partition would make readers wait; to attach it does not.
		if err := t.exec(ctx, "create table "+p.name+" (like usage_minute including all)"); err != nil {
			return err
		}
		err := t.exec(ctx, fmt.Sprintf("alter table usage_minute attach partition %s for values from ('%s') to ('%s')",
			p.name, p.day.Start.Format(time.RFC3339), p.day.End.Format(time.RFC3339)))
		if err != nil {
			return err
		}
	}
	return nil
}

// PruneMinutes drops the partitions in the window and deletes what rows are left. Where other
// transactions keep the partitions it does without dropping: the next pruning comes.
func (t *tx) PruneMinutes(ctx context.Context, w spend.Window) (int64, error) {
	delete(t.known, storage.UsageMinute)
	ps, err := t.partitions(ctx)
	if err != nil {
		return 0, err
	}
	ps = slices.DeleteFunc(ps, func(p partition) bool { return !w.Covers(p.day) })
	var removed int64
	err = pgx.BeginFunc(ctx, t.Tx, func(inner pgx.Tx) (err error) {
		removed, err = (&tx{Tx: inner, organization: t.organization}).dropPartitions(ctx, ps)
		return err
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == lockNotAvailable {
		removed, err = 0, nil
	}
	if err != nil {
		return 0, err
	}
	tag, err := t.Exec(ctx, "delete from usage_minute where organization = $1 and bucket >= $2 and bucket < $3",
		t.organization, w.Start, w.End)
	return removed + tag.RowsAffected(), err
}

// dropPartitions drops those partitions that no other organization has rows in and returns how many
// rows of this one they held.
func (t *tx) dropPartitions(ctx context.Context, ps []partition) (int64, error) {
	// Dropping waits for readers, and other readers would wait behind it.
	if err := t.exec(ctx, "set local lock_timeout = '300ms'"); err != nil {
		return 0, err
	}
	var names []string
	var removed int64
	for _, p := range ps {
		// Keeps writers of other organizations out until the partition is gone, not readers.
		if err := t.exec(ctx, "lock table "+p.name+" in share mode"); err != nil {
			return 0, err
		}
		var own, others int64
		err := t.QueryRow(ctx, `
			select count(*) filter (where organization = $1), count(*) filter (where organization <> $1)
			from `+p.name, t.organization).Scan(&own, &others)
		if err != nil {
			return 0, err
		}
		if others == 0 {
			names = append(names, p.name)
			removed += own
		}
	}
	if len(names) > 0 {
		if err := t.exec(ctx, "drop table "+strings.Join(names, ", ")); err != nil {
			return 0, err
		}
	}
	return removed, t.exec(ctx, "set local lock_timeout = default")
}
