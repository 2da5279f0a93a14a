package report_test

import (
	"bytes"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func runClaudeCode(t *testing.T, store storage.Store, query string) report.ClaudeCodeAnswer {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	p, err := report.ParseClaudeCode(values, reporttest.Now)
	require.NoError(t, err)
	a, err := report.RunClaudeCode(t.Context(), store, p)
	require.NoError(t, err)
	return a
}

func TestClaudeCodeFormats(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	a := runClaudeCode(t, store, "by=actor,day")
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 120))
	b.WriteString("\n")
	require.NoError(t, runClaudeCode(t, store, "by=model").WriteTable(&b, 120))
	b.WriteString("\n")
	require.NoError(t, a.WriteMarkdown(&b))
	b.WriteString("\n")
	require.NoError(t, runClaudeCode(t, store, "by=actor,model").WriteCSV(&b))
	b.WriteString("\n")
	require.NoError(t, a.WriteJSON(&b))
	golden.Check(t, "claude_code.txt", b.Bytes())
}

func TestClaudeCode(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, tt := range []struct {
		query    string
		rows     int
		sessions int64
		cost     spend.Money
	}{
		{"", 1, 4, 130 * spend.Cent},
		{"by=actor", 2, 4, 130 * spend.Cent},
		{"by=model", 2, 0, 130 * spend.Cent},
		{"by=terminal,customer_type", 2, 4, 130 * spend.Cent},
		{"by=day", 1, 4, 130 * spend.Cent},
		{"actor=ci", 1, 1, 5 * spend.Cent},
		{"actor=ada*", 1, 3, 125 * spend.Cent},
		{"model=" + reporttest.Haiku, 1, 0, 5 * spend.Cent},
		{"model=*", 1, 4, 130 * spend.Cent},
		{"actor=ada*&model=" + reporttest.Haiku, 0, 0, 0},
		{"terminal=vscode", 1, 3, 125 * spend.Cent},
		{"organization=beta", 0, 0, 0},
		{"from=2026-11-21&to=2026-11-22", 1, 4, 130 * spend.Cent},
		{"from=2026-11-20&to=2026-11-21", 0, 0, 0},
	} {
		a := runClaudeCode(t, store, tt.query)
		require.Len(t, a.Rows, tt.rows, tt.query)
		require.Equal(t, tt.sessions, a.Total.Sessions, tt.query)
		require.Equal(t, tt.cost, a.Total.Cost, tt.query)
	}
	require.Equal(t, reporttest.At(22, 0), runClaudeCode(t, store, "").AsOf)
}

// Nobody is named unless it is asked who, and its cost is nowhere else.
func TestClaudeCodeKeepsApart(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, query := range []string{"", "by=model", "by=day,terminal", "actor=ada*"} {
		var b bytes.Buffer
		a := runClaudeCode(t, store, query)
		require.NoError(t, a.WriteJSON(&b))
		require.NoError(t, a.WriteTable(&b, 0))
		require.NoError(t, a.WriteCSV(&b))
		require.NotContains(t, b.String(), "acme.example", query)
	}
	before := run(t, store, report.Costs, "from=2026-10-01").Total
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	require.NoError(t, owner.ReplaceClaudeCode(t.Context(), reporttest.At(20, 0), []spend.ClaudeCode{{
		Day: reporttest.At(20, 0), ActorType: "user_actor", Actor: "eve@acme.example", Sessions: 1,
		Models: []spend.ClaudeCodeModel{{Model: reporttest.Sonnet, Cost: 1000 * spend.Dollar}},
	}}))
	require.NoError(t, owner.Release())
	require.Equal(t, before, run(t, store, report.Costs, "from=2026-10-01").Total)
	require.Equal(t, 1000*spend.Dollar+130*spend.Cent, runClaudeCode(t, store, "").Total.Cost)
}

func TestParseClaudeCodeRefuses(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"by=workspace":                  `unknown dimension "workspace" in by for Claude Code (organization, actor, model, customer_type, terminal, day)`,
		"workspace=a":                   `unknown parameter "workspace" for Claude Code (from, to, by, and filters by organization, actor,`,
		"step=day":                      `unknown parameter "step"`,
		"from=never":                    `from: "never" is neither a date`,
		"from=2026-11-02&to=2026-11-01": "must be before to",
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, err = report.ParseClaudeCode(values, reporttest.Now)
		require.ErrorContains(t, err, want)
	}
}
