package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// sample is a series of the snapshot. It is a [prometheus.Metric] that shares its pairs of label and
// value with the others: the library's own constant metrics take several times the memory.
type sample struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value float64
	pairs []*dto.LabelPair
}

// Desc implements [prometheus.Metric].
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.pairs
	if s.kind == prometheus.CounterValue {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// labelPairs holds each pair of label and value once.
type labelPairs map[[2]string]*dto.LabelPair

// of is the pairs of a series, sorted by label.
func (l labelPairs) of(d *prometheus.Desc, values []string) []*dto.LabelPair {
	pairs := prometheus.MakeLabelPairs(d, values)
	for i, p := range pairs {
		key := [2]string{p.GetName(), p.GetValue()}
		if known := l[key]; known != nil {
			pairs[i] = known
		} else {
			l[key] = p
		}
	}
	return pairs
}
