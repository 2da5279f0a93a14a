// Package report asks the store for cost and usage and writes the answer, for the HTTP API, the
// pages and the command line alike, so that all of them say the same.
//
// [Parse] reads a question from query parameters, [Run] answers it, and an [Answer] is written as
// JSON, as a table for a terminal, as CSV or as Markdown. What a figure means is the store's
// business; this package turns names into ids on the way in and ids into names on the way out,
// joins rows that differ only in their basis, and says as of when the figures are.
//
// [Compare] puts the period before beside an answer, [RunEfficiency] says how well money is spent; both are
// written in the same formats. A new dimension of package spend needs no change here.
package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// Unattributed is the name shown for cost that no API key can be told for. It is not use without
// a key, whose name is empty.
const Unattributed = "(unattributed)"

// Answer is the answer to a question: rows ordered by start, organization and the names of the
// dimensions asked for, and their exact sum.
type Answer struct {
	Params
	AsOf   time.Time    // the oldest data time of the reports the figures come from; zero if nothing was read yet
	Until  time.Time    // where the data of what is in it ends, see [Answer.Beside]; zero if nothing was read yet
	Window spend.Window // what was summed: the window asked for, widened to whole buckets
	Rows   []Row
	Total  Figures
	// MissingHours is how many hours of the window, up to the newest data, were never read: what was
	// used in them is in no figure. Hours of several organizations add up.
	MissingHours int64
	Missing      [][]spend.Window // these hours, of each organization
	// Nothing lists the filters that mean nothing in this time.
	Nothing []Nothing
	// SetAside is what the bills of the window's days have in other currencies, in no figure.
	SetAside []storage.CurrencySum
}

// Row is one line of an answer. Dims holds the ids of the dimensions asked for.
type Row struct {
	Start, End     time.Time
	OrganizationID string
	Organization   string // name
	spend.Dims
	Workspace string // name; the id where no name is known
	APIKey    string // name; empty for use without a key, [Unattributed] where it cannot be told
	Team      string // where the question is by team
	Folded    int    // how many groups are in the row, see [Answer.Limit]; 0 for a row of its own
	Figures
}

// Figures are the numbers of a row: cost in an answer about costs, counts in one about usage.
type Figures struct {
	Cost      spend.Money
	List      spend.Money
	Basis     spend.Basis // empty where there is no figure
	Unpriced  int64       // tokens whose price is not known; their cost is not in Cost
	Uncertain bool        // a price in it could not be told for sure
	Counts    spend.Counts
	Requests  int64
}

// Add adds g to f.
func (f *Figures) Add(g Figures) {
	f.Cost += g.Cost
	f.List += g.List
	f.Basis = f.Basis.And(g.Basis)
	f.Unpriced += g.Unpriced
	f.Uncertain = f.Uncertain || g.Uncertain
	f.Counts.Add(g.Counts)
	f.Requests += g.Requests
}

// Run answers a question. A filter that matches nothing gives an empty answer. Errors come from
// the store only.
func Run(ctx context.Context, store storage.Store, p Params) (Answer, error) {
	a := Answer{Params: p, Window: p.window().Align(p.grain())}
	names, err := loadNames(ctx, store, p)
	if err != nil {
		return a, err
	}
	maps, err := names.teamMaps(ctx, store, p)
	if err != nil {
		return a, err
	}
	q := storage.Query{Window: p.window(), By: p.stored(), Most: p.Most}
	if p.Step != StepTotal {
		q.Step = p.grain()
	}
	matched := len(names.organizations) > 0
	if !matched && len(names.all) > 0 {
		for _, f := range p.Where {
			if f.Dimension == spend.ByOrganization {
				a.Nothing = append(a.Nothing, Nothing{f, names.all})
			}
		}
	}
	if matched {
		q.Where, a.Nothing, err = resolve(ctx, store, names, p)
		matched = len(a.Nothing) == 0
		if err != nil {
			return a, err
		}
	}
	q.Where = append(q.Where, p.Only...)
	if matched {
		if a.Rows, a.Window, err = rows(ctx, store, p.Kind, q, maps); err != nil {
			return a, err
		}
	}
	a.Rows = p.ofTeams(a.Rows)
	sources := sourcesOf(a.Rows)
	for i := range a.Rows {
		p.Step.fold(&a.Rows[i], a.Window)
		names.label(&a.Rows[i], p.By)
	}
	slices.SortFunc(a.Rows, func(x, y Row) int { return x.compare(y, p.By) })
	a.Rows = join(a.Rows)
	for _, r := range a.Rows {
		a.Total.Add(r.Figures)
	}
	empty := len(sources) == 0
	if empty { // no rows: what can be said is how far usage was read
		for _, o := range names.organizations {
			sources[o.ID] = &source{usage: true}
		}
	}
	marks, err := marksOf(ctx, store, sources)
	if err != nil {
		return a, err
	}
	a.AsOf, a.Until = oldest(marks, sources), until(marks, p, empty)
	facts := []spend.Fact{spend.FactUsage}
	if p.Kind == Costs {
		facts = append(facts, spend.FactCost)
	}
	for _, o := range names.organizations {
		missing, err := storage.Missing(ctx, store, o.ID, a.Window, facts...)
		if err != nil {
			return a, fmt.Errorf("what is missing of %s: %w", o.Name, err)
		}
		a.Missing = append(a.Missing, missing)
		for _, m := range missing {
			a.MissingHours += int64(m.Duration() / time.Hour)
		}
	}
	if p.Kind == Costs {
		a.SetAside, err = setAside(ctx, store, names.organizations, a.Window)
	}
	return a, err
}

// rows asks the store, by team where there are maps.
func rows(ctx context.Context, store storage.Store, kind Kind, q storage.Query, maps map[string]team.Map) ([]Row, spend.Window, error) {
	if kind == Usage {
		used, window, err := usageRows(ctx, store, q, maps)
		if err != nil {
			return nil, q.Window, fmt.Errorf("usage %s: %w", q.Window, err)
		}
		rs := make([]Row, len(used))
		for i, r := range used {
			rs[i] = Row{
				Start: r.Start, End: r.End, OrganizationID: r.Organization, Dims: r.Dims, Team: orUnmapped(r.Team),
				Figures: Figures{Counts: r.Counts, Requests: r.Requests},
			}
		}
		return rs, window, nil
	}
	costs, window, err := costRows(ctx, store, q, maps)
	if err != nil {
		return nil, q.Window, fmt.Errorf("costs %s: %w", q.Window, err)
	}
	rs := make([]Row, len(costs))
	for i, r := range costs {
		rs[i] = Row{
			Start: r.Start, End: r.End, OrganizationID: r.Organization, Dims: r.Dims, Team: orUnmapped(r.Team),
			Figures: Figures{Cost: r.Cost, List: r.List, Basis: r.Basis, Unpriced: r.Unpriced, Uncertain: r.Uncertain},
		}
	}
	return rs, window, nil
}

// compare orders rows by time and by what they are called; ids decide between equal names.
func (r Row) compare(s Row, by []spend.Dimension) int {
	if c := r.Start.Compare(s.Start); c != 0 {
		return c
	}
	if c := strings.Compare(r.Organization, s.Organization); c != 0 {
		return c
	}
	for _, d := range by {
		if c := strings.Compare(r.Name(d), s.Name(d)); c != 0 {
			return c
		}
	}
	if c := strings.Compare(r.OrganizationID, s.OrganizationID); c != 0 {
		return c
	}
	for _, d := range by {
		if f := r.Field(d); f != nil {
			if c := strings.Compare(*f, *s.Field(d)); c != 0 {
				return c
			}
		}
	}
	return r.End.Compare(s.End)
}

// join makes one row of sorted rows that differ in their figures only: the store keeps bases
// apart, an answer shows them as mixed.
func join(rs []Row) []Row {
	var out []Row
	for _, r := range rs {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if last.Start.Equal(r.Start) && last.End.Equal(r.End) && last.Dims == r.Dims && last.Team == r.Team && last.OrganizationID == r.OrganizationID {
				last.Add(r.Figures)
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// Name is what the row's value of the dimension is called.
func (r Row) Name(d spend.Dimension) string {
	switch {
	case d == spend.ByOrganization:
		return r.Organization
	case r.Folded > 0:
		return r.other()
	}
	switch d {
	case spend.ByTeam:
		return r.Team
	case spend.ByWorkspace:
		return r.Workspace
	case spend.ByAPIKey:
		return r.APIKey
	default:
		return *r.Field(d)
	}
}

// source says which reports an organization's figures come from.
type source struct{ usage, requests, bill bool }

// sourcesOf says what the figures of each organization come from, before rows are joined.
func sourcesOf(rs []Row) map[string]*source {
	sources := map[string]*source{}
	for _, r := range rs {
		s := sources[r.OrganizationID]
		if s == nil {
			s = &source{}
			sources[r.OrganizationID] = s
		}
		s.usage = s.usage || !r.Counts.IsZero() || r.Basis == spend.Estimated
		s.requests = s.requests || r.Requests != 0
		s.bill = s.bill || r.Basis != "" && r.Basis != spend.Estimated
	}
	return sources
}

// asOf is the oldest data time of the reports that the figures come from.
func asOf(ctx context.Context, store storage.Store, sources map[string]*source) (time.Time, error) {
	marks, err := marksOf(ctx, store, sources)
	return oldest(marks, sources), err
}

// marksOf is how far the reports of the organizations were read.
func marksOf(ctx context.Context, store storage.Store, sources map[string]*source) (map[string][]storage.Watermark, error) {
	marks := map[string][]storage.Watermark{}
	for organization := range sources {
		var err error
		if marks[organization], err = store.Watermarks(ctx, organization); err != nil {
			return nil, fmt.Errorf("how far the reports of %s were read: %w", organization, err)
		}
	}
	return marks, nil
}

func oldest(marks map[string][]storage.Watermark, sources map[string]*source) (oldest time.Time) {
	for organization, ms := range marks {
		s := sources[organization]
		consider := func(reports ...spend.Report) {
			if t := dataAt(ms, reports...); !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
				oldest = t
			}
		}
		if s.usage {
			consider(spend.ReportMessages, spend.ReportAnalyticsUsage)
		}
		if s.requests {
			consider(spend.ReportAnalyticsUsage)
		}
		if s.bill {
			consider(spend.ReportAnalyticsCost, spend.ReportCost)
		}
	}
	return oldest
}

// dataAt is the data time of the first of the reports that has data and is not refused, or else
// of the first that has data.
func dataAt(marks []storage.Watermark, reports ...spend.Report) time.Time {
	var refused time.Time
	for _, report := range reports {
		for _, m := range marks {
			switch {
			case m.Report != report || m.DataAt.IsZero():
			case m.RefusedAt.IsZero():
				return m.DataAt
			case refused.IsZero():
				refused = m.DataAt
			}
		}
	}
	return refused
}
