package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Windows begin small, grow step by step while they bring few rows, and shrink at once where they
// bring many, so that no answer is much larger than what was expected.
func TestWindowLength(t *testing.T) {
	t.Parallel()
	const h = time.Hour
	for _, tt := range []struct {
		name   string
		report spend.Report
		grain  spend.Grain
		rows   []int // of each window, one after the other
		want   []time.Duration
	}{
		{"few rows", messages, spend.Hour, []int{100, 400, 900, 900}, []time.Duration{6 * h, 24 * h, 96 * h, 168 * h}},
		{"a large organization", messages, spend.Hour, []int{48_000, 16_000, 16_000}, []time.Duration{6 * h, 2 * h, 2 * h}},
		{"never less than an hour", analytics, spend.Hour, []int{40_000, 40_000}, []time.Duration{h, h}},
		{"quiet, then busy", analytics, spend.Hour, []int{0, 0, 0, 80_000, 40_000}, []time.Duration{h, 2 * h, 2 * h, 2 * h, h}},
		{"nothing", messages, spend.Hour, []int{0, 0, 0}, []time.Duration{6 * h, 12 * h, 12 * h}},
		{"what was learned is kept", messages, spend.Hour, []int{10, 10, 0, 10}, []time.Duration{6 * h, 24 * h, 96 * h, 96 * h}},
		{"minutes", messages, spend.Minute, []int{50, 50}, []time.Duration{h, 4 * h}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &worker{length: map[size]time.Duration{}, silence: map[size]spend.Window{}}
			end := at("20T00:00")
			for i, rows := range tt.rows {
				x := want{report: tt.report, grain: tt.grain, window: spend.Window{End: end}}
				x.window.Start = end.Add(-w.lengthOf(x))
				require.Equal(t, tt.want[i], w.lengthOf(x), "window %d", i)
				w.adapt(x, rows)
				end = x.window.Start
			}
			// Another report or grain has a length of its own.
			require.Equal(t, firstWindow, (&worker{}).lengthOf(want{report: messages, grain: spend.Hour}))
		})
	}
}

// What is before the first use of an organization is read in few windows, also where each tick cuts one
// short; the newest hours, which are read again and again, are no part of the silence.
func TestWindowLengthInALongSilence(t *testing.T) {
	t.Parallel()
	w := &worker{length: map[size]time.Duration{}, silence: map[size]spend.Window{}}
	end, windows := at("20T00:00"), 0
	for begin := end.AddDate(0, 0, -90); end.After(begin); windows++ {
		x := want{report: analytics, grain: spend.Hour, window: spend.Window{Start: end.Add(-w.lengthOf(want{report: analytics, grain: spend.Hour})), End: end}}
		w.adapt(x, 0)
		end = x.window.Start
		if windows%50 == 49 {
			w.shorten(x)
			newest := spend.Window{Start: at("20T00:00"), End: at("20T01:00")}
			w.adapt(want{report: analytics, grain: spend.Hour, window: newest}, 7)
			w.adapt(want{report: analytics, grain: spend.Hour, window: newest}, 0)
		}
	}
	require.Less(t, windows, 240, "requests")

	x := want{report: analytics, grain: spend.Hour, window: spend.Window{Start: end.Add(-emptyWindow), End: end}}
	w.adapt(x, 600_000) // a busy time before it
	require.Equal(t, shortestWindow, w.lengthOf(x))
	x.window = spend.Window{Start: x.window.Start.Add(-time.Hour), End: x.window.Start}
	w.adapt(x, 0)
	require.Equal(t, emptyAnalytics, w.lengthOf(x), "the silence begins anew")
}
