package sim

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Money is counted in billionths of a cent at list price: every price times batch, region and a count
// is a whole number of those, so sums are exact. A discount in thousandths adds three decimals, which
// cents writes out in full.

// model is one line of the organization's price list: thousandths of a dollar for a million tokens, in
// the order of the metrics.
type model struct {
	id, name string
	price    [searches]int64
	fast     [searches]int64 // zero: no fast mode
	above    [searches]int64 // zero: no price step
	oldRead  int64           // price of cache reads before readCut, where it was another
	geo      bool            // reports a region, and asks a tenth more for "us"
}

var readCut = time.Date(2026, 10, 7, 0, 0, 0, 0, time.UTC)

// models are those the organization uses. The last has no public price.
var models = []model{
	{id: "claude-opus-5-5", name: "Claude Opus 5.5", geo: true,
		price: [5]int64{4000, 200, 5000, 8000, 20000}, fast: [5]int64{8000, 400, 10000, 16000, 40000}},
	{id: "claude-sonnet-5-5", name: "Claude Sonnet 5.5", geo: true, oldRead: 200,
		price: [5]int64{2000, 100, 2500, 4000, 10000}},
	{id: "claude-haiku-5-5", name: "Claude Haiku 5.5", geo: true,
		price: [5]int64{100, 10, 125, 200, 500}, above: [5]int64{500, 50, 625, 1000, 2500}},
	{id: "claude-fable-5-2", name: "Claude Fable 5.2", geo: true,
		price: [5]int64{8000, 200, 10000, 16000, 40000}},
	{id: "claude-sonnet-4-6", name: "Claude Sonnet 4.6", geo: true,
		price: [5]int64{3000, 300, 3750, 6000, 15000}},
	{id: "claude-haiku-4-5-20251001", name: "Claude Haiku 4.5",
		price: [5]int64{1000, 100, 1250, 2000, 5000}},
	{id: "claude-opus-4-8", name: "Claude Opus 4.8", geo: true,
		price: [5]int64{5000, 500, 6250, 10000, 25000}, fast: [5]int64{10000, 1000, 12500, 20000, 50000}},
	{id: "claude-meadow-1-preview", name: "Claude Meadow 1 Preview", geo: true,
		price: [5]int64{7000, 700, 8750, 14000, 35000}},
}

func modelOf(id string) model {
	for _, m := range models {
		if m.id == id {
			return m
		}
	}
	panic("sim: no model " + id)
}

const (
	billionthsPerSearch  = 1_000_000_000 // 1 cent: $10 for a thousand
	billionthsOfCode     = 250_000_000   // three minutes at $0.05 an hour
	billionthsOfSession  = 400_000_000   // three minutes at $0.08 an hour
	priorityIsCommitment = "priority"    // prefix of the tiers that are under contract, not on the bill
)

// parts of a bill: one per token type, then the others.
const (
	webSearch = searches
	codeTime  = iota + searches
	sessionTime
	parts
)

type bill struct {
	list     [parts]int64 // billionths of a cent before discount
	requests int64
}

func (b *bill) total() (sum int64) {
	for _, n := range b.list {
		sum += n
	}
	return sum
}

func (b *bill) add(c bill) {
	for i, n := range c.list {
		b.list[i] += n
	}
	b.requests += c.requests
}

// bill is what the use of [from, to) costs; see between.
func (s *stream) bill(from, to int64, v view) (b bill) {
	if strings.HasPrefix(s.tier, priorityIsCommitment) {
		return b
	}
	s.between(from, to, v, func(hour int64, c counts) {
		price := s.unitPrice(hour)
		for i, n := range c[:units] {
			b.list[i] += n * price[i]
		}
		if s.kind == codeStream {
			b.list[codeTime] += c[units] * price[codeTime]
		} else {
			b.list[sessionTime] += c[units] * price[sessionTime]
		}
		b.requests += c[requests]
	})
	return b
}

// unitPrice is what one of each costs in an hour, in billionths of a cent. A thousandth of a dollar for
// a million tokens is a hundred of those for a token.
func (s *stream) unitPrice(hour int64) (p [parts]int64) {
	if s.kind != tokenStream {
		p[codeTime], p[sessionTime] = billionthsOfCode, billionthsOfSession
		return p
	}
	m := modelOf(s.model)
	price := m.price
	if m.oldRead != 0 && hour < hourOf(readCut) {
		price[cacheRead] = m.oldRead
	}
	if s.long {
		price = m.above
	}
	if s.speed == "fast" {
		price = m.fast
	}
	factor := int64(100)
	if s.tier != "standard" { // batch and flex
		factor = 50
	}
	if s.geo == "us" {
		factor = factor * 11 / 10
	}
	for i, n := range price {
		p[i] = n * factor
	}
	p[webSearch] = billionthsPerSearch
	return p
}

// cents writes an amount after a discount, in cents, with all its digits.
func cents(list int64, discountPermille int) string {
	hi, lo := bits.Mul64(uint64(list), uint64(1000-discountPermille))
	whole, rest := bits.Div64(hi, lo, 1e12)
	text := strconv.FormatUint(whole, 10)
	if rest != 0 {
		text += "." + strings.TrimRight(fmt.Sprintf("%012d", rest), "0")
	}
	return text
}

// nano reads an amount in cents as billionths of a dollar, half to even.
func nano(text string) int64 {
	whole, fraction, _ := strings.Cut(text, ".")
	fraction += "0000000"
	kept, rest := fraction[:7], strings.TrimRight(fraction[7:], "0")
	n, err := strconv.ParseInt(whole+kept, 10, 64)
	if err != nil {
		panic("sim: amount " + text)
	}
	if rest > "5" || rest == "5" && n%2 == 1 {
		n++
	}
	return n
}
