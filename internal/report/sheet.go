package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// sheet is an answer that is not about cost or usage alone, ready to be written in every format: as
// named fields for JSON and CSV, as cells for people.
type sheet struct {
	heading string
	head    object   // of the JSON answer, before the rows
	rows    []object // under the names that JSON and CSV have them by
	tail    object   // of the JSON answer, after the rows
	blank   object   // a row, for the header of a CSV without rows

	titles []title
	cells  [][]string // a line a row
	total  []string   // nil for none
	notes  []string
}

// title is that of a column for people. A whole column is never cut; a label tells rows apart.
type title struct {
	name   string
	number bool
	whole  bool
	label  bool
}

// table is the answer for people.
func (s sheet) table() table {
	t := table{heading: s.heading, rows: len(s.cells), notes: s.notes, noTotal: s.total == nil}
	for i, x := range s.titles {
		c := column{title: x.name, number: x.number, whole: x.whole, cell: func(row int) string { return s.cells[row][i] }}
		if s.total != nil {
			c.total = func() string { return s.total[i] }
		}
		t.columns = append(t.columns, c)
	}
	return t
}

// json is the answer as the HTTP API gives it.
func (s sheet) json() ([]byte, error) {
	rows := s.rows
	if rows == nil {
		rows = []object{}
	}
	all := append(append(object{}, s.head...), field{name: "data", value: rows})
	return json.Marshal(append(all, s.tail...))
}

func (s sheet) writeJSON(w io.Writer) error {
	compact, err := s.json()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

func (s sheet) writeCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	for i, row := range append([]object{s.blank}, s.rows...) {
		line := make([]string, len(row))
		for j, f := range row {
			switch {
			case i == 0:
				line[j] = f.name
			case f.value != nil:
				line[j] = fmt.Sprint(f.value)
			}
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// hideOnly leaves out a column that says the same in every row, while there is another that tells rows
// apart.
func (s *sheet) hideOnly(name string) {
	i := slices.IndexFunc(s.titles, func(t title) bool { return t.name == name })
	others := slices.ContainsFunc(s.titles, func(t title) bool { return !t.number && t.name != name && t.label })
	if i < 0 || !others || slices.ContainsFunc(s.cells, func(line []string) bool { return line[i] != s.cells[0][i] }) {
		return
	}
	s.titles = slices.Delete(s.titles, i, i+1)
	for j := range s.cells {
		s.cells[j] = slices.Delete(s.cells[j], i, i+1)
	}
	if s.total != nil {
		s.total = slices.Delete(s.total, i, i+1)
		s.total[0] = "total"
	}
}
