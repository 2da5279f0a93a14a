package storagetest

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}

var ledgerTests = []test{
	{"says how far data is complete, and does not go back", func(e *env) {
		r := hours("10 00:00/10 03:00")
		r.DataAt = at("10 02:00")
		e.usage(r, used("10 00:00", "apikey_a", 1))
		require.Equal(e, []string{"10 00:00 hour complete", "10 01:00 hour complete", "10 02:00 hour provisional"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		r.DataAt = at("10 01:00")
		e.usage(r, used("10 00:00", "apikey_a", 1))
		require.Equal(e, []string{"10 00:00 hour complete", "10 01:00 hour complete", "10 02:00 hour provisional"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 02:00 hour provisional"}, e.slots(spend.FactUsage, "10 02:00/11 00:00"))
	}},
	{"knows since when answers are equal", func(e *env) {
		r := hours("10 00:00/10 02:00")
		since := func() []time.Time {
			slots, err := e.store.Slots(e.Context(), org, spend.FactUsage, r.Window)
			require.NoError(e, err)
			return []time.Time{slots[0].Since, slots[1].Since, slots[0].ReadAt}
		}
		e.usage(r, used("10 00:00", "apikey_a", 1))
		e.usage(later(r, time.Hour), used("10 00:00", "apikey_a", 1))
		require.Equal(e, []time.Time{at("10 02:00"), at("10 02:00"), at("10 03:00")}, since())
		e.usage(later(r, 2*time.Hour), used("10 00:00", "apikey_a", 2))
		require.Equal(e, []time.Time{at("10 04:00"), at("10 02:00"), at("10 04:00")}, since())
		require.NoError(e, e.owner.Confirm(e.Context(), spend.FactUsage, span("10 00:00/10 01:30"), at("10 06:00")))
		slots, err := e.store.Slots(e.Context(), org, spend.FactUsage, r.Window)
		require.NoError(e, err)
		require.Equal(e, at("10 06:00"), slots[0].ReadAt)
		require.Equal(e, at("10 04:00"), slots[0].Since)
		require.Equal(e, at("10 04:00"), slots[1].ReadAt, "a slot that is not covered whole is not confirmed")
	}},
	{"keeps revisions of what was settled, newest first", func(e *env) {
		r := hours("10 00:00/10 02:00")
		e.usage(r, used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_b", 2))
		e.usage(later(r, time.Hour), used("10 00:00", "apikey_a", 5), used("10 01:00", "apikey_b", 2))
		e.usage(later(r, 2*time.Hour), used("10 00:00", "apikey_a", 5))
		e.usage(later(r, 3*time.Hour), used("10 00:00", "apikey_a", 5), used("10 01:00", "apikey_c", 1))
		require.Equal(e, []string{"10 01:00 hour apikey_c: 0 to 3", "10 01:00 hour apikey_b: 6 to 0", "10 00:00 hour apikey_a: 3 to 15"},
			e.revisions(spend.FactUsage, "10 00:00/11 00:00"))
		rs, err := e.store.Revisions(e.Context(), org, spend.FactUsage, span("10 00:00/10 01:00"))
		require.NoError(e, err)
		require.Len(e, rs, 1)
		require.Equal(e, at("10 03:00"), rs[0].RevisedAt)
		require.Equal(e, used("10 00:00", "apikey_a", 1).Dims, rs[0].Dims)
		require.Equal(e, used("10 00:00", "apikey_a", 1).Counts, rs[0].Old.Counts)
		require.Equal(e, used("10 00:00", "apikey_a", 5).Counts, rs[0].New.Counts)
		require.Empty(e, e.revisions(spend.FactCost, "10 00:00/11 00:00"))
	}},
	{"does not call a new estimate a revision", func(e *env) {
		r := hours("10 00:00/10 01:00")
		e.usage(r, used("10 00:00", "apikey_a", 1))
		_, seq := e.changed(0)
		c := e.usage(later(r, time.Hour), with(used("10 00:00", "apikey_a", 1), func(u *spend.Usage) { u.Estimate[spend.Output]++ }))
		require.Equal(e, 1, c.Written)
		require.Empty(e, e.revisions(spend.FactUsage, "10 00:00/11 00:00"))
		days, _ := e.changed(seq)
		require.Equal(e, []string{"10"}, days)
	}},
	{"holds an empty answer until it came three times over two hours", func(e *env) {
		r := hours("10 00:00/10 02:00")
		e.usage(r, used("10 00:00", "apikey_a", 1))
		c := e.usage(later(r, time.Hour))
		require.Equal(e, storage.Change{Held: []spend.Window{span("10 00:00/10 01:00")}}, c)
		require.Equal(e, []string{"10 00:00 hour complete suspect 1 since 10 03:00", "10 01:00 hour complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		for _, d := range []time.Duration{61 * time.Minute, 62 * time.Minute, 179 * time.Minute} {
			require.Len(e, e.usage(later(r, d)).Held, 1)
		}
		require.Equal(e, []string{"10 00:00 1h 3"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
		require.Equal(e, storage.Change{Deleted: 1}, e.usage(later(r, 3*time.Hour)))
		require.Empty(e, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
		require.Equal(e, []string{"10 00:00 hour complete", "10 01:00 hour complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Equal(e, []string{"10 00:00 hour apikey_a: 3 to 0"}, e.revisions(spend.FactUsage, "10 00:00/11 00:00"))
	}},
	{"believes two empty answers not, however far apart", func(e *env) {
		r := hours("10 00:00/10 01:00")
		e.usage(r, used("10 00:00", "apikey_a", 1))
		e.usage(later(r, time.Hour))
		require.Len(e, e.usage(later(r, 30*time.Hour)).Held, 1)
	}},
	{"forgets its suspicion when rows come back, or are confirmed", func(e *env) {
		r := hours("10 00:00/10 01:00")
		e.usage(r, used("10 00:00", "apikey_a", 1))
		for _, again := range []func(d time.Duration){
			func(d time.Duration) { e.usage(later(r, d), used("10 00:00", "apikey_a", 1)) },
			func(d time.Duration) {
				require.NoError(e, e.owner.Confirm(e.Context(), spend.FactUsage, r.Window, r.At.Add(d)))
			},
		} {
			e.usage(later(r, time.Hour))
			e.usage(later(r, 2*time.Hour))
			again(150 * time.Minute)
			require.Equal(e, []string{"10 00:00 hour complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
			require.Len(e, e.usage(later(r, 4*time.Hour)).Held, 1)
			again(5 * time.Hour)
		}
	}},
	{"takes an empty bucket inside an answer at its word", func(e *env) {
		r := hours("10 00:00/10 02:00")
		e.usage(r, used("10 00:00", "apikey_a", 1), used("10 01:00", "apikey_a", 1))
		require.Equal(e, storage.Change{Deleted: 1}, e.usage(later(r, time.Hour), used("10 01:00", "apikey_a", 1)))
	}},
	{"holds at every grain and flip", func(e *env) {
		e.usage(minutes("10 05:00/10 06:00"), used("10 05:10", "apikey_a", 1))
		require.Len(e, e.usage(later(minutes("10 05:00/10 06:00"), time.Minute)).Held, 1)
		require.Len(e, e.usage(later(hours("10 05:00/10 06:00"), 2*time.Minute)).Held, 1)
		require.Equal(e, []string{"10 05:00 minute complete suspect 2 since 10 06:01"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Empty(e, e.usage(later(hours("10 05:00/10 06:00"), 3*time.Hour)).Held)
		require.Equal(e, []string{"10 05:00 hour complete"}, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		require.Empty(e, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))

		e.usage(days("11 00:00/12 00:00"), used("11 00:00", "apikey_a", 1))
		require.Equal(e, []spend.Window{span("11 00:00/12 00:00")}, e.usage(hours("11 00:00/12 00:00")).Held)
		require.Equal(e, []string{"11 00:00 day complete suspect 1 since 12 00:00"}, e.slots(spend.FactUsage, "11 00:00/12 00:00"))
		require.Equal(e, []string{"11 00:00 24h 3"}, e.showUsage(query("11 00:00/12 00:00", 0)))
	}},
	{"holds an empty bill", func(e *env) {
		e.costs(billHours("10 00:00/10 01:00"), charged("10 00:00", "output", micro(5)))
		require.Len(e, e.costs(later(billHours("10 00:00/10 01:00"), time.Hour)).Held, 1)
		require.Equal(e, []string{"10 00:00 1h billed 5"}, e.showCosts(query("10 00:00/10 01:00", 0)))
	}},
	{"lets a day change hands only as a whole", func(e *env) {
		analytics := func(w string) storage.Reading { return reading(spend.ReportAnalyticsUsage, spend.Hour, w) }
		e.usage(hours("10 00:00/10 05:00"), used("10 01:00", "apikey_a", 1), used("10 04:00", "apikey_b", 2))
		_, err := e.owner.ReplaceUsage(e.Context(), analytics("10 00:00/10 04:00"), []spend.Usage{used("10 01:00", "apikey_a", 7)})
		require.ErrorContains(e, err, "2026-03-10")
		_, err = e.owner.ReplaceUsage(e.Context(), analytics("10 06:00/10 07:00"), nil)
		require.Error(e, err)
		require.Equal(e, []string{"10 01:00 1h 3", "10 04:00 1h 6"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))

		e.usage(analytics("10 00:00/10 06:00"), used("10 01:00", "apikey_a", 7))
		require.Equal(e, []string{"10 01:00 1h 21"}, e.showUsage(query("10 00:00/11 00:00", spend.Hour)))
		slots, err := e.store.Slots(e.Context(), org, spend.FactUsage, span("10 00:00/11 00:00"))
		require.NoError(e, err)
		require.Len(e, slots, 6)
		for _, s := range slots {
			require.Equal(e, spend.ReportAnalyticsUsage, s.Report)
		}
		e.usage(hours("11 00:00/11 01:00"), used("11 00:00", "apikey_a", 1))
	}},
	{"does not let a day change hands on an empty answer", func(e *env) {
		e.usage(hours("10 00:00/10 02:00"), used("10 01:00", "apikey_a", 1))
		c := e.usage(reading(spend.ReportAnalyticsUsage, spend.Hour, "10 00:00/11 00:00"))
		require.Equal(e, []spend.Window{span("10 01:00/10 02:00")}, c.Held)
		slots, err := e.store.Slots(e.Context(), org, spend.FactUsage, span("10 00:00/11 00:00"))
		require.NoError(e, err)
		require.Len(e, slots, 2)
		for _, s := range slots {
			require.Equal(e, spend.ReportMessages, s.Report)
		}
	}},
	{"numbers the changes of days", func(e *env) {
		days, seq := e.changed(0)
		require.Empty(e, days)
		require.Zero(e, seq)
		e.usage(hours("10 00:00/12 00:00"), used("10 00:00", "apikey_a", 1), used("11 00:00", "apikey_a", 1))
		days, first := e.changed(0)
		require.Equal(e, []string{"10", "11"}, days)
		e.costs(billDay("11 00:00/12 00:00"), charged("11 00:00", "output", 5))
		days, second := e.changed(first)
		require.Equal(e, []string{"11"}, days)
		require.Greater(e, second, first)
		e.bill("11")
		days, third := e.changed(second)
		require.Equal(e, []string{"11"}, days)
		days, _ = e.changed(third)
		require.Empty(e, days)
		days, _ = e.changed(0)
		require.Equal(e, []string{"10", "11"}, days)
	}},
}
