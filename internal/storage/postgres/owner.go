package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// owner writes what belongs to one organization, over the connection that holds its lock. It is
// safe for concurrent use; its transactions follow one another.
type owner struct {
	store        *Store
	organization int32

	mu     sync.Mutex
	conn   *pgx.Conn // nil once it is lost or released
	series storage.SeriesCache
}

var _ storage.Owner = (*owner)(nil)

// Own takes the organization's lock on a connection of its own.
func (s *Store) Own(ctx context.Context, organization string) (storage.Owner, error) {
	doing := fmt.Sprintf("owning %s", organization)
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, s.fail(ctx, doing, err)
	}
	o, err := own(ctx, conn, organization)
	if err != nil {
		closeConn(conn)
		return nil, s.fail(ctx, doing, err)
	}
	o.store = s
	s.mu.Lock()
	s.owned[o] = true
	s.mu.Unlock()
	return o, nil
}

func own(ctx context.Context, conn *pgx.Conn, organization string) (*owner, error) {
	id, err := organizationID(ctx, conn, organization)
	if err != nil {
		return nil, err
	}
	var locked bool
	if err := conn.QueryRow(ctx, "select pg_try_advisory_lock("+lockID("organization")+")", organization).Scan(&locked); err != nil {
		return nil, err
	}
	if !locked {
		return nil, storage.ErrOwned
	}
	// Only the owner makes series, so that what is not in memory is new. They are read after the
	// lock was taken, when the owner before cannot add any.
	o := &owner{organization: id, conn: conn}
	var x series
	rows, _ := conn.Query(ctx, "select id, "+dimColumns("")+" from series where organization = $1", id)
	_, err = pgx.ForEachRow(rows, append([]any{&x.id}, fields(&x.dims)...), func() error {
		o.series.Add(x.id, &x.dims)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// Release gives the lock back and closes the connection.
func (o *owner) Release() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == nil {
		return nil
	}
	// The server would release the lock by itself, but only some time after the connection closed.
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	_, _ = o.conn.Exec(ctx, "select pg_advisory_unlock_all()")
	o.close()
	return nil
}

func (o *owner) close() {
	closeConn(o.conn)
	o.conn = nil
	o.store.mu.Lock()
	delete(o.store.owned, o)
	o.store.mu.Unlock()
}

// writing runs a transaction on the owner's connection. When that breaks, the lock is gone with it,
// and ownership is lost: whether the transaction was committed is then not known, but it was as a
// whole or not at all.
func (o *owner) writing(ctx context.Context, doing string, f func(*tx) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conn == nil {
		return fmt.Errorf("%s: %w", doing, storage.ErrLost)
	}
	err := o.transact(ctx, f)
	if err != nil && o.conn.IsClosed() {
		o.close()
		return fmt.Errorf("%s: %w: %w", doing, storage.ErrLost, err)
	}
	return o.store.fail(ctx, doing, err)
}

// transact begins and ends a transaction with a context that the caller cannot end: given up in
// these, the driver closes the connection. What runs in between is canceled at the server.
func (o *owner) transact(ctx context.Context, f func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	settled, cancel := settling(ctx)
	defer cancel()
	ptx, err := o.conn.Begin(settled)
	if err != nil {
		return err
	}
	t := &tx{Tx: ptx, organization: o.organization, owner: o, known: map[storage.Table]known{}}
	err = f(t)
	ending, cancel := settling(ctx)
	defer cancel()
	if err != nil {
		_ = ptx.Rollback(ending) // the error that led here says more
		return err
	}
	if err := ptx.Commit(ending); err != nil {
		return err
	}
	for _, x := range t.interned {
		o.series.Add(x.id, &x.dims)
	}
	return nil
}

// settling is a context that does not end with the given one, but in time.
func settling(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
}

func (o *owner) ReplaceUsage(ctx context.Context, r storage.Reading, rows []spend.Usage) (c storage.Change, err error) {
	err = o.writing(ctx, "replacing usage", func(t *tx) error {
		c, err = storage.ReplaceUsage(ctx, t, r, rows)
		return err
	})
	return result(c, err)
}

func (o *owner) ReplaceRequests(ctx context.Context, r storage.Reading, rows []spend.Usage) (c storage.Change, err error) {
	err = o.writing(ctx, "replacing request counts", func(t *tx) error {
		c, err = storage.ReplaceRequests(ctx, t, r, rows)
		return err
	})
	return result(c, err)
}

func (o *owner) ReplaceCosts(ctx context.Context, r storage.Reading, rows []spend.Cost) (c storage.Change, err error) {
	err = o.writing(ctx, "replacing costs", func(t *tx) error {
		c, err = storage.ReplaceCosts(ctx, t, r, rows)
		return err
	})
	return result(c, err)
}

// result is a change that happened, or none beside an error.
func result(c storage.Change, err error) (storage.Change, error) {
	if err != nil {
		return storage.Change{}, err
	}
	return c, nil
}

func (o *owner) Bill(ctx context.Context, day, now time.Time) error {
	return o.writing(ctx, "billing", func(t *tx) error { return storage.Bill(ctx, t, day, now) })
}

func (o *owner) Confirm(ctx context.Context, f spend.Fact, w spend.Window, now time.Time) error {
	return o.writing(ctx, "confirming", func(t *tx) error { return storage.Confirm(ctx, t, f, w, now) })
}

func (o *owner) Reestimate(ctx context.Context, from time.Time, priceVersion string, estimate func(*spend.Usage)) error {
	const doing = "estimating anew"
	if err := storage.Reestimate(ctx, o.transacting(doing), from, estimate); err != nil {
		return err
	}
	return o.writing(ctx, doing, func(t *tx) error {
		return t.exec(ctx, "update organization set price_version = $2 where id = $1", t.organization, priceVersion)
	})
}

// transacting is for what takes several transactions.
func (o *owner) transacting(doing string) storage.Transact {
	return func(ctx context.Context, f func(storage.Tx) error) error {
		return o.writing(ctx, doing, func(t *tx) error { return f(t) })
	}
}

func (o *owner) UpdateCounters(ctx context.Context, maxSeries int) error {
	return o.writing(ctx, "updating counters", func(t *tx) error { return storage.UpdateCounters(ctx, t, maxSeries) })
}

func (o *owner) SumDay(ctx context.Context, before time.Time) (some bool, err error) {
	err = o.writing(ctx, "summing a day", func(t *tx) error {
		some, err = storage.SumDay(ctx, t, before)
		return err
	})
	return some && err == nil, err
}

func (o *owner) SetLive(ctx context.Context, now time.Time) error {
	return o.writing(ctx, "going live", func(t *tx) error {
		return t.exec(ctx, "update organization set live_at = $2 where id = $1 and live_at is null", t.organization, now)
	})
}

func (o *owner) SetWatermark(ctx context.Context, w storage.Watermark) error {
	return o.writing(ctx, "setting the watermark", func(t *tx) error {
		return t.exec(ctx, `
			insert into watermark as old (organization, report, data_at, read_at, refused_at, reason)
			values ($1, $2, $3, $4, $5, $6)
			on conflict (organization, report) do update
			set data_at = greatest(old.data_at, excluded.data_at), read_at = coalesce(excluded.read_at, old.read_at),
				refused_at = excluded.refused_at, reason = excluded.reason`,
			t.organization, string(w.Report), orNull(w.DataAt), orNull(w.ReadAt), orNull(w.RefusedAt), w.Reason)
	})
}

func (o *owner) Prune(ctx context.Context, k storage.Keep) (int64, error) {
	var removed int64
	err := o.writing(ctx, "pruning", func(t *tx) (err error) {
		if removed, err = storage.Prune(ctx, t, k); err != nil {
			return err
		}
		alerts, err := t.pruneAlerts(ctx, k)
		if removed += alerts; err != nil {
			return err
		}
		if !k.Hour.IsZero() {
			checks, err := t.pruneChecks(ctx, k.Hour)
			if removed += checks; err != nil {
				return err
			}
		}
		if k.Minute.IsZero() {
			return nil
		}
		runs, err := t.pruneRuns(ctx, k.Minute)
		removed += runs
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// pruneRuns removes runs that started before the time, but the newest and the newest success of
// each job.
func (t *tx) pruneRuns(ctx context.Context, before time.Time) (int64, error) {
	tag, err := t.Exec(ctx, `
		delete from run
		where organization = $1 and started_at < $2 and id not in (`+newestRuns+`)`,
		t.organization, before)
	return tag.RowsAffected(), err
}
