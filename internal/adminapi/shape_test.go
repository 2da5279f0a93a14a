package adminapi_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestUnknownShapes changes a good body in one place: the error names it, and there are no rows.
func TestUnknownShapes(t *testing.T) {
	t.Parallel()
	usage := func(ctx context.Context, c *adminapi.Client) (int, error) {
		a, err := c.Usage(ctx, hourly)
		return len(a.Rows), err
	}
	costs := func(ctx context.Context, c *adminapi.Client) (int, error) {
		a, err := c.Costs(ctx, daily)
		return len(a.Rows), err
	}
	analyticsUsage := func(ctx context.Context, c *adminapi.Client) (int, error) {
		a, err := c.AnalyticsUsage(ctx, hourly)
		return len(a.Rows), err
	}
	analyticsCosts := func(ctx context.Context, c *adminapi.Client) (int, error) {
		a, err := c.AnalyticsCosts(ctx, hourly)
		return len(a.Rows), err
	}
	claudeCode := func(ctx context.Context, c *adminapi.Client) (int, error) {
		a, err := c.ClaudeCode(ctx, at("2025-08-08T00:00:00Z"))
		return len(a.Rows), err
	}
	const (
		usageBody          = "usage_report_messages_by_key_model_1h.json"
		costBody           = "cost_report_types.json"
		analyticsUsageBody = "analytics_usage.json"
		analyticsCostBody  = "analytics_cost.json"
		claudeCodeBody     = "usage_report_claude_code.json"
	)
	for _, test := range []struct {
		ask       func(context.Context, *adminapi.Client) (int, error)
		body      string
		old, with string // the first old is replaced
		want      string
	}{
		{costs, costBody, `"amount": "2000",`, ``, "data[0].results[1].amount: is missing"},
		{costs, costBody, `"amount": "2000"`, `"amount": null`, "data[0].results[1].amount: is not of the documented type, but null"},
		{costs, costBody, `"amount": "2000"`, `"amount": 2000`, "data[0].results[1].amount: is not of the documented type, but a number"},
		{costs, costBody, `"amount": "2000"`, `"amount": "2,000"`, `data[0].results[1].amount: is not an amount: "2,000" is not a decimal number`},
		{costs, costBody, `"amount": "2000"`, `"amount": {"value": "2000"}`, "data[0].results[1].amount: is not of the documented type, but an object"},
		{costs, costBody, `"currency": "USD",`, ``, "data[0].results[0].currency: is missing"},
		{costs, costBody, `"model": null`, `"model": 7`, "data[0].results[2].model: is not of the documented type, but a number"},
		{costs, costBody, `"starting_at": "2026-11-19T00:00:00Z",`, ``, "data[0].starting_at: is missing"},
		{costs, costBody, `"starting_at": "2026-11-19T00:00:00Z"`, `"starting_at": 1763510400`, "data[0].starting_at: is not of the documented type, but number"},
		{costs, costBody, `"starting_at": "2026-11-19T00:00:00Z"`, `"starting_at": "yesterday"`, `data[0].starting_at: is not an RFC 3339 time: "yesterday"`},
		{costs, costBody, `"starting_at": "2026-11-19T00:00:00Z"`, `"starting_at": "2026-11-19T01:00:00Z"`, "data[0].starting_at: is not the start of a bucket: 2026-11-19T01:00:00Z/2026-11-20T00:00:00Z"},
		{costs, costBody, `"ending_at": "2026-11-20T00:00:00Z"`, `"ending_at": "2026-11-21T00:00:00Z"`, "data[0].ending_at: is not the end of a bucket: 2026-11-19T00:00:00Z/2026-11-21T00:00:00Z"},
		{costs, costBody, `"ending_at": "2026-11-20T00:00:00Z",`, ``, "data[0].ending_at: is missing"},
		{costs, costBody, `"results"`, `"rows"`, "data[0].results: is missing"},
		{costs, costBody, `"results": [`, `"results": [[],`, "data[0].results[0]: is not of the documented type, but an array"},
		{costs, costBody, `"data": [`, `"data": [[],`, "data[0]: is not of the documented type, but an array"},
		{costs, costBody, `"data": [`, `"data": null, "x": [`, "data: is not of the documented type, but null"},
		{costs, costBody, `"data"`, `"items"`, "data: is missing"},
		{costs, costBody, `"has_more": false`, `"has_more": "no"`, "has_more: is not of the documented type, but string"},
		{costs, costBody, `"has_more": false,`, ``, "has_more: is missing"},
		{costs, costBody, `"next_page": null`, `"next_page": 2`, "next_page: is not of the documented type, but number"},
		{costs, costBody, `"amount"`, `amount`, "data[0].results[0]: is not JSON: a member has no name"},
		{costs, costBody, `{`, `[{`, "is not of the documented type, but an array"},

		{usage, usageBody, `"output_tokens": 500,`, ``, "data[0].results[0].output_tokens: is missing"},
		{usage, usageBody, `"output_tokens": 500`, `"output_tokens": null`, "data[0].results[0].output_tokens: is missing"},
		{usage, usageBody, `"output_tokens": 500`, `"output_tokens": -500`, "data[0].results[0].output_tokens: is negative: -500"},
		{usage, usageBody, `"output_tokens": 500`, `"output_tokens": 5.5`, "data[0].results[0].output_tokens: is not a whole number that fits: 5.5"},
		{usage, usageBody, `"output_tokens": 500`, `"output_tokens": "500"`, "data[0].results[0].output_tokens: is not of the documented type, but a string"},
		{usage, usageBody, `"output_tokens": 500`, `"output_tokens": 9223372036854775808`, "data[0].results[0].output_tokens: is not a whole number that fits: 9223372036854775808"},
		{usage, usageBody, `"ephemeral_1h_input_tokens": 0,`, ``, "data[0].results[1].cache_creation.ephemeral_1h_input_tokens: is missing"},
		{usage, usageBody, `"cache_creation": {`, `"cache_creation": [], "x": {`, "data[0].results[0].cache_creation: is not of the documented type, but an array"},
		{usage, usageBody, `"web_search_requests": 10`, `"web_search_requests": true`, "data[0].results[0].server_tool_use.web_search_requests: is not of the documented type, but a boolean"},
		{usage, usageBody, `"workspace_id": null`, `"workspace": null`, "data[0].results[1].workspace_id: is missing"},
		{usage, usageBody, `"api_key_id": null,`, ``, "data[0].results[1].api_key_id: is missing"},
		{usage, usageBody, `"starting_at": "2026-11-20T11:00:00Z"`, `"starting_at": "2026-11-20T10:00:00Z"`, "data[1].ending_at: is not the end of a bucket: 2026-11-20T10:00:00Z/2026-11-20T12:00:00Z"},

		{analyticsUsage, analyticsUsageBody, `"requests": 12,`, ``, "data[0].usage.requests: is missing"},
		{analyticsUsage, analyticsUsageBody, `"usage"`, `"use"`, "data[0].usage.uncached_input_tokens: is missing"},
		{analyticsUsage, analyticsUsageBody, `"group": {`, `"group": 1, "x": {`, "data[0].group: is not of the documented type, but a number"},
		{analyticsUsage, analyticsUsageBody, `"product": null,`, ``, "data[0].group.product: is missing"},
		{analyticsUsage, analyticsUsageBody, `"starting_at": "2026-11-20T10:00:00Z",`, ``, "data[0].starting_at: is missing"},
		{analyticsUsage, analyticsUsageBody, `"data_refreshed_at": "`, `"data_refreshed_at": "x`, "data_refreshed_at: is not an RFC 3339 time"},
		{analyticsCosts, analyticsCostBody, `"list_amount": "12.654",`, ``, "data[0].cost.list_amount: is missing"},
		{analyticsCosts, analyticsCostBody, `"currency": "USD"`, `"currency": null`, `data[0].cost.currency: is missing`},
		{analyticsCosts, analyticsCostBody, `"token_type": null,`, ``, "data[0].group.token_type: is missing"},

		{claudeCode, claudeCodeBody, `"num_sessions": 15,`, ``, "data[0].core_metrics.num_sessions: is missing"},
		{claudeCode, claudeCodeBody, `"accepted": 12,`, ``, "data[0].tool_actions.multi_edit_tool.accepted: is missing"},
		{claudeCode, claudeCodeBody, `"write_tool": {`, `"write_tool": [], "x": {`, "data[0].tool_actions.write_tool: is not of the documented type"},
		{claudeCode, claudeCodeBody, `"input": 23100,`, ``, "data[0].model_breakdown[1].tokens.input: is missing"},
		{claudeCode, claudeCodeBody, `"amount": 42,`, ``, "data[0].model_breakdown[1].estimated_cost.amount: is missing"},
		{claudeCode, claudeCodeBody, `"amount": 42`, `"amount": 1e999`, "data[0].model_breakdown.estimated_cost.amount: is not of the documented type, but 1e999"},
		{claudeCode, claudeCodeBody, `"currency": "USD"`, `"currency": "JPY"`, `data[0].model_breakdown[0].estimated_cost.currency: is "JPY", only USD is understood`},
		{claudeCode, claudeCodeBody, `"date": "2025-08-08`, `"date": "2025-08-09`, `data[0].date: is not of the day that was asked for: "2025-08-09T00:00:00Z"`},
		{claudeCode, claudeCodeBody, `"actor": {`, `"actor": "me", "x": {`, "data[0].actor: is not of the documented type, but string"},
		{claudeCode, claudeCodeBody, `"type": "user_actor"`, `"kind": "user_actor"`, "data[0].actor.type: is missing"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			body := fixture(t, test.body)
			require.Contains(t, body, test.old)
			c := client(t, answers(strings.Replace(body, test.old, test.with, 1), lastPage))
			n, err := test.ask(t.Context(), c)
			e := asError(t, err)
			require.Equal(t, adminapi.KindMalformed, e.Kind)
			require.False(t, e.Temporary())
			require.Contains(t, e.Message, test.want)
			require.True(t, strings.HasPrefix(e.Message, test.want), e.Message)
			require.Zero(t, n)
			require.EqualValues(t, 1, c.Requests(), "the same question would get the same answer")
		})
	}
}

// TestNewFieldsAndValues has every object of every report carry something new.
func TestNewFieldsAndValues(t *testing.T) {
	t.Parallel()
	extended := func(name string) []byte {
		var v any
		require.NoError(t, json.Unmarshal([]byte(fixture(t, name)), &v))
		b, err := json.Marshal(extend(v))
		require.NoError(t, err)
		return b
	}
	usage, err := adminapi.DecodeUsage(extended("usage_report_messages_by_key_model_1h.json"), twoHours, spend.Hour)
	require.NoError(t, err)
	require.Len(t, usage, 2)
	costs, err := adminapi.DecodeCosts(extended("cost_report_types.json"), oneDay)
	require.NoError(t, err)
	require.Len(t, costs, 5)
	usage, err = adminapi.DecodeAnalyticsUsage(extended("analytics_usage.json"), twoHours)
	require.NoError(t, err)
	require.Len(t, usage, 2)
	costs, err = adminapi.DecodeAnalyticsCosts(extended("analytics_cost.json"), twoHours)
	require.NoError(t, err)
	require.Len(t, costs, 2)
	cc, err := adminapi.DecodeClaudeCode(extended("usage_report_claude_code.json"), spend.Day.Bucket(at("2025-08-08T00:00:00Z")))
	require.NoError(t, err)
	require.EqualValues(t, 50, cc[0].ToolsAccepted)
	_, err = adminapi.DecodeUsage([]byte(strings.NewReplacer(`"service_tier": null`, `"service_tier": "turbo\u0021"`).
		Replace(fixture(t, "usage_report_messages_by_key_model_1h.json"))), twoHours, spend.Hour)
	require.NoError(t, err)
}

func extend(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = extend(v[k])
		}
		v["a_new_field"] = map[string]any{"deep": []any{1, "two", nil}}
	case []any:
		for i := range v {
			v[i] = extend(v[i])
		}
	}
	return v
}

func TestStringsOfRows(t *testing.T) {
	t.Parallel()
	body := `{"has_more":false,"data":[{"ending_at":"2026-11-20T11:00:00Z","results":[{"workspace_id":"w\u0000\u00e9\n","api_key_id":"","model":"` +
		"\xff" + `","service_tier":"a\"b","context_window":null,"inference_geo":"not_available","speed":"fast","uncached_input_tokens":1,
		"cache_read_input_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens":5,
		"server_tool_use":{"web_search_requests":6}}],"starting_at":"2026-11-20T12:00:00+02:00"}]}`
	rows, err := adminapi.DecodeUsage([]byte(body), twoHours, spend.Hour)
	require.NoError(t, err)
	require.Equal(t, []spend.Usage{{
		Bucket: at("2026-11-20T10:00:00Z"),
		Dims: spend.Dims{
			WorkspaceID: "w\uFFFDé\n", APIKeyID: spend.NoKey, Model: "\ufffd", ServiceTier: `a"b`,
			InferenceGeo: "not_available", Speed: "fast",
		},
		Counts: spend.Counts{1, 2, 3, 4, 5, 6},
	}}, rows, "valid UTF-8 without NUL, which databases refuse; times in UTC")
}

func TestLongValues(t *testing.T) {
	t.Parallel()
	body := fixture(t, "usage_report_messages_by_key_model_1h.json")
	long := strings.Repeat("m", 300_000)
	rows, err := adminapi.DecodeUsage([]byte(strings.Replace(body, "claude-opus-5-5", long, 1)), twoHours, spend.Hour)
	require.NoError(t, err)
	require.Equal(t, long, rows[0].Model)
	require.EqualValues(t, 500, rows[0].Counts[spend.Output])

	_, err = adminapi.DecodeUsage([]byte(strings.Replace(body, "claude-opus-5-5", strings.Repeat("m", 17<<20), 1)), twoHours, spend.Hour)
	require.EqualError(t, err, "data[0].results[0].model: is too long")
}

func TestSkew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(-90*time.Second).UTC().Format(http.TimeFormat))
			_, _ = io.WriteString(w, lastPage)
		})
		_, known := c.Skew()
		require.False(t, known)
		_, err := c.Costs(t.Context(), daily)
		require.NoError(t, err)
		skew, known := c.Skew()
		require.True(t, known)
		require.Equal(t, 90*time.Second, skew, "this clock is ahead")
	})
}
