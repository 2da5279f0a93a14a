package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// newestRuns are the ids of the newest run and the newest success of each job.
const newestRuns = `(
		select distinct on (organization, job) id
		from run
		order by organization, job, started_at desc, id desc)
	union (
		select distinct on (organization, job) id
		from run
		where outcome = 'ok'
		order by organization, job, started_at desc, id desc)`

const runColumns = "o.uuid, r.job, r.started_at, r.ended_at, r.outcome, r.rows, r.requests, r.error"

func scanRun(row pgx.CollectableRow) (storage.Run, error) {
	var r storage.Run
	err := row.Scan(&r.Organization, &r.Job, &r.StartedAt, &r.EndedAt, &r.Outcome, &r.Rows, &r.Requests, &r.Error)
	return r, err
}

// Runs lists the newest runs.
func (s *Store) Runs(ctx context.Context, organization string, limit int) ([]storage.Run, error) {
	return list(ctx, s, "listing job runs", `
		select `+runColumns+`
		from run r
		join organization o on o.id = r.organization
		where $1 = '' or o.uuid = $1
		order by r.started_at desc, r.id desc
		limit $2`, []any{organization, limit}, scanRun)
}

// LastRuns lists the newest run and the newest success of each job.
func (s *Store) LastRuns(ctx context.Context) ([]storage.Run, error) {
	return list(ctx, s, "listing last job runs", `
		select `+runColumns+`
		from run r
		join organization o on o.id = r.organization
		where r.id in (`+newestRuns+`)
		order by o.uuid, r.job, r.started_at desc, r.id desc`, nil, scanRun)
}

func (o *owner) SaveRun(ctx context.Context, r storage.Run) error {
	return o.writing(ctx, "saving the job run", func(t *tx) error {
		return t.exec(ctx, `
			insert into run (organization, job, started_at, ended_at, outcome, rows, requests, error)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			t.organization, r.Job, r.StartedAt, r.EndedAt, r.Outcome, r.Rows, r.Requests, r.Error)
	})
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

// Ask leaves a request.
func (s *Store) Ask(ctx context.Context, r storage.Request) (int64, error) {
	var id int64
	err := s.writing(ctx, "leaving a request", func(ptx pgx.Tx) error {
		organization, err := organizationID(ctx, ptx, r.Organization)
		if err != nil {
			return err
		}
		return ptx.QueryRow(ctx, `
			insert into request (organization, kind, grain, window_start, window_end, asked_at)
			values ($1, $2, $3, $4, $5, $6)
			returning id`,
			organization, r.Kind, int64(r.Grain), orNull(r.Window.Start), orNull(r.Window.End), r.AskedAt).Scan(&id)
	})
	return id, err
}

const requestQuery = `
	select r.id, o.uuid, r.kind, r.grain, r.window_start, r.window_end, r.asked_at, r.done_at, r.problem
	from request r
	join organization o on o.id = r.organization `

func scanRequest(row pgx.CollectableRow) (storage.Request, error) {
	var r storage.Request
	var start, end, done *time.Time
	err := row.Scan(&r.ID, &r.Organization, &r.Kind, &r.Grain, &start, &end, &r.AskedAt, &done, &r.Problem)
	r.Window.Start, r.Window.End, r.DoneAt = orZero(start), orZero(end), orZero(done)
	return r, err
}

// Requests lists the open requests.
func (s *Store) Requests(ctx context.Context, organization string) ([]storage.Request, error) {
	return list(ctx, s, "listing requests", requestQuery+"where o.uuid = $1 and r.done_at is null order by r.id",
		[]any{organization}, scanRequest)
}

// Request finds a request.
func (s *Store) Request(ctx context.Context, id int64) (storage.Request, error) {
	rows, _ := s.pool.Query(ctx, requestQuery+"where r.id = $1", id)
	r, err := pgx.CollectExactlyOneRow(rows, scanRequest)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fmt.Errorf("request %d: %w", id, storage.ErrNotFound)
	}
	return r, s.fail(ctx, "finding a request", err)
}

func (o *owner) FinishRequest(ctx context.Context, id int64, now time.Time, problem string) error {
	return o.writing(ctx, "finishing a request", func(t *tx) error {
		var open bool
		err := t.QueryRow(ctx, "select done_at is null from request where id = $1 and organization = $2", id, t.organization).Scan(&open)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("request %d: %w", id, storage.ErrNotFound)
		}
		if err != nil || !open {
			return err
		}
		return t.exec(ctx, "update request set done_at = $2, problem = $3 where id = $1", id, now, problem)
	})
}
