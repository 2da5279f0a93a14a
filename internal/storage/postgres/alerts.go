package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// scanJSON scans a column that holds a value as JSON.
func scanJSON[T any](row pgx.CollectableRow) (T, error) {
	var x T
	var body []byte
	err := row.Scan(&body)
	if err == nil {
		err = json.Unmarshal(body, &x)
	}
	return x, err
}

// encode is a value as JSON. It is text to the driver, which would encode anything else once more.
func encode(x any) (string, error) {
	b, err := json.Marshal(x)
	return string(b), err
}

const alertsOf = " x join organization o on o.id = x.organization where o.uuid = $1"

// Alerts lists the alerts that are not inactive.
func (s *Store) Alerts(ctx context.Context, organization string) ([]storage.AlertRecord, error) {
	return list(ctx, s, "listing alerts",
		`select x.body from alert`+alertsOf+` order by x.rule collate "C", x.subject collate "C"`,
		[]any{organization}, scanJSON[storage.AlertRecord])
}

// EvaluatedAt is when rules were last evaluated.
func (s *Store) EvaluatedAt(ctx context.Context, organization string) (time.Time, error) {
	ts, err := list(ctx, s, "reading the last evaluation", "select x.at from evaluation"+alertsOf, []any{organization}, pgx.RowTo[time.Time])
	if err != nil || len(ts) == 0 {
		return time.Time{}, err
	}
	return ts[0], nil
}

// AlertHistory lists changes of alerts, newest first.
func (s *Store) AlertHistory(ctx context.Context, organization string, w spend.Window, limit int) ([]storage.AlertChange, error) {
	return list(ctx, s, "listing the history of alerts", `
		select x.body
		from alert_change`+alertsOf+` and x.at >= $2 and x.at < $3
		order by x.at desc, x.id desc
		limit $4`, []any{organization, w.Start, w.End, limit}, scanJSON[storage.AlertChange])
}

// BudgetMarks lists the thresholds that were crossed.
func (s *Store) BudgetMarks(ctx context.Context, organization string) ([]storage.BudgetMark, error) {
	return list(ctx, s, "listing budget marks", `
		select x.rule, x.subject, x.period, x.kind, x.threshold, x.amount, x.crossed_at, x.muted
		from budget_mark`+alertsOf+`
		order by x.rule collate "C", x.subject collate "C", x.period, x.kind, x.threshold`, []any{organization},
		pgx.RowToStructByPos[storage.BudgetMark])
}

// Budgets lists how each budget stands.
func (s *Store) Budgets(ctx context.Context, organization string) ([]storage.Budget, error) {
	return list(ctx, s, "listing budgets",
		`select x.body from budget`+alertsOf+` order by x.rule collate "C", x.subject collate "C"`,
		[]any{organization}, scanJSON[storage.Budget])
}

// RuleStates lists how each rule fares.
func (s *Store) RuleStates(ctx context.Context, organization string) ([]storage.RuleState, error) {
	return list(ctx, s, "listing rules", `
		select x.rule, x.kind, x.severity, x.problem, x.problem_at, x.note
		from rule_state`+alertsOf+`
		order by x.rule collate "C"`, []any{organization}, func(row pgx.CollectableRow) (storage.RuleState, error) {
		var r storage.RuleState
		var at *time.Time
		err := row.Scan(&r.Rule, &r.Kind, &r.Severity, &r.Problem, &at, &r.Note)
		r.ProblemAt = orZero(at)
		return r, err
	})
}

// Outbox lists notifications that were not delivered, oldest first.
func (s *Store) Outbox(ctx context.Context, organization string) ([]storage.Outgoing, error) {
	return list(ctx, s, "reading the outbox", `
		select x.seq, x.state, x.attempts, x.next_at, x.claimed_until, x.failed_at, x.problem, x.body
		from outbox`+alertsOf+`
		order by x.seq`, []any{organization}, func(row pgx.CollectableRow) (storage.Outgoing, error) {
		var o storage.Outgoing
		var claimed, failed *time.Time
		var body []byte
		if err := row.Scan(&o.Seq, &o.State, &o.Attempts, &o.NextAt, &claimed, &failed, &o.Problem, &body); err != nil {
			return o, err
		}
		o.ClaimedUntil, o.FailedAt = orZero(claimed), orZero(failed)
		return o, json.Unmarshal(body, &o.Notification)
	})
}

// Deliveries lists attempts to deliver, newest first.
func (s *Store) Deliveries(ctx context.Context, organization string, limit int) ([]storage.Delivery, error) {
	return list(ctx, s, "listing deliveries", `
		select x.notification_id, x.notifier, x.event, x.subjects, x.at, x.attempt, x.outcome, x.problem, x.next_at
		from delivery`+alertsOf+`
		order by x.at desc, x.id desc
		limit $2`, []any{organization, limit}, func(row pgx.CollectableRow) (storage.Delivery, error) {
		var d storage.Delivery
		var next *time.Time
		err := row.Scan(&d.NotificationID, &d.Notifier, &d.Event, &d.Subjects, &d.At, &d.Attempt, &d.Outcome, &d.Problem, &next)
		d.NextAt = orZero(next)
		return d, err
	})
}

// Receipts lists what notifiers returned for episodes.
func (s *Store) Receipts(ctx context.Context, organization string) ([]storage.Receipt, error) {
	return list(ctx, s, "listing receipts", `
		select x.notifier, x.fingerprint, x.receipt, x.at
		from receipt`+alertsOf+`
		order by x.notifier collate "C", x.fingerprint collate "C"`, []any{organization}, pgx.RowToStructByPos[storage.Receipt])
}

// Silences lists the silences that end after the time.
func (s *Store) Silences(ctx context.Context, after time.Time) ([]storage.Silence, error) {
	return list(ctx, s, "listing silences", `
		select id, matchers, starts_at, ends_at, created_by, comment, created_at
		from silence
		where ends_at > $1
		order by ends_at, id collate "C"`, []any{after}, func(row pgx.CollectableRow) (storage.Silence, error) {
		var x storage.Silence
		var matchers []byte
		if err := row.Scan(&x.ID, &matchers, &x.StartsAt, &x.EndsAt, &x.CreatedBy, &x.Comment, &x.CreatedAt); err != nil {
			return x, err
		}
		return x, json.Unmarshal(matchers, &x.Matchers)
	})
}

// SaveSilence stores a new silence.
func (s *Store) SaveSilence(ctx context.Context, x storage.Silence) error {
	matchers, err := encode(x.Matchers)
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, `
		insert into silence (id, matchers, starts_at, ends_at, created_by, comment, created_at)
		values ($1, $2, $3, $4, $5, $6, $7)`,
		x.ID, matchers, x.StartsAt, x.EndsAt, x.CreatedBy, x.Comment, x.CreatedAt)
	return s.fail(ctx, "saving a silence", err)
}

// EndSilence ends a silence now.
func (s *Store) EndSilence(ctx context.Context, id string, now time.Time) error {
	if !utf8.ValidString(id) || strings.ContainsRune(id, 0) { // no text can be so, and asking for it is an error
		return fmt.Errorf("silence %q: %w", id, storage.ErrNotFound)
	}
	tag, err := s.pool.Exec(ctx, "update silence set ends_at = least(ends_at, $2) where id = $1", id, now)
	if err == nil && tag.RowsAffected() == 0 {
		return fmt.Errorf("silence %q: %w", id, storage.ErrNotFound)
	}
	return s.fail(ctx, "ending a silence", err)
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
		return t.exec(ctx, `
			insert into evaluation (organization, at)
			values ($1, $2)
			on conflict (organization) do update set at = excluded.at`, t.organization, e.Now)
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
	err := t.each(ctx, "delete from alert where organization = $1 and rule = $2 and subject = $3", len(e.ForgetAlerts), func(i int) []any {
		return []any{t.organization, e.ForgetAlerts[i].Rule, e.ForgetAlerts[i].Subject}
	})
	if err != nil {
		return err
	}
	body, err := bodies(e.Alerts)
	if err != nil {
		return err
	}
	err = t.each(ctx, `
		insert into alert (organization, rule, subject, state, body)
		values ($1, $2, $3, $4, $5)
		on conflict (organization, rule, subject) do update
		set state = excluded.state, body = excluded.body`, len(e.Alerts), func(i int) []any {
		a := e.Alerts[i]
		return []any{t.organization, a.Rule, a.Subject, string(a.State), body[i]}
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
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`, len(e.History), func(i int) []any {
		c := e.History[i]
		a := c.Alert
		labels, _ := encode(a.Labels)       // maps and
		notifiers, _ := encode(c.Notifiers) // lists of text cannot fail
		return []any{
			t.organization, c.At, a.Rule, a.Subject, string(c.From), string(c.To), string(c.Event), string(a.Severity), a.Value, a.Limit,
			string(a.Unit), a.Summary, c.Note, orNull(a.FiredAt), a.Silenced, labels, notifiers, body[i],
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
		values ($1, $2, $3, $4, $5)
		on conflict (organization, notification_id) do nothing`, len(e.Notifications), func(i int) []any {
		return []any{t.organization, e.Notifications[i].ID, string(storage.Waiting), e.Notifications[i].CreatedAt, body[i]}
	})
	if err != nil {
		return err
	}
	return t.exec(ctx, "delete from outbox where organization = $1 and state = $2 and failed_at < $3",
		t.organization, string(storage.Dead), e.Now.Add(-storage.DeadLetterAge))
}

func (t *tx) saveRules(ctx context.Context, e storage.Evaluation) error {
	for _, table := range []string{"rule_state", "budget_mark"} {
		if len(e.ForgetRules) == 0 {
			break
		}
		if err := t.exec(ctx, "delete from "+table+" where organization = $1 and rule = any($2)", t.organization, e.ForgetRules); err != nil {
			return err
		}
	}
	err := t.each(ctx, `
		insert into rule_state (organization, rule, kind, severity, problem, problem_at, note)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (organization, rule) do update
		set kind = excluded.kind, severity = excluded.severity, problem = excluded.problem, problem_at = excluded.problem_at,
			note = excluded.note`, len(e.PutRules), func(i int) []any {
		r := e.PutRules[i]
		return []any{t.organization, r.Rule, r.Kind, string(r.Severity), r.Problem, orNull(r.ProblemAt), r.Note}
	})
	if err != nil {
		return err
	}
	err = t.each(ctx, `
		delete from budget_mark
		where organization = $1 and rule = $2 and subject = $3 and period = $4 and kind = $5 and threshold = $6`, len(e.DropMarks), func(i int) []any {
		m := e.DropMarks[i]
		return []any{t.organization, m.Rule, m.Subject, m.Period, m.Kind, m.Threshold}
	})
	if err != nil {
		return err
	}
	err = t.each(ctx, `
		insert into budget_mark (organization, rule, subject, period, kind, threshold, amount, crossed_at, muted)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (organization, rule, subject, period, kind, threshold) do update
		set amount = excluded.amount, crossed_at = excluded.crossed_at, muted = excluded.muted`, len(e.PutMarks), func(i int) []any {
		m := e.PutMarks[i]
		return []any{t.organization, m.Rule, m.Subject, m.Period, m.Kind, m.Threshold, int64(m.Amount), m.CrossedAt, m.Muted}
	})
	if err != nil {
		return err
	}
	err = t.each(ctx, "delete from budget where organization = $1 and rule = $2 and subject = $3", len(e.ForgetBudgets), func(i int) []any {
		return []any{t.organization, e.ForgetBudgets[i].Rule, e.ForgetBudgets[i].Subject}
	})
	if err != nil {
		return err
	}
	body, err := bodies(e.PutBudgets)
	if err != nil {
		return err
	}
	return t.each(ctx, `
		insert into budget (organization, rule, subject, body)
		values ($1, $2, $3, $4)
		on conflict (organization, rule, subject) do update set body = excluded.body`, len(e.PutBudgets), func(i int) []any {
		return []any{t.organization, e.PutBudgets[i].Rule, e.PutBudgets[i].Subject, body[i]}
	})
}

// Claim takes notifications that are due.
func (o *owner) Claim(ctx context.Context, seqs []int64, now, until time.Time) ([]int64, error) {
	var claimed []int64
	err := o.writing(ctx, "claiming notifications", func(t *tx) (err error) {
		claimed, err = collect(ctx, t, `
			update outbox
			set claimed_until = $3
			where organization = $1 and seq = any($2) and state = $5 and next_at <= $4 and (claimed_until is null or claimed_until <= $4)
			returning seq`, []any{t.organization, seqs, until, now, string(storage.Waiting)}, pgx.RowTo[int64])
		return err
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
			return t.exec(ctx, "update outbox set next_at = $3, claimed_until = null where organization = $1 and seq = $2",
				t.organization, d.Seq, d.NextAt)
		}
		err := t.exec(ctx, `
			insert into delivery (organization, notification_id, notifier, event, subjects, at, attempt, outcome, problem, next_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			t.organization, d.NotificationID, d.Notifier, string(d.Event), d.Subjects, d.At, d.Attempt, d.Outcome, d.Problem, orNull(d.NextAt))
		if err != nil {
			return err
		}
		switch d.Outcome {
		case storage.DeliveryFailed:
			return t.exec(ctx, `
				update outbox
				set attempts = $3, next_at = $4, claimed_until = null, failed_at = $5, problem = $6
				where organization = $1 and seq = $2`, t.organization, d.Seq, d.Attempt, d.NextAt, d.At, d.Problem)
		case storage.DeliveryDead:
			return t.exec(ctx, `
				update outbox
				set state = $3, attempts = $4, claimed_until = null, failed_at = $5, problem = $6
				where organization = $1 and seq = $2`, t.organization, d.Seq, string(storage.Dead), d.Attempt, d.At, d.Problem)
		}
		if err := t.exec(ctx, "delete from outbox where organization = $1 and seq = $2", t.organization, d.Seq); err != nil {
			return err
		}
		switch {
		case d.Outcome != storage.DeliverySent:
			return nil
		case d.Event == spend.EventFiring:
			return t.each(ctx, `
				insert into receipt (organization, notifier, fingerprint, receipt, at)
				values ($1, $2, $3, $4, $5)
				on conflict (organization, notifier, fingerprint) do update
				set receipt = excluded.receipt, at = excluded.at`, len(d.Episodes), func(i int) []any {
				return []any{t.organization, d.Notifier, d.Episodes[i], d.Receipt, d.At}
			})
		case d.Event == spend.EventResolved:
			return t.exec(ctx, "delete from receipt where organization = $1 and notifier = $2 and fingerprint = any($3)",
				t.organization, d.Notifier, d.Episodes)
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
		{"delete from delivery where organization = $1 and at < $2", k.Minute},
		{"delete from alert_change where organization = $1 and at < $2", k.Hour},
		{"delete from receipt where organization = $1 and at < $2", k.Hour},
		{"delete from silence where $1::int is not null and ends_at < $2", k.Hour},
	} {
		if x.before.IsZero() {
			continue
		}
		tag, err := t.Exec(ctx, x.query, t.organization, x.before)
		if err != nil {
			return 0, err
		}
		removed += tag.RowsAffected()
	}
	return removed, nil
}
