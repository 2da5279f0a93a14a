// Package chart draws values over time as a PNG picture, for messages in which no page can be
// shown. The pages draw their own SVG, which can be searched, read aloud and styled.
//
// It knows neither money nor rules: what a value is called is the caller's business.
package chart

import (
	"errors"
	"math"
	"slices"
	"time"

	charts "github.com/go-analyze/charts"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Line is a picture of one value over time.
type Line struct {
	Title  string
	Points []spend.Point // in any order; values that are no number are left out
	Limit  float64       // drawn as a dashed line unless 0
	Format func(float64) string
}

// The picture, in pixels, and the room beside the drawing in it.
const (
	width, height = 960, 360
	top, bottom   = 48, 40
	left, right   = 96, 24
	gridLines     = 4
)

var (
	ink       = charts.Color{R: 60, G: 60, B: 60, A: 255}
	grid      = charts.Color{R: 228, G: 228, B: 228, A: 255}
	line      = charts.Color{R: 37, G: 99, B: 171, A: 255}
	area      = charts.Color{R: 37, G: 99, B: 171, A: 40}
	limitLine = charts.Color{R: 200, G: 50, B: 40, A: 255}
)

// ErrTooFew is returned for less than two points: there is no line to draw.
var ErrTooFew = errors.New("too few values for a picture")

// PNG draws the line. Times are written in UTC.
func (l Line) PNG() ([]byte, error) {
	points := slices.DeleteFunc(slices.Clone(l.Points), func(p spend.Point) bool {
		return math.IsNaN(p.Value) || math.IsInf(p.Value, 0)
	})
	slices.SortFunc(points, func(a, b spend.Point) int { return a.At.Compare(b.At) })
	if len(points) < 2 || !points[0].At.Before(points[len(points)-1].At) {
		return nil, ErrTooFew
	}
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: width, Height: height})
	p.FilledRect(0, 0, width, height, charts.ColorWhite, charts.ColorWhite, 0)
	s := newScale(points, l.Limit)
	title := charts.FontStyle{FontSize: 15, FontColor: ink}
	p.Text(fit(p, l.Title, width-left-right, title), left, 28, 0, title)
	l.drawGrid(p, s)

	drawn := make([]charts.Point, len(points))
	for i, x := range points {
		drawn[i] = charts.Point{X: s.x(x.At), Y: s.y(x.Value)}
	}
	floor := s.y(0)
	under := append([]charts.Point{{X: drawn[0].X, Y: floor}}, drawn...)
	p.FillArea(append(under, charts.Point{X: drawn[len(drawn)-1].X, Y: floor}), area)
	p.LineStroke(drawn, line, 2.5)
	if l.Limit != 0 && !math.IsNaN(l.Limit) && !math.IsInf(l.Limit, 0) {
		y := s.y(l.Limit)
		for x := left; x < width-right; x += 14 {
			p.LineStroke([]charts.Point{{X: x, Y: y}, {X: min(x+8, width-right), Y: y}}, limitLine, 2)
		}
		label := charts.FontStyle{FontSize: 11, FontColor: limitLine}
		text := "limit " + l.format(l.Limit)
		p.Text(text, width-right-p.MeasureText(text, 0, label).Width(), y-6, 0, label)
	}
	return p.Bytes()
}

func (l Line) format(v float64) string {
	if l.Format == nil {
		return ""
	}
	return l.Format(v)
}

func (l Line) drawGrid(p *charts.Painter, s scale) {
	style := charts.FontStyle{FontSize: 11, FontColor: ink}
	for i := range gridLines + 1 {
		v := s.low + (s.high-s.low)*float64(i)/gridLines
		y := s.y(v)
		p.LineStroke([]charts.Point{{X: left, Y: y}, {X: width - right, Y: y}}, grid, 1)
		text := fit(p, l.format(v), left-10, style)
		p.Text(text, left-8-p.MeasureText(text, 0, style).Width(), y+4, 0, style)
	}
	form := "2 Jan 15:04"
	if s.end.Sub(s.start) > 4*24*time.Hour {
		form = "2 Jan"
	}
	for i := range gridLines + 1 {
		at := s.start.Add(time.Duration(float64(s.end.Sub(s.start)) * float64(i) / gridLines))
		text := at.UTC().Format(form)
		if i == gridLines {
			text += " UTC"
		}
		half := p.MeasureText(text, 0, style).Width() / 2
		p.Text(text, min(s.x(at)-half, width-8-2*half), height-14, 0, style)
	}
}

// fit cuts text to a width.
func fit(p *charts.Painter, text string, width int, style charts.FontStyle) string {
	if p.MeasureText(text, 0, style).Width() <= width {
		return text
	}
	runes := []rune(text)
	runes = runes[:min(len(runes), width)] // no letter is narrower than a pixel
	for len(runes) > 0 && p.MeasureText(string(runes)+"…", 0, style).Width() > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// scale maps times and values to pixels.
type scale struct {
	start, end time.Time
	low, high  float64
}

// newScale holds all points, the limit and zero, with whole steps between the grid's lines.
func newScale(points []spend.Point, limit float64) scale {
	s := scale{start: points[0].At, end: points[len(points)-1].At}
	values := []float64{0}
	for _, p := range points {
		values = append(values, p.Value)
	}
	if !math.IsNaN(limit) && !math.IsInf(limit, 0) {
		values = append(values, limit*1.04) // room for the word above the line
	}
	low, high := slices.Min(values), slices.Max(values)
	step := niceStep((high - low) / gridLines)
	s.low = math.Floor(low/step) * step
	s.high = s.low + step*gridLines
	for s.high < high { // the low end took room
		step = niceStep(step * 1.01)
		s.low = math.Floor(low/step) * step
		s.high = s.low + step*gridLines
	}
	return s
}

// niceStep is the least of 1, 2, 2.5 and 5 times a power of ten that is at least v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if f*power >= v {
			return f * power
		}
	}
	return 10 * power
}

func (s scale) x(t time.Time) int {
	share := float64(t.Sub(s.start)) / float64(s.end.Sub(s.start))
	return left + int(math.Round(share*(width-left-right)))
}

func (s scale) y(v float64) int {
	share := (v - s.low) / (s.high - s.low)
	return height - bottom - int(math.Round(share*(height-top-bottom)))
}
