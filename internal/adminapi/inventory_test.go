package adminapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

const ws = "wrkspc_01JwQvzr7rXLA5AGx3HKfFUJ"

var created = at("2024-10-30T23:58:27.427722Z")

func TestOrganization(t *testing.T) {
	t.Parallel()
	o, err := client(t, answers(fixture(t, "organization_me.json"))).Organization(t.Context())
	require.NoError(t, err)
	require.Equal(t, spend.Organization{ID: "12345678-1234-5678-1234-567812345678", Name: "Organization Name"}, o)

	_, err = client(t, answers(`{"name":"x"}`)).Organization(t.Context())
	require.EqualError(t, asError(t, err), "me: malformed: id: is missing")
}

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	var reqs []*http.Request
	c := client(t, asked(&reqs, answers(fixture(t, "workspaces_list_include_default.json"))))
	got, err := c.Workspaces(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.Workspace{
		{ID: ws, Name: "Workspace Name", CreatedAt: created, Tags: map[string]string{"env": "prod", "team": "platform"}},
		{ID: "wrkspc_01DefaultWorkspace000000000", Name: "Default", Default: true, CreatedAt: created, Tags: map[string]string{}},
	}, got)
	require.Len(t, reqs, 1)
	require.Equal(t, url.Values{"include_archived": {"true"}, "include_default": {"true"}, "limit": {"1000"}}, reqs[0].URL.Query())

	got, err = client(t, answers(fixture(t, "workspaces_list.json"))).Workspaces(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.False(t, got[0].Default)
}

func TestAnotherWorkspaceCalledDefault(t *testing.T) {
	t.Parallel()
	item := func(id string) string {
		return `{"id":"` + id + `","name":"Default","archived_at":"2026-01-02T00:00:00+02:00","created_at":"2026-01-01T00:00:00Z","tags":{},"type":"workspace"}`
	}
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		items := item("wrkspc_1")
		if r.URL.Query().Get("include_default") == "true" {
			items += "," + item("wrkspc_2")
		}
		_, _ = io.WriteString(w, `{"data":[`+items+`],"has_more":false,"first_id":null,"last_id":null}`)
	})
	got, err := c.Workspaces(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.False(t, got[0].Default)
	require.True(t, got[1].Default)
	require.Equal(t, at("2026-01-01T22:00:00Z"), got[0].ArchivedAt)
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	const hint, user = "sk-ant-api03-R2D...igAA", "user_01WCz1FkmYMm4gnmykNKUu3Q"
	developer := spend.APIKey{
		ID: "apikey_01Rj2N8SVvo6BePZj99NhmiT", Name: "Developer Key", Hint: hint, Status: "active", WorkspaceID: ws,
		CreatedByID: user, CreatorType: "user", CreatedAt: created,
	}
	keys, err := client(t, answers(fixture(t, "api_keys_list.json"))).APIKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.APIKey{developer}, keys)

	keys, err = client(t, answers(fixture(t, "api_keys_list_variants.json"))).APIKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.APIKey{
		developer,
		{
			ID: "apikey_01PersonalKey0000000000000", Name: "Personal key", Hint: hint, Status: "active",
			CreatedByID: user, CreatorType: "user", PrincipalID: user, CreatedAt: created, ExpiresAt: at("2026-12-20T00:00:00Z"),
		},
		{
			ID: "apikey_01ServiceKey00000000000000", Name: "CI service key", Hint: hint, Status: "active",
			WorkspaceID: "wrkspc_01DefaultWorkspace000000000", CreatedByID: "svac_01Hk3R9TWxq7CfQak00OiVw4",
			CreatorType: "service_account", PrincipalID: "svac_01Hk3R9TWxq7CfQak00OiVw4", CreatedAt: created,
		},
		{
			ID: "apikey_01ArchivedKey0000000000000", Name: "Old key", Hint: hint, Status: "archived", WorkspaceID: ws, CreatedAt: created,
		},
		{
			ID: "apikey_01ExpiredKey00000000000000", Name: "Expired key", Hint: hint, Status: "expired", WorkspaceID: ws,
			CreatedByID: user, CreatorType: "user", CreatedAt: created, ExpiresAt: at("2026-01-31T00:00:00Z"),
		},
	}, keys)
}

func TestAPIKeysInTheOldForm(t *testing.T) {
	t.Parallel()
	keys, err := client(t, answers(`{"data":[
		{"id":"apikey_1","name":"a","status":"active","created_at":"2026-01-01T00:00:00Z","workspace_id":"wrkspc_1","type":"api_key"},
		{"id":"apikey_2","name":"b","status":"sleeping","created_at":"2026-01-01T00:00:00Z","workspace_id":null,"type":"api_key"}],
		"has_more":false,"first_id":"apikey_1","last_id":"apikey_2"}`)).APIKeys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2)
	require.Equal(t, "wrkspc_1", keys[0].WorkspaceID)
	require.Equal(t, spend.DefaultWorkspace, keys[1].WorkspaceID)
	require.Equal(t, "sleeping", keys[1].Status, "a new status is carried through")
}

func TestPeople(t *testing.T) {
	t.Parallel()
	members, err := client(t, answers(fixture(t, "users_list.json"))).Members(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.Member{{
		ID: "user_01WCz1FkmYMm4gnmykNKUu3Q", Email: "user@emaildomain.com", Name: "Jane Doe", Role: "user", AddedAt: created,
	}}, members)

	invites, err := client(t, answers(fixture(t, "invites_list.json"))).Invites(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.Invite{{
		ID: "invite_015gWxCN9Hfg2QhZwTK7Mdeu", Email: "user@emaildomain.com", Role: "user", Status: "pending",
		InvitedAt: created, ExpiresAt: at("2024-11-20T23:58:27.427722Z"),
	}}, invites)

	var reqs []*http.Request
	roles, err := client(t, asked(&reqs, answers(fixture(t, "workspace_members_list.json")))).WorkspaceMembers(t.Context(), ws)
	require.NoError(t, err)
	require.Equal(t, []spend.WorkspaceMember{{WorkspaceID: ws, UserID: "user_01WCz1FkmYMm4gnmykNKUu3Q", Role: "workspace_user"}}, roles)
	require.Equal(t, "/v1/organizations/workspaces/"+ws+"/members", reqs[0].URL.Path)
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	opus := []string{"claude-opus-4-5", "claude-opus-4-5-20251101", "claude-opus-4-6", "claude-opus-4-7", "claude-opus-4-8"}
	limit := func(limiter string, value int64) spend.RateLimit {
		return spend.RateLimit{
			GroupID: "rlg_01VPTCmyiu5ZLsWkcxYG2pY8", GroupType: "model_group", Group: "Claude Opus 4.x",
			Models: opus, Limiter: limiter, Value: value,
		}
	}
	got, err := client(t, answers(fixture(t, "rate_limits_list.json"))).RateLimits(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.RateLimit{
		limit("requests_per_minute", 4000), limit("input_tokens_per_minute", 10_000_000), limit("output_tokens_per_minute", 800_000),
		{GroupID: "rlg_example_batch", GroupType: "batch", Limiter: "enqueued_batch_requests", Value: 500_000},
	}, got)

	var reqs []*http.Request
	got, err = client(t, asked(&reqs, answers(fixture(t, "workspace_rate_limits_list.json")))).WorkspaceRateLimits(t.Context(), ws)
	require.NoError(t, err)
	first, other := limit("requests_per_minute", 1000), limit("input_tokens_per_minute", 500_000)
	first.WorkspaceID, other.WorkspaceID = ws, ws
	require.Equal(t, []spend.RateLimit{first, other}, got)
	require.Equal(t, "false", reqs[0].URL.Query().Get("include_inherited"))
}

func TestRateLimitsInTheOldForm(t *testing.T) {
	t.Parallel()
	got, err := client(t, answers(`{"data":[
		{"type":"rate_limit","group_type":"model_group","models":["m1","m2"],"limits":[{"type":"requests_per_minute","value":5}]},
		{"type":"rate_limit","group_type":"model_group","models":["m3"],"limits":[{"type":"requests_per_minute","value":6}]},
		{"type":"rate_limit","group_type":"files","models":null,"limits":[{"type":"new_limiter","value":7}]}],"next_page":null}`)).RateLimits(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.RateLimit{
		{GroupID: "model_group:m1", GroupType: "model_group", Models: []string{"m1", "m2"}, Limiter: "requests_per_minute", Value: 5},
		{GroupID: "model_group:m3", GroupType: "model_group", Models: []string{"m3"}, Limiter: "requests_per_minute", Value: 6},
		{GroupID: "files", GroupType: "files", Limiter: "new_limiter", Value: 7},
	}, got)

	got, err = client(t, answers(`{"data":[{"type":"workspace_rate_limit","rate_limit_id":"rl_1","workspace_id":"w","group":{"id":"rlg_1","type":"batch"},
		"models":null,"limits":[{"type":"a","value":1,"org_limit":1,"source":{"type":"organization"}},
		{"type":"b","value":2,"org_limit":null,"source":{"type":"workspace"}},{"type":"c","value":3}]}],"next_page":null}`)).WorkspaceRateLimits(t.Context(), "w")
	require.NoError(t, err)
	require.Equal(t, []spend.RateLimit{
		{WorkspaceID: "w", GroupID: "rlg_1", GroupType: "batch", Limiter: "b", Value: 2},
		{WorkspaceID: "w", GroupID: "rlg_1", GroupType: "batch", Limiter: "c", Value: 3},
	}, got, "what is inherited is the organization's")
}

func TestSpendLimits(t *testing.T) {
	t.Parallel()
	var reqs []*http.Request
	got, err := client(t, asked(&reqs, answers(fixture(t, "spend_limits_list_console.json")))).SpendLimits(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.SpendLimit{
		{ID: "spl_01OrgLimit0000000000000000", Scope: "organization", Amount: 5000 * spend.Dollar, Period: "monthly", Enabled: true},
		{ID: "spl_01WorkspaceLimit0000000000", Scope: "workspace", ScopeID: ws, Amount: 750 * spend.Dollar, Period: "monthly", Enabled: true},
		{ID: "spl_01UsageTier00000000000000", Scope: "usage_tier", Amount: 10_000 * spend.Dollar, Period: "monthly", Enabled: true},
	}, got)
	require.Equal(t, "spend-limit-reads-2026-09-26", reqs[0].Header.Get("anthropic-beta"))

	got, err = client(t, answers(`{"data":[{"id":"spl_1","amount":null,"currency":"USD","is_enabled":false,"period":"daily",
		"scope":{"type":"user","user_id":"user_1"},"type":"spend_limit"}],"next_page":null}`)).SpendLimits(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.SpendLimit{{ID: "spl_1", Scope: "user", ScopeID: "user_1", Unlimited: true, Period: "daily"}}, got)

	for _, status := range []int{403, 404} {
		got, err = client(t, fails(status)).SpendLimits(t.Context())
		require.True(t, asError(t, err).Refused())
		require.Empty(t, got)
	}
}

// TestPagesOfLists lists 1,001 keys from a server that gives no more than a few per page, and
// finds fault with a client that asks in any other way.
func TestPagesOfLists(t *testing.T) {
	t.Parallel()
	for _, size := range []int{20, 100, 1000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			c := client(t, func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				for name := range q {
					require.Contains(t, []string{"limit", "after_id"}, name)
				}
				start := 0
				if after := q.Get("after_id"); after != "" {
					n, err := strconv.Atoi(strings.TrimPrefix(after, "apikey_"))
					require.NoError(t, err)
					start = n + 1
				}
				end := min(start+size, 1001)
				var items []string
				for i := start; i < end; i++ {
					items = append(items, fmt.Sprintf(`{"id":"apikey_%d","name":"key %d","status":"active","created_at":"2026-01-01T00:00:00Z",
						"created_by":null,"expires_at":null,"partial_key_hint":null,"principal":null,"scope":{"type":"organization"},"type":"api_key"}`, i, i))
				}
				_, _ = fmt.Fprintf(w, `{"data":[%s],"has_more":%t,"first_id":"apikey_%d","last_id":"apikey_%d"}`,
					strings.Join(items, ","), end < 1001, start, end-1)
			})
			keys, err := c.APIKeys(t.Context())
			require.NoError(t, err)
			require.Len(t, keys, 1001)
			for i, k := range keys {
				require.Equal(t, "apikey_"+strconv.Itoa(i), k.ID)
			}
			require.EqualValues(t, (1000+size)/size, c.Requests())
		})
	}
}

func TestTokenPagesOfLists(t *testing.T) {
	t.Parallel()
	item := func(n string) string {
		return `{"id":"rl_` + n + `","group":{"id":"rlg_` + n + `","type":"batch"},"models":null,"limits":[{"type":"x","value":` + n + `}]}`
	}
	var reqs []*http.Request
	c := client(t, asked(&reqs, answers(
		`{"data":[`+item("1")+`],"next_page":"a"}`, `{"data":[],"next_page":"b"}`, `{"data":[`+item("1")+`,`+item("2")+`],"next_page":null}`)))
	got, err := c.RateLimits(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 2, "an empty page is not the end, and what comes twice counts once")
	require.EqualValues(t, 2, got[1].Value)
	require.Empty(t, reqs[0].URL.Query().Get("page"))
	require.Equal(t, "a", reqs[1].URL.Query().Get("page"))
	require.Equal(t, "b", reqs[2].URL.Query().Get("page"))
}

func TestEmptyLists(t *testing.T) {
	t.Parallel()
	c := client(t, answers(`{"data":[],"has_more":false,"first_id":null,"last_id":null,"next_page":null}`))
	keys, err := c.APIKeys(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.APIKey{}, keys)
	limits, err := c.RateLimits(t.Context())
	require.NoError(t, err)
	require.Equal(t, []spend.RateLimit{}, limits)
}

func TestListsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	keys := func(ctx context.Context, c *adminapi.Client) error { return second(c.APIKeys(ctx)) }
	limits := func(ctx context.Context, c *adminapi.Client) error { return second(c.RateLimits(ctx)) }
	spends := func(ctx context.Context, c *adminapi.Client) error { return second(c.SpendLimits(ctx)) }
	workspaces := func(ctx context.Context, c *adminapi.Client) error { return second(c.Workspaces(ctx)) }
	n := 0
	counting := func(format string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			n++
			_, _ = fmt.Fprintf(w, format, n)
		}
	}
	for name, test := range map[string]struct {
		ask     func(context.Context, *adminapi.Client) error
		handler http.HandlerFunc
		want    string
	}{
		"same cursor for ever":   {keys, answers(`{"data":[],"has_more":true,"last_id":"x"}`), "api_keys: malformed: last_id: still set after 2 pages, or the same again"},
		"new cursor for ever":    {keys, counting(`{"data":[],"has_more":true,"last_id":"x%d"}`), "api_keys: malformed: last_id: still set after 2001 pages, or the same again"},
		"same token for ever":    {limits, answers(`{"data":[],"next_page":"x"}`), "rate_limits: malformed: next_page: still set after 2 pages, or the same again"},
		"more without a cursor":  {keys, answers(`{"data":[],"has_more":true,"last_id":null}`), "api_keys: malformed: last_id: is missing although has_more is true"},
		"no has_more":            {keys, answers(`{"data":[]}`), "api_keys: malformed: has_more: is missing, or not a boolean"},
		"no data":                {keys, answers(`{"has_more":false}`), "api_keys: malformed: data: is missing, or not an array"},
		"null":                   {limits, answers(`null`), "rate_limits: malformed: data: is missing, or not an array"},
		"data of another type":   {limits, answers(`{"data":{},"next_page":null}`), "rate_limits: malformed: data: is missing, or not an array"},
		"token of another type":  {limits, answers(`{"data":[],"next_page":{}}`), "rate_limits: malformed: next_page: is not a string"},
		"a key without a status": {keys, answers(`{"data":[{"id":"a","name":"b","scope":{"type":"organization"}}],"has_more":false}`), "api_keys: malformed: data[0].status: is missing, or not of the documented type"},
		"a key without a scope":  {keys, answers(`{"data":[{"id":"a","name":"b","status":"c"}],"has_more":false}`), "api_keys: malformed: data[0].scope: is missing, or not of the documented type"},
		"a time that is none":    {workspaces, answers(`{"data":[{"id":"a","name":"b","created_at":"soon"}],"has_more":false}`), "workspaces: malformed: data[0].created_at: is not a time"},
		"a limit without a value": {
			limits, answers(`{"data":[{"id":"a","group":{"id":"g","type":"batch"},"limits":[{"type":"x"}]}],"next_page":null}`),
			"rate_limits: malformed: data[0].limits[0].value: is missing, or not of the documented type",
		},
		"a limit in another currency": {
			spends, answers(`{"data":[{"id":"a","scope":{"type":"organization"},"amount":"5","currency":"EUR"}],"next_page":null}`),
			`spend_limits: malformed: data[0].currency: is "EUR", only USD is understood`,
		},
		"a limit without an amount": {
			spends, answers(`{"data":[{"id":"a","scope":{"type":"organization"},"currency":"USD"}],"next_page":null}`),
			"spend_limits: malformed: data[0].amount: is missing, or not of the documented type",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, test.handler, func(o *adminapi.Options) { o.Log = nil })
			require.EqualError(t, asError(t, test.ask(t.Context(), c)), test.want)
		})
	}
}

func TestAnswerThatIsNotJSON(t *testing.T) {
	t.Parallel()
	for contentType, shown := range map[string]string{
		"text/html; charset=utf-8": "text/html", "": "no content type", "text/plain": "text/plain",
	} {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{contentType}
			_, _ = io.WriteString(w, "<html>sign in</html>")
		})
		for endpoint, ask := range map[string]func() error{
			"me":          func() error { return second(c.Organization(t.Context())) },
			"api_keys":    func() error { return second(c.APIKeys(t.Context())) },
			"cost_report": func() error { return second(c.Costs(t.Context(), daily)) },
		} {
			e := asError(t, ask())
			require.Equal(t, adminapi.KindMalformed, e.Kind)
			require.EqualError(t, e, endpoint+": malformed: the answer is not JSON (status 200, "+shown+"): check base_url, and proxies between")
		}
	}
}
