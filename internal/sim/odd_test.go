package sim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// amountsBy sums the amounts of a bill of 2026-11-18 by what the row says, in billionths of a dollar.
func amountsBy(t *testing.T, org *sim.Org, path string, field func(row map[string]any) string) map[string]int64 {
	t.Helper()
	sums := map[string]int64{}
	for _, x := range list(t, org, path) {
		rows := []any{x}
		if inner, ok := x["results"].([]any); ok {
			rows = inner
		}
		for _, r := range rows {
			row := r.(map[string]any)
			money := row
			if cost, ok := row["cost"].(map[string]any); ok {
				money = cost
			}
			sums[field(row)] += sim.SumNanoUSD([]sim.CostCell{{AmountCents: money["amount"].(string)}})
		}
	}
	return sums
}

const (
	oddDay       = "starting_at=2026-11-18T00:00:00Z&ending_at=2026-11-19T00:00:00Z"
	costReport   = "/cost_report?" + oddDay
	hourlyBill   = "/analytics/cost?time_bucket_width=1h&order_by=time&order=asc&limit=1000&" + oddDay
	byDesc       = "&group_by[]=description&group_by[]=workspace_id"
	byTypeTokens = "&group_by[]=model&group_by[]=cost_type&group_by[]=token_type"
)

// TestOtherCurrencyAndCostType: what is billed in another currency is in rows of its own, in every
// answer, under the type it is said to have.
func TestOtherCurrencyAndCostType(t *testing.T) {
	t.Parallel()
	plain, _ := newOrg(nil)
	org, _ := newOrg(func(o *sim.Options) { o.SessionCurrency, o.SessionType = "EUR", "sunshine" })
	currency := func(row map[string]any) string {
		if cost, ok := row["cost"].(map[string]any); ok {
			return cost["currency"].(string)
		}
		return row["currency"].(string)
	}
	for _, path := range []string{costReport, costReport + byDesc, hourlyBill, hourlyBill + byTypeTokens} {
		all, odd := amountsBy(t, plain, path, currency), amountsBy(t, org, path, currency)
		require.Len(t, all, 1, path)
		require.Len(t, odd, 2, path)
		require.Positive(t, odd["EUR"], path)
		require.InDelta(t, all["USD"], odd["USD"]+odd["EUR"], 50_000, path) // rows are rounded one by one
	}
	types := amountsBy(t, org, costReport+byDesc, func(row map[string]any) string { return row["cost_type"].(string) })
	require.Positive(t, types["sunshine"])
	require.NotContains(t, types, "session_usage")
}

// TestFalsified: one row of the grouped bill is a dollar too high, the total is not.
func TestFalsified(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	sum := func(path string) int64 {
		return amountsBy(t, org, path, func(map[string]any) string { return "" })[""]
	}
	paths := []string{costReport, costReport + byDesc, hourlyBill, hourlyBill + byTypeTokens}
	var before []int64
	for _, p := range paths {
		before = append(before, sum(p))
	}
	org.Faults().Arm(sim.Rule{Fault: sim.Falsified, From: day("2026-11-18T00:00:00Z")})
	for i, p := range paths {
		want := before[i]
		if i%2 == 1 {
			want += 1_000_000_000
		}
		require.Equal(t, want, sum(p), p)
	}
}
