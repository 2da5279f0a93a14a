package metrics_test

import (
	"context"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

var both = map[string]bool{reporttest.Acme: true, reporttest.Beta: true}

// gathered refreshes m and returns what a registry with it exposes, by metric name and labels.
func gathered(t *testing.T, m *metrics.Metrics, now time.Time, organizations map[string]bool) (string, map[string]float64) {
	t.Helper()
	require.NoError(t, m.Refresh(t.Context(), now, organizations))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, f := range families {
		for _, x := range f.GetMetric() {
			var labels []string
			for _, l := range x.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			values[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = x.GetGauge().GetValue() + x.GetCounter().GetValue()
		}
	}
	return scrape(registry), values
}

// scrape is what the registry serves.
func scrape(g prometheus.Gatherer) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(g, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	m := metrics.New(reporttest.Filled(t), metrics.Options{APIKeys: true, Teams: team.Teams{
		{Name: "ops", Workspaces: []string{"Default"}}, {Name: "search", APIKeys: []string{"ci"}},
	}})
	text, _ := gathered(t, m, reporttest.Now, both)
	golden.Check(t, "metrics.txt", []byte(text))

	registry := prometheus.NewRegistry()
	registry.MustRegister(m, metrics.NewBuildInfo("1.2.3", "abc", "go1.26"), metrics.NewConfigReload())
	families, err := registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	m := metrics.New(reporttest.Filled(t), metrics.Options{})
	for _, tt := range []struct {
		now  time.Time
		want map[string]string // period: cost of acme
	}{
		{reporttest.Now, map[string]string{ // a Sunday: the week began on the 16th
			"today": "1.12433", "yesterday": "9.62776", "week": "17.685423334", "month": "24.185423334", "last_month": "20.000000001",
		}},
		{reporttest.At(23, 0), map[string]string{ // Monday
			"yesterday": "1.12433", "month": "24.185423334", "last_month": "20.000000001",
		}},
		{time.Date(2026, 12, 1, 0, 30, 0, 0, time.UTC), map[string]string{"last_month": "24.185423334"}},
		{time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), map[string]string{}},
	} {
		_, values := gathered(t, m, tt.now, both)
		got := map[string]spend.Money{}
		for series, v := range values {
			if rest, ok := strings.CutPrefix(series, "anthropic_cost_usd{"); ok && strings.Contains(rest, "organization=acme") {
				_, period, _ := strings.Cut(rest, "period=")
				period, _, _ = strings.Cut(period, ",")
				got[period] += spend.Money(math.Round(v * float64(spend.Dollar)))
			}
		}
		shown := map[string]string{}
		for period, money := range got {
			shown[period] = money.String()
		}
		require.Equal(t, tt.want, shown, tt.now)
	}
}

// A process exports only what is about the monitor itself of an organization it does not work, and
// nothing of one it is not configured for.
func TestOwnership(t *testing.T) {
	t.Parallel()
	m := metrics.New(reporttest.Filled(t), metrics.Options{APIKeys: true})
	_, values := gathered(t, m, reporttest.Now, map[string]bool{reporttest.Acme: false})
	require.Contains(t, values, "anthropic_monitor_leader{organization=acme}")
	require.Contains(t, values, "anthropic_monitor_data_timestamp_seconds{organization=acme,report=messages}")
	for series, v := range values {
		require.Contains(t, series, "anthropic_monitor_")
		require.NotContains(t, series, "beta")
		if strings.HasPrefix(series, "anthropic_monitor_leader") {
			require.Zero(t, v)
		}
	}
	// Ownership may come and go.
	_, values = gathered(t, m, reporttest.Now, both)
	require.Equal(t, 1.0, values["anthropic_monitor_leader{organization=acme}"])
	require.Contains(t, values, "anthropic_rate_limit{limiter=requests_per_minute,model_group=Claude Sonnet 5,organization=acme,workspace=staging (9f2k1z)}")
}

func TestAPIKeysOff(t *testing.T) {
	t.Parallel()
	text, _ := gathered(t, metrics.New(reporttest.Filled(t), metrics.Options{}), reporttest.Now, both)
	require.NotContains(t, text, "api_key")
	require.Contains(t, text, "anthropic_tokens_total")
}

// Beyond the limit series are counted in "other": the sums stay what they are.
func TestMaxSeries(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	_, all := gathered(t, metrics.New(store, metrics.Options{APIKeys: true}), reporttest.Now, both)
	_, few := gathered(t, metrics.New(store, metrics.Options{APIKeys: true, MaxSeries: 3}), reporttest.Now, both)
	for _, metric := range []string{"anthropic_cost_usd{", "anthropic_api_key_cost_usd{"} {
		for _, period := range []string{"today", "week", "month", "last_month"} {
			sum := func(values map[string]float64) (total spend.Money) {
				for series, v := range values {
					if strings.HasPrefix(series, metric) && strings.Contains(series, "period="+period+",") {
						total += spend.Money(math.Round(v * float64(spend.Dollar)))
					}
				}
				return total
			}
			require.Equal(t, sum(all), sum(few), metric+period)
		}
	}
	kept := 0
	for series := range few {
		if strings.HasPrefix(series, "anthropic_cost_usd{") && strings.Contains(series, "organization=acme") && !strings.Contains(series, "workspace=other") {
			kept++
		}
	}
	require.LessOrEqual(t, kept, 3)
	require.Positive(t, few["anthropic_monitor_series_dropped{metric=anthropic_cost_usd,organization=acme}"])
	require.Equal(t, 1.0, few["anthropic_monitor_series_dropped{metric=anthropic_api_key_info,organization=acme}"])
	for series := range all {
		require.NotContains(t, series, "series_dropped")
	}
}

// Counters that the store folded are exposed once, in the series "other".
func TestFoldedCounters(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	m := metrics.New(store, metrics.Options{APIKeys: true})
	sum := func(values map[string]float64) (total float64) {
		for series, v := range values {
			if strings.HasPrefix(series, "anthropic_tokens_total{") && strings.Contains(series, "organization=acme") {
				total += v
			}
		}
		return total
	}
	_, before := gathered(t, m, reporttest.Now, both)
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	late := spend.Usage{
		Bucket: reporttest.At(22, 11), Dims: spend.Dims{WorkspaceID: "wrkspc_01New", APIKeyID: spend.NoKey, Model: "claude-new"},
		Counts: spend.Counts{spend.Output: 77},
	}
	_, err = owner.ReplaceUsage(t.Context(), storage.Reading{
		Report: spend.ReportMessages, Grain: spend.Hour, Window: spend.Window{Start: reporttest.At(22, 11), End: reporttest.At(22, 12)},
		At: reporttest.Now, DataAt: reporttest.At(22, 12),
	}, []spend.Usage{late})
	require.NoError(t, err)
	require.NoError(t, owner.UpdateCounters(t.Context(), 1)) // what is counted already keeps its series
	require.NoError(t, owner.Release())

	_, after := gathered(t, m, reporttest.Now, both)
	require.Equal(t, sum(before)+77, sum(after))
	require.Equal(t, 77.0, after["anthropic_tokens_total{model=other,organization=acme,service_tier=other,token_type=other,workspace=other}"])
	require.Equal(t, 1.0, after["anthropic_monitor_series_dropped{metric=anthropic_tokens_total,organization=acme}"])
}

// Only days that changed are read again, and the result is the same as from the beginning.
func TestRefreshFollowsChanges(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	m := metrics.New(store, metrics.Options{APIKeys: true})
	_, before := gathered(t, m, reporttest.Now, both)
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	for day := 20; day <= 21; day++ {
		require.NoError(t, owner.Bill(t.Context(), reporttest.At(day, 0), reporttest.Now))
	}
	require.NoError(t, owner.Release())
	_, after := gathered(t, m, reporttest.Now, both)
	require.NotEqual(t, before, after)
	_, fresh := gathered(t, metrics.New(store, metrics.Options{APIKeys: true}), reporttest.Now, both)
	require.Equal(t, fresh, after)
}

func TestRefreshKeepsTheSnapshotOnErrors(t *testing.T) {
	t.Parallel()
	m := metrics.New(reporttest.Filled(t), metrics.Options{})
	text, _ := gathered(t, m, reporttest.Now, both)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, m.Refresh(canceled, reporttest.Now.Add(time.Hour), both))
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	require.Equal(t, text, scrape(registry))
}

// The cost of a period of which hours were never read is not shown: it would be too low.
func TestMissingHours(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	o := spend.Organization{ID: reporttest.Acme, Name: "acme"}
	require.NoError(t, store.SaveOrganization(t.Context(), o, reporttest.Now))
	owner, err := store.Own(t.Context(), o.ID)
	require.NoError(t, err)
	read := func(from, to time.Time, cost spend.Money) {
		t.Helper()
		u := spend.Usage{Bucket: from, Dims: spend.Dims{Model: reporttest.Sonnet}, Price: spend.Priced}
		u.Counts[spend.Output], u.Estimate[spend.Output] = 1, cost
		_, err := owner.ReplaceUsage(t.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: spend.Window{Start: from, End: to}, At: reporttest.Now, DataAt: to,
		}, []spend.Usage{u})
		require.NoError(t, err)
		require.NoError(t, owner.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: to, ReadAt: reporttest.Now}))
	}
	m := metrics.New(store, metrics.Options{})
	periods := func() (ps []string) {
		_, values := gathered(t, m, reporttest.Now, map[string]bool{reporttest.Acme: true})
		for series := range values {
			if rest, ok := strings.CutPrefix(series, "anthropic_cost_usd{"); ok {
				_, p, _ := strings.Cut(rest, "period=")
				p, _, _ = strings.Cut(p, ",")
				ps = append(ps, p)
			}
		}
		return ps
	}
	read(reporttest.At(22, 0), reporttest.At(22, 10), spend.Dollar)
	require.ElementsMatch(t, []string{"today"}, periods())
	read(reporttest.At(1, 0), reporttest.At(20, 0), spend.Dollar)
	require.ElementsMatch(t, []string{"today"}, periods(), "two days are missing")
	read(reporttest.At(20, 0), reporttest.At(22, 0), spend.Dollar)
	require.ElementsMatch(t, []string{"today", "week", "month"}, periods(), "yesterday cost nothing")
}
