package postgres_test

import (
	"testing"
	"time"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestZZ(t *testing.T) {
	w, rows := benchUsage()
	rows = rows[:200000]
	u := pgtest.URL(t)
	s := open(t, u)
	o := own(t, s)
	conn := connect(t, u)
	r := storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: now, DataAt: w.Start}
	_, err := o.ReplaceUsage(t.Context(), r, rows)
	require.NoError(t, err)
	var b, ss, v []int64
	for i := range 10000 {
		b = append(b, rows[i].Bucket.Unix())
		ss = append(ss, int64(i%benchSeries+1))
		v = append(v, 1)
	}
	for _, sql := range []string{`update usage_hour f set uncached_input=n.v from unnest($1::bigint[], $2::int[], $3::bigint[]) n(bucket,series,v) where f.organization=1 and f.bucket=to_timestamp(n.bucket) and f.series=n.series`} {
		for range 2 {
			t0 := time.Now()
			rs, _ := conn.Query(t.Context(), "explain (analyze, buffers) "+sql, b, ss, v)
			lines, err := pgx.CollectRows(rs, pgx.RowTo[string])
			require.NoError(t, err)
			for _, l := range lines {
				t.Log(l)
			}
			t.Log(time.Since(t0))
		}
	}
	t0 := time.Now()
	for i := range rows {
		rows[i].Counts[1]++
	}
	_, err = o.ReplaceUsage(t.Context(), r, rows)
	require.NoError(t, err)
	t.Log("replace", time.Since(t0))
}
