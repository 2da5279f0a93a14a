package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// api is how the Admin API is reached where it is not the network: the simulated organization of
// the demo answers in this process and needs no request budget.
type api struct {
	client  *http.Client
	limiter *rate.Limiter
}

func newClient(a *app, org OrganizationConfig) (*adminapi.Client, error) {
	return adminapi.New(clientOptions(a, org))
}

// clientOptions are how the organization's API is reached.
func clientOptions(a *app, org OrganizationConfig) adminapi.Options {
	release, _, _ := buildInfo()
	return adminapi.Options{
		BaseURL:   org.BaseURL,
		Key:       org.AdminKey.Value,
		HTTP:      a.api.client,
		Limiter:   a.api.limiter,
		UserAgent: "anthropic-monitor/" + release + " (https://github.com/anthropic-monitor/monitor)",
		Log:       a.log,
	}
}

func newCollector(
	a *app, config *Config, org OrganizationConfig, client *adminapi.Client, store storage.Store, prices *pricing.Table,
	owning func(ctx context.Context, organization string, owns bool),
	after func(ctx context.Context, owner storage.Owner, organization string, now time.Time),
) (*collector.Collector, error) {
	evaluate := config.Schedule.Evaluate
	if len(config.Rules) == 0 { // what rules left behind is closed after the next collection
		evaluate = ""
	}
	return collector.New(collector.Options{
		Name: org.Name, Client: client, Store: store, Prices: prices, Teams: config.Teams, Log: a.log, Owning: owning, After: after,
		Config: collector.Config{
			Usage: config.Schedule.Usage, Cost: config.Schedule.Cost,
			Inventory: config.Schedule.Inventory, Prune: config.Schedule.Prune, Evaluate: evaluate,
			Retention: collector.Retention{
				Minute: config.Retention.Minute.Duration(), Hour: config.Retention.Hour.Duration(), Day: config.Retention.Day.Duration(),
			},
			Backfill:  config.Backfill.Duration(),
			MaxSeries: config.Metrics.MaxSeries,
			Reports:   org.Reports,
		},
	})
}

// interval is how long after a run of the job the next one is due, at most.
func (s *ScheduleConfig) interval(job string) time.Duration {
	text, ok := map[string]string{
		"usage": s.Usage, "cost": s.Cost, "inventory": s.Inventory, "claude_code": s.Inventory, "prune": s.Prune,
	}[job]
	if !ok {
		return 0
	}
	schedule, err := collector.ParseSchedule(text)
	if err != nil {
		return 0 // the configuration was checked
	}
	var longest time.Duration
	at := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) // some week of the year: months are as long as they are
	for range 100 {
		next := schedule.Next(at)
		if next.IsZero() {
			break
		}
		longest = max(longest, next.Sub(at))
		at = next
	}
	return longest
}

// webConfig is what matters to us of the Prometheus web configuration file.
type webConfig struct {
	TLS struct {
		CertFile   string `yaml:"cert_file"`
		Cert       string `yaml:"cert"`
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
}

// loadWebConfig reads the file; no file asks for nothing.
func loadWebConfig(file string) (c webConfig, err error) {
	if file == "" {
		return c, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		return c, errors.New(yaml.FormatError(err, false, false))
	}
	return c, nil
}

// authenticates reports whether nobody is let in without a password or a client certificate.
func (c webConfig) authenticates() bool {
	return len(c.Users) > 0 || c.TLS.ClientAuth == "RequireAndVerifyClientCert"
}

// authenticatedBy asks the file at each call, as the server does at each request: a file from which the users
// were taken lets everybody in, who then may not write any more.
func authenticatedBy(file string) func() bool {
	return func() bool {
		c, err := loadWebConfig(file)
		return err == nil && c.authenticates()
	}
}

func (c webConfig) tls() bool { return c.TLS.CertFile != "" || c.TLS.Cert != "" }

// organization is the configured organization of the name; without a name, the only one.
func (c *Config) organizations(name string) ([]OrganizationConfig, error) {
	if name == "" {
		return c.Organizations, nil
	}
	for _, o := range c.Organizations {
		if o.Name == name {
			return []OrganizationConfig{o}, nil
		}
	}
	return nil, usageError{fmt.Errorf("the configuration has no organization named %q", name)}
}
