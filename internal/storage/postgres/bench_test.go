package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
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
// same table with the same key, in the same run.
func BenchmarkReplaceUsage(b *testing.B) {
	w, rows := benchUsage()
	u := pgtest.URL(b)
	s := open(b, u)
	o := own(b, s)
	conn := connect(b, u)
	rate := func(f func()) float64 {
		start := time.Now()
		f()
		return float64(len(rows)) / time.Since(start).Seconds()
	}
	exec := func(sql string) {
		_, err := conn.Exec(b.Context(), sql)
		require.NoError(b, err)
	}
	clear := func() { exec("truncate ledger, usage_hour, usage_day, usage_revision, day_change, key_use") }
	r := storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: now, DataAt: now}
	replace := func(rows []spend.Usage) storage.Change {
		c, err := o.ReplaceUsage(b.Context(), r, rows)
		require.NoError(b, err)
		return c
	}

	var limit, never, beside, again, changed float64
	for b.Loop() {
		clear()
		limit += rate(func() { copyUsage(b, conn, rows) })

		clear()
		never += rate(func() { require.Equal(b, len(rows), replace(rows).Written) })
		again += rate(func() { require.Zero(b, replace(rows).Written) })
		other := append([]spend.Usage(nil), rows...)
		for i := range other {
			other[i].Counts[0]++
		}
		changed += rate(func() { require.Equal(b, len(rows), replace(other).Written) })

		clear()
		replace(rows[:1])
		beside += rate(func() { require.Equal(b, len(rows)-1, replace(rows).Written) })
	}
	n := float64(b.N)
	b.ReportMetric(limit/n, "limit-rows/s")
	b.ReportMetric(never/n, "fresh-rows/s")
	b.ReportMetric(beside/n, "beside-rows/s")
	b.ReportMetric(again/n, "again-rows/s")
	b.ReportMetric(changed/n, "changed-rows/s")
	b.ReportMetric(never/limit, "fresh/limit")
	b.ReportMetric(beside/limit, "beside/limit")
	b.ReportMetric(again/never, "again/fresh")
	require.NoError(b, o.Release())
}

// copyUsage is the limit.
func copyUsage(b *testing.B, conn *pgx.Conn, rows []spend.Usage) {
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
	b.Logf("copy alone %s", time.Since(start))
}
