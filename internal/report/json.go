package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// field is a named value of a row: a string, a whole number, a bool or money.
type field struct {
	name     string
	value    any
	optional bool // left out of JSON where it is zero
}

// object is written as a JSON object with its fields in order.
type object []field

// MarshalJSON writes the object.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, f := range o {
		if f.optional && (f.value == int64(0) || f.value == false || f.value == "") {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		v, err := json.Marshal(f.value)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.name, err)
		}
		fmt.Fprintf(&b, "%q:%s", f.name, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// figures are the fields of the numbers, named as in SQL.
func (p Params) figures(f Figures) object {
	if p.Kind == Costs {
		return object{
			{name: "cost_usd", value: f.Cost},
			{name: "list_usd", value: f.List},
			{name: "basis", value: string(f.Basis), optional: true},
			{name: "unpriced_tokens", value: f.Unpriced, optional: true},
			{name: "uncertain", value: f.Uncertain, optional: true},
		}
	}
	var o object
	for k := range spend.NumKinds {
		o = append(o, field{name: countName(k), value: f.Counts[k]})
	}
	return append(o, field{name: "requests", value: f.Requests})
}

// countName is the SQL name of what the kind counts.
func countName(k spend.Kind) string {
	if k == spend.WebSearches {
		return "web_searches"
	}
	return k.TokenType() + "_tokens"
}

// row is the fields of a row.
func (p Params) row(r Row) object { return append(p.labels(r), p.figures(r.Figures)...) }

// labels are the fields that say what a row is.
func (p Params) labels(r Row) object {
	o := object{
		{name: "start", value: r.Start.UTC().Format(time.RFC3339)},
		{name: "end", value: r.End.UTC().Format(time.RFC3339)},
		{name: "organization", value: r.Organization},
	}
	for _, d := range p.By {
		switch d {
		case spend.ByOrganization:
			continue // every row has it
		case spend.ByWorkspace, spend.ByAPIKey:
			id := *r.Field(d)
			if id == spend.NoKey && d == spend.ByAPIKey {
				id = ""
			}
			o = append(o, field{name: d.Column(), value: id})
		}
		o = append(o, field{name: string(d), value: r.Name(d)})
	}
	return o
}

// MarshalJSON writes the answer as the HTTP API gives it: as_of (null if nothing was read yet),
// from, to, data and total, missing_hours where hours of the window were never read, and
// set_aside where bills have amounts in other currencies. Money is
// a decimal string in dollars.
func (a Answer) MarshalJSON() ([]byte, error) {
	out := struct {
		AsOf  *string  `json:"as_of"`
		From  string   `json:"from"`
		To    string   `json:"to"`
		Data  []object `json:"data"`
		Total object   `json:"total"`

		MissingHours int64    `json:"missing_hours,omitempty"`
		SetAside     []object `json:"set_aside,omitempty"`
	}{
		From:  a.Window.Start.UTC().Format(time.RFC3339),
		To:    a.Window.End.UTC().Format(time.RFC3339),
		Data:  make([]object, len(a.Rows)),
		Total: a.figures(a.Total),

		MissingHours: a.MissingHours,
		SetAside:     asideObjects(a.SetAside),
	}
	if !a.AsOf.IsZero() {
		s := a.AsOf.UTC().Format(time.RFC3339)
		out.AsOf = &s
	}
	for i, r := range a.Rows {
		out.Data[i] = a.row(r)
	}
	return json.Marshal(out)
}

// WriteJSON writes the answer as JSON, indented for reading, with a line end.
func (a Answer) WriteJSON(w io.Writer) error { return writeJSON(w, a) }

// WriteCSV writes the rows, without the total, under the names that JSON has them by. Every row
// has every column; money is exact.
func (a Answer) WriteCSV(w io.Writer) error {
	rows := make([]object, len(a.Rows))
	for i, r := range a.Rows {
		rows[i] = a.row(r)
	}
	return writeCSV(w, a.row(Row{}), rows)
}

// writeJSON writes a value indented, with a line end.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeCSV writes rows under the names of the header's fields. What is unknown is empty.
func writeCSV(w io.Writer, header object, rows []object) error {
	c := csv.NewWriter(w)
	line := make([]string, 0, len(header))
	for _, f := range header {
		line = append(line, f.name)
	}
	if err := c.Write(line); err != nil {
		return err
	}
	for _, r := range rows {
		line = line[:0]
		for _, f := range r {
			if f.value == nil {
				line = append(line, "")
			} else {
				line = append(line, fmt.Sprint(f.value))
			}
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}
