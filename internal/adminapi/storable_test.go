package adminapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestTextThatNoDatabaseHolds: a NUL, which PostgreSQL refuses, and bytes that are no UTF-8, which it and
// Prometheus refuse, are marked in every text that comes from the API, be it a name that anybody may choose.
func TestTextThatNoDatabaseHolds(t *testing.T) {
	t.Parallel()
	const sent, kept = "a\\u0000b\xff" + `\ud800` + "é", "a\uFFFDb\uFFFD\uFFFDé"
	answering := func(body string) *adminapi.Client {
		return client(t, answers(strings.ReplaceAll(body, "NAME", sent), lastPage))
	}
	const page = `"has_more":false,"first_id":"x","last_id":"x"}`

	o, err := answering(`{"id":"o","name":"NAME","type":"organization"}`).Organization(t.Context())
	require.NoError(t, err)
	require.Equal(t, spend.Organization{ID: "o", Name: kept}, o)

	ws, err := answering(`{"data":[{"id":"w","name":"NAME","tags":{"NAME":"NAME","x":"y"},"created_at":"2026-01-01T00:00:00Z","type":"workspace"}],` + page).Workspaces(t.Context())
	require.NoError(t, err)
	require.Len(t, ws, 1)
	require.Equal(t, kept, ws[0].Name)
	require.Equal(t, map[string]string{kept: kept, "x": "y"}, ws[0].Tags)

	keys, err := answering(`{"data":[{"id":"NAME","name":"NAME","status":"NAME","partial_key_hint":"NAME","created_at":"2026-01-01T00:00:00Z",
		"created_by":{"id":"NAME","type":"NAME"},"scope":{"type":"workspace","workspace_id":"NAME"},"type":"api_key"}],` + page).APIKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.APIKey{{
		ID: kept, Name: kept, Status: kept, Hint: kept, CreatedByID: kept, CreatorType: kept, WorkspaceID: kept, CreatedAt: at("2026-01-01T00:00:00Z"),
	}}, keys)

	limits, err := answering(`{"data":[{"id":"rl","group":{"id":"g","type":"batch","display_name":"NAME"},"models":["NAME"],
		"limits":[{"type":"NAME","value":1}]}],"next_page":null}`).RateLimits(t.Context())
	require.NoError(t, err)
	require.Len(t, limits, 1)
	require.Equal(t, []string{kept, kept, kept}, []string{limits[0].Group, limits[0].Limiter, limits[0].Models[0]})

	usage, err := answering(`{"data":[{"starting_at":"2026-11-20T10:00:00Z","ending_at":"2026-11-20T11:00:00Z","results":[{"workspace_id":"NAME","api_key_id":"NAME",
		"model":"NAME","service_tier":"NAME","context_window":"NAME","inference_geo":"NAME","uncached_input_tokens":1,"cache_read_input_tokens":0,
		"output_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"server_tool_use":{"web_search_requests":0}}]}],
		"has_more":false,"next_page":null}`).Usage(t.Context(), hourly)
	require.NoError(t, err)
	require.Len(t, usage.Rows, 1)
	require.Equal(t, spend.Dims{
		WorkspaceID: kept, APIKeyID: kept, Model: kept, ServiceTier: kept, ContextWindow: kept, InferenceGeo: kept,
	}, usage.Rows[0].Dims)

	code, err := answering(strings.ReplaceAll(strings.ReplaceAll(fixture(t, "usage_report_claude_code.json"), "user@emaildomain.com", "NAME"), `"claude-sonnet-4-20250514"`, `"NAME"`)).
		ClaudeCode(t.Context(), at("2025-08-08T00:00:00Z"))
	require.NoError(t, err)
	require.NotEmpty(t, code.Rows)
	require.Equal(t, kept, code.Rows[0].Actor)
	require.Equal(t, kept, code.Rows[0].Models[0].Model)
}
