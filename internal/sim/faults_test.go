package sim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

func TestFaultsAnswerAsDocumented(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	for _, test := range []struct {
		rule   sim.Rule
		status int
		after  string
	}{
		{sim.Rule{Fault: sim.RateLimited, RetryAfter: 90 * time.Second}, 429, "90"},
		{sim.Rule{Fault: sim.RateLimited}, 429, "1"},
		{sim.Rule{Fault: sim.TierCap}, 429, ""},
		{sim.Rule{Fault: sim.Internal}, 500, ""},
		{sim.Rule{Fault: sim.Overloaded}, 529, ""},
		{sim.Rule{Fault: sim.Timeout}, 504, ""},
		{sim.Rule{Fault: sim.Unauthorized}, 401, ""},
		{sim.Rule{Fault: sim.Forbidden}, 403, ""},
	} {
		test.rule.Times, test.rule.Path = 2, "/users"
		org.Faults().Arm(test.rule)
		require.Equal(t, 200, send(t, org, "GET", "/me", "").status, "another path")
		for _, status := range []int{test.status, test.status, 200} {
			a := send(t, org, "GET", "/users", "")
			require.Equal(t, status, a.status)
			if status != 200 {
				require.Equal(t, test.after, a.header.Get("retry-after"))
			}
		}
	}
	org.Faults().Arm(sim.Rule{Fault: sim.Internal})
	for range 3 {
		require.Equal(t, 500, send(t, org, "GET", "/me", "").status)
	}
	org.Faults().Disarm(sim.Timeout)
	require.Equal(t, 500, send(t, org, "GET", "/me", "").status)
	org.Faults().Disarm()
	require.Equal(t, 200, send(t, org, "GET", "/me", "").status)
}

// ask makes a request whose answer may be broken, in process or over a socket.
func ask(ctx context.Context, client *http.Client, url, path string) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/organizations"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("x-api-key", sim.AdminKey)
	r.Header.Set("anthropic-version", "2023-06-01")
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	for _, socket := range []bool{false, true} {
		t.Run(fmt.Sprintf("socket %t", socket), func(t *testing.T) {
			t.Parallel()
			org, _ := newOrg(nil)
			client, url := org.Client(), "https://api.example"
			if socket {
				server := httptest.NewServer(org.Handler())
				t.Cleanup(server.Close)
				client, url = server.Client(), server.URL
			}
			_, whole, err := ask(t.Context(), client, url, "/users")
			require.NoError(t, err)

			org.Faults().Arm(sim.Rule{Fault: sim.CutBody, Times: 1})
			status, half, err := ask(t.Context(), client, url, "/users")
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, 200, status)
			require.Equal(t, whole[:len(whole)/2], half)

			org.Faults().Arm(sim.Rule{Fault: sim.Slow, Times: 1})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, _, err = ask(ctx, client, url, "/me")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			org.Faults().Disarm()

			org.Faults().Arm(sim.Rule{Fault: sim.Down})
			_, _, err = ask(t.Context(), client, url, "/users")
			require.Error(t, err)
			if !socket {
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
			}
			org.Faults().Disarm(sim.Down)
			_, again, err := ask(t.Context(), client, url, "/users")
			require.NoError(t, err)
			require.Equal(t, whole, again)
		})
	}
}

func TestSlowHonoursADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := sim.New(sim.Options{})
		org.Faults().Arm(sim.Rule{Fault: sim.Slow, Times: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		begun := time.Now()
		_, _, err := ask(ctx, org.Client(), "https://api.example", "/me")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(begun))
	})
}

func TestDuplicatePages(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/users?limit=4", "/rate_limits?limit=5",
		"/usage_report/messages?limit=2&starting_at=2026-11-10T00:00:00Z",
		"/analytics/usage?limit=3&group_by[]=model&starting_at=2026-11-10T00:00:00Z"} {
		org, _ := newOrg(nil)
		whole := list(t, org, path)
		org.Faults().Arm(sim.Rule{Fault: sim.DuplicatePage, Times: 1})
		twice := list(t, org, path)
		require.Greater(t, len(twice), len(whole), path)
		seen := map[string]bool{}
		for _, v := range twice {
			seen[fmt.Sprint(v)] = true
		}
		require.Len(t, seen, len(whole), path)
	}
}

func TestVanish(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	org.Faults().Arm(sim.Rule{Fault: sim.Vanish, From: day("2026-11-17T06:00:00Z"), To: day("2026-11-17T09:00:00Z")})
	empty := 0
	for _, bucket := range list(t, org, "/usage_report/messages?bucket_width=1h&"+settledDay) {
		if len(bucket["results"].([]any)) == 0 {
			empty++
		}
	}
	require.Equal(t, 3, empty)
	require.Len(t, list(t, org, "/analytics/cost?time_bucket_width=1h&"+settledDay), 21)
	org.Faults().Disarm()
	org.Faults().Arm(sim.Rule{Fault: sim.Vanish, Path: "/cost_report"})
	for _, bucket := range list(t, org, "/cost_report?"+settledDay) {
		require.Empty(t, bucket["results"])
	}
	require.NotEmpty(t, list(t, org, "/analytics/cost?time_bucket_width=1h&"+settledDay))
}

func TestWrongShapes(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	read := func(fault sim.Fault, path string) string {
		org.Faults().Arm(sim.Rule{Fault: fault, Times: 1})
		_, body, err := ask(t.Context(), org.Client(), "https://api.example", path)
		require.NoError(t, err)
		return string(body)
	}
	const cost = "/cost_report?group_by[]=description&" + settledDay
	rows := strings.Count(read(0, cost), `"amount"`)
	require.Greater(t, rows, 20)
	require.NotContains(t, read(sim.MissingAmount, cost), `"amount"`)
	require.Equal(t, rows, strings.Count(read(sim.WrongType, cost), `"amount":{"currency":"USD","value":"`))
	require.Contains(t, read(sim.WrongType, "/usage_report/messages?"+settledDay), `"output_tokens":"many"`)
	require.Contains(t, read(sim.WrongType, "/users"), `"added_at":12345`)
	future := read(sim.Unknown, cost)
	require.Equal(t, rows+2, strings.Count(future, `"future_field"`), "every row, the bucket and the page")
	require.Contains(t, future, `"cost_type":"future_tokens"`)
	require.Contains(t, read(sim.Unknown, "/api_keys"), `"status":"future_active"`)
}
