package adminapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
)

func TestErrorFixtures(t *testing.T) {
	t.Parallel()
	const id = "req_011CSHoEeqs5C35K2UUqR7Fy"
	for name, test := range map[string]struct {
		status    int
		want      adminapi.Error
		temporary bool
		refused   bool
	}{
		"error_400.json": {400, adminapi.Error{Kind: adminapi.KindInvalid, Type: "invalid_request_error", Message: "limit: Input should be less than or equal to 1000"}, false, false},
		"error_400_missing_workspace_header.json": {400, adminapi.Error{Kind: adminapi.KindInvalid, Type: "invalid_request_error", Message: "anthropic-workspace-id is required when authenticating with an identity-linked API key; send the id of the workspace this request acts in."}, false, false},
		"error_400_with_details.json":             {400, adminapi.Error{Kind: adminapi.KindInvalid, Type: "invalid_request_error", Code: "invite_already_exists", Message: "An invite for this email already exists."}, false, false},
		"error_401.json":                          {401, adminapi.Error{Kind: adminapi.KindAuthentication, Type: "authentication_error", Message: "API key is invalid"}, false, true},
		"error_403.json":                          {403, adminapi.Error{Kind: adminapi.KindPermission, Type: "permission_error", Message: "Your API key does not have permission to use the specified resource."}, false, true},
		"error_404.json":                          {404, adminapi.Error{Kind: adminapi.KindNotFound, Type: "not_found_error", Message: "The requested resource could not be found."}, false, true},
		"error_409.json":                          {409, adminapi.Error{Kind: adminapi.KindInvalid, Type: "conflict_error", Message: "The request conflicts with the current state of a resource."}, false, false},
		"error_413.json":                          {413, adminapi.Error{Kind: adminapi.KindInvalid, Type: "request_too_large", Message: "Request exceeds the maximum allowed number of bytes."}, false, false},
		"error_429.json":                          {429, adminapi.Error{Kind: adminapi.KindRateLimit, Type: "rate_limit_error", Message: "This request would exceed your organization's rate limit."}, true, false},
		"error_500.json":                          {500, adminapi.Error{Kind: adminapi.KindServer, Type: "api_error", Message: "Internal server error"}, true, false},
		"error_504.json":                          {504, adminapi.Error{Kind: adminapi.KindServer, Type: "timeout_error", Message: "Request timed out"}, true, false},
		"error_529.json":                          {529, adminapi.Error{Kind: adminapi.KindOverloaded, Type: "overloaded_error", Message: "Overloaded"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := fixture(t, name)
			synctest.Test(t, func(t *testing.T) {
				c := client(t, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(test.status)
					_, _ = io.WriteString(w, body)
				})
				for endpoint, ask := range map[string]func() error{
					"cost_report": func() error { _, err := c.Costs(t.Context(), daily); return err },
					"api_keys":    func() error { _, err := c.APIKeys(t.Context()); return err },
				} {
					e := asError(t, fmt.Errorf("collecting: %w", ask()))
					want := test.want
					want.Endpoint, want.Status, want.RequestID = endpoint, test.status, id
					require.Equal(t, &want, e)
					require.Equal(t, test.temporary, e.Temporary())
					require.Equal(t, test.refused, e.Refused())
					require.Contains(t, e.Error(), endpoint+": "+strconv.Itoa(test.status)+" "+string(test.want.Kind)+": "+test.want.Message)
				}
			})
		})
	}
}

func TestReportNotForThisOrganization(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"organization_type_not_supported", "organization_not_enrolled_in_beta", "parent_organization_required"} {
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"type":"error","error":{"type":"invalid_request_error","message":"no","details":{"error_code":"`+code+`"}}}`)
		})
		_, err := c.AnalyticsCosts(t.Context(), hourly)
		e := asError(t, err)
		require.True(t, e.Refused(), code)
		require.Equal(t, code, e.Code)
	}
}

// TestRetries says for each fault how many requests it takes, how long, and how it ends.
func TestRetries(t *testing.T) {
	t.Parallel()
	fine := answers(fixture(t, "analytics_cost.json"))
	for name, test := range map[string]struct {
		handler  func() http.HandlerFunc
		requests int64
		atLeast  time.Duration
		atMost   time.Duration
		kind     adminapi.Kind // empty: it succeeds
		after    time.Duration
	}{
		"short Retry-After is waited for": {
			func() http.HandlerFunc { return then(fails(429, "Retry-After", "17"), fine) }, 2, 17 * time.Second, 17 * time.Second, "", 0,
		},
		"short Retry-After again and again": {
			func() http.HandlerFunc { return fails(429, "Retry-After", "20") }, 4, 60 * time.Second, 60 * time.Second, adminapi.KindRateLimit, 20 * time.Second,
		},
		"long Retry-After is the caller's": {
			func() http.HandlerFunc { return then(fails(429, "Retry-After", "3600"), fine) }, 1, 0, 0, adminapi.KindRateLimit, time.Hour,
		},
		"Retry-After as a date": {
			func() http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					fails(429, "Retry-After", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))(w, r)
				}
			}, 1, 0, 0, adminapi.KindRateLimit, 2 * time.Hour,
		},
		"Retry-After that is not one": {
			func() http.HandlerFunc { return then(fails(429, "Retry-After", "soon"), fine) }, 1, 0, 0, adminapi.KindRateLimit, 0,
		},
		"no Retry-After is the tier's cap": {
			func() http.HandlerFunc { return then(fails(429), fine) }, 1, 0, 0, adminapi.KindRateLimit, 0,
		},
		"500 once":   {func() http.HandlerFunc { return then(fails(500), fine) }, 2, 500 * time.Millisecond, 2 * time.Second, "", 0},
		"502 once":   {func() http.HandlerFunc { return then(fails(502), fine) }, 2, 500 * time.Millisecond, 2 * time.Second, "", 0},
		"504 once":   {func() http.HandlerFunc { return then(fails(504), fine) }, 2, 500 * time.Millisecond, 2 * time.Second, "", 0},
		"529 once":   {func() http.HandlerFunc { return then(fails(529), fine) }, 2, 500 * time.Millisecond, 2 * time.Second, "", 0},
		"500 always": {func() http.HandlerFunc { return fails(500) }, 4, 3 * time.Second, 12 * time.Second, adminapi.KindServer, 0},
		"529 always": {func() http.HandlerFunc { return fails(529) }, 4, 3 * time.Second, 12 * time.Second, adminapi.KindOverloaded, 0},
		"503 with a long wait": {
			func() http.HandlerFunc { return fails(503, "Retry-After", "600") }, 1, 0, 0, adminapi.KindServer, 10 * time.Minute,
		},
		"403 is not retried": {func() http.HandlerFunc { return then(fails(403), fine) }, 1, 0, 0, adminapi.KindPermission, 0},
		"400 is not retried": {func() http.HandlerFunc { return then(fails(400), fine) }, 1, 0, 0, adminapi.KindInvalid, 0},
		"409 is not retried": {func() http.HandlerFunc { return then(fails(409), fine) }, 1, 0, 0, adminapi.KindInvalid, 0},
		"an answer cut half-way": {
			func() http.HandlerFunc {
				return then(answers(fixture(t, "analytics_cost.json")[:900]), answers(""), fine)
			}, 3, time.Second, 5 * time.Second, "", 0,
		},
		"no answer in time": {
			func() http.HandlerFunc {
				return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
			}, 1, 3 * time.Minute, 3 * time.Minute, adminapi.KindNetwork, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := client(t, test.handler())
				start := time.Now()
				a, err := c.AnalyticsCosts(t.Context(), hourly)
				took := time.Since(start)
				require.Equal(t, test.requests, c.Requests())
				require.GreaterOrEqual(t, took, test.atLeast)
				require.LessOrEqual(t, took, test.atMost)
				if test.kind == "" {
					require.NoError(t, err)
					require.Len(t, a.Rows, 2, "what came before the fault is not counted twice")
					return
				}
				e := asError(t, err)
				require.Equal(t, test.kind, e.Kind)
				require.Equal(t, test.after, e.RetryAfter)
				require.Empty(t, a.Rows)
			})
		})
	}
}

func TestListsAreRetriedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := fixture(t, "api_keys_list.json")
		c := client(t, then(fails(529), answers(body[:200]), answers(body)))
		keys, err := c.APIKeys(t.Context())
		require.NoError(t, err)
		require.Len(t, keys, 1)
		require.EqualValues(t, 3, c.Requests())
	})
}

func TestKeyIsRenewedOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		good     string
		requests int64
	}{
		"and works then":      {"new", 2},
		"and is wrong anyway": {"none", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked []bool
			c := client(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("x-api-key") != test.good {
					fails(401)(w, r)
					return
				}
				_, _ = io.WriteString(w, lastPage)
			}, func(o *adminapi.Options) {
				o.Key = func(_ context.Context, renew bool) (string, error) {
					asked = append(asked, renew)
					if renew {
						return "new", nil
					}
					return "old", nil
				}
			})
			_, err := c.Costs(t.Context(), daily)
			require.Equal(t, []bool{false, true}, asked)
			require.Equal(t, test.requests, c.Requests())
			if test.good == "new" {
				require.NoError(t, err)
			} else {
				require.Equal(t, adminapi.KindAuthentication, asError(t, err).Kind)
			}
		})
	}
}

func TestKeyThatCannotBeHad(t *testing.T) {
	t.Parallel()
	problem := errors.New("vault is sealed")
	c := client(t, answers(lastPage), func(o *adminapi.Options) {
		o.Key = func(context.Context, bool) (string, error) { return "", problem }
	})
	_, err := c.Costs(t.Context(), daily)
	require.ErrorIs(t, err, problem)
	require.EqualError(t, err, "cost_report: admin key: vault is sealed")
	require.Zero(t, c.Requests())

	c = client(t, answers(lastPage), func(o *adminapi.Options) {
		o.Key = func(context.Context, bool) (string, error) { return "", nil }
	})
	_, err = c.Costs(t.Context(), daily)
	require.EqualError(t, err, "cost_report: the admin key is empty")
}

func TestOAuthTokenGoesAsBearer(t *testing.T) {
	t.Parallel()
	const token = "sk-ant-oat01-x"
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token || r.Header.Get("x-api-key") != "" {
			fails(401)(w, r)
			return
		}
		_, _ = io.WriteString(w, lastPage)
	}, func(o *adminapi.Options) {
		o.Key = func(context.Context, bool) (string, error) { return token, nil }
	})
	_, err := c.Costs(t.Context(), daily)
	require.NoError(t, err)
}

// TestKeyStaysSecret has the key come back in every place an answer or a failure can carry it.
func TestKeyStaysSecret(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"in the message": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("request-id", testKey)
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":{"type":"`+testKey+`","message":"`+strings.Repeat("x", 290)+testKey+
				`","details":{"error_code":"`+testKey+`"}},"request_id":"`+testKey+`"}`)
		},
		"in the body": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":[{"starting_at":"`+testKey+`"}]}`)
		},
		"in a wrong type": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":[{"results":[{"amount":"`+testKey+`"}]}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, h).Costs(t.Context(), daily)
			e := asError(t, err)
			require.NotContains(t, fmt.Sprintf("%+v %#v", e, *e), testKey)
			require.NotContains(t, fmt.Sprintf("%+v", e), testKey[:10], "not even a part of it")
			require.Less(t, len(e.Message), 400)
		})
	}
	t.Run("in a failure of the transport", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := client(t, nil, func(o *adminapi.Options) { o.HTTP = &http.Client{Transport: leaky{}} })
			for _, err := range []error{second(c.Costs(t.Context(), daily)), second(c.APIKeys(t.Context()))} {
				e := asError(t, err)
				require.Equal(t, adminapi.KindNetwork, e.Kind)
				for ; err != nil; err = errors.Unwrap(err) {
					require.NotContains(t, err.Error(), testKey)
				}
			}
		})
	})
}

type leaky struct{}

func (leaky) RoundTrip(req *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("cannot send %v", req.Header)
}

func second[T any](_ T, err error) error { return err }

func TestGatewayPagesAreNotRepeated(t *testing.T) {
	t.Parallel()
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "<html>"+strings.Repeat("x", 1<<20))
	})
	for _, err := range []error{second(c.Costs(t.Context(), daily)), second(c.APIKeys(t.Context()))} {
		e := asError(t, err)
		require.Equal(t, adminapi.KindInvalid, e.Kind)
		require.Equal(t, "Request Entity Too Large", e.Message)
	}
}

func TestContextEndsEverything(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"while waiting for an answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"while waiting to try again":  fails(429, "Retry-After", "20"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, err := client(t, h).Costs(ctx, daily)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 5*time.Second, time.Since(start))

				ctx, stop := context.WithCancel(t.Context())
				stop()
				_, err = client(t, h).Costs(ctx, daily)
				require.ErrorIs(t, err, context.Canceled)
				require.True(t, strings.HasPrefix(err.Error(), "cost_report: "), err)
			})
		})
	}
}

func TestOnlyReads(t *testing.T) {
	t.Parallel()
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	refused := "refused: only GET below /v1/organizations of the configured API is allowed"
	require.ErrorContains(t, c.Post(t.Context(), "v1/organizations/workspaces"), refused)
	for _, path := range []string{
		"v1/messages", "v1/organizations", "v1/organizationsx/me", "v1/models", "v1/organizations//me",
		"https://elsewhere.example/v1/organizations/me", "http://api.anthropic.com/v1/organizations/me",
	} {
		require.ErrorContains(t, c.Outside(t.Context(), path), refused, path)
	}
	for _, id := range []string{"..", ".", ""} {
		_, err := c.WorkspaceMembers(t.Context(), id)
		require.Error(t, err, id)
	}
	require.Zero(t, c.Requests())

	c = client(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "/v1/organizations/workspaces/..%2F..%2Fmessages/members", r.URL.EscapedPath())
		_, _ = io.WriteString(w, lastPage)
	})
	_, err := c.WorkspaceMembers(t.Context(), "../../messages")
	require.NoError(t, err, "escaped it is only a strange id")
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	key := func(context.Context, bool) (string, error) { return testKey, nil }
	for _, bad := range []string{"api.anthropic.com", "ftp://x", "https://", "https://user:secret@x", "https://x?a=b", "://"} {
		_, err := adminapi.New(adminapi.Options{Key: key, BaseURL: bad})
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := adminapi.New(adminapi.Options{})
	require.Error(t, err)

	for base, want := range map[string]string{
		"":                           "https://api.anthropic.com/v1/organizations/me",
		"https://proxy.example/a/b":  "https://proxy.example/a/b/v1/organizations/me",
		"https://proxy.example/a/b/": "https://proxy.example/a/b/v1/organizations/me",
	} {
		c := client(t, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, want, r.URL.String())
			_, _ = io.WriteString(w, fixture(t, "organization_me.json"))
		}, func(o *adminapi.Options) { o.BaseURL = base })
		_, err := c.Organization(t.Context())
		require.NoError(t, err)
	}
}

// TestRealConnections is about what only a socket can do.
func TestRealConnections(t *testing.T) {
	t.Parallel()
	var elsewhere int
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(other.Close)
	over := func(t *testing.T, h http.HandlerFunc) *adminapi.Client {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return client(t, nil, func(o *adminapi.Options) { o.BaseURL, o.HTTP = s.URL, nil })
	}
	t.Run("redirects are refused", func(t *testing.T) {
		t.Parallel()
		c := over(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		})
		for _, err := range []error{second(c.Costs(t.Context(), daily)), second(c.APIKeys(t.Context()))} {
			e := asError(t, err)
			require.Equal(t, adminapi.KindMalformed, e.Kind)
			require.Equal(t, http.StatusTemporaryRedirect, e.Status)
			require.Contains(t, e.Message, "redirects are not followed")
		}
		require.Zero(t, elsewhere)
	})
	t.Run("a body shorter than its length is read again", func(t *testing.T) {
		t.Parallel()
		body := fixture(t, "cost_report_types.json")
		n := 0
		c := over(t, func(w http.ResponseWriter, _ *http.Request) {
			if n++; n == 1 {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				_, _ = io.WriteString(w, body[:len(body)/2])
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, body)
		})
		a, err := c.Costs(t.Context(), daily)
		require.NoError(t, err)
		require.Len(t, a.Rows, 5)
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		c := client(t, nil, func(o *adminapi.Options) { o.BaseURL, o.HTTP = "http://"+l.Addr().String(), nil })
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		time.AfterFunc(100*time.Millisecond, func() { cancel(stopped) })
		_, err = c.Costs(ctx, daily)
		require.ErrorIs(t, err, stopped, "it was trying again")
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, then(fails(500), answers(lastPage), fails(403)))
		_, err := c.Costs(t.Context(), daily)
		require.NoError(t, err)
		_, err = c.WorkspaceMembers(t.Context(), "wrkspc_1")
		require.Error(t, err)
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(c.Metrics()...)
		families, err := reg.Gather()
		require.NoError(t, err)
		counts := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				series := f.GetName()
				for _, l := range m.GetLabel() {
					series += " " + l.GetName() + "=" + l.GetValue()
				}
				counts[series] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		require.Equal(t, map[string]float64{
			"anthropic_monitor_api_requests_total code=200 endpoint=cost_report":                  1,
			"anthropic_monitor_api_requests_total code=500 endpoint=cost_report":                  1,
			"anthropic_monitor_api_requests_total code=403 endpoint=workspaces/members":           1,
			"anthropic_monitor_api_request_duration_seconds code=200 endpoint=cost_report":        1,
			"anthropic_monitor_api_request_duration_seconds code=500 endpoint=cost_report":        1,
			"anthropic_monitor_api_request_duration_seconds code=403 endpoint=workspaces/members": 1,
		}, counts)
	})
}
