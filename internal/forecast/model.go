package forecast

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// What was tuned, on the seeds of the backtest that are for that and no others.
const (
	halfLife     = 14.0  // days after which a day counts half for the level
	shortLife    = 10.0  // the same, for what counts as far off: a new level is believed within days
	clip         = 2.0   // deviations beyond which a day counts as if it were there
	weekdayDoubt = 1.0   // how much of the difference between weekdays is taken for chance, times what chance makes
	trendDoubt   = 2.5   // standard errors of the slope that are believed to be chance
	damping      = 0.98  // of what is left of the slope, day by day
	wander       = 0.022 // of the level, a day, in logarithms: what no history tells
	draws        = 400   // simulated outcomes
)

// model is a level, a factor for each weekday and a slope, and how far days have been off.
type model struct {
	h       History
	days    int // complete ones that it was made from
	at      time.Time
	level   float64 // dollars a day at the time at
	week    [7]float64
	slope   float64   // of the level's logarithm, a day
	off     []float64 // days over what the model says of them
	levelSE float64   // of the level's logarithm
	slopeSE float64
}

// ahead is a day, or part of one, still to come: how many days away, and what the model says of it.
type ahead struct{ age, mean float64 }

// point is a complete day.
type point struct {
	age     float64 // days from at, mostly negative
	weekday time.Weekday
	cost    float64 // dollars
}

// fit makes the model of a history.
func fit(h History) model {
	m := model{h: h, at: h.day(h.AsOf).Start, week: [7]float64{1, 1, 1, 1, 1, 1, 1}}
	ps := m.points()
	m.days = len(ps)
	if m.days < MinDays {
		m.runRate()
		return m
	}
	m.weekdays(ps)
	zeros, used := 0, 0
	for _, p := range ps {
		if m.week[p.weekday] > 0 {
			if used++; p.cost <= 0 {
				zeros++
			}
		}
	}
	if 4*zeros > used { // too sparse for logarithms: a mean, and no growth
		m.sparse(ps)
	} else {
		m.trend(ps)
	}
	return m
}

// points are the complete days that count, from the first cost on.
func (m *model) points() []point {
	var ps []point
	for _, d := range m.h.Days {
		if age := m.age(d.Window); age >= -MaxDays && !d.End.After(m.h.AsOf) {
			ps = append(ps, point{age, m.h.weekday(d.Window), max(0, d.Cost.USD())})
		}
	}
	first := slices.IndexFunc(ps, func(p point) bool { return p.cost > 0 })
	if running := m.h.Days[len(m.h.Days)-1]; first < 0 && running.End.After(m.h.AsOf) && running.Cost > 0 {
		return nil // it begins today
	}
	return ps[max(0, first):]
}

// age is how many days after at the day begins.
func (m *model) age(day spend.Window) float64 {
	return math.Round(day.Start.Sub(m.at).Hours() / 24)
}

// runRate makes the level what a day cost on average so far, by time.
func (m *model) runRate() {
	cost, time := 0.0, 0.0
	for _, d := range m.h.Days {
		if m.age(d.Window) < -MaxDays || cost == 0 && d.Cost == 0 {
			continue
		}
		end := d.End
		if end.After(m.h.AsOf) {
			end = m.h.AsOf
		}
		cost += max(0, d.Cost.USD())
		time += end.Sub(d.Start).Hours() / 24
	}
	if time > 0 {
		m.level = cost / time
	}
}

// weekdays makes the factors: the middle of what each weekday costs over the week around it, drawn
// to 1 while few have been seen.
func (m *model) weekdays(ps []point) {
	var seen [7][]float64
	for i, p := range ps {
		around := weekAround(ps, i)
		if around > 0 {
			seen[p.weekday] = append(seen[p.weekday], p.cost/around)
		}
	}
	var off []float64
	n := 0.0
	for d, xs := range seen {
		if len(xs) == 0 {
			continue
		}
		if m.week[d] = trimmed(xs); m.week[d] == 0 {
			m.week[d] = mean(xs)
		}
		for _, x := range xs {
			off = append(off, math.Abs(x-m.week[d]))
		}
		n++
	}
	// How much of the difference between the weekdays is more than chance.
	chance := math.Pow(1.4826*median(off), 2) * n / float64(len(off))
	center, variance := mean(m.week[:]), 0.0
	for _, f := range m.week {
		variance += (f - center) * (f - center) / 6
	}
	believed := 0.0
	if variance > 0 {
		believed = max(0, 1-weekdayDoubt*chance/variance)
	}
	for d := range m.week {
		m.week[d] = 1 + believed*(m.week[d]/center-1)
	}
}

// weekAround is the mean cost of the seven days around day i; at the edges they are shifted.
func weekAround(ps []point, i int) float64 {
	center := min(max(ps[i].age, ps[0].age+3), ps[len(ps)-1].age-3)
	sum, n := 0.0, 0
	for _, p := range ps[max(0, i-6):min(len(ps), i+7)] {
		if math.Abs(p.age-center) <= 3 {
			sum += p.cost
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// weight is how much a day counts for the level.
func weight(age float64) float64 { return math.Exp2(age / halfLife) }

// sparse makes the level a weighted mean.
func (m *model) sparse(ps []point) {
	sum, base := 0.0, 0.0
	for _, p := range ps {
		w := weight(p.age)
		sum += w * p.cost
		base += w * m.week[p.weekday]
	}
	if base > 0 {
		m.level = sum / base
	}
	m.levelSE = wander
	for _, p := range ps {
		if x := m.level * m.week[p.weekday]; x > 0 {
			m.off = append(m.off, p.cost/x)
		}
	}
}

// trend makes the slope and the level, from logarithms of the days without their weekday.
func (m *model) trend(ps []point) {
	var ages, logs []float64
	var costs []float64
	for _, p := range ps {
		if f := m.week[p.weekday]; f > 0 {
			ages = append(ages, p.age)
			costs = append(costs, p.cost/f)
		}
	}
	least := 0.02 * median(costs)
	for _, c := range costs {
		logs = append(logs, math.Log(max(c, least)))
	}
	var slopes []float64
	for i := range ages {
		for j := range i {
			slopes = append(slopes, (logs[i]-logs[j])/(ages[i]-ages[j]))
		}
	}
	b := median(slopes)
	rest := make([]float64, len(logs))
	for i := range logs {
		rest[i] = logs[i] - b*ages[i]
	}
	middle := median(rest)
	off := make([]float64, len(rest))
	for i := range rest {
		off[i] = math.Abs(rest[i] - middle)
	}
	deviation := 1.4826 * median(off)

	center, squares := mean(ages), 0.0
	for _, a := range ages {
		squares += (a - center) * (a - center)
	}
	m.slopeSE = deviation / math.Sqrt(squares)
	if t := b / m.slopeSE; m.slopeSE == 0 || math.Abs(t) > trendDoubt {
		m.slope = b
		if m.slopeSE > 0 {
			m.slope *= 1 - trendDoubt*trendDoubt/(t*t)
		}
	}
	// The level is that of a line with the slope believed in; days far off count as less far off.
	for i := range logs {
		rest[i] = logs[i] - m.slope*ages[i]
	}
	weights := make([]float64, len(ages))
	for i, a := range ages {
		weights[i] = math.Exp2(a / shortLife)
	}
	middle = weightedMedian(rest, weights)
	sum, base, base2 := 0.0, 0.0, 0.0
	for i := range rest {
		w := weight(ages[i])
		sum += w * min(max(rest[i], middle-clip*deviation), middle+clip*deviation)
		base += w
		base2 += w * w
	}
	m.level = math.Exp(sum / base)
	m.levelSE = deviation * math.Sqrt(base2) / base
	m.deviations(ages, costs)
}

// deviations notes how far each day was off what the days around it cost.
func (m *model) deviations(ages, costs []float64) {
	for i, a := range ages {
		var around []float64
		for j, b := range ages {
			if math.Abs(b-a) <= 7 {
				around = append(around, costs[j])
			}
		}
		if x := median(around); x > 0 {
			m.off = append(m.off, costs[i]/x)
		}
	}
	if by := median(m.off); by > 0 {
		for i := range m.off {
			m.off[i] /= by
		}
	}
}

// mean is what the model says of a day.
func (m *model) mean(day spend.Window) float64 {
	age := m.age(day)
	growth := m.slope * age
	if age > 0 {
		growth = m.slope * damped(age)
	}
	return m.level * m.week[m.h.weekday(day)] * math.Exp(growth)
}

// damped is how many days' worth of slope there are in that many days ahead.
func damped(age float64) float64 { return (1 - math.Pow(damping, age)) / (1 - damping) }

// outcomes simulates what the days ahead may cost together and returns the middle of it, and the
// bounds of the interval. Equal models give equal outcomes. Without a measure of how far days are off,
// all three are what the model says.
func (m *model) outcomes(days []ahead) (middle, low, high float64) {
	sum := 0.0
	for _, d := range days {
		sum += d.mean
	}
	if len(m.off) == 0 || sum == 0 {
		return sum, sum, sum
	}
	r := rand.New(rand.NewPCG(1, 2)) // the same draws each time: a figure must not change by itself
	totals := make([]float64, draws)
	tilts, drifts := make([]float64, len(days)), make([]float64, len(days))
	for i, d := range days {
		age := max(0, d.age)
		tilts[i], drifts[i] = damped(age), math.Sqrt(age)
	}
	var level, tilt, drift float64
	for k := range totals {
		if level, tilt, drift = -level, -tilt, -drift; k%2 == 0 { // in pairs, so that they do not lean to a side
			level, tilt, drift = m.levelSE*r.NormFloat64(), m.slopeSE*r.NormFloat64(), wander*r.NormFloat64()
		}
		for i, d := range days {
			totals[k] += d.mean * m.off[r.IntN(len(m.off))] * math.Exp(level+tilt*tilts[i]+drift*drifts[i])
		}
	}
	slices.Sort(totals)
	at := func(q float64) float64 { return totals[int(math.Round(q*(draws-1)))] }
	return median(totals), at(0.5 - Coverage/200.0), at(0.5 + Coverage/200.0)
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// median is the middle of the numbers, 0 of none.
func median(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(xs))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// trimmed is the mean of the middle: without the lowest and the highest fifth.
func trimmed(xs []float64) float64 {
	s := slices.Sorted(slices.Values(xs))
	cut := len(s) / 5
	return mean(s[cut : len(s)-cut])
}

// weightedMedian is the number that half of the weight lies at or below.
func weightedMedian(xs, weights []float64) float64 {
	order := make([]int, len(xs))
	total := 0.0
	for i := range order {
		order[i] = i
		total += weights[i]
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(xs[a], xs[b]) })
	sum := 0.0
	for _, i := range order {
		if sum += weights[i]; sum >= total/2 {
			return xs[i]
		}
	}
	return 0
}
