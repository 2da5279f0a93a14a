package sqlite_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
	"github.com/anthropic-monitor/monitor/internal/storage/storagetest"
)

const (
	benchOrganization = "5b0c7c2e-0000-4000-8000-000000000001"
	benchSeries       = 500 // rows an hour
	benchHours        = 24  // hours a window
	benchDays         = 10  // days in the table that is summed
)

// benchWindow is the n-th window and its usage, all of the same series.
func benchWindow(n int) (storage.Reading, []spend.Usage) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n)
	w := spend.Window{Start: start, End: start.Add(benchHours * time.Hour)}
	r := storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: w.End, DataAt: w.End}
	var rows []spend.Usage
	for _, h := range w.Buckets(spend.Hour) {
		for s := range benchSeries {
			u := spend.Usage{Bucket: h.Start, Price: spend.Priced, Dims: spend.Dims{
				WorkspaceID: fmt.Sprintf("wrkspc_01%022d", s%10), APIKeyID: fmt.Sprintf("apikey_01%022d", s/2), Model: "claude-sonnet-4-5",
				ServiceTier: []string{"standard", "batch"}[s%2], ContextWindow: "0-200k", InferenceGeo: "global",
			}}
			for k := range u.Counts {
				u.Counts[k] = int64(1000*s + 17*n + k)
				u.Estimate[k] = spend.Money(u.Counts[k]) * 3000
			}
			rows = append(rows, u)
		}
	}
	return r, rows
}

// BenchmarkReplaceUsage measures writing new rows and reading the same rows again, and, in the same
// run and file format, bare multi-row inserts into the same table. The ratio of fresh to bare is
// reported; -benchtime=84x writes a million rows.
func BenchmarkReplaceUsage(b *testing.B) {
	perWindow := float64(benchSeries * benchHours)
	rate := func(b *testing.B) float64 {
		r := perWindow * float64(b.N) / b.Elapsed().Seconds()
		b.ReportMetric(r, "rows/s")
		b.ReportMetric(0, "ns/op")
		return r
	}
	var bare float64
	b.Run("bare", func(b *testing.B) {
		db := benchFile(b).db
		_, err := db.Exec(`insert into series (organization, model) values (1, 'x')`)
		require.NoError(b, err)
		_, err = db.Exec(`pragma foreign_keys = 0`) // the series of the rows are made up
		require.NoError(b, err)
		tuple := `(?, ?, ?` + strings.Repeat(`, ?`, 13) + `)`
		insert, err := db.Prepare(`insert into usage_hour (organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input,
			cache_creation_1h_input, output, web_searches, est_uncached_input, est_cache_read_input, est_cache_creation_5m_input,
			est_cache_creation_1h_input, est_output, est_web_search, price) values ` + tuple + strings.Repeat(`, `+tuple, 99))
		require.NoError(b, err)
		n := 0
		for b.Loop() {
			b.StopTimer()
			_, rows := benchWindow(n)
			n++
			b.StartTimer()
			tx, err := db.Begin()
			require.NoError(b, err)
			stmt := tx.Stmt(insert)
			args := make([]any, 0, 1600)
			for i := 0; i < len(rows); i += 100 {
				args = args[:0]
				for j := range rows[i : i+100] {
					u := &rows[i+j]
					args = append(args, int64(1), u.Bucket.Unix(), int64((i+j)%benchSeries+1))
					for _, c := range u.Counts {
						args = append(args, c)
					}
					for _, m := range u.Estimate {
						args = append(args, int64(m))
					}
					args = append(args, int64(u.Price))
				}
				_, err := stmt.Exec(args...)
				require.NoError(b, err)
			}
			require.NoError(b, tx.Commit())
		}
		bare = rate(b)
	})
	var fresh float64
	b.Run("fresh", func(b *testing.B) {
		o := benchFile(b).owner(b)
		n := 0
		for b.Loop() {
			b.StopTimer()
			r, rows := benchWindow(n)
			n++
			b.StartTimer()
			c, err := o.ReplaceUsage(b.Context(), r, rows)
			require.NoError(b, err)
			require.Equal(b, len(rows), c.Written)
		}
		if fresh = rate(b); bare > 0 {
			b.ReportMetric(fresh/bare, "of-bare")
		}
	})
	b.Run("reread", func(b *testing.B) {
		o := benchFile(b).owner(b)
		const known = 8
		for n := range known {
			r, rows := benchWindow(n)
			_, err := o.ReplaceUsage(b.Context(), r, rows)
			require.NoError(b, err)
		}
		n := 0
		for b.Loop() {
			b.StopTimer()
			r, rows := benchWindow(n % known)
			n++
			b.StartTimer()
			c, err := o.ReplaceUsage(b.Context(), r, rows)
			require.NoError(b, err)
			require.Zero(b, c.Written)
		}
		if reread := rate(b); fresh > 0 {
			b.ReportMetric(reread/fresh, "of-fresh")
		}
	})
}

// BenchmarkCosts measures a cost by day, workspace and model over days of hours.
func BenchmarkCosts(b *testing.B) {
	s := benchFile(b)
	o := s.owner(b)
	for n := range benchDays {
		r, rows := benchWindow(n)
		_, err := o.ReplaceUsage(b.Context(), r, rows)
		require.NoError(b, err)
	}
	first, _ := benchWindow(0)
	w := spend.Window{Start: first.Window.Start, End: first.Window.Start.AddDate(0, 0, benchDays)}
	for b.Loop() {
		r, err := s.Costs(b.Context(), storage.Query{Window: w, Step: spend.Day, By: []spend.Dimension{spend.ByWorkspace, spend.ByModel}})
		require.NoError(b, err)
		require.Len(b, r.Rows, 10*benchDays)
	}
}

// benched is a fresh store and a connection of its own to the same file.
type benched struct {
	*sqlite.Store
	db *sql.DB
}

func benchFile(b *testing.B) benched {
	path := filepath.Join(b.TempDir(), "monitor.db")
	s, err := sqlite.Open(b.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	require.NoError(b, s.SaveOrganization(b.Context(), spend.Organization{ID: benchOrganization}, time.Unix(0, 0)))
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous(full)&_pragma=cache_size(-16384)&_txlock=immediate")
	require.NoError(b, err)
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	return benched{s, db}
}

func (s benched) owner(b *testing.B) storage.Owner {
	o, err := s.Own(b.Context(), benchOrganization)
	require.NoError(b, err)
	return o
}

func BenchmarkSums(b *testing.B) { storagetest.BenchmarkSums(b, benchFile(b).Store) }
