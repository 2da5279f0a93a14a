package report_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// prices are round: a dollar, two, … a million.
func prices(t *testing.T) *pricing.Table {
	t.Helper()
	usd := func(n int) *spend.Money { m := spend.Money(n) * spend.Dollar / 10; return &m }
	entry := func(input, output, read, write5m, write1h int) []pricing.Entry {
		e := pricing.Entry{TokenPrices: pricing.TokenPrices{
			Input: usd(input), Output: usd(output), CacheRead: usd(read), CacheWrite5m: usd(write5m), CacheWrite1h: usd(write1h),
		}}
		e.SetDefaults()
		return []pricing.Entry{e}
	}
	tiered := entry(1, 1, 1, 1, 1)
	tiered[0].PromptTier = &entry(2, 2, 2, 2, 2)[0].TokenPrices
	table, err := pricing.Load(pricing.Overrides{
		"tiered-1":        tiered,
		reporttest.Sonnet: entry(30, 150, 3, 40, 60), reporttest.Haiku: entry(10, 50, 1, 12, 20), "cheap-1": entry(1, 1, 1, 1, 1),
	})
	require.NoError(t, err)
	return table
}

func efficiency(t *testing.T, store storage.Store, query string) report.Efficiency {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	table := prices(t)
	p, whatIf, err := report.ParseEfficiency(values, reporttest.Now, table)
	require.NoError(t, err)
	p, err = p.WithTeams(teams)
	require.NoError(t, err)
	e, err := report.RunEfficiency(t.Context(), store, table, p, whatIf)
	require.NoError(t, err)
	return e
}

func TestEfficiency(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	var b bytes.Buffer
	check := func(name string, err error) {
		require.NoError(t, err)
		golden.Check(t, name, bytes.ReplaceAll(b.Bytes(), []byte(prices(t).Version()), []byte("VERSION")))
		b.Reset()
	}
	e := efficiency(t, store, "by=team,model&from=2026-10-01&what_if=cheap-1")
	check("efficiency.json", e.WriteJSON(&b))
	check("efficiency.csv", e.WriteCSV(&b))
	check("efficiency.md", e.WriteMarkdown(&b))
	check("efficiency.txt", e.WriteTable(&b, 130))
	check("efficiency_60.txt", e.WriteTable(&b, 60))
	e.Limit(2)
	e.Arrange(report.SortAmount)
	check("efficiency_limit.txt", e.WriteTable(&b, 120))
	check("efficiency_total.txt", efficiency(t, store, "model=claude-sonnet-5").WriteTable(&b, 100))
}

// A number by hand: 70,000 uncached, 10,000 read and 7,000 out at 3, 0.3 and 15 dollars a million.
func TestSavings(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	e := efficiency(t, store, "api_key=prod&from=2026-11-19&to=2026-11-20&what_if=cheap-1")
	require.Len(t, e.Rows, 1)
	s := e.Total
	require.Equal(t, "0.027", s.CacheSaved.String(), "10,000 × (3 − 0.3) a million")
	require.Equal(t, "0.318", s.Other.Here.String())
	require.Equal(t, "0.0087", s.Other.There.String())
	hits, ok := s.CacheHitRatio()
	require.True(t, ok)
	require.InDelta(t, 0.125, hits, 1e-12)
	perMillion, ok := s.PerMillionOutput()
	require.True(t, ok)
	require.Equal(t, run(t, store, report.Costs, "api_key=prod&from=2026-11-19&to=2026-11-20").Total.Cost*1_000_000/7_000+1, perMillion, "rounded up")

	// Writing to the cache costs more than it brings: 40,000 written at 4 instead of 3.
	s = efficiency(t, store, "api_key=ci&workspace=staging&from=2026-11-03&to=2026-11-04").Total
	require.Equal(t, "-0.04", s.CacheSaved.String())

	// That a price could not be told for sure is said, also of the other model.
	require.False(t, efficiency(t, store, "api_key=prod&from=2026-11-19&to=2026-11-20&what_if=cheap-1").Total.Uncertain)
	require.True(t, efficiency(t, store, "api_key=prod&from=2026-11-19&to=2026-11-20&what_if=tiered-1").Total.Uncertain)

	// What has no price is told apart.
	s = efficiency(t, store, "model=claude-opus-6&what_if=cheap-1").Total
	require.Equal(t, int64(12_345), s.NoPrice)
	require.Equal(t, int64(12_345), s.Other.NoPrice)
	require.Zero(t, s.Other.There)
}

// Cost and counts are those of the other answers, however it is grouped and cut.
func TestEfficiencyAgrees(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, window := range []string{"from=2026-10-01", "from=2026-11-19T07:00:00Z&to=2026-11-22T09:00:00Z", "from=2026-11-20T10:00:00Z&to=2026-11-20T11:00:00Z"} {
		want := efficiency(t, store, window).Total
		for _, d := range []spend.Dimension{spend.ByTeam, spend.ByServiceTier, spend.ByAPIKey, ""} {
			for _, step := range []string{"hour", "day", "total"} {
				query := window + "&step=" + step + "&by=" + string(d)
				e := efficiency(t, store, query)
				counts := runTeams(t, store, report.Usage, query).Total.Counts
				require.Equal(t, counts, e.Total.Used.Counts, query)
				require.Equal(t, runTeams(t, store, report.Costs, query).Total.Cost, e.Total.Used.Cost, query)
				if step == "total" {
					require.Equal(t, want.CacheSaved, e.Total.CacheSaved, query)
					require.Equal(t, want.NoPrice, e.Total.NoPrice, query)
				}
			}
		}
	}
}

func TestParseEfficiency(t *testing.T) {
	t.Parallel()
	table, err := pricing.Load(nil)
	require.NoError(t, err)
	for query, want := range map[string]string{
		"what_if=claude-sonet-5":        `what_if: no price is known for a model called "claude-sonet-5"; there is: claude-sonnet-5, `,
		"what_if=opus":                  `what_if: no price is known for a model called "opus"; there is: claude-3-opus, claude-3-opus-latest, claude-opus-4, `,
		"what_if=gpt":                   `what_if: no price is known for a model called "gpt"; there is: claude-`,
		"what_if=":                      `what_if: no price is known for a model called ""; there is: claude-`,
		"what_if=a&what_if=b":           `parameter what_if is given 2 times`,
		"by=cost_type":                  `unknown dimension "cost_type" in by`,
		"whatif=claude-sonnet-5":        `unknown parameter "whatif" for usage (from, to, step, by, what_if, and filters by organization`,
		"from=2026-02-02&to=2026-02-01": `must be before`,
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, _, err = report.ParseEfficiency(values, reporttest.Now, table)
		require.ErrorContains(t, err, want, query)
	}
	_, whatIf, err := report.ParseEfficiency(url.Values{"what_if": {"claude-sonnet-5-20260901"}}, reporttest.Now, table)
	require.NoError(t, err)
	require.Equal(t, "claude-sonnet-5-20260901", whatIf)
}

func TestEfficiencyOfNothing(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(efficiency(t, reporttest.Open(t), "by=model"))
	require.NoError(t, err)
	require.Contains(t, string(b), `"as_of":null`)
	require.Contains(t, string(b), `"data":[]`)
	require.Contains(t, string(b), `"cache_hit_ratio":null`)
}
