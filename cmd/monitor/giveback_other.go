//go:build !linux

package main

// unmapProgram is for Linux: other systems do it by themselves, or have no way to ask for it.
func unmapProgram() {}
