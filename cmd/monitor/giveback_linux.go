package main

import (
	"os"
	"syscall"

	"github.com/prometheus/procfs"
)

// unmapProgram has the system take the pages of the program's file out of the process, code and
// read-only data: nothing is lost by it, as they stay in the system's cache, or are read again from
// the file, when they are used again. Where the system does not let it, all stays as it was.
func unmapProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	self, err := procfs.Self()
	if err != nil {
		return
	}
	maps, err := self.ProcMaps()
	if err != nil {
		return
	}
	for _, m := range maps {
		if m.Pathname == program && m.Perms.Read && m.Perms.Private && !m.Perms.Write {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.StartAddr, m.EndAddr-m.StartAddr, syscall.MADV_DONTNEED)
		}
	}
}
