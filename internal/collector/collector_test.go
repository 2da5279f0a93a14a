package collector_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// history is the window that baseConfig's backfill covers, up to what has been closed for two hours.
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
			found := w.logs.count(`level=WARN msg="found in the figures"`) // what the organization uses has no price
			require.Equal(w.t, found, w.logs.count("level=WARN"), w.logs.String())
			w.requireSummed()
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

// TestNeverDoubled looks into the store after each tick of three days: what minutes and hours add
// up to is never more than what was used, and all of it where an hour is closed for two hours.
func TestNeverDoubled(t *testing.T) {
	bubble(t, sim.Options{Seed: 6}, func(w *world) {
		w.config.Backfill = day
		w.config.Usage = "*/7 * * * *" // minutes of all kinds, the full hours among them
		var problems []string
		ticks, length := 0, either(3*day, 8*time.Hour)
		w.after = func(now time.Time) {
			ticks++
			// The last hours at each tick, all at one tick an hour.
			from, settled := spend.Hour.Floor(now.Add(-5*time.Hour)), spend.Hour.Floor(now.Add(-2*time.Hour))
			if now.Minute() == 7 {
				from = spend.Day.Floor(start)
			}
			window := spend.Window{Start: from, End: spend.Hour.Ceil(now)}
			truth, stored := w.trueUsage(window, spend.Hour, nil), w.storedUsage(window, spend.Hour, nil)
			for k, n := range stored {
				for kind := range n {
					if n[kind] > truth[k][kind] {
						problems = append(problems, fmt.Sprintf("%s: hour %s has %v, more than %v", now, k.Start, n, truth[k]))
					}
				}
			}
			for k, n := range truth {
				if k.Start.Before(settled) && stored[k] != n {
					problems = append(problems, fmt.Sprintf("%s: hour %s has %v instead of %v", now, k.Start, stored[k], n))
				}
			}
		}
		w.run(length)
		require.Empty(w.t, problems)
		require.Greater(w.t, ticks, int(length/(7*time.Minute)))
		w.requireAll(olderDims)
	})
}

// TestSteadyState counts the requests of a quiet day, of an organization whose size does not matter.
func TestSteadyState(t *testing.T) {
	for name, o := range map[string]sim.Options{
		"both generations":  {Seed: 7, Scale: 1},
		"analytics refused": {Seed: 7, Scale: 1, Analytics: "refused"},
		"older refused":     {Seed: 7, Scale: 1, Legacy: "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(w *world) {
				length := either(day, time.Hour)
				w.run(2 * time.Hour)
				stop := w.begin()
				time.Sleep(10 * time.Minute)
				before := w.client.Requests()
				time.Sleep(length)
				rate := float64(w.client.Requests()-before) / length.Minutes()
				stop()
				w.t.Logf("%.2f requests a minute", rate)
				require.Less(w.t, rate, 4.0)
			})
		})
	}
}

// seldom is a configuration for tests over weeks.
func seldom() collector.Config {
	c := baseConfig()
	c.Usage, c.Cost, c.Inventory = "*/30 * * * *", "*/30 * * * *", "@every 3h"
	if testing.Short() {
		c.Usage, c.Cost = "0 * * * *", "0 * * * *"
	}
	return c
}

// TestLateAndRevised lets usage come late and settled days change, over the end of a month and the
// 7th of the next, after which nothing changes any more.
func TestLateAndRevised(t *testing.T) {
	for name, o := range map[string]sim.Options{
		"both generations":  {Seed: 8, Revise: true, Delay: 100 * time.Minute, DiscountPermille: 33},
		"analytics refused": {Seed: 9, Revise: true, Delay: 100 * time.Minute, Analytics: "refused"},
		"older refused":     {Seed: 10, Revise: true, Delay: 100 * time.Minute, Legacy: "refused", Refresh: 4 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(w *world) {
				w.config = seldom()
				w.run(either(4*day, 3*time.Hour))
				time.Sleep(time.Until(time.Date(2026, 12, 5, 18, 0, 0, 0, time.UTC)))
				w.run(either(3*day, time.Hour))
				time.Sleep(time.Until(time.Date(2026, 12, 8, 8, 0, 0, 0, time.UTC)))
				w.run(2 * time.Hour)
				dims := olderDims
				if o.Legacy != "" {
					dims = analyticsDims
				}
				all := spend.Window{Start: history().Start, End: time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC)}
				w.requireUsage(all, spend.Hour, dims)
				if o.Analytics != "" {
					w.requireBill(all)
				} else {
					w.requireRequests(all)
					w.requireHourBill(all)
				}
				revisions, err := w.store.Revisions(w.t.Context(), w.id, spend.FactUsage, all)
				require.NoError(w.t, err)
				if !testing.Short() { // one key may see none
					require.NotEmpty(w.t, revisions)
				}
			})
		})
	}
}

// TestBilledWhenSettled follows a day of the cost report until it is billed.
func TestBilledWhenSettled(t *testing.T) {
	bubble(t, sim.Options{Seed: 11, Analytics: "refused"}, func(w *world) {
		w.config = seldom()
		yesterday := spend.Day.Bucket(start)
		state := map[time.Time]storage.SlotState{}
		w.after = func(now time.Time) {
			for _, s := range w.slots(spend.FactCost, yesterday) {
				state[now.Truncate(time.Minute)] = s.State
			}
		}
		w.run(day)
		midnight := yesterday.End
		require.Equal(w.t, storage.Provisional, state[midnight.Add(5*time.Hour)])
		require.Equal(w.t, storage.Billed, state[midnight.Add(7*time.Hour)])
		w.requireBill(spend.Window{Start: history().Start, End: midnight})
	})
}

// TestForgottenDays prunes days for good, and never reads them again: neither the sweep for the last
// use of keys nor what was asked for.
func TestForgottenDays(t *testing.T) {
	bubble(t, sim.Options{Seed: 7, Scale: 1}, func(w *world) {
		w.config = seldom()
		w.config.Backfill = 12 * day
		w.run(3 * time.Hour)
		old := spend.Window{Start: spend.Day.Floor(start).Add(-20 * day), End: spend.Day.Floor(start).Add(-8 * day)}
		require.NotEmpty(w.t, w.slots(spend.FactUsage, old), "the sweep reads a year of days")

		w.config.Retention = collector.Retention{Minute: 2 * day, Hour: 4 * day, Day: 8 * day}
		_, err := w.store.Ask(w.t.Context(), storage.Request{
			Organization: w.id, Kind: storage.RequestBackfill, Grain: spend.Hour, Window: old, AskedAt: time.Now(),
		})
		require.NoError(w.t, err)
		stop := w.begin()
		time.Sleep(day)
		before := w.client.Requests()
		time.Sleep(2 * time.Hour)
		require.Less(w.t, w.client.Requests()-before, int64(60), "nothing is read again and again")
		stop()
		for _, f := range []spend.Fact{spend.FactUsage, spend.FactCost, spend.FactRequests} {
			require.Empty(w.t, w.slots(f, old), f)
		}
		open, err := w.store.Requests(w.t.Context(), w.id)
		require.NoError(w.t, err)
		require.Empty(w.t, open, "what is not kept is not waited for")
		keys, err := w.store.APIKeys(w.t.Context(), w.id)
		require.NoError(w.t, err)
		require.True(w.t, slices.ContainsFunc(keys, func(k spend.APIKey) bool { return !k.LastUsed.Empty() }))
	})
}
