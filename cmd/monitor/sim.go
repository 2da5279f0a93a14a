package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

type simCmd struct {
	Listen  string `default:"127.0.0.1:9598" help:"Address to serve the API on."`
	Seed    uint64 `default:"1" help:"The organization's figures follow from the seed."`
	Reports string `enum:"auto,analytics,legacy" default:"auto" help:"Which generation of reports answers; the other is refused: ${enum}."`
}

// Run serves the simulated Admin API until the context ends.
func (c simCmd) Run(a *app) error {
	listener, err := listen(a.ctx, c.Listen)
	if err != nil {
		return err
	}
	o := sim.Options{Seed: c.Seed, Revise: true}
	switch c.Reports {
	case "analytics":
		o.Legacy = "refused"
	case "legacy":
		o.Analytics = "refused"
	}
	org := sim.New(o)
	server := &http.Server{Handler: org.Handler(), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(a.stdout, "Simulated Admin API on http://%s (admin key: %s)\n", listener.Addr(), sim.AdminKey)
	stopped := context.AfterFunc(a.ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the simulated API: %w", err)
	}
	return nil
}
