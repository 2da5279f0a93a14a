package sim

import "time"

// apiKey is an API key; wire makes its body.
type apiKey struct {
	ID, Name  string
	hint      string
	created   time.Time
	expires   time.Time // zero: never
	createdBy *creatorRef
	principal *user      // a personal key
	service   string     // a service account's key
	workspace *workspace // nil: scope is the organization
	status    string     // active, inactive, archived; expired follows from expires
}

type creatorRef struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type principal struct {
	Type             string `json:"type"`
	UserID           string `json:"user_id,omitempty"`
	ServiceAccountID string `json:"service_account_id,omitempty"`
}

type scope struct {
	Type        string `json:"type"`
	WorkspaceID string `json:"workspace_id,omitempty"`
}

type keyBody struct {
	ID             string      `json:"id"`
	CreatedAt      string      `json:"created_at"`
	CreatedBy      *creatorRef `json:"created_by"`
	ExpiresAt      *string     `json:"expires_at"`
	Name           string      `json:"name"`
	PartialKeyHint *string     `json:"partial_key_hint"`
	Principal      *principal  `json:"principal"`
	Scope          scope       `json:"scope"`
	Status         string      `json:"status"`
	Type           string      `json:"type"`
}

// olderKeyBody has the field that is deprecated: null for the default workspace.
type olderKeyBody struct {
	keyBody
	WorkspaceID *string `json:"workspace_id"`
}

func (k *apiKey) workspaceOr(standard *workspace) *workspace {
	if k.workspace == nil {
		return standard
	}
	return k.workspace
}

func (k *apiKey) statusAt(now time.Time) string {
	if k.status != "archived" && !k.expires.IsZero() && !now.Before(k.expires) {
		return "expired"
	}
	return k.status
}

func (c *call) keyBody(k *apiKey) any {
	body := keyBody{
		ID: k.ID, CreatedAt: stamp(k.created), CreatedBy: k.createdBy, Name: k.Name, PartialKeyHint: &k.hint,
		Scope: scope{Type: "organization"}, Status: k.statusAt(c.now), Type: "api_key",
	}
	if !k.expires.IsZero() {
		body.ExpiresAt = stampPtr(k.expires)
	}
	if k.principal != nil {
		body.Principal = &principal{Type: "user_actor", UserID: k.principal.ID}
	} else if k.service != "" {
		body.Principal = &principal{Type: "service_account_actor", ServiceAccountID: k.service}
	}
	if k.workspace != nil {
		body.Scope = scope{Type: "workspace", WorkspaceID: k.workspace.ID}
	}
	if c.version() == newest {
		return body
	}
	older := olderKeyBody{keyBody: body}
	if k.workspace != nil && !c.isDefault(k.workspace.ID) {
		older.WorkspaceID = &k.workspace.ID
	}
	return older
}

func (c *call) listKeys() (any, error) {
	status := c.query.choice("status", "active", "inactive", "archived", "expired")
	creator, in := c.query.text("created_by_user_id"), c.query.text("workspace_id")
	var shown []*apiKey
	for _, k := range c.keys {
		if (status == "" || k.statusAt(c.now) == status) &&
			(creator == "" || k.createdBy != nil && k.createdBy.ID == creator) &&
			(in == "" || k.workspace != nil && k.workspace.ID == in) {
			shown = append(shown, k)
		}
	}
	page, err := cursors(c, shown, func(k *apiKey) string { return k.ID })
	if err != nil {
		return nil, err
	}
	of := page.(cursorPage[*apiKey])
	bodies := cursorPage[any]{Data: []any{}, FirstID: of.FirstID, LastID: of.LastID, HasMore: of.HasMore}
	for _, k := range of.Data {
		bodies.Data = append(bodies.Data, c.keyBody(k))
	}
	return bodies, nil
}

func (c *call) getKey() (any, error) {
	k := c.key(c.args[0])
	if k == nil {
		return nil, notFound()
	}
	return c.keyBody(k), c.query.done()
}

// actor is who the analytics reports say used the organization.
type actor struct {
	Type             string    `json:"type"`
	UserID           string    `json:"user_id,omitempty"`
	Name             *string   `json:"name,omitempty"`
	EmailAddress     *string   `json:"email_address,omitempty"`
	Deleted          *bool     `json:"deleted,omitempty"`
	ServiceAccountID string    `json:"service_account_id,omitempty"`
	APIKeyID         string    `json:"api_key_id,omitempty"`
	Subject          string    `json:"subject,omitempty"`
	Provider         *provider `json:"provider,omitempty"`
}

type provider struct {
	Type   string `json:"type"`
	Issuer string `json:"issuer"`
}

func userActor(u *user) *actor {
	deleted := false
	return &actor{Type: "user_actor", UserID: u.ID, Name: &u.Name, EmailAddress: &u.Email, Deleted: &deleted}
}

// actor of a key is the identity it is linked to, else the key itself.
func (k *apiKey) actor() *actor {
	switch {
	case k.principal != nil:
		return userActor(k.principal)
	case k.service != "":
		return &actor{Type: "service_account_actor", ServiceAccountID: k.service}
	default:
		return &actor{Type: "api_actor", APIKeyID: k.ID}
	}
}

// id is what the filter actor_ids[] knows the actor by; federated identities have none.
func (a *actor) id() string { return a.UserID + a.ServiceAccountID + a.APIKeyID }
