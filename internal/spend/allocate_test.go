package spend_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestShares(t *testing.T) {
	t.Parallel()
	type m = []spend.Money
	tests := []struct {
		name    string
		amount  spend.Money
		weights m
		want    m
	}{
		{"even", 100, m{1, 1}, m{50, 50}},
		{"first of equal remainders", 100, m{1, 1, 1}, m{34, 33, 33}},
		{"two left over", 101, m{1, 1, 1}, m{34, 34, 33}},
		{"largest remainder", 10, m{10, 26, 64}, m{1, 3, 6}},
		{"remainder beats order", 1, m{1, 2}, m{0, 1}},
		{"zero weight gets nothing", 7, m{0, 2, 0, 1}, m{0, 5, 0, 2}},
		{"negative amount", -100, m{1, 1, 1}, m{-34, -33, -33}},
		{"nothing to share", 0, m{3, 4}, m{0, 0}},
		{"nothing to tell apart", 5, m{0, 0}, nil},
		{"no weights", 5, nil, nil},
		{"greatest amount", math.MaxInt64, m{math.MaxInt64, math.MaxInt64}, m{1 << 62, 1<<62 - 1}},
		{"least amount", math.MinInt64, m{5}, m{math.MinInt64}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, spend.Shares(test.amount, test.weights))
		})
	}
}

func TestSharesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := spend.Money(rapid.Int64().Draw(t, "amount"))
		weight := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, math.MaxInt64/20))
		weights := make([]spend.Money, rapid.IntRange(1, 20).Draw(t, "n"))
		var sum spend.Money
		for i := range weights {
			weights[i] = spend.Money(weight.Draw(t, "weight"))
			sum += weights[i]
		}
		parts := spend.Shares(amount, weights)
		if sum == 0 {
			require.Nil(t, parts)
			return
		}
		var total spend.Money
		for i, p := range parts {
			total += p
			exact := float64(amount) * (float64(weights[i]) / float64(sum))
			require.InDelta(t, exact, float64(p), 1+math.Abs(exact)*1e-9, "off by less than one")
			if weights[i] == 0 {
				require.Zero(t, p)
			}
		}
		require.Equal(t, amount, total)
	})
}
