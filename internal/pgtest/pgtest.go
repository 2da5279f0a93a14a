//go:build unix

// Package pgtest gives tests PostgreSQL: a schema of their own in the database that
// MONITOR_TEST_POSTGRES names (a URL of a user who may create schemas), else in a throw-away
// cluster made once per test binary from the server programs found on the machine. A machine
// without them fails the test: a store that was not tested is not a store that passed.
//
// A package that uses it says so once:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// The cluster listens on a unix socket in its own temporary directory and nowhere else, does not
// care for durability, and ends with the test binary, however that ends.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env names the environment variable that holds the URL of a server to use instead of a
// throw-away cluster.
const Env = "MONITOR_TEST_POSTGRES"

// shared is the cluster of this test binary. It must outlive every test, hence a package variable.
var shared struct {
	sync.Mutex
	main    bool // Main will stop it
	cluster *Cluster
	err     error
}

// schemas numbers the schemas of this test binary.
var schemas atomic.Int64

// Main runs the tests, stops the cluster if they started one, and exits. TestMain calls it.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main without the exit, for a TestMain that does more; it returns the exit code.
func Run(m *testing.M) int {
	shared.Lock()
	shared.main = true
	shared.Unlock()

	code := m.Run()

	shared.Lock()
	defer shared.Unlock()
	if shared.cluster != nil {
		if err := shared.cluster.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = max(code, 1)
		}
	}
	return code
}

// URL creates an empty schema and returns the URL of connections that see it alone. The schema is
// dropped when the test ends; everything of the test's must be disconnected by then.
func URL(t testing.TB) string {
	t.Helper()
	server := serverURL(t)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", Env)
	}
	name := fmt.Sprintf("monitor_test_%d_%d", os.Getpid(), schemas.Add(1))
	if err := execute(server, "create schema "+name); err != nil {
		t.Fatalf("create a test schema: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server, "drop schema if exists "+name+" cascade"); err != nil {
			t.Errorf("drop the test schema: %v", err)
		}
	})
	q := u.Query()
	q.Set("search_path", name)
	q.Set("application_name", name) // tells whose connection it is
	u.RawQuery = q.Encode()
	return u.String()
}

// serverURL is the URL of the server that schemas are made on.
func serverURL(t testing.TB) string {
	t.Helper()
	if u := os.Getenv(Env); u != "" {
		return u
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("pgtest: TestMain of this package must call pgtest.Main")
	}
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = newCluster()
	}
	if shared.err != nil {
		t.Fatalf("throw-away PostgreSQL: %v", shared.err)
	}
	return shared.cluster.URL()
}

// execute runs one statement. The context of a test is over when its cleanup runs, hence an own one.
func execute(server, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}
