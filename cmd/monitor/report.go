package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/anthropic-monitor/monitor/internal/report"
)

// Width of a table that goes to no terminal.
const plainWidth = 120

type reportCmd struct {
	Usage bool `help:"Print usage instead of cost."`

	Reconcile bool `help:"Print what was compared with what: rows with totals, the generations of reports, estimates with the bill."`

	By     []string `placeholder:"DIMENSION,…" help:"Group by: organization, workspace, model, api_key, service_tier, cost_type, token_type."`
	From   string   `placeholder:"TIME" help:"First day (2026-01-31, UTC) or instant (RFC 3339); default: the first of the month."`
	To     string   `placeholder:"TIME" help:"End, not included; default: now."`
	Step   string   `enum:"hour,day,total" default:"total" help:"A row for each ${enum}."`
	Where  []string `placeholder:"DIMENSION=VALUE" sep:"none" help:"Only this name or id, which may end in *; repeatable."`
	Format string   `enum:"table,json,csv,markdown" default:"table" help:"Output as ${enum}."`
}

// Run answers from the store; it asks nothing of the API.
func (c reportCmd) Run(a *app) error {
	if c.Reconcile {
		return c.reconcile(a)
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
		case "from", "to", "step", "by":
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("--where %q: write DIMENSION=VALUE, for example workspace=staging", w)
		}
		values.Add(dimension, value)
	}
	return values, nil
}
