package main

import (
	"errors"
	"net/url"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// reconcile prints what the daemon compared with what; it compares nothing itself.
func (c reportCmd) reconcile(a *app) error {
	if c.Usage || len(c.By) > 0 || len(c.Where) > 0 || c.Step != "total" {
		return usageError{errors.New("--reconcile takes --from, --to and --format only: it has rows of its own")}
	}
	values := url.Values{}
	for name, v := range map[string]string{"from": c.From, "to": c.To} {
		if v != "" {
			values.Set(name, v)
		}
	}
	now := time.Now()
	window, err := report.ParseReconciliation(values, now)
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
	answer, err := report.Reconcile(a.ctx, store, window, now)
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
	default:
		return answer.WriteTable(a.stdout)
	}
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
