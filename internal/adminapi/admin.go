package adminapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/respjson"
	"github.com/cenkalti/backoff/v5"
)

// Roles that the API gives to members of an organization and of a workspace. Others exist, but are
// given in the Console (admin, owner) or inherited (workspace_billing).
var (
	MemberRoles    = []string{"user", "developer", "billing", "claude_code_user"}
	WorkspaceRoles = []string{"workspace_user", "workspace_developer", "workspace_restricted_developer", "workspace_admin"}
	// RoleManaged is given in organizations of Claude Enterprise only.
	RoleManaged = "managed"
)

// Statuses that a key can be given. Archived is for good.
const (
	KeyActive   = "active"
	KeyInactive = "inactive"
	KeyArchived = "archived"
)

const (
	// maxWriteWait bounds a Retry-After that a person waits for.
	maxWriteWait = time.Minute
	// writeGrace is how much longer a request that was sent is waited for once the caller gives up: to
	// cut it off would leave in the dark whether it happened.
	writeGrace = 10 * time.Second
)

// errNotWriting is what the transport of a [Writer] answers to anything it is not for.
var errNotWriting = errors.New("refused: the writing client makes only the documented changes of members, invites, workspaces and keys")

// writes are the requests that a [Writer] may make, below /v1/organizations/; * is an id.
var writes = []struct{ method, path string }{
	{http.MethodPost, "users/*"},
	{http.MethodDelete, "users/*"},
	{http.MethodPost, "invites"},
	{http.MethodDelete, "invites/*"},
	{http.MethodPost, "workspaces"},
	{http.MethodPost, "workspaces/*"},
	{http.MethodPost, "workspaces/*/archive"},
	{http.MethodPost, "workspaces/*/members"},
	{http.MethodPost, "workspaces/*/members/*"},
	{http.MethodDelete, "workspaces/*/members/*"},
	{http.MethodPost, "api_keys/*"},
}

// writeOnly is a transport that can make these requests and no others.
type writeOnly struct {
	next http.RoundTripper
	base *url.URL // path ends in a slash
}

func (t writeOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	path, below := strings.CutPrefix(req.URL.EscapedPath(), t.base.EscapedPath()+"v1/organizations/")
	if !below || req.URL.Scheme != t.base.Scheme || req.URL.Host != t.base.Host || req.URL.RawQuery != "" || !mayWrite(req.Method, path) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errNotWriting
	}
	return t.next.RoundTrip(req)
}

func mayWrite(method, path string) bool {
	parts := strings.Split(path, "/")
	for _, w := range writes {
		want := strings.Split(w.path, "/")
		if w.method == method && slices.EqualFunc(want, parts, func(want, have string) bool {
			return want == have || want == "*" && have != "" && have != "." && have != ".."
		}) {
			return true
		}
	}
	return false
}

// Writer changes an organization: its members, invites, workspaces and keys. Only the commands of an
// administrator use one; what collects has a [Client], which cannot write. It is safe for
// concurrent use.
//
// A change that is the same when made twice is tried again after a fault that may pass. One that is
// not (whatever creates something) is tried again only after a 429, which says that it was not made.
// A context that ends stops the waiting between tries; a request that was sent is still
// waited for, for ten seconds. Errors are [*Error]; [Error.Uncertain] says where the change may have
// been made all the same.
type Writer struct {
	api     *Client
	waiting func(wait time.Duration, reason error)
}

// NewWriter returns a writer. It makes no request. waiting, where not nil, is told before each pause
// between two tries.
func NewWriter(o Options, waiting func(wait time.Duration, reason error)) (*Writer, error) {
	api, err := newClient(o, func(h *http.Client, base *url.URL, _ *atomic.Int64) *http.Client {
		return guarded(h, func(next http.RoundTripper) http.RoundTripper { return writeOnly{next, base} })
	})
	if err != nil {
		return nil, err
	}
	if waiting == nil {
		waiting = func(time.Duration, error) {}
	}
	return &Writer{api: api, waiting: waiting}, nil
}

// Receipt is the API's answer to a change that it made.
type Receipt struct {
	ID        string // of what was changed or created
	RequestID string // empty where the answer to the successful try was lost, and the next one showed it
}

// InviteMember invites somebody into the organization.
func (w *Writer) InviteMember(ctx context.Context, email, role string) (Receipt, error) {
	return w.change(ctx, once("invites"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		i, err := w.api.sdk.Organization.Invites.New(ctx, anthropic.OrganizationInviteNewParams{
			Email: email, Role: anthropic.OrganizationInviteNewParamsRole(role),
		}, opts...)
		if err != nil || i == nil {
			return "", missing(err)
		}
		return i.ID, agree(present("id", i.JSON.ID), same("role", string(i.Role), role))
	})
}

// DeleteInvite takes an invitation back.
func (w *Writer) DeleteInvite(ctx context.Context, id string) (Receipt, error) {
	return w.change(ctx, removal("invites"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		d, err := w.api.sdk.Organization.Invites.Delete(ctx, id, opts...)
		if err != nil || d == nil {
			return id, missing(err)
		}
		return id, same("id", d.ID, id)
	})
}

// SetMemberRole gives a member one of [MemberRoles].
func (w *Writer) SetMemberRole(ctx context.Context, userID, role string) (Receipt, error) {
	return w.change(ctx, again("users"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		u, err := w.api.sdk.Organization.Users.Update(ctx, userID, anthropic.OrganizationUserUpdateParams{
			Role: anthropic.OrganizationUserUpdateParamsRole(role),
		}, opts...)
		if err != nil || u == nil {
			return userID, missing(err)
		}
		return userID, agree(same("id", u.ID, userID), same("role", string(u.Role), role))
	})
}

// RemoveMember removes a member from the organization, which archives their personal keys for good.
// Admins cannot be removed.
func (w *Writer) RemoveMember(ctx context.Context, userID string) (Receipt, error) {
	return w.change(ctx, removal("users"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		d, err := w.api.sdk.Organization.Users.Remove(ctx, userID, opts...)
		if err != nil || d == nil {
			return userID, missing(err)
		}
		return userID, same("id", d.ID, userID)
	})
}

// CreateWorkspace makes a workspace.
func (w *Writer) CreateWorkspace(ctx context.Context, name string) (Receipt, error) {
	return w.change(ctx, once("workspaces"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		x, err := w.api.sdk.Organization.Workspaces.New(ctx, anthropic.OrganizationWorkspaceNewParams{Name: name}, opts...)
		if err != nil || x == nil {
			return "", missing(err)
		}
		return x.ID, agree(present("id", x.JSON.ID), same("name", x.Name, name))
	})
}

// RenameWorkspace gives a workspace another name.
func (w *Writer) RenameWorkspace(ctx context.Context, id, name string) (Receipt, error) {
	return w.change(ctx, again("workspaces"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		x, err := w.api.sdk.Organization.Workspaces.Update(ctx, id, anthropic.OrganizationWorkspaceUpdateParams{Name: param.NewOpt(name)}, opts...)
		if err != nil || x == nil {
			return id, missing(err)
		}
		return id, agree(same("id", x.ID, id), same("name", x.Name, name))
	})
}

// ArchiveWorkspace archives a workspace and every key made for it, for good.
func (w *Writer) ArchiveWorkspace(ctx context.Context, id string) (Receipt, error) {
	return w.change(ctx, once("workspaces/archive"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		x, err := w.api.sdk.Organization.Workspaces.Archive(ctx, id, opts...)
		if err != nil || x == nil {
			return id, missing(err)
		}
		return id, agree(same("id", x.ID, id), present("archived_at", x.JSON.ArchivedAt))
	})
}

// AddWorkspaceMember gives a member of the organization one of [WorkspaceRoles] in a workspace that
// they have none in.
func (w *Writer) AddWorkspaceMember(ctx context.Context, workspaceID, userID, role string) (Receipt, error) {
	return w.change(ctx, once("workspaces/members"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		m, err := w.api.sdk.Organization.Workspaces.Members.Add(ctx, workspaceID, anthropic.OrganizationWorkspaceMemberAddParams{
			UserID: userID, WorkspaceRole: anthropic.NoBillingWorkspaceRole(role),
		}, opts...)
		if err != nil || m == nil {
			return userID, missing(err)
		}
		return userID, agree(same("user_id", m.UserID, userID), same("workspace_role", string(m.WorkspaceRole), role))
	})
}

// SetWorkspaceRole gives somebody who has a role in the workspace another one.
func (w *Writer) SetWorkspaceRole(ctx context.Context, workspaceID, userID, role string) (Receipt, error) {
	return w.change(ctx, again("workspaces/members"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		m, err := w.api.sdk.Organization.Workspaces.Members.Update(ctx, userID, anthropic.OrganizationWorkspaceMemberUpdateParams{
			WorkspaceID: workspaceID, WorkspaceRole: anthropic.WorkspaceRole(role),
		}, opts...)
		if err != nil || m == nil {
			return userID, missing(err)
		}
		return userID, agree(same("user_id", m.UserID, userID), same("workspace_role", string(m.WorkspaceRole), role))
	})
}

// RemoveWorkspaceMember takes somebody's role in a workspace away.
func (w *Writer) RemoveWorkspaceMember(ctx context.Context, workspaceID, userID string) (Receipt, error) {
	return w.change(ctx, removal("workspaces/members"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		d, err := w.api.sdk.Organization.Workspaces.Members.Remove(ctx, userID,
			anthropic.OrganizationWorkspaceMemberRemoveParams{WorkspaceID: workspaceID}, opts...)
		if err != nil || d == nil {
			return userID, missing(err)
		}
		return userID, agree(same("user_id", d.UserID, userID), same("workspace_id", d.WorkspaceID, workspaceID))
	})
}

// SetKeyStatus enables, disables or archives a key.
func (w *Writer) SetKeyStatus(ctx context.Context, id, status string) (Receipt, error) {
	return w.updateKey(ctx, id, anthropic.OrganizationAPIKeyUpdateParams{Status: anthropic.OrganizationAPIKeyUpdateParamsStatus(status)},
		func(k *anthropic.APIKey) error { return same("status", string(k.Status), status) })
}

// RenameKey gives a key another name.
func (w *Writer) RenameKey(ctx context.Context, id, name string) (Receipt, error) {
	return w.updateKey(ctx, id, anthropic.OrganizationAPIKeyUpdateParams{Name: param.NewOpt(name)},
		func(k *anthropic.APIKey) error { return same("name", k.Name, name) })
}

func (w *Writer) updateKey(ctx context.Context, id string, p anthropic.OrganizationAPIKeyUpdateParams, check func(*anthropic.APIKey) error) (Receipt, error) {
	return w.change(ctx, again("api_keys"), func(ctx context.Context, opts ...option.RequestOption) (string, error) {
		k, err := w.api.sdk.Organization.APIKeys.Update(ctx, id, p, opts...)
		if err != nil || k == nil {
			return id, missing(err)
		}
		return id, agree(same("id", k.ID, id), check(k))
	})
}

// An answer that does not say what was asked for is an error: the caller would report as done what
// is not.

func missing(err error) error {
	if err != nil {
		return err
	}
	return &shapeError{path: "the answer", problem: "is empty"}
}

func present(name string, f respjson.Field) error {
	if !f.Valid() {
		return &shapeError{path: name, problem: "is missing"}
	}
	return nil
}

func same(name, have, want string) error {
	if have != want {
		return &shapeError{path: name, problem: "is " + strconv.Quote(clean(have, 60)) + " instead of " + strconv.Quote(want)}
	}
	return nil
}

func agree(problems ...error) error {
	for _, p := range problems {
		if p != nil {
			return p
		}
	}
	return nil
}

// repeat is a change's endpoint, and how it bears to be made twice.
type repeat struct {
	call
	safe    bool // twice is the same as once
	removes bool // and the second time the thing is not found
}

func once(endpoint string) repeat  { return repeat{call: listCall(endpoint)} }
func again(endpoint string) repeat { return repeat{call: listCall(endpoint), safe: true} }
func removal(endpoint string) repeat {
	return repeat{call: listCall(endpoint), safe: true, removes: true}
}

// change makes a request that changes something, and makes it again where that is safe.
func (w *Writer) change(ctx context.Context, r repeat, do func(context.Context, ...option.RequestOption) (id string, err error)) (Receipt, error) {
	var receipt Receipt
	renewed := false
	var uncertain *Error // of the newest try that may have been carried out
	try := func(renew bool) error {
		sending, stop := withGrace(ctx, writeGrace)
		defer stop()
		var answer *http.Response
		err := w.api.attempt(sending, r.call, renew, func(ctx context.Context, opts ...option.RequestOption) (err error) {
			receipt.ID, err = do(ctx, append(opts, option.WithResponseInto(&answer))...)
			return err
		})
		if err == nil && answer != nil {
			receipt.RequestID = clean(answer.Header.Get("request-id"), 100)
		}
		if err != nil && sending.Err() != nil {
			err = &Error{Endpoint: r.endpoint, Kind: KindNetwork, Message: "stopped before the answer came"}
		}
		return err
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval, wait.Multiplier = time.Second, 10*time.Second, 2
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		if ctx.Err() != nil {
			return struct{}{}, backoff.Permanent(context.Cause(ctx))
		}
		err := try(false)
		var e *Error
		if errors.As(err, &e) && e.Kind == KindAuthentication && !renewed {
			renewed = true
			err = try(true)
		}
		if e = nil; errors.As(err, &e) {
			if e.Kind == KindNotFound && r.removes && uncertain != nil {
				return struct{}{}, nil // the try before had done it
			}
			if e.Uncertain() {
				uncertain = e
			}
		}
		return struct{}{}, r.retryable(err)
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(3*maxWriteWait),
		backoff.WithNotify(func(err error, d time.Duration) {
			var e *Error
			if errors.As(err, &e) {
				w.waiting(d, e)
			}
		}))
	var e *Error
	switch {
	case err == nil:
		return receipt, nil
	case errors.As(err, &e):
		if uncertain != nil && !e.Uncertain() {
			e = e.after(uncertain)
		}
		return Receipt{ID: receipt.ID, RequestID: e.RequestID}, e
	case uncertain != nil: // stopped while waiting for the next try
		return receipt, &Error{Endpoint: r.endpoint, Kind: KindNetwork, Message: "stopped before the answer came"}
	default:
		return receipt, fmt.Errorf("%s: %w", r.endpoint, err)
	}
}

// after is the error of a try that was turned away, where the one before it may have been carried out.
func (e *Error) after(before *Error) *Error {
	both := *e
	both.doubt = true
	both.Message = strings.TrimPrefix(e.Message+"; the try before ended with ", "; ") + strings.TrimPrefix(before.Error(), before.Endpoint+": ")
	return &both
}

// retryable marks the error for the retry loop.
func (r repeat) retryable(err error) error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e), !e.Temporary(), e.RetryAfter > maxWriteWait:
		return backoff.Permanent(err)
	case e.Kind == KindRateLimit && e.RetryAfter > 0:
		return errors.Join(err, &backoff.RetryAfterError{Duration: e.RetryAfter})
	case e.Kind == KindRateLimit, !r.safe:
		return backoff.Permanent(err)
	case e.RetryAfter > 0:
		return errors.Join(err, &backoff.RetryAfterError{Duration: e.RetryAfter})
	default:
		return err
	}
}

// withGrace is a context that ends so much later than ctx.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}
