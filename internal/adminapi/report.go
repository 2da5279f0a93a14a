package adminapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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
	// Foreign are the rows of a bill that are not in US dollars, in the order of the answer. There is
	// no conversion: they are nothing that can be added up with Rows.
	Foreign []Foreign
}

// Foreign is a row of a bill in another currency. Amount and List are decimal numbers as the report
// has them, in its unit; List is empty where the report does not tell it.
type Foreign struct {
	Bucket time.Time
	spend.Dims
	Currency string
	Amount   string
	List     string
}

// Bounds of paging. Pages whose data changed meanwhile are read again from the first one.
const (
	maxPages    = 2_000
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
		if err := c.sdk.Execute(ctx, http.MethodGet, path, nil, &resp, slices.Concat(r.options, opts)...); err != nil {
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

// answer is the answer of an older report.
func (g *gathering[T]) answer() Answer[T] {
	a := Answer[T]{Rows: g.rows, End: g.end, DataAt: g.end, ReadAt: g.readAt, Foreign: g.foreign}
	if fresh := g.readAt.Add(-freshness); a.DataAt.After(fresh) {
		a.DataAt = fresh
	}
	return a
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
