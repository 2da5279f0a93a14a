package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// selection is the streams a report shows, each with the number of its group.
type selection struct {
	streams []*stream
	group   []int
	heads   []*stream // a stream of each group, for its dimensions
}

// sortOut selects streams and groups those with equal keys, in the order in which groups first appear.
func sortOut(all []stream, show func(*stream) bool, key func(*stream) string) selection {
	var sel selection
	numbers := map[string]int{}
	for i := range all {
		s := &all[i]
		if !show(s) {
			continue
		}
		k := key(s)
		n, ok := numbers[k]
		if !ok {
			n = len(sel.heads)
			numbers[k] = n
			sel.heads = append(sel.heads, s)
		}
		sel.streams, sel.group = append(sel.streams, s), append(sel.group, n)
	}
	return sel
}

// dimension reads one value of a stream; "" stands for none.
type dimension func(*stream) string

func keyOf(grouped []dimension) func(*stream) string {
	return func(s *stream) string {
		var b strings.Builder
		for _, d := range grouped {
			b.WriteString(d(s))
			b.WriteByte(0)
		}
		return b.String()
	}
}

// filter is a parameter that keeps the streams with one of some values.
type filter struct {
	of     dimension
	values []string
}

func passes(filters []filter, s *stream) bool {
	for _, f := range filters {
		if len(f.values) > 0 && !slices.Contains(f.values, f.of(s)) {
			return false
		}
	}
	return true
}

var (
	serviceTiers   = []string{"standard", "batch", "priority", "priority_on_demand", "flex", "flex_discount"}
	contextWindows = []string{"0-200k", "200k-1M"}
	inferenceGeos  = []string{"global", "us", "not_available"}
	speeds         = []string{"standard", "fast"}
)

var widths = map[string]int64{"1m": 60, "1h": 3600, "1d": 86400}

// legacyView is what the older reports know.
func (c *call) legacyView() view {
	return view{asOf: c.now, known: c.now, delay: c.opts.Delay}
}

// buckets is the page of a style C report: the buckets of some width in [from, to), seconds since 1970.
type buckets struct {
	width, from, to int64
	next            *string
}

// buckets reads the parameters of time and paging. A start is moved down to a border; buckets end at or
// before ending_at. The running bucket is the last: those of the future are not returned.
func (c *call) buckets(width string, limit, most int) buckets {
	q := c.query
	b := buckets{width: widths[width]}
	q.required("starting_at")
	start, end := q.moment("starting_at"), q.moment("ending_at")
	limit = q.number("limit", limit, most)
	at, paged := q.position(c.salt)
	first := start.Unix() / b.width * b.width
	stop := (c.now.Unix() + b.width - 1) / b.width * b.width
	if q.has("ending_at") {
		if !end.After(start) {
			q.fail(invalid("ending_at: Input should be after starting_at"))
		}
		stop = min(stop, end.Unix()/b.width*b.width)
	}
	b.from = first
	if paged {
		b.from = max(at[0], first)
		if c.fault.Fault == DuplicatePage {
			b.from = max(first, b.from-int64(limit)*b.width)
		}
	}
	b.to = max(b.from, min(b.from+int64(limit)*b.width, stop))
	if b.to < stop {
		next := q.token(c.salt, position{b.to})
		b.next = &next
	}
	return b
}

// write streams the buckets; rows writes those of one bucket, or nothing.
func (b buckets) write(c *call, rows func(w *rowWriter, from, to int64)) streamed {
	return func(out *bufio.Writer) error {
		fmt.Fprint(out, `{"data":[`)
		for from := b.from; from < b.to; from += b.width {
			if from > b.from {
				fmt.Fprint(out, ",")
			}
			fmt.Fprintf(out, `{"starting_at":%q,"ending_at":%q,"results":[`, at(from), at(from+b.width))
			if !c.fault.vanished(time.Unix(from, 0)) {
				rows(&rowWriter{out: out}, from, from+b.width)
			}
			if _, err := fmt.Fprint(out, "]}"); err != nil {
				return err
			}
		}
		return finish(out, b.next, "")
	}
}

// finish ends a report: the end of its list, and where it goes on.
func finish(out *bufio.Writer, next *string, more string) error {
	page, err := json.Marshal(next)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `],"has_more":%t,"next_page":%s%s}`, next != nil, page, more)
	return err
}

// rowWriter writes the elements of a list.
type rowWriter struct {
	out   *bufio.Writer
	begun bool
}

func (w *rowWriter) write(row any) {
	if w.begun {
		w.out.WriteByte(',')
	}
	w.begun = true
	body, err := json.Marshal(row)
	if err != nil {
		panic(err) // rows are plain structs
	}
	w.out.Write(body) // the writer keeps an error until the end of the bucket
}

func at(second int64) string { return time.Unix(second, 0).UTC().Format(time.RFC3339) }

// orNull is a text, or null where it is empty.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (c *call) refused(which string) error {
	if which == "refused" {
		return refuse(403, "Your API key does not have permission to use the specified resource.")
	}
	return nil
}
