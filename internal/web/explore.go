package web

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/team"
)

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

// untidy reports whether the parameters are those of a form, which sends what was not filled in too, and
// the range that was shown before beside the dates that hold now.
func untidy(values url.Values) bool {
	for name, vs := range values {
		if slices.Contains(vs, "") || name == "by" && len(vs) > 1 || name == "step" && slices.Contains(vs, "auto") {
			return true
		}
	}
	return values.Has("range") && values.Get("range") != customRange && (values.Has("from") || values.Has("to"))
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
