package storagetest

import (
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

var inventoryTests = []test{
	{"keeps workspaces and names the default one", func(e *env) {
		ctx := e.Context()
		ws := []spend.Workspace{
			{ID: "wrkspc_default", Default: true, CreatedAt: at("01 00:00")},
			{ID: "wrkspc_a", Name: "search", CreatedAt: at("01 00:00"), Tags: map[string]string{"team": "x"}},
			{ID: "wrkspc_b", Name: "search", CreatedAt: at("01 00:00"), Tags: map[string]string{}},
		}
		require.NoError(e, e.owner.SaveWorkspaces(ctx, ws, at("02 00:00")))
		require.Empty(e, e.changes(), "the first list is the baseline")
		want := []spend.Workspace{
			{ID: "wrkspc_a", Name: "search", Label: "search", CreatedAt: at("01 00:00"), Tags: map[string]string{"team": "x"}},
			{ID: "wrkspc_b", Name: "search", Label: "search (kspc_b)", CreatedAt: at("01 00:00"), Tags: map[string]string{}},
			{ID: "wrkspc_default", Name: "Default", Label: "Default", Default: true, CreatedAt: at("01 00:00"), Tags: map[string]string{}},
		}
		got, err := e.store.Workspaces(ctx, org)
		require.NoError(e, err)
		require.Equal(e, want, got)

		ws[1].Name, ws[1].ArchivedAt = "find", at("03 00:00")
		require.NoError(e, e.owner.SaveWorkspaces(ctx, append(ws[:2], spend.Workspace{ID: "wrkspc_c", Name: "new"}), at("03 10:00")))
		require.Equal(e, []string{
			"03 10:00 workspace wrkspc_c added: to new", "03 10:00 workspace wrkspc_b gone: search to",
			"03 10:00 workspace wrkspc_a name: search to find", "03 10:00 workspace wrkspc_a archived_at: to 2026-03-03T00:00:00Z",
		}, e.changes())
		got, err = e.store.Workspaces(ctx, org)
		require.NoError(e, err)
		require.Len(e, got, 4, "what is gone stays")
		require.Equal(e, "find", got[0].Label)
		require.Equal(e, at("03 00:00"), got[0].ArchivedAt)
		require.Equal(e, "search (kspc_b)", got[1].Label)
		require.NoError(e, e.owner.SaveWorkspaces(ctx, append(ws[:2], spend.Workspace{ID: "wrkspc_c", Name: "new"}), at("03 20:00")))
		require.Len(e, e.changes(), 4, "nothing changed")
	}},
	{"replaces members and invites, and records who came and went", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.owner.SaveMembers(ctx, nil, at("02 00:00")))
		ms := []spend.Member{{ID: "user_1", Email: "a@example.com", Name: "A", Role: "developer", AddedAt: at("01 00:00")}, {ID: "user_2", Email: "b@example.com", Role: "admin"}}
		require.NoError(e, e.owner.SaveMembers(ctx, ms, at("03 00:00")))
		got, err := e.store.Members(ctx, org)
		require.NoError(e, err)
		require.Equal(e, ms, got)
		ms[0].Role = "admin"
		require.NoError(e, e.owner.SaveMembers(ctx, ms[:1], at("04 00:00")))
		got, err = e.store.Members(ctx, org)
		require.NoError(e, err)
		require.Equal(e, ms[:1], got)

		is := []spend.Invite{{ID: "invite_1", Email: "c@example.com", Role: "user", Status: "pending", InvitedAt: at("01 00:00"), ExpiresAt: at("22 00:00")}}
		require.NoError(e, e.owner.SaveInvites(ctx, is, at("04 00:00")))
		is[0].Status, is[0].AcceptedAt = "accepted", at("05 00:00")
		require.NoError(e, e.owner.SaveInvites(ctx, is, at("05 00:00")))
		invites, err := e.store.Invites(ctx, org)
		require.NoError(e, err)
		require.Equal(e, is, invites)
		require.Equal(e, []string{
			"05 00:00 invite invite_1 status: pending to accepted",
			"04 00:00 member user_2 gone: b@example.com to", "04 00:00 member user_1 role: developer to admin",
			"03 00:00 member user_2 added: to b@example.com", "03 00:00 member user_1 added: to a@example.com",
		}, e.changes())
		recent, err := e.store.InventoryChanges(ctx, org, span("04 00:00/05 00:00"))
		require.NoError(e, err)
		require.Len(e, recent, 2)
	}},
	{"replaces roles and limits per workspace", func(e *env) {
		ctx := e.Context()
		a := []spend.WorkspaceMember{{WorkspaceID: "wrkspc_a", UserID: "user_1", Role: "workspace_admin"}, {WorkspaceID: "wrkspc_a", UserID: "user_2", Role: "workspace_user"}}
		b := []spend.WorkspaceMember{{WorkspaceID: "wrkspc_b", UserID: "user_1", Role: "workspace_user"}}
		require.NoError(e, e.owner.SaveWorkspaceMembers(ctx, "wrkspc_a", a, at("02 00:00")))
		require.NoError(e, e.owner.SaveWorkspaceMembers(ctx, "wrkspc_b", b, at("02 00:00")))
		require.NoError(e, e.owner.SaveWorkspaceMembers(ctx, "wrkspc_a", a[1:], at("02 00:00")))
		members, err := e.store.WorkspaceMembers(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []spend.WorkspaceMember{a[1], b[0]}, members)

		whole := []spend.RateLimit{
			{GroupID: "rlg_1", GroupType: "model_group", Group: "Claude X", Models: []string{"claude-x", "claude-x-2"}, Limiter: "requests_per_minute", Value: 4000},
			{GroupID: "rlg_1", GroupType: "model_group", Group: "Claude X", Models: []string{"claude-x"}, Limiter: "input_tokens_per_minute", Value: 2_000_000},
		}
		part := []spend.RateLimit{{WorkspaceID: "wrkspc_a", GroupType: "batch", Group: "Batch", Limiter: "enqueued_batch_requests", Value: 7}}
		require.NoError(e, e.owner.SaveRateLimits(ctx, "", whole, at("02 00:00")))
		require.NoError(e, e.owner.SaveRateLimits(ctx, "wrkspc_a", part, at("02 00:00")))
		require.NoError(e, e.owner.SaveRateLimits(ctx, "", whole[:1], at("02 00:00")))
		limits, err := e.store.RateLimits(ctx, org)
		require.NoError(e, err)
		require.Equal(e, append(whole[:1:1], part...), limits)

		spends := []spend.SpendLimit{
			{ID: "sl_2", Scope: "organization", Amount: 100 * spend.Dollar, Period: "monthly", Enabled: true},
			{ID: "sl_1", Scope: "workspace", ScopeID: "wrkspc_a", Unlimited: true, Period: "daily"},
		}
		require.NoError(e, e.owner.SaveSpendLimits(ctx, append(spends, spend.SpendLimit{ID: "sl_3"}), at("02 00:00")))
		require.NoError(e, e.owner.SaveSpendLimits(ctx, spends, at("02 00:00")))
		got, err := e.store.SpendLimits(ctx, org)
		require.NoError(e, err)
		require.Equal(e, spends, got)
	}},
}
