package adminapi_test

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// asked records what was asked for.
func asked(into *[]*http.Request, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*into = append(*into, r)
		h(w, r)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at("2026-11-20T12:03:00Z")))
		var reqs []*http.Request
		c := client(t, asked(&reqs, answers(fixture(t, "usage_report_messages_by_key_model_1h.json"))))
		q := hourly
		q.DefaultWorkspace = "wrkspc_default"
		a, err := c.Usage(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, adminapi.Answer[spend.Usage]{
			Rows: []spend.Usage{
				{
					Bucket: at("2026-11-20T10:00:00Z"),
					Dims: spend.Dims{
						WorkspaceID: "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ", APIKeyID: "apikey_01Rj2N8SVvo6BePZj99NhmiT",
						Model: "claude-opus-5-5",
					},
					Counts: spend.Counts{1500, 200, 500, 1000, 500, 10},
				},
				{
					Bucket: at("2026-11-20T10:00:00Z"),
					Dims:   spend.Dims{WorkspaceID: "wrkspc_default", APIKeyID: spend.NoKey, Model: "claude-haiku-5-5"},
					Counts: spend.Counts{spend.UncachedInput: 42, spend.Output: 7},
				},
			},
			End:    at("2026-11-20T12:00:00Z"),
			DataAt: at("2026-11-20T11:58:00Z"), // five minutes before it was read
			ReadAt: at("2026-11-20T12:03:00Z"),
		}, a)

		require.Len(t, reqs, 1)
		require.Equal(t, "/v1/organizations/usage_report/messages", reqs[0].URL.Path)
		require.Equal(t, url.Values{
			"starting_at": {"2026-11-20T10:00:00Z"}, "ending_at": {"2026-11-20T12:00:00Z"},
			"bucket_width": {"1h"}, "limit": {"168"},
			"group_by[]": {"workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo", "speed"},
		}, reqs[0].URL.Query())
		require.Equal(t, "2023-06-01", reqs[0].Header.Get("anthropic-version"))
		require.Equal(t, "fast-mode-2026-02-01", reqs[0].Header.Get("anthropic-beta"))
		require.Equal(t, testKey, reqs[0].Header.Get("x-api-key"))
		require.Empty(t, reqs[0].Header.Get("Authorization"))
		require.Contains(t, reqs[0].Header.Get("User-Agent"), "anthropic-monitor")
		require.EqualValues(t, 1, c.Requests())
	})
}

func TestUsageFullyGrouped(t *testing.T) {
	t.Parallel()
	var reqs []*http.Request
	c := client(t, asked(&reqs, answers(fixture(t, "usage_report_messages.json"), lastPage)))
	a, err := c.Usage(t.Context(), adminapi.Query{Window: window("2025-08-01T00:00:00Z", "2025-08-03T00:00:00Z"), Grain: spend.Day})
	require.NoError(t, err)
	require.Equal(t, []spend.Usage{{
		Bucket: at("2025-08-01T00:00:00Z"),
		Dims: spend.Dims{
			WorkspaceID: "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ", APIKeyID: "apikey_01Rj2N8SVvo6BePZj99NhmiT",
			Model: "claude-opus-4-6", ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "global",
		},
		Counts: spend.Counts{1500, 200, 500, 1000, 500, 10},
	}}, a.Rows)
	require.Equal(t, at("2025-08-02T00:00:00Z"), a.End)
	require.Equal(t, a.End, a.DataAt)
	require.Len(t, reqs, 2)
	require.Equal(t, "page_MjAyNS0wNS0xNFQwMDowMDowMFo=", reqs[1].URL.Query().Get("page"))
	require.Equal(t, "31", reqs[1].URL.Query().Get("limit"))
	second := reqs[1].URL.Query()
	second.Del("page")
	require.Equal(t, reqs[0].URL.Query(), second, "a page token goes with the parameters it was given for")
}

func TestUsageTotal(t *testing.T) {
	t.Parallel()
	var reqs []*http.Request
	c := client(t, asked(&reqs, answers(fixture(t, "usage_report_messages_by_key_model_1h.json"))))
	q := hourly
	q.Total = true
	a, err := c.Usage(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []spend.Usage{{
		Bucket: at("2026-11-20T10:00:00Z"), Counts: spend.Counts{1542, 200, 500, 1000, 507, 10},
	}}, a.Rows, "rows of one bucket are added up")
	require.NotContains(t, reqs[0].URL.Query(), "group_by[]")
	require.Empty(t, reqs[0].Header.Get("anthropic-beta"))
}

func TestUsageMinutePages(t *testing.T) {
	t.Parallel()
	var reqs []*http.Request
	c := client(t, asked(&reqs, answers(lastPage)))
	a, err := c.Usage(t.Context(), adminapi.Query{Window: window("2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z"), Grain: spend.Minute})
	require.NoError(t, err)
	require.Zero(t, a.End)
	require.Zero(t, a.DataAt)
	require.Empty(t, a.Rows)
	require.Equal(t, "1m", reqs[0].URL.Query().Get("bucket_width"))
	require.Equal(t, "1440", reqs[0].URL.Query().Get("limit"))
}

func TestUsageWithoutSpeed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound} {
		synctest.Test(t, func(t *testing.T) {
			var reqs []*http.Request
			c := client(t, asked(&reqs, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("anthropic-beta") != "" {
					fails(status)(w, r)
					return
				}
				_, _ = io.WriteString(w, lastPage)
			}))
			speed := func(i int) bool { return reqs[i].Header.Get("anthropic-beta") != "" }
			for range 2 {
				_, err := c.Usage(t.Context(), hourly)
				require.NoError(t, err)
			}
			require.Len(t, reqs, 3, "the refusal is remembered")
			require.True(t, speed(0))
			require.NotContains(t, reqs[1].URL.Query()["group_by[]"], "speed")
			require.False(t, speed(2))

			time.Sleep(25 * time.Hour)
			_, err := c.Usage(t.Context(), hourly)
			require.NoError(t, err)
			require.Len(t, reqs, 5, "but not for ever")
			require.True(t, speed(3))
		})
	}
}

func TestUsageRefusedAltogether(t *testing.T) {
	t.Parallel()
	c := client(t, fails(http.StatusForbidden))
	_, err := c.Usage(t.Context(), hourly)
	require.True(t, asError(t, err).Refused())
	require.EqualValues(t, 2, c.Requests(), "with speed and without")
}

func TestCosts(t *testing.T) {
	t.Parallel()
	ws, def := "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ", spend.DefaultWorkspace
	opus := spend.Dims{
		WorkspaceID: ws, Model: "claude-opus-5-5", ServiceTier: "standard", ContextWindow: "0-200k",
		InferenceGeo: "global", CostType: "tokens",
	}
	input, output := opus, opus
	input.TokenType, output.TokenType = "uncached_input", "output"
	day := at("2026-11-19T00:00:00Z")
	for name, test := range map[string]struct {
		query adminapi.Query
		want  []spend.Cost
		end   time.Time
	}{
		"cost_report_types.json": {daily, []spend.Cost{
			cost(day, input, 6*spend.Dollar),
			cost(day, output, 20*spend.Dollar),
			cost(day, spend.Dims{WorkspaceID: ws, CostType: "web_search"}, 10*spend.Cent),
			cost(day, spend.Dims{WorkspaceID: def, CostType: "code_execution"}, 5*spend.Cent),
			cost(day, spend.Dims{WorkspaceID: def, CostType: "session_usage"}, 8*spend.Cent),
		}, at("2026-11-20T00:00:00Z")},
		"cost_report_ungrouped.json": {
			adminapi.Query{Window: window("2026-11-19T00:00:00Z", "2026-11-21T00:00:00Z"), Grain: spend.Day, Total: true},
			[]spend.Cost{cost(day, spend.Dims{}, 43_215_000_000)},
			at("2026-11-21T00:00:00Z"),
		},
		"cost_report.json": {
			adminapi.Query{Window: window("2025-08-01T00:00:00Z", "2025-08-03T00:00:00Z"), Grain: spend.Day},
			[]spend.Cost{cost(at("2025-08-01T00:00:00Z"), spend.Dims{
				WorkspaceID: ws, Model: "claude-opus-4-6", ServiceTier: "standard", ContextWindow: "0-200k",
				InferenceGeo: "global", CostType: "tokens", TokenType: "uncached_input",
			}, 1_237_891_200)},
			at("2025-08-02T00:00:00Z"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var reqs []*http.Request
			c := client(t, asked(&reqs, answers(fixture(t, name), lastPage)))
			a, err := c.Costs(t.Context(), test.query)
			require.NoError(t, err)
			require.Equal(t, test.want, a.Rows)
			require.Equal(t, test.end, a.End)
			q := reqs[0].URL.Query()
			require.Equal(t, "1d", q.Get("bucket_width"))
			require.Equal(t, "31", q.Get("limit"))
			if test.query.Total {
				require.NotContains(t, q, "group_by[]")
			} else {
				require.Equal(t, []string{"workspace_id", "description"}, q["group_by[]"])
			}
		})
	}
}

func TestCostsOfEqualDimensionsAreAddedUp(t *testing.T) {
	t.Parallel()
	c := client(t, answers(`{"has_more":false,"data":[{"starting_at":"2026-11-19T00:00:00Z","ending_at":"2026-11-20T00:00:00Z","results":[
		{"amount":"1.5","currency":"USD","workspace_id":null,"cost_type":"code_execution","description":"Code Execution Usage"},
		{"amount":"2","currency":"USD","workspace_id":null,"cost_type":"something_new","token_type":"thoughts","description":"New"},
		{"amount":"-0.25","currency":"USD","workspace_id":null,"cost_type":"code_execution","description":"Code Execution Correction"}]}]}`))
	a, err := c.Costs(t.Context(), daily)
	require.NoError(t, err)
	day := at("2026-11-19T00:00:00Z")
	require.Equal(t, []spend.Cost{
		cost(day, spend.Dims{WorkspaceID: spend.DefaultWorkspace, CostType: "code_execution"}, 12_500_000),
		cost(day, spend.Dims{WorkspaceID: spend.DefaultWorkspace, CostType: "something_new", TokenType: "thoughts"}, 2*spend.Cent),
	}, a.Rows, "and what is new is carried through")
}

// The fixtures are made for three dimensions; the others are null in them, as they are where the
// use has none.
func TestAnalytics(t *testing.T) {
	t.Parallel()
	ten := at("2026-11-20T10:00:00Z")
	keyed := spend.Dims{WorkspaceID: "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ", APIKeyID: "apikey_01Rj2N8SVvo6BePZj99NhmiT", Model: "claude-opus-5-5"}
	console := spend.Dims{WorkspaceID: "wrkspc_01DefaultWorkspace000000000", APIKeyID: spend.NoKey, Model: "claude-haiku-5-5"}
	params := url.Values{
		"starting_at": {"2026-11-20T10:00:00Z"}, "ending_at": {"2026-11-20T12:00:00Z"}, "time_bucket_width": {"1h"},
		"limit": {"1000"}, "order_by": {"time"}, "order": {"asc"},
		"group_by[]": {"workspace_id", "api_key_id", "model", "service_tier", "product"},
	}
	t.Run("usage", func(t *testing.T) {
		t.Parallel()
		var reqs []*http.Request
		c := client(t, asked(&reqs, answers(fixture(t, "analytics_usage.json"))))
		a, err := c.AnalyticsUsage(t.Context(), hourly)
		require.NoError(t, err)
		require.Equal(t, []spend.Usage{
			{Bucket: ten, Dims: keyed, Counts: spend.Counts{1500, 200, 500, 1000, 500, 10}, Requests: 12},
			{Bucket: ten, Dims: console, Counts: spend.Counts{spend.UncachedInput: 42, spend.Output: 7}, Requests: 1},
		}, a.Rows)
		require.Equal(t, at("2026-11-20T11:00:00Z"), a.End)
		require.Equal(t, at("2026-11-20T11:02:00Z"), a.DataAt)
		require.Equal(t, "/v1/organizations/analytics/usage", reqs[0].URL.Path)
		require.Equal(t, params, reqs[0].URL.Query())
		require.Equal(t, "analytics-usage-cost-2026-08-24", reqs[0].Header.Get("anthropic-beta"))
	})
	t.Run("cost", func(t *testing.T) {
		t.Parallel()
		var reqs []*http.Request
		c := client(t, asked(&reqs, answers(fixture(t, "analytics_cost.json"))))
		a, err := c.AnalyticsCosts(t.Context(), hourly)
		require.NoError(t, err)
		require.Equal(t, []spend.Cost{
			cost(ten, keyed, 126_540_000),
			cost(ten, console, 7_700),
		}, a.Rows)
		require.Equal(t, at("2026-11-20T11:02:00Z"), a.DataAt)
		require.Equal(t, "/v1/organizations/analytics/cost", reqs[0].URL.Path)
		require.Equal(t, append(params["group_by[]"], "cost_type", "token_type"), reqs[0].URL.Query()["group_by[]"])
	})
	t.Run("nothing exported yet", func(t *testing.T) {
		t.Parallel()
		a, err := client(t, answers(lastPage)).AnalyticsUsage(t.Context(), hourly)
		require.NoError(t, err)
		require.Zero(t, a.DataAt)
		require.Zero(t, a.End)
	})
	t.Run("total", func(t *testing.T) {
		t.Parallel()
		var reqs []*http.Request
		q := hourly
		q.Total = true
		a, err := client(t, asked(&reqs, answers(fixture(t, "analytics_cost.json")))).AnalyticsCosts(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, []spend.Cost{cost(ten, spend.Dims{}, 126_547_700)}, a.Rows)
		require.NotContains(t, reqs[0].URL.Query(), "group_by[]")
	})
}

func TestTokenTypes(t *testing.T) {
	t.Parallel()
	const row = `{"starting_at":"2026-11-20T10:00:00Z","ending_at":"2026-11-20T11:00:00Z","group":{"workspace_id":"w","api_key_id":"k",
		"model":"m","service_tier":"standard","product":"p","cost_type":"tokens","token_type":"TYPE"},
		"cost":{"amount":"1","list_amount":"2","currency":"USD","requests":null}}`
	for api, ours := range map[string]string{
		"uncached_input_tokens":                     spend.UncachedInput.TokenType(),
		"cache_read_input_tokens":                   spend.CacheRead.TokenType(),
		"cache_creation.ephemeral_5m_input_tokens":  spend.CacheCreation5m.TokenType(),
		"cache_creation.ephemeral_1h_input_tokens":  spend.CacheCreation1h.TokenType(),
		"output_tokens":                             spend.Output.TokenType(),
		"cache_creation.ephemeral_24h_input_tokens": "cache_creation.ephemeral_24h_input_tokens",
	} {
		rows, err := adminapi.DecodeAnalyticsCosts([]byte(`{"has_more":false,"data":[`+replace(row, "TYPE", api)+`]}`), twoHours)
		require.NoError(t, err)
		require.Equal(t, []spend.Cost{{
			Bucket: at("2026-11-20T10:00:00Z"),
			Dims: spend.Dims{
				WorkspaceID: "w", APIKeyID: "k", Model: "m", ServiceTier: "standard", Product: "p",
				CostType: "tokens", TokenType: ours,
			},
			Amount: spend.Cent, List: 2 * spend.Cent,
		}}, rows)
	}
}

func TestClaudeCode(t *testing.T) {
	t.Parallel()
	var reqs []*http.Request
	c := client(t, asked(&reqs, answers(fixture(t, "usage_report_claude_code.json"),
		`{"has_more":false,"data":[{"actor":{"type":"api_actor","api_key_name":"ci"},"date":"2025-08-08T00:00:00Z","customer_type":"api",
		"subscription_type":null,"terminal_type":"vscode","core_metrics":{"num_sessions":1,"lines_of_code":{"added":0,"removed":0},
		"commits_by_claude_code":0,"pull_requests_by_claude_code":0},"tool_actions":{"new_tool":{"accepted":4,"rejected":5}},
		"model_breakdown":[{"model":"m","tokens":{"input":1,"output":2,"cache_read":3,"cache_creation":4},
		"estimated_cost":{"amount":1.25e-1,"currency":"USD"}}]}]}`)))
	a, err := c.ClaudeCode(t.Context(), at("2025-08-08T13:00:00Z"))
	require.NoError(t, err)
	day := at("2025-08-08T00:00:00Z")
	require.Equal(t, []spend.ClaudeCode{
		{
			Day: day, ActorType: "user_actor", Actor: "user@emaildomain.com", CustomerType: "api",
			SubscriptionType: "enterprise", TerminalType: "iTerm.app",
			Sessions: 15, LinesAdded: 342, LinesRemoved: 128, Commits: 8, PullRequests: 2, ToolsAccepted: 50, ToolsRejected: 6,
			Models: []spend.ClaudeCodeModel{
				{Model: "claude-sonnet-4-20250514", Input: 45230, Output: 12450, CacheRead: 8790, CacheCreation: 2340, Cost: 186 * spend.Cent},
				{Model: "claude-3-5-haiku-20241022", Input: 23100, Output: 5680, CacheRead: 3420, CacheCreation: 890, Cost: 42 * spend.Cent},
			},
		},
		{
			Day: day, ActorType: "api_actor", Actor: "ci", CustomerType: "api", TerminalType: "vscode", Sessions: 1,
			ToolsAccepted: 4, ToolsRejected: 5,
			Models: []spend.ClaudeCodeModel{{Model: "m", Input: 1, Output: 2, CacheRead: 3, CacheCreation: 4, Cost: 1_250_000}},
		},
	}, a.Rows)
	require.Equal(t, at("2025-08-09T00:00:00Z"), a.End)
	require.Equal(t, a.End, a.DataAt)
	require.Equal(t, "/v1/organizations/usage_report/claude_code", reqs[0].URL.Path)
	require.Equal(t, url.Values{"starting_at": {"2025-08-08"}, "limit": {"1000"}}, reqs[0].URL.Query())
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	usage := func(q adminapi.Query) error { _, err := c.Usage(t.Context(), q); return err }
	costs := func(q adminapi.Query) error { _, err := c.Costs(t.Context(), q); return err }
	analytics := func(q adminapi.Query) error { _, err := c.AnalyticsUsage(t.Context(), q); return err }
	analyticsCosts := func(q adminapi.Query) error { _, err := c.AnalyticsCosts(t.Context(), q); return err }
	for name, test := range map[string]struct {
		ask   func(adminapi.Query) error
		query adminapi.Query
		want  string
	}{
		"not aligned":        {usage, adminapi.Query{Window: twoHours, Grain: spend.Day}, "usage_report/messages: the window 2026-11-20T10:00:00Z/2026-11-20T12:00:00Z does not begin and end at a full day"},
		"empty":              {usage, adminapi.Query{Grain: spend.Hour}, "usage_report/messages: the window 0001-01-01T00:00:00Z/0001-01-01T00:00:00Z is empty"},
		"unknown grain":      {usage, adminapi.Query{Window: twoHours, Grain: 7200}, "usage_report/messages: buckets of a 7200s cannot be asked for"},
		"cost by the hour":   {costs, hourly, "cost_report: buckets of a hour cannot be asked for"},
		"more than a month":  {analytics, adminapi.Query{Window: window("2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"), Grain: spend.Day}, "analytics/usage: the window 2026-01-01T00:00:00Z/2026-02-02T00:00:00Z is longer than 744h0m0s"},
		"minutes over a day": {analyticsCosts, adminapi.Query{Window: window("2026-01-01T00:00:00Z", "2026-01-02T00:01:00Z"), Grain: spend.Minute}, "analytics/cost: the window 2026-01-01T00:00:00Z/2026-01-02T00:01:00Z is longer than 24h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EqualError(t, test.ask(test.query), test.want)
		})
	}
}
