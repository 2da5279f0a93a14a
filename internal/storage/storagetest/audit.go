package storagetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// spans shows when keys were used as lines: key, workspace, model, first and last bucket.
func (e *env) spans(window string, keys ...string) []string {
	e.Helper()
	found, err := e.store.KeySpans(e.Context(), org, span(window), keys)
	require.NoError(e, err)
	lines := []string{}
	for _, s := range found {
		show := func(w spend.Window) string {
			return w.Start.Format("02 15:04") + "+" + w.Duration().String()
		}
		lines = append(lines, fmt.Sprintf("%s %s %s: %s to %s", s.APIKeyID, s.WorkspaceID, s.Model, show(s.First), show(s.Last)))
	}
	return lines
}

func sampleAudit(evaluated string) storage.Audit {
	return storage.Audit{
		AuditAbout: storage.AuditAbout{
			EvaluatedAt: at(evaluated), InventoryAt: at("10 00:00"), UsageAt: at("10 01:00"), CostAt: at("10 02:00"), HistorySince: at("01 00:00"), MissingHours: 2,
			Checks:     []storage.AuditCheck{{Name: "old", Severities: []string{"info"}}},
			Gaps:       []storage.AuditGap{{Check: "creator_left", Reason: "the list of members was refused"}},
			Exceptions: []storage.AuditException{{Subject: "ci", Check: "old", Until: at("20 00:00"), Reason: "agreed", State: storage.ExceptionInForce, Hides: []string{"old: ci"}}},
		},
		Findings: []storage.AuditFinding{
			{
				Check: "old", Severity: "info", About: storage.AboutKey, ID: "apikey_a", Name: "a", WorkspaceID: "wrkspc_a", Owner: "ada@acme.example",
				Since: at("02 00:00"), What: "is old", Evidence: "created then", Advice: "make a new one", Command: "monitor admin keys disable apikey_a",
				Cost: micro(1) + 1, Basis: spend.Allocated,
			},
			{Check: "unused", Severity: "warning", About: storage.AboutKey, ID: "apikey_a", Name: "a", What: "sleeps"},
			{Check: "invite_pending", Severity: "warning", About: storage.AboutInvite, ID: "invite_1", Name: "bo@acme.example", Since: at("03 00:00"), What: "waits"},
			{Check: "foreign_domain", Severity: "warning", About: storage.AboutMember, ID: "user_1", Name: "ada@acme.example", What: "is foreign"},
			{Check: "too_many_admins", Severity: "warning", About: storage.AboutOrganization, What: "many"},
			{Check: "too_many_keys", Severity: "warning", About: storage.AboutOrganization, What: "very many"},
		},
		Costs: map[string]storage.KeyCost{"apikey_a": {Cost: micro(1) + 1, Basis: spend.Allocated}},
	}
}

var auditTests = []test{
	{"knows when keys were used, by what counts", func(e *env) {
		require.Empty(e, e.spans("01 00:00/31 00:00"))
		model := func(u spend.Usage, name string) spend.Usage {
			return with(u, func(u *spend.Usage) { u.Model = name })
		}
		e.usage(days("08 00:00/09 00:00"), used("08 00:00", "apikey_a", 1), used("08 00:00", spend.NoKey, 5))
		e.usage(hours("09 00:00/10 00:00"), used("09 03:00", "apikey_a", 1), used("09 07:00", "apikey_a", 1), used("09 09:00", "apikey_a", 0),
			model(used("09 05:00", "apikey_b", 1), "claude-y"))
		e.usage(open(minutes("10 00:00/10 01:30")), used("10 00:10", "apikey_a", 1), with(used("10 01:10", "apikey_b", 0), func(u *spend.Usage) {
			u.Counts[spend.WebSearches], u.WorkspaceID = 1, "wrkspc_b"
		}))
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_c", 1)) // minutes of this hour do not count any more
		require.Equal(e, []string{
			"apikey_a wrkspc_a claude-x: 08 00:00+24h0m0s to 09 07:00+1h0m0s",
			"apikey_b wrkspc_a claude-y: 09 05:00+1h0m0s to 09 05:00+1h0m0s",
			"apikey_b wrkspc_b claude-x: 10 01:10+1m0s to 10 01:10+1m0s",
			"apikey_c wrkspc_a claude-x: 10 00:00+1h0m0s to 10 00:00+1h0m0s",
		}, e.spans("01 00:00/31 00:00"))
		require.Equal(e, []string{"apikey_a wrkspc_a claude-x: 09 03:00+1h0m0s to 09 03:00+1h0m0s"}, e.spans("09 00:00/09 04:00"))
		require.Equal(e, []string{"apikey_c wrkspc_a claude-x: 10 00:00+1h0m0s to 10 00:00+1h0m0s"}, e.spans("01 00:00/31 00:00", "apikey_c", "apikey_z"))
		// Centuries are not looked up bucket by bucket.
		ages := spend.Window{Start: time.Unix(0, 0).UTC(), End: at("31 00:00").AddDate(200, 0, 0)}
		all, err := e.store.KeySpans(e.Context(), org, ages, []string{"apikey_b", "apikey_a"})
		require.NoError(e, err)
		want, err := e.store.KeySpans(e.Context(), org, span("01 00:00/31 00:00"), nil)
		require.NoError(e, err)
		require.Equal(e, want[:3], all)
		none, err := e.store.KeySpans(e.Context(), org, span("01 00:00/31 00:00"), []string{})
		require.NoError(e, err)
		require.Empty(e, none, "an empty list is no keys")
		none, err = e.store.KeySpans(e.Context(), other, span("01 00:00/31 00:00"), nil)
		require.NoError(e, err)
		require.Empty(e, none)
	}},
	{"keeps a key's last use through retention, backfill and revisions", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.owner.SaveAPIKeys(ctx, []spend.APIKey{{ID: "apikey_a", Name: "ci"}, {ID: "apikey_b", Name: "ci"}}, at("01 00:00")))
		e.usage(minutes("09 00:00/09 01:00"), used("09 00:05", "apikey_a", 1))
		e.usage(hours("09 00:00/09 01:00"), used("09 00:00", "apikey_a", 1))
		e.usage(hours("08 00:00/09 00:00"), used("08 03:00", "apikey_b", 1), used("08 03:00", "apikey_a", 1)) // backfill, later
		require.Equal(e, span("09 00:05/09 00:06"), e.lastUsed("apikey_a"))
		require.Equal(e, span("08 03:00/08 04:00"), e.lastUsed("apikey_b"), "the other key of the name")
		_, err := e.owner.Prune(ctx, storage.Keep{Minute: at("20 00:00"), Hour: at("20 00:00"), Day: at("20 00:00")})
		require.NoError(e, err)
		require.Empty(e, e.spans("01 00:00/31 00:00"), "the facts are gone")
		require.Equal(e, span("09 00:05/09 00:06"), e.lastUsed("apikey_a"), "as fine as it was known")
		require.Equal(e, span("08 03:00/08 04:00"), e.lastUsed("apikey_b"))
		e.usage(hours("20 00:00/20 02:00"), used("20 00:00", "apikey_a", 1), used("20 01:00", "apikey_a", 1))
		e.usage(later(hours("20 00:00/20 02:00"), time.Hour), used("20 00:00", "apikey_a", 1))
		require.Equal(e, span("20 00:00/20 01:00"), e.lastUsed("apikey_a"), "a revision took the last hour back")
	}},
	{"remembers when lists were read and refused", func(e *env) {
		ctx := e.Context()
		save := func(l storage.ListRead) { require.NoError(e, e.owner.SaveListRead(ctx, l)) }
		reads := func() []storage.ListRead {
			ls, err := e.store.ListReads(ctx, org)
			require.NoError(e, err)
			return ls
		}
		require.Empty(e, reads())
		save(storage.ListRead{List: storage.ListMembers, RefusedAt: at("02 00:00"), Reason: "no permission"})
		save(storage.ListRead{List: storage.ListAPIKeys, ReadAt: at("02 00:00")})
		require.Equal(e, []storage.ListRead{
			{List: storage.ListAPIKeys, ReadAt: at("02 00:00")}, {List: storage.ListMembers, RefusedAt: at("02 00:00"), Reason: "no permission"},
		}, reads())
		require.True(e, reads()[1].Refused())
		save(storage.ListRead{List: storage.ListMembers, ReadAt: at("03 00:00")})
		require.Equal(e, storage.ListRead{List: storage.ListMembers, ReadAt: at("03 00:00"), RefusedAt: at("02 00:00"), Reason: "no permission"}, reads()[1])
		require.False(e, reads()[1].Refused())
	}},
	{"keeps the newest evaluation", func(e *env) {
		ctx := e.Context()
		stored := func() storage.Audit {
			a, err := e.store.Audit(ctx, org)
			require.NoError(e, err)
			return a
		}
		require.Zero(e, stored().EvaluatedAt)
		want := sampleAudit("11 00:00")
		require.NoError(e, e.owner.SaveAudit(ctx, want))
		storage.SortFindings(want.Findings)
		require.Equal(e, want, stored())

		next := sampleAudit("11 01:00")
		next.Findings = next.Findings[1:3]
		next.Findings[0].Severity = "critical"
		next.Costs = map[string]storage.KeyCost{"apikey_b": {Cost: 5, Basis: spend.Billed}}
		require.NoError(e, e.owner.SaveAudit(ctx, next))
		require.NoError(e, e.owner.SaveAudit(ctx, next), "the same again")
		storage.SortFindings(next.Findings)
		require.Equal(e, next, stored())

		a, err := e.store.Audit(ctx, other)
		require.NoError(e, err)
		require.Zero(e, a)
	}},
	{"shows findings in views", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.owner.SaveWorkspaces(ctx, []spend.Workspace{{ID: "wrkspc_a", Name: "search"}}, at("02 00:00")))
		require.NoError(e, e.owner.SaveMembers(ctx, []spend.Member{{ID: "user_1", Email: "ada@acme.example", Name: "Ada", Role: "admin"}}, at("02 00:00")))
		require.NoError(e, e.owner.SaveInvites(ctx, []spend.Invite{
			{ID: "invite_1", Email: "bo@acme.example", Role: "user", Status: "pending"}, {ID: "invite_2", Email: "ada@acme.example", Role: "user", Status: "accepted"},
		}, at("02 00:00")))
		require.NoError(e, e.owner.SaveAPIKeys(ctx, []spend.APIKey{
			{ID: "apikey_a", Name: "ci", Status: "active", WorkspaceID: "wrkspc_a", CreatedByID: "user_1"},
			{ID: "apikey_b", Name: "web", Status: "inactive", WorkspaceID: "wrkspc_b", CreatedByID: "user_9", PrincipalID: "user_8"},
			{ID: "apikey_c", Name: "gone", Status: "active"},
		}, at("02 00:00")))
		require.NoError(e, e.owner.SaveAPIKeys(ctx, []spend.APIKey{
			{ID: "apikey_a", Name: "ci", Status: "active", WorkspaceID: "wrkspc_a", CreatedByID: "user_1"},
			{ID: "apikey_b", Name: "web", Status: "inactive", WorkspaceID: "wrkspc_b", CreatedByID: "user_9", PrincipalID: "user_8"},
		}, at("03 00:00")))
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
		keys := func() []string {
			return e.ask(`
				select organization || '|' || api_key_id || '|' || api_key || '|' || workspace || '|' || owner || '|' || status || '|' || finding || '|' || severity
					|| '|' || coalesce(cast(round(cost_usd_30d * 1000000000) as bigint), -1)
				from api_key_audit`)
		}
		require.ElementsMatch(e, []string{
			"acme|apikey_a|ci|search|ada@acme.example|active|||-1", "acme|apikey_b|web|wrkspc_b|user_8|inactive|||-1",
		}, keys(), "never evaluated: nothing found, and no cost known")
		require.NoError(e, e.owner.SaveAudit(ctx, sampleAudit("11 00:00")))
		require.ElementsMatch(e, []string{
			"acme|apikey_a|ci|search|ada@acme.example|active|old|info|1001", "acme|apikey_a|ci|search|ada@acme.example|active|unused|warning|1001",
			"acme|apikey_b|web|wrkspc_b|user_8|inactive|||0", "acme||||||too_many_keys|warning|-1",
		}, keys())
		require.Equal(e, []string{"1"}, e.ask(`select count(*) from api_key_audit where last_used_at is not null and finding = 'old' and since is not null`))
		require.ElementsMatch(e, []string{
			"acme|member|user_1|ada@acme.example|Ada|admin|member|foreign_domain|warning", "acme|invite|invite_1|bo@acme.example||user|pending|invite_pending|warning",
			"acme|organization||||||too_many_admins|warning",
		}, e.ask(`
			select organization || '|' || kind || '|' || id || '|' || email || '|' || name || '|' || role || '|' || status || '|' || finding || '|' || severity
			from access_audit`))
	}},
}
