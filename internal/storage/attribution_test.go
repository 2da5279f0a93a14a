package storage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// What a day's bill says of keys: shares by their own estimated cost, and what no key can be told for
// by itself, never spread over those that can.
func TestAttribution(t *testing.T) {
	t.Parallel()
	use := func(key string, estimate spend.Money, change func(*storage.DimsRow)) storage.DimsRow {
		r := storage.DimsRow{Row: &storage.Row{Price: spend.Priced}, Dims: &spend.Dims{
			WorkspaceID: "w", APIKeyID: key, Model: "m", ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "global",
		}}
		r.Counts[spend.Output], r.Estimate[spend.Output] = 10, estimate
		if change != nil {
			change(&r)
		}
		return r
	}
	cell := func(amount spend.Money, change func(*storage.DimsRow)) storage.DimsRow {
		r := storage.DimsRow{Row: &storage.Row{Amount: amount}, Dims: &spend.Dims{
			WorkspaceID: "w", Model: "m", ServiceTier: "standard", ContextWindow: "0-200k", CostType: "tokens", TokenType: "output",
		}}
		if change != nil {
			change(&r)
		}
		return r
	}
	tier := func(tier string) func(*storage.DimsRow) { return func(r *storage.DimsRow) { r.ServiceTier = tier } }
	committed := func(r *storage.DimsRow) {
		r.ServiceTier, r.Price, r.Estimate = "priority", spend.Committed, spend.Amounts{}
	}
	other := func(costType string) func(*storage.DimsRow) {
		return func(r *storage.DimsRow) { r.Dims = &spend.Dims{WorkspaceID: "w", CostType: costType} }
	}
	for _, tt := range []struct {
		name        string
		bill, usage []storage.DimsRow
		shares      map[string]spend.Money // by key
		rests       []spend.Money
	}{
		{
			"by estimated cost, to the last digit",
			[]storage.DimsRow{cell(100, nil)},
			[]storage.DimsRow{use("a", 1, nil), use("b", 2, nil), use("c", 0, func(r *storage.DimsRow) { r.Counts = spend.Counts{} })},
			map[string]spend.Money{"a": 33, "b": 67}, []spend.Money{0},
		},
		{
			"use without a key has its share like a key",
			[]storage.DimsRow{cell(90, nil)},
			[]storage.DimsRow{use("a", 1, nil), use(spend.NoKey, 2, nil)},
			map[string]spend.Money{"a": 30, spend.NoKey: 60}, []spend.Money{0},
		},
		{
			"priority use has what is billed for priority, by tokens, since it is estimated at nothing",
			[]storage.DimsRow{cell(90, nil), cell(8, tier("priority"))},
			[]storage.DimsRow{use("a", 5, nil), use("b", 0, committed), use("c", 0, func(r *storage.DimsRow) { committed(r); r.Counts[spend.Output] = 30 })},
			map[string]spend.Money{"a": 90, "b": 2, "c": 6}, []spend.Money{0, 0},
		},
		{
			"priority use has no share of a bill for others, nor do others of its",
			[]storage.DimsRow{cell(90, nil), cell(8, tier("batch"))},
			[]storage.DimsRow{use("b", 0, committed)},
			map[string]spend.Money{}, []spend.Money{90, 8},
		},
		{
			"code execution and sessions are of no key",
			[]storage.DimsRow{cell(10, nil), cell(7, other("code_execution")), cell(5, other("session_usage"))},
			[]storage.DimsRow{use("a", 1, nil)},
			map[string]spend.Money{"a": 10}, []spend.Money{0, 7, 5},
		},
		{
			"what matches no use is of no key",
			[]storage.DimsRow{
				cell(10, nil), cell(20, func(r *storage.DimsRow) { r.TokenType = "cache_read_input" }),
				cell(30, func(r *storage.DimsRow) { r.WorkspaceID = "x" }), cell(40, func(r *storage.DimsRow) { r.TokenType = "something_new" }),
			},
			[]storage.DimsRow{use("a", 1, nil)},
			map[string]spend.Money{"a": 10}, []spend.Money{0, 20, 30, 40},
		},
		{
			"a model without a price is shared out by tokens",
			[]storage.DimsRow{cell(10, func(r *storage.DimsRow) { r.Model = "new" })},
			[]storage.DimsRow{
				use("a", 0, func(r *storage.DimsRow) { r.Model, r.Price = "new", spend.Unpriced }), use("c", 9, nil),
				use("b", 0, func(r *storage.DimsRow) { r.Model, r.Price, r.Counts[spend.Output] = "new", spend.Unpriced, 40 }),
			},
			map[string]spend.Money{"a": 2, "b": 8}, []spend.Money{0},
		},
		{
			"a model that nobody used is of no key",
			[]storage.DimsRow{cell(10, func(r *storage.DimsRow) { r.Model = "retired" })},
			[]storage.DimsRow{use("a", 1, nil)},
			map[string]spend.Money{}, []spend.Money{10},
		},
		{
			"hours are cells of their own",
			[]storage.DimsRow{cell(30, nil)},
			[]storage.DimsRow{use("a", 1, nil), use("a", 2, func(r *storage.DimsRow) { r.Bucket = 3600 })},
			map[string]spend.Money{"a": 30}, []spend.Money{0},
		},
		{
			"a credit is shared like a charge",
			[]storage.DimsRow{cell(-100, nil)},
			[]storage.DimsRow{use("a", 1, nil), use("b", 2, nil)},
			map[string]spend.Money{"a": -33, "b": -67}, []spend.Money{0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			shares, rests := storage.ShareOut(tt.bill, tt.usage)
			require.Equal(t, tt.rests, rests)
			got := map[string]spend.Money{}
			var sum spend.Money
			for i, s := range shares {
				if s.Sum() != 0 {
					got[tt.usage[i].APIKeyID] += s.Sum()
				}
				sum += s.Sum()
			}
			require.Equal(t, tt.shares, got)
			for i, b := range tt.bill {
				sum += rests[i] - b.Amount
			}
			require.Zero(t, sum, "shares and rests add up to the bill")
		})
	}
}
