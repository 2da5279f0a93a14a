package storagetest

import (
	"cmp"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// ask runs a query that ends in one row a line, and shows the rows.
func (e *env) ask(query string) []string {
	e.Helper()
	i, ok := e.store.(Inspector)
	require.True(e, ok, "the store under test must be an Inspector")
	rows, err := i.Query(e.Context(), query)
	require.NoError(e, err)
	lines := []string{}
	for _, r := range rows {
		lines = append(lines, fmt.Sprint(r...))
	}
	return lines
}

// fillForViews stores every kind of fact in every state.
func (e *env) fillForViews() {
	e.usage(days("08 00:00/09 00:00"), used("08 00:00", "apikey_a", 3), used("08 00:00", spend.NoKey, 5))
	for _, d := range [][2]string{{"09", "10"}, {"10", "11"}, {"11", "12"}} {
		e.usage(hours(d[0]+" 00:00/"+d[1]+" 00:00"), used(d[0]+" 00:00", "apikey_a", 1), used(d[0]+" 05:00", "apikey_b", 2),
			with(used(d[0]+" 05:00", spend.NoKey, 4), func(u *spend.Usage) { u.Counts[spend.WebSearches], u.Estimate[spend.WebSearches] = 2, micro(20) }))
	}
	e.requests(reading(spend.ReportAnalyticsUsage, spend.Hour, "11 00:00/11 06:00"), with(used("11 05:00", "apikey_b", 0), func(u *spend.Usage) { u.Requests = 8 }))
	e.requests(reading(spend.ReportAnalyticsUsage, spend.Day, "08 00:00/09 00:00"), with(used("08 00:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 9 }))
	e.usage(open(minutes("12 00:00/12 01:30")), used("12 00:10", "apikey_a", 1), used("12 00:20", "apikey_a", 2), used("12 01:10", "apikey_b", 4))
	e.usage(hours("12 00:00/12 01:00"), used("12 00:00", "apikey_a", 4))
	for _, d := range [][2]string{{"08", "09"}, {"09", "10"}, {"12", "13"}} {
		e.costs(billDay(d[0]+" 00:00/"+d[1]+" 00:00"), charged(d[0]+" 00:00", "output", 101), execution(d[0]+" 00:00", 7))
	}
	e.bill("08")
	e.bill("09")
	e.costs(billHours("10 00:00/11 00:00"), charged("10 05:00", "output", micro(11)), execution("10 06:00", 3))
	e.costs(billHours("11 00:00/11 03:00"), with2(charged("11 00:00", "output", micro(12)), func(c *spend.Cost) { c.APIKeyID, c.List = "apikey_a", micro(13) }))
}

var viewTests = []test{
	{"of usage hold what queries answer", func(e *env) {
		e.fillForViews()
		by := []spend.Dimension{spend.ByAPIKey, spend.ByModel}
		for view, c := range map[string]struct {
			column, layout string
			step           spend.Grain
		}{
			"usage_daily":  {"cast(day as text)", time.DateOnly, spend.Day},
			"usage_hourly": {"%s", "2006-01-02T15:04:05Z", spend.Hour},
		} {
			column := c.column
			if view == "usage_hourly" {
				column = e.bucketText()
			}
			r, err := e.store.Usage(e.Context(), query("01 00:00/31 00:00", c.step, by...))
			require.NoError(e, err)
			want := []string{}
			for _, u := range r.Rows {
				key := u.APIKeyID
				if key == spend.NoKey {
					key = ""
				}
				want = append(want, fmt.Sprintf("%s|%s|%s|%d|%d|%d|%d", u.Start.Format(c.layout), key, u.Model,
					u.Counts[spend.UncachedInput], u.Counts[spend.Output], u.Counts[spend.WebSearches], u.Requests))
			}
			got := e.ask(`
				select ` + column + ` || '|' || api_key || '|' || model || '|' || sum(uncached_input_tokens) || '|' || sum(output_tokens)
					|| '|' || sum(web_searches) || '|' || sum(requests)
				from ` + view + `
				group by ` + column + `, api_key, model`)
			require.NotEmpty(e, got)
			require.ElementsMatch(e, want, got, view)
		}
	}},
	{"of cost hold what queries answer", func(e *env) {
		e.fillForViews()
		by := []spend.Dimension{spend.ByAPIKey, spend.ByModel, spend.ByCostType, spend.ByTokenType}
		for view, c := range map[string]struct {
			layout string
			step   spend.Grain
		}{
			"cost_daily":  {time.DateOnly, spend.Day},
			"cost_hourly": {"2006-01-02T15:04:05Z", spend.Hour},
		} {
			column := "cast(day as text)"
			if view == "cost_hourly" {
				column = e.bucketText()
			}
			r, err := e.store.Costs(e.Context(), query("01 00:00/31 00:00", c.step, by...))
			require.NoError(e, err)
			want := []string{}
			for _, u := range r.Rows {
				key := cmp.Or(u.APIKeyID, "(unattributed)")
				if key == spend.NoKey {
					key = ""
				}
				want = append(want, fmt.Sprintf("%s|%s|%s|%s|%s|%s|%d|%d", u.Start.Format(c.layout), key, u.Model, u.CostType, u.TokenType, u.Basis, u.Cost, u.List))
			}
			cost, list := e.nano("cost"), e.nano("list")
			got := e.ask(`
				select ` + column + ` || '|' || api_key || '|' || model || '|' || cost_type || '|' || token_type || '|' || basis || '|' || ` + cost + ` || '|' || ` + list + `
				from ` + view + `
				group by ` + column + `, api_key, model, cost_type, token_type, basis`)
			require.NotEmpty(e, got)
			require.ElementsMatch(e, want, got, view)
		}
	}},
	{"show names, and ids of what has none", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.owner.SaveWorkspaces(ctx, []spend.Workspace{{ID: "wrkspc_a", Name: "search"}}, at("02 00:00")))
		require.NoError(e, e.owner.SaveAPIKeys(ctx, []spend.APIKey{{ID: "apikey_a", Name: "ci"}}, at("02 00:00")))
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1), used("10 00:00", "apikey_b", 1), used("10 00:00", spend.NoKey, 1),
			with(used("10 00:00", "apikey_a", 1), func(u *spend.Usage) { u.WorkspaceID = "wrkspc_b" }))
		require.ElementsMatch(e, []string{
			"acme|wrkspc_a|search|apikey_a|ci|", "acme|wrkspc_a|search|apikey_b|apikey_b|", "acme|wrkspc_a|search|||", "acme|wrkspc_b|wrkspc_b|apikey_a|ci|",
		}, e.ask(`select organization || '|' || workspace_id || '|' || workspace || '|' || api_key_id || '|' || api_key || '|' || team from usage_daily`))
	}},
	{"say whose it is: by the key, else by the workspace, else the rest", func(e *env) {
		ctx := e.Context()
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1), used("10 00:00", "apikey_b", 1), used("10 00:00", spend.NoKey, 1),
			with(used("10 00:00", "apikey_a", 1), func(u *spend.Usage) { u.WorkspaceID = "wrkspc_b" }),
			with(used("10 00:00", "apikey_b", 1), func(u *spend.Usage) { u.WorkspaceID = "wrkspc_b" }))
		teams := func() []string {
			return e.ask(`select workspace_id || '|' || api_key_id || '|' || team from usage_hourly`)
		}
		require.ElementsMatch(e, []string{
			"wrkspc_a|apikey_a|", "wrkspc_a|apikey_b|", "wrkspc_a||", "wrkspc_b|apikey_a|", "wrkspc_b|apikey_b|",
		}, teams())
		require.NoError(e, e.owner.SaveTeams(ctx, []storage.TeamOf{
			{Kind: storage.KindAPIKey, ID: "apikey_a", Team: "search"}, {Kind: storage.KindWorkspace, ID: "wrkspc_a", Team: "platform"},
			{Kind: storage.KindRest, Team: "unmapped"},
		}))
		require.ElementsMatch(e, []string{
			"wrkspc_a|apikey_a|search", "wrkspc_a|apikey_b|platform", "wrkspc_a||platform", "wrkspc_b|apikey_a|search", "wrkspc_b|apikey_b|unmapped",
		}, teams())
		require.ElementsMatch(e, []string{"search|66", "platform|66", "unmapped|33"},
			e.ask(`select team || '|' || (`+e.nano("cost")+` / 1000) from cost_daily group by team`))
		require.NoError(e, e.owner.SaveTeams(ctx, []storage.TeamOf{{Kind: storage.KindRest, Team: "unmapped"}}))
		require.ElementsMatch(e, []string{"unmapped|165"}, e.ask(`select team || '|' || (`+e.nano("cost")+` / 1000) from cost_daily group by team`))
		require.NoError(e, e.owner.SaveTeams(ctx, nil))
		require.ElementsMatch(e, []string{"|165"}, e.ask(`select team || '|' || (`+e.nano("cost")+` / 1000) from cost_daily group by team`))
	}},
	{"list job runs", func(e *env) {
		require.NoError(e, e.owner.SaveRun(e.Context(), storage.Run{
			Organization: org, Job: "usage", StartedAt: at("10 00:00"), EndedAt: at("10 00:01"), Outcome: "failed", Rows: 2, Requests: 3, Error: "500",
		}))
		require.Equal(e, []string{"acme|usage|failed|2|3|500"},
			e.ask(`select organization || '|' || job || '|' || outcome || '|' || rows || '|' || requests || '|' || error from job_history`))
	}},
}

// bucketText is the SQL for the text of a column bucket, which is text in one backend and a
// timestamp in the other.
func (e *env) bucketText() string {
	if len(e.ask(`select bucket from usage_hourly where cast(bucket as text) like '%Z'`)) > 0 {
		return "bucket"
	}
	return `to_char(bucket at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`
}

// nano is the SQL for the sum of a column of money in billionths, which is a column of its own where
// the database has no exact decimal numbers.
func (e *env) nano(column string) string {
	i := e.store.(Inspector)
	if _, err := i.Query(e.Context(), `select cost_nano from cost_daily`); err == nil {
		return `sum(` + column + `_nano)`
	}
	return `cast(round(sum(` + column + `_usd) * 1000000000) as bigint)`
}
