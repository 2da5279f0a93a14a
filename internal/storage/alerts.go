package storage

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// DeadLetterAge is how long a notification that was given up is kept.
const DeadLetterAge = 30 * 24 * time.Hour

// AlertRecord is an alert as it is stored between evaluations.
type AlertRecord struct {
	spend.Alert
	Told []string // notifiers that were told of this episode
}

// AlertKey names an alert in its organization.
type AlertKey struct{ Rule, Subject string }

// AlertChange is an entry of the history of alerts: a state that changed, or something that was told.
type AlertChange struct {
	At        time.Time
	From, To  spend.AlertState // equal where nothing changed
	Event     spend.Event      // what was told; empty: nothing
	Notifiers []string         // who was told
	Note      string           // why, where that is not plain
	Alert     spend.Alert
}

// The kinds of budget marks.
const (
	MarkActual   = "actual"
	MarkForecast = "forecast"
)

// BudgetMark says that a threshold was crossed in a period. Its identity is (Rule, Subject, Period,
// Kind, Threshold).
type BudgetMark struct {
	Rule      string
	Subject   string
	Period    time.Time // its start
	Kind      string
	Threshold float64 // percent
	Amount    spend.Money
	CrossedAt time.Time
	Muted     bool // a higher one was crossed too: this one is not told of, now or later
}

// The states of a budget.
const (
	BudgetOK       = "ok"
	BudgetExceeded = "exceeded"
	BudgetWaiting  = "waiting for data"
)

// Budget is how a budget stands in its current period.
type Budget struct {
	Rule        string
	Subject     string // by ids; empty: all of it
	Labels      map[string]string
	PeriodName  string // day, week, month, quarter
	TimeZone    string // empty: UTC
	Period      spend.Window
	Limit       spend.Money
	Spent       spend.Money
	Forecast    spend.Money // for the period's end
	Forecasted  bool        // whether there is a forecast
	ExhaustedAt time.Time   // the day on which the limit was or will be reached, by its midnight in the zone (of a balance: the time by which nothing is left); zero: not in this period, as far as can be told
	State       string
	AsOf        time.Time
	Basis       spend.Basis
	Note        string
}

// ExhaustedOn is ExhaustedAt in the budget's zone, to be shown as a day; the zero time where it is that.
func (b Budget) ExhaustedOn() time.Time {
	zone, err := time.LoadLocation(b.TimeZone)
	if err != nil || b.ExhaustedAt.IsZero() {
		return b.ExhaustedAt.UTC() // of a database that knows zones that this machine does not
	}
	return b.ExhaustedAt.In(zone)
}

// RuleState is how a rule fares.
type RuleState struct {
	Rule      string
	Kind      string
	Severity  spend.Severity
	Problem   string // why it cannot be judged; empty: it can
	ProblemAt time.Time
	Note      string // why it is quiet
}

// Evaluation is what an evaluation changes, written as one.
type Evaluation struct {
	Now           time.Time
	Alerts        []AlertRecord // written whole
	ForgetAlerts  []AlertKey
	History       []AlertChange
	PutMarks      []BudgetMark
	DropMarks     []BudgetMark
	PutBudgets    []Budget
	ForgetBudgets []AlertKey
	PutRules      []RuleState
	ForgetRules   []string             // with all marks of theirs
	Notifications []spend.Notification // to be sent; one that has the id of another is that one
}

// OutgoingState is how far a notification is.
type OutgoingState string

// The states of a notification in the outbox. What was delivered is no longer in it.
const (
	Waiting OutgoingState = "waiting"
	Dead    OutgoingState = "dead" // given up
)

// Outgoing is a notification that was not delivered.
type Outgoing struct {
	Seq int64
	spend.Notification
	State        OutgoingState
	Attempts     int
	NextAt       time.Time // not before
	ClaimedUntil time.Time // being sent; zero: not
	FailedAt     time.Time // of the last attempt; zero: none
	Problem      string    // of the last attempt
}

// The outcomes of an attempt to deliver.
const (
	DeliverySent      = "sent"
	DeliveryFailed    = "failed"    // it will be tried again
	DeliveryDead      = "dead"      // it will not
	DeliveryPostponed = "postponed" // it was not tried, since another one just failed there; this is not stored
	DeliveryDropped   = "dropped"   // there is nobody to tell: who is to be told of a resolve was never told of the firing
)

// Delivery is an attempt to deliver a notification.
type Delivery struct {
	Seq            int64 // of the outbox; not stored
	NotificationID string
	Notifier       string
	Event          spend.Event
	Subjects       string // what it was about, for people
	At             time.Time
	Attempt        int
	Outcome        string
	Problem        string
	NextAt         time.Time // of a failed one
	Receipt        string    // of one that was sent; not stored here
	Episodes       []string  // fingerprints it told of; not stored here
}

// Receipt is what a notifier returned for the firing of an episode.
type Receipt struct {
	Notifier    string
	Fingerprint string
	Receipt     string
	At          time.Time
}

// Matcher compares a label of an alert.
type Matcher struct {
	Label string `json:"label"`
	Value string `json:"value"` // may end in *

	// IDs are the workspaces or keys of that name when a silence was made: see [Silence.Identify].
	IDs []string `json:"ids,omitempty"`
}

// Matches reports whether the labels have the value; a label that is not there is empty.
func (m Matcher) Matches(labels map[string]string) bool {
	prefix, open := strings.CutSuffix(m.Value, "*")
	if open {
		return strings.HasPrefix(labels[m.Label], prefix)
	}
	return labels[m.Label] == m.Value
}

// Silence keeps alerts from being told of while it lasts.
type Silence struct {
	ID        string
	Matchers  []Matcher // all must match
	StartsAt  time.Time
	EndsAt    time.Time
	CreatedBy string
	Comment   string
	CreatedAt time.Time
}

// Silences reports whether the silence is on and matches the alert of that subject and labels.
func (s Silence) Silences(subject string, labels map[string]string, now time.Time) bool {
	if now.Before(s.StartsAt) || !now.Before(s.EndsAt) || len(s.Matchers) == 0 {
		return false
	}
	for _, m := range s.Matchers {
		if id, ok := subjectID(subject, m.Label); ok && len(m.IDs) > 0 {
			if !slices.Contains(m.IDs, id) {
				return false
			}
		} else if !m.Matches(labels) {
			return false
		}
	}
	return true
}

// subjectID is the id that an alert's subject, such as "workspace=wrkspc_a,api_key=apikey_b", has for a label.
func subjectID(subject, label string) (string, bool) {
	for part := range strings.SplitSeq(subject, ",") {
		if id, ok := strings.CutPrefix(part, label+"="); ok && id != "" {
			return id, true
		}
	}
	return "", false
}

// Identify notes which workspaces and keys the silence is about, where it names them: it stays theirs,
// whatever they are called later.
func (s *Silence) Identify(ctx context.Context, store Store) error {
	called := map[[2]string][]string{} // ids by label and value
	orgs, err := store.Organizations(ctx)
	if err != nil {
		return err
	}
	for _, o := range orgs {
		workspaces, err := store.Workspaces(ctx, o.ID)
		if err != nil {
			return fmt.Errorf("workspaces: %w", err)
		}
		for _, w := range workspaces {
			name := [2]string{string(spend.ByWorkspace), cmp.Or(w.Label, w.Name, w.ID)}
			called[name] = append(called[name], w.ID)
		}
		keys, err := store.APIKeys(ctx, o.ID)
		if err != nil {
			return fmt.Errorf("api keys: %w", err)
		}
		for _, k := range keys {
			name := [2]string{string(spend.ByAPIKey), cmp.Or(k.Label, k.Name, k.ID)}
			called[name] = append(called[name], k.ID)
		}
	}
	s.Matchers = slices.Clone(s.Matchers)
	for i := range s.Matchers {
		m := &s.Matchers[i]
		m.IDs = called[[2]string{m.Label, m.Value}]
	}
	return nil
}

// LongestSilence is how long a silence may last: who wants longer wants another rule.
const LongestSilence = 366 * 24 * time.Hour

// mostMatchers is more than an alert has labels.
const mostMatchers = 100

// NewSilence makes a silence with an id of its own. Its error says what is wrong with it.
func NewSilence(matchers []Matcher, starts, ends time.Time, createdBy, comment string, now time.Time) (Silence, error) {
	s := Silence{
		ID: rand.Text()[:16], Matchers: matchers, StartsAt: second(starts), EndsAt: second(ends), CreatedBy: createdBy, Comment: comment,
		CreatedAt: second(now),
	}
	if s.StartsAt.IsZero() {
		s.StartsAt = s.CreatedAt
	}
	everything := true
	for _, m := range matchers {
		if !oneLine(m.Label) || !oneLine(m.Value) {
			return s, errors.New("labels and values of matchers must be one line of at most 1000 bytes each")
		}
		if m.Label == "" {
			return s, errors.New("a matcher needs a label, such as rule, workspace or severity")
		}
		if strings.Contains(strings.TrimSuffix(m.Value, "*"), "*") {
			return s, fmt.Errorf("matcher %s: * may stand at the end of the value only", m.Label)
		}
		everything = everything && m.Value == "*"
	}
	switch {
	case len(matchers) == 0:
		return s, errors.New("a silence needs at least one matcher, such as rule=daily budget")
	case len(matchers) > mostMatchers:
		return s, fmt.Errorf("a silence has at most %d matchers", mostMatchers)
	case everything:
		return s, errors.New("this would silence everything: name a rule, a workspace or a severity")
	case !s.EndsAt.After(s.StartsAt):
		return s, errors.New("a silence must end after it starts")
	case !s.EndsAt.After(now):
		return s, errors.New("a silence must end in the future")
	case s.EndsAt.Sub(s.StartsAt) > LongestSilence:
		return s, errors.New("a silence lasts for a year at most")
	case s.Comment == "":
		return s, errors.New("a silence needs a comment that says why")
	case s.CreatedBy == "":
		return s, errors.New("a silence needs to say who made it")
	}
	if !oneLine(createdBy) || !oneLine(comment) {
		return s, errors.New("author and comment must be one line of at most 1000 bytes")
	}
	return s, nil
}

// oneLine reports whether both databases can hold the text, and a row of a table can show it.
func oneLine(text string) bool {
	return len(text) <= 1000 && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// ParseMatcher reads label=value.
func ParseMatcher(text string) (Matcher, error) {
	label, value, ok := strings.Cut(text, "=")
	label, value = strings.TrimSpace(label), strings.TrimSpace(value)
	if !ok || label == "" {
		return Matcher{}, fmt.Errorf("%q is not a matcher such as rule=daily budget or workspace=search*", text)
	}
	return Matcher{Label: label, Value: value}, nil
}

// String writes the matcher as [ParseMatcher] reads it.
func (m Matcher) String() string { return m.Label + "=" + m.Value }
