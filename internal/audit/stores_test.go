package audit_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// onStores runs a test on both databases.
func onStores(t *testing.T, test func(t *testing.T, store storage.Store)) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	for name, open := range map[string]func(t *testing.T) (storage.Store, error){
		"sqlite": func(t *testing.T) (storage.Store, error) {
			return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), log)
		},
		"postgres": func(t *testing.T) (storage.Store, error) { return postgres.Open(t.Context(), pgtest.URL(t), log) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := open(t)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			test(t, store)
		})
	}
}

const organization = "5b0c7c2e-0000-4000-8000-000000000001"

// usage is use of a key on a day or in an hour, at a tenth of a cent and a bit.
func usage(bucket time.Time, key, workspace, model string) spend.Usage {
	u := spend.Usage{Bucket: bucket, Price: spend.Priced, Dims: spend.Dims{
		WorkspaceID: workspace, APIKeyID: key, Model: model, ServiceTier: "standard", ContextWindow: "0-200k", InferenceGeo: "global",
	}}
	u.Counts[spend.Output], u.Estimate[spend.Output] = 10, spend.Cent/10+7
	return u
}

// fill stores 400 days: 1 key in steady use, one that woke, one that moved, one that sleeps, and one that
// was used last before the days were forgotten. The day after tells of the hours.
func fill(t *testing.T, store storage.Store) storage.Owner {
	ctx, today := t.Context(), spend.Day.Floor(now)
	require.NoError(t, store.SaveOrganization(ctx, spend.Organization{ID: organization, Name: "acme"}, ago(1)))
	owner, err := store.Own(ctx, organization)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, owner.Release()) })
	at := func(days int) time.Time { return today.AddDate(0, 0, -days) }
	var rows []spend.Usage
	for d := 400; d > 0; d-- {
		rows = append(rows, usage(at(d), "apikey_steady", "wrkspc_a", "haiku"))
		switch {
		case d == 150 || d == 3:
			rows = append(rows, usage(at(d), "apikey_woke", "wrkspc_a", "haiku"))
		case d == 100:
			rows = append(rows, usage(at(d), "apikey_asleep", "wrkspc_a", "haiku"))
		}
		if d > 5 {
			rows = append(rows, usage(at(d), "apikey_moved", "wrkspc_a", "haiku"))
		} else {
			rows = append(rows, usage(at(d), "apikey_moved", "wrkspc_b", "haiku"))
		}
	}
	replace := func(g spend.Grain, from, to time.Time, rows []spend.Usage) {
		_, err := owner.ReplaceUsage(ctx, storage.Reading{
			Report: spend.ReportMessages, Grain: g, Window: spend.Window{Start: from, End: to}, At: now, DataAt: to,
		}, rows)
		require.NoError(t, err)
	}
	replace(spend.Day, at(400), today, rows)
	replace(spend.Hour, today, today.Add(12*time.Hour), []spend.Usage{
		usage(today.Add(2*time.Hour), "apikey_steady", "wrkspc_a", "haiku"), usage(today.Add(3*time.Hour), "apikey_moved", "wrkspc_b", "haiku"),
		usage(today.Add(3*time.Hour), spend.NoKey, "wrkspc_b", "haiku"),
	})
	require.NoError(t, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: now, ReadAt: now}))
	cost := func(key string, amount spend.Money) spend.Cost {
		return spend.Cost{Bucket: today.Add(time.Hour), Amount: amount, List: amount, Dims: spend.Dims{
			WorkspaceID: "wrkspc_a", APIKeyID: key, Model: "haiku", ServiceTier: "standard", CostType: "tokens", TokenType: "output",
		}}
	}
	_, err = owner.ReplaceCosts(ctx, storage.Reading{
		Report: spend.ReportAnalyticsCost, Grain: spend.Hour, Window: spend.Window{Start: today, End: today.Add(3 * time.Hour)}, At: now, DataAt: today.Add(3 * time.Hour),
	}, []spend.Cost{cost("apikey_steady", 123_456_789), cost("", 5), cost(spend.NoKey, 9)})
	require.NoError(t, err)
	require.NoError(t, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportAnalyticsCost, DataAt: today.Add(3 * time.Hour), ReadAt: now}))
	require.NoError(t, owner.SaveWorkspaces(ctx, []spend.Workspace{{ID: "wrkspc_a", Name: "search"}, {ID: "wrkspc_b", Name: "ads"}}, ago(1)))
	var keys []spend.APIKey
	for _, name := range []string{"steady", "woke", "moved", "asleep", "forgotten"} {
		keys = append(keys, spend.APIKey{
			ID: "apikey_" + name, Name: name, Status: "active", WorkspaceID: "wrkspc_a", CreatedByID: "user_ada", CreatorType: "user",
			CreatedAt: ago(300), ExpiresAt: now.AddDate(1, 0, 0),
		})
	}
	keys[4].CreatedAt = ago(500)
	require.NoError(t, owner.SaveAPIKeys(ctx, keys, ago(1)))
	require.NoError(t, owner.SaveMembers(ctx, []spend.Member{{ID: "user_ada", Email: "ada@acme.example", Role: "admin"}}, ago(1)))
	return owner
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store storage.Store) {
		ctx := t.Context()
		owner := fill(t, store)
		c := settings(func(c *audit.Config) { c.OlderThan, c.NoWorkspaceRole = 0, false })
		auditor := &audit.Auditor{Store: store, Config: c}
		got, err := auditor.Evaluate(ctx, organization, now)
		require.NoError(t, err)
		require.Equal(t, []string{
			"warning unused asleep: no use seen for 99 days since 2026-08-19",
			"warning unused forgotten: no use seen for 400 days since 2025-10-22",
			"warning moved moved: used from workspace ads, before only from search since 2026-11-21",
			"warning woke woke: used again after 146 days without use since 2026-11-23",
		}, show(got))
		require.Equal(t, "used until 2026-06-30, and again from 2026-11-23 on", got.Findings[3].Evidence, "long before what is compared")
		require.Equal(t, now, got.UsageAt)

		// The cost is that of a report, to the last digit.
		today := spend.Day.Floor(now)
		costs, err := report.Run(ctx, store, report.Params{
			Kind: report.Costs, Step: report.StepTotal, By: []spend.Dimension{spend.ByAPIKey}, From: today.AddDate(0, 0, -29), To: today.AddDate(0, 0, 1),
		})
		require.NoError(t, err)
		want := map[string]storage.KeyCost{}
		for _, r := range costs.Rows {
			if r.APIKeyID != "" && r.APIKeyID != spend.NoKey {
				want[r.APIKeyID] = storage.KeyCost{Cost: r.Cost, Basis: r.Basis}
			}
		}
		require.Equal(t, want, got.Costs)
		require.Equal(t, storage.KeyCost{Cost: 29*(spend.Cent/10+7) + 123_456_789, Basis: spend.Mixed}, got.Costs["apikey_steady"])
		require.Equal(t, costs.AsOf, got.CostAt)
		require.Equal(t, got.Costs["apikey_woke"].Cost, got.Findings[3].Cost)

		// What is stored is what rules are given, until it is too old.
		require.NoError(t, auditor.Save(ctx, owner, organization, now))
		stored, err := store.Audit(ctx, organization)
		require.NoError(t, err)
		require.Equal(t, got.Findings, stored.Findings)
		auditor.Config.UnusedFor = 0
		findings, err := auditor.Findings(ctx, organization, now.Add(time.Hour))
		require.NoError(t, err)
		require.Equal(t, got.Findings, findings)
		findings, err = auditor.Findings(ctx, organization, now.Add(time.Hour+time.Second))
		require.NoError(t, err)
		require.Len(t, findings, 2, "evaluated anew, with the configuration of now")
		findings, err = auditor.Findings(ctx, organization, now.Add(-time.Second))
		require.NoError(t, err)
		require.Len(t, findings, 2, "what was found later was not known yet")

		_, err = auditor.Evaluate(ctx, "5b0c7c2e-0000-4000-8000-000000000002", now)
		require.ErrorIs(t, err, storage.ErrNotFound)
	})
}

// Retention takes facts away, but not what the last use rests on.
func TestRetention(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store storage.Store) {
		ctx := t.Context()
		owner := fill(t, store)
		auditor := &audit.Auditor{Store: store, Config: settings(func(c *audit.Config) { c.OlderThan, c.NoWorkspaceRole = 0, false })}
		today := spend.Day.Floor(now)
		_, err := owner.Prune(ctx, storage.Keep{Minute: today.AddDate(0, 0, -95), Hour: today.AddDate(0, 0, -95), Day: today.AddDate(0, 0, -95)})
		require.NoError(t, err)
		got, err := auditor.Evaluate(ctx, organization, now)
		require.NoError(t, err)
		require.Equal(t, today.AddDate(0, 0, -95), got.HistorySince)
		require.Equal(t, []string{
			"warning unused asleep: no use seen for 95 days since 2026-08-23",
			"warning unused forgotten: no use seen for 95 days since 2026-08-23",
			"warning moved moved: used from workspace ads, before only from search since 2026-11-21",
			"warning woke woke: used again after 92 days without use since 2026-11-23",
		}, show(got), "no more is claimed than the history shows")
		require.Equal(t, "last billed Messages usage before 2026-08-19 00:00, known by the day", got.Findings[0].Evidence, "kept")
	})
}

// A gap of a day is bridged and told; beyond a longer one nothing is known.
func TestHistoryWithGaps(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store storage.Store) {
		ctx, today := t.Context(), spend.Day.Floor(now)
		require.NoError(t, store.SaveOrganization(ctx, spend.Organization{ID: organization, Name: "acme"}, ago(1)))
		owner, err := store.Own(ctx, organization)
		require.NoError(t, err)
		defer func() { require.NoError(t, owner.Release()) }()
		for _, days := range [][2]int{{200, 100}, {98, 50}, {49, 0}} {
			w := spend.Window{Start: today.AddDate(0, 0, -days[0]), End: today.AddDate(0, 0, -days[1])}
			_, err := owner.ReplaceUsage(ctx, storage.Reading{Report: spend.ReportMessages, Grain: spend.Day, Window: w, At: now, DataAt: w.End}, nil)
			require.NoError(t, err)
		}
		require.NoError(t, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: today, ReadAt: now}))
		got, err := (&audit.Auditor{Store: store, Config: audit.Defaults()}).Evaluate(ctx, organization, now)
		require.NoError(t, err)
		require.Equal(t, today.AddDate(0, 0, -98), got.HistorySince)
		require.EqualValues(t, 24, got.MissingHours)
	})
}

// broken is a store whose audit cannot be read.
type broken struct{ storage.Store }

func (broken) ListReads(context.Context, string) ([]storage.ListRead, error) {
	return nil, storage.ErrUnavailable
}

func TestBrokenStore(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: organization, Name: "acme"}, now))
	_, err = (&audit.Auditor{Store: broken{store}, Config: audit.Defaults()}).Evaluate(t.Context(), organization, now)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "lists read")
}
