package adminapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests. The label code is the HTTP status, or "error" where no answer came.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics() metrics {
	labels := []string{"endpoint", "code"}
	return metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "anthropic_monitor_api_requests_total",
			Help: "Requests sent to the Admin API, retries included.",
		}, labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "anthropic_monitor_api_request_duration_seconds",
			Help:    "Time from sending a request to the Admin API to having read its answer.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, labels),
	}
}

func (m metrics) observe(endpoint string, status int, took time.Duration) {
	code := "error"
	if status != 0 {
		code = strconv.Itoa(status)
	}
	m.requests.WithLabelValues(endpoint, code).Inc()
	m.duration.WithLabelValues(endpoint, code).Observe(took.Seconds())
}
