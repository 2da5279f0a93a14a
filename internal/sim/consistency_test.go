package sim_test

import (
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// tally is the counters of usage rows by some of their dimensions.
type tally map[string][6]int64

func number(t *testing.T, v any) int64 {
	n, ok := new(big.Int).SetString(fmt.Sprint(v), 10)
	require.True(t, ok, "%v", v)
	return n.Int64()
}

// usage reads a messages report to its end and sums it.
func usage(t *testing.T, org *sim.Org, query string, by ...string) tally {
	t.Helper()
	sums := tally{}
	for _, d := range by {
		query += "&group_by[]=" + d
	}
	for _, bucket := range list(t, org, "/usage_report/messages?"+query) {
		for _, r := range bucket["results"].([]any) {
			row := r.(map[string]any)
			var key []string
			for _, d := range by {
				key = append(key, fmt.Sprint(row[d]))
			}
			cache := row["cache_creation"].(map[string]any)
			k := strings.Join(key, "|")
			sum := sums[k]
			for i, v := range []any{row["uncached_input_tokens"], row["cache_read_input_tokens"],
				cache["ephemeral_5m_input_tokens"], cache["ephemeral_1h_input_tokens"], row["output_tokens"],
				row["server_tool_use"].(map[string]any)["web_search_requests"]} {
				sum[i] += number(t, v)
			}
			sums[k] = sum
		}
	}
	return sums
}

const settledDay = "starting_at=2026-11-17T00:00:00Z&ending_at=2026-11-18T00:00:00Z"

func TestGrainsAgree(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	by := []string{"workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo", "speed"}
	daily := usage(t, org, settledDay, by...)
	require.Greater(t, len(daily), 30)
	require.Equal(t, daily, usage(t, org, settledDay+"&bucket_width=1h&limit=5", by...))
	require.Equal(t, daily, usage(t, org, settledDay+"&bucket_width=1m&limit=1440", by...))
}

func TestGroupsAddUpToTheTotal(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	total := usage(t, org, settledDay)[""]
	require.Positive(t, total[5])
	for _, by := range []string{"workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo",
		"speed", "account_id", "service_account_id"} {
		var sum [6]int64
		rows := usage(t, org, settledDay, by)
		require.Greater(t, len(rows), 1, by)
		for _, row := range rows {
			for i, n := range row {
				sum[i] += n
			}
		}
		require.Equal(t, total, sum, by)
	}
}

func TestLedgerIsWhatTheReportSays(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	standard := idsOf(t, org).standard
	want := tally{}
	for _, c := range org.TrueUsage(day("2026-11-17T00:00:00Z"), day("2026-11-18T00:00:00Z")) {
		null := func(s string) any {
			if s == "" || s == standard {
				return nil // the default workspace, and use without a key
			}
			return s
		}
		k := fmt.Sprint(null(c.WorkspaceID), "|", null(c.APIKeyID), "|", c.Model, "|", c.ServiceTier, "|", c.ContextWindow,
			"|", c.InferenceGeo, "|", c.Speed)
		sum := want[k]
		for i, n := range []int64{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output, c.WebSearches} {
			sum[i] += n
		}
		want[k] = sum
	}
	got := usage(t, org, settledDay, "workspace_id", "api_key_id", "model", "service_tier", "context_window",
		"inference_geo", "speed")
	require.Equal(t, want, got)
}

// prices are dollars for a million tokens, as published: input, read, 5m, 1h, output.
var prices = map[string][5]string{
	"claude-opus-5-5":           {"4", "0.2", "5", "8", "20"},
	"claude-opus-5-5 fast":      {"8", "0.4", "10", "16", "40"},
	"claude-sonnet-5-5":         {"2", "0.1", "2.5", "4", "10"},
	"claude-fable-5-2":          {"8", "0.2", "10", "16", "40"},
	"claude-sonnet-4-6":         {"3", "0.3", "3.75", "6", "15"},
	"claude-haiku-4-5-20251001": {"1", "0.1", "1.25", "2", "5"},
}

// TestBillIsUsageTimesPrice computes the bill of a day from the usage of its hours with fractions, for
// every model whose price follows from what a report shows.
func TestBillIsUsageTimesPrice(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.DiscountPermille = 85 })
	from, to := day("2026-11-16T00:00:00Z"), day("2026-11-17T00:00:00Z")
	names := []string{"uncached_input_tokens", "cache_read_input_tokens", "cache_creation.ephemeral_5m_input_tokens",
		"cache_creation.ephemeral_1h_input_tokens", "output_tokens"}
	rational := func(text string) *big.Rat {
		r, ok := new(big.Rat).SetString(text)
		require.True(t, ok, text)
		return r
	}
	want := map[string]*big.Rat{}
	add := func(key string, cents *big.Rat) {
		if want[key] == nil {
			want[key] = new(big.Rat)
		}
		want[key].Add(want[key], cents.Mul(cents, big.NewRat(915, 1000)))
	}
	for _, c := range org.TrueUsage(from, to) {
		if strings.HasPrefix(c.ServiceTier, "priority") {
			continue
		}
		add(c.WorkspaceID+"|web_search", big.NewRat(c.WebSearches, 1))
		model := c.Model
		if c.Speed == "fast" {
			model += " fast"
		}
		price, ok := prices[model]
		for i, n := range []int64{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output} {
			if !ok || n == 0 {
				continue
			}
			cents := new(big.Rat).Mul(big.NewRat(n, 10000), rational(price[i]))
			if c.ServiceTier == "batch" || c.ServiceTier == "flex" {
				cents.Mul(cents, big.NewRat(1, 2))
			}
			if c.InferenceGeo == "us" {
				cents.Mul(cents, big.NewRat(11, 10))
			}
			add(strings.Join([]string{c.WorkspaceID, c.Model, c.ServiceTier, c.ContextWindow, c.InferenceGeo, names[i]}, "|"), cents)
		}
	}
	got := map[string]*big.Rat{}
	for _, c := range org.TrueBill(from, to) {
		key := strings.Join([]string{c.WorkspaceID, c.Model, c.ServiceTier, c.ContextWindow, c.InferenceGeo, c.TokenType}, "|")
		if c.CostType == "web_search" {
			key = c.WorkspaceID + "|web_search"
		}
		if _, known := prices[c.Model]; !known && c.CostType != "web_search" {
			continue
		}
		if got[key] == nil {
			got[key] = new(big.Rat)
		}
		got[key].Add(got[key], rational(c.AmountCents))
	}
	require.Greater(t, len(got), 30)
	for key, cents := range want {
		if cents.Sign() > 0 {
			require.NotNil(t, got[key], key)
			require.Zero(t, cents.Cmp(got[key]), "%s: want %s got %s", key, cents.FloatString(12), got[key].FloatString(12))
		}
		delete(got, key)
	}
	require.Empty(t, got)
}

func TestHourBillsAddUpToTheDayBill(t *testing.T) {
	t.Parallel()
	// With this discount rows have more digits than a billionth of a dollar: compare all of them.
	org, _ := newOrg(func(o *sim.Options) { o.DiscountPermille = 137 })
	from, to := day("2026-11-10T00:00:00Z"), day("2026-11-12T00:00:00Z")
	exact := func(cells []sim.CostCell, amount func(sim.CostCell) string) *big.Rat {
		sum := new(big.Rat)
		for _, c := range cells {
			r, ok := new(big.Rat).SetString(amount(c))
			require.True(t, ok)
			sum.Add(sum, r)
		}
		return sum
	}
	net := func(c sim.CostCell) string { return c.AmountCents }
	gross := func(c sim.CostCell) string { return c.ListCents }
	hours, days := org.TrueHourBill(from, to), org.TrueBill(from, to)
	require.Zero(t, exact(hours, net).Cmp(exact(days, net)))
	require.Zero(t, exact(hours, gross).Cmp(exact(days, gross)))
	require.Positive(t, exact(days, net).Sign())
	require.Zero(t, new(big.Rat).Mul(exact(days, gross), big.NewRat(863, 1000)).Cmp(exact(days, net)))
	nano := new(big.Rat).Mul(exact(days, net), big.NewRat(10_000_000, 1))
	off := new(big.Rat).Sub(nano, big.NewRat(sim.SumNanoUSD(days), 1))
	require.LessOrEqual(t, off.Abs(off).Cmp(big.NewRat(int64(len(days)), 2)), 0, "half a billionth a row")
}

// TestCostReportServesTheBill compares the report, row by row, with the ledger.
func TestCostReportServesTheBill(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{false, true} {
		org, _ := newOrg(func(o *sim.Options) { o.DiscountPermille, o.CostBeforeDiscount = 200, before })
		standard := idsOf(t, org).standard
		from, to := day("2026-11-10T00:00:00Z"), day("2026-11-19T00:00:00Z")
		var got []sim.CostCell
		types := map[string]bool{}
		for _, bucket := range list(t, org, "/cost_report?limit=2&starting_at=2026-11-10T05:00:00Z&ending_at="+
			url.QueryEscape(to.Format(time.RFC3339))+"&group_by[]=workspace_id&group_by[]=description") {
			for _, r := range bucket["results"].([]any) {
				row := r.(map[string]any)
				text := func(name string) string { s, _ := row[name].(string); return s }
				types[text("cost_type")] = true
				require.NotContains(t, text("service_tier"), "priority")
				cell := sim.CostCell{Start: day(bucket["starting_at"].(string)), End: day(bucket["ending_at"].(string)),
					WorkspaceID: text("workspace_id"), Model: text("model"), ServiceTier: text("service_tier"),
					CostType: text("cost_type"), TokenType: text("token_type"), ContextWindow: text("context_window"),
					InferenceGeo: text("inference_geo"), Description: text("description"), AmountCents: text("amount"),
					Currency: text("currency")}
				if row["workspace_id"] == nil {
					cell.WorkspaceID = standard
				}
				got = append(got, cell)
			}
		}
		want := org.TrueBill(from, to)
		for i := range want {
			require.Equal(t, before, want[i].AmountCents == want[i].ListCents)
			want[i].ListCents = "" // not in this report
		}
		require.Equal(t, want, got)
		require.Equal(t, map[string]bool{"tokens": true, "web_search": true, "code_execution": true, "session_usage": true}, types)
	}
}

func TestUngroupedAndPartlyGroupedCostsAgree(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	sum := func(query string) int64 {
		var cells []sim.CostCell
		for _, bucket := range list(t, org, "/cost_report?"+settledDay+query) {
			for _, r := range bucket["results"].([]any) {
				cells = append(cells, sim.CostCell{AmountCents: r.(map[string]any)["amount"].(string)})
			}
		}
		return sim.SumNanoUSD(cells)
	}
	total := sum("")
	require.Positive(t, total)
	for _, query := range []string{"&group_by[]=workspace_id", "&group_by[]=description", "&group_by[]=workspace_id&group_by[]=description"} {
		require.Equal(t, total, sum(query), query)
	}
}

// TestAnalyticsCostFansOut checks what cost_type and token_type do to the rows of one day.
func TestAnalyticsCostFansOut(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	sum := func(query string) (int64, map[string]bool) {
		var cells []sim.CostCell
		kinds := map[string]bool{}
		for _, r := range list(t, org, "/analytics/cost?limit=3&time_bucket_width=1d&"+settledDay+"&group_by[]=model"+query) {
			group, cost := r["group"].(map[string]any), r["cost"].(map[string]any)
			kinds[fmt.Sprint(group["cost_type"], "/", group["token_type"])] = true
			require.Equal(t, query != "", cost["requests"] == nil)
			cells = append(cells, sim.CostCell{AmountCents: cost["amount"].(string)})
		}
		return sim.SumNanoUSD(cells), kinds
	}
	total, kinds := sum("")
	require.Equal(t, map[string]bool{"<nil>/<nil>": true}, kinds)
	byType, kinds := sum("&group_by[]=cost_type")
	require.Equal(t, total, byType)
	require.Len(t, kinds, 4)
	both, kinds := sum("&group_by[]=cost_type&group_by[]=token_type")
	require.Equal(t, total, both)
	require.Len(t, kinds, 8)
	tokens, kinds := sum("&group_by[]=token_type")
	require.Less(t, tokens, total)
	require.Len(t, kinds, 5)
}

func TestFiltersKeepTheirRows(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	ids := idsOf(t, org)
	keys := usage(t, org, settledDay, "api_key_id")
	one := usage(t, org, settledDay+"&api_key_ids[]="+ids.key, "api_key_id")
	require.Equal(t, tally{ids.key: keys[ids.key]}, one)
	usable := func(query string) (requests int64) {
		for _, r := range list(t, org, "/analytics/usage?"+settledDay+query) {
			requests += number(t, r["usage"].(map[string]any)["requests"])
		}
		return requests
	}
	all := usable("")
	none, some := usable("&api_key_ids[]="), usable("&api_key_ids[]=&api_key_ids[]="+ids.key)
	require.Positive(t, none)
	require.Less(t, none, some)
	require.Less(t, some, all)
	geos := usable("&inference_geos[]=not_available") + usable("&inference_geos[]=us") + usable("&inference_geos[]=global")
	require.Equal(t, all, geos)
}
