package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// TestPrometheus has a real Prometheus scrape the daemon through a downward revision, restarts, a
// kill and a prune, and looks at every sample that it stored.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	now := fullHour()
	live := spend.Day.Floor(now).AddDate(0, 0, -3)
	w := newWorld(t, "sqlite", punctual(now), "backfill: 10d\n")
	w.liveSince(live)
	p := w.prometheus()

	daemon := w.daemon()
	agreement{w, now}.counters(live)
	w.promtool("check", "metrics")
	p.shows(daemon, `up{job="monitor"}`, 1)
	p.shows(daemon, `anthropic_monitor_leader`, 1)
	p.shows(daemon, `anthropic_monitor_config_last_reload_successful`, 1)
	used := func() (n float64) {
		for _, c := range w.org.TrueUsage(live, now) {
			n += float64(c.Output)
		}
		return n
	}()
	p.shows(daemon, `sum(anthropic_tokens_total{token_type="output"})`, used)
	p.shows(daemon, `count(anthropic_cost_usd_total) > bool 0`, 1)

	// The last full hour vanishes from the reports: what was counted falls, what is shown stands.
	tokens := func() int64 {
		a := agreement{w, now}
		return a.count(a.ask("/api/v1/usage", spend.Window{Start: live, End: now}, "").Total["output_tokens"])
	}
	require.Equal(t, int64(used), tokens())
	w.org.Faults().Arm(sim.Rule{Fault: sim.Vanish, Path: "/usage_report/messages", From: now.Add(-time.Hour), To: now})
	since := time.Now()
	once := w.start("once") // has the daemon do it
	require.Zero(t, once.wait(), "%s\n%s", once.log, daemon.log)
	fewer := tokens()
	require.Less(t, fewer, int64(used), "the revision")
	p.refreshed(daemon, since)
	p.shows(daemon, `sum(anthropic_tokens_total{token_type="output"})`, used)
	daemon.kill()

	owner, release := w.own()
	removed, err := owner.Prune(t.Context(), storage.Keep{Minute: now.Add(-2 * time.Hour), Hour: live.AddDate(0, 0, 1)})
	require.NoError(t, err)
	require.Positive(t, removed, "rows pruned")
	release()

	since = time.Now()
	daemon = w.daemon()
	require.Equal(t, fewer, tokens(), "pruning changes no sum")
	p.refreshed(daemon, since)
	p.shows(daemon, `sum(anthropic_tokens_total{token_type="output"})`, used)
	daemon.stop()
	p.shows(daemon, `up{job="monitor"}`, 0)

	w.org.Faults().Disarm()
	since = time.Now()
	daemon = w.daemon()
	w.eventually(func() bool { return tokens() == int64(used) }, daemon.log, "the hour does not come back")
	p.refreshed(daemon, since)
	p.shows(daemon, `sum(anthropic_tokens_total{token_type="output"})`, used)
	p.shows(daemon, `up{job="monitor"}`, 1)
	p.neverFalls()
}

// tool finds a program of Prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "%s is not installed: install Prometheus (Debian and Ubuntu: apt-get install prometheus; macOS: brew install prometheus)", name)
	return path
}

// promtool has Prometheus's tool look at /metrics, and requires that it finds nothing to say.
func (w *world) promtool(args ...string) {
	w.t.Helper()
	_, body := w.get("/metrics")
	cmd := exec.CommandContext(w.t.Context(), tool(w.t, "promtool"), args...)
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "promtool %v: %s", args, out)
	require.Empty(w.t, string(out), "promtool %v", args)
}

// prometheusServer is a real Prometheus that scrapes the daemon.
type prometheusServer struct {
	*world
	address string
	log     *lockedBuffer
}

// prometheus starts one that scrapes the daemon each second; it ends with the test.
func (w *world) prometheus() *prometheusServer {
	w.t.Helper()
	dir := w.t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(w.t, os.WriteFile(file, []byte(fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: monitor
    static_configs: [{targets: [%q]}]
`, w.listen)), 0o600))
	out, err := exec.CommandContext(w.t.Context(), tool(w.t, "promtool"), "check", "config", file).CombinedOutput()
	require.NoError(w.t, err, "promtool check config: %s", out)
	return w.prometheusOf(dir, file)
}

// prometheusOf starts one on the configuration, with its data in the directory data.
func (w *world) prometheusOf(dir, file string) *prometheusServer {
	w.t.Helper()
	p := &prometheusServer{world: w, address: freeAddress(w.t), log: &lockedBuffer{}}
	binary, err := os.Executable()
	require.NoError(w.t, err)
	cmd := exec.Command(binary)
	cmd.Args = []string{
		"tethered", tool(w.t, "prometheus"), "--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--web.listen-address=" + p.address, "--log.level=warn", "--storage.tsdb.retention.time=10y",
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p.log, p.log
	tether, err := cmd.StdinPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, cmd.Start())
	w.t.Cleanup(func() {
		_ = tether.Close() // it is killed: its data is not needed any more
		_ = cmd.Wait()
	})
	w.eventually(func() bool {
		r, err := http.Get("http://" + p.address + "/-/ready") //nolint:noctx // bounded by the test
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	}, p.log, "Prometheus does not become ready")
	return p
}

// series is one in an answer of Prometheus, with all its samples by their time in seconds.
type series struct {
	labels map[string]string
	at     []float64
	values []float64
}

// query asks Prometheus as of now.
func (p *prometheusServer) query(text string) []series {
	p.t.Helper()
	return p.ask("query", url.Values{"query": {text}})
}

// ask asks Prometheus: "query" at one time, "query_range" over some.
func (p *prometheusServer) ask(path string, values url.Values) (all []series) {
	p.t.Helper()
	r, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + values.Encode()) //nolint:noctx // bounded by the test
	require.NoError(p.t, err, p.log)
	defer r.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  []any
				Values [][]any
			}
		}
	}
	require.NoError(p.t, json.NewDecoder(r.Body).Decode(&answer))
	require.Equal(p.t, "success", answer.Status, "%s: %s", values.Get("query"), answer.Error)
	for _, x := range answer.Data.Result {
		s := series{labels: x.Metric}
		if x.Value != nil {
			x.Values = append(x.Values, x.Value)
		}
		for _, v := range x.Values {
			value, err := strconv.ParseFloat(v[1].(string), 64)
			require.NoError(p.t, err)
			s.at, s.values = append(s.at, v[0].(float64)), append(s.values, value)
		}
		all = append(all, s)
	}
	return all
}

// refreshed waits until Prometheus has metrics of this daemon that were brought up to date since.
func (p *prometheusServer) refreshed(daemon *running, since time.Time) {
	p.t.Helper()
	p.eventually(func() bool {
		got := p.query(`process_start_time_seconds{job="monitor"} * on (instance) (anthropic_monitor_snapshot_timestamp_seconds >= bool ` +
			strconv.FormatInt(since.Unix(), 10) + `)`)
		for _, s := range p.scrape() {
			if s.name == "process_start_time_seconds" {
				return len(got) == 1 && got[0].values[0] == s.value
			}
		}
		return false
	}, daemon.log, "Prometheus does not get metrics that are up to date")
}

// shows waits until a query gives one series of the value.
func (p *prometheusServer) shows(daemon *running, query string, want float64) {
	p.t.Helper()
	var got []series
	p.eventually(func() bool {
		got = p.query(query)
		return len(got) == 1 && math.Abs(got[0].values[0]-want) < 1e-6
	}, printed{func() string { return fmt.Sprint(got, "\n", daemon.log) }}, fmt.Sprintf("Prometheus does not show %s as %v", query, want))
}

// neverFalls looks at all samples of all counters: those about the organization never fall, the
// others only where a daemon was started.
func (p *prometheusServer) neverFalls() {
	p.t.Helper()
	started := map[float64]float64{} // when the daemon of a scrape was started, by the time of the scrape
	runs := map[float64]bool{}
	for _, s := range p.query(`process_start_time_seconds{job="monitor"}[1h]`) {
		for i, at := range s.at {
			started[at] = s.values[i]
			runs[s.values[i]] = true
		}
	}
	require.Len(p.t, runs, 3, "runs of the daemon that were scraped")
	counters, samples, kept := 0, 0, 0
	for _, s := range p.query(`{job="monitor",__name__=~".+_total"}[1h]`) {
		name := s.labels["__name__"]
		counters, samples = counters+1, samples+len(s.values)
		begins := map[float64]bool{}
		for i, at := range s.at {
			begins[started[at]] = true
			if i == 0 || s.values[i] >= s.values[i-1] {
				continue
			}
			require.False(p.t, ofOrganization(name), "%v fell from %v to %v", s.labels, s.values[i-1], s.values[i])
			require.NotEqual(p.t, started[s.at[i-1]], started[at], "%v fell from %v to %v in one run", s.labels, s.values[i-1], s.values[i])
		}
		if ofOrganization(name) && len(begins) == 3 {
			kept++
		}
	}
	require.Positive(p.t, kept, "counters of the organization in all runs")
	p.t.Logf("%d counters, %d of them of the organization in each of %d runs, %d samples", counters, kept, len(runs), samples)
	var names []string
	for _, s := range p.query(`count by (__name__) ({job="monitor",__name__=~"anthropic_.+_total"})`) {
		names = append(names, s.labels["__name__"])
	}
	require.Subset(p.t, names, []string{
		"anthropic_tokens_total", "anthropic_requests_total", "anthropic_cost_usd_total", "anthropic_api_key_tokens_total",
	}, strings.Join(names, " "))
}
