package report_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestUSD(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0": "0.00", "0.000000001": "<0.01", "-0.004": "-<0.01", "0.005": "0.01", "1.2345": "1.23", "999.995": "1,000.00",
		"-1234567.891": "-1,234,567.89",
	} {
		m, err := spend.ParseUSD(in)
		require.NoError(t, err)
		require.Equal(t, want, report.USD(m), in)
	}
}

// A model without a known price must not look free.
func TestNoPrice(t *testing.T) {
	t.Parallel()
	require.Equal(t, "no price", report.Figures{Unpriced: 5}.USD())
	require.Equal(t, "0.01", report.Figures{Unpriced: 5, Cost: spend.Cent}.USD())
	require.Equal(t, "0.00", report.Figures{}.USD())
}

func TestCount(t *testing.T) {
	t.Parallel()
	for in, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -100: "-100", -1234567: "-1,234,567"} {
		require.Equal(t, want, report.Count(in))
	}
}

// costs is an answer with what is hard to write: long names, a name with control characters, use
// without a key, mixed bases, another list price.
func costs() report.Answer {
	row := func(day int, workspace, key string, f report.Figures) report.Row {
		return report.Row{
			Start: at(day, 0), End: at(day+1, 0), OrganizationID: "o", Organization: "acme", Workspace: workspace, APIKey: key, Figures: f,
		}
	}
	a := report.Answer{
		Params: report.Params{
			Kind: report.Costs, Step: report.StepDay, From: at(20, 0), To: at(22, 0),
			By: []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey},
		},
		AsOf: now, Window: spend.Window{Start: at(20, 0), End: at(22, 0)},
		Rows: []report.Row{
			row(20, "Default", "", report.Figures{Cost: 1234*spend.Dollar + 5_678_901, List: 1300 * spend.Dollar, Basis: spend.Allocated}),
			row(20, "evil\x1b[2Jname | with *stars*", report.Unattributed, report.Figures{
				Cost: 3 * spend.Cent, List: 3 * spend.Cent, Basis: spend.Billed,
			}),
			row(21, "a workspace with a very long name indeed, longer than most", "key", report.Figures{
				Cost: 1, List: 1, Basis: spend.Estimated, Unpriced: 12_345, Uncertain: true,
			}),
		},
	}
	for _, r := range a.Rows {
		a.Total.Add(r.Figures)
	}
	return a
}

func usage() report.Answer {
	a := report.Answer{
		Params: report.Params{Kind: report.Usage, Step: report.StepHour, By: []spend.Dimension{spend.ByModel}},
		Window: spend.Window{Start: at(20, 1), End: at(20, 3)},
	}
	for i, c := range []spend.Counts{{1234567, 89, 1000, 500, 999_950, 0}, {12, 1_234_567_890_123, 3, 4, 5, 6}} {
		a.Rows = append(a.Rows, report.Row{
			Start: at(20, 1+i), End: at(20, 2+i), OrganizationID: string(rune('o' + i)), Organization: "org",
			Dims:    spend.Dims{Model: "claude-sonnet-5-5-20260901"},
			Figures: report.Figures{Counts: c, Requests: 7},
		})
		a.Total.Add(a.Rows[i].Figures)
	}
	return a
}

func TestWrite(t *testing.T) {
	t.Parallel()
	empty := report.Answer{
		Params: report.Params{Kind: report.Costs, Step: report.StepTotal},
		Window: spend.Window{Start: at(1, 0), End: at(2, 0)},
	}
	var b bytes.Buffer
	write := func(name string, err error) {
		require.NoError(t, err)
		golden.Check(t, name, b.Bytes())
		b.Reset()
	}
	write("costs.txt", costs().WriteTable(&b, 0))
	write("costs_80.txt", costs().WriteTable(&b, 80))
	write("costs.md", costs().WriteMarkdown(&b))
	write("costs.csv", costs().WriteCSV(&b))
	write("costs.json", costs().WriteJSON(&b))
	write("usage_80.txt", usage().WriteTable(&b, 80))
	write("usage.csv", usage().WriteCSV(&b))
	write("usage.json", usage().WriteJSON(&b))
	write("empty.txt", empty.WriteTable(&b, 80))
	write("empty.json", empty.WriteJSON(&b))
}

func TestTableFits(t *testing.T) {
	t.Parallel()
	for _, a := range []report.Answer{costs(), usage()} {
		for _, width := range []int{80, 100, 120} {
			var b bytes.Buffer
			require.NoError(t, a.WriteTable(&b, width))
			_, table, _ := strings.Cut(b.String(), "\n\n")
			table, _, _ = strings.Cut(table, "\n\n")
			for line := range strings.Lines(table) {
				require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, line)
			}
		}
	}
}
