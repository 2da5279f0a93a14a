package web_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// local sends a request as from this machine.
func local(t *testing.T, h http.Handler, method, target, contentType, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost:9599"+target, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:9599"
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Result().Header
}

func TestAlertsPage(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	status, body, header := ask(t, h, http.MethodGet, "/alerts")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	require.Contains(t, body, "New admin of acme")
	for target, shown := range map[string]bool{
		"/alerts?rule=monthly+budget": false, "/alerts?severity=warning": true, "/alerts?state=stale": true, "/alerts?state=pending&severity=": false,
	} {
		status, body, _ = ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusOK, status, target)
		require.Equal(t, shown, strings.Contains(body, "New admin of acme"), target)
	}
	for target, want := range map[string]string{
		"/alerts?state=burning": "is not one of pending, firing", "/alerts?severity=bad": "is not one of info, warning, critical",
		"/alerts?page=0": "is not a number from 1", "/alerts?who=me": "There is no parameter",
	} {
		status, body, _ = ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusBadRequest, status, target)
		require.Contains(t, body, want, target)
	}
	_, body, _ = ask(t, web.New(options(reporttest.Open(t))), http.MethodGet, "/alerts")
	require.Contains(t, body, "No rule is set")
}

// The history is shown in pages, and each page leads to the next.
func TestAlertHistoryPages(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	ctx := t.Context()
	require.NoError(t, store.SaveOrganization(ctx, spend.Organization{ID: reporttest.Acme, Name: "acme"}, reporttest.At(1, 0)))
	owner, err := store.Own(ctx, reporttest.Acme)
	require.NoError(t, err)
	e := storage.Evaluation{Now: reporttest.Now}
	for i := range 120 {
		e.History = append(e.History, storage.AlertChange{
			At: reporttest.At(1, 0).Add(time.Duration(i) * time.Minute), From: spend.Inactive, To: spend.Firing,
			Alert: spend.Alert{Organization: reporttest.Acme, Rule: "r", State: spend.Firing, Severity: spend.Info, Summary: fmt.Sprintf("change %d.", i)},
		})
	}
	require.NoError(t, owner.SaveEvaluation(ctx, e))
	require.NoError(t, owner.Release())
	h := web.New(options(store))
	seen := map[string]bool{}
	target := "/alerts?rule=r"
	for page := 1; target != ""; page++ {
		require.LessOrEqual(t, page, 3)
		_, body, _ := ask(t, h, http.MethodGet, target)
		for _, m := range regexp.MustCompile(`change \d+\.`).FindAllString(body, -1) {
			require.False(t, seen[m], m)
			seen[m] = true
		}
		target = ""
		if m := regexp.MustCompile(`href="([^"#]*)#history">older`).FindStringSubmatch(body); m != nil {
			target = html.UnescapeString(m[1])
		}
	}
	require.Len(t, seen, 120)
}

func TestAlertHistoryParameters(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	status, body, _ := ask(t, h, http.MethodGet, "/api/v1/alerts/history?from=2026-11-22&to=2026-11-22T10:00:00Z")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, 1, strings.Count(body, `"alert":`))
	for _, target := range []string{"/api/v1/alerts/history?from=yesterday", "/api/v1/alerts/history?limit=3", "/api/v1/alerts/history?from=2026-11-22&to=2026-11-21",
		"/api/v1/alerts/history?from=2026-11-22&to=2026-11-22", "/api/v1/alerts/history?from=2026-11-21&from=2026-11-20", "/api/v1/alerts?rule=a", "/api/v1/budgets?x=1", "/api/v1/silences?x=1"} {
		status, body, _ = ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusBadRequest, status, body)
	}
}

func TestSilences(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	h := web.New(options(store))
	const good = `{"matchers": [{"label": "rule", "value": "spike"}], "ends_at": "2026-11-22T12:00:00Z", "created_by": "zoë", "comment": "known"}`
	status, body, _ := local(t, h, http.MethodPost, "/api/v1/silences", "application/json", good)
	require.Equal(t, http.StatusOK, status, body)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &made))
	status, body, _ = local(t, h, http.MethodGet, "/api/v1/silences", "", "")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"as_of": "2026-11-22T10:30:00Z", "data": [{"id": "`+made.ID+`", "matchers": [{"label": "rule", "value": "spike"}],
		"starts_at": "2026-11-22T10:30:00Z", "ends_at": "2026-11-22T12:00:00Z", "created_by": "zoë", "comment": "known",
		"created_at": "2026-11-22T10:30:00Z", "state": "active"}]}`, body)

	for name, c := range map[string]struct{ contentType, body, want string }{
		"no JSON":       {"text/plain", good, "Send a JSON object"},
		"broken":        {"application/json", `{`, "cannot be read"},
		"unknown":       {"application/json", `{"matcher": []}`, "unknown field"},
		"everything":    {"application/json", strings.Replace(good, "spike", "*", 1), "silence everything"},
		"no matchers":   {"application/json", `{"ends_at": "2026-11-22T12:00:00Z", "created_by": "a", "comment": "b"}`, "at least one matcher"},
		"over":          {"application/json", strings.Replace(good, "2026-11-22T12", "2026-11-22T09", 1), "must end after it starts"},
		"too long":      {"application/json", strings.Replace(good, "2026-11-22T12", "2029-11-22T12", 1), "a year at most"},
		"no comment":    {"application/json", strings.Replace(good, "known", "", 1), "needs a comment"},
		"no author":     {"application/json", strings.Replace(good, "zoë", "", 1), "who made it"},
		"many lines":    {"application/json", strings.Replace(good, "known", `a\nb`, 1), "one line"},
		"null byte":     {"application/json", strings.Replace(good, "spike", `a\u0000b`, 1), "Labels and values of matchers must be one line"},
		"control":       {"application/json", strings.Replace(good, `"rule"`, `"ru\nle"`, 1), "Labels and values of matchers must be one line"},
		"long value":    {"application/json", strings.Replace(good, "spike", strings.Repeat("a", 1001), 1), "at most 1000 bytes"},
		"many matchers": {"application/json", strings.Replace(good, `[`, `[`+strings.Repeat(`{"label": "rule", "value": "a"}, `, 100), 1), "at most 100 matchers"},
		"list":          {"application/json", `[]`, "Send one JSON object with matchers, ends_at"},
		"text":          {"application/json", `"rule"`, "Send one JSON object with matchers, ends_at"},
		"matchers":      {"application/json", strings.Replace(good, `[{"label": "rule", "value": "spike"}]`, `"rule=spike"`, 1), `matchers must be a list such as [{\"label\": \"rule\"`},
		"number":        {"application/json", strings.Replace(good, `"spike"`, `1`, 1), "matchers.value must be text"},
		"date":          {"application/json", strings.Replace(good, "2026-11-22T12:00:00Z", "2026-11-23", 1), `ends_at: \"2026-11-23\" is not a time such as 2026-01-31T15:04:05Z`},
		"no end":        {"application/json", strings.Replace(good, "2026-11-22T12:00:00Z", "", 1), "ends_at is missing: a time such as 2026-01-31T15:04:05Z"},
		"star in value": {"application/json", strings.Replace(good, "spike", "s*e", 1), "at the end"},
	} {
		status, body, _ := local(t, h, http.MethodPost, "/api/v1/silences", c.contentType, c.body)
		require.GreaterOrEqual(t, status, 400, name)
		require.Less(t, status, 500, name)
		require.Contains(t, body, c.want, name)
		require.NotContains(t, body, "Go ", name)
		require.NotContains(t, body, "json:", name)
	}
	for _, id := range []string{"%00", "%ff"} {
		status, _, _ = local(t, h, http.MethodDelete, "/api/v1/silences?id="+id, "", "")
		require.Equal(t, http.StatusNotFound, status, id)
	}

	status, _, _ = local(t, h, http.MethodDelete, "/api/v1/silences?id="+made.ID, "", "")
	require.Equal(t, http.StatusOK, status)
	status, _, _ = local(t, h, http.MethodDelete, "/api/v1/silences?id=none", "", "")
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = local(t, h, http.MethodDelete, "/api/v1/silences", "", "")
	require.Equal(t, http.StatusBadRequest, status)
	all, err := store.Silences(t.Context(), reporttest.Now)
	require.NoError(t, err)
	require.Empty(t, all)
}

// TestSilencesKnowWhatTheyName: a silence is about the things that are called so when it is made.
func TestSilencesKnowWhatTheyName(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	h := web.New(options(store))
	status, body, _ := local(t, h, http.MethodPost, "/api/v1/silences", "application/json",
		`{"matchers": [{"label": "workspace", "value": "staging"}], "ends_at": "2026-11-22T12:00:00Z", "created_by": "zoë", "comment": "known"}`)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, `"ids":["`+reporttest.Staging+`"]`)
	values := url.Values{"matcher": {"api_key=ci", "rule=ci", "workspace=sta*"}, "for": {"2h"}, "created_by": {"ada"}, "comment": {"known"}}
	status, body, _ = local(t, h, http.MethodPost, "/alerts", "application/x-www-form-urlencoded", values.Encode())
	require.Equal(t, http.StatusSeeOther, status, body)
	all, err := store.Silences(t.Context(), reporttest.Now)
	require.NoError(t, err)
	var made [][]storage.Matcher
	for _, s := range all {
		if s.CreatedBy == "ada" && s.CreatedAt.Equal(reporttest.Now) {
			made = append(made, s.Matchers)
		}
	}
	require.Equal(t, [][]storage.Matcher{{
		{Label: "api_key", Value: "ci", IDs: []string{reporttest.KeyCI}}, {Label: "rule", Value: "ci"}, {Label: "workspace", Value: "sta*"},
	}}, made)
}

func TestSilenceForm(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	h := web.New(options(store))
	const form = "application/x-www-form-urlencoded"
	values := url.Values{"matcher": {"rule=spike", "workspace=se*", ""}, "for": {"2h"}, "created_by": {"ada"}, "comment": {"known"}}
	status, _, header := local(t, h, http.MethodPost, "/alerts", form, values.Encode(), "Sec-Fetch-Site", "same-origin", "Origin", "null")
	require.Equal(t, http.StatusSeeOther, status)
	require.Equal(t, "/alerts#silences", header.Get("Location"))
	all, err := store.Silences(t.Context(), reporttest.Now)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, []storage.Matcher{{Label: "rule", Value: "spike"}, {Label: "workspace", Value: "se*"}}, all[0].Matchers)
	require.Equal(t, reporttest.Now.Add(2*time.Hour), all[0].EndsAt)

	bad := url.Values{"matcher": {"spike"}, "for": {"2h"}, "created_by": {"ada"}, "comment": {"<b>"}}
	status, body, _ := local(t, h, http.MethodPost, "/alerts", form, bad.Encode())
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "is not a matcher")
	require.Contains(t, body, `value="spike"`, "the form stays filled in")
	require.Contains(t, body, `value="&lt;b&gt;"`)
	status, _, header = local(t, h, http.MethodPut, "/alerts", form, "")
	require.Equal(t, http.StatusMethodNotAllowed, status)
	require.Equal(t, "GET, HEAD, POST", header.Get("Allow"))
	bad.Set("matcher", "rule=a\x00b")
	status, body, _ = local(t, h, http.MethodPost, "/alerts", form, bad.Encode())
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "must be one line")
	status, _, _ = local(t, h, http.MethodPost, "/alerts", form, "end=%00")
	require.Equal(t, http.StatusNotFound, status)
	_, body, _ = local(t, h, http.MethodGet, "/alerts?silence=rule%3Dspike&silence=workspace%3D%22%3Ex", "", "")
	require.Contains(t, body, `<input name="matcher" value="rule=spike"`)
	require.Contains(t, body, `<input name="matcher" value="workspace=&#34;&gt;x"`)
	status, _, _ = local(t, h, http.MethodPost, "/alerts", form, url.Values{"end": {all[0].ID}}.Encode())
	require.Equal(t, http.StatusSeeOther, status)
	all, err = store.Silences(t.Context(), reporttest.Now)
	require.NoError(t, err)
	require.Empty(t, all)
}

// TestSilencesAreGuarded: what writes follows the rules of /-/reload.
func TestSilencesAreGuarded(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	h := web.New(options(store))
	for _, c := range []struct{ method, target, contentType string }{
		{http.MethodPost, "/api/v1/silences", "application/json"},
		{http.MethodDelete, "/api/v1/silences?id=x", ""},
		{http.MethodPost, "/alerts", "application/x-www-form-urlencoded"},
	} {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}, {"X-Forwarded-For", "192.0.2.7"}, {"Via", "1.1 proxy"},
		} {
			status, _, _ := local(t, h, c.method, c.target, c.contentType, "end=x", header...)
			require.Equal(t, http.StatusForbidden, status, "%s %s %s", c.method, c.target, header[0])
		}
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.target, strings.NewReader("end=x"))
		r.RemoteAddr = "192.0.2.7:1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.Code)
	}
}
