package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Grant is a role in a workspace.
type Grant struct{ Workspace, Role string }

// ParseGrant reads NAME:ROLE. A name may hold colons, a role does not.
func ParseGrant(text string) (Grant, error) {
	i := strings.LastIndex(text, ":")
	if i <= 0 {
		return Grant{}, usage("--workspace %q: write NAME:ROLE, for example staging:workspace_developer", text)
	}
	role, err := CheckWorkspaceRole(text[i+1:])
	if err != nil {
		return Grant{}, UsageError{fmt.Errorf("--workspace %q: %w", text, err)}
	}
	return Grant{Workspace: text[:i], Role: role}, nil
}

// Onboard plans what is left to do for somebody to be a member with the role and in the workspaces: an
// invite; and, once it is accepted, which only the invited person can do, the roles.
func (s *State) Onboard(ctx context.Context, email, role string, grants []Grant) (Plan, error) {
	var p Plan
	if err := CheckMemberRole(role); err != nil {
		return p, err
	}
	seen := map[string]bool{}
	var ws []spend.Workspace
	for _, g := range grants {
		x, err := s.Workspace(ctx, g.Workspace)
		if err != nil {
			return p, err
		}
		if seen[x.ID] {
			return p, usage("workspace %s is named twice", storage.WorkspaceName(x))
		}
		seen[x.ID] = true
		ws = append(ws, x)
	}
	members, err := s.Members(ctx)
	if err != nil {
		return p, err
	}
	if i := slices.IndexFunc(members, func(m spend.Member) bool { return strings.EqualFold(m.Email, email) }); i >= 0 {
		step, err := s.SetMemberRole(ctx, members[i], role)
		if err != nil {
			return p, err
		}
		if slices.Contains(adminRoles, members[i].Role) {
			// To take an admin's role away is not what somebody means who lets a person in.
			step.Cannot, step.Confirm, step.Note = "", "", ""
			step.Already = "is an admin, which is more"
		}
		p.Add(step)
		for n, x := range ws {
			if step, err = s.AddToWorkspace(ctx, x, members[i], grants[n].Role); err != nil {
				return p, err
			}
			p.Add(step)
		}
		return p, nil
	}
	step, err := s.InviteMember(ctx, email, role)
	if err != nil {
		return p, err
	}
	p.Add(step)
	for n, x := range ws {
		later := Step{
			Action: WorkspaceMemberAdd, Target: email, In: storage.WorkspaceName(x), Change: "add as " + grants[n].Role,
			Later: "once the invite is accepted: run the same command again then",
		}
		if why := unchangeable(x, "joined"); why != "" {
			later.Later, later.Cannot = "", "workspace "+storage.WorkspaceName(x)+" "+why
		}
		p.Add(later)
	}
	return p, nil
}

// What to do with the keys of somebody who leaves.
const (
	KeysDisable = "disable"
	KeysArchive = "archive"
	KeysKeep    = "keep"
)

// claudeCode is the workspace that Claude Code makes for an organization.
const claudeCode = "Claude Code"

// Leaver is somebody who leaves, and all there is of them.
type Leaver struct {
	ID     string       // empty for who was only invited
	Name   string       // e-mail address; the id of who has left already
	Member spend.Member // zero for who is no member, or not any more
	Keys   []spend.APIKey
	Seats  []Seat
	Plan   Plan
}

// Offboard plans what is left to do for somebody to be gone: their keys out of use, their roles in workspaces, their
// pending invites and their membership removed, in this order, so that who was removed has nothing left
// that works. The text is an e-mail address, a name or an id; an id also finds the keys of somebody who
// is no member any more.
func (s *State) Offboard(ctx context.Context, text, keys string) (Leaver, error) {
	who, err := s.leaver(ctx, text)
	if err != nil {
		return who, err
	}
	for _, k := range who.Keys {
		if k.Status == "archived" {
			continue
		}
		step := DisableKey(k)
		switch {
		case keys == KeysArchive:
			step = ArchiveKey(k)
		case keys == KeysKeep && step.Already == "":
			name, err := s.WorkspaceName(ctx, k.WorkspaceID)
			if err != nil {
				return who, err
			}
			switch step.Already = "is kept, and keeps working"; {
			case who.Member.ID == "":
			case k.PrincipalID != "":
				step.Already = "is kept until they are removed, which archives it"
			case name == claudeCode:
				step.Already = "is kept, but keys of this workspace stop when their creator is removed"
			}
		}
		if step.Note == "" && step.Open() && k.PrincipalID == "" {
			step.Note = "whatever uses it stops"
		}
		who.Plan.Add(step)
	}
	for _, seat := range who.Seats {
		who.Plan.Add(RemoveFromWorkspace(seat))
	}
	invites, err := s.Invites(ctx)
	if err != nil {
		return who, err
	}
	for _, i := range invites {
		if i.Status == "pending" && strings.EqualFold(i.Email, who.Name) {
			who.Plan.Add(DeleteInvite(i))
		}
	}
	if who.Member.ID != "" {
		step, err := s.removeMember(ctx, who.Member, false)
		if err != nil {
			return who, err
		}
		step.afterOthers = true
		who.Plan.Add(step)
	}
	return who, nil
}

// leaver finds the person, their keys and their roles.
func (s *State) leaver(ctx context.Context, text string) (Leaver, error) {
	var who Leaver
	keys, err := s.Keys(ctx)
	if err != nil {
		return who, err
	}
	invites, err := s.Invites(ctx)
	if err != nil {
		return who, err
	}
	m, err := s.Member(ctx, text)
	owns := func(k spend.APIKey) bool { return k.CreatedByID == who.ID || k.PrincipalID == who.ID }
	invited := slices.ContainsFunc(invites, func(i spend.Invite) bool {
		return i.Status == "pending" && strings.EqualFold(i.Email, text)
	})
	who.ID = text
	switch {
	case err == nil:
		who.ID, who.Name, who.Member = m.ID, personName(m), m
	case !IsAbsent(err):
		return who, err
	case invited:
		who.ID, who.Name = "", text
		return who, nil
	case slices.ContainsFunc(keys, owns):
		who.Name = text
	default:
		return who, UsageError{fmt.Errorf("%w; keys of somebody who has left are found by the id of the user "+
			"(user_…, the creator in monitor admin keys list)", err)}
	}
	for _, k := range keys {
		if owns(k) {
			who.Keys = append(who.Keys, k)
		}
	}
	if who.Member.ID == "" {
		return who, nil
	}
	roles, err := s.Roles(ctx, who.ID)
	if err != nil {
		return who, err
	}
	ws, err := s.Workspaces(ctx)
	if err != nil {
		return who, err
	}
	for _, r := range roles {
		i := slices.IndexFunc(ws, func(w spend.Workspace) bool { return w.ID == r.WorkspaceID })
		who.Seats = append(who.Seats, Seat{Workspace: ws[i], Member: m, Role: r.Role})
	}
	return who, nil
}
