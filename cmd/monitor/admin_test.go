package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// adminRow is a line of a list in JSON.
type adminRow = map[string]any

// list runs a command that prints JSON and returns its rows.
func (w *world) list(args ...string) []adminRow {
	w.t.Helper()
	var answer struct{ Data []adminRow }
	require.NoError(w.t, json.Unmarshal([]byte(w.monitor(append(args, "--format", "json")...)), &answer))
	return answer.Data
}

// keyID is the id of the key of that name.
func (w *world) keyID(name string) string {
	w.t.Helper()
	rows := w.list("admin", "keys", "list", "--where", "name="+name)
	require.Len(w.t, rows, 1)
	return rows[0]["id"].(string)
}

func (w *world) outcomes(args ...string) (all []string) {
	w.t.Helper()
	for _, row := range w.list(append([]string{"admin", "log"}, args...)...) {
		all = append(all, row["target"].(string)+" "+row["outcome"].(string))
	}
	return all
}

// TestAdminIsKilled kills the command while the API is being asked: the log shows that something was
// begun, and the same command does what is left.
func TestAdminIsKilled(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, database, punctual(fullHour()), "")
			id := w.keyID("evals")
			path := "/v1/organizations/api_keys/" + id
			w.org.Faults().Arm(sim.Rule{Fault: sim.Slow, Method: http.MethodPost, Path: id})
			disable := []string{"admin", "keys", "disable", "lab", "evals", "paused", "--yes"}
			r := w.start(disable...)
			w.eventually(func() bool { return w.org.Requests()["POST "+path] == 1 }, r.log, "the change is not asked for")
			r.kill()
			require.Equal(t, []string{"evals started", "lab done"}, w.outcomes())
			require.Contains(t, w.monitor("admin", "log"), "started (unknown whether it happened)")
			require.Equal(t, []string{"evals started"}, w.outcomes("--outcome", "started"))

			w.org.Faults().Disarm()
			out := w.monitor(disable...)
			require.Contains(t, out, "nothing to do: is disabled already")
			require.Contains(t, out, "done           api_key.disable evals")
			require.Equal(t, []string{"evals done", "evals started", "lab done"}, w.outcomes())
		})
	}
}

// TestAdminIsInterrupted stops the command while it waits for a busy API.
func TestAdminIsInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "")
	w.org.Faults().Arm(sim.Rule{Fault: sim.RateLimited, RetryAfter: 50 * time.Second, Method: http.MethodPost, Path: w.keyID("evals")})
	r := w.start("admin", "keys", "disable", "lab", "evals", "web-backend", "--yes")
	r.says("trying again in 50s (Ctrl-C stops)")
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGINT))
	require.Equal(t, 1, r.wait(), r.log)
	for _, line := range []string{
		"done           api_key.disable lab", "failed         api_key.disable evals", "not done       api_key.disable web-backend",
		"monitor: stopped: 1 of 3 done, see above; what was done stays done; the same command again does what is left",
	} {
		require.Contains(t, r.log.String(), line)
	}
	require.Equal(t, []string{"evals failed", "lab done"}, w.outcomes())
	require.Equal(t, "active", w.list("admin", "keys", "list", "--where", "name=web-backend")[0]["status"])
}

// TestAdminBesideTheDaemon changes things while the daemon works the organization.
func TestAdminBesideTheDaemon(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, database, punctual(fullHour()), "backfill: 1d\n")
			stop := w.serve()
			defer stop()
			require.Contains(t, w.monitor("admin", "keys", "disable", "--where", "workspace=research", "--yes"), "done ")
			require.Contains(t, w.monitor("admin", "offboard", "Hugo Petit", "--yes"), "done           member.remove")
			require.Equal(t, "hugo.petit@acme-robotics.example done", w.outcomes("--limit", "1")[0])
		})
	}
}

// TestOnlyAdminWrites runs everything that collects and looks at what the API was asked.
func TestOnlyAdminWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\n")
	w.monitor("doctor")
	w.monitor("once")
	stop := w.serve()
	w.monitor("backfill", "--from", fullHour().AddDate(0, 0, -2).Format(time.DateOnly))
	stop()
	require.Greater(t, len(w.org.Requests()), 10)
	for request := range w.org.Requests() {
		require.True(t, strings.HasPrefix(request, "GET "), request)
	}
}

// TestWriterHasOnePlace looks for where a client that can write is made: for an administrator's
// change, and nowhere else.
func TestWriterHasOnePlace(t *testing.T) {
	t.Parallel()
	users := map[string][]string{} // who mentions what, by folder and function
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			where := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
			if f, ok := decl.(*ast.FuncDecl); ok {
				where += " " + f.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				name := ""
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "adminapi" && (n.Sel.Name == "NewWriter" || n.Sel.Name == "Writer") {
						name = n.Sel.Name
					}
				case *ast.CallExpr:
					if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "newWriter" {
						name = "newWriter"
					} else if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "desk" {
						name = "desk"
					}
				}
				if name != "" && !slices.Contains(users[name], where) {
					users[name] = append(users[name], where)
				}
				return true
			})
		}
		return nil
	}))
	require.Equal(t, []string{"cmd/monitor newWriter"}, users["NewWriter"])
	require.Equal(t, []string{"cmd/monitor desk"}, users["newWriter"])
	require.Equal(t, []string{"cmd/monitor change"}, users["desk"])
	for _, where := range users["Writer"] {
		require.True(t, strings.HasPrefix(where, "internal/admin") || where == "cmd/monitor newWriter", where)
	}
}
