package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/sim"
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
	config.Audit.OwnDomains = []string{sim.Domain}
	config.Storage.SQLite = &SQLiteConfig{Path: filepath.Join(dir, "monitor.db")}
	listener, err := c.listen(a, config.Web.Listen)
	if err != nil {
		return err
	}
	config.Web.Listen = listener.Addr().String()
	fmt.Fprintf(a.stdout, `A simulated organization, live. Nothing leaves this machine; Ctrl-C ends it.

  Page      http://%[1]s/
  Metrics   http://%[1]s/metrics
  API       http://%[1]s/api/v1/costs?by=workspace,model&step=day

Its history of 90 days is being collected now and is complete in a few seconds.
`, listener.Addr())
	return serve(a, config, listener, func() (*Config, error) { return config, nil })
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
