package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// table is what is shown to people: a heading, columns with a line for each row, totals, notes.
type table struct {
	heading string
	columns []column
	rows    int
	notes   []string
	bars    []float64 // of each row, from 0 to 1; nil for none
	noTotal bool      // the columns add up to nothing
}

// column is a column of a table, with the text of each row.
type column struct {
	title  string
	narrow string // title beside short texts; empty: the same
	number bool   // to the right, and never cut
	whole  bool   // never cut
	drop   int    // where there is no room the column with the highest is left out first; 0: never
	slight bool   // that it was left out need not be said
	cell   func(row int) string
	short  func(row int) string // a shorter text; nil for none
	total  func() string        // of the total line; nil for none
	brief  func() string        // a shorter total
}

const (
	gap      = 2  // spaces between columns
	minWidth = 8  // what a column of names is made narrower than only when nothing else helps
	atLeast  = 3  // what it is never made narrower than
	minBar   = 6  // what a bar is not worth showing under
	maxBar   = 24 // what a bar is long enough with
)

// layout is the text of a table's lines, titles first and the total last, and how wide each column is.
type layout struct {
	columns []column
	lines   [][]string
	widths  []int
	total   bool // the last line is a total
	bar     int  // width of the bars; 0 for none
	left    []string
}

// text writes the texts of the columns; they are short where compact is asked for.
func (t table) text(cs []column, compact bool) layout {
	l := layout{columns: cs, widths: make([]int, len(cs)), total: !t.noTotal}
	line := func(of func(c column) string) {
		cells := make([]string, len(cs))
		for i, c := range cs {
			cells[i] = clean(of(c))
			l.widths[i] = max(l.widths[i], textWidth(cells[i]))
		}
		l.lines = append(l.lines, cells)
	}
	line(func(c column) string {
		if compact && c.narrow != "" {
			return c.narrow
		}
		return c.title
	})
	for n := range t.rows {
		line(func(c column) string {
			if compact && c.short != nil {
				return c.short(n)
			}
			return c.cell(n)
		})
	}
	if t.noTotal {
		return l
	}
	first := true
	line(func(c column) string {
		lead := first
		first = false
		switch {
		case compact && c.brief != nil:
			return c.brief()
		case c.total != nil:
			return c.total()
		case lead:
			return "total"
		}
		return ""
	})
	return l
}

func (l layout) width() int {
	n := gap * (len(l.widths) - 1)
	for _, w := range l.widths {
		n += w
	}
	return n
}

func (l layout) isTotal(line int) bool { return l.total && line == len(l.lines)-1 }

// least is how narrow cutting names could make it.
func (l layout) least() int {
	n := l.width()
	for i, c := range l.columns {
		if !c.whole && !c.number {
			n -= max(0, l.widths[i]-minWidth)
		}
	}
	return n
}

// fit lays the table out for a width; 0 is any.
func (t table) fit(width int) layout {
	l := t.text(t.columns, false)
	if width > 0 && l.width() > width {
		l = t.text(t.columns, true)
	}
	cs := t.columns
	var left []string
	for width > 0 && l.least() > width {
		i := -1
		for j, c := range cs {
			if c.drop > 0 && (i < 0 || c.drop > cs[i].drop) {
				i = j
			}
		}
		if i < 0 {
			break
		}
		if !cs[i].slight {
			left = append(left, cs[i].title)
		}
		cs = slices.Delete(slices.Clone(cs), i, i+1)
		l = t.text(cs, true)
	}
	l.left = left
	for width > 0 && l.width() > width {
		widest := -1
		for i, c := range l.columns {
			if !c.whole && !c.number && l.widths[i] > atLeast && (widest < 0 || l.widths[i] > l.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		l.widths[widest]--
	}
	if room := width - l.width() - gap; t.bars != nil && (width == 0 || room >= minBar) {
		l.bar = maxBar
		if width > 0 {
			l.bar = min(maxBar, room)
		}
	}
	return l
}

// eighths are the ends of bars.
var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// bar draws a part of a width.
func bar(part float64, width int) string {
	n := int(part*float64(width)*8 + 0.5)
	if n <= 0 {
		if part > 0 {
			return eighths[1]
		}
		return ""
	}
	return strings.Repeat("█", n/8) + eighths[n%8]
}

// write writes the table, at most width cells wide as far as shorter numbers, cut names and leaving
// out columns allow; 0 is any width.
func (t table) write(w io.Writer, width int) error {
	l := t.fit(width)
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\n\n", t.heading)
	if t.noTotal && t.rows == 0 {
		l.lines = nil // nothing stands below the titles
	}
	for n, line := range l.lines {
		if l.isTotal(n) {
			fmt.Fprintln(b, strings.Repeat("─", l.width()))
		}
		var s strings.Builder
		for i, cell := range line {
			if i > 0 {
				s.WriteString(strings.Repeat(" ", gap))
			}
			if n == 0 {
				cell = cut(cell, l.widths[i])
			} else {
				cell = squeeze(cell, l.widths[i])
			}
			pad := strings.Repeat(" ", l.widths[i]-textWidth(cell))
			if l.columns[i].number {
				s.WriteString(pad + cell)
			} else {
				s.WriteString(cell + pad)
			}
		}
		if l.bar > 0 && n > 0 && !l.isTotal(n) {
			s.WriteString(strings.Repeat(" ", gap) + bar(t.bars[n-1], l.bar))
		}
		fmt.Fprintln(b, strings.TrimRight(s.String(), " "))
	}
	notes := t.notes
	if len(l.left) > 0 {
		notes = append(slices.Clone(notes), "Left out for want of room: "+strings.Join(l.left, ", ")+".")
	}
	for i, n := range notes {
		if i == 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintln(b, clean(n))
	}
	return b.Flush()
}

var markdown = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "[", `\[`, "`", "\\`")

// EscapeMarkdown is the text as it is written in a cell of a Markdown table: names in it are never markup.
func EscapeMarkdown(s string) string { return markdown.Replace(s) }

// writeMarkdown writes the table as Markdown under a line that says what it is.
func (t table) writeMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\n\n", t.heading)
	l := t.text(t.columns, false)
	for n, line := range l.lines {
		for i, cell := range line {
			cell = EscapeMarkdown(cell)
			if l.isTotal(n) && cell != "" {
				cell = "**" + cell + "**"
			}
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(b, "| %s", cell)
		}
		b.WriteString(" |\n")
		if n == 0 {
			for _, c := range l.columns {
				b.WriteString(map[bool]string{false: "| --- ", true: "| ---: "}[c.number])
			}
			b.WriteString("|\n")
		}
	}
	for _, n := range t.notes {
		fmt.Fprintf(b, "\n%s\n", clean(n))
	}
	return b.Flush()
}
