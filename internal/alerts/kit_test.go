package alerts

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

const testOrg = "5b0c7c2e-0000-4000-8000-000000000001"

// recorder is a receiver of notifications.
type recorder struct {
	mu      sync.Mutex
	got     []spend.Notification // since take
	all     []spend.Notification
	fail    func(n spend.Notification) error
	receipt string
}

func (r *recorder) Notify(_ context.Context, n spend.Notification) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(n); err != nil {
			return "", err
		}
	}
	r.got, r.all = append(r.got, n), append(r.all, n)
	return r.receipt, nil
}

func (*recorder) Check(context.Context) error { return nil }

// take returns what was received since the last call, a line each.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := []string{}
	for _, n := range r.got {
		var about []string
		for _, a := range n.Alerts {
			about = append(about, strings.TrimSpace(a.Rule+" "+a.Subject))
		}
		line := fmt.Sprintf("%s %s", n.Event, strings.Join(about, "; "))
		if n.Thread != "" {
			line += " in " + n.Thread
		}
		lines = append(lines, line)
	}
	r.got = nil
	return lines
}

// kit is an organization in a store and an engine on it.
type kit struct {
	testing.TB
	store   storage.Store
	owner   storage.Owner
	now     time.Time
	chat    *recorder
	mail    *recorder
	options Options
	engine  *Engine
	logs    *bytes.Buffer
	hours   map[time.Time][]use
}

// use is what a key used.
type use struct {
	workspace, key, model string
	usd                   float64
	tokens                int64
	read                  int64 // from the cache
}

func at(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", "2026-"+s, time.UTC)
	if err != nil {
		panic(err)
	}
	return t
}

// newKit begins at the given time, without any usage.
func newKit(t testing.TB, now string, rules string) *kit {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return newKitOn(t, store, now, rules)
}

// newKitOn is newKit on an empty store.
func newKitOn(t testing.TB, store storage.Store, now string, rules string) *kit {
	t.Helper()
	var err error
	k := &kit{TB: t, now: at(now), chat: &recorder{receipt: "thread-1"}, mail: &recorder{}, logs: &bytes.Buffer{}, hours: map[time.Time][]use{}}
	k.store = store
	require.NoError(t, k.store.SaveOrganization(t.Context(), spend.Organization{ID: testOrg, Name: "acme"}, k.now))
	k.owner, err = k.store.Own(t.Context(), testOrg)
	require.NoError(t, err)
	require.NoError(t, k.owner.SaveWorkspaces(t.Context(), []spend.Workspace{{ID: "wrkspc_a", Name: "search"}, {ID: "wrkspc_b", Name: "chat"}}, k.now))
	require.NoError(t, k.owner.SaveAPIKeys(t.Context(), []spend.APIKey{
		{ID: "apikey_a", Name: "search-prod", WorkspaceID: "wrkspc_a"}, {ID: "apikey_b", Name: "search-ci", WorkspaceID: "wrkspc_a"},
		{ID: "apikey_c", Name: "support", WorkspaceID: "wrkspc_b"},
	}, k.now))
	k.options = Options{
		Store: k.store, Notifiers: map[string]Notifier{"chat": k.chat, "mail": k.mail},
		Log: slog.New(slog.NewTextHandler(k.logs, nil)), PageURL: "http://monitor.test",
	}
	k.rules(rules)
	return k
}

// rules puts an engine with these rules, in YAML, in the place of the one before: a restart.
func (k *kit) rules(text string) {
	k.Helper()
	k.options.Rules = parseRules(k.TB, text)
	k.engine = NewEngine(k.options)
}

func parseRules(t testing.TB, text string) []RuleConfig {
	t.Helper()
	var c struct {
		Rules []RuleConfig `yaml:"rules"`
	}
	f := config.Load("rules.yaml", []byte(text), nil, &c)
	CheckRules(c.Rules, []string{"chat", "mail"}, func(path, format string, args ...any) { f.Problem("rules"+path, format, args...) })
	require.NoError(t, f.Err())
	return c.Rules
}

// used adds usage to an hour; it is stored by the next call of data.
func (k *kit) used(hour string, us ...use) {
	h := spend.Hour.Floor(at(hour))
	k.hours[h] = append(k.hours[h], us...)
}

// rows are usage rows of hours.
func rows(hours map[time.Time][]use, w spend.Window) []spend.Usage {
	var out []spend.Usage
	for _, h := range w.Buckets(spend.Hour) {
		sums := map[spend.Dims]*spend.Usage{}
		for _, u := range hours[h.Start] {
			d := spend.Dims{WorkspaceID: u.workspace, APIKeyID: u.key, Model: u.model, ServiceTier: "standard"}
			if d.Model == "" {
				d.Model = "claude-x"
			}
			x := sums[d]
			if x == nil {
				x = &spend.Usage{Bucket: h.Start, Dims: d, Price: spend.Priced}
				sums[d] = x
			}
			x.Counts[spend.UncachedInput] += u.tokens + 1
			x.Counts[spend.CacheRead] += u.read
			x.Estimate[spend.UncachedInput] += money(u.usd)
		}
		for _, x := range sums {
			out = append(out, *x)
		}
	}
	return out
}

// data stores the hours from one time to another as read and complete.
func (k *kit) data(from, to string) {
	k.Helper()
	w := spend.Window{Start: at(from), End: at(to)}
	for _, day := range w.Buckets(spend.Day) {
		in := day.Intersect(w)
		_, err := k.owner.ReplaceUsage(k.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: in, At: w.End, DataAt: w.End,
		}, rows(k.hours, in))
		require.NoError(k, err)
	}
	k.readUpTo(w.End)
}

func (k *kit) readUpTo(t time.Time) {
	k.Helper()
	require.NoError(k, k.owner.SetWatermark(k.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: t, ReadAt: t}))
}

// at evaluates at a time and returns what chat was told.
func (k *kit) at(when string) []string {
	k.Helper()
	k.now = at(when)
	require.NoError(k, k.engine.Evaluate(k.Context(), k.owner, testOrg, k.now))
	return k.chat.take()
}

// states shows the alerts as lines.
func (k *kit) states() []string {
	k.Helper()
	as, err := k.store.Alerts(k.Context(), testOrg)
	require.NoError(k, err)
	lines := []string{}
	for _, a := range as {
		line := strings.TrimSpace(fmt.Sprintf("%s %s", a.Rule, a.Subject)) + ": " + string(a.State)
		if a.Silenced {
			line += ", silenced"
		}
		lines = append(lines, line)
	}
	return lines
}

// alert is the only alert that there is.
func (k *kit) alert() spend.Alert {
	k.Helper()
	as, err := k.store.Alerts(k.Context(), testOrg)
	require.NoError(k, err)
	require.Len(k, as, 1)
	return as[0].Alert
}

// note is what the store says of a rule.
func (k *kit) note(rule string) string {
	k.Helper()
	rs, err := k.store.RuleStates(k.Context(), testOrg)
	require.NoError(k, err)
	for _, r := range rs {
		if r.Rule == rule {
			return r.Note + r.Problem
		}
	}
	return ""
}
