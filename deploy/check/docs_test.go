package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocs checks docs/deploy.md against what it is about: commands of the program, files, and blocks of YAML.
func TestDocs(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/deploy.md")
	commands := regexp.MustCompile(`(?m)^(?:sudo )?monitor (.*)$`).FindAllStringSubmatch(text, -1)
	commands = append(commands, regexp.MustCompile(`/usr/local/bin/monitor (.*)`).FindAllStringSubmatch(text, -1)...)
	commands = append(commands, regexp.MustCompile(`anthropic-monitor:local (demo[^#\n]*)`).FindAllStringSubmatch(text, -1)...)
	require.Greater(t, len(commands), 5)
	for _, c := range commands {
		if strings.HasPrefix(c[1], "/") {
			continue // where it is installed to
		}
		programTakes(t, strings.Fields(c[1]))
	}
	files := regexp.MustCompile(`\bdeploy/[\w/.-]*\w`).FindAllString(text, -1)
	require.NotEmpty(t, files)
	for _, name := range files {
		_, err := os.Stat(filepath.Join(root, name))
		require.NoError(t, err)
	}

	blocks := regexp.MustCompile("(?s)```yaml\n(# values.yaml.*?)```").FindAllStringSubmatch(text, -1)
	require.Len(t, blocks, 1)
	c, err := render(t, blocks[0][1])
	require.NoError(t, err)
	c.check(t)
}
