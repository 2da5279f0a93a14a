package main

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// agreeTeams share the workspace production by its keys and leave the default workspace to nobody.
const agreeTeams = `
teams:
  - {name: platform, tags: ["env=prod"]}
  - {name: search, api_keys: ["search-*"], tags: ["team=search"]}
  - {name: data, api_keys: [nightly-etl, "billing-*"]}
  - {name: research, workspaces: [research, "Claude*"]}
`

// teamOf says by hand whose a key's use in a workspace is.
func (a agreement) teamOf() func(workspace, key string) string {
	store := a.open()
	defer store.Close()
	orgs, err := store.Organizations(a.t.Context())
	require.NoError(a.t, err)
	workspaces, err := store.Workspaces(a.t.Context(), orgs[0].ID)
	require.NoError(a.t, err)
	keys, err := store.APIKeys(a.t.Context(), orgs[0].ID)
	require.NoError(a.t, err)
	byWorkspace, byKey := map[string]string{}, map[string]string{}
	for _, w := range workspaces {
		switch {
		case w.Name == "production":
			byWorkspace[w.ID] = "platform"
		case w.Tags["team"] == "search":
			byWorkspace[w.ID] = "search"
		case w.Name == "research" || w.Name == "Claude Code":
			byWorkspace[w.ID] = "research"
		default:
			byWorkspace[w.ID] = "unmapped"
		}
	}
	for _, k := range keys {
		switch k.Name {
		case "search-ranker":
			byKey[k.ID] = "search"
		case "nightly-etl", "billing-export":
			byKey[k.ID] = "data"
		}
	}
	require.Len(a.t, byKey, 3)
	return func(workspace, key string) string {
		if t := byKey[key]; t != "" {
			return t
		}
		return byWorkspace[workspace]
	}
}

// teams compares what the API, the command line, the views and the metrics say of teams with each other and
// with the simulator's ledger.
func (a agreement) teams(analytics bool) {
	of := a.teamOf()
	window := spend.Window{Start: spend.Day.Floor(a.now.AddDate(0, 0, -12)), End: spend.Day.Floor(a.now.AddDate(0, 0, -3))}
	inWindow := func(day string) bool {
		return day >= window.Start.Format(time.DateOnly) && day < window.End.Format(time.DateOnly)
	}

	// The bill by team, day and model; where it does not tell keys, by the workspaces that no teams share.
	want, wantApart := figures{}, figures{}
	var total int64
	if analytics {
		for _, c := range a.org.TrueHourBill(window.Start, window.End) {
			amount := sim.SumNanoUSD([]sim.CostCell{c})
			total += amount
			want.add(amount, c.Start.Format(time.DateOnly), of(c.WorkspaceID, c.APIKeyID), c.Model)
		}
	}
	production := ""
	shared := map[string]bool{}
	for _, u := range a.org.TrueUsage(window.Start, window.End) {
		if of(u.WorkspaceID, "") == "platform" {
			production = u.WorkspaceID
			shared[of(u.WorkspaceID, u.APIKeyID)] = true
		}
	}
	require.Len(a.t, shared, 3, "three teams share production")
	if !analytics {
		for _, c := range a.org.TrueBill(window.Start, window.End) {
			amount := sim.SumNanoUSD([]sim.CostCell{c})
			total += amount
			if c.WorkspaceID != production {
				wantApart.add(amount, c.Start.Format(time.DateOnly), of(c.WorkspaceID, ""), c.Model)
			}
		}
	}
	got, gotApart := figures{}, figures{}
	bases := map[string]bool{}
	byTeam := a.ask("/api/v1/costs", window, "step=day&by=team,model")
	require.Equal(a.t, total, a.money(byTeam.Total["cost_usd"]), "teams add up to the bill")
	for _, r := range byTeam.Data {
		got.add(a.money(r["cost_usd"]), r["start"].(string)[:10], r["team"], r["model"])
		bases[r["basis"].(string)] = true
	}
	byWorkspace := a.ask("/api/v1/costs", window, "step=day&by=team,workspace,model")
	require.Equal(a.t, total, a.money(byWorkspace.Total["cost_usd"]))
	for _, r := range byWorkspace.Data {
		if r["workspace_id"] != production {
			gotApart.add(a.money(r["cost_usd"]), r["start"].(string)[:10], r["team"], r["model"])
			require.Equal(a.t, "billed", r["basis"], "a workspace of one team is as billed: %v", r)
		}
	}
	if analytics {
		requireSame(a.t, want, got, "cost by team: the API and the simulator's ledger")
		require.Equal(a.t, map[string]bool{"billed": true}, bases)
	} else {
		requireSame(a.t, wantApart, gotApart, "cost by team of workspaces that are not shared: the API and the simulator's ledger")
		require.True(a.t, bases["billed"] && bases["mixed"], "what teams share is allocated: %v", bases)
	}

	// The view says the same.
	amount := "cast(cost_usd * 1000000000 as bigint)"
	if a.sqlite != "" {
		amount = "cost_nano"
	}
	view := figures{}
	a.query("select cast(day as text), team, model, "+amount+" from cost_daily", func(scan func(...any)) {
		var day, team, mdl string
		var nano int64
		if scan(&day, &team, &mdl, &nano); inWindow(day) {
			view.add(nano, day, team, mdl)
		}
	})
	requireSame(a.t, got, view, "cost by team: the API and the view cost_daily")

	// A filter keeps what the rows show, and the filters add up.
	var filtered int64
	for _, name := range []string{"platform", "search", "data", "research", "unmapped"} {
		x := a.money(a.ask("/api/v1/costs", window, "team="+name).Total["cost_usd"])
		require.NotZero(a.t, x, name)
		filtered += x
	}
	require.Equal(a.t, total, filtered, "each team's cost adds up to the bill")

	// Usage is known by key in either generation.
	want, got, view = figures{}, figures{}, figures{}
	for _, c := range a.org.TrueUsage(window.Start, window.End) {
		want.add(c.Output, c.Hour.Format(time.DateOnly), of(c.WorkspaceID, c.APIKeyID))
	}
	for _, r := range a.ask("/api/v1/usage", window, "step=day&by=team").Data {
		got.add(a.count(r["output_tokens"]), r["start"].(string)[:10], r["team"])
	}
	requireSame(a.t, want, got, "usage by team: the API and the simulator's ledger")
	a.query("select cast(day as text), team, output_tokens from usage_daily", func(scan func(...any)) {
		var day, team string
		var n int64
		if scan(&day, &team, &n); inWindow(day) {
			view.add(n, day, team)
		}
	})
	requireSame(a.t, want, view, "usage by team: the view usage_daily and the simulator's ledger")

	// The command line prints what the API answers.
	printed := a.monitor("report", "--format", "json", "--by", "team,model", "--step", "day",
		"--from", window.Start.Format(time.DateOnly), "--to", window.End.Format(time.DateOnly))
	var said answer
	decoder := json.NewDecoder(strings.NewReader(printed))
	decoder.UseNumber()
	require.NoError(a.t, decoder.Decode(&said))
	require.Equal(a.t, byTeam.Data, said.Data)
	require.Equal(a.t, byTeam.Total, said.Total)

	// So do the gauges, of last month.
	end := spend.MonthStart(a.now)
	month := spend.Window{Start: end.AddDate(0, -1, 0), End: end}
	want, got = figures{}, figures{}
	for _, r := range a.ask("/api/v1/costs", month, "by=team").Data {
		want.add(a.money(r["cost_usd"]), r["team"])
	}
	for labels, value := range a.metric("anthropic_team_cost_usd") {
		if labels.period == "last_month" {
			got.add(int64(math.Round(value*1e9)), labels.team)
			require.False(a.t, a.monthBilled() && labels.basis == "estimated", "%+v", labels)
		}
	}
	requireSame(a.t, want, got, "cost of last month by team: the API and /metrics")

	a.efficiency(window)
}

// efficiency compares costs and counts of the efficiency figures with those of the other answers.
func (a agreement) efficiency(window spend.Window) {
	costs := a.ask("/api/v1/costs", window, "by=team,model")
	usage := a.ask("/api/v1/usage", window, "by=team,model")
	want, got := figures{}, figures{}
	for _, r := range costs.Data {
		want.add(a.money(r["cost_usd"]), r["team"], r["model"], "cost")
	}
	for _, r := range usage.Data {
		for _, name := range countNames[:5] {
			want.add(a.count(r[name]), r["team"], r["model"], name)
		}
	}
	efficiency := a.ask("/api/v1/efficiency", window, "by=team,model&what_if=claude-haiku-4-5")
	for _, r := range efficiency.Data {
		got.add(a.money(r["cost_usd"]), r["team"], r["model"], "cost")
		for _, name := range countNames[:5] {
			got.add(a.count(r[name]), r["team"], r["model"], name)
		}
	}
	requireSame(a.t, want, got, "efficiency, and costs and usage")
	require.Equal(a.t, costs.Total["cost_usd"], efficiency.Total["cost_usd"])
	require.Equal(a.t, a.money(efficiency.Total["what_if_usd"])-a.money(efficiency.Total["list_usd"]), a.money(efficiency.Total["what_if_change_usd"]))
	require.Positive(a.t, a.money(efficiency.Total["cache_saved_usd"]))
	require.Positive(a.t, a.money(efficiency.Total["batch_saved_usd"]))
}
