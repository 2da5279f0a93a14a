package sim

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"time"
)

// refreshed is the newest export of the analytics reports: everything before it is complete. It moves in
// steps of Options.Refresh, two sixtieths of a step past the round time, and is published a twelfth of
// a step later; until the next one the answers do not change.
func (o *Org) refreshed(now time.Time) (at time.Time, v view) {
	step := o.opts.Refresh
	lag, phase := step/12, step/30
	at = now.Add(-lag - phase).Truncate(step).Add(phase)
	return at, view{asOf: at.Add(lag), known: at.Add(lag), delay: lag}
}

// analytics is a request for analytics/usage or analytics/cost.
type analytics struct {
	*call
	cost                    bool
	grouped                 []string
	byCostType, byTokenType bool
	width, from, to         int64 // width 0: the whole range is one bucket
	byTime, ascending       bool
	rank                    func(analyticsRow) int64
	limit                   int
	refreshedAt             time.Time
	view                    view
	selection               selection
	lied                    bool // by Falsified
}

type analyticsRow struct {
	from, to int64
	group    int
	usage    counts
	bill     bill
}

func (c *call) analyticsUsage() (any, error) { return c.analytics(false) }
func (c *call) analyticsCost() (any, error)  { return c.analytics(true) }

func (c *call) analytics(cost bool) (any, error) {
	if !c.hasBeta("analytics-usage-cost-2026-08-24") {
		return nil, notFound()
	}
	if err := c.refused(c.opts.Analytics); err != nil {
		return nil, err
	}
	a := &analytics{call: c, cost: cost}
	a.refreshedAt, a.view = c.refreshed(c.now)
	a.readGroups()
	a.readRange()
	a.readOrder()
	a.limit = c.query.number("limit", 20, 1000)
	at, paged := c.query.position(c.salt)
	filters := a.readFilters()
	if err := c.query.done(); err != nil {
		return nil, err
	}
	if paged && at[2] != a.refreshedAt.Unix() {
		return nil, refuse(410, "The page token has expired because the data was refreshed; start again.")
	}
	var by []dimension
	for _, name := range a.grouped {
		by = append(by, analyticsDimensions[name])
	}
	a.selection = sortOut(c.streams, func(s *stream) bool {
		return (cost || s.kind == tokenStream) && passes(filters, s)
	}, keyOf(by))
	if paged && c.fault.Fault == DuplicatePage {
		if at[1] == 0 {
			at[0] = max(at[0]-1, 0)
		}
		at[1] = max(at[1]-int64(a.limit), 0)
	}
	rows, next := a.page(at)
	return a.write(rows, next), nil
}

// page collects rows from a position on: in the order of time a chunk of rows is a bucket, so that a page
// costs only its own buckets; else there is one chunk.
func (a *analytics) page(from position) (rows []analyticsRow, next *string) {
	for chunk, skip := from[0], from[1]; chunk < a.chunks(); chunk, skip = chunk+1, 0 {
		have := a.chunk(chunk)
		have = have[min(int(skip), len(have)):]
		room := a.limit - len(rows)
		rows = append(rows, have[:min(room, len(have))]...)
		if len(have) > room {
			token := a.query.token(a.salt, position{chunk, skip + int64(room), a.refreshedAt.Unix()})
			return rows, &token
		}
	}
	return rows, nil
}

func (a *analytics) buckets() int64 {
	if a.width == 0 {
		return 1
	}
	return (a.to - a.from) / a.width
}

func (a *analytics) chunks() int64 {
	if a.byTime {
		return a.buckets()
	}
	return 1
}

func (a *analytics) chunk(i int64) (rows []analyticsRow) {
	switch {
	case !a.byTime:
		for b := range a.buckets() {
			rows = a.bucket(rows, a.from+b*a.width)
		}
	case a.ascending:
		rows = a.bucket(nil, a.from+i*a.width)
	default:
		rows = a.bucket(nil, a.to-(i+1)*a.width)
	}
	slices.SortStableFunc(rows, func(r, s analyticsRow) int {
		if a.ascending && !a.byTime {
			return cmp.Compare(a.rank(r), a.rank(s))
		}
		return cmp.Compare(a.rank(s), a.rank(r))
	})
	return rows
}

// bucket appends the rows of the bucket that begins at a second: one for each group with use, or cost.
func (a *analytics) bucket(rows []analyticsRow, from int64) []analyticsRow {
	to := from + a.width
	if a.width == 0 {
		to = a.to
	}
	if a.fault.vanished(time.Unix(from, 0)) {
		return rows
	}
	sums := make([]analyticsRow, len(a.selection.heads))
	for i, s := range a.selection.streams {
		sum := &sums[a.selection.group[i]]
		if a.cost {
			sum.bill.add(s.bill(from, to, a.view))
		} else {
			sum.usage.add(s.total(from, to, a.view))
		}
	}
	for i, sum := range sums {
		if sum.bill.total() > 0 || sum.usage[requests] > 0 {
			sum.from, sum.to, sum.group = from, to, i
			rows = append(rows, sum)
		}
	}
	return rows
}

func (a *analytics) write(rows []analyticsRow, next *string) streamed {
	return func(out *bufio.Writer) error {
		fmt.Fprint(out, `{"data":[`)
		w := &rowWriter{out: out}
		for _, row := range rows {
			if a.cost {
				a.writeCosts(w, row)
			} else {
				a.writeUsage(w, row)
			}
		}
		refreshed := "null"
		if a.refreshedAt.After(a.opts.Start) {
			refreshed = fmt.Sprintf("%q", at(a.refreshedAt.Unix()))
		}
		return finish(out, next, `,"data_refreshed_at":`+refreshed)
	}
}
