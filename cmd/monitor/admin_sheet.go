package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// sheet is a list of things in the formats that commands print. A cell is a string, a bool, an int64, a
// time (zero: none), money, a list or a map of strings.
type sheet struct {
	columns []string // as JSON and CSV name them; titles are made of them
	rows    [][]any
}

func (t *sheet) add(cells ...any) { t.rows = append(t.rows, cells) }

// write prints the table. JSON holds the rows under "data", beside what about says.
func (t sheet) write(w io.Writer, format string, about ...sheetField) error {
	switch format {
	case "json":
		return t.writeJSON(w, about)
	case "csv":
		c := csv.NewWriter(w)
		lines := [][]string{t.columns}
		for _, r := range t.rows {
			lines = append(lines, sheetTexts(r, sheetPlain))
		}
		return c.WriteAll(lines)
	case "markdown":
		return t.writeMarkdown(w)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = strings.ToUpper(strings.ReplaceAll(c, "_", " "))
	}
	fmt.Fprintln(tw, strings.Join(titles, "\t"))
	for _, r := range t.rows {
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(sheetTexts(r, sheetShown), "\t"), "\t"))
	}
	return tw.Flush()
}

func (t sheet) writeMarkdown(w io.Writer) error {
	var b bytes.Buffer
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	var titles []string
	for _, c := range t.columns {
		titles = append(titles, strings.ReplaceAll(c, "_", " "))
	}
	line(titles)
	line(slices.Repeat([]string{"---"}, len(titles)))
	for _, r := range t.rows {
		cells := sheetTexts(r, sheetShown)
		for i := range cells {
			cells[i] = report.EscapeMarkdown(cells[i])
		}
		line(cells)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// sheetField is a named value in JSON, whose order is kept.
type sheetField struct {
	name  string
	value any
}

type sheetObject []sheetField

// MarshalJSON keeps the order of the fields.
func (o sheetObject) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", f.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// objects are the rows as JSON shows them.
func (t sheet) objects() []sheetObject {
	all := []sheetObject{}
	for _, r := range t.rows {
		o := sheetObject{}
		for i, c := range t.columns {
			o = append(o, sheetField{c, sheetValue(r[i])})
		}
		all = append(all, o)
	}
	return all
}

func (t sheet) writeJSON(w io.Writer, about []sheetField) error {
	return writeIndented(w, append(sheetObject(about), sheetField{"data", t.objects()}))
}

func writeIndented(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func sheetValue(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC().Format(time.RFC3339)
	case spend.Money:
		return v.String()
	case []string:
		if v == nil {
			return []string{}
		}
	}
	return v
}

func sheetTexts(row []any, text func(any) string) []string {
	all := make([]string, len(row))
	for i, v := range row {
		all[i] = text(v)
	}
	return all
}

// sheetPlain is a cell for programs.
func sheetPlain(v any) string {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case []string:
		return strings.Join(v, " ")
	case map[string]string:
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, k+"="+v[k])
		}
		return strings.Join(pairs, " ")
	}
	return fmt.Sprint(v)
}

// sheetShown is a cell for people. Names must not drive their terminal.
func sheetShown(v any) string {
	s := sheetPlain(v)
	switch v := v.(type) {
	case time.Time:
		if !v.IsZero() {
			s = v.UTC().Format("2006-01-02 15:04")
		}
	case spend.Money:
		s = report.USD(v)
	case int64:
		s = report.Count(v)
	case bool:
		if s = ""; v {
			s = "yes"
		}
	}
	if s == "" {
		return "-"
	}
	return printable(s)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}

// printableLines is that of a text that may have several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
