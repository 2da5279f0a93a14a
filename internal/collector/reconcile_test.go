package collector_test

import (
	"database/sql"
	"strings"
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
	t.Parallel()
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
				w.config.Backfill = 4 * day
				_, err := w.collector().Once(w.t.Context(), time.Now())
				require.NoError(w.t, err)
				time.Sleep(either(36*time.Hour, time.Hour)) // what was revised meanwhile is read again at a comparison
				for range 2 {                               // the older cost report is settled by two reads
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
					require.GreaterOrEqual(w.t, f.Days, 5)
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

// dayCost is the cost of a day, at list price beside it, and what share of it is estimated.
func (w *world) dayCost(d time.Time) (cost, list spend.Money, estimated float64) {
	res, err := w.store.Costs(w.t.Context(), storage.Query{Window: spend.Window{Start: d, End: d.Add(day)}, Where: w.where()})
	require.NoError(w.t, err)
	var part spend.Money
	for _, c := range res.Rows {
		cost, list = cost+c.Cost, list+c.List
		if c.Basis == spend.Estimated {
			part += c.Cost
		}
	}
	return cost, list, part.USD() / cost.USD()
}

// TestEstimateMeetsBill: with a discount, the estimate of a day is within a hundredth of the bill
// that it then gets.
func TestEstimateMeetsBill(t *testing.T) {
	if testing.Short() {
		t.Skip("an organization of one key has too little to compare")
	}
	t.Parallel()
	for name, o := range map[string]sim.Options{
		"older reports":                 {Analytics: "refused"},
		"older reports before discount": {Analytics: "refused", CostBeforeDiscount: true},
		"both generations":              {Refresh: 24 * time.Hour}, // so late that a whole day waits for its bill
		"analytics":                     {Refresh: 24 * time.Hour, Legacy: "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			o.Seed, o.DiscountPermille = 40, 120
			bubble(t, o, func(w *world) {
				once := func() {
					_, err := w.collector().Once(w.t.Context(), time.Now())
					require.NoError(w.t, err)
				}
				w.config.Backfill = 4 * day
				if o.Legacy != "" {
					time.Sleep(14 * time.Hour) // usage that waits for the export too, but a few hours
				}
				once()
				time.Sleep(time.Until(time.Date(2026, 11, 21, 2, 30, 0, 0, time.UTC)))
				once()
				today := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
				if o.Legacy != "" {
					today = today.Add(-day) // without the older reports nothing is known before the export
				}
				estimate, list, part := w.dayCost(today)
				if o.Legacy == "" {
					require.Greater(w.t, part, 0.9, "nearly all is estimated")
					if !o.CostBeforeDiscount {
						require.InEpsilon(w.t, list.USD(), estimate.USD()/0.88, 0.02, "the list price stays beside it")
					}
				}
				time.Sleep(75 * time.Hour)
				once()
				bill, _, part := w.dayCost(today)
				require.Zero(w.t, part)
				require.InEpsilon(w.t, bill.USD(), estimate.USD(), 0.01)
			})
		})
	}
}

// TestFalsifiedBill: the API says another thing in rows than in total. The first difference is
// looked at again, then it is named and warned of, once.
func TestFalsifiedBill(t *testing.T) {
	if testing.Short() {
		t.Skip("an organization of one key has too little to compare")
	}
	t.Parallel()
	for name, o := range map[string]sim.Options{"older reports": {Analytics: "refused"}, "both generations": {}} {
		t.Run(name, func(t *testing.T) {
			o.Seed, o.DiscountPermille = 40, 120
			bubble(t, o, func(w *world) {
				wrong := spend.Day.Floor(start.Add(-3 * day))
				w.config.Backfill = 4 * day
				w.org.Faults().Arm(sim.Rule{Fault: sim.Falsified, From: wrong})
				off := func() (cs []storage.Check) {
					for _, c := range w.checks() {
						if c.Verdict == storage.Unconfirmed || c.Verdict == storage.Differs {
							cs = append(cs, c)
						}
					}
					return cs
				}
				once := func() {
					_, err := w.collector().Once(w.t.Context(), time.Now())
					require.NoError(w.t, err)
				}
				once()
				for _, c := range off() {
					require.Equal(w.t, storage.Unconfirmed, c.Verdict, "%+v", c)
				}
				require.NotContains(w.t, w.logs.String(), "do not match")
				for range 3 {
					time.Sleep(61 * time.Minute)
					once()
				}
				amount := false
				named := false
				for _, c := range off() {
					require.Equal(w.t, storage.Differs, c.Verdict, "%+v", c)
					require.True(w.t, c.Day.Equal(wrong), "%+v", c)
					if c.Name != storage.CheckEstimate {
						require.InDelta(w.t, 0.88, max(spend.Money(c.Difference()), -spend.Money(c.Difference())).USD(), 0.2, "%+v", c)
					}
					amount = amount || c.Name == storage.CheckCost && c.Subject == "amount" && c.Difference() > 0
					named = named || c.Name == storage.CheckEstimate && c.Model != "" && c.TokenType != "" ||
						c.Name == storage.CheckCostReports && strings.Contains(c.Explanation, "it is in workspace wrkspc_") && strings.Contains(c.Explanation, ", model claude-")
				}
				require.True(w.t, amount)
				require.True(w.t, named, "%+v", off())
				n := w.logs.count("do not match")
				require.Equal(w.t, len(off()), n, "once each: %s", w.logs)
				time.Sleep(25 * time.Hour)
				once()
				require.Equal(w.t, n, w.logs.count("do not match"))

				w.org.Faults().Disarm()
				time.Sleep(25 * time.Hour)
				once()
				require.Empty(w.t, off())
			})
		})
	}
}

// TestFalsifiedStore: a row of the database that was changed is put right at the next comparison,
// and the check names it.
func TestFalsifiedStore(t *testing.T) {
	bubble(t, sim.Options{Seed: 40}, func(w *world) {
		_, err := w.collector().Once(w.t.Context(), time.Now())
		require.NoError(w.t, err)
		db, err := sql.Open("sqlite", w.path)
		require.NoError(w.t, err)
		defer db.Close()
		wrong := spend.Day.Floor(start.Add(-3 * day))
		for _, q := range []string{
			`update cost_hour set amount = amount + 5000000000 where (bucket, series) in (select bucket, series from cost_hour where bucket >= ? limit 1)`,
			`update usage_hour set output = output + 77 where (bucket, series) in (select bucket, series from usage_hour where bucket >= ? limit 1)`,
		} {
			res, err := db.ExecContext(w.t.Context(), q, wrong.Unix())
			require.NoError(w.t, err)
			n, err := res.RowsAffected()
			require.NoError(w.t, err)
			require.EqualValues(w.t, 1, n)
		}
		time.Sleep(20 * time.Hour)
		_, err = w.collector().Once(w.t.Context(), time.Now())
		require.NoError(w.t, err)
		named := 0
		for _, c := range w.checks() {
			if c.Day.Equal(wrong) && (c.Name == storage.CheckCost && c.Subject == "amount" || c.Name == storage.CheckUsage && c.Subject == "output_tokens") {
				require.Equal(w.t, storage.Agrees, c.Verdict)
				require.Contains(w.t, c.Explanation, "agrees since one row was revised: hour of 00:00 from ")
				require.Contains(w.t, c.Explanation, ", workspace ")
				named++
			}
		}
		require.Equal(w.t, 2, named)
		w.requireHourBill(spend.Window{Start: wrong, End: wrong.Add(day)})
	})
}

// TestOddBills: rows in another currency are kept aside and found, and so is a cost type that is
// new; everything else is read and agrees.
func TestOddBills(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sim.Options{"older reports": {Analytics: "refused"}, "both generations": {}} {
		t.Run(name, func(t *testing.T) {
			o.Seed, o.SessionCurrency = 40, "EUR"
			bubble(t, o, func(w *world) {
				if testing.Short() {
					return // the organization of one key has no sessions
				}
				w.config.Backfill = 4 * day
				for range 2 {
					_, err := w.collector().Once(w.t.Context(), time.Now())
					require.NoError(w.t, err)
					time.Sleep(70 * time.Minute)
				}
				window := spend.Window{Start: spend.Day.Floor(start.Add(-4 * day)), End: spend.Day.Floor(start)}
				rows, err := w.store.SetAside(w.t.Context(), w.id, window)
				require.NoError(w.t, err)
				sums := storage.SumSetAside(rows)
				require.Len(w.t, sums, 1)
				require.Equal(w.t, "EUR", sums[0].Currency)
				require.Equal(w.t, window, sums[0].Window)
				var want, usd int64
				for _, c := range w.org.TrueBill(window.Start, window.End) {
					if n := sim.SumNanoUSD([]sim.CostCell{c}); c.Currency == "EUR" {
						want += n
					} else {
						usd += n
					}
				}
				got, err := spend.ParseCents(sums[0].Amount)
				require.NoError(w.t, err)
				require.InDelta(w.t, want, int64(got), 100)
				res, err := w.store.Costs(w.t.Context(), storage.Query{Window: window, Where: w.where()})
				require.NoError(w.t, err)
				var total spend.Money
				for _, c := range res.Rows {
					total += c.Cost
				}
				require.InDelta(w.t, usd, int64(total), 10_000, "in no total")
				fs := w.findings()[storage.FindingCurrency]
				require.Len(w.t, fs, 1)
				require.Contains(w.t, fs[0].Amount, " in EUR")
				require.Equal(w.t, 1, w.logs.count("not in US dollars; they are kept aside"), "%s", w.logs)
				for _, c := range w.checks() {
					require.Contains(w.t, []storage.Verdict{storage.Agrees, storage.Explained}, c.Verdict, "%+v", c)
				}
			})
		})
	}
	t.Run("new cost type", func(t *testing.T) {
		bubble(t, sim.Options{Seed: 40, SessionType: "sunshine"}, func(w *world) {
			if testing.Short() {
				return
			}
			_, err := w.collector().Once(w.t.Context(), time.Now())
			require.NoError(w.t, err)
			fs := w.findings()[storage.FindingCostType]
			require.Len(w.t, fs, 1)
			require.Equal(w.t, "sunshine", fs[0].Subject)
			require.Regexp(w.t, `^billed \$\d+\.\d+$`, fs[0].Amount)
			for _, c := range w.checks() {
				require.Contains(w.t, []storage.Verdict{storage.Agrees, storage.Explained}, c.Verdict, "%+v", c)
			}
		})
	})
}
