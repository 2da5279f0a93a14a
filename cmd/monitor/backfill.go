package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// How often a request left for the daemon is looked at, and progress logged off a terminal.
const (
	followEvery = 500 * time.Millisecond
	logEvery    = 15 * time.Second
)

type backfillCmd struct {
	From         string `required:"" placeholder:"DATE" help:"First day to fetch (2026-01-31), UTC."`
	To           string `placeholder:"DATE" help:"Day after the last one (default: today)."`
	Organization string `help:"Only this organization, by its configured name."`
}

// Run leaves a request for the history in the store and works the organization itself until the
// request is done; where a daemon works it, that one does it while this follows.
func (c backfillCmd) Run(a *app) error {
	window, err := c.window(time.Now())
	if err != nil {
		return usageError{err}
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	if kept := config.Retention.Day; kept != 0 && window.Start.Before(spend.Day.Floor(time.Now().Add(-kept.Duration()))) {
		return usageError{fmt.Errorf("--from %s is older than retention.day (%s) keeps: it would be removed again", c.From, kept)}
	}
	orgs, err := config.organizations(c.Organization)
	if err != nil {
		return err
	}
	store, err := openStore(a.ctx, a, config)
	if err != nil {
		return err
	}
	defer store.Close()
	prices, err := pricing.Load(config.Prices)
	if err != nil {
		return usageError{err}
	}
	for _, org := range orgs {
		client, err := newClient(a, org)
		if err != nil {
			return usageError{err}
		}
		worker, err := newCollector(a, config, org, client, store, prices, nil, nil)
		if err != nil {
			return usageError{err}
		}
		known, err := learn(a.ctx, client, org.Name, store)
		if err != nil {
			return err
		}
		r := storage.Request{
			Organization: known.ID, Kind: storage.RequestBackfill, Grain: spend.Hour, Window: window, AskedAt: time.Now(),
		}
		p := &progress{app: a, store: store, organization: known, window: window}
		if err := p.work(r, worker.Run); err != nil {
			return fmt.Errorf("backfill of %s: %w", known.Name, err)
		}
	}
	return nil
}

func (c backfillCmd) window(now time.Time) (spend.Window, error) {
	w := spend.Window{End: spend.Day.Ceil(now)}
	var err error
	if w.Start, err = time.Parse(time.DateOnly, c.From); err != nil {
		return w, fmt.Errorf("--from %q is not a day such as 2026-01-31", c.From)
	}
	if c.To != "" {
		if w.End, err = time.Parse(time.DateOnly, c.To); err != nil {
			return w, fmt.Errorf("--to %q is not a day such as 2026-01-31", c.To)
		}
	}
	switch {
	case w.Empty():
		return w, fmt.Errorf("--from %s is not before --to %s", c.From, w.End.Format(time.DateOnly))
	case w.Start.After(now):
		return w, fmt.Errorf("--from %s lies in the future", c.From)
	}
	return w, nil
}

// organizationer tells which organization an admin key belongs to.
type organizationer interface {
	Organization(ctx context.Context) (spend.Organization, error)
}

// learn asks the API which organization the key belongs to and makes it known to the store.
func learn(ctx context.Context, client organizationer, name string, store storage.Store) (spend.Organization, error) {
	org, err := client.Organization(ctx)
	if err != nil {
		return org, keyAdvice(err)
	}
	if name != "" {
		org.Name = name
	}
	return org, store.SaveOrganization(ctx, org, time.Now())
}

// ask leaves a request and waits until it is done. follow, where not nil, is called now and then.
func ask(a *app, store storage.Store, r storage.Request, follow func() error) (storage.Request, error) {
	id, err := store.Ask(a.ctx, r)
	if err != nil {
		return r, err
	}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		if r, err = store.Request(a.ctx, id); err != nil {
			return r, err
		}
		if follow != nil {
			if err := follow(); err != nil {
				return r, err
			}
		}
		if !r.DoneAt.IsZero() {
			return r, nil
		}
		select {
		case <-ticker.C:
		case <-a.ctx.Done():
			return r, a.ctx.Err()
		}
	}
}

// progress shows how much of a window the ledger has.
type progress struct {
	*app
	store        storage.Store
	organization spend.Organization
	window       spend.Window
	logged       time.Time
}

// work has the request done, by whoever works the organization, and shows the progress.
func (p *progress) work(r storage.Request, run func(context.Context) error) error {
	ctx, stop := context.WithCancel(p.ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return run(ctx) })
	show, end := p.line, func() {}
	if f, ok := p.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		show, end = p.bar, func() { fmt.Fprintln(p.stderr) }
	}
	asking := *p.app
	asking.ctx = ctx
	done, err := ask(&asking, p.store, r, show)
	end()
	stop()
	if workErr := g.Wait(); err == nil {
		err = workErr
	}
	switch {
	case err != nil && p.ctx.Err() != nil:
		return errors.Join(p.ctx.Err())
	case err != nil:
		return err
	case done.Problem != "":
		return errors.New(done.Problem)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: history from %s to %s is complete\n", printable(p.organization.Name),
		p.window.Start.Format(time.DateOnly), p.window.End.Format(time.DateOnly))
	return err
}

// have is how much of the window's usage and cost the ledger has, from 0 to 1.
func (p *progress) have() (float64, error) {
	window := p.window
	if now := time.Now(); window.End.After(now) {
		window.End = now
	}
	var have time.Duration
	for _, f := range []spend.Fact{spend.FactUsage, spend.FactCost} {
		slots, err := p.store.Slots(p.ctx, p.organization.ID, f, window)
		if err != nil {
			return 0, err
		}
		for _, s := range slots {
			have += s.Window.Intersect(window).Duration()
		}
	}
	return min(1, float64(have)/float64(2*window.Duration())), nil
}

func (p *progress) line() error {
	if time.Since(p.logged) < logEvery {
		return nil
	}
	p.logged = time.Now()
	have, err := p.have()
	if err == nil {
		p.log.Info("backfill", "organization", p.organization.Name, "percent", int(100*have))
	}
	return err
}

func (p *progress) bar() error {
	const width = 40
	have, err := p.have()
	if err == nil {
		n := int(have * width)
		_, err = io.WriteString(p.stderr, fmt.Sprintf("\r%s [%s%s] %3d %%", p.organization.Name,
			strings.Repeat("#", n), strings.Repeat(".", width-n), int(100*have)))
	}
	return err
}
