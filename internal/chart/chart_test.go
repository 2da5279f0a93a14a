package chart_test

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
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

func picture(t *testing.T, l chart.Line) image.Image {
	t.Helper()
	l.Format = usd
	b, err := l.PNG()
	require.NoError(t, err)
	drawn, err := png.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, image.Pt(960, 360), drawn.Bounds().Size())
	return drawn
}

// count is how many pixels have about the color.
func count(picture image.Image, r, g, b uint8) int {
	pixels := image.NewNRGBA(picture.Bounds())
	draw.Draw(pixels, pixels.Bounds(), picture, image.Point{}, draw.Src)
	n := 0
	near := func(have, want uint8) bool { return max(have, want)-min(have, want) < 12 }
	for i := 0; i < len(pixels.Pix); i += 4 {
		if near(pixels.Pix[i], r) && near(pixels.Pix[i+1], g) && near(pixels.Pix[i+2], b) {
			n++
		}
	}
	return n
}

func TestLine(t *testing.T) {
	t.Parallel()
	points := hours(10, 12, 9, 14, 20, 45, 80, 76, 92)
	with := picture(t, chart.Line{Title: "cost of Default, a day", Points: points, Limit: 60})
	require.Greater(t, count(with, 37, 99, 171), 800, "the line")
	require.Greater(t, count(with, 200, 50, 40), 500, "the limit")
	without := picture(t, chart.Line{Title: "cost of Default, a day", Points: points})
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
		"many points":    {Points: hours(make([]float64, 1000)...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			picture(t, l)
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
