package sim

import (
	"slices"
	"strings"
	"time"
)

// inventory is everything about the organization but its use.
type inventory struct {
	organization organization
	users        []*user
	invites      []*invite
	workspaces   []*workspace // the default one first
	members      map[string][]*member
	keys         []*apiKey
	rates        []rate
	overrides    map[string]map[string]int64 // workspace → "rate limit id/limiter" → value
}

type organization struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

type user struct {
	ID      string `json:"id"`
	AddedAt string `json:"added_at"`
	Email   string `json:"email"`
	Name    string `json:"name"`
	Role    string `json:"role"`
	Type    string `json:"type"`
}

type invite struct {
	AcceptedAt   *string   `json:"accepted_at"`
	Email        string    `json:"email"`
	ExpiresAt    string    `json:"expires_at"`
	ID           string    `json:"id"`
	InvitedAt    string    `json:"invited_at"`
	RBACGroupIDs []string  `json:"rbac_group_ids"`
	Role         string    `json:"role"`
	Status       string    `json:"status"`
	Type         string    `json:"type"`
	expires      time.Time // of ExpiresAt
}

type residency struct {
	AllowedInferenceGeos any    `json:"allowed_inference_geos"` // "unrestricted" or a list
	DefaultInferenceGeo  string `json:"default_inference_geo"`
	WorkspaceGeo         string `json:"workspace_geo"`
}

type workspace struct {
	ID            string            `json:"id"`
	ArchivedAt    *string           `json:"archived_at"`
	CompartmentID string            `json:"compartment_id"`
	CreatedAt     string            `json:"created_at"`
	DataResidency residency         `json:"data_residency"`
	DisplayColor  string            `json:"display_color"`
	ExternalKeyID *string           `json:"external_key_id"`
	Name          string            `json:"name"`
	Tags          map[string]string `json:"tags"`
	Type          string            `json:"type"`
	UserProfileID *string           `json:"user_profile_id"`
	claudeCode    bool              // its keys stop when their creator leaves
}

type member struct {
	Type          string `json:"type"`
	UserID        string `json:"user_id"`
	WorkspaceID   string `json:"workspace_id"`
	WorkspaceRole string `json:"workspace_role"`
}

func newMember(workspaceID, userID, role string) *member {
	return &member{Type: "workspace_member", UserID: userID, WorkspaceID: workspaceID, WorkspaceRole: role}
}

func newInvite(id, email, role string, at time.Time) *invite {
	expires := at.AddDate(0, 0, 21)
	return &invite{ID: id, Email: email, Role: role, InvitedAt: stamp(at), ExpiresAt: stamp(expires), Type: "invite",
		RBACGroupIDs: []string{}, expires: expires}
}

// stamp writes a moment of the inventory.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func stampPtr(t time.Time) *string {
	s := stamp(t)
	return &s
}

func find[T any](all []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i]
	}
	return nil
}

func (v *inventory) user(id string) *user {
	return find(v.users, func(u *user) bool { return u.ID == id })
}
func (v *inventory) key(id string) *apiKey {
	return find(v.keys, func(k *apiKey) bool { return k.ID == id })
}

func (v *inventory) workspace(id string) *workspace {
	return find(v.workspaces, func(w *workspace) bool { return w.ID == id })
}

func (v *inventory) isDefault(id string) bool { return v.workspaces[0].ID == id }

// at is the invite as it stands at a moment: an invite that nobody answered expires.
func (i *invite) at(now time.Time) invite {
	shown := *i
	switch {
	case i.Status == "deleted":
	case i.AcceptedAt != nil:
		shown.Status = "accepted"
	case now.After(i.expires):
		shown.Status = "expired"
	default:
		shown.Status = "pending"
	}
	return shown
}

func (c *call) me() (any, error) {
	shown := c.organization
	shown.Name = c.opts.Name
	return shown, c.query.done()
}

// allowed is whether a value passes a filter; an empty filter lets all pass.
func allowed(filter []string, value string) bool {
	return len(filter) == 0 || slices.Contains(filter, value)
}

var organizationRoles = []string{"user", "developer", "billing", "admin", "claude_code_user"}

func (c *call) listUsers() (any, error) {
	email := c.query.text("email")
	roles := c.query.list("roles[]", organizationRoles...)
	var shown []*user
	for _, u := range c.users {
		if allowed(roles, u.Role) && (email == "" || strings.EqualFold(email, u.Email)) {
			shown = append(shown, u)
		}
	}
	return cursors(c, shown, func(u *user) string { return u.ID })
}

func (c *call) getUser() (any, error) {
	u := c.user(c.args[0])
	if u == nil {
		return nil, notFound()
	}
	return u, c.query.done()
}

func (c *call) listInvites() (any, error) {
	email := c.query.text("email")
	roles := c.query.list("roles[]", organizationRoles...)
	statuses := c.query.list("statuses[]", "accepted", "expired", "pending")
	var shown []invite
	for _, i := range c.invites {
		at := i.at(c.now)
		if at.Status != "deleted" && allowed(statuses, at.Status) && allowed(roles, at.Role) &&
			(email == "" || strings.EqualFold(email, at.Email)) {
			shown = append(shown, at)
		}
	}
	return cursors(c, shown, func(i invite) string { return i.ID })
}

func (c *call) invite() (*invite, error) {
	i := find(c.invites, func(i *invite) bool { return i.ID == c.args[0] })
	if i == nil {
		return nil, notFound()
	}
	return i, c.query.done()
}

func (c *call) getInvite() (any, error) {
	i, err := c.invite()
	if err != nil {
		return nil, err
	}
	return i.at(c.now), nil
}

func (c *call) listWorkspaces() (any, error) {
	archived, standard := c.query.flag("include_archived"), c.query.flag("include_default")
	ids := c.query.list("ids[]")
	if len(ids) > 100 {
		c.query.fail(invalid("ids[]: at most 100"))
	}
	var shown []*workspace
	for _, w := range append(c.workspaces[1:len(c.workspaces):len(c.workspaces)], c.workspaces[0]) {
		if (archived || w.ArchivedAt == nil) && (standard || !c.isDefault(w.ID)) && allowed(ids, w.ID) {
			shown = append(shown, w)
		}
	}
	return cursors(c, shown, func(w *workspace) string { return w.ID })
}

// pathWorkspace is the workspace the path names.
func (c *call) pathWorkspace() (*workspace, error) {
	w := c.workspace(c.args[0])
	if w == nil {
		return nil, notFound()
	}
	return w, nil
}

func (c *call) getWorkspace() (any, error) {
	w, err := c.pathWorkspace()
	if err != nil {
		return nil, err
	}
	return w, c.query.done()
}

// memberList is the workspace's list of members; the default workspace has none.
func (c *call) memberList() ([]*member, error) {
	w, err := c.pathWorkspace()
	if err != nil {
		return nil, err
	}
	if c.isDefault(w.ID) {
		return nil, refuse(404, "The default workspace has no member list.")
	}
	return c.members[w.ID], nil
}

func (c *call) listMembers() (any, error) {
	all, err := c.memberList()
	if err != nil {
		return nil, err
	}
	return cursors(c, all, func(m *member) string { return m.UserID })
}

// pathMember is the member the path names.
func (c *call) pathMember() (*member, error) {
	all, err := c.memberList()
	if err != nil {
		return nil, err
	}
	m := find(all, func(m *member) bool { return m.UserID == c.args[1] })
	if m == nil {
		return nil, notFound()
	}
	return m, c.query.done()
}

func (c *call) getMember() (any, error) { return c.pathMember() }
