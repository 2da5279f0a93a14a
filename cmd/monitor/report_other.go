package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// writable is an answer that can be written in every format.
type writable interface {
	WriteTable(w io.Writer, width int) error
	WriteJSON(w io.Writer) error
	WriteCSV(w io.Writer) error
	WriteMarkdown(w io.Writer) error
}

// question asks the store about an organization with these teams.
type question func(context.Context, storage.Store, team.Teams) (writable, error)

// other is the question that the flags ask where it is about something else than cost or usage; else
// it is nil.
func (c reportCmd) other(now time.Time) (question, error) {
	if c.Period != "" && !c.Forecast {
		return nil, errors.New("--period goes with --forecast only; for cost give --from and --to")
	}
	if !c.Forecast && !c.Headroom && !c.Reconcile && !c.ClaudeCode {
		return nil, nil
	}
	switch {
	case c.Step != string(report.StepTotal):
		return nil, fmt.Errorf("--step %s goes with cost, usage and --efficiency only", c.Step)
	case c.Compare:
		return nil, errors.New("--compare goes with cost and usage only")
	case c.Limit != 0, c.Sort != "auto":
		return nil, errors.New("--limit and --sort go with cost, usage and --efficiency only")
	case c.WhatIf != "":
		return nil, errors.New("--what-if shows the efficiency: it goes with no other figures")
	}
	values, err := c.values()
	if err != nil {
		return nil, err
	}
	values.Del("step")
	switch {
	case c.Forecast:
		return c.forecast(values, now)
	case c.Reconcile:
		return c.reconcile(now)
	case c.Headroom:
		if len(c.By) > 0 {
			return nil, errors.New("--by does not go with --headroom, which is by workspace, model group and limiter")
		}
		values.Del("by")
		p, err := report.ParseHeadroom(values, now)
		return func(ctx context.Context, store storage.Store, _ team.Teams) (writable, error) {
			return report.RunHeadroom(ctx, store, p)
		}, err
	default:
		p, err := report.ParseClaudeCode(values, now)
		return func(ctx context.Context, store storage.Store, _ team.Teams) (writable, error) {
			return report.RunClaudeCode(ctx, store, p)
		}, err
	}
}

func (c reportCmd) forecast(values url.Values, now time.Time) (question, error) {
	if c.Period != "" {
		values.Set("period", c.Period)
	}
	p, err := report.ParseForecast(values, now)
	return func(ctx context.Context, store storage.Store, teams team.Teams) (writable, error) {
		p, err := p.WithTeams(teams)
		if err != nil {
			return nil, usageError{err}
		}
		return report.RunForecast(ctx, store, p, now)
	}, err
}

// answer opens the store, asks and prints. An error in the question is wrong usage.
func (c reportCmd) answer(a *app, ask question, err error) error {
	if err != nil {
		return usageError{err}
	}
	return withStore(a, func(config *Config, store storage.Store) error {
		answer, err := ask(a.ctx, store, config.Teams)
		if err != nil {
			return err
		}
		return c.write(a, answer)
	})
}

// Width of a table that goes to no terminal.
const plainWidth = 120

// write prints the answer in the format asked for.
func (c reportCmd) write(a *app, answer writable) error {
	switch c.Format {
	case "json":
		return answer.WriteJSON(a.stdout)
	case "csv":
		return answer.WriteCSV(a.stdout)
	case "markdown":
		return answer.WriteMarkdown(a.stdout)
	}
	width := plainWidth
	if f, ok := a.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = w
		}
	}
	return answer.WriteTable(a.stdout, width)
}
