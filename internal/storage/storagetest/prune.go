package storagetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (e *env) prune(k storage.Keep) int64 {
	e.Helper()
	n, err := e.owner.Prune(e.Context(), k)
	require.NoError(e, err)
	return n
}

var pruneTests = []test{
	{"of nothing removes nothing", func(e *env) {
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1))
		require.Zero(e, e.prune(storage.Keep{}))
		require.Zero(e, e.prune(storage.Keep{Minute: at("10 05:30"), Hour: at("10 23:00")}))
		require.Equal(e, []string{"10 05:00 minute complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
	}},
	{"of minutes keeps what counts", func(e *env) {
		e.usage(minutes("10 05:00/10 07:00"), used("10 05:10", "apikey_a", 1), used("10 05:20", "apikey_a", 2), used("10 06:10", "apikey_a", 4))
		e.usage(hours("10 05:00/10 06:00"), used("10 05:00", "apikey_a", 3))
		_, seq := e.changed(0)
		require.EqualValues(e, 3, e.prune(storage.Keep{Minute: at("11 00:00")}))
		require.Equal(e, []string{"10 05:00 hour complete", "10 06:00 hour complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 05:00 1h 9", "10 06:00 1h 12"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
		require.Equal(e, []string{"10 00:00 24h estimated 231"}, e.showCosts(query("10 00:00/11 00:00", 0)))
		days, _ := e.changed(seq)
		require.Empty(e, days)
		require.Empty(e, e.revisions(spend.FactUsage, "01 00:00/31 00:00"))
		require.Zero(e, e.prune(storage.Keep{Minute: at("11 00:00")}))
	}},
	{"of hours folds whole days", func(e *env) {
		e.live("01 00:00")
		for _, d := range []string{"09", "10", "11"} {
			next := map[string]string{"09": "10", "10": "11", "11": "12"}[d]
			e.usage(hours(d+" 00:00/"+next+" 00:00"), used(d+" 01:00", "apikey_a", 1), used(d+" 02:00", "apikey_a", 1), used(d+" 03:00", "apikey_b", 2))
			e.requests(reading(spend.ReportAnalyticsUsage, spend.Hour, d+" 00:00/"+next+" 00:00"),
				with(used(d+" 01:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 3 }), with(used(d+" 02:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 4 }))
		}
		e.costs(billDay("09 00:00/10 00:00"), charged("09 00:00", "output", 101), execution("09 00:00", 7))
		e.bill("09")
		e.costs(billHours("10 00:00/11 00:00"), charged("10 01:00", "output", 11), charged("10 02:00", "output", 12), execution("10 05:00", 3))
		before := e.everything("09 00:00/12 00:00")
		tokens, cost := e.counters(storage.CounterTokens, 0), e.counters(storage.CounterCost, 0)
		_, seq := e.changed(0)

		require.EqualValues(e, 2*3+2*2+3, e.prune(storage.Keep{Hour: at("11 00:00")}))
		require.Equal(e, []string{"09 00:00 day complete", "10 00:00 day complete"}, e.slots(spend.FactUsage, "09 00:00/11 00:00"))
		require.Equal(e, []string{"09 00:00 day billed", "10 00:00 day billed"}, e.slots(spend.FactCost, "09 00:00/11 00:00"))
		require.Equal(e, []string{"09 00:00 day complete", "10 00:00 day complete"}, e.slots(spend.FactRequests, "09 00:00/11 00:00"))
		require.Len(e, e.slots(spend.FactUsage, "11 00:00/12 00:00"), 24)
		require.Equal(e, before, e.everything("09 00:00/12 00:00"))
		require.Equal(e, tokens, e.counters(storage.CounterTokens, 0))
		require.Equal(e, cost, e.counters(storage.CounterCost, 0))
		days, _ := e.changed(seq)
		require.Empty(e, days)
		require.Zero(e, e.prune(storage.Keep{Hour: at("11 00:00")}))

		// A folded day is revised like any other.
		e.usage(days2("09 00:00/10 00:00"), used("09 00:00", "apikey_a", 2))
		require.Equal(e, []string{"09 00:00 24h billed 0.007", "09 00:00 24h apikey_a allocated 0.101"}, e.showCosts(query("09 00:00/10 00:00", 0, spend.ByAPIKey)))
	}},
	{"of days forgets them, but neither counters nor last use", func(e *env) {
		e.live("01 00:00")
		require.NoError(e, e.owner.SaveAPIKeys(e.Context(), []spend.APIKey{{ID: "apikey_a", Name: "a"}}, at("01 00:00")))
		e.usage(days("08 00:00/09 00:00"), used("08 00:00", "apikey_a", 5))
		e.usage(hours("09 00:00/11 00:00"), used("09 01:00", "apikey_a", 1), used("10 01:00", "apikey_b", 2))
		e.usage(minutes("09 05:00/09 06:00"), used("09 05:10", "apikey_a", 1))
		e.requests(reading(spend.ReportAnalyticsUsage, spend.Hour, "09 00:00/11 00:00"),
			with(used("09 01:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 3 }), with(used("10 02:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 4 }))
		e.costs(billDay("09 00:00/10 00:00"), charged("09 00:00", "output", 101), execution("09 00:00", 7))
		e.bill("09")
		e.costs(billHours("10 00:00/11 00:00"), charged("10 01:00", "output", 11))
		kept := e.everything("10 00:00/12 00:00")
		tokens, cost := e.counters(storage.CounterTokens, 0), e.counters(storage.CounterCost, 0)

		require.EqualValues(e, 1+1+1+1+2, e.prune(storage.Keep{Day: at("10 00:00")}))
		for _, f := range []spend.Fact{spend.FactUsage, spend.FactRequests, spend.FactCost} {
			require.Empty(e, e.slots(f, "01 00:00/10 00:00"), f)
			require.Len(e, e.slots(f, "10 00:00/11 00:00"), 24, f)
		}
		require.Empty(e, e.showUsage(query("01 00:00/10 00:00", 0)))
		require.Empty(e, e.showUsage(query("09 00:00/10 00:00", spend.Minute)))
		require.Empty(e, e.showCosts(query("01 00:00/10 00:00", 0)))
		require.Equal(e, kept, e.everything("10 00:00/12 00:00"))
		require.Equal(e, tokens, e.counters(storage.CounterTokens, 0))
		require.Equal(e, cost, e.counters(storage.CounterCost, 0))
		keys, err := e.store.APIKeys(e.Context(), org)
		require.NoError(e, err)
		require.Equal(e, span("09 01:00/09 02:00"), keys[0].LastUsed)
		require.Zero(e, e.prune(storage.Keep{Day: at("10 00:00")}))
	}},
	{"leaves days whose bill covers only some hours", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 01:00", "apikey_a", 1), used("10 12:00", "apikey_a", 1))
		e.costs(billHours("10 00:00/10 12:00"), charged("10 01:00", "output", 5))
		before := e.everything("10 00:00/11 00:00")
		require.Zero(e, e.prune(storage.Keep{Hour: at("20 00:00")}))
		require.Equal(e, before, e.everything("10 00:00/11 00:00"))
	}},
	{"leaves days on which a sum could not say what is unpriced", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 01:00", "apikey_a", 1),
			with(used("10 02:00", "apikey_a", 1), func(u *spend.Usage) { u.Price, u.Estimate = spend.Unpriced, spend.Amounts{} }))
		e.usage(minutes("11 01:00/11 02:00"), used("11 01:00", "apikey_a", 1),
			with(used("11 01:02", "apikey_a", 1), func(u *spend.Usage) { u.Price, u.Estimate = spend.Unpriced, spend.Amounts{} }))
		before := e.everything("10 00:00/12 00:00")
		require.Zero(e, e.prune(storage.Keep{Minute: at("20 00:00"), Hour: at("20 00:00")}))
		require.Equal(e, before, e.everything("10 00:00/12 00:00"))
	}},
	{"keeps a day's price state", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 01:00", "apikey_a", 1),
			with(used("10 02:00", "apikey_a", 1), func(u *spend.Usage) { u.Price = spend.Uncertain }),
			with(used("10 02:00", "apikey_b", 1), func(u *spend.Usage) { u.Price, u.Estimate = spend.Unpriced, spend.Amounts{} }))
		before := e.everything("10 00:00/11 00:00")
		require.EqualValues(e, 3, e.prune(storage.Keep{Hour: at("20 00:00")}))
		require.Equal(e, before, e.everything("10 00:00/11 00:00"))
	}},
	{"folds minutes and hours of a day at once", func(e *env) {
		e.usage(hours("10 00:00/10 23:00"), used("10 01:00", "apikey_a", 1))
		e.usage(minutes("10 23:00/11 00:00"), used("10 23:10", "apikey_a", 1), used("10 23:20", "apikey_a", 1))
		before := e.everything("10 00:00/11 00:00")
		require.EqualValues(e, 4, e.prune(storage.Keep{Minute: at("20 00:00"), Hour: at("20 00:00")}))
		require.Equal(e, []string{"10 00:00 day complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, before, e.everything("10 00:00/11 00:00"))
	}},
	{"does not count the live day anew once it is folded", func(e *env) {
		e.live("10 06:00")
		e.usage(hours("10 00:00/11 00:00"), used("10 01:00", "apikey_a", 1), used("10 07:00", "apikey_a", 1))
		require.Equal(e, []string{"wrkspc_a apikey_a 3"}, e.counters(storage.CounterAPIKeyTokens, 0))
		e.prune(storage.Keep{Hour: at("20 00:00")})
		e.usage(later(days("10 00:00/11 00:00"), time.Hour), used("10 00:00", "apikey_a", 9))
		require.Equal(e, []string{"wrkspc_a apikey_a 3"}, e.counters(storage.CounterAPIKeyTokens, 0))
	}},
	{"keeps the last use of keys", func(e *env) {
		require.NoError(e, e.owner.SaveAPIKeys(e.Context(), []spend.APIKey{{ID: "apikey_a", Name: "a"}}, at("01 00:00")))
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1))
		e.prune(storage.Keep{Minute: at("20 00:00"), Hour: at("20 00:00")})
		require.Equal(e, span("10 05:10/10 05:11"), e.lastUsed("apikey_a"))
	}},
	{"keeps the newest run and success of each job", func(e *env) {
		save := func(job, when, outcome string) {
			require.NoError(e, e.owner.SaveRun(e.Context(), storage.Run{Organization: org, Job: job, StartedAt: at(when), EndedAt: at(when), Outcome: outcome}))
		}
		save("usage", "01 00:00", "ok")
		save("usage", "02 00:00", "ok")
		save("usage", "03 00:00", "failed")
		save("usage", "04 00:00", "failed")
		save("cost", "01 00:00", "ok")
		save("cost", "09 00:00", "ok")
		require.EqualValues(e, 3, e.prune(storage.Keep{Minute: at("08 00:00")}))
		runs, err := e.store.Runs(e.Context(), org, 100)
		require.NoError(e, err)
		var left []string
		for _, r := range runs {
			left = append(left, r.Job+" "+r.StartedAt.Format("02"))
		}
		require.Equal(e, []string{"cost 09", "usage 04", "usage 02"}, left)
	}},
}

// days2 is a reading by the day, read later than the hours were.
func days2(window string) storage.Reading { return later(days(window), 24*time.Hour) }

// everything is what days are worth, told apart as far as a fold must keep it.
func (e *env) everything(window string) [][]string {
	e.Helper()
	return [][]string{
		e.showUsage(query(window, spend.Day, spend.Dimensions...)),
		e.showUsage(query(window, 0)),
		e.showCosts(query(window, spend.Day, spend.Dimensions...)),
		e.showCosts(query(window, spend.Day)),
		e.showCosts(query(window, 0, spend.ByCostType)),
	}
}
