package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseSchedule(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 20, 12, 30, 10, 0, time.FixedZone("elsewhere", 5*3600))
	for _, tt := range []struct{ text, next, err string }{
		{text: "* * * * *", next: "2026-11-20T07:31:00Z"},
		{text: "*/5 * * * *", next: "2026-11-20T07:35:00Z"},
		{text: "17 3 * * *", next: "2026-11-21T03:17:00Z"},
		{text: "0 9 * * 1", next: "2026-11-23T09:00:00Z"},
		{text: "@daily", next: "2026-11-21T00:00:00Z"},
		{text: "@every 10m", next: "2026-11-20T07:40:00Z"},
		{text: "@every 1h30m", next: "2026-11-20T09:00:00Z"},
		{text: "@every 1d", next: "2026-11-21T00:00:00Z"},
		{text: "@every 1w", next: "2026-11-23T00:00:00Z"},
		{text: "@every 10s", err: "more often than once a minute"},
		{text: "@every nonsense", err: `schedule "@every nonsense"`},
		{text: "@every 5", err: "is not a duration such as 90s, 15m"},
		{text: "0 9 * * MONDAY", err: "such as 0 9 * * 1 for Mondays at 9:00"},
		{text: "* * * *", err: `schedule "* * * *"`},
		{text: "* * * * * *", err: `schedule "* * * * * *"`},
		{text: "61 * * * *", err: `schedule "61 * * * *"`},
		{text: "0 0 30 2 *", err: "never comes due"},
		{text: "CRON_TZ=Europe/Berlin 0 9 * * *", err: "schedules are in UTC"},
		{text: "TZ=", err: "schedules are in UTC"},
		{text: "", err: `schedule ""`},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			s, err := ParseSchedule(tt.text)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.next, s.Next(from).Format(time.RFC3339))
		})
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	s, err := ParseSchedule("* * * * *")
	require.NoError(t, err)
	require.Equal(t, at("20T12:00").Add(7*time.Second), s.nextAfter(at("20T12:00").Add(6*time.Second), 7*time.Second))
	require.Equal(t, at("20T12:01").Add(7*time.Second), s.nextAfter(at("20T12:00").Add(7*time.Second), 7*time.Second))
	require.Equal(t, jitterOf("a"), jitterOf("a"))
	require.NotEqual(t, jitterOf("a"), jitterOf("b"))
	for _, id := range []string{"a", "b", "c", "d"} {
		require.GreaterOrEqual(t, jitterOf(id), time.Duration(0))
		require.Less(t, jitterOf(id), maxJitter)
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{"* * * * *", "@every 1h", "TZ= * * * * *", "*/0 * * * *", "@every -1s", "1-0 * * * *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err == nil {
			now := time.Date(2026, 11, 20, 12, 30, 0, 0, time.UTC)
			require.True(t, s.Next(now).After(now))
		}
	})
}
