// Package metrics exposes what the store knows about organizations as Prometheus metrics.
//
// [Metrics] is one [prometheus.Collector] over a snapshot. [Metrics.Refresh] rebuilds the snapshot
// from the store after each collection; a scrape only hands it out and does no database work. The
// counters are the store's running totals, the gauges of cost are sums of the store's days, of
// which only those that changed are read again. Nothing here is state: a restart reads it all anew.
//
// What a component counts about itself (requests made, runs, notifications) stays with that
// component. To add a metric of stored data, add its descriptor to the list below and the lines
// that fill it to the file it belongs to; the golden file of the test shows it.
package metrics

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// desc describes a metric of an organization.
func desc(name, help string, labels ...string) *prometheus.Desc {
	labels = append([]string{"organization"}, labels...)
	d := prometheus.NewDesc(name, help, labels, nil)
	families[d] = &Family{Name: name, Help: help, Labels: labels}
	return d
}

// families keeps what a descriptor does not tell, for [History].
var families = map[*prometheus.Desc]*Family{}

const asOf = "as of anthropic_monitor_data_timestamp_seconds"

var (
	tokensTotal = desc("anthropic_tokens_total",
		"Tokens used since live collection began. Never falls: a downward revision holds it still.",
		"workspace", "model", "service_tier", "token_type")
	requestsTotal = desc("anthropic_requests_total",
		"API requests made since live collection began, where the organization's reports count them.",
		"workspace", "model", "service_tier")
	webSearchesTotal = desc("anthropic_web_searches_total",
		"Web searches made since live collection began.",
		"workspace", "model")
	costTotal = desc("anthropic_cost_usd_total",
		"Cost in US dollars since live collection began: billed where settled, else estimated. Each series never falls, so "+
			"after a bill moved money between series their sum may exceed anthropic_cost_usd for a while: use that for exact figures.",
		"workspace", "model", "cost_type")
	keyTokensTotal = desc("anthropic_api_key_tokens_total",
		"Tokens used since live collection began, by API key. An empty api_key is use without a key.",
		"workspace", "api_key")
	unpricedTotal = desc("anthropic_unpriced_tokens_total",
		"Tokens used since live collection began whose price is not known: their cost is missing from every estimate.",
		"model")
	cost = desc("anthropic_cost_usd",
		"Cost in US dollars of a calendar period in UTC (weeks begin on Monday), "+asOf+". The bases (billed, allocated: a bill "+
			"shared out, estimated: tokens at list price, scaled to what was billed lately, until the bill is in) are parts that add up. Absent while hours of the period were never read.",
		"workspace", "model", "period", "basis")
	keyCost = desc("anthropic_api_key_cost_usd",
		"Cost in US dollars by API key of a calendar period in UTC (weeks begin on Monday), "+asOf+". The bases add up. An empty "+
			"api_key is use without a key, (unattributed) what no key can be told for.",
		"workspace", "api_key", "period", "basis")
	teamCost = desc("anthropic_team_cost_usd",
		"Cost in US dollars by team of a calendar period in UTC (weeks begin on Monday), "+asOf+". The bases add up, and so do the teams: "+
			"unmapped is what belongs to none of them. Only where teams are configured.",
		"team", "period", "basis")
	keyLastUsed = desc("anthropic_api_key_last_used_timestamp_seconds",
		"End of the newest time in which the API key was used, as fine as it is known. Absent: no use was seen.",
		"workspace", "api_key")
	keyInfo = desc("anthropic_api_key_info",
		"1 for each API key: its id, its status and its owner.",
		"workspace", "api_key", "api_key_id", "status", "owner")
	auditFindings = desc("anthropic_audit_findings",
		"What the audit of keys and access finds, for each check that is on, with 0 for nothing.",
		"check", "severity")
	cacheHitRatio = desc("anthropic_cache_hit_ratio",
		"Input tokens read from the cache over all input tokens, in the last complete hour, "+asOf+".",
		"workspace", "model")
	rateLimit = desc("anthropic_rate_limit",
		"Rate limit as configured, by group of models and limiter. An empty workspace is the organization's own limit.",
		"workspace", "model_group", "limiter")
	driftRatio = desc("anthropic_estimate_drift_ratio",
		"Estimated cost at list price over the amount that was billed for it, of the last 7 settled days (UTC). A discount makes it more than 1; "+
			"what matters is that it changes. Priority tiers, what has no price and what only a bill has are left out.")

	dataTimestamp = desc("anthropic_monitor_data_timestamp_seconds",
		"Newest time up to which the report's data is complete.",
		"report")
	jobLastSuccess = desc("anthropic_monitor_job_last_success_timestamp_seconds",
		"When the job last ended well.",
		"job")
	seriesDropped = desc("anthropic_monitor_series_dropped",
		"Series that are counted in the series \"other\", or left out where that says nothing, because of metrics.max_series.",
		"metric")
	leader = desc("anthropic_monitor_leader",
		"1 if this process works the organization, 0 if another one does: that one exports what is measured about it.")
	snapshotTimestamp = prometheus.NewDesc("anthropic_monitor_snapshot_timestamp_seconds",
		"When the metrics of stored data were last brought up to date.", nil, nil)

	descs = []*prometheus.Desc{
		tokensTotal, requestsTotal, webSearchesTotal, costTotal, keyTokensTotal, unpricedTotal, cost, keyCost, teamCost, keyLastUsed,
		keyInfo, auditFindings, cacheHitRatio, rateLimit, rateLimitUsed, driftRatio, dataTimestamp,
		jobLastSuccess, seriesDropped, leader, snapshotTimestamp,
	}
)

// counterMetrics are the metrics of the store's counters.
var counterMetrics = map[string]struct {
	name string
	desc *prometheus.Desc
}{
	storage.CounterTokens:       {"anthropic_tokens_total", tokensTotal},
	storage.CounterRequests:     {"anthropic_requests_total", requestsTotal},
	storage.CounterWebSearches:  {"anthropic_web_searches_total", webSearchesTotal},
	storage.CounterCost:         {"anthropic_cost_usd_total", costTotal},
	storage.CounterAPIKeyTokens: {"anthropic_api_key_tokens_total", keyTokensTotal},
	storage.CounterUnpriced:     {"anthropic_unpriced_tokens_total", unpricedTotal},
}

// Options say what is exposed.
type Options struct {
	// MaxSeries bounds the series of each gauge by model or key in each organization: the cheapest
	// beyond it are counted in the series "other". 0 is no bound. The store bounds the counters.
	MaxSeries int
	// APIKeys exposes a series for each API key.
	APIKeys bool
	// ClaudeCodeActors gives the metrics of Claude Code a label that tells who worked with it; off and
	// empty are sums.
	ClaudeCodeActors Actors
	// Teams says whose the use is; without any there are no metrics of teams.
	Teams team.Teams
}

// Metrics is a collector of what the store knows. It is safe for concurrent use.
type Metrics struct {
	store    storage.Store
	options  Options
	snapshot atomic.Pointer[[]sample]

	mu   sync.Mutex              // one Refresh at a time
	days map[string]*costHistory // by organization
}

// New returns metrics that show nothing until they are refreshed.
func New(store storage.Store, o Options) *Metrics {
	return &Metrics{store: store, options: o, days: map[string]*costHistory{}}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat(descs, alertDescs, m.options.claudeCode().all()) {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. It hands out the snapshot.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	if s := m.snapshot.Load(); s != nil {
		for i := range *s {
			ch <- &(*s)[i]
		}
	}
}

// Refresh rebuilds the snapshot from the store. The organizations are those that this process is
// configured for, by id; true are those that it works. For the others only what is about the
// monitor itself is exposed, so that of several processes exactly one exports an organization.
// After an error the snapshot is what it was.
func (m *Metrics) Refresh(ctx context.Context, now time.Time, organizations map[string]bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.store.Organizations(ctx)
	if err != nil {
		return fmt.Errorf("metrics: organizations: %w", err)
	}
	runs, err := m.store.LastRuns(ctx)
	if err != nil {
		return fmt.Errorf("metrics: last runs: %w", err)
	}
	names := newLabels()
	for _, o := range known {
		names.add(o.ID, o.Name)
	}
	pairs := labelPairs{}
	var out []sample
	for _, o := range known {
		owned, configured := organizations[o.ID]
		if !configured {
			delete(m.days, o.ID)
			continue
		}
		b := &builder{organization: names.get(o.ID), id: o.ID, store: m.store, options: m.options, now: now.UTC(), pairs: pairs}
		if err := b.monitor(ctx, owned, runs); err != nil {
			return fmt.Errorf("metrics of %s: %w", o.Name, err)
		}
		if owned {
			if m.days[o.ID] == nil {
				m.days[o.ID] = &costHistory{days: map[time.Time]dayCost{}}
			}
			if err := b.measured(ctx, m.days[o.ID]); err != nil {
				return fmt.Errorf("metrics of %s: %w", o.Name, err)
			}
		} else {
			delete(m.days, o.ID)
		}
		b.dropped()
		out = append(out, b.samples...)
	}
	out = append(out, sample{snapshotTimestamp, prometheus.GaugeValue, unix(now), pairs.of(snapshotTimestamp, nil)})
	m.snapshot.Store(&out)
	return nil
}

// NewBuildInfo returns the metric that says what this binary is.
func NewBuildInfo(version, revision, goVersion string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "anthropic_monitor_build_info",
		Help:        "1, with what this binary was built from.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": goVersion},
	})
	g.Set(1)
	return g
}

// NewConfigReload returns the metric that says whether the last reading of the configuration went
// well; set it to 1 or 0.
func NewConfigReload() prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "anthropic_monitor_config_last_reload_successful",
		Help: "1 if the configuration file was last read without a problem, else 0 and the one before it is in force.",
	})
}
