package storage_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestShareOutAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dims := func(label string) spend.Dims {
			pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label+what) }
			return spend.Dims{
				WorkspaceID: pick(" workspace", "a", "b"), Model: pick(" model", "x", "y"), ServiceTier: pick(" tier", "", "standard", "batch"),
				ContextWindow: pick(" context", "", "0-200k"), InferenceGeo: pick(" geo", "", "global", "us"),
			}
		}
		var usage, bill []storage.DimsRow
		for range rapid.IntRange(0, 12).Draw(t, "usage rows") {
			r := &storage.Row{Price: spend.Priced}
			for k := range r.Counts {
				r.Counts[k] = rapid.Int64Range(0, 1_000_000).Draw(t, "count")
				r.Estimate[k] = spend.Money(rapid.Int64Range(0, 3).Draw(t, "price") * r.Counts[k])
			}
			usage = append(usage, storage.DimsRow{Row: r, Dims: new(dims("usage"))})
		}
		for range rapid.IntRange(0, 6).Draw(t, "cells") {
			k := spend.Kind(rapid.IntRange(0, int(spend.NumKinds)).Draw(t, "kind"))
			d := dims("cell")
			d.CostType = "code_execution"
			if k < spend.NumKinds {
				d.CostType, d.TokenType = k.CostType(), k.TokenType()
			}
			bill = append(bill, storage.DimsRow{Row: &storage.Row{Amount: spend.Money(rapid.Int64Range(-1_000_000, 1<<50).Draw(t, "amount"))}, Dims: &d})
		}
		shares, rests := storage.ShareOut(bill, usage)
		require.Len(t, shares, len(usage))
		require.Len(t, rests, len(bill))
		var want, got spend.Money
		for i, b := range bill {
			want += b.Amount
			got += rests[i]
			require.True(t, rests[i] == 0 || rests[i] == b.Amount, "a cell is shared out whole or not at all")
		}
		for i, s := range shares {
			got += s.Sum()
			for k := range s {
				require.False(t, s[k] != 0 && usage[i].Counts[k] == 0 && usage[i].Estimate[k] == 0, "a share without use")
			}
		}
		require.Equal(t, want, got)
	})
}

func TestGiveLabels(t *testing.T) {
	t.Parallel()
	seen := func(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name   string
		things []storage.Labelled
		want   []string
	}{
		{"one", []storage.Labelled{{ID: "w_1", Name: "a"}}, []string{"a"}},
		{"without a name", []storage.Labelled{{ID: "w_1"}}, []string{"w_1"}},
		{"the first seen keeps the name", []storage.Labelled{{ID: "w_1111111", Name: "a", FirstSeenAt: seen(2)}, {ID: "w_2222222", Name: "a", FirstSeenAt: seen(1)}}, []string{"a (111111)", "a"}},
		{"of two seen at once the lesser id keeps it", []storage.Labelled{{ID: "w_2222222", Name: "a"}, {ID: "w_1111111", Name: "a"}}, []string{"a (222222)", "a"}},
		{"a label stays though an older one of the name appears", []storage.Labelled{{ID: "w_1", Name: "a", FirstSeenAt: seen(1)}, {ID: "w_2", Name: "a", LabelName: "a", Label: "a", FirstSeenAt: seen(2)}}, []string{"a (w_1)", "a"}},
		{"a rename frees the name", []storage.Labelled{{ID: "w_1", Name: "b", LabelName: "a", Label: "a"}, {ID: "w_2", Name: "a"}}, []string{"b", "a"}},
		{"ids that end alike", []storage.Labelled{{ID: "w_1", Name: "a"}, {ID: "w_x222222", Name: "a"}, {ID: "w_y222222", Name: "a"}}, []string{"a", "a (222222)", "a (y222222)"}},
		{"a name that looks like a label", []storage.Labelled{{ID: "w_0", Name: "a (w_2)"}, {ID: "w_1", Name: "a"}, {ID: "w_2", Name: "a"}}, []string{"a (w_2)", "a", "a (w_2, 7)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storage.GiveLabels(c.things)
			var got []string
			for _, x := range c.things {
				got = append(got, x.Label)
			}
			require.Equal(t, c.want, got)
			before := fmt.Sprint(c.things)
			storage.GiveLabels(c.things)
			require.Equal(t, before, fmt.Sprint(c.things), "labels are given once")
		})
	}
}

func TestContributions(t *testing.T) {
	t.Parallel()
	a := spend.Dims{WorkspaceID: "w", APIKeyID: "k", Model: "m", ServiceTier: "standard"}
	parts := storage.Contributions(
		[]storage.UsageRow{{Dims: a, Counts: spend.Counts{spend.UncachedInput: 3, spend.WebSearches: 2}, Requests: 5}, {Dims: spend.Dims{WorkspaceID: "w", Model: "m", ServiceTier: "standard"}, Requests: 1}},
		[]storage.CostRow{
			{Dims: spend.Dims{WorkspaceID: "w", Model: "m", CostType: "tokens"}, Basis: spend.Billed, Cost: 7},
			{Dims: spend.Dims{WorkspaceID: "w", Model: "m", CostType: "tokens"}, Basis: spend.Estimated, Cost: 4, Unpriced: 9},
		})
	key := func(name string, d spend.Dims) storage.CounterKey { return storage.CounterKey{Name: name, Dims: d} }
	require.Equal(t, map[storage.CounterKey]int64{
		key(storage.CounterTokens, spend.Dims{WorkspaceID: "w", Model: "m", ServiceTier: "standard", TokenType: "uncached_input"}): 3,
		key(storage.CounterWebSearches, spend.Dims{WorkspaceID: "w", Model: "m"}):                                                  2,
		key(storage.CounterRequests, spend.Dims{WorkspaceID: "w", Model: "m", ServiceTier: "standard"}):                            6,
		key(storage.CounterAPIKeyTokens, spend.Dims{WorkspaceID: "w", APIKeyID: "k"}):                                              3,
		key(storage.CounterCost, spend.Dims{WorkspaceID: "w", Model: "m", CostType: "tokens"}):                                     11,
		key(storage.CounterUnpriced, spend.Dims{Model: "m"}):                                                                       9,
	}, parts)
}
