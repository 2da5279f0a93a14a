package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/sim"
)

var databases = []string{"sqlite", "postgres"}

// TestDatabaseComesAndGoes starts the daemon before its database, and takes the database away while
// the history is fetched.
func TestDatabaseComesAndGoes(t *testing.T) {
	t.Parallel()
	cluster := pgtest.NewCluster(t)
	cluster.Stop(t)
	now := fullHour()
	w := newWorld(t, cluster.URL(), punctual(now), "backfill: 20d\n")
	r := w.start("run")
	w.unready(r, "database postgres on", "unavailable")
	status, _ := w.get("/-/healthy")
	require.Equal(t, http.StatusOK, status, "a daemon that waits for its database is not to be restarted")

	cluster.Start(t)
	w.ready(r.log)
	w.eventually(func() bool { return w.requests() > 50 }, r.log, "no history is fetched")
	cluster.Stop(t)
	w.unready(r, "the database cannot be reached")
	status, _ = w.get("/-/healthy")
	require.Equal(t, http.StatusOK, status)
	status, body := w.get("/api/v1/costs")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, string(body), "database")

	cluster.Start(t)
	w.ready(r.log)
	once := w.start("once")
	require.Zero(t, once.wait(), "%s\n%s", once.log, r.log)
	w.awaitHistory(20, r.log)
	agreement{w, now}.all(20)
	r.stop()
}

// unready waits until the daemon says that it is not ready, and why.
func (w *world) unready(r *running, reasons ...string) {
	w.t.Helper()
	var body []byte
	w.eventually(func() bool {
		var status int
		status, body = w.get("/-/ready")
		if status != http.StatusServiceUnavailable {
			return false
		}
		for _, reason := range reasons {
			if !strings.Contains(string(body), reason) {
				return false
			}
		}
		return true
	}, printed{func() string { return string(body) + r.log.String() }}, fmt.Sprintf("/-/ready does not say %q", reasons))
}

// TestDatabaseUnusable gives the daemon databases that a retry does not help with: it ends at once
// and says what to do.
func TestDatabaseUnusable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, database string
		spoil          func(*testing.T, *world)
		says           []string
	}{
		{"not a database", "sqlite", func(t *testing.T, w *world) {
			require.NoError(t, os.WriteFile(w.sqlite, []byte(strings.Repeat("not a database\n", 1000)), 0o600))
		}, []string{"monitor.db", "not an SQLite database", "storage.sqlite.path"}},
		{"another program's", "sqlite", func(t *testing.T, w *world) {
			w.exec("create table theirs (x)")
		}, []string{"monitor.db", "belongs to another program", "storage.sqlite.path"}},
		{"a directory", "sqlite", func(t *testing.T, w *world) {
			require.NoError(t, os.Mkdir(w.sqlite, 0o700))
		}, []string{"monitor.db", "is a directory", "storage.sqlite.path"}},
		{"newer schema", "sqlite", newerSchema, []string{"monitor.db", "schema 9000", "newer version of monitor"}},
		{"newer schema", "postgres", newerSchema, []string{"schema 9000", "newer version of monitor"}},
		{"read only", "sqlite", func(t *testing.T, w *world) {
			require.NoError(t, w.open().Close())
			require.NoError(t, os.Chmod(w.sqlite, 0o444))
			require.NoError(t, os.Chmod(w.dir, 0o555))
		}, []string{"monitor.db", "cannot be", "writ"}},
		{"directory read only", "sqlite", func(t *testing.T, w *world) {
			require.NoError(t, os.Chmod(w.dir, 0o555))
		}, []string{"monitor.db", "permission denied", "directory that can be written"}},
	} {
		t.Run(c.name+" "+c.database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.database, punctual(fullHour()), "")
			c.spoil(t, w)
			var prepare func(*exec.Cmd)
			if strings.Contains(c.name, "read only") {
				prepare = w.unprivileged
			}
			r := w.startWith(prepare, "run")
			require.Equal(t, 1, r.wait(), r.log)
			t.Log(r.log)
			r.says(c.says...)
			require.Zero(t, w.requests(), "nothing is collected")
		})
	}
}

func newerSchema(t *testing.T, w *world) {
	require.NoError(t, w.open().Close())
	if w.sqlite != "" {
		w.exec("insert into goose_db_version (version_id, is_applied) values (9000, 1)")
	} else {
		w.exec("insert into goose_db_version (version_id, is_applied) values (9000, true)")
	}
}

// exec runs SQL as another program would.
func (w *world) exec(text string) {
	w.t.Helper()
	driver, source := "sqlite", w.sqlite
	if w.dbURL != "" {
		driver, source = "pgx", w.dbURL
	}
	db, err := sql.Open(driver, source)
	require.NoError(w.t, err)
	defer db.Close()
	_, err = db.ExecContext(w.t.Context(), text)
	require.NoError(w.t, err)
}

// unprivileged has the process run as somebody to whom permissions of files matter, where the tests
// run as root.
func (w *world) unprivileged(cmd *exec.Cmd) {
	if os.Getuid() != 0 {
		return
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(w.t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(w.t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	require.NoError(w.t, err)
	// The binary, and the way to the world's directory, are for root only.
	for _, path := range []string{w.dir, w.config, w.sqlite} {
		if path != "" {
			require.NoError(w.t, ignoreMissing(os.Chown(path, uid, gid)))
		}
	}
	require.NoError(w.t, os.Chmod(filepath.Dir(w.dir), 0o755))
	program := filepath.Join(w.t.TempDir(), "monitor")
	require.NoError(w.t, os.Chmod(filepath.Dir(program), 0o755))
	require.NoError(w.t, os.Link(cmd.Path, program))
	require.NoError(w.t, os.Chmod(program, 0o755))
	cmd.Path = program
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// TestFullDisk has the database grow no further while the history is fetched. What is stored stays
// served; once there is room the daemon goes on by itself.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	now := fullHour()
	w := newWorld(t, "sqlite", punctual(now), "backfill: 20d\n")
	r := w.startWith(func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, fileSizeVariable+"=2000000") }, "run")
	w.ready(r.log)
	r.says("database unavailable")
	status, body := w.get("/api/v1/usage")
	require.Equal(t, http.StatusOK, status, "%s\n%s", body, r.log)

	r.signal(syscall.SIGUSR1)
	once := w.start("once")
	require.Zero(t, once.wait(), "%s\n%s", once.log, r.log)
	w.awaitHistory(20, r.log)
	agreement{w, now}.all(20)
	r.stop()
}

// TestTwoDaemons has two daemons on one database: exactly one collects and exports the
// organization, the other serves, and takes over when that one dies.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			now := fullHour()
			first := newWorld(t, database, punctual(now), "backfill: 3d\n")
			owner := first.daemon()
			first.eventually(func() bool { return first.leader() == 1 }, owner.log, "the first daemon does not lead")

			second := first.beside("backfill: 3d\n")
			waiting := second.daemon()
			second.eventually(func() bool { return second.leader() == 0 }, waiting.log, "the second daemon does not say that it waits")
			waiting.says("another monitor works this organization")
			require.NotContains(t, waiting.log.String(), "job done", "the second daemon collects")
			for _, s := range second.scrape() {
				require.False(t, ofOrganization(s.name), "the second daemon exports %s", s.name)
			}
			once := second.start("once")
			require.Zero(t, once.wait(), once.log)
			second.awaitHistory(3, owner.log)
			agreement{second, now}.all(3)

			owner.kill()
			killed := time.Now()
			second.eventually(func() bool { return second.leader() == 1 }, waiting.log, "the second daemon does not take over")
			t.Logf("taken over after %s", time.Since(killed).Round(time.Millisecond))
			waiting.says("job done")
			agreement{second, now}.all(3)
			waiting.stop()
		})
	}
}

// leader is the metric of that name, -1 while there is none.
func (w *world) leader() float64 {
	for _, s := range w.scrape() {
		if s.name == "anthropic_monitor_leader" {
			return s.value
		}
	}
	return -1
}

// TestOnceOutlivesTheDaemon has a daemon die while once waits for it.
func TestOnceOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, database, punctual(fullHour()), "backfill: 1d\n")
			daemon := w.daemon()
			w.eventually(func() bool { return w.leader() == 1 }, daemon.log, "the daemon does not lead")
			w.org.Faults().Arm(sim.Rule{Fault: sim.Slow, Path: "/api_keys"}) // the daemon does not get done
			once := w.start("once")
			w.eventually(func() bool { return w.asked() }, once.log, "once does not ask the daemon")
			daemon.kill()
			w.org.Faults().Disarm()
			require.Zero(t, once.wait(), once.log)
		})
	}
}

// asked reports whether a request is left for the daemon.
func (w *world) asked() (open bool) {
	w.query("select id from request where done_at is null", func(func(...any)) { open = true })
	return open
}

// TestAPIDownAtStart starts the daemon while the API is away: what is stored stays served, and
// collection begins by itself.
func TestAPIDownAtStart(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			now := fullHour()
			w := newWorld(t, database, punctual(now), "backfill: 3d\n")
			w.monitor("once")
			w.org.Faults().Arm(sim.Rule{Fault: sim.Down})
			r := w.start("run")
			r.says("cannot be read, trying again; stored data stays available")
			w.ready(r.log)
			agreement{w, now}.all(3)

			w.org.Faults().Disarm()
			r.says("job done")
			r.stop()
		})
	}
}

// TestKeyRefusedAtStart starts the daemon with a key that the API refuses.
func TestKeyRefusedAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "")
	w.environ["ADMIN_KEY"] = "no-such-key"
	r := w.start("run")
	r.says("the API refuses the admin key", "Settings, Admin keys")
	w.unready(r, "no collection has been tried yet")
	r.stop()
	require.NotContains(t, r.log.String(), "no-such-key")
}

// TestReload reloads good and bad configurations, by signal and by request.
func TestReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\n")
	r := w.daemon()
	keys := func() bool {
		for _, s := range w.scrape() {
			if s.name == "anthropic_api_key_info" {
				return true
			}
		}
		return false
	}
	gauge := func(want float64) func() bool {
		return func() bool {
			for _, s := range w.scrape() {
				if s.name == "anthropic_monitor_config_last_reload_successful" {
					return s.value == want
				}
			}
			return false
		}
	}
	post := func() int {
		answer, err := http.Post("http://"+w.listen+"/-/reload", "", nil) //nolint:noctx // bounded by the test
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	w.eventually(keys, r.log, "no metrics of keys")
	w.eventually(gauge(1), r.log, "the first reading was good")

	w.configure("backfill: 1d\nmetrics: {api_keys: perhaps}\n")
	r.signal(syscall.SIGHUP)
	w.eventually(gauge(0), r.log, "a bad file is not noticed")
	r.says("configuration not reloaded", "metrics.api_keys")
	require.True(t, keys(), "the configuration before stays in force")
	w.ready(r.log)

	w.configure("backfill: 1d\nmetrics: {api_keys: false}\n")
	r.signal(syscall.SIGHUP)
	w.eventually(gauge(1), r.log, "a good file is not taken")
	w.eventually(func() bool { return w.leader() == 1 && !keys() }, r.log, "the new configuration is not in force")

	require.NoError(t, os.WriteFile(w.config, []byte("organisations: []\n"), 0o600))
	require.Equal(t, http.StatusInternalServerError, post())
	require.True(t, gauge(0)(), "a bad file by request")
	require.False(t, keys(), "the configuration before stays in force")
	w.configure("backfill: 1d\n")
	require.Equal(t, http.StatusOK, post())
	w.eventually(gauge(1), r.log, "a good file by request")
	w.eventually(keys, r.log, "the new configuration is not in force")
	r.stop()
}

// TestAPIInTrouble has the API cut answers short, refuse for the rate and fail, while history is
// fetched. All heals by itself.
func TestAPIInTrouble(t *testing.T) {
	t.Parallel()
	for _, database := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			now := fullHour()
			w := newWorld(t, database, punctual(now), "backfill: 10d\n")
			for _, rule := range []sim.Rule{
				{Fault: sim.CutBody, Path: "/usage_report/messages", Times: 3},
				{Fault: sim.Internal, Path: "/analytics/cost", Times: 3},
				{Fault: sim.RateLimited, Path: "/api_keys", Times: 2, RetryAfter: time.Second},
				{Fault: sim.CutBody, Path: "/workspaces", Times: 2},
				{Fault: sim.Overloaded, Path: "/usage_report/claude_code", Times: 2},
				{Fault: sim.CutBody, Path: "/analytics/cost", Times: 3},
				{Fault: sim.DuplicatePage, Path: "/analytics/usage", Times: 2},
				{Fault: sim.Internal, Path: "/usage_report/messages", Times: 3},
			} {
				w.org.Faults().Arm(rule)
			}
			r := w.daemon()
			r.says("job failed")
			for tries := 1; ; tries++ {
				once := w.start("once") // a tick
				if once.wait() == 0 {
					break
				}
				require.Less(t, tries, 6, "%s\n%s", once.log, r.log)
			}
			w.awaitHistory(10, r.log)
			agreement{w, now}.all(10)
			r.stop()
		})
	}
}

// TestBaseURLOfSomethingElse asks something that is not the Admin API.
func TestBaseURLOfSomethingElse(t *testing.T) {
	t.Parallel()
	notFound := &adminapi.Error{Endpoint: "me", Status: http.StatusNotFound, Kind: adminapi.KindNotFound, Message: "Not Found"}
	require.EqualError(t, keyAdvice(notFound), "me: 404 not_found: Not Found (this is not the Admin API: check base_url)")
	require.ErrorAs(t, keyAdvice(notFound), new(*adminapi.Error))
	notFound.Type = "not_found_error"
	require.EqualError(t, keyAdvice(notFound), "me: 404 not_found: Not Found")
	forbidden := &adminapi.Error{Endpoint: "me", Status: 403, Kind: adminapi.KindPermission, Message: "no"}
	require.ErrorContains(t, keyAdvice(forbidden), "me: 403 permission: no (this is no Admin API key, ")
	forbidden.Endpoint = "workspaces/members"
	require.EqualError(t, keyAdvice(forbidden),
		"workspaces/members: 403 permission: no (the key is known, but may not read this: its role or scope does not reach that far)")
}

// The file that a daemon found where it was started is as good as one that was named: when it is gone,
// nobody has asked for the defaults.
func TestReloadWithoutTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\n")
	r := w.startWith(func(c *exec.Cmd) { c.Args = []string{"monitor", "run"} }, "run")
	w.ready(r.log)
	require.NoError(t, os.Remove(w.config))
	answer, err := http.Post("http://"+w.listen+"/-/reload", "", nil) //nolint:noctx // bounded by the test
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusInternalServerError, answer.StatusCode)
	r.says("configuration not reloaded", "monitor.yaml: no such file")
	r.stop()
}

// Who stops a command must not take it for done; run, demo and sim end like that.
func TestStoppedCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\n")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, command := range []string{"once", "report", "export csv"} {
		var stderr bytes.Buffer
		a := app{ctx: ctx, getenv: w.environ.get, stdout: io.Discard, stderr: &stderr}
		err := a.run(append([]string{"--config", w.config}, strings.Fields(command)...))
		require.Equal(t, 1, exitCode(err), command)
		require.Equal(t, "monitor: stopped before it was done\n", stderr.String(), command)
	}
}
