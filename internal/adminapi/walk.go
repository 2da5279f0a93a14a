package adminapi

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// walker reads a JSON document from front to back without holding it, and knows where it is.
// Whole rows are decoded by encoding/json; the walker finds them.
type walker struct {
	dec  *json.Decoder
	path []byte
}

// shapeError says where a document is not what the documentation says.
type shapeError struct {
	path     string // data[3].results[2].amount
	problem  string
	repeated bool // only the order of the pages is wrong: what is here was on an earlier one
}

func (e *shapeError) Error() string {
	return strings.TrimPrefix(e.path+": ", ": ") + e.problem
}

func newWalker(r io.Reader) *walker { return &walker{dec: json.NewDecoder(r)} }

// wrong is a shapeError about a field of where the walker is; field may be empty.
func (w *walker) wrong(field, problem string) *shapeError {
	path := string(w.path)
	if field != "" {
		path = strings.TrimPrefix(path+"."+field, ".")
	}
	return &shapeError{path: path, problem: problem}
}

// err translates an error of the decoder. A document that ends early is cut, not misshapen.
func (w *walker) err(err error) error {
	var typed *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	case errors.As(err, &typed):
		return w.wrong(embedded.Replace(typed.Field), "is not of the documented type, but "+typed.Value)
	case errors.As(err, &syntax):
		return w.wrong("", "is not JSON: "+syntax.Error())
	default:
		return err
	}
}

// embedded are the names of embedded structs, which encoding/json puts into the paths of fields.
var embedded = strings.NewReplacer("wireCounts.", "", "wireDims.", "", "wireMoney.", "", "wirePeriod.", "")

// object calls member for each member of the object that comes next; member reads its value.
func (w *walker) object(member func(name string) error) error {
	depth := len(w.path)
	if err := w.open('{'); err != nil {
		return err
	}
	for w.dec.More() {
		t, err := w.dec.Token()
		if err != nil {
			return w.err(err)
		}
		if depth > 0 {
			w.path = append(w.path, '.')
		}
		name, _ := t.(string) // the decoder lets nothing else stand here
		w.path = append(w.path, name...)
		if err := member(name); err != nil {
			return err
		}
		w.path = w.path[:depth]
	}
	return w.close()
}

// array calls element for each element of the array that comes next.
func (w *walker) array(element func() error) error {
	depth := len(w.path)
	if err := w.open('['); err != nil {
		return err
	}
	for i := int64(0); w.dec.More(); i++ {
		w.path = append(strconv.AppendInt(append(w.path, '['), i, 10), ']')
		if err := element(); err != nil {
			return err
		}
		w.path = w.path[:depth]
	}
	return w.close()
}

func (w *walker) open(want json.Delim) error {
	t, err := w.dec.Token()
	if err != nil {
		return w.err(err)
	}
	if t != want {
		if want == '{' {
			return w.wrong("", "is not an object")
		}
		return w.wrong("", "is not an array")
	}
	return nil
}

func (w *walker) close() error {
	if _, err := w.dec.Token(); err != nil {
		return w.err(err)
	}
	return nil
}

// end makes sure that nothing but space follows, which also reads the body to its end.
func (w *walker) end() error {
	switch _, err := w.dec.Token(); err {
	case io.EOF:
		return nil
	case nil:
		return w.wrong("", "goes on after its end")
	default:
		return w.err(err)
	}
}

// value decodes the value that comes next.
func (w *walker) value(v any) error {
	if err := w.dec.Decode(v); err != nil {
		return w.err(err)
	}
	return nil
}

// time decodes an RFC 3339 time; null is the zero time.
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

// skip passes over a value that we have no use for.
func (w *walker) skip() error { return w.value(&skipped{}) }

type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

// names holds each different string of a report once, by its JSON text, so that a million rows of
// a few hundred keys and models hold a few hundred strings.
type names map[string]string

// text is a string or null in a row of a report.
type text struct {
	names names
	s     string
	seen  bool // present, if only as null
	null  bool
}

func (t *text) UnmarshalJSON(b []byte) error {
	t.seen = true
	switch b[0] {
	case 'n':
		t.null = true
		return nil
	case '"':
	default:
		return wrongType(b)
	}
	if s, known := t.names[string(b)]; known {
		t.s = s
		return nil
	}
	if err := json.Unmarshal(b, &t.s); err != nil {
		return err
	}
	t.s = strings.ReplaceAll(t.s, "\x00", "") // PostgreSQL cannot hold it
	t.names[string(b)] = t.s
	return nil
}

// amount is a decimal string of cents in a row of a report.
type amount struct {
	money spend.Money
	seen  bool
}

func (a *amount) UnmarshalJSON(b []byte) error {
	var s string
	if b[0] != '"' || json.Unmarshal(b, &s) != nil {
		return wrongType(b)
	}
	m, err := spend.ParseCents(s)
	if err != nil {
		return wrongType(b)
	}
	a.money, a.seen = m, true
	return nil
}

// wrongType is an error that encoding/json adds the field's path to.
func wrongType(b []byte) error {
	return &json.UnmarshalTypeError{Value: clean(string(b[:min(len(b), 80)]), 80), Type: reflect.TypeFor[string]()}
}

// absent is what a count is before a row is decoded into it; neither a missing field nor a null
// changes it.
const absent = -1 << 63

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
