package storage_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestSeriesCache(t *testing.T) {
	t.Parallel()
	var c storage.SeriesCache
	_, known := c.ID(&spend.Dims{})
	require.False(t, known, "empty")
	_, known = c.Dims(0)
	require.False(t, known, "empty")

	// One series for each dimension that is told alone, with the same text: only the place differs.
	want := map[int64]spend.Dims{7: {}}
	for i, x := range spend.Dimensions {
		for j, text := range []string{"a", "b"} {
			var d spend.Dims
			*d.Field(x) = text
			want[int64(100+10*i+j)] = d
		}
	}
	for id, d := range want {
		c.Add(id, &d)
	}
	for id, d := range want {
		got, known := c.ID(&d)
		require.True(t, known, d)
		require.Equal(t, id, got, d)
		dims, known := c.Dims(id)
		require.True(t, known)
		require.Equal(t, d, dims)
	}
	require.Equal(t, want, maps.Collect(c.All()))

	_, known = c.ID(&spend.Dims{Model: "c"})
	require.False(t, known, "a text that is not known")
	_, known = c.ID(&spend.Dims{Model: "a", Speed: "a"})
	require.False(t, known, "known texts in another combination")
	_, known = c.Dims(8)
	require.False(t, known)
	for id := range c.All() {
		require.Contains(t, want, id)
		break
	}
}
