package web

import (
	"fmt"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestTicks(t *testing.T) {
	t.Parallel()
	for most, want := range map[float64]string{
		0:         "$0 $1",
		0.0000004: "$0.0000000 $0.0000001 $0.0000002 $0.0000003 $0.0000004",
		0.07:      "$0.00 $0.02 $0.04 $0.06 $0.08",
		0.11:      "$0.000 $0.025 $0.050 $0.075 $0.100 $0.125",
		1:         "$0.00 $0.20 $0.40 $0.60 $0.80 $1.00",
		4:         "$0 $1 $2 $3 $4",
		5:         "$0 $1 $2 $3 $4 $5",
		5.01:      "$0 $2 $4 $6",
		184.2:     "$0 $50 $100 $150 $200",
		4068:      "$0 $1,000 $2,000 $3,000 $4,000 $5,000",
		999999:    "$0 $200,000 $400,000 $600,000 $800,000 $1,000,000",
	} {
		c := plot{Series: []string{""}, Bars: []plotBar{{Values: []float64{most}}}}.draw()
		var got []string
		for _, tick := range c.Ticks {
			got = append(got, tick.Label)
		}
		require.Equal(t, want, strings.Join(got, " "), "%v", most)
		require.InDelta(t, plotTop, c.Ticks[len(c.Ticks)-1].Y, 1e-6, "the highest tick is at the top")
		require.Equal(t, most == 0, c.Empty)
	}
}

func TestDraw(t *testing.T) {
	t.Parallel()
	c := plot{
		Label: "Cost", Of: "workspace", Series: []string{"a", "b"}, Limit: 8, LimitLabel: "limit $8",
		Bars: []plotBar{
			{Name: "Monday", Tick: "Mon", Values: []float64{3, 2}, Basis: spend.Mixed, Mark: "anomaly: much"},
			{Name: "Tuesday", Values: []float64{4, -1}, Basis: spend.Billed},
			{Name: "Wednesday", Values: []float64{0, 0}, Missing: true},
			{Name: "Thursday", Values: []float64{0, 1}, Basis: spend.Estimated, Part: true},
		},
	}.draw()
	require.Equal(t, []chartKey{{"s1", "a", "$7.00"}, {"s2", "b", "$2.00"}}, c.Keys)
	require.Equal(t, "Monday: $5.00, mixed\nanomaly: much\na $3.00\nb $2.00", c.Bars[0].Title)
	require.Equal(t, "Tuesday: $3.00, billed\na $4.00\nb $-1.00", c.Bars[1].Title, "a credit counts, but has no height")
	require.True(t, c.Credits, "and the legend says so")
	require.Equal(t, "Wednesday: not read yet", c.Bars[2].Title)
	require.Equal(t, "Thursday: $1.00, estimated, not complete\nb $1.00", c.Bars[3].Title)
	require.Equal(t, []segment{{"s1", 128.5, 67.5}, {"s2", 83.5, 45}}, c.Bars[0].Segments)
	require.Len(t, c.Bars[1].Segments, 1)
	require.Empty(t, c.Bars[2].Segments)
	require.InDelta(t, c.Bars[0].Segments[1].Y, c.Bars[0].Top, 1e-9, "the mark is above the bar")
	require.InDelta(t, plotTop, c.Limit.Y, 1e-9)
	require.True(t, c.Marks && c.Gaps && c.Parts && c.Estimates)
	for i, b := range c.Bars {
		require.InDelta(t, 25*float64(i)+12.5, b.Middle, 1e-9)
	}

	require.False(t, c.Linked)
	linked := plot{Label: "Cost", Series: []string{""}, Bars: []plotBar{{Name: "Monday", Values: []float64{1}, Href: "/explore?from=2026-11-02&x=<b>"}}}.draw()
	var links strings.Builder
	require.NoError(t, parsePages()["overview.html"].ExecuteTemplate(&links, "chart", linked))
	require.Contains(t, links.String(), `role="group"`, "in a picture nobody could follow links")
	require.Contains(t, links.String(), `<a href="/explore?from=2026-11-02&amp;x=%3cb%3e" aria-label="Monday: $1.00">`)

	var out strings.Builder
	require.NoError(t, parsePages()["overview.html"].ExecuteTemplate(&out, "chart", c))
	for _, want := range []string{
		`role="img" aria-label="Cost"`, `<title>Monday: $5.00, mixed`, `<svg class="mark"`, `class="limit"`, `limit $8</text>`,
		`<th scope="row">Wednesday</th><td class="number">–</td><td class="number">–</td><td class="number">–</td><td></td><td>not read yet</td>`,
		`paler: estimated`, `<span class="key mark">▼</span>anomaly`, `<summary>The same as a table</summary>`,
	} {
		require.Contains(t, out.String(), want)
	}
}

func answerOf(rows ...report.Row) report.Answer { return report.Answer{Rows: rows} }

func dayRow(day int, workspace string, usd int, basis spend.Basis) report.Row {
	start := time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC)
	return report.Row{
		Start: start, End: start.AddDate(0, 0, 1), Dims: spend.Dims{WorkspaceID: "id of " + workspace}, Workspace: workspace,
		Figures: report.Figures{Cost: spend.Money(usd) * spend.Dollar, Basis: basis},
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	days := dayWindows(time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), 3)
	require.Equal(t, "2026-11-01", days[0].Start.Format(time.DateOnly))
	twice := dayRow(3, "a", 5, spend.Billed)
	twice.WorkspaceID = "another of this name"
	a := answerOf(dayRow(1, "a", 1, spend.Billed), dayRow(1, "b", 7, spend.Estimated), dayRow(3, "", 2, spend.Billed), twice)
	names, bs := bars(a, spend.ByWorkspace, days, costUSD)
	require.Equal(t, []string{"b", "a", "(no workspace)", "a"}, names, "by amount; a name may be there twice")
	require.Equal(t, [][]float64{{7, 0, 0, 1}, {0, 0, 0, 0}, {0, 5, 2, 0}}, [][]float64{bs[0].Values, bs[1].Values, bs[2].Values})
	require.Equal(t, []spend.Basis{spend.Mixed, "", spend.Billed}, []spend.Basis{bs[0].Basis, bs[1].Basis, bs[2].Basis})

	names, bs = bars(a, "", days, costUSD)
	require.Equal(t, []string{""}, names)
	require.Equal(t, []float64{8}, bs[0].Values)

	// Of nine the ninth keeps its name; of ten the last two are one.
	for n, want := range map[int]int{8: 8, 9: 9, 10: 9, 30: 9} {
		var rows []report.Row
		for i := range n {
			rows = append(rows, dayRow(1, fmt.Sprintf("w%02d", i), 100-i, spend.Billed))
		}
		names, bs := bars(answerOf(rows...), spend.ByWorkspace, days, costUSD)
		require.Len(t, names, want)
		last := names[len(names)-1]
		require.Equal(t, n > 9, last == otherSeries, last)
		sum := 0.0
		for _, v := range bs[0].Values {
			sum += v
		}
		require.InDelta(t, float64(100*n-n*(n-1)/2), sum, 1e-9, "nothing is lost")
		classes := map[string]bool{}
		for i := range names {
			classes[seriesClass(i)] = true
		}
		require.Len(t, classes, want)
	}
}

// What a bill says of a day only is in no hour's bar, and is not lost either.
func TestWider(t *testing.T) {
	t.Parallel()
	hours := dayWindows(time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), 1)[0].Buckets(spend.Hour)
	day := dayRow(3, "a", 3, spend.Billed)
	hour := day
	hour.End = hour.Start.Add(time.Hour)
	hour.Cost, hour.Basis = spend.Dollar, spend.Estimated
	a := answerOf(day, hour)
	_, bs := bars(a, "", hours, costUSD)
	require.Equal(t, []float64{1}, bs[0].Values)
	require.Equal(t, spend.Estimated, bs[0].Basis)
	require.Equal(t, report.Figures{Cost: 3 * spend.Dollar, Basis: spend.Billed}, wider(a, hours))
}

func TestTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("CET", 3600)
	at := time.Date(2026, 11, 26, 16, 4, 5, 0, zone)
	const want = template.HTML(`<time datetime="2026-11-26T15:04:05Z">2026-11-26 15:04 UTC</time>`)
	require.Equal(t, want, clock(at))
	require.Equal(t, want, clock(&at))
	require.Equal(t, template.HTML("never"), clock(time.Time{}))
	require.Equal(t, template.HTML("never"), clock((*time.Time)(nil)))
	require.Equal(t, template.HTML("an unknown time"), moment(time.Time{}))
	require.Equal(t, template.HTML(`<time datetime="2026-11-26T15:04:05Z">2026-11-26 15:04:05 UTC</time>`), seconds(at))
	require.Panics(t, func() { clock("2026") })
	require.Equal(t, "2026-11-26", day(at))
	require.Equal(t, "2026-11-26", day(time.Date(2026, 11, 27, 0, 30, 0, 0, zone)), "of UTC")
	require.Equal(t, "–", day((*time.Time)(nil)))
	require.Equal(t, "–", day(time.Time{}))
	for back, want := range map[time.Duration]string{
		-2 * time.Minute: "ahead of this clock", time.Minute: "just now", 90 * time.Minute: "90 minutes ago", 30 * time.Hour: "30 hours ago",
		72 * time.Hour: "3 days ago",
	} {
		require.Equal(t, want, ago(at, at.Add(-back)))
	}
	require.Empty(t, ago(at, time.Time{}))
	require.Equal(t, "<1s", took(at, at))
	require.Equal(t, "1m30s", took(at, at.Add(90*time.Second)))
}
