package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

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
	before *report.Answer // nil where nothing is compared
	// The total ends before the time asked for, so that it can be compared.
	cut        bool
	drawn      spend.Window
	uncompared error // why it is not
	groups     []exploreGroup
	shown      []string // names of the series
	bars       []plotBar
}

// explore answers the question. Where there may be very many groups the greatest are found first, and only
// they are asked for by time. What does not wait for another answer is asked at the same time.
func (s *server) explore(ctx context.Context, e exploration) (series, error) {
	var out series
	where, many, several := e.filters(), e.manyGroups(), e.Step != report.StepTotal
	ask := func(ctx context.Context, step report.Step, by []spend.Dimension, w spend.Window, only ...storage.Match) (report.Answer, error) {
		return report.Run(ctx, s.Store, report.Params{
			Kind: e.Measure.Kind, From: w.Start, To: w.End, Step: step, By: by, Where: where, Only: only, Teams: s.Teams,
			Requests: e.Measure.Name == "requests",
		})
	}
	var parts, whole report.Answer
	questions, asking := errgroup.WithContext(ctx)
	questions.Go(func() (err error) {
		if several && !many {
			parts, err = ask(asking, e.Step, e.By, e.window)
			out.total, whole = together(parts), parts
			return err
		}
		out.total, err = ask(asking, report.StepTotal, e.By, e.window)
		return err
	})
	if several && many {
		questions.Go(func() (err error) { whole, err = ask(asking, e.Step, nil, e.window); return err })
	}
	if err := questions.Wait(); err != nil {
		return out, err
	}
	all := out.total
	out.drawn = all.Window
	if e.Compare {
		// What is drawn may be more: the bar of a day so far has its newest hour too.
		total := func(ctx context.Context, w spend.Window) (report.Answer, error) {
			return ask(ctx, report.StepTotal, e.By, w)
		}
		now, was, err := all.Beside(ctx, total, func(known spend.Window) spend.Window { return e.before(all.Window, known) })
		switch {
		case errors.Is(err, report.ErrNoWholeHour), errors.Is(err, report.ErrNoWholeDay):
			out.uncompared = err
		case err != nil:
			return out, err
		default:
			out.total, out.before = now, &was
			out.cut = now.Window.End.Before(all.Window.End)
		}
	}
	out.groups = e.group(out.total, out.before, all)
	if !several || len(all.Rows) == 0 {
		return out, nil
	}
	if many {
		first := out.groups[:min(len(out.groups), maxSeries)]
		var err error
		if parts, err = ask(ctx, e.Step, e.By, e.window, only(e.By, first)...); err != nil {
			return out, err
		}
	}
	out.shown, out.bars = e.draw(out.groups, parts, whole)
	return out, nil
}

// before is the time to compare what is known of the whole with: as long as it, so that a day that has
// not ended is compared with the same hours. Months are compared with months.
func (e exploration) before(whole, known spend.Window) spend.Window {
	if months := e.Range == "month" || e.Range == "last-month" || e.Range == customRange; months && spend.MonthStart(known.Start).Equal(known.Start) {
		return report.Previous(known)
	}
	length := whole.Duration()
	return spend.Window{Start: known.Start.Add(-length), End: known.End.Add(-length)}
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

// group makes the rows of the table, the greatest first. What is drawn and in neither of the times
// compared has a row too.
func (e exploration) group(total report.Answer, before *report.Answer, drawn report.Answer) []exploreGroup {
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
			index[keyOf(r)] = len(groups)
			g := exploreGroup{Row: r, was: r.Figures}
			g.Figures = report.Figures{}
			groups = append(groups, g)
		}
		for _, r := range drawn.Rows {
			if _, ok := index[keyOf(r)]; !ok {
				r.Figures = report.Figures{}
				groups = append(groups, exploreGroup{Row: r})
			}
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
	several := severalOrganizations(groups)
	for i, g := range groups {
		if i == maxSeries {
			shown = append(shown, fmt.Sprintf("other (%d)", len(groups)-maxSeries))
			break
		}
		place[keyOf(g.Row)] = len(shown)
		shown = append(shown, e.groupName(g.Row, several))
	}
	buckets := e.Step.Buckets(whole.Window)
	bs, rest, figures := make([]plotBar, len(buckets)), make([]int64, len(buckets)), make([]bool, len(buckets))
	at := map[time.Time]int{}
	for i, w := range buckets {
		at[w.Start] = i
		bs[i] = plotBar{
			Name: e.bucketName(w), Values: make([]float64, len(shown)), Href: e.into(w),
			Part: w.Contains(e.now),
		}
		if every := (len(buckets) + 6) / 7; i%every == 0 {
			bs[i].Tick, bs[i].Minor = e.tick(w), i/every%2 == 1
		}
	}
	for _, r := range whole.Rows {
		i := at[r.Start] // where only the day is known a row by the hour is a day's, and stands at its first hour
		rest[i] += e.Measure.of(r.Figures)
		figures[i] = true
		bs[i].Basis = bs[i].Basis.And(r.Basis)
	}
	for _, r := range parts.Rows {
		if j, ok := place[keyOf(r)]; ok {
			i := at[r.Start]
			rest[i] -= e.Measure.of(r.Figures) // whole numbers: what is left is exact
			bs[i].Values[j] += e.Measure.value(r.Figures)
		}
	}
	for i, w := range buckets {
		known, nothing := unread(whole, w)
		bs[i].Missing = nothing && !figures[i]
		bs[i].Part = !bs[i].Missing && (bs[i].Part || !known)
	}
	if len(groups) > maxSeries {
		for i := range bs {
			bs[i].Values[maxSeries] = e.Measure.float(rest[i])
		}
	}
	return shown, bs
}

// unread reports whether all of the bucket was read, and whether nothing of it was, of any organization.
func unread(a report.Answer, bucket spend.Window) (known, nothing bool) {
	known, nothing = true, len(a.Missing) > 0
	for _, windows := range a.Missing {
		var missing time.Duration
		for _, w := range windows {
			if w = w.Intersect(bucket); !w.Empty() {
				missing += w.Duration()
			}
		}
		known = known && missing == 0
		nothing = nothing && missing == bucket.Duration()
	}
	return known, nothing
}

// only are filters for the values that the groups have. What else has the same values passes too.
func only(by []spend.Dimension, groups []exploreGroup) []storage.Match {
	var ms []storage.Match
	for _, d := range by {
		m := storage.Match{Dimension: d}
		for _, g := range groups {
			if id := g.Field(d); id != nil && !slices.Contains(m.Values, *id) {
				m.Values = append(m.Values, *id)
			}
		}
		if len(m.Values) > 0 { // neither organization nor team, which the store does not filter by
			ms = append(ms, m)
		}
	}
	return ms
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

// groupName is what a group is called in the drawing. Where there are several organizations their names
// tell apart what is called alike.
func (e exploration) groupName(r report.Row, several bool) string {
	var parts []string
	for _, d := range e.By {
		parts = append(parts, seriesName(r.Name(d), d))
	}
	if several && !slices.Contains(e.By, spend.ByOrganization) {
		parts = append(parts, r.Organization)
	}
	if len(parts) == 0 {
		return strings.ToLower(e.Measure.Title)
	}
	return strings.Join(parts, " · ")
}

// severalOrganizations reports whether the groups are of more than one organization.
func severalOrganizations(groups []exploreGroup) bool {
	return slices.ContainsFunc(groups, func(g exploreGroup) bool { return g.OrganizationID != groups[0].OrganizationID })
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
func (e exploration) about(g exploreGroup, several bool, ambiguous func(spend.Dimension, string) bool) string {
	e.Filters = slices.Clone(e.Filters)
	e.Rows = exploreRows
	for i, f := range e.Filters {
		if !slices.Contains(e.By, f.Dimension) && (!several || f.Dimension != spend.ByOrganization) {
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
