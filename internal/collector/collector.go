// Package collector decides when and what to fetch from the Admin API, and has it stored. Each
// organization has one Collector; its Run is the organization's work loop:
//
//	wait until a job is due (cron, UTC)
//	usage       minutes of the last 3 h; open days by the hour; request counts
//	cost        the bill of open days, by the hour (analytics) or by the day (cost report)
//	inventory   workspaces and keys; now and then members, invites, limits
//	claude_code the Claude Code report of the last days
//	prune       what retention does not keep
//	            → running totals → the function to call after a tick (rules, snapshot)
//	backfill    whatever is missing or may have changed, in small windows until the next tick
//	reconcile   settled days against totals, the other reports and estimates; calibration; findings
//
// What is due is decided by pure functions of the store's ledger, its watermarks and the time
// (plan.go, reports.go, claudecode.go); the loop only waits and carries out. So first start,
// restart, a missed tick and a month of downtime are all the same to it. What the process
// remembers beside are caches: how large windows may be, what failed a moment ago, when lists that
// change rarely were read.
//
// A new job is a file with its method and a line in [worker.jobs].
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// How long the loop waits before it tries again.
const (
	ownRetry     = 5 * time.Second  // an organization that another monitor works, or a database that is away
	learnRetry   = time.Minute      // an API that does not answer, at most
	refusedRetry = 5 * time.Minute  // an API that refuses the key
	requestPoll  = 10 * time.Second // how often the store is looked into for requests
)

// Config is when and what to collect.
type Config struct {
	// Usage, Cost, Inventory and Prune are schedules, as [ParseSchedule] reads them. Claude Code's
	// report goes by the schedule of the inventory.
	Usage, Cost, Inventory, Prune string
	// Evaluate is a schedule by which After is called although no job was due; empty: never.
	Evaluate  string
	Retention Retention
	// Backfill is how much history before the first start is fetched by the hour.
	Backfill time.Duration
	// MaxSeries bounds the series of each counter; 0 is no limit.
	MaxSeries int
	// Reports is ReportsAuto, ReportsAnalytics or ReportsLegacy.
	Reports string
}

// Retention is how long facts are kept at a grain; 0 is for ever.
type Retention struct{ Minute, Hour, Day time.Duration }

// Options are what a Collector needs; all but Name, Teams and After are required.
type Options struct {
	// Name is the organization's label; if empty the API's name is used.
	Name   string
	Client *adminapi.Client
	Store  storage.Store
	Prices *pricing.Table
	Teams  team.Teams // whose the use is, for the SQL views
	Config Config
	Log    *slog.Logger
	// After is called when a tick has been stored, also when its jobs failed, and by the schedule
	// Evaluate. It may write through the owner. It handles its own errors.
	After func(ctx context.Context, owner storage.Owner, organizationID string, now time.Time)
	// Owning, where not nil, is called when this process begins (true) or ceases (false) to work the
	// organization, and each time that it finds another one doing so (false).
	Owning func(ctx context.Context, organizationID string, owns bool)
}

// Collector collects one organization.
type Collector struct {
	Options
	schedules schedules
	metrics   metrics
	log       *slog.Logger
	nameless  atomic.Pointer[Nameless]
	called    atomic.Pointer[string]
}

// Nameless is why it is not known which organization the key belongs to, so that nothing of it is
// collected, nor known to the store; At is when that was tried last.
type Nameless struct {
	Problem string
	At      time.Time
}

// Nameless is nil once the organization is known, and before that was first tried. It may be called
// beside Run.
func (c *Collector) Nameless() *Nameless { return c.nameless.Load() }

// Called is what the organization is called: as configured, else by its own name, which is empty until
// that is known. It may be called beside Run.
func (c *Collector) Called() string {
	if name := c.called.Load(); name != nil {
		return *name
	}
	return c.Name
}

// New returns a collector. It makes no request. Its errors are those of the configuration.
func New(o Options) (*Collector, error) {
	s, err := parseSchedules(o.Config)
	if err != nil {
		return nil, err
	}
	switch o.Config.Reports {
	case ReportsAuto, ReportsAnalytics, ReportsLegacy:
	default:
		return nil, fmt.Errorf("reports %q: must be %s, %s or %s", o.Config.Reports, ReportsAuto, ReportsAnalytics, ReportsLegacy)
	}
	if o.Config.Backfill < 0 || o.Config.Retention.Minute < 0 || o.Config.Retention.Hour < 0 || o.Config.Retention.Day < 0 || o.Config.MaxSeries < 0 {
		return nil, errors.New("backfill, retention and max_series must not be negative")
	}
	log := o.Log.With("component", "collector")
	if o.Name != "" {
		log = log.With("organization", o.Name)
	}
	return &Collector{Options: o, schedules: s, metrics: newMetrics(), log: log}, nil
}

// Metrics are the counters of the job runs, for a Prometheus registry. The collectors of several
// organizations may be registered together.
func (c *Collector) Metrics() []prometheus.Collector { return []prometheus.Collector{c.metrics} }

// Run works the organization until the context ends, which is not an error. While another monitor
// owns the organization, or the API cannot tell which one the key belongs to, it waits.
func (c *Collector) Run(ctx context.Context) error {
	wait, said := time.Duration(0), ""
	for sleep(ctx, wait) {
		org, verified, err := c.learn(ctx)
		if err != nil {
			wait = c.learnFailed(ctx, err, wait)
			continue
		}
		c.nameless.Store(nil)
		c.called.Store(&org.Name)
		wait = ownRetry
		w, err := c.own(ctx, org)
		switch {
		case errors.Is(err, storage.ErrOwned):
			c.owning(ctx, org.ID, false)
			c.log.DebugContext(ctx, "another monitor works this organization, waiting", "organization_id", org.ID)
			continue
		case err != nil:
			if ctx.Err() == nil && said != err.Error() {
				c.log.WarnContext(ctx, "organization cannot be taken over, trying again", "err", err)
			}
			said = err.Error()
			continue
		}
		said, w.verified = "", verified
		c.owning(ctx, org.ID, true)
		err = w.loop(ctx)
		c.owning(ctx, org.ID, false)
		if releaseErr := w.owner.Release(); releaseErr != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "giving the organization up", "err", releaseErr)
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, storage.ErrLost):
			c.log.WarnContext(ctx, "ownership of the organization was lost, starting over", "err", err)
		default:
			c.log.WarnContext(ctx, "starting over", "err", err)
		}
	}
	return nil
}

func (c *Collector) owning(ctx context.Context, organization string, owns bool) {
	if c.Owning != nil && ctx.Err() == nil {
		c.Owning(ctx, organization, owns)
	}
}

// Once runs every job once, and what is missing of the history, as at now. It returns the runs, in
// order. The error is one of having no organization or database to work with, among them
// [storage.ErrOwned]; jobs that failed say so in their runs.
func (c *Collector) Once(ctx context.Context, now time.Time) ([]storage.Run, error) {
	org, _, err := c.learn(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the organization of the admin key: %w", err)
	}
	w, err := c.own(ctx, org)
	if err != nil {
		return nil, err
	}
	w.verified, w.once = true, true
	err = w.tick(ctx, now, w.jobs(), nil)
	if err == nil {
		err = w.repairAll(ctx, now)
	}
	w.unsummed = true
	for err == nil && w.unsummed {
		err = w.sumDay(ctx)
	}
	if err == nil {
		err = w.after(ctx, now)
	}
	if releaseErr := w.owner.Release(); err == nil {
		err = releaseErr
	}
	return w.runs, err
}

// learn finds out which organization the key belongs to and makes it known to the store. Where the
// API does not answer it takes the stored organization of the configured name, unverified, so that
// rules go on being judged while there is no data.
func (c *Collector) learn(ctx context.Context) (org spend.Organization, verified bool, err error) {
	org, err = c.Client.Organization(ctx)
	if err != nil {
		known, storeErr := c.stored(ctx, func(o spend.Organization) bool { return c.Name != "" && o.Name == c.Name })
		if storeErr == nil {
			c.log.WarnContext(ctx, "the organization cannot be read from the API, going on with the stored one",
				"organization_id", known.ID, "err", err)
			return known.Organization, false, nil
		}
		return org, false, err
	}
	if c.Name != "" {
		org.Name = c.Name
	}
	if err := c.Store.SaveOrganization(ctx, org, time.Now()); err != nil {
		return org, false, fmt.Errorf("storing organization %s: %w", org.ID, err)
	}
	return org, true, nil
}

// stored is the one stored organization that matches.
func (c *Collector) stored(ctx context.Context, match func(spend.Organization) bool) (storage.OrganizationState, error) {
	all, err := c.Store.Organizations(ctx)
	if err != nil {
		return storage.OrganizationState{}, err
	}
	all = slices.DeleteFunc(all, func(o storage.OrganizationState) bool { return !match(o.Organization) })
	if len(all) != 1 {
		return storage.OrganizationState{}, storage.ErrNotFound
	}
	return all[0], nil
}

// learnFailed says why there is no organization to work and how long to wait.
func (c *Collector) learnFailed(ctx context.Context, err error, last time.Duration) time.Duration {
	var e *adminapi.Error
	if ctx.Err() != nil {
		return 0
	}
	n := &Nameless{Problem: "the log says why", At: time.Now().UTC()} // of the database, which is not for everybody
	if errors.As(err, &e) || errors.Is(err, adminapi.ErrNoKey) {
		n.Problem = err.Error()
	}
	c.nameless.Store(n)
	switch {
	case errors.As(err, &e) && e.Refused():
		if last != refusedRetry {
			c.log.ErrorContext(ctx, keyRefused, "err", err)
		}
		return refusedRetry
	case errors.As(err, &e) && e.RetryAfter > 0:
		c.log.WarnContext(ctx, "the API asks to wait", "wait", e.RetryAfter, "err", err)
		return e.RetryAfter
	default:
		wait := min(max(2*last, ownRetry), learnRetry)
		c.log.WarnContext(ctx, "the organization of the admin key cannot be read, trying again; stored data stays available",
			"wait", wait, "err", err)
		return wait
	}
}

// keyRefused tells the operator what to do.
const keyRefused = "the API refuses the admin key: an Admin API key is needed, which an admin of the organization makes in the Console " +
	"under Settings, Admin keys (individual accounts have none); trying again every few minutes, stored data stays available"

// own takes the organization over.
func (c *Collector) own(ctx context.Context, org spend.Organization) (*worker, error) {
	owner, err := c.Store.Own(ctx, org.ID)
	if err != nil {
		return nil, err
	}
	state, err := c.stored(ctx, func(o spend.Organization) bool { return o.ID == org.ID })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("organization %s: %w", org.ID, err), owner.Release())
	}
	return newWorker(c, owner, state), nil
}

// sleep waits, and reports false once the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
