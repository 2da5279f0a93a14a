package web

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// maxSeries is how many series a drawing tells apart; the others are drawn as one, "other".
const maxSeries = 8

// plot is what is to be drawn: a bar for each bucket of time, of one amount or of several on top of
// each other. [plot.draw] makes the drawing of it that the template "chart" writes.
type plot struct {
	Label      string // what is shown, in a sentence, for who does not see it
	Caption    string // of the table of the same; empty: Label
	Of         string // what the bars are split by; empty: they are not
	Series     []string
	Bars       []plotBar
	Limit      float64 // a line across; 0: none
	LimitLabel string
	Format     func(float64) string         // of an amount; nil: dollars
	Ticks      func(v, step float64) string // of a tick, and the distance of ticks; nil: dollars
}

// plotBar is a bucket. Values are those of the plot's series, in their order.
type plotBar struct {
	Name    string // as the table and the pointer's label say it
	Tick    string // under the axis; empty for most
	Minor   bool   // the tick is left out where there is little room
	Values  []float64
	Basis   spend.Basis
	Missing bool   // nothing is known of it, which is not the same as nothing
	Part    bool   // it is not over, or not all of it was read
	Mark    string // why a mark stands above it; empty: none
	Href    string // where it leads; empty: nowhere
}

// The drawing, in pixels. Across it is measured in percent, so that it fits every screen with
// letters of one size.
const (
	plotTop    = 16 // room above the highest tick, for marks
	plotHeight = 180
	plotFoot   = 22 // room below the axis, for ticks
)

// chart is the data of the template "chart".
type chart struct {
	Label, Caption, Of string
	Keys               []chartKey
	Bars               []chartBar
	Ticks              []chartTick
	Limit              *chartTick
	Top, Base, Height  int
	Full               int // the height of a full bar
	Marks, Gaps, Parts bool
	Estimates          bool
	Credits            bool // amounts below zero are in the figures, but in no bar
	Empty              bool // nothing is in it
	Linked             bool // bars lead somewhere
}

// chartKey is an entry of the legend, and a column of the table.
type chartKey struct{ Class, Name, Total string }

type chartTick struct {
	Y     float64
	Label string
}

type chartBar struct {
	Name, Title, Tick, Mark, Href string
	X, Width, Middle              float64 // in percent
	Top                           float64 // where the bar ends
	Basis                         spend.Basis
	Missing, Part, Minor          bool
	Segments                      []segment
	Cells                         []string // of the table, as the keys
	Sum                           string
}

type segment struct {
	Class     string
	Y, Height float64
}

// seriesClass is the class of a series, by its place.
func seriesClass(i int) string {
	if i >= maxSeries {
		return "other"
	}
	return "s" + strconv.Itoa(i+1)
}

// otherSeries is what the series beyond [maxSeries] are called together.
const otherSeries = "other"

func dollars(v float64) string {
	return "$" + report.USD(spend.Money(math.Round(v*float64(spend.Dollar))))
}

// dollarTick writes a round amount with as many decimals as the distance of the ticks needs.
func dollarTick(v, step float64) string {
	if step == math.Trunc(step) {
		return "$" + report.Count(int64(math.Round(v)))
	}
	decimals := 2
	for f := 100 * step; decimals < 9 && math.Abs(f-math.Round(f)) > 1e-9*f; f *= 10 {
		decimals++
	}
	return "$" + strconv.FormatFloat(v, 'f', decimals, 64)
}

// draw lays the drawing out.
func (p plot) draw() chart {
	format, ticks := p.Format, p.Ticks
	if format == nil {
		format, ticks = dollars, dollarTick
	}
	c := chart{
		Label: p.Label, Caption: cmp.Or(p.Caption, p.Label), Of: p.Of,
		Top: plotTop, Base: plotTop + plotHeight, Full: plotHeight, Height: plotTop + plotHeight + plotFoot,
	}
	most := p.Limit
	totals := make([]float64, len(p.Series))
	for _, b := range p.Bars {
		sum := 0.0
		for i, v := range b.Values {
			totals[i] += v
			sum += max(0, v)
		}
		most = max(most, sum)
	}
	for i, name := range p.Series {
		c.Keys = append(c.Keys, chartKey{seriesClass(i), name, format(totals[i])})
	}
	c.Empty = most == 0
	step, n := roundStep(most)
	scale := plotHeight / (step * float64(n))
	y := func(v float64) float64 { return float64(c.Base) - v*scale }
	for i := range n + 1 {
		c.Ticks = append(c.Ticks, chartTick{y(float64(i) * step), ticks(float64(i)*step, step)})
	}
	if p.Limit > 0 {
		c.Limit = &chartTick{y(p.Limit), p.LimitLabel}
	}
	width := 100 / float64(max(1, len(p.Bars)))
	for i, b := range p.Bars {
		x := chartBar{
			Name: b.Name, Tick: b.Tick, Mark: b.Mark, Href: b.Href, Basis: b.Basis, Missing: b.Missing, Part: b.Part, Minor: b.Minor,
			X: (float64(i) + 0.12) * width, Width: 0.76 * width, Middle: (float64(i) + 0.5) * width, Top: float64(c.Base),
		}
		sum := 0.0
		var parts []string
		for j, v := range b.Values {
			sum += v
			cell := format(v)
			if b.Missing {
				cell = "–"
			}
			x.Cells = append(x.Cells, cell)
			if v == 0 {
				continue
			}
			if len(p.Series) > 1 {
				parts = append(parts, p.Series[j]+" "+format(v))
			}
			c.Credits = c.Credits || v < 0
			if v > 0 { // a credit has no height
				h := max(v*scale, 0.5)
				x.Top -= h
				x.Segments = append(x.Segments, segment{seriesClass(j), x.Top, h})
			}
		}
		x.Sum = format(sum)
		x.Title = b.title(x.Sum, sum == 0, parts)
		c.Linked = c.Linked || b.Href != ""
		c.Marks = c.Marks || b.Mark != ""
		c.Gaps = c.Gaps || b.Missing
		c.Parts = c.Parts || b.Part
		c.Estimates = c.Estimates || b.Basis == spend.Estimated && len(x.Segments) > 0
		c.Bars = append(c.Bars, x)
	}
	return c
}

// title is what the pointer shows of a bar.
func (b plotBar) title(sum string, nothing bool, parts []string) string {
	var s strings.Builder
	s.WriteString(b.Name + ": ")
	switch {
	case b.Missing:
		s.WriteString("not read yet")
	case nothing && b.Basis == "":
		s.WriteString("nothing")
	default:
		s.WriteString(sum)
	}
	if b.Basis != "" {
		s.WriteString(", " + string(b.Basis))
	}
	if b.Part {
		s.WriteString(", not complete")
	}
	if b.Mark != "" {
		s.WriteString("\n" + b.Mark)
	}
	for _, part := range parts {
		s.WriteString("\n" + part)
	}
	return s.String()
}

// roundStep is a round distance between ticks and how many of it hold the most.
func roundStep(most float64) (step float64, n int) {
	if most <= 0 {
		return 1, 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if step = m * unit; most <= 5*step {
			break
		}
	}
	return step, int(math.Ceil(most/step - 1e-9))
}

// bars makes a bar of each bucket from the answer, which has one row for each of them and value of
// the dimension. Only the greatest series keep their names. Buckets without rows keep their place.
// What is known of longer times than a bucket only is in no bar: see [wider].
func bars(a report.Answer, by spend.Dimension, buckets []spend.Window, value func(report.Figures) float64) ([]string, []plotBar) {
	index := map[spend.Window]int{}
	for i, w := range buckets {
		index[w] = i
	}
	rows := slices.DeleteFunc(slices.Clone(a.Rows), func(r report.Row) bool {
		_, ok := index[spend.Window{Start: r.Start, End: r.End}]
		return !ok
	})
	totals := map[thing]float64{}
	var order []thing
	for _, r := range rows {
		k := thingOf(r, by)
		if _, ok := totals[k]; !ok {
			order = append(order, k)
		}
		totals[k] += value(r.Figures)
	}
	slices.SortStableFunc(order, func(x, y thing) int {
		return cmp.Or(cmp.Compare(totals[y], totals[x]), strings.Compare(x.name, y.name))
	})
	place, names := map[thing]int{}, []string{}
	for i, k := range order {
		switch {
		case i < maxSeries || len(order) == maxSeries+1: // one other alone keeps its name
			place[k] = len(names)
			names = append(names, k.name)
		default:
			if i == maxSeries {
				names = append(names, otherSeries)
			}
			place[k] = maxSeries
		}
	}
	bs := make([]plotBar, len(buckets))
	for i := range bs {
		bs[i].Values = make([]float64, len(names))
	}
	for _, r := range rows {
		b := &bs[index[spend.Window{Start: r.Start, End: r.End}]]
		b.Values[place[thingOf(r, by)]] += value(r.Figures)
		b.Basis = b.Basis.And(r.Basis)
	}
	return names, bs
}

// wider adds up the rows of the answer that are in no bar of the buckets: what is known of longer times
// only, such as a day's bill that no hour can be told for.
func wider(a report.Answer, buckets []spend.Window) report.Figures {
	index := map[spend.Window]bool{}
	for _, w := range buckets {
		index[w] = true
	}
	var sum report.Figures
	for _, r := range a.Rows {
		if !index[spend.Window{Start: r.Start, End: r.End}] {
			sum.Add(r.Figures)
		}
	}
	return sum
}

// thing is what a row is about, of one dimension. Two may share a name: the id tells them apart.
type thing struct{ id, name string }

// thingOf is what the row is about; all rows are about the same without a dimension.
func thingOf(r report.Row, d spend.Dimension) thing {
	if d == "" {
		return thing{}
	}
	t := thing{name: seriesName(r.Name(d), d)}
	if f := r.Field(d); f != nil {
		t.id = *f
	}
	return t
}

// fold adds up the rows of an answer by one of its dimensions, over all of its time. Rows come back by name.
func fold(a report.Answer, d spend.Dimension) report.Answer {
	index := map[thing]int{}
	var rows []report.Row
	for _, r := range a.Rows {
		t := thingOf(r, d)
		i, ok := index[t]
		if !ok {
			index[t] = len(rows)
			r.Start, r.End = a.Window.Start, a.Window.End
			rows = append(rows, r)
			continue
		}
		rows[i].Add(r.Figures)
	}
	slices.SortStableFunc(rows, func(x, y report.Row) int { return strings.Compare(x.Name(d), y.Name(d)) })
	a.Rows = rows
	return a
}

// seriesName is what a series is called where the thing itself has no name.
func seriesName(name string, by spend.Dimension) string {
	switch {
	case name != "":
		return name
	case by == spend.ByAPIKey:
		return "(no key)"
	default:
		return fmt.Sprintf("(no %s)", strings.ReplaceAll(string(by), "_", " "))
	}
}

// costUSD is the height of a bar of cost.
func costUSD(f report.Figures) float64 { return f.Cost.USD() }

// chartDays is how many days the pages draw where nothing else is asked for.
const chartDays = 30

// dayWindows are the n UTC days through today.
func dayWindows(today time.Time, n int) []spend.Window {
	ws := make([]spend.Window, n)
	for i := range ws {
		start := today.AddDate(0, 0, i+1-n)
		ws[i] = spend.Window{Start: start, End: start.AddDate(0, 0, 1)}
	}
	return ws
}

// nameDays writes what the bars of days are called; every seventh, and the last, has a tick.
func nameDays(bs []plotBar, days []spend.Window) {
	for i := range bs {
		bs[i].Name = days[i].Start.Format("Mon 2 January 2006")
		if (len(bs)-1-i)%7 == 0 {
			bs[i].Tick = days[i].Start.Format("2 Jan")
		}
	}
}
