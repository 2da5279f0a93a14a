package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// WriteTable writes the answer as a table that is at most width cells of a terminal wide; 0 is any
// width. What does not fit is shortened, and what is left out is said.
func (a Answer) WriteTable(w io.Writer, width int) error { return a.table().write(w, width) }

// WriteMarkdown writes the answer as a Markdown table under a line that says what it is.
func (a Answer) WriteMarkdown(w io.Writer) error { return a.table().writeMarkdown(w) }

// table is the answer for people: what is the same or nothing in every row is left out.
func (a Answer) table() table {
	rows := a.Rows
	if len(rows) == 1 && len(a.By) == 0 && a.Step == StepTotal {
		rows = nil // the total says it
	}
	t := table{heading: a.heading(), rows: len(rows), notes: a.Notes()}
	t.columns = a.names(rows)
	number := func(title, narrow string, drop int, show, compact func(Figures) string) {
		c := column{
			title: title, narrow: narrow, number: true, drop: drop,
			cell:  func(n int) string { return show(rows[n].Figures) },
			total: func() string { return show(a.Total) },
		}
		if compact != nil {
			c.short = func(n int) string { return compact(rows[n].Figures) }
			c.brief = func() string { return compact(a.Total) }
		}
		t.columns = append(t.columns, c)
	}
	count := func(title, narrow string, drop int, of func(Figures) int64) {
		number(title, narrow, drop,
			func(f Figures) string { return Count(of(f)) },
			func(f Figures) string { return short(of(f)) })
	}
	if a.Kind == Costs {
		number("cost $", "", 0, Figures.USD, nil)
		t.shares(rows, func(f Figures) int64 { return int64(f.Cost) }, a.Total)
		if slices.ContainsFunc(rows, func(r Row) bool { return r.List != r.Cost }) || len(rows) == 0 && a.Total.List != a.Total.Cost {
			number("list $", "", 2, func(f Figures) string { return USD(f.List) }, nil)
		}
		t.columns = append(t.columns, column{
			title: "basis", whole: true, drop: 1,
			cell:  func(n int) string { return string(rows[n].Basis) },
			total: func() string { return string(a.Total.Basis) },
		})
		return t
	}
	count("input", "input", 0, func(f Figures) int64 { return f.Counts[spend.UncachedInput] })
	count("cache read", "read", 2, func(f Figures) int64 { return f.Counts[spend.CacheRead] })
	count("cache write", "write", 3, func(f Figures) int64 {
		return f.Counts[spend.CacheCreation5m] + f.Counts[spend.CacheCreation1h]
	})
	count("output", "output", 0, func(f Figures) int64 { return f.Counts[spend.Output] })
	if a.Total.Counts[spend.WebSearches] != 0 {
		count("searches", "search", 5, func(f Figures) int64 { return f.Counts[spend.WebSearches] })
	}
	if a.Total.Requests != 0 {
		count("requests", "reqs", 4, func(f Figures) int64 { return f.Requests })
	}
	t.shares(rows, func(f Figures) int64 { return f.Counts.Tokens() }, a.Total)
	return t
}

// shares adds a column of each row's part of the total, and bars, where there is something to compare.
func (t *table) shares(rows []Row, of func(Figures) int64, total Figures) {
	sum := of(total)
	if len(rows) < 2 || sum <= 0 {
		return
	}
	var most int64 = 1
	for _, r := range rows {
		most = max(most, of(r.Figures))
	}
	t.bars = make([]float64, len(rows))
	for i, r := range rows {
		t.bars[i] = max(0, float64(of(r.Figures))/float64(most))
	}
	t.columns = append(t.columns, column{
		title: "share", number: true, drop: 6, slight: true,
		cell:  func(n int) string { return percent(of(rows[n].Figures), sum) },
		total: func() string { return percent(sum, sum) },
	})
}

// percent is n of the whole for people; empty where there is no whole.
func percent(n, whole int64) string {
	if whole == 0 {
		return ""
	}
	p := 100 * float64(n) / float64(whole)
	if n > 0 && p < 0.05 {
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", p)
}

// names are the columns that say what a row is.
func (p Params) names(rows []Row) []column {
	var cs []column
	if p.Step != StepTotal {
		c := column{title: string(p.Step), whole: true, cell: func(n int) string { return p.Step.name(rows[n]) }}
		if p.Step == StepHour {
			c.short = func(n int) string { return p.Step.name(rows[n])[len("2026-"):] } // the heading has the year
		}
		cs = append(cs, c)
	}
	several := slices.ContainsFunc(rows, func(r Row) bool { return r.OrganizationID != rows[0].OrganizationID })
	if several || slices.Contains(p.By, spend.ByOrganization) {
		cs = append(cs, column{title: "organization", cell: func(n int) string { return rows[n].Organization }})
	}
	by := slices.DeleteFunc(slices.Clone(p.By), func(d spend.Dimension) bool { return d == spend.ByOrganization })
	for i, d := range by {
		title := strings.ReplaceAll(string(d), "_", " ")
		cs = append(cs, column{title: title, cell: func(n int) string {
			if i > 0 && rows[n].Folded > 0 {
				return "" // the first says what it is
			}
			return orDash(rows[n].Name(d))
		}})
	}
	if len(cs) == 0 { // one sum: the column holds the word total
		cs = append(cs, column{cell: func(int) string { return "" }})
	}
	return cs
}

// name is the row's time: a week's is its first day. Where only the day is known a row by the hour is a
// whole day.
func (s Step) name(r Row) string {
	if s == StepMonth {
		return r.Start.UTC().Format("2006-01")
	}
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

// span says of which time figures are, and as of when.
func span(w spend.Window, asOf time.Time) string {
	form := "2006-01-02 15:04"
	if w.Aligned(spend.Day) {
		form = time.DateOnly
	}
	s := fmt.Sprintf("from %s to %s UTC", w.Start.UTC().Format(form), w.End.UTC().Format(form))
	if asOf.IsZero() {
		return s + ", nothing read yet"
	}
	return s + ", as of " + asOf.UTC().Format("2006-01-02 15:04")
}

// heading says what the figures are, of which time, and as of when.
func (a Answer) heading() string {
	return map[Kind]string{Costs: "Cost", Usage: "Tokens"}[a.Kind] + " " + span(a.Window, a.AsOf)
}

// Notes say what a reader must know about the figures, a sentence or two each.
func (a Answer) Notes() []string {
	var ns []string
	if a.MissingHours > 0 {
		ns = append(ns, "Incomplete: "+Count(a.MissingHours)+" hours of this time have not been read yet.")
	}
	for _, n := range a.Nothing {
		ns = append(ns, n.String())
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
