package alerts

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what the engine does. What the store knows of alerts and budgets is exposed by
// package metrics.
type metrics struct {
	notifications *prometheus.CounterVec
	failures      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	beats         *prometheus.CounterVec
}

func newMetrics() metrics {
	return metrics{
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "anthropic_monitor_notifications_total",
			Help: "Attempts to deliver a notification by outcome: sent, failed (it is tried again), dead (given up), dropped (nobody to tell).",
		}, []string{"notifier", "outcome"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "anthropic_monitor_rule_failures_total",
			Help: "Evaluations in which the rule could not be judged.",
		}, []string{"organization", "rule"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "anthropic_monitor_evaluation_duration_seconds",
			Help:    "How long an evaluation of all rules took.",
			Buckets: []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30},
		}, []string{"organization"}),
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "anthropic_monitor_heartbeats_total",
			Help: "Heartbeats sent after evaluations in which no rule failed, by outcome: ok, failed.",
		}, []string{"outcome"}),
	}
}

// Metrics are the engine's counters, for a Prometheus registry.
func (e *Engine) Metrics() []prometheus.Collector {
	return []prometheus.Collector{e.metrics.notifications, e.metrics.failures, e.metrics.duration, e.metrics.beats}
}

func (m metrics) failed(organization, rule string) {
	m.failures.WithLabelValues(organization, rule).Inc()
}

func (m metrics) evaluated(organization string, took time.Duration) {
	m.duration.WithLabelValues(organization).Observe(took.Seconds())
}

func (m metrics) delivered(notifier, outcome string) {
	m.notifications.WithLabelValues(notifier, outcome).Inc()
}

func (m metrics) beat(ok bool) {
	outcome := "ok"
	if !ok {
		outcome = "failed"
	}
	m.beats.WithLabelValues(outcome).Inc()
}
