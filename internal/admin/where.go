package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Fields that each kind of thing can be selected by.
var (
	MemberFields          = []string{"id", "email", "name", "role", "workspace"}
	InviteFields          = []string{"id", "email", "role", "status"}
	WorkspaceFields       = []string{"id", "name", "status"}
	WorkspaceMemberFields = []string{"id", "email", "name", "role"}
	KeyFields             = []string{"id", "name", "status", "workspace", "creator"}
)

// Where selects things. All fields named must match; of several values of one field, any.
type Where map[string][]string

// Values that roles and states may have, whether something has them now or not.
var (
	memberRoles    = slices.Concat(adminapi.MemberRoles, []string{adminapi.RoleManaged}, adminRoles)
	workspaceRoles = slices.Concat(adminapi.WorkspaceRoles, []string{"workspace_billing"})
	inviteStatuses = []string{"pending", "accepted", "expired", "deleted"}
	keyStatuses    = []string{adminapi.KeyActive, adminapi.KeyInactive, adminapi.KeyArchived, "expired"}
)

// ParseWhere reads texts of the form field=value. A value that ends in * matches what begins like it,
// case does not matter, and an empty value matches what has none. Names of workspaces and keys are also known as
// they are shown where several have the same. Roles, states, workspaces and creators that do not exist are
// errors of the selection; names, addresses and ids that nothing has select nothing.
func ParseWhere(texts, fields []string) (Where, error) {
	w := Where{}
	for _, text := range texts {
		field, value, ok := strings.Cut(text, "=")
		switch {
		case !ok:
			return nil, usage("--where %q: write FIELD=VALUE, for example %s=…; fields are %s", text, fields[0], strings.Join(fields, ", "))
		case !slices.Contains(fields, field):
			hint := ""
			if near := config.Nearest(field, fields); near != "" {
				hint = " (did you mean " + near + "?)"
			}
			return nil, usage("--where %q: there is no field %q here%s; fields are %s", text, field, hint, strings.Join(fields, ", "))
		}
		w[field] = append(w[field], value)
	}
	return w, nil
}

// matches reports whether what values gives for each field is what is wanted.
func (w Where) matches(values map[string][]string) bool {
	for field, wanted := range w {
		have := values[field]
		if len(have) == 0 {
			have = []string{""}
		}
		if !slices.ContainsFunc(have, func(v string) bool {
			return slices.ContainsFunc(wanted, func(want string) bool { return matchesValue(want, v) })
		}) {
			return false
		}
	}
	return true
}

func matchesValue(want, have string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(strings.ToLower(have), strings.ToLower(prefix))
	}
	return strings.EqualFold(want, have)
}

// SelectMembers lists the members that match.
func (s *State) SelectMembers(ctx context.Context, w Where) ([]spend.Member, error) {
	all, err := s.Members(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.check("role", with(memberRoles, all, func(m spend.Member) string { return m.Role })); err != nil {
		return nil, err
	}
	in := map[string][]string{} // names and ids of the workspaces somebody has a role in
	if len(w["workspace"]) > 0 {
		ws, err := s.Workspaces(ctx)
		if err != nil {
			return nil, err
		}
		if err := w.checkWorkspace(ws, nil); err != nil {
			return nil, err
		}
		for _, x := range ws {
			called := workspaceNames(x)
			if x.Default || !x.ArchivedAt.IsZero() || !(Where{"workspace": w["workspace"]}).matches(map[string][]string{"workspace": called}) {
				continue
			}
			ms, err := s.WorkspaceMembers(ctx, x)
			if err != nil {
				return nil, err
			}
			for _, m := range ms {
				in[m.UserID] = append(in[m.UserID], called...)
			}
		}
	}
	found := []spend.Member{}
	for _, m := range all {
		if w.matches(map[string][]string{"id": {m.ID}, "email": {m.Email}, "name": {m.Name}, "role": {m.Role}, "workspace": in[m.ID]}) {
			found = append(found, m)
		}
	}
	return found, nil
}

// SelectInvites lists the invites that match.
func (s *State) SelectInvites(ctx context.Context, w Where) ([]spend.Invite, error) {
	all, err := s.Invites(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.check("role", with(memberRoles, all, func(i spend.Invite) string { return i.Role })); err != nil {
		return nil, err
	}
	if err := w.check("status", with(inviteStatuses, all, func(i spend.Invite) string { return i.Status })); err != nil {
		return nil, err
	}
	found := []spend.Invite{}
	for _, i := range all {
		if w.matches(map[string][]string{"id": {i.ID}, "email": {i.Email}, "role": {i.Role}, "status": {i.Status}}) {
			found = append(found, i)
		}
	}
	return found, nil
}

// WorkspaceStatus is live or archived.
func WorkspaceStatus(w spend.Workspace) string {
	if w.ArchivedAt.IsZero() {
		return "live"
	}
	return "archived"
}

// SelectWorkspaces lists the workspaces that match.
func (s *State) SelectWorkspaces(ctx context.Context, w Where) ([]spend.Workspace, error) {
	all, err := s.Workspaces(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.check("status", []string{"live", "archived"}); err != nil {
		return nil, err
	}
	found := []spend.Workspace{}
	for _, x := range all {
		names := shownAs(storage.WorkspaceName(x), x.Label, x.ID)
		if w.matches(map[string][]string{"id": {x.ID}, "name": names, "status": {WorkspaceStatus(x)}}) {
			found = append(found, x)
		}
	}
	return found, nil
}

// Seat is somebody's role in a workspace, with what is known of the person: of somebody who is no member
// of the organization only the id.
type Seat struct {
	Workspace spend.Workspace
	Member    spend.Member
	Role      string
}

// Seat finds somebody in a workspace by id, e-mail address or name.
func (s *State) Seat(ctx context.Context, x spend.Workspace, text string) (Seat, error) {
	all, err := s.SelectSeats(ctx, x, nil)
	if err != nil {
		return Seat{}, err
	}
	return one("member of "+storage.WorkspaceName(x), text, all, func(seat Seat) named { return nameOfMember(seat.Member) })
}

// SelectSeats lists who of the workspace matches.
func (s *State) SelectSeats(ctx context.Context, x spend.Workspace, w Where) ([]Seat, error) {
	ms, err := s.WorkspaceMembers(ctx, x)
	if err != nil {
		return nil, err
	}
	people, err := s.Members(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.check("role", with(workspaceRoles, ms, func(m spend.WorkspaceMember) string { return m.Role })); err != nil {
		return nil, err
	}
	found := []Seat{}
	for _, m := range ms {
		seat := Seat{Workspace: x, Member: spend.Member{ID: m.UserID}, Role: m.Role}
		if i := slices.IndexFunc(people, func(p spend.Member) bool { return p.ID == m.UserID }); i >= 0 {
			seat.Member = people[i]
		}
		if w.matches(map[string][]string{"id": {m.UserID}, "email": {seat.Member.Email}, "name": {seat.Member.Name}, "role": {m.Role}}) {
			found = append(found, seat)
		}
	}
	return found, nil
}

// SelectKeys lists the keys that match.
func (s *State) SelectKeys(ctx context.Context, w Where) ([]spend.APIKey, error) {
	all, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.check("status", with(keyStatuses, all, func(k spend.APIKey) string { return k.Status })); err != nil {
		return nil, err
	}
	workspaces, creators := map[string][]string{}, map[string][]string{} // names and ids, by id
	if len(w["workspace"]) > 0 {
		ws, err := s.Workspaces(ctx)
		if err != nil {
			return nil, err
		}
		if err := w.checkWorkspace(ws, all); err != nil {
			return nil, err
		}
		for _, x := range ws {
			workspaces[x.ID] = workspaceNames(x)
			if x.Default {
				workspaces[spend.DefaultWorkspace] = append(workspaceNames(x), spend.DefaultWorkspace)
			}
		}
	}
	if len(w["creator"]) > 0 {
		people, err := s.Members(ctx)
		if err != nil {
			return nil, err
		}
		var known []string
		for _, p := range people {
			creators[p.ID] = []string{p.ID, p.Email, p.Name}
			known = append(known, creators[p.ID]...)
		}
		if err := w.check("creator", with(known, all, func(k spend.APIKey) string { return k.CreatedByID })); err != nil {
			return nil, err
		}
	}
	found := []spend.APIKey{}
	for _, k := range all {
		values := map[string][]string{
			"id": {k.ID}, "name": shownAs(k.Name, k.Label, k.ID), "status": {k.Status},
			"workspace": {k.WorkspaceID}, "creator": {k.CreatedByID},
		}
		if names, ok := workspaces[k.WorkspaceID]; ok {
			values["workspace"] = names
		}
		if names, ok := creators[k.CreatedByID]; ok {
			values["creator"] = names
		}
		if w.matches(values) {
			found = append(found, k)
		}
	}
	return found, nil
}

// workspaceNames are what a workspace answers to.
func workspaceNames(x spend.Workspace) []string {
	return append(shownAs(storage.WorkspaceName(x), x.Label, x.ID), x.ID)
}

// checkWorkspace refuses workspaces that do not exist. Keys may be of one that is not listed.
func (w Where) checkWorkspace(ws []spend.Workspace, keys []spend.APIKey) error {
	known := []string{spend.DefaultWorkspace}
	for _, x := range ws {
		known = append(known, workspaceNames(x)...)
	}
	return w.check("workspace", with(known, keys, func(k spend.APIKey) string { return k.WorkspaceID }))
}

// with is the values known and those that the things have.
func with[T any](known []string, things []T, value func(T) string) []string {
	all := slices.Clone(known)
	for _, t := range things {
		all = append(all, value(t))
	}
	return all
}
