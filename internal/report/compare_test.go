package report_test

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestPrevious(t *testing.T) {
	t.Parallel()
	const form = "2006-01-02 15:04"
	for _, tt := range []struct{ from, to, wantFrom, wantTo, why string }{
		{"2026-11-01 00:00", "2026-11-26 17:00", "2026-10-01 00:00", "2026-10-26 17:00", "month to date"},
		{"2026-03-01 00:00", "2026-03-31 12:00", "2026-02-01 00:00", "2026-03-01 00:00", "the month before has no such day"},
		{"2026-03-01 00:00", "2026-04-01 00:00", "2026-02-01 00:00", "2026-03-01 00:00", "a whole month"},
		{"2026-01-01 00:00", "2026-01-01 06:00", "2025-12-01 00:00", "2025-12-01 06:00", "across the year"},
		{"2026-04-01 00:00", "2026-07-01 00:00", "2026-01-01 00:00", "2026-04-01 00:00", "a quarter"},
		{"2026-04-01 00:00", "2026-05-11 00:00", "2026-02-01 00:00", "2026-03-11 00:00", "months begun"},
		{"2026-11-16 00:00", "2026-11-23 00:00", "2026-11-09 00:00", "2026-11-16 00:00", "a week"},
		{"2026-11-16 10:00", "2026-11-16 13:00", "2026-11-16 07:00", "2026-11-16 10:00", "hours"},
	} {
		at := func(s string) time.Time {
			x, err := time.Parse(form, s)
			require.NoError(t, err)
			return x
		}
		got := report.Previous(spend.Window{Start: at(tt.from), End: at(tt.to)})
		require.Equal(t, tt.wantFrom+" "+tt.wantTo, got.Start.Format(form)+" "+got.End.Format(form), tt.why)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	compare := func(kind report.Kind, query string, sort report.Sort, limit int) report.Comparison {
		c, err := report.Compare(t.Context(), store, parse(t, kind, query), sort, limit)
		require.NoError(t, err)
		return c
	}
	var b bytes.Buffer
	check := func(name string, err error) {
		require.NoError(t, err)
		golden.Check(t, name, b.Bytes())
		b.Reset()
	}
	// A week with what is new, gone, and in both.
	week := compare(report.Costs, "by=workspace,model&from=2026-11-03&to=2026-11-22", report.SortName, 0)
	check("compare.json", week.WriteJSON(&b))
	check("compare.csv", week.WriteCSV(&b))
	check("compare.md", week.WriteMarkdown(&b))
	check("compare.txt", week.WriteTable(&b, 100))
	check("compare_usage.txt", compare(report.Usage, "by=team&from=2026-11-20T00:00:00Z&to=2026-11-21", report.SortAmount, 0).WriteTable(&b, 60))
	check("compare_limit.txt", compare(report.Costs, "by=team,model&from=2026-11-01", report.SortAmount, 2).WriteTable(&b, 100))
	check("compare_total.txt", compare(report.Costs, "from=2026-11-01", report.SortName, 0).WriteTable(&b, 100))

	// Both sides are what the answers by themselves are, joined or not.
	for _, limit := range []int{0, 1, 3} {
		c := compare(report.Costs, "by=api_key&from=2026-11-01", report.SortAmount, limit)
		var now, was spend.Money
		for _, r := range c.Rows {
			now += r.Cost
			was += r.Was.Cost
			require.False(t, r.New && r.Gone)
		}
		require.Equal(t, run(t, store, report.Costs, "from=2026-11-01&to=2026-11-22").Total.Cost, now)
		require.Equal(t, run(t, store, report.Costs, "from=2026-10-01&to=2026-10-22").Total.Cost, was)
		require.Equal(t, c.Now.Total.Cost, now)
		require.Equal(t, c.Before.Total.Cost, was)
	}
	_, err := report.Compare(t.Context(), store, parse(t, report.Costs, "by=model&step=day"), report.SortName, 0)
	require.ErrorIs(t, err, report.ErrStep)
}

// Both times are equally long and over: what has not been read of an hour, or of a day where only the day is
// known, would be missing on one side only.
func TestCompareOnlyWhatIsOver(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), reporttest.Open(t)
	w := spend.Window{Start: reporttest.At(20, 0), End: reporttest.At(22, 1)}
	require.NoError(t, store.SaveOrganization(ctx, spend.Organization{ID: reporttest.Acme, Name: "acme"}, w.Start))
	owner, err := store.Own(ctx, reporttest.Acme)
	require.NoError(t, err)
	var used []spend.Usage
	for at := w.Start; at.Before(w.End); at = at.Add(time.Hour) {
		used = append(used, spend.Usage{
			Bucket: at, Dims: spend.Dims{WorkspaceID: reporttest.Default, Model: reporttest.Sonnet}, Counts: spend.Counts{spend.Output: 1000},
		})
	}
	read := func(until time.Time) {
		_, err = owner.ReplaceUsage(ctx, storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: until, DataAt: until}, used)
		require.NoError(t, err)
		require.NoError(t, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: until, ReadAt: until}))
	}
	compare := func(query string, now time.Time) (report.Comparison, error) {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		p, err := report.Parse(report.Usage, values, now)
		require.NoError(t, err)
		return report.Compare(ctx, store, p, report.SortName, 0)
	}

	read(w.End.Add(-5 * time.Minute))
	_, err = compare("from=2026-11-22", w.End.Add(20*time.Second))
	require.ErrorIs(t, err, report.ErrNoWholeHour)
	c, err := compare("from=2026-11-21T23:00:00Z", w.End.Add(20*time.Second))
	require.NoError(t, err)
	require.Equal(t, spend.Window{Start: reporttest.At(21, 23), End: reporttest.At(22, 0)}, c.Now.Window)
	require.Equal(t, spend.Window{Start: reporttest.At(21, 22), End: reporttest.At(21, 23)}, c.Before.Window)
	require.Equal(t, c.Before.Total, c.Now.Total)

	read(w.End.Add(2 * time.Minute))
	for query, hours := range map[string]int64{"from=2026-11-22": 1, "from=2026-11-21T20:30:00Z": 5, "from=2026-11-21T20:30:00Z&to=2026-11-21T22:10:00Z": 3} {
		c, err = compare(query, w.End.Add(3*time.Minute))
		require.NoError(t, err)
		require.Equal(t, 1000*hours, c.Now.Total.Counts.Tokens(), query)
		require.Equal(t, c.Now.Total.Counts, c.Before.Total.Counts, query)
		require.Equal(t, c.Now.Window.Duration(), c.Before.Window.Duration(), query)
	}
	require.NoError(t, owner.Release())

	// Yesterday is billed by the day, so that nothing of it can stand beside hours of today.
	_, err = report.Compare(ctx, reporttest.Filled(t), parse(t, report.Costs, "from=2026-11-22"), report.SortName, 0)
	require.ErrorIs(t, err, report.ErrNoWholeDay)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, query := range []string{"by=workspace,model&from=2026-10-01", "by=api_key&step=day&from=2026-10-01", "by=model&step=hour&from=2026-11-19", "by=organization"} {
		for _, limit := range []int{0, 1, 2, 100} {
			a := runTeams(t, store, report.Costs, query)
			all := len(a.Rows)
			a.Limit(limit)
			a.Arrange(report.SortAmount)
			if limit == 0 || limit == 100 {
				require.Len(t, a.Rows, all)
			}
			var sum report.Figures
			groups := map[string]bool{}
			for i, r := range a.Rows {
				sum.Add(r.Figures)
				if r.Folded == 0 {
					groups[r.OrganizationID+fmt.Sprint(r.Dims)] = true
				}
				if i > 0 {
					require.False(t, r.Start.Before(a.Rows[i-1].Start), "in order of time")
				}
			}
			require.Equal(t, a.Total, sum, "%s, limit %d", query, limit)
			if limit > 0 {
				require.LessOrEqual(t, len(groups), limit+1, "one more where it would be alone")
			}
		}
	}
	a := runTeams(t, store, report.Costs, "by=team,model&from=2026-10-01")
	a.Limit(2)
	a.Arrange(report.SortAmount)
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 80))
	require.NoError(t, a.WriteCSV(&b))
	golden.Check(t, "limit.txt", b.Bytes())
}

// Whatever names and width, no line of a table is wider than the terminal, and columns stay aligned.
func TestTableFitsAnyTerminal(t *testing.T) {
	t.Parallel()
	names := []string{"検索チーム・プラットフォーム開発部", "e\u0301quipe", "🚀 launch", "한국어 워크스페이스", "a", strings.Repeat("long-name-", 12), "ｆｕｌｌ"}
	many := costs()
	many.Rows = nil
	for i := range 100 {
		many.Rows = append(many.Rows, report.Row{
			Start: at(20, 0), End: at(21, 0), OrganizationID: "o", Organization: "acme", Workspace: names[i%len(names)] + fmt.Sprint(i), APIKey: names[(i+3)%len(names)],
			Figures: report.Figures{Cost: spend.Money(i) * 123 * spend.Cent, List: spend.Money(i) * 150 * spend.Cent, Basis: spend.Allocated},
		})
	}
	used := usage()
	used.By = append(used.By, spend.ByWorkspace, spend.ByAPIKey)
	for i := range used.Rows {
		used.Rows[i].Workspace, used.Rows[i].APIKey = names[i], names[i+2]
	}
	one := runTeams(t, reporttest.Filled(t), report.Costs, "by=team")
	for i, a := range []report.Answer{many, costs(), usage(), one, used} {
		narrowest := 40
		if i == 4 {
			narrowest = 55 // an organization, an hour and three names
		}
		for width := narrowest; width <= 200; width += 20 {
			var b bytes.Buffer
			require.NoError(t, a.WriteTable(&b, width))
			_, table, _ := strings.Cut(b.String(), "\n\n")
			table, _, _ = strings.Cut(table, "\n\n")
			lines := strings.Split(strings.TrimRight(table, "\n"), "\n")
			for _, line := range lines {
				require.LessOrEqual(t, report.TextWidth(line), width, "%d: %s", width, line)
			}
		}
	}
}
