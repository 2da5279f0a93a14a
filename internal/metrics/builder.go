package metrics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// builder makes the metrics of one organization.
type builder struct {
	organization string // label
	id           string
	store        storage.Store
	options      Options
	now          time.Time

	workspaces *labels
	keys       *labels
	marks      []storage.Watermark
	folded     map[string]int // by metric
	samples    []sample
	pairs      labelPairs
	past       func(d *prometheus.Desc, v float64, values []string) // takes the metrics instead; nil but in a [History]
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func (b *builder) add(d *prometheus.Desc, t prometheus.ValueType, v float64, values ...string) {
	values = append([]string{b.organization}, values...)
	if b.past != nil {
		b.past(d, v, values)
		return
	}
	b.samples = append(b.samples, sample{d, t, v, b.pairs.of(d, values)})
}

func (b *builder) gauge(d *prometheus.Desc, v float64, values ...string) {
	b.add(d, prometheus.GaugeValue, v, values...)
}

// monitor adds what every process exports about an organization.
func (b *builder) monitor(ctx context.Context, owned bool, runs []storage.Run) error {
	var err error
	if b.marks, err = b.store.Watermarks(ctx, b.id); err != nil {
		return fmt.Errorf("watermarks: %w", err)
	}
	for _, m := range b.marks {
		if !m.DataAt.IsZero() {
			b.gauge(dataTimestamp, unix(m.DataAt), string(m.Report))
		}
	}
	success := map[string]time.Time{}
	for _, r := range runs {
		if r.Organization == b.id && r.Outcome == "ok" && r.EndedAt.After(success[r.Job]) {
			success[r.Job] = r.EndedAt
		}
	}
	for _, job := range slices.Sorted(maps.Keys(success)) {
		b.gauge(jobLastSuccess, unix(success[job]), job)
	}
	works := 0.0
	if owned {
		works = 1
	}
	b.gauge(leader, works)
	b.folded = map[string]int{}
	return nil
}

// measured adds what only the process that works the organization exports.
func (b *builder) measured(ctx context.Context, h *costHistory) error {
	keys, err := b.inventory(ctx)
	if err != nil {
		return err
	}
	if err := b.counters(ctx); err != nil {
		return err
	}
	if err := b.costs(ctx, h); err != nil {
		return err
	}
	if err := b.cacheHits(ctx); err != nil {
		return err
	}
	if err := b.rateLimits(ctx); err != nil {
		return err
	}
	if err := b.claudeCode(ctx); err != nil {
		return err
	}
	if err := b.drift(ctx); err != nil {
		return err
	}
	if err := b.audit(ctx); err != nil {
		return err
	}
	if err := b.alerts(ctx); err != nil {
		return err
	}
	if b.options.APIKeys {
		return b.keyFacts(ctx, keys)
	}
	return nil
}

// inventory learns what workspaces and keys are called.
func (b *builder) inventory(ctx context.Context) ([]spend.APIKey, error) {
	ws, err := b.store.Workspaces(ctx, b.id)
	if err != nil {
		return nil, fmt.Errorf("workspaces: %w", err)
	}
	ks, err := b.store.APIKeys(ctx, b.id)
	if err != nil {
		return nil, fmt.Errorf("api keys: %w", err)
	}
	b.workspaces, b.keys = newLabels(storage.Other), newLabels(storage.Other, unattributed)
	b.keys.set(spend.NoKey, "")
	b.keys.set("", unattributed)
	b.workspaces.set("", "")
	for _, l := range []*labels{b.workspaces, b.keys} {
		l.set(storage.Other, storage.Other)
	}
	for _, w := range ws {
		b.workspaces.add(w.ID, cmp.Or(w.Label, w.Name))
	}
	for _, k := range ks {
		b.keys.add(k.ID, cmp.Or(k.Label, k.Name))
	}
	return ks, nil
}

// counters adds the store's running totals. Folded ones count in the store's own series "other".
func (b *builder) counters(ctx context.Context) error {
	cs, err := b.store.Counters(ctx, b.id)
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	for _, c := range cs {
		m, ok := counterMetrics[c.Name]
		switch {
		case !ok || c.Name == storage.CounterAPIKeyTokens && !b.options.APIKeys:
		case c.Folded:
			b.folded[m.name]++
		case c.Name == storage.CounterCost:
			b.add(m.desc, prometheus.CounterValue, spend.Money(c.Shown).USD(), b.counterLabels(c)...)
		default:
			b.add(m.desc, prometheus.CounterValue, float64(c.Shown), b.counterLabels(c)...)
		}
	}
	return nil
}

func (b *builder) counterLabels(c storage.Counter) []string {
	dims := storage.CounterDims[c.Name]
	values := make([]string, len(dims))
	for i, d := range dims {
		switch v := *c.Field(d); d {
		case spend.ByWorkspace:
			values[i] = b.workspaces.get(v)
		case spend.ByAPIKey:
			values[i] = b.keys.get(v)
		default:
			values[i] = v
		}
	}
	return values
}

// usageAt is up to where usage is complete: by the report it comes from, which is the older
// generation's unless that is refused.
func (b *builder) usageAt() time.Time {
	var refused time.Time
	for _, report := range []spend.Report{spend.ReportMessages, spend.ReportAnalyticsUsage} {
		for _, m := range b.marks {
			if m.Report != report || m.DataAt.IsZero() {
				continue
			}
			if m.RefusedAt.IsZero() {
				return m.DataAt
			}
			if refused.IsZero() {
				refused = m.DataAt
			}
		}
	}
	return refused
}

// keyFacts adds what is known of each key. Beyond the limit keys are left out, the longest known
// first in: facts of several keys under one label would say nothing.
func (b *builder) keyFacts(ctx context.Context, keys []spend.APIKey) error {
	members, err := b.store.Members(ctx, b.id)
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	owners := map[string]string{}
	for _, m := range members {
		owners[m.ID] = m.Email
	}
	if limit := b.options.MaxSeries; limit > 0 && len(keys) > limit {
		b.folded["anthropic_api_key_info"] = len(keys) - limit
		for _, k := range keys[limit:] {
			if !k.LastUsed.Empty() {
				b.folded["anthropic_api_key_last_used_timestamp_seconds"]++
			}
		}
		keys = keys[:limit]
	}
	for _, k := range keys {
		workspace, name := b.workspaces.get(k.WorkspaceID), b.keys.get(k.ID)
		owner := cmp.Or(k.PrincipalID, k.CreatedByID)
		b.gauge(keyInfo, 1, workspace, name, k.ID, k.Status, cmp.Or(owners[owner], owner))
		if !k.LastUsed.Empty() {
			end := k.LastUsed.End
			if end.After(b.now) { // an open hour or day
				end = b.now
			}
			b.gauge(keyLastUsed, unix(end), workspace, name)
		}
	}
	return nil
}

// dropped adds how many series the limit folded, for each metric that has a limit.
func (b *builder) dropped() {
	for _, metric := range slices.Sorted(maps.Keys(b.folded)) {
		b.gauge(seriesDropped, float64(b.folded[metric]), metric)
	}
}

// audit adds how many findings there are of each check that is on.
func (b *builder) audit(ctx context.Context) error {
	a, err := b.store.Audit(ctx, b.id)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	type kind struct{ check, severity string }
	counts := map[kind]int{}
	for _, f := range a.Findings {
		counts[kind{f.Check, f.Severity}]++
	}
	for _, c := range a.Checks {
		for _, s := range c.Severities {
			b.gauge(auditFindings, float64(counts[kind{c.Name, s}]), c.Name, s)
		}
	}
	return nil
}
