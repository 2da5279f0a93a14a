package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// reconcile asks what the daemon compared with what; nothing is compared for it.
func (c reportCmd) reconcile(now time.Time) (question, error) {
	if len(c.By) > 0 || len(c.Where) > 0 {
		return nil, errors.New("--reconcile takes --from, --to and --format only: it has rows of its own")
	}
	values := url.Values{}
	for name, v := range map[string]string{"from": c.From, "to": c.To} {
		if v != "" {
			values.Set(name, v)
		}
	}
	window, err := report.ParseReconciliation(values, now)
	return func(ctx context.Context, store storage.Store, _ team.Teams) (writable, error) {
		return report.Reconcile(ctx, store, window, now)
	}, err
}

// calibration says, organization by organization, how estimates are scaled.
func (d *doctor) calibration(store storage.Store) {
	orgs, err := store.Organizations(d.ctx)
	if err != nil {
		d.say(false, "calibration", err.Error())
		return
	}
	for _, o := range orgs {
		c, err := store.Calibration(d.ctx, o.ID)
		if err != nil {
			d.say(false, "calibration", err.Error())
			return
		}
		for _, n := range report.CalibrationNotes(c) {
			d.note("calibration", o.Name+": "+n)
		}
	}
}
