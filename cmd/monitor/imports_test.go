package main

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/anthropic-monitor/monitor"

// allowed says which of our packages each package may import. It is the map of the code: a package
// without a line here fails the test, and so does a line without a package.
var allowed = map[string]string{
	"internal/spend":   "",
	"internal/config":  "",
	"internal/sim":     "",
	"internal/pricing": "spend config",

	"internal/forecast": "spend",

	"internal/adminapi": "spend config",

	"internal/storage":          "spend",
	"internal/storage/sqlite":   "storage spend",
	"internal/storage/postgres": "storage spend",
	"internal/team":             "storage spend",
	"internal/report":           "storage forecast pricing spend team",
	"internal/chart":            "spend",

	// These four meet only in cmd/monitor.
	"internal/alerts":    "chart config report spend storage",
	"internal/collector": "adminapi storage pricing spend config team",
	"internal/metrics":   "report storage spend team",
	"internal/web":       "report forecast storage spend config pricing team",

	"internal/audit":  "report storage spend config",
	"internal/export": "metrics report storage spend team",
	"internal/admin":  "adminapi storage spend config",

	"cmd/monitor": "admin adminapi alerts audit collector config export forecast metrics pricing report sim spend storage storage/postgres storage/sqlite team web",

	// Only tests import these.
	"internal/dashboards":          "",
	"internal/golden":              "",
	"internal/pgtest":              "",
	"internal/report/reporttest":   "storage storage/sqlite spend",
	"internal/storage/storagetest": "storage spend",
}

// confined lists modules that only the named packages may import.
var confined = map[string]string{
	"modernc.org/sqlite":                     "internal/storage/sqlite",
	"github.com/jackc/pgx":                   "internal/storage/postgres internal/pgtest",
	"github.com/anthropics/anthropic-sdk-go": "internal/adminapi",
	"github.com/alecthomas/kong":             "cmd/monitor",
	"github.com/slack-go/slack":              "internal/alerts",
	"github.com/wneessen/go-mail":            "internal/alerts",
	"github.com/go-analyze/charts":           "internal/chart",
	"testing":                                "internal/golden internal/pgtest internal/report/reporttest internal/storage/storagetest",
}

// TestImports checks the imports of product code; tests may use sim, golden, pgtest and a store
// from anywhere.
func TestImports(t *testing.T) {
	t.Parallel()
	packages := listImports(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(allowed)), slices.Collect(maps.Keys(packages)),
		"the table must have a line for each package, and no others")
	for pkg, imports := range packages {
		for _, imported := range imports {
			require.True(t, mayImport(pkg, imported), "%s must not import %s", pkg, imported)
		}
	}
}

func TestMayImport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pkg, imported string
		want          bool
	}{
		{"internal/web", module + "/internal/storage", true},
		{"internal/web", module + "/internal/collector", false},
		{"internal/web", module + "/internal/storage/sqlite", false},
		{"internal/spend", module + "/internal/config", false},
		{"internal/storage/sqlite", "modernc.org/sqlite/lib", true},
		{"internal/storage", "modernc.org/sqlite", false},
		{"internal/collector", "github.com/jackc/pgx/v5/pgxpool", false},
		{"internal/sim", "testing", false},
		{"internal/sim", "testing/iotest", false},
		{"internal/golden", "testing", true},
		{"cmd/monitor", module + "/internal/golden", false},
		{"cmd/monitor", "github.com/alecthomas/kong", true},
		{"internal/config", "fmt", true},
	} {
		require.Equal(t, c.want, mayImport(c.pkg, c.imported), "%s imports %s", c.pkg, c.imported)
	}
}

// mayImport reports whether the tables let the package import what it imports.
func mayImport(pkg, imported string) bool {
	if ours, ok := strings.CutPrefix(imported, module+"/internal/"); ok {
		return slices.Contains(strings.Fields(allowed[pkg]), ours)
	}
	for mod, users := range confined {
		if imported == mod || strings.HasPrefix(imported, mod+"/") {
			return slices.Contains(strings.Fields(users), pkg)
		}
	}
	return true
}

// listImports maps each package of the module, by its folder, to what its product code imports.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err, "go list")
	packages := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		packages[strings.TrimPrefix(fields[0], module+"/")] = fields[1:]
	}
	return packages
}
