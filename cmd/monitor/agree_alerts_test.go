package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// agreeRules has a budget that every workspace has spent, and a receiver at a URL.
const agreeRules = `
notifiers: [{name: hook, webhook: {url: %q}}]
rules:
  - {name: spent, by: [workspace], notify: [hook], budget: {amount_usd: 0.01, period: quarter, actual: [100], forecast: []}}
`

// budgets compares what is spent of budgets with the costs of their period, and with the metrics.
func (a agreement) budgets() {
	a.t.Helper()
	var problem lastProblem
	a.eventually(func() bool { // when nothing is read, or scaled to a new bill, in between
		status, body := a.get("/api/v1/budgets")
		require.Equal(a.t, 200, status, "%s", body)
		var budgets answer
		require.NoError(a.t, json.Unmarshal(body, &budgets))
		require.NotEmpty(a.t, budgets.Data)
		var period spend.Window
		spent, cost, shown, gauges := figures{}, figures{}, figures{}, figures{}
		for _, r := range budgets.Data {
			require.NoError(a.t, period.Start.UnmarshalText([]byte(r["start"].(string))))
			require.NoError(a.t, period.End.UnmarshalText([]byte(r["end"].(string))))
			spent.add(a.money(r["spent_usd"]), r["subject"])
			shown.add(a.money(r["spent_usd"]), r["labels"].(map[string]any)["workspace"])
		}
		for _, r := range a.ask("/api/v1/costs", period, "by=workspace").Data {
			cost.add(a.money(r["cost_usd"]), "workspace="+r["workspace_id"].(string))
		}
		for labels, value := range a.metric("anthropic_budget_spent_usd") {
			gauges.add(int64(math.Round(value*1e9)), labels.subject)
		}
		problem = lastProblem(difference(cost, spent) + difference(shown, gauges))
		return problem == ""
	}, &problem, "budgets, costs and /metrics do not agree on what is spent")
}

// lastProblem is a text that still changes.
type lastProblem string

func (p *lastProblem) String() string { return string(*p) }

// told compares what was told of budgets with the history of alerts.
func (a agreement) told(receiver *hook) {
	a.t.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	a.query("select value, summary from alert_history where rule = 'spent' and event = 'firing'", func(scan func(...any)) {
		var usd float64
		var summary string
		scan(&usd, &summary)
		require.Contains(a.t, strings.ReplaceAll(summary, ",", ""), fmt.Sprintf(" $%.2f of $0.01 spent in ", usd))
		want[summary] = true
	})
	for _, m := range receiver.all() {
		require.Equal(a.t, "firing", m.Status)
		for _, x := range m.Alerts {
			require.False(a.t, got[x.Annotations["summary"]], "told twice: %v", x.Labels)
			got[x.Annotations["summary"]] = true
		}
	}
	require.Equal(a.t, want, got)
}
