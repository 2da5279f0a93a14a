package web

import (
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// The chart of the last days: a bar a day, in units of the drawing.
const (
	chartDays   = 30
	chartStep   = 34
	chartHeight = 170
	chartBase   = chartHeight + 12 // the line that the bars stand on
)

// chart is the drawing's data; the template draws it.
type chart struct {
	Bars          []bar
	Max           spend.Money
	Width, Height int
	Top, Base     int
	Total         report.Figures
}

type bar struct {
	X, Y, Width, Height float64
	Basis               spend.Basis
	Label               string // for the pointer and for readers aloud
	Tick                string // under the bar; empty for most
	Middle              float64
}

// drawDays makes a bar of each day from the first on. Days without cost keep their place.
func drawDays(days report.Answer, first time.Time) chart {
	cost := map[time.Time]report.Figures{}
	c := chart{Width: chartDays * chartStep, Height: chartBase + 22, Top: chartBase - chartHeight, Base: chartBase}
	for _, r := range days.Rows {
		if r.Start.Before(first) {
			continue
		}
		cost[r.Start] = r.Figures
		c.Max = max(c.Max, r.Cost)
		c.Total.Add(r.Figures)
	}
	for i := range chartDays {
		day := first.AddDate(0, 0, i)
		f := cost[day]
		height := 0.0
		if c.Max > 0 && f.Cost > 0 {
			height = max(1, chartHeight*f.Cost.USD()/c.Max.USD())
		}
		b := bar{
			X: float64(i*chartStep) + 4, Y: chartBase - height, Width: chartStep - 8, Height: height,
			Basis: f.Basis, Middle: float64(i*chartStep) + chartStep/2,
			Label: fmt.Sprintf("%s: no cost", day.Format("2 January")),
		}
		if f.Basis != "" {
			b.Label = fmt.Sprintf("%s: $%s, %s", day.Format("2 January"), report.USD(f.Cost), f.Basis)
		}
		if i%7 == (chartDays-1)%7 { // today, and the same day of the weeks before
			b.Tick = day.Format("2 Jan")
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}
