package web

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// reportsOf are the reports that a fact comes from.
var reportsOf = map[spend.Fact][]spend.Report{
	spend.FactUsage:    {spend.ReportMessages, spend.ReportAnalyticsUsage},
	spend.FactRequests: {spend.ReportAnalyticsUsage},
	spend.FactCost:     {spend.ReportAnalyticsCost, spend.ReportCost},
}

// coverage is how much of an organization's days is known, by fact.
type coverage struct {
	Days []coveredDay
	Gaps map[spend.Fact][]spend.Window // never read although the reports have them by now, by start
}

// coveredDay is a UTC day, counted in hours.
type coveredDay struct {
	spend.Window
	Facts map[spend.Fact]covered
	Due   int // that a sum of cost should hold by now: fewer than 24 of a day that is not over
	Known int // read or billed: what a sum of cost holds
}

// covered is what the ledger has of a fact in a day.
type covered struct {
	Due     int // that the reports should have by now
	Read    int // whatever their state
	Settled int // of which a report says that it has all, or that are billed
}

// Billed reports whether all of the day is billed.
func (d coveredDay) Billed() bool { return d.Facts[spend.FactCost].Settled == 24 }

// Missing is how many hours a sum of cost does not hold.
func (d coveredDay) Missing() int { return max(0, d.Due-d.Known) }

// coverageOf reads the ledger of the days, which follow each other.
func (s *server) coverageOf(
	ctx context.Context, organization string, days []spend.Window, marks []storage.Watermark, facts ...spend.Fact,
) (coverage, error) {
	w := spend.Window{Start: days[0].Start, End: days[len(days)-1].End}
	hours := int(w.Duration() / time.Hour)
	due := func(reports ...spend.Report) int { // hours of the window up to the newest data
		return max(0, min(hours, int(newest(marks, reports).Sub(w.Start)/time.Hour)))
	}
	c := coverage{Days: make([]coveredDay, len(days)), Gaps: map[spend.Fact][]spend.Window{}}
	for i, d := range days {
		c.Days[i] = coveredDay{Window: d, Facts: map[spend.Fact]covered{}}
	}
	known := make([]bool, hours)
	for _, f := range facts {
		slots, err := s.Store.Slots(ctx, organization, f, w)
		if err != nil {
			return c, err
		}
		read, settled := make([]bool, hours), make([]bool, hours)
		for _, slot := range slots {
			in := slot.Window.Intersect(w)
			for i := int(in.Start.Sub(w.Start) / time.Hour); i < int(in.End.Sub(w.Start)/time.Hour); i++ {
				read[i] = true
				settled[i] = slot.State != storage.Provisional
				known[i] = known[i] || f == spend.FactUsage || f == spend.FactCost && settled[i]
			}
		}
		until := due(reportsOf[f]...)
		var gaps []spend.Window
		for i := range hours {
			day := c.Days[i/24].Facts[f]
			if i < until {
				day.Due++
				if !read[i] {
					start := w.Start.Add(time.Duration(i) * time.Hour)
					gaps = append(gaps, spend.Window{Start: start, End: start.Add(time.Hour)})
				}
			}
			if read[i] {
				day.Read++
			}
			if settled[i] {
				day.Settled++
			}
			c.Days[i/24].Facts[f] = day
		}
		c.Gaps[f] = spend.Join(gaps)
	}
	until := due(slices.Concat(reportsOf[spend.FactUsage], reportsOf[spend.FactCost])...)
	for i := range hours {
		if i < until {
			c.Days[i/24].Due++
		}
		if known[i] {
			c.Days[i/24].Known++
		}
	}
	return c, nil
}

// mark says of the bars of the same days what is not known of them. A day that is not over is a part.
func (c coverage) mark(bs []plotBar, now time.Time) {
	for i, d := range c.Days {
		switch {
		case d.Known == 0 && bs[i].Basis == "":
			bs[i].Missing = true
		case d.Missing() > 0 || d.End.After(now):
			bs[i].Part = true
		}
	}
}

// billed is the end of the newest of the days that is billed as a whole. False: none is.
func (c coverage) billed() (time.Time, bool) {
	for _, d := range slices.Backward(c.Days) {
		if d.Billed() {
			return d.End, true
		}
	}
	return time.Time{}, false
}

// strip is the coverage of a fact, drawn: a cell for each day, as high as the part of it that is known.
type strip struct {
	Name, Label string
	Cells       []stripCell
	Keys        []stripKey // what the colours mean, with how many days there are of each
	Gaps        []spend.Window
	More        int   // gaps that are not listed
	Hours       int64 // that are missing in all
}

type stripCell struct {
	Class, Title             string
	X, Width, Y, Height, Mid float64
	Tick                     string
}

type stripKey struct {
	Class, Name string
	Days        int
}

// stripHeight is that of a full cell, in pixels.
const stripHeight = 28

// mostGaps is how many gaps are listed of a fact.
const mostGaps = 8

// The states of a day in a strip, and what they are called.
var stripStates = []struct{ class, name string }{
	{"billed", "billed"},
	{"complete", "complete"},
	{"estimated", "estimated, not billed yet"},
	{"open", "may still change"},
	{"partial", "partly read"},
	{"missing", "missing"},
	{"ahead", "not read yet"},
	{"beyond", "older than the history that is wanted"},
}

// strip draws the coverage of a fact. What is older than the time given is not wanted: that it is missing
// is no gap.
func (c coverage) strip(f spend.Fact, name string, wanted time.Time) strip {
	out := strip{Name: name, Label: name + " of the days since " + c.Days[0].Start.Format(time.DateOnly)}
	for _, g := range c.Gaps[f] {
		if g = g.Intersect(spend.Window{Start: wanted, End: g.End}); g.Empty() {
			continue
		}
		out.Gaps = append(out.Gaps, g)
		out.Hours += int64(g.Duration() / time.Hour)
	}
	slices.Reverse(out.Gaps) // the newest first
	if n := len(out.Gaps); n > mostGaps {
		out.Gaps, out.More = out.Gaps[:mostGaps], n-mostGaps
	}
	counts := map[string]int{}
	width := 100 / float64(len(c.Days))
	for i, d := range c.Days {
		class, part, text := d.state(f)
		if class == "missing" && !d.End.After(wanted) {
			class, text = "beyond", "older than the history that is wanted"
		}
		counts[class]++
		height := max(3, part*stripHeight)
		cell := stripCell{
			Class: class, Title: d.Start.Format("Mon 2 January 2006") + ": " + text,
			X: float64(i) * width, Width: width, Y: stripHeight - height, Height: height, Mid: (float64(i) + 0.5) * width,
		}
		if d.Start.Day() == 1 {
			cell.Tick = d.Start.Format("Jan")
		}
		out.Cells = append(out.Cells, cell)
	}
	for _, s := range stripStates {
		if counts[s.class] > 0 {
			if s.class == "partial" && f == spend.FactCost {
				s.name = "partly billed"
			}
			out.Keys = append(out.Keys, stripKey{s.class, s.name, counts[s.class]})
		}
	}
	return out
}

// state is the state of the day, how much of it is drawn, and the same in words.
func (d coveredDay) state(f spend.Fact) (class string, part float64, text string) {
	x := d.Facts[f]
	hours := func(n int, what string) string { return fmt.Sprintf("%d of %d hours %s", n, max(n, x.Due), what) }
	if f == spend.FactCost {
		usage := d.Facts[spend.FactUsage]
		switch {
		case d.Billed():
			return "billed", 1, "billed"
		case x.Settled > 0 && x.Settled >= x.Due:
			return "billed", float64(x.Settled) / 24, hours(x.Settled, "billed, as far as the bill goes")
		case x.Settled > 0:
			return "partial", float64(x.Settled) / 24, hours(x.Settled, "billed")
		case usage.Read > 0:
			return "estimated", float64(usage.Read) / 24, "estimated, not billed yet"
		}
	}
	switch {
	case x.Due == 0 && x.Read == 0 && d.Due == 0:
		return "ahead", 0, "not read yet"
	case x.Read == 0:
		return "missing", 0, "missing"
	case x.Read < x.Due:
		return "partial", float64(x.Read) / 24, hours(x.Read, "read")
	case x.Settled < x.Read || x.Due < 24:
		return "open", float64(x.Read) / 24, hours(x.Read, "read") + ", may still change"
	default:
		return "complete", 1, "complete"
	}
}
