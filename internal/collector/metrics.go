package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count job runs.
type metrics struct {
	runs     *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics() metrics {
	return metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "anthropic_monitor_job_runs_total",
			Help: "Runs of the collector's jobs by outcome.",
		}, []string{"organization", "job", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "anthropic_monitor_job_duration_seconds",
			Help:    "How long the collector's jobs took.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"organization", "job"}),
	}
}

// Describe describes nothing: each organization has a collector with metrics of the same names,
// which a registry takes together only if they are undescribed.
func (metrics) Describe(chan<- *prometheus.Desc) {}

// Collect collects both metrics.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	m.runs.Collect(ch)
	m.duration.Collect(ch)
}

func (m metrics) observe(organization, job, outcome string, took time.Duration) {
	m.runs.WithLabelValues(organization, job, outcome).Inc()
	m.duration.WithLabelValues(organization, job).Observe(took.Seconds())
}
