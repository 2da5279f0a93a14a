package sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

func TestWritesAreStrict(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	ids := idsOf(t, org)
	id := map[string]string{}
	for _, path := range []string{"/users", "/api_keys?limit=1000", "/workspaces?include_archived=true"} {
		for _, v := range list(t, org, path) {
			id[v["name"].(string)] = v["id"].(string)
		}
	}
	for _, v := range list(t, org, "/invites?statuses[]=accepted") {
		id["accepted"] = v["id"].(string)
	}
	rate := get(t, org, "/rate_limits")["data"].([]any)[0].(map[string]any)["id"].(string)
	members := "/workspaces/" + ids.workspace + "/members"
	for _, test := range []struct {
		request, body string
		status        int
		code          string
	}{
		{"POST /users/" + ids.user, `{"role":"admin"}`, 400, ""},
		{"POST /users/" + ids.user, `{"role":"managed"}`, 400, ""},
		{"POST /users/" + ids.user, `{"role":"user","extra":1}`, 400, ""},
		{"POST /users/" + ids.user, `{"role":7}`, 400, ""},
		{"POST /users/" + ids.user, `{"role":"user"}{}`, 400, ""},
		{"POST /users/" + ids.user, ``, 400, ""},
		{"POST /users/" + ids.user + "?x=1", `{"role":"user"}`, 400, ""},
		{"POST /users/user_x", `{"role":"user"}`, 404, ""},
		{"DELETE /users/" + id["Ada Marsh"], ``, 400, ""},
		{"DELETE /users/user_x", ``, 404, ""},

		{"POST /invites", `{"email":"no address","role":"user"}`, 400, ""},
		{"POST /invites", `{"email":"a@b.example","role":"admin"}`, 400, ""},
		{"POST /invites", `{"email":"a@b.example","role":"user","rbac_group_ids":["rbac_group_1"]}`, 400, "organization_type_not_supported"},
		{"POST /invites", `{"email":"Dev.Patel@acme-robotics.example","role":"user"}`, 400, "already_member"},
		{"POST /invites", `{"email":"lea.roy@partner.example","role":"user"}`, 400, "invite_already_exists"},
		{"POST /invites", `{"email":"max.ito@acme-robotics.example","role":"user"}`, 200, ""}, // the old one has expired
		{"DELETE /invites/" + id["accepted"], ``, 400, ""},
		{"DELETE /invites/invite_x", ``, 404, ""},

		{"POST /workspaces", `{}`, 400, ""},
		{"POST /workspaces", `{"name":"` + strings.Repeat("x", 41) + `"}`, 400, ""},
		{"POST /workspaces", `{"name":"x","display_color":"red"}`, 400, ""},
		{"POST /workspaces", `{"name":"x","tags":{"anthropic-x":"1"}}`, 400, ""},
		{"POST /workspaces", `{"name":"x","external_key_id":"ekey_1"}`, 400, ""},
		{"POST /workspaces", `{"name":"x","user_profile_id":"uprof_1"}`, 400, "user_profile_not_found"},
		{"POST /workspaces", `{"name":"x","data_residency":{"allowed_inference_geos":["us"]}}`, 400, ""},
		{"POST /workspaces", `{"name":"x","data_residency":{"allowed_inference_geos":["us"],"default_inference_geo":"us"}}`, 200, ""},
		{"POST /workspaces/" + ids.workspace, `{"data_residency":{"workspace_geo":"us"}}`, 400, ""},
		{"POST /workspaces/" + ids.standard, `{"name":"Mine"}`, 400, ""},
		{"POST /workspaces/" + ids.standard + "/archive", ``, 400, ""},
		{"POST /workspaces/" + id["hackathon"], `{"name":"again"}`, 400, ""},
		{"POST /workspaces/" + id["hackathon"] + "/archive", ``, 400, ""},

		{"POST " + members, `{"user_id":"` + ids.member + `","workspace_role":"workspace_user"}`, 400, "already_member"},
		{"POST " + members, `{"user_id":"user_x","workspace_role":"workspace_user"}`, 404, ""},
		{"POST " + members, `{"user_id":"` + ids.user + `","workspace_role":"workspace_billing"}`, 400, ""},
		{"POST " + members + "/" + ids.member, `{"workspace_role":"king"}`, 400, ""},
		{"DELETE " + members + "/" + ids.user, ``, 404, ""},
		{"POST /workspaces/" + ids.standard + "/members", `{"user_id":"` + ids.user + `","workspace_role":"workspace_user"}`, 404, ""},

		{"POST /api_keys/apikey_x", `{"name":"x"}`, 404, ""},
		{"POST /api_keys/" + ids.key, `{"name":""}`, 400, ""},
		{"POST /api_keys/" + ids.key, `{"name":"` + strings.Repeat("x", 501) + `"}`, 400, ""},
		{"POST /api_keys/" + ids.key, `{"status":"expired"}`, 400, ""},
		{"POST /api_keys/" + ids.key, `{"expires_at":null}`, 400, ""},
		{"POST /api_keys/" + id["hackathon-demo"], `{"status":"active"}`, 400, ""},
		{"POST /api_keys/" + id["trial-2025"], `{"status":"active"}`, 400, ""},
		{"POST /api_keys/" + id["trial-2025"], `{"status":"archived"}`, 200, ""},
		{"POST /api_keys", `{"name":"new"}`, 405, ""},
		{"DELETE /api_keys/" + ids.key, ``, 405, ""},

		{"POST /workspaces/" + ids.workspace + "/rate_limits/" + rate, `{"limits":[{"type":"tokens_per_day","value":1}]}`, 400, ""},
		{"POST /workspaces/" + ids.workspace + "/rate_limits/" + rate, `{"limits":[]}`, 400, ""},
		{"POST /workspaces/" + ids.workspace + "/rate_limits/rl_x", `{"limits":[{"type":"requests_per_minute","value":1}]}`, 404, ""},
		{"POST /workspaces/" + ids.standard + "/rate_limits/" + rate, `{"limits":[{"type":"requests_per_minute","value":1}]}`, 400, ""},
		{"POST /spend_limits", `{}`, 403, "spend_limits_admin_api_writes_not_enabled"},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		a := send(t, org, method, path, test.body)
		require.Equal(t, test.status, a.status, "%s %s: %v", test.request, test.body, a.body)
		if test.code != "" {
			problem := a.body["error"].(map[string]any)
			require.Equal(t, map[string]any{"error_code": test.code}, problem["details"], test.request)
		}
	}
}

// TestWritesThroughTheSDK walks through a person's and a workspace's life.
func TestWritesThroughTheSDK(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	api, ctx := &sdk(org).Organization, t.Context()

	invite, err := api.Invites.New(ctx, anthropic.OrganizationInviteNewParams{Email: "new@acme-robotics.example", Role: "developer"})
	require.NoError(t, err)
	require.Equal(t, "pending", string(invite.Status))
	_, err = api.Invites.Delete(ctx, invite.ID)
	require.NoError(t, err)
	invite, err = api.Invites.Get(ctx, invite.ID)
	require.NoError(t, err)
	require.Equal(t, "deleted", string(invite.Status))

	w, err := api.Workspaces.New(ctx, anthropic.OrganizationWorkspaceNewParams{Name: "fresh", Tags: map[string]string{"a": "1"}})
	require.NoError(t, err)
	w, err = api.Workspaces.Update(ctx, w.ID, anthropic.OrganizationWorkspaceUpdateParams{Name: param.NewOpt("fresher")})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1"}, w.Tags)
	send(t, org, "POST", "/workspaces/"+w.ID, `{"tags":{"a":null,"b":"2"}}`)
	w, err = api.Workspaces.Get(ctx, w.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"b": "2"}, w.Tags)
	require.Equal(t, "fresher", w.Name)

	user := idsOf(t, org).user
	_, err = api.Workspaces.Members.Add(ctx, w.ID, anthropic.OrganizationWorkspaceMemberAddParams{UserID: user,
		WorkspaceRole: "workspace_user"})
	require.NoError(t, err)
	m, err := api.Workspaces.Members.Update(ctx, user, anthropic.OrganizationWorkspaceMemberUpdateParams{WorkspaceID: w.ID,
		WorkspaceRole: "workspace_admin"})
	require.NoError(t, err)
	require.Equal(t, "workspace_admin", string(m.WorkspaceRole))

	rate := get(t, org, "/rate_limits")["data"].([]any)[0].(map[string]any)["id"].(string)
	set := func(value param.Opt[int64]) *anthropic.WorkspaceRateLimit {
		l, err := api.Workspaces.RateLimits.Update(ctx, rate, anthropic.OrganizationWorkspaceRateLimitUpdateParams{
			WorkspaceID: w.ID, Limits: []anthropic.WorkspaceRateLimitUpdateValueParam{{Type: "requests_per_minute", Value: value}}})
		require.NoError(t, err)
		return l
	}
	l := set(param.NewOpt(int64(9)))
	require.Len(t, l.Limits, 1)
	require.Equal(t, []int64{9, 4000}, []int64{l.Limits[0].Value, l.Limits[0].OrgLimit})
	require.Len(t, list(t, org, "/workspaces/"+w.ID+"/rate_limits"), 1)
	require.Empty(t, set(param.Null[int64]()).Limits)
	require.Empty(t, list(t, org, "/workspaces/"+w.ID+"/rate_limits"))

	u, err := api.Users.Update(ctx, user, anthropic.OrganizationUserUpdateParams{Role: "billing"})
	require.NoError(t, err)
	require.Equal(t, "billing", string(u.Role))
	_, err = api.Users.Remove(ctx, user)
	require.NoError(t, err)
	require.Empty(t, list(t, org, "/workspaces/"+w.ID+"/members"), "leaves its workspaces too")
	_, err = api.Users.Get(ctx, user)
	require.ErrorContains(t, err, "404")
	w, err = api.Workspaces.Archive(ctx, w.ID)
	require.NoError(t, err)
	require.False(t, w.ArchivedAt.IsZero())
}

// TestSwitchedOffKeysStop checks that what was used stays as it was, and what would follow does not.
func TestSwitchedOffKeysStop(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(nil)
	id := map[string]string{}
	for _, path := range []string{"/users", "/api_keys?limit=1000", "/workspaces"} {
		for _, v := range list(t, org, path) {
			id[v["name"].(string)] = v["id"].(string)
		}
	}
	used := func(key string, from, to time.Time) (requests int64) {
		for _, c := range org.TrueUsage(from, to) {
			if c.APIKeyID == id[key] {
				requests += c.Requests
			}
		}
		return requests
	}
	status := func(key string) any { return get(t, org, "/api_keys/"+id[key])["status"] }
	start := clock.now()
	clock.advance(time.Hour)
	before := used("web-backend", start.Add(-48*time.Hour), start)
	require.Equal(t, 200, send(t, org, "POST", "/api_keys/"+id["web-backend"], `{"status":"inactive"}`).status)
	require.Equal(t, 200, send(t, org, "POST", "/workspaces/"+id["research"]+"/archive", "").status)
	off := clock.now()
	clock.advance(48 * time.Hour)
	require.Equal(t, before, used("web-backend", start.Add(-48*time.Hour), start))
	require.Zero(t, used("web-backend", off.Add(time.Hour), clock.now()))
	require.Zero(t, used("lab", off.Add(time.Hour), clock.now()))
	require.Equal(t, "archived", status("lab"))
	require.Equal(t, 200, send(t, org, "POST", "/api_keys/"+id["web-backend"], `{"status":"active"}`).status)
	on := clock.now()
	clock.advance(24 * time.Hour)
	require.Positive(t, used("web-backend", on, clock.now()))
	require.Zero(t, used("web-backend", off.Add(time.Hour), on))

	// A developer who leaves: workspace keys keep working, those of a Claude Code workspace stop.
	require.Equal(t, 200, send(t, org, "DELETE", "/users/"+id["Dev Patel"], "").status)
	require.Equal(t, 200, send(t, org, "DELETE", "/users/"+id["Gita Rao"], "").status)
	left := clock.now()
	clock.advance(48 * time.Hour)
	require.Positive(t, used("support-agent", left.Add(time.Hour), clock.now()))
	require.Zero(t, used("claude-code-ci", left.Add(time.Hour), clock.now()))
	require.Equal(t, "active", status("support-agent"))
}

func TestPersonalKeysGoWithTheirOwner(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	var admin, personal string
	for _, u := range list(t, org, "/users") {
		if u["name"] == "Ben Ortiz" {
			admin = u["id"].(string)
		}
	}
	for _, k := range list(t, org, "/api_keys") {
		if k["name"] == "ben-laptop" {
			personal = k["id"].(string)
		}
	}
	require.Equal(t, 400, send(t, org, "DELETE", "/users/"+admin, "").status)
	require.Equal(t, 200, send(t, org, "POST", "/users/"+admin, `{"role":"user"}`).status)
	require.Equal(t, 200, send(t, org, "DELETE", "/users/"+admin, "").status)
	require.Equal(t, "archived", get(t, org, "/api_keys/"+personal)["status"])
	deleted := get(t, org, "/analytics/usage?group_by[]=actor&limit=1000&starting_at=2026-11-01T00:00:00Z")["data"].([]any)
	kept := get(t, org, "/analytics/usage?group_by[]=actor&exclude_deleted_users=true&limit=1000&starting_at=2026-11-01T00:00:00Z")["data"].([]any)
	require.Len(t, kept, len(deleted)-1)
}

func TestKeysExpireByThemselves(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(nil)
	count := func() int { return len(list(t, org, "/api_keys?status=expired")) }
	require.Equal(t, 1, count())
	clock.advance(7 * 24 * time.Hour)
	require.Equal(t, 2, count())
	for _, c := range org.TrueUsage(clock.now().Add(-10*time.Hour), clock.now()) {
		require.NotEqual(t, list(t, org, "/api_keys?status=expired")[0]["id"], c.APIKeyID)
	}
}

func TestBothVersionsOfBodies(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.Name = "Other" })
	older := get(t, org, "/api_keys")["data"].([]any)[0].(map[string]any)
	newer := get(t, org, "/api_keys", "anthropic-version", "2026-10-21")["data"].([]any)[0].(map[string]any)
	require.Contains(t, older, "workspace_id")
	require.NotContains(t, newer, "workspace_id")
	delete(older, "workspace_id")
	require.Equal(t, older, newer)
	require.Equal(t, "Other", get(t, org, "/me")["name"])
}

func TestAcceptedInvitesMakeMembers(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(nil)
	require.False(t, org.Accept("nobody@acme-robotics.example"))
	require.False(t, org.Accept("max.ito@acme-robotics.example"), "that invite has expired")
	before := len(list(t, org, "/users"))
	require.True(t, org.Accept("Lea.Roy@partner.example"))
	require.False(t, org.Accept("lea.roy@partner.example"), "only once")
	users := list(t, org, "/users?email=lea.roy@partner.example")
	require.Len(t, users, 1)
	require.Equal(t, "user", users[0]["role"])
	require.Len(t, list(t, org, "/users"), before+1)
	require.Len(t, list(t, org, "/invites?email=lea.roy@partner.example&statuses[]=accepted"), 1)
	require.Equal(t, 400, send(t, org, "POST", "/invites", `{"email":"lea.roy@partner.example","role":"user"}`).status)
	clock.advance(time.Hour)
	require.Equal(t, 200, send(t, org, "DELETE", "/users/"+users[0]["id"].(string), "").status)
}

func TestFaultsOfAMethod(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	org.Faults().Arm(sim.Rule{Fault: sim.Internal, Method: "POST", Times: 1})
	get(t, org, "/users")
	require.Equal(t, 500, send(t, org, "POST", "/invites", `{"email":"a@b.example","role":"user"}`).status)
	require.Equal(t, 200, send(t, org, "POST", "/invites", `{"email":"a@b.example","role":"user"}`).status)
}
