package admin_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
	"github.com/anthropic-monitor/monitor/internal/storage/storagetest"
)

// bench is a simulated organization, a store and a desk between them.
type bench struct {
	*testing.T
	org    *sim.Org
	client *adminapi.Client
	store  *storagetest.Broken
	desk   *admin.Desk
	before func(*http.Request)                // called with every request that writes, before it is answered
	answer func(*http.Request) *http.Response // where not nil, what a request that writes is answered
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, org: sim.New(sim.Options{Seed: 1})}
	o := adminapi.Options{
		Key:     func(context.Context, bool) (string, error) { return sim.AdminKey, nil },
		HTTP:    &http.Client{Transport: b},
		Limiter: rate.NewLimiter(rate.Inf, 1),
	}
	var err error
	b.client, err = adminapi.New(o)
	require.NoError(t, err)
	writer, err := adminapi.NewWriter(o, nil)
	require.NoError(t, err)
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	b.store = storagetest.Break(store)
	known := spend.Organization{ID: "5b0c7c2e-0000-4000-8000-000000000001", Name: "Acme Robotics"}
	require.NoError(t, store.SaveOrganization(t.Context(), known, known1))
	b.desk = &admin.Desk{
		Organization: known, Writer: writer, Log: b.store, Who: admin.Who{User: "root", SudoUser: "ada", Host: "ops-1"},
	}
	return b
}

// RoundTrip passes requests on to the simulated organization.
func (b *bench) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.before != nil && r.Method != http.MethodGet {
		b.before(r)
	}
	if b.answer != nil && r.Method != http.MethodGet {
		return b.answer(r), nil
	}
	return b.org.Client().Transport.RoundTrip(r)
}

// state is the organization as it is now.
func (b *bench) state() *admin.State { return admin.Read(b.client, nil) }

// writes counts the requests that would have changed something.
func (b *bench) writes() (n int) {
	for request, count := range b.org.Requests() {
		if !strings.HasPrefix(request, "GET ") {
			n += count
		}
	}
	return n
}

func (b *bench) log() []storage.AdminEntry {
	b.Helper()
	entries, err := b.store.AdminLog(b.Context(), storage.AdminFilter{})
	require.NoError(b, err)
	return entries
}

func (b *bench) key(name string) spend.APIKey {
	b.Helper()
	k, err := b.state().Key(b.Context(), name)
	require.NoError(b, err)
	return k
}

func (b *bench) member(name string) spend.Member {
	b.Helper()
	m, err := b.state().Member(b.Context(), name)
	require.NoError(b, err)
	return m
}

// disable plans to disable the keys of these names.
func (b *bench) disable(names ...string) (p admin.Plan) {
	b.Helper()
	for _, n := range names {
		p.Add(admin.DisableKey(b.key(n)))
	}
	return p
}

// outcomes are the report's, in order.
func outcomes(r admin.Report) (all []string) {
	for _, x := range r.Results {
		all = append(all, x.Outcome)
	}
	return all
}

// must is a step that could be planned.
func must(t *testing.T) func(admin.Step, error) admin.Step {
	return func(s admin.Step, err error) admin.Step {
		t.Helper()
		require.NoError(t, err)
		return s
	}
}

// steps are a plan's, a line each: what, to whom, and why not.
func steps(p admin.Plan) []string {
	all := []string{}
	for _, s := range p.Steps {
		line := s.Action + " " + s.Subject() + ": " + s.Change
		for word, why := range map[string]string{" already ": s.Already, " cannot ": s.Cannot, " later ": s.Later, " confirm ": s.Confirm} {
			if why != "" {
				line += " |" + word + why
			}
		}
		all = append(all, line)
	}
	return all
}

func isUsage(t *testing.T, err error, text string) {
	t.Helper()
	var u admin.UsageError
	require.ErrorAs(t, err, &u)
	require.EqualError(t, err, text)
}
