package alerts_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage/storagetest"
)

func TestDigest(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	state := alerts.DigestState{
		Budgets: []alerts.BudgetState{
			{Name: "team-budget, Default", Spent: 920 * spend.Dollar, Limit: 1000 * spend.Dollar, Forecast: 1250 * spend.Dollar, Exhausted: reporttest.At(26, 0)},
			{Name: "gone", Spent: 7 * spend.Dollar, Limit: 5 * spend.Dollar, Exhausted: reporttest.At(10, 0).In(time.FixedZone("west", -3600)), Exceeded: true},
			{Name: "small", Spent: 0, Limit: 5 * spend.Dollar},
		},
		Alerts:   []spend.Alert{alerts.SampleAlert(reporttest.Now)},
		Findings: map[spend.Severity]int{spend.Critical: 1, spend.Warning: 3},
	}
	for name, c := range map[string]struct {
		organization string
		window       spend.Window
		state        alerts.DigestState
	}{
		"day":        {reporttest.Acme, spend.Window{Start: reporttest.At(20, 0), End: reporttest.At(21, 0)}, state},
		"weeks":      {reporttest.Acme, spend.Window{Start: reporttest.At(1, 0), End: reporttest.At(22, 9)}, alerts.DigestState{Findings: map[spend.Severity]int{}}},
		"first_day":  {reporttest.Beta, spend.Window{Start: reporttest.At(22, 0), End: reporttest.At(23, 0)}, alerts.DigestState{}},
		"first_read": {reporttest.Acme, spend.Window{Start: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), End: reporttest.At(1, 0)}, alerts.DigestState{}},
		"unknown":    {"no such organization", spend.Window{Start: reporttest.At(20, 0), End: reporttest.At(21, 0)}, alerts.DigestState{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			title, text, err := alerts.Digest(t.Context(), store, c.organization, c.window, c.state, reporttest.Now)
			require.NoError(t, err)
			golden.Check(t, "digest/"+name+".txt", []byte(title+"\n\n"+text))
		})
	}
}

// Digests are of whole hours, say so, and join.
func TestDigestOfWholeHours(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	minute := func(day, hour, minute int) time.Time {
		return reporttest.At(day, hour).Add(time.Duration(minute) * time.Minute)
	}
	for _, c := range []struct {
		from, to time.Time
		now      time.Time
		want     string
	}{
		{minute(20, 8, 30), minute(21, 8, 30), reporttest.Now, "from 2026-11-20 08:00 UTC to 2026-11-21 08:00 UTC (1 d)."},
		{minute(21, 8, 30), minute(22, 8, 30), reporttest.Now, "from 2026-11-21 08:00 UTC to 2026-11-22 08:00 UTC (1 d)."},
		{minute(20, 1, 3), minute(20, 1, 4), reporttest.Now, "from 2026-11-20 00:00 UTC to 2026-11-20 01:00 UTC (1 h)."},
		{minute(20, 1, 45), minute(20, 2, 0), reporttest.Now, "from 2026-11-20 01:00 UTC to 2026-11-20 02:00 UTC (1 h)."},
		{minute(20, 0, 0), minute(21, 0, 0), minute(20, 10, 20), "from 2026-11-20 00:00 UTC to 2026-11-20 10:00 UTC (10 h)."},
	} {
		_, text, err := alerts.Digest(t.Context(), store, reporttest.Acme, spend.Window{Start: c.from, End: c.to}, alerts.DigestState{}, c.now)
		require.NoError(t, err)
		require.Contains(t, text, "Spend of acme "+c.want)
	}
}

func TestDigestOfBrokenStore(t *testing.T) {
	t.Parallel()
	filled := reporttest.Filled(t)
	for _, method := range []string{"Organizations", "Costs", "Watermarks", "Workspaces", "APIKeys", "Slots"} {
		store := storagetest.Break(filled)
		store.Fail(errors.New("the disk is gone"), method)
		_, _, err := alerts.Digest(t.Context(), store, reporttest.Acme,
			spend.Window{Start: reporttest.At(20, 0), End: reporttest.At(21, 0)}, alerts.DigestState{}, reporttest.Now)
		require.ErrorContains(t, err, "digest: ", method)
		require.ErrorContains(t, err, "the disk is gone", method)
	}
}
