package alerts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// topContributors is how many contributors a message names.
const topContributors = 3

// compose looks up what is worth saying of alerts that are told, and makes notifications of them: one
// for each notifier and event. Resolves are also told apart by the thread that they answer in.
func (r *round) compose(ctx context.Context) {
	if len(r.told) == 0 {
		return
	}
	series := r.enrich(ctx)
	type to struct {
		notifier string
		event    spend.Event
		thread   string
	}
	groups := map[to][]spend.Alert{}
	for _, t := range r.told {
		for _, n := range t.to {
			k := to{notifier: n, event: t.event}
			switch {
			case slices.Contains(t.fresh, n):
				k.event = spend.EventFiring
			case t.event == spend.EventResolved:
				k.thread = r.thread(n, t.alert)
			}
			groups[k] = append(groups[k], t.alert)
		}
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b to) int {
		return cmp.Or(strings.Compare(a.notifier, b.notifier), strings.Compare(string(a.event), string(b.event)), strings.Compare(a.thread, b.thread))
	})
	for _, k := range keys {
		n := spend.Notification{
			Organization: r.v.organization, Notifier: k.notifier, Event: k.event, CreatedAt: r.v.now, Alerts: groups[k], Thread: k.thread,
		}
		slices.SortStableFunc(n.Alerts, func(a, b spend.Alert) int {
			return cmp.Or(slices.Index(spend.Severities, b.Severity)-slices.Index(spend.Severities, a.Severity),
				strings.Compare(a.Rule, b.Rule), strings.Compare(a.Subject, b.Subject))
		})
		n.ID = notificationID(n)
		for _, a := range n.Alerts {
			if points := series[a.Fingerprint()]; len(points) > 0 {
				if n.Series == nil {
					n.Series = map[string][]spend.Point{}
				}
				n.Series[a.Fingerprint()] = points
			}
		}
		r.changes.Notifications = append(r.changes.Notifications, n)
	}
}

// thread is what the notifier returned when it was told that the episode fires.
func (r *round) thread(notifier string, a spend.Alert) string {
	for _, x := range r.receipts {
		if x.Notifier == notifier && x.Fingerprint == a.Fingerprint() {
			return x.Receipt
		}
	}
	return ""
}

// notificationID follows from what is told: the same evaluation made again gives the same id.
func notificationID(n spend.Notification) string {
	parts := []string{n.Organization, n.Notifier, string(n.Event)}
	if n.Event != spend.EventFiring && n.Event != spend.EventResolved { // of an episode there may be several
		parts = append(parts, n.CreatedAt.UTC().Format(time.RFC3339))
	}
	for _, a := range n.Alerts {
		parts = append(parts, a.Fingerprint())
	}
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "msg_" + hex.EncodeToString(h[:12])
}

// enrich adds contributors to the alerts that are told, also where they are stored, and returns
// series for pictures by fingerprint. It asks once for each rule. Where it cannot be looked up, the
// message goes without.
func (r *round) enrich(ctx context.Context) map[string][]spend.Point {
	series := map[string][]spend.Point{}
	byRule := map[*rule][]int{}
	for i, t := range r.told {
		if t.detail.breakdown != nil && t.event != spend.EventResolved {
			byRule[t.rule] = append(byRule[t.rule], i)
		}
	}
	for rule, is := range byRule {
		if err := r.enrichRule(ctx, rule, is, series); err != nil {
			r.logs = append(r.logs, func(ctx context.Context) {
				r.e.log.WarnContext(ctx, "contributors cannot be looked up", "rule", rule.Name, "err", err)
			})
		}
	}
	records := map[storage.AlertKey]spend.Alert{}
	for _, t := range r.told {
		records[storage.AlertKey{Rule: t.alert.Rule, Subject: t.alert.Subject}] = t.alert
	}
	for i := range r.changes.Alerts {
		a := &r.changes.Alerts[i]
		if t, ok := records[storage.AlertKey{Rule: a.Rule, Subject: a.Subject}]; ok {
			a.Contributors = t.Contributors
		}
	}
	for i := range r.changes.History {
		a := &r.changes.History[i].Alert
		if t, ok := records[storage.AlertKey{Rule: a.Rule, Subject: a.Subject}]; ok {
			a.Contributors = t.Contributors
		}
	}
	return series
}

// enrichRule looks up the contributors of one rule's alerts; they have one metric and one window.
func (r *round) enrichRule(ctx context.Context, rule *rule, is []int, series map[string][]spend.Point) error {
	what := r.told[is[0]].detail.breakdown
	of := contributor(rule, what.metric)
	q := storage.Query{Window: what.window, By: append(rule.dimensions(), of...)}
	q.By = slices.Compact(slices.Sorted(slices.Values(q.By)))
	if !what.window.Aligned(spend.Hour) && what.window.Duration() <= 3*time.Hour && !r.v.replay {
		q.Step = spend.Minute // what is longer counts in whole hours: shares hardly differ
	}
	parts := map[string]map[string]figures{}
	scratch := &grouper{index: map[string]int32{}}
	names := map[string]string{}
	_, err := r.v.ask(ctx, what.metric.costs(), q, func(_, _ time.Time, d spend.Dims, f figures) error {
		i := r.v.groupOf(rule, scratch, &d)
		if i < 0 {
			return nil
		}
		group, id := scratch.groups[i].subject, ""
		var words []string
		for _, x := range of {
			v := *d.Field(x)
			id += v + "\x00"
			if name := r.v.inventory.label(x, v); name != "" {
				words = append(words, oneLine(name))
			} else {
				words = append(words, "(none)")
			}
		}
		names[id] = strings.Join(words, ", ")
		if parts[group] == nil {
			parts[group] = map[string]figures{}
		}
		sum := parts[group][id]
		sum.add(f)
		parts[group][id] = sum
		return nil
	})
	if err != nil {
		return err
	}
	points, err := r.points(ctx, rule, what)
	if err != nil {
		return err
	}
	for _, i := range is {
		t := &r.told[i]
		group := t.detail.breakdown.group
		t.alert.Contributors = top(parts[group], names, what.metric)
		if len(points[group]) > 1 {
			series[t.alert.Fingerprint()] = points[group]
		}
	}
	return nil
}

// contributor is what a rule's alerts are taken apart by: keys in their workspaces, or models.
func contributor(rule *rule, m Metric) []spend.Dimension {
	grouped := func(d spend.Dimension) bool {
		return slices.Contains(rule.By, d) || slices.ContainsFunc(rule.Where.filters(), func(f filter) bool {
			return f.dimension == d && len(f.patterns) == 1 && !strings.HasSuffix(f.patterns[0], "*")
		})
	}
	switch {
	case m == Requests && !grouped(spend.ByModel): // request counts are not told by key everywhere
		return []spend.Dimension{spend.ByModel}
	case !grouped(spend.ByAPIKey):
		return []spend.Dimension{spend.ByAPIKey}
	case !grouped(spend.ByModel):
		return []spend.Dimension{spend.ByModel}
	default:
		return []spend.Dimension{spend.ByServiceTier}
	}
}

// top are the greatest contributors. What a ratio is made of is its input tokens.
func top(parts map[string]figures, names map[string]string, m Metric) []spend.Contributor {
	value := func(f figures) float64 {
		if m == CacheHitRatio {
			return float64(f.input)
		}
		return m.of(f)
	}
	var whole float64
	for _, f := range parts {
		whole += value(f)
	}
	ids := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		return cmp.Or(cmp.Compare(value(parts[b]), value(parts[a])), strings.Compare(a, b))
	})
	var out []spend.Contributor
	for _, id := range ids[:min(len(ids), topContributors)] {
		v := value(parts[id])
		if v <= 0 || whole <= 0 {
			continue
		}
		c := spend.Contributor{Name: names[id], Value: v, Share: v / whole}
		if m == CacheHitRatio || m == Share {
			c.Value = m.of(parts[id]) // in the alert's unit
			if m == Share {
				c.Value = c.Share
			}
		}
		out = append(out, c)
	}
	return out
}

// points are recent values of the rule's groups: hours of the last two days or, for long windows,
// days of the last month.
func (r *round) points(ctx context.Context, rule *rule, what *breakdown) (map[string][]spend.Point, error) {
	v, step, n := r.v, spend.Hour, 48
	if what.window.Duration() > 48*time.Hour {
		step, n = spend.Day, 30
	}
	s := v.shapeOf(what.metric.costs(), rule.dimensions())
	end := step.Ceil(v.dataAt)
	w := spend.Window{Start: end.Add(-time.Duration(n) * step.Duration()), End: end}
	if err := v.need(ctx, s, w, step == spend.Hour); err != nil {
		return nil, err
	}
	out := map[string][]spend.Point{}
	for _, b := range w.Buckets(step) {
		t, err := v.sum(ctx, s, b, false)
		if err != nil {
			return nil, err
		}
		g := v.grouped(rule, s)
		sums, _ := g.sums(t)
		var whole figures
		for _, f := range t.cells {
			whole.add(f)
		}
		for i, f := range sums {
			value := what.metric.of(f)
			if what.metric == Share && whole.cost > 0 {
				value = float64(f.cost) / float64(whole.cost)
			}
			subject := g.groups[i].subject
			out[subject] = append(out[subject], spend.Point{At: b.Start, Value: value})
		}
	}
	return out, nil
}
