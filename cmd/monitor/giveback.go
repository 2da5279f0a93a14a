package main

import "runtime/debug"

// giveBack returns memory to the system that was only needed for what is over: garbage, and what is
// mapped of the program's own file (of which a start uses far more than a tick does). It costs
// milliseconds and is worth it before a pause.
func giveBack() {
	debug.FreeOSMemory()
	unmapProgram()
}
