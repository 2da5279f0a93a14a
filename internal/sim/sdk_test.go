package sim_test

import (
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

func sdk(org *sim.Org) *anthropic.Client {
	client := anthropic.NewClient(option.WithoutEnvironmentDefaults(), option.WithBaseURL("https://api.example"),
		option.WithAPIKey(sim.AdminKey), option.WithHTTPClient(org.Client()), option.WithMaxRetries(0))
	return &client
}

func TestInventoryReadsThroughTheSDK(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	api, ctx := &sdk(org).Organization, t.Context()

	me, err := api.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, "Acme Robotics", me.Name)

	users := api.Users.ListAutoPaging(ctx, anthropic.OrganizationUserListParams{Limit: param.NewOpt(int64(3))})
	roles := map[string]int{}
	for u := range users.All() {
		require.False(t, u.AddedAt.IsZero())
		roles[string(u.Role)]++
	}
	require.NoError(t, users.Err())
	require.Equal(t, map[string]int{"admin": 2, "billing": 1, "developer": 3, "claude_code_user": 2, "user": 2}, roles)

	invites := api.Invites.ListAutoPaging(ctx, anthropic.OrganizationInviteListParams{Limit: param.NewOpt(int64(1))})
	statuses := map[string]int{}
	for i := range invites.All() {
		require.Equal(t, 21*24*time.Hour, i.ExpiresAt.Sub(i.InvitedAt))
		statuses[string(i.Status)]++
	}
	require.NoError(t, invites.Err())
	require.Equal(t, map[string]int{"accepted": 1, "pending": 2, "expired": 1}, statuses)

	workspaces := api.Workspaces.ListAutoPaging(ctx, anthropic.OrganizationWorkspaceListParams{
		Limit: param.NewOpt(int64(2)), IncludeArchived: param.NewOpt(true), IncludeDefault: param.NewOpt(true)})
	names := map[string]int{}
	archived, members := 0, 0
	for w := range workspaces.All() {
		names[w.Name]++
		if !w.ArchivedAt.IsZero() {
			archived++
		}
		if w.Name == "Default" {
			continue // has no members
		}
		list := api.Workspaces.Members.ListAutoPaging(ctx, w.ID, anthropic.OrganizationWorkspaceMemberListParams{})
		for m := range list.All() {
			require.Equal(t, w.ID, m.WorkspaceID)
			members++
		}
		require.NoError(t, list.Err())
		limits := api.Workspaces.RateLimits.ListAutoPaging(ctx, w.ID, anthropic.OrganizationWorkspaceRateLimitListParams{
			IncludeInherited: param.NewOpt(true)})
		groups := 0
		for range limits.All() {
			groups++
		}
		require.NoError(t, limits.Err())
		require.Equal(t, 12, groups)
	}
	require.NoError(t, workspaces.Err())
	require.Equal(t, map[string]int{"Default": 1, "production": 1, "staging": 2, "research": 1, "Claude Code": 1,
		"hackathon": 1}, names)
	require.Equal(t, 1, archived)
	require.Equal(t, 8, members)
}

// TestKeysShowEveryCase reads the keys as the SDK types them and looks for each documented case.
func TestKeysShowEveryCase(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	api, ctx := &sdk(org).Organization, t.Context()
	users := map[string]bool{}
	for u := range api.Users.ListAutoPaging(ctx, anthropic.OrganizationUserListParams{}).All() {
		users[u.ID] = true
	}
	seen, names, count := map[string]bool{}, map[string]int{}, 0
	keys := api.APIKeys.ListAutoPaging(ctx, anthropic.OrganizationAPIKeyListParams{Limit: param.NewOpt(int64(4))})
	for k := range keys.All() {
		count++
		names[k.Name]++
		seen["status "+string(k.Status)] = true
		seen["principal "+k.Principal.Type] = true
		seen["scope "+k.Scope.Type] = true
		seen["creator "+string(k.CreatedBy.Type)] = true
		seen["expires"] = seen["expires"] || !k.ExpiresAt.IsZero()
		seen["creator left"] = seen["creator left"] || k.CreatedBy.Type == "user" && !users[k.CreatedBy.ID]
	}
	require.NoError(t, keys.Err())
	require.Equal(t, 25, count)
	require.Equal(t, 2, names["ci"])
	for _, want := range []string{"status active", "status inactive", "status archived", "status expired", "principal ",
		"principal user_actor", "principal service_account_actor", "scope workspace", "scope organization", "creator ",
		"creator user", "creator service_account", "expires", "creator left"} {
		require.True(t, seen[want], want)
	}
}

func TestRateLimitsReadThroughTheSDK(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	limits := sdk(org).Organization.RateLimits.ListAutoPaging(t.Context(), anthropic.OrganizationRateLimitListParams{
		GroupType: "web_search", Limit: param.NewOpt(int64(1))}) // pages before it are empty
	found := 0
	for l := range limits.All() {
		require.Equal(t, "web_search", l.Group.Type)
		require.Equal(t, "tool_uses_per_second", l.Limits[0].Type)
		found++
	}
	require.NoError(t, limits.Err())
	require.Equal(t, 1, found)
}

func TestAnalyticsReadThroughTheSDK(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.DiscountPermille = 125 })
	api, ctx := &sdk(org).Beta.Organization.Analytics, t.Context()
	from, to := day("2026-11-19T08:00:00Z"), day("2026-11-19T11:00:00Z")

	usage := api.Usage.ListAutoPaging(ctx, anthropic.BetaOrganizationAnalyticsUsageListParams{
		StartingAt: from, EndingAt: param.NewOpt(to), TimeBucketWidth: "1h", OrderBy: "time", Order: "asc",
		Limit:   param.NewOpt(int64(7)),
		GroupBy: []anthropic.BetaAnalyticsUsageGroupBy{"workspace_id", "api_key_id", "model", "service_tier", "product"}})
	var requests, searches, tokens int64
	var last time.Time
	for row := range usage.All() {
		require.False(t, row.StartingAt.Before(last))
		last = row.StartingAt
		require.NotEmpty(t, row.Group.WorkspaceID)
		requests += row.Usage.Requests
		searches += row.Usage.ServerToolUse.WebSearchRequests
		tokens += row.Usage.TotalTokens
	}
	require.NoError(t, usage.Err())
	var wantRequests, wantSearches, wantTokens int64
	for _, c := range org.TrueUsage(from, to) {
		wantRequests += c.Requests
		wantSearches += c.WebSearches
		wantTokens += c.UncachedInput + c.CacheRead + c.CacheCreation5m + c.CacheCreation1h + c.Output
	}
	require.Equal(t, []int64{wantRequests, wantSearches, wantTokens}, []int64{requests, searches, tokens})

	cost := api.Cost.ListAutoPaging(ctx, anthropic.BetaOrganizationAnalyticsCostListParams{
		StartingAt: from, EndingAt: param.NewOpt(to), TimeBucketWidth: "1h", OrderBy: "time", Order: "asc",
		Limit: param.NewOpt(int64(7)),
		GroupBy: []anthropic.BetaAnalyticsCostGroupBy{"workspace_id", "api_key_id", "model", "service_tier", "product",
			"cost_type", "token_type"}})
	var cells []sim.CostCell
	for row := range cost.All() {
		cells = append(cells, sim.CostCell{Start: row.StartingAt, End: row.EndingAt, WorkspaceID: row.Group.WorkspaceID,
			APIKeyID: row.Group.APIKeyID, Model: row.Group.Model, ServiceTier: string(row.Group.ServiceTier),
			Product: row.Group.Product, CostType: string(row.Group.CostType), TokenType: string(row.Group.TokenType),
			AmountCents: row.Cost.Amount, ListCents: row.Cost.ListAmount, Currency: string(row.Cost.Currency)})
	}
	require.NoError(t, cost.Err())
	require.ElementsMatch(t, org.TrueHourBill(from, to), cells)
}

func TestActorsReadThroughTheSDK(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	rows := sdk(org).Beta.Organization.Analytics.Usage.ListAutoPaging(t.Context(),
		anthropic.BetaOrganizationAnalyticsUsageListParams{StartingAt: day("2026-11-01T00:00:00Z"),
			GroupBy: []anthropic.BetaAnalyticsUsageGroupBy{"actor", "actor_type"}})
	kinds := map[string]int{}
	for row := range rows.All() {
		require.Equal(t, string(row.Group.ActorType), row.Group.Actor.Type)
		switch a := row.Group.Actor.AsAny().(type) {
		case anthropic.BetaAnalyticsReportUserActor:
			require.Contains(t, a.EmailAddress, "@")
		case anthropic.BetaAnalyticsServiceAccountActor:
			require.NotEmpty(t, a.ServiceAccountID)
		case anthropic.BetaAnalyticsFederatedActor:
			require.Equal(t, "oidc", a.Provider.Type)
		case anthropic.BetaAnalyticsAPIActor:
			require.NotEmpty(t, a.APIKeyID)
		}
		kinds[row.Group.Actor.Type]++
	}
	require.NoError(t, rows.Err())
	for _, kind := range []string{"user_actor", "service_account_actor", "federated_actor", "api_actor"} {
		require.Positive(t, kinds[kind], kind)
	}
}

func TestSpendLimitsReadThroughTheSDK(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.SpendLimits = true })
	limits := sdk(org).Beta.Organization.SpendLimits.ListAutoPaging(t.Context(),
		anthropic.BetaOrganizationSpendLimitListParams{})
	var scopes []string
	for l := range limits.All() {
		scopes = append(scopes, l.Scope.Type)
	}
	require.NoError(t, limits.Err())
	require.Equal(t, []string{"organization", "workspace", "usage_tier"}, scopes)
}
