package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// ClaudeCode lists the Claude Code rows of a window.
func (s *Store) ClaudeCode(ctx context.Context, organization string, w spend.Window) ([]spend.ClaudeCode, error) {
	type place struct {
		day      time.Time
		position int
	}
	return of(ctx, s, "listing Claude Code rows", organization, func(ptx pgx.Tx, id int32) ([]spend.ClaudeCode, error) {
		var p place
		var m spend.ClaudeCodeModel
		models := map[place][]spend.ClaudeCodeModel{}
		rows, _ := ptx.Query(ctx, `
			select day, position, model, input, output, cache_read, cache_creation, cost
			from claude_code_model
			where organization = $1 and day >= $2 and day < $3
			order by day, position, ordinal`, id, w.Start, w.End)
		fields := []any{&p.day, &p.position, &m.Model, &m.Input, &m.Output, &m.CacheRead, &m.CacheCreation, &m.Cost}
		_, err := pgx.ForEachRow(rows, fields, func() error {
			models[p] = append(models[p], m)
			return nil
		})
		if err != nil {
			return nil, err
		}
		rows, _ = ptx.Query(ctx, `
			select day, position, actor_type, actor, customer_type, subscription_type, terminal_type, sessions,
				lines_added, lines_removed, commits, pull_requests, tools_accepted, tools_rejected
			from claude_code
			where organization = $1 and day >= $2 and day < $3
			order by day, actor, position`, id, w.Start, w.End)
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (spend.ClaudeCode, error) {
			var c spend.ClaudeCode
			err := row.Scan(&p.day, &p.position, &c.ActorType, &c.Actor, &c.CustomerType, &c.SubscriptionType,
				&c.TerminalType, &c.Sessions, &c.LinesAdded, &c.LinesRemoved, &c.Commits, &c.PullRequests,
				&c.ToolsAccepted, &c.ToolsRejected)
			c.Day, c.Models = p.day, models[p]
			return c, err
		})
	})
}

// ReplaceClaudeCode replaces the rows of a day.
func (o *owner) ReplaceClaudeCode(ctx context.Context, day time.Time, rows []spend.ClaudeCode) error {
	w := spend.Day.Bucket(day)
	name := w.Start.Format(time.DateOnly)
	return o.write(ctx, "writing Claude Code rows of "+name, func(t *tx) error {
		if !w.Start.Equal(day) {
			return fmt.Errorf("%s is not the start of a UTC day", day.UTC().Format(time.RFC3339))
		}
		for _, table := range []string{"claude_code_model", "claude_code"} {
			if err := t.exec(ctx, "delete from "+table+" where organization = $1 and day = $2", t.organization, w.Start); err != nil {
				return err
			}
		}
		var models [][]any
		_, err := t.CopyFrom(ctx, pgx.Identifier{"claude_code"}, []string{
			"organization", "day", "position", "actor_type", "actor", "customer_type", "subscription_type", "terminal_type",
			"sessions", "lines_added", "lines_removed", "commits", "pull_requests", "tools_accepted", "tools_rejected",
		}, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			c := &rows[i]
			if !c.Day.Equal(w.Start) {
				return nil, fmt.Errorf("row of %s is not of the day", c.Day.UTC().Format(time.RFC3339))
			}
			for n, m := range c.Models {
				models = append(models, []any{
					t.organization, w.Start, i, n, m.Model, m.Input, m.Output, m.CacheRead, m.CacheCreation, int64(m.Cost),
				})
			}
			return []any{
				t.organization, w.Start, i, c.ActorType, c.Actor, c.CustomerType, c.SubscriptionType, c.TerminalType,
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
