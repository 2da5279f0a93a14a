package spend

import "time"

// AlertState is where an alert stands.
type AlertState string

// The states. An alert that is not known at all is inactive.
const (
	Inactive AlertState = "inactive" // nothing was found, or not any more and nobody was told
	Pending  AlertState = "pending"  // found, but not for long enough yet
	Firing   AlertState = "firing"   // found for long enough; told
	Stale    AlertState = "stale"    // firing, and its data stopped: neither confirmed nor resolved
	Resolved AlertState = "resolved" // was firing, and is over
)

// Severity says how bad an alert or an audit finding is.
type Severity string

// The severities, least first.
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Severities lists the severities, least first.
var Severities = []Severity{Info, Warning, Critical}

// Unit says what a value of an alert counts.
type Unit string

// The units.
const (
	UnitUSD      Unit = "usd"
	UnitTokens   Unit = "tokens"
	UnitRequests Unit = "requests"
	UnitRatio    Unit = "ratio"   // 1 is 100 %
	UnitSeconds  Unit = "seconds" // an age
	UnitDays     Unit = "days"
	UnitNone     Unit = "" // a value that is not a number of anything: an event
)

// Alert is a finding of a rule over time. Its identity is (Organization, Rule, Subject).
type Alert struct {
	Organization string // id
	Rule         string
	Subject      string // what it is about, by ids, stable: "workspace=wrkspc_a,api_key=apikey_b"; empty: all of it
	State        AlertState
	Severity     Severity

	PendingAt  time.Time // first found; zero while inactive
	FiredAt    time.Time // began to fire; together with the identity it names this episode
	NotifiedAt time.Time // last told that it fires
	ResolvedAt time.Time // zero while it fires
	SeenAt     time.Time // last evaluation in which the rule found it

	Labels       map[string]string // what it is known by, by names: organization, rule, severity, the by values, …
	Value        float64           // at AsOf
	Limit        float64
	Unit         Unit
	Below        bool      // Value is bad below Limit, not above
	AsOf         time.Time // up to where the data behind Value is complete
	Basis        Basis     // of money
	Summary      string    // one line, without formatting
	Description  string    // more lines, may be empty
	Contributors []Contributor
	RunbookURL   string
	PageURL      string // the page that shows it
	Silenced     bool   // a silence matched when it was last evaluated: the state goes on, nobody is told
}

// Fingerprint names the episode of the alert for receivers: equal for all messages from its firing
// to its resolve, different for the next one.
func (a Alert) Fingerprint() string { return fingerprint(a.Organization, a.Rule, a.Subject, a.FiredAt) }

// Contributor is one of the greatest parts of an alert's value.
type Contributor struct {
	Name  string
	Value float64 // in the alert's unit
	Share float64 // of the alert's value; 1 is all of it
}

// Point is a value at a time, for a picture.
type Point struct {
	At    time.Time
	Value float64
}

// Event is what a notification tells.
type Event string

// The events.
const (
	EventFiring   Event = "firing"
	EventReminder Event = "reminder" // still firing
	EventResolved Event = "resolved"
	EventDigest   Event = "digest" // a summary by schedule; has no alerts
	EventTest     Event = "test"   // marked as such everywhere
)

// Notification is one message to one place: what one evaluation has to tell one notifier of one
// event, about one alert or several.
type Notification struct {
	ID           string // the same in every attempt, so that a receiver can tell a repetition
	Organization string // id
	Notifier     string // name
	Event        Event
	CreatedAt    time.Time
	Alerts       []Alert            // of one rule or several, most severe first; empty for a digest
	Series       map[string][]Point // recent values by fingerprint, for a picture; may be missing
	Title        string             // of a digest
	Text         string             // of a digest, plain lines
	Thread       string             // what the notifier returned for the firing of the same episode; empty: none
}
