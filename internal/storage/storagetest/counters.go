package storagetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// live makes the organization live.
func (e *env) live(when string) {
	e.Helper()
	require.NoError(e, e.owner.SetLive(e.Context(), at(when)))
}

// counters brings the counters of a name up to date and shows them as lines: dimensions, shown
// value, total where it differs, and whether they are folded.
func (e *env) counters(name string, maxSeries int) []string {
	e.Helper()
	require.NoError(e, e.owner.UpdateCounters(e.Context(), maxSeries))
	cs, err := e.store.Counters(e.Context(), org)
	require.NoError(e, err)
	lines := []string{}
	for _, c := range cs {
		if c.Name != name {
			continue
		}
		line := ""
		for _, d := range spend.Dimensions {
			if v := *c.Field(d); v != "" {
				line += v + " "
			}
		}
		line += fmt.Sprint(c.Shown)
		if c.Total != c.Shown {
			line += fmt.Sprintf(" (%d)", c.Total)
		}
		if c.Folded {
			line += " folded"
		}
		lines = append(lines, line)
	}
	return sorted(lines)
}

var counterTests = []test{
	{"count from the first live collection on", func(e *env) {
		e.usage(hours("09 00:00/11 00:00"), used("09 23:00", "apikey_a", 1), used("10 05:00", "apikey_a", 10), used("10 06:00", "apikey_a", 100))
		require.Empty(e, e.counters(storage.CounterAPIKeyTokens, 0))
		e.live("10 06:30")
		require.Equal(e, []string{"wrkspc_a apikey_a 300"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(hours("01 00:00/10 00:00"), used("01 00:00", "apikey_a", 1000), used("09 23:00", "apikey_b", 7))
		require.Equal(e, []string{"wrkspc_a apikey_a 300"}, e.counters(storage.CounterAPIKeyTokens, 0), "backfill does not count")
		e.usage(hours("11 00:00/11 01:00"), used("11 00:00", "apikey_a", 1))
		require.Equal(e, []string{"wrkspc_a apikey_a 303"}, e.counters(storage.CounterAPIKeyTokens, 0))
	}},
	{"count every kind under its dimensions", func(e *env) {
		e.live("10 00:00")
		e.usage(hours("10 00:00/10 01:00"),
			with(used("10 00:00", "apikey_a", 1), func(u *spend.Usage) { u.Counts[spend.WebSearches], u.Estimate[spend.WebSearches] = 4, micro(40) }),
			with(used("10 00:00", "apikey_b", 10), func(u *spend.Usage) { u.Model, u.Price, u.Estimate = "new", spend.Unpriced, spend.Amounts{} }))
		e.requests(reading(spend.ReportAnalyticsUsage, spend.Hour, "10 00:00/10 01:00"), with(used("10 00:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 5 }))
		for name, want := range map[string][]string{
			storage.CounterTokens: {
				"wrkspc_a claude-x standard output 2", "wrkspc_a claude-x standard uncached_input 1",
				"wrkspc_a new standard output 20", "wrkspc_a new standard uncached_input 10",
			},
			storage.CounterRequests:     {"wrkspc_a claude-x standard 5"},
			storage.CounterWebSearches:  {"wrkspc_a claude-x 4"},
			storage.CounterCost:         {"wrkspc_a claude-x tokens 33000", "wrkspc_a claude-x web_search 40000"},
			storage.CounterAPIKeyTokens: {"wrkspc_a apikey_a 3", "wrkspc_a apikey_b 30"},
			storage.CounterUnpriced:     {"new 30"},
		} {
			require.Equal(e, want, e.counters(name, 0), name)
		}
	}},
	{"do not fall when figures are revised downward", func(e *env) {
		e.live("10 00:00")
		r := hours("10 00:00/10 02:00")
		e.usage(r, used("10 00:00", "apikey_a", 10), used("10 01:00", "apikey_b", 1))
		require.Equal(e, []string{"wrkspc_a apikey_a 30", "wrkspc_a apikey_b 3"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(later(r, time.Hour), used("10 00:00", "apikey_a", 6))
		require.Equal(e, []string{"wrkspc_a apikey_a 30 (18)", "wrkspc_a apikey_b 3 (0)"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(hours("11 00:00/11 01:00"), used("11 00:00", "apikey_a", 3))
		require.Equal(e, []string{"wrkspc_a apikey_a 30 (27)", "wrkspc_a apikey_b 3 (0)"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(hours("12 00:00/12 01:00"), used("12 00:00", "apikey_a", 2))
		require.Equal(e, []string{"wrkspc_a apikey_a 33", "wrkspc_a apikey_b 3 (0)"}, e.counters(storage.CounterAPIKeyTokens, 0))
	}},
	{"move with minutes, hours and held answers as the figures do", func(e *env) {
		e.live("10 00:00")
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1))
		require.Equal(e, []string{"wrkspc_a apikey_a 3"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1), used("10 05:20", "apikey_a", 1))
		require.Equal(e, []string{"wrkspc_a apikey_a 6"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(hours("10 05:00/10 06:00"), used("10 05:00", "apikey_a", 2))
		require.Equal(e, []string{"wrkspc_a apikey_a 6"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.usage(hours("10 05:00/10 06:00"))
		require.Equal(e, []string{"wrkspc_a apikey_a 6"}, e.counters(storage.CounterAPIKeyTokens, 0))
	}},
	{"of cost turn from the estimate to the bill without falling", func(e *env) {
		e.live("10 00:00")
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_b", 1))
		require.Equal(e, []string{"wrkspc_a claude-x tokens 66000"}, e.counters(storage.CounterCost, 0))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(50)), execution("10 00:00", micro(7)))
		require.Equal(e, []string{"wrkspc_a claude-x tokens 66000", "wrkspc_a code_execution 7000"}, e.counters(storage.CounterCost, 0))
		e.bill("10")
		require.Equal(e, []string{"wrkspc_a claude-x tokens 66000 (50000)", "wrkspc_a code_execution 7000"}, e.counters(storage.CounterCost, 0))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(70)), execution("10 00:00", micro(7)))
		require.Equal(e, []string{"wrkspc_a claude-x tokens 70000", "wrkspc_a code_execution 7000"}, e.counters(storage.CounterCost, 0))
	}},
	{"fold what exceeds the limit, for good", func(e *env) {
		e.live("10 00:00")
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1), used("10 00:00", "apikey_b", 10))
		require.Equal(e, []string{"wrkspc_a apikey_a 3", "wrkspc_a apikey_b 30"}, e.counters(storage.CounterAPIKeyTokens, 2))
		e.usage(hours("10 01:00/10 02:00"), used("10 01:00", "apikey_c", 100), used("10 01:00", "apikey_d", 1000), used("10 01:00", "apikey_a", 1))
		want := []string{"other other 3300", "wrkspc_a apikey_a 6", "wrkspc_a apikey_b 30", "wrkspc_a apikey_c 300 folded", "wrkspc_a apikey_d 3000 folded"}
		require.Equal(e, want, e.counters(storage.CounterAPIKeyTokens, 2))
		require.Equal(e, want, e.counters(storage.CounterAPIKeyTokens, 2))
		require.Equal(e, want, e.counters(storage.CounterAPIKeyTokens, 1), "what is shown is not folded later")
		e.usage(hours("10 02:00/10 03:00"), used("10 02:00", "apikey_e", 1))
		require.Equal(e, []string{
			"other other 3303 (3003)", "wrkspc_a apikey_a 6", "wrkspc_a apikey_b 30", "wrkspc_a apikey_c 300",
			"wrkspc_a apikey_d 3000 folded", "wrkspc_a apikey_e 3 folded",
		}, sortedOther(e, 3), "a higher limit lets the first out")
		require.Equal(e, []string{
			"other other 3303 (0)", "wrkspc_a apikey_a 6", "wrkspc_a apikey_b 30", "wrkspc_a apikey_c 300", "wrkspc_a apikey_d 3000", "wrkspc_a apikey_e 3",
		}, e.counters(storage.CounterAPIKeyTokens, 0))
	}},
	{"stay where they are over a restart", func(e *env) {
		e.live("10 00:00")
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
		want := e.counters(storage.CounterTokens, 0)
		require.NoError(e, e.owner.Release())
		e.owner = e.own(org)
		require.Equal(e, want, e.counters(storage.CounterTokens, 0))
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
		require.Equal(e, want, e.counters(storage.CounterTokens, 0))
	}},
}

// sortedOther updates the counters of keys twice: first with the limit of before, so that what came
// since is folded in the order it came.
func sortedOther(e *env, maxSeries int) []string {
	e.counters(storage.CounterAPIKeyTokens, 2)
	return e.counters(storage.CounterAPIKeyTokens, maxSeries)
}
