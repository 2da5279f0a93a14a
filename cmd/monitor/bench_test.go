package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/sim"
)

// benchDaysVariable says how many days BenchmarkLargeBackfill fetches.
const benchDaysVariable = "MONITOR_BENCH_DAYS"

// BenchmarkStartToFirstScrape starts the real program with an empty database and measures how long
// it takes until /metrics has cost, and until 90 days of history are there. The second is left out
// where the request budget decides it.
func BenchmarkStartToFirstScrape(b *testing.B) {
	program := build(b)
	b.Run("demo", func(b *testing.B) {
		for b.Loop() {
			address := benchAddress(b)
			p := start(b, program, nil, "demo", "--listen", address)
			b.ReportMetric(p.until(address, "/metrics", hasCost).Seconds(), "s/scrape")
			b.ReportMetric(p.until(address, "/api/v1/status", hasHistory).Seconds(), "s/history")
			b.ReportMetric(p.until(address, "/metrics", hasLastMonth).Seconds(), "s/last-month")
			p.stop()
		}
	})
	b.Run("run", func(b *testing.B) {
		for b.Loop() {
			server := httptest.NewServer(sim.New(sim.Options{Seed: 1, Revise: true}).Handler())
			address := benchAddress(b)
			config := benchConfig(b, server.URL, address, "sqlite", "")
			p := start(b, program, config.environ, "--config", config.file, "run")
			b.ReportMetric(p.until(address, "/metrics", hasCost).Seconds(), "s/scrape")
			p.stop()
			server.Close()
		}
	})
}

// BenchmarkIdleMemory measures the resident memory of the real program with some two thousand
// series of an organization that has ceased to use anything, as a Prometheus sees it that scrapes
// every 15 seconds: through three ticks and the minute after them. History is collected beforehand.
// Beside all of it it prints what is not pages of the program's own file, which the system can drop.
func BenchmarkIdleMemory(b *testing.B) {
	program := build(b)
	for _, database := range []string{"sqlite", "postgres"} {
		b.Run(database, func(b *testing.B) {
			for b.Loop() {
				idle(b, program, database)
			}
		})
	}
}

func idle(b *testing.B, program, database string) {
	now := time.Now()
	org := sim.New(sim.Options{Seed: 1, Scale: 230, Now: func() time.Time { return now }, Start: now.AddDate(0, 0, -12)})
	now = now.Add(-6 * time.Hour)
	switchOff(b, org)
	now = now.Add(6 * time.Hour)
	server := httptest.NewServer(org.Handler())
	defer server.Close()
	address := benchAddress(b)
	config := benchConfig(b, server.URL, address, database, "backfill: 10d\n")
	require.NoError(b, config.app(io.Discard).run([]string{"--config", config.file, "once"}))
	before := requestsOf(org)

	p := start(b, program, config.environ, "--config", config.file, "run")
	p.until(address, "/metrics", hasCost)
	first := p.memory("VmRSS")
	ticks := regexp.MustCompile(`(?m)^anthropic_monitor_job_runs_total\{.*job="usage".* ([0-9]+)$`)
	resident := regexp.MustCompile(`(?m)^process_resident_memory_bytes (\S+)$`)
	var body []byte
	var seen []float64 // MB
	for after := 0; after < 4; {
		time.Sleep(15 * time.Second)
		var status int
		status, body = p.get(address, "/metrics")
		require.Equal(b, http.StatusOK, status, p.output)
		rss, err := strconv.ParseFloat(string(resident.FindSubmatch(body)[1]), 64)
		require.NoError(b, err)
		seen = append(seen, rss/(1<<20))
		if m := ticks.FindSubmatch(body); m != nil && string(m[1]) >= "3" {
			after++
		}
		require.Less(b, len(seen), 40, "no three ticks in ten minutes")
	}
	series := 0
	for line := range bytes.Lines(body) {
		if bytes.HasPrefix(line, []byte("anthropic_")) {
			series++
		}
	}
	b.ReportMetric(float64(series), "series")
	b.ReportMetric(seen[len(seen)-1], "MB-resident")
	b.ReportMetric(slices.Max(seen), "MB-highest")
	b.ReportMetric(p.memory("RssAnon"), "MB-anonymous")
	b.Logf("%s, %d series: %.1f MB resident at the first scrape with cost, then %.1f; peak %.1f MB; at the end %.1f MB pages of the program; %d requests",
		database, series, first, seen, p.memory("VmHWM"), p.memory("RssFile"), requestsOf(org)-before)
	p.stop()
}

// switchOff ends the use of all keys with the running hour.
func switchOff(b *testing.B, org *sim.Org) {
	ask := func(method, path, body string, into any) {
		r, err := http.NewRequestWithContext(b.Context(), method, "http://sim.test/v1/organizations/api_keys"+path, strings.NewReader(body))
		require.NoError(b, err)
		r.Header.Set("X-Api-Key", sim.AdminKey)
		r.Header.Set("Anthropic-Version", "2023-06-01")
		answer, err := org.Client().Do(r)
		require.NoError(b, err)
		defer answer.Body.Close()
		require.Equal(b, http.StatusOK, answer.StatusCode)
		require.NoError(b, json.NewDecoder(answer.Body).Decode(into))
	}
	var list struct {
		Data []struct{ ID string }
	}
	ask(http.MethodGet, "?limit=1000", "", &list)
	require.NotEmpty(b, list.Data)
	for _, k := range list.Data {
		ask(http.MethodPost, "/"+k.ID, `{"status": "inactive"}`, new(any))
	}
}

// BenchmarkLargeBackfill has `monitor once` collect some days (MONITOR_BENCH_DAYS, default 1; the
// product's default is 90) of an organization with a thousand keys that use eight models every hour,
// in a process of its own without a request budget, and measures that process.
func BenchmarkLargeBackfill(b *testing.B) {
	days := 1
	if text := os.Getenv(benchDaysVariable); text != "" {
		var err error
		days, err = strconv.Atoi(text)
		require.NoError(b, err, benchDaysVariable)
	}
	for _, database := range []string{"sqlite", "postgres"} {
		for _, reports := range []string{"legacy", "auto"} {
			b.Run(database+"/"+reports, func(b *testing.B) {
				for b.Loop() {
					largeBackfill(b, database, reports, days)
				}
			})
		}
	}
}

func largeBackfill(b *testing.B, database, reports string, days int) {
	now := time.Now().UTC()
	org := sim.New(sim.Options{Seed: 1, Scale: sim.Large, Start: now.AddDate(0, 0, -days-1)})
	server := httptest.NewServer(org.Handler())
	defer server.Close()
	more := fmt.Sprintf("backfill: %dd\n", days)
	config := benchConfig(b, server.URL, benchAddress(b), database, more)
	text, err := os.ReadFile(config.file)
	require.NoError(b, err)
	text = bytes.Replace(text, []byte("base_url"), []byte("reports: "+reports+", base_url"), 1)
	require.NoError(b, os.WriteFile(config.file, text, 0o600))

	self, err := os.Executable()
	require.NoError(b, err)
	config.environ[processVariable] = "--config " + config.file + " once"
	p := start(b, self, config.environ, "-test.run=^TestProcess$", "-test.timeout=0")
	require.NoError(b, p.cmd.Wait(), p.output)
	took := time.Since(p.started)
	usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(b, ok)
	rows := 0
	for _, m := range regexp.MustCompile(`(?m)^\S+ .*? ok +([0-9]+) `).FindAllStringSubmatch(p.output.String(), -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(b, err)
		rows += n
	}
	require.Positive(b, rows, p.output)
	peak := float64(usage.Maxrss) / 1024
	b.ReportMetric(float64(days), "days")
	b.ReportMetric(float64(rows), "rows")
	b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
	b.ReportMetric(peak, "MB-peak")
	b.Logf("%s, %s reports, %d days: %d rows of %d requests in %s, %.0f rows/s, at most %.0f MB resident, %s CPU\n%s",
		database, reports, days, rows, requestsOf(org), took.Round(time.Millisecond), float64(rows)/took.Seconds(), peak,
		(p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Round(time.Millisecond), p.output)
}

// processVariable holds the arguments of [TestProcess].
const processVariable = "MONITOR_BENCH_PROCESS"

// TestProcess is the program, without a request budget, in a process of its own, for
// BenchmarkLargeBackfill. As a test there is nothing to it.
func TestProcess(*testing.T) {
	args := os.Getenv(processVariable)
	if args == "" {
		return
	}
	c := benchWorld{environ: environment{}}
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		c.environ[name] = value
	}
	collectOften(os.Getenv)
	os.Exit(exitCode(c.app(os.Stdout).run(strings.Fields(args))))
}

// benchWorld is a configuration and the environment it needs.
type benchWorld struct {
	b       *testing.B
	file    string
	environ environment
}

func benchConfig(b *testing.B, api, listen, database, more string) *benchWorld {
	dir := b.TempDir()
	w := &benchWorld{b, filepath.Join(dir, "monitor.yaml"), environment{"ADMIN_KEY": sim.AdminKey, "HOME": dir}}
	store := "{sqlite: {path: " + filepath.Join(dir, "monitor.db") + "}}"
	if database == "postgres" {
		w.environ["DATABASE_URL"] = pgtest.URL(b)
		store = "{postgres: {url: ${DATABASE_URL}}}"
	}
	text := fmt.Sprintf("organizations: [{admin_key: ${ADMIN_KEY}, base_url: %q}]\nstorage: %s\nweb: {listen: %q}\n%s", api, store, listen, more)
	require.NoError(b, os.WriteFile(w.file, []byte(text), 0o600))
	return w
}

// app is the program in this process, without a request budget.
func (w *benchWorld) app(stdout io.Writer) *app {
	a := &app{getenv: w.environ.get, stdout: stdout, stderr: os.Stderr, api: api{limiter: rate.NewLimiter(rate.Inf, 1)}}
	a.ctx = context.Background()
	if w.b != nil {
		a.ctx, a.stderr = w.b.Context(), io.Discard
	}
	return a
}

func benchAddress(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	require.NoError(b, l.Close())
	return l.Addr().String()
}

// build builds the program as it is released.
func build(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "monitor")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, "%s", out)
	return path
}

// benchProcess is a program that was started.
type benchProcess struct {
	b       *testing.B
	cmd     *exec.Cmd
	output  *lockedBuffer
	started time.Time
}

// start starts a program, which is killed at the end of the benchmark if it still runs.
func start(b *testing.B, program string, environ environment, args ...string) *benchProcess {
	p := &benchProcess{b: b, cmd: exec.CommandContext(b.Context(), program, args...), output: &lockedBuffer{}}
	p.cmd.Dir, p.cmd.Env = b.TempDir(), append(os.Environ(), "HOME="+b.TempDir())
	for name, value := range environ {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.started = time.Now()
	require.NoError(b, p.cmd.Start())
	return p
}

// stop ends the process as a service manager does.
func (p *benchProcess) stop() {
	require.NoError(p.b, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(p.b, p.cmd.Wait(), p.output)
}

// until asks until the answer is wanted, and returns how long that is after the start.
func (p *benchProcess) until(address, path string, wanted func(body []byte) bool) time.Duration {
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if status, body := p.get(address, path); status == http.StatusOK && wanted(body) {
			return time.Since(p.started)
		}
	}
	require.Fail(p.b, "the program does not answer as it should", "%s\n%s", path, p.output)
	return 0
}

func (p *benchProcess) get(address, path string) (status int, body []byte) {
	r, err := http.NewRequestWithContext(p.b.Context(), http.MethodGet, "http://"+address+path, nil)
	require.NoError(p.b, err)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil // not yet
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	require.NoError(p.b, err)
	return answer.StatusCode, body
}

// memory is a line of the process's status, in MB.
func (p *benchProcess) memory(name string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.b, err)
	m := regexp.MustCompile(name + `:\s+([0-9]+) kB`).FindSubmatch(status)
	require.NotNil(p.b, m, "%s in %s", name, status)
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(p.b, err)
	return kb / 1024
}

// hasCost and hasLastMonth report whether /metrics has cost; the latter needs all of last month.
func hasCost(body []byte) bool { return bytes.Contains(body, []byte("\nanthropic_cost_usd{")) }

func hasLastMonth(body []byte) bool {
	return regexp.MustCompile(`\nanthropic_cost_usd\{[^\n]*period="last_month"`).Match(body)
}

// hasHistory reports whether the status says that nothing of the history is missing.
func hasHistory(body []byte) bool {
	var status struct {
		Data []struct {
			Backfill *backfillStatus `json:"backfill"`
		} `json:"data"`
	}
	return json.Unmarshal(body, &status) == nil && len(status.Data) == 1 && status.Data[0].Backfill.complete()
}

type backfillStatus struct {
	UsageHours   int64 `json:"usage_hours"`
	UsageMissing int64 `json:"usage_hours_missing"`
	CostHours    int64 `json:"cost_hours"`
	CostMissing  int64 `json:"cost_hours_missing"`
}

func (s *backfillStatus) complete() bool {
	return s != nil && s.UsageHours > 0 && s.CostHours > 0 && s.UsageMissing == 0 && s.CostMissing == 0
}

func requestsOf(org *sim.Org) (n int) {
	for _, x := range org.Requests() {
		n += x
	}
	return n
}
