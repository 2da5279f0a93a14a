package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Headroom is how much of its rate limits an organization used, in the fullest minute of a window.
type Headroom struct {
	Window spend.Window // whole minutes
	// Known is false where no usage was read by the minute in the window: nothing can be said then, and
	// there are no rows.
	Known bool
	// Rows are those of the organization (without a workspace) for each group of models and limiter,
	// then, by workspace, of those that used the group in the window or have a limit of their own.
	Rows []HeadroomRow
}

// HeadroomRow is the use of one limit.
type HeadroomRow struct {
	WorkspaceID string // empty: the organization's own limit
	GroupID     string
	Group       string // of models, as the API names it
	Limiter     string
	Limit       int64
	Inherited   bool      // the workspace has no limit of its own, so that the organization's holds
	Peak        int64     // most tokens in a minute
	PeakAt      time.Time // that minute, the first of equals; zero without use
	Ratio       float64   // peak over limit
}

// limiters says what counts against the limits that can be told from the usage by the minute.
//
// Cache-aware input counts what is not read from the cache: uncached tokens and those written to it
// (https://platform.claude.com/docs/en/api/rate-limits, "Cache-aware ITPM"). Limiters of older models
// that are not cache-aware count reads too. Fast mode has limits of its own, and does not count
// against the others (https://platform.claude.com/docs/en/build-with-claude/fast-mode).
//
// Requests are not among them: they are reported by the hour, and an hour's average says nothing of
// its fullest minute.
var limiters = map[string]struct {
	title  string // for people
	counts func(spend.Counts) int64
	fast   bool
}{
	"input_tokens_per_minute_cache_aware": {title: "input, not cached", counts: newInput},
	"input_tokens_per_minute":             {title: "input", counts: allInput},
	"output_tokens_per_minute":            {title: "output", counts: output},
	"tokens_per_minute":                   {title: "input and output", counts: spend.Counts.Tokens},
	"fast_itpmca":                         {title: "fast mode: input, not cached", counts: newInput, fast: true},
	"fast_otpm":                           {title: "fast mode: output", counts: output, fast: true},
}

func output(c spend.Counts) int64 { return c[spend.Output] }

func newInput(c spend.Counts) int64 {
	return c[spend.UncachedInput] + c[spend.CacheCreation5m] + c[spend.CacheCreation1h]
}

func allInput(c spend.Counts) int64 { return newInput(c) + c[spend.CacheRead] }

const speedFast = "fast"

// limited reports whether usage of the tier counts against rate limits: batches have queues of their
// own, and priority is capacity that was committed.
func limited(tier string) bool { return tier != "batch" && !strings.HasPrefix(tier, "priority") }

// HeadroomWindow is the hour of complete minutes before the newest usage; empty where nothing was
// read yet.
func HeadroomWindow(ctx context.Context, store storage.Store, organization string) (spend.Window, error) {
	marks, err := store.Watermarks(ctx, organization)
	if err != nil {
		return spend.Window{}, fmt.Errorf("how far reports were read: %w", err)
	}
	at := dataAt(marks, spend.ReportMessages, spend.ReportAnalyticsUsage)
	if at.IsZero() {
		return spend.Window{}, nil
	}
	end := spend.Minute.Floor(at)
	return spend.Window{Start: end.Add(-time.Hour), End: end}, nil
}

// LoadHeadroom measures the use of the organization's rate limits in the window, which is widened to
// whole minutes. Minutes are kept as long as retention says (retention.minute).
func LoadHeadroom(ctx context.Context, store storage.Store, organization string, w spend.Window) (Headroom, error) {
	h := Headroom{Window: w.Align(spend.Minute)}
	if w.Empty() {
		return h, nil
	}
	limits, err := store.RateLimits(ctx, organization)
	if err != nil {
		return h, fmt.Errorf("rate limits: %w", err)
	}
	result, err := store.Usage(ctx, storage.Query{
		Window: h.Window, Step: spend.Minute,
		By:    []spend.Dimension{spend.ByWorkspace, spend.ByModel, spend.ByServiceTier, spend.BySpeed},
		Where: []storage.Match{{Dimension: spend.ByOrganization, Values: []string{organization}}},
	})
	if err != nil {
		return h, fmt.Errorf("usage by the minute %s: %w", h.Window, err)
	}
	if h.Known = len(result.Rows) > 0; !h.Known {
		slots, err := store.Slots(ctx, organization, spend.FactUsage, h.Window)
		if err != nil {
			return h, fmt.Errorf("how usage is known in %s: %w", h.Window, err)
		}
		h.Known = slices.ContainsFunc(slots, func(s storage.Slot) bool { return s.Grain == spend.Minute })
	}
	if h.Known {
		h.Rows = headroom(limits, result.Rows)
	}
	return h, nil
}

// unlimited stands where the organization has no limit of a kind that a workspace has.
const unlimited = -1

// headroom finds the fullest minutes.
func headroom(limits []spend.RateLimit, usage []storage.UsageRow) []HeadroomRow {
	type id struct{ group, limiter string }
	own := map[string]map[id]int64{} // by workspace
	var rows []HeadroomRow           // of the organization, in the API's order
	groups := map[string][]int{}     // model: its rows
	add := func(workspace string, x id, value int64) {
		if own[workspace] == nil {
			own[workspace] = map[id]int64{}
		}
		own[workspace][x] = value
	}
	for _, l := range limits {
		if _, ok := limiters[l.Limiter]; !ok || l.GroupType != "model_group" {
			continue
		}
		x := id{l.GroupID, l.Limiter}
		r := HeadroomRow{GroupID: l.GroupID, Group: cmp.Or(l.Group, l.GroupID), Limiter: l.Limiter, Limit: l.Value}
		if l.WorkspaceID != "" {
			add(l.WorkspaceID, x, l.Value)
			if slices.ContainsFunc(rows, func(r HeadroomRow) bool { return x == id{r.GroupID, r.Limiter} }) {
				continue
			}
			r.Limit = unlimited
		}
		for _, m := range l.Models {
			groups[m] = append(groups[m], len(rows))
		}
		rows = append(rows, r)
	}

	// Tokens of a minute, by workspace (and of all) and limit.
	type slot struct {
		workspace string
		row       int
		minute    int64
	}
	tokens := map[slot]int64{}
	for _, u := range usage {
		if !limited(u.ServiceTier) {
			continue
		}
		for _, i := range groups[groupModel(u.Model, groups)] {
			l := limiters[rows[i].Limiter]
			if l.fast != (u.Speed == speedFast) {
				continue
			}
			if n := l.counts(u.Counts); n > 0 {
				tokens[slot{"", i, u.Start.Unix()}] += n
				tokens[slot{u.WorkspaceID, i, u.Start.Unix()}] += n
			}
		}
	}
	type peak struct{ tokens, minute int64 }
	type place struct {
		workspace string
		row       int
	}
	peaks := map[place]peak{}
	for s, n := range tokens {
		p, ok := peaks[place{s.workspace, s.row}]
		if !ok || n > p.tokens || n == p.tokens && s.minute < p.minute {
			peaks[place{s.workspace, s.row}] = peak{n, s.minute}
		}
	}
	fill := func(r *HeadroomRow, i int) bool {
		p, used := peaks[place{r.WorkspaceID, i}]
		if used {
			r.Peak, r.PeakAt = p.tokens, time.Unix(p.minute, 0).UTC()
		}
		switch {
		case r.Limit > 0:
			r.Ratio = float64(r.Peak) / float64(r.Limit)
		case r.Peak > 0:
			r.Ratio = 1 // of a limit of nothing all is used
		}
		return used
	}
	out := make([]HeadroomRow, 0, len(rows))
	for i, r := range rows {
		if fill(&r, i); r.Limit != unlimited {
			out = append(out, r)
		}
	}
	workspaces := map[string]bool{}
	for p := range peaks {
		workspaces[p.workspace] = true
	}
	for w := range own {
		workspaces[w] = true
	}
	delete(workspaces, "")
	for _, w := range sortedNames(workspaces) {
		for i, r := range rows {
			r.WorkspaceID = w
			value, has := own[w][id{r.GroupID, r.Limiter}]
			switch r.Inherited = !has; {
			case has && (value < r.Limit || r.Limit == unlimited): // more than the organization has is not in effect
				r.Limit = value
			case !has && r.Limit == unlimited:
				continue
			}
			if fill(&r, i) || has {
				out = append(out, r)
			}
		}
	}
	return out
}

func sortedNames(set map[string]bool) []string {
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// groupModel is the name that the groups know the model by: its own, or that of which it is a dated
// release (name-20260131).
func groupModel(model string, groups map[string][]int) string {
	if _, ok := groups[model]; ok {
		return model
	}
	if i := len(model) - len("-20260131"); i > 0 && model[i] == '-' && strings.Trim(model[i+1:], "0123456789") == "" {
		return model[:i]
	}
	return model
}

// HeadroomParams is a question about rate limits. A zero window is the hour before the newest usage.
type HeadroomParams struct {
	Window spend.Window
	Where  []Filter // by organization and workspace
}

// maxHeadroom bounds the window of one question.
const maxHeadroom = 24 * time.Hour

// ParseHeadroom reads a question from query parameters: from and to as [Parse] has them, at most a day,
// and filters by organization and workspace.
func ParseHeadroom(values url.Values, now time.Time) (HeadroomParams, error) {
	p := HeadroomParams{}
	for _, name := range sortedKeys(values) {
		switch name {
		case "from", "to":
			if len(values[name]) > 1 {
				return p, fmt.Errorf("parameter %s is given %d times", name, len(values[name]))
			}
		case string(spend.ByOrganization), string(spend.ByWorkspace):
			p.Where = append(p.Where, Filter{spend.Dimension(name), values[name]})
		default:
			return p, fmt.Errorf("unknown parameter %q for headroom (from, to, and filters by organization and workspace)", name)
		}
	}
	from, to := values.Get("from"), values.Get("to")
	if from == "" && to == "" {
		return p, nil
	}
	if from == "" {
		return p, fmt.Errorf("to (%s) needs from too; without both it is the last hour", to)
	}
	var err error
	if p.Window.Start, err = ParseTime("from", from); err != nil {
		return p, err
	}
	p.Window.End = now.UTC()
	if to != "" {
		if p.Window.End, err = ParseTime("to", to); err != nil {
			return p, err
		}
	}
	if err := CheckOrder(p.Window.Start, p.Window.End); err != nil {
		return p, err
	}
	if p.Window.Duration() > maxHeadroom {
		return p, fmt.Errorf("from %s to %s is more than a day; rate limits are looked at by the minute, a day at a time",
			p.Window.Start.Format(time.RFC3339), p.Window.End.Format(time.RFC3339))
	}
	return p, nil
}

func sortedKeys(values url.Values) []string {
	names := make([]string, 0, len(values))
	for n := range values {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// HeadroomAnswer is the answer: rows ordered by organization and workspace.
type HeadroomAnswer struct {
	AsOf time.Time // how far usage was read, of several organizations the oldest; zero if nothing was read yet
	Rows []NamedHeadroomRow
	// Unknown are the organizations of which no usage by the minute is known in their window.
	Unknown []string
}

// NamedHeadroomRow is a row with the names of its ids, and the window it is about.
type NamedHeadroomRow struct {
	spend.Window
	OrganizationID, Organization, Workspace string
	HeadroomRow
}

// RunHeadroom answers a question. Errors come from the store only.
func RunHeadroom(ctx context.Context, store storage.Store, p HeadroomParams) (HeadroomAnswer, error) {
	var a HeadroomAnswer
	names, err := loadNames(ctx, store, Params{Where: append(slices.Clone(p.Where), Filter{spend.ByWorkspace, []string{"*"}})})
	if err != nil {
		return a, err
	}
	for _, o := range names.organizations {
		last, err := HeadroomWindow(ctx, store, o.ID)
		if err != nil {
			return a, fmt.Errorf("rate limits of %s: %w", o.Name, err)
		}
		if last.Empty() {
			a.Unknown = append(a.Unknown, o.Name)
			continue
		}
		if a.AsOf.IsZero() || last.End.Before(a.AsOf) {
			a.AsOf = last.End
		}
		w := p.Window
		if w.Empty() {
			w = last
		}
		h, err := LoadHeadroom(ctx, store, o.ID, w)
		if err != nil {
			return a, fmt.Errorf("rate limits of %s: %w", o.Name, err)
		}
		if !h.Known {
			a.Unknown = append(a.Unknown, o.Name)
		}
		for _, r := range h.Rows {
			named := NamedHeadroomRow{Window: h.Window, OrganizationID: o.ID, Organization: o.Name, HeadroomRow: r}
			if r.WorkspaceID != "" {
				x := Row{OrganizationID: o.ID, Dims: spend.Dims{WorkspaceID: r.WorkspaceID}}
				names.label(&x, []spend.Dimension{spend.ByWorkspace})
				named.Workspace = x.Workspace
			}
			if p.keeps(names, named) {
				a.Rows = append(a.Rows, named)
			}
		}
	}
	slices.SortStableFunc(a.Rows, func(x, y NamedHeadroomRow) int {
		return cmp.Or(cmp.Compare(x.Organization, y.Organization), cmp.Compare(x.Workspace, y.Workspace), cmp.Compare(x.WorkspaceID, y.WorkspaceID))
	})
	return a, nil
}

// keeps reports whether the filters by workspace let the row through. An empty one is the
// organization's own limits.
func (p HeadroomParams) keeps(n *names, r NamedHeadroomRow) bool {
	for _, f := range p.Where {
		if f.Dimension != spend.ByWorkspace || f.everything() {
			continue
		}
		called := []string{""}
		if r.WorkspaceID != "" {
			called = n.called(spend.ByWorkspace, thing{r.OrganizationID, r.WorkspaceID})
		}
		if !f.matches(called...) {
			return false
		}
	}
	return true
}

// ratio is the used share as a number of four digits behind the point.
func (r HeadroomRow) ratio() float64 { return math.Round(r.Ratio*1e4) / 1e4 }

func (r NamedHeadroomRow) object() object {
	return object{
		{name: "start", value: stamp(r.Start)},
		{name: "end", value: stamp(r.End)},
		{name: "organization", value: r.Organization},
		{name: "workspace_id", value: r.WorkspaceID},
		{name: "workspace", value: r.Workspace},
		{name: "model_group", value: r.Group},
		{name: "limiter", value: r.Limiter},
		{name: "limit", value: r.Limit},
		{name: "inherited", value: r.Inherited},
		{name: "peak", value: r.Peak},
		{name: "peak_at", value: stamp(r.PeakAt)},
		{name: "used_ratio", value: r.ratio()},
	}
}

// Tokens says for people what the limiter counts.
func (r HeadroomRow) Tokens() string { return limiters[r.Limiter].title }

// Percent is the used share for people.
func (r HeadroomRow) Percent() string {
	p := 100 * r.Ratio
	if p > 0 && p < 0.1 {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", p)
}

func (a HeadroomAnswer) sheet() sheet {
	s := sheet{
		heading: "Rate limits: the fullest minute of the last hour",
		head:    object{{name: "as_of", value: stamp(a.AsOf)}},
		blank:   NamedHeadroomRow{}.object(),
		titles: []title{
			{name: "organization"}, {name: "workspace", label: true}, {name: "model group", label: true}, {name: "tokens a minute", label: true},
			{name: "limit", number: true, whole: true}, {name: "peak", number: true, whole: true},
			{name: "used", number: true, whole: true}, {name: "at", whole: true},
		},
	}
	if len(a.Rows) > 0 {
		s.heading = fmt.Sprintf("Rate limits: the fullest minute from %s to %s UTC",
			a.Rows[0].Start.Format("2006-01-02 15:04"), a.Rows[0].End.Format("2006-01-02 15:04"))
	}
	if a.AsOf.IsZero() {
		s.heading += ", nothing read yet"
	}
	for _, r := range a.Rows {
		s.rows = append(s.rows, r.object())
		workspace, limit, at := "(organization)", Count(r.Limit), "-"
		if r.WorkspaceID != "" {
			workspace = r.Workspace
		}
		if r.Inherited {
			limit = "(" + limit + ")"
		}
		if !r.PeakAt.IsZero() {
			at = r.PeakAt.Format("15:04")
		}
		s.cells = append(s.cells, []string{
			r.Organization, workspace, r.Group, r.Tokens(), limit, Count(r.Peak), r.Percent(), at,
		})
	}
	s.hideOnly("organization")
	s.notes = a.notes()
	return s
}

func (a HeadroomAnswer) notes() []string {
	var ns []string
	if slices.ContainsFunc(a.Rows, func(r NamedHeadroomRow) bool { return r.Inherited }) {
		ns = append(ns, "A limit in brackets is the organization's, which holds where a workspace has none of its own.")
	}
	if len(a.Rows) > 0 {
		ns = append(ns, "Without batch and priority. Limits on requests are left out: requests are known by the hour only.")
	}
	for _, o := range a.Unknown {
		ns = append(ns, "No usage by the minute is known of "+clean(o)+" in this time.")
	}
	return ns
}

// MarshalJSON writes the answer as the HTTP API gives it.
func (a HeadroomAnswer) MarshalJSON() ([]byte, error) { return a.sheet().json() }

// WriteJSON, WriteCSV, WriteTable and WriteMarkdown write the answer as those of [Answer] do.
func (a HeadroomAnswer) WriteJSON(w io.Writer) error { return a.sheet().writeJSON(w) }

// WriteCSV is described at WriteJSON.
func (a HeadroomAnswer) WriteCSV(w io.Writer) error { return a.sheet().writeCSV(w) }

// WriteTable is described at WriteJSON.
func (a HeadroomAnswer) WriteTable(w io.Writer, width int) error {
	return a.sheet().table().write(w, width)
}

// WriteMarkdown is described at WriteJSON.
func (a HeadroomAnswer) WriteMarkdown(w io.Writer) error { return a.sheet().table().writeMarkdown(w) }
