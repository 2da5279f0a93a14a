package sim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

func TestStrictRefusals(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	ids := idsOf(t, org)
	const (
		usage     = "GET /usage_report/messages?starting_at=2026-11-01T00:00:00Z"
		cost      = "GET /cost_report?starting_at=2026-11-01T00:00:00Z"
		analytics = "GET /analytics/usage?starting_at=2026-11-01T00:00:00Z"
	)
	for _, test := range []struct {
		request string
		status  int
		headers []string
	}{
		{"GET /me", 401, []string{"x-api-key", ""}},
		{"GET /me", 401, []string{"x-api-key", "wrong"}},
		{"GET /me", 403, []string{"x-api-key", sim.WorkspaceKey}},
		{"GET /me", 200, []string{"x-api-key", "", "Authorization", "Bearer " + sim.AdminKey}},
		{"GET /me", 400, []string{"anthropic-version", ""}},
		{"GET /me", 400, []string{"anthropic-version", "2020-01-01"}},
		{"GET /me", 200, []string{"anthropic-version", "2026-10-21"}},
		{"GET /me?beta=true", 200, nil},
		{"GET /me?x=1", 400, nil},
		{"POST /me", 405, nil},
		{"PATCH /api_keys/x", 405, nil},
		{"GET /nothing", 404, nil},
		{"GET /users/", 404, nil},
		{"GET /service_accounts", 403, nil},
		{"POST /federation_rules/fdrl_x/archive", 403, nil},
		{"GET /federation_issuers", 403, nil},

		{"GET /users?limit=0", 400, nil},
		{"GET /users?limit=1001", 400, nil},
		{"GET /users?limit=x", 400, nil},
		{"GET /users?limit=1&limit=2", 400, nil},
		{"GET /users?page=x", 400, nil},
		{"GET /users?after_id=user_unknown", 400, nil},
		{"GET /users?after_id=" + ids.user + "&before_id=" + ids.user, 400, nil},
		{"GET /users?roles[]=king", 400, nil},
		{"GET /invites?statuses[]=deleted", 400, nil},
		{"GET /workspaces?include_archived=yes", 400, nil},
		{"GET /workspaces?ids[]=" + strings.Repeat("x&ids[]=", 100), 400, nil},
		{"GET /workspaces/wrkspc_x", 404, nil},
		{"GET /workspaces/" + ids.standard, 200, nil},
		{"GET /workspaces/" + ids.standard + "/members", 404, nil},
		{"GET /api_keys?status=gone", 400, nil},
		{"GET /api_keys?status[]=active", 400, nil},
		{"GET /rate_limits?group_type=x", 400, nil},
		{"GET /rate_limits?model=claude-1", 404, nil},
		{"GET /rate_limits?model=claude-opus-5-5", 200, nil},

		{"GET /usage_report/messages", 400, nil},
		{"GET /usage_report/messages?starting_at=2026-11-01", 400, nil},
		{usage + "&bucket_width=5m", 400, nil},
		{usage + "&limit=31", 200, nil},
		{usage + "&limit=32", 400, nil},
		{usage + "&bucket_width=1h&limit=169", 400, nil},
		{usage + "&bucket_width=1m&limit=1441", 400, nil},
		{usage + "&group_by[]=colour", 400, nil},
		{usage + "&group_by=model", 400, nil},
		{usage + "&group_by%5B%5D=model", 200, nil},
		{usage + "&group_by[]=product", 400, nil},
		{usage + "&context_window[]=0-200k", 200, nil},
		{usage + "&context_windows[]=0-200k", 400, nil},
		{usage + "&service_tiers[]=gold", 400, nil},
		{usage + "&ending_at=2026-11-01T00:00:00Z", 400, nil},
		{usage + "&page=page_AAAA", 400, nil},
		{usage + "&group_by[]=speed", 200, nil},
		{usage + "&group_by[]=speed", 400, []string{"anthropic-beta", ""}},
		{usage + "&speeds[]=fast", 400, []string{"anthropic-beta", ""}},
		{usage + "&group_by[]=model", 200, []string{"anthropic-beta", ""}},
		{"GET /usage_report/claude_code", 400, nil},
		{"GET /usage_report/claude_code?starting_at=2026-11-01T00:00:00Z", 400, nil},
		{cost + "&bucket_width=1h", 400, nil},
		{cost + "&limit=32", 400, nil},
		{cost + "&group_by[]=api_key_id", 400, nil},

		{analytics, 404, []string{"anthropic-beta", ""}},
		{analytics, 200, []string{"anthropic-beta", "other-1, analytics-usage-cost-2026-08-24"}},
		{analytics + "&time_bucket_width=1h", 400, nil},
		{analytics + "&time_bucket_width=1w&ending_at=2026-11-02T00:00:00Z", 400, nil},
		{analytics + "&ending_at=2026-12-03T00:00:00Z", 400, nil},
		{analytics + "&ending_at=2026-11-02T00:00:01Z&time_bucket_width=1m", 400, nil},
		{analytics + "&ending_at=2026-10-02T00:00:00Z", 400, nil},
		{"GET /analytics/usage", 400, nil},
		{"GET /analytics/usage?starting_at=2025-12-31T00:00:00Z&ending_at=2026-01-02T00:00:00Z", 400, nil},
		{analytics + "&limit=1001", 400, nil},
		{analytics + "&order_by=amount", 400, nil},
		{analytics + "&order=up", 400, nil},
		{analytics + "&group_by[]=cost_type", 400, nil},
		{analytics + "&context_windows[]=0-200k", 200, nil},
		{analytics + "&context_window[]=0-200k", 400, nil},
		{analytics + "&products[]=telepathy", 400, nil},
		{analytics + "&organization_ids[]=x", 400, nil},
		{analytics + "&exclude_deleted_users=true", 400, nil},
		{analytics + "&exclude_deleted_users=true&group_by[]=actor", 200, nil},
		{analytics + "&group_by[]=model&group_by[]=api_key_id&group_by[]=workspace_id&group_by[]=product" +
			"&group_by[]=speed&group_by[]=service_tier", 400, nil},
		{strings.Replace(analytics, "usage", "cost", 1) + "&group_by[]=model&group_by[]=api_key_id&group_by[]=workspace_id" +
			"&group_by[]=product&group_by[]=speed&group_by[]=cost_type&group_by[]=token_type", 200, nil},

		{"GET /spend_limits", 403, nil},
		{"GET /spend_limits", 404, []string{"anthropic-beta", ""}},
		{"GET /spend_limits/effective", 400, nil},
		{"POST /spend_limits", 403, nil},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		a := send(t, org, method, path, "", test.headers...)
		require.Equal(t, test.status, a.status, "%s %v: %v", test.request, test.headers, a.body)
		id := a.header.Get("request-id")
		require.Regexp(t, `^req_\w+$`, id, test.request)
		if a.status != http.StatusOK {
			require.Equal(t, "error", a.body["type"], test.request)
			require.Equal(t, id, a.body["request_id"], test.request)
		}
		require.Equal(t, a.status != 401 && !strings.Contains(strings.Join(test.headers, ""), sim.WorkspaceKey),
			a.header.Get("anthropic-organization-id") != "", test.request)
	}
}

func TestRefusedReports(t *testing.T) {
	t.Parallel()
	const usage, cost = "/usage_report/messages?starting_at=2026-11-19T00:00:00Z", "/cost_report?starting_at=2026-11-19T00:00:00Z"
	const analytics = "/analytics/cost?starting_at=2026-11-19T00:00:00Z"
	for _, test := range []struct {
		name   string
		change func(*sim.Options)
		want   map[string]int
	}{
		{"legacy", func(o *sim.Options) { o.Legacy = "refused" }, map[string]int{usage: 403, cost: 403, analytics: 200}},
		{"analytics", func(o *sim.Options) { o.Analytics = "refused" }, map[string]int{usage: 200, cost: 200, analytics: 403}},
		{"speed", func(o *sim.Options) { o.Speed = "refused" }, map[string]int{usage: 400, usage + "&group_by[]=speed": 400, cost: 200}},
		{"other keys", func(o *sim.Options) { o.Keys = []string{"next"} }, map[string]int{usage: 401}},
	} {
		org, _ := newOrg(test.change)
		for path, status := range test.want {
			require.Equal(t, status, send(t, org, "GET", path, "").status, "%s: %s", test.name, path)
		}
	}
}

func TestPageTokensAreBoundToTheirQuery(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	other, _ := newOrg(func(o *sim.Options) { o.Seed = 99 })
	for _, test := range []struct{ path, changed string }{
		{"/usage_report/messages?starting_at=2026-11-01T00:00:00Z&group_by[]=model", "&models[]=x"},
		{"/cost_report?starting_at=2026-11-01T00:00:00Z", "&group_by[]=description"},
		{"/analytics/usage?starting_at=2026-11-01T00:00:00Z&limit=2&group_by[]=model", "&order=asc"},
		{"/rate_limits?limit=2", "&group_type=batch"},
		{"/usage_report/claude_code?starting_at=2026-11-18&limit=1", "&limit=2"},
	} {
		page := get(t, org, test.path)["next_page"].(string)
		require.Regexp(t, `^page_[\w-]+$`, page)
		get(t, org, test.path+"&page="+page)
		require.Equal(t, 400, send(t, org, "GET", test.path+test.changed+"&page="+page, "").status, test.path)
		require.Equal(t, 400, send(t, other, "GET", test.path+"&page="+page, "").status, test.path)
		require.Equal(t, 400, send(t, org, "GET", test.path+"&page="+page+"x", "").status, test.path)
	}
}
