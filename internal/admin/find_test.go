package admin_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
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
	require.Equal(t, `"ci" is the name of 2 keys: give the id of one: apikey_… (workspace staging, active), apikey_… (workspace staging, active)`,
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
