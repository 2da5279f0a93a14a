package export

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// sample is a value of a series at a time, in Unix seconds.
type sample struct {
	series uint64
	at     int64
	value  float64
}

func (s sample) compare(t sample) int {
	return cmp.Or(cmp.Compare(s.series, t.series), cmp.Compare(s.at, t.at))
}

const sampleSize = 24 // bytes, in the file

// spool sorts any number of samples by series and time in bounded memory: what does not fit is
// sorted piece by piece into a file, and the pieces are merged.
type spool struct {
	limit  int // samples held in memory
	held   []sample
	file   *os.File // has no name any more; nil while all are held
	pieces []piece
	size   int64
}

// piece is a sorted part of the file.
type piece struct{ from, size int64 }

func (s *spool) add(x sample) error {
	s.held = append(s.held, x)
	if len(s.held) < s.limit {
		return nil
	}
	return s.spill()
}

// spill writes what is held to the file.
func (s *spool) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp("", "monitor-export-*")
		if err != nil {
			return fmt.Errorf("a temporary file to sort in (TMPDIR says where): %w", err)
		}
		// Without a name it ends with the process, however that ends.
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		s.file = f
	}
	slices.SortFunc(s.held, sample.compare)
	w := bufio.NewWriterSize(s.file, 1<<16)
	var b [sampleSize]byte
	for _, x := range s.held {
		binary.LittleEndian.PutUint64(b[0:], x.series)
		binary.LittleEndian.PutUint64(b[8:], uint64(x.at))
		binary.LittleEndian.PutUint64(b[16:], math.Float64bits(x.value))
		if _, err := w.Write(b[:]); err != nil {
			return fmt.Errorf("the temporary file to sort in (TMPDIR says where): %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("the temporary file to sort in (TMPDIR says where): %w", err)
	}
	n := int64(len(s.held)) * sampleSize
	s.pieces = append(s.pieces, piece{s.size, n})
	s.size += n
	s.held = s.held[:0]
	return nil
}

// each hands out all samples in order.
func (s *spool) each(f func(sample) error) error {
	slices.SortFunc(s.held, sample.compare)
	if len(s.pieces) == 0 {
		for _, x := range s.held {
			if err := f(x); err != nil {
				return err
			}
		}
		return nil
	}
	h := &merge{}
	for _, p := range s.pieces {
		c := &cursor{in: bufio.NewReaderSize(io.NewSectionReader(s.file, p.from, p.size), 1<<14)}
		if err := c.next(); err != nil {
			return err
		}
		*h = append(*h, c)
	}
	if len(s.held) > 0 {
		*h = append(*h, &cursor{held: s.held[1:], sample: s.held[0]})
	}
	heap.Init(h)
	for h.Len() > 0 {
		c := (*h)[0]
		if err := f(c.sample); err != nil {
			return err
		}
		switch err := c.next(); {
		case errors.Is(err, io.EOF):
			heap.Pop(h)
		case err != nil:
			return err
		default:
			heap.Fix(h, 0)
		}
	}
	return nil
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// cursor reads a sorted piece, of the file or of what is held.
type cursor struct {
	sample
	in   *bufio.Reader
	held []sample
}

// next moves to the next sample; [io.EOF] is the end.
func (c *cursor) next() error {
	if c.in == nil {
		if len(c.held) == 0 {
			return io.EOF
		}
		c.sample, c.held = c.held[0], c.held[1:]
		return nil
	}
	var b [sampleSize]byte
	if _, err := io.ReadFull(c.in, b[:]); err != nil {
		return err
	}
	c.sample = sample{
		series: binary.LittleEndian.Uint64(b[0:]), at: int64(binary.LittleEndian.Uint64(b[8:])),
		value: math.Float64frombits(binary.LittleEndian.Uint64(b[16:])),
	}
	return nil
}

// merge is a heap of cursors, the least sample first.
type merge []*cursor

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i].compare(m[j].sample) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)        { *m = append(*m, x.(*cursor)) }

func (m *merge) Pop() any {
	last := len(*m) - 1
	c := (*m)[last]
	*m = (*m)[:last]
	return c
}
