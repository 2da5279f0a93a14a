package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	w := spend.Window{Start: day(10, 30), End: day(11, 10)}
	for step, want := range map[report.Step][]spend.Window{
		report.StepMonth: {{Start: day(10, 30), End: day(11, 1)}, {Start: day(11, 1), End: day(11, 10)}},
		report.StepWeek:  {{Start: day(10, 30), End: day(11, 2)}, {Start: day(11, 2), End: day(11, 9)}, {Start: day(11, 9), End: day(11, 10)}},
		report.StepTotal: {w},
	} {
		require.Equal(t, want, step.Buckets(w), step)
	}
	require.Len(t, report.StepDay.Buckets(w), 11)
	require.Len(t, report.StepHour.Buckets(w), 11*24)
	require.Equal(t, day(11, 16), report.StepWeek.Start(at(22, 23)), "a Sunday is the last day of its week")
	require.Equal(t, day(11, 23), report.StepWeek.Start(at(23, 0)))
}
