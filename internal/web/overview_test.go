package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestBudgetBars(t *testing.T) {
	t.Parallel()
	usd := func(n int) spend.Money { return spend.Money(n) * spend.Dollar }
	bs := budgetBars(storage.OrganizationState{}, []storage.Budget{
		{Rule: "waits", Limit: usd(10), State: storage.BudgetWaiting},
		{Rule: "low", Limit: usd(100), Spent: usd(10), State: storage.BudgetOK},
		{Rule: "ahead", Limit: usd(100), Spent: usd(50), Forecast: usd(200), Forecasted: true, State: storage.BudgetOK},
		{Rule: "calm", Limit: usd(100), Spent: usd(50), Forecast: usd(60), Forecasted: true, State: storage.BudgetOK},
		{
			Rule: "over", Subject: "workspace=wrkspc_a,api_key=apikey_b", Labels: map[string]string{"api_key": "b", "workspace": "a"},
			Limit: usd(100), Spent: usd(150), State: storage.BudgetExceeded,
		},
	})
	var got []string
	for _, b := range bs {
		got = append(got, fmt.Sprintf("%s(%s) %.0f/%.0f/%.0f over=%v ahead=%v", b.Rule, b.Of, b.Bar.Spent, b.Bar.Expected, b.Bar.Limit, b.Bar.Over, b.Bar.Ahead))
	}
	require.Equal(t, []string{
		"over(a, b) 100/0/67 over=true ahead=false",
		"ahead() 25/100/50 over=false ahead=true",
		"calm() 50/60/100 over=false ahead=false",
		"low() 10/0/100 over=false ahead=false",
		"waits() 0/0/100 over=false ahead=false",
	}, got, "what is nearest to its limit comes first")
	require.Nil(t, bs[4].Spent, "what waits for data has spent nothing that is known")
	require.Equal(t, bar{}, barOf(0, 0, false, 0))
	require.Equal(t, bar{Spent: 50, Expected: 100}, barOf(usd(5), usd(10), true, 0))
	require.Equal(t, bar{}, barOf(-usd(5), 0, false, 0), "credits have no bar")
}

func TestMovers(t *testing.T) {
	t.Parallel()
	row := func(key, name string, cents int) report.Row {
		return report.Row{Dims: spend.Dims{APIKeyID: key}, APIKey: name, Figures: report.Figures{Cost: spend.Money(cents) * spend.Cent}}
	}
	was := []report.Row{row("1", "up", 100), row("1", "up", 100), row("2", "down", 900), row("3", "gone", 300), row("4", "same", 50), row("6", "bit", 10)}
	is := []report.Row{row("1", "up", 300), row("2", "down", 100), row("4", "same", 50), row("5", "up", 4000), row("6", "bit", 11)}
	var got []string
	for _, m := range movers(was, is, spend.ByAPIKey) {
		got = append(got, fmt.Sprintf("%s %s %s", m.Name, m.Change(), m.Growth()))
	}
	require.Equal(t, []string{"up +40.00 new", "down -8.00 -89 %", "gone -3.00 gone"}, got, "the greatest change first; two keys of one name are two")
	require.Empty(t, movers(was[4:5], is[2:3], spend.ByAPIKey))
	require.Equal(t, "× 41", mover{Was: report.Figures{Cost: 1}, Is: report.Figures{Cost: 41}, By: 40}.Growth())
	for by, want := range map[spend.Money]string{-4: "0 %", 4: "0 %", -6: "-1 %", 6: "+1 %"} {
		require.Equal(t, want, mover{Was: report.Figures{Cost: 1000}, Is: report.Figures{Cost: 1000 + by}, By: by}.Growth())
	}
	for now, want := range map[int64]string{99_990: "0.0 %", 100_010: "0.0 %", 99_900: "−0.1 %", 100_100: "+0.1 %"} {
		require.Equal(t, want, changeOf(now, 100_000))
	}
	require.Empty(t, mover{Is: report.Figures{Cost: 41}, By: 41}.Growth())
}

// Marks stand where windows that were above their limit ended, as the alerts and their history say.
func TestMarks(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 11, 22, hour, 0, 0, 0, time.UTC) }
	rules := []storage.RuleState{{Rule: "spike", Kind: "anomaly", Note: "2 are younger than two weeks"}, {Rule: "budget", Kind: "budget"}, {Rule: "jump", Kind: "anomaly"}}
	alert := func(rule string, state spend.AlertState, fired, seen, asOf int, value float64, summary string) spend.Alert {
		return spend.Alert{
			Organization: "o", Rule: rule, Subject: summary, State: state, FiredAt: at(fired).Add(5 * time.Minute), SeenAt: at(seen).Add(5 * time.Minute), AsOf: at(asOf),
			Value: value, Limit: 10, Summary: summary,
		}
	}
	change := func(from, to spend.AlertState, a spend.Alert) storage.AlertChange {
		return storage.AlertChange{At: a.AsOf.Add(5 * time.Minute), From: from, To: to, Alert: a}
	}
	// One that is over after three hours, one that goes on, one that began before the history, one of
	// a rule of another kind, and one that was pending only.
	over := alert("spike", spend.Resolved, 3, 5, 6, 2, "three hours")
	on := alert("jump", spend.Firing, 10, 12, 12, 20, "goes on")
	old := alert("jump", spend.Firing, 1, 12, 12, 20, "of old")
	kept := alert("jump", spend.Firing, 8, 8, 12, 2, "kept firing")
	other := alert("budget", spend.Firing, 2, 12, 12, 20, "no anomaly")
	pending := alert("jump", spend.Pending, 2, 12, 12, 20, "pending")
	pending.FiredAt = time.Time{}
	history := []storage.AlertChange{ // newest first
		change(spend.Inactive, spend.Firing, alert("jump", spend.Firing, 10, 10, 10, 30, "goes on")),
		change(spend.Inactive, spend.Firing, alert("jump", spend.Firing, 8, 8, 8, 30, "kept firing")),
		change(spend.Firing, spend.Resolved, over),
		change(spend.Inactive, spend.Firing, alert("spike", spend.Firing, 3, 3, 3, 30, "three hours")),
		change(spend.Inactive, spend.Firing, other),
		change(spend.Inactive, spend.Pending, pending),
	}
	var records []storage.AlertRecord
	for _, a := range []spend.Alert{over, on, old, kept, other, pending} {
		records = append(records, storage.AlertRecord{Alert: a})
	}
	j := judgedBy(rules)
	require.Equal(t, 2, j.Rules)
	require.Len(t, j.Quiet, 1)
	j.mark(records, history, spend.Window{Start: at(0), End: at(13)}.Buckets(spend.Hour))
	got := map[int]string{}
	for start, text := range j.Marks {
		got[start.Hour()] = text
	}
	require.Equal(t, map[int]string{
		0: "anomaly: of old", 1: "anomaly: of old", 2: "anomaly: three hours\nanomaly: of old", 3: "anomaly: three hours\nanomaly: of old",
		4: "anomaly: three hours\nanomaly: of old", 5: "anomaly: of old", 6: "anomaly: of old", 7: "anomaly: kept firing\nanomaly: of old", 8: "anomaly: of old",
		9: "anomaly: goes on\nanomaly: of old", 10: "anomaly: goes on\nanomaly: of old", 11: "anomaly: goes on\nanomaly: of old",
	}, got)
	require.Equal(t, []string{"goes on", "kept firing", "three hours", "of old"}, j.Summary)
	require.Zero(t, judgedBy(rules[1:2]).Rules)
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	day := func(f map[spend.Fact]covered, due int) coveredDay { return coveredDay{Facts: f, Due: due} }
	for _, tt := range []struct {
		name  string
		day   coveredDay
		fact  spend.Fact
		class string
		part  float64
		text  string
	}{
		{"all", day(map[spend.Fact]covered{spend.FactUsage: {24, 24, 24}}, 24), spend.FactUsage, "complete", 1, "complete"},
		{"gap", day(map[spend.Fact]covered{spend.FactUsage: {24, 18, 18}}, 24), spend.FactUsage, "partial", 0.75, "18 of 24 hours read"},
		{"none", day(map[spend.Fact]covered{spend.FactUsage: {24, 0, 0}}, 24), spend.FactUsage, "missing", 0, "missing"},
		{"provisional", day(map[spend.Fact]covered{spend.FactUsage: {24, 24, 20}}, 24), spend.FactUsage, "open", 1, "24 of 24 hours read, may still change"},
		{"running", day(map[spend.Fact]covered{spend.FactUsage: {6, 6, 6}}, 6), spend.FactUsage, "open", 0.25, "6 of 6 hours read, may still change"},
		{"not due", day(map[spend.Fact]covered{}, 0), spend.FactUsage, "ahead", 0, "not read yet"},
		{"billed", day(map[spend.Fact]covered{spend.FactCost: {24, 24, 24}}, 24), spend.FactCost, "billed", 1, "billed"},
		{"billed so far", day(map[spend.Fact]covered{spend.FactCost: {6, 6, 6}}, 7), spend.FactCost, "billed", 0.25, "6 of 6 hours billed, as far as the bill goes"},
		{"partly billed", day(map[spend.Fact]covered{spend.FactCost: {24, 12, 12}}, 24), spend.FactCost, "partial", 0.5, "12 of 24 hours billed"},
		{"estimated", day(map[spend.Fact]covered{spend.FactCost: {24, 0, 0}, spend.FactUsage: {24, 24, 24}}, 24), spend.FactCost, "estimated", 1, "estimated, not billed yet"},
		{"neither", day(map[spend.Fact]covered{spend.FactCost: {24, 0, 0}}, 24), spend.FactCost, "missing", 0, "missing"},
	} {
		class, part, text := tt.day.state(tt.fact)
		require.Equal(t, tt.class, class, tt.name)
		require.InDelta(t, tt.part, part, 1e-9, tt.name)
		require.Equal(t, tt.text, text, tt.name)
	}

	c := coverage{Gaps: map[spend.Fact][]spend.Window{spend.FactUsage: nil}}
	for i, w := range dayWindows(today, 3) {
		d := day(map[spend.Fact]covered{spend.FactUsage: {Due: 24}}, 24)
		d.Window = w
		if i == 2 {
			d.Facts[spend.FactUsage] = covered{24, 24, 24}
		}
		c.Days = append(c.Days, d)
	}
	c.Gaps[spend.FactUsage] = []spend.Window{{Start: c.Days[0].Start, End: c.Days[2].Start}}
	s := c.strip(spend.FactUsage, "Usage", c.Days[1].Start)
	require.Equal(t, []string{"beyond", "missing", "complete"}, []string{s.Cells[0].Class, s.Cells[1].Class, s.Cells[2].Class}, "what is not wanted is no gap")
	require.Equal(t, []spend.Window{c.Days[1].Window}, s.Gaps)
	require.EqualValues(t, 24, s.Hours)
	require.Equal(t, []stripKey{{"complete", "complete", 1}, {"missing", "missing", 1}, {"beyond", "older than the history that is wanted", 1}}, s.Keys)
}

// What credits have taken back since is in the drawing too, not above it.
func TestCourseAfterCredits(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	month := spend.Window{Start: start, End: start.AddDate(0, 1, 0)}
	h := &ruleHistory{current: map[string][]bucketCost{}}
	for i, cost := range []spend.Money{40, 70, -95} {
		day := spend.Window{Start: start.AddDate(0, 0, i), End: start.AddDate(0, 0, i+1)}
		h.current[""] = append(h.current[""], bucketCost{day, report.Figures{Cost: cost * spend.Dollar, Basis: spend.Billed}})
	}
	b := storage.Budget{PeriodName: "month", Period: month, Limit: 10 * spend.Dollar, Spent: 15 * spend.Dollar, AsOf: start.AddDate(0, 0, 3)}
	c := drawCourse(b, h, budgetSubject{})
	require.Equal(t, "$125", c.Ticks[len(c.Ticks)-1].Label)
	for point := range strings.FieldsSeq(c.Line) {
		_, y, _ := strings.Cut(point, ",")
		require.False(t, strings.HasPrefix(y, "-"), "above the drawing: %s", point)
	}
	require.True(t, strings.HasSuffix(c.Line, ",140.8"), "it ends at $15: %s", c.Line)
}
