package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

// version is set by the release build (-ldflags "-X main.version=…"); else the module's own is used.
var version string

// revision is the commit, set by builds that see no repository, such as that of the container image.
var revision string

// buildInfo says what this binary is, as far as the build recorded it.
func buildInfo() (release, commit, goVersion string) {
	release, commit = version, revision
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(release, "unknown"), cmp.Or(commit, "unknown"), "unknown"
	}
	if release == "" && info.Main.Version != "(devel)" {
		release = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if commit != "" {
		commit += dirty
	}
	return cmp.Or(release, "devel"), cmp.Or(commit, "unknown"), info.GoVersion
}

type versionCmd struct {
	Format string `enum:"text,json" default:"text" help:"Output as ${enum}."`
}

// Run prints one line, or the same for programs.
func (c versionCmd) Run(a *app) error {
	release, commit, goVersion := buildInfo()
	if c.Format == "json" {
		return printJSON(a, struct {
			Version string `json:"version"`
			Commit  string `json:"commit"`
			Go      string `json:"go_version"`
		}{release, commit, goVersion})
	}
	_, err := fmt.Fprintf(a.stdout, "monitor %s (commit %s, %s)\n", release, commit, goVersion)
	return err
}
