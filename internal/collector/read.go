package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// windowTimeout bounds the reading of one live window, so that the ones after it get their turn.
const windowTimeout = 45 * time.Second

// How long a window by the hour or by the minute may be, and how many rows it should bring: all of
// them are in memory until they are stored. How large the organization is shows after the first
// window, and may be another by day than by night: a window is at most so many times as long as the
// one before.
const (
	shortestWindow = time.Hour
	firstWindow    = 6 * time.Hour // of the older report by the hour; shortestWindow of the others
	longestWindow  = 168 * time.Hour
	emptyWindow    = 12 * time.Hour // what windows without rows grow to
	emptyAnalytics = 2 * time.Hour  // the same of analytics, which has several rows for one of usage
	longSilence    = 72 * time.Hour // no night and no weekend: then windows of analytics grow like the others
	windowGrowth   = 4
	windowRows     = 20_000
)

var (
	// errRefused is a report that turned out to be refused; what is due is to be planned anew.
	errRefused = errors.New("the report is refused")
	// errKeyRefused is a key that may not even read its organization.
	errKeyRefused = errors.New("the admin key is refused")
)

// planFor reads what the plan of a fact needs.
func (w *worker) planFor(ctx context.Context, f spend.Fact, window spend.Window, now time.Time) (plan, error) {
	slots, err := w.Store.Slots(ctx, w.org.ID, f, window)
	if err != nil {
		return plan{}, fmt.Errorf("reading the ledger: %w", err)
	}
	list, err := w.Store.Watermarks(ctx, w.org.ID)
	if err != nil {
		return plan{}, fmt.Errorf("reading the watermarks: %w", err)
	}
	marks := map[spend.Report]storage.Watermark{}
	for _, m := range list {
		marks[m.Report] = m
	}
	if err := w.leaveOut(ctx, marks, now); err != nil {
		return plan{}, err
	}
	p := plan{now: now, ledger: newLedger(slots), reports: reportsFor(f, w.Config.Reports, marks, now), marks: marks}
	p.eager = f == spend.FactUsage && len(p.reports) > 0 && p.reports[0] == spend.ReportAnalyticsUsage
	return p, nil
}

// leaveOut notes of reports that were read before that the setting leaves them out now, as if they were
// refused: else everybody would take what they told last for how far the data goes. Of what the setting
// has again it takes that back.
func (w *worker) leaveOut(ctx context.Context, marks map[spend.Report]storage.Watermark, now time.Time) error {
	for _, report := range allReports {
		m, known := marks[report]
		out := leavesOut(w.Config.Reports, report)
		switch {
		case known && out && m.RefusedAt.IsZero():
			m.RefusedAt, m.Reason = now, leftOut
		case known && !out && !m.RefusedAt.IsZero() && m.Reason == leftOut:
			m.RefusedAt, m.Reason = time.Time{}, ""
		default:
			continue
		}
		if err := w.owner.SetWatermark(ctx, m); err != nil {
			return err
		}
		marks[report] = m
	}
	return nil
}

// live reads what is due at a tick of the fact's job. What can only fail again is skipped; the
// rest of the windows is left for the next tick once something fails that will pass.
func (w *worker) live(ctx context.Context, now time.Time, f spend.Fact) error {
	window := spend.Window{Start: openFrom(now).Add(-pollBack - day), End: now.Add(day)}
	var errs []error
	for range len(allReports) { // each refusal is planned around
		p, err := w.planFor(ctx, f, window, now)
		if err != nil {
			return err
		}
		if len(p.reports) == 0 && f != spend.FactRequests {
			return fmt.Errorf("%s: no report is allowed to this key: %s", f, w.refusals(p))
		}
		replan := false
		errs = nil
		for _, x := range p.live() {
			err := w.fetch(ctx, now, f, p, x, windowTimeout)
			if replan = errors.Is(err, errRefused); replan {
				break
			}
			if err != nil {
				errs = append(errs, err)
			}
			if stops(err) {
				break
			}
		}
		if !replan {
			break
		}
	}
	return errors.Join(errs...)
}

// allReports are the reports that facts come from.
var allReports = [...]spend.Report{
	spend.ReportMessages, spend.ReportCost, spend.ReportAnalyticsUsage, spend.ReportAnalyticsCost,
}

// refusals says why reports are refused.
func (w *worker) refusals(p plan) string {
	var all []string
	for _, r := range allReports {
		if m := p.marks[r]; refused(m, p.now) {
			all = append(all, fmt.Sprintf("%s (%s)", r, m.Reason))
		}
	}
	return strings.Join(all, ", ") + "; asking again within the hour"
}

// stops reports whether going on with other windows is useless: the API is away or refuses the
// key, the database fails, the time is over.
func stops(err error) bool {
	var e *adminapi.Error
	if err == nil || errors.As(err, &e) && !e.Temporary() && !e.Refused() {
		return false
	}
	return true
}

// fetch reads a want in windows of a length that suits the organization's size, newest first. For
// each the API may take as long as timeout.
func (w *worker) fetch(ctx context.Context, now time.Time, f spend.Fact, p plan, x want, timeout time.Duration) error {
	for !x.window.Empty() {
		part := p.newest(x, w.lengthOf(x))
		asking, cancel := context.WithTimeout(ctx, timeout)
		err := w.read(ctx, asking, now, f, p, part)
		cancel()
		if err != nil {
			if cut(err) {
				w.shorten(part)
			}
			return fmt.Errorf("%s %s by the %s: %w", part.report, part.window, part.grain, err)
		}
		x.window.End = part.window.Start
	}
	return nil
}

// read reads a window and stores it, or compares it with what is stored. The API is asked within
// the context asking, which may end earlier than the storing.
func (w *worker) read(ctx, asking context.Context, now time.Time, f spend.Fact, p plan, x want) error {
	var err error
	switch {
	case x.compare:
		err = w.compare(ctx, asking, now, f, p, x)
	case f == spend.FactCost:
		err = w.readCosts(ctx, asking, now, p, x)
	default:
		err = w.readUsage(ctx, asking, now, f, p, x)
	}
	return w.refusal(ctx, now, p, x.report, err)
}

// refusal turns the refusal of a report into a note in the store, unless it is the key that is refused.
func (w *worker) refusal(ctx context.Context, now time.Time, p plan, r spend.Report, err error) error {
	var e *adminapi.Error
	if !errors.As(err, &e) || !e.Refused() || e.Kind == adminapi.KindAuthentication {
		return err
	}
	if _, keyErr := w.Client.Organization(ctx); keyErr != nil {
		if errors.As(keyErr, &e) && e.Refused() {
			return fmt.Errorf("%w: %w", errKeyRefused, keyErr)
		}
		return keyErr
	}
	return w.markRefused(ctx, now, p, r, e.Message)
}

// markRefused notes that a report is refused; that it still is, is not logged again.
func (w *worker) markRefused(ctx context.Context, now time.Time, p plan, r spend.Report, reason string) error {
	switch {
	case !p.marks[r].RefusedAt.IsZero():
	case reason == storage.NoDataYet:
		w.log.InfoContext(ctx, "report has no data for this organization yet, doing without it and asking again every day", "report", string(r))
	default:
		w.log.WarnContext(ctx, "report is refused, doing without it and asking again every day", "report", string(r), "reason", reason)
	}
	mark := storage.Watermark{Report: r, ReadAt: p.marks[r].ReadAt, RefusedAt: now, Reason: reason}
	if err := w.owner.SetWatermark(ctx, mark); err != nil {
		return err
	}
	return errRefused
}

// reading is the reading of a want that was answered. Analytics has nothing to say about hours
// after its data; the reading ends there. A window long past is complete also where the report
// leaves out the empty buckets at its end.
func reading(x want, dataAt, readAt time.Time) storage.Reading {
	r := storage.Reading{Report: x.report, Grain: x.grain, Window: x.window, At: readAt, DataAt: dataAt}
	switch {
	case isAnalytics(x.report):
		if end := x.grain.Floor(dataAt); end.Before(r.Window.End) {
			r.Window.End = end
		}
	case !r.Window.End.After(readAt.Add(-daySettled)) && r.Window.End.After(dataAt):
		r.DataAt = r.Window.End
	}
	return r
}

// note keeps what a reading changed: rows for the run, the length of the next windows, and answers
// that were held for the log.
func (w *worker) note(ctx context.Context, p plan, x want, rows int, c storage.Change) {
	w.run.Rows += int64(c.Written + c.Deleted)
	w.changed = w.changed || c.Written+c.Deleted > 0
	w.patience = 0
	if x.grain != spend.Day {
		w.adapt(x, rows)
	}
	first := slices.ContainsFunc(c.Held, func(h spend.Window) bool {
		s := p.ledger.slot(h.Start)
		return s != nil && s.SuspectReads == 0
	})
	if first {
		held := spend.Join(c.Held)
		w.log.WarnContext(ctx, "the API has nothing for hours that had figures; they are kept unless it says so again over two hours",
			"report", string(x.report), "window", spend.Window{Start: held[0].Start, End: held[len(held)-1].End}.String())
	}
}

// mark stores how far a report was read.
func (w *worker) mark(ctx context.Context, r spend.Report, dataAt, readAt time.Time) error {
	return w.owner.SetWatermark(ctx, storage.Watermark{Report: r, DataAt: dataAt, ReadAt: readAt})
}

// size is what windows of one length have in common.
type size struct {
	report spend.Report
	grain  spend.Grain
}

func (w *worker) lengthOf(x want) time.Duration {
	if l := w.length[size{x.report, x.grain}]; l > 0 {
		return l
	}
	if isAnalytics(x.report) || x.grain == spend.Minute {
		return shortestWindow
	}
	return firstWindow
}

// adapt chooses the length of the next windows by the rows that this one brought. One without any
// says nothing about the hours before it, in which the organization may have been busy.
func (w *worker) adapt(x want, rows int) {
	known, limit := w.lengthOf(x), longestWindow
	silence := w.silent(x, rows)
	if rows == 0 {
		limit = emptyWindow
		if isAnalytics(x.report) && silence < longSilence {
			limit = emptyAnalytics
		}
	}
	length := time.Duration(float64(x.window.Duration()) * windowRows / float64(max(rows, 1))).Truncate(time.Hour)
	grown := windowGrowth * max(x.window.Duration().Truncate(time.Hour), shortestWindow)
	length = min(length, max(known, min(grown, limit)))
	w.length[size{x.report, x.grain}] = min(max(length, shortestWindow), longestWindow)
}

// silent is for how long windows brought no rows, one after the other back in time up to this one; 0
// for a window that is not the next of them, such as one of the newest hours.
func (w *worker) silent(x want, rows int) time.Duration {
	key := size{x.report, x.grain}
	known, ok := w.silence[key]
	next := ok && x.window.End.Equal(known.Start)
	switch {
	case rows > 0:
		if next {
			delete(w.silence, key)
		}
		return 0
	case next:
		known.Start = x.window.Start
	case !ok || x.window.End.Before(known.Start):
		known = x.window
	default:
		return 0
	}
	w.silence[key] = known
	return known.Duration()
}

// shorten reacts to a window that took too long: the next one is shorter, or gets more time.
func (w *worker) shorten(x want) {
	if x.grain != spend.Day && x.window.Duration() > shortestWindow {
		w.length[size{x.report, x.grain}] = max((x.window.Duration() / 2).Truncate(time.Hour), shortestWindow)
		return
	}
	w.patience = min(max(2*w.patience, time.Minute), 5*time.Minute)
}

// cut reports whether the time was over.
func cut(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
