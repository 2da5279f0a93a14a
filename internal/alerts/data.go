package alerts

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// cache holds what the rules of an organization read: sums by the day, and by the hour where a
// window or a baseline needs it, in the groupings that the rules ask for. It is derived: days that
// the store says have changed are read again, so that an evaluation costs what is new. All rules
// share it. It is not safe for concurrent use.
type cache struct {
	store        storage.Store
	organization string
	seq          int64
	shapes       map[shapeKey]*shape
	inventory    inventory
}

// inventory is what things are called.
type inventory struct {
	version    int // grows when a name changes
	workspaces map[string]names
	keys       map[string]keyNames
}

type names struct {
	name, label string
	archived    bool // or not listed any more
}

type keyNames struct {
	names
	workspace string
}

func newCache(store storage.Store, organization string) *cache {
	return &cache{store: store, organization: organization, shapes: map[shapeKey]*shape{}}
}

// shapeKey is a grouping of cost or of usage.
type shapeKey struct {
	costs bool
	by    string // dimensions, joined
}

// shape is sums by one combination of dimensions. What a group is called is an index into dims.
type shape struct {
	by     []spend.Dimension
	costs  bool
	ids    map[spend.Dims]int32
	dims   []spend.Dims
	days   map[int64]*dayCells
	cuts   map[spend.Window]*cutCells
	wanted int64 // oldest day that was asked for in this evaluation
}

// cutCells is a part of a UTC day.
type cutCells struct {
	total  []cell
	window spend.Window // what was summed: more than the part where only the day is known
	wanted bool         // in this evaluation
}

// dayCells is a UTC day.
type dayCells struct {
	total []cell
	hours *[24][]cell // nil: not asked for by the hour
	whole []cell      // beside hours: what is known by the day only
}

// byHour reports whether anything of the day is known by the hour.
func (d *dayCells) byHour() bool {
	return slices.ContainsFunc(d.hours[:], func(cs []cell) bool { return len(cs) > 0 })
}

type cell struct {
	id int32
	figures
}

func (s *shape) id(d spend.Dims) int32 {
	id, ok := s.ids[d]
	if !ok {
		id = int32(len(s.dims)) //nolint:gosec // series are far fewer
		s.ids[d] = id
		s.dims = append(s.dims, d)
	}
	return id
}

// refresh forgets what has changed since the last evaluation and reads what things are called.
func (c *cache) refresh(ctx context.Context) error {
	// The number first: what changes while days are read has a higher one and is read next time.
	changed, seq, err := c.store.Changed(ctx, c.organization, c.seq)
	if err != nil {
		return fmt.Errorf("changed days: %w", err)
	}
	for key, s := range c.shapes {
		for _, d := range changed {
			delete(s.days, d.Unix())
		}
		maps.DeleteFunc(s.cuts, func(w spend.Window, x *cutCells) bool {
			stale := !x.wanted || slices.ContainsFunc(changed, spend.Day.Bucket(w.Start).Contains)
			x.wanted = false
			return stale
		})
		for d := range s.days { // what no rule looks at any more
			if d < s.wanted {
				delete(s.days, d)
			}
		}
		if s.wanted == 0 {
			delete(c.shapes, key)
		}
		s.wanted = 0
	}
	c.seq = seq
	return c.readInventory(ctx)
}

func (c *cache) readInventory(ctx context.Context) error {
	ws, err := c.store.Workspaces(ctx, c.organization)
	if err != nil {
		return fmt.Errorf("workspaces: %w", err)
	}
	ks, err := c.store.APIKeys(ctx, c.organization)
	if err != nil {
		return fmt.Errorf("api keys: %w", err)
	}
	next := inventory{version: c.inventory.version, workspaces: map[string]names{}, keys: map[string]keyNames{}}
	for _, w := range ws {
		next.workspaces[w.ID] = names{w.Name, cmp.Or(w.Label, w.Name, w.ID), !w.ArchivedAt.IsZero()}
	}
	for _, k := range ks {
		archived := k.Status == "archived" || !k.GoneAt.IsZero()
		next.keys[k.ID] = keyNames{names{k.Name, cmp.Or(k.Label, k.Name, k.ID), archived}, k.WorkspaceID}
	}
	if !maps.Equal(next.workspaces, c.inventory.workspaces) || !maps.Equal(next.keys, c.inventory.keys) {
		next.version++
	}
	c.inventory = next
	return nil
}

// label is what a value of a dimension is called in messages; called lists what a filter may call it.
func (i *inventory) label(d spend.Dimension, id string) string {
	switch {
	case d == spend.ByWorkspace:
		return cmp.Or(i.workspaces[id].label, id)
	case d != spend.ByAPIKey:
		return id
	case id == spend.NoKey:
		return ""
	case id == "":
		return unattributed
	default:
		return cmp.Or(i.keys[id].label, id)
	}
}

func (i *inventory) called(d spend.Dimension, id string) []string {
	known := func(n names) []string {
		return slices.DeleteFunc([]string{n.name, n.label, id}, func(s string) bool { return s == "" })
	}
	switch {
	case d == spend.ByWorkspace:
		return known(i.workspaces[id])
	case d != spend.ByAPIKey:
		return []string{id}
	case id == spend.NoKey:
		return []string{""}
	case id == "":
		return []string{unattributed}
	default:
		return known(i.keys[id].names)
	}
}

// unattributed is what cost is called that no API key can be told for.
const unattributed = "(unattributed)"

// view is what rules look at in one evaluation: the organization up to a moment.
type view struct {
	*cache
	options *Options
	org     storage.OrganizationState
	now     time.Time
	dataAt  time.Time // up to where usage is complete
	readAt  time.Time // when it was last read
	replay  bool      // past hours are replayed: what is known by the minute now is not looked at
	runs    []storage.Run
	marks   []storage.Watermark
	crossed []storage.BudgetMark // all marks of the organization
	facts   []spend.Fact         // what must have been read of an hour for it to be known
	whole   spend.Window         // of a replay: all that rules may look at
	totals  map[totalKey]total
	minutes map[int64]bool // hours whose minutes are known, or not
	missing map[holesKey][]spend.Window
}

type totalKey struct {
	shape  *shape
	window spend.Window
}

// total is sums over a window by group of a shape.
type total struct {
	window spend.Window // what was summed: the window asked for, widened where it had to be
	cells  []figures    // by id
	some   []bool       // whether the group has any figures in it
}

// shapeOf is the shape of the dimensions.
func (v *view) shapeOf(costs bool, by []spend.Dimension) *shape {
	var dims []spend.Dimension
	for _, d := range spend.Dimensions {
		if slices.Contains(by, d) {
			dims = append(dims, d)
		}
	}
	key := shapeKey{costs, join(dims)}
	s := v.shapes[key]
	if s == nil {
		s = &shape{by: dims, costs: costs, ids: map[spend.Dims]int32{}, days: map[int64]*dayCells{}, cuts: map[spend.Window]*cutCells{}}
		v.shapes[key] = s
	}
	return s
}

// need makes sure that the days of the window are there, by the hour where hours is true.
func (v *view) need(ctx context.Context, s *shape, w spend.Window, hours bool) error {
	if w.Empty() {
		return nil
	}
	w = w.Align(spend.Day)
	if s.wanted == 0 || w.Start.Unix() < s.wanted {
		s.wanted = w.Start.Unix()
	}
	var missing []spend.Window
	for _, d := range w.Buckets(spend.Day) {
		if day := s.days[d.Start.Unix()]; day == nil || hours && day.hours == nil {
			missing = append(missing, d)
		}
	}
	for _, stretch := range spend.Join(missing) {
		length := atOnce
		if hours {
			length = spend.Day.Duration()
		}
		for at := stretch.Start; at.Before(stretch.End); at = at.Add(length) {
			piece := spend.Window{Start: at, End: at.Add(length)}.Intersect(stretch)
			if err := v.read(ctx, s, piece, hours); err != nil {
				return err
			}
		}
	}
	return nil
}

// atOnce is how much is read in one question: an answer by key is large while it is put together.
const atOnce = 15 * 24 * time.Hour

// read reads whole days into the shape.
func (v *view) read(ctx context.Context, s *shape, w spend.Window, hours bool) error {
	step := spend.Day
	if hours {
		step = spend.Hour
	}
	days := map[int64]*dayCells{}
	for _, d := range w.Buckets(spend.Day) {
		days[d.Start.Unix()] = &dayCells{}
		if hours {
			days[d.Start.Unix()].hours = &[24][]cell{}
		}
	}
	_, err := v.ask(ctx, s.costs, storage.Query{Window: w, Step: step, By: s.by}, func(start, end time.Time, dims spend.Dims, f figures) error {
		day := days[spend.Day.Floor(start).Unix()]
		if day == nil {
			return fmt.Errorf("a row begins at %s, outside of %s", start, w)
		}
		c := cell{s.id(dims), f}
		if !hours {
			day.total = append(day.total, c)
			return nil
		}
		if end.Sub(start) > time.Hour {
			day.whole = append(day.whole, c)
		} else {
			day.hours[start.Hour()] = append(day.hours[start.Hour()], c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for at, day := range days {
		if hours {
			at := map[int32]int{}
			for _, cells := range append(day.hours[:], day.whole) {
				for _, c := range cells {
					i, ok := at[c.id]
					if !ok {
						i = len(day.total)
						at[c.id] = i
						day.total = append(day.total, cell{id: c.id})
					}
					day.total[i].add(c.figures)
				}
			}
		}
		s.days[at] = day
	}
	return nil
}

// byHourFor is how long days are cut by the hour, as windows of all lengths end in them. Of older ones
// only the part is read that a window has: by the hour a day is 24 times what it is as a sum.
const byHourFor = 48 * time.Hour

// part is a part of a UTC day that ended long ago; false where the day's hours are to be used.
func (v *view) part(ctx context.Context, s *shape, w spend.Window) (*cutCells, bool, error) {
	day := spend.Day.Bucket(w.Start)
	if known := s.days[day.Start.Unix()]; v.replay || known != nil && known.hours != nil || day.End.After(v.dataAt.Add(-byHourFor)) {
		return nil, false, nil
	}
	if at := day.Start.Unix(); s.wanted == 0 || at < s.wanted {
		s.wanted = at
	}
	x := s.cuts[w]
	if x == nil {
		x = &cutCells{}
		var err error
		x.window, err = v.ask(ctx, s.costs, storage.Query{Window: w, By: s.by}, func(_, _ time.Time, d spend.Dims, f figures) error {
			x.total = append(x.total, cell{s.id(d), f})
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		s.cuts[w] = x
	}
	x.wanted = true
	return x, true, nil
}

// ask asks the store about the organization, row by row, and returns the window that was summed.
func (v *view) ask(
	ctx context.Context, costs bool, q storage.Query, row func(start, end time.Time, d spend.Dims, f figures) error,
) (spend.Window, error) {
	q.Where = append([]storage.Match{{Dimension: spend.ByOrganization, Values: []string{v.organization}}}, q.Where...)
	if costs {
		r, err := v.store.Costs(ctx, q)
		if err != nil {
			return r.Window, fmt.Errorf("costs %s: %w", q.Window, err)
		}
		for _, x := range r.Rows {
			if err := row(x.Start, x.End, x.Dims, figures{cost: x.Cost, basis: x.Basis, unpriced: x.Unpriced}); err != nil {
				return r.Window, fmt.Errorf("costs %s: %w", q.Window, err)
			}
		}
		return r.Window, nil
	}
	r, err := v.store.Usage(ctx, q)
	if err != nil {
		return r.Window, fmt.Errorf("usage %s: %w", q.Window, err)
	}
	for _, x := range r.Rows {
		f := figures{
			tokens: x.Counts.Tokens(), requests: x.Requests, read: x.Counts[spend.CacheRead],
			input: x.Counts.Tokens() - x.Counts[spend.Output],
		}
		if err := row(x.Start, x.End, x.Dims, f); err != nil {
			return r.Window, fmt.Errorf("usage %s: %w", q.Window, err)
		}
	}
	return r.Window, nil
}

// sum sums a shape over a window: whole days and hours from the cache, and where the window cuts
// hours, minutes if they are known; else the hour counts as a whole.
func (v *view) sum(ctx context.Context, s *shape, w spend.Window, minutes bool) (total, error) {
	key := totalKey{s, w}
	if t, ok := v.totals[key]; ok {
		return t, nil
	}
	t := total{window: w}
	put := func(c cell) {
		for int(c.id) >= len(t.cells) {
			t.cells, t.some = append(t.cells, figures{}), append(t.some, false)
		}
		t.cells[c.id].add(c.figures)
		t.some[c.id] = true
	}
	hours, cuts, err := v.cut(ctx, w, minutes && !v.replay)
	if err != nil {
		return t, err
	}
	for _, m := range cuts {
		_, err := v.ask(ctx, s.costs, storage.Query{Window: m, Step: spend.Minute, By: s.by}, func(_, _ time.Time, d spend.Dims, f figures) error {
			put(cell{s.id(d), f})
			return nil
		})
		if err != nil {
			return t, err
		}
	}
	t.window = hours
	for _, m := range cuts {
		t.window = spend.Window{Start: earliest(t.window.Start, m.Start), End: latest(t.window.End, m.End)}
	}
	if !hours.Empty() {
		inner := spend.Window{Start: spend.Day.Ceil(hours.Start), End: spend.Day.Floor(hours.End)}
		edges := []spend.Window{hours}
		if inner.Start.Before(inner.End) {
			edges = []spend.Window{{Start: hours.Start, End: inner.Start}, {Start: inner.End, End: hours.End}}
			if err := v.need(ctx, s, inner, false); err != nil {
				return t, err
			}
			for _, d := range inner.Buckets(spend.Day) {
				for _, c := range s.days[d.Start.Unix()].total {
					put(c)
				}
			}
		}
		for _, e := range edges {
			for _, d := range e.Buckets(spend.Day) {
				part := d.Intersect(e)
				sums, ok, err := v.part(ctx, s, part)
				if err != nil {
					return t, err
				}
				if ok {
					for _, c := range sums.total {
						put(c)
					}
					t.window = spend.Window{Start: earliest(t.window.Start, sums.window.Start), End: latest(t.window.End, sums.window.End)}
					continue
				}
				if err := v.need(ctx, s, part, true); err != nil {
					return t, err
				}
				day := s.days[d.Start.Unix()]
				for _, h := range part.Buckets(spend.Hour) {
					for _, c := range day.hours[h.Start.Hour()] {
						put(c)
					}
				}
				switch {
				case len(day.whole) == 0:
				case !day.byHour(): // the window cuts what cannot be cut
					t.window = spend.Window{Start: earliest(t.window.Start, d.Start), End: latest(t.window.End, d.End)}
					fallthrough
				case part.Start.Equal(d.Start): // what a bill by the day has beside hours stands at the day's start
					for _, c := range day.whole {
						put(c)
					}
				}
			}
		}
	}
	for len(t.cells) < len(s.dims) {
		t.cells, t.some = append(t.cells, figures{}), append(t.some, false)
	}
	v.totals[key] = t
	return t, nil
}

// cut splits a window into whole hours and the stretches of minutes before and after them. Hours of
// which no minutes are known are taken whole.
func (v *view) cut(ctx context.Context, w spend.Window, minutes bool) (hours spend.Window, cuts []spend.Window, err error) {
	if !minutes || w.Aligned(spend.Hour) {
		return w.Align(spend.Hour), nil, nil
	}
	hours = spend.Window{Start: spend.Hour.Ceil(w.Start), End: spend.Hour.Floor(w.End)}
	if hours.End.Before(hours.Start) { // both ends in one hour
		h := spend.Hour.Bucket(w.Start)
		known, err := v.minutesKnown(ctx, h.Start)
		if err != nil || known {
			return spend.Window{}, []spend.Window{w}, err
		}
		return h, nil, nil
	}
	for _, edge := range []spend.Window{{Start: w.Start, End: hours.Start}, {Start: hours.End, End: w.End}} {
		if edge.Empty() {
			continue
		}
		h := spend.Hour.Bucket(edge.Start)
		known, err := v.minutesKnown(ctx, h.Start)
		if err != nil {
			return hours, nil, err
		}
		if known {
			cuts = append(cuts, edge)
		} else {
			hours = spend.Window{Start: earliest(hours.Start, h.Start), End: latest(hours.End, h.End)}
		}
	}
	return hours, cuts, nil
}

// minutesKnown reports whether an hour's usage is known by the minute: while minutes rule it, and
// after that if they hold nearly all that the hour has.
func (v *view) minutesKnown(ctx context.Context, hour time.Time) (bool, error) {
	if known, ok := v.minutes[hour.Unix()]; ok {
		return known, nil
	}
	w := spend.Hour.Bucket(hour)
	slots, err := v.store.Slots(ctx, v.organization, spend.FactUsage, w)
	if err != nil {
		return false, fmt.Errorf("ledger of %s: %w", w, err)
	}
	known := len(slots) == 1 && slots[0].Grain == spend.Minute
	if !known && len(slots) == 1 && slots[0].Grain == spend.Hour {
		var fine, all int64
		for step, n := range map[spend.Grain]*int64{spend.Minute: &fine, spend.Hour: &all} {
			_, err := v.ask(ctx, false, storage.Query{Window: w, Step: step}, func(_, _ time.Time, _ spend.Dims, f figures) error {
				*n += f.tokens
				return nil
			})
			if err != nil {
				return false, err
			}
		}
		known = fine > 0 && fine >= all-all/20
	}
	v.minutes[hour.Unix()] = known
	return known, nil
}

// Facts that a metric is made of: an hour is known if any of them was read.
var (
	costFacts    = []spend.Fact{spend.FactUsage, spend.FactCost} // estimated from usage until it is billed
	usageFacts   = []spend.Fact{spend.FactUsage}
	requestFacts = []spend.Fact{spend.FactRequests}
)

// holesKey is a question for what was never read.
type holesKey struct {
	fact   spend.Fact // the last of the facts tells them apart
	window spend.Window
}

// holes are the hours of the window, up to what was read, that were never read.
func (v *view) holes(ctx context.Context, w spend.Window) ([]spend.Window, error) {
	ask := w
	if v.replay { // once for all times
		ask = v.whole
	}
	key := holesKey{v.facts[len(v.facts)-1], ask}
	all, ok := v.missing[key]
	if !ok {
		var err error
		if all, err = storage.Missing(ctx, v.store, v.organization, ask, v.facts...); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		v.missing[key] = all
	}
	return slices.DeleteFunc(slices.Clone(all), func(x spend.Window) bool { return !x.Overlaps(w) }), nil
}

// incomplete reports whether hours of the window, up to what was read, were never read.
func (v *view) incomplete(ctx context.Context, w spend.Window) (bool, error) {
	if w.End.After(v.dataAt) {
		w.End = v.dataAt
	}
	if w = w.Align(spend.Hour); w.Empty() {
		return false, nil
	}
	holes, err := v.holes(ctx, w)
	return len(holes) > 0, err
}

// knownFrom is from which day on everything is known up to the end of the window.
func (v *view) knownFrom(ctx context.Context, w spend.Window) (time.Time, error) {
	at := w.Start
	holes, err := v.holes(ctx, w.Align(spend.Hour))
	for _, x := range holes {
		at = spend.Day.Ceil(latest(at, x.End))
	}
	return at, err
}

// of is the view for rules on the metric: up to where its report is complete.
func (v *view) of(m Metric) *view {
	x := *v
	switch {
	case m.costs():
		x.facts = costFacts
	case m == Requests:
		x.facts = requestFacts
		if v.replay {
			break
		}
		x.dataAt, x.readAt = time.Time{}, time.Time{}
		for _, w := range v.marks {
			if w.Report == spend.ReportAnalyticsUsage && w.RefusedAt.IsZero() {
				x.dataAt, x.readAt = w.DataAt, w.ReadAt
			}
		}
	default:
		x.facts = usageFacts
	}
	return &x
}

// grouper sorts the groups of a shape into those of a rule: by what its filters let through, and by
// the values that it has an alert for.
type grouper struct {
	inventory int
	of        []int32 // by id of the shape; -1: filtered out
	index     map[string]int32
	groups    []group
}

// group is one of the groups that a rule has an alert for.
type group struct {
	subject string
	labels  map[string]string
}

// dimensions are those that the rule must know to filter and group; team needs workspace and key.
func (r *rule) dimensions() []spend.Dimension {
	var out []spend.Dimension
	all := slices.Clone([]spend.Dimension(r.By))
	for _, f := range r.Where.filters() {
		all = append(all, f.dimension)
	}
	for _, d := range all {
		switch d {
		case spend.ByOrganization:
		case ByTeam:
			out = append(out, spend.ByWorkspace, spend.ByAPIKey)
		default:
			out = append(out, d)
		}
	}
	return out
}

// grouped brings the rule's groups of the shape up to date.
func (v *view) grouped(r *rule, s *shape) *grouper {
	if len(r.groups) > 8 { // of shapes that are no more
		clear(r.groups)
	}
	g := r.groups[s]
	if g == nil || g.inventory != v.inventory.version {
		g = &grouper{inventory: v.inventory.version, index: map[string]int32{}}
		r.groups[s] = g
	}
	for id := len(g.of); id < len(s.dims); id++ {
		g.of = append(g.of, v.groupOf(r, g, &s.dims[id]))
	}
	return g
}

func (v *view) groupOf(r *rule, g *grouper, d *spend.Dims) int32 {
	team := ""
	if v.options.Team != nil && (len(r.Where.Team) > 0 || slices.Contains(r.By, ByTeam)) {
		team = v.options.Team(v.organization, d.WorkspaceID, d.APIKeyID)
	}
	for _, f := range r.Where.filters() {
		called := []string{team}
		if f.dimension != ByTeam {
			called = v.inventory.called(f.dimension, *d.Field(f.dimension))
		}
		if !matches(f.patterns, called...) {
			return -1
		}
	}
	subject, labels := v.subject(r, d, team)
	i, ok := g.index[subject]
	if !ok {
		i = int32(len(g.groups)) //nolint:gosec // groups are far fewer
		g.index[subject] = i
		g.groups = append(g.groups, group{subject, labels})
	}
	return i
}

// subject names what an alert of the rule is about, by ids, and labels it by names.
func (v *view) subject(r *rule, d *spend.Dims, team string) (string, map[string]string) {
	var parts []string
	labels := map[string]string{}
	for _, by := range r.By {
		switch by {
		case spend.ByOrganization:
		case ByTeam:
			parts = append(parts, "team="+team)
			labels["team"] = team
		default:
			id := *d.Field(by)
			parts = append(parts, string(by)+"="+id)
			labels[string(by)] = v.inventory.label(by, id)
		}
	}
	return strings.Join(parts, ","), labels
}

// valuesOf are the values that the rule groups by in a subject of its alerts; false where the rule, as it
// is now, has none of that kind or filters it out.
func (v *view) valuesOf(r *rule, subject string) (map[spend.Dimension]string, bool) {
	by := slices.DeleteFunc(slices.Clone([]spend.Dimension(r.By)), func(d spend.Dimension) bool { return d == spend.ByOrganization })
	var parts []string
	if subject != "" {
		parts = strings.Split(subject, ",")
	}
	if len(parts) != len(by) {
		return nil, false
	}
	values := map[spend.Dimension]string{}
	for i, d := range by {
		value, ok := strings.CutPrefix(parts[i], string(d)+"=")
		if !ok {
			return nil, false
		}
		values[d] = value
	}
	for _, f := range r.Where.filters() {
		value, ok := values[f.dimension]
		if ok && !matches(f.patterns, v.inventory.called(f.dimension, value)...) {
			return nil, false
		}
	}
	return values, true
}

// archived reports whether the subject is of a workspace or key that is archived.
func (v *view) archived(r *rule, subject string) bool {
	values, _ := v.valuesOf(r, subject)
	return v.inventory.workspaces[values[spend.ByWorkspace]].archived || v.inventory.keys[values[spend.ByAPIKey]].archived
}

// sums adds a total up by the rule's groups, by index; the groups without figures are false.
func (g *grouper) sums(t total) ([]figures, []bool) {
	sums, some := make([]figures, len(g.groups)), make([]bool, len(g.groups))
	for id, i := range g.of {
		if i >= 0 && id < len(t.cells) && t.some[id] {
			sums[i].add(t.cells[id])
			some[i] = true
		}
	}
	return sums, some
}

// regroup adds a total up by the subjects of the rule. Those without figures are left out.
func (g *grouper) regroup(t total) map[string]figures {
	sums, some := g.sums(t)
	out := map[string]figures{}
	for i, f := range sums {
		if some[i] {
			out[g.groups[i].subject] = f
		}
	}
	return out
}

// labels are those of the group.
func (g *grouper) labels(subject string) map[string]string {
	if i, ok := g.index[subject]; ok {
		return maps.Clone(g.groups[i].labels)
	}
	return map[string]string{}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
