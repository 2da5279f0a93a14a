package main

import (
	"database/sql"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

var metricName = regexp.MustCompile(`\banthropic_[a-z0-9_]+\b`)

// TestDocumentedMetrics checks that the reference lists the metrics of the code and no others, that
// each has the type and labels it is exposed with, and that no other document invents one.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	documented := metricsReference(t)
	require.Equal(t, metricsInCode(t), slices.Sorted(maps.Keys(documented)), "docs/metrics.md against the code")

	for name, exposed := range metricsInGolden(t) {
		require.Equal(t, exposed, documented[name], "docs/metrics.md against the golden file: %s", name)
	}

	for _, file := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/metrics.md", "docs/sql.md", "docs/export.md", "docs/grafana.md"} {
		for _, name := range metricName.FindAllString(read(t, file), -1) {
			if !strings.HasSuffix(name, "_") { // "anthropic_" and "anthropic_monitor_" stand for all of them
				require.Contains(t, documented, name, "%s names a metric that does not exist", file)
			}
		}
	}
}

// TestDocumentedViews checks that docs/sql.md lists the views of the store with their columns. The
// views that carry no promise are parts of the others.
func TestDocumentedViews(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "monitor.db")
	store, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, store.Close())
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()

	signature := regexp.MustCompile(`(?m)^(\w+)\(([^)]*)\)$`)
	views := signature.FindAllStringSubmatch(read(t, "docs/sql.md"), -1)
	require.NotEmpty(t, views)
	for _, m := range views {
		columns := regexp.MustCompile(`\w+`).FindAllString(m[2], -1)
		if strings.HasPrefix(m[1], "cost_") {
			columns = append(columns, "cost_nano", "list_nano") // SQLite's own
		}
		if m[1] == "api_key_audit" {
			columns = append(columns, "cost_nano_30d")
		}
		require.Equal(t, columns, columnsOf(t, db, m[1]), m[1])
	}
}

// TestDocumentedQueries runs the queries of docs/sql.md, each on the databases that the comment above it names,
// and without a name on both.
func TestDocumentedQueries(t *testing.T) {
	t.Parallel()
	lite := newWorld(t, "sqlite", sim.Options{}, "")
	post := newWorld(t, "postgres", sim.Options{}, "")
	databases := map[string]*sql.DB{}
	for name, w := range map[string]*world{"SQLite": lite, "PostgreSQL": post} {
		require.NoError(t, w.open().Close()) // which makes the tables
		driver, source := "sqlite", w.sqlite
		if w.dbURL != "" {
			driver, source = "pgx", w.dbURL
		}
		db, err := sql.Open(driver, source)
		require.NoError(t, err)
		defer db.Close()
		databases[name] = db
	}
	n := 0
	for _, block := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(read(t, "docs/sql.md"), -1) {
		for query := range strings.SplitSeq(strings.TrimSpace(block[1]), ";") {
			for name, db := range databases {
				named := strings.Contains(query, "SQLite") || strings.Contains(query, "PostgreSQL")
				if strings.TrimSpace(query) == "" || named && !strings.Contains(query, name) {
					continue
				}
				n++
				rows, err := db.QueryContext(t.Context(), query)
				require.NoError(t, err, "%s: %s", name, query)
				for rows.Next() { // without rows in the tables: the query is read and run
				}
				require.NoError(t, rows.Err(), "%s: %s", name, query)
				require.NoError(t, rows.Close())
			}
		}
	}
	require.Equal(t, 6, n)
}

func columnsOf(t *testing.T, db *sql.DB, view string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "select * from "+view)
	require.NoError(t, err, view)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	require.NoError(t, rows.Err())
	return columns
}

// TestDocumentedDependencies checks that every direct dependency has its reason, and no other has.
func TestDocumentedDependencies(t *testing.T) {
	t.Parallel()
	var direct []string
	for line := range strings.Lines(read(t, "go.mod")) {
		if m := regexp.MustCompile(`^(?:require )?\t?([a-z0-9.]+\.[a-z]+/\S+) v\S+\n$`).FindStringSubmatch(line); m != nil {
			direct = append(direct, m[1])
		}
	}
	require.NotEmpty(t, direct)
	var explained []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\|").FindAllStringSubmatch(read(t, "docs/adr/0002-dependencies.md"), -1) {
		explained = append(explained, m[1])
	}
	require.ElementsMatch(t, direct, explained, "go.mod against docs/adr/0002-dependencies.md")
}

// exposition is how a metric is exposed. Labels are sorted, without organization, which all have
// that are about one.
type exposition struct {
	Type   string
	Labels []string
}

// metricsReference reads the tables of docs/metrics.md.
func metricsReference(t *testing.T) map[string]exposition {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\| `(anthropic_[a-z0-9_]+)` \\| (\\w+)(?:, 1)? \\| ([^|]*)\\|")
	metrics := map[string]exposition{}
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		require.NotContains(t, metrics, m[1], "documented twice")
		metrics[m[1]] = exposition{m[2], labels(regexp.MustCompile("`(\\w+)`"), m[3])}
	}
	return metrics
}

// metricsInCode lists the metric names that product code spells; the dashboards only ask for them.
func metricsInCode(t *testing.T) []string {
	t.Helper()
	literal := regexp.MustCompile(`"(anthropic_[a-z0-9_]+)"`)
	names := map[string]bool{}
	for _, dir := range []string{"../../internal", "../../cmd"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) == "dashboards" {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range literal.FindAllSubmatch(text, -1) {
				names[string(m[1])] = true
			}
			return err
		}))
	}
	return slices.Sorted(maps.Keys(names))
}

// metricsInGolden reads what the metrics of stored data look like from their golden file.
func metricsInGolden(t *testing.T) map[string]exposition {
	t.Helper()
	text := read(t, "internal/metrics/testdata/metrics.txt")
	metrics := map[string]exposition{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (anthropic_\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		samples := regexp.MustCompile(`(?m)^`+m[1]+`\{.*\}`).FindAllString(text, -1)
		metrics[m[1]] = exposition{m[2], labels(regexp.MustCompile(`[{,](\w+)="`), strings.Join(samples, "\n"))}
	}
	require.NotEmpty(t, metrics)
	return metrics
}

// labels lists what the pattern finds, once each.
func labels(pattern *regexp.Regexp, text string) []string {
	found := map[string]bool{}
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	delete(found, "organization")
	delete(found, "le")
	return slices.Sorted(maps.Keys(found))
}

// read is a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	require.NoError(t, err)
	return string(text)
}
