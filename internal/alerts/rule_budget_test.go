package alerts

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// monthly is a budget of $100 a month; the days of March each use some.
const monthly = `
rules:
  - name: month
    notify: [chat]
    budget: {amount_usd: 100, period: month, actual: [50, 80, 100], forecast: []}
`

// spent adds money in an hour of search.
func (k *kit) spent(hour string, usd float64) {
	k.used(hour, use{"wrkspc_a", "apikey_a", "", usd, 10, 0})
}

func TestBudgetEachThresholdOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, "02-27 00:00", monthly)
	k.spent("03-02 10:00", 49)
	k.spent("03-03 10:00", 2)
	k.spent("03-05 10:00", 30)
	k.spent("03-06 10:00", 20)
	k.spent("04-01 00:00", 3)
	k.data("02-27 00:00", "03-03 10:00")
	require.Empty(t, k.at("03-03 10:01"))
	k.data("03-03 10:00", "03-03 11:00")
	require.Equal(t, []string{"firing month kind=actual,threshold=50,period=2026-03-01T00"}, k.at("03-03 11:01"))
	a := k.alert()
	require.Equal(t, "50", a.Labels["threshold"])
	require.InDelta(t, 51, a.Value, 1e-9)
	require.InDelta(t, 50, a.Limit, 1e-9)
	require.Contains(t, a.Summary, "month, acme: $51.00 of $100.00 spent in March 2026 (51 %). It runs out on ")
	require.Empty(t, k.at("03-03 11:02"))

	k.data("03-03 11:00", "03-05 11:00")
	require.Equal(t, []string{"firing month kind=actual,threshold=80,period=2026-03-01T00"}, k.at("03-05 11:01"), "the lower one closes silently")
	require.Equal(t, []string{
		"month kind=actual,threshold=50,period=2026-03-01T00: resolved", "month kind=actual,threshold=80,period=2026-03-01T00: firing",
	}, k.states())
	k.data("03-05 11:00", "03-06 11:00")
	require.Equal(t, []string{"firing month kind=actual,threshold=100,period=2026-03-01T00"}, k.at("03-06 11:01"))
	h, err := k.store.AlertHistory(t.Context(), testOrg, spend.Window{Start: at("03-06 00:00"), End: at("03-07 00:00")}, 10)
	require.NoError(t, err)
	require.Contains(t, h[0].Alert.Summary+h[1].Alert.Summary, "It ran out on Friday, 6 March")

	// Corrections downward and up again send nothing.
	k.hours[at("03-06 10:00")] = nil
	k.data("03-06 00:00", "03-07 00:00")
	require.Empty(t, k.at("03-07 00:01"))
	require.Contains(t, k.states(), "month kind=actual,threshold=100,period=2026-03-01T00: firing")
	k.spent("03-06 10:00", 25)
	k.data("03-06 00:00", "03-08 00:00")
	require.Empty(t, k.at("03-08 00:01"))

	// A new period starts clean and says so.
	k.data("03-08 00:00", "04-01 00:00")
	require.Equal(t, []string{"resolved month kind=actual,threshold=100,period=2026-03-01T00 in thread-1"}, k.at("04-01 00:01"))
	k.data("04-01 00:00", "04-01 01:00")
	require.Empty(t, k.at("04-01 01:01"))
	ms, err := k.store.BudgetMarks(t.Context(), testOrg)
	require.NoError(t, err)
	require.Empty(t, ms, "marks go with their period")
	bs, err := k.store.Budgets(t.Context(), testOrg)
	require.NoError(t, err)
	require.Len(t, bs, 1)
	require.Equal(t, 3*spend.Dollar, bs[0].Spent)
	require.Equal(t, storage.BudgetOK, bs[0].State)
	require.Equal(t, spend.Window{Start: at("04-01 00:00"), End: at("05-01 00:00")}, bs[0].Period)
	h, err = k.store.AlertHistory(t.Context(), testOrg, spend.Window{Start: at("04-01 00:00"), End: at("04-02 00:00")}, 10)
	require.NoError(t, err)
	require.Equal(t, "month, acme: a new month began, April 2026: $0.00 of $100.00 spent so far", h[0].Alert.Summary)
}

// A new period says whose budget it is about, also of who has spent nothing in it.
func TestBudgetNewPeriodNamesItsSubject(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-01 00:00", "")
	k.options.Team = func(_, workspace, _ string) string { return "team of " + workspace }
	k.rules(`
rules:
  - name: ws week
    notify: [chat]
    by: [workspace]
    budget: {amount_usd: 10, period: week, actual: [100], forecast: []}
  - name: team week
    notify: [chat]
    by: [team]
    budget: {amount_usd: 10, period: week, actual: [100], forecast: []}
`)
	k.spent("03-03 10:00", 20)
	k.data("03-01 00:00", "03-04 00:00")
	require.Len(t, k.at("03-04 00:01"), 1)
	k.data("03-04 00:00", "03-09 01:00")
	require.Len(t, k.at("03-09 01:01"), 1)
	var got []string
	for _, a := range k.chat.all[1].Alerts {
		got = append(got, a.Summary)
	}
	require.ElementsMatch(t, []string{
		"ws week, workspace search: a new week began, the week from 2026-03-09: $0.00 of $10.00 spent so far",
		"team week, team team of wrkspc_a: a new week began, the week from 2026-03-09: $0.00 of $10.00 spent so far",
	}, got)
}

func TestBudgetFirstLookSendsTheHighestOnly(t *testing.T) {
	t.Parallel()
	k := newKit(t, "02-27 00:00", monthly)
	k.spent("03-02 10:00", 90)
	k.data("02-27 00:00", "03-03 10:00")
	require.Equal(t, []string{"firing month kind=actual,threshold=80,period=2026-03-01T00"}, k.at("03-03 10:01"))
	require.Len(t, k.states(), 1)
}

func TestBudgetWaitsForData(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-05 00:00", monthly)
	k.spent("03-06 10:00", 90)
	k.data("03-05 00:00", "03-07 00:00")
	require.Empty(t, k.at("03-07 00:01"))
	require.Equal(t, "waiting for data: hours of March 2026 were not read yet", k.note("month"))
	bs, err := k.store.Budgets(t.Context(), testOrg)
	require.NoError(t, err)
	require.Equal(t, storage.BudgetWaiting, bs[0].State)
	k.spent("03-02 10:00", 20)
	k.data("03-01 00:00", "03-05 00:00")
	k.readUpTo(at("03-07 00:00"))
	require.Equal(t, []string{"firing month kind=actual,threshold=100,period=2026-03-01T00"}, k.at("03-07 00:02"))
}

func TestBudgetChangedAmount(t *testing.T) {
	t.Parallel()
	k := newKit(t, "02-27 00:00", monthly)
	k.spent("03-02 10:00", 85)
	k.data("02-27 00:00", "03-03 00:00")
	require.Equal(t, []string{"firing month kind=actual,threshold=80,period=2026-03-01T00"}, k.at("03-03 00:01"))
	budget := func(amount int) string {
		return fmt.Sprintf("rules: [{name: month, notify: [chat], budget: {amount_usd: %d, actual: [50, 80, 100], forecast: []}}]", amount)
	}
	k.rules(budget(150)) // 57 %: what was crossed at 80 % is armed anew, what was told at 50 % stays told
	require.Equal(t, []string{"resolved month kind=actual,threshold=80,period=2026-03-01T00 in thread-1"}, k.at("03-03 00:02"))
	k.spent("03-03 10:00", 40)
	k.data("03-03 00:00", "03-04 00:00")
	require.Equal(t, []string{"firing month kind=actual,threshold=80,period=2026-03-01T00"}, k.at("03-04 00:01"))
	k.rules(budget(100))
	require.Equal(t, []string{"firing month kind=actual,threshold=100,period=2026-03-01T00"}, k.at("03-04 00:02"))
}

func TestBudgetForecast(t *testing.T) {
	t.Parallel()
	k := newKit(t, "02-20 00:00", `
rules:
  - name: month
    notify: [chat]
    by: [workspace]
    budget: {amount_usd: 100, actual: [100], forecast: [100, 200]}
`)
	for d := 20; d <= 28; d++ {
		k.spent(fmt.Sprintf("02-%d 10:00", d), 2)
	}
	for d := 1; d <= 10; d++ {
		k.spent(fmt.Sprintf("03-%02d 10:00", d), 6)
	}
	k.data("02-20 00:00", "03-02 00:00")
	require.Empty(t, k.at("03-02 00:01"))
	var got []string
	for d := 3; d <= 11; d++ {
		k.data(fmt.Sprintf("03-%02d 00:00", d-1), fmt.Sprintf("03-%02d 00:00", d))
		for _, line := range k.at(fmt.Sprintf("03-%02d 00:01", d)) {
			got = append(got, fmt.Sprintf("%d %s", d, line))
		}
	}
	require.Equal(t, []string{"3 firing month workspace=wrkspc_a,kind=forecast,threshold=100,period=2026-03-01T00"}, got)
	a := k.alert()
	require.Equal(t, "forecast 100", a.Labels["threshold"])
	require.Equal(t, "search", a.Labels["workspace"])
	require.Equal(t, "month, workspace search: $186.00 expected by the end of March 2026, 186 % of $100.00. It runs out on Tuesday, 17 March", a.Summary)
	require.Equal(t, "$60.00 of $100.00 spent in March 2026 (60 %).", a.Description)
	// What is spent mutes what was expected.
	k.spent("03-11 10:00", 50)
	k.data("03-11 00:00", "03-12 00:00")
	require.Equal(t, []string{"firing month workspace=wrkspc_a,kind=actual,threshold=100,period=2026-03-01T00; month workspace=wrkspc_a,kind=forecast,threshold=200,period=2026-03-01T00"}, k.at("03-12 00:01"))
}

// Credits may bring what was spent below the limit again: then the day on which it was first reached is no
// day on which it runs out.
func TestBudgetRanOutAfterCredits(t *testing.T) {
	t.Parallel()
	day := func(d int, cost float64) CostDay {
		return CostDay{Window: spend.Day.Bucket(at(fmt.Sprintf("03-%02d 00:00", d))), Cost: spend.Money(cost * float64(spend.Dollar))}
	}
	march := spend.Window{Start: at("03-01 00:00"), End: at("04-01 00:00")}
	days := []CostDay{day(1, 40), day(2, 70), day(3, -60), day(4, 20), day(5, 45), day(6, 10)}
	require.Equal(t, at("03-05 00:00"), exhausted(days, march, 100*spend.Dollar))
	require.Equal(t, at("03-02 00:00"), exhausted(days[:2], march, 100*spend.Dollar))
}

func TestBudgetOfAnotherZone(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-01 00:00", `
rules:
  - name: day
    notify: [chat]
    budget: {amount_usd: 10, period: day, time_zone: America/New_York, actual: [100], forecast: []}
`)
	k.spent("03-03 04:00", 9) // still the 2nd there
	k.spent("03-03 05:00", 5)
	k.data("03-01 00:00", "03-03 06:00")
	require.Empty(t, k.at("03-03 06:01"))
	k.spent("03-04 04:00", 6)
	k.data("03-03 06:00", "03-04 05:00")
	require.Empty(t, k.at("03-04 05:01"), "the 3rd is over there when the data ends")
	k.hours[at("03-04 03:00")] = append(k.hours[at("03-04 03:00")], use{"wrkspc_a", "apikey_a", "", 6, 1, 0})
	k.data("03-03 06:00", "03-04 04:00")
	k.rules(`rules: [{name: day, notify: [chat], budget: {amount_usd: 10, period: day, time_zone: America/New_York, actual: [100], forecast: []}}]`)
	bs, err := k.store.Budgets(t.Context(), testOrg)
	require.NoError(t, err)
	require.Equal(t, spend.Window{Start: at("03-04 05:00"), End: at("03-05 05:00")}, bs[0].Period)
}

// The day on which a budget runs out is one of its zone, also where that begins on no whole hour of UTC.
func TestBudgetRunsOutOnADayOfItsZone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, period string
		spent        string
		day          string // as the message says it
		at           string // its midnight
	}{
		{"America/Los_Angeles", "month", "03-10 20:00", "Tuesday, 10 March", "03-10 07:00"},
		{"America/Los_Angeles", "month", "03-11 03:00", "Tuesday, 10 March", "03-10 07:00"},
		{"Asia/Kolkata", "day", "03-10 18:00", "Wednesday, 11 March", "03-10 18:30"},
		{"Asia/Kolkata", "day", "03-11 03:00", "Wednesday, 11 March", "03-10 18:30"},
		{"Asia/Tokyo", "week", "03-10 16:00", "Wednesday, 11 March", "03-10 15:00"},
		{"UTC", "month", "03-11 03:00", "Wednesday, 11 March", "03-11 00:00"},
	} {
		for _, over := range []bool{true, false} {
			k := newKit(t, "02-20 00:00", "")
			var in ForecastInput
			k.options.Forecast = func(x ForecastInput) Outlook {
				in = x
				i := slices.IndexFunc(x.Days, func(d CostDay) bool { return d.Contains(at(c.spent)) })
				return Outlook{OK: true, Expected: 200 * spend.Dollar, ExhaustedAt: x.Days[i].Start} // as the forecast does
			}
			amount, what := 10, "It ran out on "
			if !over {
				amount, what = 100, "It runs out on "
			}
			k.rules(fmt.Sprintf("rules: [{name: b, notify: [chat], budget: {amount_usd: %d, period: %s, time_zone: %s}}]", amount, c.period, c.zone))
			k.spent(c.spent, 12)
			k.data("02-20 00:00", "03-11 05:00")
			require.Len(t, k.at("03-11 05:01"), 1, c)
			require.Contains(t, k.alert().Summary, what+c.day, c)
			bs, err := k.store.Budgets(t.Context(), testOrg)
			require.NoError(t, err)
			require.Equal(t, at(c.at), bs[0].ExhaustedAt, c)
			require.Equal(t, c.day, bs[0].ExhaustedOn().Format("Monday, 2 January"), c)
			require.True(t, bs[0].Period.Contains(bs[0].ExhaustedAt), c)

			// What the forecast is made from are the zone's days, with what each cost.
			for _, d := range in.Days {
				day := Daily.at(d.Start, in.Zone)
				day.End = earliest(day.End, in.AsOf)
				require.Equal(t, day, d.Window, c)
				cost := spend.Money(0)
				if d.Contains(at(c.spent)) {
					cost = 12 * spend.Dollar
				}
				require.Equal(t, cost, d.Cost, "%v %s", c, d.Window)
			}
			require.Greater(t, len(in.Days), 15)
			require.True(t, slices.ContainsFunc(in.Days, func(d CostDay) bool { return d.Start.Equal(in.Period.Start) }), c)
		}
	}
}

// A day that has no midnight, as the clock goes forward then, is that day all the same.
func TestBudgetDayWithoutMidnight(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Santiago")
	require.NoError(t, err)
	b := budgetJudge{c: &BudgetConfig{TimeZone: "America/Santiago"}, period: Monthly.at(at("09-06 12:00"), zone)}
	require.Equal(t, "2026-09-06", b.day(at("09-06 12:00")).In(zone).Format(time.DateOnly))
	require.Equal(t, "2026-09-30", b.day(b.period.End).In(zone).Format(time.DateOnly), "no later than the period")
	require.Zero(t, b.day(time.Time{}))
}

// Of a day that is known as a whole only, days of another zone get the share of their hours.
func TestBudgetOfAnotherZoneWithoutHours(t *testing.T) {
	t.Parallel()
	k := newKit(t, "02-20 00:00", "")
	var in ForecastInput
	k.options.Forecast = func(x ForecastInput) Outlook {
		in = x
		return Outlook{}
	}
	k.rules("rules: [{name: b, notify: [chat], budget: {amount_usd: 10, period: day, time_zone: Asia/Tokyo}}]")
	k.spent("03-02 10:00", 24)
	for _, d := range (spend.Window{Start: at("02-20 00:00"), End: at("03-08 00:00")}).Buckets(spend.Day) {
		us := rows(k.hours, d)
		for i := range us {
			us[i].Bucket = d.Start
		}
		_, err := k.owner.ReplaceUsage(t.Context(), storage.Reading{Report: spend.ReportMessages, Grain: spend.Day, Window: d, At: d.End, DataAt: d.End}, us)
		require.NoError(t, err)
	}
	k.spent("03-10 20:00", 1)
	k.data("03-08 00:00", "03-11 05:00")
	k.at("03-11 05:01")
	got := map[string]spend.Money{}
	for _, d := range in.Days {
		if d.Cost > 0 {
			got[d.Start.Format("01-02 15:04")] = d.Cost
		}
	}
	require.Equal(t, map[string]spend.Money{"03-01 15:00": 15 * spend.Dollar, "03-02 15:00": 9 * spend.Dollar, "03-10 15:00": spend.Dollar}, got)
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	require.NoError(t, err)
	for _, c := range []struct {
		period           Period
		zone             *time.Location
		at, start, until string
		shown            string
	}{
		{Daily, time.UTC, "03-10 00:00", "03-10 00:00", "03-11 00:00", "2026-03-10"},
		{Weekly, time.UTC, "03-15 23:59", "03-09 00:00", "03-16 00:00", "the week from 2026-03-09"},
		{Monthly, time.UTC, "03-31 23:00", "03-01 00:00", "04-01 00:00", "March 2026"},
		{Quarterly, time.UTC, "05-31 23:00", "04-01 00:00", "07-01 00:00", "the quarter from 2026-04-01"},
		{Daily, berlin, "03-29 12:00", "03-28 23:00", "03-29 22:00", "2026-03-29"}, // 23 hours
		{Monthly, berlin, "03-31 22:30", "03-31 22:00", "04-30 22:00", "April 2026"},
		{Daily, kolkata, "03-10 12:00", "03-09 18:00", "03-10 18:00", "2026-03-10"}, // midnight is at 18:30
		{Daily, kolkata, "03-10 18:10", "03-10 18:00", "03-11 18:00", "2026-03-11"},
	} {
		w := c.period.at(at(c.at), c.zone)
		require.Equal(t, spend.Window{Start: at(c.start), End: at(c.until)}, w, "%s %s %s", c.period, c.zone, c.at)
		require.Equal(t, c.shown, c.period.shown(w, c.zone))
	}
}
