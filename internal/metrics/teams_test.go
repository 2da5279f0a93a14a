package metrics_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// perPeriod sums a gauge of an organization by period.
func perPeriod(values map[string]float64, gauge, organization, also string) map[string]int64 {
	sums := map[string]int64{}
	for series, v := range values {
		labels, ok := strings.CutPrefix(series, gauge+"{")
		if !ok || !strings.Contains(labels, "organization="+organization+",") || !strings.Contains(labels, also) {
			continue
		}
		_, period, _ := strings.Cut(labels, "period=")
		period, _, _ = strings.Cut(strings.TrimSuffix(period, "}"), ",")
		sums[period] += int64(math.Round(v * float64(spend.Dollar)))
	}
	return sums
}

func TestTeamsAddUpToTheCost(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, o := range []metrics.Options{
		{Teams: team.Teams{{Name: "ops", Workspaces: []string{"Default"}}}},
		{Teams: team.Teams{{Name: "ops", APIKeys: []string{"prod"}}}},
		{Teams: team.Teams{{Name: "ops", APIKeys: []string{"ci"}, Workspaces: []string{"*"}}}, APIKeys: true, MaxSeries: 1},
		{Teams: team.Teams{{Name: "ops", Tags: []string{"no=such"}}}},
	} {
		_, values := gathered(t, metrics.New(store, o), reporttest.Now, both)
		for _, organization := range []string{"acme", "beta"} {
			want := perPeriod(values, "anthropic_cost_usd", organization, "")
			require.NotEmpty(t, want)
			require.Equal(t, want, perPeriod(values, "anthropic_team_cost_usd", organization, ""), "%s, %v", organization, o)
		}
	}
	_, values := gathered(t, metrics.New(store, metrics.Options{}), reporttest.Now, both)
	require.Empty(t, perPeriod(values, "anthropic_team_cost_usd", "acme", ""), "without teams there is none")
}

// A key that is renamed takes its history along.
func TestTeamsFollowTheInventory(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	m := metrics.New(store, metrics.Options{Teams: team.Teams{{Name: "ops", APIKeys: []string{"ops-*"}}}})
	_, values := gathered(t, m, reporttest.Now, both)
	require.Empty(t, perPeriod(values, "anthropic_team_cost_usd", "acme", "team=ops"))
	unmapped := perPeriod(values, "anthropic_team_cost_usd", "acme", "team=unmapped")

	keys, err := store.APIKeys(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	for i := range keys {
		if keys[i].ID == reporttest.KeyProd {
			keys[i].Name = "ops-prod"
		}
	}
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	require.NoError(t, owner.SaveAPIKeys(t.Context(), keys, reporttest.Now))
	require.NoError(t, owner.Release())
	_, values = gathered(t, m, reporttest.Now, both)
	ops := perPeriod(values, "anthropic_team_cost_usd", "acme", "team=ops")
	require.Positive(t, ops["last_month"], "no figure changed, but whose it is")
	rest := perPeriod(values, "anthropic_team_cost_usd", "acme", "team=unmapped")
	for period, whole := range unmapped {
		require.Equal(t, whole, ops[period]+rest[period], period)
	}
}
