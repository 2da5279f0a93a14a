package sim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// clock is a clock that a test moves.
type clock struct{ second atomic.Int64 }

func newClock(text string) *clock {
	c := &clock{}
	c.second.Store(day(text).Unix())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.second.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.second.Add(int64(d / time.Second)) }

func day(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

const noon = "2026-11-20T12:34:56Z"

func newOrg(change func(*sim.Options)) (*sim.Org, *clock) {
	c := newClock(noon)
	o := sim.Options{Seed: 7, Now: c.now}
	if change != nil {
		change(&o)
	}
	return sim.New(o), c
}

type answer struct {
	status int
	header http.Header
	body   map[string]any
}

const allBetas = "analytics-usage-cost-2026-08-24,fast-mode-2026-02-01,spend-limit-reads-2026-09-26"

// send makes a request with everything it needs; headers come in pairs and replace that, "" removes.
func send(t *testing.T, org *sim.Org, method, path, body string, headers ...string) answer {
	t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "https://api.example/v1/organizations"+path, in)
	require.NoError(t, err)
	r.Header.Set("x-api-key", sim.AdminKey)
	r.Header.Set("anthropic-version", "2023-06-01")
	r.Header.Set("anthropic-beta", allBetas)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	resp, err := org.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	d := json.NewDecoder(resp.Body)
	d.UseNumber()
	require.NoError(t, d.Decode(&a.body), "%s %s", method, path)
	return a
}

// get is a GET that must succeed.
func get(t *testing.T, org *sim.Org, path string, headers ...string) map[string]any {
	t.Helper()
	a := send(t, org, http.MethodGet, path, "", headers...)
	require.Equal(t, 200, a.status, "%s: %v", path, a.body)
	return a.body
}

// list is the elements of all pages, following whatever the answers say.
func list(t *testing.T, org *sim.Org, path string) (all []map[string]any) {
	t.Helper()
	join := "?"
	if strings.Contains(path, "?") {
		join = "&"
	}
	for next := path; next != ""; {
		body := get(t, org, next)
		for _, v := range body["data"].([]any) {
			all = append(all, v.(map[string]any))
		}
		next = ""
		if page, ok := body["next_page"].(string); ok {
			next = path + join + "page=" + url.QueryEscape(page)
		} else if last, ok := body["last_id"].(string); ok && body["has_more"] == true {
			next = path + join + "after_id=" + last
		}
	}
	return all
}

func TestSameSeedSameOrganization(t *testing.T) {
	t.Parallel()
	one, _ := newOrg(nil)
	same, _ := newOrg(nil)
	other, _ := newOrg(func(o *sim.Options) { o.Seed = 8 })
	from, to := day("2026-11-01T00:00:00Z"), day("2026-11-03T00:00:00Z")
	require.Equal(t, one.TrueUsage(from, to), same.TrueUsage(from, to))
	require.NotEqual(t, one.TrueUsage(from, to), other.TrueUsage(from, to))
	for _, path := range []string{"/me", "/users", "/api_keys?limit=1000", "/cost_report?starting_at=2026-11-01T00:00:00Z"} {
		require.Equal(t, get(t, one, path), get(t, same, path), path)
		if path != "/me" {
			require.NotEqual(t, get(t, one, path), get(t, other, path), path)
		}
	}
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	get(t, org, "/me")
	get(t, org, "/users?limit=3")
	get(t, org, "/users")
	send(t, org, http.MethodGet, "/nothing", "")
	require.Equal(t, map[string]int{"GET /v1/organizations/me": 1, "GET /v1/organizations/users": 2,
		"GET /v1/organizations/nothing": 1}, org.Requests())
}
