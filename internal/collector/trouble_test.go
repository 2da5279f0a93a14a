package collector_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/storagetest"
)

func TestOutage(t *testing.T) {
	for name, fault := range map[string]sim.Rule{
		"connections are refused": {Fault: sim.Down},
		"internal errors":         {Fault: sim.Internal},
		"no answers":              {Fault: sim.Slow},
		"answers are cut":         {Fault: sim.CutBody},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Options{Seed: 20}, func(w *world) {
				w.config.Usage = "*/5 * * * *"
				ticks := 0
				w.after = func(time.Time) { ticks++ }
				stop := w.begin()
				time.Sleep(time.Hour)
				w.org.Faults().Arm(fault)
				ticks = 0
				time.Sleep(6 * time.Hour)
				require.Greater(w.t, ticks, 6*10, "rules are judged while there is no data")
				w.org.Faults().Disarm()
				time.Sleep(time.Hour)
				stop()
				w.requireAll(olderDims)
			})
		})
	}
}

// TestStartsWithoutAPI starts while the API is away: the stored organization of that name goes on
// being judged, and nothing is collected before the API has confirmed whose key it is.
func TestStartsWithoutAPI(t *testing.T) {
	bubble(t, sim.Options{Seed: 32}, func(w *world) {
		w.name = "acme"
		w.run(10 * time.Minute)
		w.org.Faults().Arm(sim.Rule{Fault: sim.Down})
		ticks := 0
		w.after = func(time.Time) { ticks++ }
		stop := w.begin()
		time.Sleep(10 * time.Minute)
		require.Greater(w.t, ticks, 3)
		w.org.Faults().Disarm()
		time.Sleep(10 * time.Minute)
		stop()
		w.requireAll(olderDims)
		require.NotZero(w.t, w.logs.count("the API accepts the admin key"))
	})
}

func TestMonthOfDowntime(t *testing.T) {
	bubble(t, sim.Options{Seed: 21, Revise: true}, func(w *world) {
		w.config.Usage = "*/5 * * * *"
		w.run(40 * time.Minute)
		time.Sleep(31 * day)
		w.run(40 * time.Minute)
		w.requireAll(olderDims)
		for _, s := range w.slots(spend.FactUsage, spend.Window{Start: history().Start, End: time.Now().Add(-3 * time.Hour)}) {
			require.Equal(w.t, spend.Hour, s.Grain, "%s", s.Window)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	bubble(t, sim.Options{Seed: 22}, func(w *world) {
		stop := w.begin()
		time.Sleep(time.Hour)
		w.org.Faults().Arm(sim.Rule{Fault: sim.RateLimited, RetryAfter: 20 * time.Minute, Times: 1})
		time.Sleep(2 * time.Minute)
		before := w.client.Requests()
		time.Sleep(17 * time.Minute)
		require.Equal(w.t, before, w.client.Requests(), "the API is left alone as long as it asked for")
		time.Sleep(10 * time.Minute)
		require.Greater(w.t, w.client.Requests(), before)
		stop()
		w.requireAll(olderDims)
	})
}

func TestKeyRefused(t *testing.T) {
	for name, fault := range map[string]sim.Fault{"401": sim.Unauthorized, "403": sim.Forbidden} {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Options{Seed: 23}, func(w *world) {
				stop := w.begin()
				time.Sleep(10 * time.Minute)
				w.org.Faults().Arm(sim.Rule{Fault: fault})
				before := w.client.Requests()
				time.Sleep(3 * time.Hour)
				require.Less(w.t, w.client.Requests()-before, int64(100), "a refused key is not hammered")
				require.Equal(w.t, 1, w.logs.count("the API refuses the admin key"), w.logs.String())
				marks, err := w.store.Watermarks(w.t.Context(), w.id)
				require.NoError(w.t, err)
				for _, m := range marks {
					require.Zero(w.t, m.RefusedAt, "%s: it is the key that is refused, not the report", m.Report)
				}
				w.org.Faults().Disarm()
				time.Sleep(20 * time.Minute)
				stop()
				w.requireAll(olderDims)
			})
		})
	}
	t.Run("from the start", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 24}, func(w *world) {
			w.key = "another-key"
			w.run(time.Hour)
			require.Less(w.t, w.client.Requests(), int64(30))
			require.Equal(w.t, 1, w.logs.count("the API refuses the admin key"), w.logs.String())
			w.key = sim.AdminKey
			w.run(30 * time.Minute)
			w.requireAll(olderDims)
		})
	})
}

// TestNameless: as long as the key does not tell whose it is, the collector says why; what a database says
// is for the log.
func TestNameless(t *testing.T) {
	bubble(t, sim.Options{Seed: 26}, func(w *world) {
		w.key = "another-key"
		c := w.collector()
		require.Nil(w.t, c.Nameless(), "not tried yet")
		ctx, stop := context.WithCancel(w.t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(time.Minute)
		n := c.Nameless()
		require.NotNil(w.t, n)
		require.Contains(w.t, n.Problem, "me: 401 authentication")
		require.NotContains(w.t, n.Problem, w.key)
		require.WithinDuration(w.t, time.Now(), n.At, 2*time.Minute)
		w.key = sim.AdminKey
		time.Sleep(30 * time.Minute)
		require.Nil(w.t, c.Nameless())
		stop()
		require.NoError(w.t, <-ended)
	})
}

// TestReportRefused takes reports away in the middle of a day and gives them back in another.
func TestReportRefused(t *testing.T) {
	t.Run("messages", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 25}, func(w *world) {
			w.config = seldom()
			w.run(4 * time.Hour)
			w.org.Faults().Arm(sim.Rule{Fault: sim.Forbidden, Path: "usage_report/messages"})
			w.run(2 * day)
			w.org.Faults().Disarm()
			w.run(2 * day)
			window := spend.Window{Start: history().Start, End: spend.Hour.Floor(time.Now()).Add(-2 * time.Hour)}
			w.requireUsage(window, spend.Hour, []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier})
			owners := map[string]spend.Report{}
			for _, s := range w.slots(spend.FactUsage, window) {
				d := s.Window.Start.Format(time.DateOnly)
				require.Contains(w.t, []spend.Report{"", s.Report}, owners[d], "one report rules a day")
				owners[d] = s.Report
			}
			require.Equal(w.t, spend.ReportMessages, owners["2026-11-19"])
			require.Equal(w.t, spend.ReportAnalyticsUsage, owners["2026-11-20"], "taken over when it was over")
			require.Equal(w.t, spend.ReportAnalyticsUsage, owners["2026-11-21"])
			require.Equal(w.t, spend.ReportMessages, owners["2026-11-23"])
			require.Equal(w.t, 1, w.logs.count("report is refused"))
		})
	})
	t.Run("analytics/cost", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 26}, func(w *world) {
			w.config = seldom()
			w.run(4 * time.Hour)
			w.org.Faults().Arm(sim.Rule{Fault: sim.Forbidden, Path: "analytics/cost"})
			w.run(2 * day)
			w.org.Faults().Disarm()
			w.run(3 * day)
			midnight := spend.Day.Floor(start)
			owners := map[int]spend.Report{}
			for d := range 5 {
				for _, s := range w.slots(spend.FactCost, spend.Day.Bucket(midnight.Add(time.Duration(d)*day))) {
					require.Contains(w.t, []spend.Report{"", s.Report}, owners[d])
					owners[d] = s.Report
				}
			}
			require.Equal(w.t, map[int]spend.Report{
				0: spend.ReportAnalyticsCost, 1: spend.ReportCost, 2: spend.ReportCost, 3: spend.ReportAnalyticsCost, 4: spend.ReportAnalyticsCost,
			}, owners)
			w.requireHourBill(spend.Window{Start: history().Start, End: midnight.Add(day)})
			w.requireBill(spend.Window{Start: midnight.Add(day), End: midnight.Add(3 * day)})
			w.requireHourBill(spend.Window{Start: midnight.Add(3 * day), End: midnight.Add(5 * day)})
		})
	})
}

// TestReportLeftOut changes the setting: what a report told that is not read any more does not stand for
// how far data goes, and counts again at once when it is read again.
func TestReportLeftOut(t *testing.T) {
	bubble(t, sim.Options{Seed: 25, Scale: 1}, func(w *world) {
		w.config = seldom()
		marks := func() map[spend.Report]string {
			list, err := w.store.Watermarks(w.t.Context(), w.id)
			require.NoError(w.t, err)
			reasons := map[spend.Report]string{}
			for _, m := range list {
				require.Equal(w.t, m.RefusedAt.IsZero(), m.Reason == "")
				reasons[m.Report] = m.Reason
			}
			delete(reasons, spend.ReportClaudeCode)
			return reasons
		}
		const out = "the setting reports of the configuration leaves it out"
		w.run(2 * time.Hour)
		require.Equal(w.t, map[spend.Report]string{
			spend.ReportMessages: "", spend.ReportAnalyticsUsage: "", spend.ReportAnalyticsCost: "",
		}, marks())
		w.config.Reports = collector.ReportsAnalytics
		w.run(time.Hour)
		require.Equal(w.t, map[spend.Report]string{
			spend.ReportMessages: out, spend.ReportAnalyticsUsage: "", spend.ReportAnalyticsCost: "",
		}, marks())
		w.config.Reports = collector.ReportsLegacy
		w.run(time.Hour)
		require.Equal(w.t, map[spend.Report]string{
			spend.ReportMessages: "", spend.ReportAnalyticsUsage: out, spend.ReportAnalyticsCost: out,
		}, marks())
		w.config.Reports = collector.ReportsAuto
		w.run(time.Hour)
		require.Equal(w.t, map[spend.Report]string{
			spend.ReportMessages: "", spend.ReportAnalyticsUsage: "", spend.ReportAnalyticsCost: "",
		}, marks())
		w.requireUsage(spend.Window{Start: spend.Day.Floor(start), End: spend.Hour.Floor(time.Now()).Add(-2 * time.Hour)}, spend.Hour, olderDims)
	})
}

// TestVanished lets a report be empty: that is held at first, then believed, then forgotten.
func TestVanished(t *testing.T) {
	bubble(t, sim.Options{Seed: 27}, func(w *world) {
		w.config.Usage = "*/5 * * * *"
		stop := w.begin()
		today := spend.Window{Start: spend.Day.Floor(start), End: spend.Hour.Floor(start).Add(-3 * time.Hour)}
		time.Sleep(time.Hour)
		w.requireUsage(today, spend.Hour, olderDims)
		w.org.Faults().Arm(sim.Rule{Fault: sim.Vanish, Path: "usage_report/messages"})
		time.Sleep(90 * time.Minute)
		w.requireUsage(today, spend.Hour, olderDims)
		require.LessOrEqual(w.t, w.logs.count("they are kept"), 3, w.logs.String())
		require.NotZero(w.t, w.logs.count("they are kept"))
		time.Sleep(3 * time.Hour)
		require.Empty(w.t, w.storedUsage(today, spend.Hour, nil), "said three times over two hours, it is believed")
		w.org.Faults().Disarm()
		time.Sleep(90 * time.Minute)
		stop()
		w.requireAll(olderDims)
	})
}

// TestRestart stops the collector at any time, most often in the middle of something.
func TestRestart(t *testing.T) {
	bubble(t, sim.Options{Seed: 28}, func(w *world) {
		r := rand.New(rand.NewPCG(1, 2))
		for range either(60, 20) {
			w.run(time.Duration(r.IntN(4000)) * time.Millisecond)
		}
		for range either(20, 5) {
			w.run(time.Duration(r.IntN(40)) * time.Minute)
			time.Sleep(time.Duration(r.IntN(200)) * time.Minute)
		}
		w.run(30 * time.Minute)
		w.requireAll(olderDims)
	})
}

// TestNewPrices starts with another price table: what is not billed is estimated anew.
func TestNewPrices(t *testing.T) {
	bubble(t, sim.Options{Seed: 29, Analytics: "refused"}, func(w *world) {
		w.run(30 * time.Minute)
		cost := func(day time.Time) (sum spend.Money) {
			res, err := w.store.Costs(w.t.Context(), storage.Query{Window: spend.Day.Bucket(day), Where: w.where()})
			require.NoError(w.t, err)
			for _, r := range res.Rows {
				sum += r.Cost
			}
			return sum
		}
		open, settled := cost(start), cost(start.Add(-5*day))
		require.Positive(w.t, open)
		require.Positive(w.t, settled)
		states, err := w.store.Organizations(w.t.Context())
		require.NoError(w.t, err)
		before := states[0].PriceVersion
		require.NotEmpty(w.t, before)
		dollar := spend.Dollar
		everything := pricing.Entry{TokenPrices: pricing.TokenPrices{
			Input: &dollar, Output: &dollar, CacheRead: &dollar, CacheWrite5m: &dollar, CacheWrite1h: &dollar,
		}}
		everything.SetDefaults()
		w.prices, err = pricing.Load(pricing.Overrides{"claude-*": {everything}})
		require.NoError(w.t, err)
		w.run(30 * time.Second)
		require.NotEqual(w.t, open, cost(start))
		require.Equal(w.t, settled, cost(start.Add(-5*day)))
		states, err = w.store.Organizations(w.t.Context())
		require.NoError(w.t, err)
		require.NotEqual(w.t, before, states[0].PriceVersion)
	})
}

// TestDatabaseFails takes the database away, and the ownership.
func TestDatabaseFails(t *testing.T) {
	bubble(t, sim.Options{Seed: 31}, func(w *world) {
		w.config.Usage = "*/5 * * * *"
		broken := storagetest.Break(w.store)
		w.store = broken
		stop := w.begin()
		time.Sleep(20 * time.Minute)
		broken.Fail(storage.ErrUnavailable)
		time.Sleep(2 * time.Hour)
		broken.Fail(nil)
		time.Sleep(10 * time.Minute)
		broken.Fail(storage.ErrLost, "ReplaceUsage")
		time.Sleep(10 * time.Minute)
		require.NotZero(w.t, w.logs.count("ownership of the organization was lost"))
		broken.Fail(nil, "ReplaceUsage")
		time.Sleep(20 * time.Minute)
		stop()
		w.requireAll(olderDims)
	})
}

// TestTwoCollectors runs two on one store: one works, the other takes over when it stops.
func TestTwoCollectors(t *testing.T) {
	bubble(t, sim.Options{Seed: 30}, func(w *world) {
		var ticks [2]atomic.Int64
		var stop [2]context.CancelFunc
		done := make(chan error)
		for i := range 2 {
			var ctx context.Context
			ctx, stop[i] = context.WithCancel(w.t.Context())
			c, err := collector.New(collector.Options{
				Client: w.client, Store: w.store, Prices: w.prices, Config: w.config, Log: w.logger(),
				After: func(context.Context, storage.Owner, string, time.Time) { ticks[i].Add(1) },
			})
			require.NoError(w.t, err)
			go func() { done <- c.Run(ctx) }()
			synctest.Wait()
		}
		time.Sleep(10 * time.Minute)
		first := 0
		if ticks[1].Load() > 0 {
			first = 1
		}
		require.Greater(w.t, ticks[first].Load(), int64(9))
		require.Zero(w.t, ticks[1-first].Load(), "only one works")
		_, err := w.collector().Once(w.t.Context(), time.Now())
		require.ErrorIs(w.t, err, storage.ErrOwned)
		stop[first]()
		require.NoError(w.t, <-done)
		time.Sleep(10 * time.Second)
		require.NotZero(w.t, ticks[1-first].Load(), "the other takes over within seconds")
		stop[1-first]()
		require.NoError(w.t, <-done)
	})
}
