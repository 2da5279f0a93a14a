package config_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/config"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90s": 90 * time.Second, "15m": 15 * time.Minute, "6h": 6 * time.Hour,
		"14d": 14 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour,
		"1w1d1h1m1s": 8*24*time.Hour + time.Hour + time.Minute + time.Second,
		"36500d":     36500 * 24 * time.Hour,
	} {
		d, err := config.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, d.Duration(), text)
	}
	for _, text := range []string{
		"", " ", "90", "-5m", "1.5h", "5x", "5 m", "h", "1h1d", "1d1d", "1dd", "5ms", "36501d", "99999999999999999999s", "9999999999w", "36500d1s",
	} {
		_, err := config.ParseDuration(text)
		require.Error(t, err, text)
	}
}

func TestDurationString(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0s": "0", "90s": "1m30s", "2w": "14d", "36h": "1d12h", "400d": "400d"} {
		d, err := config.ParseDuration(text)
		require.NoError(t, err)
		require.Equal(t, want, d.String())
	}
	require.Equal(t, "1.5s", config.Duration(1500*time.Millisecond).String())
	rapid.Check(t, func(t *rapid.T) {
		d := config.Duration(rapid.Int64Range(0, 100*365*86400).Draw(t, "seconds") * int64(time.Second))
		back, err := config.ParseDuration(d.String())
		require.NoError(t, err)
		require.Equal(t, d, back)
	})
}

func TestDurationMarshals(t *testing.T) {
	t.Parallel()
	v := map[string]config.Duration{"keep": config.Duration(36 * time.Hour)}
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, `{"keep": "1d12h"}`, string(b))
	b, err = yaml.Marshal(v)
	require.NoError(t, err)
	require.Equal(t, "keep: 1d12h\n", string(b))
}
