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

const runColumns = `o.uuid, r.job, r.started_at, r.ended_at, r.outcome, r.rows, r.requests, r.error`

func scanRun(scan scanner) (r storage.Run, err error) {
	var started, ended int64
	err = scan(&r.Organization, &r.Job, &started, &ended, &r.Outcome, &r.Rows, &r.Requests, &r.Error)
	r.StartedAt, r.EndedAt = unix(started), unix(ended)
	return r, err
}

// Runs lists job runs, newest first.
func (s *Store) Runs(ctx context.Context, organization string, limit int) ([]storage.Run, error) {
	return list(ctx, s, "listing job runs", `
		select `+runColumns+`
		from run r join organization o on o.id = r.organization
		where ? = '' or o.uuid = ?
		order by r.started_at desc, r.id desc
		limit ?`, []any{organization, organization, limit}, scanRun)
}

// LastRuns lists the newest run and the newest success of each job.
func (s *Store) LastRuns(ctx context.Context) ([]storage.Run, error) {
	return list(ctx, s, "listing last job runs", `
		select `+runColumns+`
		from run r join organization o on o.id = r.organization
		where r.id in (`+newestRuns+`)
		order by o.uuid, r.job, r.started_at desc, r.id desc`, nil, scanRun)
}

// newestRuns are the ids of the newest run and the newest success of each job.
const newestRuns = `
	select id from (select id, row_number() over (partition by organization, job order by started_at desc, id desc) as n from run) where n = 1
	union
	select id from (
		select id, row_number() over (partition by organization, job order by started_at desc, id desc) as n
		from run
		where outcome = 'ok'
	) where n = 1`

func (o *owner) SaveRun(ctx context.Context, r storage.Run) error {
	return o.writing(ctx, "saving the job run", func(t *tx) error {
		_, err := t.ExecContext(ctx, `
			insert into run (organization, job, started_at, ended_at, outcome, rows, requests, error)
			values (?, ?, ?, ?, ?, ?, ?, ?)`,
			o.id, r.Job, r.StartedAt.Unix(), r.EndedAt.Unix(), r.Outcome, r.Rows, r.Requests, r.Error)
		return err
	})
}

const requestColumns = `x.id, o.uuid, x.kind, x.grain, x.window_start, x.window_end, x.asked_at, x.done_at, x.problem`

func scanRequest(scan scanner) (r storage.Request, err error) {
	var start, end, done sql.NullInt64
	var asked int64
	err = scan(&r.ID, &r.Organization, &r.Kind, &r.Grain, &start, &end, &asked, &done, &r.Problem)
	r.Window, r.AskedAt, r.DoneAt = spend.Window{Start: null(start), End: null(end)}, unix(asked), null(done)
	return r, err
}

// Ask leaves a request for the daemon that works the organization.
func (s *Store) Ask(ctx context.Context, r storage.Request) (id int64, err error) {
	organization, err := s.organizationID(ctx, r.Organization)
	if err != nil {
		return 0, err
	}
	err = s.writing(ctx, "leaving a request", func(t *sql.Tx) error {
		result, err := t.ExecContext(ctx, `
			insert into request (organization, kind, grain, window_start, window_end, asked_at)
			values (?, ?, ?, ?, ?, ?)`,
			organization, r.Kind, int64(r.Grain), orNull(r.Window.Start), orNull(r.Window.End), r.AskedAt.Unix())
		if err != nil {
			return err
		}
		id, err = result.LastInsertId()
		return err
	})
	return id, err
}

// Requests lists the requests that are open, oldest first.
func (s *Store) Requests(ctx context.Context, organization string) ([]storage.Request, error) {
	return list(ctx, s, "listing requests", `select `+requestColumns+` from request x`+byOrganization+` and x.done_at is null order by x.id`,
		[]any{organization}, scanRequest)
}

// Request finds a request.
func (s *Store) Request(ctx context.Context, id int64) (storage.Request, error) {
	rs, err := list(ctx, s, "finding a request", `
		select `+requestColumns+`
		from request x join organization o on o.id = x.organization
		where x.id = ?`, []any{id}, scanRequest)
	if err != nil {
		return storage.Request{}, err
	}
	if len(rs) == 0 {
		return storage.Request{}, fmt.Errorf("request %d: %w", id, storage.ErrNotFound)
	}
	return rs[0], nil
}

func (o *owner) FinishRequest(ctx context.Context, id int64, now time.Time, problem string) error {
	return o.writing(ctx, "finishing a request", func(t *tx) error {
		var open bool
		err := t.QueryRowContext(ctx, `select done_at is null from request where id = ? and organization = ?`, id, o.id).Scan(&open)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("request %d: %w", id, storage.ErrNotFound)
		}
		if err != nil || !open {
			return err
		}
		_, err = t.ExecContext(ctx, `update request set done_at = ?, problem = ? where id = ?`, now.Unix(), problem, id)
		return err
	})
}

// ClaudeCode lists the Claude Code rows of the days in the window, by day and actor.
func (s *Store) ClaudeCode(ctx context.Context, organization string, w spend.Window) ([]spend.ClaudeCode, error) {
	type row struct {
		spend.ClaudeCode
		model *spend.ClaudeCodeModel
		key   [2]int64
	}
	rows, err := list(ctx, s, "reading Claude Code", `
		select x.day, x.position, x.actor_type, x.actor, x.customer_type, x.subscription_type, x.terminal_type, x.sessions,
			x.lines_added, x.lines_removed, x.commits, x.pull_requests, x.tools_accepted, x.tools_rejected,
			m.model, m.input, m.output, m.cache_read, m.cache_creation, m.cost
		from claude_code x
			join organization o on o.id = x.organization
			left join claude_code_model m on m.organization = x.organization and m.day = x.day and m.position = x.position
		where o.uuid = ? and x.day >= ? and x.day < ?
		order by x.day, x.actor_type, x.actor, x.position, m.ordinal`, []any{organization, w.Start.Unix(), w.End.Unix()}, func(scan scanner) (r row, err error) {
		var model sql.NullString
		var input, output, read, creation, cost sql.NullInt64
		err = scan(&r.key[0], &r.key[1], &r.ActorType, &r.Actor, &r.CustomerType, &r.SubscriptionType, &r.TerminalType, &r.Sessions,
			&r.LinesAdded, &r.LinesRemoved, &r.Commits, &r.PullRequests, &r.ToolsAccepted, &r.ToolsRejected,
			&model, &input, &output, &read, &creation, &cost)
		r.Day = unix(r.key[0])
		if model.Valid {
			r.model = &spend.ClaudeCodeModel{
				Model: model.String, Input: input.Int64, Output: output.Int64, CacheRead: read.Int64,
				CacheCreation: creation.Int64, Cost: spend.Money(cost.Int64),
			}
		}
		return r, err
	})
	if err != nil {
		return nil, err
	}
	all := []spend.ClaudeCode{}
	for i, r := range rows {
		if i == 0 || rows[i-1].key != r.key {
			all = append(all, r.ClaudeCode)
		}
		if last := &all[len(all)-1]; r.model != nil {
			last.Models = append(last.Models, *r.model)
		}
	}
	return all, nil
}

func (o *owner) ReplaceClaudeCode(ctx context.Context, day time.Time, rows []spend.ClaudeCode) error {
	if err := storage.CheckClaudeCode(day, rows); err != nil {
		return err
	}
	at := day.Unix()
	return o.writing(ctx, "replacing Claude Code", func(t *tx) error {
		if _, err := t.ExecContext(ctx, `delete from claude_code_model where organization = ? and day = ?`, o.id, at); err != nil {
			return err
		}
		err := t.replace(ctx, `delete from claude_code where organization = ? and day = ?`, []any{o.id, at}, `
			insert into claude_code (organization, day, position, actor_type, actor, customer_type, subscription_type, terminal_type, sessions,
				lines_added, lines_removed, commits, pull_requests, tools_accepted, tools_rejected)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(rows), func(i int) []any {
			r := rows[i]
			return []any{
				o.id, at, i, r.ActorType, r.Actor, r.CustomerType, r.SubscriptionType, r.TerminalType, r.Sessions,
				r.LinesAdded, r.LinesRemoved, r.Commits, r.PullRequests, r.ToolsAccepted, r.ToolsRejected,
			}
		})
		if err != nil {
			return err
		}
		for i, r := range rows {
			err := t.each(ctx, `
				insert into claude_code_model (organization, day, position, ordinal, model, input, output, cache_read, cache_creation, cost)
				values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(r.Models), func(n int) []any {
				m := r.Models[n]
				return []any{o.id, at, i, n, m.Model, m.Input, m.Output, m.CacheRead, m.CacheCreation, int64(m.Cost)}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
