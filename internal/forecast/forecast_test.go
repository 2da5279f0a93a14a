package forecast_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

var november = spend.Window{Start: at(2026, 11, 1), End: at(2026, 12, 1)}

func at(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// history is the days before asOf, the oldest first, and the running day so far. A negative cost is a
// day that is not known.
func history(asOf time.Time, cost func(day time.Time) float64, days int) forecast.History {
	h := forecast.History{AsOf: asOf}
	for _, d := range (spend.Window{Start: spend.Day.Floor(asOf).AddDate(0, 0, -days), End: asOf}).Buckets(spend.Day) {
		c := cost(d.Start)
		if c < 0 {
			continue
		}
		if d.Contains(asOf) {
			c *= asOf.Sub(d.Start).Hours() / 24
		}
		h.Days = append(h.Days, forecast.Day{Window: d, Cost: dollars(c)})
	}
	return h
}

func constant(usd float64) func(time.Time) float64 { return func(time.Time) float64 { return usd } }

// week costs 100 on working days and 20 on the others.
func week(day time.Time) float64 {
	if d := day.Weekday(); d == time.Saturday || d == time.Sunday {
		return 20
	}
	return 100
}

func forecasted(t *testing.T, h forecast.History, period spend.Window) forecast.Forecast {
	t.Helper()
	f, err := forecast.New(h, period, h.AsOf)
	require.NoError(t, err)
	return f
}

func TestForecast(t *testing.T) {
	t.Parallel()
	noon := at(2026, 11, 15).Add(12 * time.Hour)
	for _, tt := range []struct {
		name     string
		h        forecast.History
		period   spend.Window
		want     float64 // dollars
		within   float64 // of it, as a share
		method   forecast.Method
		days     int
		spent    float64
		today    float64
		interval bool
	}{
		{"a constant goes on", history(noon, constant(10), 60), november, 300, 1e-7, forecast.Weekday, 56, 145, 10, true},
		{"weekends are known", history(noon, week, 60), november, 21*100 + 9*20, 0.01, forecast.Weekday, 56, 10*100 + 4.5*20, 20, true},
		{"nothing costs nothing", history(noon, constant(0), 60), november, 0, 0, forecast.Weekday, 56, 0, 0, true},
		{"a week ahead", history(noon, week, 60), spend.Window{Start: at(2026, 11, 23), End: at(2026, 11, 30)}, 540, 0.02, forecast.Weekday, 56, 0, 20, true},
		{"a quarter", history(noon, constant(10), 45), spend.Window{Start: at(2026, 10, 1), End: at(2027, 1, 1)}, 920, 1e-7, forecast.Weekday, 45, 455, 10, true},
		{"a day", history(noon, constant(10), 20), spend.Window{Start: at(2026, 11, 15), End: at(2026, 11, 16)}, 10, 1e-7, forecast.Weekday, 20, 5, 10, true},
		{"a period that is over", history(noon, week, 30), spend.Window{Start: at(2026, 11, 2), End: at(2026, 11, 9)}, 540, 0, forecast.Actual, 30, 540, 20, false},
		{"six days are a run rate", history(noon, week, 6), november, (5*100+1.5*20)/6.5*23.5 + 530, 1e-7, forecast.RunRate, 6, 530, 20 + 0.5*530/6.5 - 10, false},
		{"seven days are enough", history(noon, constant(10), 7), november, 300, 1e-7, forecast.Weekday, 7, 75, 10, true},
		{"a history begins with its first cost", history(noon, func(d time.Time) float64 {
			if d.Before(at(2026, 11, 12)) {
				return 0
			}
			return 10
		}, 60), november, 35 + 155, 1e-7, forecast.RunRate, 3, 35, 10, false},
		{"or today", history(noon, func(d time.Time) float64 {
			if d.Before(at(2026, 11, 15)) {
				return 0
			}
			return 10
		}, 60), november, 5 + 155, 1e-7, forecast.RunRate, 0, 5, 10, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := forecasted(t, tt.h, tt.period)
			require.InDelta(t, tt.want, f.Expected.USD(), tt.want*tt.within, "expected")
			require.InDelta(t, tt.spent, f.Spent.USD(), 1e-6, "spent")
			require.InDelta(t, tt.today, f.Today.USD(), tt.today*0.02, "today")
			require.Equal(t, tt.method, f.Method)
			require.Equal(t, tt.days, f.HistoryDays)
			require.Equal(t, tt.interval, f.Interval)
			require.LessOrEqual(t, f.Low, f.Expected)
			require.LessOrEqual(t, f.Expected, f.High)
			require.GreaterOrEqual(t, f.Low, f.Spent)
		})
	}
}

// A day that is not known is not a day without cost.
func TestMissingDays(t *testing.T) {
	t.Parallel()
	noon := at(2026, 11, 15).Add(12 * time.Hour)
	gap := func(d time.Time) float64 {
		if d.Day() >= 4 && d.Day() <= 6 && d.Month() == time.November {
			return -1
		}
		return 10
	}
	f := forecasted(t, history(noon, constant(10), 50), november)
	require.Zero(t, f.MissingDays)

	f = forecasted(t, history(noon, gap, 50), november)
	require.Equal(t, 3, f.MissingDays)
	require.Equal(t, 47, f.HistoryDays)
	require.Equal(t, 115*spend.Dollar, f.Spent)
	require.InDelta(t, 300, f.Expected.USD(), 1e-4)

	// The running day is not known at all.
	h := history(at(2026, 11, 15), constant(10), 50)
	h.AsOf = noon
	f = forecasted(t, h, november)
	require.Zero(t, f.MissingDays)
	require.InDelta(t, 300, f.Expected.USD(), 1e-4)
	require.Equal(t, 10*spend.Dollar, f.Today)
}

// One day of ten times the cost is in what was spent, and hardly in what is expected after it.
func TestSpike(t *testing.T) {
	t.Parallel()
	f := forecasted(t, history(at(2026, 11, 21), func(d time.Time) float64 {
		if d.Equal(at(2026, 11, 13)) {
			return 100
		}
		return 10
	}, 56), november)
	require.InDelta(t, 290, f.Spent.USD(), 1e-6)
	require.InDelta(t, 390, f.Expected.USD(), 12)
	require.Greater(t, f.High-f.Expected, f.Expected-f.Low, "it may happen again")
}

// Growth goes on, and a new level is believed within days.
func TestFollows(t *testing.T) {
	t.Parallel()
	grow := func(d time.Time) float64 { return 10 * math.Pow(1.02, d.Sub(at(2026, 11, 1)).Hours()/24) }
	want := 0.0
	for _, d := range november.Buckets(spend.Day) {
		want += grow(d.Start)
	}
	f := forecasted(t, history(at(2026, 11, 11), grow, 56), november)
	require.InDelta(t, want, f.Expected.USD(), 0.05*want)

	r := rand.New(rand.NewPCG(3, 4))
	f = forecasted(t, history(at(2026, 11, 21), func(d time.Time) float64 {
		noise := math.Exp(0.1 * r.NormFloat64())
		if d.Before(at(2026, 11, 11)) {
			return 10 * noise
		}
		return 30 * noise
	}, 56), november)
	require.InDelta(t, 700, f.Expected.USD(), 105)
}

// A job that runs on Mondays only, and use now and then, have days without cost.
func TestSparse(t *testing.T) {
	t.Parallel()
	mondays := func(d time.Time) float64 {
		if d.Weekday() == time.Monday {
			return 50
		}
		return 0
	}
	f := forecasted(t, history(at(2026, 11, 13), mondays, 56), november)
	require.InDelta(t, 250, f.Expected.USD(), 15)

	seldom := func(d time.Time) float64 {
		if d.YearDay()%9 == 0 {
			return 90
		}
		return 0
	}
	f = forecasted(t, history(at(2026, 11, 10), seldom, 56), november)
	require.InDelta(t, 300, f.Expected.USD(), 150)
	require.Positive(t, f.High-f.Low)
}

// Equal questions have equal answers, to the last digit.
func TestSame(t *testing.T) {
	t.Parallel()
	h := generate("spiky", 3).knownAt(12, 9)
	w := generate("spiky", 3).month
	require.Equal(t, forecasted(t, h, w), forecasted(t, h, w))
}

func TestCrosses(t *testing.T) {
	t.Parallel()
	f := forecasted(t, history(at(2026, 11, 15).Add(12*time.Hour), constant(10), 56), november)
	for _, tt := range []struct {
		amount float64
		want   time.Time
		ok     bool
	}{
		{0, at(2026, 11, 1), true},
		{10, at(2026, 11, 1), true},
		{10.01, at(2026, 11, 2), true},
		{140, at(2026, 11, 14), true},
		{149.99, at(2026, 11, 15), true}, // today
		{200, at(2026, 11, 20), true},
		{201, at(2026, 11, 21), true},
		{299.999, at(2026, 11, 30), true},
		{300.001, time.Time{}, false},
	} {
		day, ok := f.Crosses(dollars(tt.amount))
		require.Equal(t, tt.ok, ok, tt.amount)
		require.Equal(t, tt.want, day, tt.amount)
	}
	day, ok := f.Crosses(f.Expected)
	require.True(t, ok, "the expected total is reached by the end")
	require.Equal(t, at(2026, 11, 30), day)
}

// Days of another zone begin at the full hour before its midnight; a day may have 23 or 25 hours.
// A credit takes back what was reached: the amount is crossed where it is for good.
func TestCrossesAfterCredits(t *testing.T) {
	t.Parallel()
	h := history(at(2026, 11, 15).Add(12*time.Hour), constant(10), 56)
	for i, d := range h.Days {
		if d.Start.Equal(at(2026, 11, 10)) {
			h.Days[i].Cost = -60 * spend.Dollar
		}
	}
	f := forecasted(t, h, november)
	day, ok := f.Crosses(75 * spend.Dollar) // reached on the 8th, and again today
	require.True(t, ok)
	require.Equal(t, at(2026, 11, 15), day)
	day, ok = f.Crosses(20 * spend.Dollar)
	require.True(t, ok)
	require.Equal(t, at(2026, 11, 2), day, "never below it since")
	_, ok = f.Crosses(300 * spend.Dollar)
	require.False(t, ok)
}

func TestZones(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	kathmandu, err := time.LoadLocation("Asia/Kathmandu") // +05:45
	require.NoError(t, err)
	utc := func(d, h int) time.Time { return time.Date(2026, 10, d, h, 0, 0, 0, time.UTC) }
	for _, tt := range []struct {
		zone    *time.Location
		t, want time.Time
	}{
		{nil, utc(24, 23).Add(59 * time.Minute), utc(24, 0)},
		{berlin, utc(24, 21), utc(23, 22)},
		{berlin, utc(24, 22), utc(24, 22)},
		{berlin, utc(25, 22), utc(24, 22)}, // the day of 25 hours
		{berlin, utc(25, 23), utc(25, 23)},
		{kathmandu, utc(24, 17), utc(23, 18)},
		{kathmandu, utc(24, 18), utc(24, 18)}, // midnight is at 18:15
		{kathmandu, utc(24, 18).Add(30 * time.Minute), utc(24, 18)},
	} {
		require.Equal(t, tt.want, forecast.DayOf(tt.t, tt.zone).Start, "%s in %s", tt.t, tt.zone)
	}

	// October in Berlin, with its weekends.
	h := forecast.History{AsOf: utc(20, 10), Zone: berlin}
	for day := forecast.DayOf(utc(-29, 12), berlin); day.Start.Before(h.AsOf); day = forecast.DayOf(day.End, berlin) {
		d := forecast.Day{Window: day, Cost: dollars(week(day.Start.Add(12 * time.Hour)))}
		if d.Contains(h.AsOf) {
			d.Cost /= 2
		}
		h.Days = append(h.Days, d)
	}
	period := forecast.Month.Window(h.AsOf, berlin)
	require.Equal(t, spend.Window{Start: utc(0, 22), End: utc(31, 23)}, period)
	f := forecasted(t, h, period)
	require.InDelta(t, 22*100+9*20, f.Expected.USD(), 25)
	require.InDelta(t, 13*100+6*20+50, f.Spent.USD(), 1e-6)
	day, ok := f.Crosses(2000 * spend.Dollar)
	require.True(t, ok)
	require.Equal(t, utc(26, 23), day, "Tuesday the 27th in Berlin")
}

// The running day is split by the usual time of cost where that is known.
func TestShare(t *testing.T) {
	t.Parallel()
	h := history(at(2026, 11, 15).Add(6*time.Hour), constant(10), 56)
	h.Days[len(h.Days)-1].Cost = spend.Dollar // of ten, by six in the morning
	h.Share = 0.1
	f := forecasted(t, h, november)
	require.InDelta(t, 300, f.Expected.USD(), 1e-4)
	require.InDelta(t, 10, f.Today.USD(), 1e-6)
	h.Share = 0
	require.InDelta(t, 8.5, forecasted(t, h, november).Today.USD(), 1e-6)
}

// The day of now may have begun after the newest data.
func TestTodayAfterMidnight(t *testing.T) {
	t.Parallel()
	h := history(at(2026, 11, 13).Add(23*time.Hour), week, 56)
	f, err := forecast.New(h, november, at(2026, 11, 14).Add(5*time.Minute)) // a Saturday
	require.NoError(t, err)
	require.InDelta(t, 20, f.Today.USD(), 0.5)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	h := history(at(2026, 11, 15), constant(10), 10)
	_, err := forecast.New(forecast.History{}, november, h.AsOf)
	require.ErrorIs(t, err, forecast.ErrNoHistory)
	_, err = forecast.New(forecast.History{AsOf: h.AsOf}, november, h.AsOf)
	require.ErrorIs(t, err, forecast.ErrNoHistory)
	for _, tt := range []struct {
		h      forecast.History
		period spend.Window
		now    time.Time
		want   string
	}{
		{h, spend.Window{Start: november.End, End: november.Start}, h.AsOf, "the period is empty"},
		{h, november, h.AsOf.Add(-time.Hour), "is after now"},
		{h, spend.Window{Start: november.Start, End: at(2030, 1, 1)}, h.AsOf, "more than three years"},
		{forecast.History{AsOf: h.AsOf, Days: []forecast.Day{h.Days[1], h.Days[0]}}, november, h.AsOf, "out of order"},
	} {
		_, err := forecast.New(tt.h, tt.period, tt.now)
		require.ErrorContains(t, err, tt.want)
		require.NotErrorIs(t, err, forecast.ErrNoHistory)
	}
}

// Amounts beyond all measure neither overflow nor panic.
func TestHuge(t *testing.T) {
	t.Parallel()
	h := history(at(2026, 11, 15), constant(1e6), 30)
	for i := range h.Days {
		h.Days[i].Cost = 1 << 58
	}
	f := forecasted(t, h, november)
	require.GreaterOrEqual(t, f.Expected, spend.Money(0))
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	sunday := at(2026, 11, 15).Add(20 * time.Hour) // in Tokyo it is Monday
	hours := func(w spend.Window, h int) spend.Window {
		return spend.Window{Start: w.Start.Add(time.Duration(h) * time.Hour), End: w.End.Add(time.Duration(h) * time.Hour)}
	}
	for _, tt := range []struct {
		period forecast.Period
		zone   *time.Location
		want   spend.Window
	}{
		{forecast.DayPeriod, nil, spend.Window{Start: at(2026, 11, 15), End: at(2026, 11, 16)}},
		{forecast.Week, nil, spend.Window{Start: at(2026, 11, 9), End: at(2026, 11, 16)}},
		{forecast.Month, time.UTC, november},
		{forecast.Quarter, nil, spend.Window{Start: at(2026, 10, 1), End: at(2027, 1, 1)}},
		{forecast.DayPeriod, tokyo, hours(spend.Window{Start: at(2026, 11, 16), End: at(2026, 11, 17)}, -9)},
		{forecast.Week, tokyo, hours(spend.Window{Start: at(2026, 11, 16), End: at(2026, 11, 23)}, -9)},
		{forecast.Month, tokyo, hours(november, -9)},
	} {
		require.True(t, tt.period.Valid())
		require.Equal(t, tt.want, tt.period.Window(sunday, tt.zone), "%s in %v", tt.period, tt.zone)
	}
	require.False(t, forecast.Period("year").Valid())
}

// Whatever the history, a forecast keeps its promises.
func TestProperties(t *testing.T) {
	t.Parallel()
	zones := []*time.Location{nil, time.FixedZone("east", 20_700), time.FixedZone("west", -34_200)}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		asOf := at(2026, 11, 1).Add(time.Duration(rapid.IntRange(0, 60*24).Draw(t, "minutes")) * 37 * time.Minute)
		h := forecast.History{AsOf: asOf, Zone: zone, Share: rapid.SampledFrom([]float64{0, 0.3, 1}).Draw(t, "share")}
		day := forecast.DayOf(asOf.AddDate(0, 0, -rapid.IntRange(0, 70).Draw(t, "days")), zone)
		cost := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 1e12), rapid.Int64Range(0, 100))
		for ; day.Start.Before(asOf); day = forecast.DayOf(day.End, zone) {
			if rapid.IntRange(0, 9).Draw(t, "known") > 0 {
				h.Days = append(h.Days, forecast.Day{Window: day, Cost: spend.Money(cost.Draw(t, "cost"))})
			}
		}
		now := asOf.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "later")) * time.Minute)
		period := rapid.SampledFrom(forecast.Periods).Draw(t, "period").Window(now, zone)
		require.True(t, period.Contains(now))
		f, err := forecast.New(h, period, now)
		if len(h.Days) == 0 {
			require.ErrorIs(t, err, forecast.ErrNoHistory)
			return
		}
		require.NoError(t, err)
		var spent spend.Money
		for _, d := range h.Days {
			if period.Contains(d.Start) {
				spent += d.Cost
			}
		}
		require.Equal(t, spent, f.Spent)
		require.LessOrEqual(t, f.Spent, f.Low)
		require.LessOrEqual(t, f.Low, f.Expected)
		require.LessOrEqual(t, f.Expected, f.High)
		require.GreaterOrEqual(t, f.Today, spend.Money(0))
		require.Equal(t, f.Method == forecast.Weekday, f.Interval)
		last := time.Time{}
		for _, part := range []int64{0, 1, 2, 3, 4} {
			day, ok := f.Crosses(f.Expected / 4 * spend.Money(part))
			require.True(t, ok)
			require.True(t, period.Contains(day))
			require.False(t, day.Before(last))
			last = day
		}
		_, ok := f.Crosses(f.Expected + 1)
		require.False(t, ok)
	})
}

func BenchmarkNew(b *testing.B) {
	w := generate("weekly", 1)
	h := w.knownAt(12, 15)
	for b.Loop() {
		if _, err := forecast.New(h, w.month, h.AsOf); err != nil {
			b.Fatal(err)
		}
	}
}
