package sim

import (
	"bufio"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// call is one request while it is answered.
type call struct {
	*Org
	r     *http.Request
	now   time.Time
	args  []string // the variable parts of the path, in order
	query *query
	sent  []byte // the body
	fault Rule   // what goes wrong with this answer; zero for none
}

// A handler returns what is written as JSON: a value, or a stream for answers that may be long. It runs
// under the organization's lock, for writing unless the method is GET; a stream runs without it.
type handler func(*call) (any, error)

type streamed func(*bufio.Writer) error

type route struct {
	method, path string // {} stands for a variable part
	answer       handler
}

const base = "/v1/organizations"

var routes = []route{
	{"GET", "/me", (*call).me},
	{"GET", "/users", (*call).listUsers},
	{"GET", "/users/{}", (*call).getUser},
	{"POST", "/users/{}", (*call).updateUser},
	{"DELETE", "/users/{}", (*call).removeUser},
	{"GET", "/invites", (*call).listInvites},
	{"POST", "/invites", (*call).createInvite},
	{"GET", "/invites/{}", (*call).getInvite},
	{"DELETE", "/invites/{}", (*call).deleteInvite},
	{"GET", "/workspaces", (*call).listWorkspaces},
	{"POST", "/workspaces", (*call).createWorkspace},
	{"GET", "/workspaces/{}", (*call).getWorkspace},
	{"POST", "/workspaces/{}", (*call).updateWorkspace},
	{"POST", "/workspaces/{}/archive", (*call).archiveWorkspace},
	{"GET", "/workspaces/{}/members", (*call).listMembers},
	{"POST", "/workspaces/{}/members", (*call).addMember},
	{"GET", "/workspaces/{}/members/{}", (*call).getMember},
	{"POST", "/workspaces/{}/members/{}", (*call).updateMember},
	{"DELETE", "/workspaces/{}/members/{}", (*call).removeMember},
	{"GET", "/workspaces/{}/rate_limits", (*call).listWorkspaceRates},
	{"POST", "/workspaces/{}/rate_limits/{}", (*call).updateWorkspaceRates},
	{"GET", "/api_keys", (*call).listKeys},
	{"GET", "/api_keys/{}", (*call).getKey},
	{"POST", "/api_keys/{}", (*call).updateKey},
	{"GET", "/rate_limits", (*call).listRates},
	{"GET", "/usage_report/messages", (*call).usageReport},
	{"GET", "/usage_report/claude_code", (*call).claudeCodeReport},
	{"GET", "/cost_report", (*call).costReport},
	{"GET", "/analytics/usage", (*call).analyticsUsage},
	{"GET", "/analytics/cost", (*call).analyticsCost},
	{"GET", "/spend_limits", (*call).listSpendLimits},
	{"GET", "/spend_limits/effective", (*call).enterpriseOnly},
	{"GET", "/spend_limits/{}", (*call).getSpendLimit},
	{"POST", "/spend_limits", (*call).refuseSpendLimitWrite},
	{"DELETE", "/spend_limits/{}", (*call).refuseSpendLimitWrite},
}

// oauthOnly are the resources that refuse an Admin key.
var oauthOnly = []string{"/service_accounts", "/federation_issuers", "/federation_rules"}

// Handler returns the organization as a server's handler.
func (o *Org) Handler() http.Handler { return o }

// ServeHTTP answers one request.
func (o *Org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.requests[r.Method+" "+r.URL.Path]++
	o.served++
	id := newID(o.salt, "req", fmt.Sprint(o.served))
	o.mu.Unlock()
	w.Header().Set("request-id", id)

	fault := o.faults.next(r)
	if fault.Fault == Down {
		panic(http.ErrAbortHandler)
	}
	if rewrite := fault.rewrite(); rewrite != nil {
		whole := &wholeAnswer{header: w.Header()}
		o.answer(whole, r, fault, id)
		rewrite(whole, w)
		return
	}
	o.answer(w, r, fault, id)
}

func (o *Org) answer(w http.ResponseWriter, r *http.Request, fault Rule, id string) {
	c := &call{Org: o, r: r, now: o.opts.Now().UTC(), fault: fault}
	var body []byte
	value, err := c.handle(w.Header())
	if err == nil {
		if write, ok := value.(streamed); ok {
			w.Header().Set("content-type", "application/json")
			out := bufio.NewWriterSize(w, 64<<10)
			if write(out) == nil {
				_ = out.Flush() // the reader has gone
			}
			return
		}
		body = value.(json.RawMessage)
	}
	status := http.StatusOK
	if err != nil {
		var problem *problem
		if !errors.As(err, &problem) {
			problem = refuse(500, "Internal server error")
		}
		status, body = problem.write(w.Header(), id)
	}
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the reader has gone
}

// handle checks what every request must have, in the order in which the real API does, as far as known.
func (c *call) handle(header http.Header) (any, error) {
	if err := c.fault.failure(c.r); err != nil {
		return nil, err
	}
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	header.Set("anthropic-organization-id", c.organization.ID)
	switch c.version() {
	case "2023-06-01", newest:
	case "":
		return nil, refuse(400, "anthropic-version: header is required")
	default:
		return nil, refuse(400, "anthropic-version: %q is not a valid version", c.version())
	}
	path, ok := strings.CutPrefix(c.r.URL.Path, base)
	if !ok {
		return nil, notFound()
	}
	for _, prefix := range oauthOnly {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return nil, refuse(403, "This endpoint requires an OAuth token with the org:admin scope.")
		}
	}
	known := false
	for _, route := range routes {
		args, ok := match(route.path, path)
		if !ok {
			continue
		}
		known = true
		if route.method == c.r.Method {
			c.args = args
			return c.locked(route.answer)
		}
	}
	if known {
		return nil, refuse(405, "Method Not Allowed")
	}
	return nil, notFound()
}

// locked runs a handler and encodes its answer while nothing can change.
func (c *call) locked(answer handler) (any, error) {
	var err error
	if c.r.Method == http.MethodGet {
		c.mu.RLock()
		defer c.mu.RUnlock()
	} else {
		if c.sent, err = io.ReadAll(io.LimitReader(c.r.Body, 1<<20)); err != nil {
			return nil, invalid("body: %v", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	if c.query, err = parseQuery(c.r); err != nil {
		return nil, err
	}
	value, err := answer(c)
	if err != nil {
		return nil, err
	}
	if s, ok := value.(streamed); ok {
		return s, nil
	}
	body, err := json.Marshal(value)
	return json.RawMessage(body), err
}

func (c *call) authenticate() error {
	key := c.r.Header.Get("x-api-key")
	if bearer, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer "); ok && key == "" {
		key = bearer
	}
	same := func(k string) bool { return subtle.ConstantTimeCompare([]byte(k), []byte(key)) == 1 }
	switch {
	case key == "":
		return refuse(401, "x-api-key header is required")
	case slices.ContainsFunc(c.opts.Keys, same):
		return nil
	case key == WorkspaceKey:
		return refuse(403, "Your API key does not have permission to use the specified resource.")
	default:
		return refuse(401, "API key is invalid")
	}
}

// newest is the API version whose bodies no longer have the deprecated fields. That it drops them is
// our reading; a client must live with both.
const newest = "2026-10-21"

func (c *call) version() string { return c.r.Header.Get("anthropic-version") }

func (c *call) hasBeta(name string) bool {
	for _, header := range c.r.Header.Values("anthropic-beta") {
		for beta := range strings.SplitSeq(header, ",") {
			if strings.TrimSpace(beta) == name {
				return true
			}
		}
	}
	return false
}

func match(pattern, path string) (args []string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	for i, part := range want {
		switch {
		case part == "{}" && have[i] != "":
			args = append(args, have[i])
		case part != have[i]:
			return nil, false
		}
	}
	return args, true
}
