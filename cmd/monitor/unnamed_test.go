package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// Organizations need no name in the configuration, however many there are: the metrics of requests bear the
// name that the API tells, and until it does, and where two have the same, their place.
func TestOrganizationsWithoutNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", sim.Options{Name: "Acme Robotics"}, "")
	other := sim.New(sim.Options{Name: "Beta Works", Seed: 2, Keys: []string{"other-admin-key"}})
	server := httptest.NewServer(other.Handler())
	t.Cleanup(server.Close)
	text := fmt.Sprintf(`organizations:
  - {admin_key: ${ADMIN_KEY}, base_url: %q}
  - {admin_key: other-admin-key, base_url: %q}
  - {admin_key: a-key-that-is-refused, base_url: %[2]q}
storage: {sqlite: {path: %[3]s}}
web: {listen: %[4]q}
backfill: 1d
`, w.apiURL, server.URL, w.sqlite, w.listen)
	require.NoError(t, os.WriteFile(w.config, []byte(text), 0o600))
	w.serve()
	var lines []string
	w.eventually(func() bool {
		status, body := w.get("/metrics")
		require.Equal(t, http.StatusOK, status, "%s", body)
		lines = lines[:0]
		for line := range strings.Lines(string(body)) {
			if strings.HasPrefix(line, "anthropic_monitor_api_requests_total{") && strings.Contains(line, `endpoint="me"`) {
				lines = append(lines, line[:strings.Index(line, "} ")+1])
			}
		}
		return len(lines) == 3 && strings.Contains(lines[0]+lines[1], "Beta Works")
	}, &lockedBuffer{}, "not all organizations are told by name")
	require.Equal(t, []string{
		`anthropic_monitor_api_requests_total{code="200",endpoint="me",organization="Acme Robotics"}`,
		`anthropic_monitor_api_requests_total{code="200",endpoint="me",organization="Beta Works"}`,
		`anthropic_monitor_api_requests_total{code="401",endpoint="me",organization="organizations[2]"}`,
	}, lines)
}
