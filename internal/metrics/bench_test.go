package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// BenchmarkScrape serves 10,000 series of stored data and, in turns with them, the same series from
// plain vectors; "ratio" is the time of the first over that of the second.
func BenchmarkScrape(b *testing.B) {
	stored := prometheus.NewRegistry()
	stored.MustRegister(large(b))
	bare := prometheus.NewRegistry()
	series := copyTo(b, bare, stored)
	ours, theirs := handler(stored), handler(bare)
	require.Equal(b, len(serve(ours)), len(serve(theirs)))
	var our, their time.Duration
	for b.Loop() {
		start := time.Now()
		serve(ours)
		middle := time.Now()
		serve(theirs)
		our, their = our+middle.Sub(start), their+time.Since(middle)
	}
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(float64(our)/float64(their), "ratio")
	b.ReportMetric(our.Seconds()*1000/float64(b.N), "ms/scrape")
}

func handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

func serve(h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// large is metrics of a store with 2,000 models, each with tokens of every type.
func large(b *testing.B) *metrics.Metrics {
	store := reporttest.Open(b)
	require.NoError(b, store.SaveOrganization(b.Context(), spend.Organization{ID: reporttest.Acme, Name: "acme"}, reporttest.Now))
	owner, err := store.Own(b.Context(), reporttest.Acme)
	require.NoError(b, err)
	hour := spend.Hour.Bucket(reporttest.At(22, 9))
	require.NoError(b, owner.SetLive(b.Context(), hour.Start))
	var rows []spend.Usage
	for i := range 2000 {
		rows = append(rows, spend.Usage{
			Bucket: hour.Start, Counts: spend.Counts{1, 2, 3, 4, 5}, Price: spend.Priced,
			Dims: spend.Dims{
				WorkspaceID: reporttest.Default, APIKeyID: spend.NoKey, Model: fmt.Sprintf("claude-model-%04d", i), ServiceTier: "standard",
			},
		})
	}
	_, err = owner.ReplaceUsage(b.Context(), storage.Reading{
		Report: spend.ReportMessages, Grain: spend.Hour, Window: hour, At: reporttest.Now, DataAt: hour.End,
	}, rows)
	require.NoError(b, err)
	require.NoError(b, owner.UpdateCounters(b.Context(), 0))
	require.NoError(b, owner.Release())
	m := metrics.New(store, metrics.Options{})
	require.NoError(b, m.Refresh(b.Context(), reporttest.Now, map[string]bool{reporttest.Acme: true}))
	return m
}

// copyTo registers plain vectors with the same series, and returns how many they are.
func copyTo(b *testing.B, bare *prometheus.Registry, from prometheus.Gatherer) int {
	families, err := from.Gather()
	require.NoError(b, err)
	n := 0
	for _, f := range families {
		var names []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		counters := prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.GetName(), Help: f.GetHelp()}, names)
		gauges := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: f.GetName(), Help: f.GetHelp()}, names)
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if c := m.GetCounter(); c != nil {
				counters.WithLabelValues(values...).Add(c.GetValue())
			} else {
				gauges.WithLabelValues(values...).Set(m.GetGauge().GetValue())
			}
			n++
		}
		if f.GetMetric()[0].GetCounter() != nil {
			bare.MustRegister(counters)
		} else {
			bare.MustRegister(gauges)
		}
	}
	return n
}
