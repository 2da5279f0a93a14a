package admin_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// withoutIDs makes texts comparable.
func withoutIDs(s string) string {
	return regexp.MustCompile(`\b(apikey|wrkspc|user|invite)_\w+`).ReplaceAllString(s, "${1}_…")
}

func TestFinding(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, ctx := b.state(), t.Context()
	for _, text := range []string{"dev.patel@acme-robotics.example", "Dev.Patel@Acme-Robotics.example", "Dev Patel", b.member("Dev Patel").ID} {
		m, err := s.Member(ctx, text)
		require.NoError(t, err)
		require.Equal(t, "Dev Patel", m.Name)
	}
	_, err := s.Member(ctx, "Dev Patl")
	isUsage(t, err, `there is no member "Dev Patl" (did you mean "Dev Patel"?)`)
	require.True(t, admin.IsAbsent(err))
	_, err = s.Member(ctx, "patel")
	isUsage(t, err, `there is no member "patel" (did you mean one of "dev.patel@acme-robotics.example", "Dev Patel"?)`)
	_, err = s.Member(ctx, "zz")
	isUsage(t, err, `there is no member "zz"`)

	k, err := s.Key(ctx, "ci")
	require.Empty(t, k)
	require.False(t, admin.IsAbsent(err))
	require.Equal(t, `"ci" is the name of 2 keys: give the id of one: apikey_… (workspace staging (UVoUkW), active), apikey_… (workspace staging, active)`,
		withoutIDs(err.Error()))
	keys, err := s.SelectKeys(ctx, admin.Where{"name": {"ci"}})
	require.NoError(t, err)
	require.Len(t, keys, 2)
	for _, text := range []string{keys[1].ID, "ci (" + keys[1].ID[len(keys[1].ID)-6:] + ")", "ci (" + keys[1].ID[len(keys[1].ID)-8:] + ")"} {
		k, err = s.Key(ctx, text)
		require.NoError(t, err, "as pages and metrics show it")
		require.Equal(t, keys[1].ID, k.ID)
	}

	// Of several, the only one that can still be changed is meant.
	archive := admin.Plan{Steps: []admin.Step{admin.ArchiveKey(keys[0])}}
	require.NoError(t, b.desk.Apply(ctx, archive, nil).Err())
	require.Equal(t, keys[1].ID, b.key("ci").ID)

	x, err := s.Workspace(ctx, "Default")
	require.NoError(t, err)
	require.True(t, x.Default)
	_, err = s.Workspace(ctx, "stagin")
	isUsage(t, err, `there is no workspace "stagin" (did you mean "staging"?)`)
	i, err := s.Invite(ctx, "KIM.sato@acme-robotics.example")
	require.NoError(t, err)
	require.Equal(t, "pending", i.Status)
	production, err := s.Workspace(ctx, "production")
	require.NoError(t, err)
	seat, err := s.Seat(ctx, production, "Dev Patel")
	require.NoError(t, err)
	require.Equal(t, "workspace_admin", seat.Role)
	_, err = s.Seat(ctx, production, "Hugo Petit")
	isUsage(t, err, `there is no member of production "Hugo Petit"`)
}

func TestWhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, ctx := b.state(), t.Context()
	for _, test := range []struct {
		kind   string
		where  []string
		fields []string
		want   int
	}{
		{"members", nil, admin.MemberFields, 10},
		{"members", []string{"role=user"}, admin.MemberFields, 2},
		{"members", []string{"role=USER", "role=admin"}, admin.MemberFields, 4},
		{"members", []string{"role=developer", "email=*"}, admin.MemberFields, 3},
		{"members", []string{"email=dev*"}, admin.MemberFields, 1},
		{"members", []string{"workspace=production"}, admin.MemberFields, 2},
		{"members", []string{"workspace=staging", "role=developer"}, admin.MemberFields, 2},
		{"members", []string{"workspace=Default"}, admin.MemberFields, 0},
		{"invites", []string{"status=pending"}, admin.InviteFields, 2},
		{"invites", []string{"status=pending", "email=*"}, admin.InviteFields, 2},
		{"workspaces", []string{"status=live"}, admin.WorkspaceFields, 6},
		{"workspaces", []string{"name=staging"}, admin.WorkspaceFields, 2},
		{"workspaces", []string{"name=default"}, admin.WorkspaceFields, 1},
		{"keys", []string{"status=inactive"}, admin.KeyFields, 1},
		{"keys", []string{"status=active", "workspace=staging"}, admin.KeyFields, 5},
		{"keys", []string{"creator=dev.patel@acme-robotics.example"}, admin.KeyFields, 4},
		{"keys", []string{"creator="}, admin.KeyFields, 2},
		{"keys", []string{"workspace="}, admin.KeyFields, 1},
		{"keys", []string{"name=nothing"}, admin.KeyFields, 0},
	} {
		w, err := admin.ParseWhere(test.where, test.fields)
		require.NoError(t, err)
		got := 0
		switch test.kind {
		case "members":
			all, err := s.SelectMembers(ctx, w)
			require.NoError(t, err)
			got = len(all)
		case "invites":
			all, err := s.SelectInvites(ctx, w)
			require.NoError(t, err)
			got = len(all)
		case "workspaces":
			all, err := s.SelectWorkspaces(ctx, w)
			require.NoError(t, err)
			got = len(all)
		case "keys":
			all, err := s.SelectKeys(ctx, w)
			require.NoError(t, err)
			got = len(all)
		}
		require.Equal(t, test.want, got, "%s %q", test.kind, test.where)
	}
	_, err := admin.ParseWhere([]string{"inactive"}, admin.KeyFields)
	isUsage(t, err, `--where "inactive": write FIELD=VALUE, for example id=…; fields are id, name, status, workspace, creator`)
	_, err = admin.ParseWhere([]string{"statsu=inactive"}, admin.KeyFields)
	isUsage(t, err, `--where "statsu=inactive": there is no field "statsu" here (did you mean status?); fields are id, name, status, workspace, creator`)
}

func TestWhereKnowsShownNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, ctx := b.state(), t.Context()
	shared, err := s.SelectWorkspaces(ctx, admin.Where{"name": {"staging"}})
	require.NoError(t, err)
	require.Len(t, shared, 2)
	all, err := s.SelectKeys(ctx, admin.Where{"workspace": {"staging"}})
	require.NoError(t, err)
	require.NotEqual(t, shared[0].Label, shared[1].Label)
	found := 0
	for i, x := range shared {
		name := "staging (" + x.ID[len(x.ID)-6:] + ")"
		require.Contains(t, []string{"staging", name}, x.Label)
		ws, err := s.SelectWorkspaces(ctx, admin.Where{"name": {name}})
		require.NoError(t, err)
		require.Equal(t, []spend.Workspace{shared[i]}, ws)
		keys, err := s.SelectKeys(ctx, admin.Where{"workspace": {name}})
		require.NoError(t, err)
		for _, k := range keys {
			require.Equal(t, x.ID, k.WorkspaceID)
		}
		found += len(keys)
		if x.ArchivedAt.IsZero() {
			_, err = s.SelectMembers(ctx, admin.Where{"workspace": {name}})
			require.NoError(t, err)
		}
	}
	require.Equal(t, len(all), found)
	keys, err := s.SelectKeys(ctx, admin.Where{"name": {"ci"}})
	require.NoError(t, err)
	require.NotEqual(t, keys[0].Label, keys[1].Label)
	for _, k := range keys {
		one, err := s.SelectKeys(ctx, admin.Where{"name": {"ci (" + k.ID[len(k.ID)-6:] + ")"}})
		require.NoError(t, err)
		require.Equal(t, []spend.APIKey{k}, one)
	}

	// What the store calls them stays, though it saw them in another order, and more of them.
	other := b.state()
	other.Stored = func(context.Context) admin.Inventory {
		first := shared[1]
		first.Label = "staging"
		return admin.Inventory{Workspaces: []spend.Workspace{first, {ID: "wrkspc_gone", Name: "research", Label: "research"}}}
	}
	label, err := other.WorkspaceLabel(ctx, shared[1].ID)
	require.NoError(t, err)
	require.Equal(t, "staging", label)
	label, err = other.WorkspaceLabel(ctx, shared[0].ID)
	require.NoError(t, err)
	require.Equal(t, "staging ("+shared[0].ID[len(shared[0].ID)-6:]+")", label)
	research, err := other.Workspace(ctx, "research")
	require.NoError(t, err)
	require.Equal(t, "research ("+research.ID[len(research.ID)-6:]+")", research.Label)
}

func TestWhereRefusesWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, ctx := b.state(), t.Context()
	production, err := s.Workspace(ctx, "production")
	require.NoError(t, err)
	members := func(w admin.Where) error { _, err := s.SelectMembers(ctx, w); return err }
	invites := func(w admin.Where) error { _, err := s.SelectInvites(ctx, w); return err }
	workspaces := func(w admin.Where) error { _, err := s.SelectWorkspaces(ctx, w); return err }
	seats := func(w admin.Where) error { _, err := s.SelectSeats(ctx, production, w); return err }
	keys := func(w admin.Where) error { _, err := s.SelectKeys(ctx, w); return err }
	for _, test := range []struct {
		ask          func(admin.Where) error
		field, value string
		want         string // the end of the error; empty: none
	}{
		{keys, "workspace", "nosuch", `there is no workspace "nosuch"`},
		{keys, "workspace", "stagin", `there is no workspace "stagin" (did you mean "staging"?)`},
		{keys, "workspace", "stag", `there is no workspace "stag" (did you mean "staging"?)`},
		{keys, "workspace", "staging (nosuch)", `there is no workspace "staging (nosuch)"`},
		{keys, "workspace", "zz*", `there is no workspace "zz*"`},
		{keys, "workspace", "*", ""},
		{keys, "workspace", "", ""},
		{keys, "workspace", "default", ""},
		{keys, "status", "disabled", `there is no status "disabled"; there is active, archived, expired, inactive`},
		{keys, "status", "EXPIRED", ""},
		{keys, "creator", "dev.patel@acme-robotics.exampl", `there is no creator "dev.patel@acme-robotics.exampl" (did you mean "dev.patel@acme-robotics.example"?)`},
		{keys, "creator", "Hugo Petit", ""},
		{members, "workspace", "nosuch", `there is no workspace "nosuch"`},
		{members, "role", "developper", `there is no role "developper" (did you mean "developer"?)`},
		{members, "role", "claude_code_user", ""},
		{invites, "status", "open", `there is no status "open"; there is accepted, deleted, expired, pending`},
		{workspaces, "status", "active", `there is no status "active"; there is archived, live`},
		{seats, "role", "workspace_admn", `there is no role "workspace_admn" (did you mean "workspace_admin"?)`},
	} {
		err := test.ask(admin.Where{test.field: {test.value}})
		if test.want == "" {
			require.NoError(t, err, "%s=%s", test.field, test.value)
			continue
		}
		isUsage(t, err, fmt.Sprintf("--where %q: %s", test.field+"="+test.value, test.want))
	}
}
