package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// tx is a transaction on one organization: an owner's, or one that only reads.
type tx struct {
	pgx.Tx
	organization int32
	owner        *owner // nil if it only reads

	interned []series                // made by this transaction
	known    map[storage.Table]known // what Rows found and nothing has changed since
}

var _ storage.Tx = (*tx)(nil)

// series is a row of table series.
type series struct {
	id   int64
	dims spend.Dims
}

func (t *tx) exec(ctx context.Context, sql string, args ...any) error {
	_, err := t.Exec(ctx, sql, args...)
	return err
}

// each executes the statement n times, in one round trip.
func (t *tx) each(ctx context.Context, query string, n int, args func(i int) []any) error {
	batch := &pgx.Batch{}
	for i := range n {
		batch.Queue(query, args(i)...)
	}
	return t.SendBatch(ctx, batch).Close()
}

// dimColumns lists the columns of the dimensions, each behind the prefix.
func dimColumns(prefix string) string {
	columns := make([]string, len(spend.Dimensions))
	for i, d := range spend.Dimensions {
		columns[i] = prefix + d.Column()
	}
	return strings.Join(columns, ", ")
}

// fields are pointers to all fields of d, in the order of dimColumns.
func fields(d *spend.Dims) []any {
	fields := make([]any, len(spend.Dimensions))
	for i, x := range spend.Dimensions {
		fields[i] = d.Field(x)
	}
	return fields
}

func scanSeries(row pgx.CollectableRow) (series, error) {
	var s series
	err := row.Scan(append([]any{&s.id}, fields(&s.dims)...)...)
	return s, err
}

// Intern finds series in the owner's memory and makes those that are not there.
func (t *tx) Intern(ctx context.Context, n int, dims func(i int) *spend.Dims) ([]int64, error) {
	if t.owner == nil {
		return nil, errReadOnly
	}
	ids := make([]int64, n)
	made := map[spend.Dims]int64{}
	for _, s := range t.interned {
		made[s.dims] = s.id
	}
	var missing []spend.Dims
	for i := range n {
		d := dims(i)
		if id, ok := t.owner.series.ID(d); ok {
			ids[i] = id
		} else if _, ok := made[*d]; !ok {
			made[*d] = 0
			missing = append(missing, *d)
		}
	}
	if len(made) == 0 {
		return ids, nil
	}
	if len(missing) > 0 {
		news, err := t.makeSeries(ctx, missing)
		if err != nil {
			return nil, fmt.Errorf("make series: %w", err)
		}
		for _, s := range news {
			made[s.dims] = s.id
		}
		t.interned = append(t.interned, news...)
	}
	for i := range n {
		if ids[i] == 0 {
			ids[i] = made[*dims(i)]
		}
	}
	return ids, nil
}

func (t *tx) makeSeries(ctx context.Context, dims []spend.Dims) ([]series, error) {
	args := []any{t.organization}
	params := make([]string, len(spend.Dimensions))
	for i, x := range spend.Dimensions {
		values := make([]string, len(dims))
		for j := range dims {
			values[j] = *dims[j].Field(x)
		}
		args = append(args, values)
		params[i] = fmt.Sprintf("$%d::text[]", len(args))
	}
	columns := dimColumns("")
	rows, _ := t.Query(ctx, "insert into series (organization, "+columns+") select $1, n.* from unnest("+
		strings.Join(params, ", ")+") n returning id, "+columns, args...)
	return pgx.CollectRows(rows, scanSeries)
}

func (t *tx) Dims(ctx context.Context, ids []int64) ([]spend.Dims, error) {
	out := make([]spend.Dims, len(ids))
	var missing []int64
	for i, id := range ids {
		var known bool
		if t.owner != nil {
			out[i], known = t.owner.series.Dims(id)
		}
		if !known {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	rows, _ := t.Query(ctx, "select id, "+dimColumns("")+" from series where organization = $1 and id = any($2)",
		t.organization, missing)
	found, err := pgx.CollectRows(rows, scanSeries)
	if err != nil {
		return nil, err
	}
	byID := map[int64]spend.Dims{}
	for _, s := range found {
		byID[s.id] = s.dims
	}
	for i, id := range ids {
		if d, ok := byID[id]; ok {
			out[i] = d
		}
	}
	return out, nil
}

func (t *tx) Slots(ctx context.Context, f spend.Fact, w spend.Window) ([]storage.Slot, error) {
	// A day's slot may begin up to a day before the window.
	rows, _ := t.Query(ctx, `
		select start, grain, report, state, read_at, since, suspect_since, suspect_reads
		from ledger
		where organization = $1 and fact = $2
			and start >= $3 and start < $4
			and start + make_interval(secs => greatest(grain, 3600)) > $5
		order by start`,
		t.organization, string(f), w.Start.Add(-spend.Day.Duration()), w.End, w.Start)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.Slot, error) {
		var s storage.Slot
		var suspect *time.Time
		err := row.Scan(&s.Window.Start, &s.Grain, &s.Report, &s.State, &s.ReadAt, &s.Since, &suspect, &s.SuspectReads)
		s.Window.End = s.Window.Start.Add(max(s.Grain, spend.Hour).Duration())
		s.SuspectSince = orZero(suspect)
		return s, err
	})
}

func (t *tx) DropSlots(ctx context.Context, f spend.Fact, slots []storage.Slot) error {
	if len(slots) == 0 {
		return nil
	}
	starts := make([]time.Time, len(slots))
	for i, s := range slots {
		starts[i] = s.Window.Start
	}
	return t.exec(ctx, `
		delete from ledger
		where organization = $1 and fact = $2 and start = any($3)`,
		t.organization, string(f), starts)
}

func (t *tx) PutSlots(ctx context.Context, f spend.Fact, slots []storage.Slot) error {
	n := len(slots)
	if n == 0 {
		return nil
	}
	starts, grains, reads := make([]time.Time, n), make([]int64, n), make([]int, n)
	reports, states := make([]string, n), make([]string, n)
	readAts, sinces, suspects := make([]time.Time, n), make([]time.Time, n), make([]*time.Time, n)
	for i, s := range slots {
		starts[i], grains[i], reports[i], states[i] = s.Window.Start, int64(s.Grain), string(s.Report), string(s.State)
		readAts[i], sinces[i], suspects[i], reads[i] = s.ReadAt, s.Since, orNull(s.SuspectSince), s.SuspectReads
	}
	return t.exec(ctx, `
		insert into ledger (organization, fact, start, grain, report, state, read_at, since, suspect_since, suspect_reads)
		select $1, $2, n.*
		from unnest($3::timestamptz[], $4::int[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[],
			$9::timestamptz[], $10::int[]) n
		on conflict (organization, fact, start) do update
		set grain = excluded.grain, report = excluded.report, state = excluded.state, read_at = excluded.read_at,
			since = excluded.since, suspect_since = excluded.suspect_since, suspect_reads = excluded.suspect_reads`,
		t.organization, string(f), starts, grains, reports, states, readAts, sinces, suspects, reads)
}

func (t *tx) MarkChanged(ctx context.Context, days []time.Time) error {
	if len(days) == 0 {
		return nil
	}
	return t.exec(ctx, `
		with change as (
			update organization
			set change_seq = change_seq + 1
			where id = $1
			returning change_seq)
		insert into day_change (organization, day, seq)
		select $1, day, change_seq
		from change, unnest($2::timestamptz[]) day
		on conflict (organization, day) do update
		set seq = excluded.seq`,
		t.organization, days)
}

func (t *tx) ChangedSince(ctx context.Context, since int64) ([]time.Time, int64, error) {
	var newest int64
	var days []time.Time
	err := t.QueryRow(ctx, `
		select o.change_seq, array(
			select day
			from day_change
			where organization = o.id and seq > $2
			order by day)
		from organization o
		where o.id = $1`,
		t.organization, since).Scan(&newest, &days)
	return days, newest, err
}

func (t *tx) KeyUse(ctx context.Context, keys []string) (map[string]spend.Window, error) {
	rows, err := t.Query(ctx, `
		select api_key_id, bucket, grain
		from key_use
		where organization = $1 and api_key_id = any($2)`,
		t.organization, keys)
	if err != nil {
		return nil, err
	}
	uses := map[string]spend.Window{}
	var key string
	var bucket time.Time
	var grain spend.Grain
	_, err = pgx.ForEachRow(rows, []any{&key, &bucket, &grain}, func() error {
		uses[key] = grain.Bucket(bucket)
		return nil
	})
	return uses, err
}

func (t *tx) PutKeyUse(ctx context.Context, uses map[string]spend.Window) error {
	var keys, gone []string
	var buckets []time.Time
	var grains []int64
	for k, w := range uses {
		if w.Empty() {
			gone = append(gone, k)
			continue
		}
		keys, buckets, grains = append(keys, k), append(buckets, w.Start), append(grains, int64(w.Duration().Seconds()))
	}
	if err := t.exec(ctx, "delete from key_use where organization = $1 and api_key_id = any($2)", t.organization, gone); err != nil {
		return err
	}
	return t.exec(ctx, `
		insert into key_use (organization, api_key_id, bucket, grain)
		select $1, n.*
		from unnest($2::text[], $3::timestamptz[], $4::int[]) n
		on conflict (organization, api_key_id) do update
		set bucket = excluded.bucket, grain = excluded.grain`,
		t.organization, keys, buckets, grains)
}

func (t *tx) FindKeyUse(ctx context.Context, table storage.Table, key string, w spend.Window) (time.Time, bool, error) {
	var bucket time.Time
	err := t.QueryRow(ctx, `
		select bucket
		from `+string(table)+`
		where organization = $1 and bucket >= $2 and bucket < $3
			and series in (select id from series where organization = $1 and api_key_id = $4)
			and (uncached_input > 0 or cache_read_input > 0 or cache_creation_5m_input > 0
				or cache_creation_1h_input > 0 or output > 0 or web_searches > 0)
		order by bucket desc
		limit 1`,
		t.organization, w.Start, w.End, key).Scan(&bucket)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return bucket, err == nil, err
}

var errReadOnly = errors.New("the transaction only reads")

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// unix is the time of Unix seconds.
func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
