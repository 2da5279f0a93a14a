package main

import (
	"io"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

func TestGiveBack(t *testing.T) {
	self, err := procfs.Self()
	require.NoError(t, err)
	mapped := func() uint64 {
		status, err := self.NewStatus()
		require.NoError(t, err)
		return status.RssFile
	}
	before := mapped()
	unmapProgram()
	require.Less(t, mapped(), before/2, "what is mapped of the program's file")
	giveBack()
	a := app{ctx: t.Context(), getenv: environment{}.get, stdout: io.Discard, stderr: io.Discard}
	require.NoError(t, a.run([]string{"sim", "--help"}), "what was unmapped is there again when it is used")
}
