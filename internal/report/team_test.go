package report_test

import (
	"bytes"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// teams share the default workspace by a key; the second workspace called staging is nobody's.
var teams = team.Teams{
	{Name: "ops", Workspaces: []string{"Default"}},
	{Name: "search", Workspaces: []string{reporttest.Staging}},
	{Name: "product", APIKeys: []string{"prod*"}},
}

func parse(t *testing.T, kind report.Kind, query string) report.Params {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	p, err := report.Parse(kind, values, reporttest.Now)
	require.NoError(t, err)
	p, err = p.WithTeams(teams)
	require.NoError(t, err)
	return p
}

func runTeams(t *testing.T, store storage.Store, kind report.Kind, query string) report.Answer {
	t.Helper()
	a, err := report.Run(t.Context(), store, parse(t, kind, query))
	require.NoError(t, err)
	return a
}

func TestTeams(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for name, query := range map[string]string{
		"team_total.json": "by=team&from=2026-10-01",
		"team_days.json":  "by=team,workspace&step=day&organization=acme&from=2026-11-19",
	} {
		var b bytes.Buffer
		require.NoError(t, runTeams(t, store, report.Costs, query).WriteJSON(&b))
		golden.Check(t, name, b.Bytes())
	}
}

// However the same time is cut, the teams add up to it.
func TestTeamsAddUp(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, kind := range []report.Kind{report.Costs, report.Usage} {
		want := run(t, store, kind, "from=2026-10-01").Total
		for _, step := range []string{"hour", "day", "total"} {
			dimensions := append(report.Dimensions(kind), "")
			if step != "day" {
				dimensions = []spend.Dimension{spend.ByModel, spend.ByAPIKey, ""}
			}
			for _, d := range dimensions {
				query := "from=2026-10-01&step=" + step
				got := runTeams(t, store, kind, query+"&by=team,"+string(d)).Total
				require.Equal(t, want.Cost, got.Cost, "%s by %s", step, d)
				require.Equal(t, want.List, got.List, "%s by %s", step, d)
				require.Equal(t, want.Counts, got.Counts, "%s by %s", step, d)
				require.Equal(t, want.Requests, got.Requests, "%s by %s", step, d)
				require.Equal(t, want.Unpriced, got.Unpriced, "%s by %s", step, d)

				if step != "total" || d != "" && d != spend.ByModel && d != spend.ByAPIKey {
					continue
				}
				var each report.Figures
				for _, name := range append(teams.Names(), team.Unmapped) {
					each.Add(runTeams(t, store, kind, query+"&by="+string(d)+"&team="+name).Total)
				}
				require.Equal(t, want.Cost, each.Cost, "%s by %s, one team after the other", step, d)
				require.Equal(t, want.Counts, each.Counts, "%s by %s, one team after the other", step, d)
			}
		}
	}
}

// A bill is allocated only where teams share its cells.
func TestTeamBasis(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	bases := func(query string) map[string]spend.Basis {
		got := map[string]spend.Basis{}
		for _, r := range runTeams(t, store, report.Costs, "organization=acme&"+query).Rows {
			got[r.Team] = r.Basis
		}
		return got
	}
	require.Equal(t, map[string]spend.Basis{"ops": spend.Allocated, "product": spend.Allocated},
		bases("by=team&from=2026-11-19&to=2026-11-20"), "the key prod and use without a key share the workspace")
	require.Equal(t, map[string]spend.Basis{"product": spend.Billed},
		bases("by=team&from=2026-10-31&to=2026-11-01"), "only the key prod used it")
	require.Equal(t, map[string]spend.Basis{"search": spend.Billed, "unmapped": spend.Billed},
		bases("by=team&from=2026-11-03&to=2026-11-04"))
	require.Equal(t, map[string]spend.Basis{"search": spend.Allocated, "unmapped": spend.Allocated},
		bases("by=team,api_key&from=2026-11-03&to=2026-11-04&api_key=ci"),
		"keys are told by shares only")
	require.Equal(t, map[string]spend.Basis{"search": spend.Estimated, "unmapped": spend.Estimated, "product": spend.Estimated, "ops": spend.Billed},
		bases("by=team&from=2026-11-20&to=2026-11-22"))
}

func TestWithTeams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query string
		teams team.Teams
		want  string
	}{
		{"by=model", nil, ""},
		{"by=team", teams, ""},
		{"team=se*&team=unmapped", teams, ""},
		{"team=*", teams, ""},
		{"by=team", nil, "no teams are configured, so nothing can be told by team (section teams of the configuration)"},
		{"team=search", nil, "no teams are configured, so nothing can be told by team (section teams of the configuration)"},
		{"team=ops&team=serach", teams, `no team is called "serach" (ops, search, product, unmapped)`},
		{"team=", teams, `no team is called "" (ops, search, product, unmapped)`},
	} {
		values, err := url.ParseQuery(tt.query)
		require.NoError(t, err)
		p, err := report.Parse(report.Costs, values, reporttest.Now)
		require.NoError(t, err)
		_, err = p.WithTeams(tt.teams)
		if tt.want == "" {
			require.NoError(t, err, tt.query)
		} else {
			require.EqualError(t, err, tt.want)
		}
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for query, want := range map[string][]string{
		"by=model":                       nil,
		"workspace=prod&api_key=nobody*": {"Nothing in this time has workspace=prod. There is: Default, staging, staging (9f2k1z).", "Nothing in this time has api_key=nobody*. There is: (unattributed), -, ci, ci (222222), prod."},
		"organization=gamma":             {"Nothing in this time has organization=gamma. There is: acme, beta."},
		"model=x&model=y&organization=beta&from=2026-10-01&to=2026-10-02": {"Nothing in this time has model=x or y. There is: nothing else either."},
	} {
		var got []string
		for _, n := range run(t, store, report.Costs, query).Nothing {
			got = append(got, n.String())
		}
		require.Equal(t, want, got, query)
	}
}
