package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestLoadBalance(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	hourly(t, store, office) // eight dollars a day; two so far on the 22nd
	for _, tt := range []struct {
		name  string
		since time.Time
		left  spend.Money
		days  float64
	}{
		{"from a midnight on", reporttest.At(15, 0), 100*spend.Dollar - 58*spend.Dollar, 5.0},
		{"from an hour on", reporttest.At(15, 12).Add(30 * time.Minute), 100*spend.Dollar - 54*spend.Dollar, 5.5},
		{"from today on", reporttest.At(22, 9), 99 * spend.Dollar, 11.9},
		{"nothing used yet", reporttest.At(22, 10).Add(-time.Second), 99 * spend.Dollar, 11.9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := report.LoadBalance(t.Context(), store, reporttest.Acme, forecast.Prepaid{Amount: 100 * spend.Dollar, Since: tt.since}, reporttest.Now)
			require.NoError(t, err)
			require.Equal(t, tt.left, b.Left)
			require.True(t, b.Complete)
			require.Equal(t, reporttest.At(22, 10), b.AsOf)
			require.InDelta(t, tt.days, b.DaysLeft, 0.8)
			require.Equal(t, forecast.Weekday, b.Method)
		})
	}
	_, err := report.LoadBalance(t.Context(), store, reporttest.Acme, forecast.Prepaid{Since: reporttest.At(23, 0)}, reporttest.Now)
	require.ErrorContains(t, err, "since: 2026-11-23T00:00:00Z is in the future")
	_, err = report.LoadBalance(t.Context(), store, reporttest.Acme, forecast.Prepaid{Since: reporttest.At(22, 10).Add(10 * time.Minute)}, reporttest.Now)
	require.ErrorIs(t, err, forecast.ErrNoHistory)
}

// What was never read, or has no price, may have used the balance too.
func TestLoadBalanceIncomplete(t *testing.T) {
	t.Parallel()
	store := reporttest.Open(t)
	hourly(t, store, office, spend.Window{Start: reporttest.At(18, 12), End: reporttest.At(19, 0)})
	load := func(since time.Time) forecast.Balance {
		b, err := report.LoadBalance(t.Context(), store, reporttest.Acme, forecast.Prepaid{Amount: 100 * spend.Dollar, Since: since}, reporttest.Now)
		require.NoError(t, err)
		return b
	}
	require.False(t, load(reporttest.At(15, 0)).Complete)
	require.True(t, load(reporttest.At(19, 0)).Complete)

	store = reporttest.Filled(t)
	b := load(reporttest.At(1, 0))
	require.False(t, b.Complete, "tokens of a model without a price")
	require.Equal(t, 100*spend.Dollar-run(t, store, report.Costs, "organization=acme").Total.Cost, b.Left)
	require.True(t, load(reporttest.At(21, 0)).Complete)
	// The day of the bill of which only the day is known is cut by its hours: half of 6.50.
	require.Equal(t, load(reporttest.At(4, 0)).Left-325*spend.Cent, load(reporttest.At(3, 12)).Left)
}
