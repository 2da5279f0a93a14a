package sim

import "slices"

// assignableWorkspaceRoles are those a member can be given; workspace_billing is inherited.
var assignableWorkspaceRoles = []string{"workspace_admin", "workspace_developer",
	"workspace_restricted_developer", "workspace_user"}

func checkWorkspaceRole(role string) error {
	if !slices.Contains(assignableWorkspaceRoles, role) {
		return invalid("workspace_role: %q cannot be assigned", role)
	}
	return nil
}

func (c *call) addMember() (any, error) {
	all, err := c.memberList()
	if err != nil {
		return nil, err
	}
	w, err := c.changeable(false)
	if err != nil {
		return nil, err
	}
	var body struct {
		UserID        string `json:"user_id"`
		WorkspaceRole string `json:"workspace_role"`
	}
	if err := c.body(&body); err != nil {
		return nil, err
	}
	if err := checkWorkspaceRole(body.WorkspaceRole); err != nil {
		return nil, err
	}
	if c.user(body.UserID) == nil {
		return nil, notFound()
	}
	if find(all, func(m *member) bool { return m.UserID == body.UserID }) != nil {
		return nil, coded(400, "already_member", "This user is already a member of the workspace.")
	}
	m := newMember(w.ID, body.UserID, body.WorkspaceRole)
	c.members[w.ID] = append(all, m)
	return m, nil
}

func (c *call) updateMember() (any, error) {
	m, err := c.pathMember()
	if err != nil {
		return nil, err
	}
	var body struct {
		WorkspaceRole string `json:"workspace_role"`
	}
	if err := c.body(&body); err != nil {
		return nil, err
	}
	if err := checkWorkspaceRole(body.WorkspaceRole); err != nil {
		return nil, err
	}
	m.WorkspaceRole = body.WorkspaceRole
	return m, nil
}

func (c *call) removeMember() (any, error) {
	m, err := c.pathMember()
	if err != nil {
		return nil, err
	}
	id := c.args[0]
	c.members[id] = slices.DeleteFunc(slices.Clone(c.members[id]), func(v *member) bool { return v == m })
	return struct {
		Type        string `json:"type"`
		UserID      string `json:"user_id"`
		WorkspaceID string `json:"workspace_id"`
	}{"workspace_member_deleted", m.UserID, id}, nil
}
