package spend

import (
	"fmt"
	"time"
)

// Grain is the width of a bucket, in seconds.
type Grain int64

// The grains that reports are read at.
const (
	Minute Grain = 60
	Hour   Grain = 3600
	Day    Grain = 86400
)

// Duration is the grain as a duration.
func (g Grain) Duration() time.Duration { return time.Duration(g) * time.Second }

func (g Grain) String() string {
	switch g {
	case Minute:
		return "minute"
	case Hour:
		return "hour"
	case Day:
		return "day"
	default:
		return fmt.Sprintf("%ds", int64(g))
	}
}

// Floor is the start of the bucket that t lies in, UTC.
func (g Grain) Floor(t time.Time) time.Time { return t.UTC().Truncate(g.Duration()) }

// Ceil is the first bucket border at or after t, UTC.
func (g Grain) Ceil(t time.Time) time.Time {
	f := g.Floor(t)
	if f.Equal(t) {
		return f
	}
	return f.Add(g.Duration())
}

// Bucket is the bucket that t lies in.
func (g Grain) Bucket(t time.Time) Window {
	f := g.Floor(t)
	return Window{f, f.Add(g.Duration())}
}

// Window is a span of time, [Start, End), UTC.
type Window struct{ Start, End time.Time }

func (w Window) String() string {
	return w.Start.UTC().Format(time.RFC3339) + "/" + w.End.UTC().Format(time.RFC3339)
}

// Empty reports whether the window holds no time at all.
func (w Window) Empty() bool { return !w.Start.Before(w.End) }

// Duration is the window's length.
func (w Window) Duration() time.Duration { return w.End.Sub(w.Start) }

// Contains reports whether t lies in the window.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.Start) && t.Before(w.End) }

// Covers reports whether all of v lies in the window.
func (w Window) Covers(v Window) bool { return !v.Start.Before(w.Start) && !v.End.After(w.End) }

// Overlaps reports whether the windows share any time.
func (w Window) Overlaps(v Window) bool { return w.Start.Before(v.End) && v.Start.Before(w.End) }

// Intersect is the time both windows share; it may be empty.
func (w Window) Intersect(v Window) Window {
	if v.Start.After(w.Start) {
		w.Start = v.Start
	}
	if v.End.Before(w.End) {
		w.End = v.End
	}
	return w
}

// Align is the window widened to whole buckets of the grain.
func (w Window) Align(g Grain) Window { return Window{g.Floor(w.Start), g.Ceil(w.End)} }

// Aligned reports whether both ends are bucket borders of the grain.
func (w Window) Aligned(g Grain) bool {
	return g.Floor(w.Start).Equal(w.Start) && g.Floor(w.End).Equal(w.End)
}

// Buckets lists the buckets of the grain that the window shares time with.
func (w Window) Buckets(g Grain) []Window {
	var bs []Window
	if w.Empty() {
		return bs
	}
	for t := g.Floor(w.Start); t.Before(w.End); t = t.Add(g.Duration()) {
		bs = append(bs, Window{t, t.Add(g.Duration())})
	}
	return bs
}

// Join merges windows that are sorted by start and touch or overlap.
func Join(ws []Window) []Window {
	var out []Window
	for _, w := range ws {
		if n := len(out); n > 0 && !w.Start.After(out[n-1].End) {
			if w.End.After(out[n-1].End) {
				out[n-1].End = w.End
			}
			continue
		}
		out = append(out, w)
	}
	return out
}

// MonthStart is the first instant of t's calendar month, UTC.
func MonthStart(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// FinalAt is when a billed figure for t stops being revised: the end of the 7th day after the end
// of its calendar month (Admin API, data finality: values can change until about then).
func FinalAt(t time.Time) time.Time { return MonthStart(t).AddDate(0, 1, 7) }
