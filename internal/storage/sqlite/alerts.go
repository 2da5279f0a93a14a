package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// scanJSON scans a column that holds a value as JSON.
func scanJSON[T any](scan scanner) (x T, err error) {
	var body string
	if err = scan(&body); err == nil {
		err = json.Unmarshal([]byte(body), &x)
	}
	return x, err
}

// encode is a value as JSON.
func encode(x any) (string, error) {
	b, err := json.Marshal(x)
	return string(b), err
}

// Alerts lists the alerts that are not inactive.
func (s *Store) Alerts(ctx context.Context, organization string) ([]storage.AlertRecord, error) {
	return list(ctx, s, "listing alerts", `select x.body from alert x`+byOrganization+` order by x.rule, x.subject`,
		[]any{organization}, scanJSON[storage.AlertRecord])
}

// EvaluatedAt is when rules were last evaluated.
func (s *Store) EvaluatedAt(ctx context.Context, organization string) (time.Time, error) {
	ts, err := list(ctx, s, "reading the last evaluation", `select x.at from evaluation x`+byOrganization, []any{organization},
		func(scan scanner) (time.Time, error) {
			var at int64
			err := scan(&at)
			return unix(at), err
		})
	if err != nil || len(ts) == 0 {
		return time.Time{}, err
	}
	return ts[0], nil
}

// AlertHistory lists changes of alerts, newest first.
func (s *Store) AlertHistory(ctx context.Context, organization string, w spend.Window, limit int) ([]storage.AlertChange, error) {
	return list(ctx, s, "listing the history of alerts", `
		select x.body
		from alert_change x`+byOrganization+` and x.at >= ? and x.at < ?
		order by x.at desc, x.id desc
		limit ?`, []any{organization, w.Start.Unix(), w.End.Unix(), limit}, scanJSON[storage.AlertChange])
}

// BudgetMarks lists the thresholds that were crossed.
func (s *Store) BudgetMarks(ctx context.Context, organization string) ([]storage.BudgetMark, error) {
	return list(ctx, s, "listing budget marks", `
		select x.rule, x.subject, x.period, x.kind, x.threshold, x.amount, x.crossed_at, x.muted
		from budget_mark x`+byOrganization+`
		order by x.rule, x.subject, x.period, x.kind, x.threshold`, []any{organization}, func(scan scanner) (m storage.BudgetMark, err error) {
		var period, crossed int64
		err = scan(&m.Rule, &m.Subject, &period, &m.Kind, &m.Threshold, (*int64)(&m.Amount), &crossed, &m.Muted)
		m.Period, m.CrossedAt = unix(period), unix(crossed)
		return m, err
	})
}

// Budgets lists how each budget stands.
func (s *Store) Budgets(ctx context.Context, organization string) ([]storage.Budget, error) {
	return list(ctx, s, "listing budgets", `select x.body from budget x`+byOrganization+` order by x.rule, x.subject`,
		[]any{organization}, scanJSON[storage.Budget])
}

// RuleStates lists how each rule fares.
func (s *Store) RuleStates(ctx context.Context, organization string) ([]storage.RuleState, error) {
	return list(ctx, s, "listing rules", `
		select x.rule, x.kind, x.severity, x.problem, x.problem_at, x.note
		from rule_state x`+byOrganization+`
		order by x.rule`, []any{organization}, func(scan scanner) (r storage.RuleState, err error) {
		var at sql.NullInt64
		err = scan(&r.Rule, &r.Kind, &r.Severity, &r.Problem, &at, &r.Note)
		r.ProblemAt = null(at)
		return r, err
	})
}

// Outbox lists notifications that were not delivered, oldest first.
func (s *Store) Outbox(ctx context.Context, organization string) ([]storage.Outgoing, error) {
	return list(ctx, s, "reading the outbox", `
		select x.seq, x.state, x.attempts, x.next_at, x.claimed_until, x.failed_at, x.problem, x.body
		from outbox x`+byOrganization+`
		order by x.seq`, []any{organization}, func(scan scanner) (o storage.Outgoing, err error) {
		var next int64
		var claimed, failed sql.NullInt64
		var body string
		if err := scan(&o.Seq, &o.State, &o.Attempts, &next, &claimed, &failed, &o.Problem, &body); err != nil {
			return o, err
		}
		o.NextAt, o.ClaimedUntil, o.FailedAt = unix(next), null(claimed), null(failed)
		return o, json.Unmarshal([]byte(body), &o.Notification)
	})
}

// Deliveries lists attempts to deliver, newest first.
func (s *Store) Deliveries(ctx context.Context, organization string, limit int) ([]storage.Delivery, error) {
	return list(ctx, s, "listing deliveries", `
		select x.notification_id, x.notifier, x.event, x.subjects, x.at, x.attempt, x.outcome, x.problem, x.next_at
		from delivery x`+byOrganization+`
		order by x.at desc, x.id desc
		limit ?`, []any{organization, limit}, func(scan scanner) (d storage.Delivery, err error) {
		var at int64
		var next sql.NullInt64
		err = scan(&d.NotificationID, &d.Notifier, &d.Event, &d.Subjects, &at, &d.Attempt, &d.Outcome, &d.Problem, &next)
		d.At, d.NextAt = unix(at), null(next)
		return d, err
	})
}

// Receipts lists what notifiers returned for episodes.
func (s *Store) Receipts(ctx context.Context, organization string) ([]storage.Receipt, error) {
	return list(ctx, s, "listing receipts", `
		select x.notifier, x.fingerprint, x.receipt, x.at
		from receipt x`+byOrganization+`
		order by x.notifier, x.fingerprint`, []any{organization}, func(scan scanner) (r storage.Receipt, err error) {
		var at int64
		err = scan(&r.Notifier, &r.Fingerprint, &r.Receipt, &at)
		r.At = unix(at)
		return r, err
	})
}

// Silences lists the silences that end after the time.
func (s *Store) Silences(ctx context.Context, after time.Time) ([]storage.Silence, error) {
	return list(ctx, s, "listing silences", `
		select id, matchers, starts_at, ends_at, created_by, comment, created_at
		from silence
		where ends_at > ?
		order by ends_at, id`, []any{after.Unix()}, func(scan scanner) (x storage.Silence, err error) {
		var matchers string
		var starts, ends, created int64
		if err := scan(&x.ID, &matchers, &starts, &ends, &x.CreatedBy, &x.Comment, &created); err != nil {
			return x, err
		}
		x.StartsAt, x.EndsAt, x.CreatedAt = unix(starts), unix(ends), unix(created)
		return x, json.Unmarshal([]byte(matchers), &x.Matchers)
	})
}

// SaveSilence stores a new silence.
func (s *Store) SaveSilence(ctx context.Context, x storage.Silence) error {
	matchers, err := encode(x.Matchers)
	if err != nil {
		return err
	}
	return s.writing(ctx, "saving a silence", func(t *sql.Tx) error {
		_, err := t.ExecContext(ctx, `
			insert into silence (id, matchers, starts_at, ends_at, created_by, comment, created_at)
			values (?, ?, ?, ?, ?, ?, ?)`,
			x.ID, matchers, x.StartsAt.Unix(), x.EndsAt.Unix(), x.CreatedBy, x.Comment, x.CreatedAt.Unix())
		return err
	})
}

// EndSilence ends a silence now.
func (s *Store) EndSilence(ctx context.Context, id string, now time.Time) error {
	return s.writing(ctx, "ending a silence", func(t *sql.Tx) error {
		result, err := t.ExecContext(ctx, `update silence set ends_at = min(ends_at, ?) where id = ?`, now.Unix(), id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return fmt.Errorf("silence %q: %w", id, storage.ErrNotFound)
	})
}

// SaveEvaluation writes what an evaluation changes.
func (o *owner) SaveEvaluation(ctx context.Context, e storage.Evaluation) error {
	return o.writing(ctx, "saving the evaluation", func(t *tx) error {
		if err := t.saveAlerts(ctx, e); err != nil {
			return err
		}
		if err := t.saveRules(ctx, e); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, `insert or replace into evaluation (organization, at) values (?, ?)`, t.organization, e.Now.Unix())
		return err
	})
}

// bodies are values as JSON.
func bodies[T any](xs []T) ([]string, error) {
	out := make([]string, len(xs))
	for i, x := range xs {
		var err error
		if out[i], err = encode(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *tx) saveAlerts(ctx context.Context, e storage.Evaluation) error {
	err := t.each(ctx, `delete from alert where organization = ? and rule = ? and subject = ?`, len(e.ForgetAlerts), func(i int) []any {
		return []any{t.organization, e.ForgetAlerts[i].Rule, e.ForgetAlerts[i].Subject}
	})
	if err != nil {
		return err
	}
	body, err := bodies(e.Alerts)
	if err != nil {
		return err
	}
	err = t.each(ctx, `insert or replace into alert (organization, rule, subject, state, body) values (?, ?, ?, ?, ?)`, len(e.Alerts), func(i int) []any {
		a := e.Alerts[i]
		return []any{t.organization, a.Rule, a.Subject, a.State, body[i]}
	})
	if err != nil {
		return err
	}
	if body, err = bodies(e.History); err != nil {
		return err
	}
	err = t.each(ctx, `
		insert into alert_change (organization, at, rule, subject, from_state, to_state, event, severity, value, value_limit, unit,
			summary, note, fired_at, silenced, labels, notifiers, body)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(e.History), func(i int) []any {
		c := e.History[i]
		a := c.Alert
		labels, _ := encode(a.Labels)       // maps and
		notifiers, _ := encode(c.Notifiers) // lists of text cannot fail
		return []any{
			t.organization, c.At.Unix(), a.Rule, a.Subject, c.From, c.To, c.Event, a.Severity, a.Value, a.Limit, a.Unit,
			a.Summary, c.Note, orNull(a.FiredAt), a.Silenced, labels, notifiers, body[i],
		}
	})
	if err != nil {
		return err
	}
	if body, err = bodies(e.Notifications); err != nil {
		return err
	}
	err = t.each(ctx, `
		insert into outbox (organization, notification_id, state, next_at, body)
		values (?, ?, ?, ?, ?)
		on conflict do nothing`, len(e.Notifications), func(i int) []any {
		return []any{t.organization, e.Notifications[i].ID, storage.Waiting, e.Notifications[i].CreatedAt.Unix(), body[i]}
	})
	if err != nil {
		return err
	}
	_, err = t.ExecContext(ctx, `delete from outbox where organization = ? and state = ? and failed_at < ?`,
		t.organization, storage.Dead, e.Now.Add(-storage.DeadLetterAge).Unix())
	return err
}

func (t *tx) saveRules(ctx context.Context, e storage.Evaluation) error {
	for _, table := range []string{"rule_state", "budget_mark"} {
		err := t.each(ctx, `delete from `+table+` where organization = ? and rule = ?`, len(e.ForgetRules), func(i int) []any {
			return []any{t.organization, e.ForgetRules[i]}
		})
		if err != nil {
			return err
		}
	}
	err := t.each(ctx, `
		insert or replace into rule_state (organization, rule, kind, severity, problem, problem_at, note)
		values (?, ?, ?, ?, ?, ?, ?)`, len(e.PutRules), func(i int) []any {
		r := e.PutRules[i]
		return []any{t.organization, r.Rule, r.Kind, r.Severity, r.Problem, orNull(r.ProblemAt), r.Note}
	})
	if err != nil {
		return err
	}
	err = t.each(ctx, `
		delete from budget_mark
		where organization = ? and rule = ? and subject = ? and period = ? and kind = ? and threshold = ?`, len(e.DropMarks), func(i int) []any {
		m := e.DropMarks[i]
		return []any{t.organization, m.Rule, m.Subject, m.Period.Unix(), m.Kind, m.Threshold}
	})
	if err != nil {
		return err
	}
	err = t.each(ctx, `
		insert or replace into budget_mark (organization, rule, subject, period, kind, threshold, amount, crossed_at, muted)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(e.PutMarks), func(i int) []any {
		m := e.PutMarks[i]
		return []any{t.organization, m.Rule, m.Subject, m.Period.Unix(), m.Kind, m.Threshold, int64(m.Amount), m.CrossedAt.Unix(), m.Muted}
	})
	if err != nil {
		return err
	}
	err = t.each(ctx, `delete from budget where organization = ? and rule = ? and subject = ?`, len(e.ForgetBudgets), func(i int) []any {
		return []any{t.organization, e.ForgetBudgets[i].Rule, e.ForgetBudgets[i].Subject}
	})
	if err != nil {
		return err
	}
	body, err := bodies(e.PutBudgets)
	if err != nil {
		return err
	}
	return t.each(ctx, `insert or replace into budget (organization, rule, subject, body) values (?, ?, ?, ?)`, len(e.PutBudgets), func(i int) []any {
		return []any{t.organization, e.PutBudgets[i].Rule, e.PutBudgets[i].Subject, body[i]}
	})
}

// Claim takes notifications that are due.
func (o *owner) Claim(ctx context.Context, seqs []int64, now, until time.Time) (claimed []int64, err error) {
	err = o.writing(ctx, "claiming notifications", func(t *tx) error {
		for _, seq := range seqs {
			n, err := t.deleted(ctx, `
				update outbox
				set claimed_until = ?
				where seq = ? and organization = ? and state = ? and next_at <= ? and (claimed_until is null or claimed_until <= ?)`,
				until.Unix(), seq, t.organization, storage.Waiting, now.Unix(), now.Unix())
			if err != nil {
				return err
			}
			if n > 0 {
				claimed = append(claimed, seq)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// FinishDelivery notes how an attempt ended.
func (o *owner) FinishDelivery(ctx context.Context, d storage.Delivery) error {
	return o.writing(ctx, "noting a delivery", func(t *tx) error {
		if d.Outcome == storage.DeliveryPostponed {
			_, err := t.ExecContext(ctx, `update outbox set next_at = ?, claimed_until = null where seq = ? and organization = ?`,
				d.NextAt.Unix(), d.Seq, t.organization)
			return err
		}
		_, err := t.ExecContext(ctx, `
			insert into delivery (organization, notification_id, notifier, event, subjects, at, attempt, outcome, problem, next_at)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.organization, d.NotificationID, d.Notifier, d.Event, d.Subjects, d.At.Unix(), d.Attempt, d.Outcome, d.Problem, orNull(d.NextAt))
		if err != nil {
			return err
		}
		switch d.Outcome {
		case storage.DeliveryFailed:
			_, err = t.ExecContext(ctx, `
				update outbox
				set attempts = ?, next_at = ?, claimed_until = null, failed_at = ?, problem = ?
				where seq = ? and organization = ?`, d.Attempt, d.NextAt.Unix(), d.At.Unix(), d.Problem, d.Seq, t.organization)
			return err
		case storage.DeliveryDead:
			_, err = t.ExecContext(ctx, `
				update outbox
				set state = ?, attempts = ?, claimed_until = null, failed_at = ?, problem = ?
				where seq = ? and organization = ?`, storage.Dead, d.Attempt, d.At.Unix(), d.Problem, d.Seq, t.organization)
			return err
		}
		if _, err = t.ExecContext(ctx, `delete from outbox where seq = ? and organization = ?`, d.Seq, t.organization); err != nil {
			return err
		}
		switch {
		case d.Outcome != storage.DeliverySent:
			return nil
		case d.Event == spend.EventFiring:
			return t.each(ctx, `
				insert or replace into receipt (organization, notifier, fingerprint, receipt, at)
				values (?, ?, ?, ?, ?)`, len(d.Episodes), func(i int) []any {
				return []any{t.organization, d.Notifier, d.Episodes[i], d.Receipt, d.At.Unix()}
			})
		case d.Event == spend.EventResolved:
			return t.each(ctx, `
				delete from receipt
				where organization = ? and notifier = ? and fingerprint = ?`, len(d.Episodes), func(i int) []any {
				return []any{t.organization, d.Notifier, d.Episodes[i]}
			})
		default:
			return nil
		}
	})
}

// pruneAlerts removes what is older than the times; zero times keep everything.
func (t *tx) pruneAlerts(ctx context.Context, k storage.Keep) (int64, error) {
	var removed int64
	for _, x := range []struct {
		query  string
		before time.Time
	}{
		{`delete from delivery where organization = ?1 and at < ?2`, k.Minute},
		{`delete from alert_change where organization = ?1 and at < ?2`, k.Hour},
		{`delete from receipt where organization = ?1 and at < ?2`, k.Hour},
		{`delete from silence where ?1 is not null and ends_at < ?2`, k.Hour},
	} {
		if x.before.IsZero() {
			continue
		}
		n, err := t.deleted(ctx, x.query, t.organization, x.before.Unix())
		if err != nil {
			return 0, err
		}
		removed += n
	}
	return removed, nil
}
