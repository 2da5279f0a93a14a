package storage

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// compareRows orders rows by bucket and series.
func compareRows(a, b Row) int {
	if a.Bucket != b.Bucket {
		return cmp.Compare(a.Bucket, b.Bucket)
	}
	return cmp.Compare(a.Series, b.Series)
}

func sortRows(rows []Row) {
	if !slices.IsSortedFunc(rows, compareRows) {
		slices.SortFunc(rows, compareRows)
	}
}

// within is the part of sorted rows that lies in the window.
func within(rows []Row, w spend.Window) []Row {
	at := func(t time.Time) int {
		i, _ := slices.BinarySearchFunc(rows, t.Unix(), func(r Row, u int64) int { return cmp.Compare(r.Bucket, u) })
		return i
	}
	return rows[at(w.Start):at(w.End)]
}

// pairs goes through two sorted lists side by side; what the other one lacks is nil.
func pairs(old, now []Row, visit func(old, now *Row)) {
	for len(old) > 0 || len(now) > 0 {
		c := 0
		switch {
		case len(now) == 0:
			c = -1
		case len(old) == 0:
			c = 1
		default:
			c = compareRows(old[0], now[0])
		}
		switch {
		case c < 0:
			visit(&old[0], nil)
			old = old[1:]
		case c > 0:
			visit(nil, &now[0])
			now = now[1:]
		default:
			visit(&old[0], &now[0])
			old, now = old[1:], now[1:]
		}
	}
}

// coarsen sums rows by buckets of the grain.
func coarsen(rows []Row, g spend.Grain) []Row {
	type place struct{ bucket, series int64 }
	var out []Row
	places := map[place]int{}
	for _, r := range rows {
		r.Bucket -= r.Bucket % int64(g)
		p := place{r.Bucket, r.Series}
		if at, known := places[p]; known {
			out[at].add(r)
			continue
		}
		places[p] = len(out)
		out = append(out, r)
	}
	sortRows(out)
	return out
}

// daysOf lists the days of a set, in order.
func daysOf(set map[int64]bool) []time.Time {
	var days []time.Time
	for _, d := range slices.Sorted(maps.Keys(set)) {
		days = append(days, time.Unix(d*int64(spend.Day), 0).UTC())
	}
	return days
}
