package collector_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (w *world) checks() []storage.Check {
	cs, err := w.store.Checks(w.t.Context(), w.id, spend.Window{Start: start.Add(-100 * day), End: start.Add(100 * day)})
	require.NoError(w.t, err)
	return cs
}

// requireReconciled requires that all settled days of the history were compared by these checks, and
// no others, and that nothing is off.
func (w *world) requireReconciled(names ...storage.CheckName) {
	w.t.Helper()
	found := map[storage.CheckName]map[time.Time]bool{}
	for _, c := range w.checks() {
		require.Contains(w.t, []storage.Verdict{storage.Agrees, storage.Explained}, c.Verdict, "%+v", c)
		require.False(w.t, c.CheckedAt.Before(start.Add(-time.Hour)), "%+v", c)
		if c.Name != storage.CheckEstimate {
			require.Equal(w.t, storage.Agrees, c.Verdict, "%+v", c)
		}
		if c.Verdict == storage.Explained {
			require.NotEmpty(w.t, c.Explanation)
		}
		if found[c.Name] == nil {
			found[c.Name] = map[time.Time]bool{}
		}
		found[c.Name][c.Day] = true
	}
	require.Len(w.t, found, len(names), "%v", found)
	history := spend.Window{Start: spend.Day.Floor(start.Add(-w.config.Backfill)), End: spend.Day.Floor(time.Now().Add(-6 * time.Hour))}
	for _, n := range names {
		for _, d := range history.Buckets(spend.Day) {
			require.True(w.t, found[n][d.Start], "%s on %s", n, d.Start)
		}
	}
}

func (w *world) calibration() storage.Calibration {
	c, err := w.store.Calibration(w.t.Context(), w.id)
	require.NoError(w.t, err)
	return c
}

func (w *world) findings() map[string][]storage.Finding {
	fs, err := w.store.Findings(w.t.Context(), w.id)
	require.NoError(w.t, err)
	kinds := map[string][]storage.Finding{}
	for _, f := range fs {
		kinds[f.Kind] = append(kinds[f.Kind], f)
	}
	return kinds
}

// TestReconcile: with a discount, late revisions, a model without a price, priority usage and code
// execution all settled days agree, whichever generation of reports answers.
func TestReconcile(t *testing.T) {
	both := []storage.CheckName{
		storage.CheckUsage, storage.CheckRequests, storage.CheckCost, storage.CheckUsageReports, storage.CheckCostReports, storage.CheckEstimate,
	}
	for name, test := range map[string]struct {
		options sim.Options
		checks  []storage.CheckName
		factor  string
		basis   string
	}{
		"both generations":     {sim.Options{DiscountPermille: 120}, both, "0.88", "after discount: it matches the amount"},
		"bill before discount": {sim.Options{DiscountPermille: 120, CostBeforeDiscount: true}, both, "0.88", "before discount: it matches the list amount"},
		"no discount":          {sim.Options{}, both, "1", "there is no discount"},
		"older reports": {
			sim.Options{DiscountPermille: 120, Analytics: "refused"}, []storage.CheckName{storage.CheckUsage, storage.CheckCost, storage.CheckEstimate}, "0.88", "",
		},
		"analytics": {
			sim.Options{DiscountPermille: 120, Legacy: "refused"},
			[]storage.CheckName{storage.CheckUsage, storage.CheckRequests, storage.CheckCost, storage.CheckEstimate}, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.options.Seed, test.options.Revise = 40, true
			bubble(t, test.options, func(w *world) {
				w.config.Backfill = 10 * day
				_, err := w.collector().Once(w.t.Context(), time.Now())
				require.NoError(w.t, err)
				time.Sleep(either(36*time.Hour, time.Hour)) // what was revised meanwhile is read again at a comparison
				for range 2 { // the older cost report is settled by two reads
					_, err = w.collector().Once(w.t.Context(), time.Now())
					require.NoError(w.t, err)
					time.Sleep(70 * time.Minute)
				}
				w.requireReconciled(test.checks...)
				if testing.Short() {
					return // the organization of one key has not what follows
				}

				c := w.calibration()
				require.Empty(w.t, c.Factors[0].Model)
				require.Equal(w.t, time.Now().UTC().Truncate(24*time.Hour), c.At.Truncate(24*time.Hour))
				require.GreaterOrEqual(w.t, len(c.Factors), 5)
				for _, f := range c.Factors {
					require.Empty(w.t, f.Problem)
					if test.factor != "" {
						want, err := spend.ParseUSD(test.factor)
						require.NoError(w.t, err)
						require.InDelta(w.t, spend.Factor(want).Float(), f.Factor.Float(), 1e-6, "%+v", f)
					}
					require.Equal(w.t, 7, f.Days)
				}
				require.Len(w.t, c.Prices, 1)
				require.Equal(w.t, "claude-haiku-5-5", c.Prices[0].Model)

				fs := w.findings()
				require.Len(w.t, fs[storage.FindingUnpriced], 2, "a model, and flex")
				require.Empty(w.t, fs[storage.FindingCalibration])
				require.Empty(w.t, fs[storage.FindingCurrency])
				require.Empty(w.t, fs[storage.FindingCostType])
				if test.basis == "" {
					require.Empty(w.t, fs[storage.FindingDiscount])
				} else {
					require.Contains(w.t, fs[storage.FindingDiscount][0].Detail, test.basis)
				}
				require.NotContains(w.t, w.logs.String(), "do not match")
			})
		})
	}
}
