package collector

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const (
	shortestSlice = 5 * time.Second  // a repair is not begun with less time left
	beforeTick    = time.Second      // the API is asked no later than this before the next tick
	storing       = 30 * time.Second // what storing the last answer may take
	laterRetry    = time.Hour        // what the API will not answer is asked again after this
)

var facts = [...]spend.Fact{spend.FactUsage, spend.FactCost, spend.FactRequests}

// task is a want of a fact that is due for repair, with the plan that it is of.
type task struct {
	fact spend.Fact
	plan plan
	want want
}

// repairUntil repairs the history until the time: gaps, answers that were held, days that may have
// been revised, and what was asked for. It begins nothing that could delay the next tick.
func (w *worker) repairUntil(ctx context.Context, now, until time.Time) error {
	if w.trouble || !w.verified || now.Before(w.notBefore) || now.Before(w.idle) {
		return nil
	}
	tasks, err := w.tasks(ctx, now)
	if err != nil {
		return w.essential(ctx, "planning the repair of history", err)
	}
	until = until.Add(-beforeTick)
	if len(tasks) == 0 {
		w.idle = spend.Hour.Floor(now).Add(time.Hour) // nothing becomes due but at a full hour
		return w.reconcileUntil(ctx, now, until, true)
	}
	if patient := now.Add(w.patience); until.Before(patient) {
		until = patient
	}
	err = w.runJob(ctx, now, w.backfill(tasks, until), until.Add(storing))
	if errors.Is(err, storage.ErrLost) || ctx.Err() != nil {
		return err
	}
	return w.reconcileUntil(ctx, time.Now().UTC(), until, false)
}

// repairAll repairs all of the history and reconciles it.
func (w *worker) repairAll(ctx context.Context, now time.Time) error {
	if w.trouble {
		return nil
	}
	tasks, err := w.tasks(ctx, now)
	if err != nil {
		return err
	}
	if len(tasks) > 0 {
		err = w.runJob(ctx, now, w.backfill(tasks, time.Time{}), time.Time{})
		if errors.Is(err, storage.ErrLost) || ctx.Err() != nil {
			return err
		}
	}
	if w.trouble {
		return nil
	}
	return w.reconcileUntil(ctx, now, time.Time{}, true)
}

// backfill is the job that does the tasks, and then what is due after them, until the time (zero:
// until nothing is left).
func (w *worker) backfill(tasks []task, until time.Time) job {
	return job{"backfill", Schedule{}, true, func(ctx context.Context, now time.Time) error {
		var errs []error
		done := map[want]bool{}
		for len(tasks) > 0 {
			for _, t := range tasks {
				more, err := w.do(ctx, now, t, until)
				if err != nil {
					errs = append(errs, err)
				}
				if !more {
					return errors.Join(errs...)
				}
				done[t.want] = err == nil
			}
			var err error
			if tasks, err = w.tasks(ctx, now); err != nil {
				return errors.Join(append(errs, err)...)
			}
			for _, t := range tasks {
				if done[t.want] { // for instance where the API's data went back in time
					w.later[t.want] = failure{now.Add(laterRetry), "the answer does not reach as far as the API said"}
				}
			}
			tasks = w.due(tasks, now)
		}
		return errors.Join(errs...)
	}}
}

// do does a task window by window. It reports false where no time is left; a window that did not
// fit is no error. A window that cannot be had does not keep the older ones waiting.
func (w *worker) do(ctx context.Context, now time.Time, t task, until time.Time) (more bool, err error) {
	x := t.want
	var errs []error
	for !x.window.Empty() {
		timeout := 10 * time.Minute
		if !until.IsZero() {
			timeout = time.Until(until)
		}
		if timeout < shortestSlice {
			return false, errors.Join(errs...)
		}
		part := t.plan.newest(x, w.lengthOf(x))
		err := w.fetch(ctx, now, t.fact, t.plan, part, timeout)
		switch {
		case err == nil:
		case errors.Is(err, errRefused):
			return true, errors.Join(errs...) // planned anew, without the report
		case cut(err) && !until.IsZero():
			return false, errors.Join(errs...)
		case stops(err):
			return false, errors.Join(append(errs, err)...)
		default:
			w.later[part] = failure{now.Add(laterRetry), err.Error()}
			w.later[t.want] = w.later[part]
			errs = append(errs, err)
		}
		x.window.End = part.window.Start
	}
	return true, errors.Join(errs...)
}

// tasks lists what is due for repair, the most urgent first, and ends requests that are done: the
// sweep for the last use of keys, which is short; gaps from the newest to the oldest; what was
// asked for; the daily comparison.
func (w *worker) tasks(ctx context.Context, now time.Time) ([]task, error) {
	open := openFrom(now)
	from := historyFrom(w.org.FirstSeenAt, w.Config.Backfill, w.Config.Retention.Hour, now)
	sweepFrom := spend.Day.Floor(w.org.FirstSeenAt).Add(-sweepBack)
	if from.Before(sweepFrom) {
		sweepFrom = from
	}
	forgotten := keep(w.Config.Retention, now).Day // what is not kept is not read either
	if sweepFrom.Before(forgotten) {
		sweepFrom = forgotten
	}
	all, _ := w.newRequests(ctx)
	ledgerFrom := sweepFrom
	for _, r := range all {
		if r.Kind == storage.RequestBackfill && r.Window.Start.Before(ledgerFrom) {
			ledgerFrom = spend.Day.Floor(r.Window.Start)
		}
	}

	plans := map[spend.Fact]plan{}
	var sweep, gaps, comparisons []task
	for _, f := range facts {
		p, err := w.planFor(ctx, f, spend.Window{Start: ledgerFrom, End: now}, now)
		if err != nil {
			return nil, err
		}
		plans[f] = p
		old := spend.Grain(0)
		if f == spend.FactUsage {
			old = spend.Day
		}
		for _, x := range append(p.repair(spend.Window{Start: sweepFrom, End: from}, old, true),
			p.repair(spend.Window{Start: from, End: open}, spend.Hour, true)...) {
			switch {
			case x.compare:
				comparisons = append(comparisons, task{f, p, x})
			case x.grain == spend.Day && f == spend.FactUsage:
				sweep = append(sweep, task{f, p, x})
			default:
				gaps = append(gaps, task{f, p, x})
			}
		}
	}
	slices.SortStableFunc(gaps, func(a, b task) int { return b.want.window.End.Compare(a.want.window.End) })

	tasks := w.due(append(sweep, gaps...), now)
	if len(tasks) == 0 {
		asked, err := w.requestTasks(ctx, plans, all, now)
		if err != nil {
			return nil, err
		}
		tasks = asked
	}
	return append(tasks, w.due(comparisons, now)...), nil
}

// due leaves out what failed a moment ago, and forgets failures that are old.
func (w *worker) due(tasks []task, now time.Time) []task {
	for x, f := range w.later {
		if !now.Before(f.until) {
			delete(w.later, x)
		}
	}
	return slices.DeleteFunc(tasks, func(t task) bool { _, failed := w.later[t.want]; return failed })
}

// requestTasks lists what is left to do of the history that was asked for, and ends the requests
// of which nothing is.
func (w *worker) requestTasks(ctx context.Context, plans map[spend.Fact]plan, all []storage.Request, now time.Time) ([]task, error) {
	var tasks []task
	for _, r := range all {
		if r.Kind != storage.RequestBackfill {
			continue
		}
		window := r.Window.Align(spend.Day).Intersect(spend.Window{Start: keep(w.Config.Retention, now).Day, End: openFrom(now)})
		byHour, byDay := window, spend.Window{}
		if keep := w.Config.Retention.Hour; r.Grain == spend.Day {
			byHour, byDay = spend.Window{}, window
		} else if kept := spend.Day.Floor(now.Add(-keep)); keep > 0 && window.Start.Before(kept) {
			// What retention would fold into days at once is read by the day.
			byHour.Start, byDay = kept, spend.Window{Start: window.Start, End: kept}.Intersect(window)
		}
		var left []task
		for _, f := range facts {
			p := plans[f]
			wants := p.repair(byHour, spend.Hour, false)
			if f == spend.FactUsage {
				wants = append(wants, p.repair(byDay, spend.Day, false)...)
			} else if f == spend.FactCost {
				wants = append(wants, p.repair(byDay, spend.Hour, false)...)
			}
			for _, x := range wants {
				left = append(left, task{f, p, x})
			}
		}
		problem := ""
		for _, t := range left {
			if f, failed := w.later[t.want]; failed {
				problem = f.err
			}
		}
		left = w.due(left, now)
		if len(plans[spend.FactUsage].reports) == 0 {
			problem = "usage: no report is allowed to this key: " + w.refusals(plans[spend.FactUsage])
		}
		if len(left) == 0 {
			if err := w.owner.FinishRequest(ctx, r.ID, now, problem); err != nil {
				return nil, err
			}
		}
		tasks = append(tasks, left...)
	}
	return tasks, nil
}
