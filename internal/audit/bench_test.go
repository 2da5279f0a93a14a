package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

const (
	benchKeys = 10_000
	benchDays = 730
)

// BenchmarkEvaluate audits ten thousand keys with two years of use by the day, of which one in a hundred
// woke on the last day. The ratio is to the time of one plain scan of the same rows.
func BenchmarkEvaluate(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	b.Run("sqlite", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "monitor.db")
		store, err := sqlite.Open(b.Context(), path, log)
		require.NoError(b, err)
		defer store.Close()
		db, err := sql.Open("sqlite", path)
		require.NoError(b, err)
		defer db.Close()
		benchEvaluate(b, store, func(query string) {
			_, err := db.ExecContext(b.Context(), query)
			require.NoError(b, err, query)
		}, `with recursive n(i) as (select 1 union all select i + 1 from n where i < %d)`, `d.bucket - 86400 * n.i`, `d.start - 86400 * n.i`, `%d`)
	})
	b.Run("postgres", func(b *testing.B) {
		url := pgtest.URL(b)
		store, err := postgres.Open(b.Context(), url, log)
		require.NoError(b, err)
		defer store.Close()
		conn, err := pgx.Connect(b.Context(), url)
		require.NoError(b, err)
		defer func() { _ = conn.Close(context.WithoutCancel(b.Context())) }()
		exec := func(query string) {
			_, err := conn.Exec(b.Context(), query)
			require.NoError(b, err, query)
		}
		benchEvaluate(b, store, exec, `with n(i) as (select generate_series(1, %d))`, `d.bucket - n.i * interval '1 day'`, `d.start - n.i * interval '1 day'`, `to_timestamp(%d)`)
	})
}

func benchEvaluate(b *testing.B, store storage.Store, exec func(string), numbers, bucket, start, instant string) {
	ctx, today := b.Context(), spend.Day.Floor(now)
	require.NoError(b, store.SaveOrganization(ctx, spend.Organization{ID: organization, Name: "acme"}, now))
	owner, err := store.Own(ctx, organization)
	require.NoError(b, err)
	defer func() { require.NoError(b, owner.Release()) }()
	yesterday := today.AddDate(0, 0, -1)
	var rows []spend.Usage
	var keys []spend.APIKey
	for i := range benchKeys {
		id, workspace := fmt.Sprintf("apikey_01%018d", i), fmt.Sprintf("wrkspc_01%018d", i%50)
		rows = append(rows, usage(yesterday, id, workspace, "claude-sonnet-5-5"))
		keys = append(keys, spend.APIKey{
			ID: id, Name: fmt.Sprint("key-", i), Status: "active", WorkspaceID: workspace, CreatedByID: "user_ada", CreatorType: "user", CreatedAt: ago(800),
		})
	}
	require.NoError(b, owner.SaveAPIKeys(ctx, keys, now))
	require.NoError(b, owner.SaveMembers(ctx, []spend.Member{{ID: "user_ada", Email: "ada@acme.example", Role: "admin"}}, now))
	_, err = owner.ReplaceUsage(ctx, storage.Reading{
		Report: spend.ReportMessages, Grain: spend.Day, Window: spend.Window{Start: yesterday, End: today}, At: now, DataAt: today,
	}, rows)
	require.NoError(b, err)
	require.NoError(b, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: today, ReadAt: now}))
	const counts = `uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input, output, web_searches, est_uncached_input,
		est_cache_read_input, est_cache_creation_5m_input, est_cache_creation_1h_input, est_output, est_web_search, price`
	with := fmt.Sprintf(numbers, benchDays-1)
	exec(with + ` insert into usage_day (organization, bucket, series, ` + counts + `) select d.organization, ` + bucket + `, d.series, ` + counts + `
		from n cross join usage_day d order by 1, 2, 3`)
	exec(with + ` insert into ledger (organization, fact, start, grain, report, state, read_at, since) select d.organization, d.fact, ` + start + `, d.grain, d.report,
		d.state, d.read_at, d.since from n cross join ledger d`)
	exec(`delete from usage_day where series % 100 = 0 and bucket >= ` + fmt.Sprintf(instant, ago(300).Unix()) + ` and bucket < ` + fmt.Sprintf(instant, yesterday.Unix()))
	exec(`analyze`)

	auditor := &audit.Auditor{Store: store, Config: settings()}
	scan := time.Duration(0)
	for range 3 {
		begun := time.Now()
		exec(`select sum(output), sum(est_output) from usage_day`)
		if took := time.Since(begun); scan == 0 || took < scan {
			scan = took
		}
	}
	woke := 0
	for b.Loop() {
		a, err := auditor.Evaluate(ctx, organization, now)
		require.NoError(b, err)
		woke = 0
		for _, f := range a.Findings {
			if f.Check == audit.Woke {
				woke++
			}
		}
	}
	require.Equal(b, benchKeys/100, woke)
	took := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took.Seconds(), "s/audit")
	b.ReportMetric(scan.Seconds(), "s/scan")
	b.ReportMetric(took.Seconds()/scan.Seconds(), "ratio")
	begun := time.Now()
	require.NoError(b, auditor.Save(ctx, owner, organization, now))
	b.ReportMetric(time.Since(begun).Seconds(), "s/first-save")
	begun = time.Now()
	require.NoError(b, auditor.Save(ctx, owner, organization, now.Add(time.Minute)))
	b.ReportMetric(time.Since(begun).Seconds(), "s/next-save")
}
