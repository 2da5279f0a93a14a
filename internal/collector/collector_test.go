package collector_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// history is the window that config's backfill covers, up to what has been closed for two hours.
func history() spend.Window {
	return spend.Window{Start: spend.Day.Floor(start.Add(-5 * day)), End: spend.Hour.Floor(start).Add(-2 * time.Hour)}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	t.Run("both generations", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 1, DiscountPermille: 70}, func(w *world) {
			w.run(20 * time.Minute)
			w.requireUsage(history(), spend.Hour, olderDims)
			w.requireRequests(history())
			w.requireHourBill(history())
			sweep := spend.Window{Start: history().Start.Add(-100 * day), End: history().Start}
			w.requireUsage(sweep, spend.Day, olderDims)
			require.Zero(w.t, w.logs.count("level=WARN"), w.logs.String())
		})
	})
	t.Run("analytics refused", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 2, Analytics: "refused"}, func(w *world) {
			w.run(20 * time.Minute)
			w.requireUsage(history(), spend.Hour, olderDims)
			w.requireBill(spend.Window{Start: history().Start, End: spend.Day.Floor(start.Add(-72 * time.Hour))})
			require.Equal(w.t, 2, w.logs.count("report is refused"), w.logs.String())
		})
	})
	t.Run("older reports refused", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 3, Legacy: "refused"}, func(w *world) {
			w.run(20 * time.Minute)
			w.requireUsage(history(), spend.Hour, analyticsDims)
			w.requireRequests(history())
			w.requireHourBill(history())
		})
	})
	t.Run("only the older reports wanted", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 4}, func(w *world) {
			w.config.Reports = collector.ReportsLegacy
			w.run(20 * time.Minute)
			w.requireUsage(history(), spend.Hour, olderDims)
			for path := range w.org.Requests() {
				require.NotContains(w.t, path, "analytics")
			}
		})
	})
	t.Run("only analytics wanted", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 5}, func(w *world) {
			w.config.Reports = collector.ReportsAnalytics
			w.run(20 * time.Minute)
			w.requireUsage(history(), spend.Hour, analyticsDims)
			w.requireHourBill(history())
			for path := range w.org.Requests() {
				require.NotContains(w.t, path, "cost_report")
				require.NotContains(w.t, path, "usage_report/messages")
			}
		})
	})
}
