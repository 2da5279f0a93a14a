package pricing

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Stepped reports whether the model has a price step at the time that no report tells apart.
func (t *Table) Stepped(model string, at time.Time) bool {
	p := t.find(model, at)
	return p != nil && p.promptTier != nil
}

// Effective is what a stepped model costs on average, for [Table.WithEffective]: what its usage was
// billed at list price, over its tokens, after the modifiers of tier and geo. Each kind's price lies
// between those below and above the step; a kind that was not used has the upper one. It reports false
// where the usage has no stepped price or nothing was billed.
func (t *Table) Effective(usage []spend.Usage, billed spend.Amounts) (Price, bool) {
	var weights [spend.WebSearches]uint64
	var step *period
	for i := range usage {
		u := &usage[i]
		p := t.find(u.Model, u.Bucket)
		if p == nil || p.promptTier == nil {
			continue
		}
		_, factor, state := t.resolve(u)
		if state != spend.Uncertain {
			continue
		}
		step = p
		for k := range weights {
			weights[k] += uint64(max(u.Counts[k], 0)) * uint64(factor)
		}
	}
	if step == nil {
		return Price{}, false
	}
	lower, upper := step.standard.kinds(), step.promptTier.kinds()
	prices, some := upper, false
	for k, w := range weights {
		if w == 0 || billed[k] <= 0 {
			continue
		}
		if m, ok := amount(int64(billed[k]), 1_000_000*uint64(one*one), w); ok {
			prices[k] = min(max(m, min(lower[k], upper[k])), max(lower[k], upper[k]))
			some = true
		}
	}
	return PriceOf(prices), some
}

// Kinds is the price by kind.
func (p Price) Kinds() [spend.WebSearches]spend.Money { return p.kinds() }

// PriceOf is the price whose [Price.Kinds] these are.
func PriceOf(k [spend.WebSearches]spend.Money) Price {
	return Price{
		Input: k[spend.UncachedInput], CacheRead: k[spend.CacheRead], CacheWrite5m: k[spend.CacheCreation5m],
		CacheWrite1h: k[spend.CacheCreation1h], Output: k[spend.Output],
	}
}
