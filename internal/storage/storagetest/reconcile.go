package storagetest

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// calibration is one with an organization's factor and one of the model of [used].
func calibration(organization, model spend.Factor) storage.Calibration {
	f := func(name string, x spend.Factor) storage.CalibrationFactor {
		return storage.CalibrationFactor{Model: name, Factor: x, Billed: 88, Estimated: 100, Days: 7, Window: span("01 00:00/08 00:00")}
	}
	return storage.Calibration{At: at("10 00:00"), Factors: []storage.CalibrationFactor{f("", organization), f("claude-x", model)}}
}

func (e *env) calibrate(c storage.Calibration) {
	e.Helper()
	require.NoError(e, e.owner.Calibrate(e.Context(), c))
}

// checks shows checks as lines.
func (e *env) checks(window string) []string {
	e.Helper()
	cs, err := e.store.Checks(e.Context(), org, span(window))
	require.NoError(e, err)
	lines := []string{}
	for _, c := range cs {
		lines = append(lines, fmt.Sprintf("%s %s %s%s%s %d-%d=%d %s", c.Day.Format("02"), c.Name, c.Subject, c.Model, c.TokenType, c.Ours, c.Theirs, c.Difference(), c.Verdict))
	}
	return lines
}

var reconcileTests = []test{
	{"calibration is kept as it is", func(e *env) {
		none, err := e.store.Calibration(e.Context(), org)
		require.NoError(e, err)
		require.Zero(e, none.At)
		require.Empty(e, none.Factors)
		c := calibration(spend.One/2, spend.One/4)
		c.Factors = append(c.Factors, storage.CalibrationFactor{Model: "claude-y", Problem: "too little"})
		c.Prices = []storage.EffectivePrice{{Model: "claude-z", Window: span("01 00:00/03 00:00"), Price: [5]spend.Money{1, 2, 3, 4, 5}}}
		e.calibrate(c)
		got, err := e.store.Calibration(e.Context(), org)
		require.NoError(e, err)
		require.Equal(e, c, got)
		require.Equal(e, storage.Factors{Organization: spend.One / 2, Models: map[string]spend.Factor{"claude-x": spend.One / 4}}, got.Counting())
		e.calibrate(storage.Calibration{At: at("11 00:00"), Factors: c.Factors[:1]})
		got, err = e.store.Calibration(e.Context(), org)
		require.NoError(e, err)
		require.Equal(e, storage.Calibration{At: at("11 00:00"), Factors: c.Factors[:1], Prices: []storage.EffectivePrice{}}, got)
	}},
	{"calibration scales what is not billed, by row and kind", func(e *env) {
		odd := func(u *spend.Usage) {
			u.Estimate = spend.Amounts{spend.UncachedInput: 1, spend.Output: 3, spend.WebSearches: 10}
			u.Counts[spend.WebSearches] = 1
		}
		e.usage(hours("09 00:00/09 02:00"), with(used("09 00:00", "apikey_a", 1), odd), with(used("09 00:00", "apikey_b", 1), odd), with(used("09 01:00", "apikey_a", 1), odd))
		e.usage(minutes("10 00:00/10 01:00"), used("10 00:10", "apikey_a", 1))
		e.usage(days("11 00:00/12 00:00"), used("11 00:00", "apikey_a", 1))
		e.costs(billHours("12 00:00/12 01:00"), charged("12 00:00", "output", micro(500)))
		e.usage(hours("12 00:00/12 01:00"), used("12 00:00", "apikey_a", 1))
		_, seq := e.changed(0)
		e.calibrate(calibration(spend.One/5, spend.One/2))
		changed, _ := e.changed(seq)
		require.Equal(e, []string{"09", "10", "11"}, changed, "what is billed stays")
		// Half of 1 is 0 and half of 3 is 2, to even, in each of the rows; a fifth of 10 is 2.
		for _, q := range []storage.Query{query("09 00:00/10 00:00", 0), query("09 00:00/10 00:00", spend.Day, spend.ByAPIKey, spend.ByTokenType)} {
			r, err := e.store.Costs(e.Context(), q)
			require.NoError(e, err)
			var cost, list spend.Money
			for _, c := range r.Rows {
				cost, list = cost+c.Cost, list+c.List
			}
			require.EqualValues(e, 3*(0+2+2), cost)
			require.EqualValues(e, 3*(1+3+10), list)
		}
		require.Equal(e, []string{"10 00:00 24h estimated 16.500 list 33", "11 00:00 24h estimated 16.500 list 33", "12 00:00 24h billed 500"},
			e.showCosts(query("10 00:00/13 00:00", spend.Day)))

		// What is read from then on is scaled at once; another model has the organization's factor.
		e.usage(hours("13 00:00/13 01:00"), used("13 00:00", "apikey_a", 1), with(used("13 00:00", "apikey_b", 1), func(u *spend.Usage) { u.Model = "claude-y" }))
		require.Equal(e, []string{"13 00:00 24h claude-x estimated 16.500 list 33", "13 00:00 24h claude-y estimated 6.600 list 33"},
			e.showCosts(query("13 00:00/14 00:00", spend.Day, spend.ByModel)))
		// So is what is estimated anew, and without factors all is as estimated.
		require.NoError(e, e.owner.Reestimate(e.Context(), at("13 00:00"), "v2", func(u *spend.Usage) { u.Estimate[spend.Output] = micro(7) }))
		require.Equal(e, []string{"13 00:00 24h estimated 7 list 20"}, e.showCosts(query("13 00:00/14 00:00", spend.Day)))
		e.calibrate(storage.Calibration{At: at("20 00:00")})
		require.Equal(e, []string{"13 00:00 24h estimated 20"}, e.showCosts(query("13 00:00/14 00:00", spend.Day)))
	}},
	{"calibration changes neither shares nor the bill, and counters follow it", func(e *env) {
		e.live("01 00:00")
		e.usage(hours("09 00:00/09 02:00"), used("09 00:00", "apikey_a", 1), used("09 01:00", "apikey_b", 3))
		e.costs(billDay("09 00:00/10 00:00"), charged("09 00:00", "output", micro(80)), charged("09 00:00", "uncached_input", micro(8)))
		require.NoError(e, e.owner.UpdateCounters(e.Context(), 0))
		e.calibrate(calibration(spend.One/2, spend.One/2))
		require.NoError(e, e.owner.UpdateCounters(e.Context(), 0))
		var total int64
		cs, err := e.store.Counters(e.Context(), org)
		require.NoError(e, err)
		for _, c := range cs {
			if c.Name == storage.CounterCost {
				total += c.Total
			}
		}
		require.EqualValues(e, micro(4*33/2), total)
		e.bill("09")
		require.Equal(e, []string{"09 00:00 24h apikey_a allocated 22", "09 00:00 24h apikey_b allocated 66"},
			e.showCosts(query("09 00:00/10 00:00", spend.Day, spend.ByAPIKey)))
	}},
	{"calibrated figures are the same in the views, and survive pruning", func(e *env) {
		e.fillForViews()
		e.calibrate(calibration(876_543_211, 765_432_109))
		sums := func() []string {
			r, err := e.store.Costs(e.Context(), query("01 00:00/31 00:00", spend.Day, spend.ByAPIKey, spend.ByTokenType, spend.ByCostType))
			require.NoError(e, err)
			lines := []string{}
			for _, c := range r.Rows {
				key := map[string]string{"": "(unattributed)", spend.NoKey: ""}[c.APIKeyID]
				if c.APIKeyID != "" && c.APIKeyID != spend.NoKey {
					key = c.APIKeyID
				}
				lines = append(lines, fmt.Sprintf("%s|%s|%s%s|%s|%d|%d", c.Start.Format("2006-01-02"), key, c.CostType, c.TokenType, c.Basis, c.Cost, c.List))
			}
			return lines
		}
		view := func() []string {
			return e.ask(`select cast(day as text) || '|' || api_key || '|' || cost_type || token_type || '|' || basis || '|' || ` + e.nano("cost") + ` || '|' || ` + e.nano("list") + `
				from cost_daily group by day, api_key, cost_type, token_type, basis`)
		}
		before := sums()
		require.ElementsMatch(e, before, view())
		e.prune(storage.Keep{Minute: at("20 00:00"), Hour: at("20 00:00")})
		require.Equal(e, before, sums())
		require.ElementsMatch(e, before, view())
	}},
	{"estimates are summed whatever is billed", func(e *env) {
		e.usage(hours("09 00:00/10 00:00"), used("09 00:00", "apikey_a", 1), with(used("09 05:00", "apikey_a", 1), func(u *spend.Usage) {
			u.Model, u.Price, u.Estimate = "claude-new", spend.Unpriced, spend.Amounts{}
		}))
		e.costs(billDay("09 00:00/10 00:00"), charged("09 00:00", "output", micro(80)))
		e.bill("09")
		e.calibrate(calibration(spend.One/2, spend.One/2))
		r, err := e.store.Estimates(e.Context(), query("09 00:00/10 00:00", spend.Day, spend.ByModel))
		require.NoError(e, err)
		require.Len(e, r.Rows, 2)
		require.Equal(e, storage.CostRow{
			Organization: org, Start: at("09 00:00"), End: at("10 00:00"), Dims: spend.Dims{Model: "claude-new"}, Basis: spend.Estimated, Unpriced: 3,
		}, r.Rows[0])
		require.Equal(e, micro(33), r.Rows[1].List)
	}},
	{"checks replace those of their day and name", func(e *env) {
		check := func(day string, name storage.CheckName, subject string, ours, theirs int64, v storage.Verdict) storage.Check {
			return storage.Check{
				Day: at(day + " 00:00"), Name: name, Subject: subject, Report: spend.ReportMessages, With: spend.ReportAnalyticsUsage,
				Ours: ours, Theirs: theirs, Verdict: v, Since: at("20 00:00"), CheckedAt: at("20 01:00"),
			}
		}
		save := func(cs ...storage.Check) { require.NoError(e, e.owner.SaveChecks(e.Context(), cs)) }
		full := storage.Check{
			Day: at("12 00:00"), Name: storage.CheckEstimate, Subject: "tokens", Model: "claude-x", TokenType: "output", Report: spend.ReportMessages,
			With: spend.ReportCost, Money: true, Ours: 3, Theirs: 2, List: 4, Verdict: storage.Explained, Explanation: "why", Since: at("19 00:00"), CheckedAt: at("20 00:00"),
		}
		save(check("10", storage.CheckUsage, "output", 5, 5, storage.Agrees), check("10", storage.CheckUsage, "web_searches", 1, 2, storage.Differs),
			check("10", storage.CheckCost, "amount", 9, 9, storage.Agrees), check("11", storage.CheckUsage, "output", 7, 7, storage.Agrees), full)
		save(check("10", storage.CheckUsage, "output", 6, 5, storage.Unconfirmed))
		save()
		require.Equal(e, []string{
			"10 cost amount 9-9=0 agrees", "10 usage output 6-5=1 unconfirmed", "11 usage output 7-7=0 agrees", "12 estimate tokensclaude-xoutput 3-2=1 explained",
		}, e.checks("01 00:00/31 00:00"))
		require.Equal(e, []string{"11 usage output 7-7=0 agrees"}, e.checks("11 00:00/12 00:00"))
		cs, err := e.store.Checks(e.Context(), org, span("12 00:00/13 00:00"))
		require.NoError(e, err)
		require.Equal(e, []storage.Check{full}, cs)
		e.prune(storage.Keep{Hour: at("12 00:00")})
		require.Equal(e, []string{"12 estimate tokensclaude-xoutput 3-2=1 explained"}, e.checks("01 00:00/31 00:00"))
	}},
	{"findings keep when they were first found", func(e *env) {
		find := func(kind, subject, seen string) storage.Finding {
			return storage.Finding{Kind: kind, Subject: subject, Amount: "5", Detail: "why", Window: span("01 00:00/02 00:00"), FirstAt: at(seen), SeenAt: at(seen)}
		}
		save := func(fs ...storage.Finding) { require.NoError(e, e.owner.SaveFindings(e.Context(), fs)) }
		save(find(storage.FindingUnpriced, "claude-b", "10 00:00"), find(storage.FindingCurrency, "EUR", "10 00:00"), storage.Finding{Kind: "z", FirstAt: at("10 00:00"), SeenAt: at("10 00:00")})
		save(find(storage.FindingUnpriced, "claude-b", "11 00:00"), find(storage.FindingUnpriced, "claude-a", "11 00:00"))
		got, err := e.store.Findings(e.Context(), org)
		require.NoError(e, err)
		first := find(storage.FindingUnpriced, "claude-b", "11 00:00")
		first.FirstAt = at("10 00:00")
		require.Equal(e, []storage.Finding{find(storage.FindingUnpriced, "claude-a", "11 00:00"), first}, got)
	}},
	{"what is set aside is replaced by report and window", func(e *env) {
		aside := func(bucket string, position int, currency, amount string) storage.SetAside {
			return storage.SetAside{
				Bucket: at(bucket), Report: spend.ReportAnalyticsCost, Position: position, Dims: spend.Dims{WorkspaceID: "wrkspc_a", CostType: "tokens", Product: "p"},
				Currency: currency, Amount: amount, List: amount, ReadAt: at("20 00:00"),
			}
		}
		put := func(r spend.Report, window string, rows ...storage.SetAside) {
			require.NoError(e, e.owner.ReplaceSetAside(e.Context(), r, span(window), rows))
		}
		put(spend.ReportAnalyticsCost, "10 00:00/11 00:00", aside("10 01:00", 0, "EUR", "12.50"), aside("10 01:00", 1, "EUR", "0.0000000001"), aside("10 02:00", 0, "CHF", "3"))
		put(spend.ReportCost, "10 00:00/11 00:00")
		put(spend.ReportAnalyticsCost, "10 02:00/10 03:00")
		got, err := e.store.SetAside(e.Context(), org, span("01 00:00/31 00:00"))
		require.NoError(e, err)
		require.Equal(e, []storage.SetAside{aside("10 01:00", 0, "EUR", "12.50"), aside("10 01:00", 1, "EUR", "0.0000000001")}, got)
		require.Equal(e, []storage.CurrencySum{{Currency: "EUR", Rows: 2, Amount: "12.5000000001", Window: span("10 00:00/11 00:00")}}, storage.SumSetAside(got))
		e.prune(storage.Keep{Hour: at("11 00:00")})
		got, err = e.store.SetAside(e.Context(), org, span("01 00:00/31 00:00"))
		require.NoError(e, err)
		require.Empty(e, got)
	}},
}
