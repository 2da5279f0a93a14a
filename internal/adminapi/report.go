package adminapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Query says what to ask a report for.
type Query struct {
	// Window must begin and end at borders of the grain.
	Window spend.Window
	Grain  spend.Grain
	// Total asks for one sum per bucket, without dimensions, to compare with what is stored.
	Total bool
	// DefaultWorkspace is the id written for a null workspace in the older reports; empty means
	// [spend.DefaultWorkspace].
	DefaultWorkspace string
}

// Answer is all of what a report had to say about a window. Rows lie inside the window.
type Answer[T any] struct {
	Rows []T
	// End is the end of the last bucket that was returned; zero if there was none.
	End time.Time
	// DataAt is the time up to which the report is complete; zero if it does not tell.
	DataAt time.Time
	// ReadAt is when the first page was asked for: what came later may be missing.
	ReadAt time.Time
}

// Bounds of paging. Pages whose data changed meanwhile are read again from the first one.
const (
	maxPages    = 10_000
	maxRestarts = 3
)

// freshness is how long after use the older reports normally have it.
const freshness = 5 * time.Minute

// report is one report, asked in one way.
type report[T any] struct {
	call
	path    string
	query   url.Values
	options []option.RequestOption
	window  spend.Window
	grain   spend.Grain
	pages   int // more than that cannot be
	// element reads one element of the page's data into the gathered rows.
	element func(*walker, *gathering[T]) error
	// place tells a row's bucket and dimensions, merge adds a row to another of the same place.
	place func(*T) (*time.Time, *spend.Dims)
	merge func(to, from *T)
}

// page is what a page says about itself.
type page struct {
	next        string
	refreshedAt time.Time
}

// read reads all pages of a report, from page one again where they do not belong together.
func read[T any](ctx context.Context, c *Client, r report[T]) (*gathering[T], error) {
	for restarts := 0; ; restarts++ {
		g, err := readPages(ctx, c, r)
		var e *Error
		if err == nil || !errors.As(err, &e) || !e.restart || restarts == maxRestarts {
			return g, err
		}
		c.log.WarnContext(ctx, "admin api pages changed while reading, starting again",
			"endpoint", r.endpoint, "window", r.window.String(), "err", err)
	}
}

func readPages[T any](ctx context.Context, c *Client, r report[T]) (*gathering[T], error) {
	g := newGathering(r)
	g.readAt = time.Now().UTC()
	token, tokens := "", map[string]bool{}
	for n := 1; ; n++ {
		p, err := readPage(ctx, c, r, token, g)
		var e *Error
		switch {
		case errors.As(err, &e) && e.Status == http.StatusBadRequest && token != "":
			e.restart = true // page one was accepted with the same parameters: it is the token
			return nil, err
		case err != nil:
			return nil, err
		case n > 1 && !p.refreshedAt.Equal(g.refreshedAt):
			return nil, &Error{
				Endpoint: r.endpoint, Status: http.StatusOK, Kind: KindServer, restart: true,
				Message: "data_refreshed_at changed between pages",
			}
		}
		g.refreshedAt = p.refreshedAt
		switch {
		case p.next == "":
			return g, nil
		case tokens[p.next], n == r.pages:
			return nil, &Error{
				Endpoint: r.endpoint, Status: http.StatusOK, Kind: KindMalformed,
				Message: fmt.Sprintf("next_page: still set after %d pages, or the same again", n),
			}
		}
		token = p.next
		tokens[token] = true
	}
}

// readPage reads one page into g, which holds nothing of it if that fails.
func readPage[T any](ctx context.Context, c *Client, r report[T], token string, g *gathering[T]) (p page, err error) {
	path := r.path + "?" + r.query.Encode()
	if token != "" {
		path += "&page=" + url.QueryEscape(token)
	}
	before := g.state
	err = c.exchange(ctx, r.call, func(ctx context.Context, opts ...option.RequestOption) error {
		g.begin(before)
		var resp *http.Response
		if err := c.sdk.Get(ctx, path, nil, &resp, slices.Concat(r.options, opts)...); err != nil {
			return err
		}
		defer drain(resp.Body)
		w := newWalker(resp.Body)
		p, err = decodePage(w, func() error { return r.element(w, g) })
		return err
	})
	if err == nil {
		g.commit()
	}
	return p, err
}

// decodePage reads the object round the elements, in which the members may come in any order.
func decodePage(w *walker, element func() error) (page, error) {
	var p page
	var data bool
	var more *bool
	var next *string
	err := w.object(func(name []byte) (err error) {
		switch string(name) {
		case "data":
			data = true
			return w.array(element)
		case "has_more":
			return w.value(&more)
		case "next_page":
			return w.value(&next)
		case "data_refreshed_at":
			p.refreshedAt, err = w.time()
			return err
		default:
			return w.skip()
		}
	})
	if err == nil {
		err = w.finish()
	}
	switch {
	case err != nil:
		return page{}, err
	case !data:
		return page{}, w.wrong("data", "is missing")
	case more == nil:
		return page{}, w.wrong("has_more", "is missing")
	case *more && (next == nil || *next == ""):
		return page{}, w.wrong("next_page", "is missing although has_more is true")
	case !*more && next != nil && *next != "":
		return page{}, w.wrong("has_more", "is false although there is a next_page")
	}
	if next != nil {
		p.next = *next
	}
	return p, nil
}

// gathering is what was read of a report so far.
type gathering[T any] struct {
	report[T]
	state
	rows        []T
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
	mark int       // rows of earlier pages
	last time.Time // start of the last bucket
	end  time.Time // end of it
}

// begin forgets all rows of the page that is about to be read. What the index says of them is
// overwritten, since add looks at the rows too.
func (g *gathering[T]) begin(s state) {
	clear(g.rows[s.mark:])
	g.rows = g.rows[:s.mark]
	g.state = s
}

// add appends a row. The slice grows by half: by a quarter, as append does, copies twice as much.
func (g *gathering[T]) add(row T) {
	if len(g.rows) == cap(g.rows) {
		g.rows = slices.Grow(g.rows, max(64, len(g.rows)/2))
	}
	g.rows = append(g.rows, row)
}

func (g *gathering[T]) commit() { g.mark = len(g.rows) }

// settle takes the rows from index from on, which all belong to the bucket, into the answer: it
// drops them if nobody asked for the bucket, adds up those of equal dimensions, and refuses what
// an earlier page had already. Two rows of equal dimensions are one fact told in two parts: two
// descriptions of one cost, or the default workspace as null and by its id.
func (g *gathering[T]) settle(from int, bucket spend.Window) (repeated bool) {
	rows := g.rows[from:]
	g.rows = g.rows[:from]
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

// answer is the answer of an older report.
func (g *gathering[T]) answer() Answer[T] {
	a := Answer[T]{Rows: g.rows, End: g.end, DataAt: g.end, ReadAt: g.readAt}
	if fresh := g.readAt.Add(-freshness); a.DataAt.After(fresh) {
		a.DataAt = fresh
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// bucketReport is the part that the older reports have in common: data is a list of buckets, each
// with its results, and a page is a number of buckets.
func bucketReport[T any](endpoint string, q Query) report[T] {
	width, perPage := "1d", 31
	switch q.Grain {
	case spend.Minute:
		width, perPage = "1m", 1440
	case spend.Hour:
		width, perPage = "1h", 168
	}
	return report[T]{
		call: pageCall(endpoint), path: "v1/organizations/" + endpoint, window: q.Window, grain: q.Grain,
		options: []option.RequestOption{option.WithHeader("anthropic-version", reportVersion)},
		query: url.Values{
			"starting_at":  {q.Window.Start.UTC().Format(time.RFC3339)},
			"ending_at":    {q.Window.End.UTC().Format(time.RFC3339)},
			"bucket_width": {width},
			"limit":        {strconv.Itoa(perPage)},
		},
		pages: int(q.Window.Duration()/q.Grain.Duration()) + 10,
	}
}

// bucketElement reads a bucket; row reads one of its results and is given the list's walker.
func bucketElement[T any](row func(*walker, *gathering[T]) error) func(*walker, *gathering[T]) error {
	return func(w *walker, g *gathering[T]) error {
		var bucket spend.Window
		var results bool
		from := len(g.rows)
		err := w.object(func(name []byte) (err error) {
			switch string(name) {
			case "starting_at":
				bucket.Start, err = w.time()
			case "ending_at":
				bucket.End, err = w.time()
			case "results":
				results = true
				err = w.array(func() error { return row(w, g) })
			default:
				err = w.skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		if !results {
			return w.wrong("results", "is missing")
		}
		if field, problem := g.check(bucket); problem != "" {
			return w.wrong(field, problem)
		}
		if !bucket.Start.After(g.last) || g.settle(from, bucket) {
			e := w.wrong("starting_at", "is not after the bucket before: "+bucket.String())
			e.repeated = true
			return e
		}
		g.last = bucket.Start
		return nil
	}
}

// check says what is wrong with a query, or nothing.
func (q Query) check(endpoint string, grains ...spend.Grain) error {
	switch {
	case !slices.Contains(grains, q.Grain):
		return fmt.Errorf("%s: buckets of a %s cannot be asked for", endpoint, q.Grain)
	case q.Window.Empty():
		return fmt.Errorf("%s: the window %s is empty", endpoint, q.Window)
	case !q.Window.Aligned(q.Grain):
		return fmt.Errorf("%s: the window %s does not begin and end at a full %s", endpoint, q.Window, q.Grain)
	default:
		return nil
	}
}
