package storagetest

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var sumTests = []test{
	{"by the day answer for whole days while they hold", func(e *env) {
		e.usage(hours("10 00:00/12 00:00"), used("10 05:00", "apikey_a", 1), used("10 06:00", "apikey_a", 2), used("11 05:00", "apikey_a", 4))
		e.requests(requestHours("10 00:00/12 00:00"), with(used("10 05:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 8 }))
		e.costs(billHours("10 00:00/11 00:00"), charged("10 05:00", "output", micro(3)), charged("10 06:00", "output", micro(4)))
		e.sum("12 00:00", 2)
		byDay := query("10 00:00/12 00:00", spend.Day)
		require.Equal(e, []string{"10 00:00 24h 9 8 requests", "11 00:00 24h 12"}, e.showUsage(byDay))
		require.Equal(e, []string{"10 00:00 24h billed 7", "11 00:00 24h estimated 132"}, e.showCosts(byDay))

		// Made wrong, the sums show in the answers that they are for, and in no other.
		e.ask("update usage_sum set web_searches = 5 returning series")
		e.ask("update request_sum set requests = 6 returning series")
		e.ask("update cost_sum set amount = 7000, list = 7000 returning series")
		require.Equal(e, []string{"10 00:00 24h 9 5 searches 6 requests", "11 00:00 24h 12 5 searches"}, e.showUsage(byDay))
		facts := byDay
		facts.Facts = true
		require.Equal(e, []string{"10 00:00 24h 9 8 requests", "11 00:00 24h 12"}, e.showUsage(facts))
		require.Equal(e, []string{"10 00:00 48h 21 10 searches 6 requests"}, e.showUsage(query("10 00:00/12 00:00", 0)))
		require.Equal(e, []string{"10 05:00 43h 21 5 searches 8 requests"}, e.showUsage(query("10 05:00/12 00:00", 0)))
		require.Equal(e, []string{"10 05:00 1h 3 8 requests", "10 06:00 1h 6", "11 05:00 1h 12"}, e.showUsage(query("10 00:00/12 00:00", spend.Hour)))
		require.Equal(e, []string{"10 00:00 24h billed 7", "11 00:00 24h estimated 132"}, e.showCosts(byDay))
		e.ask("update cost_sum set amount = 9000, list = 9000 returning series")
		require.Equal(e, []string{"10 00:00 24h billed 9", "11 00:00 24h estimated 132"}, e.showCosts(byDay))

		e.usage(hours("10 07:00/10 08:00"), used("10 07:00", "apikey_a", 1))
		require.Equal(e, []string{"10 00:00 24h 12 8 requests", "11 00:00 24h 12 5 searches"}, e.showUsage(byDay), "the day is answered from its hours again")
		e.sum("12 00:00", 1)
		require.Equal(e, []string{"10 00:00 24h 12 8 requests", "11 00:00 24h 12 5 searches"}, e.showUsage(byDay))
		require.Equal(e, []string{"10 00:00 24h billed 7", "11 00:00 24h estimated 132"}, e.showCosts(byDay))
	}},
	{"are made of days that are over, the newest first", func(e *env) {
		e.usage(hours("09 00:00/12 00:00"), used("09 05:00", "apikey_a", 1), used("10 05:00", "apikey_a", 2), used("11 05:00", "apikey_a", 3))
		for _, want := range [][]string{{"4"}, {"2", "4"}} {
			some, err := e.owner.SumDay(e.Context(), at("11 23:59"))
			require.NoError(e, err)
			require.True(e, some)
			require.Equal(e, want, e.ask("select output from usage_sum order by bucket"))
		}
		e.sum("11 23:59", 0)
		e.sum("12 00:00", 1)
		require.Equal(e, []string{"2", "4", "6"}, e.ask("select output from usage_sum order by bucket"))
	}},
	{"are given up by every write to the hours of the day, and by none that changes nothing", func(e *env) {
		row := used("10 05:00", "apikey_a", 1)
		whole := hours("10 00:00/11 00:00")
		e.usage(whole, row)
		e.usage(hours("11 00:00/12 00:00"), used("11 05:00", "apikey_a", 1))
		e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", 77))
		e.sum("20 00:00", 2)
		untouched := map[string]func(){
			"read again": func() { e.usage(later(whole, time.Hour), row) },
			"confirmed": func() {
				require.NoError(e, e.owner.Confirm(e.Context(), spend.FactUsage, span("10 00:00/12 00:00"), at("20 00:00")))
			},
			"estimated as before": func() {
				require.NoError(e, e.owner.Reestimate(e.Context(), at("01 00:00"), "v", func(*spend.Usage) {}))
			},
			"minutes beside": func() { e.usage(open(minutes("10 05:00/10 06:00")), used("10 05:10", "apikey_a", 1)) },
		}
		for name, do := range untouched {
			do()
			require.Len(e, e.ask("select 1 from sum_day where holds"), 2, name)
		}
		for _, c := range []struct {
			name string
			do   func()
		}{
			{"an hour changes", func() { e.usage(hours("10 05:00/10 06:00"), used("10 05:00", "apikey_a", 2)) }},
			{"a row is gone", func() { e.usage(hours("10 05:00/10 07:00"), used("10 06:00", "apikey_a", 2)) }},
			{"requests", func() {
				e.requests(requestHours("10 05:00/10 06:00"), with(row, func(u *spend.Usage) { u.Requests = 1 }))
			}},
			{"estimates", func() {
				require.NoError(e, e.owner.Reestimate(e.Context(), at("10 00:00"), "v2", func(u *spend.Usage) { u.Estimate[spend.Output] += spend.Money(1 * (11 - u.Bucket.Day())) }))
			}},
			{"the bill", func() { e.bill("10") }},
			{"the bill changes", func() { e.costs(billDay("10 00:00/11 00:00"), charged("10 00:00", "output", 78)) }},
			{"a bill by the hour", func() { e.costs(billHours("10 00:00/11 00:00"), charged("10 05:00", "output", 5)) }},
		} {
			c.do()
			require.Len(e, e.ask("select 1 from sum_day where holds"), 1, c.name)
			e.sum("20 00:00", 1)
		}
	}},
	{"go with the hours", func(e *env) {
		e.usage(hours("10 00:00/11 00:00"), used("10 05:00", "apikey_a", 1))
		e.usage(minutes("11 00:00/12 00:00"), used("11 05:10", "apikey_a", 1))
		e.sum("20 00:00", 1)
		require.Equal(e, []string{"10 00:00 48h 6"}, e.showUsage(query("10 00:00/12 00:00", 0)))
		_, err := e.owner.Prune(e.Context(), storage.Keep{Minute: at("12 00:00"), Hour: at("11 00:00")})
		require.NoError(e, err)
		require.Equal(e, []string{"10 00:00 48h 6"}, e.showUsage(query("10 00:00/12 00:00", 0)))
		e.sum("20 00:00", 2)
		require.Equal(e, []string{"10 00:00 48h 6"}, e.showUsage(query("10 00:00/12 00:00", 0)))
		require.Len(e, e.ask("select 1 from sum_day"), 1)
		require.Len(e, e.ask("select 1 from usage_sum"), 1)
		_, err = e.owner.Prune(e.Context(), storage.Keep{Day: at("12 00:00")})
		require.NoError(e, err)
		e.sum("20 00:00", 1)
		require.Empty(e, e.ask("select 1 from sum_day"))
		require.Empty(e, e.ask("select 1 from usage_sum"))
	}},
	{"are due for every day with hours of a database from before", func(e *env) {
		e.usage(hours("09 00:00/11 00:00"), used("09 05:00", "apikey_a", 1), used("10 23:00", "apikey_a", 2))
		e.usage(days("08 00:00/09 00:00"), used("08 00:00", "apikey_a", 4))
		e.ask("delete from sum_day returning holds")
		e.sum("20 00:00", 0)
		migration, err := os.ReadFile("migrations/0009_sums.sql") // in the backend's folder
		require.NoError(e, err)
		_, fill, found := strings.Cut(string(migration), "insert into sum_day ")
		require.True(e, found)
		fill, _, _ = strings.Cut(fill, ";")
		e.ask("insert into sum_day " + fill)
		e.sum("20 00:00", 2)
		require.Equal(e, []string{"08 00:00 24h 12", "09 00:00 24h 3", "10 00:00 24h 6"}, e.showUsage(query("08 00:00/11 00:00", spend.Day)))
		require.Equal(e, []string{"2", "4"}, e.ask("select output from usage_sum order by bucket"))
	}},
	{"leave uncertain what is uncertain of a group as a whole", func(e *env) {
		nothing := func(u *spend.Usage) { u.Price, u.Estimate = spend.Uncertain, spend.Amounts{} }
		e.usage(hours("10 00:00/11 00:00"), with(used("10 05:00", "apikey_a", 1), nothing))
		e.sum("12 00:00", 1)
		e.usage(hours("11 00:00/12 00:00"), used("11 05:00", "apikey_a", 1))
		require.Equal(e, []string{"10 00:00 48h estimated 33 uncertain"}, e.showCosts(query("10 00:00/12 00:00", 0)))
		e.sum("12 00:00", 1)
		require.Equal(e, []string{"10 00:00 48h estimated 33 uncertain"}, e.showCosts(query("10 00:00/12 00:00", 0)))
		require.Equal(e, []string{"11 00:00 24h estimated 33"}, e.showCosts(query("10 00:00/12 00:00", spend.Day)))
	}},
	{"change no answer", func(e *env) {
		w := &twins{env: e, now: at("20 00:00")}
		for i := range w.ids {
			w.ids[i] = fmt.Sprintf("5b0c7c2e-0000-4000-8000-%012d", 1000+i)
			require.NoError(e, e.store.SaveOrganization(e.Context(), spend.Organization{ID: w.ids[i]}, at("01 00:00")))
			w.owners[i] = e.own(w.ids[i])
		}
		rapid.Check(e, func(t *rapid.T) {
			w.t = t
			w.check()
		})
	}},
}

func requestHours(window string) storage.Reading {
	return reading(spend.ReportAnalyticsUsage, spend.Hour, window)
}

// sum sums days that ended by the time, and expects so many.
func (e *env) sum(before string, want int) {
	e.Helper()
	n := 0
	for ; n <= want; n++ {
		some, err := e.owner.SumDay(e.Context(), at(before))
		require.NoError(e, err)
		if !some {
			break
		}
	}
	require.Equal(e, want, n, "days summed")
}

// twins are two organizations that live through the same history, of which only one has sums.
type twins struct {
	*env
	t      *rapid.T
	ids    [2]string
	owners [2]storage.Owner
	now    time.Time
}

func (w *twins) check() {
	w.both(func(o storage.Owner) error {
		end := at("31 00:00")
		if _, err := o.Prune(w.Context(), storage.Keep{Minute: end, Hour: end, Day: end}); err != nil {
			return err
		}
		return o.Calibrate(w.Context(), storage.Calibration{})
	})
	w.usage(spend.ReportMessages, spend.Hour, span("10 00:00/13 06:00"))
	for range rapid.IntRange(1, 4).Draw(w.t, "writes") {
		for range pick(w.t, "days to sum", 0, 1, 2, 9, 9, 9) {
			_, err := w.owners[0].SumDay(w.Context(), w.now)
			require.NoError(w.t, err)
		}
		w.write()
		w.compare()
	}
}

func pick[T any](t *rapid.T, label string, from ...T) T {
	return rapid.SampledFrom(from).Draw(t, label)
}

// both does the same to both; what one refuses the other refuses too.
func (w *twins) both(do func(o storage.Owner) error) {
	first, second := do(w.owners[0]), do(w.owners[1])
	require.Equal(w.t, first == nil, second == nil, "%v\n%v", first, second)
}

// window is some hours of a day, a day, or two.
func (w *twins) window(whole bool) spend.Window {
	start := at("10 00:00").AddDate(0, 0, rapid.IntRange(0, 3).Draw(w.t, "day"))
	if whole || rapid.Bool().Draw(w.t, "whole") {
		return spend.Window{Start: start, End: start.AddDate(0, 0, rapid.IntRange(1, 2).Draw(w.t, "days"))}
	}
	start = start.Add(time.Duration(rapid.IntRange(0, 20).Draw(w.t, "hour")) * time.Hour)
	return spend.Window{Start: start, End: start.Add(time.Duration(rapid.IntRange(1, 3).Draw(w.t, "hours")) * time.Hour)}
}

func (w *twins) write() {
	w.now = w.now.Add(time.Hour)
	switch pick(w.t, "write", "hours", "hours", "hours", "minutes", "day", "requests", "bill hours", "bill day", "bill day", "close",
		"estimate", "calibrate", "prune", "prune") {
	case "hours":
		w.usage(pick(w.t, "report", spend.ReportMessages, spend.ReportMessages, spend.ReportAnalyticsUsage), spend.Hour, w.window(false))
	case "minutes":
		w.usage(spend.ReportMessages, spend.Minute, w.window(false))
	case "day":
		w.usage(spend.ReportMessages, spend.Day, w.window(true))
	case "requests":
		g := pick(w.t, "grain", spend.Hour, spend.Day)
		r := w.reading(spend.ReportAnalyticsUsage, g, w.window(g == spend.Day))
		rows := w.rows(r, func(u *spend.Usage) { u.Requests = rapid.Int64Range(1, 9).Draw(w.t, "requests") })
		w.both(func(o storage.Owner) error { _, err := o.ReplaceRequests(w.Context(), r, rows); return err })
	case "bill hours":
		w.costs(spend.ReportAnalyticsCost, spend.Hour, w.window(false))
	case "bill day":
		days := w.window(true)
		w.costs(spend.ReportCost, spend.Day, days)
		if rapid.Bool().Draw(w.t, "closed") {
			w.bill(days.Start)
		}
	case "close":
		w.bill(w.window(true).Start)
	case "estimate":
		from, n := w.window(false).Start, rapid.IntRange(1, 3).Draw(w.t, "price")
		w.both(func(o storage.Owner) error {
			return o.Reestimate(w.Context(), from, "v", func(u *spend.Usage) {
				u.Estimate[spend.Output], u.Price = spend.Money(n*7), spend.PriceState((int(u.Price)+n)%4)
			})
		})
	case "calibrate":
		c := storage.Calibration{At: w.now, Factors: []storage.CalibrationFactor{
			{Factor: spend.One * spend.Factor(rapid.IntRange(1, 20).Draw(w.t, "factor")) / 10, Window: span("01 00:00/02 00:00")},
		}}
		w.both(func(o storage.Owner) error { return o.Calibrate(w.Context(), c) })
	case "prune":
		from := func(label string) time.Time {
			return at("09 00:00").AddDate(0, 0, rapid.IntRange(0, 4).Draw(w.t, label))
		}
		k := storage.Keep{Minute: from("minute"), Hour: from("hour")}
		if rapid.IntRange(0, 3).Draw(w.t, "forget") == 0 {
			k.Day = from("forgotten")
		}
		w.both(func(o storage.Owner) error { _, err := o.Prune(w.Context(), k); return err })
	}
}

func (w *twins) reading(r spend.Report, g spend.Grain, in spend.Window) storage.Reading {
	return storage.Reading{Report: r, Grain: g, Window: in, At: w.now, DataAt: w.now}
}

// rows are some in the reading's window.
func (w *twins) rows(r storage.Reading, fill func(*spend.Usage)) []spend.Usage {
	bs := r.Window.Buckets(r.Grain)
	seen := map[string]bool{}
	var rows []spend.Usage
	for range rapid.IntRange(1, 8).Draw(w.t, "rows") {
		u := used(bs[rapid.IntRange(0, len(bs)-1).Draw(w.t, "bucket")].Start.Format("02 15:04"), pick(w.t, "key", "apikey_a", "apikey_b", spend.NoKey), 0)
		u.Model = pick(w.t, "model", "claude-x", "claude-y")
		fill(&u)
		if k := u.Bucket.String() + u.APIKeyID + u.Model; !seen[k] {
			seen[k] = true
			rows = append(rows, u)
		}
	}
	return rows
}

func (w *twins) usage(r spend.Report, g spend.Grain, in spend.Window) {
	x := w.reading(r, g, in)
	rows := w.rows(x, func(u *spend.Usage) {
		u.Price = pick(w.t, "price", spend.Priced, spend.Priced, spend.Unpriced, spend.Uncertain, spend.Committed)
		for _, k := range []spend.Kind{spend.UncachedInput, spend.Output, spend.WebSearches} {
			u.Counts[k] = rapid.Int64Range(0, 3).Draw(w.t, "count")
			u.Estimate[k] = spend.Money(rapid.Int64Range(0, 3).Draw(w.t, "estimate"))
			if u.Price == spend.Unpriced {
				u.Estimate[k] = 0
			}
		}
	})
	w.both(func(o storage.Owner) error { _, err := o.ReplaceUsage(w.Context(), x, rows); return err })
}

func (w *twins) costs(r spend.Report, g spend.Grain, in spend.Window) {
	x := w.reading(r, g, in)
	bs := in.Buckets(g)
	cells := map[string]spend.Cost{}
	var rows []spend.Cost
	for range rapid.IntRange(0, 5).Draw(w.t, "cells") {
		when := bs[rapid.IntRange(0, len(bs)-1).Draw(w.t, "bucket")].Start.Format("02 15:04")
		c := execution(when, spend.Money(rapid.Int64Range(-2, 9).Draw(w.t, "amount")))
		switch t := pick(w.t, "cell", "", "output", "uncached_input", "search"); t {
		case "":
		case "search":
			c.CostType = "web_search"
		default:
			c.Dims = charged(when, t, 0).Dims
			c.Model = pick(w.t, "model", "claude-x", "claude-y")
		}
		c.List = c.Amount + 1
		k := when + c.CostType + c.TokenType + c.Model
		if _, known := cells[k]; !known {
			cells[k] = c
			rows = append(rows, c)
		}
	}
	w.both(func(o storage.Owner) error { _, err := o.ReplaceCosts(w.Context(), x, rows); return err })
}

func (w *twins) bill(day time.Time) {
	w.both(func(o storage.Owner) error { return o.Bill(w.Context(), day, w.now) })
}

// compare asks both the same.
func (w *twins) compare() {
	for range 2 {
		start := at("09 00:00").Add(time.Duration(24*rapid.IntRange(0, 4).Draw(w.t, "day")) * time.Hour)
		end := start.Add(time.Duration(24*rapid.IntRange(1, 5).Draw(w.t, "days")) * time.Hour)
		if rapid.Bool().Draw(w.t, "cut") {
			start, end = start.Add(time.Duration(rapid.IntRange(0, 23).Draw(w.t, "from"))*time.Hour), end.Add(time.Duration(rapid.IntRange(0, 23).Draw(w.t, "to"))*time.Hour)
		}
		if rapid.Bool().Draw(w.t, "all") {
			start, end = at("09 00:00"), at("15 00:00")
		}
		q := storage.Query{Window: spend.Window{Start: start, End: end}, Step: pick(w.t, "step", 0, 0, spend.Day, spend.Day, spend.Hour)}
		for _, d := range spend.Dimensions {
			if rapid.IntRange(0, 3).Draw(w.t, "by "+string(d)) == 0 {
				q.By = append(q.By, d)
			}
		}
		switch pick(w.t, "where", "", "", "key", "model", "token type", "cost type") {
		case "key":
			q = where(q, spend.ByAPIKey, "apikey_a", spend.NoKey)
		case "model":
			q = where(q, spend.ByModel, "claude-x", "")
		case "token type":
			q = where(q, spend.ByTokenType, "output", "")
		case "cost type":
			q = where(q, spend.ByCostType, "tokens", "web_search")
		}
		require.Equal(w.t, w.answers(1, q), w.answers(0, q), "%+v", q)
	}
}

// answers are all there are to the query, as lines.
func (w *twins) answers(of int, q storage.Query) string {
	q = where(q, spend.ByOrganization, w.ids[of])
	var b strings.Builder
	usage, err := w.store.Usage(w.Context(), q)
	require.NoError(w.t, err)
	fmt.Fprintf(&b, "usage %s\n", usage.Window)
	for _, r := range usage.Rows {
		r.Organization = ""
		fmt.Fprintf(&b, "%+v\n", r)
	}
	costs, err := w.store.Costs(w.Context(), q)
	require.NoError(w.t, err)
	estimates, err := w.store.Estimates(w.Context(), q)
	require.NoError(w.t, err)
	for _, c := range []storage.CostResult{costs, estimates} {
		fmt.Fprintf(&b, "costs %s\n", c.Window)
		for _, r := range c.Rows {
			r.Organization = ""
			fmt.Fprintf(&b, "%+v\n", r)
		}
	}
	return b.String()
}
