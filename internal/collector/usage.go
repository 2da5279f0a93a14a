package collector

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// collectUsage reads what is new or open of usage and of request counts.
func (w *worker) collectUsage(ctx context.Context, now time.Time) error {
	err := w.live(ctx, now, spend.FactUsage)
	if stops(err) {
		return err
	}
	return errors.Join(err, w.live(ctx, now, spend.FactRequests))
}

// readUsage reads a window of usage, or of request counts. What analytics answers has both.
func (w *worker) readUsage(ctx, asking context.Context, now time.Time, f spend.Fact, p plan, x want) error {
	ask := w.Client.Usage
	if isAnalytics(x.report) {
		ask = w.Client.AnalyticsUsage
	}
	a, err := ask(asking, adminapi.Query{Window: x.window, Grain: x.grain, DefaultWorkspace: w.workspace})
	if err != nil {
		return err
	}
	if isAnalytics(x.report) && a.DataAt.IsZero() {
		return w.markRefused(ctx, now, p, x.report, storage.NoDataYet)
	}
	if w.org.LiveAt.IsZero() {
		if err := w.owner.SetLive(ctx, now); err != nil {
			return err
		}
		w.org.LiveAt = now
	}
	r := reading(x, a.DataAt, a.ReadAt)
	rows := slices.DeleteFunc(a.Rows, func(u spend.Usage) bool { return !u.Bucket.Before(r.Window.End) })
	if f == spend.FactUsage && !r.Window.Empty() {
		for i := range rows {
			w.prices.Estimate(&rows[i])
		}
		c, err := w.owner.ReplaceUsage(ctx, r, rows)
		if err != nil {
			return err
		}
		w.note(ctx, p, x, len(rows), c)
	}
	if isAnalytics(x.report) && (f == spend.FactRequests || x.grain == spend.Hour) && !r.Window.Empty() {
		c, err := w.owner.ReplaceRequests(ctx, r, rows)
		if err != nil {
			return err
		}
		w.note(ctx, p, x, len(rows), c)
	}
	return w.mark(ctx, x.report, a.DataAt, a.ReadAt)
}
