package adminapi_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/sim"
)

// writer is a writing client of the handler.
func writer(t *testing.T, h http.HandlerFunc, change ...func(*adminapi.Options)) *adminapi.Writer {
	t.Helper()
	return waitingWriter(t, h, nil, change...)
}

func waitingWriter(t *testing.T, h http.HandlerFunc, waiting func(time.Duration, error), change ...func(*adminapi.Options)) *adminapi.Writer {
	t.Helper()
	o := adminapi.Options{
		Key:     func(context.Context, bool) (string, error) { return testKey, nil },
		HTTP:    &http.Client{Transport: inProcess(h)},
		Limiter: rate.NewLimiter(rate.Inf, 1),
	}
	for _, f := range change {
		f(&o)
	}
	w, err := adminapi.NewWriter(o, waiting)
	require.NoError(t, err)
	return w
}

// ofSim sends to the simulated organization.
func ofSim(org *sim.Org) func(*adminapi.Options) {
	return func(o *adminapi.Options) {
		o.HTTP = org.Client()
		o.Key = func(context.Context, bool) (string, error) { return sim.AdminKey, nil }
	}
}

// official is the organization as the official SDK shows it.
func official(org *sim.Org) *anthropic.OrganizationService {
	c := anthropic.NewClient(option.WithoutEnvironmentDefaults(), option.WithBaseURL("https://api.example"),
		option.WithAPIKey(sim.AdminKey), option.WithHTTPClient(org.Client()), option.WithMaxRetries(0))
	return &c.Organization
}

// TestEveryWrite makes every change at a strict API and reads it back through the official SDK.
func TestEveryWrite(t *testing.T) {
	t.Parallel()
	org := sim.New(sim.Options{Seed: 3})
	w, api, ctx := writer(t, nil, ofSim(org)), official(org), t.Context()
	done := func(r adminapi.Receipt, err error) string {
		t.Helper()
		require.NoError(t, err)
		require.Regexp(t, "^req_", r.RequestID)
		require.NotEmpty(t, r.ID)
		return r.ID
	}

	first := done(w.InviteMember(ctx, "new@acme-robotics.example", "developer"))
	invite, err := api.Invites.Get(ctx, first)
	require.NoError(t, err)
	require.Equal(t, "pending developer new@acme-robotics.example", string(invite.Status)+" "+string(invite.Role)+" "+invite.Email)
	require.Equal(t, first, done(w.DeleteInvite(ctx, first)))
	invite, err = api.Invites.Get(ctx, first)
	require.NoError(t, err)
	require.Equal(t, "deleted", string(invite.Status))

	var user string
	for u := range api.Users.ListAutoPaging(ctx, anthropic.OrganizationUserListParams{Email: param.NewOpt("hugo.petit@acme-robotics.example")}).All() {
		user = u.ID
	}
	require.NotEmpty(t, user)
	for _, role := range []string{"developer", "billing", "claude_code_user", "user"} {
		require.Equal(t, user, done(w.SetMemberRole(ctx, user, role)))
		u, err := api.Users.Get(ctx, user)
		require.NoError(t, err)
		require.Equal(t, role, string(u.Role))
	}

	workspace := done(w.CreateWorkspace(ctx, "fresh"))
	x, err := api.Workspaces.Get(ctx, workspace)
	require.NoError(t, err)
	require.Equal(t, "fresh", x.Name)
	require.Equal(t, workspace, done(w.RenameWorkspace(ctx, workspace, "fresher")))
	x, err = api.Workspaces.Get(ctx, workspace)
	require.NoError(t, err)
	require.Equal(t, "fresher", x.Name)

	require.Equal(t, user, done(w.AddWorkspaceMember(ctx, workspace, user, "workspace_user")))
	role := func() string {
		m, err := api.Workspaces.Members.Get(ctx, user, anthropic.OrganizationWorkspaceMemberGetParams{WorkspaceID: workspace})
		require.NoError(t, err)
		return string(m.WorkspaceRole)
	}
	require.Equal(t, "workspace_user", role())
	for _, r := range adminapi.WorkspaceRoles {
		require.Equal(t, user, done(w.SetWorkspaceRole(ctx, workspace, user, r)))
		require.Equal(t, r, role())
	}
	require.Equal(t, user, done(w.RemoveWorkspaceMember(ctx, workspace, user)))
	_, err = api.Workspaces.Members.Get(ctx, user, anthropic.OrganizationWorkspaceMemberGetParams{WorkspaceID: workspace})
	require.ErrorContains(t, err, "404")
	require.Equal(t, workspace, done(w.ArchiveWorkspace(ctx, workspace)))
	x, err = api.Workspaces.Get(ctx, workspace)
	require.NoError(t, err)
	require.False(t, x.ArchivedAt.IsZero())

	var key string
	for k := range api.APIKeys.ListAutoPaging(ctx, anthropic.OrganizationAPIKeyListParams{}).All() {
		if k.Name == "reserve" {
			key = k.ID
		}
	}
	for _, status := range []string{adminapi.KeyInactive, adminapi.KeyActive, adminapi.KeyInactive, adminapi.KeyArchived} {
		require.Equal(t, key, done(w.SetKeyStatus(ctx, key, status)))
		k, err := api.APIKeys.Get(ctx, key)
		require.NoError(t, err)
		require.Equal(t, status, string(k.Status))
	}
	require.Equal(t, key, done(w.RenameKey(ctx, key, "renamed")))
	k, err := api.APIKeys.Get(ctx, key)
	require.NoError(t, err)
	require.Equal(t, "renamed", k.Name)

	require.Equal(t, user, done(w.RemoveMember(ctx, user)))
	_, err = api.Users.Get(ctx, user)
	require.ErrorContains(t, err, "404")
}

func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	org := sim.New(sim.Options{Seed: 3})
	w, ctx := writer(t, nil, ofSim(org)), t.Context()
	_, err := w.InviteMember(ctx, "dev.patel@acme-robotics.example", "user")
	e := asError(t, err)
	require.Equal(t, "invites: 400 invalid: This user is already a member. (already_member) ["+e.RequestID+"]", e.Error())
	require.Regexp(t, "^req_", e.RequestID)
	require.False(t, e.Uncertain())
	_, err = w.SetMemberRole(ctx, "user_x", "user")
	require.Equal(t, adminapi.KindNotFound, asError(t, err).Kind)
	_, err = w.DeleteInvite(ctx, "invite_x")
	require.Equal(t, adminapi.KindNotFound, asError(t, err).Kind, "it was not there before either")
	for _, id := range []string{"", ".", "..", "a/b?c"} {
		_, err = w.RenameKey(ctx, id, "x")
		require.Error(t, err, "%q", id)
	}
}

// TestRepeatedWrites says for each fault how often a change is asked for.
func TestRepeatedWrites(t *testing.T) {
	t.Parallel()
	key := answers(`{"id":"apikey_1","name":"n","status":"inactive","type":"api_key"}`)
	workspace := answers(`{"id":"wrkspc_1","name":"n","type":"workspace"}`)
	gone := answers(`{"id":"invite_1","type":"invite_deleted"}`)
	cut := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":`) }
	type step func(*adminapi.Writer, context.Context) (adminapi.Receipt, error)
	safe := step(func(w *adminapi.Writer, ctx context.Context) (adminapi.Receipt, error) {
		return w.SetKeyStatus(ctx, "apikey_1", "inactive")
	})
	create := step(func(w *adminapi.Writer, ctx context.Context) (adminapi.Receipt, error) {
		return w.CreateWorkspace(ctx, "n")
	})
	remove := step(func(w *adminapi.Writer, ctx context.Context) (adminapi.Receipt, error) {
		return w.DeleteInvite(ctx, "invite_1")
	})
	for name, test := range map[string]struct {
		do        step
		handlers  []http.HandlerFunc
		requests  int
		kind      adminapi.Kind // empty: it succeeds
		uncertain bool
		waits     int
	}{
		"status, 500 once":                 {safe, []http.HandlerFunc{fails(500), key}, 2, "", false, 1},
		"status, 529 always":               {safe, []http.HandlerFunc{fails(529)}, 4, adminapi.KindOverloaded, false, 3},
		"status, cut off":                  {safe, []http.HandlerFunc{cut}, 4, adminapi.KindNetwork, true, 3},
		"status, short 429":                {safe, []http.HandlerFunc{fails(429, "Retry-After", "30"), key}, 2, "", false, 1},
		"status, long 429":                 {safe, []http.HandlerFunc{fails(429, "Retry-After", "61"), key}, 1, adminapi.KindRateLimit, false, 0},
		"status, 429 without end":          {safe, []http.HandlerFunc{fails(429), key}, 1, adminapi.KindRateLimit, false, 0},
		"status, 400":                      {safe, []http.HandlerFunc{fails(400), key}, 1, adminapi.KindInvalid, false, 0},
		"status, 409":                      {safe, []http.HandlerFunc{fails(409), key}, 1, adminapi.KindInvalid, false, 0},
		"status, 401":                      {safe, []http.HandlerFunc{fails(401)}, 2, adminapi.KindAuthentication, false, 0},
		"status, another answer":           {safe, []http.HandlerFunc{answers(`{"id":"apikey_1","status":"active"}`)}, 1, adminapi.KindMalformed, true, 0},
		"status, another key":              {safe, []http.HandlerFunc{answers(`{"id":"apikey_2","status":"inactive"}`)}, 1, adminapi.KindMalformed, true, 0},
		"status, redirect":                 {safe, []http.HandlerFunc{fails(302, "Location", "https://elsewhere.example")}, 1, adminapi.KindMalformed, true, 0},
		"creation":                         {create, []http.HandlerFunc{workspace}, 1, "", false, 0},
		"creation, 500":                    {create, []http.HandlerFunc{fails(500), workspace}, 1, adminapi.KindServer, true, 0},
		"creation, 529":                    {create, []http.HandlerFunc{fails(529), workspace}, 1, adminapi.KindOverloaded, false, 0},
		"creation, cut off":                {create, []http.HandlerFunc{cut, workspace}, 1, adminapi.KindNetwork, true, 0},
		"creation, 429":                    {create, []http.HandlerFunc{fails(429, "Retry-After", "2"), workspace}, 2, "", false, 1},
		"creation, null":                   {create, []http.HandlerFunc{answers(`null`)}, 1, adminapi.KindMalformed, true, 0},
		"removal, 404":                     {remove, []http.HandlerFunc{fails(404)}, 1, adminapi.KindNotFound, false, 0},
		"removal, cut off, then 404":       {remove, []http.HandlerFunc{cut, fails(404)}, 2, "", false, 1},
		"removal, overloaded, then 404":    {remove, []http.HandlerFunc{fails(529), fails(404)}, 2, adminapi.KindNotFound, false, 1},
		"status, 500, then a long 429":     {safe, []http.HandlerFunc{fails(500), fails(429, "Retry-After", "61")}, 2, adminapi.KindRateLimit, true, 1},
		"status, cut off, then 400":        {safe, []http.HandlerFunc{cut, fails(400)}, 2, adminapi.KindInvalid, true, 1},
		"status, overloaded, then 400":     {safe, []http.HandlerFunc{fails(529), fails(400)}, 2, adminapi.KindInvalid, false, 1},
		"removal, 500, then 403":           {remove, []http.HandlerFunc{fails(500), fails(403)}, 2, adminapi.KindPermission, true, 1},
		"removal, 504, then it is removed": {remove, []http.HandlerFunc{fails(504), gone}, 2, "", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				requests, waits := 0, 0
				h := then(test.handlers...)
				w := waitingWriter(t, func(rw http.ResponseWriter, r *http.Request) {
					requests++
					h(rw, r)
				}, func(d time.Duration, err error) {
					waits++
					require.Positive(t, d)
					require.ErrorContains(t, err, ": ")
				})
				_, err := test.do(w, t.Context())
				require.Equal(t, test.requests, requests)
				require.Equal(t, test.waits, waits, "whoever waits is told")
				if test.kind == "" {
					require.NoError(t, err)
					return
				}
				e := asError(t, err)
				require.Equal(t, test.kind, e.Kind, "%v", err)
				require.Equal(t, test.uncertain, e.Uncertain(), "%v", err)
				if test.requests == 2 && test.uncertain {
					require.ErrorContains(t, err, "; the try before ended with ")
				}
			})
		})
	}
}

// TestStoppedWrites checks what an interrupted caller learns.
func TestStoppedWrites(t *testing.T) {
	t.Parallel()
	t.Run("an answer that comes soon is waited for", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			w := writer(t, func(rw http.ResponseWriter, _ *http.Request) {
				cancel()
				time.Sleep(9 * time.Second)
				_, _ = io.WriteString(rw, `{"id":"wrkspc_1","name":"n"}`)
			})
			r, err := w.CreateWorkspace(ctx, "n")
			require.NoError(t, err)
			require.Equal(t, "wrkspc_1", r.ID)
		})
	})
	t.Run("another one leaves it uncertain", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			w := writer(t, func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				<-r.Context().Done()
			})
			start := time.Now()
			_, err := w.SetKeyStatus(ctx, "apikey_1", "inactive")
			require.True(t, asError(t, err).Uncertain(), "%v", err)
			require.Equal(t, 10*time.Second, time.Since(start))
		})
	})
	t.Run("nothing is sent any more", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := writer(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
		_, err := w.CreateWorkspace(ctx, "n")
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("the wait for the next try ends", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			w := writer(t, fails(429, "Retry-After", "40"))
			start := time.Now()
			_, err := w.CreateWorkspace(ctx, "n")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 5*time.Second, time.Since(start))
		})
	})
	t.Run("no connection is no doubt", func(t *testing.T) {
		t.Parallel()
		org := sim.New(sim.Options{})
		org.Faults().Arm(sim.Rule{Fault: sim.Down})
		w := writer(t, nil, ofSim(org))
		_, err := w.CreateWorkspace(t.Context(), "n")
		e := asError(t, err)
		require.Equal(t, adminapi.KindNetwork, e.Kind)
		require.False(t, e.Uncertain())
	})
}

// TestWriterMakesOnlyItsWrites asks the transport for what no method does.
func TestWriterMakesOnlyItsWrites(t *testing.T) {
	t.Parallel()
	w := writer(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	for _, request := range []string{
		"GET v1/organizations/users", "GET v1/organizations/me", "PUT v1/organizations/users/user_1", "PATCH v1/organizations/api_keys/apikey_1",
		"POST v1/messages", "POST v1/organizations/api_keys", "DELETE v1/organizations/api_keys/apikey_1", "DELETE v1/organizations/workspaces/wrkspc_1",
		"POST v1/organizations/spend_limits", "POST v1/organizations/users/", "POST v1/organizations/invites?x=1",
		"POST v1/organizations/workspaces/wrkspc_1/rate_limits/rlg_1", "POST v1/organizations/service_accounts",
		"POST https://elsewhere.example/v1/organizations/invites", "POST http://api.anthropic.com/v1/organizations/invites",
	} {
		method, path, _ := strings.Cut(request, " ")
		require.ErrorContains(t, w.Send(t.Context(), method, path), "refused: the writing client makes only", request)
	}
}

func TestWriterHidesTheKey(t *testing.T) {
	t.Parallel()
	w := writer(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("request-id", testKey)
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, `{"error":{"type":"`+testKey+`","message":"key `+testKey+` is not liked","details":{"error_code":"`+testKey+`"}}}`)
	})
	r, err := w.CreateWorkspace(t.Context(), "n")
	asError(t, err)
	require.NotContains(t, r.RequestID, testKey)
}

// TestCollectingOnlyReads calls every method of the reading client that needs no more than an id, and looks at what the
// API saw.
func TestCollectingOnlyReads(t *testing.T) {
	t.Parallel()
	org := sim.New(sim.Options{Seed: 3})
	c := client(t, nil, ofSim(org))
	ctx := t.Context()
	ws, err := c.Workspaces(ctx)
	require.NoError(t, err)
	for _, err := range []error{
		second(c.Organization(ctx)), second(c.APIKeys(ctx)), second(c.Members(ctx)), second(c.Invites(ctx)), second(c.RateLimits(ctx)),
		second(c.WorkspaceMembers(ctx, ws[1].ID)), second(c.WorkspaceRateLimits(ctx, ws[1].ID)),
	} {
		require.NoError(t, err)
	}
	for request := range org.Requests() {
		require.True(t, strings.HasPrefix(request, "GET "), request)
	}
	require.False(t, slices.Contains(adminapi.MemberRoles, "admin"))
	require.False(t, slices.Contains(adminapi.WorkspaceRoles, "workspace_billing"))
}
