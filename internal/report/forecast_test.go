package report_test

import (
	"bytes"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func runForecast(t *testing.T, store storage.Store, query string, now time.Time) report.ForecastAnswer {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	p, err := report.ParseForecast(values, now)
	require.NoError(t, err)
	p, err = p.WithTeams(teams)
	require.NoError(t, err)
	a, err := report.RunForecast(t.Context(), store, p, now)
	require.NoError(t, err)
	return a
}

func TestForecastFormats(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	a := runForecast(t, store, "by=workspace,model&organization=acme", reporttest.Now)
	both := runForecast(t, store, "", reporttest.Now)
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 120))
	b.WriteString("\n")
	require.NoError(t, both.WriteTable(&b, 120))
	b.WriteString("\n")
	require.NoError(t, a.WriteMarkdown(&b))
	b.WriteString("\n")
	require.NoError(t, a.WriteCSV(&b))
	b.WriteString("\n")
	require.NoError(t, both.WriteJSON(&b))
	golden.Check(t, "forecast.txt", b.Bytes())
}

// What a forecast says was spent is what the costs of the period are, and by parts it adds up.
func TestForecastAgreesWithCosts(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for period, from := range map[string]string{"month": "2026-11-01", "quarter": "2026-10-01", "week": "2026-11-16", "day": "2026-11-22"} {
		want := run(t, store, report.Costs, "from="+from)
		for _, by := range []string{"", "workspace", "model", "api_key", "cost_type", "organization,model"} {
			a := runForecast(t, store, "period="+period+"&by="+by, reporttest.Now)
			require.Equal(t, want.Total.Cost, a.Total.Spent, "%s by %s", period, by)
			require.Equal(t, want.Total.Cost, a.Total.Cost, "%s by %s", period, by)
			var sum spend.Money
			for _, r := range a.Rows {
				sum += r.Spent
				require.LessOrEqual(t, r.Spent, r.Expected)
			}
			require.Equal(t, want.Total.Cost, sum, "%s by %s", period, by)
			require.False(t, a.Total.Interval, "two organizations have no interval together")
		}
	}
	one := runForecast(t, store, "organization=acme&workspace=staging", reporttest.Now)
	require.Equal(t, run(t, store, report.Costs, "organization=acme&workspace=staging").Total.Cost, one.Total.Spent)
	require.True(t, one.Total.Interval)
	require.Equal(t, one.Rows[0].Expected, one.Total.Expected)

	require.Empty(t, runForecast(t, store, "workspace=nothing", reporttest.Now).Rows)
	require.Empty(t, runForecast(t, store, "organization=nothing", reporttest.Now).Rows)
	empty := runForecast(t, reporttest.Open(t), "", reporttest.Now)
	require.Empty(t, empty.Rows)
	require.Zero(t, empty.AsOf)
}

// By team the parts of what was spent add up too, a team alone is its part, and what a filter does not
// find is said.
func TestForecastByTeam(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	whole := runForecast(t, store, "organization=acme", reporttest.Now).Total
	by := runForecast(t, store, "organization=acme&by=team", reporttest.Now)
	require.Equal(t, whole.Spent, by.Total.Spent)
	var sum spend.Money
	for _, r := range by.Rows {
		require.NotEmpty(t, r.Team)
		sum += r.Spent
		alone := runForecast(t, store, "organization=acme&team="+r.Team, reporttest.Now)
		require.Equal(t, r.Spent, alone.Total.Spent, r.Team)
		require.Equal(t, r.Expected, alone.Total.Expected, r.Team)
	}
	require.Equal(t, whole.Spent, sum)
	require.Greater(t, len(by.Rows), 1)

	nothing := runForecast(t, store, "workspace=nowhere", reporttest.Now)
	var b bytes.Buffer
	require.NoError(t, nothing.WriteTable(&b, 120))
	require.Contains(t, b.String(), "Nothing in this time has workspace=nowhere. There is: ")
	_, err := report.ForecastParams{By: []spend.Dimension{spend.ByTeam}}.WithTeams(nil)
	require.ErrorContains(t, err, "no teams are configured")
}

func TestParseForecastRefuses(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"period=year":            `unknown period "year" (day, week, month or quarter)`,
		"period=day&period=week": "parameter period is given 2 times",
		"from=2026-11-01":        "parameter from does not go with a forecast",
		"step=day":               "parameter step does not go with a forecast",
		"by=colour":              `unknown dimension "colour" in by`,
		"perod=day":              `unknown parameter "perod" for costs (period, by, and filters by organization`,
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, err = report.ParseForecast(values, reporttest.Now)
		require.ErrorContains(t, err, want)
	}
}

// hourly fills a store with an organization that costs something by the hour since the first of October,
// but for the gaps, of which nothing is read.
func hourly(t *testing.T, store storage.Store, dollars func(hour time.Time) spend.Money, gaps ...spend.Window) {
	t.Helper()
	o := spend.Organization{ID: reporttest.Acme, Name: "acme"}
	require.NoError(t, store.SaveOrganization(t.Context(), o, reporttest.Now))
	owner, err := store.Own(t.Context(), o.ID)
	require.NoError(t, err)
	end := reporttest.At(22, 10)
	at := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for _, gap := range append(gaps, spend.Window{Start: end, End: end}) {
		w := spend.Window{Start: at, End: gap.Start}
		var rows []spend.Usage
		for _, hour := range w.Buckets(spend.Hour) {
			u := spend.Usage{Bucket: hour.Start, Price: spend.Priced, Dims: spend.Dims{WorkspaceID: reporttest.Default, APIKeyID: spend.NoKey, Model: reporttest.Sonnet}}
			u.Counts[spend.Output], u.Estimate[spend.Output] = 1, dollars(hour.Start)
			rows = append(rows, u)
		}
		_, err := owner.ReplaceUsage(t.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: reporttest.Now, DataAt: w.End,
		}, rows)
		require.NoError(t, err)
		at = gap.End
	}
	require.NoError(t, owner.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: end, ReadAt: reporttest.Now}))
	require.NoError(t, owner.Release())
}

// A dollar an hour from eight to sixteen, and the question asked at ten.
func office(hour time.Time) spend.Money {
	if h := hour.Hour(); h >= 8 && h < 16 {
		return spend.Dollar
	}
	return 0
}

func TestLoadHistory(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	hourly(t, store, office)
	h, err := report.LoadHistory(t.Context(), store, report.HistoryQuery{
		Organization: reporttest.Acme, From: reporttest.At(1, 0), By: []spend.Dimension{spend.ByModel},
	}, reporttest.Now)
	require.NoError(t, err)
	require.Equal(t, reporttest.At(22, 10), h.AsOf)
	require.InDelta(t, 0.25, h.Share, 1e-9, "two of eight hours' dollars")
	require.Equal(t, spend.Estimated, h.Since.Basis)
	require.Len(t, h.Parts, 1)
	require.Equal(t, h.Days, h.Parts[0].Days)
	require.Len(t, h.Days, 53)
	for i, d := range h.Days {
		want := 8 * spend.Dollar
		if i == len(h.Days)-1 {
			want = 2 * spend.Dollar
		}
		require.Equal(t, want, d.Cost, d.Window)
	}
	f, err := forecast.New(h.History, forecast.Month.Window(reporttest.Now, nil), reporttest.Now)
	require.NoError(t, err)
	require.InDelta(t, 240, f.Expected.USD(), 1e-3)
	require.InDelta(t, 8, f.Today.USD(), 1e-3)
}

// Days of another zone are cut out of the hours.
func TestLoadHistoryInAZone(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	hourly(t, store, office)
	tokyo, err := time.LoadLocation("Asia/Tokyo") // there the dollars come from 17 to 1 o'clock
	require.NoError(t, err)
	h, err := report.LoadHistory(t.Context(), store, report.HistoryQuery{
		Organization: reporttest.Acme, From: reporttest.At(1, 0), Zone: tokyo,
	}, reporttest.Now)
	require.NoError(t, err)
	last := h.Days[len(h.Days)-1]
	require.Equal(t, spend.Window{Start: reporttest.At(21, 15), End: reporttest.At(22, 15)}, last.Window)
	require.Equal(t, 3*spend.Dollar, last.Cost, "the last hour of yesterday's, and two of today's")
	require.Equal(t, 8*spend.Dollar, h.Days[len(h.Days)-2].Cost)
	require.InDelta(t, 3.0/8, h.Share, 1e-9)

	// A bill that is known by the UTC day only is shared out by the hours that each day has of it.
	store = reporttest.Filled(t)
	h, err = report.LoadHistory(t.Context(), store, report.HistoryQuery{
		Organization: reporttest.Acme, From: reporttest.At(1, 0), Zone: tokyo,
	}, reporttest.Now)
	require.NoError(t, err)
	var sum spend.Money
	for _, d := range h.Days {
		if !d.Start.Before(reporttest.At(2, 15)) && d.End.Before(reporttest.At(5, 0)) {
			sum += d.Cost
		}
	}
	require.Equal(t, 650*spend.Cent, sum, "all of the 3rd of November, in two days")
}

// A day of which hours were never read is not a day without cost.
func TestLoadHistoryWithGaps(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	hourly(t, store, office, spend.Window{Start: reporttest.At(5, 12), End: reporttest.At(7, 0)})
	h, err := report.LoadHistory(t.Context(), store, report.HistoryQuery{Organization: reporttest.Acme, From: reporttest.At(1, 0)}, reporttest.Now)
	require.NoError(t, err)
	require.Len(t, h.Days, 51)
	a := runForecast(t, store, "", reporttest.Now)
	require.Equal(t, 2, a.Total.MissingDays)
	require.InDelta(t, 240, a.Total.Expected.USD(), 1e-3)
	require.InDelta(t, 154, a.Total.Spent.USD(), 1e-9)
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 0))
	require.Contains(t, b.String(), "Incomplete: 2 days of the period were not read in full")
}

func TestLoadHistoryOfNothing(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: reporttest.Acme, Name: "acme"}, reporttest.Now))
	h, err := report.LoadHistory(t.Context(), store, report.HistoryQuery{Organization: reporttest.Acme}, reporttest.Now)
	require.NoError(t, err)
	require.Zero(t, h.AsOf)
	a := runForecast(t, store, "", reporttest.Now)
	require.Len(t, a.Rows, 1)
	require.Empty(t, a.Rows[0].Method)
	var b bytes.Buffer
	require.NoError(t, a.WriteJSON(&b))
	require.Contains(t, b.String(), `"forecast_usd": null`)
}
