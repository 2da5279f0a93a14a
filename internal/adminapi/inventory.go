package adminapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/pagination"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/respjson"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// perPage is the most that the lists by cursor give at once.
const perPage = 1000

// Organization tells whom the key belongs to.
func (c *Client) Organization(ctx context.Context) (spend.Organization, error) {
	var o *anthropic.OrganizationInfo
	err := c.exchange(ctx, listCall("me"), func(ctx context.Context, opts ...option.RequestOption) (err error) {
		o, err = c.sdk.Organization.Get(ctx, opts...)
		if err == nil && (o == nil || o.ID == "") {
			err = &shapeError{path: "id", problem: "is missing"}
		}
		return err
	})
	if err != nil {
		return spend.Organization{}, err
	}
	return spend.Organization{ID: storable(o.ID), Name: storable(o.Name)}, nil
}

// Workspaces lists all workspaces, archived ones and the default one included.
func (c *Client) Workspaces(ctx context.Context) ([]spend.Workspace, error) {
	ws, err := c.workspaces(ctx, true)
	if err != nil {
		return nil, err
	}
	// The default workspace is always called Default. Others may be too, but only the default one
	// is left out of a list that does not ask for it.
	var named []int
	for i := range ws {
		if ws[i].Name == "Default" {
			named = append(named, i)
		}
	}
	var others []spend.Workspace
	if len(named) > 1 {
		if others, err = c.workspaces(ctx, false); err != nil {
			return nil, err
		}
	}
	for _, i := range named {
		ws[i].Default = !slices.ContainsFunc(others, func(o spend.Workspace) bool { return o.ID == ws[i].ID })
	}
	return ws, nil
}

func (c *Client) workspaces(ctx context.Context, withDefault bool) ([]spend.Workspace, error) {
	return listByCursor(ctx, c, "workspaces",
		func(ctx context.Context, after param.Opt[string], opts ...option.RequestOption) (*pagination.Page[anthropic.Workspace], error) {
			return c.sdk.Organization.Workspaces.List(ctx, anthropic.OrganizationWorkspaceListParams{
				IncludeArchived: param.NewOpt(true), IncludeDefault: param.NewOpt(withDefault),
				Limit: param.NewOpt[int64](perPage), AfterID: after,
			}, opts...)
		},
		func(w *anthropic.Workspace, v *fields) (string, spend.Workspace) {
			v.need("id", w.JSON.ID)
			v.need("name", w.JSON.Name)
			return w.ID, spend.Workspace{
				ID: w.ID, Name: w.Name, Tags: w.Tags,
				CreatedAt:  v.time("created_at", w.CreatedAt, w.JSON.CreatedAt),
				ArchivedAt: v.time("archived_at", w.ArchivedAt, w.JSON.ArchivedAt),
			}
		})
}

// APIKeys lists all keys, of every status.
func (c *Client) APIKeys(ctx context.Context) ([]spend.APIKey, error) {
	return listByCursor(ctx, c, "api_keys",
		func(ctx context.Context, after param.Opt[string], opts ...option.RequestOption) (*pagination.Page[anthropic.APIKey], error) {
			return c.sdk.Organization.APIKeys.List(ctx, anthropic.OrganizationAPIKeyListParams{
				Limit: param.NewOpt[int64](perPage), AfterID: after,
			}, opts...)
		},
		func(k *anthropic.APIKey, v *fields) (string, spend.APIKey) {
			v.need("id", k.JSON.ID)
			v.need("name", k.JSON.Name)
			v.need("status", k.JSON.Status)
			key := spend.APIKey{
				ID: k.ID, Name: k.Name, Hint: k.PartialKeyHint, Status: string(k.Status),
				WorkspaceID: k.Scope.WorkspaceID,
				CreatedByID: k.CreatedBy.ID, CreatorType: string(k.CreatedBy.Type),
				PrincipalID: orElse(k.Principal.UserID, k.Principal.ServiceAccountID),
				CreatedAt:   v.time("created_at", k.CreatedAt, k.JSON.CreatedAt),
				ExpiresAt:   v.time("expires_at", k.ExpiresAt, k.JSON.ExpiresAt),
			}
			// Older bodies have no scope but a workspace_id, null for the default workspace.
			if old, ok := k.JSON.ExtraFields["workspace_id"]; ok && !k.JSON.Scope.Valid() {
				key.WorkspaceID = spend.DefaultWorkspace
				if old.Raw() != respjson.Null {
					key.WorkspaceID = v.string("workspace_id", old)
				}
			} else {
				v.need("scope", k.JSON.Scope)
			}
			return k.ID, key
		})
}

// Members lists the people of the organization.
func (c *Client) Members(ctx context.Context) ([]spend.Member, error) {
	return listByCursor(ctx, c, "users",
		func(ctx context.Context, after param.Opt[string], opts ...option.RequestOption) (*pagination.Page[anthropic.OrganizationUser], error) {
			return c.sdk.Organization.Users.List(ctx, anthropic.OrganizationUserListParams{
				Limit: param.NewOpt[int64](perPage), AfterID: after,
			}, opts...)
		},
		func(u *anthropic.OrganizationUser, v *fields) (string, spend.Member) {
			v.need("id", u.JSON.ID)
			v.need("role", u.JSON.Role)
			return u.ID, spend.Member{
				ID: u.ID, Email: u.Email, Name: u.Name, Role: string(u.Role),
				AddedAt: v.time("added_at", u.AddedAt, u.JSON.AddedAt),
			}
		})
}

// WorkspaceMembers lists who was given a role in the workspace. Admins and billing members of the
// organization are in every workspace without being listed.
func (c *Client) WorkspaceMembers(ctx context.Context, workspaceID string) ([]spend.WorkspaceMember, error) {
	return listByCursor(ctx, c, "workspaces/members",
		func(ctx context.Context, after param.Opt[string], opts ...option.RequestOption) (*pagination.Page[anthropic.WorkspaceMember], error) {
			return c.sdk.Organization.Workspaces.Members.List(ctx, workspaceID, anthropic.OrganizationWorkspaceMemberListParams{
				Limit: param.NewOpt[int64](perPage), AfterID: after,
			}, opts...)
		},
		func(m *anthropic.WorkspaceMember, v *fields) (string, spend.WorkspaceMember) {
			v.need("user_id", m.JSON.UserID)
			v.need("workspace_role", m.JSON.WorkspaceRole)
			return m.UserID, spend.WorkspaceMember{WorkspaceID: workspaceID, UserID: m.UserID, Role: string(m.WorkspaceRole)}
		})
}

// Invites lists the invitations that are pending, accepted or expired.
func (c *Client) Invites(ctx context.Context) ([]spend.Invite, error) {
	return listByCursor(ctx, c, "invites",
		func(ctx context.Context, after param.Opt[string], opts ...option.RequestOption) (*pagination.Page[anthropic.OrganizationInvite], error) {
			return c.sdk.Organization.Invites.List(ctx, anthropic.OrganizationInviteListParams{
				Limit: param.NewOpt[int64](perPage), AfterID: after,
			}, opts...)
		},
		func(i *anthropic.OrganizationInvite, v *fields) (string, spend.Invite) {
			v.need("id", i.JSON.ID)
			v.need("status", i.JSON.Status)
			return i.ID, spend.Invite{
				ID: i.ID, Email: i.Email, Role: string(i.Role), Status: string(i.Status),
				InvitedAt:  v.time("invited_at", i.InvitedAt, i.JSON.InvitedAt),
				ExpiresAt:  v.time("expires_at", i.ExpiresAt, i.JSON.ExpiresAt),
				AcceptedAt: v.time("accepted_at", i.AcceptedAt, i.JSON.AcceptedAt),
			}
		})
}

// listByCursor reads a list whose pages continue after the last id. The SDK's own pager takes an
// empty page, and a missing last_id, for the end: here the end is where has_more says so.
func listByCursor[W, T any](ctx context.Context, c *Client, endpoint string,
	fetch func(context.Context, param.Opt[string], ...option.RequestOption) (*pagination.Page[W], error),
	convert func(*W, *fields) (id string, t T),
) ([]T, error) {
	l := newListing(endpoint, convert)
	var after param.Opt[string]
	for {
		var p *pagination.Page[W]
		err := c.exchange(ctx, listCall(endpoint), func(ctx context.Context, opts ...option.RequestOption) (err error) {
			if p, err = fetch(ctx, after, opts...); err != nil {
				return err
			}
			switch {
			case p == nil || !p.JSON.Data.Valid():
				return &shapeError{path: "data", problem: "is missing, or not an array"}
			case !p.JSON.HasMore.Valid():
				return &shapeError{path: "has_more", problem: "is missing, or not a boolean"}
			case p.HasMore && p.LastID == "":
				return &shapeError{path: "last_id", problem: "is missing although has_more is true"}
			}
			return l.add(p.Data)
		})
		if err != nil {
			return nil, err
		}
		if !p.HasMore {
			return l.all, nil
		}
		if err := l.next("last_id", p.LastID); err != nil {
			return nil, err
		}
		after = param.NewOpt(p.LastID)
	}
}

// listByToken reads a list whose pages name the next one; a page may be empty before the last.
func listByToken[W, T any](ctx context.Context, c *Client, endpoint string,
	fetch func(context.Context, param.Opt[string], ...option.RequestOption) (*pagination.PageCursor[W], error),
	convert func(*W, *fields) (id string, t T),
) ([]T, error) {
	l := newListing(endpoint, convert)
	var token param.Opt[string]
	for {
		var p *pagination.PageCursor[W]
		err := c.exchange(ctx, listCall(endpoint), func(ctx context.Context, opts ...option.RequestOption) (err error) {
			if p, err = fetch(ctx, token, opts...); err != nil {
				return err
			}
			if p == nil || !p.JSON.Data.Valid() {
				return &shapeError{path: "data", problem: "is missing, or not an array"}
			}
			if raw := p.JSON.NextPage.Raw(); !p.JSON.NextPage.Valid() && raw != respjson.Null && raw != respjson.Omitted {
				return &shapeError{path: "next_page", problem: "is not a string"}
			}
			return l.add(p.Data)
		})
		if err != nil {
			return nil, err
		}
		if p.NextPage == "" {
			return l.all, nil
		}
		if err := l.next("next_page", p.NextPage); err != nil {
			return nil, err
		}
		token = param.NewOpt(p.NextPage)
	}
}

// listing is what was read of a list so far.
type listing[W, T any] struct {
	endpoint string
	convert  func(*W, *fields) (string, T)
	all      []T
	ids      map[string]bool
	cursors  map[string]bool
}

func newListing[W, T any](endpoint string, convert func(*W, *fields) (string, T)) *listing[W, T] {
	return &listing[W, T]{endpoint: endpoint, convert: convert, all: []T{}, ids: map[string]bool{}, cursors: map[string]bool{}}
}

// add translates the items of a page. What changes while it is listed may come twice: the id
// tells. It must be called once the page is in.
func (l *listing[W, T]) add(data []W) error {
	for i := range data {
		v := fields{path: "data[" + strconv.Itoa(i) + "]."}
		id, t := l.convert(&data[i], &v)
		id = storable(id)
		makeStorable(&t)
		switch {
		case v.err != nil:
			return v.err
		case id != "" && l.ids[id]:
			continue
		}
		l.ids[id] = true
		l.all = append(l.all, t)
	}
	return nil
}

// next ends a list that goes round in circles, or on for ever.
func (l *listing[W, T]) next(field, cursor string) error {
	if l.cursors[cursor] || len(l.cursors) == maxPages {
		return &Error{
			Endpoint: l.endpoint, Status: http.StatusOK, Kind: KindMalformed,
			Message: field + ": still set after " + strconv.Itoa(len(l.cursors)+1) + " pages, or the same again",
		}
	}
	l.cursors[cursor] = true
	return nil
}

// fields checks what the SDK leaves unchecked: it gives a zero value for a field that is missing
// or of another type. The first complaint is kept.
type fields struct {
	path string
	err  error
}

func (v *fields) fail(name, problem string) {
	if v.err == nil {
		v.err = &shapeError{path: v.path + name, problem: problem}
	}
}

// need makes sure that the field is there and of its type.
func (v *fields) need(name string, f respjson.Field) {
	if !f.Valid() {
		v.fail(name, "is missing, or not of the documented type")
	}
}

// time is t in UTC, zero if the field is null or missing.
func (v *fields) time(name string, t time.Time, f respjson.Field) time.Time {
	switch raw := f.Raw(); {
	case raw == respjson.Null || raw == respjson.Omitted:
		return time.Time{}
	case !f.Valid():
		v.fail(name, "is not a time")
		return time.Time{}
	default:
		return t.UTC()
	}
}

// string is the value of a field that the SDK has no type for.
func (v *fields) string(name string, f respjson.Field) string {
	var s string
	if raw := f.Raw(); raw != respjson.Omitted && json.Unmarshal([]byte(raw), &s) != nil {
		v.fail(name, "is not a string")
	}
	return s
}
