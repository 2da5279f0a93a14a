package adminapi

import (
	"encoding/json"
	"io"
)

// The walker's lower half: bytes and the JSON texts of single values.

// maxValue bounds what the walker holds of a document at once.
const maxValue = 16 << 20

// fill reads on, keeping what is at pos.
func (w *walker) fill() error {
	if w.err != nil {
		return w.err
	}
	w.end = copy(w.buf, w.buf[w.pos:w.end])
	w.pos = 0
	if w.end == len(w.buf) {
		if w.end >= maxValue {
			return w.wrong("", "is too long")
		}
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	for range 100 {
		n, err := w.r.Read(w.buf[w.end:])
		w.end += n
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		w.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// peek is the first byte of what comes next.
func (w *walker) peek() (byte, error) {
	for {
		for ; w.pos < w.end; w.pos++ {
			switch c := w.buf[w.pos]; c {
			case ' ', '\t', '\n', '\r':
			default:
				return c, nil
			}
		}
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
}

// quoted is the JSON text of the string that comes next, good until the next call.
func (w *walker) quoted() ([]byte, error) {
	escaped := false
	for n := 1; ; {
		for ; w.pos+n < w.end; n++ {
			switch c := w.buf[w.pos+n]; {
			case c == '"':
				s := w.buf[w.pos : w.pos+n+1]
				w.pos += n + 1
				if escaped && !json.Valid(s) {
					return nil, w.wrong("", "is not JSON: an escape is wrong")
				}
				return s, nil
			case c == '\\':
				escaped = true
				n++
			case c < ' ':
				return nil, w.wrong("", "is not JSON: a string holds a control character")
			}
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

// bare is the JSON text of the number or word that comes next, good until the next call.
func (w *walker) bare() ([]byte, error) {
	for n := 0; ; {
		for ; w.pos+n < w.end; n++ {
			switch c := w.buf[w.pos+n]; c {
			case ',', '}', ']', ' ', '\t', '\n', '\r', ':':
				s := w.buf[w.pos : w.pos+n]
				w.pos += n
				if !json.Valid(s) {
					return nil, w.wrong("", "is not JSON")
				}
				return s, nil
			}
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

// raw is the JSON text of the value that comes next, good until the next call.
func (w *walker) raw() ([]byte, error) {
	c, err := w.peek()
	switch {
	case err != nil:
		return nil, err
	case c == '"':
		return w.quoted()
	case c != '{' && c != '[':
		return w.bare()
	}
	depth, inString := 0, false
	for n := 0; ; {
		for ; w.pos+n < w.end; n++ {
			switch c := w.buf[w.pos+n]; {
			case inString && c == '\\':
				n++
			case c == '"':
				inString = !inString
			case inString:
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				if depth--; depth > 0 {
					continue
				}
				s := w.buf[w.pos : w.pos+n+1]
				w.pos += n + 1
				if !json.Valid(s) {
					return nil, w.wrong("", "is not JSON")
				}
				return s, nil
			}
		}
		if err := w.fill(); err != nil {
			return nil, err
		}
	}
}

// null passes over a null and reports whether there was one.
func (w *walker) null() (bool, error) {
	c, err := w.peek()
	if err != nil || c != 'n' {
		return false, err
	}
	for w.end-w.pos < 4 {
		if err := w.fill(); err != nil {
			return false, err
		}
	}
	if string(w.buf[w.pos:w.pos+4]) != "null" {
		return false, w.unexpected(w.buf[w.pos+1])
	}
	w.pos += 4
	return true, nil
}
