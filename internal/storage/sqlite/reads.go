package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Organizations lists all organizations.
func (s *Store) Organizations(ctx context.Context) ([]storage.OrganizationState, error) {
	return list(ctx, s, "listing organizations", `
		select uuid, name, first_seen_at, live_at, price_version
		from organization
		order by first_seen_at, id`, nil, func(scan scanner) (o storage.OrganizationState, err error) {
		var seen int64
		var live sql.NullInt64
		err = scan(&o.ID, &o.Name, &seen, &live, &o.PriceVersion)
		o.FirstSeenAt, o.LiveAt = unix(seen), null(live)
		return o, err
	})
}

// SaveOrganization makes the organization known, or renames it.
func (s *Store) SaveOrganization(ctx context.Context, o spend.Organization, now time.Time) error {
	return s.writing(ctx, "saving the organization", func(t *sql.Tx) error {
		_, err := t.ExecContext(ctx, `
			insert into organization (uuid, name, first_seen_at)
			values (?, ?, ?)
			on conflict (uuid) do update set name = excluded.name
			where name <> excluded.name`, o.ID, o.Name, now.Unix())
		return err
	})
}

// organizationID is the number of an organization; [storage.ErrNotFound] if it is not known.
func (s *Store) organizationID(ctx context.Context, organization string) (id int64, err error) {
	err = s.read.QueryRowContext(ctx, `select id from organization where uuid = ?`, organization).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("organization %q: %w", organization, storage.ErrNotFound)
	}
	return id, s.fail(ctx, "finding the organization", err)
}

// list runs a query and translates each of its rows.
func list[T any](ctx context.Context, s *Store, doing, query string, args []any, row func(scan scanner) (T, error)) ([]T, error) {
	all, err := collect(ctx, s.read, query, args, row)
	if err != nil {
		return nil, s.fail(ctx, doing, err)
	}
	return all, nil
}

// scanner is a row's Scan.
type scanner = func(...any) error

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func collect[T any](ctx context.Context, q querier, query string, args []any, row func(scan scanner) (T, error)) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		x, err := row(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, rows.Err()
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
	return s.reading(ctx, doing, func(t *sql.Tx) error {
		os, err := collect(ctx, t, `select id, uuid from organization order by id`, nil, func(scan scanner) (storage.OrganizationTx, error) {
			var id int64
			var o storage.OrganizationTx
			err := scan(&id, &o.Organization)
			o.Tx = &tx{Tx: t, organization: id}
			return o, err
		})
		if err != nil {
			return err
		}
		return f(os)
	})
}

// onOrganization runs f on the organization; one that is not known leaves the result as it is.
func (s *Store) onOrganization(ctx context.Context, doing, organization string, f func(*tx) error) error {
	return s.reading(ctx, doing, func(t *sql.Tx) error {
		var id int64
		err := t.QueryRowContext(ctx, `select id from organization where uuid = ?`, organization).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return f(&tx{Tx: t, organization: id})
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
		from watermark w join organization o on o.id = w.organization
		where o.uuid = ?
		order by w.report`, []any{organization}, func(scan scanner) (w storage.Watermark, err error) {
		var data, read, refused sql.NullInt64
		err = scan(&w.Report, &data, &read, &refused, &w.Reason)
		w.DataAt, w.ReadAt, w.RefusedAt = null(data), null(read), null(refused)
		return w, err
	})
}

// Revisions lists changes of settled figures.
func (s *Store) Revisions(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Revision, error) {
	args := []any{organization, w.Start.Unix(), w.End.Unix()}
	columns, table, filter := prefixed(`old_`)+`, `+prefixed(`new_`), `usage_revision`, ` and r.fact = ?`
	if f == spend.FactCost {
		columns, table, filter = `old_amount, old_list, new_amount, new_list`, `cost_revision`, ``
	} else {
		args = append(args, f)
	}
	return list(ctx, s, "reading revisions", `
		select r.bucket, r.grain, r.revised_at, `+dimColumns+`, `+columns+`
		from `+table+` r
			join organization o on o.id = r.organization
			join series s on s.id = r.series
		where o.uuid = ? and r.bucket >= ? and r.bucket < ?`+filter+`
		order by r.revised_at desc, r.id desc`, args, func(scan scanner) (r storage.Revision, err error) {
		var bucket, revised int64
		to := append([]any{&bucket, &r.Grain, &revised}, fields(&r.Dims)...)
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
		err = scan(to...)
		r.Bucket, r.RevisedAt = unix(bucket), unix(revised)
		return r, err
	})
}
