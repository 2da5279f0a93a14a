package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

const alertRules = `
rules:
  - {name: leak, severity: critical, by: [api_key], threshold: {metric: cost_usd, window: 1h, above: 100}}
  - {name: day, budget: {amount_usd: 300, period: day, actual: [100], forecast: []}}
  - {name: stale, severity: critical, stale: {after: 6h}}
`

// TestAlertsLive runs the daemon's generations for a day of a fake clock: a key leaks for three
// hours, in the midst of which the daemon is started anew, and later the API is away for eight hours.
func TestAlertsLive(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a day of ticks")
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Date(2026, time.November, 20, 12, 30, 7, 0, time.UTC)
		time.Sleep(time.Until(begin))
		leak := sim.Spike{Key: "support-agent", From: begin.Add(2 * time.Hour), To: begin.Add(5 * time.Hour), Factor: 60}
		org := sim.New(sim.Options{Seed: 3, Start: begin.AddDate(0, 0, -3), Spikes: []sim.Spike{leak}})
		logs := &lockedBuffer{}
		a := &app{
			ctx: t.Context(), getenv: environment{"KEY": sim.AdminKey}.get, stdout: io.Discard, stderr: logs,
			log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn})), api: api{client: org.Client()},
		}
		path := filepath.Join(t.TempDir(), "monitor.db")
		store, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		config, err := parseConfig("monitor.yaml", []byte(`organizations: [{name: acme, admin_key: "${KEY}", base_url: "http://api.test"}]
storage: {sqlite: {path: "`+path+`"}}
backfill: 1d
schedule: {usage: "*/20 * * * *", cost: "0 * * * *", inventory: "0 */6 * * *", evaluate: "*/20 * * * *"}
`+alertRules), a.getenv)
		require.NoError(t, err)
		run := func() (stop func()) {
			g := &generation{config: config, store: store, reloaded: metrics.NewConfigReload()}
			require.NoError(t, g.build(a))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- g.run(ctx) }()
			return sync.OnceFunc(func() {
				cancel()
				require.NoError(t, <-ended)
			})
		}

		stop := run()
		time.Sleep(time.Until(leak.From.Add(90 * time.Minute)))
		stop()
		stop = run()
		defer func() { stop() }()
		time.Sleep(time.Until(begin.Add(14 * time.Hour)))
		away := spend.Window{Start: time.Now().UTC(), End: time.Now().UTC().Add(8 * time.Hour)}
		org.Faults().Arm(sim.Rule{Fault: sim.Down})
		time.Sleep(time.Until(away.End))
		org.Faults().Disarm(sim.Down)
		time.Sleep(2 * time.Hour)
		stop()

		orgs, err := store.Organizations(t.Context())
		require.NoError(t, err)
		cs, err := store.AlertHistory(t.Context(), orgs[0].ID, spend.Window{Start: begin, End: time.Now()}, 1000)
		require.NoError(t, err)
		slices.Reverse(cs)
		lines := map[string][]string{}
		for _, c := range cs {
			lines[c.Alert.Rule] = append(lines[c.Alert.Rule], fmt.Sprintf("%s %s %s %s", c.At.Format("02 15"), c.To, c.Event, c.Alert.Subject))
		}
		require.Equal(t, 2, len(lines["leak"]), "told once, over the restart: %v", lines["leak"])
		require.True(t, strings.HasPrefix(lines["leak"][0], "20 14 firing firing api_key="), lines["leak"][0])
		require.True(t, strings.HasPrefix(lines["leak"][1], "20 19 resolved resolved"), lines["leak"][1])
		require.Len(t, lines["day"], 2, "crossed in the leak, over at midnight: %v", lines["day"])
		require.Contains(t, lines["day"][1], "21 00 resolved resolved")
		told := strings.Join(lines["stale"], "\n") // of the API's reports and of jobs
		require.NotEmpty(t, told)
		require.Equal(t, strings.Count(told, "firing firing"), strings.Count(told, "resolved resolved"), told)
		for _, line := range lines["stale"] {
			require.GreaterOrEqual(t, line[:5], away.Start.Add(4*time.Hour).Format("02 15"), "what is old is said, not before: %s", told)
		}
		require.Contains(t, told, "report=messages")
		require.Contains(t, told, "job=usage")
		require.Equal(t, 1, strings.Count(strings.Join(lines["leak"], "\n"), "firing firing"))
		states, err := store.RuleStates(t.Context(), orgs[0].ID)
		require.NoError(t, err)
		for _, s := range states {
			require.Empty(t, s.Problem, s.Rule)
		}
		out, err := store.Outbox(t.Context(), orgs[0].ID)
		require.NoError(t, err)
		require.Equal(t, []storage.Outgoing{}, out, "nobody is to be told")
	})
}
