// Package admin is an administrator's work: it reads what an organization looks like now ([State]),
// makes a [Plan] of what has to change, asks for consent ([Consent]) and carries the plan out
// ([Desk.Apply]). Every change, and every one that is refused or fails, is stored in the admin log before
// it is made and completed afterwards; what cannot be stored is not made.
//
// A plan is made of steps. Each has a constructor in step.go that says what will change, whether it is
// so already, and why it cannot be done where the API does not let it; the call to make is hidden in the
// step, so that there is no way to the API but through Apply. onboard.go and offboard.go make the plans
// for somebody who comes and somebody who leaves. No state is kept between two runs: whoever runs a
// command again gets a plan of what is left to do.
//
// How plans and results are printed, and where consent is typed in, is for the caller to say. To
// add a change: a method of [adminapi.Writer], a constructor here, a command in cmd/monitor.
package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// UsageError is an error about what was asked for: nothing was changed, and nothing will be until it is
// asked for differently.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// absent is the error about a name that nothing has.
type absent struct{ error }

// IsAbsent reports whether the error is about a name that nothing has.
func IsAbsent(err error) bool {
	var a absent
	return errors.As(err, &a)
}

func usage(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// State is an organization as the API shows it now. Each list is read when it is first needed, and once.
// It is for one goroutine.
type State struct {
	api        *adminapi.Client
	slow       func(what string)
	members    []spend.Member
	invites    []spend.Invite
	workspaces []spend.Workspace
	keys       []spend.APIKey
	roles      map[string][]spend.WorkspaceMember // by workspace

	demoted map[string]bool // admins whose role a plan takes: it must not be that of all of them

	// Stored, where not nil, is asked for what a store knows of the organization, once names are shared.
	Stored func(ctx context.Context) Inventory
	stored *Inventory
}

// Read returns the organization's state, which reads through the client. slow, where not nil, is told
// what is being read when that takes a while.
func Read(api *adminapi.Client, slow func(what string)) *State {
	if slow == nil {
		slow = func(string) {}
	}
	return &State{api: api, slow: slow, roles: map[string][]spend.WorkspaceMember{}, demoted: map[string]bool{}}
}

// cached reads a list the first time.
func cached[T any](ctx context.Context, list *[]T, read func(context.Context) ([]T, error)) ([]T, error) {
	if *list == nil {
		all, err := read(ctx)
		if err != nil {
			return nil, err
		}
		*list = all
	}
	return *list, nil
}

// Members lists the people of the organization.
func (s *State) Members(ctx context.Context) ([]spend.Member, error) {
	return cached(ctx, &s.members, s.api.Members)
}

// Invites lists the invites, answered and expired ones included.
func (s *State) Invites(ctx context.Context) ([]spend.Invite, error) {
	return cached(ctx, &s.invites, s.api.Invites)
}

// Workspaces lists the workspaces, archived ones and the default one included, with their labels.
func (s *State) Workspaces(ctx context.Context) ([]spend.Workspace, error) {
	return cached(ctx, &s.workspaces, func(ctx context.Context) ([]spend.Workspace, error) {
		all, err := s.api.Workspaces(ctx)
		giveLabels(all, labelledWorkspace, func() []spend.Workspace { return s.inventory(ctx).Workspaces })
		return all, err
	})
}

// Keys lists the keys of every status, with their labels.
func (s *State) Keys(ctx context.Context) ([]spend.APIKey, error) {
	return cached(ctx, &s.keys, func(ctx context.Context) ([]spend.APIKey, error) {
		all, err := s.api.APIKeys(ctx)
		giveLabels(all, labelledKey, func() []spend.APIKey { return s.inventory(ctx).Keys })
		return all, err
	})
}

// inventory asks the store the first time.
func (s *State) inventory(ctx context.Context) Inventory {
	if s.stored == nil {
		s.stored = &Inventory{}
		if s.Stored != nil {
			*s.stored = s.Stored(ctx)
		}
	}
	return *s.stored
}

// WorkspaceMembers lists who was given a role in the workspace; the default one, which everybody is in,
// has no list.
func (s *State) WorkspaceMembers(ctx context.Context, w spend.Workspace) ([]spend.WorkspaceMember, error) {
	if w.Default {
		return nil, usage("everybody in the organization is in the default workspace; it has no members of its own")
	}
	if have, ok := s.roles[w.ID]; ok {
		return have, nil
	}
	all, err := s.api.WorkspaceMembers(ctx, w.ID)
	if err == nil {
		s.roles[w.ID] = all
	}
	return all, err
}

// manyWorkspaces is from where on their members take a while to read.
const manyWorkspaces = 25

// Roles lists the roles that somebody was given in workspaces that are not archived. The API has no
// such list: it takes a request for each workspace.
func (s *State) Roles(ctx context.Context, userID string) ([]spend.WorkspaceMember, error) {
	ws, err := s.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	if len(ws) > manyWorkspaces {
		s.slow(fmt.Sprintf("the members of %d workspaces", len(ws)))
	}
	var found []spend.WorkspaceMember
	for _, w := range ws {
		if w.Default || !w.ArchivedAt.IsZero() {
			continue
		}
		ms, err := s.WorkspaceMembers(ctx, w)
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			if m.UserID == userID {
				found = append(found, m)
			}
		}
	}
	return found, nil
}

// RateLimits lists the organization's limits and, behind them, what workspaces have of their own.
func (s *State) RateLimits(ctx context.Context) ([]spend.RateLimit, error) {
	all, err := s.api.RateLimits(ctx)
	if err != nil {
		return nil, err
	}
	ws, err := s.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	if len(ws) > manyWorkspaces {
		s.slow(fmt.Sprintf("the limits of %d workspaces", len(ws)))
	}
	for _, w := range ws {
		if w.Default || !w.ArchivedAt.IsZero() {
			continue // these have none of their own
		}
		ls, err := s.api.WorkspaceRateLimits(ctx, w.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, ls...)
	}
	return all, nil
}

// WorkspaceName is the name of the workspace of that id: the id where it is not listed, and "" for a
// key of the whole organization.
func (s *State) WorkspaceName(ctx context.Context, id string) (string, error) {
	return s.workspaceCalled(ctx, id, storage.WorkspaceName)
}

func (s *State) workspaceCalled(ctx context.Context, id string, name func(spend.Workspace) string) (string, error) {
	ws, err := s.Workspaces(ctx)
	if err != nil {
		return "", err
	}
	for _, w := range ws {
		if w.ID == id || w.Default && id == spend.DefaultWorkspace {
			return name(w), nil
		}
	}
	return id, nil
}

// Person is what people call the member of that id: the e-mail address, or the id of who has left.
func (s *State) Person(ctx context.Context, id string) (string, error) {
	ms, err := s.Members(ctx)
	if err != nil {
		return "", err
	}
	for _, m := range ms {
		if m.ID == id {
			return personName(m), nil
		}
	}
	return id, nil
}

func personName(m spend.Member) string {
	if m.Email != "" {
		return m.Email
	}
	return m.ID
}

// Roles that make an admin; the API neither gives nor removes them.
var adminRoles = []string{"admin", "owner", "primary_owner"}

// CheckMemberRole refuses a role that the API does not give to members of an organization.
func CheckMemberRole(role string) error {
	for _, r := range adminapi.MemberRoles {
		if r == role {
			return nil
		}
	}
	list := strings.Join(adminapi.MemberRoles, ", ")
	switch role {
	case adminapi.RoleManaged:
		return nil
	case "":
		return usage("--role is missing: one of %s", list)
	case "admin", "owner", "primary_owner", "membership_admin":
		return usage("role %s cannot be given through the API, only in the Console (Settings, Members); the API gives %s", role, list)
	}
	return usage("there is no role %q: the API gives %s (in Claude Enterprise user and %s)", role, list, adminapi.RoleManaged)
}

// CheckWorkspaceRole refuses a role that the API does not give in a workspace, and completes one
// that is written without its workspace_.
func CheckWorkspaceRole(role string) (string, error) {
	full := role
	if !strings.HasPrefix(full, "workspace_") {
		full = "workspace_" + role
	}
	for _, r := range adminapi.WorkspaceRoles {
		if r == full {
			return full, nil
		}
	}
	list := strings.Join(adminapi.WorkspaceRoles, ", ")
	switch {
	case role == "":
		return "", usage("the role in the workspace is missing: one of %s", list)
	case full == "workspace_billing":
		return "", usage("workspace_billing cannot be given: billing members of the organization have it in every workspace; the API gives %s", list)
	}
	return "", usage("there is no role %q in a workspace: the API gives %s", role, list)
}

// errStopped is the cause of a plan that was stopped by the caller.
var errStopped = errors.New("stopped")
