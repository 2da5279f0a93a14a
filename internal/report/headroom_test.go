package report_test

import (
	"bytes"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func runHeadroom(t *testing.T, store storage.Store, query string) report.HeadroomAnswer {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	p, err := report.ParseHeadroom(values, reporttest.Now)
	require.NoError(t, err)
	a, err := report.RunHeadroom(t.Context(), store, p)
	require.NoError(t, err)
	return a
}

func TestHeadroomFormats(t *testing.T) {
	t.Parallel()
	a := runHeadroom(t, reporttest.Filled(t), "")
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 120))
	b.WriteString("\n")
	require.NoError(t, a.WriteMarkdown(&b))
	b.WriteString("\n")
	require.NoError(t, a.WriteCSV(&b))
	b.WriteString("\n")
	require.NoError(t, a.WriteJSON(&b))
	golden.Check(t, "headroom.txt", b.Bytes())
}

// minutes fills a store with limits and an hour of usage by the minute.
func minutes(t *testing.T, limits map[string][]spend.RateLimit, rows ...spend.Usage) storage.Store {
	t.Helper()
	store := reporttest.Open(t)
	o := spend.Organization{ID: reporttest.Acme, Name: "acme"}
	require.NoError(t, store.SaveOrganization(t.Context(), o, reporttest.Now))
	owner, err := store.Own(t.Context(), o.ID)
	require.NoError(t, err)
	for workspace, ls := range limits {
		require.NoError(t, owner.SaveRateLimits(t.Context(), workspace, ls, reporttest.Now))
	}
	w := spend.Window{Start: reporttest.At(22, 9), End: reporttest.At(22, 10)}
	_, err = owner.ReplaceUsage(t.Context(), storage.Reading{
		Report: spend.ReportMessages, Grain: spend.Minute, Window: w, At: reporttest.Now, DataAt: w.End,
	}, rows)
	require.NoError(t, err)
	require.NoError(t, owner.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: w.End, ReadAt: reporttest.Now}))
	require.NoError(t, owner.Release())
	return store
}

func limit(workspace, limiter string, value int64) spend.RateLimit {
	return spend.RateLimit{
		WorkspaceID: workspace, GroupID: "rlg_1", GroupType: "model_group", Group: "Claude Sonnet 5.x",
		Models: []string{"claude-sonnet-5", "claude-sonnet-5-5"}, Limiter: limiter, Value: value,
	}
}

func used(minute int, workspace, model, tier, speed string, counts spend.Counts) spend.Usage {
	return spend.Usage{
		Bucket: reporttest.At(22, 9).Add(time.Duration(minute) * time.Minute), Counts: counts,
		Dims: spend.Dims{WorkspaceID: workspace, APIKeyID: spend.NoKey, Model: model, ServiceTier: tier, Speed: speed},
	}
}

func TestLoadHeadroom(t *testing.T) {
	t.Parallel()
	const input, output, legacy, fast = "input_tokens_per_minute_cache_aware", "output_tokens_per_minute", "input_tokens_per_minute", "fast_otpm"
	store := minutes(t, map[string][]spend.RateLimit{
		"": {
			limit("", input, 1000), limit("", output, 500), limit("", legacy, 10_000), limit("", fast, 50),
			limit("", "requests_per_minute", 4000), limit("", "tokens_per_day", 1),
			{GroupID: "rlg_2", GroupType: "batch", Limiter: input, Value: 1},
			{GroupID: "rlg_3", GroupType: "model_group", Group: "unused", Models: []string{"claude-next"}, Limiter: output, Value: 9},
		},
		"wrkspc_a": {limit("wrkspc_a", input, 400), limit("wrkspc_a", output, 5000)},
		"wrkspc_c": {limit("wrkspc_c", output, 100)},
	},
		used(1, "wrkspc_a", "claude-sonnet-5", "standard", "standard", spend.Counts{100, 5000, 20, 30, 10, 1}),
		used(1, "wrkspc_b", "claude-sonnet-5-5", "standard", "", spend.Counts{250, 0, 0, 0, 40, 0}),
		used(2, "wrkspc_a", "claude-sonnet-5-20260131", "standard", "", spend.Counts{300, 0, 0, 0, 5, 0}), // a dated release
		used(3, "wrkspc_b", "claude-sonnet-5", "flex", "", spend.Counts{300, 0, 0, 0, 0, 0}),
		used(3, "wrkspc_b", "claude-sonnet-5", "batch", "", spend.Counts{90_000, 0, 0, 0, 90_000, 0}),
		used(3, "wrkspc_b", "claude-sonnet-5", "priority", "", spend.Counts{90_000, 0, 0, 0, 90_000, 0}),
		used(3, "wrkspc_b", "claude-sonnet-5", "priority_on_demand", "", spend.Counts{90_000, 0, 0, 0, 90_000, 0}),
		used(4, "wrkspc_b", "claude-sonnet-5", "standard", "fast", spend.Counts{900, 0, 0, 0, 20, 0}),
		used(5, "wrkspc_b", "claude-haiku-5-5", "standard", "", spend.Counts{900, 0, 0, 0, 900, 0}), // in no group
	)
	w, err := report.HeadroomWindow(t.Context(), store, reporttest.Acme)
	require.NoError(t, err)
	require.Equal(t, spend.Window{Start: reporttest.At(22, 9), End: reporttest.At(22, 10)}, w)
	h, err := report.LoadHeadroom(t.Context(), store, reporttest.Acme, w)
	require.NoError(t, err)
	require.True(t, h.Known)

	type line struct {
		workspace, limiter string
		limit, peak        int64
		minute             int
		ratio              float64
		inherited          bool
	}
	var got []line
	for _, r := range h.Rows {
		minute := -1
		if !r.PeakAt.IsZero() {
			minute = int(r.PeakAt.Sub(w.Start) / time.Minute)
		}
		got = append(got, line{r.WorkspaceID, r.Limiter, r.Limit, r.Peak, minute, r.Ratio, r.Inherited})
	}
	require.Equal(t, []line{
		{"", input, 1000, 400, 1, 0.4, false},
		{"", output, 500, 50, 1, 0.1, false},
		{"", legacy, 10_000, 5400, 1, 0.54, false},
		{"", fast, 50, 20, 4, 0.4, false},
		{"", output, 9, 0, -1, 0, false}, // the unused group
		{"wrkspc_a", input, 400, 300, 2, 0.75, false},
		{"wrkspc_a", output, 500, 10, 1, 0.02, false}, // its own 5000 is more than the organization has
		{"wrkspc_a", legacy, 10_000, 5150, 1, 0.515, true},
		{"wrkspc_b", input, 1000, 300, 3, 0.3, true},
		{"wrkspc_b", output, 500, 40, 1, 0.08, true},
		{"wrkspc_b", legacy, 10_000, 300, 3, 0.03, true},
		{"wrkspc_b", fast, 50, 20, 4, 0.4, true},
		{"wrkspc_c", output, 100, 0, -1, 0, false},
	}, got)

	// A shorter window has its own peak.
	h, err = report.LoadHeadroom(t.Context(), store, reporttest.Acme, spend.Window{
		Start: w.Start.Add(2*time.Minute + 30*time.Second), End: w.Start.Add(3 * time.Minute),
	})
	require.NoError(t, err)
	require.Equal(t, int64(300), h.Rows[0].Peak)
	require.Equal(t, w.Start.Add(2*time.Minute), h.Rows[0].PeakAt)
}

func TestHeadroomLimits(t *testing.T) {
	t.Parallel()
	const output = "output_tokens_per_minute"
	// A limit that only a workspace has, and one of nothing.
	store := minutes(t, map[string][]spend.RateLimit{
		"":         {{GroupID: "rlg_9", GroupType: "model_group", Group: "Claude Haiku", Models: []string{"claude-haiku"}, Limiter: output, Value: 0}},
		"wrkspc_a": {limit("wrkspc_a", output, 100)},
	},
		used(1, "wrkspc_a", "claude-sonnet-5", "standard", "", spend.Counts{0, 0, 0, 0, 80, 0}),
		used(1, "wrkspc_b", "claude-sonnet-5", "standard", "", spend.Counts{0, 0, 0, 0, 80, 0}),
		used(1, "wrkspc_b", "claude-haiku", "standard", "", spend.Counts{0, 0, 0, 0, 80, 0}),
	)
	a := runHeadroom(t, store, "")
	require.Len(t, a.Rows, 3)
	require.Equal(t, 1.0, a.Rows[0].Ratio)
	require.Empty(t, a.Rows[0].WorkspaceID)
	require.Equal(t, "wrkspc_a", a.Rows[1].WorkspaceID)
	require.InDelta(t, 0.8, a.Rows[1].Ratio, 1e-9)
	require.Equal(t, "Claude Haiku", a.Rows[2].Group)
}

// Without usage by the minute nothing can be said, which is not the same as no use.
func TestHeadroomUnknown(t *testing.T) {
	t.Parallel()
	store := minutes(t, map[string][]spend.RateLimit{"": {limit("", "output_tokens_per_minute", 100)}})
	a := runHeadroom(t, store, "")
	require.Len(t, a.Rows, 1)
	require.Zero(t, a.Rows[0].Ratio)
	require.Empty(t, a.Unknown)

	a = runHeadroom(t, store, "from=2026-11-21T09:00:00Z&to=2026-11-21T10:00:00Z")
	require.Empty(t, a.Rows)
	require.Equal(t, []string{"acme"}, a.Unknown)
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 0))
	require.Contains(t, b.String(), "No usage by the minute is known of acme in this time.")

	empty := reporttest.Open(t)
	require.NoError(t, empty.SaveOrganization(t.Context(), spend.Organization{ID: reporttest.Acme, Name: "acme"}, reporttest.Now))
	require.Equal(t, []string{"acme"}, runHeadroom(t, empty, "").Unknown)
}

func TestHeadroomWhere(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for query, want := range map[string]int{
		"organization=acme":               5,
		"organization=beta":               0,
		"workspace=Default":               2,
		"workspace=":                      2, // the organization's own
		"workspace=staging":               1, // of two that are called so only one has limits or use
		"workspace=nothing":               0,
		"workspace=" + reporttest.Default: 2,
		"workspace=*":                     5,
	} {
		require.Len(t, runHeadroom(t, store, query).Rows, want, query)
	}
}

func TestParseHeadroomRefuses(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"model=x":                        `unknown parameter "model" for headroom`,
		"to=2026-11-22":                  "to (2026-11-22) needs from too",
		"from=yesterday":                 `from: "yesterday" is neither a date`,
		"from=2026-11-22&to=2026-11-22":  "must be before to",
		"from=2026-11-01&to=2026-11-03":  "is more than a day",
		"from=2026-11-01&from=2026-11-2": "parameter from is given 2 times",
	} {
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, err = report.ParseHeadroom(values, reporttest.Now)
		require.ErrorContains(t, err, want)
	}
}
