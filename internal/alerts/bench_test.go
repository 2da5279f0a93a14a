package alerts

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

const (
	benchKeys  = 1000
	benchDays  = 90
	benchRules = 500
)

// manyRules are rules of every window and grouping, by workspace and key.
func manyRules() []RuleConfig {
	var out []RuleConfig
	tokens, dollars, low := 1e15, 1e6, 1e-9
	for i := range benchRules {
		r := RuleConfig{
			Name: fmt.Sprintf("rule %d", i), Severity: spend.Warning,
			By:    config.OneOrMany[spend.Dimension]{spend.ByWorkspace, spend.ByAPIKey},
			Where: Where{Workspace: config.OneOrMany[string]{fmt.Sprintf("wrkspc_%d", i%20)}},
		}
		window := config.Duration([]time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 90 * 24 * time.Hour}[i%6])
		switch i % 10 {
		case 0:
			r.Budget = &BudgetConfig{AmountUSD: 1e6 * spend.Dollar, Period: Monthly, Actual: []float64{80, 100}, Forecast: []float64{100}}
		case 1:
			r.Anomaly = &AnomalyConfig{Metric: CostUSD, Window: config.Duration(time.Hour), MinIncrease: 1e6, MinRatio: 2, History: config.Duration(4 * week)}
		case 2:
			r.Threshold = &ThresholdConfig{Metric: CacheHitRatio, Window: window, Below: &low, AtLeast: 1}
		case 3:
			r.Threshold = &ThresholdConfig{Metric: Tokens, Window: window, Above: &tokens}
		default:
			r.Threshold = &ThresholdConfig{Metric: CostUSD, Window: window, Above: &dollars}
		}
		out = append(out, r)
	}
	return out
}

// BenchmarkEvaluate measures evaluations of 500 rules by workspace and key with windows up to 90
// days over 1,000 keys (2.2 million rows): the first of a process, and one after an hour was read
// again. The limit is one plain sum of the same rows by the database.
func BenchmarkEvaluate(b *testing.B) {
	for _, backend := range []string{"sqlite", "postgres"} {
		b.Run(backend, func(b *testing.B) {
			var store storage.Store
			if backend == "postgres" {
				store = openPostgres(b, pgtest.URL(b))
			} else {
				s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
				require.NoError(b, err)
				b.Cleanup(func() { require.NoError(b, s.Close()) })
				store = s
			}
			k := newKitOn(b, store, "03-01 00:00", "")
			w := spend.Window{Start: at("03-01 00:00"), End: at("03-01 00:00").AddDate(0, 0, benchDays)}
			reporttest.Many(b, k.owner, w, benchKeys)
			reporttest.SumDays(b, k.owner, w.End)
			k.readUpTo(w.End)
			k.options.Rules = manyRules()
			var plain, first, firstWorked, next, worked time.Duration
			n := 0
			for b.Loop() {
				n++
				start := time.Now()
				_, err := store.Usage(b.Context(), storage.Query{Window: w, Facts: true})
				require.NoError(b, err)
				plain += time.Since(start)

				engine := NewEngine(k.options)
				used := cpu(b)
				start = time.Now()
				require.NoError(b, engine.Evaluate(b.Context(), k.owner, testOrg, w.End))
				first += time.Since(start)
				firstWorked += cpu(b) - used

				last := spend.Window{Start: w.End.Add(-time.Hour), End: w.End}
				_, err = k.owner.ReplaceUsage(b.Context(), storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: last, At: w.End, DataAt: w.End}, reporttest.ManyHour(last.Start, benchKeys, int64(n)))
				require.NoError(b, err)
				used = cpu(b)
				start = time.Now()
				require.NoError(b, engine.Evaluate(b.Context(), k.owner, testOrg, w.End.Add(time.Minute)))
				next += time.Since(start)
				worked += cpu(b) - used
			}
			ms := func(d time.Duration) float64 { return float64(d.Milliseconds()) / float64(n) }
			b.ReportMetric(ms(first), "first-ms")
			b.ReportMetric(ms(firstWorked), "first-cpu-ms")
			b.ReportMetric(ms(next), "next-ms")
			b.ReportMetric(ms(worked), "next-cpu-ms") // of this process, on a machine that others use too
			b.ReportMetric(ms(plain), "plain-sum-ms")
			b.ReportMetric(float64(next)/float64(plain), "next/plain-sum")
			rs, err := store.RuleStates(b.Context(), testOrg)
			require.NoError(b, err)
			require.Len(b, rs, benchRules)
			for _, r := range rs {
				require.Empty(b, r.Problem)
			}
			as, err := store.Alerts(b.Context(), testOrg)
			require.NoError(b, err)
			require.Zero(b, len(as))
		})
	}
}

// cpu is the time that this process has computed for.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
