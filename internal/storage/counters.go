package storage

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// CounterKey is a counter's name and its dimensions.
type CounterKey struct {
	Name string
	spend.Dims
}

// UpdateCounters is [Owner.UpdateCounters] on a backend's transaction. Each changed day is summed
// anew, and the totals move by what that differs from what the day was worth before.
func UpdateCounters(ctx context.Context, tx Tx, maxSeries int) error {
	live, counted, err := tx.State(ctx)
	if err != nil || live.IsZero() {
		return err
	}
	live = spend.Hour.Floor(live)
	days, seq, err := tx.ChangedSince(ctx, counted)
	if err != nil {
		return err
	}
	stored, err := tx.Counters(ctx)
	if err != nil {
		return err
	}
	b := newCounterBook(stored, maxSeries)
	parts := map[time.Time]map[CounterKey]int64{}
	for _, day := range days {
		w := spend.Window{Start: maxTime(day, live), End: day.Add(spend.Day.Duration())}
		if w.Empty() {
			continue
		}
		part, ok, err := countDay(ctx, tx, w)
		if err != nil {
			return err
		}
		if ok {
			parts[day] = part
		}
	}
	for _, day := range days {
		if part, ok := parts[day]; ok {
			was, err := tx.CounterDay(ctx, day)
			if err != nil {
				return err
			}
			b.move(was, part)
		}
	}
	if err := tx.PutCounters(ctx, b.settle()); err != nil {
		return err
	}
	for _, day := range slices.SortedFunc(maps.Keys(parts), time.Time.Compare) {
		byID := map[int64]int64{}
		for k, v := range parts[day] {
			byID[b.byKey[k].ID] = v
		}
		if err := tx.PutCounterDay(ctx, day, byID); err != nil {
			return err
		}
	}
	if seq == counted {
		return nil
	}
	return tx.PutCounted(ctx, seq)
}

// countDay is what the window, a day or what of it was live, is worth in each counter. It reports
// false where that cannot be told any more: of the day collection began on, once it is folded.
func countDay(ctx context.Context, tx Tx, w spend.Window) (map[CounterKey]int64, bool, error) {
	var slots [3][]Slot
	for i, f := range []spend.Fact{spend.FactUsage, spend.FactRequests, spend.FactCost} {
		var err error
		if slots[i], err = tx.Slots(ctx, f, w); err != nil {
			return nil, false, err
		}
		cut := func(s Slot) bool { return s.Grain == spend.Day && f != spend.FactCost && !w.Covers(s.Window) }
		if slices.ContainsFunc(slots[i], cut) {
			return nil, false, nil
		}
	}
	usage := merger{window: w, rows: map[rowKey]*total{}}
	usage.query.By = []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier}
	if err := usage.add(ctx, OrganizationTx{Tx: tx}, UsageParts(w, slots[0], slots[1])); err != nil {
		return nil, false, err
	}
	costs := merger{window: w, rows: map[rowKey]*total{}}
	costs.query.By = CounterDims[CounterCost]
	if err := costs.add(ctx, OrganizationTx{Tx: tx}, CostParts(w, slots[0], slots[2], 0, false)); err != nil {
		return nil, false, err
	}
	return Contributions(usage.usage(), costs.costs()), true, nil
}

// Contributions is what usage by workspace, key, model and tier and costs by workspace, model and
// cost type are worth in each counter; nothing is 0.
func Contributions(usage []UsageRow, costs []CostRow) map[CounterKey]int64 {
	parts := map[CounterKey]int64{}
	add := func(name string, d spend.Dims, n int64) {
		k := CounterKey{Name: name}
		for _, x := range CounterDims[name] {
			*k.Field(x) = *d.Field(x)
		}
		if parts[k] += n; parts[k] == 0 {
			delete(parts, k)
		}
	}
	for _, u := range usage {
		d := u.Dims
		for k := range spend.WebSearches {
			d.TokenType = k.TokenType()
			add(CounterTokens, d, u.Counts[k])
		}
		add(CounterWebSearches, d, u.Counts[spend.WebSearches])
		add(CounterRequests, d, u.Requests)
		if d.APIKeyID != "" {
			add(CounterAPIKeyTokens, d, u.Counts.Tokens())
		}
	}
	for _, c := range costs {
		add(CounterCost, c.Dims, int64(c.Cost))
		add(CounterUnpriced, c.Dims, c.Unpriced)
	}
	return parts
}

// counterBook is all counters of an organization while they are brought up to date.
type counterBook struct {
	all     []*StoredCounter
	byKey   map[CounterKey]*StoredCounter
	byID    map[int64]*StoredCounter
	before  map[*StoredCounter]StoredCounter
	kept    map[string]int // counters by name that are neither folded nor [Other]
	maximum int
}

func newCounterBook(stored []StoredCounter, maxSeries int) *counterBook {
	b := &counterBook{
		byKey: map[CounterKey]*StoredCounter{}, byID: map[int64]*StoredCounter{},
		before: map[*StoredCounter]StoredCounter{}, kept: map[string]int{}, maximum: maxSeries,
	}
	for i := range stored {
		c := stored[i]
		b.before[&c] = c
		b.add(&c)
		b.byID[c.ID] = &c
	}
	// A higher limit lets folded counters out, in the order they came.
	for _, c := range b.all {
		if c.Folded && b.room(c.Name) {
			c.Folded = false
			b.kept[c.Name]++
		}
	}
	return b
}

func (b *counterBook) add(c *StoredCounter) {
	k := CounterKey{c.Name, c.Dims}
	b.all = append(b.all, c)
	b.byKey[k] = c
	if !c.Folded && k != otherKey(c.Name) {
		b.kept[c.Name]++
	}
}

func (b *counterBook) room(name string) bool { return b.maximum == 0 || b.kept[name] < b.maximum }

// counter finds a counter, or makes it.
func (b *counterBook) counter(k CounterKey) *StoredCounter {
	c := b.byKey[k]
	if c == nil {
		c = &StoredCounter{Counter: Counter{Name: k.Name, Dims: k.Dims}}
		c.Folded = k != otherKey(k.Name) && !b.room(k.Name)
		b.add(c)
	}
	return c
}

// move replaces what a day was worth by what it is worth now.
func (b *counterBook) move(was map[int64]int64, now map[CounterKey]int64) {
	for id, v := range was {
		b.byID[id].Total -= v
	}
	// New series come in an order that does not depend on chance, as the limit cuts them.
	keys := slices.SortedFunc(maps.Keys(now), func(a, b CounterKey) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		for _, x := range spend.Dimensions {
			if c := strings.Compare(*a.Field(x), *b.Field(x)); c != 0 {
				return c
			}
		}
		return 0
	})
	for _, k := range keys {
		b.counter(k).Total += now[k]
	}
}

// settle sums the folded counters up in [Other], raises what is shown, and lists the counters that
// changed.
func (b *counterBook) settle() []*StoredCounter {
	folded := map[string]int64{}
	for _, c := range b.all {
		if c.Folded {
			folded[c.Name] += c.Total
			b.counter(otherKey(c.Name))
		}
	}
	var changed []*StoredCounter
	for _, c := range b.all {
		if (CounterKey{c.Name, c.Dims}) == otherKey(c.Name) {
			c.Total = folded[c.Name]
		}
		c.Shown = max(c.Shown, c.Total)
		if *c != b.before[c] {
			changed = append(changed, c)
		}
	}
	return changed
}

// otherKey is the counter that folded ones count in.
func otherKey(name string) CounterKey {
	k := CounterKey{Name: name}
	for _, x := range CounterDims[name] {
		*k.Field(x) = Other
	}
	return k
}
