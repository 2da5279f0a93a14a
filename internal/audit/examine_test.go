package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const day = 24 * time.Hour

// now is when tests examine; use is known up to then and for 400 days.
var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func ago(days float64) time.Time { return now.Add(-time.Duration(days * float64(day))) }

// world is an input in which nothing is to find.
func world(change ...func(*audit.Input)) audit.Input {
	in := audit.Input{
		Organization: spend.Organization{ID: "org", Name: "acme"},
		Workspaces: []spend.Workspace{
			{ID: "wrkspc_default", Name: "Default", Label: "Default", Default: true}, {ID: "wrkspc_a", Name: "search", Label: "search"},
			{ID: "wrkspc_b", Name: "ads", Label: "ads"}, {ID: "wrkspc_gone", Name: "gone", Label: "gone", ArchivedAt: ago(40)},
		},
		Members: []spend.Member{
			{ID: "user_ada", Email: "ada@acme.example", Name: "Ada", Role: "admin", AddedAt: ago(500)},
			{ID: "user_bo", Email: "bo@acme.example", Name: "Bo", Role: "developer", AddedAt: ago(500)},
		},
		WorkspaceMembers: []spend.WorkspaceMember{{WorkspaceID: "wrkspc_a", UserID: "user_bo", Role: "workspace_developer"}},
		UsageAt:          now, HistorySince: ago(400), CostAt: ago(0.1), Earlier: map[string]spend.Window{},
	}
	for _, l := range []string{storage.ListWorkspaces, storage.ListAPIKeys, storage.ListMembers, storage.ListInvites, storage.ListWorkspaceMembers} {
		in.Lists = append(in.Lists, storage.ListRead{List: l, ReadAt: ago(0.01)})
	}
	in.Keys = []spend.APIKey{well()}
	for _, c := range change {
		c(&in)
	}
	return in
}

// well is a key about which there is nothing to find.
func well() spend.APIKey {
	return spend.APIKey{
		ID: "apikey_1", Name: "ci", Label: "ci", Status: "active", WorkspaceID: "wrkspc_a", CreatedByID: "user_bo", CreatorType: "user",
		CreatedAt: ago(100), ExpiresAt: now.Add(100 * day), FirstSeenAt: ago(100), LastUsed: used(0.5),
	}
}

// used is an hour that ended so many days ago.
func used(days float64) spend.Window {
	return spend.Window{Start: ago(days).Add(-time.Hour), End: ago(days)}
}

// key changes the key.
func key(change func(*spend.APIKey)) func(*audit.Input) {
	return func(in *audit.Input) { change(&in.Keys[0]) }
}

func settings(change ...func(*audit.Config)) audit.Config {
	c := audit.Defaults()
	c.OwnDomains = []string{"acme.example"}
	for _, f := range change {
		f(&c)
	}
	return c
}

// show shows findings as lines.
func show(a storage.Audit) []string {
	lines := []string{}
	for _, f := range a.Findings {
		line := fmt.Sprintf("%s %s %s: %s", f.Severity, f.Check, f.Name, f.What)
		if !f.Since.IsZero() {
			line += " since " + f.Since.Format(time.DateOnly)
		}
		lines = append(lines, line)
	}
	return lines
}

func span(workspace, model string, first, last float64) storage.KeySpan {
	return storage.KeySpan{APIKeyID: "apikey_1", WorkspaceID: workspace, Model: model, First: used(first), Last: used(last)}
}

func usedNow(recent, before []storage.KeySpan) func(*audit.Input) {
	return func(in *audit.Input) { in.Recent, in.Before = recent, before }
}

func TestChecks(t *testing.T) {
	t.Parallel()
	steady := usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 13, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 14)})
	created := func(days float64) func(*audit.Input) {
		return key(func(k *spend.APIKey) { k.CreatedAt = ago(days) })
	}
	last := func(w spend.Window) func(*audit.Input) { return key(func(k *spend.APIKey) { k.LastUsed = w }) }
	status := func(s string) func(*audit.Input) { return key(func(k *spend.APIKey) { k.Status = s }) }
	expires := func(in time.Duration) func(*audit.Input) {
		return key(func(k *spend.APIKey) { k.ExpiresAt = now.Add(in) })
	}
	awake := span("wrkspc_a", "haiku", 2, 0.5)
	awake.First = spend.Window{Start: ago(2), End: ago(2).Add(time.Hour)}
	none := []string{}
	for name, c := range map[string]struct {
		in     []func(*audit.Input)
		config []func(*audit.Config)
		want   []string
	}{
		"nothing": {nil, nil, none}, "nothing in steady use": {[]func(*audit.Input){steady}, nil, none},

		"unused, a moment too early": {[]func(*audit.Input){last(spend.Window{Start: ago(91), End: ago(90).Add(time.Second)})}, nil, none},
		"unused":                     {[]func(*audit.Input){last(used(90))}, nil, []string{"warning unused ci: no use seen for 90 days since 2026-08-28"}},
		"unused, seen before a history that begins later": {
			[]func(*audit.Input){last(used(300)), func(in *audit.Input) { in.HistorySince = ago(95) }}, nil, []string{"warning unused ci: no use seen for 95 days since 2026-08-23"},
		},
		"unused, but the history is too short to say so": {[]func(*audit.Input){last(used(300)), func(in *audit.Input) { in.HistorySince = ago(89) }}, nil, none},
		"unused, judged by how far use is known":         {[]func(*audit.Input){last(used(95)), func(in *audit.Input) { in.UsageAt = ago(10) }}, nil, none},
		"unused, off":                                    {[]func(*audit.Input){last(used(90))}, []func(*audit.Config){func(c *audit.Config) { c.UnusedFor = 0 }}, none},
		"unused, never seen and older than the history": {
			[]func(*audit.Input){last(spend.Window{}), created(450), expires(100 * day)}, []func(*audit.Config){func(c *audit.Config) { c.OlderThan = 0 }},
			[]string{"warning unused ci: no use seen for 400 days since 2025-10-22"},
		},
		"unused, disabled": {[]func(*audit.Input){last(used(80)), status("inactive")}, nil, none},
		"never used, new":  {[]func(*audit.Input){last(spend.Window{}), created(29.99)}, nil, none},
		"never used":       {[]func(*audit.Input){last(spend.Window{}), created(30)}, nil, []string{"warning never_used ci: never used in the 30 days since it was made since 2026-10-27"}},
		"never used, made before the history begins": {
			[]func(*audit.Input){last(spend.Window{}), created(60), func(in *audit.Input) { in.HistorySince = ago(59) }}, nil, none,
		},
		"never used, no history": {[]func(*audit.Input){last(spend.Window{}), created(60), func(in *audit.Input) { in.HistorySince, in.UsageAt = time.Time{}, time.Time{} }}, nil, none},

		"old, a moment too early":      {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedAt = ago(365).Add(time.Second) })}, nil, none},
		"old":                          {[]func(*audit.Input){created(365)}, nil, []string{"info old ci: 365 days old since 2026-11-26"}},
		"old, made at an unknown time": {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedAt = time.Time{} })}, nil, none},

		"expiring, not yet":              {[]func(*audit.Input){expires(14*day + time.Second)}, nil, none},
		"expiring, in use":               {[]func(*audit.Input){expires(14 * day)}, nil, []string{"warning expiring ci: expires on 2026-12-10 12:00, in 14 days, and is in use since 2026-11-26"}},
		"expiring, soon":                 {[]func(*audit.Input){expires(3 * day)}, nil, []string{"critical expiring ci: expires on 2026-11-29 12:00, in 3 days, and is in use since 2026-11-15"}},
		"expiring, idle":                 {[]func(*audit.Input){expires(3 * day), last(used(7))}, nil, []string{"info expiring ci: expires on 2026-11-29 12:00, in 3 days since 2026-11-15"}},
		"expired":                        {[]func(*audit.Input){status("expired"), expires(-day)}, nil, []string{"info expired_not_archived ci: has expired and is not archived since 2026-11-25"}},
		"expired just now, by the clock": {[]func(*audit.Input){expires(0)}, nil, []string{"info expired_not_archived ci: has expired and is not archived since 2026-11-26"}},
		"expired and archived":           {[]func(*audit.Input){status("archived"), expires(-day)}, nil, none},
		"no expiry":                      {[]func(*audit.Input){key(func(k *spend.APIKey) { k.ExpiresAt = time.Time{} })}, nil, []string{"info no_expiry ci: never expires since 2026-08-18"}},
		"no expiry, gone":                {[]func(*audit.Input){key(func(k *spend.APIKey) { k.ExpiresAt, k.GoneAt = time.Time{}, ago(1) })}, nil, none},
		"a status that is not known yet counts as usable": {
			[]func(*audit.Input){status("suspended_maybe"), key(func(k *spend.APIKey) { k.ExpiresAt = time.Time{} })}, nil, []string{"info no_expiry ci: never expires since 2026-08-18"},
		},

		"creator left": {
			[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID = "user_nils" })}, nil,
			[]string{"critical creator_left ci: works although user_nils, who made it, is no member any more"},
		},
		"creator left, and was seen to": {
			[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID = "user_nils" }), func(in *audit.Input) {
				in.Changes = []storage.InventoryChange{{At: ago(3), Kind: storage.KindMember, ID: "user_nils", Field: storage.FieldGone, Old: "nils@acme.example"}}
			}}, nil, []string{"critical creator_left ci: works although nils@acme.example, who made it, is no member any more since 2026-11-23"},
		},
		"creator is a service":                    {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID, k.CreatorType = "svac_1", "service_account" })}, nil, none},
		"creator is not known":                    {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID, k.CreatorType = "", "" })}, nil, none},
		"creator came after the list was read":    {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID, k.CreatedAt = "user_new", ago(0.005) })}, nil, none},
		"creator came, by a clock that is ahead":  {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID, k.CreatedAt = "user_new", ago(0.016) })}, nil, none},
		"creator left soon after":                 {[]func(*audit.Input){key(func(k *spend.APIKey) { k.CreatedByID, k.CreatedAt = "user_new", ago(0.018) })}, nil, []string{"critical creator_left ci: works although user_new, who made it, is no member any more"}},
		"creator left, but the key is disabled":   {[]func(*audit.Input){status("inactive"), key(func(k *spend.APIKey) { k.CreatedByID = "user_nils" })}, nil, none},
		"default workspace":                       {[]func(*audit.Input){key(func(k *spend.APIKey) { k.WorkspaceID = "wrkspc_default" })}, nil, []string{"info default_workspace ci: is in the default workspace since 2026-08-18"}},
		"default workspace whose id is not known": {[]func(*audit.Input){key(func(k *spend.APIKey) { k.WorkspaceID = spend.DefaultWorkspace })}, nil, []string{"info default_workspace ci: is in the default workspace since 2026-08-18"}},
		"no workspace":                            {[]func(*audit.Input){key(func(k *spend.APIKey) { k.WorkspaceID = "" })}, nil, none},
		"archived workspace": {
			[]func(*audit.Input){key(func(k *spend.APIKey) { k.WorkspaceID = "wrkspc_gone" })}, nil,
			[]string{"critical archived_workspace ci: is active, its workspace gone is archived since 2026-10-17"},
		},
		"archived workspace, disabled key": {
			[]func(*audit.Input){status("inactive"), key(func(k *spend.APIKey) { k.WorkspaceID = "wrkspc_gone" })}, nil,
			[]string{"warning archived_workspace ci: is inactive, its workspace gone is archived since 2026-10-17"},
		},
		"archived workspace, archived key": {[]func(*audit.Input){status("archived"), key(func(k *spend.APIKey) { k.WorkspaceID = "wrkspc_gone" })}, nil, none},
		"inactive, not long":               {[]func(*audit.Input){status("inactive"), last(used(89.9))}, nil, none},
		"inactive":                         {[]func(*audit.Input){status("inactive"), last(used(90))}, nil, []string{"info inactive ci: is disabled, and was not used for 90 days since 2026-08-28"}},
		"inactive, disabled the other day": {
			[]func(*audit.Input){status("inactive"), last(used(95)), func(in *audit.Input) {
				in.Changes = []storage.InventoryChange{{At: ago(10), Kind: storage.KindAPIKey, ID: "apikey_1", Field: "status", Old: "active", New: "inactive"}}
			}}, nil, none,
		},

		"woke": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{awake}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 62)})}, nil,
			[]string{"warning woke ci: used again after 60 days without use since 2026-11-24"},
		},
		"woke, but slept a day too little": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{awake}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 61)})}, nil, none,
		},
		"woke, slept longer than what is compared": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil), func(in *audit.Input) { in.Earlier["apikey_1"] = used(99) }}, nil,
			[]string{"warning woke ci: used again after 96 days without use since 2026-11-24"},
		},
		"woke, never seen before":          {[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil)}, nil, []string{"warning woke ci: used again after 97 days without use since 2026-11-24"}},
		"woke, but new":                    {[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil), created(61)}, nil, none},
		"woke, but the history is too new": {[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil), func(in *audit.Input) { in.HistorySince = ago(61) }}, nil, none},
		"woke and moved, but before a hole in the history": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_b", "haiku", 1, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 73, 62)}), func(in *audit.Input) {
				in.HistorySince = ago(25)
			}}, nil, none,
		},
		"woke, but the history after its last use was not read yet": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil), func(in *audit.Input) {
				in.Earlier["apikey_1"], in.HistorySince = used(95), ago(61)
			}}, nil, none,
		},
		"woke, used last before the history begins": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil), func(in *audit.Input) {
				in.Earlier["apikey_1"], in.HistorySince = used(95), ago(80)
			}}, nil, []string{"warning woke ci: used again after 77 days without use since 2026-11-24"},
		},
		"woke, off": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil)}, []func(*audit.Config){func(c *audit.Config) { c.WokeAfter = 0 }}, none,
		},
		"woke, its creator has left": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 2, 0.5)}, nil), key(func(k *spend.APIKey) { k.CreatedByID = "user_nils" })},
			[]func(*audit.Config){func(c *audit.Config) { c.CreatorLeft = false }},
			[]string{"critical woke ci: used again after 97 days without use; its creator has left since 2026-11-24"},
		},

		"moved to another workspace": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 13, 0.5), span("wrkspc_b", "haiku", 3, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 14)})},
			nil, []string{"warning moved ci: used from workspace ads, before only from search since 2026-11-23"},
		},
		"moved to another model": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 13, 3), span("wrkspc_a", "opus", 3, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 14)})},
			nil, []string{"info moved ci: used with opus, before only with haiku since 2026-11-23"},
		},
		"moved to both": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 13, 3), span("wrkspc_b", "opus", 3, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 14)})},
			nil, []string{"warning moved ci: used from workspace ads, before only from search; used with opus, before only with haiku since 2026-11-23"},
		},
		"moved, but the other model stays": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_a", "haiku", 13, 0.5), span("wrkspc_a", "opus", 3, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 14)})}, nil, none,
		},
		"moved, but without habits": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_b", "haiku", 3, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 20, 14)})}, nil, none,
		},
		"moved, off": {
			[]func(*audit.Input){usedNow([]storage.KeySpan{span("wrkspc_b", "haiku", 3, 0.5)}, []storage.KeySpan{span("wrkspc_a", "haiku", 70, 14)})},
			[]func(*audit.Config){func(c *audit.Config) { c.Moved = false }}, none,
		},

		"name":          {nil, []func(*audit.Config){func(c *audit.Config) { c.NamePattern = "^(prod|dev)-" }}, []string{"info name ci: its name does not match ^(prod|dev)-"}},
		"name, well":    {nil, []func(*audit.Config){func(c *audit.Config) { c.NamePattern = "^ci$" }}, none},
		"too many keys": {[]func(*audit.Input){func(in *audit.Input) { in.Keys = append(in.Keys, in.Keys[0]); in.Keys[1].ID = "apikey_2" }}, []func(*audit.Config){func(c *audit.Config) { c.MaxActiveKeys = 1 }}, []string{"warning too_many_keys acme: 2 active keys, more than 1"}},
		"enough keys":   {nil, []func(*audit.Config){func(c *audit.Config) { c.MaxActiveKeys = 1 }}, none},

		"too many admins": {nil, []func(*audit.Config){func(c *audit.Config) { c.MaxAdmins = 1 }, func(c *audit.Config) { c.NoWorkspaceRole = false }}, none},
		"too many admins, one more": {
			[]func(*audit.Input){func(in *audit.Input) { in.Members[1].Role = "owner" }}, []func(*audit.Config){func(c *audit.Config) { c.MaxAdmins = 1 }},
			[]string{"warning too_many_admins acme: 2 admins, more than 1"},
		},
		"no workspace role": {
			[]func(*audit.Input){func(in *audit.Input) { in.WorkspaceMembers[0].WorkspaceID = "wrkspc_gone" }}, nil,
			[]string{"info no_workspace_role bo@acme.example: is developer and has no role in any workspace but the default one since 2025-07-14"},
		},
		"no workspace role, and no workspace": {[]func(*audit.Input){func(in *audit.Input) {
			in.Workspaces, in.WorkspaceMembers, in.Lists = in.Workspaces[:1], nil, in.Lists[:4]
		}}, nil, none},
		"no workspace role, implicit": {[]func(*audit.Input){func(in *audit.Input) { in.Members[1].Role, in.WorkspaceMembers = "billing", in.WorkspaceMembers[:0] }}, nil, none},
		"invite":                      {[]func(*audit.Input){invite("zoe@acme.example", "user", 14)}, nil, []string{"warning invite_pending zoe@acme.example: was invited as user 14 days ago and has not answered since 2026-11-12"}},
		"invite, young":               {[]func(*audit.Input){invite("zoe@acme.example", "user", 13.9)}, nil, none},
		"invite, expired":             {[]func(*audit.Input){invite("zoe@acme.example", "user", 21)}, nil, none},
		"foreign invite":              {[]func(*audit.Input){invite("zoe@ACME.example.com", "admin", 1)}, nil, []string{"critical foreign_domain zoe@ACME.example.com: is invited as admin with an address at acme.example.com since 2026-11-25"}},
		"foreign member": {
			[]func(*audit.Input){func(in *audit.Input) { in.Members[1].Email = "bo@sub.acme.example" }}, nil,
			[]string{"warning foreign_domain bo@sub.acme.example: is developer with an address at sub.acme.example since 2025-07-14"},
		},
		"foreign member, below an own domain": {
			[]func(*audit.Input){func(in *audit.Input) { in.Members[1].Email = "bo@Sub.acme.example" }},
			[]func(*audit.Config){func(c *audit.Config) { c.OwnDomains = append(c.OwnDomains, "*.acme.example") }}, none,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := audit.Examine(world(c.in...), settings(c.config...), now)
			require.Equal(t, c.want, show(got))
			require.Empty(t, gapsOf(got, name), "what could not be checked")
			for _, f := range got.Findings {
				require.NotEmpty(t, f.Evidence)
				require.NotEmpty(t, f.Advice)
				require.True(t, f.Command == "" || strings.HasPrefix(f.Command, "monitor admin "), f.Command)
				require.Contains(t, audit.Names(), f.Check)
			}
		})
	}
}

// gapsOf lists the gaps that a test does not ask for by its history.
func gapsOf(a storage.Audit, name string) []storage.AuditGap {
	if strings.Contains(name, "history") {
		return nil
	}
	return a.Gaps
}

func invite(email, role string, days float64) func(*audit.Input) {
	return func(in *audit.Input) {
		in.Invites = append(in.Invites, spend.Invite{ID: "invite_1", Email: email, Role: role, Status: "pending", InvitedAt: ago(days), ExpiresAt: ago(days).Add(21 * day)})
	}
}

func TestFindingSaysAllThereIs(t *testing.T) {
	t.Parallel()
	in := world(key(func(k *spend.APIKey) { k.LastUsed, k.Label = used(90), "ci (222222)" }))
	in.Costs = map[string]storage.KeyCost{"apikey_1": {Cost: 12 * spend.Dollar, Basis: spend.Allocated}}
	in.Several, in.Organization.Name = true, "Acme's own"
	got := audit.Examine(in, settings(), now)
	require.Equal(t, []storage.AuditFinding{{
		Check: "unused", Severity: "warning", About: storage.AboutKey, ID: "apikey_1", Name: "ci (222222)", WorkspaceID: "wrkspc_a", Owner: "bo@acme.example",
		Since: ago(90), What: "no use seen for 90 days", Evidence: "last billed Messages usage before 2026-08-28 12:00, known by the hour",
		Advice:  "disable it, which can be undone; archive it when nobody missed it",
		Command: `monitor admin keys disable apikey_1 --organization 'Acme'\''s own'`, Cost: 12 * spend.Dollar, Basis: spend.Allocated,
	}}, got.Findings)
	require.Equal(t, in.Costs, got.Costs)
	require.Equal(t, "API key ci (222222): no use seen for 90 days", audit.Summary(got.Findings[0]))
	require.Equal(t, now, got.EvaluatedAt)
	require.Equal(t, ago(0.01).Truncate(time.Second), got.InventoryAt.Truncate(time.Second))
	require.Equal(t, in.HistorySince, got.HistorySince)
	require.Len(t, got.Checks, 16, "all but name and too_many_keys")
}

func TestGaps(t *testing.T) {
	t.Parallel()
	gaps := func(change func(*audit.Input)) []string {
		lines := []string{}
		a := audit.Examine(world(key(func(k *spend.APIKey) { k.CreatedByID = "user_nils" }), invite("zoe@else.example", "user", 15), change), settings(), now)
		for _, g := range a.Gaps {
			lines = append(lines, g.Check+": "+g.Reason)
		}
		for _, f := range a.Findings {
			lines = append(lines, "found "+f.Check)
		}
		return lines
	}
	found := []string{"found creator_left", "found foreign_domain", "found invite_pending"}
	require.Equal(t, found, gaps(func(*audit.Input) {}))
	refused := "the list of members is refused to the credential (no permission)"
	require.Equal(t, []string{"creator_left: " + refused, "too_many_admins: " + refused, "no_workspace_role: " + refused, "foreign_domain: " + refused, "found foreign_domain", "found invite_pending"},
		gaps(func(in *audit.Input) {
			in.Lists[2] = storage.ListRead{List: storage.ListMembers, ReadAt: ago(3), RefusedAt: ago(1), Reason: "no permission"}
		}))
	require.Equal(t, []string{"invite_pending: the list of invites is refused to the credential (no reason given)", "foreign_domain: the list of invites is refused to the credential (no reason given)", "found creator_left"},
		gaps(func(in *audit.Input) { in.Lists[3] = storage.ListRead{List: storage.ListInvites, RefusedAt: ago(1)} }))
	require.Equal(t, []string{"invite_pending: the list of invites was not read yet", "foreign_domain: the list of invites was not read yet", "found creator_left"},
		gaps(func(in *audit.Input) { in.Invites, in.Lists = nil, in.Lists[:3] }))
	unread := "the list of members was not read yet"
	require.Equal(t, []string{"creator_left: " + unread, "too_many_admins: " + unread, "no_workspace_role: " + unread, "foreign_domain: " + unread, "found foreign_domain", "found invite_pending"},
		gaps(func(in *audit.Input) { in.Members, in.Lists = nil, in.Lists[3:] }))
	short := "the history of use begins 2026-10-07: what was before it is not known"
	require.Equal(t, append([]string{"unused: " + short, "woke: " + short, "inactive: " + short}, found...), gaps(func(in *audit.Input) { in.HistorySince = ago(50) }))
	none := "no usage was read yet"
	require.Equal(t, append([]string{"unused: " + none, "never_used: " + none, "inactive: " + none, "woke: " + none, "moved: " + none}, found...),
		gaps(func(in *audit.Input) { in.HistorySince, in.UsageAt = time.Time{}, time.Time{} }))
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	in := world(invite("zoe@else.example", "user", 1), key(func(k *spend.APIKey) { k.ExpiresAt, k.Label, k.CreatedAt = time.Time{}, "ci (222222)", ago(400) }))
	in.Members[1].Email = "bo@else.example"
	today := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	except := func(es ...audit.Exception) ([]string, []string) {
		a := audit.Examine(in, settings(func(c *audit.Config) { c.Except = es }), now)
		states := []string{}
		for _, e := range a.Exceptions {
			states = append(states, fmt.Sprintf("%s %s: %s %v", e.Subject, e.Check, e.State, e.Hides))
		}
		found := []string{}
		for _, f := range a.Findings {
			found = append(found, f.Check+" "+f.About)
		}
		return found, states
	}
	found, states := except()
	require.Equal(t, []string{"no_expiry api_key", "old api_key", "foreign_domain invite", "foreign_domain member"}, found)
	require.Empty(t, states)

	found, states = except(
		audit.Exception{APIKey: "ci", Check: "old", Until: today, Reason: "r"},
		audit.Exception{APIKey: "apikey_1", Check: "no_expiry", Until: now.Add(time.Second), Reason: "r"},
		audit.Exception{Invite: "zoe@*", Check: "*", Until: today, Reason: "r"},
		audit.Exception{Member: "user_bo", Check: "foreign_domain", Organization: "acme", Until: today, Reason: "r"},
		audit.Exception{Member: "user_bo", Check: "foreign_domain", Organization: "other", Until: today, Reason: "r"},
	)
	require.Empty(t, found)
	require.Equal(t, []string{
		"api_key ci old: in force [old: ci (222222)]", "api_key apikey_1 no_expiry: in force [no_expiry: ci (222222)]",
		"invite zoe@* *: in force [foreign_domain: zoe@else.example]", "member user_bo foreign_domain: in force [foreign_domain: bo@else.example]",
	}, states, "one of another organization is not spoken of")

	in.Several = true
	_, states = except(audit.Exception{Member: "x", Check: "*", Until: today, Reason: "r"}, audit.Exception{Member: "x", Check: "*", Organization: "acme", Until: today, Reason: "r"})
	require.Equal(t, []string{"member x *: unused here []", "member x *: unused []"}, states)
	in.Several = false

	found, states = except(
		audit.Exception{APIKey: "ci", Check: "old", Until: today.AddDate(0, 0, -1), Reason: "r"},
		audit.Exception{APIKey: "ci", Check: "no_expiry", Until: now, Reason: "r"},
		audit.Exception{APIKey: "c", Check: "old", Until: today, Reason: "r"},
		audit.Exception{Member: "zoe@else.example", Check: "*", Until: today, Reason: "r"},
		audit.Exception{Check: "too_many_admins", Until: today, Reason: "r"},
	)
	require.Len(t, found, 4)
	require.Equal(t, []string{
		"api_key ci old: ended []", "api_key ci no_expiry: ended []", "api_key c old: unused []", "member zoe@else.example *: unused []", "organization too_many_admins: unused []",
	}, states, "the day of the end is included, an instant is not")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	until := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	c := settings(func(c *audit.Config) {
		c.WokeAfter, c.NamePattern, c.MaxActiveKeys, c.MaxAdmins = config.Duration(13*day), "(", -1, -1
		c.OwnDomains = []string{"acme.example", "*.acme.example", "@acme.example", "", "*", ".acme"}
		c.Except = []audit.Exception{
			{APIKey: "ci", Check: "old", Until: until, Reason: "r"},
			{APIKey: "ci", Member: "bo", Check: "unusd", Reason: " ", Organization: "else"},
			{Check: "*", Until: until, Reason: "r"}, {APIKey: "ci", Check: "too_many_keys", Until: until, Reason: "r"}, {APIKey: "ci", Until: until, Reason: "r"},
		}
	})
	var problems []string
	c.Validate(func(path, format string, args ...any) {
		problems = append(problems, path+": "+fmt.Sprintf(format, args...))
	}, []string{"acme"})
	names := strings.Join(audit.Names(), ", ")
	require.Equal(t, []string{
		"woke_after: must be at least 14d, or 0 to switch the check off",
		"name_pattern: is not a regular expression: missing closing ): `(`",
		"max_active_keys: must not be negative (0 switches the check off)", "max_admins: must not be negative (0 switches the check off)",
		"own_domains[2]: must be a domain such as example.com, or *.example.com for those below it",
		"own_domains[3]: must be a domain such as example.com, or *.example.com for those below it",
		"own_domains[4]: must be a domain such as example.com, or *.example.com for those below it",
		"own_domains[5]: must be a domain such as example.com, or *.example.com for those below it",
		`except[1].check: "unusd" is not a check (did you mean unused?): ` + names,
		"except[1].until: must be set: exceptions end, on a day such as 2027-01-31",
		"except[1].reason: must be set: whoever reads it later must know why",
		"except[1].organization: is not the name of a configured organization",
		"except[2]: must name an api_key, a member or an invite (only too_many_keys and too_many_admins are about the organization)",
		"except[3].check: too_many_keys is about the organization, not about one api_key, member or invite",
		"except[4].check: must be set: the name of a check, or * for all",
	}, problems)
	audit.Defaults().Validate(func(path, _ string, _ ...any) { t.Error("the defaults are wrong at " + path) }, nil)
}
