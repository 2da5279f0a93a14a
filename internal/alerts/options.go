package alerts

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Options are what an [Engine] is made of. The functions say what this package does not know; rules
// that need one that is nil say so.
type Options struct {
	Store     storage.Store
	Rules     []RuleConfig
	Notifiers map[string]Notifier
	Log       *slog.Logger

	// PageURL is the URL of the built-in pages, without a slash at its end; empty: none are linked.
	PageURL string
	// Heartbeat is a URL that is asked for after each evaluation in which no rule failed; not set: none.
	Heartbeat config.Secret
	// StaleAfter is how long usage may not have been read before rules on it cannot tell any more;
	// 0 is an hour.
	StaleAfter time.Duration
	// Backfill is how much history is wanted before live collection began: until it is there, nothing
	// is new.
	Backfill time.Duration
	// Interval is how long after a run of the job the next one is due, 0 for jobs without a schedule,
	// which are never stale; nil: all are due at once. A job is stale when it is late by more than that.
	Interval func(job string) time.Duration

	// Digests are sent by schedule; the rules' notifiers send them too.
	Digests []DigestConfig
	// Due is the time that a digest of the schedule tells of at now: from when it was due before to when
	// it was due last, if that is at most a day ago; else it is empty.
	Due func(schedule string, now time.Time) spend.Window

	// Team is the team that a workspace and a key are of, by ids. The organization is an id too.
	Team func(organization, workspaceID, apiKeyID string) string
	// Forecast says what a period will have cost; nil is a plain run rate.
	Forecast func(ForecastInput) Outlook
	// DaysLeft says how long an amount of money lasts; nil is a plain run rate.
	DaysLeft func(days []CostDay, asOf time.Time, left spend.Money) (last float64, ok bool)
	// Headroom lists how far rate limits were used in the window, at their peak, or is ErrNoMinutes.
	Headroom func(ctx context.Context, organization string, w spend.Window) ([]LimitUse, error)
	// Drift is the ratio of estimates to the bill, and the time up to which it was compared; ok is false
	// where there is nothing to compare.
	Drift func(ctx context.Context, organization string, now time.Time) (ratio float64, asOf time.Time, ok bool, err error)
	// Audit lists what the audit finds.
	Audit func(ctx context.Context, organization string, now time.Time) ([]AuditFinding, error)
}

// ErrNoMinutes is returned by [Options].Headroom where no usage of the window is known by the minute.
var ErrNoMinutes = errors.New("no usage by the minute is known")

// LimitUse is how far a rate limit was used.
type LimitUse struct {
	WorkspaceID string // empty: the organization's own limit
	ModelGroup  string // name
	Limiter     string
	Used, Limit float64 // per minute
	AsOf        time.Time
}

// AuditFinding is something the audit finds about a key or a person.
type AuditFinding struct {
	Check       string
	Severity    spend.Severity
	APIKeyID    string // of a finding about a key
	WorkspaceID string // where it is in one
	Subject     string // id of what else it is about: a member, an invite, a workspace; empty: the organization
	Name        string // what it is called
	Summary     string // one line
}

// CostDay is what one day cost, or a part of it that ends when the data does.
type CostDay struct {
	spend.Window
	Cost spend.Money
}

// ForecastInput is what a forecast is made from. Days of the zone without a gap, oldest first, are what
// is known of the eight weeks before AsOf and since the period's start; the last may be running.
type ForecastInput struct {
	Days   []CostDay
	AsOf   time.Time
	Period spend.Window
	Spent  spend.Money // in the period
	Limit  spend.Money
	Zone   *time.Location // where the period's days begin

	Organization string // id
	Seq          int64  // the store's change number that all of it is of, see [storage.Store]
}

// Outlook is a forecast.
type Outlook struct {
	OK          bool        // false: too little is known
	Expected    spend.Money // what the period will have cost
	ExhaustedAt time.Time   // a time of the day on which the limit will be reached, such as its start; zero: not in the period
	Note        string      // why there is none
}
