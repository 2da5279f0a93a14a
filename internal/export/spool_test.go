package export

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Samples come out in the same order whether they fit in memory or not.
func TestSpool(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var all []sample
	for at := range int64(500) {
		for series := range uint64(7) {
			all = append(all, sample{series<<familyBits | random.Uint64N(3), at, random.Float64()})
		}
	}
	want := slices.Clone(all)
	slices.SortStableFunc(want, sample.compare)
	for _, limit := range []int{1, 7, 3499, 3500, 3501, 1 << 20} {
		s := &spool{limit: limit}
		for _, x := range all {
			require.NoError(t, s.add(x))
		}
		var got []sample
		require.NoError(t, s.each(func(x sample) error {
			got = append(got, x)
			return nil
		}))
		require.NoError(t, s.close())
		require.Equal(t, want, got, "limit %d", limit)
	}
	s := &spool{limit: 10}
	require.NoError(t, s.each(func(sample) error { return nil }))
	require.NoError(t, s.close())
}
