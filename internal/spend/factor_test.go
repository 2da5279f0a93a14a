package spend_test

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestFactor(t *testing.T) {
	t.Parallel()
	f, ok := spend.FactorOf(88*spend.Dollar, 100*spend.Dollar)
	require.True(t, ok)
	require.Equal(t, spend.Factor(880_000_000), f)
	require.Equal(t, "0.88", f.String())
	require.Equal(t, "-12.0 %", f.Percent())
	require.InDelta(t, 0.88, f.Float(), 0)
	require.Equal(t, 88*spend.Cent, f.Of(spend.Dollar))
	require.Equal(t, -88*spend.Cent, f.Of(-spend.Dollar))
	require.Equal(t, spend.Amounts{1: 88, 5: -88}, spend.Amounts{1: 100, 5: -100}.Of(f))

	half := spend.One / 2
	for in, want := range map[spend.Money]spend.Money{0: 0, 1: 0, 2: 1, 3: 2, 5: 2, 7: 4, -1: 0, -3: -2} {
		require.Equal(t, want, half.Of(in), "half of %d, to even", in)
	}
	for _, m := range []spend.Money{0, 1, -7, math.MaxInt64, math.MinInt64} {
		require.Equal(t, m, spend.One.Of(m))
	}
	require.Equal(t, spend.Money(math.MaxInt64), (2 * spend.One).Of(math.MaxInt64-1), "no overflow")

	for _, no := range [][2]spend.Money{{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {0, 0}, {math.MaxInt64, 1}} {
		_, ok := spend.FactorOf(no[0], no[1])
		require.False(t, ok, "%v", no)
	}
}

// TestFactorIsExact compares with arithmetic of any size.
func TestFactorIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.Int64Range(0, 1e15).Draw(t, "amount")
		f := rapid.Int64Range(0, 4e9).Draw(t, "factor")
		q, r := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(m), big.NewInt(f)), big.NewInt(1e9), new(big.Int))
		switch c := r.Cmp(big.NewInt(5e8)); {
		case c > 0, c == 0 && q.Bit(0) == 1:
			q.Add(q, big.NewInt(1))
		}
		require.Equal(t, q.Int64(), int64(spend.Factor(f).Of(spend.Money(m))))
	})
}
