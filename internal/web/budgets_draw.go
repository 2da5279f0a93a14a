package web

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// drawBudget lays the bar out: it goes as far as the greatest of the limit, the thresholds, what is spent
// and what is expected, up to five times the limit.
func drawBudget(b storage.Budget, rule BudgetRule, marks []storage.BudgetMark) budgetScale {
	limit := b.Limit.USD()
	if limit <= 0 {
		return budgetScale{}
	}
	percent := func(m spend.Money) float64 { return 100 * m.USD() / limit }
	full := 100.0
	for _, t := range slices.Concat(rule.Actual, rule.Forecast) {
		full = max(full, t)
	}
	full = max(full, percent(b.Spent))
	if b.Forecasted {
		full = max(full, percent(b.Forecast))
	}
	full = min(full*1.04, 500)
	at := func(p float64) float64 { return min(100, max(0, 100*p/full)) }
	bar := budgetScale{Spent: at(percent(b.Spent)), Limit: at(100), Over: b.Spent >= b.Limit}
	if b.Forecasted {
		bar.Forecast = at(percent(b.Forecast))
	}
	crossed := func(kind string, t float64) bool {
		return slices.ContainsFunc(marks, func(m storage.BudgetMark) bool {
			return m.Rule == b.Rule && m.Subject == b.Subject && m.Kind == kind && m.Threshold == t && m.Period.Equal(b.Period.Start)
		})
	}
	for _, list := range []struct {
		kind, words string
		thresholds  []float64
		forecast    bool
	}{{storage.MarkActual, "spent", rule.Actual, false}, {storage.MarkForecast, "expected by the end", rule.Forecast, true}} {
		for _, t := range list.thresholds {
			if t > full {
				continue
			}
			label := fmt.Sprintf("%g %%", t)
			tick := scaleTick{X: at(t), Forecast: list.forecast, Crossed: crossed(list.kind, t)}
			if !slices.ContainsFunc(bar.Ticks, func(other scaleTick) bool { return other.X == tick.X }) {
				tick.Label = label
			}
			tick.Title = fmt.Sprintf("Tells at %s %s: $%s", label, list.words, report.USD(spend.Money(t/100*float64(b.Limit))))
			if tick.Crossed {
				tick.Title += ", crossed"
			}
			bar.Ticks = append(bar.Ticks, tick)
		}
	}
	return bar
}

// course is the drawing of what was spent over a period, in a field of 1000 by 200.
type course struct {
	Label       string
	Area, Line  string  // of what was spent
	Pace        string  // of spending evenly up to the limit
	Ahead       string  // of what is expected
	Range       string  // of the interval around it
	Limit       float64 // height of the limit
	Now         float64
	Ticks       []chartTick
	First, Last string
	Rows        []courseRow
	AsOf        time.Time
	Height      int
}

// courseRow is a bucket of the period as the table of the same has it.
type courseRow struct {
	Name      string
	Cost, Sum spend.Money
	Basis     spend.Basis
}

const (
	courseWidth  = 1000
	courseHeight = 160
)

// drawCourse draws the running period; nil where nothing of it is known.
func drawCourse(b storage.Budget, h *ruleHistory, s budgetSubject) *course {
	if !b.AsOf.After(b.Period.Start) {
		return nil
	}
	asOf := earliest(b.AsOf, b.Period.End)
	byHour := b.PeriodName == string(forecast.DayPeriod)
	most := max(b.Limit.USD(), b.Spent.USD())
	if b.Forecasted {
		most = max(most, b.Forecast.USD())
	}
	if s.Covered {
		most = max(most, s.High.USD())
	}
	buckets := slices.Clone(h.current[b.Subject])
	slices.SortFunc(buckets, func(a, b bucketCost) int { return a.Start.Compare(b.Start) })
	var sum spend.Money
	for _, x := range buckets {
		sum += x.Cost
		most = max(most, sum.USD()) // which credits may have taken back since
	}
	step, n := roundStep(most)
	scale := courseHeight / (step * float64(n))
	c := &course{AsOf: asOf, Height: courseHeight}
	length := b.Period.Duration().Hours()
	at := func(t time.Time) float64 { return courseWidth * t.Sub(b.Period.Start).Hours() / length }
	y := func(m spend.Money) float64 { return courseHeight - max(0, m.USD())*scale }
	point := func(t time.Time, m spend.Money) string { return fmt.Sprintf("%.1f,%.1f", at(t), y(m)) }
	for i := range n + 1 {
		v := float64(i) * step
		c.Ticks = append(c.Ticks, chartTick{courseHeight - v*scale, dollarTick(v, step)})
	}
	line := []string{point(b.Period.Start, 0)}
	sum = 0
	zone := zoneOf(b.TimeZone)
	perDay := map[string]int{}
	for _, x := range buckets {
		line = append(line, point(x.Start, sum)) // nothing was spent since the bucket before
		sum += x.Cost
		line = append(line, point(earliest(x.End, asOf), sum))
		name := x.Start.In(zone).Format("Mon 2 January")
		if byHour {
			name = x.Start.In(zone).Format("15:04")
		}
		i, ok := perDay[name]
		if !ok {
			i = len(c.Rows)
			perDay[name] = i
			c.Rows = append(c.Rows, courseRow{Name: name})
		}
		c.Rows[i].Cost += x.Cost
		c.Rows[i].Sum = sum
		c.Rows[i].Basis = c.Rows[i].Basis.And(x.Basis)
	}
	line = append(line, point(asOf, sum))
	c.Line = strings.Join(line, " ")
	c.Area = c.Line + " " + point(asOf, 0) + " " + point(b.Period.Start, 0)
	c.Pace = point(b.Period.Start, 0) + " " + point(b.Period.End, b.Limit)
	c.Limit, c.Now = y(b.Limit), at(asOf)
	c.Label = fmt.Sprintf("Spent so far $%s of $%s", report.USD(sum), report.USD(b.Limit))
	if b.Forecasted && asOf.Before(b.Period.End) {
		c.Ahead = point(asOf, sum) + " " + point(b.Period.End, b.Forecast)
		c.Label += fmt.Sprintf(", expected by the end $%s", report.USD(b.Forecast))
		if s.Covered {
			c.Range = point(asOf, sum) + " " + point(b.Period.End, s.High) + " " + point(b.Period.End, s.Low)
		}
	}
	last := b.Period.End.Add(-time.Minute)
	c.First, c.Last = b.Period.Start.In(zone).Format("2 January"), last.In(zone).Format("2 January")
	if byHour {
		c.First, c.Last = "0:00", "24:00"
	}
	return c
}
