package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/sim"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// world is a simulated organization behind a server on loopback, a database, and a configuration
// that joins them.
type world struct {
	t       *testing.T
	org     *sim.Org
	apiURL  string
	config  string // the file
	listen  string
	sqlite  string // the database's path, or
	dbURL   string // its URL
	environ environment
}

// newWorld makes one on the database, "sqlite" or "postgres". more is added to the configuration.
func newWorld(t *testing.T, database string, o sim.Options, more string) *world {
	t.Helper()
	dir := t.TempDir()
	org := sim.New(o)
	server := httptest.NewServer(org.Handler())
	t.Cleanup(server.Close)
	w := &world{
		t: t, org: org, apiURL: server.URL, config: filepath.Join(dir, "monitor.yaml"), listen: freeAddress(t),
		environ: environment{"ADMIN_KEY": sim.AdminKey, "HOME": dir},
	}
	store := ""
	if database == "postgres" {
		w.dbURL = pgtest.URL(t)
		w.environ["DATABASE_URL"] = w.dbURL
		store = "{postgres: {url: ${DATABASE_URL}}}"
	} else {
		w.sqlite = filepath.Join(dir, "monitor.db")
		store = "{sqlite: {path: " + w.sqlite + "}}"
	}
	text := fmt.Sprintf("organizations: [{admin_key: ${ADMIN_KEY}, base_url: %q}]\nstorage: %s\nweb: {listen: %q}\n%s",
		w.apiURL, store, w.listen, more)
	require.NoError(t, os.WriteFile(w.config, []byte(text), 0o600))
	return w
}

// freeAddress is an address on loopback that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// app is the program as this test runs it: in this process, without a request budget.
func (w *world) app(ctx context.Context, stdout, stderr io.Writer) *app {
	return &app{
		ctx: ctx, getenv: w.environ.get, stdout: stdout, stderr: stderr,
		api: api{limiter: rate.NewLimiter(rate.Inf, 1)},
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
	w.t.Cleanup(stop)
	require.Eventually(w.t, func() bool {
		status, _ := w.get("/-/ready")
		return status == http.StatusOK
	}, time.Minute, 50*time.Millisecond, "the daemon does not become ready\n%s", logs)
	return stop
}

// get asks the daemon.
func (w *world) get(path string) (status int, body []byte) {
	r, err := http.Get("http://" + w.listen + path) //nolint:noctx // bounded by the test
	if err != nil {
		return 0, nil
	}
	defer r.Body.Close()
	body, err = io.ReadAll(r.Body)
	require.NoError(w.t, err)
	return r.StatusCode, body
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
