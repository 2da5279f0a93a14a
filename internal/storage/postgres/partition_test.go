package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// partitions lists the partitions of minutes.
func partitions(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, _ := conn.Query(t.Context(), "select inhrelid::regclass::text from pg_inherits where inhparent = 'usage_minute'::regclass order by 1")
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// putMinutes writes a row a day for days before now's.
func putMinutes(t *testing.T, o storage.Owner, days int) {
	t.Helper()
	w := spend.Window{Start: spend.Day.Floor(now).AddDate(0, 0, -days), End: spend.Day.Floor(now)}
	var rows []spend.Usage
	for _, d := range w.Buckets(spend.Day) {
		rows = append(rows, spend.Usage{Bucket: d.Start.Add(time.Hour), Dims: spend.Dims{Model: "m"}, Counts: spend.Counts{7}})
	}
	_, err := o.ReplaceUsage(t.Context(), storage.Reading{
		Report: spend.ReportMessages, Grain: spend.Minute, Window: w, At: now, DataAt: now,
	}, rows)
	require.NoError(t, err)
}

// total is the sum of all tokens of an organization.
func total(t *testing.T, s storage.Store, organization string) int64 {
	t.Helper()
	r, err := s.Usage(t.Context(), storage.Query{
		Window: spend.Window{Start: now.AddDate(-1, 0, 0), End: now.AddDate(0, 0, 1)},
		Where:  []storage.Match{{Dimension: spend.ByOrganization, Values: []string{organization}}},
	})
	require.NoError(t, err)
	var n int64
	for _, row := range r.Rows {
		n += row.Counts.Tokens()
	}
	return n
}

func TestPruneDropsPartitions(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s, conn := open(t, u), connect(t, u)
	require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: "other", Name: "other"}, now))
	o := own(t, s)
	other, err := s.Own(t.Context(), "other")
	require.NoError(t, err)
	putMinutes(t, o, 3)
	putMinutes(t, other, 1)
	require.Equal(t, []string{"usage_minute_20260307", "usage_minute_20260308", "usage_minute_20260309"}, partitions(t, conn))

	removed, err := o.Prune(t.Context(), storage.Keep{Minute: spend.Day.Floor(now)})
	require.NoError(t, err)
	require.EqualValues(t, 3, removed)
	require.Equal(t, []string{"usage_minute_20260309"}, partitions(t, conn), "the other organization has rows in it")
	require.EqualValues(t, 21, total(t, s, organization))
	require.EqualValues(t, 7, total(t, s, "other"))

	removed, err = other.Prune(t.Context(), storage.Keep{Minute: spend.Day.Floor(now)})
	require.NoError(t, err)
	require.EqualValues(t, 1, removed)
	require.Empty(t, partitions(t, conn))
	require.EqualValues(t, 7, total(t, s, "other"))
	require.NoError(t, o.Release())
	require.NoError(t, other.Release())
}

// A reader in the middle of its query neither stops pruning nor is stopped by it.
func TestPruneBesideReader(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s, conn := open(t, u), connect(t, u)
	o := own(t, s)
	putMinutes(t, o, 2)
	tx, err := connect(t, u).Begin(t.Context())
	require.NoError(t, err)
	var n int
	require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from usage_minute").Scan(&n))
	require.Equal(t, 2, n)

	removed, err := o.Prune(t.Context(), storage.Keep{Minute: spend.Day.Floor(now)})
	require.NoError(t, err)
	require.EqualValues(t, 2, removed)
	require.NoError(t, tx.QueryRow(t.Context(), "select count(*) from usage_minute").Scan(&n))
	require.Zero(t, n)
	require.Len(t, partitions(t, conn), 2, "empty, until the next pruning")
	require.NoError(t, tx.Rollback(t.Context()))

	_, err = o.Prune(t.Context(), storage.Keep{Minute: spend.Day.Floor(now)})
	require.NoError(t, err)
	require.Empty(t, partitions(t, conn))
	require.NoError(t, o.Release())
}

// Two organizations need the same partition at the same time.
func TestPartitionMadeTogether(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s, conn := open(t, u), connect(t, u)
	owners := make(chan error, 4)
	for i := range cap(owners) {
		id := string(rune('a' + i))
		require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: id, Name: id}, now))
		go func() {
			o, err := s.Own(t.Context(), id)
			if err != nil {
				owners <- err
				return
			}
			day := spend.Day.Bucket(now.AddDate(0, 0, -1))
			_, err = o.ReplaceUsage(t.Context(), storage.Reading{
				Report: spend.ReportMessages, Grain: spend.Minute, Window: day, At: now, DataAt: now,
			}, []spend.Usage{{Bucket: day.Start, Counts: spend.Counts{1}}})
			owners <- err
		}()
	}
	for range cap(owners) {
		require.NoError(t, <-owners)
	}
	require.Equal(t, []string{"usage_minute_20260309"}, partitions(t, conn))
}
