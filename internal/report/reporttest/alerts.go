package reporttest

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// judged is what an evaluation of Acme's rules left: an exceeded budget that fires, one that is
// well, one that waits for data, a rule that fails, a message that waits and one that was given up.
func judged(f filler) {
	ctx := f.Context()
	month := spend.Window{Start: At(1, 0), End: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	fired := spend.Alert{
		Organization: Acme, Rule: "monthly budget", Subject: "workspace=" + Default + ",kind=actual,threshold=100,period=2026-11-01T00",
		State: spend.Firing, Severity: spend.Critical, PendingAt: At(21, 10), FiredAt: At(21, 10), NotifiedAt: At(21, 10), SeenAt: Now, AsOf: Now,
		Labels: map[string]string{"organization": "acme", "rule": "monthly budget", "severity": "critical", "workspace": "Default", "threshold": "100"},
		Value:  23.5, Limit: 20, Unit: spend.UnitUSD, Basis: spend.Mixed, RunbookURL: "https://wiki.acme.example/budget",
		Summary:      "Budget monthly budget, workspace Default: $23.50 of $20.00 spent in November 2026 (117.5 %). It ran out on Saturday, 21 November",
		Contributors: []spend.Contributor{{Name: "prod", Value: 21.15, Share: 0.9}},
	}
	quiet := fired
	quiet.Rule, quiet.Subject, quiet.State, quiet.Silenced, quiet.Severity = "new <admin>", "admin=user_01Ada", spend.Stale, true, spend.Warning
	quiet.Labels = map[string]string{"organization": "acme", "rule": "new <admin>", "severity": "warning", "admin": "ada@acme.example"}
	quiet.Summary, quiet.Unit, quiet.Value, quiet.Limit, quiet.Contributors, quiet.RunbookURL = "New admin of acme: ada@acme.example", spend.UnitNone, 0, 0, nil, ""
	n := spend.Notification{
		ID: "msg_1", Organization: Acme, Notifier: "team-chat", Event: spend.EventFiring, CreatedAt: At(21, 10), Alerts: []spend.Alert{fired},
	}
	second := n
	second.ID, second.Notifier = "msg_2", "mail"
	third := n
	third.ID, third.Notifier = "msg_3", "pager"
	f.ok(f.SaveEvaluation(ctx, storage.Evaluation{
		Now:    Now,
		Alerts: []storage.AlertRecord{{Alert: fired, Told: []string{"team-chat"}}, {Alert: quiet}},
		History: []storage.AlertChange{
			{At: At(21, 9), From: spend.Inactive, To: spend.Firing, Notifiers: []string{}, Alert: quiet},
			{At: At(21, 10), From: spend.Inactive, To: spend.Firing, Event: spend.EventFiring, Notifiers: []string{"team-chat", "mail", "pager"}, Alert: fired},
			{At: At(22, 9), From: spend.Firing, To: spend.Stale, Notifiers: []string{}, Alert: quiet},
		},
		PutRules: []storage.RuleState{
			{Rule: "monthly budget", Kind: "budget", Severity: spend.Critical},
			{Rule: "new <admin>", Kind: "new", Severity: spend.Warning, Problem: "changes of the inventory: database unavailable", ProblemAt: At(22, 9)},
		},
		PutBudgets: []storage.Budget{
			{
				Rule: "monthly budget", Subject: "workspace=" + Default, Labels: map[string]string{"workspace": "Default"}, PeriodName: "month", Period: month,
				Limit: 20 * spend.Dollar, Spent: 2350 * spend.Cent, Forecast: 31 * spend.Dollar, Forecasted: true, ExhaustedAt: At(21, 0),
				State: storage.BudgetExceeded, AsOf: Now, Basis: spend.Mixed,
			},
			{
				Rule: "monthly budget", Subject: "workspace=" + Staging2, Labels: map[string]string{"workspace": "staging (9f2k1z)"}, PeriodName: "month", Period: month,
				Limit: 20 * spend.Dollar, Spent: 50 * spend.Cent, State: storage.BudgetOK, AsOf: Now, Basis: spend.Estimated, Note: "too little is known for a forecast",
			},
			{
				Rule: "quarter", PeriodName: "quarter", Period: spend.Window{Start: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
				Limit: 100 * spend.Dollar, State: storage.BudgetWaiting, AsOf: Now, Note: "hours of the period were not read yet",
			},
		},
		Notifications: []spend.Notification{n, second, third},
	}))
	for i, d := range []storage.Delivery{
		{Outcome: storage.DeliverySent, Notifier: "team-chat", Episodes: []string{fired.Fingerprint()}},
		{Outcome: storage.DeliveryFailed, Notifier: "mail", Problem: "mail.acme.example: connection refused", NextAt: At(22, 11)},
		{Outcome: storage.DeliveryDead, Notifier: "pager", Problem: "404 no such service: refused for good"},
	} {
		d.Seq, d.NotificationID, d.Event, d.Subjects = int64(i+1), []string{"msg_1", "msg_2", "msg_3"}[i], spend.EventFiring, "monthly budget "+fired.Subject
		d.At, d.Attempt = At(21, 10).Add(time.Duration(i)*time.Second), 1
		f.ok(f.FinishDelivery(ctx, d))
	}
}

// silences are those of the history.
var silences = []storage.Silence{
	{
		ID: "5c1e2f3a4b5d6e7f", Matchers: []storage.Matcher{{Label: "rule", Value: "new*"}}, StartsAt: At(21, 0), EndsAt: At(23, 0),
		CreatedBy: "ada", Comment: "expected: the offboarding of <Bob>", CreatedAt: At(21, 0),
	},
}
