package report

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// row is the fields of the numbers. Ratios and what is per something are null where they say nothing.
func (e Efficiency) numbers(s Savings) object {
	rounded := func(x float64, ok bool) any {
		if !ok {
			return nil
		}
		return math.Round(x*1e6) / 1e6
	}
	perMillion := any(nil)
	if m, ok := s.PerMillionOutput(); ok {
		perMillion = m
	}
	o := object{
		{name: "cost_usd", value: s.Used.Cost},
		{name: "basis", value: string(s.Used.Basis), optional: true},
	}
	for k := range spend.WebSearches {
		o = append(o, field{name: countName(k), value: s.Used.Counts[k]})
	}
	o = append(o,
		field{name: "cost_per_million_output_usd", value: perMillion},
		field{name: "cache_hit_ratio", value: rounded(s.CacheHitRatio())},
		field{name: "cache_saved_usd", value: s.CacheSaved},
		field{name: "batch_ratio", value: rounded(s.BatchRatio())},
		field{name: "batch_saved_usd", value: s.BatchSaved},
		field{name: "saved_basis", value: string(spend.Estimated)},
		field{name: "unpriced_tokens", value: s.NoPrice, optional: true},
		field{name: "uncertain", value: s.Uncertain, optional: true},
	)
	if e.WhatIf != "" {
		o = append(o,
			field{name: "list_usd", value: s.Other.Here},
			field{name: "what_if_usd", value: s.Other.There},
			field{name: "what_if_change_usd", value: s.Other.There - s.Other.Here},
			field{name: "what_if_unpriced_tokens", value: s.Other.NoPrice, optional: true},
		)
	}
	return o
}

func (e Efficiency) row(r EfficiencyRow) object {
	return append(e.labels(r.Row), e.numbers(r.Savings)...)
}

// MarshalJSON writes the answer like [Answer.MarshalJSON]. saved_basis says on which basis the savings
// and the what-if are, prices with which price table.
func (e Efficiency) MarshalJSON() ([]byte, error) {
	out := struct {
		AsOf   *string  `json:"as_of"`
		From   string   `json:"from"`
		To     string   `json:"to"`
		Prices string   `json:"prices"`
		WhatIf string   `json:"what_if,omitempty"`
		Data   []object `json:"data"`
		Total  object   `json:"total"`

		MissingHours int64 `json:"missing_hours,omitempty"`
	}{
		From: e.Window.Start.UTC().Format(time.RFC3339), To: e.Window.End.UTC().Format(time.RFC3339),
		Prices: e.Prices, WhatIf: e.WhatIf, Data: make([]object, len(e.Rows)), Total: e.numbers(e.Total),
		MissingHours: e.MissingHours,
	}
	if !e.AsOf.IsZero() {
		s := e.AsOf.UTC().Format(time.RFC3339)
		out.AsOf = &s
	}
	for i, r := range e.Rows {
		out.Data[i] = e.row(r)
	}
	return json.Marshal(out)
}

// WriteJSON writes the answer as JSON, indented for reading, with a line end.
func (e Efficiency) WriteJSON(w io.Writer) error { return writeJSON(w, e) }

// WriteCSV writes the rows, without the total, under the names that JSON has them by.
func (e Efficiency) WriteCSV(w io.Writer) error {
	rows := make([]object, len(e.Rows))
	for i, r := range e.Rows {
		rows[i] = e.row(r)
	}
	return writeCSV(w, e.row(EfficiencyRow{}), rows)
}

// WriteTable writes the answer as a table that is at most width cells wide; 0 is any width.
func (e Efficiency) WriteTable(w io.Writer, width int) error { return e.table().write(w, width) }

// WriteMarkdown writes the answer as a Markdown table.
func (e Efficiency) WriteMarkdown(w io.Writer) error { return e.table().writeMarkdown(w) }

func (e Efficiency) table() table {
	rows := e.Rows
	if len(rows) == 1 && len(e.By) == 0 && e.Step == StepTotal {
		rows = nil
	}
	plain := make([]Row, len(rows))
	for i, r := range rows {
		plain[i] = r.Row
	}
	t := table{
		heading: "Efficiency " + span(e.Window, e.AsOf), rows: len(rows), columns: e.names(plain), notes: e.notes(),
	}
	number := func(title, narrow string, drop int, show func(Savings) string) {
		t.columns = append(t.columns, column{
			title: title, narrow: narrow, number: true, drop: drop,
			cell:  func(n int) string { return show(rows[n].Savings) },
			total: func() string { return show(e.Total) },
		})
	}
	part := func(x float64, ok bool) string {
		if !ok {
			return "-"
		}
		return percent(int64(math.Round(x*1e6)), 1e6)
	}
	number("cost $", "", 0, func(s Savings) string { return s.Used.USD() })
	number("$ per M output", "$/M out", 3, func(s Savings) string {
		m, ok := s.PerMillionOutput()
		if !ok {
			return "-"
		}
		return USD(m)
	})
	number("cache hits", "hits", 2, func(s Savings) string { return part(s.CacheHitRatio()) })
	number("cache saved $", "saved $", 1, func(s Savings) string { return USD(s.CacheSaved) })
	number("batch", "", 5, func(s Savings) string { return part(s.BatchRatio()) })
	number("batch saved $", "batch $", 4, func(s Savings) string { return USD(s.BatchSaved) })
	if e.WhatIf != "" {
		number("list $", "", 6, func(s Savings) string { return USD(s.Other.Here) })
		number("what if $", "", 0, func(s Savings) string { return USD(s.Other.There) })
		number("change $", "", 7, func(s Savings) string { return signed(Costs, int64(s.Other.There-s.Other.Here)) })
	}
	t.columns = append(t.columns, column{
		title: "basis", whole: true, drop: 8, slight: true,
		cell:  func(n int) string { return string(rows[n].Used.Basis) },
		total: func() string { return string(e.Total.Used.Basis) },
	})
	return t
}

// notes say what a reader must know about the figures.
func (e Efficiency) notes() []string {
	a := Answer{Params: e.Params, Total: e.Total.Used, MissingHours: e.MissingHours, Nothing: e.Nothing}
	a.Kind, a.Total.Uncertain = Costs, e.Total.Uncertain
	ns := append(a.Notes(), "Saved: an estimate at list prices ("+e.Prices+"), against the same tokens without the cache, or not in a batch.")
	if e.WhatIf != "" {
		ns = append(ns, "What if: an estimate at list prices of the same tokens on "+e.WhatIf+", to compare with list $, not with the bill.")
	}
	if e.Total.NoPrice > 0 {
		ns = append(ns, Count(e.Total.NoPrice)+" tokens have no list price here (unknown model, flex or priority tier) and are in no estimate.")
	}
	if n := e.Total.Other.NoPrice - e.Total.NoPrice; e.WhatIf != "" && n > 0 {
		ns = append(ns, Count(n)+" more tokens have no price on "+e.WhatIf+" as they were used and are in neither side of what if.")
	}
	return ns
}

// Limit keeps the n groups that cost most and joins the others like [Answer.Limit].
func (e *Efficiency) Limit(n int) {
	a := Answer{Params: e.Params, Rows: make([]Row, len(e.Rows))}
	a.Kind = Costs
	for i, r := range e.Rows {
		a.Rows[i] = r.Row
	}
	kept := largest(n, a)
	if kept == nil {
		return
	}
	sums := map[efficiencyKey]*Savings{}
	for _, r := range e.Rows {
		k := efficiencyKey{r.group(), r.Start.Unix(), r.End.Unix()}
		if !kept[k.group] {
			k.group = group{organization: r.OrganizationID, folded: true}
		}
		if sums[k] == nil {
			sums[k] = &Savings{}
		}
		sums[k].add(r.Savings)
	}
	a.keep(kept, others(kept, a))
	e.Rows = e.Rows[:0]
	for _, r := range a.Rows {
		k := efficiencyKey{r.group(), r.Start.Unix(), r.End.Unix()}
		e.Rows = append(e.Rows, EfficiencyRow{r, *sums[k]})
	}
}

// Arrange orders the rows of each bucket like [Answer.Arrange].
func (e *Efficiency) Arrange(s Sort) {
	if s != SortAmount {
		return
	}
	slices.SortStableFunc(e.Rows, func(x, y EfficiencyRow) int { return byAmount(Costs, x.Row, y.Row) })
}
