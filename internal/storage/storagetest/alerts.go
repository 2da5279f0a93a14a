package storagetest

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// fired is an alert that fires.
func fired(rule, subject, when string) spend.Alert {
	return spend.Alert{
		Organization: org, Rule: rule, Subject: subject, State: spend.Firing, Severity: spend.Critical,
		PendingAt: at(when), FiredAt: at(when), NotifiedAt: at(when), SeenAt: at(when), AsOf: at(when),
		Labels: map[string]string{"organization": "acme", "rule": rule, "workspace": "Zoë's \"lab\""},
		Value:  1234.5, Limit: 1000, Unit: spend.UnitUSD, Basis: spend.Mixed, Summary: "cost is $1,234.50",
		Contributors: []spend.Contributor{{Name: "ci", Value: 1000, Share: 0.81}},
	}
}

func notification(id, notifier string, e spend.Event, when string, as ...spend.Alert) spend.Notification {
	return spend.Notification{
		ID: id, Organization: org, Notifier: notifier, Event: e, CreatedAt: at(when), Alerts: as,
		Series: map[string][]spend.Point{"f": {{At: at(when), Value: 1.5}}},
	}
}

func (e *env) evaluate(x storage.Evaluation) {
	e.Helper()
	require.NoError(e, e.owner.SaveEvaluation(e.Context(), x))
}

// outbox shows what was not delivered as lines.
func (e *env) outbox() []string {
	e.Helper()
	all, err := e.store.Outbox(e.Context(), org)
	require.NoError(e, err)
	lines := []string{}
	for _, o := range all {
		line := fmt.Sprintf("%s %s %s %d", o.ID, o.Notifier, o.State, o.Attempts)
		if !o.ClaimedUntil.IsZero() {
			line += " claimed until " + o.ClaimedUntil.Format("15:04")
		}
		if o.Problem != "" {
			line += fmt.Sprintf(" %s at %s, next %s", o.Problem, o.FailedAt.Format("15:04"), o.NextAt.Format("15:04"))
		}
		lines = append(lines, line)
	}
	return lines
}

func (e *env) seqs() []int64 {
	e.Helper()
	all, err := e.store.Outbox(e.Context(), org)
	require.NoError(e, err)
	var seqs []int64
	for _, o := range all {
		seqs = append(seqs, o.Seq)
	}
	return seqs
}

var alertTests = []test{
	{"are written whole, and forgotten", func(e *env) {
		ctx := e.Context()
		a, b := fired("spike", "workspace=wrkspc_a", "10 00:00"), fired("spike", "", "10 00:00")
		records := []storage.AlertRecord{{Alert: b, Told: []string{"chat"}}, {Alert: a}}
		e.evaluate(storage.Evaluation{Now: at("10 00:00"), Alerts: records})
		got, err := e.store.Alerts(ctx, org)
		require.NoError(e, err)
		require.Equal(e, records, got)
		when, err := e.store.EvaluatedAt(ctx, org)
		require.NoError(e, err)
		require.Equal(e, at("10 00:00"), when)

		a.State, a.ResolvedAt = spend.Resolved, at("10 01:00")
		e.evaluate(storage.Evaluation{
			Now: at("10 01:00"), Alerts: []storage.AlertRecord{{Alert: a}}, ForgetAlerts: []storage.AlertKey{{Rule: "spike"}, {Rule: "none"}},
		})
		got, err = e.store.Alerts(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.AlertRecord{{Alert: a}}, got)
	}},
	{"of an organization that is not known are none", func(e *env) {
		ctx := e.Context()
		alerts, err := e.store.Alerts(ctx, other)
		require.NoError(e, err)
		require.Empty(e, alerts)
		when, err := e.store.EvaluatedAt(ctx, other)
		require.NoError(e, err)
		require.Zero(e, when)
		out, err := e.store.Outbox(ctx, other)
		require.NoError(e, err)
		require.Empty(e, out)
	}},
	{"are written all or nothing", func(e *env) {
		require.Error(e, e.owner.SaveEvaluation(canceled(e.Context()), storage.Evaluation{
			Now: at("10 00:00"), Alerts: []storage.AlertRecord{{Alert: fired("spike", "", "10 00:00")}},
		}))
		a := fired("spike", "", "10 00:00")
		bad := fired("spike", "x", "10 00:00")
		zero := 0.0
		bad.Value /= zero // no JSON number
		require.Error(e, e.owner.SaveEvaluation(e.Context(), storage.Evaluation{
			Now: at("10 00:00"), Alerts: []storage.AlertRecord{{Alert: a}}, Notifications: []spend.Notification{notification("n", "chat", spend.EventFiring, "10 00:00", bad)},
		}))
		got, err := e.store.Alerts(e.Context(), org)
		require.NoError(e, err)
		require.Empty(e, got)
	}},
	{"have a history, in the view too", func(e *env) {
		ctx := e.Context()
		a := fired("spike", "workspace=wrkspc_a", "10 00:00")
		first := storage.AlertChange{At: at("10 00:00"), From: spend.Inactive, To: spend.Firing, Event: spend.EventFiring, Notifiers: []string{"chat", "mail"}, Alert: a}
		a.State, a.ResolvedAt = spend.Resolved, at("10 02:00")
		second := storage.AlertChange{At: at("10 02:00"), From: spend.Firing, To: spend.Resolved, Note: "the rule left the configuration", Alert: a}
		e.evaluate(storage.Evaluation{Now: at("10 00:00"), History: []storage.AlertChange{first}})
		e.evaluate(storage.Evaluation{Now: at("10 02:00"), History: []storage.AlertChange{second}})
		got, err := e.store.AlertHistory(ctx, org, span("01 00:00/31 00:00"), 10)
		require.NoError(e, err)
		require.Equal(e, []storage.AlertChange{second, first}, got)
		got, err = e.store.AlertHistory(ctx, org, span("10 00:00/10 02:00"), 10)
		require.NoError(e, err)
		require.Equal(e, []storage.AlertChange{first}, got)
		got, err = e.store.AlertHistory(ctx, org, span("01 00:00/31 00:00"), 1)
		require.NoError(e, err)
		require.Equal(e, []storage.AlertChange{second}, got)
		require.Equal(e, []string{
			"acme|spike|workspace=wrkspc_a|inactive|firing|firing|critical||cost is $1,234.50",
			"acme|spike|workspace=wrkspc_a|firing|resolved||critical|the rule left the configuration|cost is $1,234.50",
		}, e.ask(`
			select organization || '|' || rule || '|' || subject || '|' || from_state || '|' || state || '|' || event || '|' || severity || '|' || note || '|' || summary
			from alert_history
			order by at`))
	}},
	{"have marks, budgets and rules", func(e *env) {
		ctx := e.Context()
		m := storage.BudgetMark{Rule: "month", Subject: "workspace=wrkspc_a", Period: at("01 00:00"), Kind: storage.MarkActual, Threshold: 80, Amount: 5e9, CrossedAt: at("10 00:00")}
		low := m
		low.Threshold, low.Muted = 33.3, true
		gone := m
		gone.Rule = "gone"
		b := storage.Budget{
			Rule: "month", Subject: "workspace=wrkspc_a", Labels: map[string]string{"workspace": "search"}, PeriodName: "month", Period: span("01 00:00/31 00:00"),
			Limit: 5e9, Spent: 4e9, Forecast: 6e9, Forecasted: true, ExhaustedAt: at("20 00:00"), State: storage.BudgetOK, AsOf: at("10 00:00"), Basis: spend.Billed,
		}
		second := storage.Budget{Rule: "month", State: storage.BudgetWaiting, Note: "no data"}
		r := storage.RuleState{Rule: "month", Kind: "budget", Severity: spend.Warning, Problem: "no such", ProblemAt: at("10 00:00")}
		e.evaluate(storage.Evaluation{
			Now: at("10 00:00"), PutMarks: []storage.BudgetMark{m, low, gone}, PutBudgets: []storage.Budget{b, second},
			PutRules: []storage.RuleState{r, {Rule: "gone", Kind: "stale", Severity: spend.Info, Note: "quiet"}},
		})
		marks, err := e.store.BudgetMarks(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.BudgetMark{gone, low, m}, marks)
		budgets, err := e.store.Budgets(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.Budget{second, b}, budgets)

		r.Problem, r.ProblemAt = "", time.Time{}
		m.Muted = true
		e.evaluate(storage.Evaluation{
			Now: at("10 01:00"), PutMarks: []storage.BudgetMark{m}, DropMarks: []storage.BudgetMark{low}, ForgetRules: []string{"gone"},
			PutRules: []storage.RuleState{r}, ForgetBudgets: []storage.AlertKey{{Rule: "month"}},
		})
		marks, err = e.store.BudgetMarks(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.BudgetMark{m}, marks)
		budgets, err = e.store.Budgets(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.Budget{b}, budgets)
		rules, err := e.store.RuleStates(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.RuleState{r}, rules)
	}},
	{"are told once", func(e *env) {
		ctx := e.Context()
		a := fired("spike", "", "10 00:00")
		n := notification("n1", "chat", spend.EventFiring, "10 00:00", a)
		e.evaluate(storage.Evaluation{Now: at("10 00:00"), Notifications: []spend.Notification{n, notification("n2", "mail", spend.EventFiring, "10 00:00", a)}})
		e.evaluate(storage.Evaluation{Now: at("10 00:01"), Notifications: []spend.Notification{n}})
		require.Equal(e, []string{"n1 chat waiting 0", "n2 mail waiting 0"}, e.outbox(), "what has the id of another is that one")
		all, err := e.store.Outbox(ctx, org)
		require.NoError(e, err)
		require.Equal(e, n, all[0].Notification)

		seqs := e.seqs()
		claimed, err := e.owner.Claim(ctx, seqs[:1], at("10 00:02"), at("10 00:05"))
		require.NoError(e, err)
		require.Equal(e, seqs[:1], claimed)
		claimed, err = e.owner.Claim(ctx, seqs, at("10 00:03"), at("10 00:06"))
		require.NoError(e, err)
		require.Equal(e, seqs[1:], claimed, "what is claimed is nobody else's")
		require.Equal(e, []string{"n1 chat waiting 0 claimed until 00:05", "n2 mail waiting 0 claimed until 00:06"}, e.outbox())
		claimed, err = e.owner.Claim(ctx, seqs[:1], at("10 00:05"), at("10 00:10"))
		require.NoError(e, err)
		require.Equal(e, seqs[:1], claimed, "until the claim ends")

		failed := storage.Delivery{
			Seq: seqs[0], NotificationID: "n1", Notifier: "chat", Event: spend.EventFiring, Subjects: "spike", At: at("10 00:06"), Attempt: 1,
			Outcome: storage.DeliveryFailed, Problem: "503", NextAt: at("10 00:20"),
		}
		require.NoError(e, e.owner.FinishDelivery(ctx, failed))
		require.Equal(e, []string{"n1 chat waiting 1 503 at 00:06, next 00:20", "n2 mail waiting 0 claimed until 00:06"}, e.outbox())
		claimed, err = e.owner.Claim(ctx, seqs[:1], at("10 00:19"), at("10 00:30"))
		require.NoError(e, err)
		require.Empty(e, claimed, "not due")
		require.NoError(e, e.owner.FinishDelivery(ctx, storage.Delivery{Seq: seqs[1], Outcome: storage.DeliveryPostponed, NextAt: at("10 00:00")}))
		require.Equal(e, []string{"n1 chat waiting 1 503 at 00:06, next 00:20", "n2 mail waiting 0"}, e.outbox())

		sent := storage.Delivery{
			Seq: seqs[0], NotificationID: "n1", Notifier: "chat", Event: spend.EventFiring, Subjects: "spike", At: at("10 00:20"), Attempt: 2,
			Outcome: storage.DeliverySent, Receipt: "1234.5", Episodes: []string{a.Fingerprint()},
		}
		require.NoError(e, e.owner.FinishDelivery(ctx, sent))
		dead := storage.Delivery{
			Seq: seqs[1], NotificationID: "n2", Notifier: "mail", Event: spend.EventFiring, At: at("10 00:20"), Attempt: 1,
			Outcome: storage.DeliveryDead, Problem: "no such address",
		}
		require.NoError(e, e.owner.FinishDelivery(ctx, dead))
		require.Equal(e, []string{"n2 mail dead 1 no such address at 00:20, next 00:00"}, e.outbox())
		claimed, err = e.owner.Claim(ctx, seqs, at("11 00:00"), at("11 00:01"))
		require.NoError(e, err)
		require.Empty(e, claimed)

		log, err := e.store.Deliveries(ctx, org, 2)
		require.NoError(e, err)
		sent.Seq, sent.Receipt, sent.Episodes, dead.Seq = 0, "", nil, 0
		require.Equal(e, []storage.Delivery{dead, sent}, log)
		receipts, err := e.store.Receipts(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.Receipt{{Notifier: "chat", Fingerprint: a.Fingerprint(), Receipt: "1234.5", At: at("10 00:20")}}, receipts)

		e.evaluate(storage.Evaluation{Now: at("10 02:00"), Notifications: []spend.Notification{notification("n3", "chat", spend.EventResolved, "10 02:00", a)}})
		seqs = e.seqs()
		require.NoError(e, e.owner.FinishDelivery(ctx, storage.Delivery{
			Seq: seqs[1], NotificationID: "n3", Notifier: "chat", Event: spend.EventResolved, At: at("10 02:00"), Attempt: 1,
			Outcome: storage.DeliverySent, Episodes: []string{a.Fingerprint()},
		}))
		receipts, err = e.store.Receipts(ctx, org)
		require.NoError(e, err)
		require.Empty(e, receipts, "the episode is over")

		e.evaluate(storage.Evaluation{Now: at("10 00:20").Add(storage.DeadLetterAge)})
		require.Len(e, e.outbox(), 1)
		e.evaluate(storage.Evaluation{Now: at("10 00:21").Add(storage.DeadLetterAge)})
		require.Empty(e, e.outbox(), "dead letters are kept for 30 days")
	}},
	{"go with retention", func(e *env) {
		ctx := e.Context()
		a := fired("spike", "", "10 00:00")
		change := storage.AlertChange{At: at("10 00:00"), From: spend.Inactive, To: spend.Firing, Notifiers: []string{}, Alert: a}
		e.evaluate(storage.Evaluation{
			Now: at("10 00:00"), Alerts: []storage.AlertRecord{{Alert: a}}, History: []storage.AlertChange{change},
			Notifications: []spend.Notification{notification("n1", "chat", spend.EventFiring, "10 00:00", a), notification("n2", "chat", spend.EventReminder, "10 00:00", a)},
		})
		require.NoError(e, e.owner.FinishDelivery(ctx, storage.Delivery{
			Seq: e.seqs()[0], NotificationID: "n1", Notifier: "chat", Event: spend.EventFiring, At: at("10 00:00"), Outcome: storage.DeliverySent, Episodes: []string{"f"},
		}))
		require.NoError(e, e.store.SaveSilence(ctx, storage.Silence{ID: "s", StartsAt: at("10 00:00"), EndsAt: at("10 01:00"), CreatedAt: at("10 00:00")}))
		n, err := e.owner.Prune(ctx, storage.Keep{})
		require.NoError(e, err)
		require.Zero(e, n)
		n, err = e.owner.Prune(ctx, storage.Keep{Minute: at("11 00:00")})
		require.NoError(e, err)
		require.EqualValues(e, 1, n, "the attempt")
		n, err = e.owner.Prune(ctx, storage.Keep{Minute: at("11 00:00"), Hour: at("11 00:00")})
		require.NoError(e, err)
		require.EqualValues(e, 3, n, "change, receipt and silence")
		alerts, err := e.store.Alerts(ctx, org)
		require.NoError(e, err)
		require.Len(e, alerts, 1, "states stay")
		require.Len(e, e.outbox(), 1, "so does what waits")
	}},
}

var silenceTests = []test{
	{"are saved, listed and ended, by any process", func(e *env) {
		ctx := e.Context()
		s := storage.Silence{
			ID: "a1", Matchers: []storage.Matcher{{Label: "rule", Value: "spike"}, {Label: "workspace", Value: "search", IDs: []string{"wrkspc_a", "wrkspc_b"}}}, StartsAt: at("10 00:00"),
			EndsAt: at("12 00:00"), CreatedBy: "zoë", Comment: "known, see #12", CreatedAt: at("09 00:00"),
		}
		early := storage.Silence{ID: "b1", Matchers: []storage.Matcher{{Label: "rule", Value: "x"}}, StartsAt: at("10 00:00"), EndsAt: at("11 00:00"), CreatedAt: at("09 00:00")}
		require.NoError(e, e.owner.Release(), "no owner is needed")
		require.NoError(e, e.store.SaveSilence(ctx, s))
		require.NoError(e, e.store.SaveSilence(ctx, early))
		require.Error(e, e.store.SaveSilence(ctx, s), "ids are unique")
		got, err := e.store.Silences(ctx, at("10 00:00"))
		require.NoError(e, err)
		require.Equal(e, []storage.Silence{early, s}, got)
		got, err = e.store.Silences(ctx, at("11 00:00"))
		require.NoError(e, err)
		require.Equal(e, []storage.Silence{s}, got)

		require.NoError(e, e.store.EndSilence(ctx, "a1", at("11 00:00")))
		require.NoError(e, e.store.EndSilence(ctx, "a1", at("11 05:00")), "what is over stays so")
		for _, id := range []string{"none", "a\x00", "\x00", "\xff", ""} {
			require.ErrorIs(e, e.store.EndSilence(ctx, id, at("11 00:00")), storage.ErrNotFound, "%q", id)
		}
		got, err = e.store.Silences(ctx, at("10 00:00"))
		require.NoError(e, err)
		require.Len(e, got, 2)
		require.Equal(e, at("11 00:00"), got[0].EndsAt)
	}},
	{"match labels while they last", func(e *env) {
		s := storage.Silence{
			Matchers: []storage.Matcher{{Label: "rule", Value: "spike"}, {Label: "workspace", Value: "se*"}}, StartsAt: at("10 00:00"), EndsAt: at("12 00:00"),
		}
		labels := map[string]string{"rule": "spike", "workspace": "search"}
		require.True(e, s.Silences("", labels, at("10 00:00")))
		require.False(e, s.Silences("", labels, at("12 00:00")))
		require.False(e, s.Silences("", labels, at("09 23:59")))
		require.False(e, s.Silences("", map[string]string{"rule": "spike"}, at("11 00:00")))
		require.False(e, storage.Silence{StartsAt: at("10 00:00"), EndsAt: at("12 00:00")}.Silences("", labels, at("11 00:00")), "nothing matches everything by mistake")
	}},
	{"stay with what they name when it is called otherwise", func(e *env) {
		ctx := e.Context()
		named := func(a, b string) {
			require.NoError(e, e.owner.SaveWorkspaces(ctx, []spend.Workspace{{ID: "wrkspc_a", Name: a}, {ID: "wrkspc_b", Name: b}}, at("10 00:00")))
		}
		named("search", "chat")
		s, err := storage.NewSilence([]storage.Matcher{{Label: "workspace", Value: "search"}}, at("10 00:00"), at("12 00:00"), "zoë", "known", at("10 00:00"))
		require.NoError(e, err)
		require.NoError(e, s.Identify(ctx, e.store))
		require.NoError(e, e.store.SaveSilence(ctx, s))
		named("find", "search")
		all, err := e.store.Silences(ctx, at("11 00:00"))
		require.NoError(e, err)
		require.Equal(e, []storage.Silence{s}, all)
		silences := func(subject, workspace string) bool {
			return all[0].Silences(subject, map[string]string{"workspace": workspace}, at("11 00:00"))
		}
		require.True(e, silences("workspace=wrkspc_a,api_key=apikey_x", "find"))
		require.False(e, silences("workspace=wrkspc_b", "search"))
		require.True(e, silences("api_key=apikey_x,check=old", "search"), "where the subject does not say which, the name does")
	}},
}
