package sim

import "time"

// UsageCell is what an hour came to for one combination of all dimensions, by real id; an empty key is
// use without one.
type UsageCell struct {
	Hour                                                                                      time.Time
	WorkspaceID, APIKeyID, Model, ServiceTier, ContextWindow, InferenceGeo, Speed, Product    string
	UncachedInput, CacheRead, CacheCreation5m, CacheCreation1h, Output, WebSearches, Requests int64
}

// CostCell is one row of a bill, by real id, with its amounts exactly as served: decimal cents.
// AmountCents is after the discount, except in cost_report with Options.CostBeforeDiscount.
type CostCell struct {
	Start, End                                                   time.Time
	WorkspaceID, APIKeyID, Model, ServiceTier, Product, CostType string
	TokenType, ContextWindow, InferenceGeo                       string
	AmountCents, ListCents                                       string
	Description                                                  string // of cost_report
	Currency                                                     string
}

// snapshot is the streams and a view that hides nothing that has happened.
func (o *Org) snapshot() ([]stream, view) {
	now := o.opts.Now().UTC()
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.streams, view{asOf: now, known: now}
}

// TrueUsage is what the reports finally say of the hours that begin in [from, to), which are rounded
// down to the hour: everything used by now, with the revisions made by now and nothing late. An hour
// without use has no cell.
func (o *Org) TrueUsage(from, to time.Time) []UsageCell {
	streams, v := o.snapshot()
	sel := sortOut(streams, func(s *stream) bool { return s.kind == tokenStream }, func(s *stream) string {
		return keyOf([]dimension{legacyDimensions["workspace_id"], legacyDimensions["api_key_id"],
			legacyDimensions["model"], legacyDimensions["service_tier"], legacyDimensions["context_window"],
			legacyDimensions["inference_geo"], legacyDimensions["speed"], analyticsDimensions["product"]})(s)
	})
	var cells []UsageCell
	sums := make([]counts, len(sel.heads))
	for hour := hourOf(from); hour < hourOf(to); hour++ {
		clear(sums)
		for i, s := range sel.streams {
			sums[sel.group[i]].add(s.total(hour*3600, (hour+1)*3600, v))
		}
		for i, n := range sums {
			if n[requests] == 0 {
				continue
			}
			s := sel.heads[i]
			cells = append(cells, UsageCell{timeOf(hour), s.workspace, s.key, s.model, s.tier, s.context, s.geo, s.speed,
				s.product, n[uncached], n[cacheRead], n[write5m], n[write1h], n[output], n[searches], n[requests]})
		}
	}
	return cells
}

// TrueBill is what cost_report, grouped by workspace and description, finally says of the UTC days that
// begin in [from, to), which are rounded down to the day: a cell for each row it serves.
func (o *Org) TrueBill(from, to time.Time) []CostCell {
	streams, v := o.snapshot()
	b := o.newBilling(streams, true, true)
	discount := o.costReportDiscount()
	var cells []CostCell
	for day := from.Unix() / 86400; day < to.Unix()/86400; day++ {
		for i, sum := range b.sums(day*86400, (day+1)*86400, v) {
			if sum == 0 {
				continue
			}
			k := b.keys[i]
			cells = append(cells, CostCell{Start: timeOf(day * 24), End: timeOf(day*24 + 24), WorkspaceID: k.workspace,
				Model: k.model, ServiceTier: k.tier, CostType: k.costType, TokenType: k.tokenType,
				ContextWindow: k.context, InferenceGeo: k.geo, Description: k.description, Currency: k.currency,
				AmountCents: cents(sum, discount), ListCents: cents(sum, 0)})
		}
	}
	return cells
}

// TrueHourBill is what analytics/cost, by the hour and grouped by workspace, key, model, tier and
// product with cost type and token type, finally says of the hours that begin in [from, to), which are
// rounded down to the hour: a cell for each row it serves. Revisions are those of the newest export.
func (o *Org) TrueHourBill(from, to time.Time) []CostCell {
	streams, v := o.snapshot()
	_, exported := o.refreshed(v.asOf)
	v.known = exported.known
	sel := sortOut(streams, func(*stream) bool { return true }, keyOf([]dimension{
		analyticsDimensions["workspace_id"], analyticsDimensions["api_key_id"], analyticsDimensions["model"],
		analyticsDimensions["service_tier"], analyticsDimensions["product"]}))
	var cells []CostCell
	sums := make([]bill, len(sel.heads))
	for hour := hourOf(from); hour < hourOf(to); hour++ {
		clear(sums)
		for i, s := range sel.streams {
			sums[sel.group[i]].add(s.bill(hour*3600, (hour+1)*3600, v))
		}
		for i, sum := range sums {
			for part, list := range sum.list {
				if list == 0 {
					continue
				}
				s := sel.heads[i]
				cells = append(cells, CostCell{Start: timeOf(hour), End: timeOf(hour + 1), WorkspaceID: s.workspace,
					APIKeyID: s.key, Model: s.model, ServiceTier: s.tier, Product: s.product,
					CostType: o.costType(part), TokenType: tokenTypes[part], Currency: o.currency(part),
					AmountCents: cents(list, o.opts.DiscountPermille), ListCents: cents(list, 0)})
			}
		}
	}
	return cells
}

// SumNanoUSD adds up the amounts in billionths of a dollar, each row rounded half to even.
func SumNanoUSD(cells []CostCell) (sum int64) {
	for _, c := range cells {
		sum += nano(c.AmountCents)
	}
	return sum
}
