package web_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// TestDocumentedAPI checks that docs/api.md lists the paths of the API and no others, that their parameters are
// taken, and that its examples are answered.
func TestDocumentedAPI(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	document := read("../../docs/api.md")
	paths := func(pattern, text string) (found []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return found
	}
	require.Equal(t, paths(`mux\.Handle\("(/api/v1/[^"]+)"`, read("routes.go")), paths("(?:\\| |, )`(/api/v1/[^`]+)`", document))
	for _, d := range report.Dimensions(report.Costs) {
		require.Contains(t, document, "`"+string(d)+"`")
	}

	h := web.New(options(reporttest.Filled(t)))
	samples := map[string]string{
		"from": "2026-11-21T12:00:00Z", "to": "2026-11-22", "step": "hour", "by": "organization", "what_if": "claude-haiku-4-5", "period": "week",
		"organization": "acme", "workspace": "*", "owner": "*", "check": "unused", "severity": "info", "text": "a",
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(/api/v1/[^`]+)` \\| .* \\| (.*) \\|$").FindAllStringSubmatch(document, -1) {
		for _, p := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(regexp.MustCompile(`\(.*?\)`).ReplaceAllString(m[2], ""), -1) {
			if m[1] == "/api/v1/silences" || p[1] == "cost_type" || p[1] == "token_type" {
				continue // of DELETE; which are not there
			}
			require.Contains(t, samples, p[1], m[1])
			target := m[1] + "?" + p[1] + "=" + samples[p[1]]
			if p[1] == "to" {
				target += "&from=" + samples["from"]
			}
			status, body, _ := ask(t, h, http.MethodGet, target)
			require.Equal(t, http.StatusOK, status, "%s: %s", target, body)
		}
	}

	const host = `http://127\.0\.0\.1:9599`
	examples := paths(`curl '`+host+`([^']+)'`, document)
	require.NotEmpty(t, examples)
	for _, target := range examples {
		status, body, _ := ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusOK, status, "%s: %s", target, body)
	}
	post := regexp.MustCompile(`(?s)-X POST -H 'Content-Type: (\S+)' ` + host + `(\S+) -d '(.*?)'`).FindStringSubmatch(document)
	require.NotEmpty(t, post)
	status, body, _ := local(t, h, http.MethodPost, post[2], post[1], post[3])
	require.Equal(t, http.StatusOK, status, body)
	id := regexp.MustCompile(`"id":"(\w+)"`).FindStringSubmatch(body)
	require.NotEmpty(t, id)
	end := paths(`-X DELETE '`+host+`([^']+)'`, document)
	require.Len(t, end, 1)
	status, body, _ = local(t, h, http.MethodDelete, strings.Replace(end[0], "=ID", "="+id[1], 1), "", "")
	require.Equal(t, http.StatusOK, status, body)
}
