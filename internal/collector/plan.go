package collector

import (
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const day = 24 * time.Hour

// When figures are read, and read again.
const (
	minutesBack = 3 * time.Hour                  // minutes are read anew this far back at each tick
	hourClosed  = 2 * time.Hour                  // an hour that ended this long ago is read by the hour
	daySettled  = 6 * time.Hour                  // a UTC day is open until it ended this long ago
	billedAtTwo = daySettled                     // from here on two equal reads settle a bill …
	readsApart  = time.Hour                      // … if they are this far apart
	billedAtOne = 72 * time.Hour                 // from here on one read does
	pollEvery   = 4*time.Minute + 30*time.Second // how often analytics is asked for hours it did not have yet, beside the older reports
	pollBack    = 48 * time.Hour                 // how far behind an open day such hours are polled for
	compareAt   = 7 * time.Hour                  // time of day, UTC, of the daily comparison of older days
	sweepBack   = 365 * day                      // how far back the sweep for the last use of keys goes
	longest     = 31 * day                       // the most days that a report gives in one request
)

// analyticsBegins is the first instant that analytics knows about.
var analyticsBegins = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// want is something to be read: a window of a report, to be stored or, if compare is set, to be
// compared by the day with what is stored.
type want struct {
	report  spend.Report
	grain   spend.Grain
	window  spend.Window
	compare bool
}

// historyFrom is the first day that is wanted by the hour: the configured history before the
// organization was first seen, but not what retention has folded into days.
func historyFrom(firstSeen time.Time, backfill, keepHours time.Duration, now time.Time) time.Time {
	from := spend.Day.Floor(firstSeen.Add(-backfill))
	if kept := spend.Day.Floor(now.Add(-keepHours)); keepHours > 0 && kept.After(from) {
		return kept
	}
	return from
}

// plan decides what of one fact is due. It knows nothing but the ledger, the watermarks and the
// time, so that a restart, a missed tick and a month of downtime need no code of their own.
type plan struct {
	now     time.Time
	ledger  ledger
	reports []spend.Report // that may be asked now, the preferred one first
	marks   map[spend.Report]storage.Watermark
	eager   bool // analytics is asked at every tick: it is all that tells of new usage
}

func isAnalytics(r spend.Report) bool {
	return r == spend.ReportAnalyticsUsage || r == spend.ReportAnalyticsCost
}

// reaches reports whether the report can be asked about the day.
func reaches(r spend.Report, d, now time.Time) bool {
	return !isAnalytics(r) || !d.Before(analyticsBegins) && d.After(now.Add(-365*day))
}

// complete is up to where the hours of a report can be read.
func (p plan) complete(r spend.Report) time.Time {
	if isAnalytics(r) {
		return spend.Hour.Floor(p.marks[r].DataAt)
	}
	return spend.Hour.Floor(p.now.Add(-hourClosed))
}

// reportFor is the report to read the day from: the one that rules it as long as it may be asked,
// else the preferred one, but not while the day is open. It is empty if the day must be left alone.
func (p plan) reportFor(d time.Time) spend.Report {
	owner := p.ledger.owner(d)
	if slices.Contains(p.reports, owner) {
		if reaches(owner, d, p.now) {
			return owner
		}
		return ""
	}
	if owner != "" && !d.Before(openFrom(p.now)) {
		return ""
	}
	for _, r := range p.reports {
		if reaches(r, d, p.now) {
			return r
		}
	}
	return ""
}

// whole reports whether the report must bring all of the day or nothing: it takes the day over
// from another report, or from figures by the day.
func (p plan) whole(d time.Time, r spend.Report) bool {
	owner := p.ledger.owner(d)
	return owner != "" && owner != r || p.ledger.byDay(d)
}

// retryAt is when a held empty answer is asked for again, so that the third read, which is
// believed, comes two hours after the first.
func retryAt(s *storage.Slot) time.Time {
	return s.SuspectSince.Add(time.Duration(min(max(s.SuspectReads, 1), 2)) * time.Hour)
}

// hourDue reports whether an hour must be read by the hour; open means that its day is.
func (p plan) hourDue(s *storage.Slot, open bool) bool {
	switch {
	case s == nil:
		return true
	case !s.SuspectSince.IsZero():
		return !p.now.Before(retryAt(s))
	case s.State == storage.Billed && s.Grain == spend.Day:
		return false // a settled bill is as good by the day
	case s.Grain != spend.Hour:
		return true
	case open || s.State == storage.Provisional:
		return s.ReadAt.Before(spend.Hour.Floor(p.now))
	default:
		return false
	}
}

// hours is the part of the day that must be read by the hour; it may be empty.
func (p plan) hours(d time.Time, r spend.Report) spend.Window {
	end := p.complete(r)
	open := !d.Before(openFrom(p.now))
	var due spend.Window
	for _, h := range spend.Day.Bucket(d).Buckets(spend.Hour) {
		if h.End.After(end) {
			break
		}
		if p.hourDue(p.ledger.slot(h.Start), open) {
			if due.Empty() {
				due.Start = h.Start
			}
			due.End = h.End
		}
	}
	if due.Empty() || !p.whole(d, r) {
		return due
	}
	if d.Add(day).After(end) {
		return spend.Window{}
	}
	return spend.Day.Bucket(d)
}

// dayDue reports whether a day must be read by the day.
func (p plan) dayDue(s *storage.Slot) bool {
	switch {
	case s == nil:
		return true
	case !s.SuspectSince.IsZero():
		return !p.now.Before(retryAt(s))
	case s.State == storage.Provisional:
		return s.ReadAt.Before(spend.Hour.Floor(p.now))
	default:
		return false
	}
}

// compareDue reports whether a settled day, last read at readAt, is due for the daily comparison:
// once a day until its month is final, and once more after that.
func compareDue(d, readAt, now time.Time) bool {
	last := spend.Day.Floor(now).Add(compareAt)
	if last.After(now) {
		last = last.Add(-day)
	}
	return readAt.Before(last) && readAt.Before(spend.FinalAt(d))
}

// live is what is due at a tick of the job: the newest time, newest first.
func (p plan) live() []want {
	var ws []want
	first := openFrom(p.now)
	poll := map[spend.Report]spend.Window{}
	for _, r := range p.reports {
		if isAnalytics(r) {
			w := p.polled(r)
			if w.Start.Before(first) {
				first = spend.Day.Floor(w.Start)
			}
			if p.eager || !p.marks[r].ReadAt.After(p.now.Add(-pollEvery)) {
				poll[r] = w
			}
		}
	}
	for d := spend.Day.Floor(p.now); !d.Before(first); d = d.Add(-day) {
		r := p.reportFor(d)
		switch {
		case r == "":
		case r == spend.ReportCost:
			if p.dayDue(p.ledger.slot(d)) {
				ws = add(ws, want{r, spend.Day, spend.Day.Bucket(d), false})
			}
		default:
			due := p.hours(d, r)
			if w := poll[r].Intersect(spend.Day.Bucket(d)); !w.Empty() && !p.whole(d, r) {
				due = hull(due, w)
			}
			ws = add(ws, want{r, spend.Hour, due, false})
		}
	}
	return append(p.minutes(), ws...)
}

// polled is the window of hours that analytics was not complete for when last asked.
func (p plan) polled(r spend.Report) spend.Window {
	w := spend.Window{Start: p.complete(r), End: spend.Hour.Floor(p.now)}
	if oldest := openFrom(p.now).Add(-pollBack); w.Start.Before(oldest) {
		w.Start = oldest
	}
	if p.marks[r].DataAt.IsZero() {
		w.Start = openFrom(p.now)
	}
	return w
}

// minutes is the last hours by the minute, where the older usage report rules their days.
func (p plan) minutes() []want {
	w := spend.Window{Start: spend.Hour.Floor(p.now.Add(-minutesBack)), End: spend.Minute.Floor(p.now)}
	var ws []want
	for _, d := range w.Buckets(spend.Day) {
		if p.reportFor(d.Start) == spend.ReportMessages && !p.ledger.byDay(d.Start) {
			ws = add(ws, want{spend.ReportMessages, spend.Minute, d.Intersect(w), false})
		}
	}
	return ws
}

// repair is what is due of the settled days in the window (whole UTC days), newest first: what
// was never read at the grain, what is not complete yet, answers that were held, and, if compare
// is set, days whose daily comparison is due. Without a grain nothing new is read.
func (p plan) repair(w spend.Window, g spend.Grain, compare bool) []want {
	var ws []want
	days := w.Buckets(spend.Day)
	for i := len(days) - 1; i >= 0; i-- {
		d := days[i].Start
		if !d.Before(openFrom(p.now)) {
			continue
		}
		r := p.reportFor(d)
		if r == "" || g == 0 && len(p.ledger[d]) == 0 {
			continue
		}
		var due want
		switch {
		case r == spend.ReportCost, g != spend.Hour && (p.ledger.byDay(d) || len(p.ledger[d]) == 0):
			// What is known by the hour cannot become known by the day.
			byHour := len(p.ledger[d]) > 0 && !p.ledger.byDay(d)
			known := !isAnalytics(r) || !days[i].End.After(p.complete(r))
			if known && !byHour && p.dayDue(p.ledger.slot(d)) {
				due = want{report: r, grain: spend.Day, window: days[i]}
			}
		default:
			due = want{report: r, grain: spend.Hour, window: p.hours(d, r)}
		}
		if due.window.Empty() && compare && p.comparable(d, r) {
			due = want{report: r, grain: spend.Day, window: days[i], compare: r != spend.ReportCost}
		}
		ws = add(ws, due)
	}
	return ws
}

// comparable reports whether the day is wholly read by the report and due for the comparison. A
// bill of analytics that retention has folded into days cannot be read again.
func (p plan) comparable(d time.Time, r spend.Report) bool {
	slots := p.ledger[d]
	if p.ledger.owner(d) != r || r == spend.ReportAnalyticsCost && p.ledger.byDay(d) {
		return false
	}
	held := slices.ContainsFunc(slots, func(s storage.Slot) bool { return !s.SuspectSince.IsZero() })
	return !held && p.ledger.full(d) && compareDue(d, p.ledger.readAt(d), p.now)
}

// add appends a want, or joins it to the last one where both can be one request: windows go from
// the newest to the oldest. Empty ones are left out.
func add(ws []want, x want) []want {
	if x.window.Empty() {
		return ws
	}
	if n := len(ws); n > 0 {
		last := &ws[n-1]
		same := last.report == x.report && last.grain == x.grain && last.compare == x.compare
		joined := hull(last.window, x.window)
		touch := last.window.Start.Equal(x.window.End) || last.window.End.Equal(x.window.Start)
		if same && touch && (x.grain != spend.Day || joined.Duration() <= longest) {
			last.window = joined
			return ws
		}
	}
	return append(ws, x)
}

// hull is the smallest window that covers both; an empty one covers nothing.
func hull(a, b spend.Window) spend.Window {
	switch {
	case a.Empty():
		return b
	case b.Empty():
		return a
	}
	if b.Start.Before(a.Start) {
		a.Start = b.Start
	}
	if b.End.After(a.End) {
		a.End = b.End
	}
	return a
}

// newest is the newest part of a want by the hour or by the minute, of about the length, which
// begins at a full hour; wants by the day are given in one request anyway. A day that must be taken
// over whole is not cut.
func (p plan) newest(x want, length time.Duration) want {
	if x.grain == spend.Day || x.window.Duration() <= length {
		return x
	}
	start := spend.Hour.Floor(x.window.End.Add(-length))
	if x.grain == spend.Minute {
		start = spend.Hour.Ceil(x.window.End.Add(-length))
	}
	if d := spend.Day.Floor(start); x.grain == spend.Hour && p.whole(d, x.report) {
		start = d
	}
	x.window.Start = start
	return x
}

// billable reports whether a day of the cost report is settled: it was read once 72 hours after
// its end, or at least 6 hours after its end and the same as an hour or more before.
func billable(s storage.Slot) bool {
	if s.Report != spend.ReportCost || s.State == storage.Billed || !s.SuspectSince.IsZero() {
		return false
	}
	after := s.ReadAt.Sub(s.Window.End)
	return after >= billedAtOne || after >= billedAtTwo && s.ReadAt.Sub(s.Since) >= readsApart
}
