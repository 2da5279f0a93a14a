package collector_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

const day = 24 * time.Hour

// start is when the tests begin, by the bubble's clock.
var start = time.Date(2026, 11, 20, 12, 30, 7, 0, time.UTC)

// baseConfig is the example configuration, with less history.
func baseConfig() collector.Config {
	return collector.Config{
		Usage: "* * * * *", Cost: "*/5 * * * *", Inventory: "*/10 * * * *", Prune: "17 3 * * *",
		Retention: collector.Retention{Minute: 14 * day, Hour: 400 * day},
		Backfill:  5 * day,
		MaxSeries: 20000,
		Reports:   collector.ReportsAuto,
	}
}

// world is a simulated organization and a store, in a bubble whose clock stands at start.
type world struct {
	t      *testing.T
	org    *sim.Org
	store  storage.Store
	path   string
	config collector.Config
	prices *pricing.Table
	client *adminapi.Client
	key    string
	name   string
	after  func(now time.Time)
	id     string
	logs   *logBuffer
}

// bubble runs the test in a synctest bubble at start. A short test has an organization of one key.
func bubble(t *testing.T, o sim.Options, f func(w *world)) {
	t.Helper()
	t.Parallel()
	if testing.Short() {
		o.Scale = 1
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		w := &world{t: t, org: sim.New(o), config: baseConfig(), key: sim.AdminKey, logs: &logBuffer{}}
		w.path = filepath.Join(t.TempDir(), "monitor.db")
		var err error
		w.store, err = sqlite.Open(t.Context(), w.path, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, w.store.Close()) })
		w.prices, err = pricing.Load(nil)
		require.NoError(t, err)
		w.newClient()
		me, err := w.client.Organization(t.Context())
		require.NoError(t, err)
		w.id = me.ID
		f(w)
	})
}

func (w *world) newClient() {
	var err error
	w.client, err = adminapi.New(adminapi.Options{
		BaseURL: "http://api.test",
		Key:     func(context.Context, bool) (string, error) { return w.key, nil },
		HTTP:    w.org.Client(),
	})
	require.NoError(w.t, err)
}

func (w *world) collector() *collector.Collector {
	c, err := collector.New(collector.Options{
		Name: w.name, Client: w.client, Store: w.store, Prices: w.prices, Config: w.config,
		Log: w.logger(),
		After: func(_ context.Context, _ storage.Owner, id string, now time.Time) {
			require.Equal(w.t, w.id, id)
			if w.after != nil {
				w.after(now)
			}
		},
	})
	require.NoError(w.t, err)
	return c
}

// either is the first in a full test, the second in a short one.
func either(full, short time.Duration) time.Duration {
	if testing.Short() {
		return short
	}
	return full
}

// begin runs a collector until stop, or the end of the test.
func (w *world) begin() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	c := w.collector()
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-done)
	})
	w.t.Cleanup(stop)
	return stop
}

// run runs a collector for a while.
func (w *world) run(d time.Duration) {
	stop := w.begin()
	time.Sleep(d)
	stop()
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.b.Bytes(), []byte(s))
}

func (w *world) where() []storage.Match {
	return []storage.Match{{Dimension: spend.ByOrganization, Values: []string{w.id}}}
}

func (w *world) slots(f spend.Fact, window spend.Window) []storage.Slot {
	slots, err := w.store.Slots(w.t.Context(), w.id, f, window)
	require.NoError(w.t, err)
	return slots
}

// usageKey is a bucket and dimensions; the counts stand beside.
type usageKey struct {
	Start time.Time
	spend.Dims
}

// by projects dimensions.
func by(d spend.Dims, dims []spend.Dimension) (p spend.Dims) {
	for _, x := range dims {
		*p.Field(x) = *d.Field(x)
	}
	return p
}

// The dimensions that the usage reports of both generations give.
var (
	olderDims = []spend.Dimension{
		spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo, spend.BySpeed,
	}
	analyticsDims = []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByProduct}
	billDims      = []spend.Dimension{
		spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByProduct, spend.ByCostType, spend.ByTokenType,
	}
)

// trueUsage is what the simulator used, by grain and dimensions.
func (w *world) trueUsage(window spend.Window, g spend.Grain, dims []spend.Dimension) map[usageKey]spend.Counts {
	all := map[usageKey]spend.Counts{}
	for _, c := range w.org.TrueUsage(window.Start, window.End) {
		k := usageKey{g.Floor(c.Hour), by(spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: cmp.Or(c.APIKeyID, spend.NoKey), Model: c.Model, ServiceTier: c.ServiceTier,
			ContextWindow: c.ContextWindow, InferenceGeo: c.InferenceGeo, Speed: c.Speed, Product: c.Product,
		}, dims)}
		n := all[k]
		n.Add(spend.Counts{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output, c.WebSearches})
		if !n.IsZero() {
			all[k] = n
		}
	}
	return all
}

func (w *world) storedUsage(window spend.Window, g spend.Grain, dims []spend.Dimension) map[usageKey]spend.Counts {
	res, err := w.store.Usage(w.t.Context(), storage.Query{Window: window, Step: g, By: dims, Where: w.where()})
	require.NoError(w.t, err)
	all := map[usageKey]spend.Counts{}
	for _, r := range res.Rows {
		if !r.Counts.IsZero() {
			all[usageKey{r.Start, r.Dims}] = r.Counts
		}
	}
	return all
}

// requireUsage requires that what is stored equals what was used, to the last unit.
func (w *world) requireUsage(window spend.Window, g spend.Grain, dims []spend.Dimension) {
	w.t.Helper()
	same(w.t, w.trueUsage(window, g, dims), w.storedUsage(window, g, dims))
}

// requireRequests requires the same of request counts, by the hour and all dimensions that have them.
func (w *world) requireRequests(window spend.Window) {
	w.t.Helper()
	truth, stored := map[usageKey]int64{}, map[usageKey]int64{}
	for _, c := range w.org.TrueUsage(window.Start, window.End) {
		truth[usageKey{c.Hour, by(spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: cmp.Or(c.APIKeyID, spend.NoKey), Model: c.Model, ServiceTier: c.ServiceTier, Product: c.Product,
		}, analyticsDims)}] += c.Requests
	}
	res, err := w.store.Usage(w.t.Context(), storage.Query{Window: window, Step: spend.Hour, By: analyticsDims, Where: w.where()})
	require.NoError(w.t, err)
	for _, r := range res.Rows {
		if r.Requests != 0 {
			stored[usageKey{r.Start, r.Dims}] = r.Requests
		}
	}
	same(w.t, truth, stored)
}

// requireHourBill requires that the bill by the hour is the simulator's, and all of it billed.
func (w *world) requireHourBill(window spend.Window) {
	w.t.Helper()
	truth, stored := map[usageKey][2]spend.Money{}, map[usageKey][2]spend.Money{}
	for _, c := range w.org.TrueHourBill(window.Start, window.End) {
		k := usageKey{c.Start, spend.Dims{
			WorkspaceID: c.WorkspaceID, APIKeyID: cmp.Or(c.APIKeyID, spend.NoKey), Model: c.Model, ServiceTier: c.ServiceTier,
			Product: c.Product, CostType: c.CostType, TokenType: tokenType(c.TokenType),
		}}
		amount, err := spend.ParseCents(c.AmountCents)
		require.NoError(w.t, err)
		list, err := spend.ParseCents(c.ListCents)
		require.NoError(w.t, err)
		truth[k] = [2]spend.Money{truth[k][0] + amount, truth[k][1] + list}
	}
	res, err := w.store.Costs(w.t.Context(), storage.Query{Window: window, Step: spend.Hour, By: billDims, Where: w.where()})
	require.NoError(w.t, err)
	for _, r := range res.Rows {
		require.Equal(w.t, spend.Billed, r.Basis, "at %s", r.Start)
		stored[usageKey{r.Start, r.Dims}] = [2]spend.Money{r.Cost, r.List}
	}
	same(w.t, truth, stored)
}

// requireBill requires that the bill by the day is the simulator's by workspace and cost type, all
// of it billed, and that its shares by key add up to it.
func (w *world) requireBill(window spend.Window) {
	w.t.Helper()
	dims := []spend.Dimension{spend.ByWorkspace, spend.ByCostType}
	truth := map[usageKey]spend.Money{}
	for _, c := range w.org.TrueBill(window.Start, window.End) {
		amount, err := spend.ParseCents(c.AmountCents)
		require.NoError(w.t, err)
		truth[usageKey{c.Start, spend.Dims{WorkspaceID: c.WorkspaceID, CostType: c.CostType}}] += amount
	}
	for _, more := range [][]spend.Dimension{nil, {spend.ByAPIKey}} {
		res, err := w.store.Costs(w.t.Context(), storage.Query{Window: window, Step: spend.Day, By: append(dims, more...), Where: w.where()})
		require.NoError(w.t, err)
		stored := map[usageKey]spend.Money{}
		for _, r := range res.Rows {
			require.NotEqual(w.t, spend.Estimated, r.Basis, "on %s", r.Start)
			stored[usageKey{r.Start, by(r.Dims, dims)}] += r.Cost
		}
		same(w.t, truth, stored)
	}
}

// requireAll requires that all figures up to two hours ago are the true ones.
func (w *world) requireAll(dims []spend.Dimension) {
	w.t.Helper()
	window := spend.Window{
		Start: spend.Day.Floor(start.Add(-w.config.Backfill)), End: spend.Hour.Floor(time.Now()).Add(-2 * time.Hour),
	}
	w.requireUsage(window, spend.Hour, dims)
	w.requireRequests(window)
	w.requireHourBill(window)
}

func tokenType(s string) string {
	switch s {
	case "uncached_input_tokens":
		return spend.UncachedInput.TokenType()
	case "cache_read_input_tokens":
		return spend.CacheRead.TokenType()
	case "cache_creation.ephemeral_5m_input_tokens":
		return spend.CacheCreation5m.TokenType()
	case "cache_creation.ephemeral_1h_input_tokens":
		return spend.CacheCreation1h.TokenType()
	case "output_tokens":
		return spend.Output.TokenType()
	default:
		return s
	}
}

// same requires that two maps are equal, and says in few lines where they are not.
func same[K comparable, V comparable](t *testing.T, truth, stored map[K]V) {
	t.Helper()
	var diffs []string
	for k, v := range truth {
		if s, ok := stored[k]; !ok || s != v {
			diffs = append(diffs, fmt.Sprintf("%+v: want %v, stored %v", k, v, s))
		}
	}
	for k, s := range stored {
		if _, ok := truth[k]; !ok {
			diffs = append(diffs, fmt.Sprintf("%+v: want nothing, stored %v", k, s))
		}
	}
	slices.Sort(diffs)
	if len(diffs) > 0 {
		require.Failf(t, "stored figures are not the true ones", "%d of %d differ, the first: %v", len(diffs), len(truth), diffs[:min(len(diffs), 5)])
	}
	require.NotEmpty(t, truth, "there must be something to compare")
}

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelInfo}))
}
