package metrics_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// claudeCode keeps what is about Claude Code, without the metrics' common beginning.
func claudeCode(values map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for series, v := range values {
		if rest, ok := strings.CutPrefix(series, "anthropic_claude_code_"); ok {
			out[rest] = v
		}
	}
	return out
}

func TestClaudeCodeActors(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	text, values := gathered(t, metrics.New(store, metrics.Options{}), reporttest.Now, both)
	require.NotContains(t, text, "actor=")
	require.NotContains(t, text, "ada@")
	off := claudeCode(values)
	require.Equal(t, map[string]float64{
		"sessions{organization=acme}": 4, "lines_of_code{organization=acme,type=added}": 125, "lines_of_code{organization=acme,type=removed}": 30,
		"commits{organization=acme}": 2, "pull_requests{organization=acme}": 1, "cost_usd{organization=acme}": 1.3,
	}, off)

	_, values = gathered(t, metrics.New(store, metrics.Options{ClaudeCodeActors: metrics.ActorsNamed}), reporttest.Now, both)
	named := claudeCode(values)
	require.Len(t, named, 12)
	require.Equal(t, 120.0, named["lines_of_code{actor=ada@acme.example,organization=acme,type=added}"])
	require.Equal(t, 0.05, named["cost_usd{actor=ci (api_actor),organization=acme}"])

	text, values = gathered(t, metrics.New(store, metrics.Options{ClaudeCodeActors: metrics.ActorsHashed}), reporttest.Now, both)
	require.NotContains(t, text, "ada@")
	require.NotContains(t, text, "api_actor")
	hashed := claudeCode(values)
	require.Len(t, hashed, 12)
	for series := range hashed {
		require.Regexp(t, regexp.MustCompile(`actor=[0-9a-f]{12},`), series)
	}
	again, _ := gathered(t, metrics.New(store, metrics.Options{ClaudeCodeActors: metrics.ActorsHashed}), reporttest.Now, both)
	require.Equal(t, text, again, "the same actor has the same label after a restart")
}

// Beyond the limit actors are counted in "other", and the sums stay what they are.
func TestClaudeCodeActorsAreLimited(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	var rows []spend.ClaudeCode
	for i, actor := range []string{"ada", "bob", "eve", "other"} {
		rows = append(rows, spend.ClaudeCode{
			Day: reporttest.At(21, 0), ActorType: "user_actor", Actor: actor, Sessions: 1, LinesAdded: 10,
			Models: []spend.ClaudeCodeModel{{Model: reporttest.Sonnet, Cost: spend.Money(i+1) * spend.Dollar}},
		})
	}
	require.NoError(t, owner.ReplaceClaudeCode(t.Context(), reporttest.At(21, 0), rows))
	require.NoError(t, owner.Release())
	_, values := gathered(t, metrics.New(store, metrics.Options{ClaudeCodeActors: metrics.ActorsNamed, MaxSeries: 2}), reporttest.Now, both)
	got := claudeCode(values)
	require.Len(t, got, 18)
	require.Equal(t, 4.0, got["cost_usd{actor=other (user_actor),organization=acme}"])
	require.Equal(t, 3.0, got["cost_usd{actor=eve,organization=acme}"])
	require.Equal(t, 3.0, got["cost_usd{actor=other,organization=acme}"], "ada and bob")
	require.Equal(t, 20.0, got["lines_of_code{actor=other,organization=acme,type=added}"])
	require.Equal(t, 2.0, values["anthropic_monitor_series_dropped{metric=anthropic_claude_code_cost_usd,organization=acme}"])
}

// Of rate limits the most used are kept.
func TestRateLimitUsedIsLimited(t *testing.T) {
	t.Parallel()
	_, values := gathered(t, metrics.New(reporttest.Filled(t), metrics.Options{MaxSeries: 3}), reporttest.Now, both)
	n := 0
	for series := range values {
		if strings.HasPrefix(series, "anthropic_rate_limit_used_ratio{") {
			n++
		}
	}
	require.Equal(t, 3, n)
	require.Contains(t, values, "anthropic_rate_limit_used_ratio{limiter=input_tokens_per_minute_cache_aware,model_group=Claude Sonnet 5,organization=acme,workspace=}")
	require.Equal(t, 2.0, values["anthropic_monitor_series_dropped{metric=anthropic_rate_limit_used_ratio,organization=acme}"])
}
