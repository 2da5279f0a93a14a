package forecast_test

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// kinds are the made-up histories that forecasts are measured on.
var kinds = []string{"flat", "weekly", "growing", "spiky", "holidays"}

// historyDays is how many days come before the month, as many as a first start fetches.
const historyDays = 90

// world is a made-up history: 90 days, and the month after them.
type world struct {
	month  spend.Window // UTC
	days   []spend.Window
	cost   []float64 // dollars, by day
	middle []float64 // the hour by which half of the day's cost has come in
}

// generate makes a history of the kind. Equal seeds give equal histories.
//
// The noise is the same everywhere: a day is off by a factor of about 15 %, and the level wanders by
// half a percent a day.
//
//	flat      nothing but the noise
//	weekly    Saturday and Sunday at 10 to 40 % of the other days, which differ by up to 10 %
//	growing   by 20 to 80 % a month, with a weaker week (weekends at 50 to 90 %)
//	spiky     one day in twenty costs 3 to 8 times as much
//	holidays  weekly, with a public holiday every 12 to 25 days, and every second seed has a
//	          shutdown of five to nine days somewhere; such days are at 10 to 30 %
func generate(kind string, seed uint64) world {
	var salt uint64
	for i, k := range kinds {
		if k == kind {
			salt = uint64(i) + 1
		}
	}
	r := rand.New(rand.NewPCG(seed, salt))
	between := func(from, to float64) float64 { return from + (to-from)*r.Float64() }
	first := time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC).AddDate(0, int(seed%24), 0)
	w := world{month: spend.Window{Start: first, End: first.AddDate(0, 1, 0)}}
	w.days = spend.Window{Start: first.AddDate(0, 0, -historyDays), End: w.month.End}.Buckets(spend.Day)

	week := [7]float64{1, 1, 1, 1, 1, 1, 1}
	weekdays := func(from, to float64) {
		for d := range week {
			week[d] = between(0.9, 1.1)
		}
		week[time.Saturday], week[time.Sunday] = between(from, to), between(from, to)
	}
	growth := 0.0 // a day, in logarithms
	switch kind {
	case "weekly", "holidays":
		weekdays(0.1, 0.4)
	case "growing":
		weekdays(0.5, 0.9)
		growth = math.Log(between(1.2, 1.8)) / 30
	}
	level := between(20, 500)
	for _, day := range w.days {
		level *= math.Exp(growth + 0.005*r.NormFloat64())
		cost := level * week[day.Start.Weekday()] * math.Exp(0.15*r.NormFloat64())
		if kind == "spiky" && r.Float64() < 0.05 {
			cost *= between(3, 8)
		}
		w.cost = append(w.cost, cost)
		w.middle = append(w.middle, 14+0.75*r.NormFloat64())
	}
	if kind == "holidays" {
		off := func(i int) {
			if i < len(w.cost) {
				w.cost[i] *= between(0.1, 0.3)
			}
		}
		for i := r.IntN(20); i < len(w.cost); i += 12 + r.IntN(14) {
			off(i)
		}
		if seed%2 == 0 {
			from := r.IntN(len(w.cost))
			for i := range 5 + r.IntN(5) {
				off(from + i)
			}
		}
	}
	return w
}

// arrived is how much of day i's cost has come in by the hour: little at night, most in the hours
// around the middle of the working day.
func (w world) arrived(i int, hour float64) float64 {
	at := func(h float64) float64 { return 0.7/(1+math.Exp(-(h-w.middle[i])/2)) + 0.3*h/24 }
	return (at(hour) - at(0)) / (at(24) - at(0))
}

// dollars is an amount in our units.
func dollars(x float64) spend.Money { return spend.Money(math.Round(x * float64(spend.Dollar))) }
