package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// What Claude Code figures may be grouped and filtered by, besides the organization.
const (
	ByActor        spend.Dimension = "actor" // e-mail address, or name of an API key
	ByCustomerType spend.Dimension = "customer_type"
	ByTerminal     spend.Dimension = "terminal"
	byDay          spend.Dimension = "day"
)

var claudeCodeDimensions = []spend.Dimension{spend.ByOrganization, ByActor, spend.ByModel, ByCustomerType, ByTerminal}

// ClaudeCodeParams is a question about Claude Code. The window is whole UTC days.
type ClaudeCodeParams struct {
	Window spend.Window
	Days   bool // a row for each day
	By     []spend.Dimension
	Where  []Filter
}

// ParseClaudeCode reads a question from query parameters: from and to as [Parse] has them, widened to
// whole days (default: the month to date), by (organization, actor, model, customer_type, terminal and
// day), and filters by the same names, day excepted. Who did what is told only where it is asked by
// actor.
func ParseClaudeCode(values url.Values, now time.Time) (ClaudeCodeParams, error) {
	var p ClaudeCodeParams
	rest := url.Values{"step": {string(StepDay)}}
	for _, name := range sortedKeys(values) {
		switch d := spend.Dimension(name); {
		case name == "from", name == "to":
			rest[name] = values[name]
		case name == "by":
		case slices.Contains(claudeCodeDimensions, d):
			p.Where = append(p.Where, Filter{d, values[name]})
		default:
			return p, fmt.Errorf("unknown parameter %q for Claude Code (from, to, by, and filters by %s)", name, list(claudeCodeDimensions))
		}
	}
	for _, v := range values["by"] {
		for name := range strings.SplitSeq(v, ",") {
			switch d := spend.Dimension(strings.TrimSpace(name)); {
			case d == "" || slices.Contains(p.By, d):
			case d == byDay:
				p.Days = true
			case slices.Contains(claudeCodeDimensions, d):
				p.By = append(p.By, d)
			default:
				return p, fmt.Errorf("unknown dimension %q in by for Claude Code (%s, %s)", string(d), list(claudeCodeDimensions), byDay)
			}
		}
	}
	window, err := Parse(Costs, rest, now)
	if err != nil {
		return p, err
	}
	p.Window = window.window().Align(spend.Day)
	return p, nil
}

// ClaudeCodeAnswer is the answer: rows ordered by day, organization and the dimensions asked for.
type ClaudeCodeAnswer struct {
	ClaudeCodeParams
	AsOf  time.Time // up to where the report was read, of several organizations the oldest; zero if it never was
	Rows  []ClaudeCodeRow
	Total ClaudeCodeFigures
}

// ClaudeCodeRow is one line of an answer.
type ClaudeCodeRow struct {
	spend.Window
	Organization                         string
	Actor, Model, CustomerType, Terminal string // where asked for
	ClaudeCodeFigures
}

// ClaudeCodeFigures are the numbers of a row.
type ClaudeCodeFigures struct {
	// Sessions to ToolsRejected are known by actor and day, not by model: where rows are by model, or
	// only some models are asked for, Work is false and they are nothing.
	Work                              bool
	Sessions, LinesAdded              int64
	LinesRemoved, Commits             int64
	PullRequests                      int64
	ToolsAccepted, ToolsRejected      int64
	Input, CacheRead, CacheWrite, Out int64       // tokens
	Cost                              spend.Money // the report's own estimate; never part of any other cost
}

func (f *ClaudeCodeFigures) add(g ClaudeCodeFigures) {
	f.Work = f.Work || g.Work
	f.Sessions += g.Sessions
	f.LinesAdded += g.LinesAdded
	f.LinesRemoved += g.LinesRemoved
	f.Commits += g.Commits
	f.PullRequests += g.PullRequests
	f.ToolsAccepted += g.ToolsAccepted
	f.ToolsRejected += g.ToolsRejected
	f.Input += g.Input
	f.CacheRead += g.CacheRead
	f.CacheWrite += g.CacheWrite
	f.Out += g.Out
	f.Cost += g.Cost
}

// RunClaudeCode answers a question. Errors come from the store only.
func RunClaudeCode(ctx context.Context, store storage.Store, p ClaudeCodeParams) (ClaudeCodeAnswer, error) {
	a := ClaudeCodeAnswer{ClaudeCodeParams: p}
	names, err := loadNames(ctx, store, Params{Where: p.Where})
	if err != nil {
		return a, err
	}
	byModel := slices.Contains(p.By, spend.ByModel) || slices.ContainsFunc(p.Where, func(f Filter) bool {
		return f.Dimension == spend.ByModel && !f.everything()
	})
	type key struct {
		start                                              int64
		organization, actor, model, customerType, terminal string
	}
	rows := map[key]*ClaudeCodeRow{}
	for _, o := range names.organizations {
		marks, err := store.Watermarks(ctx, o.ID)
		if err != nil {
			return a, fmt.Errorf("how far the reports of %s were read: %w", o.Name, err)
		}
		at := dataAt(marks, spend.ReportClaudeCode)
		if at.IsZero() {
			continue
		}
		if a.AsOf.IsZero() || at.Before(a.AsOf) {
			a.AsOf = at
		}
		facts, err := store.ClaudeCode(ctx, o.ID, p.Window)
		if err != nil {
			return a, fmt.Errorf("claude code of %s: %w", o.Name, err)
		}
		add := func(c spend.ClaudeCode, model string, f ClaudeCodeFigures) {
			if !p.keeps(c, model) {
				return
			}
			r := ClaudeCodeRow{Window: p.Window, Organization: o.Name}
			if p.Days {
				r.Window = spend.Day.Bucket(c.Day)
			}
			for _, d := range p.By {
				if v := r.field(d); v != nil {
					*v = valueOf(c, model, d)
				}
			}
			k := key{r.Start.Unix(), o.ID, r.Actor, r.Model, r.CustomerType, r.Terminal}
			if rows[k] == nil {
				rows[k] = &r
			}
			rows[k].add(f)
			a.Total.add(f)
		}
		for _, c := range facts {
			if !byModel {
				add(c, "", figuresOf(c))
				continue
			}
			for _, m := range c.Models {
				add(c, m.Model, ClaudeCodeFigures{Input: m.Input, CacheRead: m.CacheRead, CacheWrite: m.CacheCreation, Out: m.Output, Cost: m.Cost})
			}
		}
	}
	for _, r := range rows {
		a.Rows = append(a.Rows, *r)
	}
	slices.SortFunc(a.Rows, func(x, y ClaudeCodeRow) int {
		c := cmp.Or(x.Start.Compare(y.Start), cmp.Compare(x.Organization, y.Organization))
		for _, d := range p.By {
			if v := x.field(d); v != nil {
				c = cmp.Or(c, cmp.Compare(*v, *y.field(d)))
			}
		}
		return c
	})
	return a, nil
}

// figuresOf are all figures of an actor's day.
func figuresOf(c spend.ClaudeCode) ClaudeCodeFigures {
	f := ClaudeCodeFigures{
		Work: true, Sessions: c.Sessions, LinesAdded: c.LinesAdded, LinesRemoved: c.LinesRemoved, Commits: c.Commits,
		PullRequests: c.PullRequests, ToolsAccepted: c.ToolsAccepted, ToolsRejected: c.ToolsRejected,
	}
	for _, m := range c.Models {
		f.Input += m.Input
		f.CacheRead += m.CacheRead
		f.CacheWrite += m.CacheCreation
		f.Out += m.Output
		f.Cost += m.Cost
	}
	return f
}

// keeps reports whether the filters let through what was done.
func (p ClaudeCodeParams) keeps(c spend.ClaudeCode, model string) bool {
	for _, f := range p.Where {
		if f.Dimension != spend.ByOrganization && !f.matches(valueOf(c, model, f.Dimension)) && !f.everything() {
			return false
		}
	}
	return true
}

func valueOf(c spend.ClaudeCode, model string, d spend.Dimension) string {
	switch d {
	case ByActor:
		return c.Actor
	case ByCustomerType:
		return c.CustomerType
	case ByTerminal:
		return c.TerminalType
	default:
		return model
	}
}

// field is the row's field that holds the dimension, nil for the organization, which every row has.
func (r *ClaudeCodeRow) field(d spend.Dimension) *string {
	switch d {
	case ByActor:
		return &r.Actor
	case ByCustomerType:
		return &r.CustomerType
	case ByTerminal:
		return &r.Terminal
	case spend.ByModel:
		return &r.Model
	default:
		return nil
	}
}

// object is the figures by name; what is not known by model is null.
func (f ClaudeCodeFigures) object() object {
	work := func(n int64) any {
		if !f.Work {
			return nil
		}
		return n
	}
	return object{
		{name: "sessions", value: work(f.Sessions)},
		{name: "lines_added", value: work(f.LinesAdded)},
		{name: "lines_removed", value: work(f.LinesRemoved)},
		{name: "commits", value: work(f.Commits)},
		{name: "pull_requests", value: work(f.PullRequests)},
		{name: "tools_accepted", value: work(f.ToolsAccepted)},
		{name: "tools_rejected", value: work(f.ToolsRejected)},
		{name: "uncached_input_tokens", value: f.Input},
		{name: "cache_read_input_tokens", value: f.CacheRead},
		{name: "cache_creation_input_tokens", value: f.CacheWrite},
		{name: "output_tokens", value: f.Out},
		{name: "claude_code_cost_usd", value: f.Cost},
	}
}

func (a ClaudeCodeAnswer) object(r ClaudeCodeRow) object {
	o := object{
		{name: "start", value: stamp(r.Start)},
		{name: "end", value: stamp(r.End)},
		{name: "organization", value: r.Organization},
	}
	for _, d := range a.By {
		if v := r.field(d); v != nil {
			o = append(o, field{name: string(d), value: *v})
		}
	}
	return append(o, r.ClaudeCodeFigures.object()...)
}

func (f ClaudeCodeFigures) cells() []string {
	work := func(n int64) string {
		if !f.Work {
			return "-"
		}
		return Count(n)
	}
	return []string{
		work(f.Sessions), work(f.LinesAdded), work(f.LinesRemoved), work(f.Commits), work(f.PullRequests),
		Count(f.Input + f.CacheRead + f.CacheWrite + f.Out), USD(f.Cost),
	}
}

func (a ClaudeCodeAnswer) sheet() sheet {
	s := sheet{
		head:  object{{name: "as_of", value: stamp(a.AsOf)}, {name: "from", value: stamp(a.Window.Start)}, {name: "to", value: stamp(a.Window.End)}},
		tail:  object{{name: "total", value: a.Total.object()}},
		blank: a.object(ClaudeCodeRow{}),
		heading: fmt.Sprintf("Claude Code from %s to %s UTC",
			a.Window.Start.Format(time.DateOnly), a.Window.End.Format(time.DateOnly)),
	}
	if a.AsOf.IsZero() {
		s.heading += ", nothing read yet"
	} else {
		s.heading += ", as of " + a.AsOf.UTC().Format("2006-01-02 15:04")
	}
	if a.Days {
		s.titles = append(s.titles, title{name: "day", whole: true, label: true})
	}
	s.titles = append(s.titles, title{name: "organization"})
	for _, d := range a.By {
		if d != spend.ByOrganization {
			s.titles = append(s.titles, title{name: strings.ReplaceAll(string(d), "_", " "), label: true})
		}
	}
	names := len(s.titles)
	for _, name := range []string{"sessions", "lines +", "lines -", "commits", "pull requests", "tokens", "cost $"} {
		s.titles = append(s.titles, title{name: name, number: true, whole: true})
	}
	for _, r := range a.Rows {
		s.rows = append(s.rows, a.object(r))
		var line []string
		if a.Days {
			line = append(line, r.Start.Format(time.DateOnly))
		}
		line = append(line, r.Organization)
		for _, d := range a.By {
			if v := r.field(d); v != nil {
				line = append(line, orDash(*v))
			}
		}
		s.cells = append(s.cells, append(line, r.cells()...))
	}
	s.total = append(append(make([]string, 0, len(s.titles)), "total"), make([]string, names-1)...)
	s.total = append(s.total, a.Total.cells()...)
	s.hideOnly("organization")
	s.notes = []string{"cost: the Claude Code report's own estimate. It is not part of any other cost: what of it is billed by the token is in monitor report already."}
	if len(a.Rows) > 0 && !a.Total.Work {
		s.notes = append(s.notes, "Sessions, lines, commits and pull requests are known by actor and day, not by model.")
	}
	return s
}

// MarshalJSON writes the answer as the HTTP API gives it.
func (a ClaudeCodeAnswer) MarshalJSON() ([]byte, error) { return a.sheet().json() }

// WriteJSON, WriteCSV, WriteTable and WriteMarkdown write the answer as those of [Answer] do.
func (a ClaudeCodeAnswer) WriteJSON(w io.Writer) error { return a.sheet().writeJSON(w) }

// WriteCSV is described at WriteJSON.
func (a ClaudeCodeAnswer) WriteCSV(w io.Writer) error { return a.sheet().writeCSV(w) }

// WriteTable is described at WriteJSON.
func (a ClaudeCodeAnswer) WriteTable(w io.Writer, width int) error {
	return a.sheet().table().write(w, width)
}

// WriteMarkdown is described at WriteJSON.
func (a ClaudeCodeAnswer) WriteMarkdown(w io.Writer) error { return a.sheet().table().writeMarkdown(w) }
