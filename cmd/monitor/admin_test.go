package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
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

	// Before the first change it has done nothing, and says so.
	w.org.Faults().Arm(sim.Rule{Fault: sim.Slow, Path: "/api_keys"})
	before := w.org.Requests()["GET /v1/organizations/api_keys"]
	r = w.start("admin", "keys", "disable", "lab", "--yes")
	w.eventually(func() bool { return w.org.Requests()["GET /v1/organizations/api_keys"] > before }, r.log, "the keys are not asked for")
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 1, r.wait(), r.log)
	require.Contains(t, r.log.String(), "monitor: stopped: nothing was done")
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

// TestOffboardTellsTheCostThatAReportTells asks offboard and a report what somebody's keys cost in the last 30 days.
func TestOffboardTellsTheCostThatAReportTells(t *testing.T) {
	t.Parallel()
	now := fullHour()
	w := newWorld(t, "sqlite", sim.Options{Seed: 1, Now: func() time.Time { return now }, Start: now.AddDate(0, 0, -35)}, "backfill: 33d\n")
	w.monitor("once")
	first := spend.Day.Floor(time.Now()).AddDate(0, 0, -29).Format(time.DateOnly)
	want := map[any]any{}
	for _, r := range w.list("report", "--by", "api_key", "--step", "total", "--from", first) {
		want[r["api_key_id"]] = r["cost_usd"]
	}
	var answer struct {
		Keys []adminRow
		Note string `json:"cost_note"`
	}
	out := w.monitor("admin", "offboard", "Dev Patel", "--dry-run", "--format", "json")
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.True(t, strings.HasPrefix(answer.Note, "30 days from "+first+", "), answer.Note)
	require.NotEmpty(t, answer.Keys)
	for _, k := range answer.Keys {
		if cost := k["cost_usd"]; cost != "0" || want[k["id"]] != nil {
			require.Equal(t, want[k["id"]], cost, k["name"])
		}
	}
}

// TestOffboardAgain lets go of somebody who was removed before, by whatever they were called.
func TestOffboardAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "")
	id := w.list("admin", "members", "list", "--where", "name=Hugo Petit")[0]["id"].(string)
	require.Contains(t, w.monitor("admin", "offboard", "Hugo Petit", "--yes"), "done           member.remove")
	for _, text := range []string{"Hugo Petit", "hugo petit", "hugo.petit@acme-robotics.example", id} {
		require.Contains(t, w.monitor("admin", "offboard", text, "--yes"), id+", who is no member any more", text)
	}

	// Another one of that name: nobody guesses who is meant.
	store := w.open()
	orgs, err := store.Organizations(t.Context())
	require.NoError(t, err)
	entry, err := store.BeginAdmin(t.Context(), storage.AdminEntry{
		Organization: orgs[0].ID, StartedAt: time.Now(), Action: admin.MemberRemove, TargetID: "user_other", TargetName: "hugo@other.example",
		Arguments: map[string]string{"name": "Hugo Petit"},
	})
	require.NoError(t, err)
	require.NoError(t, store.FinishAdmin(t.Context(), entry, "", storage.AdminOutcome{Outcome: storage.AdminDone}))
	require.NoError(t, store.Close())
	require.Contains(t, w.monitor("admin", "offboard", "hugo@other.example", "--yes"), "user_other, who is no member any more")
	err = w.app(t.Context(), io.Discard, io.Discard).run([]string{"--config", w.config, "admin", "offboard", "Hugo Petit", "--yes"})
	require.EqualError(t, err, `"Hugo Petit" is the name of 2 who were removed: give the id of one: user_other (hugo@other.example), `+
		id+" (hugo.petit@acme-robotics.example)")
}

// TestRemovedBefore names again what a run before removed, or was cut off while removing: that is no reason to leave
// the others undone.
func TestRemovedBefore(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, database, punctual(fullHour()), "")
			w.monitor("admin", "members", "remove", "Jon Berg", "--yes")
			w.monitor("admin", "invites", "delete", "lea.roy@partner.example", "--yes")
			w.monitor("admin", "workspaces", "members", "remove", "research", "Iris Novak", "--yes")
			store := w.open()
			orgs, err := store.Organizations(t.Context())
			require.NoError(t, err)
			_, err = store.BeginAdmin(t.Context(), storage.AdminEntry{
				Organization: orgs[0].ID, StartedAt: time.Now(), Action: admin.MemberRemove, TargetID: "user_cut", TargetName: "cut@acme-robotics.example",
			})
			require.NoError(t, err)
			entry, err := store.BeginAdmin(t.Context(), storage.AdminEntry{
				Organization: orgs[0].ID, StartedAt: time.Now(), Action: admin.MemberRemove, TargetID: "user_else", TargetName: "else@acme-robotics.example",
			})
			require.NoError(t, err)
			require.NoError(t, store.FinishAdmin(t.Context(), entry, "", storage.AdminOutcome{Outcome: storage.AdminRefused, Error: "users: 404 not_found"}))
			require.NoError(t, store.Close())

			outcomes := func(args ...string) (all []string) {
				for _, row := range w.list(append(args, "--yes")...) {
					all = append(all, row["target"].(string)+": "+row["outcome"].(string))
				}
				return all
			}
			require.Equal(t, []string{
				"jon.berg@acme-robotics.example: nothing to do", "cut@acme-robotics.example: nothing to do",
				"else@acme-robotics.example: nothing to do", "hugo.petit@acme-robotics.example: done",
			}, outcomes("admin", "members", "remove", "Jon Berg", "user_cut", "user_else", "jon.berg@acme-robotics.example", "Hugo Petit"))
			require.Regexp(t, `cut@\S+ +user_cut +removed +nothing to do: is gone; the admin log has its removal at .* UTC: started`,
				w.monitor("admin", "members", "remove", "user_cut", "--dry-run"))
			require.Equal(t, []string{"lea.roy@partner.example: nothing to do", "kim.sato@acme-robotics.example: done"},
				outcomes("admin", "invites", "delete", "lea.roy@partner.example", "kim.sato@acme-robotics.example"))
			require.Equal(t, []string{"iris.novak@freelance.example in research: nothing to do"},
				outcomes("admin", "workspaces", "members", "remove", "research", "Iris Novak"))
			require.Contains(t, w.monitor("admin", "offboard", "cut@acme-robotics.example", "--yes"), "user_cut, who is no member any more")
			require.Contains(t, w.monitor("admin", "offboard", "lea.roy@partner.example", "--yes"), "who was invited and is no member")

			for _, args := range [][]string{
				{"members", "remove", "nobody"}, {"members", "update", "Jon Berg", "--role", "user"},
				{"workspaces", "members", "remove", "production", "Iris Novak"}, {"offboard", "nobody"},
			} {
				err := w.app(t.Context(), io.Discard, io.Discard).run(append([]string{"--config", w.config, "admin"}, append(args, "--yes")...))
				require.ErrorContains(t, err, "there is no member", args)
			}
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
