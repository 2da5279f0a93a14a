//go:build unix

// Package pgtest gives tests a PostgreSQL database of their own, from the server that
// MONITOR_TEST_POSTGRES names (a URL of a user who may create databases), else from a throw-away
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

// databases numbers the databases of this test binary.
var databases atomic.Int64

// Main runs the tests, stops the cluster if they started one, and exits. TestMain calls it.
func Main(m *testing.M) {
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
	os.Exit(code)
}

// URL creates an empty database and returns its connection URL. The database is dropped when the
// test ends, with whatever is still connected to it.
func URL(t testing.TB) string {
	t.Helper()
	if server := os.Getenv(Env); server != "" {
		return createDatabase(t, server)
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("pgtest.URL: TestMain of this package must call pgtest.Main")
	}
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = newCluster()
	}
	if shared.err != nil {
		t.Fatalf("throw-away PostgreSQL: %v", shared.err)
	}
	return createDatabase(t, shared.cluster.url("postgres"))
}

// createDatabase makes a database of a name not used before on the server.
func createDatabase(t testing.TB, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", Env)
	}
	name := fmt.Sprintf("monitor_test_%d_%d", os.Getpid(), databases.Add(1))
	// The context of the test is over when its cleanup runs.
	exec := func(sql string) error {
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
	if err := exec("create database " + name); err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := exec("drop database if exists " + name + " with (force)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	u.Path = "/" + name
	return u.String()
}
