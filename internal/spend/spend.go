// Package spend holds the words of the domain: what an organization uses on Claude and what that
// costs. It imports nothing of ours and knows neither JSON, SQL nor HTML; each boundary translates
// to and from these types exactly once.
//
// All times are UTC, all windows half-open, all money is integer ([Money]). Ids are identity:
// a workspace, a key or an organization is meant by its id, and names are looked up for display.
//
// A dimension that a report was not grouped by is the empty string. Use without an API key
// (Console, OAuth, federation) is not that: it has the key [NoKey].
package spend

import "time"

// NoKey is the APIKeyID of usage that was made without an API key: Console, OAuth users,
// federated service accounts. It is shown as an empty key name.
const NoKey = "none"

// DefaultWorkspace is the id of the default workspace where the API does not tell its real one.
const DefaultWorkspace = "default"

// Report names a report of the Admin API that facts come from.
type Report string

// The reports, older generation first.
const (
	ReportMessages       Report = "messages"        // usage_report/messages
	ReportCost           Report = "cost_report"     // cost_report
	ReportClaudeCode     Report = "claude_code"     // usage_report/claude_code
	ReportAnalyticsUsage Report = "analytics_usage" // analytics/usage
	ReportAnalyticsCost  Report = "analytics_cost"  // analytics/cost
)

// Fact is a kind of figure that one report at a time is the authority for.
type Fact string

// The facts the ledger keeps.
const (
	FactUsage    Fact = "usage"    // tokens and web searches
	FactRequests Fact = "requests" // request counts
	FactCost     Fact = "cost"     // billed cost
)

// Kind is one of the things that usage counts.
type Kind int

// The kinds, in the order of every column list.
const (
	UncachedInput Kind = iota
	CacheRead
	CacheCreation5m
	CacheCreation1h
	Output
	WebSearches
	NumKinds
)

// TokenType is the kind's name as a value of the dimension token_type, empty for web searches.
func (k Kind) TokenType() string {
	return [NumKinds]string{"uncached_input", "cache_read_input", "cache_creation_5m_input", "cache_creation_1h_input", "output", ""}[k]
}

// CostType is the kind's value of the dimension cost_type.
func (k Kind) CostType() string {
	if k == WebSearches {
		return "web_search"
	}
	return "tokens"
}

// Counts are tokens, and web searches, by kind.
type Counts [NumKinds]int64

// Tokens is the sum of all kinds but web searches.
func (c Counts) Tokens() int64 {
	return c[UncachedInput] + c[CacheRead] + c[CacheCreation5m] + c[CacheCreation1h] + c[Output]
}

// IsZero reports whether nothing was counted.
func (c Counts) IsZero() bool { return c == Counts{} }

// Add adds d to c, kind by kind.
func (c *Counts) Add(d Counts) {
	for k := range c {
		c[k] += d[k]
	}
}

// Amounts are money by kind.
type Amounts [NumKinds]Money

// Sum is the money of all kinds.
func (a Amounts) Sum() Money {
	var m Money
	for _, x := range a {
		m += x
	}
	return m
}

// Add adds b to a, kind by kind.
func (a *Amounts) Add(b Amounts) {
	for k := range a {
		a[k] += b[k]
	}
}

// PriceState says how far an estimate can be trusted.
type PriceState int

// The price states. Stored as numbers: never renumber.
const (
	Unpriced  PriceState = 0 // no price is known: the estimate is 0 and the tokens are counted as unpriced
	Priced    PriceState = 1
	Uncertain PriceState = 2 // the report cannot tell which of several prices applies; the estimate is the best guess
	Committed PriceState = 3 // priority tier: paid for by a commitment, estimated 0, left out of drift
)

// Usage is what was used in one bucket by one combination of dimensions. The bucket's width is
// the grain it was read at.
type Usage struct {
	Bucket time.Time
	Dims
	Counts   Counts
	Requests int64   // only from reports that have it
	Estimate Amounts // count × price; zero for the tokens where Price is Unpriced or Committed
	Price    PriceState
}

// Cost is money from a bill for one bucket and one combination of dimensions.
type Cost struct {
	Bucket time.Time
	Dims
	Amount Money // after discount, as far as the report tells
	List   Money // before discount; equal to Amount where the report does not tell
}

// Basis says where a cost figure comes from.
type Basis string

// The bases. Mixed only stands where figures of several are shown as one.
const (
	Billed    Basis = "billed"    // from a bill
	Allocated Basis = "allocated" // a billed cell shared out to keys and hours
	Estimated Basis = "estimated" // tokens × price
	Mixed     Basis = "mixed"
)

// And is the basis of a figure that joins figures of both; empty means no figure yet.
func (b Basis) And(c Basis) Basis {
	switch {
	case b == "" || b == c:
		return c
	case c == "":
		return b
	default:
		return Mixed
	}
}

// ClaudeCode is a day of one actor's work with Claude Code, by that report's own figures.
type ClaudeCode struct {
	Day              time.Time
	ActorType        string // user_actor, api_actor
	Actor            string // e-mail address or name of the API key
	CustomerType     string // api, subscription
	SubscriptionType string
	TerminalType     string
	Sessions         int64
	LinesAdded       int64
	LinesRemoved     int64
	Commits          int64
	PullRequests     int64
	ToolsAccepted    int64
	ToolsRejected    int64
	Models           []ClaudeCodeModel
}

// ClaudeCodeModel is a [ClaudeCode] row's share of one model. Cost is the report's own
// estimate and is never added to the organization's cost.
type ClaudeCodeModel struct {
	Model         string
	Input         int64
	Output        int64
	CacheRead     int64
	CacheCreation int64
	Cost          Money
}
