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

// worker works one organization that it owns.
type worker struct {
	*Collector
	log      *slog.Logger
	owner    storage.Owner
	org      storage.OrganizationState
	once     bool // every job once: nothing is put off
	verified bool // the API said that the key is of this organization

	run  *storage.Run  // the one that is running
	runs []storage.Run // all so far, if once

	// Caches; what they hold is found out anew by the next process.
	workspace    string                         // id of the default workspace
	estimated    bool                           // stored estimates are of the current price table
	changed      bool                           // something was stored since the totals were brought up to date
	said         map[string]string              // last error of each job that was logged
	notBefore    time.Time                      // the API asked to be left alone, or refuses the key
	trouble      bool                           // the last tick failed in a way that will pass
	idle         time.Time                      // until then nothing will be due for repair
	later        map[want]failure               // repairs that cannot be done, and until when
	length       map[spend.Report]time.Duration // how long a window by the hour may be
	patience     time.Duration                  // what a window may take that did not fit between two ticks
	lists        map[string]time.Time           // when lists that change rarely were read
	asked        int64                          // newest request that was seen
	refusedLists map[string]struct{}            // lists whose refusal was logged
}

// failure is a repair that was refused, and until when it is not tried again.
type failure struct {
	until time.Time
	err   string
}

func newWorker(c *Collector, owner storage.Owner, org storage.OrganizationState) *worker {
	return &worker{
		Collector:    c,
		log:          c.log.With("organization_id", org.ID),
		owner:        owner,
		org:          org,
		changed:      true,
		said:         map[string]string{},
		later:        map[want]failure{},
		length:       map[spend.Report]time.Duration{},
		lists:        map[string]time.Time{},
		refusedLists: map[string]struct{}{},
	}
}

// job is something that is done by a schedule.
type job struct {
	name     string
	schedule Schedule
	asksAPI  bool
	do       func(ctx context.Context, now time.Time) error
}

// jobs lists the jobs in the order in which they are done when due at the same time.
func (w *worker) jobs() []job {
	s := w.schedules
	return []job{
		{"usage", s.usage, true, w.collectUsage},
		{"cost", s.cost, true, w.collectCost},
		{"inventory", s.inventory, true, w.collectInventory},
		{"claude_code", s.inventory, true, w.collectClaudeCode},
		{"prune", s.prune, false, w.prune},
	}
}

// loop works until the context ends, ownership is lost, or the key turns out to be of another
// organization.
func (w *worker) loop(ctx context.Context) error {
	w.log.InfoContext(ctx, "collecting", "organization", w.org.Name)
	jitter := jitterOf(w.org.ID)
	jobs := w.jobs()
	next := make([]time.Time, len(jobs)) // what asks the API is due at the start
	for i, j := range jobs {
		if !j.asksAPI {
			next[i] = j.schedule.nextAfter(time.Now(), jitter)
		}
	}
	for {
		now := time.Now().UTC()
		collects := w.collectRequests(ctx)
		var due []job
		for i, j := range jobs {
			if len(collects) > 0 || !next[i].After(now) {
				due = append(due, j)
			}
		}
		if len(due) > 0 {
			if err := w.tick(ctx, now, due, collects); err != nil {
				return err
			}
			if err := w.after(ctx, now); err != nil {
				return err
			}
		}
		done := time.Now().UTC()
		wake := done.Add(24 * time.Hour)
		for i, j := range jobs {
			if len(collects) > 0 || !next[i].After(now) {
				next[i] = j.schedule.nextAfter(done, jitter) // what was missed meanwhile is not replayed
			}
			if next[i].Before(wake) {
				wake = next[i]
			}
		}
		if err := w.repairUntil(ctx, done, wake); err != nil {
			return err
		}
		if w.changed {
			if err := w.after(ctx, time.Now().UTC()); err != nil {
				return err
			}
		}
		if err := w.wait(ctx, wake); err != nil {
			return err
		}
	}
}

// tick does the jobs that are due, and ends the requests that asked for it. Its error is one that
// ends the work; that a job failed is only noted.
func (w *worker) tick(ctx context.Context, now time.Time, due []job, collects []storage.Request) error {
	w.trouble = false
	if err := w.verify(ctx, now); err != nil {
		return err
	}
	problem := ""
	for _, j := range due {
		if j.asksAPI && (!w.verified || now.Before(w.notBefore) && !w.once) {
			problem = "the API is not asked at the moment"
			continue
		}
		var deadline time.Time
		if !w.once {
			start := time.Now().UTC()
			length := j.schedule.nextAfter(start, jitterOf(w.org.ID)).Sub(start) - time.Second
			if problem != "" {
				length = 0 // where the API hangs, the tick must not take the time of all jobs
			}
			deadline = start.Add(min(max(length, shortestRun), longestRun))
		}
		err := w.runJob(ctx, now, j, deadline)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, storage.ErrLost):
			return err
		case err != nil:
			problem = j.name + ": " + err.Error()
		}
	}
	for _, r := range collects {
		if err := w.owner.FinishRequest(ctx, r.ID, now, problem); err != nil {
			return w.essential(ctx, "ending a request", err)
		}
	}
	return nil
}

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
		if version := w.Prices.Version(); version != w.org.PriceVersion {
			if err := w.owner.Reestimate(ctx, time.Time{}, version, w.Prices.Estimate); err != nil {
				return fmt.Errorf("estimating anew with prices %s: %w", version, err)
			}
			w.log.InfoContext(ctx, "estimated anew what is not billed yet", "prices", version)
			w.org.PriceVersion, w.changed = version, true
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

// after brings the running totals up to date, then calls the function to call after a tick.
func (w *worker) after(ctx context.Context, now time.Time) error {
	if w.changed {
		if err := w.owner.UpdateCounters(ctx, w.Config.MaxSeries); err != nil {
			if err := w.essential(ctx, "bringing the totals up to date", err); err != nil {
				return err
			}
		} else {
			w.changed = false
		}
	}
	if w.After != nil {
		w.After(ctx, w.org.ID, now)
	}
	return ctx.Err()
}

// essential logs an error of the store and returns it if it ends the work.
func (w *worker) essential(ctx context.Context, doing string, err error) error {
	if errors.Is(err, storage.ErrLost) || ctx.Err() != nil {
		return err
	}
	w.log.WarnContext(ctx, "the store failed, going on", "doing", doing, "err", err)
	return nil
}

// collectRequests lists the requests that ask for every job at once.
func (w *worker) collectRequests(ctx context.Context) []storage.Request {
	all, _ := w.newRequests(ctx)
	var collects []storage.Request
	for _, r := range all {
		if r.Kind == storage.RequestCollect {
			collects = append(collects, r)
		}
	}
	return collects
}

// newRequests lists the open requests, and reports whether one was not seen before.
func (w *worker) newRequests(ctx context.Context) (all []storage.Request, fresh bool) {
	all, err := w.Store.Requests(ctx, w.org.ID)
	if err != nil {
		w.log.DebugContext(ctx, "requests cannot be read", "err", err)
		return nil, false
	}
	for _, r := range all {
		if r.ID > w.asked {
			w.asked, fresh = r.ID, true
			w.idle = time.Time{}
		}
	}
	return all, fresh
}

// wait sleeps until the time, or until somebody asks for something.
func (w *worker) wait(ctx context.Context, until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if !sleep(ctx, min(left, requestPoll)) {
			return ctx.Err()
		}
		if _, fresh := w.newRequests(ctx); fresh {
			return nil
		}
	}
}
