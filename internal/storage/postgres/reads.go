package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Organizations lists all organizations.
func (s *Store) Organizations(ctx context.Context) ([]storage.OrganizationState, error) {
	return list(ctx, s, "listing organizations", `
		select uuid, name, first_seen_at, live_at, price_version
		from organization
		order by first_seen_at, id`, nil, func(row pgx.CollectableRow) (storage.OrganizationState, error) {
		var o storage.OrganizationState
		var live *time.Time
		err := row.Scan(&o.ID, &o.Name, &o.FirstSeenAt, &live, &o.PriceVersion)
		o.LiveAt = orZero(live)
		return o, err
	})
}

// SaveOrganization makes an organization known, or renames it.
func (s *Store) SaveOrganization(ctx context.Context, o spend.Organization, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
		insert into organization (uuid, name, first_seen_at)
		values ($1, $2, $3)
		on conflict (uuid) do update
		set name = excluded.name
		where organization.name <> excluded.name`,
		o.ID, o.Name, now)
	return s.fail(ctx, "saving the organization", err)
}

// organizationID is the id of an organization in the tables; [storage.ErrNotFound] if it is not known.
func organizationID(ctx context.Context, q querier, organization string) (int32, error) {
	var id int32
	err := q.QueryRow(ctx, "select id from organization where uuid = $1", organization).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("organization %q: %w", organization, storage.ErrNotFound)
	}
	return id, err
}

// querier is a connection, the pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// list runs a query and translates each of its rows.
func list[T any](ctx context.Context, s *Store, doing, query string, args []any, row pgx.RowToFunc[T]) ([]T, error) {
	all, err := collect(ctx, s.pool, query, args, row)
	if err != nil {
		return nil, s.fail(ctx, doing, err)
	}
	return all, nil
}

func collect[T any](ctx context.Context, q querier, query string, args []any, row pgx.RowToFunc[T]) ([]T, error) {
	rows, _ := q.Query(ctx, query, args...) // CollectRows returns its error
	return pgx.CollectRows(rows, row)
}

// Usage sums usage and request counts.
func (s *Store) Usage(ctx context.Context, q storage.Query) (r storage.UsageResult, err error) {
	err = s.summing(ctx, "summing usage", func(os []storage.OrganizationTx) error {
		r, err = storage.SumUsage(ctx, os, q)
		return err
	})
	return r, err
}

// Costs sums cost.
func (s *Store) Costs(ctx context.Context, q storage.Query) (r storage.CostResult, err error) {
	err = s.summing(ctx, "summing costs", func(os []storage.OrganizationTx) error {
		r, err = storage.SumCosts(ctx, os, q)
		return err
	})
	return r, err
}

// summing runs f with all organizations in one state of the database.
func (s *Store) summing(ctx context.Context, doing string, f func([]storage.OrganizationTx) error) error {
	return s.reading(ctx, doing, func(ptx pgx.Tx) error {
		// A dropped partition is gone for who began to read before, too: none may be dropped from here on.
		// The state that is seen is the one at the first query, after this.
		begin := &pgx.Batch{}
		begin.Queue("lock table usage_minute in access share mode")
		// Of days that have just been written the database has no statistics: it would take them for empty
		// and look the series up for each row.
		begin.Queue("set local enable_nestloop = off")
		if err := ptx.SendBatch(ctx, begin).Close(); err != nil {
			return err
		}
		os, err := organizations(ctx, ptx)
		if err != nil {
			return err
		}
		return f(os)
	})
}

// organizations are all organizations, to be read in the transaction.
func organizations(ctx context.Context, ptx pgx.Tx) ([]storage.OrganizationTx, error) {
	rows, _ := ptx.Query(ctx, "select id, uuid from organization order by id")
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.OrganizationTx, error) {
		t := &tx{Tx: ptx}
		o := storage.OrganizationTx{Tx: t}
		err := row.Scan(&t.organization, &o.Organization)
		return o, err
	})
}

// onOrganization runs f on the organization; one that is not known leaves the result as it is.
func (s *Store) onOrganization(ctx context.Context, doing, organization string, f func(*tx) error) error {
	return s.reading(ctx, doing, func(ptx pgx.Tx) error {
		id, err := organizationID(ctx, ptx, organization)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return f(&tx{Tx: ptx, organization: id})
	})
}

// Slots lists the ledger's slots that overlap the window.
func (s *Store) Slots(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Slot, error) {
	slots := []storage.Slot{}
	err := s.onOrganization(ctx, "reading the ledger", organization, func(t *tx) (err error) {
		slots, err = t.Slots(ctx, f, w)
		return err
	})
	return slots, err
}

// Changed lists the days whose figures changed.
func (s *Store) Changed(ctx context.Context, organization string, since int64) ([]time.Time, int64, error) {
	days, seq := []time.Time{}, int64(0)
	err := s.onOrganization(ctx, "reading changes", organization, func(t *tx) (err error) {
		days, seq, err = t.ChangedSince(ctx, since)
		return err
	})
	return days, seq, err
}

// Counters lists the running totals.
func (s *Store) Counters(ctx context.Context, organization string) ([]storage.Counter, error) {
	counters := []storage.Counter{}
	err := s.onOrganization(ctx, "reading counters", organization, func(t *tx) error {
		stored, err := t.Counters(ctx)
		for _, c := range stored {
			counters = append(counters, c.Counter)
		}
		return err
	})
	return counters, err
}

// Watermarks lists how far each report has been read.
func (s *Store) Watermarks(ctx context.Context, organization string) ([]storage.Watermark, error) {
	return list(ctx, s, "reading watermarks", `
		select w.report, w.data_at, w.read_at, w.refused_at, w.reason
		from watermark w
		join organization o on o.id = w.organization
		where o.uuid = $1
		order by w.report collate "C"`, []any{organization}, func(row pgx.CollectableRow) (storage.Watermark, error) {
		var w storage.Watermark
		var data, read, refused *time.Time
		err := row.Scan(&w.Report, &data, &read, &refused, &w.Reason)
		w.DataAt, w.ReadAt, w.RefusedAt = orZero(data), orZero(read), orZero(refused)
		return w, err
	})
}

// Revisions lists changes of settled figures.
func (s *Store) Revisions(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Revision, error) {
	args := []any{organization, w.Start, w.End}
	figures, table, filter := append(slices.Clone(countColumns), "requests"), "usage_revision", " and r.fact = $4"
	if f == spend.FactCost {
		figures, table, filter = []string{"amount", "list"}, "cost_revision", ""
	} else {
		args = append(args, string(f))
	}
	return list(ctx, s, "reading revisions", `
		select r.bucket, r.grain, r.revised_at, `+dimColumns("s.")+`, `+each(figures, "r.old_%")+`, `+each(figures, "r.new_%")+`
		from `+table+` r
		join organization o on o.id = r.organization
		join series s on s.id = r.series
		where o.uuid = $1 and r.bucket >= $2 and r.bucket < $3`+filter+`
		order by r.revised_at desc, r.id desc`, args, func(row pgx.CollectableRow) (storage.Revision, error) {
		var r storage.Revision
		to := append([]any{&r.Bucket, &r.Grain, &r.RevisedAt}, fields(&r.Dims)...)
		for _, side := range []*storage.RevisedFigures{&r.Old, &r.New} {
			if f == spend.FactCost {
				to = append(to, (*int64)(&side.Amount), (*int64)(&side.List))
				continue
			}
			for k := range side.Counts {
				to = append(to, &side.Counts[k])
			}
			to = append(to, &side.Requests)
		}
		err := row.Scan(to...)
		return r, err
	})
}
