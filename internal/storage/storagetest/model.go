package storagetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// These tests do random operations on the store and on a naive model of it, which keeps for every
// day what was said last about it, and compare the answers. A seed is a history.
var modelTests = []test{
	{"random histories", func(e *env) {
		seeds := uint64(12)
		if testing.Short() {
			seeds = 4
		}
		for seed := range seeds {
			id := fmt.Sprintf("5b0c7c2e-0000-4000-8000-%012d", 100+seed)
			require.NoError(e, e.store.SaveOrganization(e.Context(), spend.Organization{ID: id}, at("01 00:00")))
			m := &model{
				env: e, id: id, owner: e.own(id), random: rand.New(rand.NewPCG(seed, 1)), now: at("20 00:00"),
				days: map[time.Time]*modelDay{}, shown: map[storage.CounterKey]int64{}, log: []string{fmt.Sprintf("seed %d", seed)},
			}
			require.NoError(e, m.owner.SetLive(e.Context(), modelLive))
			for range 12 {
				m.step()
				m.compare()
			}
			m.say("prune")
			_, err := m.owner.Prune(e.Context(), storage.Keep{Minute: at("18 00:00"), Hour: at("18 00:00")})
			require.NoError(e, err, m)
			m.comparePruned()
		}
	}},
}

// modelLive is when the model's organization goes live, within its four days.
var modelLive = at("11 00:00")

type model struct {
	*env
	id     string
	owner  storage.Owner
	random *rand.Rand
	now    time.Time
	days   map[time.Time]*modelDay
	shown  map[storage.CounterKey]int64
	log    []string
}

// modelDay is what is known of a day. Usage is known by hours or as a whole, the bill by hours
// (analytics) or as a whole (cost report).
type modelDay struct {
	hours  map[time.Time][]spend.Usage
	minute map[time.Time]bool // hours that minutes rule
	whole  []spend.Usage
	billed map[time.Time][]spend.Cost
	bill   []spend.Cost
	closed bool
}

func (m *model) String() string { return strings.Join(m.log, "\n") }

func (m *model) say(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

// step does one operation on both, the store and the model.
func (m *model) step() {
	start := at("10 00:00").AddDate(0, 0, m.random.IntN(4))
	day := spend.Day.Bucket(start)
	d := m.days[start]
	if d == nil {
		d = &modelDay{hours: map[time.Time][]spend.Usage{}, minute: map[time.Time]bool{}, billed: map[time.Time][]spend.Cost{}}
		m.days[start] = d
	}
	m.now = m.now.Add(time.Minute)
	part := spend.Window{Start: start.Add(time.Duration(m.random.IntN(21)) * time.Hour)}
	part.End = part.Start.Add(time.Duration(1+m.random.IntN(3)) * time.Hour)
	switch m.random.IntN(9) {
	case 0, 1:
		rows := m.rows(part, spend.Minute)
		m.replace(spend.Minute, part, rows)
		for _, h := range part.Buckets(spend.Hour) {
			if _, known := d.hours[h.Start]; d.whole == nil && (!known || d.minute[h.Start]) {
				d.hours[h.Start], d.minute[h.Start] = rowsIn(rows, h), true
			}
		}
	case 2, 3, 4:
		w := part
		if d.whole != nil || m.random.IntN(2) == 0 {
			w = day
		}
		rows := m.rows(w, spend.Hour)
		m.replace(spend.Hour, w, rows)
		d.whole = nil
		for _, h := range w.Buckets(spend.Hour) {
			d.hours[h.Start], d.minute[h.Start] = rowsIn(rows, h), false
		}
	case 5:
		rows := m.rows(day, spend.Day)
		m.replace(spend.Day, day, rows)
		if len(d.hours) == 0 {
			d.whole = rows
		}
	case 6:
		w := part
		if d.bill != nil {
			w = day
		}
		cells := m.cells(w, spend.Hour)
		m.charge(spend.ReportAnalyticsCost, spend.Hour, w, cells)
		d.bill, d.closed = nil, false
		for _, h := range w.Buckets(spend.Hour) {
			d.billed[h.Start] = nil
			for _, c := range cells {
				if h.Contains(c.Bucket) {
					d.billed[h.Start] = append(d.billed[h.Start], c)
				}
			}
		}
	case 7:
		cells := m.cells(day, spend.Day)
		m.charge(spend.ReportCost, spend.Day, day, cells)
		if len(d.billed) == 0 {
			d.bill = cells
		}
	case 8:
		err := m.owner.Bill(m.Context(), start, m.now)
		m.say("bill %s: %v", start.Format("02"), err)
		if d.bill == nil {
			require.ErrorIs(m, err, storage.ErrNotFound, m)
			return
		}
		require.NoError(m, err, m)
		d.closed = true
	}
}

// rows is random usage of a window, at least one row.
func (m *model) rows(w spend.Window, g spend.Grain) []spend.Usage {
	var rows []spend.Usage
	seen := map[string]bool{}
	for range 1 + m.random.IntN(6) {
		bs := w.Buckets(g)
		when, key := bs[m.random.IntN(len(bs))].Start.Format("02 15:04"), []string{"apikey_a", "apikey_b", spend.NoKey}[m.random.IntN(3)]
		if !seen[when+key] {
			seen[when+key] = true
			rows = append(rows, used(when, key, 1+m.random.Int64N(9)))
		}
	}
	return rows
}

// cells is a random bill of a window, at least one cell.
func (m *model) cells(w spend.Window, g spend.Grain) []spend.Cost {
	bs := w.Buckets(g)
	when := bs[m.random.IntN(len(bs))].Start.Format("02 15:04")
	cells := []spend.Cost{execution(when, spend.Money(m.random.Int64N(1000)))}
	for _, t := range []string{"output", "uncached_input", "cache_read_input"} {
		if m.random.IntN(3) > 0 {
			cells = append(cells, charged(when, t, spend.Money(m.random.Int64N(1_000_000))))
		}
	}
	return cells
}

func (m *model) replace(g spend.Grain, w spend.Window, rows []spend.Usage) {
	m.say("usage by the %s %s: %d rows", g, w, len(rows))
	_, err := m.owner.ReplaceUsage(m.Context(), storage.Reading{Report: spend.ReportMessages, Grain: g, Window: w, At: m.now, DataAt: m.now}, rows)
	require.NoError(m, err, m)
}

func (m *model) charge(report spend.Report, g spend.Grain, w spend.Window, cells []spend.Cost) {
	m.say("%s %s: %d cells", report, w, len(cells))
	_, err := m.owner.ReplaceCosts(m.Context(), storage.Reading{Report: report, Grain: g, Window: w, At: m.now, DataAt: m.now}, cells)
	require.NoError(m, err, m)
}

func rowsIn(rows []spend.Usage, w spend.Window) []spend.Usage {
	var in []spend.Usage
	for _, u := range rows {
		if w.Contains(u.Bucket) {
			in = append(in, u)
		}
	}
	return in
}

// tokens are the model's tokens by bucket and key: buckets are hours, or a day where no hours are known.
func (m *model) tokens() map[string]int64 {
	sums := map[string]int64{}
	for start, d := range m.days {
		for h, rows := range d.hours {
			for _, u := range rows {
				sums[h.Format("02 15:04")+" 1h "+u.APIKeyID] += u.Counts.Tokens()
			}
		}
		for _, u := range d.whole {
			sums[start.Format("02 15:04")+" 24h "+u.APIKeyID] += u.Counts.Tokens()
		}
	}
	return sums
}

// money is the model's cost of a day, by basis.
func (d *modelDay) money() map[spend.Basis]spend.Money {
	sums := map[spend.Basis]spend.Money{}
	for _, cells := range d.billed {
		for _, c := range cells {
			sums[spend.Billed] += c.Amount
		}
	}
	for _, c := range d.bill {
		if d.closed || c.CostType == "code_execution" {
			sums[spend.Billed] += c.Amount
		}
	}
	if !d.closed {
		for h, rows := range d.hours {
			if _, billed := d.billed[h]; !billed {
				for _, u := range rows {
					sums[spend.Estimated] += u.Estimate.Sum()
				}
			}
		}
		if len(d.billed) == 0 {
			for _, u := range d.whole {
				sums[spend.Estimated] += u.Estimate.Sum()
			}
		}
	}
	for b, x := range sums {
		if x == 0 {
			delete(sums, b)
		}
	}
	return sums
}

// mine is a query of the model's four days.
func (m *model) mine(step spend.Grain, by ...spend.Dimension) storage.Query {
	return where(query("10 00:00/14 00:00", step, by...), spend.ByOrganization, m.id)
}

func (m *model) compare() {
	usage, err := m.store.Usage(m.Context(), m.mine(spend.Hour, spend.ByAPIKey))
	require.NoError(m, err, m)
	got := map[string]int64{}
	for _, u := range usage.Rows {
		got[fmt.Sprintf("%s %gh %s", u.Start.Format("02 15:04"), u.End.Sub(u.Start).Hours(), u.APIKeyID)] = u.Counts.Tokens()
	}
	require.Equal(m, m.tokens(), got, m)
	m.compareCosts()
	m.compareCounters()
}

func (m *model) compareCosts() {
	want := map[time.Time]map[spend.Basis]spend.Money{}
	var total spend.Money
	for start, d := range m.days {
		if sums := d.money(); len(sums) > 0 {
			want[start] = sums
			total += sums[spend.Billed] + sums[spend.Estimated]
		}
	}
	got := map[time.Time]map[spend.Basis]spend.Money{}
	costs, err := m.store.Costs(m.Context(), m.mine(spend.Day))
	require.NoError(m, err, m)
	for _, c := range costs.Rows {
		if got[c.Start] == nil {
			got[c.Start] = map[spend.Basis]spend.Money{}
		}
		got[c.Start][c.Basis] = c.Cost
	}
	require.Equal(m, want, got, m)

	// However the answer is told apart, it adds up to the same.
	for _, q := range []storage.Query{
		m.mine(0), m.mine(spend.Hour), m.mine(0, spend.ByAPIKey), m.mine(spend.Hour, spend.Dimensions...), m.mine(spend.Day, spend.ByTokenType),
	} {
		costs, err := m.store.Costs(m.Context(), q)
		require.NoError(m, err, m)
		var sum spend.Money
		for _, c := range costs.Rows {
			sum += c.Cost
		}
		require.Equal(m, total, sum, "%s\n%+v", m, q)
	}
	// Windows that lie side by side add up too, wherever a day is cut.
	if usage, err := m.store.Costs(m.Context(), m.mine(0)); err == nil {
		cut := at("10 00:00").Add(time.Duration(m.random.IntN(95)+1) * time.Hour)
		left, right := m.mine(0), m.mine(0)
		left.Window.End, right.Window.Start = cut, cut
		l, err := m.store.Costs(m.Context(), left)
		require.NoError(m, err, m)
		r, err := m.store.Costs(m.Context(), right)
		require.NoError(m, err, m)
		if l.Window.End.Equal(cut) && r.Window.Start.Equal(cut) {
			var sum spend.Money
			for _, c := range append(l.Rows, r.Rows...) {
				sum += c.Cost
			}
			require.Equal(m, total, sum, "%s\ncut at %s of %s", m, cut, usage.Window)
		}
	}
}

func (m *model) compareCounters() {
	require.NoError(m, m.owner.UpdateCounters(m.Context(), 0), m)
	counters, err := m.store.Counters(m.Context(), m.id)
	require.NoError(m, err, m)
	totals := map[string]int64{}
	for _, c := range counters {
		k := storage.CounterKey{Name: c.Name, Dims: c.Dims}
		require.GreaterOrEqual(m, c.Shown, m.shown[k], m)
		require.GreaterOrEqual(m, c.Shown, c.Total, m)
		m.shown[k] = c.Shown
		totals[c.Name] += c.Total
	}
	var tokens, cost int64
	for start, d := range m.days {
		if start.Before(modelLive) {
			continue
		}
		for _, u := range d.whole {
			tokens += u.Counts.Tokens()
		}
		for _, rows := range d.hours {
			for _, u := range rows {
				tokens += u.Counts.Tokens()
			}
		}
		sums := d.money()
		cost += int64(sums[spend.Billed] + sums[spend.Estimated])
	}
	require.Equal(m, tokens, totals[storage.CounterTokens], m)
	require.Equal(m, tokens, totals[storage.CounterAPIKeyTokens], m)
	require.Equal(m, cost, totals[storage.CounterCost], m)
}

// comparePruned compares what a fold keeps: sums by the day, and every counter.
func (m *model) comparePruned() {
	want := map[string]int64{}
	for place, n := range m.tokens() {
		fields := strings.Fields(place)
		want[fields[0]+" "+fields[3]] += n
	}
	usage, err := m.store.Usage(m.Context(), m.mine(spend.Day, spend.ByAPIKey))
	require.NoError(m, err, m)
	got := map[string]int64{}
	for _, u := range usage.Rows {
		got[u.Start.Format("02")+" "+u.APIKeyID] += u.Counts.Tokens()
	}
	require.Equal(m, want, got, m)
	m.compareCosts()
	m.compareCounters()
}
