package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

type onceCmd struct{}

// Run runs every job of every organization once. Beside a running daemon it asks that one to do so
// and waits.
func (onceCmd) Run(a *app) error {
	config, store, err := open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	prices, err := pricing.Load(config.Prices)
	if err != nil {
		return usageError{err}
	}
	engine, err := newEngine(a, config, store)
	if err != nil {
		return usageError{err}
	}
	auditing := newAuditing(config, store)
	var judging error
	after := func(ctx context.Context, owner storage.Owner, organization string, now time.Time) {
		if err := auditing.after(ctx, owner, organization, now); err != nil && ctx.Err() == nil {
			a.log.Error("keys and access not audited", "organization_id", organization, "err", err)
		}
		judging = errors.Join(judging, engine.Evaluate(ctx, owner, organization, now))
	}
	var runs []storage.Run
	for _, org := range config.Organizations {
		client, err := newClient(a, org)
		if err != nil {
			return usageError{err}
		}
		c, err := newCollector(a, config, org, client, store, prices, nil, after)
		if err != nil {
			return usageError{err}
		}
		rs, err := collectOnce(a, c, client, store)
		if err != nil {
			return keyAdvice(err)
		}
		runs = append(runs, rs...)
	}
	err = printRuns(a, store, runs)
	if len(config.Rules) > 0 {
		err = errors.Join(err, printJudged(a, store))
	}
	return errors.Join(err, judging)
}

// printJudged prints what the rules found, a line for each alert and each rule that failed. Its
// error says that one did.
func printJudged(a *app, store storage.Store) error {
	orgs, err := store.Organizations(a.ctx)
	if err != nil {
		return err
	}
	failures := 0
	for _, o := range orgs {
		as, err := store.Alerts(a.ctx, o.ID)
		if err != nil {
			return err
		}
		rules, err := store.RuleStates(a.ctx, o.ID)
		if err != nil {
			return err
		}
		out, err := store.Outbox(a.ctx, o.ID)
		if err != nil {
			return err
		}
		waiting, active := 0, 0
		for _, x := range out {
			if x.State == storage.Waiting {
				waiting++
			}
		}
		for _, x := range as {
			if x.State != spend.Resolved {
				active++
			}
		}
		fmt.Fprintf(a.stdout, "\n%s: %d rules, %d alerts, %d notifications not delivered yet\n", printable(o.Name), len(rules), active, waiting)
		for _, r := range rules {
			switch {
			case r.Problem != "":
				failures++
				fmt.Fprintf(a.stdout, "rule %s cannot be judged: %s\n", r.Rule, printable(r.Problem))
			case r.Note != "":
				fmt.Fprintf(a.stdout, "rule %s is quiet: %s\n", r.Rule, printable(r.Note))
			}
		}
		for _, x := range as {
			if x.State != spend.Resolved {
				fmt.Fprintf(a.stdout, "%s %s: %s\n", x.State, x.Severity, printable(x.Summary))
			}
		}
	}
	if failures > 0 {
		return fmt.Errorf("%d rules cannot be judged, see above", failures)
	}
	return nil
}

// collectOnce runs every job of an organization once, or has the daemon do it that works it.
func collectOnce(a *app, c *collector.Collector, client organizationer, store storage.Store) ([]storage.Run, error) {
	for {
		runs, err := c.Once(a.ctx, time.Now())
		if errors.Is(err, storage.ErrOwned) {
			runs, err = onceByDaemon(a, client, store)
		}
		if !errors.Is(err, errDaemonGone) {
			return runs, err
		}
	}
}

// errDaemonGone says that the daemon ended before it did what it was asked for.
var errDaemonGone = errors.New("the daemon has ended")

// onceByDaemon asks the daemon that works the organization to run every job now, and waits for it.
func onceByDaemon(a *app, client organizationer, store storage.Store) ([]storage.Run, error) {
	org, err := client.Organization(a.ctx)
	if err != nil {
		return nil, err
	}
	before, err := store.Runs(a.ctx, org.ID, 1)
	if err != nil {
		return nil, err
	}
	asked := time.Now()
	r, err := ask(a, store, storage.Request{Organization: org.ID, Kind: storage.RequestCollect, AskedAt: asked}, func() error {
		owner, err := store.Own(a.ctx, org.ID)
		if errors.Is(err, storage.ErrOwned) {
			return nil
		} else if err != nil {
			return err
		}
		return errors.Join(errDaemonGone, owner.Release())
	})
	if err != nil {
		return nil, err
	}
	if r.Problem != "" {
		a.log.Warn("the daemon did not do all of it", "problem", r.Problem)
	}
	all, err := store.Runs(a.ctx, org.ID, 50)
	if err != nil {
		return nil, err
	}
	var runs []storage.Run
	for _, run := range all { // times may be stored by the second, in which a run before ended
		if run.StartedAt.Before(asked.Truncate(time.Second)) || len(before) > 0 && run == before[0] {
			break
		}
		runs = append([]storage.Run{run}, runs...)
	}
	return runs, nil
}

// printRuns prints a line for each run. Its error says that one failed.
func printRuns(a *app, store storage.Store, runs []storage.Run) error {
	orgs, err := store.Organizations(a.ctx)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, o := range orgs {
		names[o.ID] = printable(o.Name)
	}
	failures := 0
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ORGANIZATION\tJOB\tOUTCOME\tROWS\tREQUESTS\tTOOK\tERROR")
	for _, r := range runs {
		if r.Outcome != "ok" {
			failures++
		}
		took := r.EndedAt.Sub(r.StartedAt).Round(time.Millisecond)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", names[r.Organization], r.Job, r.Outcome, r.Rows, r.Requests, took, printable(r.Error))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if failures > 0 {
		return fmt.Errorf("%d of %d jobs failed, see above", failures, len(runs))
	}
	return nil
}
