package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
)

type reportCmd struct {
	Usage      bool     `xor:"kind" help:"Print usage instead of cost."`
	By         []string `placeholder:"DIMENSION,…" help:"Group by: organization, workspace, model, api_key, service_tier, cost_type, token_type."`
	From       string   `placeholder:"TIME" help:"First day (2026-01-31, UTC) or instant (RFC 3339); default: the first of the month."`
	To         string   `placeholder:"TIME" help:"End, not included; default: now."`
	Step       string   `enum:"hour,day,total" default:"total" help:"A row for each ${enum}."`
	Where      []string `placeholder:"DIMENSION=VALUE" sep:"none" help:"Only this name or id, which may end in *; repeatable."`
	Forecast   bool     `xor:"kind" help:"Print what the running period is expected to cost."`
	Period     string   `placeholder:"PERIOD" help:"With --forecast: day, week, month or quarter; default: month."`
	Headroom   bool     `xor:"kind" help:"Print how much of the rate limits was used in the fullest minute of the last hour, or of --from to --to."`
	ClaudeCode bool     `xor:"kind" help:"Print Claude Code's sessions, lines, commits, pull requests and its own estimate of cost; --by actor, model, customer_type, terminal, day."`
	Format     string   `enum:"table,json,csv,markdown" default:"table" help:"Output as ${enum}."`
}

// Run answers from the store; it asks nothing of the API.
func (c reportCmd) Run(a *app) error {
	if ask, err := c.other(time.Now()); ask != nil || err != nil {
		return c.answer(a, ask, err)
	}
	kind := report.Costs
	if c.Usage {
		kind = report.Usage
	}
	values, err := c.values()
	if err != nil {
		return usageError{err}
	}
	params, err := report.Parse(kind, values, time.Now())
	if err != nil {
		return usageError{err}
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	store, err := openStore(a.ctx, a, config)
	if err != nil {
		return err
	}
	defer store.Close()
	answer, err := report.Run(a.ctx, store, params)
	if err != nil {
		return err
	}
	return c.write(a, answer)
}

// values are the flags as the query parameters that the HTTP API takes.
func (c reportCmd) values() (url.Values, error) {
	values := url.Values{"step": {c.Step}, "by": c.By}
	if c.From != "" {
		values.Set("from", c.From)
	}
	if c.To != "" {
		values.Set("to", c.To)
	}
	for _, w := range c.Where {
		dimension, value, ok := strings.Cut(w, "=")
		switch dimension {
		case "from", "to", "step", "by", "period":
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("--where %q: write DIMENSION=VALUE, for example workspace=staging", w)
		}
		values.Add(dimension, value)
	}
	return values, nil
}
