package adminapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestOtherCurrencies: rows in another currency are never dropped, converted or added to the
// others; the rest of the answer stands.
func TestOtherCurrencies(t *testing.T) {
	t.Parallel()
	c := client(t, answers(`{"has_more":false,"data":[
		{"starting_at":"2026-11-18T00:00:00Z","ending_at":"2026-11-19T00:00:00Z","results":[
		{"amount":"7","currency":"EUR","workspace_id":null,"cost_type":"tokens","description":"a day before"}]},
		{"starting_at":"2026-11-19T00:00:00Z","ending_at":"2026-11-20T00:00:00Z","results":[
		{"amount":"1.5","currency":"USD","workspace_id":null,"cost_type":"code_execution","description":"Code Execution Usage"},
		{"amount":"2.0000000000001","currency":"EUR","workspace_id":"wrkspc_a","cost_type":"tokens","token_type":"output_tokens","model":"m","description":"New"},
		{"amount":"-3","currency":"EUR","workspace_id":"wrkspc_a","cost_type":"tokens","token_type":"output_tokens","model":"m","description":"More"}]},
		{"starting_at":"2026-11-20T00:00:00Z","ending_at":"2026-11-21T00:00:00Z","results":[
		{"amount":"9","currency":"J\u0000P\nY much too long for a currency","workspace_id":null,"cost_type":"tokens","description":"odd"}]}]}`))
	a, err := c.Costs(t.Context(), adminapi.Query{Window: spend.Window{Start: at("2026-11-19T00:00:00Z"), End: at("2026-11-21T00:00:00Z")}, Grain: spend.Day})
	require.NoError(t, err)
	require.Equal(t, []spend.Cost{cost(at("2026-11-19T00:00:00Z"), spend.Dims{WorkspaceID: spend.DefaultWorkspace, CostType: "code_execution"}, 15_000_000)}, a.Rows)
	dims := spend.Dims{WorkspaceID: "wrkspc_a", CostType: "tokens", TokenType: "output", Model: "m"}
	require.Equal(t, []adminapi.Foreign{
		{Bucket: at("2026-11-19T00:00:00Z"), Dims: dims, Currency: "EUR", Amount: "2.0000000000001"},
		{Bucket: at("2026-11-19T00:00:00Z"), Dims: dims, Currency: "EUR", Amount: "-3"},
		{Bucket: at("2026-11-20T00:00:00Z"), Dims: spend.Dims{WorkspaceID: spend.DefaultWorkspace, CostType: "tokens"}, Currency: "J\uFFFDP Y much too…", Amount: "9"},
	}, a.Foreign)

	body := fixture(t, "analytics_cost.json")
	c = client(t, answers(strings.Replace(body, `"currency": "USD"`, `"currency": "CHF"`, 1)))
	q := adminapi.Query{Window: spend.Window{Start: at("2026-11-20T10:00:00Z"), End: at("2026-11-20T12:00:00Z")}, Grain: spend.Hour}
	some, err := c.AnalyticsCosts(t.Context(), q)
	require.NoError(t, err)
	all, err := client(t, answers(body)).AnalyticsCosts(t.Context(), q)
	require.NoError(t, err)
	require.Empty(t, all.Foreign)
	require.Equal(t, all.Rows[1:], some.Rows)
	require.Len(t, some.Foreign, 1)
	require.Equal(t, "CHF", some.Foreign[0].Currency)
	require.Equal(t, all.Rows[0].Bucket, some.Foreign[0].Bucket)
	require.Equal(t, all.Rows[0].Dims, some.Foreign[0].Dims)
	require.NotEmpty(t, some.Foreign[0].List)
}
