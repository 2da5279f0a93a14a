package main

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

var seedFlag = flag.Uint64("seed", 0, "when the daemon is killed follows from the seed; 0: another one each time")

const kills = 8

// TestKilledAtAnyMoment kills the daemon with SIGKILL while it makes its database, fetches its
// first history and ticks. Afterwards every figure is the ledger's: none is missing, none counted
// twice, and no counter was ever higher than it is in the end.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			seed := *seedFlag
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			t.Logf("repeat with -seed=%d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			now := fullHour()
			live := now.AddDate(0, 0, -3)
			w := newWorld(t, database, punctual(now), "backfill: 20d\n")

			w.org.Faults().Arm(sim.Rule{Fault: sim.Down})
			for range 2 {
				w.killed(random, w.start("run"), 0, 500*time.Millisecond)
			}
			w.org.Faults().Disarm()
			w.liveSince(live)
			seen := w.watchCounters()
			for range kills {
				r := w.start("run")
				r.says("collecting")
				w.killed(random, r, 50*time.Millisecond, 1500*time.Millisecond)
			}
			once := w.start("once")
			require.Zero(t, once.wait(), once.log)
			stop := w.serve()

			a := agreement{w, now}
			a.all(20)
			a.counters(live)
			seen.check(a.scrape())
			stop()
		})
	}
}

// all compares all figures of the last days of a punctual organization with the ledger.
func (a agreement) all(days int) {
	a.t.Helper()
	start := spend.Day.Floor(a.now).AddDate(0, 0, -days)
	exported := a.now.Add(-time.Hour) // by analytics
	a.usage(spend.Window{Start: start, End: exported}, true)
	a.usage(spend.Window{Start: exported, End: a.now}, false)
	a.bill(spend.Window{Start: start, End: spend.Day.Floor(exported)}, true)
}

// killed kills the process some time later.
func (w *world) killed(random *rand.Rand, r *running, least, most time.Duration) {
	w.t.Helper()
	delay := least + time.Duration(random.Int64N(int64(most-least)))
	select {
	case <-time.After(delay):
	case <-r.ended:
		require.Fail(w.t, "the daemon ended by itself", r.log)
	}
	r.kill()
	jobs := strings.Count(r.log.String(), "job done")
	w.t.Logf("killed after %s, %d jobs done, %d requests answered so far", delay.Round(time.Millisecond), jobs, w.requests())
}

// requests counts the requests that the API has answered.
func (w *world) requests() (n int) {
	for _, c := range w.org.Requests() {
		n += c
	}
	return n
}

// counters compares the token counters with the ledger since collection began.
func (a agreement) counters(live time.Time) {
	a.t.Helper()
	window := spend.Window{Start: spend.Hour.Floor(live), End: a.now}
	names := map[string]string{}
	for _, r := range a.ask("/api/v1/usage", window, "by=workspace").Data {
		names[r["workspace_id"].(string)] = r["workspace"].(string)
	}
	want := figures{}
	for _, c := range a.org.TrueUsage(window.Start, window.End) {
		for i, n := range []int64{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output} {
			want.add(n, names[c.WorkspaceID], c.Model, c.ServiceTier, spend.Kind(i).TokenType())
		}
	}
	got := figures{}
	a.eventually(func() bool {
		clear(got)
		for _, s := range a.scrape() {
			if s.name == "anthropic_tokens_total" {
				got.add(int64(s.value), s.labels["workspace"], s.labels["model"], s.labels["service_tier"], s.labels["token_type"])
			}
		}
		return maps.Equal(want, got)
	}, printed{func() string { return difference(want, got) }}, "counters of tokens and the simulator's ledger")
}

// sample is a line of /metrics.
type sample struct {
	name    string
	labels  map[string]string
	counter bool
	value   float64
}

// scrape reads the counters and gauges of /metrics; where the daemon does not answer there are none.
func (w *world) scrape() (samples []sample) {
	status, body := w.get("/metrics")
	if status != http.StatusOK {
		return nil
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		w.t.Errorf("/metrics: %v", err)
	}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			s := sample{name: name, labels: map[string]string{}, counter: m.GetCounter() != nil}
			for _, p := range m.GetLabel() {
				s.labels[p.GetName()] = p.GetValue()
			}
			switch {
			case s.counter:
				s.value = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				s.value = m.GetGauge().GetValue()
			default:
				continue
			}
			samples = append(samples, s)
		}
	}
	return samples
}

// seenCounters are the counters of an organization as scrapes saw them.
type seenCounters struct {
	*world
	mu      sync.Mutex
	scrapes int
	highest map[string]float64
}

// watchCounters scrapes as long as the test runs.
func (w *world) watchCounters() *seenCounters {
	s := &seenCounters{world: w, highest: map[string]float64{}}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			s.check(w.scrape())
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	w.t.Cleanup(func() {
		close(stop)
		<-stopped
		s.mu.Lock()
		defer s.mu.Unlock()
		w.t.Logf("%d scrapes saw %d counters", s.scrapes, len(s.highest))
		if s.scrapes == 0 {
			w.t.Error("no scrape saw a counter")
		}
	})
	return s
}

// check compares a scrape with those before it.
func (c *seenCounters) check(scrape []sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counters := false
	for _, s := range scrape {
		if !s.counter || !ofOrganization(s.name) {
			continue
		}
		counters = true
		key := fmt.Sprint(s.name, s.labels)
		if before := c.highest[key]; s.value < before {
			c.t.Errorf("%s fell from %v to %v", key, before, s.value)
		}
		c.highest[key] = s.value
	}
	if counters {
		c.scrapes++
	}
}

// ofOrganization reports whether the metric is about an organization, not about a process.
func ofOrganization(name string) bool {
	return strings.HasPrefix(name, "anthropic_") && !strings.HasPrefix(name, "anthropic_monitor_")
}
