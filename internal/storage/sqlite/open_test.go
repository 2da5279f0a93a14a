package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
	"github.com/anthropic-monitor/monitor/internal/storage/storagetest"
)

// execute runs statements on a file from outside.
func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err)
	}
}

func TestOpenMakesDirectoryAndFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "state", "odd ?name#%.db")
	s := open(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, s.Ping(t.Context()))
}

func TestOpenKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "monitor.db")
	s, err := sqlite.Open(t.Context(), path, logger(t))
	require.NoError(t, err)
	require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: "o", Name: "acme"}, time.Unix(7, 0)))
	o, err := s.Own(t.Context(), "o")
	require.NoError(t, err)
	require.NoError(t, s.Close(), "closing gives up what is owned")
	require.ErrorIs(t, o.SetLive(t.Context(), time.Unix(8, 0)), storage.ErrLost)
	os, err := open(t, path).Organizations(t.Context())
	require.NoError(t, err)
	require.Equal(t, []storage.OrganizationState{{Organization: spend.Organization{ID: "o", Name: "acme"}, FirstSeenAt: time.Unix(7, 0).UTC()}}, os)
}

func TestOpenAtOnceMigratesOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "monitor.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := sqlite.Open(t.Context(), path, logger(t))
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	s, err := sqlite.Open(t.Context(), newer, logger(t))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	execute(t, newer, `insert into goose_db_version (version_id, is_applied) values (9999, 1)`)
	foreign := filepath.Join(dir, "foreign.db")
	execute(t, foreign, `create table notes (text text)`)

	for name, c := range map[string]struct {
		path, says string
		is         error
	}{
		"newer schema":        {newer, "start that version again", storage.ErrNewerSchema},
		"no database":         {file("text.db", "this is not a database, and it is long enough to show it. "+string(make([]byte, 4096))), "not an SQLite database", nil},
		"of another program":  {foreign, "belongs to another program", nil},
		"directory":           {dir, "is a directory", nil},
		"directory is a file": {filepath.Join(file("plain", "x"), "monitor.db"), "storage.sqlite.path", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sqlite.Open(t.Context(), c.path, logger(t))
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, c.path, "an error says which file")
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.False(t, errors.Is(err, storage.ErrUnavailable), "trying again does not help")
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "monitor.db")
	s := open(t, path)
	require.NoError(t, s.SaveOrganization(t.Context(), spend.Organization{ID: "o"}, time.Unix(7, 0)))
	s.LimitPages(t.Context(), t)
	o, err := s.Own(t.Context(), "o")
	require.NoError(t, err)
	r, rows := benchWindow(0)
	_, err = o.ReplaceUsage(t.Context(), r, rows)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "no space left")
	require.ErrorContains(t, err, path)
	got, err := s.Slots(t.Context(), "o", spend.FactUsage, r.Window)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestBroken(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := storagetest.Break(open(t, filepath.Join(t.TempDir(), "monitor.db")))
	require.NoError(t, b.SaveOrganization(ctx, spend.Organization{ID: "o"}, time.Unix(7, 0)))
	o, err := b.Own(ctx, "o")
	require.NoError(t, err)
	gone := errors.New("gone")
	b.Fail(gone, "SetLive", "Usage")
	require.ErrorIs(t, o.SetLive(ctx, time.Unix(8, 0)), gone)
	_, err = b.Usage(ctx, storage.Query{})
	require.ErrorIs(t, err, gone)
	require.NoError(t, b.Ping(ctx))
	b.Fail(gone)
	require.ErrorIs(t, b.Ping(ctx), gone)
	require.ErrorIs(t, o.UpdateCounters(ctx, 0), gone)
	b.Fail(nil)
	require.NoError(t, b.Ping(ctx))
	os, err := b.Organizations(ctx)
	require.NoError(t, err)
	require.Zero(t, os[0].LiveAt, "a method that failed did nothing")
	require.NoError(t, o.Release())
}
