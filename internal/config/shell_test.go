package config_test

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
)

// TestShellWord has a shell read the words back.
func TestShellWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"ada@acme.example": "ada@acme.example", "Acme Robotics": "'Acme Robotics'", "": "''",
		"$(touch x)`id`": "'$(touch x)`id`'", `it's "so" \`: `'it'\''s "so" \'`, "status=*": "'status=*'",
	} {
		require.Equal(t, want, config.ShellWord(word))
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+config.ShellWord(word)).Output()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	}
}
