package alerts

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const anomalyRules = `
rules:
  - name: hour
    notify: [chat]
    keep_firing_for: 3h
    anomaly: {metric: cost_usd, window: 1h, min_increase: 20, min_ratio: 3}
  - name: day
    notify: [chat]
    keep_firing_for: 12h
    anomaly: {metric: cost_usd, window: 1d, min_increase: 100, min_ratio: 2}
`

// usual is what an hour costs in an office that works on weekdays, with a batch on Sunday nights,
// growing by a percentage a week.
func usual(hour time.Time, since time.Time, growth float64, noise *rand.Rand) float64 {
	v := 1.5
	if d := hour.Weekday(); d != time.Saturday && d != time.Sunday {
		v += 14 * math.Exp(-math.Pow(float64(hour.Hour())-13, 2)/18)
	}
	if hour.Weekday() == time.Sunday && hour.Hour() < 4 {
		v += 40
	}
	v *= math.Pow(1+growth, hour.Sub(since).Hours()/168)
	return v * math.Exp(0.25*noise.NormFloat64())
}

// injected is an anomaly that was put into the simulated time.
type injected struct {
	kind   string
	window spend.Window
	factor float64
	small  bool // it adds less than the floors of the rules: it is not to be caught
}

// simulate stores hours of usual cost with anomalies in it.
func simulate(k *kit, w spend.Window, growth float64, bad []injected) {
	k.Helper()
	noise := rand.New(rand.NewPCG(7, 11))
	for _, day := range w.Buckets(spend.Day) {
		var us []spend.Usage
		for _, h := range day.Buckets(spend.Hour) {
			v := usual(h.Start, w.Start, growth, noise)
			for _, x := range bad {
				if x.window.Contains(h.Start) {
					v *= x.factor
				}
			}
			u := spend.Usage{Bucket: h.Start, Dims: spend.Dims{WorkspaceID: "wrkspc_a", APIKeyID: "apikey_a", Model: "claude-x"}, Price: spend.Priced}
			u.Counts[spend.Output], u.Estimate[spend.Output] = 1, money(v)
			us = append(us, u)
		}
		_, err := k.owner.ReplaceUsage(k.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Hour, Window: day, At: day.End, DataAt: day.End,
		}, us)
		require.NoError(k, err)
	}
	k.readUpTo(w.End)
}

func TestAnomaly(t *testing.T) {
	t.Parallel()
	k := newKit(t, "01-05 00:00", "")
	hour := spend.Window{Start: at("02-25 03:00"), End: at("02-25 04:00")}
	day := spend.Window{Start: at("03-03 00:00"), End: at("03-04 00:00")}
	simulate(k, spend.Window{Start: at("01-05 00:00"), End: at("03-09 00:00")}, 0.02, []injected{{"", hour, 20, false}, {"", day, 3, false}})
	rules := parseRules(t, anomalyRules)
	fired := map[string][]string{}
	for _, r := range rules {
		b, err := Backtest(t.Context(), k.options, testOrg, r, spend.Window{Start: at("01-05 00:00"), End: at("03-09 00:00")})
		require.NoError(t, err)
		require.LessOrEqual(t, b.Quiet, 15*24, "quiet until there is enough history, and says why")
		require.Contains(t, b.Notes[1], "too little history by the hour")
		for _, c := range b.Changes {
			if c.Event == spend.EventFiring {
				fired[r.Name] = append(fired[r.Name], c.At.Format("01-02 15:04"))
			}
		}
	}
	require.Equal(t, "02-25 04:00", fired["hour"][0], "a tenfold hour; nothing in six weeks of the weekly pattern before")
	require.Len(t, fired["day"], 1, "a slow threefold day")
	require.Regexp(t, "^03-0[34] ", fired["day"][0])
}

func TestAnomalyOfSomethingNew(t *testing.T) {
	t.Parallel()
	k := newKit(t, "01-05 00:00", "")
	simulate(k, spend.Window{Start: at("01-05 00:00"), End: at("02-16 00:00")}, 0, nil)
	k.rules(strings.Replace(anomalyRules, "    anomaly:", "    by: [workspace]\n    anomaly:", 1))
	k.used("02-16 10:00", use{"wrkspc_b", "apikey_c", "", 500, 1, 0})
	k.data("02-16 00:00", "02-16 11:00")
	require.Equal(t, []string{"firing day"}, k.at("02-16 11:01"), "what is new has no usual value; the organization has")
	require.Equal(t, "one is younger than two weeks and has no usual value yet", k.note("hour"))
}

func TestMedian(t *testing.T) {
	t.Parallel()
	require.Zero(t, median(nil))
	require.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 3, median([]float64{4, 1, 2, 9}), 0)
}

// BenchmarkAnomaly replays a simulated year with anomalies of known kinds: a line for each says how
// many of them an hourly and a daily rule catch, miss, and leave because they are below the rules'
// floors, and a last one what they invent.
func BenchmarkAnomaly(b *testing.B) {
	year := spend.Window{Start: at("01-05 00:00"), End: at("12-28 00:00")}
	kinds := []struct {
		name   string
		length time.Duration
		factor float64
		n      int
	}{
		{"tenfold hour", time.Hour, 10, 20}, {"fivefold hour", time.Hour, 5, 20}, {"leaked key, 6 h of 20 times", 6 * time.Hour, 20, 10},
		{"threefold day", 24 * time.Hour, 3, 12}, {"twofold day", 24 * time.Hour, 2, 8},
	}
	random := rand.New(rand.NewPCG(3, 5))
	var bad []injected
	for _, kind := range kinds {
		for range kind.n {
			for {
				start := year.Start.AddDate(0, 0, 42+random.IntN(300)).Add(time.Duration(random.IntN(24)) * time.Hour)
				if kind.length >= 24*time.Hour {
					start = spend.Day.Floor(start)
				}
				w := spend.Window{Start: start, End: start.Add(kind.length)}
				room := spend.Window{Start: w.Start.AddDate(0, 0, -1), End: w.End.AddDate(0, 0, 1)}
				if overlaps(bad, room) {
					continue
				}
				x := injected{kind: kind.name, window: w, factor: kind.factor}
				mean := rand.New(rand.NewPCG(1, 1))
				var added float64
				for _, h := range w.Buckets(spend.Hour) {
					added += usual(h.Start, year.Start, 0.01, mean) * (kind.factor - 1)
				}
				x.small = added < 30 || kind.length >= 24*time.Hour && added < 150 // with room for noise
				bad = append(bad, x)
				break
			}
		}
	}
	k := newKit(b, "01-05 00:00", "")
	simulate(k, year, 0.01, bad)
	hits := map[string]map[spend.Window]bool{}
	invented := map[string]int{}
	for _, r := range parseRules(b, anomalyRules) {
		hits[r.Name] = map[spend.Window]bool{}
		t, err := Backtest(b.Context(), k.options, testOrg, r, year)
		require.NoError(b, err)
		for _, c := range t.Changes {
			if c.Event != spend.EventFiring {
				continue
			}
			caught := false
			for _, x := range bad {
				if c.At.After(x.window.Start) && c.At.Before(x.window.End.Add(25*time.Hour)) {
					hits[r.Name][x.window], caught = true, true
				}
			}
			if !caught {
				invented[r.Name]++
			}
		}
	}
	for _, kind := range kinds {
		b.Run(strings.ReplaceAll(kind.name, " ", "_"), func(b *testing.B) {
			byHour, byDay, missed, small := 0, 0, 0, 0
			for _, x := range bad {
				switch {
				case x.kind != kind.name:
					continue
				case hits["hour"][x.window] || hits["day"][x.window]:
				case x.small:
					small++
				default:
					missed++
				}
				if hits["hour"][x.window] {
					byHour++
				}
				if hits["day"][x.window] {
					byDay++
				}
			}
			table(b, map[string]int{"injected": kind.n, "caught-by-hour": byHour, "caught-by-day": byDay, "below-floor": small, "missed": missed})
		})
	}
	b.Run("usual_year", func(b *testing.B) {
		table(b, map[string]int{"false-alarms-by-hour": invented["hour"], "false-alarms-by-day": invented["day"]})
	})
}

// table reports figures that take no time.
func table(b *testing.B, figures map[string]int) {
	for b.Loop() { //nolint:revive // the work was done before
	}
	b.ReportMetric(0, "ns/op")
	for name, n := range figures {
		b.ReportMetric(float64(n), name)
	}
}

func overlaps(bad []injected, w spend.Window) bool {
	for _, x := range bad {
		if x.window.Overlaps(w) {
			return true
		}
	}
	return false
}
