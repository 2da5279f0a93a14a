package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// alert is a row of GET /api/v1/alerts.
type alert struct {
	Organization string            `json:"organization"`
	Rule         string            `json:"rule"`
	Subject      string            `json:"subject"` // by ids
	Labels       map[string]string `json:"labels"`  // by names
	State        spend.AlertState  `json:"state"`
	Severity     spend.Severity    `json:"severity"`
	Silenced     bool              `json:"silenced"`
	Summary      string            `json:"summary"`
	Description  string            `json:"description"`
	Value        float64           `json:"value"`
	Limit        float64           `json:"limit"`
	Unit         spend.Unit        `json:"unit"`
	Below        bool              `json:"below"` // the value is bad below the limit
	AsOf         *time.Time        `json:"as_of"`
	Basis        spend.Basis       `json:"basis,omitempty"`
	Contributors []contributor     `json:"contributors"`
	PendingAt    *time.Time        `json:"pending_at"`
	FiredAt      *time.Time        `json:"fired_at"`
	NotifiedAt   *time.Time        `json:"notified_at"`
	ResolvedAt   *time.Time        `json:"resolved_at"`
	Fingerprint  string            `json:"fingerprint"` // of this episode
	RunbookURL   string            `json:"runbook_url,omitempty"`
	Notifiers    []string          `json:"notifiers"` // who was told
}

type contributor struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Share float64 `json:"share"`
}

func alertRow(o storage.OrganizationState, a spend.Alert, told []string) alert {
	row := alert{
		Organization: o.Name, Rule: a.Rule, Subject: a.Subject, Labels: a.Labels, State: a.State, Severity: a.Severity, Silenced: a.Silenced,
		Summary: a.Summary, Description: a.Description, Value: a.Value, Limit: a.Limit, Unit: a.Unit, Below: a.Below, AsOf: instant(a.AsOf),
		Basis: a.Basis, Contributors: []contributor{}, PendingAt: instant(a.PendingAt), FiredAt: instant(a.FiredAt),
		NotifiedAt: instant(a.NotifiedAt), ResolvedAt: instant(a.ResolvedAt), Fingerprint: a.Fingerprint(), RunbookURL: a.RunbookURL, Notifiers: told,
	}
	for _, c := range a.Contributors {
		row.Contributors = append(row.Contributors, contributor(c))
	}
	if row.Notifiers == nil {
		row.Notifiers = []string{}
	}
	if row.Labels == nil {
		row.Labels = map[string]string{}
	}
	return row
}

// each calls f for every organization.
func (s *server) each(ctx context.Context, f func(storage.OrganizationState) error) error {
	orgs, err := s.Store.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range orgs {
		if err := f(o); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) alerts(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	out := listed[alert]{AsOf: instant(s.Now()), Data: []alert{}}
	return out, s.each(r.Context(), func(o storage.OrganizationState) error {
		as, err := s.Store.Alerts(r.Context(), o.ID)
		for _, a := range as {
			out.Data = append(out.Data, alertRow(o, a.Alert, a.Told))
		}
		return err
	})
}

// alertChange is a row of GET /api/v1/alerts/history.
type alertChange struct {
	At        *time.Time       `json:"at"`
	From      spend.AlertState `json:"from"`
	To        spend.AlertState `json:"to"`
	Event     spend.Event      `json:"event"` // what was told; empty: nothing
	Notifiers []string         `json:"notifiers"`
	Note      string           `json:"note"`
	Alert     alert            `json:"alert"` // as it was then
}

// historyLimit is how many changes are listed of each organization.
const historyLimit = 1000

// alertHistory lists changes, newest first: those of the last 30 days, or from and to.
func (s *server) alertHistory(r *http.Request) (any, error) {
	w := spend.Window{Start: s.Now().AddDate(0, 0, -30), End: s.Now().Add(time.Second)}
	for name, values := range r.URL.Query() {
		to, ok := map[string]*time.Time{"from": &w.Start, "to": &w.End}[name]
		if !ok {
			return nil, problem{http.StatusBadRequest, "unknown parameter \"" + name + "\": the parameters here are from and to"}
		}
		if len(values) > 1 {
			return nil, problem{http.StatusBadRequest, fmt.Sprintf("parameter %s is given %d times", name, len(values))}
		}
		t, err := parseInstant(values[len(values)-1])
		if err != nil {
			return nil, problem{http.StatusBadRequest, name + ": " + err.Error()}
		}
		*to = t
	}
	if err := report.CheckOrder(w.Start, w.End); err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	out := listed[alertChange]{AsOf: instant(s.Now()), Data: []alertChange{}}
	return out, s.each(r.Context(), func(o storage.OrganizationState) error {
		cs, err := s.Store.AlertHistory(r.Context(), o.ID, w, historyLimit)
		for _, c := range cs {
			out.Data = append(out.Data, alertChange{instant(c.At), c.From, c.To, c.Event, c.Notifiers, c.Note, alertRow(o, c.Alert, c.Notifiers)})
		}
		slices.SortStableFunc(out.Data, func(a, b alertChange) int { return b.At.Compare(*a.At) })
		return err
	})
}

func parseInstant(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date (2026-01-31) nor a time (2026-01-31T15:04:05Z)", text)
}

// budget is a row of GET /api/v1/budgets.
type budget struct {
	Organization string            `json:"organization"`
	Rule         string            `json:"rule"`
	Subject      string            `json:"subject"`
	Labels       map[string]string `json:"labels"`
	Period       string            `json:"period"`
	TimeZone     string            `json:"time_zone"`
	Start        *time.Time        `json:"start"`
	End          *time.Time        `json:"end"`
	State        string            `json:"state"` // ok, exceeded, waiting for data
	Limit        spend.Money       `json:"limit_usd"`
	Spent        *spend.Money      `json:"spent_usd"`    // null while it waits for data
	Forecast     *spend.Money      `json:"forecast_usd"` // null where too little is known
	ExhaustedAt  *time.Time        `json:"exhausted_at"` // null: not in this period, as far as can be told
	AsOf         *time.Time        `json:"as_of"`
	Basis        spend.Basis       `json:"basis,omitempty"`
	Note         string            `json:"note"`
}

func budgetRow(o storage.OrganizationState, b storage.Budget) budget {
	row := budget{
		Organization: o.Name, Rule: b.Rule, Subject: b.Subject, Labels: b.Labels, Period: b.PeriodName, TimeZone: b.TimeZone,
		Start: instant(b.Period.Start), End: instant(b.Period.End), State: b.State, Limit: b.Limit, ExhaustedAt: instant(b.ExhaustedAt),
		AsOf: instant(b.AsOf), Basis: b.Basis, Note: b.Note,
	}
	if row.TimeZone == "" {
		row.TimeZone = "UTC"
	}
	if row.Labels == nil {
		row.Labels = map[string]string{}
	}
	if b.State != storage.BudgetWaiting {
		row.Spent = &b.Spent
	}
	if b.Forecasted {
		row.Forecast = &b.Forecast
	}
	return row
}

// ExhaustedOn is the day of ExhaustedAt, by the budget's own calendar; empty where there is none.
func (b budget) ExhaustedOn() string {
	if b.ExhaustedAt == nil {
		return ""
	}
	return storage.Budget{ExhaustedAt: *b.ExhaustedAt, TimeZone: b.TimeZone}.ExhaustedOn().Format(time.DateOnly)
}

func (s *server) budgets(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	out := listed[budget]{AsOf: instant(s.Now()), Data: []budget{}}
	return out, s.each(r.Context(), func(o storage.OrganizationState) error {
		bs, err := s.Store.Budgets(r.Context(), o.ID)
		for _, b := range bs {
			out.Data = append(out.Data, budgetRow(o, b))
		}
		return err
	})
}

// silence is a row of GET /api/v1/silences, and what POST takes.
type silence struct {
	ID        string            `json:"id"`
	Matchers  []storage.Matcher `json:"matchers"`
	StartsAt  *time.Time        `json:"starts_at"`
	EndsAt    *time.Time        `json:"ends_at"`
	CreatedBy string            `json:"created_by"`
	Comment   string            `json:"comment"`
	CreatedAt *time.Time        `json:"created_at"`
	State     string            `json:"state"` // active, pending
}

func silenceRow(x storage.Silence, now time.Time) silence {
	row := silence{
		x.ID, x.Matchers, instant(x.StartsAt), instant(x.EndsAt), x.CreatedBy, x.Comment, instant(x.CreatedAt), "active",
	}
	if now.Before(x.StartsAt) {
		row.State = "pending"
	}
	return row
}

// silences is /api/v1/silences: GET lists those that are not over, POST makes one from a JSON object,
// DELETE with the parameter id ends one.
func (s *server) silences(r *http.Request) (any, error) {
	switch r.Method {
	case http.MethodPost:
		return s.addSilence(r)
	case http.MethodDelete:
		return s.endSilence(r)
	}
	if err := noParameters(r); err != nil {
		return nil, err
	}
	all, err := s.Store.Silences(r.Context(), s.Now())
	if err != nil {
		return nil, err
	}
	out := listed[silence]{AsOf: instant(s.Now()), Data: []silence{}}
	for _, x := range all {
		out.Data = append(out.Data, silenceRow(x, s.Now()))
	}
	return out, nil
}

// bodyLimit bounds what is read of a request.
const bodyLimit = 64 << 10

// newSilence is what POST takes.
type newSilence struct {
	Matchers  []storage.Matcher `json:"matchers"`
	StartsAt  string            `json:"starts_at"` // empty: now
	EndsAt    string            `json:"ends_at"`
	CreatedBy string            `json:"created_by"`
	Comment   string            `json:"comment"`

	starts, ends time.Time
}

// decodeSilence reads a silence. Its error is a [problem]: a sentence for who sent it, who need not know Go.
func decodeSilence(body []byte) (newSilence, error) {
	var in newSilence
	bad := func(format string, args ...any) error {
		return problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	var kind *json.UnmarshalTypeError
	switch err := decoder.Decode(&in); {
	case err == nil:
	case errors.As(err, &kind) && kind.Field == "":
		return in, bad("Send one JSON object with matchers, ends_at, created_by and comment.")
	case errors.As(err, &kind) && kind.Field == "matchers":
		return in, bad(`The silence cannot be read: matchers must be a list such as [{"label": "rule", "value": "daily budget"}].`)
	case errors.As(err, &kind):
		return in, bad("The silence cannot be read: %s must be text.", kind.Field)
	default:
		return in, bad("The silence cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
	for _, x := range []struct {
		name, text string
		at         *time.Time
	}{{"starts_at", in.StartsAt, &in.starts}, {"ends_at", in.EndsAt, &in.ends}} {
		if x.text == "" {
			continue
		}
		var err error
		if *x.at, err = time.Parse(time.RFC3339, x.text); err != nil {
			return in, bad("%s: %q is not a time such as 2026-01-31T15:04:05Z.", x.name, x.text)
		}
	}
	if in.EndsAt == "" {
		return in, bad("ends_at is missing: a time such as 2026-01-31T15:04:05Z.")
	}
	return in, nil
}

func (s *server) addSilence(r *http.Request) (any, error) {
	if why := s.refuseWrite(r); why != "" {
		return nil, problem{http.StatusForbidden, why}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, problem{http.StatusUnsupportedMediaType, "Send a JSON object with Content-Type: application/json."}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil || len(body) > bodyLimit {
		return nil, problem{http.StatusBadRequest, "The request cannot be read, or is too long."}
	}
	in, err := decodeSilence(body)
	if err != nil {
		return nil, err
	}
	x, err := storage.NewSilence(in.Matchers, in.starts, in.ends, in.CreatedBy, in.Comment, s.Now())
	if err != nil {
		return nil, problem{http.StatusBadRequest, capital(err.Error()) + "."}
	}
	if err := s.saveSilence(r.Context(), &x); err != nil {
		return nil, err
	}
	s.Log.Info("silence made", "id", x.ID, "by", x.CreatedBy, "until", x.EndsAt)
	return silenceRow(x, s.Now()), nil
}

// saveSilence notes what the silence is about, and stores it.
func (s *server) saveSilence(ctx context.Context, x *storage.Silence) error {
	if err := x.Identify(ctx, s.Store); err != nil {
		return err
	}
	return s.Store.SaveSilence(ctx, *x)
}

func (s *server) endSilence(r *http.Request) (any, error) {
	if why := s.refuseWrite(r); why != "" {
		return nil, problem{http.StatusForbidden, why}
	}
	id := r.URL.Query().Get("id")
	if id == "" {
		return nil, problem{http.StatusBadRequest, "Which silence? Give its id: DELETE /api/v1/silences?id=…"}
	}
	if err := s.unsilence(r, id); err != nil {
		return nil, err
	}
	return struct {
		ID string `json:"id"`
	}{id}, nil
}

func (s *server) unsilence(r *http.Request, id string) error {
	err := s.Store.EndSilence(r.Context(), id, s.Now())
	if errors.Is(err, storage.ErrNotFound) {
		return problem{http.StatusNotFound, "There is no silence of this id."}
	}
	if err == nil {
		s.Log.Info("silence ended", "id", id)
	}
	return err
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
