package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// TestReproducible builds the program as it is released in two places, homes and time zones: both must be the
// same to the byte. That compiling anew changes nothing either is shown by make reproducible, which takes minutes.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles everything once more")
	}
	t.Parallel()
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "../../scripts/reproducible")
	cmd.Env = append(os.Environ(), "REPRODUCIBLE_CACHE="+strings.TrimSpace(string(cache)))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `^[0-9a-f]{64} `, string(out))
}

// TestReleaseConfiguration checks that releases are built so that they can be built again, for the
// systems that scripts/release-build tries, with what there is to put beside the program.
func TestReleaseConfiguration(t *testing.T) {
	t.Parallel()
	var c struct {
		Builds []struct {
			Main, Binary      string
			Env, Goos, Goarch []string
			Flags, Ldflags    []string
			ModTimestamp      string `yaml:"mod_timestamp"`
		}
		Archives []struct {
			Files []struct{ Src string }
		}
		Before struct{ Hooks []string }
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &c))
	require.Len(t, c.Builds, 1)
	b := c.Builds[0]
	require.Equal(t, "./cmd/monitor", b.Main)
	require.Equal(t, "monitor", b.Binary)
	require.Equal(t, []string{"CGO_ENABLED=0"}, b.Env)
	require.Equal(t, []string{"-trimpath"}, b.Flags)
	require.Equal(t, "{{ .CommitTimestamp }}", b.ModTimestamp)
	require.Len(t, b.Ldflags, 1)

	script := read(t, "scripts/release-build")
	targets := regexp.MustCompile(`\{([a-z,]+)\}/\{([a-z0-9,]+)\}`).FindStringSubmatch(script)
	require.Len(t, targets, 3)
	require.Equal(t, b.Goos, strings.Split(targets[1], ","))
	require.Equal(t, b.Goarch, strings.Split(targets[2], ","))
	flags := strings.ReplaceAll(b.Ldflags[0], "{{ .Version }}", "$version")
	require.Contains(t, script, `CGO_ENABLED=0 GOOS=$system GOARCH=$processor go build -trimpath -ldflags "`+flags+`"`)
	require.Contains(t, flags, "-X main.version=", "the variable of version.go")

	require.Contains(t, c.Before.Hooks, "scripts/release-files {{ .Version }}")
	var files []string
	for _, f := range c.Archives[0].Files {
		files = append(files, f.Src)
		if strings.HasPrefix(f.Src, "dist-files/") {
			name := strings.TrimSuffix(f.Src, "*")
			require.Contains(t, read(t, "scripts/release-files"), name, "what writes it")
			continue
		}
		_, err := os.Stat(filepath.Join("../..", f.Src))
		require.NoError(t, err)
	}
	for _, name := range []string{"README.md", "LICENSE", "config.example.yaml", "dist-files/monitor.1", "dist-files/completions/*"} {
		require.True(t, slices.Contains(files, name), "%s is not in the archives", name)
	}
}
