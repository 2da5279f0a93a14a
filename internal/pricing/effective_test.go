package pricing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestEffective(t *testing.T) {
	t.Parallel()
	table, err := pricing.Load(nil)
	require.NoError(t, err)
	const haiku = "claude-haiku-5-5"
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	require.True(t, table.Stepped(haiku, at))
	require.False(t, table.Stepped("claude-sonnet-5-5", at))
	require.False(t, table.Stepped("nothing", at))

	row := func(tier, geo string, input, output int64) spend.Usage {
		return spend.Usage{
			Bucket: at, Dims: spend.Dims{Model: haiku, ServiceTier: tier, InferenceGeo: geo, ContextWindow: "0-200k", Speed: "standard"},
			Counts: spend.Counts{spend.UncachedInput: input, spend.Output: output},
		}
	}
	// Half of a million tokens below the step and half above it: 0.10 and 0.50, on average 0.30. Batch
	// counts half, the US a tenth more, priority not at all.
	usage := []spend.Usage{row("standard", "global", 1_000_000, 0), row("batch", "us", 1_000_000, 0), row("priority", "global", 9_000_000, 0)}
	billed := spend.Amounts{spend.UncachedInput: 300_000_000 + 300_000_000*55/100}
	price, ok := table.Effective(usage, billed)
	require.True(t, ok)
	require.Equal(t, 300_000_000*spend.Money(1), price.Input)
	upper := price.Kinds()
	require.Equal(t, price, pricing.PriceOf(upper))
	require.Equal(t, spend.Money(2_500_000_000), price.Output, "what was not used has the upper price")

	// With it the same usage is estimated at what it was billed, and marked as uncertain.
	u := row("batch", "us", 1_000_000, 0)
	table.WithEffective(haiku, price).Estimate(&u)
	require.Equal(t, spend.Money(300_000_000*55/100), u.Estimate.Sum())
	require.Equal(t, spend.Uncertain, u.Price)

	for _, test := range []struct {
		billed, want spend.Money
	}{{1, 100_000_000}, {9_000_000_000, 500_000_000}} {
		price, ok = table.Effective(usage[:1], spend.Amounts{spend.UncachedInput: test.billed})
		require.True(t, ok)
		require.Equal(t, test.want, price.Input, "never outside of the two prices")
	}
	for name, x := range map[string]struct {
		usage  []spend.Usage
		billed spend.Amounts
	}{
		"nothing used":   {nil, billed},
		"nothing billed": {usage, spend.Amounts{}},
		"only priority":  {usage[2:], billed},
		"no step":        {[]spend.Usage{{Bucket: at, Dims: spend.Dims{Model: "claude-sonnet-5-5"}, Counts: spend.Counts{1}}}, billed},
	} {
		_, ok = table.Effective(x.usage, x.billed)
		require.False(t, ok, name)
	}
}
