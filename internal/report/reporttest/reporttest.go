// Package reporttest fills a store with a small history made by hand, for tests of what reads the
// store: package report, metrics and web. Every kind of figure is in it: billed by the day and by
// the hour, shared out, estimated, unpriced and uncertain, without a key, and not to be attributed.
package reporttest

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// The organizations. Acme is billed by the day, Beta by the hour.
const (
	Acme = "11111111-1111-4111-8111-111111111111"
	Beta = "22222222-2222-4222-8222-222222222222"
)

// Ids in Acme. Two workspaces are called staging, two keys ci.
const (
	Default  = "wrkspc_01Default"
	Staging  = "wrkspc_01StagingAA111111"
	Staging2 = "wrkspc_01StagingBB9f2k1z"
	KeyProd  = "apikey_01ProdAAAA000000"
	KeyCI    = "apikey_01CiAAAA111111"
	KeyCI2   = "apikey_01CiBBBB222222"
	KeyIdle  = "apikey_01IdleAA333333"
)

// Models of the history; Opus has no known price.
const (
	Sonnet = "claude-sonnet-5"
	Haiku  = "claude-haiku-5-5"
	Opus   = "claude-opus-6"
)

// Now is the moment the history ends at: a Sunday, shortly after the newest data.
var Now = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

// At is an hour of November 2026.
func At(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }

// Open returns an empty store.
func Open(t testing.TB) storage.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// Filled returns a store with the history.
func Filled(t testing.TB) storage.Store {
	t.Helper()
	store := Open(t)
	Fill(t, store)
	return store
}

// Fill writes the history to an empty store.
func Fill(t testing.TB, store storage.Store) {
	t.Helper()
	fill(t, store, spend.Organization{ID: Acme, Name: "acme"}, At(19, 0), acme)
	fill(t, store, spend.Organization{ID: Beta, Name: "beta"}, At(22, 0), beta)
	for _, s := range silences {
		require.NoError(t, store.SaveSilence(t.Context(), s))
	}
}

// filler writes to an organization and fails the test on an error.
type filler struct {
	testing.TB
	storage.Owner
}

func fill(t testing.TB, store storage.Store, o spend.Organization, live time.Time, history func(filler)) {
	t.Helper()
	require.NoError(t, store.SaveOrganization(t.Context(), o, live))
	owner, err := store.Own(t.Context(), o.ID)
	require.NoError(t, err)
	f := filler{t, owner}
	f.ok(owner.SetLive(t.Context(), live))
	history(f)
	f.ok(owner.UpdateCounters(t.Context(), 0))
	f.ok(owner.Release())
}

func (f filler) ok(err error) {
	f.Helper()
	require.NoError(f, err)
}

func (f filler) usage(r spend.Report, g spend.Grain, from, to time.Time, rows ...spend.Usage) {
	f.Helper()
	_, err := f.ReplaceUsage(f.Context(), reading(r, g, from, to), rows)
	f.ok(err)
}

func (f filler) costs(r spend.Report, g spend.Grain, from, to time.Time, rows ...spend.Cost) {
	f.Helper()
	_, err := f.ReplaceCosts(f.Context(), reading(r, g, from, to), rows)
	f.ok(err)
}

func reading(r spend.Report, g spend.Grain, from, to time.Time) storage.Reading {
	return storage.Reading{Report: r, Grain: g, Window: spend.Window{Start: from, End: to}, At: Now, DataAt: to}
}

// row is usage of a key; the estimate is a thousandth of a cent per token, and what else is said.
func row(bucket time.Time, workspace, key, model string, counts spend.Counts) spend.Usage {
	u := spend.Usage{
		Bucket: bucket, Counts: counts, Price: spend.Priced,
		Dims: spend.Dims{
			WorkspaceID: workspace, APIKeyID: key, Model: model, ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "us",
		},
	}
	if model == Opus {
		u.Price = spend.Unpriced
		return u
	}
	for k := range spend.WebSearches {
		u.Estimate[k] = spend.Money(counts[k]) * spend.Cent / 1000
	}
	u.Estimate[spend.WebSearches] = spend.Money(counts[spend.WebSearches]) * spend.Cent
	if model == Haiku {
		u.Price = spend.Uncertain
	}
	return u
}

// bill is a row of the cost report.
func bill(bucket time.Time, workspace, model, tokenType string, amount spend.Money) spend.Cost {
	return spend.Cost{
		Bucket: bucket, Amount: amount, List: amount,
		Dims: spend.Dims{
			WorkspaceID: workspace, Model: model, ServiceTier: "standard", ContextWindow: "0-200k", CostType: "tokens", TokenType: tokenType,
		},
	}
}

func acme(f filler) {
	ctx := f.Context()
	f.ok(f.SaveWorkspaces(ctx, []spend.Workspace{
		{ID: Default, Name: "Default", Default: true, CreatedAt: At(1, 0)},
		{ID: Staging, Name: "staging", CreatedAt: At(1, 0)},
		{ID: Staging2, Name: "staging", CreatedAt: At(2, 0)},
	}, At(19, 0)))
	f.ok(f.SaveAPIKeys(ctx, []spend.APIKey{
		{ID: KeyProd, Name: "prod", Hint: "sk-ant-api03-R2D...igAA", Status: "active", WorkspaceID: Default, CreatedByID: "user_01Ada", CreatorType: "user", CreatedAt: At(1, 0)},
		{ID: KeyCI, Name: "ci", Hint: "sk-ant-api03-AAA...1111", Status: "active", WorkspaceID: Staging, CreatedByID: "user_01Bob", CreatorType: "user", CreatedAt: At(1, 0), ExpiresAt: time.Date(2027, 11, 1, 0, 0, 0, 0, time.UTC)},
		{ID: KeyCI2, Name: "ci", Hint: "sk-ant-api03-BBB...2222", Status: "inactive", WorkspaceID: Staging2, PrincipalID: "svac_01Bot", CreatorType: "service_account", CreatedAt: At(2, 0)},
		{ID: KeyIdle, Name: "idle", Hint: "sk-ant-api03-CCC...3333", Status: "active", WorkspaceID: Staging, CreatedByID: "user_01Ada", CreatorType: "user", CreatedAt: At(20, 0)},
	}, At(19, 0)))
	f.ok(f.SaveMembers(ctx, []spend.Member{{ID: "user_01Ada", Email: "ada@acme.example", Name: "Ada", Role: "admin", AddedAt: At(1, 0)}}, At(19, 0)))
	f.ok(f.SaveRateLimits(ctx, "", []spend.RateLimit{
		{GroupID: "sonnet", GroupType: "model_group", Group: "Claude Sonnet 5", Models: []string{Sonnet}, Limiter: "requests_per_minute", Value: 4000},
		{GroupID: "sonnet", GroupType: "model_group", Group: "Claude Sonnet 5", Models: []string{Sonnet}, Limiter: "input_tokens_per_minute_cache_aware", Value: 50_000},
		{GroupID: "sonnet", GroupType: "model_group", Group: "Claude Sonnet 5", Models: []string{Sonnet}, Limiter: "output_tokens_per_minute", Value: 10_000},
		{GroupID: "batch", GroupType: "batch", Group: "Message Batches", Limiter: "enqueued_batch_requests", Value: 500000},
	}, At(19, 0)))
	f.ok(f.SaveRateLimits(ctx, Staging2, []spend.RateLimit{
		{WorkspaceID: Staging2, GroupID: "sonnet", GroupType: "model_group", Group: "Claude Sonnet 5", Models: []string{Sonnet}, Limiter: "requests_per_minute", Value: 100},
		{WorkspaceID: Staging2, GroupID: "sonnet", GroupType: "model_group", Group: "Claude Sonnet 5", Models: []string{Sonnet}, Limiter: "output_tokens_per_minute", Value: 1000},
	}, At(19, 0)))
	acmeFacts(f)
	f.ok(f.ReplaceClaudeCode(ctx, At(21, 0), []spend.ClaudeCode{
		{Day: At(21, 0), ActorType: "user_actor", Actor: "ada@acme.example", CustomerType: "api", TerminalType: "vscode", Sessions: 3, LinesAdded: 120, LinesRemoved: 30, Commits: 2, PullRequests: 1, ToolsAccepted: 9, ToolsRejected: 1, Models: []spend.ClaudeCodeModel{{Model: Sonnet, Input: 100, Output: 50, Cost: 125 * spend.Cent}}},
		{Day: At(21, 0), ActorType: "api_actor", Actor: "ci", CustomerType: "api", TerminalType: "", Sessions: 1, LinesAdded: 5, Models: []spend.ClaudeCodeModel{{Model: Haiku, Cost: 5 * spend.Cent}}},
	}))
	for _, w := range []storage.Watermark{
		{Report: spend.ReportMessages, DataAt: At(22, 10).Add(25 * time.Minute), ReadAt: Now},
		{Report: spend.ReportCost, DataAt: At(22, 0), ReadAt: Now},
		{Report: spend.ReportClaudeCode, DataAt: At(22, 0), ReadAt: Now},
		{Report: spend.ReportAnalyticsUsage, DataAt: At(20, 0), ReadAt: At(22, 9)},
		{Report: spend.ReportAnalyticsCost, RefusedAt: At(22, 9), Reason: "the key has no scope read:analytics"},
	} {
		f.ok(f.SetWatermark(ctx, w))
	}
	for _, r := range []storage.Run{
		{Job: "usage", StartedAt: Now.Add(-2 * time.Minute), EndedAt: Now.Add(-119 * time.Second), Outcome: "ok", Rows: 12, Requests: 2},
		{Job: "cost", StartedAt: At(22, 9), EndedAt: At(22, 9).Add(3 * time.Second), Outcome: "ok", Rows: 4, Requests: 1},
		{Job: "cost", StartedAt: At(22, 10), EndedAt: At(22, 10).Add(30 * time.Second), Outcome: "failed", Requests: 3, Error: "cost report: 529 overloaded"},
	} {
		r.Organization = Acme
		f.ok(f.SaveRun(ctx, r))
	}
	reconciled(f)
	judged(f)
	f.ok(f.SaveAudit(ctx, acmeAudit()))
}

func acmeAudit() storage.Audit {
	return storage.Audit{
		AuditAbout: storage.AuditAbout{
			EvaluatedAt: At(22, 10), InventoryAt: At(22, 9), UsageAt: At(22, 10), CostAt: At(22, 0), HistorySince: At(1, 0), MissingHours: 1,
			Checks: []storage.AuditCheck{
				{Name: "creator_left", Severities: []string{"critical"}}, {Name: "expiring", Severities: []string{"info", "warning", "critical"}},
				{Name: "no_expiry", Severities: []string{"info"}}, {Name: "foreign_domain", Severities: []string{"warning", "critical"}},
			},
			Gaps: []storage.AuditGap{{Check: "invite_pending", Reason: "the list of invites is refused to the credential (no permission)"}},
			Exceptions: []storage.AuditException{
				{Subject: "api_key prod", Check: "no_expiry", Until: At(30, 0), Reason: "moves next week", State: storage.ExceptionInForce, Hides: []string{"no_expiry: prod"}},
				{Subject: "api_key prod", Check: "old", Until: At(30, 0), Reason: "agreed", State: storage.ExceptionUnused, Hides: []string{}},
				{Subject: "member bob*", Check: "*", Until: At(20, 0), Reason: "parental leave", State: storage.ExceptionEnded, Hides: []string{}},
			},
		},
		Findings: []storage.AuditFinding{
			{
				Check: "creator_left", Severity: "critical", About: storage.AboutKey, ID: KeyCI, Name: "ci", WorkspaceID: Staging, Owner: "user_01Bob", Since: At(21, 3),
				What: "works although user_01Bob, who made it, is no member any more", Evidence: "user_01Bob was seen to be gone", Advice: "make a new key",
				Command: "monitor admin keys disable " + KeyCI, Cost: 9_641_000_000, Basis: spend.Mixed,
			},
			{
				Check: "no_expiry", Severity: "info", About: storage.AboutKey, ID: KeyIdle, Name: "idle", WorkspaceID: Staging, Owner: "ada@acme.example", Since: At(20, 0),
				What: "never expires", Evidence: "made without an expiry", Advice: "make a new key in the Console", Command: "monitor admin keys disable " + KeyIdle,
			},
			{
				Check: "foreign_domain", Severity: "warning", About: storage.AboutMember, ID: "user_01Ada", Name: "<ada@acme.example>", What: "is admin with an address at acme.example",
				Evidence: "own domains: acme.test", Advice: "let them go", Command: "monitor admin offboard ada@acme.example --dry-run",
			},
		},
		Costs: map[string]storage.KeyCost{KeyCI: {Cost: 9_641_000_000, Basis: spend.Mixed}, KeyProd: {Cost: spend.Dollar, Basis: spend.Estimated}},
	}
}

func acmeFacts(f filler) {
	ctx := f.Context()
	october := time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC)
	f.usage(spend.ReportMessages, spend.Day, october.AddDate(0, 0, -30), At(19, 0), // 1 October to 18 November
		row(october, Default, KeyProd, Sonnet, spend.Counts{1_000_000, 500_000, 0, 0, 200_000, 0}),
		row(At(3, 0), Staging, KeyCI, Sonnet, spend.Counts{300_000, 0, 40_000, 0, 60_000, 0}),
		row(At(3, 0), Staging2, KeyCI2, Sonnet, spend.Counts{100_000, 0, 0, 0, 10_000, 0}),
	)
	f.usage(spend.ReportMessages, spend.Hour, At(19, 0), At(22, 9),
		row(At(19, 8), Default, KeyProd, Sonnet, spend.Counts{70_000, 10_000, 0, 0, 7_000, 2}),
		row(At(19, 9), Default, spend.NoKey, Sonnet, spend.Counts{30_000, 0, 0, 0, 1_001, 0}),
		row(At(20, 10), Staging, KeyCI, Haiku, spend.Counts{500_000, 0, 0, 10_000, 50_000, 0}),
		row(At(20, 11), Staging2, KeyCI2, Opus, spend.Counts{11_000, 0, 0, 0, 1_345, 0}),
		row(At(21, 23), Default, KeyProd, Sonnet, spend.Counts{123_456, 654_321, 0, 0, 9_999, 0}),
		row(At(22, 1), Default, KeyProd, Sonnet, spend.Counts{80_000, 20_000, 0, 0, 5_000, 1}),
	)
	f.usage(spend.ReportMessages, spend.Minute, At(22, 9), At(22, 10).Add(25*time.Minute),
		row(At(22, 9).Add(5*time.Minute), Staging, KeyCI, Sonnet, spend.Counts{1_000, 3_000, 0, 0, 100, 0}),
		row(At(22, 10).Add(20*time.Minute), Default, spend.NoKey, Sonnet, spend.Counts{2_000, 0, 0, 0, 333, 0}),
	)
	requests := row(At(19, 8), Default, KeyProd, Sonnet, spend.Counts{})
	requests.Requests = 321
	requests.ContextWindow, requests.InferenceGeo = "", ""
	_, err := f.ReplaceRequests(ctx, reading(spend.ReportAnalyticsUsage, spend.Hour, At(19, 0), At(20, 0)), []spend.Usage{requests})
	f.ok(err)

	execution := bill(At(21, 0), Default, "", "", 175*spend.Cent)
	execution.CostType, execution.ServiceTier, execution.ContextWindow = "code_execution", "", ""
	f.costs(spend.ReportCost, spend.Day, october, At(16, 0),
		bill(october, Default, Sonnet, "uncached_input", 11*spend.Dollar+1),
		bill(october, Default, Sonnet, "output", 9*spend.Dollar),
		bill(At(3, 0), Staging, Sonnet, "uncached_input", 4*spend.Dollar),
		bill(At(3, 0), Staging2, Sonnet, "uncached_input", 2*spend.Dollar),
		bill(At(3, 0), Staging2, "claude-retired-1", "output", 50*spend.Cent), // matches no usage
	)
	f.costs(spend.ReportCost, spend.Day, At(19, 0), At(22, 0),
		bill(At(19, 0), Default, Sonnet, "uncached_input", spend.Dollar+1),
		bill(At(19, 0), Default, Sonnet, "output", 333_333_333),
		execution,
	)
	for _, day := range []time.Time{october, At(3, 0), At(19, 0)} {
		f.ok(f.Bill(ctx, day, Now))
	}
}

func beta(f filler) {
	ctx := f.Context()
	f.ok(f.SaveWorkspaces(ctx, []spend.Workspace{{ID: "wrkspc_01BetaDefault", Name: "Default", Default: true, CreatedAt: At(1, 0)}}, At(22, 0)))
	f.usage(spend.ReportMessages, spend.Day, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), At(22, 0))
	f.usage(spend.ReportMessages, spend.Hour, At(22, 0), At(22, 10),
		row(At(22, 3), "wrkspc_01BetaDefault", spend.NoKey, Sonnet, spend.Counts{40_000, 0, 0, 0, 2_000, 0}),
		row(At(22, 8), "wrkspc_01BetaDefault", spend.NoKey, Sonnet, spend.Counts{10_000, 0, 0, 0, 500, 0}),
	)
	hourly := bill(At(22, 3), "wrkspc_01BetaDefault", Sonnet, "uncached_input", 123_456_789)
	hourly.APIKeyID, hourly.List = spend.NoKey, 150_000_000
	f.costs(spend.ReportAnalyticsCost, spend.Hour, At(22, 0), At(22, 6), hourly)
	f.ok(f.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: At(22, 10), ReadAt: Now}))
	f.ok(f.SetWatermark(ctx, storage.Watermark{Report: spend.ReportAnalyticsCost, DataAt: At(22, 6), ReadAt: Now}))
}
