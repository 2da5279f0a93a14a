package web_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// TestUnread: an organization that is configured and cannot be read is said on every page, also beside
// others whose figures would pass for the whole.
func TestUnread(t *testing.T) {
	t.Parallel()
	unread := func() []web.Unread {
		return []web.Unread{{Organization: "gamma<b>", Problem: "me: 401 authentication: invalid key", At: reporttest.Now}}
	}
	for name, o := range map[string]web.Options{"beside others": options(reporttest.Filled(t)), "alone": options(open(t, "sqlite"))} {
		for _, page := range []string{"/", "/explore", "/budgets", "/alerts", "/keys", "/jobs", "/nowhere"} {
			_, body, _ := ask(t, web.New(o), http.MethodGet, page)
			require.NotContains(t, body, "in no figure here", "%s %s", name, page)
		}
		o.Unread = unread
		h := web.New(o)
		for _, page := range []string{"/", "/explore", "/budgets", "/alerts", "/keys", "/jobs", "/nowhere"} {
			_, body, _ := ask(t, h, http.MethodGet, page)
			require.Contains(t, body, "<strong>gamma&lt;b&gt;</strong> is configured and in no figure here", "%s %s", name, page)
			require.Contains(t, body, "me: 401 authentication: invalid key", "%s %s", name, page)
		}
		_, body, _ := ask(t, h, http.MethodGet, "/api/v1/status")
		require.Contains(t, body, `"unread":[{"organization":"gamma\u003cb\u003e","problem":"me: 401 authentication: invalid key","tried_at":"2026-11-22T10:30:00Z"}]`, name)
	}
	o := options(open(t, "sqlite"))
	o.Unread = unread
	status, body, _ := ask(t, web.New(o), http.MethodGet, "/-/ready")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not ready: no collection has been tried yet; gamma<b>: me: 401 authentication: invalid key\n", body)
}
