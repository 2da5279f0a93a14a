package metrics

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var (
	budgetLimit = desc("anthropic_budget_limit_usd",
		"Amount of a budget in US dollars, by rule and what the budget is for (empty: all of the organization, or what the rule filters).",
		"rule", "subject")
	budgetSpent = desc("anthropic_budget_spent_usd",
		"Spent of a budget in its current period in US dollars, "+asOf+". Absent while hours of the period were not read yet.",
		"rule", "subject")
	budgetForecast = desc("anthropic_budget_forecast_usd",
		"What the current period of a budget is expected to have cost when it ends, in US dollars. Absent where too little is known.",
		"rule", "subject")
	budgetExhausted = desc("anthropic_budget_exhausted_timestamp_seconds",
		"When the budget was, or is expected to be, used up. Absent: not in the current period, as far as can be told.",
		"rule", "subject")
	alertsByState = desc("anthropic_monitor_alerts",
		"Alerts by rule and state (pending, firing, stale: firing, and its data stopped).",
		"rule", "severity", "state")
	ruleFailing = desc("anthropic_monitor_rule_failing",
		"1 where a rule could not be judged in the last evaluation: its alerts stay as they are.",
		"rule")
	evaluated = desc("anthropic_monitor_last_evaluation_timestamp_seconds",
		"When the rules were last evaluated.")
	notificationsPending = desc("anthropic_monitor_notifications_pending",
		"Notifications that wait to be delivered (outcome waiting) or were given up in the last 30 days (dead).",
		"notifier", "outcome")

	alertDescs = []*prometheus.Desc{
		budgetLimit, budgetSpent, budgetForecast, budgetExhausted, alertsByState, ruleFailing, evaluated, notificationsPending,
	}
)

// alerts adds what the engine of the rules left in the store.
func (b *builder) alerts(ctx context.Context) error {
	if err := b.budgets(ctx); err != nil {
		return err
	}
	when, err := b.store.EvaluatedAt(ctx, b.id)
	if err != nil {
		return fmt.Errorf("last evaluation: %w", err)
	}
	if !when.IsZero() {
		b.gauge(evaluated, unix(when))
	}
	rules, err := b.store.RuleStates(ctx, b.id)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	as, err := b.store.Alerts(ctx, b.id)
	if err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	type key struct {
		rule  string
		state spend.AlertState
	}
	counts := map[key]float64{}
	for _, a := range as {
		counts[key{a.Rule, a.State}]++
	}
	for _, r := range rules {
		failing := 0.0
		if r.Problem != "" {
			failing = 1
		}
		b.gauge(ruleFailing, failing, r.Rule)
		for _, s := range []spend.AlertState{spend.Pending, spend.Firing, spend.Stale} {
			b.gauge(alertsByState, counts[key{r.Rule, s}], r.Rule, string(r.Severity), string(s))
		}
	}
	return b.outbox(ctx)
}

func (b *builder) budgets(ctx context.Context) error {
	bs, err := b.store.Budgets(ctx, b.id)
	if err != nil {
		return fmt.Errorf("budgets: %w", err)
	}
	subjects := newLabels()
	for _, x := range bs {
		subject := ""
		if x.Subject != "" {
			subjects.add(x.Rule+"\x00"+x.Subject, cmp.Or(budgetSubject(x), x.Subject))
			subject = subjects.get(x.Rule + "\x00" + x.Subject)
		}
		b.gauge(budgetLimit, x.Limit.USD(), x.Rule, subject)
		if x.State == storage.BudgetWaiting {
			continue
		}
		b.gauge(budgetSpent, x.Spent.USD(), x.Rule, subject)
		if x.Forecasted {
			b.gauge(budgetForecast, x.Forecast.USD(), x.Rule, subject)
		}
		if !x.ExhaustedAt.IsZero() {
			b.gauge(budgetExhausted, unix(x.ExhaustedAt), x.Rule, subject)
		}
	}
	return nil
}

// budgetSubject names what a budget is for.
func budgetSubject(x storage.Budget) string {
	var parts []string
	for _, part := range strings.Split(x.Subject, ",") { // in the order of the rule
		d, _, _ := strings.Cut(part, "=")
		if name, ok := x.Labels[d]; ok {
			parts = append(parts, cmp.Or(name, "(none)"))
		}
	}
	return strings.Join(parts, ", ")
}

func (b *builder) outbox(ctx context.Context) error {
	out, err := b.store.Outbox(ctx, b.id)
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	type key struct {
		notifier string
		state    storage.OutgoingState
	}
	counts := map[key]float64{}
	for _, o := range out {
		counts[key{o.Notifier, o.State}]++
	}
	keys := sortedKeys(counts, func(a, b key) int { return cmp.Or(cmp.Compare(a.notifier, b.notifier), cmp.Compare(a.state, b.state)) })
	for _, k := range keys {
		b.gauge(notificationsPending, counts[k], k.notifier, string(k.state))
	}
	return nil
}
