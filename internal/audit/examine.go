package audit

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// found is a finding and all that its subject is called.
type found struct {
	storage.AuditFinding
	names []string
}

// examination is the work of one call of [Examine].
type examination struct {
	Input
	Config
	now        time.Time
	workspaces map[string]spend.Workspace
	members    map[string]spend.Member
	left       map[string]storage.InventoryChange // members who were seen to go, by id
	disabled   map[string]time.Time               // when keys were seen to be disabled
	pattern    *regexp.Regexp
	found      []found
	gaps       []storage.AuditGap
}

// Examine says what there is to find in the input as at now. The configuration must be valid.
func Examine(in Input, c Config, now time.Time) storage.Audit {
	now = now.UTC().Truncate(time.Second)
	x := &examination{
		Input: in, Config: c, now: now, workspaces: map[string]spend.Workspace{}, members: map[string]spend.Member{},
		left: map[string]storage.InventoryChange{}, disabled: map[string]time.Time{}, pattern: regexp.MustCompile(c.NamePattern),
	}
	for _, w := range in.Workspaces {
		x.workspaces[w.ID] = w
	}
	for _, m := range in.Members {
		x.members[m.ID] = m
	}
	for _, ch := range slices.Backward(in.Changes) {
		switch {
		case ch.Kind == storage.KindMember && ch.Field == storage.FieldGone:
			x.left[ch.ID] = ch
		case ch.Kind == storage.KindAPIKey && ch.Field == "status" && ch.New == "inactive":
			x.disabled[ch.ID] = ch.At
		}
	}
	x.keys()
	x.people()
	out := storage.Audit{
		AuditAbout: storage.AuditAbout{
			EvaluatedAt: now, InventoryAt: x.inventoryAt(), UsageAt: in.UsageAt, CostAt: in.CostAt, HistorySince: in.HistorySince,
			MissingHours: in.MissingHours, Checks: []storage.AuditCheck{}, Gaps: x.gaps, Exceptions: x.except(),
		},
		Findings: []storage.AuditFinding{}, Costs: in.Costs,
	}
	for _, c := range checks {
		if c.on(x.Config) {
			out.Checks = append(out.Checks, storage.AuditCheck{Name: c.name, Severities: c.severities})
		}
	}
	for _, f := range x.found {
		out.Findings = append(out.Findings, f.AuditFinding)
	}
	storage.SortFindings(out.Findings)
	return out
}

// on reports whether the check is on.
func (x *examination) on(name string) bool {
	return slices.ContainsFunc(checks, func(c check) bool { return c.name == name && c.on(x.Config) })
}

// gap notes that checks could not be made, where they are on.
func (x *examination) gap(reason string, names ...string) {
	for _, n := range names {
		if x.on(n) {
			x.gaps = append(x.gaps, storage.AuditGap{Check: n, Reason: reason})
		}
	}
}

// list says when a list was read, and why it cannot be gone by; empty if it can.
func (x *examination) list(name string, empty bool) (readAt time.Time, problem string) {
	i := slices.IndexFunc(x.Lists, func(l storage.ListRead) bool { return l.List == name })
	shown := strings.ReplaceAll(name, "_", " ")
	switch {
	case i < 0 && empty:
		return time.Time{}, "the list of " + shown + " was not read yet"
	case i >= 0 && x.Lists[i].Refused():
		return time.Time{}, fmt.Sprintf("the list of %s is refused to the credential (%s)", shown, cmp.Or(x.Lists[i].Reason, "no reason given"))
	case i >= 0:
		return x.Lists[i].ReadAt, ""
	}
	return time.Time{}, ""
}

// inventoryAt is when the oldest of the lists that can be gone by was read.
func (x *examination) inventoryAt() (oldest time.Time) {
	for _, name := range []string{storage.ListWorkspaces, storage.ListAPIKeys, storage.ListMembers, storage.ListInvites} {
		at, problem := x.list(name, false)
		if problem == "" && !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// command is a command line of `monitor admin`.
func (x *examination) command(words ...string) string {
	line := "monitor admin"
	for _, w := range words {
		line += " " + config.ShellWord(w)
	}
	if x.Several {
		line += " --organization " + config.ShellWord(x.Organization.Name)
	}
	return line
}

func days(d time.Duration) string {
	if n := int64(d / (24 * time.Hour)); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func latest(times ...time.Time) (t time.Time) {
	for _, x := range times {
		if x.After(t) {
			t = x
		}
	}
	return t
}
