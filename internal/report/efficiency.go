package report

import (
	"context"
	"fmt"
	"math/bits"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Efficiency says how well money is spent: what caching and batches saved, what output costs, and
// what the same use would cost on another model. Cost is that of other answers, on its basis; what was
// saved is estimated at list prices of the day, whatever the bill says.
type Efficiency struct {
	Params
	WhatIf string // model; empty for none
	Prices string // version of the price table
	AsOf   time.Time
	Window spend.Window
	Rows   []EfficiencyRow
	Total  Savings
	// MissingHours and Nothing are those of [Answer].
	MissingHours int64
	Nothing      []Nothing
}

// EfficiencyRow is one line. Row holds the names; its figures are cost and counts of tokens.
type EfficiencyRow struct {
	Row
	Savings
}

// Savings are the numbers of a row. Money is at list prices but for Figures.Cost and List.
type Savings struct {
	Used        Figures     // cost on its basis, and counts
	CacheSaved  spend.Money // input at its price, less what cache reads and writes cost; negative where caching costs more
	BatchTokens int64
	BatchSaved  spend.Money
	NoPrice     int64 // tokens without a list price here (unknown model, flex or priority tier): they are in no saving
	Uncertain   bool  // a price could not be told for sure
	Other       WhatIf
}

// WhatIf compares the cost of tokens with that of the same tokens on another model, both at list prices.
type WhatIf struct {
	Here    spend.Money // of the tokens that have a price on both
	There   spend.Money
	NoPrice int64 // tokens without a price on one of them, which are in neither
}

func (s *Savings) add(o Savings) {
	s.Used.Add(o.Used)
	s.CacheSaved += o.CacheSaved
	s.BatchTokens += o.BatchTokens
	s.BatchSaved += o.BatchSaved
	s.NoPrice += o.NoPrice
	s.Uncertain = s.Uncertain || o.Uncertain
	s.Other.Here += o.Other.Here
	s.Other.There += o.Other.There
	s.Other.NoPrice += o.Other.NoPrice
}

// ParseEfficiency reads a question like [Parse], with the dimensions of usage and, besides, what_if: a model
// that prices are known for. Its error about that names models that are called nearly so.
func ParseEfficiency(values url.Values, now time.Time, prices *pricing.Table) (Params, string, error) {
	values = cloneValues(values)
	models := values["what_if"]
	delete(values, "what_if")
	p, err := Parse(Usage, values, now)
	if err != nil {
		return p, "", fmt.Errorf("%s", strings.Replace(err.Error(), "step, by, and", "step, by, what_if, and", 1))
	}
	switch {
	case len(models) > 1:
		return p, "", fmt.Errorf("parameter what_if is given %d times", len(models))
	case len(models) == 1 && !prices.Knows(models[0]):
		return p, "", fmt.Errorf("what_if: no price is known for a model called %q; there is: %s",
			models[0], strings.Join(prices.Near(models[0]), ", "))
	case len(models) == 1:
		return p, models[0], nil
	}
	return p, "", nil
}

func cloneValues(values url.Values) url.Values {
	c := url.Values{}
	for name, vs := range values {
		c[name] = vs
	}
	return c
}

// pricedBy are the dimensions that prices differ by.
var pricedBy = []spend.Dimension{spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo, spend.BySpeed}

// RunEfficiency answers how well money is spent. A what-if model may be empty. Errors come from the store only.
func RunEfficiency(ctx context.Context, store storage.Store, prices *pricing.Table, p Params, whatIf string) (Efficiency, error) {
	e := Efficiency{Params: p, WhatIf: whatIf, Prices: prices.Version()}
	asked := p
	asked.Kind = Costs
	costs, err := Run(ctx, store, asked)
	if err != nil {
		return e, err
	}
	asked.Kind = Usage
	names, err := loadNames(ctx, store, asked)
	if err != nil {
		return e, err
	}
	e.Window, e.AsOf, e.MissingHours, e.Nothing = costs.Window, costs.AsOf, costs.MissingHours, costs.Nothing
	at := map[efficiencyKey]int{}
	row := func(r Row) *Savings {
		k := efficiencyKey{r.group(), r.Start.Unix(), r.End.Unix()}
		i, ok := at[k]
		if !ok {
			i = len(e.Rows)
			at[k] = i
			r.Figures = Figures{}
			e.Rows = append(e.Rows, EfficiencyRow{Row: r})
		}
		return &e.Rows[i].Savings
	}
	for _, r := range costs.Rows {
		row(r).Used.Add(r.Figures)
	}
	used, err := pricedUsage(ctx, store, names, asked, e.Window)
	if err != nil {
		return e, err
	}
	used = slices.DeleteFunc(used, func(r Row) bool { return r.Counts.IsZero() }) // requests only
	sources := sourcesOf(used)
	for _, u := range used {
		r := u
		for _, d := range spend.Dimensions {
			if !slices.Contains(p.By, d) {
				*r.Field(d) = ""
			}
		}
		if p.Step == StepTotal {
			r.Start, r.End = e.Window.Start, e.Window.End
		}
		p.Step.fold(&r, e.Window)
		names.label(&r, p.By)
		s := savings(prices, spend.Usage{Bucket: u.Start, Dims: u.Dims, Counts: u.Counts}, whatIf)
		row(r).add(s)
	}
	usageAt, err := asOf(ctx, store, sources)
	if err != nil {
		return e, err
	}
	if !usageAt.IsZero() && usageAt.Before(e.AsOf) {
		e.AsOf = usageAt
	}
	slices.SortFunc(e.Rows, func(x, y EfficiencyRow) int { return x.compare(y.Row, p.By) })
	for i := range e.Rows {
		e.Rows[i].Figures = e.Rows[i].Used
		e.Total.add(e.Rows[i].Savings)
	}
	return e, nil
}

type efficiencyKey struct {
	group
	start, end int64
}

// pricedUsage reads usage with all that prices differ by: by the day, and by the hour at edges that cut
// a day and where hours are asked for.
func pricedUsage(ctx context.Context, store storage.Store, names *names, p Params, w spend.Window) ([]Row, error) {
	if len(names.organizations) == 0 {
		return nil, nil
	}
	where, nothing, err := resolve(ctx, store, names, p)
	if err != nil || len(nothing) > 0 {
		return nil, err
	}
	maps, err := names.teamMaps(ctx, store, p)
	if err != nil {
		return nil, err
	}
	q := storage.Query{By: p.stored(), Where: where, Most: p.Most}
	for _, d := range pricedBy {
		if !slices.Contains(q.By, d) {
			q.By = append(q.By, d)
		}
	}
	var all []Row
	for _, part := range edges(w, p.Step) {
		q.Window, q.Step = part.Window, part.step
		rs, _, err := rows(ctx, store, Usage, q, maps)
		if err != nil {
			return nil, err
		}
		all = append(all, rs...)
	}
	return p.ofTeams(all), nil
}

type edge struct {
	spend.Window
	step spend.Grain
}

// edges cuts a window into its whole days and what is left of it at its ends.
func edges(w spend.Window, step Step) []edge {
	if step == StepHour {
		return []edge{{w, spend.Hour}}
	}
	days := spend.Window{Start: spend.Day.Ceil(w.Start), End: spend.Day.Floor(w.End)}
	if days.Empty() {
		if spend.Day.Floor(w.Start).Equal(days.End) {
			return []edge{{w, spend.Hour}} // within one day
		}
		days.End = days.Start
	}
	var es []edge
	for _, e := range []edge{{spend.Window{Start: w.Start, End: days.Start}, spend.Hour}, {days, spend.Day}, {spend.Window{Start: days.End, End: w.End}, spend.Hour}} {
		if !e.Empty() {
			es = append(es, e)
		}
	}
	return es
}

// savings says what the tokens of a row saved.
func savings(prices *pricing.Table, u spend.Usage, whatIf string) Savings {
	s := Savings{Used: Figures{Counts: u.Counts}}
	u.Counts[spend.WebSearches] = 0 // of one price everywhere
	tokens := u.Counts.Tokens()
	if tokens == 0 {
		return s
	}
	if u.ServiceTier == "batch" {
		s.BatchTokens = tokens
	}
	cost := func(u spend.Usage) (spend.Money, bool) {
		prices.Estimate(&u)
		s.Uncertain = s.Uncertain || u.Price == spend.Uncertain
		return u.Estimate.Sum(), u.Price == spend.Priced || u.Price == spend.Uncertain
	}
	here, ok := cost(u)
	if !ok {
		s.NoPrice, s.Other.NoPrice = tokens, tokens
		return s
	}
	uncached := u
	uncached.Counts = spend.Counts{spend.UncachedInput: tokens - u.Counts[spend.Output], spend.Output: u.Counts[spend.Output]}
	if m, ok := cost(uncached); ok {
		s.CacheSaved = m - here
	}
	if u.ServiceTier == "batch" {
		standard := u
		standard.ServiceTier = "standard"
		if m, ok := cost(standard); ok {
			s.BatchSaved = m - here
		}
	}
	if whatIf != "" {
		other := u
		other.Model = whatIf
		if m, ok := cost(other); ok {
			s.Other.Here, s.Other.There = here, m
		} else {
			s.Other.NoPrice = tokens
		}
	}
	return s
}

// CacheHitRatio is input read from the cache over all input; false where there was none.
func (s Savings) CacheHitRatio() (float64, bool) {
	c := s.Used.Counts
	return ratio(c[spend.CacheRead], c.Tokens()-c[spend.Output])
}

// BatchRatio is tokens of the batch tier over all; false where there were none.
func (s Savings) BatchRatio() (float64, bool) { return ratio(s.BatchTokens, s.Used.Counts.Tokens()) }

func ratio(n, whole int64) (float64, bool) {
	if whole == 0 {
		return 0, false
	}
	return float64(n) / float64(whole), true
}

// PerMillionOutput is the cost per million output tokens, rounded half to even; false where there was no
// output, or no cost that is known.
func (s Savings) PerMillionOutput() (spend.Money, bool) {
	out, cost, sign := s.Used.Counts[spend.Output], s.Used.Cost, spend.Money(1)
	if cost < 0 {
		cost, sign = -cost, -1
	}
	hi, lo := bits.Mul64(uint64(cost), 1_000_000)
	if unknown := s.Used.Basis == "" || cost == 0 && s.Used.Unpriced > 0; unknown || out <= 0 || hi >= uint64(out) {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, uint64(out))
	if half := uint64(out) - r; r > half || r == half && q%2 == 1 {
		q++
	}
	if q > uint64(1)<<63-1 {
		return 0, false
	}
	return sign * spend.Money(q), true
}
