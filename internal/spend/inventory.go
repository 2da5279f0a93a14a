package spend

import "time"

// Organization is the account that an admin key belongs to.
type Organization struct {
	ID   string // UUID
	Name string // the label shown; the configured name, else the API's
}

// Workspace is a workspace of an organization.
type Workspace struct {
	ID         string
	Name       string
	Label      string // unique display name, given by the store; empty from the API
	Default    bool
	CreatedAt  time.Time
	ArchivedAt time.Time // zero while live
	Tags       map[string]string
}

// APIKey is an API key as the Admin API lists it; never the key itself.
type APIKey struct {
	ID          string
	Name        string
	Label       string // unique display name, given by the store; empty from the API
	Hint        string // partial key, e.g. sk-ant-api03-R2D...igAA
	Status      string // active, inactive, archived, expired, or what the API adds
	WorkspaceID string // empty for a key of the whole organization
	CreatedByID string // empty where the API does not know
	CreatorType string // user, service_account
	PrincipalID string // who a personal or service-account key acts as; empty for a workspace key
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero: never
	FirstSeenAt time.Time // given by the store
	GoneAt      time.Time // given by the store: when it was no longer listed; zero while listed
	LastUsed    Window    // given by the store: the newest bucket with use; zero where none was seen
}

// Member is a person of the organization.
type Member struct {
	ID      string
	Email   string
	Name    string
	Role    string
	AddedAt time.Time
}

// WorkspaceMember is a member's role in a workspace.
type WorkspaceMember struct {
	WorkspaceID string
	UserID      string
	Role        string
}

// Invite is an invitation to the organization.
type Invite struct {
	ID         string
	Email      string
	Role       string
	Status     string // pending, accepted, expired, deleted
	InvitedAt  time.Time
	ExpiresAt  time.Time
	AcceptedAt time.Time
}

// RateLimit is one limiter of a model group (or other group), for the organization or a workspace.
type RateLimit struct {
	WorkspaceID string // empty: the organization's own
	GroupID     string
	GroupType   string // model_group, batch, …
	Group       string // display name
	Models      []string
	Limiter     string // requests_per_minute, …
	Value       int64
}

// SpendLimit is a limit on spend set in the Console or by the API.
type SpendLimit struct {
	ID        string
	Scope     string // organization, workspace, usage_tier, …
	ScopeID   string // the workspace, user, … it is for; empty for the organization
	Amount    Money
	Unlimited bool
	Period    string // daily, weekly, monthly
	Enabled   bool
}
