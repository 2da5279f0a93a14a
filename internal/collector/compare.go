package collector

import (
	"context"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// roundingSlack is by how much a bill's total may differ from the sum of its rows, each of which is
// rounded to a billionth of a dollar: a millionth.
const roundingSlack = spend.Dollar / 1_000_000

// sums are the figures of a day that are compared.
type sums struct {
	counts       spend.Counts
	requests     int64
	amount, list spend.Money
}

// agrees reports whether two sums of a day are the same, as far as the fact goes.
func (s sums) agrees(f spend.Fact, t sums) bool {
	switch f {
	case spend.FactUsage:
		return s.counts == t.counts
	case spend.FactRequests:
		return s.requests == t.requests
	default:
		return near(s.amount, t.amount) && near(s.list, t.list)
	}
}

func near(a, b spend.Money) bool { return a-b <= roundingSlack && b-a <= roundingSlack }

// compare compares the days of a window with the report's totals. Days that agree are confirmed,
// those that differ are read again. What came of it is
// kept as checks.
func (w *worker) compare(ctx, asking context.Context, now time.Time, f spend.Fact, p plan, x want) error {
	theirs, dataAt, readAt, err := w.totals(asking, f, x)
	if err != nil {
		return err
	}
	ours, err := w.storedTotals(ctx, f, x.window)
	if err != nil {
		return err
	}
	var agree []spend.Window
	var differ []want
	days := x.window.Buckets(spend.Day)
	for i := len(days) - 1; i >= 0; i-- {
		d := days[i]
		switch {
		case ours[d.Start].agrees(f, theirs[d.Start]):
			agree = append(agree, d)
		case p.ledger.byDay(d.Start):
			differ = add(differ, want{report: x.report, grain: spend.Day, window: d})
		default:
			differ = add(differ, want{report: x.report, grain: spend.Hour, window: d})
		}
	}
	slices.Reverse(agree)
	for _, a := range spend.Join(agree) {
		if err := w.owner.Confirm(ctx, f, a, readAt); err != nil {
			return err
		}
	}
	if err := w.mark(ctx, x.report, dataAt, readAt); err != nil {
		return err
	}
	for _, y := range differ {
		w.log.InfoContext(ctx, "figures were revised, reading them again", "report", string(y.report), "window", y.window.String())
		for !y.window.Empty() {
			part := p.newest(y, w.lengthOf(y))
			if err := w.read(ctx, asking, now, f, p, part); err != nil {
				return err
			}
			y.window.End = part.window.Start
		}
	}
	return w.saveTotals(ctx, f, x.report, days, theirs, readAt)
}

// totals asks the report for its sums by the day.
func (w *worker) totals(ctx context.Context, f spend.Fact, x want) (t map[time.Time]sums, dataAt, readAt time.Time, err error) {
	q := adminapi.Query{Window: x.window, Grain: spend.Day, Total: true, DefaultWorkspace: w.workspace}
	t = map[time.Time]sums{}
	if f == spend.FactCost {
		ask := w.Client.Costs
		if isAnalytics(x.report) {
			ask = w.Client.AnalyticsCosts
		}
		a, err := ask(ctx, q)
		for _, c := range a.Rows {
			s := t[c.Bucket]
			t[c.Bucket] = sums{amount: s.amount + c.Amount, list: s.list + c.List}
		}
		return t, a.DataAt, a.ReadAt, err
	}
	ask := w.Client.Usage
	if isAnalytics(x.report) {
		ask = w.Client.AnalyticsUsage
	}
	a, err := ask(ctx, q)
	for _, u := range a.Rows {
		s := t[u.Bucket]
		s.counts.Add(u.Counts)
		s.requests += u.Requests
		t[u.Bucket] = s
	}
	return t, a.DataAt, a.ReadAt, err
}

// storedTotals sums what is stored by the day.
func (w *worker) storedTotals(ctx context.Context, f spend.Fact, window spend.Window) (map[time.Time]sums, error) {
	t := map[time.Time]sums{}
	q := storage.Query{
		Window: window, Step: spend.Day, Facts: true,
		Where: []storage.Match{{Dimension: spend.ByOrganization, Values: []string{w.org.ID}}},
	}
	if f == spend.FactCost {
		costs, err := w.Store.Costs(ctx, q)
		for _, c := range costs.Rows {
			s := t[c.Start]
			t[c.Start] = sums{amount: s.amount + c.Cost, list: s.list + c.List}
		}
		return t, err
	}
	usage, err := w.Store.Usage(ctx, q)
	for _, u := range usage.Rows {
		s := t[u.Start]
		s.counts.Add(u.Counts)
		s.requests += u.Requests
		t[u.Start] = s
	}
	return t, err
}
