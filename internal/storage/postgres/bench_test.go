package postgres_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/storagetest"
)

const (
	benchHours  = 720
	benchSeries = 1389 // a million rows
)

// benchUsage is a month by the hour of an organization with many keys.
func benchUsage() (spend.Window, []spend.Usage) {
	w := spend.Window{Start: now.AddDate(0, 0, -40).Truncate(24 * time.Hour)}
	w.End = w.Start.Add(benchHours * time.Hour)
	rows := make([]spend.Usage, 0, benchHours*benchSeries)
	for h := range benchHours {
		for s := range benchSeries {
			n := int64(h*31+s*7) % 100_003
			rows = append(rows, spend.Usage{
				Bucket: w.Start.Add(time.Duration(h) * time.Hour),
				Dims: spend.Dims{
					WorkspaceID: fmt.Sprintf("wrkspc_%d", s%20), APIKeyID: fmt.Sprintf("apikey_%d", s), Model: "claude-sonnet-5",
					ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "global", Speed: "standard",
				},
				Counts:   spend.Counts{n + 1, 10 * n, n / 2, n / 3, n / 4, n % 5},
				Estimate: spend.Amounts{spend.Money(3000 * n), spend.Money(3000 * n), spend.Money(1875 * n), 0, spend.Money(3750 * n)},
				Price:    spend.Priced,
			})
		}
	}
	return w, rows
}

// BenchmarkReplaceUsage measures a million rows by the hour against the limit: a plain COPY into the
// same table with the same key, in the same run. The hours are provisional, as those that are read
// again most often are.
func BenchmarkReplaceUsage(b *testing.B) {
	w, rows := benchUsage()
	u := pgtest.URL(b)
	s := open(b, u)
	o := own(b, s)
	conn := connect(b, u)
	other := slices.Clone(rows)
	for i := range other {
		other[i].Counts[0]++
	}

	r := storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: now, DataAt: w.Start}
	replace := func(rows []spend.Usage, written int) time.Duration {
		start := time.Now()
		c, err := o.ReplaceUsage(b.Context(), r, rows)
		require.NoError(b, err)
		require.Equal(b, written, c.Written)
		return time.Since(start)
	}
	clear := func() {
		_, err := conn.Exec(b.Context(), "truncate ledger, usage_hour, day_change, key_use")
		require.NoError(b, err)
	}

	cases := []string{"limit", "fresh", "again", "changed", "beside"}
	took := map[string]time.Duration{}
	for b.Loop() {
		clear()
		took["limit"] += copyUsage(b, conn, rows)
		clear()
		took["fresh"] += replace(rows, len(rows))
		took["again"] += replace(rows, 0)
		took["changed"] += replace(other, len(rows))
		clear()
		replace(rows[:1], 1)
		took["beside"] += replace(rows, len(rows)-1)
	}
	for _, c := range cases {
		b.ReportMetric(float64(b.N*len(rows))/took[c].Seconds(), c+"-rows/s")
	}
	b.ReportMetric(took["limit"].Seconds()/took["fresh"].Seconds(), "fresh/limit")
	b.ReportMetric(took["limit"].Seconds()/took["beside"].Seconds(), "beside/limit")
	b.ReportMetric(took["fresh"].Seconds()/took["again"].Seconds(), "again/fresh")
	require.NoError(b, o.Release())
}

// copyUsage is the limit.
func copyUsage(b *testing.B, conn *pgx.Conn, rows []spend.Usage) time.Duration {
	var organization int32
	require.NoError(b, conn.QueryRow(b.Context(), "select id from organization").Scan(&organization))
	values := make([][]any, len(rows))
	for i, u := range rows {
		v := []any{organization, u.Bucket, int32(i % benchSeries), int16(u.Price)}
		for _, c := range u.Counts {
			v = append(v, c)
		}
		for _, m := range u.Estimate {
			v = append(v, int64(m))
		}
		values[i] = v
	}
	start := time.Now()
	_, err := conn.CopyFrom(b.Context(), pgx.Identifier{"usage_hour"}, []string{
		"organization", "bucket", "series", "price",
		"uncached_input", "cache_read_input", "cache_creation_5m_input", "cache_creation_1h_input", "output", "web_searches",
		"est_uncached_input", "est_cache_read_input", "est_cache_creation_5m_input", "est_cache_creation_1h_input", "est_output", "est_web_search",
	}, pgx.CopyFromRows(values))
	require.NoError(b, err)
	return time.Since(start)
}

func BenchmarkSums(b *testing.B) {
	s, err := postgres.Open(b.Context(), pgtest.URL(b), slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	storagetest.BenchmarkSums(b, s)
}
