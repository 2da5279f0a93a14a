package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Organizations lists all organizations.
func (s *Store) Organizations(ctx context.Context) ([]storage.OrganizationState, error) {
	rows, _ := s.pool.Query(ctx, `
		select uuid, name, first_seen_at, live_at, price_version
		from organization
		order by first_seen_at, id`)
	os, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.OrganizationState, error) {
		var o storage.OrganizationState
		var live *time.Time
		err := row.Scan(&o.ID, &o.Name, &o.FirstSeenAt, &live, &o.PriceVersion)
		o.LiveAt = orZero(live)
		return o, err
	})
	return os, s.fail(ctx, "listing organizations", err)
}

// SaveOrganization makes an organization known, or renames it.
func (s *Store) SaveOrganization(ctx context.Context, o spend.Organization, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
		insert into organization (uuid, name, first_seen_at)
		values ($1, $2, $3)
		on conflict (uuid) do update
		set name = excluded.name`,
		o.ID, o.Name, now)
	return s.fail(ctx, "saving an organization", err)
}

// Usage sums usage.
func (s *Store) Usage(ctx context.Context, q storage.Query) (storage.UsageResult, error) {
	var r storage.UsageResult
	err := s.reading(ctx, "summing usage", func(ptx pgx.Tx) error {
		os, err := organizations(ctx, ptx)
		if err == nil {
			r, err = storage.SumUsage(ctx, os, q)
		}
		return err
	})
	return r, err
}

// Costs sums costs.
func (s *Store) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	var r storage.CostResult
	err := s.reading(ctx, "summing costs", func(ptx pgx.Tx) error {
		os, err := organizations(ctx, ptx)
		if err == nil {
			r, err = storage.SumCosts(ctx, os, q)
		}
		return err
	})
	return r, err
}

// organizations are all organizations, as one transaction sees them.
func organizations(ctx context.Context, ptx pgx.Tx) ([]storage.OrganizationTx, error) {
	rows, _ := ptx.Query(ctx, "select id, uuid from organization order by id")
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.OrganizationTx, error) {
		t := &tx{Tx: ptx}
		o := storage.OrganizationTx{Tx: t}
		err := row.Scan(&t.organization, &o.Organization)
		return o, err
	})
}

// of runs a query on one organization.
func of[T any](ctx context.Context, s *Store, doing, organization string, f func(ptx pgx.Tx, id int32) (T, error)) (T, error) {
	var result T
	err := s.reading(ctx, doing, func(ptx pgx.Tx) error {
		id, err := organizationID(ctx, ptx, organization)
		if err == nil {
			result, err = f(ptx, id)
		}
		return err
	})
	return result, err
}

// Slots lists slots of the ledger.
func (s *Store) Slots(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Slot, error) {
	return of(ctx, s, "listing slots", organization, func(ptx pgx.Tx, id int32) ([]storage.Slot, error) {
		return slots(ctx, ptx, id, f, w)
	})
}

// Revisions lists changes of settled figures.
func (s *Store) Revisions(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Revision, error) {
	const usage = `
		select r.bucket, r.grain, r.revised_at,
			r.old_uncached_input, r.old_cache_read_input, r.old_cache_creation_5m_input, r.old_cache_creation_1h_input,
			r.old_output, r.old_web_searches, r.old_requests, 0, 0,
			r.new_uncached_input, r.new_cache_read_input, r.new_cache_creation_5m_input, r.new_cache_creation_1h_input,
			r.new_output, r.new_web_searches, r.new_requests, 0, 0, `
	const cost = `
		select r.bucket, r.grain, r.revised_at,
			0, 0, 0, 0, 0, 0, 0, r.old_amount, r.old_list,
			0, 0, 0, 0, 0, 0, 0, r.new_amount, r.new_list, `
	return of(ctx, s, "listing revisions", organization, func(ptx pgx.Tx, id int32) ([]storage.Revision, error) {
		head, table, args := usage, "usage_revision", []any{id, w.Start, w.End, string(f)}
		condition := "and r.fact = $4"
		if f == spend.FactCost {
			head, table, args, condition = cost, "cost_revision", args[:3], ""
		}
		rows, _ := ptx.Query(ctx, head+dimensionColumns("s.")+`
			from `+table+` r
			join series s on s.id = r.series
			where r.organization = $1 and r.bucket >= $2 and r.bucket < $3 `+condition+`
			order by r.revised_at desc, r.id desc`, args...)
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.Revision, error) {
			var r storage.Revision
			fields := []any{&r.Bucket, &r.Grain, &r.RevisedAt}
			for _, x := range []*storage.RevisedFigures{&r.Old, &r.New} {
				for k := range x.Counts {
					fields = append(fields, &x.Counts[k])
				}
				fields = append(fields, &x.Requests, &x.Amount, &x.List)
			}
			err := row.Scan(append(fields, dimensionFields(&r.Dims)...)...)
			return r, err
		})
	})
}

// Watermarks lists how far each report was read.
func (s *Store) Watermarks(ctx context.Context, organization string) ([]storage.Watermark, error) {
	return of(ctx, s, "listing watermarks", organization, func(ptx pgx.Tx, id int32) ([]storage.Watermark, error) {
		rows, _ := ptx.Query(ctx, `
			select report, data_at, read_at, refused_at, reason
			from watermark
			where organization = $1
			order by report`, id)
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.Watermark, error) {
			var w storage.Watermark
			var data, read, refused *time.Time
			err := row.Scan(&w.Report, &data, &read, &refused, &w.Reason)
			w.DataAt, w.ReadAt, w.RefusedAt = orZero(data), orZero(read), orZero(refused)
			return w, err
		})
	})
}

// Changed lists the days that changed after a change number.
func (s *Store) Changed(ctx context.Context, organization string, since int64) ([]time.Time, int64, error) {
	var newest int64
	days, err := of(ctx, s, "listing changed days", organization, func(ptx pgx.Tx, id int32) (days []time.Time, err error) {
		days, newest, err = changedSince(ctx, ptx, id, since)
		return days, err
	})
	return days, newest, err
}

// Counters lists the running totals.
func (s *Store) Counters(ctx context.Context, organization string) ([]storage.Counter, error) {
	return of(ctx, s, "listing counters", organization, func(ptx pgx.Tx, id int32) ([]storage.Counter, error) {
		stored, err := counters(ctx, ptx, id)
		cs := make([]storage.Counter, len(stored))
		for i, c := range stored {
			cs[i] = c.Counter
		}
		return cs, err
	})
}
