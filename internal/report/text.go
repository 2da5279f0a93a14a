package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// column is a column of a table for people.
type column struct {
	title   string
	narrow  string // title beside short numbers; empty: the same
	number  bool
	whole   bool // never cut
	cell    func(r Row) string
	total   func(f Figures) string // of the total line; nil for none
	compact func(f Figures) string // a shorter form; nil for none
}

// columns are those that the answer needs: what is the same or nothing in every row is left out.
func (a Answer) columns() []column {
	var cs []column
	if a.Step == StepDay || a.Step == StepHour {
		cs = append(cs, column{title: string(a.Step), whole: true, cell: bucketName})
	}
	several := slices.ContainsFunc(a.Rows, func(r Row) bool { return r.OrganizationID != a.Rows[0].OrganizationID })
	if several || slices.Contains(a.By, spend.ByOrganization) {
		cs = append(cs, column{title: "organization", cell: func(r Row) string { return r.Organization }})
	}
	for _, d := range a.By {
		if d != spend.ByOrganization {
			title := strings.ReplaceAll(string(d), "_", " ")
			cs = append(cs, column{title: title, cell: func(r Row) string { return orDash(r.Name(d)) }})
		}
	}
	if len(cs) == 0 { // one sum: the column holds the word total
		cs = append(cs, column{cell: func(Row) string { return "" }})
	}
	number := func(title, narrow string, show, compact func(Figures) string) {
		cs = append(cs, column{
			title: title, narrow: narrow, number: true, whole: true, total: show, compact: compact,
			cell: func(r Row) string { return show(r.Figures) },
		})
	}
	count := func(title, narrow string, of func(Figures) int64) {
		number(title, narrow,
			func(f Figures) string { return Count(of(f)) },
			func(f Figures) string { return short(of(f)) })
	}
	if a.Kind == Costs {
		number("cost $", "", Figures.USD, nil)
		if slices.ContainsFunc(a.Rows, func(r Row) bool { return r.List != r.Cost }) {
			number("list $", "", func(f Figures) string { return USD(f.List) }, nil)
		}
		cs = append(cs, column{
			title: "basis", whole: true,
			cell:  func(r Row) string { return string(r.Basis) },
			total: func(f Figures) string { return string(f.Basis) },
		})
		return cs
	}
	count("input", "input", func(f Figures) int64 { return f.Counts[spend.UncachedInput] })
	count("cache read", "read", func(f Figures) int64 { return f.Counts[spend.CacheRead] })
	count("cache write", "write", func(f Figures) int64 {
		return f.Counts[spend.CacheCreation5m] + f.Counts[spend.CacheCreation1h]
	})
	count("output", "output", func(f Figures) int64 { return f.Counts[spend.Output] })
	if a.Total.Counts[spend.WebSearches] != 0 {
		count("searches", "search", func(f Figures) int64 { return f.Counts[spend.WebSearches] })
	}
	if a.Total.Requests != 0 {
		count("requests", "reqs", func(f Figures) int64 { return f.Requests })
	}
	return cs
}

// bucketName is the row's time. Where only the day is known a row by the hour is a whole day.
func bucketName(r Row) string {
	if r.End.Sub(r.Start) >= spend.Day.Duration() {
		return r.Start.UTC().Format(time.DateOnly)
	}
	return r.Start.UTC().Format("2006-01-02 15:04")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// heading says what the figures are, of which time, and as of when.
func (a Answer) heading() string {
	form := "2006-01-02 15:04"
	if a.Window.Aligned(spend.Day) {
		form = time.DateOnly
	}
	title := map[Kind]string{Costs: "Cost", Usage: "Tokens"}[a.Kind]
	s := fmt.Sprintf("%s from %s to %s UTC", title, a.Window.Start.UTC().Format(form), a.Window.End.UTC().Format(form))
	if a.AsOf.IsZero() {
		return s + ", nothing read yet"
	}
	return s + ", as of " + a.AsOf.UTC().Format("2006-01-02 15:04")
}

// notes say what a reader must know about the figures.
func (a Answer) notes() []string {
	var ns []string
	if a.MissingHours > 0 {
		ns = append(ns, "Incomplete: "+Count(a.MissingHours)+" hours of this time have not been read yet.")
	}
	for _, s := range a.SetAside {
		ns = append(ns, "Incomplete: "+asideNote(s))
	}
	if a.Kind == Costs {
		switch a.Total.Basis {
		case spend.Estimated:
			ns = append(ns, "estimated: tokens × price, until the bill is in.")
		case spend.Allocated:
			ns = append(ns, "allocated: the bill, shared out by estimated cost.")
		case spend.Mixed:
			ns = append(ns, "mixed: partly billed, partly shared out or estimated until the bill is in.")
		}
	}
	if a.Total.Unpriced > 0 {
		ns = append(ns, Count(a.Total.Unpriced)+" tokens have no known price and are not in the cost.")
	}
	if a.Total.Uncertain {
		ns = append(ns, "Some prices could not be told for sure.")
	}
	return ns
}

// cells writes the table's lines: titles, rows, total. Numbers are short where compact is asked for.
func (a Answer) cells(cs []column, compact bool) [][]string {
	lines := make([][]string, 0, len(a.Rows)+2)
	titles := make([]string, len(cs))
	for i, c := range cs {
		if titles[i] = c.title; compact && c.narrow != "" {
			titles[i] = c.narrow
		}
	}
	lines = append(lines, titles)
	rows := a.Rows
	if len(rows) == 1 && len(a.By) == 0 && a.Step == StepTotal {
		rows = nil // the total says it
	}
	for _, r := range rows {
		line := make([]string, len(cs))
		for i, c := range cs {
			if line[i] = clean(c.cell(r)); compact && c.compact != nil {
				line[i] = c.compact(r.Figures)
			}
		}
		lines = append(lines, line)
	}
	total := make([]string, len(cs))
	for i, c := range cs {
		switch {
		case compact && c.compact != nil:
			total[i] = c.compact(a.Total)
		case c.total != nil:
			total[i] = c.total(a.Total)
		case i == 0:
			total[i] = "total"
		}
	}
	return append(lines, total)
}

// clean keeps names from driving the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
}

const (
	gap      = 2 // spaces between columns
	minWidth = 8 // what a column of names is never made narrower than
)

// WriteTable writes the answer as a table that is at most width characters wide, as far as
// shorter numbers and cut names allow; 0 is any width.
func (a Answer) WriteTable(w io.Writer, width int) error {
	cs := a.columns()
	lines := a.cells(cs, false)
	widths := measure(lines)
	if width > 0 && sum(widths) > width {
		lines = a.cells(cs, true)
		widths = measure(lines)
	}
	for width > 0 && sum(widths) > width {
		widest := -1
		for i, c := range cs {
			if !c.whole && widths[i] > minWidth && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\n\n", a.heading())
	for n, line := range lines {
		if n == len(lines)-1 {
			fmt.Fprintln(b, strings.Repeat("─", sum(widths)))
		}
		var s strings.Builder
		for i, cell := range line {
			if i > 0 {
				s.WriteString(strings.Repeat(" ", gap))
			}
			cell = cut(cell, widths[i])
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if cs[i].number {
				s.WriteString(pad + cell)
			} else {
				s.WriteString(cell + pad)
			}
		}
		fmt.Fprintln(b, strings.TrimRight(s.String(), " "))
	}
	for i, n := range a.notes() {
		if i == 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintln(b, n)
	}
	return b.Flush()
}

func measure(lines [][]string) []int {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func sum(widths []int) int {
	n := gap * (len(widths) - 1)
	for _, w := range widths {
		n += w
	}
	return n
}

// cut shortens what is too long; the end is marked.
func cut(s string, width int) string {
	rs := []rune(s)
	if len(rs) <= width {
		return s
	}
	return string(rs[:width-1]) + "…"
}

// WriteMarkdown writes the answer as a Markdown table under a line that says what it is.
func (a Answer) WriteMarkdown(w io.Writer) error {
	cs := a.columns()
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s\n\n", a.heading())
	escape := strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "`", "\\`")
	lines := a.cells(cs, false)
	for n, line := range lines {
		for i, cell := range line {
			cell = escape.Replace(cell)
			if n == len(lines)-1 && cell != "" {
				cell = "**" + cell + "**"
			}
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(b, "| %s", cell)
		}
		b.WriteString(" |\n")
		if n == 0 {
			for _, c := range cs {
				b.WriteString(map[bool]string{false: "| --- ", true: "| ---: "}[c.number])
			}
			b.WriteString("|\n")
		}
	}
	for _, n := range a.notes() {
		fmt.Fprintf(b, "\n%s\n", n)
	}
	return b.Flush()
}
