package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestExportAgrees compares what is exported, to the last digit, with what `monitor report` says and
// with the simulator's own bill, on both databases and both generations of reports.
func TestExportAgrees(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		for _, reports := range []string{"analytics", "cost_report"} {
			t.Run(database+" "+reports, func(t *testing.T) {
				t.Parallel()
				o := punctual(fullHour())
				o.DiscountPermille = 120
				if reports == "cost_report" {
					o.Analytics = "refused"
				}
				w := newWorld(t, database, o, "backfill: 8d\n")
				w.monitor("once")
				today := spend.Day.Floor(o.Now())
				all := spend.Window{Start: today.AddDate(0, 0, -7), End: o.Now()}
				newest := spend.Window{Start: o.Now().Add(-30 * time.Hour), End: o.Now()} // cuts a day
				billed := spend.Window{Start: today.AddDate(0, 0, -7), End: today.AddDate(0, 0, -5)}
				w.csvAgrees(all, "day")
				w.csvAgrees(newest, "hour")
				w.csvAgrees(billed, "hour")
				w.focusAgrees(all, "day", "--include-estimated")
				w.focusAgrees(newest, "hour", "--include-estimated")
				w.focusAgrees(billed, "hour")
				w.focusAgrees(billed, "day")
				// In the first minutes of an hour the one before is not complete yet, and has no sample.
				w.openMetricsAgree(spend.Window{Start: newest.Start, End: newest.End.Add(-time.Hour)})
				cells := w.org.TrueBill(billed.Start, billed.End)
				if reports == "analytics" {
					cells = w.org.TrueHourBill(billed.Start, billed.End)
				}
				var bill int64
				for _, r := range w.exported("focus", billed, "day") {
					m, err := spend.ParseUSD(r["BilledCost"])
					require.NoError(t, err)
					bill += int64(m)
					require.NotEqual(t, string(spend.Estimated), r["x_Basis"])
				}
				require.Equal(t, sim.SumNanoUSD(cells), bill, "FOCUS and the simulator's bill")
			})
		}
	}
}

// exported runs an export and returns its rows by column.
func (w *world) exported(format string, window spend.Window, step string, more ...string) []map[string]string {
	w.t.Helper()
	text := w.monitor(append([]string{
		"export", format, "--step", step, "--from", window.Start.Format(time.RFC3339), "--to", window.End.Format(time.RFC3339),
	}, more...)...)
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	require.NoError(w.t, err)
	require.Greater(w.t, len(lines), 1, "%s %v", format, window)
	var rows []map[string]string
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// reported is what `monitor report` says of the window.
func (w *world) reported(window spend.Window, by string, more ...string) answer {
	w.t.Helper()
	var x answer
	d := json.NewDecoder(strings.NewReader(w.monitor(append([]string{
		"report", "--format", "json", "--by", by, "--from", window.Start.Format(time.RFC3339), "--to", window.End.Format(time.RFC3339),
	}, more...)...)))
	d.UseNumber()
	require.NoError(w.t, d.Decode(&x))
	require.NotEmpty(w.t, x.Data)
	return x
}

// csvAgrees compares cost, list price and every count by workspace, key and model. By the day the
// report is asked for whole days too.
func (w *world) csvAgrees(window spend.Window, step string) {
	w.t.Helper()
	a := agreement{w, window.End}
	asked := window
	if step == "day" {
		asked = window.Align(spend.Day)
	}
	want, got := figures{}, figures{}
	about := func(r map[string]any, name string) []any {
		return []any{name, r["organization"], r["workspace_id"], r["workspace"], r["api_key_id"], r["api_key"], r["model"]}
	}
	for _, r := range w.reported(asked, "workspace,api_key,model").Data {
		want.add(a.money(r["cost_usd"]), about(r, "cost_usd")...)
		want.add(a.money(r["list_usd"]), about(r, "list_usd")...)
	}
	for _, r := range w.reported(asked, "workspace,api_key,model", "--usage").Data {
		for _, name := range countNames {
			want.add(a.count(r[name]), about(r, name)...)
		}
	}
	for _, r := range w.exported("csv", window, step) {
		x := map[string]any{}
		for k, v := range r {
			x[k] = v
		}
		got.add(a.money(r["cost_usd"]), about(x, "cost_usd")...)
		got.add(a.money(r["list_usd"]), about(x, "list_usd")...)
		for _, name := range countNames {
			n, err := strconv.ParseInt(r[name], 10, 64)
			require.NoError(w.t, err)
			got.add(n, about(x, name)...)
		}
	}
	requireSame(w.t, want, got, "csv by the "+step+" and report, "+window.String())
}

// focusAgrees compares billed cost and list cost by workspace, key, model and tier, and tokens by key.
func (w *world) focusAgrees(window spend.Window, step string, more ...string) {
	w.t.Helper()
	a := agreement{w, window.End}
	asked := window
	if step == "day" {
		asked = window.Align(spend.Day)
	}
	want, got := figures{}, figures{}
	x := w.reported(asked, "workspace,api_key,model,service_tier,cost_type,token_type")
	for _, r := range x.Data {
		about := []any{r["workspace_id"], r["api_key_id"], r["model"], r["service_tier"], r["cost_type"], r["token_type"]}
		if r["api_key"] == "(unattributed)" {
			about[1] = ""
		}
		want.add(a.money(r["cost_usd"]), append(about, "cost")...)
		want.add(a.money(r["list_usd"]), append(about, "list")...)
	}
	var total int64
	for _, r := range w.exported("focus", window, step, more...) {
		about := []any{r["SubAccountId"], r["ResourceId"], r["x_Model"], r["x_ServiceTier"], r["x_CostType"], r["x_TokenType"]}
		got.add(a.money(r["BilledCost"]), append(about, "cost")...)
		got.add(a.money(r["ListCost"]), append(about, "list")...)
		total += a.money(r["BilledCost"])
	}
	requireSame(w.t, want, got, "focus by the "+step+" and report, "+window.String())
	require.Equal(w.t, a.money(x.Total["cost_usd"]), total)
}

// openMetricsAgree compares the gauges of today and yesterday, by model and by key, at the window's end.
func (w *world) openMetricsAgree(window spend.Window) {
	w.t.Helper()
	text := w.monitor("export", "openmetrics", "--from", window.Start.Format(time.RFC3339), "--to", window.End.Format(time.RFC3339))
	in := spend.Day.Floor(window.End.Add(-1))
	for period, of := range map[string]spend.Window{
		"today": {Start: in, End: window.End}, "yesterday": {Start: in.AddDate(0, 0, -1), End: in},
	} {
		want, err := spend.ParseUSD(w.reported(of, "organization").Total["cost_usd"].(string))
		require.NoError(w.t, err)
		for _, name := range []string{"anthropic_cost_usd", "anthropic_api_key_cost_usd"} {
			sample := regexp.MustCompile(fmt.Sprintf(`(?m)^%s\{.*period=%q.*\} (\S+) %d$`, name, period, window.End.Unix()))
			var got float64
			for _, m := range sample.FindAllStringSubmatch(text, -1) {
				value, err := strconv.ParseFloat(m[1], 64)
				require.NoError(w.t, err)
				got += value
			}
			require.InDelta(w.t, want.USD(), got, 1e-6, "%s of %s", name, period)
		}
	}
}

// TestExportToPrometheus makes blocks of an export, starts a real Prometheus on them and compares what
// it serves at several times with the simulator and with `monitor report`.
func TestExportToPrometheus(t *testing.T) {
	t.Parallel()
	now := fullHour()
	end := now.Add(-time.Hour) // in the first minutes of an hour the one before is not complete yet, and has no sample
	live := now.Add(-30 * time.Hour)
	w := newWorld(t, "sqlite", punctual(now), "backfill: 4d\n")
	w.liveSince(live)
	w.monitor("once")
	from := spend.Day.Floor(now).AddDate(0, 0, -3)
	file := filepath.Join(w.dir, "history.om")
	w.monitor("export", "openmetrics", "--from", from.Format(time.RFC3339), "--output", file, "--label", "job=monitor")

	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), tool(t, "promtool"), "tsdb", "create-blocks-from", "--max-block-duration=24h",
		"openmetrics", file, filepath.Join(dir, "data")).CombinedOutput()
	require.NoError(t, err, "promtool: %s", out)
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, nil, 0o600))
	p := w.prometheusOf(dir, config)
	value := func(query string, at time.Time) float64 {
		t.Helper()
		text := strings.ReplaceAll(query, "$at", strconv.FormatInt(at.Unix(), 10))
		got := p.query(text)
		require.Len(t, got, 1, "%s at %s", text, at)
		return got[0].values[0]
	}
	output := func(from, to time.Time) (n float64) {
		for _, c := range w.org.TrueUsage(from, to) {
			n += float64(c.Output)
		}
		return n
	}
	dollars := func(from, to time.Time) float64 {
		t.Helper()
		x := w.reported(spend.Window{Start: from, End: to}, "organization")
		m, err := spend.ParseUSD(x.Total["cost_usd"].(string))
		require.NoError(t, err)
		return m.USD()
	}
	const tokens = `sum(anthropic_tokens_total{token_type="output"} @ $at)`
	for _, at := range []time.Time{from.Add(5 * time.Hour), from.Add(24 * time.Hour), live, live.Add(time.Hour), now.Add(-7 * time.Hour), end} {
		begin := from
		if at.After(live) {
			begin = live
		}
		require.Equal(t, output(begin, at), value(tokens, at), "tokens at %s", at)

		in := at.Add(-time.Second) // a sample at midnight is of the day that ends
		require.InDelta(t, dollars(spend.Day.Floor(in), at), value(`sum(anthropic_cost_usd{period="today"} @ $at)`, at), 1e-6, "today at %s", at)
		require.InDelta(t, value(`sum(anthropic_cost_usd{period="today"} @ $at)`, at),
			value(`sum(anthropic_api_key_cost_usd{period="today"} @ $at)`, at), 1e-6, "keys at %s", at)

		var cached, input float64
		for _, c := range w.org.TrueUsage(at.Add(-time.Hour), at) {
			cached += float64(c.CacheRead)
			input += float64(c.UncachedInput + c.CacheRead + c.CacheCreation5m + c.CacheCreation1h)
		}
		require.NotZero(t, input)
		low, high := value(`min(anthropic_cache_hit_ratio @ $at)`, at), value(`max(anthropic_cache_hit_ratio @ $at)`, at)
		require.LessOrEqual(t, low, cached/input)
		require.GreaterOrEqual(t, high, cached/input)
	}
	// Before its first hour a counter was 0, and the drop at the begin of live collection is a reset:
	// no use is lost.
	// increase() extrapolates to the edges; the sums of what each hour added do not.
	var increase float64
	for _, s := range p.query(fmt.Sprintf(`anthropic_tokens_total{token_type="output"}[%dh] @ %d`, int(end.Sub(from)/time.Hour)+1, end.Unix())) {
		require.Equal(t, "monitor", s.labels["job"])
		require.Zero(t, s.values[0], "%v at %v", s.labels, s.at[0])
		for i := 1; i < len(s.values); i++ {
			if s.values[i] >= s.values[i-1] {
				increase += s.values[i] - s.values[i-1]
			} else {
				require.Equal(t, float64(live.Add(time.Hour).Unix()), s.at[i], "%v falls", s.labels)
				increase += s.values[i]
			}
		}
	}
	require.Equal(t, output(from, end), increase)
}

// TestExportOutput checks that a file gets its name only when all of it is there.
func TestExportOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, link := filepath.Join(dir, "out.csv"), filepath.Join(dir, "link.csv")
	require.NoError(t, os.WriteFile(name, []byte("before"), 0o600))
	require.NoError(t, os.Symlink(name, link))
	files := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	content := func() string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}
	for _, reason := range []error{errors.New("the store is gone"), context.Canceled, nil} {
		out, err := newOutput(nil, link)
		require.NoError(t, err)
		_, err = out.Write([]byte("after"))
		require.NoError(t, err)
		require.Equal(t, "before", content())
		if reason == nil {
			require.NoError(t, out.finish(nil))
			break
		}
		require.ErrorIs(t, out.finish(reason), reason)
		require.Equal(t, []string{"link.csv", "out.csv"}, files())
	}
	require.Equal(t, "after", content())
	require.Equal(t, []string{"link.csv", "out.csv"}, files())

	out, err := newOutput(nil, os.DevNull)
	require.NoError(t, err)
	require.NoError(t, out.finish(nil))
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular(), "a device is written to, not replaced")
	_, err = newOutput(nil, dir)
	require.ErrorContains(t, err, "is a directory")
	_, err = newOutput(nil, filepath.Join(dir, "none", "x"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestExportBrokenPipe checks that a reader who has seen enough is no error.
func TestExportBrokenPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 2d\n")
	w.monitor("once")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	defer writer.Close()
	for _, format := range []string{"openmetrics", "csv", "focus"} {
		var stderr bytes.Buffer
		err := w.app(t.Context(), writer, &stderr).run([]string{"--config", w.config, "--log-level", "error", "export", format, "--from", spend.Day.Floor(time.Now()).AddDate(0, 0, -2).Format(time.DateOnly)})
		require.NoError(t, err, format)
		require.Empty(t, stderr.String(), format)
	}
}
