package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// kind is how the values of a column get from SQLite to PostgreSQL, and what is summed up to compare
// them: the same number made in Go from the one's value and in SQL from the other's.
type kind struct {
	convert func(v any) (any, error) // never called with nil, which stays null
	sum     func(v any) (int64, error)
	sql     string // of sum, with %s for the column; empty: sum is made of what text says
	text    string // the column as JSON text, for sum
}

// kinds are the types of columns. They are tables of conversions, not of guesses: a type that is not
// here cannot be copied, and a test says so.
var kinds = map[string]kind{
	"smallint": whole(math.MinInt16, math.MaxInt16),
	"integer":  whole(math.MinInt32, math.MaxInt32),
	"bigint":   whole(math.MinInt64, math.MaxInt64),
	// Unix seconds.
	"timestamp with time zone": {
		convert: func(v any) (any, error) {
			n, err := integer(v)
			return time.Unix(n, 0).UTC(), err
		},
		sum: integer,
		sql: "extract(epoch from %s)",
	},
	// 0 and 1.
	"boolean": {
		convert: func(v any) (any, error) {
			n, err := integer(v)
			if err == nil && n != 0 && n != 1 {
				err = fmt.Errorf("%d is neither 0 nor 1", n)
			}
			return n == 1, err
		},
		sum: integer,
		sql: "%s::int",
	},
	"double precision": {
		convert: func(v any) (any, error) { return float(v) },
		sum: func(v any) (int64, error) {
			f, err := float(v)
			return int64(math.Float64bits(f)), err //nolint:gosec // the bits, whatever they mean
		},
		sql: "('x' || encode(float8send(%s), 'hex'))::bit(64)::bigint",
	},
	"text": {
		convert: func(v any) (any, error) { return text(v) },
		sum: func(v any) (int64, error) {
			s, err := text(v)
			return digest(s), err
		},
		sql: "('x' || left(md5(%s), 8))::bit(32)::bigint",
	},
	"bytea": {
		convert: func(v any) (any, error) { return blob(v) },
		sum: func(v any) (int64, error) {
			b, err := blob(v)
			return digest(string(b)), err
		},
		sql: "('x' || left(md5(%s), 8))::bit(32)::bigint",
	},
	// JSON text. PostgreSQL writes it in another way, hence the comparison of what it means.
	"jsonb": {
		convert: func(v any) (any, error) {
			s, err := text(v)
			if err == nil && !json.Valid([]byte(s)) {
				err = errors.New("is not JSON")
			}
			return s, err
		},
		sum:  meaning,
		text: "%s::text",
	},
	// A JSON array of strings, or JSON's null.
	"text[]": {
		convert: func(v any) (any, error) {
			s, err := text(v)
			if err != nil {
				return nil, err
			}
			var list []string
			if err := json.Unmarshal([]byte(s), &list); err != nil {
				return nil, errors.New("is not a JSON array of strings")
			}
			if list == nil {
				return nil, nil
			}
			return list, nil
		},
		sum:  meaning,
		text: "coalesce(to_jsonb(%s)::text, 'null')",
	},
}

// whole is a kind of integers within bounds.
func whole(least, most int64) kind {
	return kind{
		convert: func(v any) (any, error) {
			n, err := integer(v)
			if err == nil && (n < least || n > most) {
				err = fmt.Errorf("%d is out of range", n)
			}
			return n, err
		},
		sum: integer,
		sql: "%s",
	}
}

func integer(v any) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	return 0, fmt.Errorf("is of type %T, not an integer", v)
}

func float(v any) (float64, error) {
	if f, ok := v.(float64); ok {
		return f, nil
	}
	return 0, fmt.Errorf("is of type %T, not a floating-point number", v)
}

func blob(v any) ([]byte, error) {
	if b, ok := v.([]byte); ok {
		return b, nil
	}
	return nil, fmt.Errorf("is of type %T, not a blob", v)
}

// text is a text that PostgreSQL can hold.
func text(v any) (string, error) {
	s, ok := v.(string)
	switch {
	case !ok:
		return "", fmt.Errorf("is of type %T, not a text", v)
	case strings.ContainsRune(s, 0):
		return "", fmt.Errorf("%q holds a NUL character, which PostgreSQL cannot", s)
	case !utf8.ValidString(s):
		return "", fmt.Errorf("%q is not valid UTF-8", s)
	}
	return s, nil
}

// stream is what COPY reads: the rows of a dump, converted, and summed up on the way.
type stream struct {
	storage.DumpRows
	table  loadTable
	kinds  []kind
	values []any
	sums   checksums
	rows   int64
	watch  func(int64)
	err    error
}

// watchEvery is how many rows go between two calls of watch.
const watchEvery = 4096

func newStream(t loadTable, rows storage.DumpRows, watch func(int64)) *stream {
	s := &stream{
		DumpRows: rows, table: t, watch: watch,
		values: make([]any, len(t.columns)), sums: make(checksums, len(t.columns)),
	}
	for _, c := range t.columns {
		s.kinds = append(s.kinds, kinds[c.typ])
	}
	return s
}

func (s *stream) Values() ([]any, error) {
	values, err := s.DumpRows.Values()
	if err != nil {
		s.err = err
		return nil, err
	}
	for i, v := range values {
		if v == nil {
			s.values[i] = nil
			continue
		}
		k, c := s.kinds[i], s.table.columns[i]
		if k.convert == nil {
			s.err = fmt.Errorf("column %s: there is no way to write the type %s", c.name, c.typ)
			return nil, s.err
		}
		n, err := k.sum(v)
		if err == nil {
			s.values[i], err = k.convert(v)
		}
		if err != nil {
			s.err = fmt.Errorf("row %d, column %s: %w", s.rows+1, c.name, err)
			return nil, s.err
		}
		s.sums[i].add(n)
	}
	if s.rows++; s.rows%watchEvery == 0 {
		s.watch(s.rows)
	}
	return s.values, nil
}
