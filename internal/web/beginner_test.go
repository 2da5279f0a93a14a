package web_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// A report that has nothing for a young organization was not refused.
func TestReportWithoutDataYet(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	for _, r := range []spend.Report{spend.ReportAnalyticsUsage, spend.ReportAnalyticsCost} {
		require.NoError(t, owner.SetWatermark(t.Context(), storage.Watermark{Report: r, RefusedAt: reporttest.Now, Reason: storage.NoDataYet}))
	}
	require.NoError(t, owner.Release())
	h := web.New(options(store))
	_, body, _ := ask(t, h, http.MethodGet, "/")
	require.Contains(t, body, "The report <code>analytics_cost</code> has no data for this organization yet; it was asked at ")
	require.NotContains(t, body, "refused")
	_, body, _ = ask(t, h, http.MethodGet, "/jobs")
	require.Contains(t, body, "<td>no data yet</td>")
	require.NotContains(t, body, "refused")
}

// Budgets that cannot be judged are not budgets that nobody has set.
func TestBudgetsThatAreQuiet(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	owner, err := store.Own(t.Context(), reporttest.Beta)
	require.NoError(t, err)
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{Now: reporttest.Now, PutRules: []storage.RuleState{
		{Rule: "monthly", Kind: "budget", Severity: spend.Warning, Note: "no usage has been read yet"},
		{Rule: "each workspace", Kind: "budget", Severity: spend.Warning},
		{Rule: "late", Kind: "stale", Severity: spend.Warning, Note: "nothing"},
	}}))
	require.NoError(t, owner.Release())
	h := web.New(options(store))
	for _, target := range []string{"/", "/budgets"} {
		_, body, _ := ask(t, h, http.MethodGet, target)
		require.Contains(t, body, `<strong>monthly</strong> <span class="muted">is quiet: no usage has been read yet</span>`, target)
		require.Contains(t, body, `<strong>each workspace</strong> <span class="muted">has nothing to show: none of what it is about has cost anything yet</span>`, target)
		require.NotContains(t, body, "<strong>late</strong>", target)
		require.NotContains(t, body, "No budget is", target)
	}
}

// A budget of an organization that has not cost anything has no basis; one day is no days.
func TestBudgetsOfABeginner(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	known, err := store.Budgets(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	var forget []storage.AlertKey
	for _, x := range known {
		forget = append(forget, storage.AlertKey{Rule: x.Rule, Subject: x.Subject})
	}
	since := spend.Window{Start: reporttest.At(1, 0), End: reporttest.Now}
	low := storage.AlertRecord{Alert: spend.Alert{
		Organization: reporttest.Acme, Rule: "nearly out", State: spend.Firing, Severity: spend.Warning, FiredAt: reporttest.Now, SeenAt: reporttest.Now, Summary: "low",
	}}
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{Now: reporttest.Now, Alerts: []storage.AlertRecord{low}, ForgetBudgets: forget, PutBudgets: []storage.Budget{
		{Rule: "unspent", PeriodName: "month", Period: since, Limit: 10 * spend.Dollar, State: storage.BudgetOK, AsOf: reporttest.Now},
		{
			Rule: "nearly out", PeriodName: "balance", Period: since, Limit: 10 * spend.Dollar, Spent: 9 * spend.Dollar, State: storage.BudgetOK,
			AsOf: reporttest.Now, Basis: spend.Billed, ExhaustedAt: reporttest.Now.AddDate(0, 0, 1),
		},
		{
			Rule: "out soon", PeriodName: "balance", Period: since, Limit: 10 * spend.Dollar, Spent: 9 * spend.Dollar, State: storage.BudgetOK,
			AsOf: reporttest.Now, Basis: spend.Billed, ExhaustedAt: reporttest.Now.Add(1),
		},
	}}))
	require.NoError(t, owner.Release())
	h := web.New(options(store))
	_, body, _ := ask(t, h, http.MethodGet, "/")
	require.Regexp(t, regexp.MustCompile(`(?s)<strong>unspent</strong>.*?<p class="muted">As of <time`), body)
	_, body, _ = ask(t, h, http.MethodGet, "/budgets")
	require.Contains(t, body, `What is left <span class="state warning">runs low</span>`, "its rule fires")
	require.Contains(t, body, `What is left <span class="state ok">ok</span>`)
	require.Contains(t, body, "enough for <strong>1 day</strong>, until")
	require.Contains(t, body, "enough for <strong>less than a day</strong>, until")
}

// Where no usage may be read, what a key cost is not known, which is not nothing.
func TestKeysWithoutUsage(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: reporttest.Acme, Name: "acme"}, reporttest.Now))
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	require.NoError(t, owner.SaveAPIKeys(t.Context(), []spend.APIKey{{ID: reporttest.KeyProd, Name: "prod", Status: "active", CreatedAt: reporttest.At(1, 0)}}, reporttest.Now))
	require.NoError(t, owner.SaveAudit(t.Context(), storage.Audit{
		AuditAbout: storage.AuditAbout{EvaluatedAt: reporttest.Now, InventoryAt: reporttest.Now, CostAt: reporttest.Now},
	}))
	require.NoError(t, owner.Release())
	h := web.New(options(store))
	_, body, _ := ask(t, h, http.MethodGet, "/keys")
	require.Contains(t, body, "1 key<")
	require.Contains(t, body, `<td data-label="30 days" class="number"><span class="muted">not known</span></td>`)
	require.NotContains(t, body, "$0.00")
	_, body, _ = ask(t, h, http.MethodGet, "/")
	require.NotContains(t, body, "$0.00 in all")
}
