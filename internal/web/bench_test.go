package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// benchPages are the pages that [BenchmarkPages] asks for.
var benchPages = []string{
	"/",
	"/?by=model",
	"/?by=team",
	"/explore",
	"/explore?by=api_key&range=90d&compare=before",
	"/explore?by=workspace,model&range=month&model=claude-*",
	"/explore?by=model&range=7d&measure=tokens&step=hour",
	"/budgets",
	"/alerts",
	"/keys",
	"/jobs",
}

const (
	benchKeys = 1000
	benchDays = 90
)

// BenchmarkPages measures the pages over 90 days of hours of 1,000 keys (2.2 million rows). The limit is
// one plain sum of the same rows by the database, which it prints too.
func BenchmarkPages(b *testing.B) {
	for _, backend := range backends {
		b.Run(backend, func(b *testing.B) {
			store := open(b, backend)
			now := time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC)
			w := spend.Window{Start: spend.Day.Floor(now).AddDate(0, 0, 1-benchDays), End: spend.Hour.Floor(now)}
			fillMany(b, store, w)
			o := options(store)
			o.Now = func() time.Time { return now }
			o.Backfill = benchDays * 24 * time.Hour
			o.Teams = team.Teams{{Name: "search", Workspaces: []string{"workspace 1*"}}, {Name: "ops", APIKeys: []string{"key 2*"}}}
			o.Budgets = []web.BudgetRule{{Name: "budget", By: []spend.Dimension{spend.ByAPIKey}, Actual: []float64{50, 80, 100}}}
			h := web.New(o)
			start := time.Now()
			const sums = 3
			for range sums {
				_, err := store.Usage(b.Context(), storage.Query{Window: w, Facts: true})
				require.NoError(b, err)
			}
			plain := time.Since(start) / sums
			look := func(b *testing.B, target string) {
				r := httptest.NewRecorder()
				h.ServeHTTP(r, httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, nil))
				require.Equal(b, http.StatusOK, r.Code, target)
			}
			for _, target := range benchPages {
				start := time.Now()
				look(b, target)
				first := time.Since(start) // what of it is remembered by the next is made
				b.Run(target, func(b *testing.B) {
					for b.Loop() {
						look(b, target)
					}
					b.ReportMetric(float64(first.Microseconds())/1000, "first-ms")
					took := b.Elapsed() / time.Duration(b.N)
					b.ReportMetric(float64(took.Microseconds())/1000, "ms")
					b.ReportMetric(float64(plain.Microseconds())/1000, "plain-sum-ms")
					b.ReportMetric(float64(took)/float64(plain), "page/plain-sum")
				})
			}
		})
	}
}

// fillMany writes the use of many keys, and what else the pages of a well-used monitor show.
func fillMany(t testing.TB, store storage.Store, w spend.Window) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, store.SaveOrganization(ctx, spend.Organization{ID: reporttest.Acme, Name: "acme"}, w.Start))
	owner, err := store.Own(ctx, reporttest.Acme)
	require.NoError(t, err)
	require.NoError(t, owner.SetLive(ctx, w.End))
	ws, ks := make([]spend.Workspace, reporttest.ManyWorkspaces), make([]spend.APIKey, benchKeys)
	for i := range ws {
		ws[i] = spend.Workspace{ID: fmt.Sprintf("wrkspc_%d", i), Name: fmt.Sprintf("workspace %d", i), CreatedAt: w.Start}
	}
	for i := range ks {
		ks[i] = spend.APIKey{
			ID: fmt.Sprintf("apikey_%d", i), Name: fmt.Sprintf("key %d", i), WorkspaceID: ws[i%len(ws)].ID, Status: "active", CreatedAt: w.Start,
		}
	}
	require.NoError(t, owner.SaveWorkspaces(ctx, ws, w.Start))
	require.NoError(t, owner.SaveAPIKeys(ctx, ks, w.Start))
	today := spend.Window{Start: spend.Day.Floor(w.End), End: w.End}
	reporttest.Many(t, owner, spend.Window{Start: w.Start, End: today.Start}, benchKeys)
	var us []spend.Usage
	for _, h := range today.Buckets(spend.Hour) {
		us = append(us, reporttest.ManyHour(h.Start, benchKeys, 0)...)
	}
	_, err = owner.ReplaceUsage(ctx, storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: today, At: w.End, DataAt: w.End}, us)
	require.NoError(t, err)
	reporttest.SumDays(t, owner, w.End)
	require.NoError(t, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: w.End, ReadAt: w.End}))
	e := storage.Evaluation{Now: w.End, PutRules: []storage.RuleState{{Rule: "spike", Kind: "anomaly", Severity: spend.Warning}}}
	for i := range 500 {
		a := spend.Alert{
			Organization: reporttest.Acme, Rule: "spike", Subject: fmt.Sprintf("api_key=apikey_%d", i), State: spend.Firing, Severity: spend.Warning,
			FiredAt: w.End.Add(-time.Hour), AsOf: w.End, Value: 2, Limit: 1, Unit: spend.UnitUSD, Basis: spend.Estimated, Summary: "a spike",
		}
		e.Alerts = append(e.Alerts, storage.AlertRecord{Alert: a})
		e.History = append(e.History, storage.AlertChange{At: a.FiredAt, From: spend.Inactive, To: spend.Firing, Alert: a})
		e.PutBudgets = append(e.PutBudgets, storage.Budget{
			Rule: "budget", Subject: a.Subject, Labels: map[string]string{"api_key": ks[i].Name}, PeriodName: "month",
			Period: spend.Window{Start: spend.MonthStart(w.End), End: spend.MonthStart(w.End).AddDate(0, 1, 0)},
			Limit:  100 * spend.Dollar, Spent: spend.Money(i) * spend.Dollar / 10, State: storage.BudgetOK, AsOf: w.End, Basis: spend.Estimated,
		})
	}
	require.NoError(t, owner.SaveEvaluation(ctx, e))
	for i := range 5000 {
		at := w.End.Add(time.Duration(i-5000) * time.Minute)
		require.NoError(t, owner.SaveRun(ctx, storage.Run{Organization: reporttest.Acme, Job: "usage", StartedAt: at, EndedAt: at.Add(time.Second), Outcome: "ok", Rows: 1, Requests: 1}))
	}
	require.NoError(t, owner.Release())
}
