package web_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// A database that is gone is said in a sentence and logged once; what exactly is wrong with it is
// for the log only.
func TestBrokenDatabase(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	require.NoError(t, store.Close())
	var log bytes.Buffer
	o := options(store)
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	h := web.New(o)
	for _, target := range []string{
		"/", "/jobs", "/api/v1/costs", "/api/v1/usage?workspace=a", "/api/v1/keys", "/api/v1/audit", "/keys", "/api/v1/jobs", "/api/v1/status", "/-/ready",
		"/api/v1/alerts", "/api/v1/alerts/history", "/api/v1/budgets", "/api/v1/silences", "/alerts", "/explore", "/budgets",
	} {
		log.Reset()
		status, body, header := ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusServiceUnavailable, status, target)
		require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		require.Contains(t, log.String(), "closed", "the log says why")
		require.NotContains(t, body, "closed", target)
		require.NotContains(t, body, "sql", target)
		switch {
		case strings.HasPrefix(target, "/api/"):
			require.Equal(t, "application/json", header.Get("Content-Type"))
			require.JSONEq(t, `{"error": {"message": "The database cannot be read at the moment. The log says why."}}`, body)
		case !strings.HasPrefix(target, "/-/"):
			require.Contains(t, body, "The database cannot be read at the moment.")
		default:
			require.Contains(t, body, "not ready: the database cannot be reached")
		}
	}
	status, _, _ := ask(t, h, http.MethodGet, "/-/healthy")
	require.Equal(t, http.StatusOK, status)
}

// What is left of a query string of which a filter cannot be read asks for more.
func TestUnreadableQuery(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	for _, query := range []string{"workspace=a%", "workspace=a;b", "from=%zz", "x=%"} {
		for _, path := range []string{"/api/v1/costs", "/api/v1/keys", "/api/v1/audit", "/", "/explore", "/keys"} {
			status, body, _ := ask(t, h, http.MethodGet, path+"?"+query)
			require.Equal(t, http.StatusBadRequest, status, "%s?%s", path, query)
			require.Contains(t, body, "The query string cannot be read: invalid", "%s?%s", path, query)
		}
	}
}

// tooMany is a store that finds more rows than may be held.
type tooMany struct{ storage.Store }

func (s tooMany) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	if q.Most == 0 {
		return s.Store.Costs(ctx, q)
	}
	return storage.CostResult{}, fmt.Errorf("summing: %w", storage.ErrTooMany)
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	h := web.New(options(tooMany{reporttest.Filled(t)}))
	for _, path := range []string{"/api/v1/costs", "/api/v1/costs?format=csv"} {
		status, body, _ := ask(t, h, http.MethodGet, path)
		require.Equal(t, http.StatusBadRequest, status, path)
		require.Contains(t, body, "The answer would have more than 100000 rows.", path)
	}
	status, _, _ := ask(t, h, http.MethodGet, "/explore")
	require.Equal(t, http.StatusOK, status, "a page asks for what it can show")
}

// Who goes away is no fault of the database.
func TestCanceledRequest(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := options(reporttest.Filled(t))
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	web.New(o).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/costs", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Empty(t, log.String())
}
