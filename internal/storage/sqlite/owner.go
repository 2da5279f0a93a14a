package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// owner implements [storage.Owner]. It holds the lock of the whole file, so it loses the
// organization only by giving it up.
type owner struct {
	store        *Store
	organization string
	id           int64
	series       seriesCache
	mu           sync.RWMutex // read locked while a method runs
	released     bool
}

// Own takes the organization. The first one takes the file's lock with it.
func (s *Store) Own(ctx context.Context, organization string) (storage.Owner, error) {
	id, err := s.organizationID(ctx, organization)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owned[organization] != nil {
		return nil, fmt.Errorf("database %s: %w", s.path, storage.ErrOwned)
	}
	if s.lock == nil {
		lock, err := lockFile(ctx, s.path)
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("database %s: %w", s.path, storage.ErrOwned)
		}
		if err != nil {
			return nil, err
		}
		s.lock = lock
	}
	if err := s.prepareFacts(ctx); err != nil {
		return nil, errors.Join(s.fail(ctx, "preparing", err), s.unlock())
	}
	o := &owner{store: s, organization: organization, id: id}
	s.owned[organization] = o
	return o, nil
}

// unlock gives the file's lock up once no organization is owned; the caller holds s.mu.
func (s *Store) unlock() error {
	if len(s.owned) > 0 || s.lock == nil {
		return nil
	}
	err := s.lock.release()
	s.lock = nil
	return err
}

// Release waits for the method that is running, if any.
func (o *owner) Release() error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	return o.releaseLocked()
}

// releaseLocked is Release for who holds the store's mutex.
func (o *owner) releaseLocked() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.released {
		return nil
	}
	o.released = true
	delete(o.store.owned, o.organization)
	return o.store.unlock()
}

// writing runs f in a transaction on the owned organization.
func (o *owner) writing(ctx context.Context, doing string, f func(*tx) error) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.released {
		return fmt.Errorf("%s: %w", doing, storage.ErrLost)
	}
	fresh := &storage.SeriesCache{}
	err := o.store.writing(ctx, doing, func(t *sql.Tx) error {
		return f(&tx{Tx: t, organization: o.id, prepared: o.store.prepared, series: &o.series, fresh: fresh})
	})
	if err == nil {
		o.series.keep(fresh)
	}
	return err
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
		_, err := t.ExecContext(ctx, `update organization set price_version = ? where id = ?`, priceVersion, o.id)
		return err
	})
}

// transacting is for what takes several transactions, one right after the other. Another process
// that waits to write only looks now and then whether it may: after a long one it is let in.
func (o *owner) transacting(doing string) storage.Transact {
	return func(ctx context.Context, f func(storage.Tx) error) error {
		begun := time.Now()
		err := o.writing(ctx, doing, func(t *tx) error { return f(t) })
		if err == nil && time.Since(begun) > busyLook {
			select {
			case <-ctx.Done():
			case <-time.After(busyLook):
			}
		}
		return err
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
		_, err := t.ExecContext(ctx, `update organization set live_at = ? where id = ? and live_at is null`, now.Unix(), o.id)
		return err
	})
}

func (o *owner) SetWatermark(ctx context.Context, w storage.Watermark) error {
	return o.writing(ctx, "setting the watermark", func(t *tx) error {
		_, err := t.ExecContext(ctx, `
			insert into watermark (organization, report, data_at, read_at, refused_at, reason)
			values (?, ?, ?, ?, ?, ?)
			on conflict do update set
				data_at = case when data_at is null or excluded.data_at > data_at then excluded.data_at else data_at end,
				read_at = coalesce(excluded.read_at, read_at),
				refused_at = excluded.refused_at,
				reason = excluded.reason`,
			o.id, w.Report, orNull(w.DataAt), orNull(w.ReadAt), orNull(w.RefusedAt), w.Reason)
		return err
	})
}

func (o *owner) Prune(ctx context.Context, k storage.Keep) (removed int64, err error) {
	err = o.writing(ctx, "pruning", func(t *tx) error {
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
		// The newest run and the newest success of each job stay: they say when it last worked.
		runs, err := t.deleted(ctx, `
			delete from run
			where organization = ? and started_at < ?
				and id not in (`+newestRuns+`)`, o.id, k.Minute.Unix())
		removed += runs
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
