package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// ClaudeCode lists the Claude Code rows of the days in the window, by day and actor.
func (s *Store) ClaudeCode(ctx context.Context, organization string, w spend.Window) ([]spend.ClaudeCode, error) {
	type place struct {
		day      time.Time
		position int
	}
	all := []spend.ClaudeCode{}
	err := s.onOrganization(ctx, "reading Claude Code", organization, func(t *tx) error {
		var p place
		var m spend.ClaudeCodeModel
		models := map[place][]spend.ClaudeCodeModel{}
		rows, _ := t.Query(ctx, `
			select day, position, model, input, output, cache_read, cache_creation, cost
			from claude_code_model
			where organization = $1 and day >= $2 and day < $3
			order by day, position, ordinal`, t.organization, w.Start, w.End)
		fields := []any{&p.day, &p.position, &m.Model, &m.Input, &m.Output, &m.CacheRead, &m.CacheCreation, &m.Cost}
		_, err := pgx.ForEachRow(rows, fields, func() error {
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
			err := row.Scan(&p.day, &p.position, &c.ActorType, &c.Actor, &c.CustomerType, &c.SubscriptionType,
				&c.TerminalType, &c.Sessions, &c.LinesAdded, &c.LinesRemoved, &c.Commits, &c.PullRequests,
				&c.ToolsAccepted, &c.ToolsRejected)
			c.Day, c.Models = p.day, models[p]
			return c, err
		})
		return err
	})
	return all, err
}

func (o *owner) ReplaceClaudeCode(ctx context.Context, day time.Time, rows []spend.ClaudeCode) error {
	w := spend.Day.Bucket(day)
	return o.writing(ctx, "replacing Claude Code", func(t *tx) error {
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
