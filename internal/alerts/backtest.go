package alerts

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Backtested is what a rule would have done.
type Backtested struct {
	Window  spend.Window // the hours that were replayed
	Changes []storage.AlertChange
	Notes   []string // what kept it quiet, and from when to when
	Quiet   int      // hours in which it could not tell
}

// Backtest replays a rule over stored history, hour by hour, by the code that evaluates it live. It
// runs on today's figures: when they arrived, and what they were before they were corrected, is not
// replayed.
func Backtest(ctx context.Context, o Options, organizationID string, c RuleConfig, w spend.Window) (Backtested, error) {
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	o.Rules = []RuleConfig{c}
	e := NewEngine(o)
	org := e.organization(organizationID)
	v, err := e.look(ctx, org, organizationID, w.End)
	if err != nil {
		return Backtested{}, err
	}
	if v.dataAt.IsZero() {
		return Backtested{}, fmt.Errorf("no usage of %s has been read yet", v.org.Name)
	}
	w = w.Align(spend.Hour)
	if newest := spend.Hour.Floor(v.dataAt); w.End.After(newest) {
		w.End = newest
	}
	out := Backtested{Window: w}
	all := spend.Window{Start: spend.Day.Floor(w.Start.AddDate(-1, 0, -7)), End: w.End}
	alerts, marks := map[storage.AlertKey]storage.AlertRecord{}, []storage.BudgetMark{}
	state := storage.RuleState{}
	var quietSince time.Time
	quiet := func(until time.Time) {
		if !quietSince.IsZero() {
			out.Notes = append(out.Notes, fmt.Sprintf("%s to %s: %s", stamp(quietSince), stamp(until), state.Note+state.Problem))
			quietSince = time.Time{}
		}
	}
	for now := w.Start; !now.After(w.End); now = now.Add(time.Hour) {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		step := *v
		step.now, step.dataAt, step.readAt, step.replay, step.whole, step.crossed = now, now, now, true, all, marks
		step.totals, step.minutes = map[totalKey]total{}, map[int64]bool{}
		r := &round{
			e: e, o: org, v: &step, alerts: alerts, budgets: map[storage.AlertKey]storage.Budget{},
			states: map[string]storage.RuleState{c.Name: state},
		}
		r.changes.Now = now
		r.judge(ctx, org.rules[0])
		r.compose(ctx)
		out.Changes = append(out.Changes, r.changes.History...)
		for _, k := range r.changes.ForgetAlerts {
			delete(alerts, k)
		}
		for _, a := range r.changes.Alerts {
			alerts[storage.AlertKey{Rule: a.Rule, Subject: a.Subject}] = a
		}
		marks = applyMarks(marks, r.changes)
		for _, s := range r.changes.PutRules {
			quiet(now)
			state = s
			if s.Problem != "" {
				return out, fmt.Errorf("rule %s cannot be judged: %s", c.Name, s.Problem)
			}
		}
		if state.Note != "" {
			out.Quiet++
			if quietSince.IsZero() {
				quietSince = now
			}
		}
	}
	quiet(w.End)
	return out, nil
}

// applyMarks are the marks after an evaluation.
func applyMarks(marks []storage.BudgetMark, e storage.Evaluation) []storage.BudgetMark {
	key := func(m storage.BudgetMark) storage.BudgetMark {
		m.Amount, m.CrossedAt, m.Muted = 0, time.Time{}, false
		return m
	}
	gone := map[storage.BudgetMark]bool{}
	for _, list := range [][]storage.BudgetMark{e.DropMarks, e.PutMarks} {
		for _, m := range list {
			gone[key(m)] = true
		}
	}
	var out []storage.BudgetMark
	for _, m := range marks {
		if !gone[key(m)] {
			out = append(out, m)
		}
	}
	return append(out, e.PutMarks...)
}
