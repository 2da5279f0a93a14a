package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// secretKey is the admin key in the scripts; no output may show it.
const secretKey = "an-admin-key-that-nobody-may-see"

// TestScripts runs the scripts under testdata/script. Each has a simulated organization at $API
// that knows the admin key in $ADMIN_KEY, an address $LISTEN of its own, a configuration
// monitor.yaml of these, and one, sim.yaml, whose API is at $LISTEN; logfile.yaml, nologfile.yaml and
// nodb.yaml are monitor.yaml with a log file, one that cannot be made, and such a database. Beside testscript's commands there are:
//
//	exits CODE program args…   run it; it must end with the code and show no key
//	await PATH STATUS          wait until the daemon at $LISTEN answers so
//	terminate                  send SIGTERM to all programs in the background
//	accept ADDRESS             the invited person accepts
//	hides                      what the last wait or exec printed must show no key
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               func(env *testscript.Env) error { return setUpScript(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "await": await, "terminate": terminate, "accept": accept,
			"hides": func(ts *testscript.TestScript, _ bool, _ []string) { hides(ts) },
		},
	})
}

func setUpScript(t *testing.T, env *testscript.Env) error {
	now := fullHour()
	o := punctual(now)
	o.Keys = []string{secretKey}
	org := sim.New(o)
	env.Values["org"] = org
	server := httptest.NewServer(org.Handler())
	env.Defer(func() {
		server.Close()
		require.Empty(t, filesWith(t, env.WorkDir, secretKey), "files that hold the admin key")
	})
	listen := freeAddress(t)
	for name, value := range map[string]string{
		"API": server.URL, "LISTEN": listen, "HOME": env.WorkDir,
		"ADMIN_KEY": secretKey, "WORKSPACE_KEY": sim.WorkspaceKey,
		"TZ": os.Getenv("TZ"), "YESTERDAY": now.AddDate(0, 0, -1).Format(time.DateOnly), "TODAY": now.Format(time.DateOnly),
	} {
		env.Setenv(name, value)
	}
	config := fmt.Sprintf("organizations: [{admin_key: ${ADMIN_KEY}, base_url: %q}]\nstorage: {sqlite: {path: monitor.db}}\n"+
		"web: {listen: %q}\nbackfill: 2d\n", server.URL, listen)
	ofSim := fmt.Sprintf("organizations: [{admin_key: ${ADMIN_KEY}, base_url: \"http://%s\"}]\nstorage: {sqlite: {path: sim.db}}\n", listen)
	for name, text := range map[string]string{
		"logfile":   config + "admin: {log_file: admin.jsonl}\n",
		"nologfile": config + "admin: {log_file: nowhere/admin.jsonl}\n",
		"nodb":      strings.Replace(config, "path: monitor.db", "path: monitor.yaml/no.db", 1),
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name+".yaml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(filepath.Join(env.WorkDir, "monitor.yaml"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(env.WorkDir, "sim.yaml"), []byte(ofSim), 0o600))
}

// filesWith lists the files below the directory that hold the text.
func filesWith(t *testing.T, dir, text string) (found []string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), text) {
			found = append(found, path)
		}
		return err
	}))
	return found
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	hides(ts)
}

func hides(ts *testscript.TestScript) {
	for _, file := range []string{"stdout", "stderr"} {
		for _, secret := range []string{secretKey, sim.WorkspaceKey} {
			if strings.Contains(ts.ReadFile(file), secret) {
				ts.Fatalf("%s shows the key %s", file, secret)
			}
		}
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await PATH STATUS")
	}
	url := "http://" + ts.Getenv("LISTEN") + args[0]
	last := "no answer"
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-ticker.C {
		r, err := http.Get(url) //nolint:gosec,noctx // an address of this test
		if err != nil {
			continue
		}
		r.Body.Close()
		if last = strconv.Itoa(r.StatusCode); last == args[1] {
			return
		}
	}
	ts.Fatalf("%s answers %s, want %s", url, last, args[1])
}

func accept(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: accept ADDRESS")
	}
	if !ts.Value("org").(*sim.Org).Accept(args[0]) {
		ts.Fatalf("there is no pending invite for %s", args[0])
	}
}

func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}
