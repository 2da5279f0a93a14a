package storage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// OrganizationTx is a reading transaction and the organization it is on. Those of one query must see
// the same state of the database.
type OrganizationTx struct {
	Organization string
	Tx           Tx
}

// facts are the slots that a query needs of an organization.
type facts struct {
	OrganizationTx
	usage, requests, cost []Slot
}

// SumUsage is [Store.Usage] on backends' transactions.
func SumUsage(ctx context.Context, organizations []OrganizationTx, q Query) (UsageResult, error) {
	w, fs, err := open(ctx, organizations, q, spend.FactUsage, spend.FactRequests)
	if err != nil {
		return UsageResult{}, err
	}
	g := merger{query: q, window: w, rows: map[rowKey]*total{}}
	for _, f := range fs {
		parts := UsageParts(w, f.usage, f.requests)
		if q.Step == spend.Minute {
			parts = []Part{{Table: UsageMinute, Figures: CountFigures, Window: w}}
		}
		if err := g.add(ctx, f.OrganizationTx, parts); err != nil {
			return UsageResult{}, err
		}
	}
	return UsageResult{Window: w, Rows: g.usage()}, nil
}

// SumCosts is [Store.Costs] on backends' transactions.
func SumCosts(ctx context.Context, organizations []OrganizationTx, q Query) (CostResult, error) {
	w, fs, err := open(ctx, organizations, q, spend.FactUsage, spend.FactCost)
	if err != nil {
		return CostResult{}, err
	}
	g := merger{query: q, window: w, rows: map[rowKey]*total{}}
	for _, f := range fs {
		parts := CostParts(w, f.usage, f.cost, q.Step, q.split())
		if q.Step == spend.Minute {
			parts = []Part{{Table: UsageMinute, Figures: EstimateFigures, Window: w, Basis: spend.Estimated}}
		}
		if err := g.add(ctx, f.OrganizationTx, parts); err != nil {
			return CostResult{}, err
		}
	}
	return CostResult{Window: w, Rows: g.costs()}, nil
}

// open checks the query, reads the slots it needs and widens its window.
func open(ctx context.Context, organizations []OrganizationTx, q Query, needed ...spend.Fact) (spend.Window, []facts, error) {
	if err := q.check(); err != nil {
		return spend.Window{}, nil, err
	}
	w := q.Window.Align(cmp.Or(q.Step, spend.Hour))
	if q.Window.Empty() {
		return w, nil, nil
	}
	if q.Step == spend.Minute {
		needed = nil // minutes count here whoever rules their hour
	}
	var fs []facts
	out := w
	for _, o := range organizations {
		if !q.allows(spend.ByOrganization, o.Organization) {
			continue
		}
		f := facts{OrganizationTx: o}
		for fact, slots := range map[spend.Fact]*[]Slot{spend.FactUsage: &f.usage, spend.FactRequests: &f.requests, spend.FactCost: &f.cost} {
			if !slices.Contains(needed, fact) {
				continue
			}
			var err error
			if *slots, err = o.Tx.Slots(ctx, fact, w.Align(spend.Day)); err != nil {
				return w, nil, err
			}
		}
		var err error
		if f.Tx, err = summedOf(ctx, o.Tx, w, q); err != nil {
			return w, nil, err
		}
		x := widen(w, f.usage, f.requests, f.cost)
		out = spend.Window{Start: minTime(out.Start, x.Start), End: maxTime(out.End, x.End)}
		fs = append(fs, f)
	}
	return out, fs, nil
}

func (q Query) check() error {
	if q.Step != 0 && q.Step != spend.Minute && q.Step != spend.Hour && q.Step != spend.Day {
		return fmt.Errorf("query by the %s: a step is a minute, an hour or a day", q.Step)
	}
	dims := slices.Clone(q.By)
	for _, m := range q.Where {
		dims = append(dims, m.Dimension)
	}
	for _, d := range dims {
		if d != spend.ByOrganization && !slices.Contains(spend.Dimensions, d) {
			return fmt.Errorf("query: %q is not a dimension", d)
		}
	}
	return nil
}

// allows reports whether the filters let a value of the dimension through.
func (q Query) allows(d spend.Dimension, value string) bool {
	for _, m := range q.Where {
		if m.Dimension == d && !slices.Contains(m.Values, value) {
			return false
		}
	}
	return true
}

// split reports whether the answer tells apart what a bill by the day does not.
func (q Query) split() bool {
	apart := func(d spend.Dimension) bool {
		return d == spend.ByAPIKey || d == spend.BySpeed || d == spend.ByProduct
	}
	return slices.ContainsFunc(q.By, apart) ||
		slices.ContainsFunc(q.Where, func(m Match) bool { return apart(m.Dimension) })
}

// inColumns reports whether a wide row holds the dimension's values in columns.
func inColumns(d spend.Dimension) bool { return d == spend.ByCostType || d == spend.ByTokenType }

// grouping is what the query asks of one part.
func (q Query) grouping(p Part) Grouping {
	g := Grouping{Step: q.Step, Most: q.Most}
	if g.Step != 0 {
		g.Step = max(g.Step, p.Table.Grain())
	}
	for _, d := range spend.Dimensions {
		if slices.Contains(q.By, d) && (!p.wide() || !inColumns(d)) {
			g.By = append(g.By, d)
		}
	}
	for _, m := range q.Where {
		if m.Dimension != spend.ByOrganization && (!p.wide() || !inColumns(m.Dimension)) {
			g.Where = append(g.Where, m)
		}
	}
	return g
}

// rowKey is what rows of an answer differ in.
type rowKey struct {
	organization string
	start, end   int64
	dims         spend.Dims
	basis        spend.Basis
}

// total is what is summed up in a row.
type total struct {
	counts     spend.Counts
	requests   int64
	cost, list spend.Money
	unpriced   int64
	uncertain  bool
}

// merger joins the sums of all parts into rows.
type merger struct {
	query  Query
	window spend.Window
	rows   map[rowKey]*total
}

func (m *merger) add(ctx context.Context, o OrganizationTx, parts []Part) error {
	byCost, byToken := slices.Contains(m.query.By, spend.ByCostType), slices.Contains(m.query.By, spend.ByTokenType)
	for _, p := range parts {
		g := m.query.grouping(p)
		sums, err := o.Tx.Sum(ctx, p, g)
		if err != nil {
			return err
		}
		if p.Figures == BillFigures {
			if sums, err = asBilled(ctx, o.Tx, p, g, sums); err != nil {
				return err
			}
		}
		if len(m.rows) == 0 {
			m.rows = make(map[rowKey]*total, len(sums))
		}
		for i := range sums {
			if !g.Fits(len(m.rows)) {
				return ErrTooMany
			}
			s := &sums[i]
			w := m.window
			if g.Step != 0 {
				w = g.Step.Bucket(s.Start)
			}
			key := rowKey{o.Organization, w.Start.Unix(), w.End.Unix(), s.Dims, p.Basis}
			if !p.wide() {
				t := m.row(key)
				t.requests += s.Requests
				t.cost += s.Amount
				t.list += s.List
				continue
			}
			for k := range spend.NumKinds {
				if !m.query.allows(spend.ByCostType, k.CostType()) || !m.query.allows(spend.ByTokenType, k.TokenType()) {
					continue
				}
				if byCost {
					key.dims.CostType = k.CostType()
				}
				if byToken {
					key.dims.TokenType = k.TokenType()
				}
				t := m.row(key)
				t.counts[k] += s.Counts[k]
				t.cost += s.Amounts[k]
				if p.Figures == EstimateFigures {
					t.list += s.Lists[k]
				} else {
					t.list += s.Amounts[k]
				}
				if k != spend.WebSearches {
					t.unpriced += s.Unpriced[k]
					t.uncertain = t.uncertain || s.Uncertain && s.Amounts[k] != 0
				}
			}
		}
	}
	return nil
}

// asBilled moves the shares of web searches to where the bill has them: it does not tell their
// model, nor the other untold dimensions.
func asBilled(ctx context.Context, tx Tx, p Part, g Grouping, sums []Sum) ([]Sum, error) {
	told := Grouping{Step: g.Step, Most: g.Most}
	allowed := true
	for _, d := range g.By {
		if !slices.Contains(untold, d) {
			told.By = append(told.By, d)
		}
	}
	for _, x := range g.Where {
		if !slices.Contains(untold, x.Dimension) {
			told.Where = append(told.Where, x)
		} else {
			allowed = allowed && slices.Contains(x.Values, "")
		}
	}
	if len(told.By) == len(g.By) && len(told.Where) == len(g.Where) {
		return sums, nil
	}
	for i := range sums {
		sums[i].Amounts[spend.WebSearches] = 0
	}
	if !allowed {
		return sums, nil
	}
	searches, err := tx.Sum(ctx, p, told)
	for _, s := range searches {
		s.Amounts = spend.Amounts{spend.WebSearches: s.Amounts[spend.WebSearches]}
		sums = append(sums, s)
	}
	return sums, err
}

func (m *merger) row(k rowKey) *total {
	t := m.rows[k]
	if t == nil {
		t = &total{}
		m.rows[k] = t
	}
	return t
}

// keys lists the rows that are not all zero, in order.
func (m *merger) keys() []rowKey {
	maps.DeleteFunc(m.rows, func(_ rowKey, t *total) bool { return *t == total{} })
	return slices.SortedFunc(maps.Keys(m.rows), func(a, b rowKey) int {
		if c := cmp.Or(strings.Compare(a.organization, b.organization), cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)); c != 0 {
			return c
		}
		for _, d := range spend.Dimensions {
			if c := strings.Compare(*a.dims.Field(d), *b.dims.Field(d)); c != 0 {
				return c
			}
		}
		return strings.Compare(string(a.basis), string(b.basis))
	})
}

func (m *merger) usage() []UsageRow {
	rows := []UsageRow{}
	for _, k := range m.keys() {
		t := m.rows[k]
		rows = append(rows, UsageRow{
			Organization: k.organization, Start: unix(k.start), End: unix(k.end), Dims: k.dims,
			Counts: t.counts, Requests: t.requests,
		})
	}
	return rows
}

func (m *merger) costs() []CostRow {
	rows := []CostRow{}
	for _, k := range m.keys() {
		t := m.rows[k]
		rows = append(rows, CostRow{
			Organization: k.organization, Start: unix(k.start), End: unix(k.end), Dims: k.dims, Basis: k.basis,
			Cost: t.cost, List: t.list, Unpriced: t.unpriced, Uncertain: t.uncertain,
		})
	}
	return rows
}

func unix(s int64) time.Time { return time.Unix(s, 0).UTC() }

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
