package web_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// options are those of a server at the end of the history of reporttest.
func options(store storage.Store) web.Options {
	return web.Options{
		Store: store, Gatherer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Version: "1.2.3",
		Now: func() time.Time { return reporttest.Now }, Backfill: 7 * 24 * time.Hour, Prices: prices(),
		Budgets: []web.BudgetRule{
			{Name: "monthly budget", By: []spend.Dimension{spend.ByWorkspace}, Actual: []float64{50, 80, 100}, Forecast: []float64{100, 120}},
			{Name: "quarter", Actual: []float64{100}},
		},
	}
}

// prices is the built-in table.
func prices() *pricing.Table {
	table, err := pricing.Load(nil)
	if err != nil {
		panic(err)
	}
	return table
}

func ask(t *testing.T, h http.Handler, method, target string) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	return w.Code, w.Body.String(), w.Result().Header
}

func TestAPI(t *testing.T) {
	t.Parallel()
	o := options(reporttest.Filled(t))
	o.Teams = team.Teams{{Name: "ops", Workspaces: []string{"Default"}}, {Name: "search", APIKeys: []string{"ci"}}}
	h := web.New(o)
	for name, target := range map[string]string{
		"costs.json":      "/api/v1/costs?by=workspace,model&organization=acme&step=day&from=2026-11-19",
		"teams.json":      "/api/v1/costs?by=team&team=search&team=unmapped",
		"efficiency.json": "/api/v1/efficiency?by=team,model&what_if=claude-haiku-4-5",
		"usage.json":      "/api/v1/usage?by=api_key",
		"keys.json":       "/api/v1/keys",
		"audit.json":      "/api/v1/audit",
		"jobs.json":       "/api/v1/jobs",
		"status.json":     "/api/v1/status",

		"forecast.json":    "/api/v1/forecast?by=workspace&organization=acme",
		"headroom.json":    "/api/v1/headroom?organization=acme",
		"claude_code.json": "/api/v1/claude-code?by=actor",

		"alerts.json":   "/api/v1/alerts",
		"history.json":  "/api/v1/alerts/history",
		"budgets.json":  "/api/v1/budgets",
		"silences.json": "/api/v1/silences",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body, header := ask(t, h, http.MethodGet, target)
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, "application/json", header.Get("Content-Type"))
			var b bytes.Buffer
			require.NoError(t, json.Indent(&b, []byte(body), "", "  "))
			golden.Check(t, name, bytes.ReplaceAll(b.Bytes(), []byte(o.Prices.Version()), []byte("VERSION")))
		})
	}
}

func TestAPIOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Open(t)))
	for target, want := range map[string]string{
		"/api/v1/costs?from=2026-11-01&to=2026-11-02": `{"as_of":null,"from":"2026-11-01T00:00:00Z","to":"2026-11-02T00:00:00Z",` +
			`"data":[],"total":{"cost_usd":"0","list_usd":"0"}}`,
		"/api/v1/headroom": `{"as_of":null,"data":[]}`,
		"/api/v1/keys":     `{"as_of":null,"data":[]}`,
		"/api/v1/audit":    `{"as_of":null,"organizations":[],"data":[],"total":{"findings":0,"info":0,"warning":0,"critical":0}}`,
		"/api/v1/jobs":     `{"as_of":"2026-11-22T10:30:00Z","data":[]}`,
		"/api/v1/status":   `{"version":"1.2.3","as_of":"2026-11-22T10:30:00Z","data":[]}`,
	} {
		status, body, _ := ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, want, body, target)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Open(t)))
	for _, tt := range []struct {
		method, target string
		status         int
		message        string
	}{
		{"GET", "/api/v1/costs?step=year", 400, `unknown step "year" (hour, day, week, month or total)`},
		{"GET", "/api/v1/costs?from=2026-12-01&to=2026-11-01", 400, "must be before to"},
		{"GET", "/api/v1/usage?by=teams", 400, `unknown dimension "teams"`},
		{"GET", "/api/v1/usage?by=team", 400, `no teams are configured`},
		{"GET", "/api/v1/efficiency?by=token_type", 400, `unknown dimension "token_type"`},
		{"GET", "/api/v1/efficiency?what_if=claude-sonet-5", 400, `no price is known for a model called "claude-sonet-5"; there is: claude-sonnet-5,`},
		{"GET", "/api/v1/efficiency?team=a", 400, `no teams are configured`},
		{"GET", "/api/v1/costs?what_if=claude-sonnet-5", 400, `unknown parameter "what_if" for costs`},
		{"POST", "/api/v1/efficiency", 405, "Method POST is not allowed here"},
		{"GET", "/api/v1/forecast?period=year", 400, `unknown period "year" (day, week, month or quarter)`},
		{"GET", "/api/v1/headroom?from=2026-11-01", 400, "more than a day"},
		{"GET", "/api/v1/claude-code?by=workspace", 400, `unknown dimension "workspace"`},
		{"POST", "/api/v1/forecast", 405, "Method POST is not allowed here"},
		{"GET", "/api/v1/keys?workspace=a", 400, `unknown parameter "workspace"`},
		{"GET", "/api/v1/audit?severity=bad", 400, "severity must be one of info, warning, critical"},
		{"GET", "/api/v1/audit?who=b", 400, `unknown parameter "who"`},
		{"GET", "/api/v1/jobs?a=b", 400, `unknown parameter "a"`},
		{"GET", "/api/v1/status?a=b", 400, `unknown parameter "a"`},
		{"GET", "/api/v2/costs", 404, "nothing here"},
		{"POST", "/api/", 404, "nothing here"},
		{"POST", "/api/v1/costs", 405, "Method POST is not allowed here"},
		{"DELETE", "/api/v1/keys", 405, "Method DELETE is not allowed here"},
	} {
		status, body, header := ask(t, h, tt.method, tt.target)
		require.Equal(t, tt.status, status, tt.target)
		require.Equal(t, "application/json", header.Get("Content-Type"), tt.target)
		var answer struct {
			Error struct{ Message string }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		require.Contains(t, answer.Error.Message, tt.message)
	}
	for _, tt := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/nowhere", 404},
		{"GET", "/static/", 404},
		{"GET", "/static/other.css", 404},
		{"POST", "/", 405},
		{"POST", "/metrics", 405},
		{"POST", "/-/healthy", 405},
		{"GET", "/-/reload", 405},
		{"HEAD", "/", 200},
		{"GET", "/static/style.css", 200},
		{"GET", "/static/page.js", 200},
	} {
		status, _, header := ask(t, h, tt.method, tt.target)
		require.Equal(t, tt.status, status, tt.method+" "+tt.target)
		require.Equal(t, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			header.Get("Content-Security-Policy"))
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	}
}

func TestPageOfTeams(t *testing.T) {
	t.Parallel()
	o := options(reporttest.Filled(t))
	_, body, _ := ask(t, web.New(o), http.MethodGet, "/")
	require.NotContains(t, body, "Teams this month")
	o.Teams = team.Teams{{Name: "search <&>", Workspaces: []string{reporttest.Staging}}}
	_, body, _ = ask(t, web.New(o), http.MethodGet, "/")
	require.Contains(t, body, "<h2>Teams this month</h2>")
	require.Contains(t, body, `<span class="name">search &lt;&amp;&gt;</span>`)
	require.Contains(t, body, `<span class="name">unmapped</span>`)
}

func TestPages(t *testing.T) {
	t.Parallel()
	status, body, header := ask(t, web.New(options(reporttest.Filled(t))), http.MethodGet, "/")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	golden.Check(t, "overview.html", []byte(body))

	_, body, _ = ask(t, web.New(options(reporttest.Open(t))), http.MethodGet, "/")
	require.Contains(t, body, "Waiting for the first collection")

	// An organization that is known but of which nothing was collected yet.
	store := reporttest.Open(t)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: reporttest.Acme, Name: "<b>acme"}, reporttest.Now))
	_, body, _ = ask(t, web.New(options(store)), http.MethodGet, "/")
	for _, text := range []string{
		"&lt;b&gt;acme", "no report has been read yet", "No cost is known for the last 30 days", "No rule has been evaluated yet",
		"Missing are 168 of 168 hours of usage",
	} {
		require.Contains(t, body, text)
	}
	require.NotContains(t, body, "<b>acme")

	_, body, _ = ask(t, web.New(options(store)), http.MethodGet, "/nowhere")
	require.Contains(t, body, "There is no such page.")
}

// Pages load nothing from elsewhere, run no script but the one of the server, and style nothing in place: the policy allows
// none of it.
func TestPagesKeepTheirPolicy(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	_, overview, _ := ask(t, h, http.MethodGet, "/")
	_, jobs, _ := ask(t, h, http.MethodGet, "/jobs")
	body := overview + jobs
	require.Equal(t, 2, strings.Count(body, "<script"))
	require.Equal(t, 2, strings.Count(body, `<script src="/static/page.js" defer></script>`))
	body = strings.ReplaceAll(body, `<a href="https://wiki.acme.example/budget" rel="noreferrer">`, "") // a link loads nothing
	for _, forbidden := range []string{"style=", "<style", "http://", "https://", " onclick", "javascript:", "ZgotmplZ"} {
		require.False(t, strings.Contains(body, forbidden), forbidden)
	}
}

// What the API, the metrics and the store say of a month is the same, to the last digit.
func TestFiguresAgree(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	m := metrics.New(store, metrics.Options{APIKeys: true})
	require.NoError(t, m.Refresh(t.Context(), reporttest.Now, map[string]bool{reporttest.Acme: true, reporttest.Beta: true}))
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	o := options(store)
	o.Gatherer = registry
	h := web.New(o)

	_, text, _ := ask(t, h, http.MethodGet, "/metrics")
	for organization, id := range map[string]string{"acme": reporttest.Acme, "beta": reporttest.Beta} {
		stored, err := store.Costs(t.Context(), storage.Query{
			Window: spend.Window{Start: reporttest.At(1, 0), End: reporttest.At(23, 0)},
			Where:  []storage.Match{{Dimension: spend.ByOrganization, Values: []string{id}}},
		})
		require.NoError(t, err)
		var want spend.Money
		for _, r := range stored.Rows {
			want += r.Cost
		}
		require.Positive(t, want)
		for _, query := range []string{"", "&step=day", "&by=workspace,model", "&by=api_key&step=day", "&by=cost_type,token_type"} {
			_, body, _ := ask(t, h, http.MethodGet, "/api/v1/costs?from=2026-11-01&to=2026-11-23&organization="+organization+query)
			var answer struct {
				Data []struct {
					Cost spend.Money `json:"cost_usd"`
				}
				Total struct {
					Cost spend.Money `json:"cost_usd"`
				}
			}
			require.NoError(t, json.Unmarshal([]byte(body), &answer))
			require.Equal(t, want, answer.Total.Cost, query)
			var rows spend.Money
			for _, r := range answer.Data {
				rows += r.Cost
			}
			require.Equal(t, want, rows, query)
		}
		for _, metric := range []string{"anthropic_cost_usd", "anthropic_api_key_cost_usd"} {
			require.Equal(t, want, sum(t, text, metric+"{", `organization="`+organization+`"`, `period="month"`), metric)
		}
	}
}

// sum adds up the samples whose line begins with the prefix and contains all of the rest.
func sum(t *testing.T, text, prefix string, contains ...string) spend.Money {
	t.Helper()
	var total spend.Money
lines:
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		for _, c := range contains {
			if !strings.Contains(line, c) {
				continue lines
			}
		}
		line = strings.TrimSpace(line)
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		require.NoError(t, err)
		total += spend.Money(math.Round(v * float64(spend.Dollar)))
	}
	return total
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	o := options(reporttest.Open(t))
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewBuildInfo("1.2.3", "abc", "go1.26"))
	o.Gatherer = registry
	h := web.New(o)
	_, body, header := ask(t, h, http.MethodGet, "/metrics")
	require.Contains(t, header.Get("Content-Type"), "text/plain")
	require.Contains(t, body, `anthropic_monitor_build_info{goversion="go1.26",revision="abc",version="1.2.3"} 1`)

	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	all, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	require.Contains(t, w.Result().Header.Get("Content-Type"), "application/openmetrics-text")
	require.True(t, strings.HasSuffix(string(all), "# EOF\n"))
}

func TestHealth(t *testing.T) {
	t.Parallel()
	empty, filled := options(reporttest.Open(t)), options(reporttest.Filled(t))
	status, _, _ := ask(t, web.New(empty), http.MethodGet, "/-/healthy")
	require.Equal(t, http.StatusOK, status)

	status, body, _ := ask(t, web.New(empty), http.MethodGet, "/-/ready")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "not ready: no collection has been tried yet\n", body)

	status, _, _ = ask(t, web.New(filled), http.MethodGet, "/-/ready")
	require.Equal(t, http.StatusOK, status)

	filled.Tried = func() bool { return false }
	status, _, _ = ask(t, web.New(filled), http.MethodGet, "/-/ready")
	require.Equal(t, http.StatusServiceUnavailable, status)

	empty.Tried = func() bool { return true }
	status, _, _ = ask(t, web.New(empty), http.MethodGet, "/-/ready")
	require.Equal(t, http.StatusOK, status)
}
