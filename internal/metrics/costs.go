package metrics

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// pair is a workspace and a model, or a workspace and a key: ids, or labels.
type pair struct{ workspace, other string }

// part is the cost of a pair on one basis.
type part struct {
	pair
	basis spend.Basis
}

// teamPart is the cost of a team on one basis.
type teamPart struct {
	team  string
	basis spend.Basis
}

// dayCost is the cost of a UTC day, by model, by key and by team.
type dayCost struct {
	models, keys map[part]spend.Money
	teams        map[teamPart]spend.Money
}

// costHistory keeps the days that the periods are made of. It is derived: days that the store says
// have changed are read again.
type costHistory struct {
	seq  int64 // change number up to which the days are those of the store
	days map[time.Time]dayCost
	of   team.Map // whose the use was in them
}

// refresh reads the days of the window that are missing or have changed.
func (h *costHistory) refresh(ctx context.Context, b *builder, w spend.Window) error {
	// The number first: what changes while the days are read has a higher one and is read next time.
	changed, seq, err := b.store.Changed(ctx, b.id, h.seq)
	if err != nil {
		return fmt.Errorf("changed days: %w", err)
	}
	for _, d := range changed {
		delete(h.days, d)
	}
	of, err := team.Load(ctx, b.store, b.options.Teams, b.id)
	if err != nil {
		return fmt.Errorf("teams: %w", err)
	}
	if !of.Equal(h.of) {
		clear(h.days)
		h.of = of
	}
	for d := range h.days {
		if !w.Contains(d) {
			delete(h.days, d)
		}
	}
	var missing []spend.Window
	for _, d := range w.Buckets(spend.Day) {
		if _, ok := h.days[d.Start]; !ok {
			missing = append(missing, d)
		}
	}
	for _, stretch := range spend.Join(missing) {
		if err := h.read(ctx, b, stretch); err != nil {
			return err
		}
	}
	h.seq = seq
	return nil
}

func (h *costHistory) read(ctx context.Context, b *builder, w spend.Window) error {
	days := map[time.Time]dayCost{}
	for _, d := range w.Buckets(spend.Day) {
		days[d.Start] = dayCost{models: map[part]spend.Money{}, keys: map[part]spend.Money{}, teams: map[teamPart]spend.Money{}}
	}
	// Two questions, since a bill by the day is exact by model and only shared out by key.
	for _, by := range []spend.Dimension{spend.ByModel, spend.ByAPIKey} {
		if by == spend.ByAPIKey && !b.options.APIKeys {
			continue
		}
		result, err := b.store.Costs(ctx, storage.Query{
			Window: w, Step: spend.Day, By: []spend.Dimension{spend.ByWorkspace, by},
			Where: []storage.Match{{Dimension: spend.ByOrganization, Values: []string{b.id}}},
		})
		if err != nil {
			return fmt.Errorf("costs by %s: %w", by, err)
		}
		for _, r := range result.Rows {
			day, ok := days[r.Start]
			if !ok {
				return fmt.Errorf("costs by %s: a row begins at %s, outside of %s", by, r.Start, w)
			}
			p := part{pair{r.WorkspaceID, *r.Field(by)}, r.Basis}
			if by == spend.ByModel {
				day.models[p] += r.Cost
			} else {
				day.keys[p] += r.Cost
			}
		}
	}
	if err := h.readTeams(ctx, b, w, days); err != nil {
		return err
	}
	for d, c := range days {
		h.days[d] = c
	}
	return nil
}

// period is a calendar period, in whole UTC days.
type period struct {
	name string
	spend.Window
}

// periods lists the periods at now, and the window that holds them all.
func periods(now time.Time) ([]period, spend.Window) {
	today := spend.Day.Floor(now)
	end := today.AddDate(0, 0, 1)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	month := spend.MonthStart(today)
	last := month.AddDate(0, -1, 0)
	return []period{
		{"today", spend.Window{Start: today, End: end}},
		{"yesterday", spend.Window{Start: today.AddDate(0, 0, -1), End: today}},
		{"week", spend.Window{Start: monday, End: end}},
		{"month", spend.Window{Start: month, End: end}},
		{"last_month", spend.Window{Start: last, End: month}},
	}, spend.Window{Start: last, End: end}
}

// costs adds the cost gauges.
func (b *builder) costs(ctx context.Context, h *costHistory) error {
	ps, all := periods(b.now)
	if err := h.refresh(ctx, b, all); err != nil {
		return err
	}
	// A sum over hours that were never read is not the cost of the period: better none than a wrong one.
	missing, err := storage.Missing(ctx, b.store, b.id, all, spend.FactUsage, spend.FactCost)
	if err != nil {
		return fmt.Errorf("missing hours: %w", err)
	}
	ps = slices.DeleteFunc(ps, func(p period) bool { return slices.ContainsFunc(missing, p.Overlaps) })
	sums := newPeriodSums()
	for d, c := range h.days {
		for _, p := range ps {
			if p.Contains(d) {
				sums.add(b, p.name, c)
			}
		}
	}
	b.costGauges(sums)
	return nil
}

// periodSums are the cost gauges' values, by model, by key and by team.
type periodSums struct {
	models, keys map[point]spend.Money
	teams        map[teamPoint]spend.Money
}

func newPeriodSums() periodSums {
	return periodSums{map[point]spend.Money{}, map[point]spend.Money{}, map[teamPoint]spend.Money{}}
}

// add adds the cost of a day, or of a part of it, to a period.
func (s periodSums) add(b *builder, period string, c dayCost) {
	for x, money := range c.models {
		s.models[point{pair{b.workspaces.get(x.workspace), x.other}, period, x.basis}] += money
	}
	for x, money := range c.keys {
		s.keys[point{pair{b.workspaces.get(x.workspace), b.keys.get(x.other)}, period, x.basis}] += money
	}
	for x, money := range c.teams {
		s.teams[teamPoint{x, period}] += money
	}
}

func (b *builder) costGauges(s periodSums) {
	b.costGauge(cost, "anthropic_cost_usd", s.models)
	if b.options.APIKeys {
		b.costGauge(keyCost, "anthropic_api_key_cost_usd", s.keys)
	}
	b.teamGauge(s.teams)
}

// point is a series of a cost gauge, by labels.
type point struct {
	pair
	period string
	basis  spend.Basis
}

func (p point) compare(q point) int {
	return cmp.Or(cmp.Compare(p.workspace, q.workspace), cmp.Compare(p.other, q.other),
		cmp.Compare(p.period, q.period), cmp.Compare(p.basis, q.basis))
}

func (b *builder) costGauge(d *prometheus.Desc, metric string, points map[point]spend.Money) {
	weights, counts := map[pair]int64{}, map[pair]int{}
	for p, money := range points {
		weights[p.pair] += int64(max(money, -money))
		counts[p.pair]++
	}
	kept := keep(weights, counts, b.options.MaxSeries)
	out := map[point]spend.Money{}
	for p, money := range points {
		if !kept[p.pair] {
			p.pair = pair{storage.Other, storage.Other}
			b.folded[metric]++
		}
		out[p] += money
	}
	for _, p := range sortedKeys(out, point.compare) {
		b.gauge(d, out[p].USD(), p.workspace, p.other, p.period, string(p.basis))
	}
}

// keep chooses the pairs of the greatest weight whose series fit under the limit.
func keep(weights map[pair]int64, series map[pair]int, limit int) map[pair]bool {
	order := sortedKeys(weights, func(p, q pair) int {
		return cmp.Or(cmp.Compare(weights[q], weights[p]), cmp.Compare(p.workspace, q.workspace), cmp.Compare(p.other, q.other))
	})
	kept, n := map[pair]bool{}, 0
	for _, p := range order {
		if n += series[p]; limit > 0 && n > limit {
			break
		}
		kept[p] = true
	}
	return kept
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(K, K) int) []K {
	ks := make([]K, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.SortFunc(ks, compare)
	return ks
}

// cacheHits adds the ratios of the last complete hour.
func (b *builder) cacheHits(ctx context.Context) error {
	end := spend.Hour.Floor(b.usageAt())
	if b.usageAt().IsZero() {
		return nil
	}
	result, err := b.store.Usage(ctx, storage.Query{
		Window: spend.Window{Start: end.Add(-time.Hour), End: end},
		By:     []spend.Dimension{spend.ByWorkspace, spend.ByModel},
		Where:  []storage.Match{{Dimension: spend.ByOrganization, Values: []string{b.id}}},
	})
	if err != nil {
		return fmt.Errorf("usage of the last hour: %w", err)
	}
	if result.Window.Duration() > time.Hour {
		return nil // only the day is known
	}
	b.cacheRatios(result.Rows)
	return nil
}

// cacheRatios adds the ratios of the usage of an hour.
func (b *builder) cacheRatios(rows []storage.UsageRow) {
	inputs, hits, one := map[pair]int64{}, map[pair]int64{}, map[pair]int{}
	for _, r := range rows {
		p := pair{b.workspaces.get(r.WorkspaceID), r.Model}
		inputs[p] += r.Counts.Tokens() - r.Counts[spend.Output]
		hits[p] += r.Counts[spend.CacheRead]
		one[p] = 1
	}
	kept := keep(inputs, one, b.options.MaxSeries)
	rest := pair{storage.Other, storage.Other}
	for p := range one {
		if !kept[p] {
			b.folded["anthropic_cache_hit_ratio"]++
			inputs[rest] += inputs[p]
			hits[rest] += hits[p]
			delete(inputs, p)
		}
	}
	for _, p := range sortedKeys(inputs, func(p, q pair) int {
		return cmp.Or(cmp.Compare(p.workspace, q.workspace), cmp.Compare(p.other, q.other))
	}) {
		if inputs[p] > 0 {
			b.gauge(cacheHitRatio, float64(hits[p])/float64(inputs[p]), p.workspace, p.other)
		}
	}
}
