package main

import (
	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/web"
)

// budgetRules are what the pages say of rules with a budget.
func budgetRules(rules []alerts.RuleConfig) []web.BudgetRule {
	var out []web.BudgetRule
	for _, r := range rules {
		if r.Budget == nil {
			continue
		}
		b := web.BudgetRule{Name: r.Name, By: r.By, Actual: r.Budget.Actual, Forecast: r.Budget.Forecast}
		for _, f := range []report.Filter{
			{Dimension: spend.ByWorkspace, Values: r.Where.Workspace},
			{Dimension: spend.ByAPIKey, Values: r.Where.APIKey},
			{Dimension: spend.ByModel, Values: r.Where.Model},
			{Dimension: spend.ByServiceTier, Values: r.Where.ServiceTier},
			{Dimension: spend.ByTeam, Values: r.Where.Team},
		} {
			if len(f.Values) > 0 {
				b.Where = append(b.Where, f)
			}
		}
		out = append(out, b)
	}
	return out
}
