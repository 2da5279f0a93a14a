package storagetest

import (
	"context"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var costTests = []test{
	{"are estimated where nothing is billed", func(e *env) {
		e.usage(hours("10 00:00/10 02:00"), used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_b", 2))
		e.usage(open(minutes("10 02:00/10 02:30")), used("10 02:10", "apikey_a", 1))
		e.usage(days("09 00:00/10 00:00"), used("09 00:00", "apikey_a", 1))
		require.Equal(e, []string{"09 00:00 24h estimated 33", "10 00:00 1h estimated 33", "10 01:00 1h estimated 66", "10 02:00 1h estimated 33"},
			e.showCosts(query("09 00:00/11 00:00", spend.Hour)))
		require.Equal(e, []string{"09 00:00 48h estimated 165"}, e.showCosts(query("09 00:00/11 00:00", 0)))
	}},
	{"are at most so many rows", func(e *env) {
		e.usage(hours("10 00:00/10 02:00"), used("10 00:00", "apikey_a", 1), used("10 00:00", "apikey_b", 2), used("10 01:00", "apikey_a", 1))
		e.usage(hours("11 00:00/11 01:00"), used("11 00:00", "apikey_b", 1))
		for _, q := range []storage.Query{
			query("10 00:00/12 00:00", spend.Hour, spend.ByAPIKey), query("10 00:00/12 00:00", spend.Day, spend.ByAPIKey, spend.ByModel),
			query("10 00:00/12 00:00", 0, spend.ByAPIKey, spend.ByTokenType),
		} {
			all, err := e.store.Costs(e.Context(), q)
			require.NoError(e, err)
			require.Greater(e, len(all.Rows), 1)
			q.Most = 100
			some, err := e.store.Costs(e.Context(), q)
			require.NoError(e, err)
			require.Equal(e, all, some)
			q.Most = 1
			_, err = e.store.Costs(e.Context(), q)
			require.ErrorIs(e, err, storage.ErrTooMany)
			_, err = e.store.Usage(e.Context(), storage.Query{Window: q.Window, Step: q.Step, By: q.By[:1], Most: 1})
			require.ErrorIs(e, err, storage.ErrTooMany)
		}
	}},
	{"say what has no price and what is uncertain", func(e *env) {
		e.usage(hours("10 00:00/10 03:00"),
			with(used("10 00:00", "apikey_a", 1), func(u *spend.Usage) { u.Price, u.Estimate, u.Model = spend.Unpriced, spend.Amounts{}, "new" }),
			with(used("10 01:00", "apikey_a", 2), func(u *spend.Usage) { u.Price = spend.Uncertain }),
			with(used("10 02:00", "apikey_a", 4), func(u *spend.Usage) { u.Price, u.Estimate = spend.Committed, spend.Amounts{} }),
			used("10 02:00", "apikey_b", 8),
		)
		require.Equal(e, []string{"10 00:00 1h new estimated 0 unpriced 3", "10 01:00 1h claude-x estimated 66 uncertain", "10 02:00 1h claude-x estimated 264"},
			e.showCosts(query("10 00:00/11 00:00", spend.Hour, spend.ByModel)))
		require.Equal(e, []string{"10 00:00 24h output estimated 300 unpriced 2 uncertain", "10 00:00 24h uncached_input estimated 30 unpriced 1 uncertain"},
			e.showCosts(query("10 00:00/11 00:00", 0, spend.ByTokenType)))
	}},
	{"of hours billed by analytics take the place of the estimate", func(e *env) {
		e.usage(hours("10 00:00/10 03:00"), used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_a", 2), used("10 02:00", "apikey_a", 3))
		cell := charged("10 00:00", "output", micro(40))
		cell.APIKeyID, cell.List = "apikey_a", micro(50)
		e.costs(billHours("10 00:00/10 02:00"), cell, execution("10 01:00", micro(7)))
		require.Equal(e, []string{"10 00:00 hour billed", "10 01:00 hour billed"}, e.slots(spend.FactCost, "10 00:00/11 00:00"))
		require.Equal(e, []string{
			"10 00:00 1h apikey_a billed 40 list 50", "10 01:00 1h billed 7", "10 02:00 1h apikey_a estimated 99",
		}, e.showCosts(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
		require.Equal(e, []string{"10 00:00 24h billed 47 list 57", "10 00:00 24h estimated 99"}, e.showCosts(query("10 00:00/11 00:00", spend.Day)))
	}},
	{"that analytics revises leave what they were", func(e *env) {
		e.costs(billHours("10 00:00/10 02:00"), charged("10 00:00", "output", micro(40)), charged("10 01:00", "output", micro(1)))
		e.costs(billHours("10 00:00/10 02:00"), charged("10 00:00", "output", micro(30)), charged("10 01:00", "output", micro(1)), execution("10 01:00", micro(2)))
		require.ElementsMatch(e, []string{"10 00:00 hour output: 40 to 30", "10 01:00 hour : 0 to 2"}, e.revisions(spend.FactCost, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 00:00 24h billed 33"}, e.showCosts(query("10 00:00/11 00:00", 0)))
	}},
	{"of analytics must lie within their data", func(e *env) {
		r := billHours("10 00:00/10 02:00")
		r.DataAt = at("10 01:59")
		_, err := e.owner.ReplaceCosts(e.Context(), r, nil)
		require.Error(e, err)
		for _, r := range []storage.Reading{
			reading(spend.ReportAnalyticsCost, spend.Day, "10 00:00/11 00:00"), reading(spend.ReportCost, spend.Hour, "10 00:00/11 00:00"),
			reading(spend.ReportMessages, spend.Hour, "10 00:00/11 00:00"), billDay("10 00:00/10 12:00"),
		} {
			_, err := e.owner.ReplaceCosts(e.Context(), r, nil)
			require.Error(e, err, r.Report)
		}
		require.Empty(e, e.slots(spend.FactCost, "09 00:00/12 00:00"))
	}},
	{"of the open day are the estimate and what no estimate covers", func(e *env) {
		e.usage(open(hours("10 00:00/10 01:00")), used("10 00:00", "apikey_a", 1))
		e.costs(open(billDay("10 00:00/11 00:00")), charged("10 00:00", "output", micro(20)), execution("10 00:00", micro(7)),
			with2(execution("10 00:00", micro(9)), func(c *spend.Cost) { c.CostType = "web_search" }))
		require.Equal(e, []string{"10 00:00 day provisional"}, e.slots(spend.FactCost, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 00:00 24h code_execution billed 7", "10 00:00 24h tokens estimated 33"},
			e.showCosts(query("10 00:00/11 00:00", spend.Day, spend.ByCostType)))
		require.Equal(e, []string{"10 00:00 1h estimated 33", "10 00:00 24h billed 7"}, e.showCosts(query("10 00:00/11 00:00", spend.Hour)))
	}},
	{"of a day known by the day are the bill of what hours are billed", func(e *env) {
		e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		e.costs(billHours("10 12:00/10 14:00"), charged("10 13:00", "output", micro(5)))
		require.Equal(e, []string{"10 00:00 24h billed 5"}, e.showCosts(query("10 00:00/11 00:00", 0)), "the day's estimate cannot be split")
	}},
	{"by the hour leave a bill by the day alone unless they cover it", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(20)))
		e.bill("10")
		_, err := e.owner.ReplaceCosts(e.Context(), billHours("10 00:00/10 12:00"), nil)
		require.ErrorContains(e, err, "2026-03-10")
		e.costs(billHours("10 00:00/11 00:00"), charged("10 00:00", "output", micro(21)))
		require.Len(e, e.slots(spend.FactCost, "10 00:00/11 00:00"), 24)
		require.Equal(e, []string{"10 00:00 24h billed 21"}, e.showCosts(query("10 00:00/11 00:00", 0)))
		require.Equal(e, storage.Change{}, e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(22))))
		require.Equal(e, []string{"10 00:00 24h billed 21"}, e.showCosts(query("10 00:00/11 00:00", 0)))
	}},
}

// with2 is the cost with changes.
func with2(c spend.Cost, change func(*spend.Cost)) spend.Cost {
	change(&c)
	return c
}

var billTests = []test{
	{"is shared out to the last digit", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1), used("10 07:00", "apikey_b", 1), used("10 23:00", "apikey_c", 1))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", 100), charged("10 00:00", "uncached_input", 50), execution("10 00:00", 7))
		e.bill("10")
		require.Equal(e, []string{"10 00:00 day billed"}, e.slots(spend.FactCost, "10 00:00/11 00:00"))
		require.Equal(e, []string{
			"10 00:00 24h billed 0.007", "10 00:00 24h apikey_a allocated 0.051", "10 00:00 24h apikey_b allocated 0.050", "10 00:00 24h apikey_c allocated 0.049",
		}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
		require.Equal(e, []string{"10 00:00 24h billed 0.157"}, e.showCosts(query("10 00:00/11 00:00", spend.Day)))
		require.Equal(e, []string{"10 00:00 24h code_execution billed 0.007", "10 00:00 24h tokens billed 0.150"}, e.showCosts(query("10 00:00/11 00:00", spend.Day, spend.ByCostType)))
		require.Equal(e, []string{"10 00:00 24h output billed 0.100", "10 00:00 24h uncached_input billed 0.050"},
			e.showCosts(where(query("10 00:00/11 00:00", spend.Day, spend.ByTokenType), spend.ByCostType, "tokens")))
		e.totals("10 00:00/11 00:00", 157)
	}},
	{"is allocated where hours are told apart or cut", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1), used("10 07:00", "apikey_b", 3))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(40)), execution("10 00:00", micro(5)))
		e.bill("10")
		require.Equal(e, []string{"10 00:00 1h allocated 10", "10 00:00 24h billed 5", "10 07:00 1h allocated 30"}, e.showCosts(query("10 00:00/11 00:00", spend.Hour)))
		require.Equal(e, []string{"10 07:00 17h allocated 30"}, e.showCosts(query("10 07:00/11 00:00", 0)))
		require.Equal(e, []string{"10 00:00 7h allocated 10", "10 00:00 7h billed 5"}, e.showCosts(query("10 00:00/10 07:00", 0)))
		require.Equal(e, []string{"10 00:00 24h allocated 40", "10 00:00 24h billed 5"}, e.showCosts(query("10 00:00/11 00:00", 0, spend.BySpeed)))
		require.Equal(e, []string{"10 00:00 24h allocated 30"}, e.showCosts(where(query("10 00:00/11 00:00", 0), spend.ByAPIKey, "apikey_b")))
		require.Equal(e, []string{"10 00:00 24h billed 5"}, e.showCosts(where(query("10 00:00/11 00:00", 0), spend.ByAPIKey, "")))
	}},
	{"goes to usage known by the day too", func(e *env) {
		e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1), used("10 00:00", "apikey_b", 3))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(40)))
		e.bill("10")
		require.Equal(e, []string{"10 00:00 24h apikey_a allocated 10", "10 00:00 24h apikey_b allocated 30"}, e.showCosts(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
		require.Equal(e, []string{"10 00:00 24h billed 40"}, e.showCosts(query("10 00:00/11 00:00", spend.Hour)))
	}},
	{"weighs by tokens where nothing is priced", func(e *env) {
		unpriced := func(u *spend.Usage) { u.Price, u.Estimate = spend.Unpriced, spend.Amounts{} }
		e.usage(hours("10 00:00/11 00:00"), with(used("10 00:00", "apikey_a", 1), unpriced), with(used("10 00:00", "apikey_b", 3), unpriced))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(40)))
		e.bill("10")
		require.Equal(e, []string{"10 00:00 24h apikey_a allocated 10", "10 00:00 24h apikey_b allocated 30"}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
	}},
	{"finds its usage where it leaves something untold", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1),
			with(used("10 00:00", "apikey_b", 1), func(u *spend.Usage) { u.ServiceTier = "batch" }),
			with(used("10 00:00", "apikey_c", 1), func(u *spend.Usage) { u.WorkspaceID = "wrkspc_b" }),
			with(used("10 00:00", "apikey_d", 0), func(u *spend.Usage) {
				u.Counts[spend.WebSearches], u.Estimate[spend.WebSearches] = 4, micro(40)
			}))
		untold := func(c *spend.Cost) { c.ServiceTier, c.ContextWindow, c.InferenceGeo = "", "", "" }
		e.costs(billDay("10 00:00/11 00:00"), with2(charged("10 00:00", "output", micro(40)), untold),
			with2(execution("10 00:00", micro(9)), func(c *spend.Cost) { c.CostType = "web_search" }),
			with2(charged("10 00:00", "output", micro(3)), func(c *spend.Cost) { c.Model = "another" }),
			charged("10 00:00", "cache_read_input", micro(2)))
		e.bill("10")
		require.Equal(e, []string{
			"10 00:00 24h billed 5", "10 00:00 24h apikey_a allocated 20", "10 00:00 24h apikey_b allocated 20", "10 00:00 24h apikey_d allocated 9",
		}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
		e.totals("10 00:00/11 00:00", micro(54))
	}},
	{"without any usage is not lost", func(e *env) {
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", micro(40)), execution("10 00:00", -micro(3)))
		e.bill("10")
		require.Equal(e, []string{"10 00:00 24h claude-x billed 40", "10 00:00 24h billed -3"}, reversed(e.showCosts(query("10 00:00/11 00:00", 0, spend.ByModel))))
		r, err := e.store.Costs(e.Context(), query("10 05:00/10 07:00", 0))
		require.NoError(e, err)
		require.Equal(e, span("10 00:00/11 00:00"), r.Window, "nothing says how to cut it")
	}},
	{"is shared out anew when its usage changes", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", 101))
		e.bill("10")
		_, seq := e.changed(0)
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_b", 1))
		require.Equal(e, []string{"10 00:00 24h apikey_a allocated 0.051", "10 00:00 24h apikey_b allocated 0.050"}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
		days, _ := e.changed(seq)
		require.Equal(e, []string{"10"}, days)
		e.usage(hours("10 00:00/10 01:00"))
		e.usage(hours("10 00:00/11 00:00"), used("10 02:00", "apikey_c", 1))
		require.Equal(e, []string{"10 00:00 24h apikey_c allocated 0.101"}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
		e.totals("10 00:00/11 00:00", 101)
	}},
	{"follows usage from the day to hours", func(e *env) {
		e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 2))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", 101))
		e.bill("10")
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_a", 1))
		require.Equal(e, []string{"10 00:00 1h allocated 0.051", "10 01:00 1h allocated 0.050"}, e.showCosts(query("10 00:00/11 00:00", spend.Hour)))
	}},
	{"covers hours whose minutes are not folded yet", func(e *env) {
		e.usage(hours("10 00:00/10 23:00"), used("10 00:00", "apikey_a", 1))
		e.usage(minutes("10 23:00/11 00:00"), used("10 23:30", "apikey_b", 1))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", 101))
		e.bill("10")
		e.totals("10 00:00/11 00:00", 101)
		e.usage(hours("10 23:00/11 00:00"), used("10 23:00", "apikey_b", 1))
		require.Equal(e, []string{"10 00:00 24h apikey_a allocated 0.051", "10 00:00 24h apikey_b allocated 0.050"}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
	}},
	{"that is revised stays billed and leaves what it was", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		r := billDay("10 00:00/11 00:00")
		e.costs(r, charged("10 00:00", "output", micro(40)))
		e.costs(r, charged("10 00:00", "output", micro(41)))
		require.Empty(e, e.revisions(spend.FactCost, "10 00:00/11 00:00"), "an open bill is not settled")
		e.bill("10")
		e.costs(r, charged("10 00:00", "output", micro(30)), execution("10 00:00", micro(2)))
		require.Equal(e, []string{"10 00:00 day billed"}, e.slots(spend.FactCost, "10 00:00/11 00:00"))
		require.ElementsMatch(e, []string{"10 00:00 day output: 41 to 30", "10 00:00 day : 0 to 2"}, e.revisions(spend.FactCost, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 00:00 24h billed 2", "10 00:00 24h apikey_a allocated 30"}, e.showCosts(query("10 00:00/11 00:00", 0, spend.ByAPIKey)))
	}},
	{"keeps list apart", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		e.costs(billDay("10 00:00/11 00:00"), with2(charged("10 00:00", "output", micro(40)), func(c *spend.Cost) { c.List = micro(50) }))
		e.bill("10")
		require.Equal(e, []string{"10 00:00 24h billed 40 list 50"}, e.showCosts(query("10 00:00/11 00:00", 0)))
	}},
	{"needs a day that is over and was read", func(e *env) {
		ctx := e.Context()
		require.ErrorIs(e, e.owner.Bill(ctx, at("10 00:00"), at("12 00:00")), storage.ErrNotFound)
		e.costs(billDay("10 00:00/11 00:00"), execution("10 00:00", 1))
		require.Error(e, e.owner.Bill(ctx, at("10 00:00"), at("10 23:59")))
		require.Error(e, e.owner.Bill(ctx, at("10 01:00"), at("12 00:00")))
		require.Equal(e, []string{"10 00:00 day provisional"}, e.slots(spend.FactCost, "10 00:00/11 00:00"))
		require.NoError(e, e.owner.Bill(ctx, at("10 00:00"), at("11 00:00")))
		require.NoError(e, e.owner.Bill(ctx, at("10 00:00"), at("11 00:00")), "billing twice is billing once")
		e.costs(billHours("12 00:00/13 00:00"))
		require.ErrorIs(e, e.owner.Bill(ctx, at("12 00:00"), at("14 00:00")), storage.ErrNotFound)
	}},
}

// totals checks that the bill of the window adds up however it is told apart.
func (e *env) totals(window string, want spend.Money) {
	e.Helper()
	for _, q := range []storage.Query{
		query(window, 0), query(window, spend.Day), query(window, spend.Hour), query(window, 0, spend.ByAPIKey),
		query(window, spend.Hour, spend.Dimensions...), query(window, spend.Day, spend.ByTokenType),
	} {
		r, err := e.store.Costs(e.Context(), q)
		require.NoError(e, err)
		var sum spend.Money
		for _, c := range r.Rows {
			sum += c.Cost
		}
		require.Equal(e, want, sum, "%+v", q)
	}
}

func reversed(lines []string) []string {
	out := make([]string, 0, len(lines))
	for i := range lines {
		out = append(out, lines[len(lines)-1-i])
	}
	return out
}

var estimateTests = []test{
	{"are made anew where nothing is billed", func(e *env) {
		ctx := e.Context()
		for _, d := range []string{"09", "10", "11"} {
			e.usage(hours(d+" 00:00/"+d+" 02:00"), used(d+" 00:00", "apikey_a", 1), used(d+" 01:00", "apikey_a", 1))
		}
		e.usage(minutes("12 00:00/12 01:00"), used("12 00:10", "apikey_a", 1))
		e.usage(days("13 00:00/14 00:00"), used("13 00:00", "apikey_a", 1))
		e.costs(billHours("10 00:00/10 01:00"), charged("10 00:00", "output", micro(500)))
		e.costs(billDay("11 00:00/12 00:00"), charged("11 00:00", "output", micro(600)))
		e.bill("11")
		_, seq := e.changed(0)
		seen := 0
		require.NoError(e, e.owner.Reestimate(ctx, at("09 01:00"), "v2", func(u *spend.Usage) {
			seen++
			require.Equal(e, used(u.Bucket.Format("02 15:04"), "apikey_a", 1), *u)
			u.Estimate, u.Price = spend.Amounts{spend.Output: micro(1)}, spend.Uncertain
		}))
		require.Equal(e, 4, seen)
		require.Equal(e, []string{
			"09 00:00 1h estimated 33", "09 01:00 1h estimated 1 uncertain", "10 00:00 1h billed 500", "10 01:00 1h estimated 1 uncertain",
			"11 00:00 1h allocated 300", "11 01:00 1h allocated 300", "12 00:00 1h estimated 1 uncertain", "13 00:00 24h estimated 1 uncertain",
		}, e.showCosts(query("09 00:00/14 00:00", spend.Hour)))
		os, err := e.store.Organizations(ctx)
		require.NoError(e, err)
		require.Equal(e, "v2", os[0].PriceVersion)
		days, _ := e.changed(seq)
		require.Equal(e, []string{"09", "10", "12", "13"}, days)
		require.Empty(e, e.revisions(spend.FactUsage, "01 00:00/31 00:00"))
	}},
	{"are made anew a day at a time, so that other writers need not wait, and again after a break", func(e *env) {
		for _, d := range []string{"09", "10", "11"} {
			e.usage(hours(d+" 00:00/"+d+" 01:00"), used(d+" 00:00", "apikey_a", 1))
		}
		show := func() []string { return e.showCosts(query("09 00:00/12 00:00", spend.Day)) }
		version := func() string {
			os, err := e.store.Organizations(e.Context())
			require.NoError(e, err)
			return os[0].PriceVersion
		}
		before := version()
		ctx, stop := context.WithCancel(e.Context())
		require.Error(e, e.owner.Reestimate(ctx, at("01 00:00"), "v2", func(u *spend.Usage) {
			u.Estimate = spend.Amounts{spend.Output: micro(1)}
			if u.Bucket.Equal(at("11 00:00")) {
				stop()
			}
		}))
		require.Equal(e, []string{"09 00:00 24h estimated 1", "10 00:00 24h estimated 1", "11 00:00 24h estimated 33"}, show())
		require.Equal(e, before, version())
		require.NoError(e, e.owner.Reestimate(e.Context(), at("01 00:00"), "v2", func(u *spend.Usage) {
			u.Estimate = spend.Amounts{spend.Output: micro(1)}
		}))
		require.Equal(e, []string{"09 00:00 24h estimated 1", "10 00:00 24h estimated 1", "11 00:00 24h estimated 1"}, show())
		require.Equal(e, "v2", version())
	}},
}
