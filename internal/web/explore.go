package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
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

// option is something a form lets choose.
type option struct{ Name, Title string }

// ranges are the times that can be asked for by name, which stay what they are in the URL: last week of
// today is not last week of tomorrow. Beside them a number of days is, such as 14d.
var ranges = []option{
	{"today", "Today"},
	{"yesterday", "Yesterday"},
	{"7d", "Last 7 days"},
	{"30d", "Last 30 days"},
	{"month", "This month"},
	{"last-month", "Last month"},
	{"90d", "Last 90 days"},
}

// customRange is the time of the parameters from and to.
const customRange = "custom"

const (
	mostGroups  = 3   // dimensions that can be grouped by at once
	mostBuckets = 400 // bars of a drawing
	exploreRows = 25  // rows of the table, unless more are asked for
	mostRows    = 1000
	mostDays    = 3660 // of a range in days
)

// exploration is a question of the page /explore, as its parameters say it.
type exploration struct {
	Measure  measure
	By       []spend.Dimension
	Range    string
	From, To string // of the range custom, as given
	Step     report.Step
	Auto     bool // the step follows from the time
	Compare  bool
	Rows     int
	Filters  []filterField

	window spend.Window // in whole days, up to the end of today
	now    time.Time
}

// filterField is a dimension that can be filtered by, and the values that are asked for.
type filterField struct {
	Dimension spend.Dimension
	Values    []string
	List      []string // what is known to choose from
}

// Title is what the dimension is called.
func (f filterField) Title() string { return dimensionTitle(f.Dimension) }

func dimensionTitle(d spend.Dimension) string {
	if d == spend.ByAPIKey {
		return "API key"
	}
	return capital(strings.ReplaceAll(string(d), "_", " "))
}

// wrong is an error in a parameter, which the page shows beside its field.
type wrong struct{ Parameter, Message string }

func (w wrong) Error() string { return w.Parameter + ": " + w.Message }

// parseExploration reads a question. What could be read is in it also where there is an error, so that
// the form stays filled in. An error is a [wrong].
func parseExploration(values url.Values, teams team.Teams, now time.Time) (exploration, error) {
	e := exploration{
		Measure: measures[0], By: []spend.Dimension{spend.ByWorkspace}, Range: "30d", Step: report.StepDay, Auto: true, Rows: exploreRows, now: now.UTC(),
	}
	var errs []wrong
	bad := func(parameter, format string, args ...any) {
		errs = append(errs, wrong{parameter, fmt.Sprintf(format, args...)})
	}
	one := func(name string) string {
		if len(values[name]) > 1 {
			bad(name, "is given %d times", len(values[name]))
		}
		return values.Get(name)
	}
	if v := one("measure"); v != "" {
		i := slices.IndexFunc(measures, func(m measure) bool { return m.Name == v })
		if i < 0 {
			bad("measure", "%q is not one of %s", v, names(measures, func(m measure) string { return m.Name }))
		} else {
			e.Measure = measures[i]
		}
	}
	dimensions := exploreDimensions(e.Measure.Kind, teams)
	for _, d := range dimensions {
		e.Filters = append(e.Filters, filterField{Dimension: d})
	}
	for _, name := range sortedKeys(values) {
		d := spend.Dimension(name)
		switch i := slices.Index(dimensions, d); {
		case i >= 0:
			for _, v := range values[name] {
				if v != "" && !slices.Contains(e.Filters[i].Values, v) { // an empty one is a field that was not filled in
					e.Filters[i].Values = append(e.Filters[i].Values, v)
				}
			}
		case slices.Contains([]string{"measure", "by", "range", "from", "to", "step", "compare", "rows"}, name):
		case d == spend.ByTeam:
			bad(name, "no teams are configured (section teams of the configuration)")
		case slices.Contains(exploreDimensions(report.Costs, teams), d):
			bad(name, "is known for money only: the measures cost and list")
		default:
			bad(name, "is unknown here. There are measure, by, range, from, to, step, compare, rows, and filters by %s", names(dimensions, asText))
		}
	}
	e.parseBy(values["by"], dimensions, teams, bad)
	e.parseTime(one, bad)
	switch v := one("compare"); v {
	case "", "before":
		e.Compare = v != ""
	default:
		bad("compare", "%q is not before, the only thing to compare with", v)
	}
	if v := one("rows"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > mostRows {
			bad("rows", "%q is not a number from 1 to %d", v, mostRows)
		} else {
			e.Rows = n
		}
	}
	if len(errs) > 0 {
		return e, errs[0]
	}
	return e, nil
}

// exploreDimensions are what the page can group and filter by.
func exploreDimensions(kind report.Kind, teams team.Teams) []spend.Dimension {
	return slices.DeleteFunc(report.Dimensions(kind), func(d spend.Dimension) bool { return d == spend.ByTeam && len(teams) == 0 })
}

type complaint func(parameter, format string, args ...any)

func (e *exploration) parseBy(values []string, dimensions []spend.Dimension, teams team.Teams, bad complaint) {
	var given []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(given, name) {
				given = append(given, name)
			}
		}
	}
	if len(given) == 0 {
		return
	}
	e.By = nil
	for _, name := range given {
		d := spend.Dimension(name)
		switch {
		case name == "none":
		case slices.Contains(dimensions, d):
			if len(e.By) < mostGroups {
				e.By = append(e.By, d)
			} else {
				bad("by", "at most %d dimensions can be grouped by at once", mostGroups)
			}
		case d == spend.ByTeam && len(teams) == 0:
			bad("by", "no teams are configured (section teams of the configuration)")
		case d == spend.ByCostType || d == spend.ByTokenType:
			bad("by", "%s is known for money only: the measures cost and list", name)
		default:
			bad("by", "%q is not one of none, %s", name, names(dimensions, asText))
		}
	}
}

// parseTime reads range, from, to and step.
func (e *exploration) parseTime(one func(string) string, bad complaint) {
	e.From, e.To = one("from"), one("to")
	if given := one("range"); given != "" {
		e.Range = given
	}
	if e.From != "" || e.To != "" { // of a form, where they stand beside the range shown before
		e.Range = customRange
	}
	today := spend.Day.Floor(e.now)
	tomorrow := today.AddDate(0, 0, 1)
	e.window = spend.Window{Start: today.AddDate(0, 0, -29), End: tomorrow}
	switch e.Range {
	case "today":
		e.window.Start = today
	case "yesterday":
		e.window = spend.Window{Start: today.AddDate(0, 0, -1), End: today}
	case "month":
		e.window.Start = spend.MonthStart(today)
	case "last-month":
		end := spend.MonthStart(today)
		e.window = spend.Window{Start: end.AddDate(0, -1, 0), End: end}
	case customRange:
		e.parseCustom(tomorrow, bad)
	default:
		text, days := strings.CutSuffix(e.Range, "d")
		n, err := strconv.Atoi(text)
		if !days || err != nil || n < 1 || n > mostDays || text[0] == '+' {
			bad("range", "%q is not one of %s, custom, or a number of days such as 14d", e.Range, names(ranges, func(c option) string { return c.Name }))
			return
		}
		e.window.Start = today.AddDate(0, 0, 1-n)
	}
	e.parseStep(one("step"), bad)
}

func (e *exploration) parseCustom(tomorrow time.Time, bad complaint) {
	var err error
	start, end := time.Time{}, tomorrow
	if e.From == "" {
		bad("from", "is missing: a date such as %s", tomorrow.AddDate(0, 0, -8).Format(time.DateOnly))
		return
	}
	if start, err = report.ParseTime("from", e.From); err != nil {
		bad("from", "%s", strings.TrimPrefix(err.Error(), "from: "))
		return
	}
	if e.To != "" {
		if end, err = report.ParseTime("to", e.To); err != nil {
			bad("to", "%s", strings.TrimPrefix(err.Error(), "to: "))
			return
		}
	}
	if !start.Before(end) {
		bad("from", "must be before to, which is not included")
		return
	}
	if end.Sub(start) > mostDays*24*time.Hour {
		bad("from", "lies more than %d days before to", mostDays)
		return
	}
	e.window = spend.Window{Start: start, End: end}.Align(spend.Hour)
}

// parseStep reads the step, or chooses one that a drawing has room for.
func (e *exploration) parseStep(given string, bad complaint) {
	days := e.window.Duration().Hours() / 24
	switch {
	case days <= 3:
		e.Step = report.StepHour
	case days <= 100:
		e.Step = report.StepDay
	case days <= 400:
		e.Step = report.StepWeek
	default:
		e.Step = report.StepMonth
	}
	if given == "" || given == "auto" {
		return
	}
	step := report.Step(given)
	if !slices.Contains(report.Steps, step) {
		bad("step", "%q is not one of auto, %s", given, names(report.Steps, func(s report.Step) string { return string(s) }))
		return
	}
	if n := len(step.Buckets(e.window)); n > mostBuckets {
		bad("step", "this time has %s %ss, and at most %d can be drawn: choose a wider step or less time", report.Count(int64(n)), step, mostBuckets)
		return
	}
	e.Step, e.Auto = step, false
}

func asText(d spend.Dimension) string { return string(d) }

func names[T any](list []T, name func(T) string) string {
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = name(x)
	}
	return strings.Join(texts, ", ")
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// values are the question as parameters, each of them in one way only.
func (e exploration) values() url.Values {
	v := url.Values{"measure": {e.Measure.Name}, "by": {"none"}, "range": {e.Range}}
	if len(e.By) > 0 {
		v.Set("by", strings.ReplaceAll(names(e.By, asText), " ", ""))
	}
	if e.Range == customRange {
		v.Set("from", e.From)
		if e.To != "" {
			v.Set("to", e.To)
		}
	}
	if !e.Auto {
		v.Set("step", string(e.Step))
	}
	if e.Compare {
		v.Set("compare", "before")
	}
	if e.Rows != exploreRows {
		v.Set("rows", strconv.Itoa(e.Rows))
	}
	for _, f := range e.Filters {
		for _, value := range f.Values {
			v.Add(string(f.Dimension), value)
		}
	}
	return v
}

// href is the page of the question.
func (e exploration) href() string { return "/explore?" + readable(e.values()) }

// readable is the query of a URL that people read: commas, colons and stars need no escapes there.
func readable(v url.Values) string {
	return strings.NewReplacer("%2C", ",", "%3A", ":", "%2A", "*").Replace(v.Encode())
}

// untidy reports whether the parameters are those of a form, which sends what was not filled in too.
func untidy(values url.Values) bool {
	for name, vs := range values {
		if slices.Contains(vs, "") || name == "by" && len(vs) > 1 || name == "step" && slices.Contains(vs, "auto") {
			return true
		}
	}
	return values.Has("range") && values.Get("range") != customRange && (values.Has("from") || values.Has("to")) // the latter hold
}

// noValue is what pages call the lack of a dimension's value, such as "(no model)", and what a filter of
// the page means by it.
func noValue(d spend.Dimension) string { return seriesName("", d) }

// filters are the question's filters as package report takes them.
func (e exploration) filters() []report.Filter {
	var fs []report.Filter
	for _, f := range e.Filters {
		if len(f.Values) == 0 {
			continue
		}
		values := slices.Clone(f.Values)
		for i, v := range values {
			if v == noValue(f.Dimension) {
				values[i] = ""
			}
		}
		fs = append(fs, report.Filter{Dimension: f.Dimension, Values: values})
	}
	return fs
}

// api is the same question to the API, of the times that it means now.
func (e exploration) api(format string) string {
	v := url.Values{"from": {apiTime(e.window.Start)}, "to": {apiTime(e.window.End)}, "step": {string(e.Step)}}
	if len(e.By) > 0 {
		v.Set("by", strings.ReplaceAll(names(e.By, asText), " ", ""))
	}
	for _, f := range e.filters() {
		v[string(f.Dimension)] = f.Values
	}
	if format != "" {
		v.Set("format", format)
	}
	return "/api/v1/" + string(e.Measure.Kind) + "?" + readable(v)
}

// apiTime is a date where that is enough.
func apiTime(t time.Time) string {
	if spend.Day.Floor(t).Equal(t) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// groupKey tells the groups of an answer apart.
type groupKey struct {
	organization, team string
	dims               spend.Dims
}

func keyOf(r report.Row) groupKey { return groupKey{r.OrganizationID, r.Team, r.Dims} }

// exploreGroup is a row of the page's table: a group and its figures.
type exploreGroup struct {
	report.Row
	Class  string   // of its series in the drawing
	Names  []string // of the dimensions asked for
	Href   string   // the question about this group alone
	Value  string
	Cells  []string // further figures, see [explorePage.Columns]
	Share  string   // of the total
	Part   float64  // of the greatest, in percent
	Was    string   // in the time before
	Change string
	value  int64
	was    report.Figures
}

// series is the question's answer: figures of all groups, and of the greatest by time.
type series struct {
	total  report.Answer
	before *report.Answer
	groups []exploreGroup
	shown  []string // names of the series
	bars   []plotBar
}

// explore answers the question. Where there may be very many groups the greatest are found first, and only
// they are asked for by time.
func (s *server) explore(ctx context.Context, e exploration) (series, error) {
	var out series
	var err error
	ask := func(step report.Step, by []spend.Dimension, w spend.Window, where []report.Filter) (report.Answer, error) {
		return report.Run(ctx, s.Store, report.Params{Kind: e.Measure.Kind, From: w.Start, To: w.End, Step: step, By: by, Where: where, Teams: s.Teams})
	}
	where := e.filters()
	parts, several := report.Answer{}, e.Step != report.StepTotal
	if several && !e.manyGroups() {
		if parts, err = ask(e.Step, e.By, e.window, where); err != nil {
			return out, err
		}
		out.total = together(parts)
	} else if out.total, err = ask(report.StepTotal, e.By, e.window, where); err != nil {
		return out, err
	}
	if e.Compare {
		known := e.window
		if known.End.After(e.now) {
			known.End = e.now // the time before is as long as what is known of this one
		}
		if !known.Empty() {
			before, err := ask(report.StepTotal, e.By, report.Previous(known), where)
			if err != nil {
				return out, err
			}
			out.before = &before
		}
	}
	out.groups = e.group(out.total, out.before)
	if !several || len(out.total.Rows) == 0 {
		return out, nil
	}
	whole := parts
	if e.manyGroups() {
		first := out.groups[:min(len(out.groups), maxSeries)]
		if parts, err = ask(e.Step, e.By, e.window, only(where, e.By, first)); err != nil {
			return out, err
		}
		if whole, err = ask(e.Step, nil, e.window, where); err != nil {
			return out, err
		}
	}
	out.shown, out.bars = e.draw(out.groups, parts, whole)
	return out, nil
}

// together sums an answer by time up to one of totals.
func together(a report.Answer) report.Answer {
	index := map[groupKey]int{}
	rows := []report.Row{}
	for _, r := range a.Rows {
		i, ok := index[keyOf(r)]
		if !ok {
			i = len(rows)
			index[keyOf(r)] = i
			x := r
			x.Start, x.End, x.Figures = a.Window.Start, a.Window.End, report.Figures{}
			rows = append(rows, x)
		}
		rows[i].Add(r.Figures)
	}
	a.Step, a.Rows = report.StepTotal, rows
	return a
}

// manyGroups reports whether the question may be about so many groups that asking for all of them by
// time costs too much.
func (e exploration) manyGroups() bool {
	return slices.ContainsFunc(e.Filters, func(f filterField) bool {
		return slices.Contains(e.By, f.Dimension) && len(f.List) > fewGroups
	})
}

// group makes the rows of the table, the greatest first.
func (e exploration) group(total report.Answer, before *report.Answer) []exploreGroup {
	index := map[groupKey]int{}
	var groups []exploreGroup
	for _, r := range total.Rows {
		index[keyOf(r)] = len(groups)
		groups = append(groups, exploreGroup{Row: r, value: e.Measure.of(r.Figures)})
	}
	if before != nil {
		for _, r := range before.Rows {
			if i, ok := index[keyOf(r)]; ok {
				groups[i].was = r.Figures
				continue
			}
			g := exploreGroup{Row: r, was: r.Figures}
			g.Figures = report.Figures{}
			groups = append(groups, g)
		}
	}
	slices.SortStableFunc(groups, func(x, y exploreGroup) int {
		return cmp.Or(cmp.Compare(y.value, x.value), cmp.Compare(e.Measure.of(y.was), e.Measure.of(x.was)))
	})
	return groups
}

// fewGroups is up to how many workspaces or keys all are asked for by time.
const fewGroups = 60

// draw makes the bars: of the greatest groups each, of the others together. Parts has at least the groups
// that are drawn for themselves, whole has all that is to be drawn.
func (e exploration) draw(groups []exploreGroup, parts, whole report.Answer) ([]string, []plotBar) {
	place, shown := map[groupKey]int{}, []string{}
	for i, g := range groups {
		if i == maxSeries {
			shown = append(shown, fmt.Sprintf("other (%d)", len(groups)-maxSeries))
			break
		}
		place[keyOf(g.Row)] = len(shown)
		shown = append(shown, e.groupName(g.Row))
	}
	buckets := e.Step.Buckets(whole.Window)
	bs, rest := make([]plotBar, len(buckets)), make([]int64, len(buckets))
	at := map[time.Time]int{}
	for i, w := range buckets {
		at[w.Start] = i
		bs[i] = plotBar{
			Name: e.bucketName(w), Values: make([]float64, len(shown)), Href: e.into(w),
			Part: w.End.After(whole.AsOf) && w.Start.Before(whole.AsOf),
		}
		if every := (len(buckets) + 6) / 7; i%every == 0 {
			bs[i].Tick = e.tick(w)
		}
	}
	for _, r := range whole.Rows {
		i := at[r.Start] // where only the day is known a row by the hour is a day's, and stands at its first hour
		rest[i] += e.Measure.of(r.Figures)
		bs[i].Basis = bs[i].Basis.And(r.Basis)
	}
	for _, r := range parts.Rows {
		if j, ok := place[keyOf(r)]; ok {
			i := at[r.Start]
			rest[i] -= e.Measure.of(r.Figures) // whole numbers: what is left is exact
			bs[i].Values[j] += e.Measure.value(r.Figures)
		}
	}
	if len(groups) > maxSeries {
		for i := range bs {
			bs[i].Values[maxSeries] = e.Measure.float(rest[i])
		}
	}
	return shown, bs
}

// only narrows filters to the values that the groups have. What else has the same values is in the answer
// too.
func only(where []report.Filter, by []spend.Dimension, groups []exploreGroup) []report.Filter {
	where = slices.Clone(where)
	for _, d := range by {
		f := report.Filter{Dimension: d}
		for _, g := range groups {
			if v := exactly(g.Row, d); !slices.Contains(f.Values, v) {
				f.Values = append(f.Values, v)
			}
		}
		where = slices.DeleteFunc(where, func(x report.Filter) bool { return x.Dimension == d })
		where = append(where, f)
	}
	return where
}

// exactly is the value of a filter that means what the row has of the dimension.
func exactly(r report.Row, d spend.Dimension) string {
	switch {
	case d == spend.ByOrganization:
		return r.OrganizationID
	case d == spend.ByTeam:
		return r.Team
	case d == spend.ByAPIKey && r.APIKeyID == spend.NoKey:
		return ""
	case d == spend.ByAPIKey && r.APIKeyID == "":
		return report.Unattributed
	default:
		return *r.Field(d)
	}
}

// groupName is what a group is called in the drawing.
func (e exploration) groupName(r report.Row) string {
	if len(e.By) == 0 {
		return strings.ToLower(e.Measure.Title)
	}
	var parts []string
	for _, d := range e.By {
		parts = append(parts, seriesName(r.Name(d), d))
	}
	return strings.Join(parts, " · ")
}

func (e exploration) bucketName(w spend.Window) string {
	switch e.Step {
	case report.StepHour:
		return w.Start.Format("2 January 15:04")
	case report.StepWeek:
		return w.Start.Format("2 January") + " to " + w.End.Add(-time.Second).Format("2 January 2006")
	case report.StepMonth:
		return w.Start.Format("January 2006")
	default:
		return w.Start.Format("Monday, 2 January 2006")
	}
}

func (e exploration) tick(w spend.Window) string {
	switch {
	case e.Step == report.StepMonth:
		return w.Start.Format("Jan 2006")
	case e.Step == report.StepHour && spend.Day.Floor(w.Start).Equal(w.Start), e.Step != report.StepHour:
		return w.Start.Format("2 Jan")
	default:
		return w.Start.Format("15:04")
	}
}

// into is the question about one bucket; empty where there is nothing finer.
func (e exploration) into(w spend.Window) string {
	if e.Step == report.StepHour {
		return ""
	}
	e.Range, e.From, e.To, e.Auto, e.Compare = customRange, apiTime(w.Start), apiTime(w.End), true, false
	return e.href()
}

// about is the question about one group alone, by the next dimension that tells more; empty where
// there is none.
func (e exploration) about(g exploreGroup, ambiguous func(spend.Dimension, string) bool) string {
	e.Filters = slices.Clone(e.Filters)
	e.Rows = exploreRows
	for i, f := range e.Filters {
		if !slices.Contains(e.By, f.Dimension) {
			continue
		}
		v := seriesName(g.Name(f.Dimension), f.Dimension)
		if f.Dimension == spend.ByOrganization || f.Dimension == spend.ByWorkspace || f.Dimension == spend.ByAPIKey {
			if id := exactly(g.Row, f.Dimension); id != "" && ambiguous(f.Dimension, v) {
				v = id
			}
		}
		e.Filters[i].Values = []string{v}
	}
	by := e.By
	e.By = nil
	for _, d := range []spend.Dimension{spend.ByWorkspace, spend.ByModel, spend.ByAPIKey, spend.ByTokenType} {
		i := slices.IndexFunc(e.Filters, func(f filterField) bool { return f.Dimension == d })
		if i >= 0 && !slices.Contains(by, d) && len(e.Filters[i].Values) == 0 {
			e.By = []spend.Dimension{d}
			break
		}
	}
	return e.href()
}

// explorePage is what the page at /explore shows.
type explorePage struct {
	frame
	exploration
	Wrong *wrong // what is wrong with the question; nothing else is shown then
	// For the form.
	Measures   []measure
	Steps      []option
	Dimensions []spend.Dimension
	Groups     [mostGroups]spend.Dimension // chosen; empty: nothing
	Narrow     bool                        // a filter is set

	Heading   string
	Columns   []string // titles of the groups' further cells
	Total     exploreGroup
	Rows      []exploreGroup
	Hidden    int    // groups beyond the rows
	Rest      string // what they sum up to
	More      string // the page with all of them
	MoreRows  int
	Before    spend.Window
	Chart     *chart
	Alarms    []string // what is missing in the figures
	Notes     []string // what else is to be known of them
	Answer    report.Answer
	CSV, JSON string
	Here      string // the permanent URL
	Presets   []preset
	NoData    bool // nothing was read yet
}

// preset is a link to the same question about another time.
type preset struct {
	option
	Href    string
	Current bool
}

// Status is the page's status.
func (p explorePage) Status() int {
	if p.Wrong != nil {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// Is says that something is wrong with the parameter.
func (p explorePage) Is(parameter string) bool {
	return p.Wrong != nil && p.Wrong.Parameter == parameter
}

// StepIs reports whether the form's step of this name is chosen.
func (p explorePage) StepIs(name string) bool {
	if p.Auto {
		return name == "auto"
	}
	return name == string(p.Step)
}

// InputType is the kind of field that can hold the time as it is given.
func (explorePage) InputType(given string) string {
	if _, err := time.Parse(time.DateOnly, given); given == "" || err == nil {
		return "date"
	}
	return "text"
}

// ExtraRows is how many rows are asked for, if it is not the usual number.
func (p explorePage) ExtraRows() int {
	if p.exploration.Rows == exploreRows {
		return 0
	}
	return p.exploration.Rows
}

// Set counts the filters that are set.
func (p explorePage) Set() (n int) {
	for _, f := range p.Filters {
		n += min(1, len(f.Values))
	}
	return n
}

// Without is the same question without filters.
func (p explorePage) Without() string {
	e := p.exploration
	e.Filters = nil
	return e.href()
}

// Several reports whether rows of several organizations are shown and do not say so by a dimension.
func (p explorePage) Several() bool {
	return len(p.By) > 0 && !slices.Contains(p.By, spend.ByOrganization) &&
		slices.ContainsFunc(p.Rows, func(g exploreGroup) bool { return g.OrganizationID != p.Rows[0].OrganizationID })
}

// NameColumns is how many columns say what a row is.
func (p explorePage) NameColumns() int {
	n := max(1, len(p.By))
	if p.Several() {
		n++
	}
	return n
}

// HiddenRows is how many groups have no row.
func (p explorePage) HiddenRows() int64 { return int64(p.Hidden) }

// Span is the time of the figures, SpanBefore that of what they are compared with.
func (p explorePage) Span() string       { return spanText(p.Answer.Window) }
func (p explorePage) SpanBefore() string { return spanText(p.Before) }

// spanText writes a window for people: days are named with the last one included.
func spanText(w spend.Window) string {
	w = spend.Window{Start: w.Start.UTC(), End: w.End.UTC()}
	switch last := w.End.Add(-time.Second); {
	case !w.Aligned(spend.Day):
		return w.Start.Format("2 January 15:04") + " to " + w.End.Format("2 January 2006 15:04") + " UTC"
	case spend.Day.Floor(last).Equal(w.Start):
		return w.Start.Format("2 January 2006")
	case w.Start.Year() == last.Year():
		return w.Start.Format("2 January") + " to " + last.Format("2 January 2006")
	default:
		return w.Start.Format("2 January 2006") + " to " + last.Format("2 January 2006")
	}
}

// exploreHandler serves the page. What a form sends is led to the URL that says the same in one way only.
func (s *server) exploreHandler() http.Handler {
	page := s.page("explore.html", s.explorePage)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.URL.Query(); untidy(values) {
			if e, err := parseExploration(values, s.Teams, s.Now()); err == nil {
				http.Redirect(w, r, e.href(), http.StatusSeeOther)
				return
			}
		}
		page.ServeHTTP(w, r)
	})
}

func (s *server) explorePage(r *http.Request) (any, error) {
	ctx := r.Context()
	e, err := parseExploration(r.URL.Query(), s.Teams, s.Now())
	p := explorePage{
		exploration: e, Measures: measures, Dimensions: exploreDimensions(e.Measure.Kind, s.Teams),
		Steps: []option{{"auto", "Automatic"}, {"hour", "Hour"}, {"day", "Day"}, {"week", "Week"}, {"month", "Month"}, {"total", "No steps"}},
		CSV:   e.api("csv"), JSON: e.api(""), Here: e.href(),
	}
	p.frame = s.frame(r, "Explore", link{p.JSON, "JSON"}, link{p.CSV, "CSV"})
	copy(p.Groups[:], e.By)
	for _, f := range e.Filters {
		p.Narrow = p.Narrow || len(f.Values) > 0
	}
	if err := s.suggest(ctx, p.Filters); err != nil {
		return nil, err
	}
	for _, c := range ranges {
		x := e
		x.Range, x.From, x.To, x.Auto = c.Name, "", "", true
		p.Presets = append(p.Presets, preset{c, x.href(), c.Name == e.Range})
	}
	if err == nil && len(s.Teams) > 0 { // a team that does not exist
		if _, problem := (report.Params{By: e.By, Where: e.filters()}).WithTeams(s.Teams); problem != nil {
			err = wrong{"team", problem.Error()}
		}
	}
	if w, ok := err.(wrong); ok {
		p.Wrong = &w
		return p, nil
	}
	answer, err := s.explore(ctx, p.exploration)
	if err != nil {
		return nil, err
	}
	p.fill(answer)
	return p, nil
}

// fill puts the answer into the page.
func (p *explorePage) fill(x series) {
	e := p.exploration
	p.Answer = x.total
	p.Heading = e.Measure.Title
	if len(e.By) > 0 {
		p.Heading += " by " + strings.ReplaceAll(strings.ToLower(names(e.By, dimensionTitle)), "api key", "API key")
	}
	for _, n := range x.total.Notes() {
		if strings.HasPrefix(n, "Incomplete") || strings.HasPrefix(n, "Nothing") {
			p.Alarms = append(p.Alarms, n)
		} else {
			p.Notes = append(p.Notes, capital(n))
		}
	}
	p.NoData = x.total.AsOf.IsZero()
	if x.before != nil {
		p.Before = x.before.Window
		if x.before.MissingHours > 0 {
			p.Alarms = append(p.Alarms, "The time before is incomplete: "+report.Count(x.before.MissingHours)+" hours of it have not been read.")
		}
	}
	var most int64
	for _, g := range x.groups {
		most = max(most, g.value)
	}
	p.Columns = e.columns(x.total.Total)
	seen := map[spend.Dimension]map[string]int{}
	for _, d := range e.By {
		seen[d] = map[string]int{}
		for _, g := range x.groups {
			name, _, _ := strings.Cut(g.Name(d), " (")
			seen[d][name]++
		}
	}
	// A filter takes names, and two things may have one: the label of the second has its id's end behind it.
	ambiguous := func(d spend.Dimension, name string) bool { return seen[d][name] > 1 && len(e.By) == 1 }
	p.Total = exploreGroup{Row: report.Row{Figures: x.total.Total}, value: e.Measure.of(x.total.Total)}
	if x.before != nil {
		p.Total.was = x.before.Total
	}
	p.finish(&p.Total, p.Total.value, p.Total.value, x.before != nil)
	var rest int64
	for i, g := range x.groups {
		if i >= e.Rows {
			rest += g.value
			continue
		}
		g.Class = seriesClass(i)
		for _, d := range e.By {
			g.Names = append(g.Names, seriesName(g.Name(d), d))
		}
		if len(e.By) > 0 {
			g.Href = e.about(g, ambiguous)
		}
		p.finish(&g, p.Total.value, most, x.before != nil)
		p.Rows = append(p.Rows, g)
	}
	if p.Hidden = len(x.groups) - len(p.Rows); p.Hidden > 0 {
		p.Rest = e.Measure.text(rest)
		if more := min(len(x.groups), mostRows); more > e.Rows {
			wider := e
			wider.Rows = mostRows
			p.More, p.MoreRows = wider.href(), more
		}
	}
	if len(x.bars) == 0 {
		return
	}
	format, ticks := e.Measure.format()
	of := ""
	if len(e.By) > 0 {
		of = names(e.By, asText)
	}
	c := plot{
		Label: fmt.Sprintf("%s by %s, from %s to %s", p.Heading, e.Step, day(x.total.Window.Start), lastDay(x.total.Window.End)),
		Of:    of, Series: x.shown, Bars: x.bars, Format: format, Ticks: ticks,
	}.draw()
	p.Chart = &c
}

// columns are the titles of what stands beside the measure.
func (e exploration) columns(total report.Figures) []string {
	switch e.Measure.Name {
	case "cost":
		if total.List != total.Cost {
			return []string{"at list price"}
		}
	case "list":
		return []string{"charged"}
	case "tokens":
		return []string{"input", "cache read", "cache written", "output"}
	}
	return nil
}

// finish writes a row's figures for people.
func (p *explorePage) finish(g *exploreGroup, total, most int64, compare bool) {
	m := p.Measure
	g.Value = m.text(g.value)
	if m.Name == "cost" && g.Cost == 0 && g.Unpriced > 0 {
		g.Value = "no price"
	}
	if total > 0 {
		g.Share = percentOf(g.value, total)
	}
	if most > 0 {
		g.Part = max(0, 100*float64(g.value)/float64(most))
	}
	switch {
	case len(p.Columns) == 0:
	case m.Name == "cost":
		g.Cells = []string{"$" + report.USD(g.List)}
	case m.Name == "list":
		g.Cells = []string{"$" + report.USD(g.Cost)}
	default:
		for _, name := range []string{"input", "cache_read", "cache_write", "output"} {
			i := slices.IndexFunc(measures, func(m measure) bool { return m.Name == name })
			g.Cells = append(g.Cells, report.Count(measures[i].of(g.Figures)))
		}
	}
	if !compare {
		return
	}
	was := m.of(g.was)
	g.Was = m.text(was)
	switch {
	case was == 0 && g.value == 0:
	case was == 0:
		g.Change = "new"
	case g.value == 0:
		g.Change = "gone"
	default:
		g.Change = changeOf(g.value, was)
	}
}

// percentOf is a part of a whole for people.
func percentOf(n, whole int64) string {
	v := 100 * float64(n) / float64(whole)
	if n > 0 && v < 0.05 {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", v)
}

// changeOf is the change from a value to another in percent.
func changeOf(now, was int64) string {
	v := 100 * float64(now-was) / float64(was)
	switch {
	case was < 0:
		return ""
	case v > 9999:
		return ">9999 %"
	case v < 0:
		return fmt.Sprintf("−%.1f %%", -v)
	default:
		return fmt.Sprintf("+%.1f %%", v)
	}
}

// suggest fills in what is known to filter by.
func (s *server) suggest(ctx context.Context, fields []filterField) error {
	lists := map[spend.Dimension][]string{}
	add := func(d spend.Dimension, names ...string) {
		for _, name := range names {
			if name != "" {
				lists[d] = append(lists[d], name)
			}
		}
	}
	err := s.each(ctx, func(o storage.OrganizationState) error {
		add(spend.ByOrganization, o.Name)
		ws, err := s.Store.Workspaces(ctx, o.ID)
		if err != nil {
			return err
		}
		for _, w := range ws {
			add(spend.ByWorkspace, cmp.Or(w.Label, w.Name))
		}
		ks, err := s.Store.APIKeys(ctx, o.ID)
		for _, k := range ks {
			add(spend.ByAPIKey, cmp.Or(k.Label, k.Name))
		}
		return err
	})
	if err != nil {
		return err
	}
	add(spend.ByAPIKey, noValue(spend.ByAPIKey), report.Unattributed)
	if s.Prices != nil {
		add(spend.ByModel, s.Prices.Models()...)
	}
	add(spend.ByServiceTier, "standard", "batch", "priority", "flex")
	if len(s.Teams) > 0 {
		add(spend.ByTeam, append(s.Teams.Names(), team.Unmapped)...)
	}
	for i, f := range fields { // the page's own, which the question shares
		list := lists[f.Dimension]
		slices.Sort(list)
		fields[i].List = slices.Compact(list)
	}
	return nil
}
