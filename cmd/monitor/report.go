package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/report"
)

type reportCmd struct {
	Usage  bool     `xor:"kind" help:"Print usage instead of cost."`
	By     []string `placeholder:"DIMENSION,…" help:"Group by: organization, workspace, model, api_key, service_tier, cost_type, token_type, team, …"`
	From   string   `placeholder:"TIME" help:"First day (2026-01-31, UTC) or instant (RFC 3339); default: the first of the month."`
	To     string   `placeholder:"TIME" help:"End, not included; default: now."`
	Step   string   `enum:"hour,day,week,month,total" default:"total" help:"A row for each ${enum}."`
	Where  []string `placeholder:"DIMENSION=VALUE" sep:"none" help:"Only this name or id, which may end in *; repeatable."`
	Format string   `enum:"table,json,csv,markdown" default:"table" help:"Output as ${enum}."`

	Compare bool   `help:"Beside the period before: of the same length, or the same days of the month before."`
	Sort    string `enum:"auto,name,amount" default:"auto" help:"Rows by name, or the largest amount first; auto is by name, with --limit by amount."`
	Limit   int    `placeholder:"N" help:"Only the N largest; the rest becomes one line."`

	Efficiency bool   `xor:"kind" help:"Print what caching and batches saved, and what output costs."`
	WhatIf     string `placeholder:"MODEL" help:"What the same tokens would cost on this model, at list prices; with the efficiency."`
	Forecast   bool   `xor:"kind" help:"Print what the running period is expected to cost."`
	Period     string `placeholder:"PERIOD" help:"With --forecast: day, week, month or quarter; default: month."`
	Headroom   bool   `xor:"kind" help:"Print how much of the rate limits was used in the fullest minute of the last hour, or of --from to --to."`
	Reconcile  bool   `xor:"kind" help:"Print what was compared with what: rows with totals, the generations of reports, estimates with the bill."`
	ClaudeCode bool   `xor:"kind" help:"Print Claude Code's sessions, lines, commits, pull requests and its own estimate of cost; --by actor, model, customer_type, terminal, day."`
}

// Run answers from the store; it asks nothing of the API.
func (c reportCmd) Run(a *app) error {
	if ask, err := c.other(time.Now()); ask != nil || err != nil {
		return c.answer(a, ask, err)
	}
	values, err := c.values()
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return usageError{err}
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	prices, err := pricing.Load(config.Prices)
	if err != nil {
		return usageError{err}
	}
	kind, whatIf := report.Costs, ""
	var params report.Params
	switch {
	case c.Efficiency || c.WhatIf != "":
		params, whatIf, err = report.ParseEfficiency(values, time.Now(), prices)
	case c.Usage:
		kind = report.Usage
		fallthrough
	default:
		params, err = report.Parse(kind, values, time.Now())
	}
	if err == nil {
		params, err = params.WithTeams(config.Teams)
	}
	if err != nil {
		return usageError{err}
	}
	store, err := openStore(a.ctx, a, config)
	if err != nil {
		return err
	}
	defer store.Close()
	sort := report.Sort(c.Sort)
	if c.Sort == "auto" && c.Limit > 0 {
		sort = report.SortAmount
	}
	switch {
	case c.Efficiency || c.WhatIf != "":
		answer, err := report.RunEfficiency(a.ctx, store, prices, params, whatIf)
		if err != nil {
			return err
		}
		answer.Limit(c.Limit)
		answer.Arrange(sort)
		return c.print(a, answer, answer.Nothing)
	case c.Compare:
		answer, err := report.Compare(a.ctx, store, params, sort, c.Limit)
		if err != nil {
			return err
		}
		return c.print(a, answer, answer.Now.Nothing)
	}
	answer, err := report.Run(a.ctx, store, params)
	if err != nil {
		return err
	}
	answer.Limit(c.Limit)
	answer.Arrange(sort)
	return c.print(a, answer, answer.Nothing)
}

// check refuses flags that do not go together.
func (c reportCmd) check() error {
	efficiency := c.Efficiency || c.WhatIf != ""
	switch {
	case c.Limit < 0:
		return errors.New("--limit must not be negative (0 is no limit)")
	case efficiency && c.Usage:
		return errors.New("--usage does not go with --efficiency and --what-if, which show cost and tokens")
	case efficiency && c.Compare:
		return errors.New("--compare does not go with --efficiency and --what-if")
	case c.Compare && c.Step != string(report.StepTotal):
		return errors.New("--compare compares totals: leave --step out")
	case (c.Limit > 0 || c.Sort != "auto") && len(c.By) == 0:
		return errors.New("--limit and --sort need --by, which says what the rows are")
	}
	return nil
}

// print writes the answer in the format asked for. Where that has no room for it, filters that mean nothing
// are told on stderr.
func (c reportCmd) print(a *app, answer writable, nothing []report.Nothing) error {
	if c.Format == "json" || c.Format == "csv" {
		for _, n := range nothing {
			fmt.Fprintf(a.stderr, "monitor: %s\n", printable(n.String()))
		}
	}
	return c.write(a, answer)
}

// values are the flags as the query parameters that the HTTP API takes.
func (c reportCmd) values() (url.Values, error) {
	values := url.Values{"step": {c.Step}, "by": c.By}
	if c.WhatIf != "" {
		values.Set("what_if", c.WhatIf)
	}
	if c.From != "" {
		values.Set("from", c.From)
	}
	if c.To != "" {
		values.Set("to", c.To)
	}
	for _, w := range c.Where {
		dimension, value, ok := strings.Cut(w, "=")
		switch dimension {
		case "from", "to", "step", "by", "period", "what_if":
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("--where %q: write DIMENSION=VALUE, for example workspace=staging", w)
		}
		values.Add(dimension, value)
	}
	return values, nil
}
