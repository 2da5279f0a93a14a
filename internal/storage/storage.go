// Package storage says what a store must do; sqlite and postgres do it, storagetest proves that
// they do. What both backends need and no database does (which rows rule, how a bill is shared
// out) is here too, once.
//
// The store keeps facts by organization, bucket and series (an interned combination of
// dimensions) at three grains, and a ledger with a slot for every hour or day that says which
// report and which grain rule it. Three rules make every figure count once:
//
//  1. A row at hour grain exists only in hours whose slot has hour grain; a row at day grain only
//     in days whose slot has day grain. Slots never overlap.
//  2. Rows at minute grain may stand beside, but count only in hours whose slot has minute grain.
//  3. All slots of one UTC day and fact are of one report.
//
// Beside the hours stand their sums by the UTC day, which are derived: a write to an hour says in the
// same transaction that the sums of its day do not hold, [Owner.SumDay] makes them anew, and a question
// uses them for the days of which they hold in the state of the database that it sees. No answer
// depends on whether they are there.
//
// Guarantees of every backend:
//
//   - A method is one transaction: all of it happens or nothing. What it wrote is durable on return.
//   - Windows must be aligned to the grain and rows must lie in the window, else it is an error
//     and nothing is written.
//   - Times come back in UTC, at second precision for buckets. Empty results are empty, not errors.
//   - Safe for concurrent use. Readers never wait for the owner of an organization.
//   - A database that cannot be reached or written is an error that wraps [ErrUnavailable] where a
//     retry may help.
package storage

import (
	"context"
	"errors"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Errors that callers branch on.
var (
	ErrNotFound    = errors.New("not found")
	ErrOwned       = errors.New("organization is worked by another monitor") // by [Store.Own]
	ErrLost        = errors.New("ownership of the organization was lost")    // by every method of [Owner]
	ErrUnavailable = errors.New("database unavailable")
	ErrNewerSchema = errors.New("the database was written by a newer version of monitor")
	ErrTooMany     = errors.New("too many rows") // by a [Query] with Most
)

// Store is a database of facts. Its own methods read, or write in short transactions that any
// process may make; what only the daemon that works an organization may write is in [Owner].
type Store interface {
	// Organizations lists all organizations ever seen, by the time they were first seen.
	Organizations(ctx context.Context) ([]OrganizationState, error)
	// SaveOrganization makes the organization known, or renames it.
	SaveOrganization(ctx context.Context, o spend.Organization, now time.Time) error
	// Own makes the caller the one process that works the organization until [Owner.Release], or
	// until its process or connection dies. It returns [ErrOwned] at once if another one is, and
	// [ErrNotFound] for an organization that was never saved.
	Own(ctx context.Context, organization string) (Owner, error)

	// Usage sums usage and request counts over the query's window. Rows are ordered by organization,
	// start and dimensions.
	Usage(ctx context.Context, q Query) (UsageResult, error)
	// Costs sums cost over the query's window: billed where the ledger says billed, else estimated.
	// Rows of different basis are never merged. Rows are ordered by organization, start, dimensions
	// and basis.
	Costs(ctx context.Context, q Query) (CostResult, error)
	// What was reconciled: see [Reconciled].
	Reconciled

	// Slots lists the ledger's slots that overlap the window, by start.
	Slots(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]Slot, error)
	// Revisions lists changes of settled figures whose bucket lies in the window, newest first.
	Revisions(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]Revision, error)
	// Watermarks lists how far each report has been read.
	Watermarks(ctx context.Context, organization string) ([]Watermark, error)
	// Changed lists the UTC days whose figures changed after change number since, by day, and the
	// newest change number. Numbers only grow; 0 is before every change.
	Changed(ctx context.Context, organization string, since int64) ([]time.Time, int64, error)
	// Counters lists the running totals as [Owner.UpdateCounters] last left them.
	Counters(ctx context.Context, organization string) ([]Counter, error)
	// ClaudeCode lists the Claude Code rows of the days in the window, by day and actor.
	ClaudeCode(ctx context.Context, organization string, w spend.Window) ([]spend.ClaudeCode, error)

	// The inventory. Archived and vanished things stay listed, so that history keeps its names.
	Workspaces(ctx context.Context, organization string) ([]spend.Workspace, error)
	APIKeys(ctx context.Context, organization string) ([]spend.APIKey, error)
	Members(ctx context.Context, organization string) ([]spend.Member, error)
	WorkspaceMembers(ctx context.Context, organization string) ([]spend.WorkspaceMember, error)
	Invites(ctx context.Context, organization string) ([]spend.Invite, error)
	RateLimits(ctx context.Context, organization string) ([]spend.RateLimit, error)
	SpendLimits(ctx context.Context, organization string) ([]spend.SpendLimit, error)
	// InventoryChanges lists what changed in the inventory in the window, newest first.
	InventoryChanges(ctx context.Context, organization string, w spend.Window) ([]InventoryChange, error)

	// Runs lists job runs, newest first: of all organizations if organization is empty, at most
	// limit. LastRuns lists for each organization and job the newest run and the newest success.
	Runs(ctx context.Context, organization string, limit int) ([]Run, error)
	LastRuns(ctx context.Context) ([]Run, error)

	// Ask leaves a request for the daemon that works the organization and returns its id.
	Ask(ctx context.Context, r Request) (int64, error)
	// Requests lists the requests that are not done yet, oldest first; Request finds any by id.
	Requests(ctx context.Context, organization string) ([]Request, error)
	Request(ctx context.Context, id int64) (Request, error)

	// Alerts lists the alerts that are not inactive, and those that were resolved lately, by rule and
	// subject. EvaluatedAt is when rules were last evaluated; zero: never.
	Alerts(ctx context.Context, organization string) ([]AlertRecord, error)
	EvaluatedAt(ctx context.Context, organization string) (time.Time, error)
	// AlertHistory lists changes of alerts in the window, newest first, at most limit.
	AlertHistory(ctx context.Context, organization string, w spend.Window, limit int) ([]AlertChange, error)
	// BudgetMarks, Budgets and RuleStates list what the last evaluations left, by rule and subject.
	BudgetMarks(ctx context.Context, organization string) ([]BudgetMark, error)
	Budgets(ctx context.Context, organization string) ([]Budget, error)
	RuleStates(ctx context.Context, organization string) ([]RuleState, error)
	// Outbox lists notifications that were not delivered, oldest first: those that wait and those that
	// were given up.
	Outbox(ctx context.Context, organization string) ([]Outgoing, error)
	// Deliveries lists attempts to deliver, newest first, at most limit. Receipts lists what notifiers
	// returned for episodes they were told of.
	Deliveries(ctx context.Context, organization string, limit int) ([]Delivery, error)
	Receipts(ctx context.Context, organization string) ([]Receipt, error)
	// Silences lists the silences that end after the time, by when they end. They are of no
	// organization: a matcher on the label organization says which they are about.
	Silences(ctx context.Context, after time.Time) ([]Silence, error)
	SaveSilence(ctx context.Context, s Silence) error
	// EndSilence ends a silence now, unless it is over; [ErrNotFound] if there is none of the id.
	EndSilence(ctx context.Context, id string, now time.Time) error
	AdminLog
	AuditReads

	// Ping reports whether the database can be reached and its schema is the one expected.
	Ping(ctx context.Context) error
	// About says what kind of database it is, and how large.
	About(ctx context.Context) (About, error)
	Close() error
}

// Owner writes what only the process that works an organization may write. Once ownership is lost
// every method returns [ErrLost] and writes nothing.
type Owner interface {
	// ReplaceUsage makes the rows the only ones of their grain in the window.
	//
	// At minute grain the window must start at a full hour; an hour that no coarser grain rules yet
	// becomes ruled by minutes. At hour grain the hours become ruled by hour; a day ruled by day must
	// be covered whole. At day grain days that hours or minutes rule are left alone. Where a touched
	// day belongs to another report the window must cover all its slots, and the day changes hands.
	//
	// Slots that end at or before r.DataAt are complete, later ones provisional. If there is not a
	// single row, the slots that have some are held (see [Slot.SuspectSince]) and their rows kept:
	// the third such answer in a row, at least two hours after the first, is believed. Rows of
	// complete slots that change, vanish or appear leave a [Revision]. A cost bill that was shared
	// out over the window's days is shared out anew.
	//
	// Two rows of one bucket and dimensions are an error, as are negative counts.
	ReplaceUsage(ctx context.Context, r Reading, rows []spend.Usage) (Change, error)
	// ReplaceRequests does the same for request counts (only Bucket, Dims and Requests are read);
	// grains are hour and day.
	ReplaceRequests(ctx context.Context, r Reading, rows []spend.Usage) (Change, error)
	// ReplaceCosts does the same for a bill. At hour grain (analytics) the window must end at or
	// before r.DataAt and its hours are billed at once. At day grain (cost report) a new day is
	// provisional until [Owner.Bill]; a day that is billed already stays billed and is shared out anew.
	ReplaceCosts(ctx context.Context, r Reading, rows []spend.Cost) (Change, error)
	// Bill turns a provisional day of the cost report billed and shares its token and search cells
	// out to the usage of that day by estimated cost, to the last digit; what matches no usage stays
	// with the day, without a key. It returns [ErrNotFound] for a day without a cost report.
	Bill(ctx context.Context, day time.Time, now time.Time) error
	// Confirm records that the slots in the window were compared with the API at now and agreed.
	Confirm(ctx context.Context, f spend.Fact, w spend.Window, now time.Time) error
	// ReplaceClaudeCode makes the rows the only ones of the UTC day.
	ReplaceClaudeCode(ctx context.Context, day time.Time, rows []spend.ClaudeCode) error
	// Reestimate gives every usage row that is not billed yet, from the given time on, the estimate
	// of the function, day by day; when all days have it, the price version is remembered for
	// [OrganizationState.PriceVersion].
	Reestimate(ctx context.Context, from time.Time, priceVersion string, estimate func(*spend.Usage)) error

	// What is reconciled: see [Reconciler].
	Reconciler

	// SetWatermark records how far a report was read, or that it was refused. A zero DataAt leaves
	// the newest complete data as it was; DataAt never goes back.
	SetWatermark(ctx context.Context, w Watermark) error
	// SetLive records when live collection began, once; later calls change nothing.
	SetLive(ctx context.Context, now time.Time) error
	// SumDay sums up the hours of the newest UTC day that ended by the time and whose sums do not hold,
	// so that questions about whole days are answered from them. It changes no answer. It reports
	// false if there is no such day.
	SumDay(ctx context.Context, before time.Time) (bool, error)
	// UpdateCounters brings the running totals up to date with all changes so far. At most maxSeries
	// series are kept per counter name; what comes later counts in the series labelled "other" (0: no limit).
	UpdateCounters(ctx context.Context, maxSeries int) error

	// The inventory: each call replaces the whole list of its kind, except that workspaces and keys
	// that are no longer listed are kept and marked gone.
	SaveWorkspaces(ctx context.Context, ws []spend.Workspace, now time.Time) error
	SaveAPIKeys(ctx context.Context, ks []spend.APIKey, now time.Time) error
	SaveMembers(ctx context.Context, ms []spend.Member, now time.Time) error
	SaveWorkspaceMembers(ctx context.Context, workspaceID string, ms []spend.WorkspaceMember, now time.Time) error
	SaveInvites(ctx context.Context, is []spend.Invite, now time.Time) error
	SaveRateLimits(ctx context.Context, workspaceID string, ls []spend.RateLimit, now time.Time) error
	SaveSpendLimits(ctx context.Context, ls []spend.SpendLimit, now time.Time) error
	// SaveTeams replaces what the column team of the SQL views says.
	SaveTeams(ctx context.Context, ts []TeamOf) error

	// SaveEvaluation writes what an evaluation of the rules changes, all or nothing. It also forgets
	// dead letters older than [DeadLetterAge].
	SaveEvaluation(ctx context.Context, e Evaluation) error
	// Claim takes those of the waiting notifications that are due and that nobody is sending; they are
	// this process's until the time given, or until they are delivered. It returns their numbers.
	Claim(ctx context.Context, seqs []int64, now, until time.Time) ([]int64, error)
	// FinishDelivery notes how an attempt ended. What was sent or dropped leaves the outbox; a receipt is
	// kept for the episodes it told of until their resolve is delivered.
	FinishDelivery(ctx context.Context, d Delivery) error

	// SaveListRead records when a list of the inventory was read, or that it was refused; a zero time
	// leaves what was there.
	SaveListRead(ctx context.Context, l ListRead) error
	// SaveAudit makes an evaluation of the audit the newest one.
	SaveAudit(ctx context.Context, a Audit) error

	SaveRun(ctx context.Context, r Run) error
	// FinishRequest ends a request; an empty problem means it was done.
	FinishRequest(ctx context.Context, id int64, now time.Time, problem string) error
	// Prune removes minute facts before k.Minute and job runs before k.Minute, folds hours before
	// k.Hour into days (a day keeps its sum, its billed amounts and its authority) and forgets days
	// before k.Day: they are missing afterwards, as if never read. Zero times keep everything. Checks of
	// days before k.Hour and what was set aside on them, the history of alerts and silences that are
	// over go with the hours, attempts to deliver with the minutes. It changes no total of what is kept,
	// no counter and no last use. It returns the rows it removed.
	Prune(ctx context.Context, k Keep) (int64, error)

	// Release gives the organization up. It is safe to call after ownership was lost.
	Release() error
}

// OrganizationState is an organization and what the store knows about it.
type OrganizationState struct {
	spend.Organization
	FirstSeenAt  time.Time
	LiveAt       time.Time // when live collection began; zero before
	PriceVersion string    // of the price table the stored estimates were made with
}

// Reading is an answer of the API, about to be written.
type Reading struct {
	Report spend.Report
	Grain  spend.Grain
	Window spend.Window
	At     time.Time // when the answer was read
	DataAt time.Time // up to where the answer is complete
}

// Change is what a replacement did.
type Change struct {
	Written int            // rows that were new or different
	Deleted int            // rows that the API no longer has
	Held    []spend.Window // slots whose rows were kept although the answer was empty
}

// SlotState is how far a slot's figures are settled.
type SlotState string

// The states. A slot that is missing has no row in the ledger at all.
const (
	Provisional SlotState = "provisional" // may be incomplete, or an open bill
	Complete    SlotState = "complete"    // the report says that it has all of it
	Billed      SlotState = "billed"      // costs only
)

// Slot is an entry of the ledger: who rules an hour or a day.
type Slot struct {
	Window       spend.Window // an hour, or a UTC day
	Grain        spend.Grain  // the grain of the rows that count
	Report       spend.Report
	State        SlotState
	ReadAt       time.Time // last read, or confirmed
	Since        time.Time // first read of an unbroken run of equal answers
	SuspectSince time.Time // first of the empty answers that were held; zero if none
	SuspectReads int
}

// Watermark is how far a report has been read.
type Watermark struct {
	Report    spend.Report
	DataAt    time.Time // newest complete data
	ReadAt    time.Time // last successful read
	RefusedAt time.Time // last refusal; zero if the last answer was not a refusal
	Reason    string    // why it was refused
}

// NoDataYet is the reason of a report that answered, but has nothing for the organization yet, and is
// asked again as one that was refused is.
const NoDataYet = "it has no data for this organization yet"

// Revision is what a settled figure was before it changed.
type Revision struct {
	Bucket    time.Time
	Grain     spend.Grain
	RevisedAt time.Time
	Old       RevisedFigures
	New       RevisedFigures
	spend.Dims
}

// RevisedFigures are the figures of one row; for usage Counts, for costs Amount and List.
type RevisedFigures struct {
	Counts   spend.Counts
	Requests int64
	Amount   spend.Money
	List     spend.Money
}

// InventoryChange is something seen to differ from the inventory before.
type InventoryChange struct {
	At    time.Time
	Kind  string // workspace, api_key, member, invite
	ID    string
	Field string // "added", "gone", or the field's name
	Old   string
	New   string
}

// Run is one execution of a job.
type Run struct {
	Organization string
	Job          string
	StartedAt    time.Time
	EndedAt      time.Time
	Outcome      string // ok, failed, canceled
	Rows         int64  // rows written
	Requests     int64  // API requests made
	Error        string // empty when ok
}

// Request kinds.
const (
	RequestBackfill = "backfill" // fill the window at the grain
	RequestCollect  = "collect"  // run every job now
)

// Request is something asked of the daemon that works an organization.
type Request struct {
	ID           int64
	Organization string
	Kind         string
	Grain        spend.Grain // backfill only
	Window       spend.Window
	AskedAt      time.Time
	DoneAt       time.Time // zero while open
	Problem      string
}

// Keep is what Prune keeps: facts from these times on. Zero keeps everything.
type Keep struct{ Minute, Hour, Day time.Time }

// Query asks for sums.
//
// By the minute the answer is what was read by the minute and is still kept, whether or not it rules
// its hour: tokens without request counts, and their estimated cost. Minutes are for short windows
// and peaks; hours of which no minutes were read have no rows, and what settled figures say of an
// hour may differ from the sum of its minutes.
type Query struct {
	Window spend.Window // widened to whole buckets of the step (hours, for a total)
	Step   spend.Grain  // Minute, Hour or Day; 0 is one sum over the whole window
	By     []spend.Dimension
	Where  []Match
	Facts  bool // from the facts alone, not from their sums by the day: to compare facts with something else
	Most   int  // how many rows may be held at a time to answer it, else it is [ErrTooMany]; 0: any number
}

// Match keeps the rows whose dimension is one of the values. Values are ids.
type Match struct {
	Dimension spend.Dimension
	Values    []string
}

// UsageResult is the answer to a usage query. Rows that are all zero are left out.
type UsageResult struct {
	Window spend.Window // what was summed: at least the window asked for, in whole buckets
	Rows   []UsageRow
}

// UsageRow is usage summed over a bucket. Start and End are a day's where only the day is known.
type UsageRow struct {
	Organization string
	Start, End   time.Time
	spend.Dims
	Counts   spend.Counts
	Requests int64
}

// CostResult is the answer to a cost query. Rows that are all zero are left out.
type CostResult struct {
	Window spend.Window
	Rows   []CostRow
}

// CostRow is cost summed over a bucket. A row without an APIKeyID in an answer by key is what
// cannot be attributed to any.
type CostRow struct {
	Organization string
	Start, End   time.Time
	spend.Dims
	Basis     spend.Basis // billed, allocated or estimated, never mixed
	Cost      spend.Money // of estimates calibrated: scaled to what was really charged lately
	List      spend.Money // before discount, as far as a bill tells; of estimates tokens × price
	Unpriced  int64       // tokens in it that no price is known for; their cost is not in Cost
	Uncertain bool        // a price in it could not be told for sure
}

// Counter names.
const (
	CounterTokens       = "tokens"
	CounterRequests     = "requests"
	CounterWebSearches  = "web_searches"
	CounterCost         = "cost"
	CounterAPIKeyTokens = "api_key_tokens"
	CounterUnpriced     = "unpriced_tokens"
)

// CounterDims are the dimensions of each counter.
var CounterDims = map[string][]spend.Dimension{
	CounterTokens:       {spend.ByWorkspace, spend.ByModel, spend.ByServiceTier, spend.ByTokenType},
	CounterRequests:     {spend.ByWorkspace, spend.ByModel, spend.ByServiceTier},
	CounterWebSearches:  {spend.ByWorkspace, spend.ByModel},
	CounterCost:         {spend.ByWorkspace, spend.ByModel, spend.ByCostType},
	CounterAPIKeyTokens: {spend.ByWorkspace, spend.ByAPIKey},
	CounterUnpriced:     {spend.ByModel},
}

// Other is the label of the series that counts what did not fit under the series limit.
const Other = "other"

// Counter is a running total since live collection began. Shown never falls.
type Counter struct {
	Name string
	spend.Dims
	Total  int64 // exact; falls when figures are revised downward
	Shown  int64 // the highest total so far; what may be exposed
	Folded bool  // counted in the series Other
}
