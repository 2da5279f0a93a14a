package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// AuditReads is what the audit of keys and access reads beside the inventory, and what it left.
type AuditReads interface {
	// KeySpans says for each key, workspace and model with use in the window, widened to whole hours,
	// when the first and the last of it was: by id, and only of what counts. A day that is only known
	// by the day is as a whole in or out, by its start. Keys restricts it to these; nil is all.
	KeySpans(ctx context.Context, organization string, w spend.Window, keys []string) ([]KeySpan, error)
	// ListReads says of each list of the inventory when it was last read, or refused, by name.
	ListReads(ctx context.Context, organization string) ([]ListRead, error)
	// Audit is the newest evaluation; EvaluatedAt is zero where there is none. Findings are by subject
	// and check.
	Audit(ctx context.Context, organization string) (Audit, error)
}

// KeySpan is when a key was used in a workspace with a model: the first and the last bucket of it.
type KeySpan struct {
	APIKeyID, WorkspaceID, Model string
	First, Last                  spend.Window
}

// SeriesSpan is the first and the last bucket of a series, in Unix seconds, and what of its dimensions
// a [KeySpan] has.
type SeriesSpan struct {
	APIKeyID, WorkspaceID, Model string
	First, Last                  int64
}

// The lists of the inventory.
const (
	ListWorkspaces       = "workspaces"
	ListAPIKeys          = "api_keys"
	ListMembers          = "members"
	ListInvites          = "invites"
	ListWorkspaceMembers = "workspace_members"
)

// ListRead is when a list of the inventory was last read, and when it was refused to the credential;
// zero where it never was. A list that was read after it was refused is not refused any more.
type ListRead struct {
	List      string
	ReadAt    time.Time
	RefusedAt time.Time
	Reason    string
}

// Refused reports whether the newest answer was a refusal.
func (l ListRead) Refused() bool { return l.RefusedAt.After(l.ReadAt) }

// What an audit's finding is about.
const (
	AboutKey          = "api_key"
	AboutMember       = "member"
	AboutInvite       = "invite"
	AboutOrganization = "organization"
)

// AuditFinding is one thing that the audit sees about a key, a person, an invite or the organization. There
// is at most one of a check for each of them.
type AuditFinding struct {
	Check    string
	Severity string // info, warning, critical
	About    string
	ID       string // of what it is about; empty for the organization
	Name     string // what that is called
	// WorkspaceID is a key's workspace; empty for a key of the whole organization, and for others.
	WorkspaceID string
	Owner       string    // who made the key or whose it is: an e-mail address, else an id; empty: not known
	Since       time.Time // since when it is so, as far as is known; zero: not known
	What        string    // one line
	Evidence    string    // what it was told by, and how sure that is
	Advice      string    // what to do
	Command     string    // that does it; empty where no command can
	Cost        spend.Money
	Basis       spend.Basis // of the cost of the key's last 30 days; empty: no cost
}

// compare orders findings by what they are about, and by check.
func (f AuditFinding) compare(g AuditFinding) int {
	return cmp.Or(strings.Compare(f.About, g.About), strings.Compare(f.ID, g.ID), strings.Compare(f.Check, g.Check))
}

// AuditCheck is a check that is on, and how bad what it finds can be.
type AuditCheck struct {
	Name       string   `json:"name"`
	Severities []string `json:"severities"`
}

// States of an [AuditException].
const (
	ExceptionInForce = "in force" // it hides findings
	ExceptionUnused  = "unused"   // it is in force, and there is nothing that it hides
	ExceptionEnded   = "ended"    // it hides nothing any more
	// ExceptionElsewhere is of one that is in force for several organizations: there is nothing that it hides in
	// this one.
	ExceptionElsewhere = "unused here"
)

// AuditException is an exception of the configuration and what became of it.
type AuditException struct {
	Subject string    `json:"subject"` // as configured
	Check   string    `json:"check"`
	Until   time.Time `json:"until"` // not included
	Reason  string    `json:"reason"`
	State   string    `json:"state"`
	Hides   []string  `json:"hides"` // "check: name", of each finding
}

// AuditGap is a check that could not be made.
type AuditGap struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

// KeyCost is what a key cost in 30 days.
type KeyCost struct {
	Cost  spend.Money
	Basis spend.Basis
}

// Audit is an evaluation of the audit: what was found, and how far it could see.
type Audit struct {
	AuditAbout
	Findings []AuditFinding
	Costs    map[string]KeyCost // by key; a key that is not in it cost nothing
}

// AuditAbout is what an evaluation rests on. Times are zero where nothing is known.
type AuditAbout struct {
	EvaluatedAt  time.Time        `json:"evaluated_at"`
	InventoryAt  time.Time        `json:"inventory_at"`  // when the oldest of the lists in use was read
	UsageAt      time.Time        `json:"usage_at"`      // up to where use is known
	CostAt       time.Time        `json:"cost_at"`       // up to where cost is known
	HistorySince time.Time        `json:"history_since"` // from when on use is known
	MissingHours int64            `json:"missing_hours"` // hours in between that were never read
	Checks       []AuditCheck     `json:"checks"`        // that are on
	Gaps         []AuditGap       `json:"gaps"`
	Exceptions   []AuditException `json:"exceptions"`
}

// EncodeAuditAbout is what a backend stores of what an evaluation rests on.
func EncodeAuditAbout(a AuditAbout) (string, error) {
	b, err := json.Marshal(a)
	return string(b), err
}

// DecodeAuditAbout is the inverse of [EncodeAuditAbout].
func DecodeAuditAbout(text string) (a AuditAbout, err error) {
	return a, json.Unmarshal([]byte(text), &a)
}

// AuditChanges says what to write so that the stored evaluation becomes the wanted one: findings to
// remove (they may be put again) and to put, and costs to remove and to put.
func AuditChanges(stored, wanted Audit) (drop, put []AuditFinding, dropCosts []string, putCosts map[string]KeyCost) {
	old := map[AuditFinding]bool{}
	for _, f := range stored.Findings {
		old[storedFinding(f)] = true
	}
	kept := map[AuditFinding]bool{}
	for _, f := range wanted.Findings {
		if f = storedFinding(f); old[f] {
			kept[f] = true
		} else {
			put = append(put, f)
		}
	}
	for f := range old {
		if !kept[f] {
			drop = append(drop, f)
		}
	}
	slices.SortFunc(drop, AuditFinding.compare)
	putCosts = map[string]KeyCost{}
	for id, c := range wanted.Costs {
		if was, ok := stored.Costs[id]; !ok || was != c {
			putCosts[id] = c
		}
	}
	for _, id := range slices.Sorted(maps.Keys(stored.Costs)) {
		if _, ok := wanted.Costs[id]; !ok {
			dropCosts = append(dropCosts, id)
		}
	}
	return drop, put, dropCosts, putCosts
}

// storedFinding is the finding as it comes back.
func storedFinding(f AuditFinding) AuditFinding {
	f.Since = second(f.Since)
	return f
}

// SortFindings orders findings as [AuditReads.Audit] lists them.
func SortFindings(fs []AuditFinding) { slices.SortFunc(fs, AuditFinding.compare) }

// KeySpans is [AuditReads.KeySpans] on a backend's transaction.
func KeySpans(ctx context.Context, tx Tx, w spend.Window, keys []string) ([]KeySpan, error) {
	w = w.Align(spend.Hour)
	if w.Empty() || keys != nil && len(keys) == 0 {
		return []KeySpan{}, nil
	}
	slots, err := tx.Slots(ctx, spend.FactUsage, w.Align(spend.Day))
	if err != nil {
		return nil, err
	}
	type place struct{ key, workspace, model string }
	spans := map[place]KeySpan{}
	for _, p := range UsageParts(w, slots, nil) {
		found, err := tx.Spans(ctx, p.Table, p.Window, keys)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if d.APIKeyID == "" || d.APIKeyID == spend.NoKey {
				continue
			}
			at := place{d.APIKeyID, d.WorkspaceID, d.Model}
			g := p.Table.Grain()
			first, last := g.Bucket(unix(d.First)), g.Bucket(unix(d.Last))
			s, ok := spans[at]
			if !ok {
				s = KeySpan{APIKeyID: d.APIKeyID, WorkspaceID: d.WorkspaceID, Model: d.Model, First: first, Last: last}
			}
			if first.Start.Before(s.First.Start) {
				s.First = first
			}
			if later(s.Last, last) {
				s.Last = last
			}
			spans[at] = s
		}
	}
	return slices.SortedFunc(maps.Values(spans), func(a, b KeySpan) int {
		return cmp.Or(strings.Compare(a.APIKeyID, b.APIKeyID), strings.Compare(a.WorkspaceID, b.WorkspaceID), strings.Compare(a.Model, b.Model))
	}), nil
}
