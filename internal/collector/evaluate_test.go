package collector_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// TestEvaluationSchedule: rules are judged by a schedule of their own, although no job is due.
func TestEvaluationSchedule(t *testing.T) {
	bubble(t, sim.Options{Seed: 31, Scale: 1}, func(w *world) {
		w.config.Backfill, w.config.Evaluate = 0, "*/5 * * * *"
		w.config.Usage, w.config.Cost, w.config.Inventory = "0 */6 * * *", "0 */6 * * *", "0 */6 * * *"
		var times []time.Time
		w.after = func(now time.Time) { times = append(times, now) }
		w.run(10 * time.Minute)
		times = nil
		w.run(61 * time.Minute)
		// One at the start, one every five minutes.
		require.GreaterOrEqual(w.t, len(times), 13, times)
		require.LessOrEqual(w.t, len(times), 15, times)
	})
}
