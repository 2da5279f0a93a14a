package storagetest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var queryTests = []test{
	{"group and filter by every dimension", func(e *env) {
		variant := func(d spend.Dimension, n int64) spend.Usage {
			return with(used("10 00:00", "apikey_a", n), func(u *spend.Usage) {
				if f := u.Field(d); d != spend.ByCostType && d != spend.ByTokenType {
					*f = "variant"
				}
			})
		}
		for _, d := range spend.Dimensions[:8] {
			rows := []spend.Usage{variant(d, 1), used("10 00:00", "apikey_a", 10)}
			e.usage(hours("10 00:00/10 01:00"), rows...)
			base := used("10 00:00", "apikey_a", 1)
			plain := *base.Field(d)
			space := func(v string) string {
				if v == "" {
					return ""
				}
				return " " + v
			}
			want := []string{"10 00:00 1h" + space(plain) + " 30", "10 00:00 1h variant 3"}
			require.ElementsMatch(e, want, e.showUsage(query("10 00:00/10 01:00", spend.Hour, d)), d)
			require.Equal(e, []string{"10 00:00 1h 3"}, e.showUsage(where(query("10 00:00/10 01:00", 0), d, "variant")), d)
			require.Equal(e, []string{"10 00:00 1h 33"}, e.showUsage(where(query("10 00:00/10 01:00", 0), d, "variant", plain)), d)
			require.Empty(e, e.showUsage(where(query("10 00:00/10 01:00", 0), d, "nobody")), d)
			require.Empty(e, e.showUsage(where(query("10 00:00/10 01:00", 0), d)), "no value lets nothing through")
			require.Equal(e, []string{"10 00:00 1h estimated 33"}, e.showCosts(where(query("10 00:00/10 01:00", 0), d, "variant")), d)
		}
	}},
	{"tell kinds apart", func(e *env) {
		e.usage(hours("10 00:00/10 01:00"), with(used("10 00:00", "apikey_a", 1), func(u *spend.Usage) {
			u.Counts[spend.WebSearches], u.Estimate[spend.WebSearches] = 3, micro(30)
		}))
		e.requests(reading(spend.ReportAnalyticsUsage, spend.Hour, "10 00:00/10 01:00"), with(used("10 00:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 5 }))
		w := "10 00:00/10 01:00"
		require.Equal(e, []string{"10 00:00 1h 3 3 searches 5 requests"}, e.showUsage(query(w, 0)))
		require.Equal(e, []string{"10 00:00 1h 0 5 requests", "10 00:00 1h tokens 3", "10 00:00 1h web_search 0 3 searches"}, e.showUsage(query(w, 0, spend.ByCostType)))
		require.Equal(e, []string{"10 00:00 1h 0 3 searches 5 requests", "10 00:00 1h output 2", "10 00:00 1h uncached_input 1"}, e.showUsage(query(w, 0, spend.ByTokenType)))
		require.Equal(e, []string{"10 00:00 1h 2"}, e.showUsage(where(query(w, 0), spend.ByTokenType, "output")))
		require.Equal(e, []string{"10 00:00 1h 0 3 searches"}, e.showUsage(where(query(w, 0), spend.ByCostType, "web_search")))
		require.Equal(e, []string{"10 00:00 1h tokens output estimated 30", "10 00:00 1h tokens uncached_input estimated 3", "10 00:00 1h web_search estimated 30"},
			sorted(e.showCosts(query(w, 0, spend.ByCostType, spend.ByTokenType))))
		require.Equal(e, []string{"10 00:00 1h estimated 33"}, e.showCosts(where(query(w, 0), spend.ByCostType, "tokens")))
		require.Equal(e, []string{"10 00:00 1h estimated 3"}, e.showCosts(where(query(w, 0), spend.ByTokenType, "uncached_input")))
	}},
	{"by the minute are of minutes, whoever rules their hour", func(e *env) {
		e.usage(minutes("10 05:00/10 07:00"), used("10 05:10", "apikey_a", 1), used("10 05:30", "apikey_a", 2), used("10 06:00", "apikey_b", 4))
		e.usage(hours("10 05:00/10 06:00"), used("10 05:00", "apikey_a", 100))
		e.requests(reading(spend.ReportAnalyticsUsage, spend.Hour, "10 05:00/10 06:00"), with(used("10 05:00", "apikey_a", 0), func(u *spend.Usage) { u.Requests = 5 }))
		e.costs(billHours("10 05:00/10 06:00"), charged("10 05:00", "output", micro(7)))
		q := query("10 05:10/10 06:01", spend.Minute, spend.ByAPIKey)
		q.Window.Start = q.Window.Start.Add(time.Second)
		got, err := e.store.Usage(e.Context(), q)
		require.NoError(e, err)
		require.Equal(e, span("10 05:10/10 06:01"), got.Window, "whole minutes")
		minute := func(when, key string, tokens int64) string {
			return place(at(when), at(when).Add(time.Minute), spend.Dims{APIKeyID: key}) + fmt.Sprintf(" %d", tokens)
		}
		require.Equal(e, []string{minute("10 05:10", "apikey_a", 3), minute("10 05:30", "apikey_a", 6), minute("10 06:00", "apikey_b", 12)}, e.showUsage(q))
		require.Equal(e, []string{minute("10 05:30", "apikey_a", 6)}, e.showUsage(where(query("10 05:11/10 07:00", spend.Minute, spend.ByAPIKey), spend.ByAPIKey, "apikey_a")))
		require.Equal(e, []string{
			strings.TrimSuffix(minute("10 05:10", "apikey_a", 0), "0") + "estimated 33", strings.TrimSuffix(minute("10 05:30", "apikey_a", 0), "0") + "estimated 66",
		}, e.showCosts(query("10 05:00/10 06:00", spend.Minute, spend.ByAPIKey)))
		require.Empty(e, e.showUsage(query("10 03:00/10 05:00", spend.Minute)))
		_, err = e.store.Usage(e.Context(), query("10 05:00/10 06:00", 7200))
		require.ErrorContains(e, err, "a step is a minute, an hour or a day")
	}},
	{"join filters", func(e *env) {
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1), used("10 00:00", "apikey_b", 10), used("10 00:00", "apikey_c", 100))
		q := where(where(query("10 00:00/10 01:00", 0, spend.ByAPIKey), spend.ByAPIKey, "apikey_a", "apikey_b"), spend.ByAPIKey, "apikey_b", "apikey_c")
		require.Equal(e, []string{"10 00:00 1h apikey_b 30"}, e.showUsage(q))
	}},
	{"are ordered by start and dimensions", func(e *env) {
		e.usage(hours("10 00:00/10 02:00"), used("10 01:00", "apikey_a", 1), used("10 00:00", "apikey_c", 1), used("10 00:00", "apikey_b", 1))
		require.Equal(e, []string{"10 00:00 1h apikey_b 3", "10 00:00 1h apikey_c 3", "10 01:00 1h apikey_a 3"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
	}},
	{"widen their window to whole buckets, and over a day known by the day", func(e *env) {
		ctx := e.Context()
		e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		e.usage(hours("11 00:00/12 00:00"), used("11 05:00", "apikey_a", 10))
		for _, c := range []struct {
			window, want string
			step         spend.Grain
			tokens       int64
		}{
			{"11 05:20/11 05:40", "11 05:00/11 06:00", spend.Hour, 30},
			{"11 05:20/11 05:40", "11 05:00/11 06:00", 0, 30},
			{"11 05:20/11 05:40", "11 00:00/12 00:00", spend.Day, 30},
			{"10 23:00/11 06:00", "10 00:00/11 06:00", spend.Hour, 33},
			{"10 23:00/11 05:00", "10 00:00/11 05:00", 0, 3},
			{"09 00:00/10 01:00", "09 00:00/11 00:00", spend.Hour, 3},
			{"11 06:00/11 07:00", "11 06:00/11 07:00", spend.Hour, 0},
		} {
			r, err := e.store.Usage(ctx, query(c.window, c.step))
			require.NoError(e, err)
			require.Equal(e, span(c.want), r.Window, c.window)
			var sum int64
			for _, u := range r.Rows {
				sum += u.Counts.Tokens()
			}
			require.Equal(e, c.tokens, sum, c.window)
			costs, err := e.store.Costs(ctx, query(c.window, c.step))
			require.NoError(e, err)
			require.Equal(e, span(c.want), costs.Window, c.window)
		}
	}},
	{"of nothing are empty", func(e *env) {
		for _, w := range []string{"10 00:00/11 00:00", "10 00:00/10 00:00", "11 00:00/10 00:00"} {
			u, err := e.store.Usage(e.Context(), query(w, spend.Day))
			require.NoError(e, err)
			require.NotNil(e, u.Rows)
			require.Empty(e, u.Rows)
		}
	}},
	{"that make no sense are refused", func(e *env) {
		for _, q := range []storage.Query{
			query("10 00:00/11 00:00", 7200), query("10 00:00/11 00:00", 7), query("10 00:00/11 00:00", 0, "colour"),
			where(query("10 00:00/11 00:00", 0), "colour; drop table series", "x"),
		} {
			_, err := e.store.Usage(e.Context(), q)
			require.Error(e, err)
			_, err = e.store.Costs(e.Context(), q)
			require.Error(e, err)
		}
	}},
	{"take values for what they are", func(e *env) {
		odd := `a'); drop table series; -- "%_\`
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", odd, 1), used("10 00:00", "apikey_a", 10))
		require.Equal(e, []string{"10 00:00 1h " + odd + " 3"}, e.showUsage(where(query("10 00:00/10 01:00", 0, spend.ByAPIKey), spend.ByAPIKey, odd)))
	}},
	{"see whole replacements while the owner writes", func(e *env) {
		ctx := e.Context()
		r := hours("10 00:00/10 02:00")
		e.usage(r, used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_a", 1))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					got, err := e.store.Usage(ctx, query("10 00:00/10 02:00", spend.Hour))
					if err != nil || len(got.Rows) != 2 || got.Rows[0].Counts != got.Rows[1].Counts {
						e.Errorf("a reader saw half a replacement: %v %v", got.Rows, err)
						return
					}
				}
			})
		}
		for n := range int64(40) {
			e.usage(r, used("10 00:00", "apikey_a", n+2), used("10 01:00", "apikey_a", n+2))
		}
		close(stop)
		wg.Wait()
	}},
}
