package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// world is a simulated organization behind a server on loopback, a database, and a configuration
// that joins them.
type world struct {
	t       *testing.T
	org     *sim.Org
	apiURL  string
	dir     string
	config  string // the file
	listen  string
	sqlite  string // the database's path, or
	dbURL   string // its URL
	web     string // more of the section web, with a comma in front
	login   string // user:password@ as a URL has it; empty: none is asked for
	environ environment
}

// newWorld makes one on the database: "sqlite", "postgres", or a PostgreSQL URL. more is added to
// the configuration.
func newWorld(t *testing.T, database string, o sim.Options, more string) *world {
	t.Helper()
	org := sim.New(o)
	server := httptest.NewServer(org.Handler())
	t.Cleanup(server.Close)
	w := &world{t: t, org: org, apiURL: server.URL, dir: t.TempDir(), listen: freeAddress(t)}
	w.environ = environment{"ADMIN_KEY": sim.AdminKey, "HOME": w.dir}
	switch database {
	case "sqlite":
		w.sqlite = filepath.Join(w.dir, "monitor.db")
	case "postgres":
		w.dbURL = pgtest.URL(t)
	default:
		w.dbURL = database
	}
	w.configure(more)
	return w
}

// configure writes the configuration file.
func (w *world) configure(more string) {
	w.t.Helper()
	store := "{sqlite: {path: " + w.sqlite + "}}"
	if w.dbURL != "" {
		w.environ["DATABASE_URL"] = w.dbURL
		store = "{postgres: {url: ${DATABASE_URL}}}"
	}
	w.config = filepath.Join(w.dir, "monitor.yaml")
	text := fmt.Sprintf("organizations: [{admin_key: ${ADMIN_KEY}, base_url: %q}]\nstorage: %s\nweb: {listen: %q%s}\n%s",
		w.apiURL, store, w.listen, w.web, more)
	require.NoError(w.t, os.WriteFile(w.config, []byte(text), 0o600))
}

// beside is another monitor of the same organization on the same database.
func (w *world) beside(more string) *world {
	w.t.Helper()
	x := *w
	x.dir, x.listen = w.t.TempDir(), freeAddress(w.t)
	x.configure(more)
	return &x
}

// ports numbers the addresses that were handed out.
var ports atomic.Uint32

// freeAddress is an address on loopback that nobody listens on. It stays free while nobody does:
// its port is not among those that a system takes for connections of its own.
func freeAddress(t *testing.T) string {
	t.Helper()
	const lowest, highest = 20000, 32000
	first := uint32(os.Getpid()) * 97
	for range highest - lowest {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+(first+ports.Add(1))%(highest-lowest))
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	require.Fail(t, "no free port")
	return ""
}

// unlimited is an API without a request budget, which would take most of a test's time.
func unlimited() api { return api{limiter: rate.NewLimiter(rate.Inf, 1)} }

// app is the program as this test runs it: in this process, without a request budget.
func (w *world) app(ctx context.Context, stdout, stderr io.Writer) *app {
	return &app{
		ctx: ctx, getenv: w.environ.get, stdout: stdout, stderr: stderr, api: unlimited(),
		log: slog.New(slog.NewTextHandler(stderr, nil)),
	}
}

// monitor runs a command that has to succeed and returns what it prints.
func (w *world) monitor(args ...string) string {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	err := w.app(w.t.Context(), &stdout, &stderr).run(append([]string{"--config", w.config}, args...))
	require.NoError(w.t, err, "monitor %v\n%s%s", args, &stdout, &stderr)
	return stdout.String()
}

// serve runs the daemon until the test ends, or until the returned function is called. It returns
// when the daemon is ready.
func (w *world) serve() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	logs := &lockedBuffer{}
	go func() { done <- w.app(ctx, io.Discard, logs).run([]string{"--config", w.config, "run"}) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(w.t, err, logs)
		case <-time.After(30 * time.Second):
			w.t.Errorf("the daemon does not stop\n%s", logs)
		}
	})
	w.t.Cleanup(func() {
		stop()
		if w.t.Failed() {
			w.t.Logf("the daemon's log:\n%s", logs)
		}
	})
	w.ready(logs)
	return stop
}

// ready waits until the daemon is.
func (w *world) ready(log fmt.Stringer) {
	w.t.Helper()
	w.eventually(func() bool {
		status, _ := w.get("/-/ready")
		return status == http.StatusOK
	}, log, "the daemon does not become ready")
}

// eventually waits until the condition holds. Unlike require.Eventually it asks in the test's own
// goroutine, so that a condition may fail the test and leave what it saw.
func (w *world) eventually(condition func() bool, log fmt.Stringer, otherwise string) {
	w.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); !condition(); <-ticker.C {
		require.True(w.t, time.Now().Before(deadline), printed{func() string { return otherwise + "\n" + log.String() }})
	}
}

// printed is a text that is made when it is needed.
type printed struct{ text func() string }

func (p printed) String() string { return p.text() }

// get asks the daemon; status 0 is no answer, or not all of it.
func (w *world) get(path string) (status int, body []byte) {
	r, err := http.Get("http://" + w.login + w.listen + path) //nolint:noctx // bounded by the test
	if err != nil {
		return 0, nil
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		return 0, nil
	}
	return r.StatusCode, body
}

// open opens the database beside whatever runs on it.
func (w *world) open() storage.Store {
	w.t.Helper()
	config, err := loadConfig(w.config, w.environ.get)
	require.NoError(w.t, err)
	store, err := openStore(w.t.Context(), w.app(w.t.Context(), io.Discard, w.t.Output()), config)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = store.Close() }) // may be closed already
	return store
}

// own opens the database, makes the organization known and owns it until release is called.
func (w *world) own() (owner storage.Owner, release func()) {
	w.t.Helper()
	config, err := loadConfig(w.config, w.environ.get)
	require.NoError(w.t, err)
	client, err := newClient(w.app(w.t.Context(), io.Discard, w.t.Output()), config.Organizations[0])
	require.NoError(w.t, err)
	store := w.open()
	org, err := learn(w.t.Context(), client, "", store)
	require.NoError(w.t, err)
	// A process that was killed may own it until the server has noticed.
	w.eventually(func() bool {
		owner, err = store.Own(w.t.Context(), org.ID)
		return err == nil
	}, &strings.Builder{}, "the organization cannot be owned")
	return owner, func() {
		require.NoError(w.t, owner.Release())
		require.NoError(w.t, store.Close())
	}
}

// liveSince has the counters count from a time on, as if collection had begun then.
func (w *world) liveSince(at time.Time) {
	w.t.Helper()
	owner, release := w.own()
	require.NoError(w.t, owner.SetLive(w.t.Context(), at))
	release()
}

// awaitHistory waits until the ledger has no hole in the last days.
func (w *world) awaitHistory(days int, log fmt.Stringer) {
	w.t.Helper()
	store := w.open()
	defer store.Close()
	window := spend.Window{Start: spend.Day.Floor(time.Now()).AddDate(0, 0, -days), End: spend.Hour.Floor(time.Now().Add(-2 * time.Hour))}
	w.eventually(func() bool {
		orgs, err := store.Organizations(w.t.Context())
		if err != nil || len(orgs) == 0 {
			return false
		}
		for _, f := range []spend.Fact{spend.FactUsage, spend.FactCost, spend.FactRequests} {
			slots, err := store.Slots(w.t.Context(), orgs[0].ID, f, window)
			var have time.Duration
			for _, s := range slots {
				have += s.Window.Intersect(window).Duration()
			}
			if err != nil || have < window.Duration() {
				return false
			}
		}
		return true
	}, log, "the history does not become complete")
}

// fullHour is the begin of the hour, a clock for a simulated organization at which all its usage
// is in whole hours.
func fullHour() time.Time { return spend.Hour.Floor(time.Now().UTC()) }

// punctual is an organization whose clock stands still and whose reports are never late.
func punctual(now time.Time) sim.Options {
	return sim.Options{
		Seed: 7, Now: func() time.Time { return now }, Start: now.AddDate(0, 0, -70),
		Delay: time.Nanosecond, Refresh: time.Minute,
	}
}

// lockedBuffer is a buffer for a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
