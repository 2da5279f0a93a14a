package main

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

func TestDigestWindow(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", s, time.UTC)
		require.NoError(t, err)
		return when
	}
	for _, c := range []struct{ schedule, now, from, to string }{
		{"0 9 * * 1", "2026-11-23 09:00", "2026-11-16 09:00", "2026-11-23 09:00"},
		{"0 9 * * 1", "2026-11-24 08:59", "2026-11-16 09:00", "2026-11-23 09:00"},
		{"0 9 * * 1", "2026-11-24 09:00", "", ""},
		{"0 9 * * 1", "2026-11-23 08:59", "", ""},
		{"@daily", "2026-11-23 13:00", "2026-11-22 00:00", "2026-11-23 00:00"},
		{"30 * * * *", "2026-11-23 13:31", "2026-11-23 12:30", "2026-11-23 13:30"},
		{"@every 1h", "2026-11-23 13:31", "2026-11-23 12:00", "2026-11-23 13:00"},
		{"@every 1h", "2026-11-23 13:32", "2026-11-23 12:00", "2026-11-23 13:00"}, // the same: told once
		{"@every 1d", "2026-11-23 13:00", "2026-11-22 00:00", "2026-11-23 00:00"},
		{"@every 1w", "2026-11-23 13:00", "2026-11-16 00:00", "2026-11-23 00:00"},
		{"@every 1w", "2026-11-24 13:00", "", ""},
		{"0 8 1 * *", "2026-03-01 08:05", "2026-02-01 08:00", "2026-03-01 08:00"},
		{"0 8 1 1 *", "2027-01-01 09:00", "2026-01-01 08:00", "2027-01-01 08:00"},
	} {
		w := digestWindow(c.schedule, at(c.now))
		if c.to == "" {
			require.True(t, w.Empty(), "%v: %s", c, w)
			continue
		}
		require.Equal(t, spend.Window{Start: at(c.from), End: at(c.to)}, w, c)
	}
}

// A budget's outlook is that of the forecast, and says when it is no more than a run rate.
func TestOutlook(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	month := spend.Window{Start: start, End: start.AddDate(0, 1, 0)}
	days := func(n int) (ds []alerts.CostDay) {
		for i := range n {
			ds = append(ds, alerts.CostDay{Window: spend.Day.Bucket(start.AddDate(0, 0, i)), Cost: 10 * spend.Dollar})
		}
		return ds
	}
	o := outlook(alerts.ForecastInput{
		Days: days(20), AsOf: start.AddDate(0, 0, 20), Period: month, Spent: 200 * spend.Dollar, Limit: 250 * spend.Dollar, Zone: time.UTC,
	}, 0)
	require.True(t, o.OK)
	require.InDelta(t, 300, o.Expected.USD(), 1)
	require.Equal(t, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), o.ExhaustedAt)
	require.Empty(t, o.Note)

	// The running day goes on: what it cost until noon is not what it costs.
	noon := append(days(20), alerts.CostDay{
		Window: spend.Window{Start: start.AddDate(0, 0, 20), End: start.AddDate(0, 0, 20).Add(12 * time.Hour)}, Cost: 5 * spend.Dollar,
	})
	o = outlook(alerts.ForecastInput{
		Days: noon, AsOf: start.AddDate(0, 0, 20).Add(12 * time.Hour), Period: month, Spent: 205 * spend.Dollar, Limit: 1000 * spend.Dollar, Zone: time.UTC,
	}, 0)
	require.InDelta(t, 300, o.Expected.USD(), 1)

	o = outlook(alerts.ForecastInput{Days: days(3), AsOf: start.AddDate(0, 0, 3), Period: month, Spent: 30 * spend.Dollar, Limit: 1000 * spend.Dollar}, 0)
	require.True(t, o.OK)
	require.Zero(t, o.ExhaustedAt)
	require.Contains(t, o.Note, "fewer than 7 days")

	// Days of another zone are days of the period, and the limit is reached on one of them.
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	require.NoError(t, err)
	in := alerts.ForecastInput{Period: forecast.Month.Window(start, kolkata), Spent: 200 * spend.Dollar, Limit: 250 * spend.Dollar, Zone: kolkata}
	for day := forecast.DayOf(in.Period.Start, kolkata); len(in.Days) < 20; day = forecast.DayOf(day.End, kolkata) {
		in.Days, in.AsOf = append(in.Days, alerts.CostDay{Window: day, Cost: 10 * spend.Dollar}), day.End
	}
	o = outlook(in, 0)
	require.InDelta(t, 300, o.Expected.USD(), 1)
	require.Equal(t, time.Date(2026, 11, 24, 18, 0, 0, 0, time.UTC), o.ExhaustedAt, "the 25th there")

	require.False(t, outlook(alerts.ForecastInput{AsOf: start, Period: month}, 0).OK)

	n, ok := daysLeft(days(20), start.AddDate(0, 0, 20), 45*spend.Dollar)
	require.True(t, ok)
	require.InDelta(t, 4.5, n, 0.11)
	_, ok = daysLeft(days(20), start.AddDate(0, 0, 20), 1_000_000*spend.Dollar)
	require.False(t, ok, "more than a year")
}

// Without history no hour tells how much of a day has usually come in, not even the last, at whose end
// all has.
func TestDaySharesWithoutHistory(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer store.Close()
	day := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: "org", Name: "org"}, day))
	for _, zone := range []*time.Location{nil, time.FixedZone("east", 19_800)} {
		for minute := 0; minute < 24*60; minute += 13 {
			shares := dayShares{ctx: t.Context(), store: store, known: map[string]dayShare{}}
			require.Zero(t, shares.at("org", zone, day.Add(time.Duration(minute)*time.Minute), 0), "minute %d in %v", minute, zone)
		}
	}
}

// Rules must not go on with shares of a history that has been read, or revised, since.
func TestDaySharesFollowTheHistory(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	day := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: "org", Name: "org"}, day))
	owner, err := store.Own(t.Context(), "org")
	require.NoError(t, err)
	defer owner.Release()
	read := func(from time.Time, more int64) {
		w := spend.Window{Start: from, End: from.AddDate(0, 0, 1)}
		var rows []spend.Usage
		for i, hour := range w.Buckets(spend.Hour) {
			us := reporttest.ManyHour(hour.Start, 1, more)
			if i >= 12 {
				us[0].Estimate[spend.Output] += spend.Money(more) * spend.Dollar
			}
			rows = append(rows, us...)
		}
		_, err := owner.ReplaceUsage(t.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: day.Add(12 * time.Hour), DataAt: w.End,
		}, rows)
		require.NoError(t, err)
	}
	shares := dayShares{ctx: t.Context(), store: store, known: map[string]dayShare{}}
	noon := day.Add(12*time.Hour + 20*time.Minute)
	for n, more := range []int64{0, 100, 1000, 0} {
		for i := range 8 {
			read(day.AddDate(0, 0, -1-i), more*int64(i+1))
		}
		fresh := dayShares{ctx: t.Context(), store: store, known: map[string]dayShare{}}
		_, seq, err := store.Changed(t.Context(), "org", 0)
		require.NoError(t, err)
		want := fresh.at("org", nil, noon, seq)
		require.Positive(t, want)
		require.InDelta(t, want, shares.at("org", nil, noon, seq), 1e-12, "history %d", n)
	}
}
