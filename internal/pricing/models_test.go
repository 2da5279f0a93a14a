package pricing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pricing"
)

func TestModels(t *testing.T) {
	t.Parallel()
	const price = "{input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}"
	p := table(t, "prices: {house-model*: "+price+", claude-next-1: "+price+"}")
	require.ElementsMatch(t, append(models(t), "claude-next-1", "house-model*"), p.Models())
}

func TestKnows(t *testing.T) {
	t.Parallel()
	const price = "{from: 2027-01-01, input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}"
	p := table(t, "prices: {house-model*: "+price+", claude-next-1: "+price+"}")
	for model, want := range map[string]bool{
		"claude-sonnet-5": true, "claude-sonnet-5-20260901": true, "claude-next-1": true, "claude-next-1-20270101": true,
		"house-model": true, "house-model-large": true, "": false, "claude-sonnet": false, "claude-sonnet-55": false, "house": false,
	} {
		require.Equal(t, want, p.Knows(model), model)
	}
}

func TestNear(t *testing.T) {
	t.Parallel()
	p := table(t, "")
	require.Equal(t, "claude-sonnet-5", p.Near("claude-sonet-5")[0])
	require.Equal(t, "claude-haiku-4-5", p.Near("claude-haiku-45")[0])
	for _, m := range p.Near("fable") {
		require.Contains(t, m, "fable")
	}
	require.Equal(t, p.Models(), p.Near("gpt"), "like none: all there are")
	require.Equal(t, p.Models(), p.Near(""))
}

func TestMatcher(t *testing.T) {
	t.Parallel()
	var o pricing.Overrides
	for _, tt := range []struct {
		pattern, model string
		want           bool
	}{
		{"claude-x", "claude-x", true},
		{"claude-x", "claude-x-20260131", true},
		{"claude-x", "claude-x-2", false},
		{"claude-x-20260131", "claude-x", false},
		{"claude-x*", "claude-x-2", true},
		{"claude-x*", "claude-y", false},
	} {
		require.Equal(t, tt.want, o.Matcher(tt.pattern)(tt.model), "%s of %s", tt.pattern, tt.model)
	}
}
