package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const unit = "deploy/systemd/monitor.service"

// mostExposed is what `systemd-analyze security` may say of the unit, of 10: what is left is the network, which it
// is for, and the system's own root.
const mostExposed = 1.5

// TestUnit has systemd verify the unit, with the program where the unit says, and rate how it is shut in.
func TestUnit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := read(t, unit)
	program := regexp.MustCompile(`(?m)^ExecStart=(\S+) (.*)$`).FindStringSubmatch(text)
	require.Len(t, program, 3)
	file := filepath.Join(dir, "monitor.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(text, "ExecStart="+program[1], "ExecStart="+monitor, 1)), 0o600))
	require.Empty(t, output(t, dir, "systemd-analyze", "verify", "--man=no", file))
	programTakes(t, strings.Fields(program[2]))

	out := output(t, dir, "systemd-analyze", "security", "--offline=true", file)
	exposure := regexp.MustCompile(`Overall exposure level for monitor.service: ([0-9.]+)`).FindStringSubmatch(out)
	require.Len(t, exposure, 2, out)
	points, err := strconv.ParseFloat(exposure[1], 64)
	require.NoError(t, err)
	require.LessOrEqual(t, points, mostExposed, out)
}

// TestUnitConfig checks the configuration beside the unit, and that it keeps to what the unit hands out.
func TestUnitConfig(t *testing.T) {
	t.Parallel()
	text, config := read(t, unit), read(t, "deploy/systemd/monitor.yaml")
	require.NoError(t, checkConfig(config))
	credential := regexp.MustCompile(`(?m)^LoadCredential=([\w-]+):`).FindStringSubmatch(text)
	require.Len(t, credential, 2)
	require.Contains(t, config, "file:/run/credentials/monitor.service/"+credential[1])
	state := regexp.MustCompile(`(?m)^StateDirectory=(\S+)$`).FindStringSubmatch(text)
	require.Len(t, state, 2)
	require.Contains(t, config, "path: /var/lib/"+state[1]+"/")
}
