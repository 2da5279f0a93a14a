package pgtest

import "syscall"

// dieWithParent has the kernel end the server (immediate shutdown) when the test binary dies.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
