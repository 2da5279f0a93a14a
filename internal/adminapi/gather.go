package adminapi

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// gathering is what was read of a report so far.
type gathering[T any] struct {
	report[T]
	state
	rows        []T
	foreign     []Foreign // those of the bucket being read have no bucket yet
	names       names
	readAt      time.Time
	refreshedAt time.Time

	seed  maphash.Seed
	index map[uint64]int // where a bucket and its dimensions are in rows, by hash
}

func newGathering[T any](r report[T]) *gathering[T] {
	return &gathering[T]{report: r, names: names{}, seed: maphash.MakeSeed(), index: map[uint64]int{}}
}

// state is what a page that failed half-way is taken back to.
type state struct {
	mark  int       // rows of earlier pages
	aside int       // foreign rows of earlier pages
	last  time.Time // start of the last bucket
	end   time.Time // end of it
}

// begin forgets all rows of the page that is about to be read. What the index says of them is
// overwritten, since add looks at the rows too.
func (g *gathering[T]) begin(s state) {
	clear(g.rows[s.mark:])
	g.rows = g.rows[:s.mark]
	g.foreign = g.foreign[:s.aside]
	g.state = s
}

// add appends a row. The slice grows by half: by a quarter, as append does, copies twice as much.
func (g *gathering[T]) add(row T) {
	if len(g.rows) == cap(g.rows) {
		g.rows = slices.Grow(g.rows, max(64, len(g.rows)/2))
	}
	g.rows = append(g.rows, row)
}

func (g *gathering[T]) commit() { g.mark, g.aside = len(g.rows), len(g.foreign) }

// settle takes the rows from index from on, which all belong to the bucket, into the answer: it
// drops them if nobody asked for the bucket, adds up those of equal dimensions, and refuses what
// an earlier page had already. Two rows of equal dimensions are one fact told in two parts: two
// descriptions of one cost, or the default workspace as null and by its id.
func (g *gathering[T]) settle(from int, bucket spend.Window) (repeated bool) {
	rows := g.rows[from:]
	g.rows = g.rows[:from]
	g.settleForeign(bucket)
	if !g.window.Contains(bucket.Start) {
		clear(rows)
		return false
	}
	g.end = later(g.end, bucket.End)
	for i := range rows {
		at, dims := g.place(&rows[i])
		*at = bucket.Start
		h := maphash.Comparable(g.seed, placeKey{bucket.Start.Unix(), *dims})
		j, known := g.index[h]
		if known && j < len(g.rows) {
			otherAt, otherDims := g.place(&g.rows[j])
			if otherAt.Equal(*at) && *otherDims == *dims {
				if j < g.mark {
					return true
				}
				g.merge(&g.rows[j], &rows[i])
				continue
			}
		}
		g.index[h] = len(g.rows)
		g.rows = append(g.rows, rows[i])
	}
	return false
}

// settleForeign does the same for the foreign rows of the bucket.
func (g *gathering[T]) settleForeign(bucket spend.Window) {
	i := len(g.foreign)
	for i > g.aside && g.foreign[i-1].Bucket.IsZero() {
		i--
	}
	if !g.window.Contains(bucket.Start) {
		g.foreign = g.foreign[:i]
	}
	for ; i < len(g.foreign); i++ {
		g.foreign[i].Bucket = bucket.Start
	}
}

type placeKey struct {
	bucket int64
	dims   spend.Dims
}

// check says what is wrong with a bucket's borders, or nothing. The running bucket may be cut short.
func (g *gathering[T]) check(bucket spend.Window) (field, problem string) {
	switch {
	case bucket.Start.IsZero():
		return "starting_at", "is missing"
	case bucket.End.IsZero():
		return "ending_at", "is missing"
	case !g.grain.Floor(bucket.Start).Equal(bucket.Start):
		return "starting_at", "is not the start of a bucket: " + bucket.String()
	case bucket.Empty() || bucket.Duration() > g.grain.Duration():
		return "ending_at", "is not the end of a bucket: " + bucket.String()
	default:
		return "", ""
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
