package adminapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// walker reads a JSON document from front to back without holding it, and knows where it is. It
// is written by hand because reports are large: it takes a row in one pass, without reflection and
// without a new string for every id.
//
// Each reading method expects the value to come next and leaves the walker behind it. Errors are
// [*shapeError], io.ErrUnexpectedEOF for a document that ends early, or the reader's.
type walker struct {
	r    io.Reader
	buf  []byte // what was read ahead is buf[pos:end]
	pos  int
	end  int
	err  error // of the reader, for when what it gave is used up
	path []byte
}

// shapeError says where a document is not what the documentation says.
type shapeError struct {
	path     string // data[3].results[2].amount
	problem  string
	repeated bool // only the order of the pages is wrong: what is here was on an earlier one
}

func (e *shapeError) Error() string { return strings.TrimPrefix(e.path+": ", ": ") + e.problem }

func newWalker(r io.Reader) *walker { return &walker{r: r, buf: make([]byte, 64<<10)} }

// wrong is an error about a field of where the walker is; field may be empty.
func (w *walker) wrong(field, problem string) *shapeError {
	path := string(w.path)
	if field != "" {
		path = strings.TrimPrefix(path+"."+field, ".")
	}
	return &shapeError{path: path, problem: problem}
}

// unexpected is an error about the value that comes next, which begins with c.
func (w *walker) unexpected(c byte) error {
	what := ""
	switch c {
	case '{':
		what = "an object"
	case '[':
		what = "an array"
	case '"':
		what = "a string"
	case 't', 'f':
		what = "a boolean"
	case 'n':
		what = "null"
	default:
		if c != '-' && (c < '0' || c > '9') {
			return w.wrong("", "is not JSON: there is "+strconv.QuoteRune(rune(c)))
		}
		what = "a number"
	}
	return w.wrong("", "is not of the documented type, but "+what)
}

// finish makes sure that nothing but space follows, which also reads the body to its end.
func (w *walker) finish() error {
	switch _, err := w.peek(); err {
	case io.ErrUnexpectedEOF:
		return nil
	case nil:
		return w.wrong("", "goes on after its end")
	default:
		return err
	}
}

// object calls member for each member of an object; member reads its value. The name is good
// until member returns.
func (w *walker) object(member func(name []byte) error) error {
	if c, err := w.peek(); err != nil {
		return err
	} else if c != '{' {
		return w.unexpected(c)
	}
	depth := len(w.path)
	for first := true; ; first = false {
		more, err := w.next('}', first)
		if err != nil || !more {
			return err
		}
		if c, err := w.peek(); err != nil {
			return err
		} else if c != '"' {
			return w.wrong("", "is not JSON: a member has no name")
		}
		name, err := w.quoted()
		if err != nil {
			return err
		}
		if depth > 0 {
			w.path = append(w.path, '.')
		}
		start := len(w.path)
		w.path = append(w.path, name[1:len(name)-1]...)
		if c, err := w.peek(); err != nil {
			return err
		} else if c != ':' {
			return w.wrong("", "is not JSON: a member has no value")
		}
		w.pos++
		if err := member(w.path[start:]); err != nil {
			return err
		}
		w.path = w.path[:depth]
	}
}

// array calls element for each element of an array; element reads it.
func (w *walker) array(element func() error) error {
	if c, err := w.peek(); err != nil {
		return err
	} else if c != '[' {
		return w.unexpected(c)
	}
	depth := len(w.path)
	for i := int64(0); ; i++ {
		more, err := w.next(']', i == 0)
		if err != nil || !more {
			return err
		}
		w.path = append(strconv.AppendInt(append(w.path, '['), i, 10), ']')
		if err := element(); err != nil {
			return err
		}
		w.path = w.path[:depth]
	}
}

// next steps over the opening, or the comma, to the next member or element, or over the closing.
func (w *walker) next(closing byte, first bool) (more bool, err error) {
	if first {
		w.pos++
	}
	c, err := w.peek()
	switch {
	case err != nil:
		return false, err
	case c == closing:
		w.pos++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, w.wrong("", "is not JSON: there is "+strconv.QuoteRune(rune(c))+" where a comma belongs")
	}
	w.pos++
	return true, nil
}

// value decodes the value by encoding/json, for what is small or rare.
func (w *walker) value(v any) error {
	s, err := w.raw()
	if err != nil {
		return err
	}
	err = json.Unmarshal(s, v)
	var typed *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &typed):
		return w.wrong(typed.Field, "is not of the documented type, but "+typed.Value)
	default:
		return w.wrong("", err.Error())
	}
}

// skip passes over a value that we have no use for.
func (w *walker) skip() error {
	null, err := w.null()
	if err == nil && !null {
		_, err = w.raw()
	}
	return err
}

// count reads a whole number; null leaves n as it was.
func (w *walker) count(n *int64) error {
	if null, err := w.null(); null || err != nil {
		return err
	}
	c, err := w.peek()
	if err != nil {
		return err
	}
	if c != '-' && (c < '0' || c > '9') {
		return w.unexpected(c)
	}
	// The usual case: digits that end before the buffer does, and few enough to fit.
	value := int64(0)
	for i := w.pos; i < w.end && i < w.pos+18; i++ {
		d := w.buf[i] - '0'
		if d <= 9 {
			value = value*10 + int64(d)
			continue
		}
		if c := w.buf[i]; (c == ',' || c == '}') && (i == w.pos+1 || w.buf[w.pos] != '0') && i > w.pos {
			w.pos = i
			*n = value
			return nil
		}
		break
	}
	s, err := w.bare()
	if err != nil {
		return err
	}
	if *n, err = strconv.ParseInt(string(s), 10, 64); err != nil {
		return w.wrong("", "is not a whole number that fits: "+clean(string(s), 40))
	}
	return nil
}

// time reads an RFC 3339 time; null is the zero time.
func (w *walker) time() (time.Time, error) {
	var s string
	if err := w.value(&s); err != nil {
		return time.Time{}, err
	}
	return w.parseTime("", s)
}

// parseTime reads an RFC 3339 time of a field; empty is the zero time.
func (w *walker) parseTime(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, w.wrong(field, "is not an RFC 3339 time: "+strconv.Quote(s))
	}
	return t.UTC(), nil
}

// string is the JSON text of a string, good until the next call.
func (w *walker) string() ([]byte, error) {
	c, err := w.peek()
	switch {
	case err != nil:
		return nil, err
	case c != '"':
		return nil, w.unexpected(c)
	default:
		return w.quoted()
	}
}

// unquote is the inside of a JSON text that holds no escape, as numbers in strings do not.
func unquote(s []byte) string { return string(bytes.Trim(s, `"`)) }

// absent is what a count is before a row is read into it; neither a missing field nor a null
// changes it.
const absent = math.MinInt64

// checkCount says what is wrong with a count, or nothing.
func checkCount(n int64) string {
	switch {
	case n == absent:
		return "is missing"
	case n < 0:
		return "is negative: " + strconv.FormatInt(n, 10)
	default:
		return ""
	}
}
