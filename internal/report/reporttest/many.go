package reporttest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// ManyWorkspaces is how many workspaces the keys of [ManyHour] are in.
const ManyWorkspaces = 20

// ManyHour is the use of so many keys in an hour, a row for each, for benchmarks. Each has that many tokens
// more than usual.
func ManyHour(hour time.Time, keys int, more int64) []spend.Usage {
	us := make([]spend.Usage, keys)
	for i := range us {
		us[i] = spend.Usage{
			Bucket: hour, Price: spend.Priced,
			Dims: spend.Dims{
				WorkspaceID: fmt.Sprintf("wrkspc_%d", i%ManyWorkspaces), APIKeyID: fmt.Sprintf("apikey_%d", i), Model: "claude-x", ServiceTier: "standard",
			},
		}
		us[i].Counts = spend.Counts{1000 + more, 5000, 10, 0, 300}
		us[i].Estimate[spend.Output] = spend.Dollar / 10
	}
	return us
}

// Many writes the use of so many keys in every hour of the window, which is whole days.
func Many(t testing.TB, owner storage.Owner, w spend.Window, keys int) {
	t.Helper()
	for _, day := range w.Buckets(spend.Day) {
		var us []spend.Usage
		for _, h := range day.Buckets(spend.Hour) {
			us = append(us, ManyHour(h.Start, keys, 0)...)
		}
		_, err := owner.ReplaceUsage(t.Context(), storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: day, At: day.End, DataAt: day.End}, us)
		require.NoError(t, err)
	}
}

// SumDays sums all days that end by then, as a daemon does while it waits.
func SumDays(t testing.TB, owner storage.Owner, before time.Time) {
	for more := true; more; {
		var err error
		more, err = owner.SumDay(t.Context(), before)
		require.NoError(t, err)
	}
}
