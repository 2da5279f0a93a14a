package sim_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// TestBodiesHaveTheShapeOfThePublishedOnes compares field names and types both ways: whatever a published
// body has, the simulator's has, and no more. Null agrees with anything, and objects of one list with
// each other: a list shows what its elements have together.
func TestBodiesHaveTheShapeOfThePublishedOnes(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.SpendLimits = true })
	ids := idsOf(t, org)
	all := "&group_by[]=account_id&group_by[]=api_key_id&group_by[]=context_window&group_by[]=inference_geo" +
		"&group_by[]=model&group_by[]=service_account_id&group_by[]=service_tier&group_by[]=workspace_id"
	day := "?starting_at=2026-11-18T00:00:00Z&ending_at=2026-11-20T00:00:00Z"
	three := "&time_bucket_width=1h&group_by[]=api_key_id&group_by[]=workspace_id&group_by[]=model"
	for _, test := range []struct{ file, request, body string }{
		{"organization_me", "GET /me", ""},
		{"users_list", "GET /users", ""},
		{"users_get", "GET /users/" + ids.user, ""},
		{"users_update", "POST /users/" + ids.user, `{"role":"user"}`},
		{"invites_list", "GET /invites", ""},
		{"invites_get", "GET /invites/" + ids.invite, ""},
		{"invites_create", "POST /invites", `{"email":"new@acme-robotics.example","role":"user"}`},
		{"invites_delete", "DELETE /invites/" + ids.invite, ""},
		{"workspaces_list", "GET /workspaces", ""},
		{"workspaces_list_include_default", "GET /workspaces?include_default=true", ""},
		{"workspaces_get", "GET /workspaces/" + ids.workspace, ""},
		{"workspaces_create", "POST /workspaces", `{"name":"New","tags":{"env":"prod","team":"platform"}}`},
		{"workspaces_update", "POST /workspaces/" + ids.workspace, `{"name":"Renamed"}`},
		{"workspace_members_list", "GET /workspaces/" + ids.workspace + "/members", ""},
		{"workspace_members_get", "GET /workspaces/" + ids.workspace + "/members/" + ids.member, ""},
		{"workspace_members_update", "POST /workspaces/" + ids.workspace + "/members/" + ids.member,
			`{"workspace_role":"workspace_user"}`},
		{"workspace_members_create", "POST /workspaces/" + ids.workspace + "/members",
			`{"user_id":"` + ids.user + `","workspace_role":"workspace_user"}`},
		{"workspace_members_delete", "DELETE /workspaces/" + ids.workspace + "/members/" + ids.member, ""},
		{"api_keys_list", "GET /api_keys?limit=1", ""},
		{"api_keys_list_variants", "GET /api_keys?limit=1000", ""},
		{"api_keys_get", "GET /api_keys/" + ids.key, ""},
		{"api_keys_update", "POST /api_keys/" + ids.key, `{"name":"New Key Name","status":"inactive"}`},
		{"rate_limits_list", "GET /rate_limits", ""},
		{"workspace_rate_limits_list", "GET /workspaces/" + ids.workspace + "/rate_limits", ""},
		{"spend_limits_list_console", "GET /spend_limits", ""},
		{"usage_report_messages", "GET /usage_report/messages" + day + "&limit=1" + all, ""},
		{"usage_report_messages_by_key_model_1h", "GET /usage_report/messages" + day +
			"&bucket_width=1h&group_by[]=api_key_id&group_by[]=model&group_by[]=workspace_id", ""},
		{"usage_report_claude_code", "GET /usage_report/claude_code?starting_at=2026-11-18", ""},
		{"cost_report", "GET /cost_report" + day + "&limit=1&group_by[]=workspace_id&group_by[]=description", ""},
		{"cost_report_types", "GET /cost_report" + day + "&group_by[]=workspace_id&group_by[]=description", ""},
		{"cost_report_ungrouped", "GET /cost_report" + day, ""},
		{"analytics_usage", "GET /analytics/usage" + day + three, ""},
		{"analytics_cost", "GET /analytics/cost" + day + three, ""},
		{"workspaces_archive", "POST /workspaces/" + ids.workspace + "/archive", ""},
		{"users_delete", "DELETE /users/" + ids.user, ""},
		{"error_400", "GET /users?limit=1001", ""},
		{"error_400_with_details", "POST /invites", `{"email":"lea.roy@partner.example","role":"user"}`},
		{"error_404", "GET /users/user_x", ""},
	} {
		raw, err := os.ReadFile("testdata/" + test.file + ".json")
		require.NoError(t, err)
		var want map[string]any
		require.NoError(t, json.Unmarshal(raw, &want))
		method, path, _ := strings.Cut(test.request, " ")
		got := send(t, org, method, path, test.body).body
		dropOpen(want)
		dropOpen(got)
		require.Equal(t, fields(want, got), fields(got, want), test.file)
	}
}

func TestErrorsHaveTheShapeOfThePublishedOnes(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	for status, fault := range map[int]sim.Fault{401: sim.Unauthorized, 403: sim.Forbidden, 429: sim.TierCap,
		500: sim.Internal, 504: sim.Timeout, 529: sim.Overloaded} {
		raw, err := os.ReadFile(fmt.Sprintf("testdata/error_%d.json", status))
		require.NoError(t, err)
		var want map[string]any
		require.NoError(t, json.Unmarshal(raw, &want))
		org.Faults().Arm(sim.Rule{Fault: fault, Times: 1})
		got := send(t, org, "GET", "/me", "")
		require.Equal(t, status, got.status)
		require.Equal(t, fields(want, got.body), fields(got.body, want))
		require.Equal(t, want["error"].(map[string]any)["type"], got.body["error"].(map[string]any)["type"])
		require.Equal(t, got.header.Get("request-id"), got.body["request_id"])
	}
}

// dropOpen leaves out what has several documented forms, of which a fixture shows one: the map whose
// names are the customer's, the field that is a text or a list, and the other kind of actor.
func dropOpen(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "tags")
		delete(v, "allowed_inference_geos")
		delete(v, "api_key_name")
		for _, inner := range v {
			dropOpen(inner)
		}
	case []any:
		for _, inner := range v {
			dropOpen(inner)
		}
	}
}

// fields are the paths of all fields with their types, but "any" for those that are null here or there.
func fields(of, other map[string]any) map[string]string {
	mine, theirs := map[string]string{}, map[string]string{}
	walk("", of, mine)
	walk("", other, theirs)
	nullable := func(m map[string]string, path string) bool { return strings.Contains(m[path], "null") }
	for path := range mine {
		for parent := path; parent != ""; parent = parent[:max(strings.LastIndexByte(parent, '.'), 0)] {
			if parent != path && (mine[parent] == "null" || theirs[parent] == "null") {
				delete(mine, path) // what an absent object would have is not known
			}
		}
		if _, ok := mine[path]; ok && (nullable(mine, path) || nullable(theirs, path)) {
			mine[path] = "any"
		}
	}
	return mine
}

func walk(path string, v any, into map[string]string) {
	kind := "null"
	switch v := v.(type) {
	case map[string]any:
		kind = "object"
		for name, inner := range v {
			walk(path+"."+name, inner, into)
		}
	case []any:
		kind = "list"
		for _, inner := range v {
			walk(path+"[]", inner, into)
		}
	case string:
		kind = "text"
	case bool:
		kind = "bool"
	case float64, json.Number:
		kind = "number"
	}
	if !strings.Contains(into[path], kind) {
		if kind == "null" || into[path] == "null" {
			into[path] = "null"
		} else {
			into[path] += kind
		}
	}
}

type someIDs struct{ user, member, invite, workspace, standard, key, spendLimit string }

// idsOf picks objects to work on: a member who is no admin, a pending invite, production and its keys.
func idsOf(t *testing.T, org *sim.Org) (ids someIDs) {
	for _, u := range list(t, org, "/users") {
		if u["name"] == "Hugo Petit" {
			ids.user = u["id"].(string)
		}
	}
	for _, w := range list(t, org, "/workspaces?include_default=true") {
		switch w["name"] {
		case "production":
			ids.workspace = w["id"].(string)
		case "Default":
			ids.standard = w["id"].(string)
		}
	}
	ids.member = list(t, org, "/workspaces/"+ids.workspace+"/members")[0]["user_id"].(string)
	ids.invite = list(t, org, "/invites?statuses[]=pending&email=kim.sato@acme-robotics.example")[0]["id"].(string)
	ids.key = list(t, org, "/api_keys?status=active&workspace_id="+ids.workspace)[0]["id"].(string)
	if a := send(t, org, "GET", "/spend_limits", ""); a.status == 200 {
		ids.spendLimit = a.body["data"].([]any)[0].(map[string]any)["id"].(string)
	}
	return ids
}
