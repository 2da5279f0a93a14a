package collector

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

const (
	// sumAtLeast is how long days are summed up between two ticks even where a backfill leaves no time.
	sumAtLeast = 2 * time.Second
	// sumPause is left between two days otherwise, for another process that waits to write to the same
	// file: it looks every 100 ms.
	sumPause = 150 * time.Millisecond
)

// worker works one organization that it owns.
type worker struct {
	*Collector
	log      *slog.Logger
	owner    storage.Owner
	org      storage.OrganizationState
	once     bool // every job once: nothing is put off
	lookAll  bool // somebody asked for a collection: lists that change rarely are read too
	verified bool // the API said that the key is of this organization

	run  *storage.Run  // the one that is running
	runs []storage.Run // all so far, if once

	// Caches; what they hold is found out anew by the next process.
	prices       *pricing.Table         // with what bills say of models whose price step no report tells
	reconciled   bool                   // the history that is there was compared with other figures
	reconcileAt  time.Time              // when that is due again
	workspace    string                 // id of the default workspace
	estimated    bool                   // stored estimates are of the current price table
	changed      bool                   // something was stored since the totals were brought up to date
	unsummed     bool                   // days may be left to sum up
	said         map[string]string      // last error of each job that was logged
	notBefore    time.Time              // the API asked to be left alone, or refuses the key
	trouble      bool                   // the last tick failed in a way that will pass
	idle         time.Time              // until then nothing will be due for repair
	later        map[want]failure       // repairs that cannot be done, and until when
	length       map[size]time.Duration // how long a window may be
	silence      map[size]spend.Window  // that windows without rows cover, one after the other back in time
	patience     time.Duration          // what a window may take that did not fit between two ticks
	lists        map[string]time.Time   // when lists that change rarely were read
	asked        int64                  // newest request that was seen
	refusedLists map[string]struct{}    // lists whose refusal was logged
	currencies   map[string]struct{}    // foreign ones that were logged
	teamsDue     bool                   // the inventory may have changed since teams were stored
	teamsStored  bool                   // teams were stored at all
	teams        team.Map               // as stored last
	saidTeams    map[string]bool        // conflicts between teams that were logged
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
		prices:       c.Prices,
		changed:      true,
		said:         map[string]string{},
		later:        map[want]failure{},
		length:       map[size]time.Duration{},
		silence:      map[size]spend.Window{},
		lists:        map[string]time.Time{},
		refusedLists: map[string]struct{}{},
		teamsDue:     true,
		saidTeams:    map[string]bool{},
		currencies:   map[string]struct{}{},
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
	var evaluation time.Time // due at the start
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
		}
		evaluates := w.schedules.evaluate != nil && !evaluation.After(now)
		if len(due) > 0 || evaluates {
			if err := w.after(ctx, now); err != nil {
				return err
			}
		}
		done := time.Now().UTC()
		wake := done.Add(24 * time.Hour)
		if w.schedules.evaluate != nil {
			if evaluates {
				evaluation = w.schedules.evaluate.nextAfter(done, jitter)
			}
			wake = evaluation
		}
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
		w.unsummed = true
		if err := w.sumFor(ctx, sumAtLeast); err != nil {
			return err
		}
		if err := w.wait(ctx, wake); err != nil {
			return err
		}
	}
}

// tick does the jobs that are due, and ends the requests that asked for it. Its error is one that
// ends the work; that a job failed is only noted.
func (w *worker) tick(ctx context.Context, now time.Time, due []job, collects []storage.Request) error {
	w.trouble, w.lookAll = false, len(collects) > 0
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
	if err := w.storeTeams(ctx); err != nil {
		if err := w.essential(ctx, "storing teams", err); err != nil {
			return err
		}
	}
	if w.After != nil {
		w.After(ctx, w.owner, w.org.ID, now)
	}
	return ctx.Err()
}

// sumFor sums up days that are over and whose sums do not hold, one after another, for so long.
func (w *worker) sumFor(ctx context.Context, most time.Duration) error {
	for until := time.Now().Add(most); w.unsummed && time.Now().Before(until); {
		if err := w.sumDay(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sumDay sums up the next day, if there is one.
func (w *worker) sumDay(ctx context.Context) error {
	some, err := w.owner.SumDay(ctx, time.Now().UTC())
	w.unsummed = some && err == nil
	if err != nil {
		return w.essential(ctx, "summing up a day", err)
	}
	return nil
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

// wait sleeps until the time, or until somebody asks for something. Before that it sums up days.
func (w *worker) wait(ctx context.Context, until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		pause := requestPoll
		if w.unsummed {
			if err := w.sumDay(ctx); err != nil {
				return err
			}
			pause = sumPause
		}
		if !sleep(ctx, min(left, pause)) {
			return ctx.Err()
		}
		// What asks for every job may have been seen by the repair before, which does not do it.
		if _, fresh := w.newRequests(ctx); fresh || len(w.collectRequests(ctx)) > 0 {
			return nil
		}
	}
}
