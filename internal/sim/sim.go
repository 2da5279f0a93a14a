// Package sim is a simulated organization that answers like the Admin API of Anthropic.
//
// It serves unit tests, a month of ticks under a fake clock, `monitor demo` and `monitor sim`. It is
// written from the API's documentation and shares no code with our client, so that it can disagree
// with it: unknown parameters, wrong widths, foreign page tokens and missing beta headers are refused
// as documented.
//
// The organization is a list of streams (stream.go): one caller with one model, tier and so on. What a
// stream used in an hour follows from a hash of the seed, the stream and the hour; a minute is a fixed
// share of its hour and a day the sum of its hours. So any window at any grain is consistent, cheap
// and the same on every run, and nothing is kept but the inventory (small.go, generated.go), which the
// writing side (write.go) changes in memory.
//
// What is late is computed too: a report shows a growing part of the newest minutes (view), analytics
// moves in steps of Options.Refresh, and with Options.Revise some settled days change until the 7th of
// the next month. The ledger (truth.go) says what everything comes to in the end; tests compare with it.
//
// Where the documentation is silent we chose: a missing beta header of analytics is 404; buckets of the
// older reports end at or before ending_at, and none begins after now; analytics rounds ending_at up to
// a whole bucket; the default workspace's member list is 404; Priority Tier has no cost in either bill;
// flex costs half; version 2026-10-21 drops the deprecated fields.
//
// A new endpoint is a handler and a line in the table of routes (serve.go).
package sim

import (
	"maps"
	"net/http"
	"sync"
	"time"
)

// The keys the simulated organization knows when Options.Keys is empty. A workspace key exists but may
// not use the Admin API (403); any other key is unknown (401).
const (
	AdminKey     = "sim-admin-key"
	WorkspaceKey = "sim-workspace-key"
)

// Scale is the size of the organization: the number of generated keys, each of which uses eight models
// every hour. Zero, Small, is a hand-made organization that has one of every odd case instead.
type Scale int

// The usual sizes.
const (
	Small Scale = 0
	Large Scale = 1000
)

// Options say what to simulate; the zero value is a small organization that answers everything.
type Options struct {
	Seed  uint64
	Keys  []string         // admin keys that are accepted; default AdminKey
	Now   func() time.Time // default time.Now, which is the fake clock in a synctest bubble
	Name  string           // default "Acme Robotics"
	Start time.Time        // when its usage begins; default 120 days before New
	Scale Scale

	// Analytics and Legacy are "", or "refused" for an organization whose analytics endpoints
	// (Analytics) or usage and cost reports (Legacy) answer 403.
	Analytics, Legacy string
	// Speed is "", or "refused" for an organization without the beta of fast mode.
	Speed string
	// SpendLimits says whether the organization is in the early access of spend limits.
	SpendLimits bool

	// DiscountPermille is the contract's discount, in thousandths of the list price.
	DiscountPermille int
	// CostBeforeDiscount makes cost_report show list amounts; which it does is not documented.
	CostBeforeDiscount bool

	// SessionCurrency is the currency that session usage is billed in, and SessionType its cost type,
	// where they are not USD and session_usage. The documentation knows no other currency, and says that
	// cost types may be added; rows of another currency are told apart in every answer.
	SessionCurrency, SessionType string

	Delay   time.Duration // after which the older reports are complete; default 5 minutes
	Refresh time.Duration // step in which analytics' data_refreshed_at advances; default 1 hour
	Revise  bool          // whether some settled days change until the 7th of the next month
	Spikes  []Spike
	Faults  *Faults
}

// Spike makes a key use Factor times what it uses at its busiest, around the clock, in all hours that
// begin in [From, To): a leak, or a loop gone wild. A key that has no use at all then has none in a
// spike either.
type Spike struct {
	Key      string // id or name
	From, To time.Time
	Factor   int
}

// Org is a simulated organization. It is safe for concurrent use.
type Org struct {
	opts   Options
	faults *Faults
	salt   uint64 // binds page tokens to this organization

	mu sync.RWMutex // guards what follows
	inventory
	streams  []stream // replaced as a whole, never changed in place
	requests map[string]int
	served   uint64
}

// New creates an organization; its history ends, and its future begins, at the present time.
func New(o Options) *Org {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Name == "" {
		o.Name = "Acme Robotics"
	}
	if len(o.Keys) == 0 {
		o.Keys = []string{AdminKey}
	}
	if o.SessionCurrency == "" {
		o.SessionCurrency = "USD"
	}
	if o.SessionType == "" {
		o.SessionType = costTypes[sessionTime]
	}
	if o.Delay == 0 {
		o.Delay = 5 * time.Minute
	}
	if o.Refresh == 0 {
		o.Refresh = time.Hour
	}
	born := o.Now().UTC().Truncate(time.Hour)
	if o.Start.IsZero() {
		o.Start = born.AddDate(0, 0, -120)
	}
	if o.Faults == nil {
		o.Faults = &Faults{}
	}
	org := &Org{opts: o, faults: o.Faults, salt: mix(o.Seed ^ 0x70616765), requests: map[string]int{}}
	b := &builder{seed: o.Seed, born: born, start: o.Start.UTC().Truncate(time.Hour), revise: o.Revise}
	if o.Scale == Small {
		b.small()
	} else {
		b.generated(int(o.Scale))
	}
	b.addSpikes(o.Spikes)
	org.inventory, org.streams = b.inventory, b.streams
	return org
}

// Faults returns what is armed against the organization's clients.
func (o *Org) Faults() *Faults { return o.faults }

// Requests counts the requests answered so far, by method and path ("GET /v1/organizations/me").
func (o *Org) Requests() map[string]int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return maps.Clone(o.requests)
}

// Client returns an HTTP client that calls the organization directly, without a socket, whatever the
// host of the address. It honours the context of a request and works in a synctest bubble.
func (o *Org) Client() *http.Client {
	return &http.Client{Transport: transport{o}}
}
