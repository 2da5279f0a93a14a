package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/web"
)

type runCmd struct{}

// Run is the daemon, until the context ends.
func (runCmd) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	listener, err := listen(a.ctx, config.Web.Listen)
	if err != nil {
		return err
	}
	a.log.Info("listening", "address", "http://"+listener.Addr().String())
	if config.file != "" {
		a.configFiles = []string{config.file} // at a reload a file that is gone is no wish for the defaults
	}
	return serve(a, config, listener, a.config)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("web.listen: %w (choose another address, or stop what uses it)", err)
	}
	return l, nil
}

// serve is the daemon: it wires everything that the configuration names and runs it until the
// context ends, which is not an error. Listener and store live as long as the process; the rest is
// a generation, built anew from the configuration that load reads at each reload.
func serve(a *app, config *Config, listener net.Listener, load func() (*Config, error)) error {
	if _, err := loadWebConfig(config.Web.ConfigFile); err != nil {
		return errors.Join(usageError{fmt.Errorf("web.config_file: %w", err)}, listener.Close())
	}

	// Until there is a generation the listener answers that there is none, so that a probe sees why.
	var handler atomic.Pointer[http.Handler]
	setHandler := func(h http.Handler) { handler.Store(&h) }
	unready := func(reason string) { setHandler(starting(reason)) }
	unready("starting: opening the database")
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*handler.Load()).ServeHTTP(w, r)
	}), a.log)

	g, ctx := errgroup.WithContext(a.ctx)
	g.Go(func() error {
		err := toolkit.Serve(listener, server, &toolkit.FlagConfig{
			WebListenAddresses: &[]string{listener.Addr().String()},
			WebSystemdSocket:   new(bool),
			WebConfigFile:      &config.Web.ConfigFile,
		}, slog.New(slog.DiscardHandler))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serving HTTP: %w", err)
	})
	g.Go(func() error {
		<-ctx.Done()
		timeout, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer stop()
		if err := server.Shutdown(timeout); err != nil {
			return server.Close()
		}
		return nil
	})
	g.Go(func() error {
		ready := sync.OnceFunc(func() { a.tellSystemd("READY=1") })
		store, err := openStoreEventually(ctx, a, config, func(reason string) {
			unready(reason)
			ready() // waiting for the database is work, too
		})
		if err != nil {
			return err
		}
		defer store.Close()
		ready()
		return generations(ctx, a, generation{config: config, store: store, authenticated: authenticatedBy(config.Web.ConfigFile)}, load, setHandler)
	})
	if err := g.Wait(); err != nil && a.ctx.Err() == nil {
		return err
	}
	a.log.Info("stopped")
	return nil
}

// newServer bounds all that a client can draw out. Handlers have a time limit of their own, which ends
// neither a body that does not come nor an answer that nobody takes: each would hold a connection and
// its memory for ever.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // bodies are small
		WriteTimeout:      5 * time.Minute,  // from the header's end: the work, and a large answer over a slow line
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// starting answers while there is no generation: that the process is alive, and why there is nothing else yet.
func starting(reason string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/-/healthy" { // who restarts what is not healthy would cut migrations short
			fmt.Fprintln(w, "healthy")
			return
		}
		http.Error(w, reason, http.StatusServiceUnavailable)
	})
}

// generations runs one generation after the other, until the context ends: a reload that brings a
// good configuration ends the running one and starts the next.
func generations(ctx context.Context, a *app, now generation, load func() (*Config, error), setHandler func(http.Handler)) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	reloads := make(chan chan error)
	now.reloaded = metrics.NewConfigReload()
	now.reloaded.Set(1)
	now.reload = func(ctx context.Context) error {
		answer := make(chan error, 1)
		select {
		case reloads <- answer:
			return <-answer
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := now.build(a); err != nil {
		return err
	}
	for {
		setHandler(now.handler)
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- now.run(running) }()

		var next *generation
		for next == nil {
			var answer chan error
			select {
			case err := <-ended:
				stop()
				return err
			case <-hangup:
			case answer = <-reloads:
			}
			fresh, err := now.next(a, load)
			if err != nil {
				now.reloaded.Set(0)
				a.log.Error("configuration not reloaded, the one before stays in force", "err", err)
			} else {
				now.reloaded.Set(1)
				next = fresh
			}
			if answer != nil {
				answer <- err
			}
		}
		stop()
		<-ended
		now = *next
		a.log.Info("configuration reloaded")
	}
}

// generation is all that follows from one reading of the configuration.
type generation struct {
	config        *Config
	store         storage.Store
	authenticated func() bool
	reload        func(context.Context) error
	reloaded      prometheus.Gauge

	handler    http.Handler
	collectors []*collector.Collector
	engine     *alerts.Engine
	audit      *auditing
	snapshot   *metrics.Metrics
	log        *slog.Logger

	mu   *sync.Mutex
	owns map[string]bool // by organization: whether this process works it
}

// next builds the generation of the configuration as it is now.
func (g generation) next(a *app, load func() (*Config, error)) (*generation, error) {
	config, err := load()
	if err != nil {
		return nil, err
	}
	if old := g.config; old.Web != config.Web || !reflect.DeepEqual(old.Storage, config.Storage) {
		a.log.Warn("storage and web take effect at the next start")
	}
	g.config = config
	return &g, g.build(a)
}

// build wires the generation.
func (g *generation) build(a *app) error {
	prices, err := pricing.Load(g.config.Prices)
	if err != nil {
		return usageError{err}
	}
	release, commit, goVersion := buildInfo()
	g.log = a.log
	g.mu, g.owns, g.collectors = &sync.Mutex{}, map[string]bool{}, nil
	g.audit = newAuditing(g.config, g.store)
	g.snapshot = metrics.New(g.store, metrics.Options{
		MaxSeries: g.config.Metrics.MaxSeries, APIKeys: g.config.Metrics.APIKeys, Teams: g.config.Teams,
		ClaudeCodeActors: metrics.Actors(g.config.Metrics.ClaudeCodeActors),
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics.NewBuildInfo(release, commit, goVersion),
		g.reloaded,
		g.snapshot,
	)
	if g.engine, err = newEngine(a, g.config, g.store); err != nil {
		return usageError{err}
	}
	registry.MustRegister(g.engine.Metrics()...)
	for i, org := range g.config.Organizations {
		client, err := newClient(a, org)
		if err != nil {
			return usageError{err}
		}
		c, err := newCollector(a, g.config, org, client, g.store, prices, g.owning, g.after)
		if err != nil {
			return usageError{err}
		}
		g.collectors = append(g.collectors, c)
		registry.MustRegister(c.Metrics()...)
		registry.MustRegister(requestMetrics{client.Metrics(), func() string { return g.label(i) }})
	}
	g.handler = web.New(web.Options{
		Store: g.store, Gatherer: registry, Log: a.log, Version: release, Now: time.Now,
		Backfill: g.config.Backfill.Duration(), Reload: g.reload, Authenticated: g.authenticated,
		Teams: g.config.Teams, Prices: prices, Budgets: budgetRules(g.config.Rules), Unread: g.unread,
	})
	return nil
}

// placeOf is where an organization stands in the configuration, for one that has no name.
func placeOf(i int) string { return fmt.Sprintf("organizations[%d]", i) }

// unread lists the organizations of which nothing can be read, since their keys do not tell which they are.
func (g *generation) unread() []web.Unread {
	var all []web.Unread
	for i, c := range g.collectors {
		if n := c.Nameless(); n != nil {
			all = append(all, web.Unread{Organization: cmp.Or(c.Name, placeOf(i)), Problem: n.Problem, At: n.At})
		}
	}
	return all
}

// requestMetrics are those of the requests to one organization, with its name as it is when they are collected:
// one without a configured name learns its own from the API.
type requestMetrics struct {
	metrics      []prometheus.Collector
	organization func() string
}

// Describe describes nothing: the metrics of several organizations have the same names.
func (requestMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect collects the metrics.
func (m requestMetrics) Collect(ch chan<- prometheus.Metric) {
	labels := prometheus.Labels{"organization": m.organization()}
	for _, c := range m.metrics {
		prometheus.WrapCollectorWith(labels, c).Collect(ch)
	}
}

// label is the name of an organization of the configuration in metrics of requests: its place, where it has
// no name yet beside others, or one of them has the same.
func (g *generation) label(i int) string {
	name := g.collectors[i].Called()
	taken := func(other *collector.Collector) bool { return other.Called() == name }
	if slices.ContainsFunc(g.collectors[:i], taken) || name == "" && len(g.collectors) > 1 {
		return placeOf(i)
	}
	return name
}

// run works the organizations until the context ends.
func (g *generation) run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, c := range g.collectors {
		work.Go(func() error { return c.Run(ctx) })
	}
	return work.Wait()
}

// owning is told when this process begins or ceases to work an organization, or finds that another
// one does.
func (g *generation) owning(ctx context.Context, organization string, owns bool) {
	g.mu.Lock()
	was, known := g.owns[organization]
	g.owns[organization] = owns
	g.mu.Unlock()
	if !owns && !known {
		g.log.Info("another monitor works this organization; this one serves what is stored, and takes over when that one ends",
			"organization_id", organization)
	}
	if was != owns || !known {
		g.refresh(ctx, organization, time.Now())
	}
}

// after audits keys and access, judges the rules and brings the metrics up to date, after each tick. Then
// there is little to do until the next one.
func (g *generation) after(ctx context.Context, owner storage.Owner, organization string, now time.Time) {
	if err := g.audit.after(ctx, owner, organization, now); err != nil && ctx.Err() == nil {
		g.log.Error("keys and access not audited", "organization_id", organization, "err", err)
	}
	if err := g.engine.Evaluate(ctx, owner, organization, now); err != nil && ctx.Err() == nil {
		g.log.Error("rules not evaluated", "organization_id", organization, "err", err)
	}
	g.refresh(ctx, organization, now)
	giveBack()
}

// refresh brings the metrics of stored data up to date.
func (g *generation) refresh(ctx context.Context, _ string, now time.Time) {
	g.mu.Lock()
	owns := maps.Clone(g.owns)
	g.mu.Unlock()
	if err := g.snapshot.Refresh(ctx, now, owns); err != nil && ctx.Err() == nil {
		g.log.Error("metrics not brought up to date", "err", err)
	}
}
