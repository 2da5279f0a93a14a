package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/team"
)

type demoCmd struct {
	Listen string `help:"Address to serve on (default: 127.0.0.1:9599, or another port if that one is taken)."`
	Seed   uint64 `default:"1" help:"The organization's figures follow from the seed."`
}

// Run shows the daemon on a simulated organization, with a database that is gone afterwards.
func (c demoCmd) Run(a *app) error {
	dir, err := os.MkdirTemp("", "monitor-demo-")
	if err != nil {
		return fmt.Errorf("a directory for the demo's database: %w", err)
	}
	defer os.RemoveAll(dir)

	org := sim.New(sim.Options{Seed: c.Seed, Revise: true})
	a.api = api{client: org.Client(), limiter: rate.NewLimiter(rate.Inf, 1)}
	config := defaultConfig(func(name string) string {
		if name == adminKeyVariable {
			return sim.AdminKey
		}
		return a.getenv(name)
	})
	config.Teams = demoTeams
	config.Audit.OwnDomains = []string{sim.Domain}
	config.Storage.SQLite = &SQLiteConfig{Path: filepath.Join(dir, "monitor.db")}
	config.Rules = demoRules()
	listener, err := c.listen(a, config.Web.Listen)
	if err != nil {
		return err
	}
	config.Web.Listen = listener.Addr().String()
	fmt.Fprintf(a.stdout, `A simulated organization, live. Nothing leaves this machine; Ctrl-C ends it.

  Page      http://%[1]s/
  Alerts    http://%[1]s/alerts
  Metrics   http://%[1]s/metrics
  API       http://%[1]s/api/v1/costs?by=workspace,model&step=day
  Teams     http://%[1]s/api/v1/costs?by=team
  Savings   http://%[1]s/api/v1/efficiency?by=model

Its history of 90 days is being collected now and is complete in a few seconds.
`, listener.Addr())
	return serve(a, config, listener, func() (*Config, error) { return config, nil })
}

// demoTeams share production by their keys and leave something unmapped.
var demoTeams = team.Teams{
	{Name: "platform", Tags: []string{"team=platform"}},
	{Name: "search", APIKeys: []string{"search-*"}, Tags: []string{"team=search"}},
	{Name: "data", APIKeys: []string{"nightly-etl", "billing-export"}},
	{Name: "research", Workspaces: []string{"research"}},
	{Name: "engineering", Workspaces: []string{"Claude Code", "hackathon"}},
}

// demoRules are rules of each kind that a look at the simulated organization is worth.
func demoRules() []alerts.RuleConfig {
	runaway, cache := 100.0, 0.3
	hour := config.Duration(time.Hour)
	rules := []alerts.RuleConfig{
		{
			Name: "runaway key", Severity: spend.Critical, By: config.OneOrMany[spend.Dimension]{spend.ByWorkspace, spend.ByAPIKey},
			Threshold: &alerts.ThresholdConfig{Metric: alerts.CostUSD, Window: hour, Above: &runaway},
		},
		{
			Name: "monthly budget", Severity: spend.Warning,
			Budget: &alerts.BudgetConfig{AmountUSD: 4_000 * spend.Dollar, Period: alerts.Monthly, Actual: []float64{50, 80, 100}, Forecast: []float64{100}},
		},
		{
			Name: "daily budget", Severity: spend.Warning, By: config.OneOrMany[spend.Dimension]{spend.ByWorkspace},
			Budget: &alerts.BudgetConfig{AmountUSD: 140 * spend.Dollar, Period: alerts.Daily, Actual: []float64{80, 100}, Forecast: []float64{100}},
		},
		{
			Name: "unusual hour", Severity: spend.Warning, By: config.OneOrMany[spend.Dimension]{spend.ByWorkspace},
			Anomaly: &alerts.AnomalyConfig{Metric: alerts.CostUSD, Window: hour, MinIncrease: 20, MinRatio: 3, History: 28 * day},
		},
		{
			Name: "cache collapse", Severity: spend.Warning, By: config.OneOrMany[spend.Dimension]{spend.ByWorkspace},
			Threshold: &alerts.ThresholdConfig{Metric: alerts.CacheHitRatio, Window: hour, Below: &cache, AtLeast: 1_000_000},
		},
		{Name: "model nobody ordered", Severity: spend.Info, New: &alerts.NewConfig{What: []alerts.NewThing{alerts.NewModel}}},
		{Name: "stale data", Severity: spend.Critical, Stale: &alerts.StaleConfig{After: 2 * hour}},
	}
	return rules
}

func (c demoCmd) listen(a *app, standard string) (net.Listener, error) {
	if c.Listen != "" {
		return listen(a.ctx, c.Listen)
	}
	l, err := listen(a.ctx, standard)
	if errors.Is(err, syscall.EADDRINUSE) {
		a.log.Warn("taking another port", "err", err, slog.String("wanted", standard))
		return listen(a.ctx, "127.0.0.1:0")
	}
	return l, err
}
