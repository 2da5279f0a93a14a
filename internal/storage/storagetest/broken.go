package storagetest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Broken is a store whose methods, and those of its owners, fail on demand. It is safe for
// concurrent use.
type Broken struct {
	storage.Store
	mu      sync.Mutex
	err     error
	methods []string
}

// Break wraps a store, which works until [Broken.Fail].
func Break(s storage.Store) *Broken { return &Broken{Store: s} }

// Fail makes the methods of these names, or all if there are none, return the error without doing
// anything, until Fail is called again; a nil error heals the store. Close and Release always work.
func (b *Broken) Fail(err error, methods ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.methods = err, methods
}

// fails is the error that the method returns now.
func (b *Broken) fails(method string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && (len(b.methods) == 0 || slices.Contains(b.methods, method)) {
		return b.err
	}
	return nil
}

// brokenOwner is an owner of a [Broken] store.
type brokenOwner struct {
	storage.Owner
	b *Broken
}

// Organizations fails on demand.
func (b *Broken) Organizations(ctx context.Context) ([]storage.OrganizationState, error) {
	if err := b.fails("Organizations"); err != nil {
		return nil, err
	}
	return b.Store.Organizations(ctx)
}

// SaveOrganization fails on demand.
func (b *Broken) SaveOrganization(ctx context.Context, o spend.Organization, now time.Time) error {
	if err := b.fails("SaveOrganization"); err != nil {
		return err
	}
	return b.Store.SaveOrganization(ctx, o, now)
}

// Own fails on demand; the owner it returns does too.
func (b *Broken) Own(ctx context.Context, organization string) (storage.Owner, error) {
	if err := b.fails("Own"); err != nil {
		return nil, err
	}
	o, err := b.Store.Own(ctx, organization)
	if err != nil {
		return nil, err
	}
	return brokenOwner{o, b}, nil
}

// Usage fails on demand.
func (b *Broken) Usage(ctx context.Context, q storage.Query) (storage.UsageResult, error) {
	if err := b.fails("Usage"); err != nil {
		return storage.UsageResult{}, err
	}
	return b.Store.Usage(ctx, q)
}

// Costs fails on demand.
func (b *Broken) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	if err := b.fails("Costs"); err != nil {
		return storage.CostResult{}, err
	}
	return b.Store.Costs(ctx, q)
}

// Slots fails on demand.
func (b *Broken) Slots(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Slot, error) {
	if err := b.fails("Slots"); err != nil {
		return nil, err
	}
	return b.Store.Slots(ctx, organization, f, w)
}

// Revisions fails on demand.
func (b *Broken) Revisions(ctx context.Context, organization string, f spend.Fact, w spend.Window) ([]storage.Revision, error) {
	if err := b.fails("Revisions"); err != nil {
		return nil, err
	}
	return b.Store.Revisions(ctx, organization, f, w)
}

// Watermarks fails on demand.
func (b *Broken) Watermarks(ctx context.Context, organization string) ([]storage.Watermark, error) {
	if err := b.fails("Watermarks"); err != nil {
		return nil, err
	}
	return b.Store.Watermarks(ctx, organization)
}

// Changed fails on demand.
func (b *Broken) Changed(ctx context.Context, organization string, since int64) ([]time.Time, int64, error) {
	if err := b.fails("Changed"); err != nil {
		return nil, 0, err
	}
	return b.Store.Changed(ctx, organization, since)
}

// Counters fails on demand.
func (b *Broken) Counters(ctx context.Context, organization string) ([]storage.Counter, error) {
	if err := b.fails("Counters"); err != nil {
		return nil, err
	}
	return b.Store.Counters(ctx, organization)
}

// ClaudeCode fails on demand.
func (b *Broken) ClaudeCode(ctx context.Context, organization string, w spend.Window) ([]spend.ClaudeCode, error) {
	if err := b.fails("ClaudeCode"); err != nil {
		return nil, err
	}
	return b.Store.ClaudeCode(ctx, organization, w)
}

// Workspaces fails on demand.
func (b *Broken) Workspaces(ctx context.Context, organization string) ([]spend.Workspace, error) {
	if err := b.fails("Workspaces"); err != nil {
		return nil, err
	}
	return b.Store.Workspaces(ctx, organization)
}

// APIKeys fails on demand.
func (b *Broken) APIKeys(ctx context.Context, organization string) ([]spend.APIKey, error) {
	if err := b.fails("APIKeys"); err != nil {
		return nil, err
	}
	return b.Store.APIKeys(ctx, organization)
}

// Members fails on demand.
func (b *Broken) Members(ctx context.Context, organization string) ([]spend.Member, error) {
	if err := b.fails("Members"); err != nil {
		return nil, err
	}
	return b.Store.Members(ctx, organization)
}

// WorkspaceMembers fails on demand.
func (b *Broken) WorkspaceMembers(ctx context.Context, organization string) ([]spend.WorkspaceMember, error) {
	if err := b.fails("WorkspaceMembers"); err != nil {
		return nil, err
	}
	return b.Store.WorkspaceMembers(ctx, organization)
}

// Invites fails on demand.
func (b *Broken) Invites(ctx context.Context, organization string) ([]spend.Invite, error) {
	if err := b.fails("Invites"); err != nil {
		return nil, err
	}
	return b.Store.Invites(ctx, organization)
}

// RateLimits fails on demand.
func (b *Broken) RateLimits(ctx context.Context, organization string) ([]spend.RateLimit, error) {
	if err := b.fails("RateLimits"); err != nil {
		return nil, err
	}
	return b.Store.RateLimits(ctx, organization)
}

// SpendLimits fails on demand.
func (b *Broken) SpendLimits(ctx context.Context, organization string) ([]spend.SpendLimit, error) {
	if err := b.fails("SpendLimits"); err != nil {
		return nil, err
	}
	return b.Store.SpendLimits(ctx, organization)
}

// InventoryChanges fails on demand.
func (b *Broken) InventoryChanges(ctx context.Context, organization string, w spend.Window) ([]storage.InventoryChange, error) {
	if err := b.fails("InventoryChanges"); err != nil {
		return nil, err
	}
	return b.Store.InventoryChanges(ctx, organization, w)
}

// Runs fails on demand.
func (b *Broken) Runs(ctx context.Context, organization string, limit int) ([]storage.Run, error) {
	if err := b.fails("Runs"); err != nil {
		return nil, err
	}
	return b.Store.Runs(ctx, organization, limit)
}

// LastRuns fails on demand.
func (b *Broken) LastRuns(ctx context.Context) ([]storage.Run, error) {
	if err := b.fails("LastRuns"); err != nil {
		return nil, err
	}
	return b.Store.LastRuns(ctx)
}

// Ask fails on demand.
func (b *Broken) Ask(ctx context.Context, r storage.Request) (int64, error) {
	if err := b.fails("Ask"); err != nil {
		return 0, err
	}
	return b.Store.Ask(ctx, r)
}

// BeginAdmin fails on demand.
func (b *Broken) BeginAdmin(ctx context.Context, e storage.AdminEntry) (int64, error) {
	if err := b.fails("BeginAdmin"); err != nil {
		return 0, err
	}
	return b.Store.BeginAdmin(ctx, e)
}

// FinishAdmin fails on demand.
func (b *Broken) FinishAdmin(ctx context.Context, id int64, created string, o storage.AdminOutcome) error {
	if err := b.fails("FinishAdmin"); err != nil {
		return err
	}
	return b.Store.FinishAdmin(ctx, id, created, o)
}

// AdminLog fails on demand.
func (b *Broken) AdminLog(ctx context.Context, f storage.AdminFilter) ([]storage.AdminEntry, error) {
	if err := b.fails("AdminLog"); err != nil {
		return nil, err
	}
	return b.Store.AdminLog(ctx, f)
}

// Requests fails on demand.
func (b *Broken) Requests(ctx context.Context, organization string) ([]storage.Request, error) {
	if err := b.fails("Requests"); err != nil {
		return nil, err
	}
	return b.Store.Requests(ctx, organization)
}

// Request fails on demand.
func (b *Broken) Request(ctx context.Context, id int64) (storage.Request, error) {
	if err := b.fails("Request"); err != nil {
		return storage.Request{}, err
	}
	return b.Store.Request(ctx, id)
}

// Ping fails on demand.
func (b *Broken) Ping(ctx context.Context) error {
	if err := b.fails("Ping"); err != nil {
		return err
	}
	return b.Store.Ping(ctx)
}

func (o brokenOwner) ReplaceUsage(ctx context.Context, r storage.Reading, rows []spend.Usage) (storage.Change, error) {
	if err := o.b.fails("ReplaceUsage"); err != nil {
		return storage.Change{}, err
	}
	return o.Owner.ReplaceUsage(ctx, r, rows)
}

func (o brokenOwner) ReplaceRequests(ctx context.Context, r storage.Reading, rows []spend.Usage) (storage.Change, error) {
	if err := o.b.fails("ReplaceRequests"); err != nil {
		return storage.Change{}, err
	}
	return o.Owner.ReplaceRequests(ctx, r, rows)
}

func (o brokenOwner) ReplaceCosts(ctx context.Context, r storage.Reading, rows []spend.Cost) (storage.Change, error) {
	if err := o.b.fails("ReplaceCosts"); err != nil {
		return storage.Change{}, err
	}
	return o.Owner.ReplaceCosts(ctx, r, rows)
}

func (o brokenOwner) Bill(ctx context.Context, day time.Time, now time.Time) error {
	if err := o.b.fails("Bill"); err != nil {
		return err
	}
	return o.Owner.Bill(ctx, day, now)
}

func (o brokenOwner) Confirm(ctx context.Context, f spend.Fact, w spend.Window, now time.Time) error {
	if err := o.b.fails("Confirm"); err != nil {
		return err
	}
	return o.Owner.Confirm(ctx, f, w, now)
}

func (o brokenOwner) ReplaceClaudeCode(ctx context.Context, day time.Time, rows []spend.ClaudeCode) error {
	if err := o.b.fails("ReplaceClaudeCode"); err != nil {
		return err
	}
	return o.Owner.ReplaceClaudeCode(ctx, day, rows)
}

func (o brokenOwner) Reestimate(ctx context.Context, from time.Time, priceVersion string, estimate func(*spend.Usage)) error {
	if err := o.b.fails("Reestimate"); err != nil {
		return err
	}
	return o.Owner.Reestimate(ctx, from, priceVersion, estimate)
}

func (o brokenOwner) SetWatermark(ctx context.Context, w storage.Watermark) error {
	if err := o.b.fails("SetWatermark"); err != nil {
		return err
	}
	return o.Owner.SetWatermark(ctx, w)
}

func (o brokenOwner) SetLive(ctx context.Context, now time.Time) error {
	if err := o.b.fails("SetLive"); err != nil {
		return err
	}
	return o.Owner.SetLive(ctx, now)
}

func (o brokenOwner) UpdateCounters(ctx context.Context, maxSeries int) error {
	if err := o.b.fails("UpdateCounters"); err != nil {
		return err
	}
	return o.Owner.UpdateCounters(ctx, maxSeries)
}

func (o brokenOwner) SumDay(ctx context.Context, before time.Time) (bool, error) {
	if err := o.b.fails("SumDay"); err != nil {
		return false, err
	}
	return o.Owner.SumDay(ctx, before)
}

func (o brokenOwner) SaveWorkspaces(ctx context.Context, ws []spend.Workspace, now time.Time) error {
	if err := o.b.fails("SaveWorkspaces"); err != nil {
		return err
	}
	return o.Owner.SaveWorkspaces(ctx, ws, now)
}

func (o brokenOwner) SaveAPIKeys(ctx context.Context, ks []spend.APIKey, now time.Time) error {
	if err := o.b.fails("SaveAPIKeys"); err != nil {
		return err
	}
	return o.Owner.SaveAPIKeys(ctx, ks, now)
}

func (o brokenOwner) SaveMembers(ctx context.Context, ms []spend.Member, now time.Time) error {
	if err := o.b.fails("SaveMembers"); err != nil {
		return err
	}
	return o.Owner.SaveMembers(ctx, ms, now)
}

func (o brokenOwner) SaveWorkspaceMembers(ctx context.Context, workspaceID string, ms []spend.WorkspaceMember, now time.Time) error {
	if err := o.b.fails("SaveWorkspaceMembers"); err != nil {
		return err
	}
	return o.Owner.SaveWorkspaceMembers(ctx, workspaceID, ms, now)
}

func (o brokenOwner) SaveInvites(ctx context.Context, is []spend.Invite, now time.Time) error {
	if err := o.b.fails("SaveInvites"); err != nil {
		return err
	}
	return o.Owner.SaveInvites(ctx, is, now)
}

func (o brokenOwner) SaveRateLimits(ctx context.Context, workspaceID string, ls []spend.RateLimit, now time.Time) error {
	if err := o.b.fails("SaveRateLimits"); err != nil {
		return err
	}
	return o.Owner.SaveRateLimits(ctx, workspaceID, ls, now)
}

func (o brokenOwner) SaveSpendLimits(ctx context.Context, ls []spend.SpendLimit, now time.Time) error {
	if err := o.b.fails("SaveSpendLimits"); err != nil {
		return err
	}
	return o.Owner.SaveSpendLimits(ctx, ls, now)
}

func (o brokenOwner) SaveRun(ctx context.Context, r storage.Run) error {
	if err := o.b.fails("SaveRun"); err != nil {
		return err
	}
	return o.Owner.SaveRun(ctx, r)
}

func (o brokenOwner) FinishRequest(ctx context.Context, id int64, now time.Time, problem string) error {
	if err := o.b.fails("FinishRequest"); err != nil {
		return err
	}
	return o.Owner.FinishRequest(ctx, id, now, problem)
}

func (o brokenOwner) Prune(ctx context.Context, k storage.Keep) (int64, error) {
	if err := o.b.fails("Prune"); err != nil {
		return 0, err
	}
	return o.Owner.Prune(ctx, k)
}

// SaveTeams fails on demand.
func (o brokenOwner) SaveTeams(ctx context.Context, ts []storage.TeamOf) error {
	if err := o.b.fails("SaveTeams"); err != nil {
		return err
	}
	return o.Owner.SaveTeams(ctx, ts)
}

// Estimates fails on demand.
func (b *Broken) Estimates(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	if err := b.fails("Estimates"); err != nil {
		return storage.CostResult{}, err
	}
	return b.Store.Estimates(ctx, q)
}

// Checks fails on demand.
func (b *Broken) Checks(ctx context.Context, organization string, w spend.Window) ([]storage.Check, error) {
	if err := b.fails("Checks"); err != nil {
		return nil, err
	}
	return b.Store.Checks(ctx, organization, w)
}

// Findings fails on demand.
func (b *Broken) Findings(ctx context.Context, organization string) ([]storage.Finding, error) {
	if err := b.fails("Findings"); err != nil {
		return nil, err
	}
	return b.Store.Findings(ctx, organization)
}

// SetAside fails on demand.
func (b *Broken) SetAside(ctx context.Context, organization string, w spend.Window) ([]storage.SetAside, error) {
	if err := b.fails("SetAside"); err != nil {
		return nil, err
	}
	return b.Store.SetAside(ctx, organization, w)
}

// Calibration fails on demand.
func (b *Broken) Calibration(ctx context.Context, organization string) (storage.Calibration, error) {
	if err := b.fails("Calibration"); err != nil {
		return storage.Calibration{}, err
	}
	return b.Store.Calibration(ctx, organization)
}

func (o brokenOwner) SaveChecks(ctx context.Context, cs []storage.Check) error {
	if err := o.b.fails("SaveChecks"); err != nil {
		return err
	}
	return o.Owner.SaveChecks(ctx, cs)
}

func (o brokenOwner) SaveFindings(ctx context.Context, fs []storage.Finding) error {
	if err := o.b.fails("SaveFindings"); err != nil {
		return err
	}
	return o.Owner.SaveFindings(ctx, fs)
}

func (o brokenOwner) ReplaceSetAside(ctx context.Context, r spend.Report, w spend.Window, rows []storage.SetAside) error {
	if err := o.b.fails("ReplaceSetAside"); err != nil {
		return err
	}
	return o.Owner.ReplaceSetAside(ctx, r, w, rows)
}

func (o brokenOwner) Calibrate(ctx context.Context, c storage.Calibration) error {
	if err := o.b.fails("Calibrate"); err != nil {
		return err
	}
	return o.Owner.Calibrate(ctx, c)
}

// KeySpans fails on demand.
func (b *Broken) KeySpans(ctx context.Context, organization string, w spend.Window, keys []string) ([]storage.KeySpan, error) {
	if err := b.fails("KeySpans"); err != nil {
		return nil, err
	}
	return b.Store.KeySpans(ctx, organization, w, keys)
}

// ListReads fails on demand.
func (b *Broken) ListReads(ctx context.Context, organization string) ([]storage.ListRead, error) {
	if err := b.fails("ListReads"); err != nil {
		return nil, err
	}
	return b.Store.ListReads(ctx, organization)
}

// Audit fails on demand.
func (b *Broken) Audit(ctx context.Context, organization string) (storage.Audit, error) {
	if err := b.fails("Audit"); err != nil {
		return storage.Audit{}, err
	}
	return b.Store.Audit(ctx, organization)
}

func (o brokenOwner) SaveListRead(ctx context.Context, l storage.ListRead) error {
	if err := o.b.fails("SaveListRead"); err != nil {
		return err
	}
	return o.Owner.SaveListRead(ctx, l)
}

func (o brokenOwner) SaveAudit(ctx context.Context, a storage.Audit) error {
	if err := o.b.fails("SaveAudit"); err != nil {
		return err
	}
	return o.Owner.SaveAudit(ctx, a)
}
