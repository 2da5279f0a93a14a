package spend_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return x
}

// window reads "10:00-11:30" as a window of 2026-11-01.
func window(t *testing.T, s string) spend.Window {
	t.Helper()
	return spend.Window{Start: at(t, "2026-11-01T"+s[:5]+":00Z"), End: at(t, "2026-11-01T"+s[6:]+":00Z")}
}

func windows(t *testing.T, ss ...string) []spend.Window {
	t.Helper()
	var ws []spend.Window
	for _, s := range ss {
		ws = append(ws, window(t, s))
	}
	return ws
}

func TestGrain(t *testing.T) {
	t.Parallel()
	x := at(t, "2026-11-01T01:30:30+05:30") // 2026-10-31T20:00:30Z
	for _, test := range []struct {
		grain             spend.Grain
		name, floor, ceil string
	}{
		{spend.Minute, "minute", "2026-10-31T20:00:00Z", "2026-10-31T20:01:00Z"},
		{spend.Hour, "hour", "2026-10-31T20:00:00Z", "2026-10-31T21:00:00Z"},
		{spend.Day, "day", "2026-10-31T00:00:00Z", "2026-11-01T00:00:00Z"},
	} {
		require.Equal(t, test.name, test.grain.String())
		require.Equal(t, at(t, test.floor), test.grain.Floor(x))
		require.Equal(t, at(t, test.ceil), test.grain.Ceil(x))
		border := at(t, test.floor)
		require.Equal(t, border, test.grain.Floor(border))
		require.Equal(t, border, test.grain.Ceil(border))
		require.Equal(t, spend.Window{Start: border, End: at(t, test.ceil)}, test.grain.Bucket(x))
		require.Equal(t, test.grain.Duration(), test.grain.Bucket(border).Duration())
	}
	require.Equal(t, "7s", spend.Grain(7).String())
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := window(t, "10:00-11:30")
	require.Equal(t, "2026-11-01T10:00:00Z/2026-11-01T11:30:00Z", w.String())
	require.Equal(t, 90*time.Minute, w.Duration())
	require.False(t, w.Empty())
	require.True(t, window(t, "10:00-10:00").Empty())
	require.True(t, window(t, "11:00-10:00").Empty())
	require.True(t, w.Contains(w.Start))
	require.False(t, w.Contains(w.End), "half-open")
	for _, test := range []struct {
		other            string
		covers, overlaps bool
		intersect        string
	}{
		{"10:00-11:30", true, true, "10:00-11:30"},
		{"10:15-11:00", true, true, "10:15-11:00"},
		{"09:00-12:00", false, true, "10:00-11:30"},
		{"09:00-10:30", false, true, "10:00-10:30"},
		{"11:00-12:00", false, true, "11:00-11:30"},
		{"09:00-10:00", false, false, "10:00-10:00"},
		{"11:30-12:00", false, false, "11:30-11:30"},
	} {
		v := window(t, test.other)
		require.Equal(t, test.covers, w.Covers(v), test.other)
		require.Equal(t, test.overlaps, w.Overlaps(v), test.other)
		require.Equal(t, test.overlaps, v.Overlaps(w), test.other)
		require.Equal(t, window(t, test.intersect), w.Intersect(v), test.other)
		require.Equal(t, w.Intersect(v), v.Intersect(w), test.other)
	}
}

func TestWindowBuckets(t *testing.T) {
	t.Parallel()
	require.Equal(t, window(t, "10:00-12:00"), window(t, "10:20-11:30").Align(spend.Hour))
	require.True(t, window(t, "10:00-12:00").Aligned(spend.Hour))
	require.False(t, window(t, "10:00-11:30").Aligned(spend.Hour))
	require.False(t, window(t, "10:30-12:00").Aligned(spend.Hour))
	zone := time.FixedZone("", 5*3600+1800)
	w := window(t, "10:00-12:00")
	require.True(t, spend.Window{Start: w.Start.In(zone), End: w.End.In(zone)}.Aligned(spend.Hour), "borders are UTC")
	require.False(t, spend.Window{Start: at(t, "2026-11-01T00:00:00+05:30"), End: w.End}.Aligned(spend.Hour))

	require.Equal(t, windows(t, "10:00-11:00", "11:00-12:00"), window(t, "10:20-11:30").Buckets(spend.Hour))
	require.Equal(t, windows(t, "10:00-11:00"), window(t, "10:00-11:00").Buckets(spend.Hour))
	require.Empty(t, window(t, "10:30-10:30").Buckets(spend.Hour), "no time, no bucket")
	require.Empty(t, window(t, "10:45-10:15").Buckets(spend.Hour))

	rapid.Check(t, func(t *rapid.T) {
		start := time.Unix(rapid.Int64Range(1.7e9, 1.9e9).Draw(t, "start"), 0)
		w := spend.Window{Start: start, End: start.Add(time.Duration(rapid.Int64Range(1, 5*86400).Draw(t, "s")) * time.Second)}
		g := rapid.SampledFrom([]spend.Grain{spend.Hour, spend.Day}).Draw(t, "grain")
		bs := w.Buckets(g)
		require.Equal(t, []spend.Window{w.Align(g)}, spend.Join(bs))
		for _, b := range bs {
			require.True(t, b.Aligned(g) && b.Overlaps(w) && b.Duration() == g.Duration())
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	require.Empty(t, spend.Join(nil))
	in := windows(t, "01:00-02:00", "02:00-03:00", "04:00-06:00", "04:30-05:00", "05:30-07:00", "08:00-09:00")
	before := append([]spend.Window(nil), in...)
	require.Equal(t, windows(t, "01:00-03:00", "04:00-07:00", "08:00-09:00"), spend.Join(in))
	require.Equal(t, before, in, "what is joined stays as it was")
}

func TestMonths(t *testing.T) {
	t.Parallel()
	x := at(t, "2026-12-31T20:00:00-05:00") // January in UTC
	require.Equal(t, at(t, "2027-01-01T00:00:00Z"), spend.MonthStart(x))
	require.Equal(t, at(t, "2027-02-08T00:00:00Z"), spend.FinalAt(x))
	require.Equal(t, at(t, "2026-12-08T00:00:00Z"), spend.FinalAt(at(t, "2026-11-30T23:59:59Z")))
	require.Equal(t, at(t, "2026-12-08T00:00:00Z"), spend.FinalAt(at(t, "2026-11-01T00:00:00Z")))
}
