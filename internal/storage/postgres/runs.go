package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
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

// ClaudeCode lists the Claude Code rows of the days in the window, by day and actor.
func (s *Store) ClaudeCode(ctx context.Context, organization string, w spend.Window) ([]spend.ClaudeCode, error) {
	type place struct {
		day      int64
		position int
	}
	all := []spend.ClaudeCode{}
	err := s.onOrganization(ctx, "reading Claude Code", organization, func(t *tx) error {
		var day time.Time
		var position int
		var m spend.ClaudeCodeModel
		models := map[place][]spend.ClaudeCodeModel{}
		rows, _ := t.Query(ctx, `
			select day, position, model, input, output, cache_read, cache_creation, cost
			from claude_code_model
			where organization = $1 and day >= $2 and day < $3
			order by day, position, ordinal`, t.organization, w.Start, w.End)
		to := []any{&day, &position, &m.Model, &m.Input, &m.Output, &m.CacheRead, &m.CacheCreation, &m.Cost}
		_, err := pgx.ForEachRow(rows, to, func() error {
			p := place{day.Unix(), position}
			models[p] = append(models[p], m)
			return nil
		})
		if err != nil {
			return err
		}
		rows, _ = t.Query(ctx, `
			select day, position, actor_type, actor, customer_type, subscription_type, terminal_type, sessions,
				lines_added, lines_removed, commits, pull_requests, tools_accepted, tools_rejected
			from claude_code
			where organization = $1 and day >= $2 and day < $3
			order by day, actor_type collate "C", actor collate "C", position`, t.organization, w.Start, w.End)
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (spend.ClaudeCode, error) {
			var c spend.ClaudeCode
			err := row.Scan(&c.Day, &position, &c.ActorType, &c.Actor, &c.CustomerType, &c.SubscriptionType,
				&c.TerminalType, &c.Sessions, &c.LinesAdded, &c.LinesRemoved, &c.Commits, &c.PullRequests,
				&c.ToolsAccepted, &c.ToolsRejected)
			c.Models = models[place{c.Day.Unix(), position}]
			return c, err
		})
		return err
	})
	return all, err
}

func (o *owner) ReplaceClaudeCode(ctx context.Context, day time.Time, rows []spend.ClaudeCode) error {
	if err := storage.CheckClaudeCode(day, rows); err != nil {
		return err
	}
	return o.writing(ctx, "replacing Claude Code", func(t *tx) error {
		for _, table := range []string{"claude_code_model", "claude_code"} {
			if err := t.exec(ctx, "delete from "+table+" where organization = $1 and day = $2", t.organization, day); err != nil {
				return err
			}
		}
		var models [][]any
		_, err := t.CopyFrom(ctx, pgx.Identifier{"claude_code"}, []string{
			"organization", "day", "position", "actor_type", "actor", "customer_type", "subscription_type", "terminal_type",
			"sessions", "lines_added", "lines_removed", "commits", "pull_requests", "tools_accepted", "tools_rejected",
		}, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			c := &rows[i]
			for n, m := range c.Models {
				models = append(models, []any{
					t.organization, day, i, n, m.Model, m.Input, m.Output, m.CacheRead, m.CacheCreation, int64(m.Cost),
				})
			}
			return []any{
				t.organization, day, i, c.ActorType, c.Actor, c.CustomerType, c.SubscriptionType, c.TerminalType,
				c.Sessions, c.LinesAdded, c.LinesRemoved, c.Commits, c.PullRequests, c.ToolsAccepted, c.ToolsRejected,
			}, nil
		}))
		if err != nil {
			return err
		}
		_, err = t.CopyFrom(ctx, pgx.Identifier{"claude_code_model"}, []string{
			"organization", "day", "position", "ordinal", "model", "input", "output", "cache_read", "cache_creation", "cost",
		}, pgx.CopyFromRows(models))
		return err
	})
}
