package forecast_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestBalance(t *testing.T) {
	t.Parallel()
	noon := at(2026, 11, 15).Add(12 * time.Hour)
	since := at(2026, 11, 1)
	tenADay := history(noon, constant(10), 40)
	for _, tt := range []struct {
		name    string
		prepaid forecast.Prepaid
		used    float64
		h       forecast.History
		left    float64
		emptyAt time.Time
		days    float64
		method  forecast.Method
	}{
		{"amount less cost", forecast.Prepaid{Amount: dollars(245), Since: since}, 145, tenADay, 100, at(2026, 11, 25), 10, forecast.Weekday},
		{"with top-ups", forecast.Prepaid{Amount: dollars(100), Since: since, TopUps: []forecast.TopUp{
			{At: since, Amount: dollars(30)}, {At: noon, Amount: dollars(20)},
		}}, 145, tenADay, 5, at(2026, 11, 15), 0.5, forecast.Weekday},
		{"used up", forecast.Prepaid{Amount: dollars(145), Since: since}, 145, tenADay, 0, at(2026, 11, 15), 0, ""},
		{"overdrawn", forecast.Prepaid{Amount: dollars(100), Since: since}, 145, tenADay, -45, at(2026, 11, 15), 0, ""},
		{"for years", forecast.Prepaid{Amount: dollars(100_000), Since: since}, 145, tenADay, 99_855, time.Time{}, -1, forecast.Weekday},
		{"nothing is used", forecast.Prepaid{Amount: dollars(10), Since: since}, 0, history(noon, constant(0), 40), 10, time.Time{}, -1, forecast.Weekday},
		{"by run rate", forecast.Prepaid{Amount: dollars(100), Since: at(2026, 11, 13)}, 25, history(noon, constant(10), 2), 75, at(2026, 11, 22), 7.5, forecast.RunRate},
		{"no history", forecast.Prepaid{Amount: dollars(100), Since: since}, 0, forecast.History{AsOf: noon}, 100, time.Time{}, -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := forecast.NewBalance(tt.prepaid, forecast.Used{Cost: dollars(tt.used), Complete: true}, tt.h, noon.Add(time.Minute))
			require.NoError(t, err)
			require.Equal(t, dollars(tt.left), b.Left)
			require.Equal(t, tt.emptyAt, b.EmptyAt)
			require.InDelta(t, tt.days, b.DaysLeft, 0.11)
			require.Equal(t, tt.method, b.Method)
			require.Equal(t, noon, b.AsOf)
			require.True(t, b.Complete)
		})
	}
}

func TestBalanceRefuses(t *testing.T) {
	t.Parallel()
	now := at(2026, 11, 15)
	h := history(now, constant(10), 40)
	_, err := forecast.NewBalance(forecast.Prepaid{
		Amount: -1, Since: now.Add(time.Hour), TopUps: []forecast.TopUp{{At: now.Add(time.Minute), Amount: 0}, {}},
	}, forecast.Used{}, h, now)
	require.EqualError(t, err, "amount_usd: must not be negative, it is -0.000000001\n"+
		"since: 2026-11-15T01:00:00Z is in the future; enter a balance that was read already\n"+
		"top_ups[0].date: 2026-11-15T00:01:00Z is in the future; enter a top-up once it has been made\n"+
		"top_ups[0].amount_usd: must be above 0, it is 0\n"+
		"top_ups[1].date: must be set to the time of the top-up\n"+
		"top_ups[1].amount_usd: must be above 0, it is 0")

	_, err = forecast.NewBalance(forecast.Prepaid{Amount: 1, Since: at(2026, 11, 2), TopUps: []forecast.TopUp{
		{At: at(2026, 11, 1), Amount: spend.Dollar},
	}}, forecast.Used{}, h, now)
	require.EqualError(t, err, "top_ups[0].date: 2026-11-01T00:00:00Z is before since (2026-11-02T00:00:00Z), so that it is in amount_usd already")

	_, err = forecast.NewBalance(forecast.Prepaid{Amount: 1}, forecast.Used{}, h, now)
	require.ErrorContains(t, err, "since: must be set")

	_, err = forecast.NewBalance(forecast.Prepaid{Amount: 1, Since: now.Add(time.Hour)}, forecast.Used{}, h, now.Add(2*time.Hour))
	require.ErrorIs(t, err, forecast.ErrNoHistory, "nothing was read since")
}
