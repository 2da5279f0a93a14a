package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secrets are patterns of what must never be in the repository, not even as an example: a scanner
// cannot tell an example from the real thing.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`sk-ant-[a-z]+[0-9]{2}-[A-Za-z0-9_-]{20,}`),                      // keys of the API
	regexp.MustCompile(`xox[a-z]-[A-Za-z0-9-]{10,}`),                                    // Slack tokens
	regexp.MustCompile(`hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/\w{16}`), // Slack webhooks
	regexp.MustCompile(`whsec_[A-Za-z0-9+/]{24,}`),                                      // webhook signing keys
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`),
}

// machinePaths are where people keep their checkouts; such a path is true on one machine only.
var machinePaths = regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])(/home/\w+/|/Users/\w+/|/root/)`)

// notOurs are files that .gitignore keeps out, where an operator's secrets may well be.
var notOurs = []string{".git", "bin", "node_modules", "monitor.yaml", "web.yml", "cover.out"}

func TestNoSecrets(t *testing.T) {
	t.Parallel()
	files := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(notOurs, d.Name()) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || slices.Contains(notOurs, d.Name()) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(text, 0) >= 0 { // not text
			return err
		}
		files++
		for _, problem := range leaks(string(text)) {
			t.Errorf("%s: %s", strings.TrimPrefix(filepath.ToSlash(path), "../../"), problem)
		}
		return nil
	}))
	require.Greater(t, files, 50, "the walk must have seen the repository")
}

func TestLeaks(t *testing.T) {
	t.Parallel()
	// Put together here, so that this file itself is clean.
	for _, text := range []string{
		"sk-ant-" + "admin01-" + strings.Repeat("aB3_", 6),
		"key: sk-ant-" + "api03-" + strings.Repeat("x", 20) + ".",
		"xox" + "b-1234567890-abc",
		"https://hooks.slack" + ".com/services/T00000000/B00000000/" + strings.Repeat("X", 24),
		"whsec" + "_" + strings.Repeat("a", 32),
		"-----BEGIN RSA " + "PRIVATE KEY-----",
		"see /home" + "/jo/monitor",
		"path=/ro" + "ot/x",
	} {
		require.Len(t, leaks(text), 1, text)
	}
	for _, text := range []string{"sk-ant-api03-R2D...igAA", "sk-ant-admin01-…", "/v1/ro" + "ot/x", "xoxb-"} {
		require.Empty(t, leaks(text), text)
	}
}

// leaks lists what the text holds that it should not. It does not repeat a secret.
func leaks(text string) []string {
	var problems []string
	for n, line := range strings.Split(text, "\n") {
		for _, s := range secrets {
			if s.MatchString(line) {
				problems = append(problems, fmt.Sprintf("line %d matches %s", n+1, s))
			}
		}
		if m := machinePaths.FindStringSubmatch(line); m != nil {
			problems = append(problems, fmt.Sprintf("line %d names a path of one machine: %s", n+1, m[2]))
		}
	}
	return problems
}
