package sqlite_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// A window is summed in pieces: over a gap they grow, where an hour has more rows than a piece should
// have they shrink, and the groups they cut are whole again.
func TestSumInPieces(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	start := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: "o"}, start))
	owner, err := s.Own(t.Context(), "o")
	require.NoError(t, err)
	at := func(day, hour int) time.Time { return start.Add(time.Duration(24*day+hour) * time.Hour) }

	type key struct {
		day   time.Time
		model string
	}
	want := map[key]spend.Counts{}
	for _, hour := range []struct {
		at   time.Time
		rows int
	}{{at(0, 3), 5}, {at(9, 5), 11_000}, {at(9, 6), 11_000}, {at(9, 7), 7}, {at(9, 23), 7}, {at(10, 0), 3}} {
		var rows []spend.Usage
		for i := range hour.rows {
			u := spend.Usage{Bucket: hour.at, Price: spend.Priced, Counts: spend.Counts{spend.Output: int64(i + 1)}}
			u.Model, u.APIKeyID = fmt.Sprintf("model-%d", i%3), fmt.Sprintf("key-%d", i)
			rows = append(rows, u)
			k := key{spend.Day.Floor(hour.at), u.Model}
			sum := want[k]
			sum.Add(u.Counts)
			want[k] = sum
		}
		w := spend.Hour.Bucket(hour.at)
		_, err := owner.ReplaceUsage(t.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: at(20, 0), DataAt: w.End,
		}, rows)
		require.NoError(t, err)
	}

	result, err := s.Usage(t.Context(), storage.Query{
		Window: spend.Window{Start: at(0, 0), End: at(11, 0)}, Step: spend.Day, By: []spend.Dimension{spend.ByModel},
	})
	require.NoError(t, err)
	got := map[key]spend.Counts{}
	for _, r := range result.Rows {
		require.NotContains(t, got, key{r.Start, r.Model}, "a group is one row")
		got[key{r.Start, r.Model}] = r.Counts
	}
	require.Equal(t, want, got)
}
