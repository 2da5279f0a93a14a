package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// TestCopy has an organization with everything in SQLite: history, alerts that were told, a silence,
// the audit, a change that was logged. It is copied, with a copy killed half-way before. Then both answer
// every question alike, and a daemon on the copy goes on: no counter falls, nothing is told twice.
func TestCopy(t *testing.T) {
	t.Parallel()
	now := fullHour()
	hook := newHook(t)
	more := `backfill: 4d
notifiers: [{name: hook, webhook: {url: "` + hook.url + `"}}]
rules:
- {name: spending, notify: hook, threshold: {metric: cost_usd, window: 3h, above: 0.01}}
- {name: month, notify: hook, budget: {amount_usd: 1, period: quarter}}
`
	w := newWorld(t, "sqlite", punctual(now), more)
	w.liveSince(now.AddDate(0, 0, -3))
	w.monitor("once")
	w.monitor("admin", "keys", "disable", "evals", "--yes")
	w.monitor("alerts", "silence", "rule=month", "--for", "1h", "--comment", "known")
	w.monitor("once")
	told := len(hook.all())
	require.Positive(t, told)

	x := *w
	x.dir, x.listen, x.dbURL = t.TempDir(), freeAddress(t), pgtest.URL(t)
	x.configure(more)
	to := []string{"copy", "--from", w.sqlite, "--to", "${DATABASE_URL}"}
	x.killHalfWay(to)
	var out struct {
		Tables []struct {
			Name string
			Rows int64
		}
		Months []struct{ Month, Organization, CostUSD string }
	}
	require.NoError(t, json.Unmarshal([]byte(x.monitor(append(to, "--format", "json")...)), &out))
	filled := map[string]bool{}
	for _, table := range out.Tables {
		filled[table.Name] = table.Rows > 0
	}
	for _, name := range []string{
		"usage_minute", "usage_hour", "cost_hour", "ledger", "counter", "counter_day", "api_key", "alert", "alert_change", "silence", "budget",
		"delivery", "admin_write", "audit", "audit_finding", "list_read", "run", "claude_code", "rate_limit",
	} {
		require.True(t, filled[name], "there is something in %s", name)
	}
	require.NotEmpty(t, out.Months)
	require.Equal(t, "Acme Robotics", out.Months[0].Organization)

	w.sameAnswers(&x)
	before := w.counters()
	x.wantExit(1, "is not empty (there are rows in ", "--config", x.config, "copy", "--from", w.sqlite) // to the one configured

	seen := x.watchCounters()
	stop := x.serve()
	x.monitor("once")
	x.eventually(func() bool {
		seen.check(x.scrape())
		seen.mu.Lock()
		defer seen.mu.Unlock()
		return seen.scrapes > 0
	}, &lockedBuffer{}, "the daemon on the copy shows no counters")
	after := x.counters()
	require.NotEmpty(t, before)
	for key, n := range before {
		require.GreaterOrEqual(t, after[key], n, "%v", key)
	}
	require.Len(t, hook.all(), told, "an alert that was told is told again")
	stop()
	daemon := w.daemon()
	w.eventually(func() bool { return w.leader() == 1 }, daemon.log, "the daemon does not lead")
	x.wantExit(1, "organization is worked by another monitor: stop it first", append([]string{"--config", x.config}, to...)...)
}

// TestCopyRefuses has what cannot be copied, or not there.
func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "")
	store := w.open()
	text := filepath.Join(w.dir, "text.db")
	require.NoError(t, os.WriteFile(text, bytes.Repeat([]byte("no database\n"), 100), 0o600))
	w.wantExit(1, "there is nothing to copy", "copy", "--from", w.sqlite, "--to", "postgres://127.0.0.1/none")
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: "u"}, time.Now()))
	dead := "postgres://monitor:hidden@" + freeAddress(t) + "/monitor"
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "the configuration names no PostgreSQL database: say with --to", []string{"--config", w.config, "copy"}},
		{1, "none.db: there is no such file", []string{"copy", "--from", filepath.Join(w.dir, "none.db"), "--to", dead}},
		{1, "is a directory", []string{"copy", "--from", w.dir, "--to", dead}},
		{1, "not an SQLite database", []string{"copy", "--from", text, "--to", dead}},
		{1, "database unavailable", []string{"copy", "--from", w.sqlite, "--to", dead}},
		{1, "the postgres url cannot be read", []string{"copy", "--from", w.sqlite, "--to", "postgres://a b"}},
		{2, "--to: environment variable NOWHERE is empty or not set", []string{"copy", "--from", w.sqlite, "--to", "${NOWHERE}"}},
	} {
		w.wantExit(c.code, c.want, c.args...)
	}

	stopped, stop := context.WithCancel(t.Context())
	stop()
	var stderr bytes.Buffer
	err := w.app(stopped, io.Discard, &stderr).run([]string{"copy", "--from", w.sqlite, "--to", dead})
	require.Equal(t, 1, exitCode(err), "scripts must not go on")
	require.Contains(t, stderr.String(), "monitor: stopped before the copy was done: run it again\n")
}

// wantExit runs a command that has to end with the code and say so on stderr, without a password.
func (w *world) wantExit(code int, says string, args ...string) {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	err := w.app(w.t.Context(), &stdout, &stderr).run(args)
	require.Equal(w.t, code, exitCode(err), "%v\n%s", args, &stderr)
	require.Contains(w.t, stderr.String(), says, "%v", args)
	require.NotContains(w.t, stderr.String(), "hidden")
	require.Empty(w.t, stdout.String())
}

// killHalfWay kills a copy while it writes: nothing may be left of it.
func (w *world) killHalfWay(args []string) {
	w.t.Helper()
	store := w.open() // makes the tables
	require.NoError(w.t, store.Close())
	w.exec(`create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
		create trigger wait before insert on run for each row execute function wait()`)
	held, err := w.database().Conn(w.t.Context())
	require.NoError(w.t, err)
	defer held.Close()
	_, err = held.ExecContext(w.t.Context(), "select pg_advisory_lock(1)")
	require.NoError(w.t, err)
	r := w.start(args...)
	waits := func() (yes bool) {
		w.query(`select 1 from pg_locks where locktype = 'advisory' and not granted and objid = 1
			and database = (select oid from pg_database where datname = current_database())`, func(func(...any)) { yes = true })
		return yes
	}
	w.eventually(waits, r.log, "the copy does not come to the runs")
	r.kill()
	_, err = held.ExecContext(w.t.Context(), "select pg_advisory_unlock(1)")
	require.NoError(w.t, err)
	w.eventually(func() bool { return !waits() }, r.log, "the copy goes on")
	w.exec("drop function wait() cascade")
	for _, table := range []string{"organization", "series", "usage_hour"} {
		w.query("select 1 from "+table, func(func(...any)) { require.Fail(w.t, "rows of a killed copy", table) })
	}
}

// counters are what /metrics shows.
func (w *world) counters() map[storage.Counter]int64 {
	w.t.Helper()
	store := w.open()
	defer store.Close()
	counters := map[storage.Counter]int64{}
	for _, o := range w.organizations(store) {
		all, err := store.Counters(w.t.Context(), o)
		require.NoError(w.t, err)
		for _, c := range all {
			counters[storage.Counter{Name: c.Name, Dims: c.Dims}] = c.Shown
		}
	}
	return counters
}

func (w *world) organizations(store storage.Store) (ids []string) {
	os, err := store.Organizations(w.t.Context())
	require.NoError(w.t, err)
	for _, o := range os {
		ids = append(ids, o.ID)
	}
	require.NotEmpty(w.t, ids)
	return ids
}

// sameAnswers asks both stores everything that a store can be asked.
func (w *world) sameAnswers(x *world) {
	w.t.Helper()
	one, other := w.open(), x.open()
	defer one.Close()
	defer other.Close()
	ctx := w.t.Context()
	require.Equal(w.t, w.organizations(one), w.organizations(other))
	o := w.organizations(one)[0]
	all := spend.Window{Start: time.Now().UTC().AddDate(0, 0, -70), End: time.Now().UTC().AddDate(0, 0, 70)}
	silences, err := one.Silences(ctx, time.Time{})
	require.NoError(w.t, err)
	require.Len(w.t, silences, 1)

	filled := 0
	for _, q := range []storage.Query{
		{Window: all, Step: spend.Day, By: spend.Dimensions}, {Window: all, Step: spend.Hour, By: []spend.Dimension{spend.ByModel}},
		{Window: spend.Window{Start: time.Now().UTC().Add(-6 * time.Hour), End: time.Now().UTC()}, Step: spend.Minute, By: []spend.Dimension{spend.ByAPIKey}}, {Window: all},
	} {
		for _, ask := range []func(storage.Store) (any, error){
			func(s storage.Store) (any, error) { return s.Usage(ctx, q) },
			func(s storage.Store) (any, error) { return s.Costs(ctx, q) },
			func(s storage.Store) (any, error) { return s.Estimates(ctx, q) },
		} {
			filled += w.same(one, other, ask)
		}
	}
	require.Equal(w.t, 12, filled)

	// Every method that only reads what is stored and asks for no more than an organization, a window and a limit.
	arguments := map[reflect.Type]reflect.Value{
		reflect.TypeFor[context.Context](): reflect.ValueOf(ctx), reflect.TypeFor[string](): reflect.ValueOf(o),
		reflect.TypeFor[spend.Window](): reflect.ValueOf(all), reflect.TypeFor[int](): reflect.ValueOf(100_000),
		reflect.TypeFor[int64](): reflect.ValueOf(int64(0)), reflect.TypeFor[time.Time](): reflect.ValueOf(time.Time{}),
		reflect.TypeFor[spend.Fact](): reflect.ValueOf(spend.FactUsage), reflect.TypeFor[[]string](): reflect.ValueOf([]string(nil)),
		reflect.TypeFor[storage.AdminFilter](): reflect.ValueOf(storage.AdminFilter{Window: all}),
	}
	apart := []string{"SaveOrganization", "Own", "Ask", "Request", "SaveSilence", "EndSilence", "BeginAdmin", "FinishAdmin", "Ping", "Close", "About", "Usage", "Costs", "Estimates"}
	asked := []string{}
	typ := reflect.TypeFor[storage.Store]()
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		if slices.Contains(apart, m.Name) {
			continue
		}
		var in []reflect.Value
		for j := range m.Type.NumIn() {
			v, ok := arguments[m.Type.In(j)]
			require.True(w.t, ok, "no argument for %s: add one, or say that the method writes", m.Name)
			in = append(in, v)
		}
		n := w.same(one, other, func(s storage.Store) (any, error) {
			out := reflect.ValueOf(s).MethodByName(m.Name).Call(in)
			err, _ := out[len(out)-1].Interface().(error)
			return out[0].Interface(), err
		})
		if n > 0 {
			asked = append(asked, m.Name)
		}
	}
	require.Greater(w.t, len(asked), 22, "methods that have something to say: %v", asked)
}

// same asks both stores, and returns 1 if there was an answer.
func (w *world) same(one, other storage.Store, ask func(storage.Store) (any, error)) int {
	w.t.Helper()
	want, err := ask(one)
	require.NoError(w.t, err)
	have, err := ask(other)
	require.NoError(w.t, err)
	require.Equal(w.t, want, have)
	v := reflect.ValueOf(want)
	if v.Kind() == reflect.Slice && v.Len() == 0 || v.IsZero() {
		return 0
	}
	return 1
}

// database is a connection of the test's own to PostgreSQL.
func (w *world) database() *sql.DB {
	w.t.Helper()
	db, err := sql.Open("pgx", w.dbURL)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}
