package web

import (
	"strconv"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// measure is what the page /explore can show: a figure of an answer about costs or usage.
type measure struct {
	Name, Title string
	Kind        report.Kind
	of          func(report.Figures) int64
}

func counted(ks ...spend.Kind) func(report.Figures) int64 {
	return func(f report.Figures) (n int64) {
		for _, k := range ks {
			n += f.Counts[k]
		}
		return n
	}
}

// measures lists what can be shown; the first is shown where nothing is asked for.
var measures = []measure{
	{"cost", "Cost", report.Costs, func(f report.Figures) int64 { return int64(f.Cost) }},
	{"list", "Cost at list price", report.Costs, func(f report.Figures) int64 { return int64(f.List) }},
	{"tokens", "Tokens", report.Usage, func(f report.Figures) int64 { return f.Counts.Tokens() }},
	{"input", "Input tokens, not cached", report.Usage, counted(spend.UncachedInput)},
	{"cache_read", "Tokens read from cache", report.Usage, counted(spend.CacheRead)},
	{"cache_write", "Tokens written to cache", report.Usage, counted(spend.CacheCreation5m, spend.CacheCreation1h)},
	{"output", "Output tokens", report.Usage, counted(spend.Output)},
	{"web_searches", "Web searches", report.Usage, counted(spend.WebSearches)},
	{"requests", "Requests", report.Usage, func(f report.Figures) int64 { return f.Requests }},
}

// Money reports whether the measure is an amount of money.
func (m measure) Money() bool { return m.Kind == report.Costs }

// text writes a value of the measure for people.
func (m measure) text(n int64) string {
	if m.Money() {
		return "$" + report.USD(spend.Money(n))
	}
	return report.Count(n)
}

// The measure's values as a drawing has them, and how it writes them.
func (m measure) value(f report.Figures) float64 { return m.float(m.of(f)) }

func (m measure) float(n int64) float64 {
	if m.Money() {
		return spend.Money(n).USD()
	}
	return float64(n)
}

func (m measure) format() (format func(float64) string, ticks func(v, step float64) string) {
	if m.Money() {
		return nil, nil // dollars
	}
	return func(v float64) string { return report.Count(int64(v)) }, func(v, _ float64) string { return shortCount(v) }
}

// shortCount writes a large round number in a few characters.
func shortCount(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
