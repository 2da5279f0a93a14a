package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Roles of the organization that see every workspace without a role of their own there.
var (
	adminRoles    = []string{"admin", "owner", "primary_owner"}
	implicitRoles = append([]string{"billing", "membership_admin"}, adminRoles...)
)

// people makes the checks about members and invites.
func (x *examination) people() {
	if _, problem := x.list(storage.ListMembers, len(x.Members) == 0); problem != "" {
		x.gap(problem, TooManyAdmins, NoWorkspaceRole, ForeignDomain)
	} else {
		x.admins()
		x.workspaceRoles()
		for _, m := range x.Members {
			x.foreignMember(m)
		}
	}
	if _, problem := x.list(storage.ListInvites, len(x.Invites) == 0 && len(x.Lists) > 0); problem != "" {
		x.gap(problem, InvitePending, ForeignDomain)
		return
	}
	for _, i := range x.Invites {
		if i.Status != "pending" || !i.ExpiresAt.IsZero() && !i.ExpiresAt.After(x.now) {
			continue
		}
		x.pending(i)
		x.foreignInvite(i)
	}
}

func (x *examination) member(m spend.Member, f storage.AuditFinding) {
	if x.on(f.Check) {
		f.About, f.ID, f.Name = storage.AboutMember, m.ID, cmp.Or(m.Email, m.Name, m.ID)
		x.found = append(x.found, found{f, []string{f.Name, m.Name, m.ID}})
	}
}

func (x *examination) invite(i spend.Invite, f storage.AuditFinding) {
	if x.on(f.Check) {
		f.About, f.ID, f.Name = storage.AboutInvite, i.ID, cmp.Or(i.Email, i.ID)
		f.Command = x.command("invites", "delete", i.ID)
		x.found = append(x.found, found{f, []string{f.Name, i.ID}})
	}
}

func (x *examination) admins() {
	var names []string
	for _, m := range x.Members {
		if slices.Contains(adminRoles, m.Role) {
			names = append(names, cmp.Or(m.Email, m.Name, m.ID))
		}
	}
	if !x.on(TooManyAdmins) || len(names) <= x.MaxAdmins {
		return
	}
	slices.Sort(names)
	x.organization(storage.AuditFinding{
		Check: TooManyAdmins, Severity: Warning, What: fmt.Sprintf("%d admins, more than %d", len(names), x.MaxAdmins), Evidence: strings.Join(names, ", "),
		Advice: "take the role from who does not need it", Command: x.command("members", "update", "USER", "--role", "developer"),
	})
}

// workspaceRoles finds members without a role in any workspace. Everybody is in the default one; where there
// is no other, nobody can have a role.
func (x *examination) workspaceRoles() {
	if !slices.ContainsFunc(x.Workspaces, func(w spend.Workspace) bool {
		return !w.Default && w.ID != spend.DefaultWorkspace && w.ArchivedAt.IsZero()
	}) {
		return
	}
	if _, problem := x.list(storage.ListWorkspaceMembers, len(x.WorkspaceMembers) == 0); problem != "" {
		x.gap(problem, NoWorkspaceRole)
		return
	}
	seated := map[string]bool{}
	for _, s := range x.WorkspaceMembers {
		if x.workspaces[s.WorkspaceID].ArchivedAt.IsZero() {
			seated[s.UserID] = true
		}
	}
	for _, m := range x.Members {
		if seated[m.ID] || slices.Contains(implicitRoles, m.Role) {
			continue
		}
		x.member(m, storage.AuditFinding{
			Check: NoWorkspaceRole, Severity: Info, Since: m.AddedAt, What: "is " + m.Role + " and has no role in any workspace but the default one",
			Evidence: "the lists of members of the workspaces", Advice: "give them a role where they work, or let them go; see what there is of them first",
			Command: x.command("offboard", cmp.Or(m.Email, m.ID), "--dry-run"),
		})
	}
}

func (x *examination) pending(i spend.Invite) {
	age := x.now.Sub(i.InvitedAt)
	if i.InvitedAt.IsZero() || age < x.PendingInvites.Duration() {
		return
	}
	x.invite(i, storage.AuditFinding{
		Check: InvitePending, Severity: Warning, Since: i.InvitedAt, What: "was invited as " + i.Role + " " + days(age) + " ago and has not answered",
		Evidence: "invited on " + dayOf(i.InvitedAt) + ", can be accepted until " + dayOf(i.ExpiresAt), Advice: "ask, or take the invite back",
	})
}

// foreign reports whether an address is of none of the own domains.
func (x *examination) foreign(email string) (domain string, is bool) {
	_, domain, ok := strings.Cut(strings.ToLower(email), "@")
	if !ok || len(x.OwnDomains) == 0 {
		return "", false
	}
	return domain, !slices.ContainsFunc(x.OwnDomains, func(own string) bool {
		own = strings.ToLower(own)
		if below, ok := strings.CutPrefix(own, "*"); ok {
			return strings.HasSuffix(domain, below)
		}
		return domain == own
	})
}

func foreignSeverity(role string) string {
	if slices.Contains(adminRoles, role) {
		return Critical
	}
	return Warning
}

func (x *examination) foreignMember(m spend.Member) {
	if domain, is := x.foreign(m.Email); is {
		x.member(m, storage.AuditFinding{
			Check: ForeignDomain, Severity: foreignSeverity(m.Role), Since: m.AddedAt, What: "is " + m.Role + " with an address at " + domain,
			Evidence: "own domains: " + strings.Join(x.OwnDomains, ", "), Advice: "if they should not be here, let them go; see what there is of them first",
			Command: x.command("offboard", m.Email, "--dry-run"),
		})
	}
}

func (x *examination) foreignInvite(i spend.Invite) {
	if domain, is := x.foreign(i.Email); is {
		x.invite(i, storage.AuditFinding{
			Check: ForeignDomain, Severity: foreignSeverity(i.Role), Since: i.InvitedAt, What: "is invited as " + i.Role + " with an address at " + domain,
			Evidence: "own domains: " + strings.Join(x.OwnDomains, ", "), Advice: "if they should not be here, take the invite back",
		})
	}
}
