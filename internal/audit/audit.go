// Package audit looks at API keys and at who has access: what is stale, what nobody answers for, what
// behaves unlike before.
//
// [Examine] is a pure function of what the store knows ([Input]), the configuration and the time; an
// [Auditor] reads the one and stores the other. The daemon stores an evaluation after each collection;
// metrics, pages, views and rules read that. `monitor audit` evaluates anew.
//
// What can be known of a key's last use is when it last caused billed Messages usage, since the history
// begins: no finding says more than that. A check that cannot be made (a list refused to the credential,
// a history that is too short) is a gap of the evaluation, never silently well.
//
// A new check is a line in the list below, a key in [Config] and a method in keys.go or people.go.
package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Severities, the least first.
const (
	Info     = "info"
	Warning  = "warning"
	Critical = "critical"
)

// Severities lists them, the least first.
var Severities = []string{Info, Warning, Critical}

// Rank is how bad a severity is: greater is worse.
func Rank(severity string) int { return slices.Index(Severities, severity) }

// check is a check of the audit: how bad what it finds can be, and whether it is on.
type check struct {
	name       string
	severities []string
	on         func(Config) bool
}

// The names of the checks.
const (
	Unused             = "unused"
	NeverUsed          = "never_used"
	Old                = "old"
	Expiring           = "expiring"
	ExpiredNotArchived = "expired_not_archived"
	NoExpiry           = "no_expiry"
	CreatorLeft        = "creator_left"
	DefaultWorkspace   = "default_workspace"
	ArchivedWorkspace  = "archived_workspace"
	Inactive           = "inactive"
	Woke               = "woke"
	Moved              = "moved"
	Name               = "name"
	TooManyKeys        = "too_many_keys"
	TooManyAdmins      = "too_many_admins"
	NoWorkspaceRole    = "no_workspace_role"
	InvitePending      = "invite_pending"
	ForeignDomain      = "foreign_domain"
)

// checks are all, keys' first.
var checks = []check{
	{Unused, []string{Warning}, func(c Config) bool { return c.UnusedFor > 0 }},
	{NeverUsed, []string{Warning}, func(c Config) bool { return c.NeverUsedAfter > 0 }},
	{Old, []string{Info}, func(c Config) bool { return c.OlderThan > 0 }},
	{Expiring, []string{Info, Warning, Critical}, func(c Config) bool { return c.ExpiresWithin > 0 }},
	{ExpiredNotArchived, []string{Info}, func(c Config) bool { return c.ExpiredNotArchived }},
	{NoExpiry, []string{Info}, func(c Config) bool { return c.NoExpiry }},
	{CreatorLeft, []string{Critical}, func(c Config) bool { return c.CreatorLeft }},
	{DefaultWorkspace, []string{Info}, func(c Config) bool { return c.DefaultWorkspace }},
	{ArchivedWorkspace, []string{Warning, Critical}, func(c Config) bool { return c.ArchivedWorkspace }},
	{Inactive, []string{Info}, func(c Config) bool { return c.InactiveFor > 0 }},
	{Woke, []string{Warning, Critical}, func(c Config) bool { return c.WokeAfter > 0 }},
	{Moved, []string{Info, Warning}, func(c Config) bool { return c.Moved }},
	{Name, []string{Info}, func(c Config) bool { return c.NamePattern != "" }},
	{TooManyKeys, []string{Warning}, func(c Config) bool { return c.MaxActiveKeys > 0 }},
	{TooManyAdmins, []string{Warning}, func(c Config) bool { return c.MaxAdmins > 0 }},
	{NoWorkspaceRole, []string{Info}, func(c Config) bool { return c.NoWorkspaceRole }},
	{InvitePending, []string{Warning}, func(c Config) bool { return c.PendingInvites > 0 }},
	{ForeignDomain, []string{Warning, Critical}, func(c Config) bool { return len(c.OwnDomains) > 0 }},
}

// Names lists the names of all checks.
func Names() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// Auditor audits organizations of a store.
type Auditor struct {
	Store  storage.Store
	Config Config
	// Several says that the configuration has several organizations, so that commands must name theirs.
	Several bool
}

// Evaluate examines an organization as at now. It writes nothing. An organization that the store does
// not know is [storage.ErrNotFound].
func (a *Auditor) Evaluate(ctx context.Context, organization string, now time.Time) (storage.Audit, error) {
	orgs, err := a.Store.Organizations(ctx)
	if err != nil {
		return storage.Audit{}, fmt.Errorf("organizations: %w", err)
	}
	i := slices.IndexFunc(orgs, func(o storage.OrganizationState) bool { return o.ID == organization })
	if i < 0 {
		return storage.Audit{}, fmt.Errorf("organization %q: %w", organization, storage.ErrNotFound)
	}
	in, err := a.read(ctx, orgs[i].Organization, now)
	if err != nil {
		return storage.Audit{}, err
	}
	return Examine(in, a.Config, now), nil
}

// Save examines an organization that the caller owns and stores the evaluation.
func (a *Auditor) Save(ctx context.Context, owner storage.Owner, organization string, now time.Time) error {
	evaluation, err := a.Evaluate(ctx, organization, now)
	if err != nil {
		return err
	}
	return owner.SaveAudit(ctx, evaluation)
}

// Summary says in a line what a finding is about and what it is.
func Summary(f storage.AuditFinding) string {
	kinds := map[string]string{storage.AboutKey: "API key", storage.AboutMember: "member", storage.AboutInvite: "invite of", storage.AboutOrganization: "organization"}
	return fmt.Sprintf("%s %s: %s", kinds[f.About], f.Name, f.What)
}

// fresh is how old an evaluation may be for [Auditor.Findings] to take it.
const fresh = time.Hour

// Findings lists what the audit finds about an organization: by the stored evaluation where it is not
// older than an hour, nor of after now; else by one as at now. It is what rules judge by.
func (a *Auditor) Findings(ctx context.Context, organization string, now time.Time) ([]storage.AuditFinding, error) {
	stored, err := a.Store.Audit(ctx, organization)
	if err != nil {
		return nil, fmt.Errorf("stored audit: %w", err)
	}
	if age := now.Sub(stored.EvaluatedAt); !stored.EvaluatedAt.IsZero() && age >= 0 && age <= fresh {
		return stored.Findings, nil
	}
	evaluation, err := a.Evaluate(ctx, organization, now)
	return evaluation.Findings, err
}

// window that recent use lies in, and what it is compared with where the configuration asks for no more.
const (
	recent = 14 * 24 * time.Hour
	before = 60 * 24 * time.Hour
)

// windows are the recent days and the ones before, up to which use is known.
func windows(c Config, usageAt time.Time) (now, past spend.Window) {
	now = spend.Window{Start: spend.Day.Floor(usageAt).Add(spend.Day.Duration() - recent), End: spend.Hour.Ceil(usageAt)}
	return now, spend.Window{Start: now.Start.Add(-max(before, c.WokeAfter.Duration())), End: now.Start}
}
