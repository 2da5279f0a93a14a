package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// TestMonth runs the daemon's generations for twenty days of a fake clock, over the end of a month
// and the day on which its bill becomes final, on an organization with both generations of reports
// and one with the older alone: with the real request budget, a key that leaks on the ninth day, an
// API that is away for six hours on the seventeenth, and smaller faults every other day. All along
// it compares with the simulator's ledger.
//
// It is not parallel: the memory it measures is that of the process.
func TestMonth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(monthStart))
		m := newMonth(t)
		if testing.Short() {
			m.days, m.busy = 3, 2
		}
		m.start(sparse)
		for at := m.at(0); at.Before(m.at(m.days)); at = at.Add(time.Hour) {
			time.Sleep(time.Until(at))
			m.hour(at, int(at.Sub(m.at(0))/(24*time.Hour)))
		}
		m.end()
	})
}

// monthStart is when the daemon is first started.
var monthStart = time.Date(2026, time.November, 20, 12, 30, 7, 0, time.UTC)

// outage is when the API is away: over the time of the daily comparison on the last day on which
// the figures of November change.
var outage = spend.Window{
	Start: time.Date(2026, time.December, 7, 5, 30, 0, 0, time.UTC), End: time.Date(2026, time.December, 7, 11, 30, 0, 0, time.UTC),
}

// The default schedule holds for a few hours; a month of it would take many minutes.
const (
	sparse    = `schedule: {usage: "0 1-22/3 * * *", cost: "0 1-22/3 * * *", inventory: "0 1-19/6 * * *"}`
	busyHours = 2 * time.Hour
)

// month is a daemon in a synctest bubble, and what was seen of it so far.
type month struct {
	t     *testing.T
	a     *app
	logs  *lockedBuffer
	path  string
	store storage.Store
	orgs  []*monthOrg

	days, busy int // how many, and on which the default schedule holds for a while
	generation generation
	stop       func()

	counters map[string]float64 // last seen, by series
	series   map[int]int        // exported on each day
	ever     map[string]bool    // all series ever exported
	heap     uint64             // in use when the first days were over
}

// monthOrg is an organization and what is known of it.
type monthOrg struct {
	*sim.Org
	name, id  string
	analytics bool
	daily     int // requests when the day began
	busy      int // requests when the default schedule began
}

func newMonth(t *testing.T) *month {
	m := &month{
		t: t, days: 20, busy: 12, logs: &lockedBuffer{}, path: filepath.Join(t.TempDir(), "monitor.db"),
		counters: map[string]float64{}, series: map[int]int{}, ever: map[string]bool{},
	}
	var err error
	m.store, err = sqlite.Open(t.Context(), m.path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.store.Close()) })
	leak := sim.Spike{Key: "support-agent", From: monthStart.AddDate(0, 0, 9), To: monthStart.AddDate(0, 0, 9).Add(5 * time.Hour), Factor: 40}
	o := sim.Options{Seed: 3, Name: "both", Start: monthStart.AddDate(0, 0, -60), Revise: true, DiscountPermille: 85, Spikes: []sim.Spike{leak}}
	both := sim.New(o)
	o.Seed, o.Name, o.Analytics, o.Keys = 4, "older", "refused", []string{"sim-older-key"}
	older := sim.New(o)
	m.orgs = []*monthOrg{{Org: both, name: "both", analytics: true}, {Org: older, name: "older"}}
	m.a = &app{
		ctx: t.Context(), getenv: environment{"BOTH_KEY": sim.AdminKey, "OLDER_KEY": "sim-older-key"}.get, stdout: io.Discard, stderr: m.logs,
		log: slog.New(slog.NewTextHandler(m.logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		api: api{client: &http.Client{Transport: m}},
	}
	return m
}

// RoundTrip asks the organization that the host names.
func (m *month) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, o := range m.orgs {
		if r.URL.Host == o.name+".test" {
			return o.Client().Transport.RoundTrip(r)
		}
	}
	return nil, fmt.Errorf("unexpected host %q", r.URL.Host)
}

// start ends the generation that runs and starts the next, as a reload does.
func (m *month) start(schedule string) {
	text := `organizations:
  - {name: both, admin_key: "${BOTH_KEY}", base_url: "http://both.test"}
  - {name: older, admin_key: "${OLDER_KEY}", base_url: "http://older.test"}
storage: {sqlite: {path: "` + m.path + `"}}
backfill: 30d
` + schedule + "\n"
	config, err := parseConfig("monitor.yaml", []byte(text), m.a.getenv)
	require.NoError(m.t, err)
	next := &generation{config: config, store: m.store, reloaded: metrics.NewConfigReload()}
	if m.stop == nil {
		require.NoError(m.t, next.build(m.a))
	} else {
		next, err = m.generation.next(m.a, func() (*Config, error) { return config, nil })
		require.NoError(m.t, err)
		m.stop()
	}
	m.generation = *next
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- next.run(ctx) }()
	synctest.Wait() // the first ticks come at once
	m.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(m.t, <-ended)
	})
	m.t.Cleanup(m.stop)
}

// hour is what happens, and what is looked at, in an hour of the month.
func (m *month) hour(now time.Time, day int) {
	m.count(now, day)
	away := outage.Contains(now)
	if soon := outage.Contains(now.Add(time.Hour)); soon != away {
		m.turn(away)
	} else if !quiet(day) && !away && now.Hour()%6 == 2 {
		m.trouble(now)
	}
	if now.Hour()%6 != 1 {
		return
	}
	m.scrape(now, day)
	for _, o := range m.orgs {
		m.learn(o)
		m.recent(o, now, away)
		// The daily comparison is at seven o'clock, or when the API is back.
		if now.Hour() == 7 && (day%12 == 6 || day == m.days-1) && !away || outage.Contains(now.Add(-6*time.Hour)) && !away {
			m.history(o, now)
		}
	}
	if m.heap == 0 && day == min(5, m.days-2) {
		m.heap = heapInUse()
	}
}

// quiet is every other day: one without faults.
func quiet(day int) bool { return day%2 == 0 }

// count counts the requests of quiet days, and of the hours with the default schedule.
func (m *month) count(now time.Time, day int) {
	rate := func(o *monthOrg, since *int, d time.Duration) float64 {
		n := 0
		for _, x := range o.Requests() {
			n += x
		}
		perMinute := float64(n-*since) / d.Minutes()
		*since = n
		return perMinute
	}
	for _, o := range m.orgs {
		if now.Equal(m.at(day)) {
			perMinute := rate(o, &o.daily, 24*time.Hour)
			if day > 1 && quiet(day-1) {
				require.Less(m.t, perMinute, 4.0, "%s: requests a minute on day %d", o.name, day-1)
			}
		}
	}
	switch now.Sub(m.at(m.busy)) {
	case 0:
		m.start("")
		for _, o := range m.orgs {
			rate(o, &o.busy, time.Hour)
		}
	case busyHours:
		for _, o := range m.orgs {
			perMinute := rate(o, &o.busy, busyHours)
			m.t.Logf("%s: %.2f requests a minute with the default schedule", o.name, perMinute)
			require.Less(m.t, perMinute, 4.0, o.name)
		}
		m.start(sparse)
	}
}

// turn waits for the outage's beginning, or its end.
func (m *month) turn(back bool) {
	if back {
		time.Sleep(time.Until(outage.End))
		for _, o := range m.orgs {
			o.Faults().Disarm(sim.Down)
		}
		return
	}
	time.Sleep(time.Until(outage.Start))
	for _, o := range m.orgs {
		o.Faults().Disarm()
		o.Faults().Arm(sim.Rule{Fault: sim.Down})
	}
}

// at is when a day of the month begins.
func (m *month) at(day int) time.Time {
	return monthStart.Truncate(time.Hour).Add(time.Hour+4*time.Minute+45*time.Second).AddDate(0, 0, day)
}

func (m *month) arm(r sim.Rule) {
	for _, o := range m.orgs {
		o.Faults().Arm(r)
	}
}

// trouble arms a small fault, another one each time.
func (m *month) trouble(now time.Time) {
	faults := []sim.Rule{
		{Fault: sim.RateLimited, Times: 1, RetryAfter: 20 * time.Second}, {Fault: sim.CutBody, Times: 2},
		{Fault: sim.Internal, Times: 1}, {Fault: sim.Overloaded, Times: 2}, {Fault: sim.DuplicatePage, Times: 1},
		{Fault: sim.RateLimited, Times: 1, RetryAfter: 10 * time.Minute}, {Fault: sim.Timeout, Times: 1},
		{Fault: sim.Internal, Times: 6}, {Fault: sim.TierCap, Times: 1},
	}
	m.arm(faults[int(now.Unix()/int64(6*3600))%len(faults)])
}

// learn finds the organization's id in the store.
func (m *month) learn(o *monthOrg) {
	known, err := m.store.Organizations(m.t.Context())
	require.NoError(m.t, err)
	for _, k := range known {
		if k.Name == o.name {
			o.id = k.ID
		}
	}
	require.NotEmpty(m.t, o.id, o.name)
}

// get asks the daemon's handler.
func (m *month) get(path string) string {
	w := httptest.NewRecorder()
	m.generation.handler.ServeHTTP(w, httptest.NewRequestWithContext(m.t.Context(), http.MethodGet, path, nil))
	require.Equal(m.t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
	return w.Body.String()
}

// scrape reads /metrics. No counter of stored data ever falls or vanishes, and the snapshot is fresh.
func (m *month) scrape(now time.Time, day int) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(m.get("/metrics")))
	require.NoError(m.t, err)
	seen := map[string]bool{}
	for name, f := range families {
		if !strings.HasPrefix(name, "anthropic_") || strings.HasPrefix(name, "anthropic_monitor_") {
			continue
		}
		for _, x := range f.GetMetric() {
			series := name
			for _, l := range x.GetLabel() {
				series += fmt.Sprintf(" %s=%q", l.GetName(), l.GetValue())
			}
			seen[series], m.ever[series] = true, true
			if c := x.GetCounter(); c != nil {
				require.GreaterOrEqual(m.t, c.GetValue(), m.counters[series], "%s fell before %s", series, now)
				m.counters[series] = c.GetValue()
			}
		}
	}
	require.NotEmpty(m.t, m.counters)
	for series := range m.counters {
		require.True(m.t, seen[series], "%s vanished before %s", series, now)
	}
	m.series[day] = max(m.series[day], len(seen))
	snapshot := families["anthropic_monitor_snapshot_timestamp_seconds"].GetMetric()[0].GetGauge().GetValue()
	require.Less(m.t, now.Sub(time.UnixMilli(int64(snapshot*1000))), 15*time.Minute, "the snapshot is old")
}

// figure is a bucket and dimensions.
type figure struct {
	start time.Time
	spend.Dims
}

// The dimensions that the usage reports, the bill of analytics and the cost report are read by.
var (
	usageBy   = []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo, spend.BySpeed}
	requestBy = []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByProduct}
	hourBy    = []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByProduct, spend.ByCostType}
	dayBy     = []spend.Dimension{spend.ByWorkspace, spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo, spend.ByCostType}
)

func figureOf(start time.Time, d spend.Dims, by []spend.Dimension) figure {
	f := figure{start: start}
	for _, x := range by {
		*f.Field(x) = *d.Field(x)
	}
	return f
}

// usage is what was used and what is stored of it, by the hour.
func (m *month) usage(o *monthOrg, w spend.Window, by []spend.Dimension, requests bool) (truth, stored map[figure]spend.Counts) {
	truth, stored = map[figure]spend.Counts{}, map[figure]spend.Counts{}
	add := func(to map[figure]spend.Counts, f figure, n spend.Counts, r int64) {
		if requests {
			n = spend.Counts{r}
		}
		if !n.IsZero() {
			sum := to[f]
			sum.Add(n)
			to[f] = sum
		}
	}
	for _, c := range o.TrueUsage(w.Start, w.End) {
		d := spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: cmp.Or(c.APIKeyID, spend.NoKey), Model: c.Model, ServiceTier: c.ServiceTier,
			ContextWindow: c.ContextWindow, InferenceGeo: c.InferenceGeo, Speed: c.Speed, Product: c.Product,
		}
		n := spend.Counts{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output, c.WebSearches}
		add(truth, figureOf(c.Hour, d, by), n, c.Requests)
	}
	res, err := m.store.Usage(m.t.Context(), storage.Query{Window: w, Step: spend.Hour, By: by, Where: o.where()})
	require.NoError(m.t, err)
	for _, r := range res.Rows {
		require.Equal(m.t, time.Hour, r.End.Sub(r.Start))
		add(stored, figureOf(r.Start, r.Dims, by), r.Counts, r.Requests)
	}
	return truth, stored
}

func (o *monthOrg) where() []storage.Match {
	return []storage.Match{{Dimension: spend.ByOrganization, Values: []string{o.id}}}
}

// recent compares the last day. No stored figure exceeds what was used, as one counted at two grains
// would; and hours that have been over for three hours are exact, unless the API is away.
func (m *month) recent(o *monthOrg, now time.Time, down bool) {
	w := spend.Window{Start: spend.Hour.Floor(now.Add(-27 * time.Hour)), End: spend.Hour.Ceil(now)}
	exact := spend.Hour.Floor(now.Add(-3 * time.Hour))
	if down {
		exact = spend.Hour.Floor(outage.Start.Add(-6 * time.Hour)) // the last tick before was up to three hours earlier
	}
	truth, stored := m.usage(o, w, usageBy, false)
	for f, n := range stored {
		for k := range n {
			require.LessOrEqual(m.t, n[k], truth[f][k], "%s at %s: %v", o.name, now, f)
		}
	}
	for f, n := range truth {
		if f.start.Before(exact) {
			require.Equal(m.t, n, stored[f], "%s at %s: %v", o.name, now, f)
		}
	}
	require.NotEmpty(m.t, truth)
}

// history compares everything that was ever collected.
func (m *month) history(o *monthOrg, now time.Time) {
	w := m.collected(now)
	truth, stored := m.usage(o, w, usageBy, false)
	same(m.t, truth, stored, "%s: usage at %s", o.name, now)
	if o.analytics {
		truth, stored = m.usage(o, w, requestBy, true)
		same(m.t, truth, stored, "%s: requests at %s", o.name, now)
	}
	m.bill(o, now)
}

// collected is all the time whose hours are complete.
func (m *month) collected(now time.Time) spend.Window {
	return spend.Window{Start: spend.Day.Floor(monthStart.AddDate(0, 0, -30)), End: spend.Hour.Floor(now.Add(-3 * time.Hour))}
}

// bill compares the bill: by the hour where analytics tells it, else by the day once it must be settled.
func (m *month) bill(o *monthOrg, now time.Time) {
	w, step, by := m.collected(now), spend.Hour, hourBy
	cells := o.TrueHourBill
	if !o.analytics {
		w.End, step, by = spend.Day.Floor(now.Add(-72*time.Hour)), spend.Day, dayBy
		cells = o.TrueBill
	}
	truth, stored := map[figure]spend.Money{}, map[figure]spend.Money{}
	for _, c := range cells(w.Start, w.End) {
		d := spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: cmp.Or(c.APIKeyID, spend.NoKey), Model: c.Model, ServiceTier: c.ServiceTier,
			ContextWindow: c.ContextWindow, InferenceGeo: c.InferenceGeo, Product: c.Product, CostType: c.CostType,
		}
		truth[told(o, figureOf(c.Start, d, by))] += spend.Money(sim.SumNanoUSD([]sim.CostCell{c}))
	}
	res, err := m.store.Costs(m.t.Context(), storage.Query{Window: w, Step: step, By: by, Where: o.where()})
	require.NoError(m.t, err)
	var total, shared spend.Money
	for _, r := range res.Rows {
		require.Equal(m.t, spend.Billed, r.Basis, "%s at %s: %v", o.name, now, r)
		stored[told(o, figureOf(r.Start, r.Dims, by))] += r.Cost
		total += r.Cost
	}
	same(m.t, truth, stored, "%s: bill at %s", o.name, now)
	res, err = m.store.Costs(m.t.Context(), storage.Query{Window: w, By: []spend.Dimension{spend.ByAPIKey}, Where: o.where()})
	require.NoError(m.t, err)
	for _, r := range res.Rows {
		shared += r.Cost
	}
	require.Equal(m.t, total, shared, "%s: the shares of the keys add up to the bill", o.name)
}

// told leaves out what the cost report does not tell of anything but tokens.
func told(o *monthOrg, f figure) figure {
	if !o.analytics && f.CostType != "tokens" {
		f.Dims = spend.Dims{WorkspaceID: f.WorkspaceID, CostType: f.CostType}
	}
	return f
}

// same requires equal figures, and says of a few where they are not.
func same[V comparable](t *testing.T, truth, stored map[figure]V, format string, args ...any) {
	t.Helper()
	var differ []string
	for f, v := range truth {
		if stored[f] != v {
			differ = append(differ, fmt.Sprintf("%v: want %v, stored %v", f, v, stored[f]))
		}
	}
	for f, v := range stored {
		if _, ok := truth[f]; !ok {
			differ = append(differ, fmt.Sprintf("%v: want nothing, stored %v", f, v))
		}
	}
	slices.Sort(differ)
	require.Empty(t, differ[:min(len(differ), 5)], fmt.Sprintf(format, args...)+fmt.Sprintf(": %d of %d differ", len(differ), len(truth)))
	require.NotEmpty(t, truth)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the first one finalized
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse
}

// end looks at the month as a whole.
func (m *month) end() {
	now := time.Now().UTC()
	for _, o := range m.orgs {
		m.ledger(o, now)
		m.lastMonth(o)
	}
	// A date or an id of a moment in a label would have made series every day.
	first, last := m.series[1], m.series[m.days-1]
	m.t.Logf("exported series: %d on the second day, %d on the last, %d ever", first, last, len(m.ever))
	require.Less(m.t, float64(last), 1.25*float64(first), "exported series: %v", m.series)
	require.Less(m.t, float64(len(m.ever)), 1.5*float64(first), "series ever exported: %v", m.series)

	heap := heapInUse()
	m.t.Logf("heap in use: %d kB after the first days, %d kB at the end", m.heap>>10, heap>>10)
	require.Less(m.t, heap, 2*m.heap+16<<20, "memory grows")
	m.stop()
	require.NotContains(m.t, m.logs.String(), "level=ERROR")
	require.Contains(m.t, m.logs.String(), "level=WARN", "the faults are logged")
}

// ledger requires that no hour of the month is missing and that all that should be settled is.
func (m *month) ledger(o *monthOrg, now time.Time) {
	slots := func(f spend.Fact, w spend.Window) []storage.Slot {
		all, err := m.store.Slots(m.t.Context(), o.id, f, w)
		require.NoError(m.t, err)
		var windows []spend.Window
		for _, s := range all {
			windows = append(windows, s.Window)
			require.Zero(m.t, s.SuspectReads, "%s: %s %s", o.name, f, s.Window)
		}
		require.Equal(m.t, []spend.Window{w}, spend.Join(windows), "%s: %s has gaps", o.name, f)
		return all
	}
	w := m.collected(now)
	for _, s := range slots(spend.FactUsage, w) {
		require.Equal(m.t, storage.Complete, s.State, "%s: %s", o.name, s.Window)
		if s.Window.End.Before(now.Add(-6 * time.Hour)) { // two hours, and the time to the next tick
			require.Equal(m.t, spend.Hour, s.Grain, "%s: %s", o.name, s.Window)
		}
	}
	if o.analytics {
		slots(spend.FactRequests, w)
		for _, s := range slots(spend.FactCost, w) {
			require.Equal(m.t, storage.Billed, s.State, "%s: bill of %s", o.name, s.Window)
		}
		return
	}
	w.End = spend.Day.Floor(now)
	for _, s := range slots(spend.FactCost, w) {
		if s.Window.End.Before(now.Add(-72 * time.Hour)) {
			require.Equal(m.t, storage.Billed, s.State, "%s: bill of %s", o.name, s.Window)
		}
	}
}

// lastMonth compares what the HTTP API says about November, which is final, with the bill.
func (m *month) lastMonth(o *monthOrg) {
	if m.days < 20 {
		return
	}
	november := spend.Window{Start: spend.MonthStart(monthStart), End: spend.MonthStart(monthStart).AddDate(0, 1, 0)}
	cells := o.TrueBill(november.Start, november.End)
	if o.analytics {
		cells = o.TrueHourBill(november.Start, november.End)
	}
	var answer struct {
		Total struct {
			Cost  string `json:"cost_usd"`
			Basis string `json:"basis"`
		} `json:"total"`
	}
	q := url.Values{"from": {november.Start.Format(time.DateOnly)}, "to": {november.End.Format(time.DateOnly)}, "organization": {o.name}}
	require.NoError(m.t, json.Unmarshal([]byte(m.get("/api/v1/costs?"+q.Encode())), &answer))
	cost, err := spend.ParseUSD(answer.Total.Cost)
	require.NoError(m.t, err)
	require.Equal(m.t, spend.Money(sim.SumNanoUSD(cells)), cost, o.name)
}
