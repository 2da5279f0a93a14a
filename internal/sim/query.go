package sim

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// query reads parameters strictly: whatever a handler did not ask for is unknown, and refused. The
// first problem is kept; done returns it.
type query struct {
	values url.Values
	asked  map[string]bool
	path   string
	err    error
}

func parseQuery(r *http.Request) (*query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("query: %v", err)
	}
	// Older SDKs mark calls of beta methods with beta=true, which means nothing.
	return &query{values: values, asked: map[string]bool{"beta": true}, path: r.URL.Path}, nil
}

func (q *query) fail(err error) {
	if q.err == nil {
		q.err = err
	}
}

func (q *query) done() error {
	for name := range q.values {
		if !q.asked[name] {
			q.fail(invalid("%s: Extra inputs are not permitted", name))
		}
	}
	return q.err
}

func (q *query) has(name string) bool { return q.values.Has(name) }

func (q *query) text(name string) string {
	q.asked[name] = true
	v := q.values[name]
	if len(v) > 1 {
		q.fail(invalid("%s: Input should be given once", name))
	}
	return q.values.Get(name)
}

// choice is a text out of a closed set, or empty, which is also what a wrong one reads as.
func (q *query) choice(name string, of ...string) string {
	v := q.text(name)
	if q.has(name) && !slices.Contains(of, v) {
		q.fail(invalid("%s: Input should be one of %s", name, strings.Join(of, ", ")))
		return ""
	}
	return v
}

// list is a repeated parameter, whose name ends in []; an empty set of values means any.
func (q *query) list(name string, of ...string) []string {
	q.asked[name] = true
	for _, v := range q.values[name] {
		if len(of) > 0 && !slices.Contains(of, v) {
			q.fail(invalid("%s: Input should be one of %s", name, strings.Join(of, ", ")))
		}
	}
	return q.values[name]
}

func (q *query) flag(name string) bool { return q.choice(name, "true", "false") == "true" }

func (q *query) number(name string, otherwise, most int) int {
	v := q.text(name)
	if !q.has(name) {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil:
		q.fail(invalid("%s: Input should be a valid integer", name))
	case n < 1:
		q.fail(invalid("%s: Input should be greater than or equal to 1", name))
	case n > most:
		q.fail(invalid("%s: Input should be less than or equal to %d", name, most))
	}
	return n
}

// moment is a time with a zone; zero when it is absent.
func (q *query) moment(name string) time.Time {
	v := q.text(name)
	if !q.has(name) {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		q.fail(invalid("%s: Input should be a valid RFC 3339 datetime with a time zone", name))
	}
	return t.UTC()
}

func (q *query) required(name string) {
	if !q.has(name) {
		q.fail(invalid("%s: Field required", name))
	}
}

// position is where a page begins: some numbers whose meaning is the handler's. A token carries them
// and a mark of all other parameters, so that it fits no other query, and no other organization.
type position [3]int64

func (q *query) position(salt uint64) (position, bool) {
	var p position
	text := q.text("page")
	if !q.has("page") {
		return p, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "page_"))
	if err != nil || !strings.HasPrefix(text, "page_") || len(raw) != 8*(len(p)+1) {
		q.fail(invalid("page: Invalid page token"))
		return p, false
	}
	for i := range p {
		p[i] = int64(binary.BigEndian.Uint64(raw[8*i:]))
	}
	if q.token(salt, p) != text {
		q.fail(invalid("page: cursor does not match current query parameters"))
	}
	return p, true
}

func (q *query) token(salt uint64, p position) string {
	others := url.Values{}
	for name, v := range q.values {
		if name != "page" && name != "beta" {
			others[name] = v
		}
	}
	raw := make([]byte, 0, 8*(len(p)+1))
	for _, n := range p {
		raw = binary.BigEndian.AppendUint64(raw, uint64(n))
	}
	raw = binary.BigEndian.AppendUint64(raw, hash(salt, fmt.Sprint(q.path, "?", others.Encode(), p)))
	return "page_" + base64.RawURLEncoding.EncodeToString(raw)
}
