package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// tx implements [storage.Tx] on a transaction of either pool.
type tx struct {
	*sql.Tx
	organization int64
	prepared     map[string]*sql.Stmt // of the writing connection; nil where the transaction only reads
	series       *seriesCache         // the owner's; nil where the transaction only reads
	fresh        *storage.SeriesCache // series made in this transaction
}

var _ storage.Tx = (*tx)(nil)

// seriesCache holds all series of an owned organization: nobody else makes any.
type seriesCache struct {
	mu     sync.Mutex
	loaded bool
	storage.SeriesCache
}

// keep remembers series whose transaction was committed.
func (c *seriesCache) keep(fresh *storage.SeriesCache) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, d := range fresh.All() {
		c.Add(id, &d)
	}
}

// dimColumns are the columns of series in the order of [spend.Dimensions].
var dimColumns = func() string {
	var cs []string
	for _, d := range spend.Dimensions {
		cs = append(cs, d.Column())
	}
	return strings.Join(cs, ", ")
}()

// fields points at the dimensions in the order of dimColumns.
func fields(d *spend.Dims) []any {
	fs := make([]any, len(spend.Dimensions))
	for i, x := range spend.Dimensions {
		fs[i] = d.Field(x)
	}
	return fs
}

func (t *tx) load(ctx context.Context) error {
	if t.series.loaded {
		return nil
	}
	var known storage.SeriesCache
	rows, err := t.QueryContext(ctx, `select id, `+dimColumns+` from series where organization = ?`, t.organization)
	if err != nil {
		return err
	}
	defer rows.Close()
	var id int64
	var d spend.Dims
	to := append([]any{&id}, fields(&d)...)
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return err
		}
		known.Add(id, &d)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	t.series.SeriesCache, t.series.loaded = known, true
	return nil
}

func (t *tx) Intern(ctx context.Context, n int, dims func(i int) *spend.Dims) ([]int64, error) {
	if n == 0 {
		return nil, nil
	}
	t.series.mu.Lock()
	defer t.series.mu.Unlock()
	if err := t.load(ctx); err != nil {
		return nil, err
	}
	ids := make([]int64, n)
	for i := range ids {
		d := dims(i)
		id, ok := t.series.ID(d)
		if !ok {
			id, ok = t.fresh.ID(d)
		}
		if !ok {
			args := append([]any{t.organization}, fields(d)...)
			for j := range args[1:] {
				args[j+1] = *args[j+1].(*string)
			}
			result, err := t.ExecContext(ctx, `insert into series (organization, `+dimColumns+`) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, args...)
			if err != nil {
				return nil, err
			}
			if id, err = result.LastInsertId(); err != nil {
				return nil, err
			}
			t.fresh.Add(id, d)
		}
		ids[i] = id
	}
	return ids, nil
}

func (t *tx) Dims(ctx context.Context, series []int64) ([]spend.Dims, error) {
	if len(series) == 0 {
		return nil, nil
	}
	t.series.mu.Lock()
	defer t.series.mu.Unlock()
	if err := t.load(ctx); err != nil {
		return nil, err
	}
	dims := make([]spend.Dims, len(series))
	for i, id := range series {
		var ok bool
		if dims[i], ok = t.series.Dims(id); !ok {
			dims[i], ok = t.fresh.Dims(id)
		}
		if !ok {
			return nil, fmt.Errorf("series %d does not exist", id)
		}
	}
	return dims, nil
}

const slotColumns = `start, grain, report, state, read_at, since, suspect_since, suspect_reads`

func (t *tx) Slots(ctx context.Context, f spend.Fact, w spend.Window) ([]storage.Slot, error) {
	// A slot is a day at most, which bounds the search for those that begin before the window.
	rows, err := t.QueryContext(ctx, `
		select `+slotColumns+`
		from ledger
		where organization = ? and fact = ? and start > ? and start < ?
		order by start`, t.organization, f, w.Start.Unix()-int64(spend.Day), w.End.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	slots := []storage.Slot{}
	for rows.Next() {
		var s storage.Slot
		var start, read, since int64
		var suspect sql.NullInt64
		if err := rows.Scan(&start, &s.Grain, &s.Report, &s.State, &read, &since, &suspect, &s.SuspectReads); err != nil {
			return nil, err
		}
		s.Window = max(s.Grain, spend.Hour).Bucket(unix(start))
		s.ReadAt, s.Since, s.SuspectSince = unix(read), unix(since), null(suspect)
		if s.Window.Overlaps(w) {
			slots = append(slots, s)
		}
	}
	return slots, rows.Err()
}

func (t *tx) DropSlots(ctx context.Context, f spend.Fact, slots []storage.Slot) error {
	return t.each(ctx, `delete from ledger where organization = ? and fact = ? and start = ?`, len(slots), func(i int) []any {
		return []any{t.organization, string(f), slots[i].Window.Start.Unix()}
	})
}

func (t *tx) PutSlots(ctx context.Context, f spend.Fact, slots []storage.Slot) error {
	return t.each(ctx, `insert or replace into ledger (organization, fact, `+slotColumns+`) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(slots), func(i int) []any {
		s := slots[i]
		return []any{
			t.organization, string(f), s.Window.Start.Unix(), int64(s.Grain), string(s.Report), string(s.State),
			s.ReadAt.Unix(), s.Since.Unix(), orNull(s.SuspectSince), s.SuspectReads,
		}
	})
}

// each executes the statement n times.
func (t *tx) each(ctx context.Context, query string, n int, args func(i int) []any) error {
	if n == 0 {
		return nil
	}
	stmt, err := t.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	for i := range n {
		if _, err := stmt.ExecContext(ctx, args(i)...); err != nil {
			return errors.Join(err, stmt.Close())
		}
	}
	return stmt.Close()
}

func (t *tx) MarkChanged(ctx context.Context, days []time.Time) error {
	if len(days) == 0 {
		return nil
	}
	var seq int64
	err := t.QueryRowContext(ctx, `
		update organization set change_seq = change_seq + 1
		where id = ?
		returning change_seq`, t.organization).Scan(&seq)
	if err != nil {
		return err
	}
	return t.each(ctx, `insert or replace into day_change (organization, day, seq) values (?, ?, ?)`, len(days), func(i int) []any {
		return []any{t.organization, days[i].Unix(), seq}
	})
}

func (t *tx) ChangedSince(ctx context.Context, since int64) ([]time.Time, int64, error) {
	var seq int64
	if err := t.QueryRowContext(ctx, `select change_seq from organization where id = ?`, t.organization).Scan(&seq); err != nil {
		return nil, 0, err
	}
	rows, err := t.QueryContext(ctx, `select day from day_change where organization = ? and seq > ? order by day`, t.organization, since)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	days := []time.Time{}
	for rows.Next() {
		var day int64
		if err := rows.Scan(&day); err != nil {
			return nil, 0, err
		}
		days = append(days, unix(day))
	}
	return days, seq, rows.Err()
}

func (t *tx) KeyUse(ctx context.Context, keys []string) (map[string]spend.Window, error) {
	uses := map[string]spend.Window{}
	for _, k := range keys {
		var bucket, grain int64
		err := t.QueryRowContext(ctx, `select bucket, grain from key_use where organization = ? and api_key_id = ?`, t.organization, k).Scan(&bucket, &grain)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		uses[k] = spend.Grain(grain).Bucket(unix(bucket))
	}
	return uses, nil
}

func (t *tx) PutKeyUse(ctx context.Context, uses map[string]spend.Window) error {
	for k, w := range uses {
		var err error
		if w.Empty() {
			_, err = t.ExecContext(ctx, `delete from key_use where organization = ? and api_key_id = ?`, t.organization, k)
		} else {
			_, err = t.ExecContext(ctx, `insert or replace into key_use (organization, api_key_id, bucket, grain) values (?, ?, ?, ?)`,
				t.organization, k, w.Start.Unix(), int64(w.Duration()/time.Second))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) FindKeyUse(ctx context.Context, table storage.Table, key string, w spend.Window) (time.Time, bool, error) {
	var bucket int64
	err := t.QueryRowContext(ctx, `
		select bucket
		from `+string(table)+`
		where organization = ? and bucket >= ? and bucket < ?
			and series in (select id from series where organization = ? and api_key_id = ?)
			and (uncached_input > 0 or cache_read_input > 0 or cache_creation_5m_input > 0 or cache_creation_1h_input > 0
				or output > 0 or web_searches > 0)
		order by bucket desc
		limit 1`, t.organization, w.Start.Unix(), w.End.Unix(), t.organization, key).Scan(&bucket)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return unix(bucket), err == nil, err
}

func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }

// null is the time in a column that may be null; the zero time is null.
func null(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return unix(n.Int64)
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}
