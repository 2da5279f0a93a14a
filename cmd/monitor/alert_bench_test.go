package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// leakSeeds are the organizations that are measured, whose ticks and leaks fall on different seconds.
var leakSeeds = []uint64{1, 2, 3, 4}

// BenchmarkTimeToAlert runs the daemon's generation, with the default schedule, on a fake clock and
// measures how long it takes until the message about a key that leaks is sent: since the leak began,
// since its cost was over the limit, and since the API showed that. The seconds are those of the fake
// clock, the worst of a few organizations.
func BenchmarkTimeToAlert(b *testing.B) {
	b.Run("reports", func(b *testing.B) {
		for b.Loop() {
			worst := worstLatency(b, sim.Options{Delay: 5 * time.Minute}, 15*time.Minute)
			b.ReportMetric(worst.visible.Seconds(), "s/visible")
			b.ReportMetric(worst.spent.Seconds(), "s/spent")
			b.ReportMetric(worst.begun.Seconds(), "s/begun")
		}
	})
	b.Run("analytics", func(b *testing.B) {
		for b.Loop() {
			worst := worstLatency(b, sim.Options{Legacy: "refused"}, time.Hour)
			b.ReportMetric(worst.visible.Seconds(), "s/analytics")
			b.ReportMetric(worst.spent.Seconds(), "s/spent")
			b.ReportMetric(worst.begun.Seconds(), "s/begun")
		}
	})
}

// latency is how long before the message the cost was over the limit, in the API and in truth, and the
// leak began.
type latency struct{ visible, spent, begun time.Duration }

// worstLatency is the longest of all organizations.
func worstLatency(b *testing.B, o sim.Options, window time.Duration) (worst latency) {
	measured := 0
	var tests []testing.InternalTest
	for _, seed := range leakSeeds {
		tests = append(tests, testing.InternalTest{Name: b.Name(), F: func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := o
				o.Seed = seed
				l := leakLatency(t, o, window)
				worst = latency{max(worst.visible, l.visible), max(worst.spent, l.spent), max(worst.begun, l.begun)}
				measured++
			})
		}})
	}
	// A bubble needs a test, which a benchmark is not.
	require.True(b, testing.RunTests(func(_, _ string) (bool, error) { return true, nil }, tests))
	require.Equal(b, len(leakSeeds), measured)
	return worst
}

// leakLimit is in dollars: more than any key costs otherwise in the window of the rule.
const leakLimit = 100

// leakLatency runs the daemon on the organization until it tells of a leak of a thousand dollars an
// hour.
func leakLatency(t *testing.T, o sim.Options, window time.Duration) latency {
	begin := time.Date(2026, time.November, 20, 12, 30, 7, 0, time.UTC)
	time.Sleep(time.Until(begin))
	from := spend.Hour.Ceil(begin)
	o.Start = begin.AddDate(0, 0, -3)
	o.Spikes = []sim.Spike{{Key: "support-agent", From: from, To: from.Add(4 * time.Hour), Factor: 200}}
	org := sim.New(o)
	analytics := o.Legacy == "refused"
	o.Delay, o.Legacy = time.Nanosecond, ""
	truth := sim.New(o) // the same organization, where all is reported at once

	receiver := &receiver{rule: "leak", key: "support-agent", told: make(chan time.Time, 1)}
	defer daemonTelling(t, org, receiver, `rules:
  - {name: leak, by: [api_key], notify: [receiver], threshold: {metric: cost_usd, window: `+window.String()+`, above: `+strconv.Itoa(leakLimit)+`}}
`)()
	time.Sleep(time.Until(from))
	first, grain, step := from.Add(-window), spend.Minute, time.Second // the rule's window never begins before
	if analytics {
		grain, step = spend.Hour, 10*time.Second // exports are published at full minutes
	}
	var visible, spent time.Time
	prices, err := pricing.Load(nil)
	require.NoError(t, err)
	api, ledger := newProbe(t, org, prices, analytics), newProbe(t, truth, prices, false)
	for deadline := from.Add(3 * time.Hour); ; time.Sleep(step) {
		now := time.Now().UTC()
		require.True(t, now.Before(deadline), "nobody is told")
		if spent.IsZero() && ledger.cost(first, now, grain) > leakLimit*spend.Dollar {
			spent = now
		}
		if visible.IsZero() && api.cost(first, now, grain) > leakLimit*spend.Dollar {
			visible = now
		}
		select {
		case at := <-receiver.told:
			require.False(t, visible.IsZero(), "told of what the API does not show: %s", at)
			t.Logf("seed %d: spent %s, visible %s, told %s", o.Seed, spent.Format(time.TimeOnly), visible.Format(time.TimeOnly), at.Format(time.TimeOnly))
			return latency{visible: at.Sub(visible), spent: at.Sub(spent), begun: at.Sub(from)}
		default:
		}
	}
}

// daemonTelling runs a generation of the daemon that tells the receiver, until stop is called.
func daemonTelling(t *testing.T, org *sim.Org, to *receiver, rules string) (stop func()) {
	a := &app{
		ctx: t.Context(), getenv: environment{"KEY": sim.AdminKey}.get, stdout: io.Discard, stderr: io.Discard,
		log: slog.New(slog.DiscardHandler), api: api{client: org.Client()},
	}
	path := filepath.Join(t.TempDir(), "monitor.db")
	store, err := sqlite.Open(t.Context(), path, a.log)
	require.NoError(t, err)
	config, err := parseConfig("monitor.yaml", []byte(`organizations: [{name: acme, admin_key: "${KEY}", base_url: "http://api.test"}]
storage: {sqlite: {path: "`+path+`"}}
backfill: 1d
notifiers: [{name: receiver, webhook: {url: "http://receiver.test"}}]
`+rules), a.getenv)
	require.NoError(t, err)
	g := &generation{config: config, store: store, reloaded: metrics.NewConfigReload()}
	require.NoError(t, g.build(a))
	// A connection would hold the bubble's clock.
	g.engine = alerts.NewEngine(alertOptions(a, config, store, map[string]alerts.Notifier{"receiver": to}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, store.Close())
	})
}

// receiver notes when it is first told that a rule fires of a key.
type receiver struct {
	rule, key string
	told      chan time.Time
}

func (r *receiver) Notify(_ context.Context, n spend.Notification) (string, error) {
	for _, a := range n.Alerts {
		if n.Event == spend.EventFiring && a.Rule == r.rule && a.Labels[string(spend.ByAPIKey)] == r.key {
			select {
			case r.told <- time.Now().UTC():
			default: // told before
			}
		}
	}
	return "", nil
}

func (*receiver) Check(context.Context) error { return nil }

// probe asks the API what a key costs, without a request budget.
type probe struct {
	t      *testing.T
	ask    func(context.Context, adminapi.Query) (adminapi.Answer[spend.Usage], error)
	prices *pricing.Table
	key    string
}

func newProbe(t *testing.T, org *sim.Org, prices *pricing.Table, analytics bool) *probe {
	client, err := adminapi.New(adminapi.Options{
		BaseURL: "http://api.test", HTTP: &http.Client{Transport: org.Client().Transport}, Limiter: rate.NewLimiter(rate.Inf, 1),
		Key: func(context.Context, bool) (string, error) { return sim.AdminKey, nil },
	})
	require.NoError(t, err)
	p := &probe{t: t, prices: prices, ask: client.Usage}
	if analytics {
		p.ask = client.AnalyticsUsage
	}
	keys, err := client.APIKeys(t.Context())
	require.NoError(t, err)
	for _, k := range keys {
		if k.Name == "support-agent" {
			p.key = k.ID
		}
	}
	require.NotEmpty(t, p.key)
	return p
}

// cost is the estimated cost of the key from a time on, as the API shows it now.
func (p *probe) cost(from, now time.Time, grain spend.Grain) (sum spend.Money) {
	q := adminapi.Query{Window: spend.Window{Start: from, End: grain.Ceil(now.Add(time.Second))}, Grain: grain}
	answer, err := p.ask(p.t.Context(), q)
	require.NoError(p.t, err)
	for _, u := range answer.Rows {
		if u.APIKeyID == p.key {
			p.prices.Estimate(&u)
			sum += u.Estimate.Sum()
		}
	}
	return sum
}
