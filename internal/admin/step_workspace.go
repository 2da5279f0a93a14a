package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// maxWorkspaceName is how long a workspace's name may be.
const maxWorkspaceName = 40

// CreateWorkspace makes a workspace, unless there is a live one of that name.
func (s *State) CreateWorkspace(ctx context.Context, name string) (Step, error) {
	if err := checkName("workspace", name, maxWorkspaceName); err != nil {
		return Step{}, err
	}
	step := Step{
		Action: WorkspaceCreate, Target: name, Change: "create", Arguments: map[string]string{"name": name},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.CreateWorkspace(ctx, name)
		},
	}
	ws, err := s.Workspaces(ctx)
	if err != nil {
		return Step{}, err
	}
	for _, x := range ws {
		if storage.WorkspaceName(x) == name && x.ArchivedAt.IsZero() {
			step.ID, step.Already = x.ID, "exists already"
		}
	}
	return step, nil
}

// RenameWorkspace gives a workspace another name.
func RenameWorkspace(x spend.Workspace, name string) (Step, error) {
	if err := checkName("workspace", name, maxWorkspaceName); err != nil {
		return Step{}, err
	}
	s := Step{
		Action: WorkspaceRename, ID: x.ID, Target: storage.WorkspaceName(x), Change: "name → " + name, Arguments: map[string]string{"name": name},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.RenameWorkspace(ctx, x.ID, name)
		},
	}
	switch s.Cannot = unchangeable(x, "renamed"); {
	case s.Cannot == "" && x.Name == name:
		s.Already = "has that name already"
	}
	return s, nil
}

// unchangeable says why a workspace cannot be changed; empty if it can.
func unchangeable(x spend.Workspace, done string) string {
	switch {
	case x.Default:
		return "is the default workspace, which cannot be " + done
	case !x.ArchivedAt.IsZero():
		return "is archived, which is for good"
	}
	return ""
}

// ArchiveWorkspace archives a workspace and the keys made for it, for good.
func (s *State) ArchiveWorkspace(ctx context.Context, x spend.Workspace) (Step, error) {
	step := Step{
		Action: WorkspaceArchive, ID: x.ID, Target: storage.WorkspaceName(x), Change: "live → archived", Confirm: storage.WorkspaceName(x),
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.ArchiveWorkspace(ctx, x.ID)
		},
	}
	if !x.ArchivedAt.IsZero() {
		step.Change, step.Already, step.Confirm = "archived", "is archived already", ""
		return step, nil
	}
	if step.Cannot = unchangeable(x, "archived"); step.Cannot != "" {
		step.Confirm = ""
		return step, nil
	}
	keys, err := s.Keys(ctx)
	if err != nil {
		return Step{}, err
	}
	var active []string
	for _, k := range keys {
		if k.WorkspaceID == x.ID && k.Status == "active" {
			active = append(active, k.Name)
		}
	}
	step.Note = "for good, with its keys; none of them is active"
	if len(active) > 0 {
		step.Note = fmt.Sprintf("for good, with its keys; active now: %s", shorten(active))
	}
	return step, nil
}

// shorten lists the first few.
func shorten(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// AddToWorkspace gives a member a role in a workspace.
func (s *State) AddToWorkspace(ctx context.Context, x spend.Workspace, m spend.Member, role string) (Step, error) {
	role, err := CheckWorkspaceRole(role)
	if err != nil {
		return Step{}, err
	}
	step := Step{
		Action: WorkspaceMemberAdd, ID: m.ID, Target: personName(m), In: storage.WorkspaceName(x), Change: "add as " + role,
		Arguments: map[string]string{"workspace_id": x.ID, "workspace": storage.WorkspaceName(x), "workspace_role": role},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.AddWorkspaceMember(ctx, x.ID, m.ID, role)
		},
	}
	if x.Default {
		step.Cannot = "everybody in the organization is in the default workspace"
		return step, nil
	}
	if step.Cannot = unchangeable(x, "changed"); step.Cannot != "" {
		return step, nil
	}
	seats, err := s.WorkspaceMembers(ctx, x)
	if err != nil {
		return Step{}, err
	}
	for _, seat := range seats {
		if seat.UserID != m.ID {
			continue
		}
		if seat.Role == role {
			step.Already = "has that role already"
		} else {
			return SetWorkspaceRole(Seat{Workspace: x, Member: m, Role: seat.Role}, role)
		}
	}
	return step, nil
}

// SetWorkspaceRole gives somebody in a workspace another role there.
func SetWorkspaceRole(seat Seat, role string) (Step, error) {
	role, err := CheckWorkspaceRole(role)
	if err != nil {
		return Step{}, err
	}
	x := seat.Workspace
	s := Step{
		Action: WorkspaceMemberRole, ID: seat.Member.ID, Target: personName(seat.Member), In: storage.WorkspaceName(x), Change: seat.Role + " → " + role,
		Arguments: map[string]string{"workspace_id": x.ID, "workspace": storage.WorkspaceName(x), "workspace_role": role},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.SetWorkspaceRole(ctx, x.ID, seat.Member.ID, role)
		},
	}
	switch s.Cannot = unchangeable(x, "changed"); {
	case s.Cannot == "" && seat.Role == role:
		s.Already = "has that role already"
	}
	return s, nil
}

// RemoveFromWorkspace takes somebody's role in a workspace away.
func RemoveFromWorkspace(seat Seat) Step {
	x := seat.Workspace
	return Step{
		Action: WorkspaceMemberRemove, ID: seat.Member.ID, Target: personName(seat.Member), In: storage.WorkspaceName(x), Change: seat.Role + " → removed",
		Cannot: unchangeable(x, "changed"),
		// Who is not in it any more is found by this name in the log only.
		Arguments: map[string]string{"workspace_id": x.ID, "workspace": storage.WorkspaceName(x), "name": seat.Member.Name},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.RemoveWorkspaceMember(ctx, x.ID, seat.Member.ID)
		},
	}
}
