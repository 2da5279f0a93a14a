package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// mostSaid bounds how many differences are logged one by one: a wrong price is wrong every day.
const mostSaid = 20

// reconcileRetry is when a reconciliation that failed, or was cut, is begun anew.
const reconcileRetry = 10 * time.Minute

// reconcileUntil compares what is stored with other figures, if that is due: once the history is
// there (nothing is left to repair), and from then on every hour, in which little is due.
func (w *worker) reconcileUntil(ctx context.Context, now, until time.Time, repaired bool) error {
	switch {
	case !until.IsZero() && until.Sub(now) < shortestSlice:
		return nil
	case repaired && !w.reconciled:
	case w.reconcileAt.IsZero():
		w.reconcileAt = now.Add(time.Hour) // a long backfill does not keep it waiting
		return nil
	case now.Before(w.reconcileAt):
		return nil
	}
	w.reconcileAt = now.Add(reconcileRetry)
	j := job{"reconcile", Schedule{}, true, func(ctx context.Context, now time.Time) error { return w.reconcile(ctx, now, until) }}
	deadline := time.Time{}
	if !until.IsZero() {
		deadline = until.Add(storing)
	}
	err := w.runJob(ctx, now, j, deadline)
	if errors.Is(err, storage.ErrLost) || ctx.Err() != nil {
		return err
	}
	if err == nil {
		w.reconciled = w.reconciled || repaired
		w.reconcileAt = spend.Hour.Floor(now).Add(time.Hour)
	}
	return nil
}

// reconcile compares all settled days that are due with the report's own totals, with the other
// generation's report, and the estimates with the bill; then it brings calibration and findings up
// to date.
func (w *worker) reconcile(ctx context.Context, now, until time.Time) error {
	r := &reconciliation{worker: w, now: now, until: until, plans: map[spend.Fact]plan{}}
	if err := r.load(ctx); err != nil {
		return err
	}
	var errs []error
	for _, step := range []func(context.Context) error{r.totals, r.otherReports, r.estimates, r.calibrate, r.findings} {
		err := step(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, storage.ErrLost), errors.Is(err, errKeyRefused):
			return errors.Join(append(errs, err)...)
		case cut(err) && !until.IsZero():
			return errors.Join(append(errs, fmt.Errorf("no time was left, going on in %s: %w", reconcileRetry, err))...)
		default:
			errs = append(errs, err) // what does not need the API goes on without it
		}
	}
	return errors.Join(errs...)
}

// reconciliation is one pass.
type reconciliation struct {
	*worker
	now, until time.Time
	window     spend.Window
	plans      map[spend.Fact]plan
	checks     []storage.Check
	history    history
	byDay      map[time.Time]map[storage.CheckName][]storage.Check
}

// load reads the ledger and what was found before.
func (r *reconciliation) load(ctx context.Context) error {
	from := historyFrom(r.org.FirstSeenAt, r.Config.Backfill, r.Config.Retention.Hour, r.now)
	r.window = spend.Window{Start: from, End: openFrom(r.now)}
	for _, f := range facts {
		p, err := r.planFor(ctx, f, r.window, r.now)
		if err != nil {
			return err
		}
		r.plans[f] = p
	}
	return r.loadChecks(ctx)
}

func (r *reconciliation) loadChecks(ctx context.Context) error {
	var err error
	if r.checks, err = r.Store.Checks(ctx, r.org.ID, r.window); err != nil {
		return err
	}
	r.history = newHistory(r.checks)
	r.byDay = map[time.Time]map[storage.CheckName][]storage.Check{}
	for _, c := range r.checks {
		if r.byDay[c.Day] == nil {
			r.byDay[c.Day] = map[storage.CheckName][]storage.Check{}
		}
		r.byDay[c.Day][c.Name] = append(r.byDay[c.Day][c.Name], c)
	}
	return nil
}

// asking is the context to ask the API within.
func (r *reconciliation) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.until.IsZero() {
		return context.WithTimeout(ctx, 10*time.Minute)
	}
	return context.WithDeadline(ctx, r.until)
}

// settled reports whether the day's figures are all there and settled.
func (r *reconciliation) settled(f spend.Fact, d time.Time) bool {
	l := r.plans[f].ledger
	unsettled := func(s storage.Slot) bool {
		return !s.SuspectSince.IsZero() || s.State == storage.Provisional || f == spend.FactCost && s.State != storage.Billed
	}
	return l.full(d) && !slices.ContainsFunc(l[d], unsettled)
}

// unconfirmed is when a difference of the day that is not confirmed yet was last looked at.
func (r *reconciliation) unconfirmed(d time.Time) (time.Time, bool) {
	var at time.Time
	for _, cs := range r.byDay[d] {
		for _, c := range cs {
			if c.Verdict == storage.Unconfirmed && (at.IsZero() || c.CheckedAt.Before(at)) {
				at = c.CheckedAt
			}
		}
	}
	return at, !at.IsZero()
}

// due reports whether a check of the day is: it was never made, a difference of the day waits for
// its confirmation, or the day's figures may have been revised since, as in the daily comparison.
func (r *reconciliation) due(name storage.CheckName, d time.Time) bool {
	cs := r.byDay[d][name]
	if len(cs) == 0 {
		return true
	}
	at := cs[0].CheckedAt
	if since, open := r.unconfirmed(d); open && !r.now.Before(since.Add(confirmAfter)) && at.Before(r.now.Add(-confirmAfter/2)) {
		return true
	}
	return compareDue(d, at, r.now)
}

// days lists the settled days of the facts on which the check is due, joined to windows that can be
// asked for in one request, newest first.
func (r *reconciliation) days(name storage.CheckName, also func(d time.Time) bool, fs ...spend.Fact) []spend.Window {
	var ws []spend.Window
	all := r.window.Buckets(spend.Day)
	for i := len(all) - 1; i >= 0; i-- {
		d := all[i]
		ok := also(d.Start) && r.due(name, d.Start)
		for _, f := range fs {
			ok = ok && r.settled(f, d.Start)
		}
		if !ok {
			continue
		}
		if n := len(ws); n > 0 && ws[n-1].Start.Equal(d.End) && ws[n-1].Duration() < longest {
			ws[n-1].Start = d.Start
			continue
		}
		ws = append(ws, d)
	}
	return ws
}

// totalsOf are the names of the checks with a report's own totals.
var totalsOf = map[spend.Fact]storage.CheckName{
	spend.FactUsage: storage.CheckUsage, spend.FactRequests: storage.CheckRequests, spend.FactCost: storage.CheckCost,
}

// totals compares days with the totals of the report that rules them, where the daily comparison
// has not done so already.
func (r *reconciliation) totals(ctx context.Context) error {
	var errs []error
	for _, f := range facts {
		p := r.plans[f]
		for _, report := range p.reports {
			mine := func(d time.Time) bool {
				byDay := report == spend.ReportAnalyticsCost && p.ledger.byDay(d) // what retention folded cannot be read again
				return p.ledger.owner(d) == report && reaches(report, d, r.now) && !byDay
			}
			for _, window := range r.days(totalsOf[f], mine, f) {
				asking, cancel := r.asking(ctx)
				err := r.read(ctx, asking, r.now, f, p, want{report, spend.Day, window, true})
				cancel()
				if err != nil && !errors.Is(err, errRefused) {
					errs = append(errs, fmt.Errorf("totals of %s %s: %w", report, window, err))
				}
				if stops(err) && !errors.Is(err, errRefused) {
					return errors.Join(errs...)
				}
			}
		}
	}
	return errors.Join(append(errs, r.loadChecks(ctx))...)
}

// saveTotals stores how a report's totals of days compare with what is stored, and says so where
// they differ for good.
func (w *worker) saveTotals(ctx context.Context, f spend.Fact, report spend.Report, days []spend.Window, theirs map[time.Time]sums, readAt time.Time) error {
	if len(days) == 0 {
		return nil
	}
	window := spend.Window{Start: days[0].Start, End: days[len(days)-1].End}
	ours, err := w.storedTotals(ctx, f, window)
	if err != nil {
		return err
	}
	before, err := w.Store.Checks(ctx, w.org.ID, window)
	if err != nil {
		return err
	}
	revisions, err := w.Store.Revisions(ctx, w.org.ID, f, window)
	if err != nil {
		return err
	}
	h := newHistory(before)
	var cs []storage.Check
	for _, d := range days {
		c := storage.Check{Day: d.Start, Name: totalsOf[f], Report: report, With: report}
		cs = append(cs, h.totalChecks(c, f, ours[d.Start], theirs[d.Start], revised(f, revisions, d, h.checkedAt(d.Start, totalsOf[f])), readAt)...)
	}
	return w.saveChecks(ctx, h, cs)
}

// checkedAt is when the day's checks of the name were last made; zero if never.
func (h history) checkedAt(d time.Time, name storage.CheckName) time.Time {
	var at time.Time
	for k, c := range h {
		if k.day.Equal(d) && k.name == name {
			at = c.CheckedAt
		}
	}
	return at
}

// revised names what of the day was revised since it was last checked; empty if nothing was.
func revised(f spend.Fact, rs []storage.Revision, d spend.Window, since time.Time) string {
	if since.IsZero() {
		return ""
	}
	n, largest, text := 0, int64(-1), ""
	for _, r := range rs {
		if !d.Contains(r.Bucket) || r.RevisedAt.Before(since) {
			continue
		}
		n++
		var by int64
		var from, to string
		switch f {
		case spend.FactCost:
			by, from, to = int64(r.New.Amount-r.Old.Amount), "$"+r.Old.Amount.String(), "$"+r.New.Amount.String()
		case spend.FactRequests:
			by, from, to = r.New.Requests-r.Old.Requests, fmt.Sprint(r.Old.Requests), fmt.Sprint(r.New.Requests)
		default:
			by = r.New.Counts.Tokens() - r.Old.Counts.Tokens()
			from, to = fmt.Sprint(r.Old.Counts.Tokens(), " tokens"), fmt.Sprint(r.New.Counts.Tokens(), " tokens")
		}
		if by = max(by, -by); by > largest {
			largest = by
			text = fmt.Sprintf("%s of %s from %s to %s", r.Grain, r.Bucket.UTC().Format("15:04"), from, to)
			for _, x := range spend.Dimensions {
				if v := *r.Field(x); v != "" {
					text += ", " + string(x) + " " + v
				}
			}
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "agrees since one row was revised: " + text
	default:
		return fmt.Sprintf("agrees since %d rows were revised, the largest: %s", n, text)
	}
}

// saveChecks stores checks and warns of those that have become differences.
func (w *worker) saveChecks(ctx context.Context, h history, cs []storage.Check) error {
	if err := w.owner.SaveChecks(ctx, cs); err != nil {
		return err
	}
	w.run.Rows += int64(len(cs))
	said, more := 0, 0
	for _, c := range cs {
		if c.Verdict != storage.Differs || h[keyOf(c)].Verdict == storage.Differs {
			continue
		}
		if said == mostSaid {
			more++
			continue
		}
		said++
		attrs := []any{
			"day", c.Day.Format(time.DateOnly), "check", string(c.Name), "of", c.Subject, "ours_from", string(c.Report), "theirs_from", string(c.With),
			"ours", figure(c, c.Ours), "theirs", figure(c, c.Theirs), "difference", figure(c, c.Difference()),
		}
		if c.Model != "" {
			attrs = append(attrs, "model", c.Model, "token_type", c.TokenType)
		}
		if c.Explanation != "" {
			attrs = append(attrs, "where", c.Explanation)
		}
		w.log.WarnContext(ctx, "figures do not match, see monitor report --reconcile", attrs...)
	}
	if more > 0 {
		w.log.WarnContext(ctx, "more figures do not match, see monitor report --reconcile", "more", more)
	}
	return nil
}

// figure writes a figure of a check.
func figure(c storage.Check, n int64) string {
	if c.Money {
		return "$" + spend.Money(n).String()
	}
	return fmt.Sprint(n)
}

// otherReports compares days with the totals of the report of the other generation, where both may
// be asked.
func (r *reconciliation) otherReports(ctx context.Context) error {
	var errs []error
	for _, f := range []spend.Fact{spend.FactUsage, spend.FactCost} {
		name := map[spend.Fact]storage.CheckName{spend.FactUsage: storage.CheckUsageReports, spend.FactCost: storage.CheckCostReports}[f]
		p, err := r.planFor(ctx, f, r.window, r.now) // the totals may have been refused meanwhile
		if err != nil {
			return err
		}
		for _, other := range p.reports {
			comparable := func(d time.Time) bool {
				known := !isAnalytics(other) || !d.Add(day).After(p.complete(other))
				return p.ledger.owner(d) != other && reaches(other, d, r.now) && known
			}
			for _, window := range r.days(name, comparable, f) {
				err := r.compareReports(ctx, f, p, name, other, window)
				if err != nil && !errors.Is(err, errRefused) {
					errs = append(errs, fmt.Errorf("%s %s: %w", other, window, err))
				}
				if errors.Is(err, errRefused) {
					break
				}
				if stops(err) {
					return errors.Join(errs...)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// compareReports compares the days of a window with the other report.
func (r *reconciliation) compareReports(ctx context.Context, f spend.Fact, p plan, name storage.CheckName, other spend.Report, window spend.Window) error {
	asking, cancel := r.asking(ctx)
	defer cancel()
	theirs, dataAt, readAt, err := r.worker.totals(asking, f, want{other, spend.Day, window, true})
	if err = r.refusal(ctx, r.now, p, other, err); err != nil {
		return err
	}
	if isAnalytics(other) && dataAt.IsZero() {
		return r.markRefused(ctx, r.now, p, other, storage.NoDataYet)
	}
	// How far the other report was read is not noted: it is not read for what it says of today, and would
	// look stale all day.
	ours, err := r.storedTotals(ctx, f, window)
	if err != nil {
		return err
	}
	priority, err := r.priority(ctx, f, window)
	if err != nil {
		return err
	}
	var cs []storage.Check
	for _, d := range window.Buckets(spend.Day) {
		c := storage.Check{Day: d.Start, Name: name, Report: p.ledger.owner(d.Start), With: other}
		a, b := ours[d.Start], theirs[d.Start]
		switch {
		case f == spend.FactUsage:
			cs = append(cs, r.history.totalChecks(c, f, a, b, "", readAt)...)
		case isAnalytics(other):
			cs = append(cs, r.history.costReportsCheck(c, b, a, sums{}, readAt))
		default:
			cs = append(cs, r.history.costReportsCheck(c, a, b, priority[d.Start], readAt))
		}
	}
	if err := r.located(ctx, other, cs); err != nil {
		return err
	}
	return r.saveChecks(ctx, r.history, cs)
}

// priority is what is stored of the bill of tiers under commitment, by day.
func (r *reconciliation) priority(ctx context.Context, f spend.Fact, window spend.Window) (map[time.Time]sums, error) {
	if f != spend.FactCost {
		return nil, nil
	}
	costs, err := r.Store.Costs(ctx, storage.Query{
		Window: window, Step: spend.Day, Facts: true,
		Where: []storage.Match{
			{Dimension: spend.ByOrganization, Values: []string{r.org.ID}},
			{Dimension: spend.ByServiceTier, Values: []string{"priority", "priority_on_demand"}},
		},
	})
	t := map[time.Time]sums{}
	for _, c := range costs.Rows {
		s := t[c.Start]
		t[c.Start] = sums{amount: s.amount + c.Cost, list: s.list + c.List}
	}
	return t, err
}

// estimates compares the estimates of days with their bill.
func (r *reconciliation) estimates(ctx context.Context) error {
	if err := r.loadChecks(ctx); err != nil { // what was read again changes what is due
		return err
	}
	due := weeks(r.days(storage.CheckEstimate, func(time.Time) bool { return true }, spend.FactUsage, spend.FactCost))
	if len(due) == 0 {
		return nil
	}
	// The verdicts need the factors, which need the newest days.
	newest := spend.Window{Start: spend.Day.Floor(r.now).AddDate(0, 0, -calibrateLongest), End: r.now}
	known := slices.DeleteFunc(slices.Clone(r.checks), func(c storage.Check) bool {
		return c.Name != storage.CheckEstimate || slices.ContainsFunc(due, func(w spend.Window) bool { return w.Contains(c.Day) })
	})
	for _, window := range due {
		if window = window.Intersect(newest); window.Empty() {
			continue
		}
		cs, err := r.estimatesOf(ctx, window, storage.Factors{})
		if err != nil {
			return err
		}
		known = append(known, cs...)
	}
	factors := calibration(known, r.Prices.Stepped, r.now).Counting()
	for _, window := range due {
		cs, err := r.estimatesOf(ctx, window, factors)
		if err != nil {
			return err
		}
		if err := r.saveChecks(ctx, r.history, cs); err != nil {
			return err
		}
	}
	return r.loadChecks(ctx)
}

// query asks about the organization by the day: the facts alone, as it is they that are compared.
func (r *reconciliation) query(window spend.Window, by ...spend.Dimension) storage.Query {
	return storage.Query{
		Window: window, Step: spend.Day, By: by, Facts: true,
		Where: []storage.Match{{Dimension: spend.ByOrganization, Values: []string{r.org.ID}}},
	}
}

// weeks cuts windows into pieces of a week at most, the newest first: what one takes is bounded, and
// what was done stays done when the time is over.
func weeks(ws []spend.Window) []spend.Window {
	var out []spend.Window
	for _, w := range ws {
		for !w.Empty() {
			piece := w.Intersect(spend.Window{Start: w.End.Add(-7 * day), End: w.End})
			out = append(out, piece)
			w.End = piece.Start
		}
	}
	return out
}

// estimatesOf compares the estimates of a window of whole days.
func (r *reconciliation) estimatesOf(ctx context.Context, window spend.Window, factors storage.Factors) ([]storage.Check, error) {
	q := r.query(window, spend.ByModel, spend.ByServiceTier, spend.ByCostType, spend.ByTokenType)
	estimates, err := r.Store.Estimates(ctx, q)
	if err != nil {
		return nil, err
	}
	bill, err := r.Store.Costs(ctx, q)
	if err != nil {
		return nil, err
	}
	type sides struct{ estimates, bill []storage.CostRow }
	by := map[time.Time]sides{}
	for _, e := range estimates.Rows {
		s := by[e.Start]
		by[e.Start] = sides{append(s.estimates, e), s.bill}
	}
	for _, b := range bill.Rows {
		s := by[b.Start]
		by[b.Start] = sides{s.estimates, append(s.bill, b)}
	}
	var cs []storage.Check
	for _, d := range window.Buckets(spend.Day) {
		c := storage.Check{Day: d.Start, Report: r.plans[spend.FactUsage].ledger.owner(d.Start), With: r.plans[spend.FactCost].ledger.owner(d.Start)}
		stepped := func(model string) bool { return r.Prices.Stepped(model, d.Start) }
		cs = append(cs, r.history.estimateChecks(c, by[d.Start].estimates, by[d.Start].bill, factors, stepped, r.now)...)
	}
	return cs, nil
}

func (r *reconciliation) calibrate(ctx context.Context) error {
	return r.worker.calibrate(ctx, r.checks, r.now)
}
