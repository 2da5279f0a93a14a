package collector_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestOnce(t *testing.T) {
	bubble(t, sim.Options{Seed: 40, SpendLimits: true}, func(w *world) {
		c := w.collector()
		runs, err := c.Once(w.t.Context(), time.Now())
		require.NoError(w.t, err)
		var jobs []string
		for _, r := range runs {
			jobs = append(jobs, r.Job)
			require.Equal(w.t, "ok", r.Outcome, "%s: %s", r.Job, r.Error)
			require.Equal(w.t, w.id, r.Organization)
			require.False(w.t, r.EndedAt.Before(r.StartedAt))
			if r.Job != "prune" {
				require.Positive(w.t, r.Requests, r.Job)
			}
		}
		require.Equal(w.t, []string{"usage", "cost", "inventory", "claude_code", "prune", "backfill", "reconcile"}, jobs)
		w.requireUsage(history(), spend.Hour, olderDims)
		w.requireHourBill(history())
		stored, err := w.store.Runs(w.t.Context(), w.id, 100)
		require.NoError(w.t, err)
		require.Len(w.t, stored, len(runs))
		w.requireSummed()

		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c.Metrics()...)
		registry.MustRegister(w.collector().Metrics()...) // another organization's
		problems, err := testutil.GatherAndLint(registry)
		require.NoError(w.t, err)
		require.Empty(w.t, problems)
		n, err := testutil.GatherAndCount(registry, "anthropic_monitor_job_runs_total", "anthropic_monitor_job_duration_seconds")
		require.NoError(w.t, err)
		require.Equal(w.t, 2*len(jobs), n)

		if testing.Short() {
			return // the organization of one key does not have everything
		}
		ctx := w.t.Context()
		for name, count := range map[string]func() (int, error){
			"workspaces":        func() (int, error) { x, err := w.store.Workspaces(ctx, w.id); return len(x), err },
			"api keys":          func() (int, error) { x, err := w.store.APIKeys(ctx, w.id); return len(x), err },
			"members":           func() (int, error) { x, err := w.store.Members(ctx, w.id); return len(x), err },
			"workspace members": func() (int, error) { x, err := w.store.WorkspaceMembers(ctx, w.id); return len(x), err },
			"invites":           func() (int, error) { x, err := w.store.Invites(ctx, w.id); return len(x), err },
			"rate limits":       func() (int, error) { x, err := w.store.RateLimits(ctx, w.id); return len(x), err },
			"spend limits":      func() (int, error) { x, err := w.store.SpendLimits(ctx, w.id); return len(x), err },
			"Claude Code": func() (int, error) {
				x, err := w.store.ClaudeCode(ctx, w.id, spend.Window{Start: start.Add(-30 * day), End: start})
				return len(x), err
			},
			"counters": func() (int, error) { x, err := w.store.Counters(ctx, w.id); return len(x), err },
		} {
			n, err := count()
			require.NoError(w.t, err, name)
			require.Positive(w.t, n, name)
		}
	})
}

func TestOnceFails(t *testing.T) {
	bubble(t, sim.Options{Seed: 41}, func(w *world) {
		w.org.Faults().Arm(sim.Rule{Fault: sim.Internal, Path: "usage_report/messages"})
		runs, err := w.collector().Once(w.t.Context(), time.Now())
		require.NoError(w.t, err)
		outcome := map[string]string{}
		for _, r := range runs {
			outcome[r.Job] = r.Outcome
		}
		require.Equal(w.t, "failed", outcome["usage"])
		require.Equal(w.t, "ok", outcome["cost"], "the error of one job does not stop the others")
		require.Equal(w.t, "ok", outcome["inventory"])

		w.org.Faults().Disarm()
		w.org.Faults().Arm(sim.Rule{Fault: sim.Down})
		_, err = w.collector().Once(w.t.Context(), time.Now())
		require.ErrorContains(w.t, err, "reading the organization")
	})
}

// TestRequests asks a running collector for history and for a collection.
func TestRequests(t *testing.T) {
	bubble(t, sim.Options{Seed: 42}, func(w *world) {
		w.config.Usage = "0 * * * *"
		stop := w.begin()
		time.Sleep(10 * time.Minute)

		window := spend.Window{Start: history().Start.Add(-20 * day), End: history().Start}
		fill, err := w.store.Ask(w.t.Context(), storage.Request{
			Organization: w.id, Kind: storage.RequestBackfill, Grain: spend.Hour, Window: window, AskedAt: time.Now(),
		})
		require.NoError(w.t, err)
		time.Sleep(5 * time.Minute)
		r, err := w.store.Request(w.t.Context(), fill)
		require.NoError(w.t, err)
		require.NotZero(w.t, r.DoneAt)
		require.Empty(w.t, r.Problem)
		w.requireUsage(window, spend.Hour, olderDims)
		w.requireRequests(window)
		w.requireHourBill(window)

		// Who changed something looks at what became of it: that takes all lists, also those read rarely.
		w.org.Faults().Arm(sim.Rule{Fault: sim.Forbidden, Path: "/members"})
		people := w.org.Requests()["GET /v1/organizations/users"]
		before := time.Now()
		collect, err := w.store.Ask(w.t.Context(), storage.Request{Organization: w.id, Kind: storage.RequestCollect, AskedAt: before})
		require.NoError(w.t, err)
		time.Sleep(time.Minute)
		r, err = w.store.Request(w.t.Context(), collect)
		require.NoError(w.t, err)
		require.NotZero(w.t, r.DoneAt)
		require.Empty(w.t, r.Problem)
		require.Equal(w.t, people+1, w.org.Requests()["GET /v1/organizations/users"])
		lists, err := w.store.ListReads(w.t.Context(), w.id)
		require.NoError(w.t, err)
		for _, l := range lists {
			if l.List == storage.ListWorkspaceMembers {
				require.False(w.t, l.RefusedAt.Before(before.Truncate(time.Second)))
			} else if l.RefusedAt.IsZero() {
				require.False(w.t, l.ReadAt.Before(before.Truncate(time.Second)), l.List)
			}
		}
		stop()
		runs, err := w.store.Runs(w.t.Context(), w.id, 5)
		require.NoError(w.t, err)
		for _, run := range runs {
			require.False(w.t, run.StartedAt.Before(before.Truncate(time.Second)), run.Job)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*collector.Config){
		"usage: schedule":      func(c *collector.Config) { c.Usage = "often" },
		"cost: schedule":       func(c *collector.Config) { c.Cost = "" },
		"inventory: schedule":  func(c *collector.Config) { c.Inventory = "@every 1s" },
		"prune: schedule":      func(c *collector.Config) { c.Prune = "0 0 30 2 *" },
		`reports "both"`:       func(c *collector.Config) { c.Reports = "both" },
		"must not be negative": func(c *collector.Config) { c.Backfill = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := baseConfig()
			change(&c)
			_, err := collector.New(collector.Options{Config: c})
			require.ErrorContains(t, err, name)
		})
	}
}

// What lists were read, and which one the credential may not read, is there for the audit to say.
func TestListsRead(t *testing.T) {
	bubble(t, sim.Options{Seed: 4, Scale: 1}, func(w *world) {
		reads := func() map[string]storage.ListRead {
			ls, err := w.store.ListReads(w.t.Context(), w.id)
			require.NoError(w.t, err)
			by := map[string]storage.ListRead{}
			for _, l := range ls {
				by[l.List] = l
			}
			return by
		}
		once := func() time.Time {
			time.Sleep(time.Minute)
			now := time.Now().UTC()
			_, err := w.collector().Once(w.t.Context(), now)
			require.NoError(w.t, err)
			return now.Truncate(time.Second)
		}
		w.org.Faults().Arm(sim.Rule{Fault: sim.Forbidden, Path: "/organizations/users"})
		at := once()
		require.True(w.t, reads()[storage.ListMembers].Refused())
		require.NotEmpty(w.t, reads()[storage.ListMembers].Reason)
		for _, l := range []string{storage.ListWorkspaces, storage.ListAPIKeys, storage.ListInvites, storage.ListWorkspaceMembers} {
			require.Equal(w.t, at, reads()[l].ReadAt, l)
			require.False(w.t, reads()[l].Refused(), l)
		}
		w.org.Faults().Disarm()
		at = once()
		require.False(w.t, reads()[storage.ListMembers].Refused())
		require.Equal(w.t, at, reads()[storage.ListMembers].ReadAt)
	})
}
