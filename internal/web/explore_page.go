package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

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
	Compared  bool // there is a time before to compare with
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
	return len(p.By) > 0 && !slices.Contains(p.By, spend.ByOrganization) && severalOrganizations(p.Rows)
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

// Span is the time of the figures.
func (p explorePage) Span() string { return spanText(p.Answer.Window) }

// SpanBefore is the time of what they are compared with.
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
	if e.Measure.Name == "requests" && p.Answer.Total.Requests == 0 && p.Answer.Total.Counts.Tokens() > 0 {
		p.Alarms = append(p.Alarms, "No request is counted in this time: only the analytics report counts them, and it was not read.")
	}
	p.NoData = x.total.AsOf.IsZero()
	if x.cut {
		note := "Both times end with the last whole hour that has been read, or day where only days are known, so that they are equally long."
		if e.Step != report.StepTotal {
			note += " The drawing goes on to the newest data."
		}
		p.Notes = append(p.Notes, note)
	}
	if x.uncompared != nil {
		p.Alarms = append(p.Alarms, capital(x.uncompared.Error())+".")
	}
	if x.before != nil {
		p.Compared, p.Before = true, x.before.Window
		if x.before.MissingHours > 0 {
			p.Alarms = append(p.Alarms, "The time before is incomplete: "+report.Count(x.before.MissingHours)+" hours of it have not been read.")
		}
	}
	var most int64
	for _, g := range x.groups {
		most = max(most, g.value)
	}
	p.Columns = e.columns(x.total.Total)
	labels := map[string]map[string]bool{} // by dimension and name
	for _, d := range e.By {
		for _, g := range x.groups {
			name, _, _ := strings.Cut(g.Name(d), " (")
			key := string(d) + "=" + name
			if labels[key] == nil {
				labels[key] = map[string]bool{}
			}
			labels[key][g.Name(d)] = true
		}
	}
	// A filter takes names, and two things may have one: the label of the second has its id's end behind it.
	several := severalOrganizations(x.groups)
	ambiguous := func(d spend.Dimension, name string) bool { return len(labels[string(d)+"="+name]) > 1 }
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
			g.Href = e.about(g, several, ambiguous)
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
	of := names(e.By, asText)
	if of == "" && len(x.shown) > 1 {
		of = string(spend.ByOrganization)
	}
	c := plot{
		Label: fmt.Sprintf("%s by %s, from %s to %s", p.Heading, e.Step, day(x.drawn.Start), lastDay(x.drawn.End)),
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
	default:
		return strings.Replace(report.Percent(v, 1), "-", "−", 1) + " %"
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
