package chart_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/chart"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

var start = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func hours(values ...float64) []spend.Point {
	points := make([]spend.Point, len(values))
	for i, v := range values {
		points[i] = spend.Point{At: start.Add(time.Duration(i) * time.Hour), Value: v}
	}
	return points
}

func usd(v float64) string { return fmt.Sprintf("$%.2f", v) }

func draw(t *testing.T, l chart.Line) image.Image {
	t.Helper()
	l.Format = usd
	b, err := l.PNG()
	require.NoError(t, err)
	picture, err := png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, image.Pt(960, 360), picture.Bounds().Size())
	return picture
}

// count is how many pixels have about the color.
func count(picture image.Image, r, g, b uint8) int {
	n := 0
	near := func(have uint32, want uint8) bool { return math.Abs(float64(have>>8)-float64(want)) < 12 }
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			if pr, pg, pb, _ := picture.At(x, y).RGBA(); near(pr, r) && near(pg, g) && near(pb, b) {
				n++
			}
		}
	}
	return n
}

func TestLine(t *testing.T) {
	t.Parallel()
	points := hours(10, 12, 9, 14, 20, 45, 80, 76, 92)
	with := draw(t, chart.Line{Title: "cost of Default, a day", Points: points, Limit: 60})
	require.Greater(t, count(with, 37, 99, 171), 800, "the line")
	require.Greater(t, count(with, 200, 50, 40), 500, "the limit")
	without := draw(t, chart.Line{Title: "cost of Default, a day", Points: points})
	require.Zero(t, count(without, 200, 50, 40), "no limit, no line")
	require.NotEqual(t, with, without)
}

func TestLineOfOddValues(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]chart.Line{
		"zero":           {Points: hours(0, 0, 0)},
		"negative":       {Points: hours(-5, 3, -2), Limit: -4},
		"tiny":           {Points: hours(1e-9, 2e-9)},
		"huge":           {Points: hours(1e15, 3e15), Limit: 2e15},
		"no numbers":     {Points: hours(1, math.NaN(), math.Inf(1), 2), Limit: math.Inf(1)},
		"out of order":   {Points: []spend.Point{{At: start.AddDate(0, 0, 9), Value: 1}, {At: start, Value: 2}}},
		"very long name": {Title: string(bytes.Repeat([]byte("workspace "), 60)), Points: hours(1, 2)},
		"many points":    {Points: hours(make([]float64, 5000)...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			draw(t, l)
		})
	}
}

func TestLineOfTooFew(t *testing.T) {
	t.Parallel()
	for _, points := range [][]spend.Point{nil, hours(1), {{At: start, Value: 1}, {At: start, Value: 2}}, hours(1, math.NaN())} {
		_, err := chart.Line{Points: points}.PNG()
		require.ErrorIs(t, err, chart.ErrTooFew)
	}
}
