// Package pricing estimates what usage costs before a bill tells: tokens × price. The built-in
// table (prices.json) holds the published prices with their dates; the configuration can override
// and add to it.
//
// A price is found by the model's name and the time of the bucket. What there is no price for is
// never given that of something else: it stays unpriced, and says so. Modifiers are
//
//   - service tier: batch has a factor; priority is paid for by a commitment, flex has no public price
//   - inference_geo us: a factor where the model has one
//   - speed fast: other prices where the model has them, not together with batch; cache prices keep
//     their proportion to the price of input
//   - context_window 200k-1M: other prices where the model has them
//   - prompt tier: other prices for long prompts, which no report tells apart (see [Table.WithEffective])
//
// Where a report was not grouped by something that makes a difference to the price, the standard
// price is the estimate, and uncertain.
//
// All arithmetic is integer; each amount is rounded once, half to even.
package pricing

import (
	"maps"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Price is what tokens cost, in money per million.
type Price struct {
	Input        spend.Money
	CacheRead    spend.Money
	CacheWrite5m spend.Money
	CacheWrite1h spend.Money
	Output       spend.Money
}

// kinds is the price by kind; web searches have their own.
func (p Price) kinds() [spend.WebSearches]spend.Money {
	return [...]spend.Money{
		spend.UncachedInput:   p.Input,
		spend.CacheRead:       p.CacheRead,
		spend.CacheCreation5m: p.CacheWrite5m,
		spend.CacheCreation1h: p.CacheWrite1h,
		spend.Output:          p.Output,
	}
}

// Table is a table of prices. It never changes, and is safe for concurrent use.
type Table struct {
	layers      []layer // the first that knows model and time rules
	webSearches spend.Money
	effective   map[string]Price // by model, without date
	date        string
	content     []byte // what the version is a digest of
}

// layer is prices from one place: the configuration, or the built-in table.
type layer struct {
	names    map[string][]period
	prefixes []prefix // longest first
}

type prefix struct {
	text    string
	periods []period
}

// period is prices for a time. Nil prices are those that the model has not.
type period struct {
	from, until time.Time // zero: open
	standard    Price
	batch, us   Factor
	fast        *Price
	long        *Price
	promptTier  *Price
}

func (p *period) covers(t time.Time) bool {
	return (p.from.IsZero() || !t.Before(p.from)) && (p.until.IsZero() || t.Before(p.until))
}

// dated is the end of a model's name that says which release of it is meant.
var dated = regexp.MustCompile(`-\d{8}$`)

func undated(model string) string {
	if i := dated.FindStringIndex(model); i != nil {
		return model[:i[0]]
	}
	return model
}

// find is the model's prices at the time, nil where there are none.
func (t *Table) find(model string, at time.Time) *period {
	if model == "" {
		return nil
	}
	for _, l := range t.layers {
		lists := [][]period{l.names[model], l.names[undated(model)]}
		for _, p := range l.prefixes {
			if strings.HasPrefix(model, p.text) {
				lists = append(lists, p.periods)
			}
		}
		for _, ps := range lists {
			for i := range ps {
				if ps[i].covers(at) {
					return &ps[i]
				}
			}
		}
	}
	return nil
}

// ModelPrice is the model's standard price at the time; false where none is known.
func (t *Table) ModelPrice(model string, at time.Time) (Price, bool) {
	p := t.find(model, at)
	if p == nil {
		return Price{}, false
	}
	return p.standard, true
}

// WithEffective is the table with what bills say that a model with a prompt tier costs on
// average, at standard tier and geo. It stands in for the tier's price, which is the upper one.
// Other models' estimates are not affected.
func (t *Table) WithEffective(model string, p Price) *Table {
	changed := *t
	changed.effective = maps.Clone(t.effective)
	if changed.effective == nil {
		changed.effective = map[string]Price{}
	}
	changed.effective[undated(model)] = p
	return &changed
}

// Estimate sets u.Estimate and u.Price by the prices at u.Bucket. Web searches have one price
// whatever the model and tier, so they are priced also where Price says that the tokens are not.
func (t *Table) Estimate(u *spend.Usage) {
	u.Estimate = spend.Amounts{}
	price, factor, state := t.resolve(u)
	if state == spend.Priced || state == spend.Uncertain {
		for k, perMillion := range price.kinds() {
			m, ok := spend.Money(0), perMillion >= 0 && perMillion <= maxPrice
			if ok {
				m, ok = amount(u.Counts[k], uint64(perMillion)*uint64(factor), 1_000_000*uint64(one*one))
			}
			if !ok { // beyond what money can hold
				u.Estimate, state = spend.Amounts{}, spend.Unpriced
				break
			}
			u.Estimate[k] = m
		}
	}
	searches, ok := amount(u.Counts[spend.WebSearches], uint64(t.webSearches), 1000)
	if !ok {
		state = spend.Unpriced
	}
	u.Estimate[spend.WebSearches], u.Price = searches, state
}

// resolve is the price of the row's tokens, a factor in 1/(one × one), and how far to trust them.
func (t *Table) resolve(u *spend.Usage) (Price, Factor, spend.PriceState) {
	if u.ServiceTier == "priority" || u.ServiceTier == "priority_on_demand" {
		return Price{}, 0, spend.Committed
	}
	p := t.find(u.Model, u.Bucket)
	if p == nil {
		return Price{}, 0, spend.Unpriced
	}
	known, state := true, spend.Priced
	// is reports whether a dimension has its special value. Other values than that and the usual
	// ones are unknown to us; a missing one matters where the special one makes a difference.
	is := func(value, special string, differs bool, usual ...string) bool {
		if value == "" && differs {
			state = spend.Uncertain
		}
		if value != "" && value != special && !slices.Contains(usual, value) {
			known = false
		}
		return value == special
	}
	batch := is(u.ServiceTier, "batch", p.batch != one, "standard")
	us := is(u.InferenceGeo, "us", p.us != one, "global", "not_available")
	fast := is(u.Speed, "fast", p.fast != nil, "standard")
	long := is(u.ContextWindow, "200k-1M", p.long != nil, "0-200k")
	if !known || fast && (p.fast == nil || batch) {
		return Price{}, 0, spend.Unpriced
	}

	price, factor := p.standard, [2]Factor{one, one}
	switch {
	case fast:
		price = *p.fast
	case long && p.long != nil:
		price = *p.long
	case p.promptTier != nil:
		price, state = *p.promptTier, spend.Uncertain
		if e, ok := t.effective[undated(u.Model)]; ok {
			price = e
		}
	}
	if batch {
		factor[0] = p.batch
	}
	if us {
		factor[1] = p.us
	}
	return price, factor[0] * factor[1], state
}

// amount is count × price / per, rounded half to even; false where that is no amount.
func amount(count int64, price, per uint64) (spend.Money, bool) {
	hi, lo := bits.Mul64(uint64(count), price)
	if count < 0 || hi >= per {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, per)
	if r > per/2 || r == per/2 && q%2 == 1 {
		q++
	}
	return spend.Money(q), q <= math.MaxInt64/uint64(spend.NumKinds) // so that the kinds can be summed
}
