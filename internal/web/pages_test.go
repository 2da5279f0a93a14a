package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// Every page has the frame: its place in the navigation, the way around it, and what its times are.
func TestFrame(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	for path, title := range map[string]string{"/": "Overview", "/alerts": "Alerts", "/keys": "Keys and access", "/jobs": "Jobs and data"} {
		status, body, header := ask(t, h, http.MethodGet, path)
		require.Equal(t, http.StatusOK, status, path)
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		for _, want := range []string{
			`<html lang="en">`, "<title>" + title + " · Anthropic Monitor</title>", `<a class="skip" href="#content">`, `<main id="content" tabindex="-1">`,
			`<a href="` + path + `" aria-current="page">`, "<span data-zone>All times are UTC.</span>", `<a href="/metrics">metrics</a>`, "Version 1.2.3.",
		} {
			require.True(t, strings.Contains(body, want), "%s: %s", path, want)
		}
		require.Equal(t, 1, strings.Count(body, `aria-current="page"`), path)
		require.Equal(t, strings.Count(body, "<table>")+strings.Count(body, "<table class"), strings.Count(body, `role="region" tabindex="0" aria-label="`), "%s: a table that is wide can be scrolled, also by the keyboard", path)
	}
	status, body, _ := ask(t, h, http.MethodGet, "/nowhere")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "<title>Not Found · Anthropic Monitor</title>")
	require.NotContains(t, body, "aria-current")
	for path, want := range map[string]string{"/static/style.css": "text/css; charset=utf-8", "/static/page.js": "text/javascript; charset=utf-8"} {
		_, _, header := ask(t, h, http.MethodGet, path)
		require.Equal(t, want, header.Get("Content-Type"))
		require.Equal(t, "max-age=300", header.Get("Cache-Control"))
	}
}

func TestPageParameters(t *testing.T) {
	t.Parallel()
	o := options(reporttest.Filled(t))
	h := web.New(o)
	for target, want := range map[string]string{
		"/?by=day":           "by: &#34;day&#34; is not one of workspace, model and team",
		"/?by=":              "by: &#34;&#34; is not one of",
		"/?by=team":          "by: no teams are configured",
		"/?by=%3Cb%3E":       "by: &#34;&lt;b&gt;&#34; is not",
		"/?step=hour":        "unknown parameter &#34;step&#34;: the only one here is by",
		"/jobs?organization": "unknown parameter &#34;organization&#34;: this page has none",
	} {
		status, body, _ := ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusBadRequest, status, target)
		require.Contains(t, body, want, target)
	}
	_, body, _ := ask(t, h, http.MethodGet, "/?by=model")
	require.Contains(t, body, `<a href="/?by=model#organization-1-days" aria-current="true">by model</a>`)
	require.NotContains(t, body, "by team")
	o.Teams = team.Teams{{Name: "search", Workspaces: []string{"staging*"}}}
	_, byTeam, _ := ask(t, web.New(o), http.MethodGet, "/?by=team")
	require.Contains(t, byTeam, `<a href="/?by=team#organization-1-days" aria-current="true">by team</a>`)
	require.Contains(t, byTeam, "50 % of this month, $12.04 (mixed), is of no team")
	_, byWorkspace, _ := ask(t, web.New(o), http.MethodGet, "/")
	cut := func(body string) string {
		_, rest, _ := strings.Cut(body, "<h2>Teams this month</h2>")
		table, _, _ := strings.Cut(rest, "</table>")
		return table
	}
	require.Equal(t, cut(byWorkspace), cut(byTeam), "asked for by the day or as a sum, the month is the same")
	require.Contains(t, cut(byTeam), "search")
}

// Names come from elsewhere: they are text wherever they stand.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert("x")</script>'"&`
	store := reporttest.Filled(t)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: reporttest.Acme, Name: evil + "o"}, reporttest.Now))
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	require.NoError(t, owner.SaveWorkspaces(t.Context(), []spend.Workspace{{ID: reporttest.Default, Name: evil + "w", Default: true}, {ID: reporttest.Staging, Name: evil + "v"}}, reporttest.Now))
	require.NoError(t, owner.SaveAPIKeys(t.Context(), []spend.APIKey{{ID: reporttest.KeyProd, Name: evil + "k", WorkspaceID: reporttest.Default}}, reporttest.Now))
	require.NoError(t, owner.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, RefusedAt: reporttest.Now, Reason: evil + "r"}))
	require.NoError(t, owner.SaveRun(t.Context(), storage.Run{Organization: reporttest.Acme, Job: evil + "j", StartedAt: reporttest.Now, EndedAt: reporttest.Now, Outcome: "failed", Error: evil + "e"}))
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{
		Now: reporttest.Now,
		PutRules: []storage.RuleState{
			{Rule: evil + "rule", Kind: "anomaly", Note: evil + "note"}, {Rule: "broken", Kind: "budget", Problem: evil + "p", ProblemAt: reporttest.Now},
		},
		PutBudgets: []storage.Budget{{
			Rule: evil + "b", Subject: "workspace=x", Labels: map[string]string{"workspace": evil + "l"}, PeriodName: "day", Limit: spend.Dollar, Spent: 9 * spend.Dollar,
			AsOf: reporttest.Now, Basis: spend.Estimated, State: storage.BudgetExceeded, Note: evil + "n",
		}},
		Alerts: []storage.AlertRecord{{Alert: spend.Alert{
			Organization: reporttest.Acme, Rule: evil + "rule", State: spend.Firing, Severity: spend.Critical, Summary: evil + "s",
			FiredAt: reporttest.Now.Add(-time.Hour), SeenAt: reporttest.Now, AsOf: reporttest.At(22, 10), Value: 2, Limit: 1, RunbookURL: "javascript:alert(1)",
		}}},
	}))
	require.NoError(t, owner.Release())
	h := web.New(options(store))
	for _, target := range []string{"/", "/?by=model", "/jobs"} {
		status, body, _ := ask(t, h, http.MethodGet, target)
		require.Equal(t, http.StatusOK, status, target)
		require.Equal(t, 1, strings.Count(body, "<script"), target)
		require.False(t, strings.Contains(body, "alert(\"x\")"), target)
		require.False(t, strings.Contains(body, `href="javascript:`), target)
		require.True(t, strings.Contains(body, "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&#39;&#34;&amp;o"), target)
	}
	_, body, _ := ask(t, h, http.MethodGet, "/")
	for _, name := range []string{"v", "k", "r", "rule", "note", "b", "l", "s", "p", "n"} {
		require.True(t, strings.Contains(body, "&lt;/script&gt;&#39;&#34;&amp;"+name), name)
	}
	_, body, _ = ask(t, h, http.MethodGet, "/jobs")
	for _, name := range []string{"r", "j", "e"} {
		require.True(t, strings.Contains(body, "&lt;/script&gt;&#39;&#34;&amp;"+name), name)
	}
}

// What the alert engine found is marked; where no anomaly rule is, the page says so and marks nothing.
func TestAnomaliesOnTheOverview(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	h := web.New(options(store))
	_, body, _ := ask(t, h, http.MethodGet, "/")
	require.Contains(t, body, "No anomaly rule is configured, so no hour is judged.")
	require.NotContains(t, body, `class="mark"`)

	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	rule := storage.RuleState{Rule: "spike", Kind: "anomaly", Severity: spend.Warning}
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{Now: reporttest.Now, PutRules: []storage.RuleState{rule}}))
	_, body, _ = ask(t, h, http.MethodGet, "/")
	require.Contains(t, body, "The anomaly rule found nothing unusual in these hours.")

	rule.Note = "too little history by the hour"
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{Now: reporttest.Now, PutRules: []storage.RuleState{rule}}))
	_, body, _ = ask(t, h, http.MethodGet, "/")
	require.Contains(t, body, "<code>spike</code> is quiet: too little history by the hour")
	require.NotContains(t, body, "nothing unusual", "a rule that cannot judge has found nothing, which says nothing")
	a := spend.Alert{
		Organization: reporttest.Acme, Rule: "spike", State: spend.Firing, Severity: spend.Warning, FiredAt: reporttest.At(22, 2).Add(4 * time.Minute),
		SeenAt: reporttest.At(22, 2).Add(4 * time.Minute), AsOf: reporttest.At(22, 2), Value: 9, Limit: 3, Unit: spend.UnitUSD, Summary: "Cost of acme: 3 times as much",
	}
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{
		Now: reporttest.Now, PutRules: []storage.RuleState{rule}, Alerts: []storage.AlertRecord{{Alert: a}},
		History: []storage.AlertChange{{At: a.FiredAt, From: spend.Inactive, To: spend.Firing, Notifiers: []string{}, Alert: a}},
	}))
	require.NoError(t, owner.Release())
	_, body, _ = ask(t, h, http.MethodGet, "/")
	require.Contains(t, body, "<title>Sun 22 November 01:00 to 02:00: $1.06, estimated\nanomaly: Cost of acme: 3 times as much</title>")
	require.Equal(t, 1, strings.Count(body, `class="mark"`))
	require.Contains(t, body, `<p><span class="bad">▼</span> Cost of acme: 3 times as much</p>`)
	require.Contains(t, body, "<code>spike</code> is quiet: too little history by the hour")
}

func TestStatesOfJobsAndData(t *testing.T) {
	t.Parallel()
	empty := reporttest.Open(t)
	_, body, _ := ask(t, web.New(options(empty)), http.MethodGet, "/jobs")
	require.Contains(t, body, "Waiting for the first collection")
	require.Contains(t, body, "SQLite ")

	require.NoError(t, empty.SaveOrganization(t.Context(), spend.Organization{ID: reporttest.Acme, Name: "acme"}, reporttest.Now))
	_, body, _ = ask(t, web.New(options(empty)), http.MethodGet, "/jobs")
	for _, want := range []string{"No report has been read yet", "No job has run yet", "No settled day has been compared yet", "not collected yet", "0 % of the history wanted is there"} {
		require.Contains(t, body, want)
	}
	require.NotContains(t, body, "Request counts", "nothing says that they can be read")
	o := options(empty)
	o.Backfill = 0
	_, body, _ = ask(t, web.New(o), http.MethodGet, "/jobs")
	require.NotContains(t, body, "<h2>History</h2>")

	store := reporttest.Filled(t)
	_, err := store.Ask(t.Context(), storage.Request{
		Organization: reporttest.Acme, Kind: storage.RequestBackfill, Grain: spend.Hour, Window: spend.Window{Start: reporttest.At(1, 0), End: reporttest.At(5, 0)},
		AskedAt: reporttest.Now,
	})
	require.NoError(t, err)
	_, body, _ = ask(t, web.New(options(store)), http.MethodGet, "/jobs")
	for _, want := range []string{
		"backfill from 2026-11-01 to 2026-11-05, since", "cost report: 529 overloaded", `<span class="outcome failed">goes on</span>`,
		"refused at <time", "the key has no scope read:analytics", "1 of 2 settled days", "Never read: 2026-11-16 to 2026-11-18", "too little to tell",
	} {
		require.True(t, strings.Contains(body, want), want)
	}
}
