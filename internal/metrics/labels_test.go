package metrics

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	l := newLabels("other")
	l.set("none", "")
	for _, tt := range []struct{ id, wanted, want string }{
		{"k_1", "ci", "ci"},
		{"k_2222222", "ci", "ci (222222)"},
		{"k_3", "ci (222222)", "ci (222222) (k_3)"},
		{"k_4444444", "other", "other (444444)"},
		{"k_5", "", " (k_5)"},
		{"k_1", "renamed", "ci"},
		{"none", "none", ""},
	} {
		l.add(tt.id, tt.wanted)
		require.Equal(t, tt.want, l.get(tt.id))
	}
	require.Equal(t, "unknown", l.get("unknown"))
	require.Equal(t, "ci (ci)", l.get("ci"))
}

func TestKeep(t *testing.T) {
	t.Parallel()
	a, b, c := pair{"w", "a"}, pair{"w", "b"}, pair{"w", "c"}
	weights := map[pair]int64{a: 1, b: 5, c: 5}
	series := map[pair]int{a: 1, b: 2, c: 2}
	require.Equal(t, map[pair]bool{a: true, b: true, c: true}, keep(weights, series, 0))
	require.Equal(t, map[pair]bool{a: true, b: true, c: true}, keep(weights, series, 5))
	require.Equal(t, map[pair]bool{b: true, c: true}, keep(weights, series, 4))
	require.Equal(t, map[pair]bool{b: true}, keep(weights, series, 3))
	require.Empty(t, keep(weights, series, 1))
}
