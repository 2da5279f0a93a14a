package metrics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Family is a metric as it is exposed.
type Family struct {
	Name   string
	Help   string
	Labels []string
}

// Counter reports whether the metric is a counter; else it is a gauge.
func (f *Family) Counter() bool { return strings.HasSuffix(f.Name, "_total") }

// HistoryFamilies lists the metrics that a [History] has samples of, by name.
func HistoryFamilies() []*Family {
	fs := []*Family{families[cost], families[keyCost], families[cacheHitRatio]}
	for _, m := range counterMetrics {
		fs = append(fs, families[m.desc])
	}
	slices.SortFunc(fs, func(f, g *Family) int { return strings.Compare(f.Name, g.Name) })
	return fs
}

// Sample is the value of a series at a time in the past.
type Sample struct {
	Family *Family
	Values []string // of the family's labels, in their order
	At     time.Time
	Value  float64
}

// History is what the metrics of stored data were at the end of each hour of a window, by what is
// known of that time now: a day that has been billed since is billed from its beginning.
//
// Gauges of a period are those of the period that the hour lies in, up to its end; they are absent
// while hours of the period were never read. Counters begin at 0 with the window, and once more with
// live collection, as the live ones did. What is only known by the day counts in counters from the
// day's end on, and in the gauges of all its hours, as in a report. Hours that were never read, and
// those of which the data is not complete yet, have no sample.
type History struct {
	Options
	Window spend.Window // in whole hours
}

// Walk hands out the samples of all organizations that the store knows. Those of one series come in
// the order of their times. It reads day by day; what it holds does not grow with the window.
func (h History) Walk(ctx context.Context, store storage.Store, emit func(Sample) error) error {
	known, err := store.Organizations(ctx)
	if err != nil {
		return fmt.Errorf("organizations: %w", err)
	}
	names := newLabels()
	for _, o := range known {
		names.add(o.ID, o.Name)
	}
	for _, o := range known {
		p := &past{
			builder: builder{
				organization: names.get(o.ID), id: o.ID, store: store, options: h.Options, now: h.Window.End, folded: map[string]int{},
			},
			emit: emit, window: h.Window, live: spend.Hour.Floor(o.LiveAt), history: costHistory{days: map[time.Time]dayCost{}},
			gaps: map[time.Time][]spend.Window{},
		}
		if o.LiveAt.IsZero() {
			p.live = h.Window.End
		}
		if err := p.walk(ctx); err != nil {
			return fmt.Errorf("metrics of %s: %w", o.Name, err)
		}
	}
	return nil
}

// past makes the samples of one organization.
type past struct {
	builder
	emit   func(Sample) error
	window spend.Window
	live   time.Time // hour in which live collection began

	history costHistory
	gaps    map[time.Time][]spend.Window // what was never read, by day
	totals  map[storage.CounterKey]*pastCounter
	kept    map[string]int // series of each counter, without other
	at      time.Time      // of the samples that are made
}

// pastCounter is a counter on its way through the history.
type pastCounter struct {
	total, shown int64
	labels       []string
	seen         time.Time // its newest sample
}

func (p *past) walk(ctx context.Context) error {
	var err error
	if p.marks, err = p.store.Watermarks(ctx, p.id); err != nil {
		return fmt.Errorf("watermarks: %w", err)
	}
	if _, err := p.inventory(ctx); err != nil {
		return err
	}
	if end := spend.Hour.Floor(p.usageAt()); end.Before(p.window.End) {
		p.window.End = end
	}
	var failed error
	p.past = func(d *prometheus.Desc, v float64, values []string) {
		if failed == nil {
			failed = p.emit(Sample{Family: families[d], Values: values, At: p.at, Value: v})
		}
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	for _, day := range p.window.Buckets(spend.Day) {
		d, err := p.read(ctx, day)
		if err != nil {
			return err
		}
		for _, hour := range day.Buckets(spend.Hour) {
			d.add(hour)
			if !p.window.Covers(hour) {
				continue
			}
			p.at = hour.End
			p.count(d, hour)
			if !slices.ContainsFunc(d.gaps, hour.Overlaps) {
				p.show(d, hour)
			}
			if failed != nil {
				return failed
			}
		}
	}
	return nil
}

// pastDay is what is known of a day.
type pastDay struct {
	spend.Window
	gaps    []spend.Window
	usage   map[time.Time][]storage.UsageRow // by workspace, model and tier, by the bucket's end
	keys    map[time.Time][]storage.UsageRow // by workspace and key
	costs   map[time.Time][]storage.CostRow  // by workspace, model and cost type
	byHour  map[time.Time]dayCost            // for the gauges
	soFar   dayCost
	closed  map[string]periodSums // the periods' other days
	periods []period              // those that are known from their start to this day's
}

// add adds an hour to what the day has cost so far.
func (d *pastDay) add(hour spend.Window) {
	c := d.byHour[hour.End]
	for x, money := range c.models {
		d.soFar.models[x] += money
	}
	for x, money := range c.keys {
		d.soFar.keys[x] += money
	}
}

// read reads a day and, for the periods, those before it that are not known yet.
func (p *past) read(ctx context.Context, day spend.Window) (*pastDay, error) {
	ps, all := periods(day.Start)
	for start := range p.history.days {
		if !all.Contains(start) {
			delete(p.history.days, start)
			delete(p.gaps, start)
		}
	}
	for _, x := range all.Buckets(spend.Day) {
		if _, ok := p.history.days[x.Start]; ok {
			continue
		}
		if err := p.history.read(ctx, &p.builder, x); err != nil {
			return nil, err
		}
		gaps, err := storage.Missing(ctx, p.store, p.id, x, spend.FactUsage, spend.FactCost)
		if err != nil {
			return nil, fmt.Errorf("missing hours: %w", err)
		}
		p.gaps[x.Start] = gaps
	}
	d := &pastDay{Window: day, gaps: p.gaps[day.Start], closed: map[string]periodSums{}, soFar: newDayCost()}
	for _, x := range ps {
		known := true
		for start, gaps := range p.gaps {
			known = known && (!x.Contains(start) || start.Equal(day.Start) || len(gaps) == 0)
		}
		if !known {
			continue
		}
		d.periods = append(d.periods, x)
		d.closed[x.name] = newPeriodSums()
		for start, c := range p.history.days {
			if x.Contains(start) && !start.Equal(day.Start) {
				d.closed[x.name].add(&p.builder, x.name, c)
			}
		}
	}
	return d, p.readHours(ctx, d)
}

func newDayCost() dayCost {
	return dayCost{models: map[part]spend.Money{}, keys: map[part]spend.Money{}}
}

// readHours reads the day by the hour.
func (p *past) readHours(ctx context.Context, d *pastDay) (err error) {
	if d.usage, err = p.usage(ctx, d.Window, spend.ByWorkspace, spend.ByModel, spend.ByServiceTier); err != nil {
		return err
	}
	if d.costs, err = p.costsBy(ctx, d.Window, spend.ByWorkspace, spend.ByModel, spend.ByCostType); err != nil {
		return err
	}
	models, err := p.costsBy(ctx, d.Window, spend.ByWorkspace, spend.ByModel)
	if err != nil {
		return err
	}
	var keys map[time.Time][]storage.CostRow
	if p.options.APIKeys {
		if d.keys, err = p.usage(ctx, d.Window, spend.ByWorkspace, spend.ByAPIKey); err != nil {
			return err
		}
		if keys, err = p.costsBy(ctx, d.Window, spend.ByWorkspace, spend.ByAPIKey); err != nil {
			return err
		}
	}
	d.byHour = map[time.Time]dayCost{}
	into := func(r storage.CostRow) dayCost {
		if !r.Start.After(d.Start) && !r.End.Before(d.End) { // only known by the day: of all its hours
			return d.soFar
		}
		if _, ok := d.byHour[r.End]; !ok {
			d.byHour[r.End] = newDayCost()
		}
		return d.byHour[r.End]
	}
	for _, rows := range models {
		for _, r := range rows {
			into(r).models[part{pair{r.WorkspaceID, r.Model}, r.Basis}] += r.Cost
		}
	}
	for _, rows := range keys {
		for _, r := range rows {
			into(r).keys[part{pair{r.WorkspaceID, r.APIKeyID}, r.Basis}] += r.Cost
		}
	}
	return nil
}

func (p *past) query(w spend.Window, by []spend.Dimension) storage.Query {
	return storage.Query{
		Window: w, Step: spend.Hour, By: by,
		Where: []storage.Match{{Dimension: spend.ByOrganization, Values: []string{p.id}}},
	}
}

func (p *past) usage(ctx context.Context, w spend.Window, by ...spend.Dimension) (map[time.Time][]storage.UsageRow, error) {
	result, err := p.store.Usage(ctx, p.query(w, by))
	if err != nil {
		return nil, fmt.Errorf("usage %s: %w", w, err)
	}
	rows := map[time.Time][]storage.UsageRow{}
	for _, r := range result.Rows {
		rows[r.End] = append(rows[r.End], r)
	}
	return rows, nil
}

func (p *past) costsBy(ctx context.Context, w spend.Window, by ...spend.Dimension) (map[time.Time][]storage.CostRow, error) {
	result, err := p.store.Costs(ctx, p.query(w, by))
	if err != nil {
		return nil, fmt.Errorf("costs %s: %w", w, err)
	}
	rows := map[time.Time][]storage.CostRow{}
	for _, r := range result.Rows {
		rows[r.End] = append(rows[r.End], r)
	}
	return rows, nil
}

// begin starts the counters. Series that the live ones count as other do so here too.
func (p *past) begin(ctx context.Context) error {
	p.totals, p.kept = map[storage.CounterKey]*pastCounter{}, map[string]int{}
	stored, err := p.store.Counters(ctx, p.id)
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	for _, c := range stored {
		key, rest := storage.CounterKey{Name: c.Name, Dims: c.Dims}, otherCounter(c.Name)
		switch {
		case c.Folded:
			p.totals[key] = p.counter(rest)
		case key != rest:
			p.counter(key)
			p.kept[c.Name]++
		}
	}
	return nil
}

func otherCounter(name string) storage.CounterKey {
	k := storage.CounterKey{Name: name}
	for _, d := range storage.CounterDims[name] {
		*k.Field(d) = storage.Other
	}
	return k
}

// counter finds a counter or makes it; beyond the limit it is the one called other.
func (p *past) counter(k storage.CounterKey) *pastCounter {
	c := p.totals[k]
	if c != nil {
		return c
	}
	if rest := otherCounter(k.Name); k != rest {
		if p.options.MaxSeries > 0 && p.kept[k.Name] >= p.options.MaxSeries {
			c = p.counter(rest)
			p.totals[k] = c
			return c
		}
		p.kept[k.Name]++
	}
	c = &pastCounter{labels: p.counterLabels(storage.Counter{Name: k.Name, Dims: k.Dims})}
	p.totals[k] = c
	return c
}

// count moves the counters by what ends with the hour.
func (p *past) count(d *pastDay, hour spend.Window) {
	if hour.Start.Equal(p.live) {
		for _, c := range p.totals {
			c.total, c.shown = 0, 0
		}
	}
	move := func(parts map[storage.CounterKey]int64, wanted func(name string) bool) {
		// In an order that does not depend on chance, as the limit cuts them.
		for _, k := range slices.SortedFunc(maps.Keys(parts), compareCounters) {
			if wanted(k.Name) {
				c := p.counter(k)
				c.total += parts[k]
			}
		}
	}
	move(storage.Contributions(d.usage[hour.End], d.costs[hour.End]), func(string) bool { return true })
	move(storage.Contributions(d.keys[hour.End], nil), func(name string) bool { return name == storage.CounterAPIKeyTokens })
	for _, c := range p.totals {
		c.shown = max(c.shown, c.total)
	}
}

func compareCounters(j, k storage.CounterKey) int {
	c := strings.Compare(j.Name, k.Name)
	for _, d := range spend.Dimensions {
		c = cmp.Or(c, strings.Compare(*j.Field(d), *k.Field(d)))
	}
	return c
}

// show hands out the samples at the hour's end.
func (p *past) show(d *pastDay, hour spend.Window) {
	for _, k := range slices.SortedFunc(maps.Keys(p.totals), compareCounters) {
		c := p.totals[k]
		if c.shown == 0 && c.seen.IsZero() || c.seen.Equal(hour.End) { // not begun; or other, shown already
			continue
		}
		p.showCounter(k.Name, c, hour)
	}
	p.cacheRatios(d.usage[hour.End])

	now := d.soFar
	if hour.End.Equal(d.End) {
		now = p.history.days[d.Start] // as exact as the day is known
	}
	// An hour of the day that was never read makes the figures after it too low.
	whole := !slices.ContainsFunc(d.gaps, spend.Window{Start: d.Start, End: hour.End}.Overlaps)
	sums := newPeriodSums()
	for _, x := range d.periods {
		today := x.Contains(d.Start)
		if today && !whole {
			continue
		}
		maps.Copy(sums.models, d.closed[x.name].models)
		maps.Copy(sums.keys, d.closed[x.name].keys)
		if today {
			sums.add(&p.builder, x.name, now)
		}
	}
	p.costGauges(sums)
}

// showCounter hands out a counter's value, and that it was 0 before its first: else no rate would
// count the first hour. That stands a second after the hour's beginning: where the window before was
// exported too, its last sample is at the same time, and one of them would hide the other.
func (p *past) showCounter(name string, c *pastCounter, hour spend.Window) {
	m := counterMetrics[name]
	if name == storage.CounterAPIKeyTokens && !p.options.APIKeys {
		return
	}
	value := float64(c.shown)
	if name == storage.CounterCost {
		value = spend.Money(c.shown).USD()
	}
	if c.seen.IsZero() {
		p.at = hour.Start.Add(time.Second)
		p.add(m.desc, prometheus.CounterValue, 0, c.labels...)
		p.at = hour.End
	}
	c.seen = hour.End
	p.add(m.desc, prometheus.CounterValue, value, c.labels...)
}
