package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the folder of the repository.
const root = "../.."

// monitor is the program, built from the repository.
var monitor string

func TestMain(m *testing.M) { os.Exit(tests(m)) }

func tests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "monitor-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	monitor = filepath.Join(dir, "monitor")
	build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version=v9.9.9-check -X main.revision=0123abc", "-o", monitor, "./cmd/monitor")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the program:", err)
		return 1
	}
	return m.Run()
}

// read is the text of a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(b)
}

// output runs a program that must succeed.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// checkConfig has the program check a configuration, with nothing in its environment.
func checkConfig(text string) error {
	dir, err := os.MkdirTemp("", "monitor-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "monitor.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(monitor, "--config", file, "check")
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s\n%s", err, out, text)
	}
	return nil
}

func TestCheckConfigCanFail(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, checkConfig("storage: {sqlit: {}}\n"), "storage.sqlit")
	require.NoError(t, checkConfig("storage: {sqlite: {path: a.db}}\n"))
}
