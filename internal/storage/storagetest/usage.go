package storagetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var usageTests = []test{
	{"of a bucket grows thrice, shrinks and vanishes", func(e *env) {
		r := open(hours("10 00:00/10 02:00"))
		for i, n := range []int64{1, 5, 9, 4} {
			c := e.usage(later(r, time.Duration(i)*time.Minute), used("10 00:00", "apikey_a", n), used("10 01:00", "apikey_b", 100))
			require.Equal(e, map[bool]int{true: 2, false: 1}[i == 0], c.Written, "only what differs is written")
			require.Zero(e, c.Deleted)
			require.Equal(e, []string{
				fmt.Sprintf("10 00:00 1h apikey_a %d", 3*n), "10 01:00 1h apikey_b 300",
			}, e.showUsage(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
		}
		c := e.usage(later(r, time.Hour), used("10 01:00", "apikey_b", 100))
		require.Equal(e, storage.Change{Deleted: 1}, c)
		require.Equal(e, []string{"10 01:00 1h apikey_b 300"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
		require.Empty(e, e.revisions(spend.FactUsage, "10 00:00/11 00:00"), "nothing was settled")
	}},
	{"that is read again unchanged changes nothing", func(e *env) {
		rows := []spend.Usage{used("10 00:00", "apikey_b", 1), used("10 00:00", "apikey_a", 2), used("10 01:00", "apikey_a", 3)}
		require.Equal(e, storage.Change{Written: 3}, e.usage(hours("10 00:00/10 02:00"), rows...))
		_, seq := e.changed(0)
		require.Equal(e, storage.Change{}, e.usage(later(hours("10 00:00/10 02:00"), time.Hour), rows[2], rows[1], rows[0]))
		days, again := e.changed(seq)
		require.Empty(e, days)
		require.Equal(e, seq, again)
	}},
	{"beside the window stays", func(e *env) {
		e.usage(hours("10 00:00/10 03:00"), used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_a", 2), used("10 02:00", "apikey_a", 3))
		e.usage(hours("10 01:00/10 02:00"), used("10 01:00", "apikey_b", 7))
		require.Equal(e, []string{"10 00:00 1h apikey_a 3", "10 01:00 1h apikey_b 21", "10 02:00 1h apikey_a 9"},
			e.showUsage(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
	}},
	{"keeps every dimension and every kind apart", func(e *env) {
		var rows []spend.Usage
		for i, d := range spend.Dimensions {
			if d == spend.ByCostType || d == spend.ByTokenType {
				continue
			}
			rows = append(rows, with(used("10 00:00", "apikey_a", 0), func(u *spend.Usage) {
				*u.Field(d) = "other " + string(d)
				for k := range u.Counts {
					u.Counts[k] = int64(1000*i + k + 1)
				}
			}))
		}
		e.usage(hours("10 00:00/10 01:00"), rows...)
		r, err := e.store.Usage(e.Context(), query("10 00:00/10 01:00", 0, spend.Dimensions[:8]...))
		require.NoError(e, err)
		got := map[spend.Dims]spend.Counts{}
		for _, u := range r.Rows {
			got[u.Dims] = u.Counts
		}
		want := map[spend.Dims]spend.Counts{}
		for _, u := range rows {
			want[u.Dims] = u.Counts
		}
		require.Equal(e, want, got)
	}},
	{"of no key is not usage whose key is not known", func(e *env) {
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", spend.NoKey, 1), used("10 00:00", "", 10))
		require.Equal(e, []string{"10 00:00 1h 30", "10 00:00 1h none 3"}, e.showUsage(query("10 00:00/10 01:00", 0, spend.ByAPIKey)))
	}},
	{"grains are never added together", func(e *env) {
		e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 100))
		e.usage(hours("10 00:00/11 00:00"), used("10 05:00", "apikey_a", 60), used("10 06:00", "apikey_a", 40))
		e.usage(minutes("10 05:00/10 07:00"), used("10 05:30", "apikey_a", 60))
		require.Equal(e, []string{"10 00:00 24h 300"}, e.showUsage(query("10 00:00/11 00:00", 0)))
		require.Equal(e, []string{"10 05:00 1h 180", "10 06:00 1h 120"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
	}},
	{"by the minute counts until the hour is known", func(e *env) {
		e.usage(open(minutes("10 05:00/10 05:40")), used("10 05:10", "apikey_a", 1), used("10 05:30", "apikey_a", 2))
		require.Equal(e, []string{"10 05:00 minute provisional"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 05:00 1h 9"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))

		e.usage(minutes("10 05:00/10 07:00"), used("10 05:10", "apikey_a", 1), used("10 05:30", "apikey_a", 2), used("10 05:50", "apikey_a", 4))
		require.Equal(e, []string{"10 05:00 minute complete", "10 06:00 minute complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 05:00 1h 21"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))

		_, seq := e.changed(0)
		e.usage(hours("10 05:00/10 06:00"), used("10 05:00", "apikey_a", 7))
		require.Equal(e, []string{"10 05:00 hour complete", "10 06:00 minute complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 05:00 1h 21"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
		days, _ := e.changed(seq)
		require.Empty(e, days, "the hour is what its minutes add up to")
		require.Empty(e, e.revisions(spend.FactUsage, "10 00:00/11 00:00"))

		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1000))
		require.Equal(e, []string{"10 05:00 1h 21"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)), "the hour rules now")
	}},
	{"by the minute leaves the minutes beyond its window", func(e *env) {
		e.usage(open(minutes("10 05:00/10 06:00")), used("10 05:10", "apikey_a", 1), used("10 05:50", "apikey_a", 2))
		e.usage(open(minutes("10 05:00/10 05:30")), used("10 05:10", "apikey_a", 10))
		require.Equal(e, []string{"10 05:00 1h 36"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
	}},
	{"that an hour's flip corrects is revised by the hour", func(e *env) {
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1), used("10 05:30", "apikey_a", 2))
		e.usage(hours("10 05:00/10 06:00"), used("10 05:00", "apikey_a", 4), used("10 05:00", "apikey_b", 1))
		require.ElementsMatch(e, []string{"10 05:00 hour apikey_a: 9 to 12", "10 05:00 hour apikey_b: 0 to 3"}, e.revisions(spend.FactUsage, "10 00:00/11 00:00"))
	}},
	{"by the day gives way to hours, but not to a part of them", func(e *env) {
		e.usage(days("10 00:00/12 00:00"), used("10 00:00", "apikey_a", 1), used("11 00:00", "apikey_a", 2))
		_, err := e.owner.ReplaceUsage(e.Context(), hours("10 00:00/11 12:00"), nil)
		require.ErrorContains(e, err, "2026-03-11")
		require.Equal(e, []string{"10 00:00 day complete", "11 00:00 day complete"}, e.slots(spend.FactUsage, "10 00:00/12 00:00"))

		e.usage(hours("10 00:00/11 00:00"), used("10 03:00", "apikey_a", 5))
		require.Len(e, e.slots(spend.FactUsage, "10 00:00/12 00:00"), 25)
		require.Equal(e, []string{"10 03:00 1h 15", "11 00:00 24h 6"}, e.showUsage(query("10 00:00/12 00:00", spend.Hour)))
		require.Equal(e, []string{"10 00:00 day apikey_a: 3 to 15"}, e.revisions(spend.FactUsage, "10 00:00/12 00:00"))

		c := e.usage(later(days("10 00:00/12 00:00"), time.Hour), used("10 00:00", "apikey_a", 50), used("11 00:00", "apikey_a", 3))
		require.Equal(e, 1, c.Written, "a day that hours rule is left alone")
		require.Equal(e, []string{"10 03:00 1h 15", "11 00:00 24h 9"}, e.showUsage(query("10 00:00/12 00:00", spend.Hour)))
	}},
	{"by the day leaves days that minutes rule alone", func(e *env) {
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1))
		require.Equal(e, storage.Change{}, e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 9)))
		require.Equal(e, []string{"10 00:00 24h 3"}, e.showUsage(query("10 00:00/11 00:00", 0)))
	}},
	{"by the minute does not count on a day known by the day", func(e *env) {
		e.usage(days("10 00:00/11 00:00"), used("10 00:00", "apikey_a", 1))
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 9))
		require.Equal(e, []string{"10 00:00 day complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 00:00 24h 3"}, e.showUsage(query("10 00:00/11 00:00", 0)))
	}},
	{"is refused as a whole where something is wrong with it", func(e *env) {
		good := used("10 00:00", "apikey_a", 1)
		e.usage(hours("10 00:00/10 01:00"), good)
		for name, c := range map[string]struct {
			r    storage.Reading
			rows []spend.Usage
		}{
			"window not of whole hours":    {hours("10 00:30/10 02:00"), nil},
			"window ends within an hour":   {hours("10 00:00/10 01:30"), nil},
			"window not of whole days":     {days("10 00:00/10 12:00"), nil},
			"minutes begin within an hour": {minutes("10 00:10/10 01:00"), nil},
			"empty window":                 {hours("10 01:00/10 01:00"), nil},
			"window back to front":         {hours("10 02:00/10 01:00"), nil},
			"row before the window":        {hours("10 01:00/10 02:00"), []spend.Usage{used("10 01:00", "apikey_a", 5), good}},
			"row at the window's end":      {hours("10 00:00/10 01:00"), []spend.Usage{used("10 01:00", "apikey_a", 5)}},
			"row between buckets":          {hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:30", "apikey_a", 5)}},
			"two rows of the same":         {hours("10 00:00/10 01:00"), []spend.Usage{good, used("10 00:00", "apikey_b", 1), used("10 00:00", "apikey_a", 2)}},
			"negative count":               {hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:00", "apikey_a", -1)}},
			"row with a cost type":         {hours("10 00:00/10 01:00"), []spend.Usage{with(good, func(u *spend.Usage) { u.CostType = "tokens" })}},
			"report that does not have it": {reading(spend.ReportCost, spend.Hour, "10 00:00/10 01:00"), nil},
			"grain that does not exist":    {reading(spend.ReportMessages, 7200, "10 00:00/10 02:00"), nil},
		} {
			_, err := e.owner.ReplaceUsage(e.Context(), c.r, c.rows)
			require.Error(e, err, name)
		}
		require.Equal(e, []string{"10 00:00 1h apikey_a 3"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
		require.Len(e, e.slots(spend.FactUsage, "09 00:00/12 00:00"), 1)
	}},
	{"comes back in UTC wherever it comes from", func(e *env) {
		zone := time.FixedZone("somewhere", -5*3600)
		r := hours("10 00:00/10 02:00")
		r.Window = spend.Window{Start: r.Window.Start.In(zone), End: r.Window.End.In(zone)}
		r.At, r.DataAt = r.At.In(zone), r.DataAt.In(zone)
		e.usage(r, with(used("10 01:00", "apikey_a", 1), func(u *spend.Usage) { u.Bucket = u.Bucket.In(zone) }))
		got, err := e.store.Usage(e.Context(), storage.Query{Window: r.Window, Step: spend.Hour})
		require.NoError(e, err)
		require.Equal(e, span("10 00:00/10 02:00"), got.Window)
		require.Equal(e, at("10 01:00"), got.Rows[0].Start)
		slots, err := e.store.Slots(e.Context(), org, spend.FactUsage, r.Window)
		require.NoError(e, err)
		require.Equal(e, storage.Slot{
			Window: span("10 00:00/10 01:00"), Grain: spend.Hour, Report: spend.ReportMessages, State: storage.Complete,
			ReadAt: at("10 02:00"), Since: at("10 02:00"),
		}, slots[0])
	}},
	{"of many series is written and read back", func(e *env) {
		var rows []spend.Usage
		for i := range 1234 {
			rows = append(rows, used("10 00:00", fmt.Sprintf("apikey_%04d", i), int64(i+1)))
		}
		require.Equal(e, 1234, e.usage(hours("10 00:00/10 01:00"), rows...).Written)
		require.Equal(e, 0, e.usage(hours("10 00:00/10 01:00"), rows...).Written)
		rows[777] = used("10 00:00", "apikey_0777", 1)
		require.Equal(e, storage.Change{Written: 1, Deleted: 233}, e.usage(hours("10 00:00/10 01:00"), rows[:1001]...))
		got, err := e.store.Usage(e.Context(), query("10 00:00/10 01:00", 0, spend.ByAPIKey))
		require.NoError(e, err)
		require.Len(e, got.Rows, 1001)
		require.EqualValues(e, 3, got.Rows[777].Counts.Tokens())
		require.EqualValues(e, 3003, got.Rows[1000].Counts.Tokens())
	}},
}

var requestCountTests = []test{
	{"stand beside usage and have a ledger of their own", func(e *env) {
		made := func(when, key string, n int64) spend.Usage {
			return with(used(when, key, 999), func(u *spend.Usage) { u.Requests = n })
		}
		analytics := func(g spend.Grain, w string) storage.Reading { return reading(spend.ReportAnalyticsUsage, g, w) }
		e.usage(hours("10 00:00/10 01:00"), made("10 00:00", "apikey_a", 5))
		e.requests(analytics(spend.Day, "09 00:00/11 00:00"), made("09 00:00", "apikey_a", 70), made("10 00:00", "apikey_a", 80))
		e.requests(analytics(spend.Hour, "10 00:00/11 00:00"), made("10 00:00", "apikey_a", 3), made("10 01:00", "apikey_b", 4))
		require.Equal(e, []string{
			"09 00:00 24h apikey_a 0 70 requests", "10 00:00 1h apikey_a 2997 3 requests", "10 01:00 1h apikey_b 0 4 requests",
		}, e.showUsage(query("09 00:00/11 00:00", spend.Hour, spend.ByAPIKey)))
		require.Equal(e, []string{"10 00:00 day apikey_a: 80 to 3", "10 00:00 day apikey_b: 0 to 4"},
			sorted(e.revisions(spend.FactRequests, "09 00:00/11 00:00")))
		require.Len(e, e.slots(spend.FactUsage, "09 00:00/11 00:00"), 1)
		require.Len(e, e.slots(spend.FactRequests, "09 00:00/11 00:00"), 25)
		_, err := e.owner.ReplaceRequests(e.Context(), analytics(spend.Minute, "10 00:00/10 01:00"), nil)
		require.Error(e, err)
	}},
}
