package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Outcomes of a run.
const (
	outcomeOK       = "ok"
	outcomeFailed   = "failed"
	outcomeCanceled = "canceled"
)

// Bounds of a run's time. A run ends before its job is due again.
const (
	shortestRun = 30 * time.Second
	longestRun  = 2 * time.Minute
)

// verify makes sure that the key is of the organization, where that is in doubt: at a start
// without an answer, and after the key was refused.
func (w *worker) verify(ctx context.Context, now time.Time) error {
	if w.verified || now.Before(w.notBefore) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, shortestRun)
	defer cancel()
	org, err := w.Client.Organization(limited)
	switch {
	case err != nil:
		w.fault(ctx, now, err)
		return ctx.Err()
	case org.ID != w.org.ID:
		return fmt.Errorf("the key is of organization %s now", org.ID)
	}
	w.log.InfoContext(ctx, "the API accepts the admin key")
	w.verified = true
	return nil
}

// runJob does a job within the deadline (zero: none) and stores the run.
func (w *worker) runJob(ctx context.Context, now time.Time, j job, deadline time.Time) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if !deadline.IsZero() {
		limited, cancel = context.WithDeadline(ctx, deadline)
	}
	defer cancel()
	start, requests := time.Now(), w.Client.Requests()
	run := storage.Run{Organization: w.org.ID, Job: j.name, StartedAt: start.UTC(), Outcome: outcomeOK}
	w.run = &run
	var err error
	if j.asksAPI {
		err = w.prepare(limited, now)
	}
	if err == nil {
		err = j.do(limited, now)
	}
	took := time.Since(start)
	run.EndedAt, run.Requests = start.Add(took).UTC(), w.Client.Requests()-requests
	switch {
	case err == nil:
	case ctx.Err() != nil:
		run.Outcome, run.Error = outcomeCanceled, "stopped"
	default:
		run.Outcome, run.Error = outcomeFailed, err.Error()
	}
	w.metrics.observe(w.org.Name, j.name, run.Outcome, took)
	w.report(ctx, &run, took, err)
	if err != nil && ctx.Err() == nil {
		w.fault(ctx, now, err)
	}
	if w.once {
		w.runs = append(w.runs, run)
	}
	// A run that was stopped is stored too.
	saving, cancelSaving := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelSaving()
	if saveErr := w.owner.SaveRun(saving, run); saveErr != nil {
		return errors.Join(err, w.essential(ctx, "storing a run", saveErr))
	}
	return err
}

// report logs a run: a line, of which an error that goes on is not repeated.
func (w *worker) report(ctx context.Context, run *storage.Run, took time.Duration, err error) {
	level, message := slog.LevelInfo, "job done"
	switch {
	case run.Outcome == outcomeCanceled:
		message = "job stopped"
	case err != nil && w.said[run.Job] == run.Error:
		level, message = slog.LevelDebug, "job failed again"
	case err != nil:
		level, message = slog.LevelWarn, "job failed"
	}
	w.said[run.Job] = run.Error
	attrs := []any{"job", run.Job, "rows", run.Rows, "requests", run.Requests, "took", took}
	if err != nil {
		attrs = append(attrs, "err", err)
	}
	w.log.Log(ctx, level, message, attrs...)
}

// fault draws the consequences of an error: how long the API is left alone.
func (w *worker) fault(ctx context.Context, now time.Time, err error) {
	var e *adminapi.Error
	if !errors.As(err, &e) {
		w.trouble = w.trouble || errors.Is(err, storage.ErrUnavailable)
		return
	}
	w.trouble = w.trouble || stops(err)
	switch {
	case e.Kind == adminapi.KindAuthentication || errors.Is(err, errKeyRefused) || !w.verified && e.Refused():
		if w.verified || w.notBefore.IsZero() {
			w.log.ErrorContext(ctx, keyRefused, "err", err)
		}
		w.verified = false
		w.notBefore = now.Add(refusedRetry)
	case e.RetryAfter > 0:
		w.notBefore = now.Add(e.RetryAfter)
		w.log.WarnContext(ctx, "the API asks to wait", "until", w.notBefore)
	case e.Kind == adminapi.KindRateLimit: // the cap of the tier, which is not a matter of seconds
		w.notBefore = now.Add(refusedRetry)
	}
}

// prepare sees to what every report needs: estimates of one price table in the store, and the real
// id of the default workspace, which the older reports do not name.
func (w *worker) prepare(ctx context.Context, now time.Time) error {
	if !w.estimated {
		c, err := w.Store.Calibration(ctx, w.org.ID)
		if err != nil {
			return err
		}
		w.usePrices(c.Prices)
		if err := w.reestimate(ctx); err != nil {
			return err
		}
		w.estimated = true
	}
	if w.workspace != "" {
		return nil
	}
	known, err := w.Store.Workspaces(ctx, w.org.ID)
	if err != nil {
		return err
	}
	if w.workspace = defaultOf(known); w.workspace != "" {
		return nil
	}
	listed, err := w.Client.Workspaces(ctx)
	var e *adminapi.Error
	switch {
	case errors.As(err, &e) && e.Refused() && e.Kind != adminapi.KindAuthentication:
		w.log.WarnContext(ctx, "workspaces cannot be listed, the default workspace has no id of its own", "err", err)
	case err != nil:
		return fmt.Errorf("looking for the default workspace: %w", err)
	default:
		if err := w.owner.SaveWorkspaces(ctx, listed, now); err != nil {
			return err
		}
	}
	if w.workspace = defaultOf(listed); w.workspace == "" {
		w.workspace = spend.DefaultWorkspace
	}
	return nil
}

func defaultOf(ws []spend.Workspace) string {
	for _, x := range ws {
		if x.Default {
			return x.ID
		}
	}
	return ""
}
