package web_test

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
	"github.com/anthropic-monitor/monitor/internal/web"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// backends are the databases that pages are tested on.
var backends = []string{"sqlite", "postgres"}

// open opens an empty store of the backend.
func open(t testing.TB, backend string) storage.Store {
	t.Helper()
	var store storage.Store
	var err error
	if log := slog.New(slog.DiscardHandler); backend == "postgres" {
		store, err = postgres.Open(t.Context(), pgtest.URL(t), log)
	} else {
		store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), log)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// database is what the page says of the database, which no golden file can hold.
var database = regexp.MustCompile(`<dd>(SQLite|PostgreSQL) [0-9.]+, [0-9.]+ [KM]iB</dd>`)

// On both databases the pages are the same, to the letter.
func TestPagesOnBothDatabases(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			store := open(t, backend)
			reporttest.Fill(t, store)
			h := web.New(options(store))
			for target, file := range map[string]string{
				"/": "overview.html", "/?by=model": "overview_model.html", "/jobs": "jobs.html", "/budgets": "budgets.html", "/alerts": "alerts.html",
				"/keys?organization=acme": "keys.html", "/explore": "explore.html",
				"/explore?by=api_key,model&compare=before&measure=tokens&range=month&rows=3&step=week": "explore_tokens.html",
			} {
				status, body, header := ask(t, h, http.MethodGet, target)
				require.Equal(t, http.StatusOK, status, target)
				require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
				if target == "/jobs" {
					require.Regexp(t, database, body)
					body = database.ReplaceAllString(body, "<dd>DATABASE</dd>")
				}
				golden.Check(t, file, []byte(body))
			}
		})
	}
}
