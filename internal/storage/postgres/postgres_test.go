package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
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

// All tests run in a local zone other than UTC, in which every time that is not converted shows.
func TestMain(m *testing.M) {
	time.Local = time.FixedZone("test", -5*60*60)
	pgtest.Main(m)
}

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		u := pgtest.URL(t)
		s, err := postgres.Open(t.Context(), u, slog.New(slog.NewTextHandler(t.Output(), nil)))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return database{s, u}
	})
}

// database is a store that can be looked into.
type database struct {
	*postgres.Store
	url string
}

func (d database) Reopen(ctx context.Context) (storage.Store, error) {
	return postgres.Open(ctx, d.url, slog.New(slog.DiscardHandler))
}

func (d database) Query(ctx context.Context, query string) ([][]any, error) {
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, _ := conn.Query(ctx, query)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) {
		values, err := row.Values()
		for i, v := range values {
			switch v := v.(type) {
			case int32:
				values[i] = int64(v)
			case int16:
				values[i] = int64(v)
			}
		}
		return values, err
	})
}

const organization = "0f5f2b5c-97a4-4ad6-8f80-2d9d0ee30001"

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: organization, Name: "acme"}, now))
	return s
}

func own(t testing.TB, s *postgres.Store) storage.Owner {
	t.Helper()
	o, err := s.Own(t.Context(), organization)
	require.NoError(t, err)
	return o
}

// connect makes a connection of the test's own.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// endOwners breaks the connections that hold locks, and returns when they are gone.
func endOwners(t *testing.T, url string) {
	t.Helper()
	var ended int
	require.NoError(t, connect(t, url).QueryRow(t.Context(), `
		select count(*) filter (where pg_terminate_backend(pid, 10000))
		from pg_locks
		join pg_stat_activity using (pid)
		where locktype = 'advisory' and application_name = current_setting('application_name')`).Scan(&ended))
	require.Equal(t, 1, ended, "owners that lost their connection")
}

func TestConnectionLost(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s := open(t, u)
	o := own(t, s)
	require.NoError(t, o.SetLive(t.Context(), now))

	endOwners(t, u)
	require.ErrorIs(t, o.SetLive(t.Context(), now), storage.ErrLost)
	require.ErrorIs(t, o.SetLive(t.Context(), now), storage.ErrLost, "it stays lost")

	again := own(t, s)
	require.NoError(t, again.SetLive(t.Context(), now))
	require.ErrorIs(t, o.SetLive(t.Context(), now), storage.ErrLost)
	require.NoError(t, o.Release(), "giving up what was lost does no harm")
	require.NoError(t, again.SetLive(t.Context(), now), "least of all to the new owner")
	require.NoError(t, again.Release())
}

func TestLostOwnerCannotWrite(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s := open(t, u)
	old := own(t, s)
	endOwners(t, u)

	// The old owner has not noticed yet when the new one takes over.
	o := own(t, open(t, u))
	require.NoError(t, o.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: now, ReadAt: now}))
	require.ErrorIs(t, old.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: now.Add(time.Hour)}), storage.ErrLost)
	ws, err := s.Watermarks(t.Context(), organization)
	require.NoError(t, err)
	require.Equal(t, []storage.Watermark{{Report: spend.ReportMessages, DataAt: now, ReadAt: now}}, ws)
}

func TestTwoStoresContend(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	a, b := open(t, u), open(t, u)

	o := own(t, a)
	for _, s := range []*postgres.Store{a, b} {
		_, err := s.Own(t.Context(), organization)
		require.ErrorIs(t, err, storage.ErrOwned)
	}
	require.NoError(t, b.SaveOrganization(t.Context(), spend.Organization{ID: "other", Name: "other"}, now))
	other, err := b.Own(t.Context(), "other")
	require.NoError(t, err, "another organization is free")
	require.NoError(t, other.Release())

	require.NoError(t, o.Release())
	require.ErrorIs(t, o.SetLive(t.Context(), now), storage.ErrLost)
	o = own(t, b)
	require.NoError(t, b.Close(), "closing gives it up")
	require.ErrorIs(t, o.SetLive(t.Context(), now), storage.ErrLost)
	require.NoError(t, own(t, a).Release())
}

func TestCanceledWriteKeepsOwnership(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s := open(t, u)
	o := own(t, s)

	// The write waits for a lock that the test holds until the write is given up.
	tx, err := connect(t, u).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "lock table watermark in access exclusive mode")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = o.SetWatermark(ctx, storage.Watermark{Report: spend.ReportCost, DataAt: now})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, storage.ErrLost)
	require.NotErrorIs(t, err, storage.ErrUnavailable)
	require.NoError(t, tx.Rollback(t.Context()))

	require.NoError(t, o.SetLive(t.Context(), now))
	ws, err := s.Watermarks(t.Context(), organization)
	require.NoError(t, err)
	require.Empty(t, ws)
	require.NoError(t, o.Release())
}

func TestDatabaseComesBack(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	log := slog.New(slog.DiscardHandler)
	c.Stop(t)
	_, err := postgres.Open(t.Context(), c.URL(), log)
	require.ErrorIs(t, err, storage.ErrUnavailable)

	c.Start(t)
	s := open(t, c.URL())
	o := own(t, s)
	require.NoError(t, s.Ping(t.Context()))

	c.Stop(t)
	require.ErrorIs(t, s.Ping(t.Context()), storage.ErrUnavailable)
	_, err = s.Organizations(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = s.Own(t.Context(), organization)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorIs(t, o.SetLive(t.Context(), now), storage.ErrLost)

	c.Start(t)
	require.NoError(t, s.Ping(t.Context()), "the pool connects again by itself")
	os, err := s.Organizations(t.Context())
	require.NoError(t, err)
	require.Len(t, os, 1)
	o = own(t, s)
	require.NoError(t, o.SetLive(t.Context(), now))
	require.NoError(t, o.Release())
}

func TestNewerSchema(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	s := open(t, u)
	_, err := connect(t, u).Exec(t.Context(), "insert into goose_db_version (version_id, is_applied) values (9999, true)")
	require.NoError(t, err)

	require.ErrorIs(t, s.Ping(t.Context()), storage.ErrNewerSchema)
	_, err = postgres.Open(t.Context(), u, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, storage.ErrNewerSchema)
}

func TestOpenTogether(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), u, slog.New(slog.DiscardHandler))
			if err == nil {
				err = errors.Join(s.Ping(t.Context()), s.Close())
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

// Server, session and process are in zones other than UTC; what comes out is not.
func TestUTC(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t) + "&timezone=Australia/Lord_Howe"
	conn := connect(t, u)
	s := open(t, u)
	o := own(t, s)
	day := spend.Day.Bucket(now.AddDate(0, 0, -2))
	at := day.Start.Add(30 * time.Minute).In(time.Local)
	r := storage.Reading{Report: spend.ReportMessages, Grain: spend.Minute, Window: day, At: now, DataAt: now}
	_, err := o.ReplaceUsage(t.Context(), r, []spend.Usage{{Bucket: at, Dims: spend.Dims{Model: "m"}, Counts: spend.Counts{1}}})
	require.NoError(t, err)

	got, err := s.Usage(t.Context(), storage.Query{Window: day, Step: spend.Hour})
	require.NoError(t, err)
	require.Len(t, got.Rows, 1)
	require.Equal(t, day.Start, got.Rows[0].Start)
	require.Equal(t, time.UTC, got.Rows[0].Start.Location())
	slots, err := s.Slots(t.Context(), organization, spend.FactUsage, day)
	require.NoError(t, err)
	require.Len(t, slots, 24)
	require.Equal(t, time.UTC, slots[0].Window.Start.Location())
	require.Equal(t, now, slots[0].ReadAt)
	days, _, err := s.Changed(t.Context(), organization, 0)
	require.NoError(t, err)
	require.Equal(t, []time.Time{day.Start}, days)
	require.Equal(t, time.UTC, days[0].Location(), "in arrays, too")
	var inView time.Time
	require.NoError(t, conn.QueryRow(t.Context(), "select day from usage_daily").Scan(&inView))
	require.Equal(t, day.Start, inView, "for other clients, too")
	require.NoError(t, o.Release())
}

func TestNoPasswordInErrors(t *testing.T) {
	t.Parallel()
	const password = "hunter2%25secret"
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := closed.Addr().String()
	require.NoError(t, closed.Close())
	server, err := url.Parse(pgtest.URL(t))
	require.NoError(t, err)
	q := server.Query()
	q.Set("password", "hunter2")
	q.Set("user", "nobody-of-this-name")
	server.RawQuery = q.Encode()

	for name, test := range map[string]struct {
		url, tells  string
		unavailable bool
	}{
		"nobody listens":    {"postgres://u:" + password + "@" + address + "/db", address, true},
		"several addresses": {"postgres://u:" + password + "@" + address + ",localhost:1/db", address, true},
		"no such host":      {"postgres://u:" + password + "@host.invalid/db", "host.invalid", true},
		"bad escape":        {"postgres://u:hunter2%zz@" + address + "/db", "cannot be read", false},
		"bad port":          {"postgres://u:" + password + "@127.0.0.1:port/db", "cannot be read", false},
		"bad parameter":     {"postgres://u:" + password + "@127.0.0.1/db?sslmode=hunter2", "cannot be read", false},
		"bad key values":    {"host=127.0.0.1 password='hunter2", "cannot be read", false},
		"refused password":  {server.String(), "nobody-of-this-name", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			_, err := postgres.Open(t.Context(), test.url, slog.New(slog.NewTextHandler(&log, nil)))
			require.ErrorContains(t, err, test.tells)
			require.Equal(t, test.unavailable, errors.Is(err, storage.ErrUnavailable), "%v", err)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "\n")
			if test.tells != "cannot be read" {
				require.True(t, strings.HasSuffix(err.Error(), ": check that the server runs, and the host, port, user and password of its URL"), err)
			}
			require.NotContains(t, fmt.Sprintf("%+v %#v", err, err.Error()), "hunter2")
			require.NotContains(t, log.String(), "hunter2")
		})
	}
}
