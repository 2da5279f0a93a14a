package web_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// The API's CSV is the one that `monitor report` prints.
func TestCSV(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	h := web.New(options(store))
	status, body, header := ask(t, h, http.MethodGet, "/api/v1/costs?by=workspace,model&step=week&from=2026-11-01&to=2026-11-22&format=csv")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "text/csv; charset=utf-8", header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="costs.csv"`, header.Get("Content-Disposition"))
	p, err := report.Parse(report.Costs, map[string][]string{
		"by": {"workspace,model"}, "step": {"week"}, "from": {"2026-11-01"}, "to": {"2026-11-22"},
	}, reporttest.Now)
	require.NoError(t, err)
	a, err := report.Run(t.Context(), store, p)
	require.NoError(t, err)
	var want bytes.Buffer
	require.NoError(t, a.WriteCSV(&want))
	require.Equal(t, want.String(), body)
	for _, path := range []string{"usage", "forecast", "headroom", "claude-code", "efficiency", "reconciliation"} {
		status, body, header = ask(t, h, http.MethodGet, "/api/v1/"+path+"?format=csv")
		require.Equal(t, http.StatusOK, status, path)
		require.Equal(t, "text/csv; charset=utf-8", header.Get("Content-Type"), path)
		require.NotEmpty(t, body, path)
	}
	for target, want := range map[string]string{
		"/api/v1/costs?format=xml":             `unknown format`,
		"/api/v1/costs?format=csv&format=json": `unknown format`,
		"/api/v1/costs?format=csv&step=year":   `unknown step`,
		"/api/v1/keys?format=csv":              `unknown parameter`,
	} {
		status, body, header = ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusBadRequest, status, target)
		require.Equal(t, "application/json", header.Get("Content-Type"), target)
		require.Contains(t, body, want, target)
	}
	_, body, _ = ask(t, h, http.MethodGet, "/api/v1/costs?format=json")
	_, plain, _ := ask(t, h, http.MethodGet, "/api/v1/costs")
	require.Equal(t, plain, body)
}
