package collector

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// collectCost reads what is new or open of the bill.
func (w *worker) collectCost(ctx context.Context, now time.Time) error {
	return w.live(ctx, now, spend.FactCost)
}

// readCosts reads a window of the bill, and bills the days of the cost report that are settled by it.
func (w *worker) readCosts(ctx, asking context.Context, now time.Time, p plan, x want) error {
	ask := w.Client.Costs
	if isAnalytics(x.report) {
		ask = w.Client.AnalyticsCosts
	}
	a, err := ask(asking, adminapi.Query{Window: x.window, Grain: x.grain, DefaultWorkspace: w.workspace})
	if err != nil {
		return err
	}
	if isAnalytics(x.report) && a.DataAt.IsZero() {
		return w.markRefused(ctx, now, p, x.report, storage.NoDataYet)
	}
	r := reading(x, a.DataAt, a.ReadAt)
	rows := slices.DeleteFunc(a.Rows, func(c spend.Cost) bool { return !c.Bucket.Before(r.Window.End) })
	if !r.Window.Empty() {
		if err := w.setAside(ctx, r, a.Foreign); err != nil {
			return err
		}
		c, err := w.owner.ReplaceCosts(ctx, r, rows)
		if err != nil {
			return err
		}
		w.note(ctx, p, x, len(rows), c)
	}
	if err := w.mark(ctx, x.report, a.DataAt, a.ReadAt); err != nil {
		return err
	}
	if x.report != spend.ReportCost {
		return nil
	}
	slots, err := w.Store.Slots(ctx, w.org.ID, spend.FactCost, x.window)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if !billable(s) {
			continue
		}
		if err := w.owner.Bill(ctx, s.Window.Start, now); err != nil {
			return fmt.Errorf("billing %s: %w", s.Window.Start.Format(time.DateOnly), err)
		}
		w.changed = true
	}
	return nil
}
