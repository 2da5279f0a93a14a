//go:build unix

package pgtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is a throw-away PostgreSQL cluster.
type Cluster struct {
	dir  string // holds the data and the socket
	bin  string // where the server programs are
	attr *syscall.SysProcAttr

	server *os.Process   // nil while stopped
	ended  chan struct{} // closed when the server has ended
}

// NewCluster starts a cluster for one test alone, which may stop and start it. It is removed when
// the test ends.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := newCluster()
	if err != nil {
		t.Fatalf("throw-away PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := c.remove(); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	return c
}

// URL is the connection URL of the cluster's one database, the same after a restart.
func (c *Cluster) URL() string {
	q := url.Values{"host": {c.dir}, "user": {"postgres"}, "sslmode": {"disable"}}
	return "postgres:///postgres?" + q.Encode()
}

// Stop ends the server and returns when it has ended. Every connection is broken.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if err := c.stop(syscall.SIGINT); err != nil {
		t.Fatalf("stop the cluster: %v", err)
	}
}

// Start starts a stopped server and returns when it accepts connections.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	if err := c.start(); err != nil {
		t.Fatalf("start the cluster: %v", err)
	}
}

func newCluster() (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, attr: &syscall.SysProcAttr{}}
	if err := c.create(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

// create makes the data directory and starts the server.
func (c *Cluster) create() error {
	if os.Getuid() == 0 {
		// The server refuses to run as root.
		uid, gid, err := unprivileged()
		if err != nil {
			return err
		}
		c.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(c.dir, uid, gid); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(c.bin, "initdb"), "--pgdata", c.data(), "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = c.dir, c.attr
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return c.start()
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// start runs the server as a child of a goroutine that keeps its thread until the server has ended:
// the signal that is sent at the parent's death is sent at the death of the parent's thread.
func (c *Cluster) start() error {
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.data(), "-k", c.dir, "-h", "",
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=300", "-c", "max_wal_size=4GB", "-c", "log_min_messages=log")
	attr := *c.attr
	dieWithParent(&attr)
	cmd.Dir, cmd.SysProcAttr = c.dir, &attr
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_, _ = cmd.Process.Wait()
		}
		close(ended)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	c.server, c.ended = cmd.Process, ended
	if err := c.awaitReady(stderr); err != nil {
		return errors.Join(err, c.stop(syscall.SIGQUIT))
	}
	return nil
}

// awaitReady reads the server's log until it says that it accepts connections, and leaves the
// rest of it to be thrown away.
func (c *Cluster) awaitReady(log io.Reader) error {
	ready := make(chan error, 1)
	go func() {
		var seen strings.Builder
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "ready to accept connections") {
				ready <- nil
				_, _ = io.Copy(io.Discard, log)
				return
			}
			seen.WriteString(lines.Text() + "\n")
		}
		ready <- fmt.Errorf("postgres ended: %s", seen.String())
	}()
	select {
	case err := <-ready:
		return err
	case <-time.After(time.Minute):
		return errors.New("postgres does not accept connections after a minute")
	}
}

// stop sends the server a signal and waits for its end. Stopping what is stopped is no error.
func (c *Cluster) stop(sig syscall.Signal) error {
	if c.server == nil {
		return nil
	}
	if err := c.server.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.ended
	c.server = nil
	return nil
}

func (c *Cluster) remove() error {
	return errors.Join(c.stop(syscall.SIGQUIT), os.RemoveAll(c.dir))
}

// programs finds the directory of the server programs: the newest version installed.
func programs() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append([]string{strings.TrimSpace(string(out))}, dirs...)
	}
	for _, dir := range dirs {
		// pg_config may come with the client library, without a server beside it.
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no server programs found: install PostgreSQL (Debian and Ubuntu: " +
		"apt-get install postgresql; macOS: brew install postgresql), or set " + Env +
		" to the URL of a database whose user may create schemas")
}

// unprivileged finds a user to run the server as.
func unprivileged() (uid, gid int, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil {
			return uid, gid, nil
		}
	}
	return 0, 0, errors.New("the server does not run as root, and there is no user postgres or nobody")
}
