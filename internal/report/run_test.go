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

func run(t *testing.T, store storage.Store, kind report.Kind, query string) report.Answer {
	t.Helper()
	values, err := url.ParseQuery(query)
	require.NoError(t, err)
	p, err := report.Parse(kind, values, reporttest.Now)
	require.NoError(t, err)
	a, err := report.Run(t.Context(), store, p)
	require.NoError(t, err)
	return a
}

func TestRun(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, tt := range []struct {
		golden, query string
		kind          report.Kind
	}{
		{"run_total.json", "", report.Costs},
		{"run_days.json", "step=day&organization=acme", report.Costs},
		{"run_weeks.json", "step=week&organization=acme&by=model&from=2026-11-03", report.Costs},
		{"run_months.json", "step=month&from=2026-10-20", report.Costs},
		{"run_keys.json", "by=workspace,api_key", report.Costs},
		{"run_types.json", "by=cost_type,token_type&organization=acme&from=2026-11-19&to=2026-11-20", report.Costs},
		{"run_hours.json", "step=hour&by=model&from=2026-11-22T08:00:00Z", report.Usage},
		{"run_usage.json", "by=api_key,model,service_tier&from=2026-10-01", report.Usage},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			t.Parallel()
			a := run(t, store, tt.kind, tt.query)
			var b, again bytes.Buffer
			require.NoError(t, a.WriteJSON(&b))
			golden.Check(t, tt.golden, b.Bytes())
			require.NoError(t, run(t, store, tt.kind, tt.query).WriteJSON(&again))
			require.Equal(t, b.String(), again.String())
		})
	}
}

// However the same time is cut and grouped, its sum is the same.
func TestSumsAgree(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, kind := range []report.Kind{report.Costs, report.Usage} {
		want := run(t, store, kind, "from=2026-10-01").Total
		require.NotEmpty(t, want)
		for _, d := range report.Dimensions(kind) {
			for _, step := range []string{"hour", "day", "week", "month", "total"} {
				got := run(t, store, kind, "from=2026-10-01&step="+step+"&by="+string(d)).Total
				require.Equal(t, want.Cost, got.Cost, "%s by %s", step, d)
				require.Equal(t, want.Counts, got.Counts, "%s by %s", step, d)
				require.Equal(t, want.Requests, got.Requests, "%s by %s", step, d)
			}
		}
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	const output = spend.Output
	for _, tt := range []struct {
		name, query string
		want        int64 // output tokens
	}{
		{"a name means all that have it", "workspace=staging&from=2026-11-03&to=2026-11-04", 70_000},
		{"a label means one", "workspace=staging+(9f2k1z)&from=2026-11-03&to=2026-11-04", 10_000},
		{"an id", "workspace=" + reporttest.Staging + "&from=2026-11-03&to=2026-11-04", 60_000},
		{"a beginning of names", "workspace=stag*&from=2026-11-03&to=2026-11-04", 70_000},
		{"a beginning of ids", "api_key=apikey_01Ci*&from=2026-11-03&to=2026-11-04", 70_000},
		{"any of several", "api_key=ci&api_key=prod&from=2026-11-20&to=2026-11-22", 61_344},
		{"use without a key", "api_key=&from=2026-11-19&to=2026-11-20", 1_001},
		{"the stored word for it is no name", "api_key=none&from=2026-11-19&to=2026-11-20", 0},
		{"a star is everything", "api_key=*&from=2026-11-19&to=2026-11-20", 8_001},
		{"a model", "model=claude-haiku-*", 50_000},
		{"an organization", "organization=be*", 2_500},
		{"an organization by id", "organization=" + reporttest.Beta, 2_500},
		{"a name in two organizations", "workspace=Default&from=2026-11-22", 5_333 + 2_500},
		{"both filters must hold", "workspace=Default&model=claude-haiku-5-5", 0},
		{"nothing", "workspace=no+such+thing", 0},
		{"no organization", "organization=acme2", 0},
		{"names are exact", "workspace=Staging", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := run(t, store, report.Usage, tt.query)
			require.Equal(t, tt.want, a.Total.Counts[output])
			require.Equal(t, tt.want == 0, len(a.Rows) == 0)
			require.False(t, a.Window.Empty())
		})
	}
	t.Run("what no key can be told for", func(t *testing.T) {
		t.Parallel()
		a := run(t, store, report.Costs, "by=api_key&api_key=(unattributed)&from=2026-11-01&organization=acme")
		require.Len(t, a.Rows, 1)
		require.Equal(t, report.Unattributed, a.Rows[0].APIKey)
		require.Equal(t, 225*spend.Cent, a.Total.Cost) // the retired model and the code execution
	})
}

func TestAsOf(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	usageAt := reporttest.At(22, 10).Add(25 * time.Minute)
	for _, tt := range []struct {
		name, query string
		kind        report.Kind
		want        time.Time
	}{
		{"usage is as old as the usage report", "organization=acme&from=2026-11-21", report.Usage, usageAt},
		{"request counts are as old as theirs", "organization=acme", report.Usage, reporttest.At(20, 0)},
		{"estimates are as old as the usage report", "organization=acme&from=2026-11-22", report.Costs, usageAt},
		{"a bill is as old as the cost report", "organization=acme&from=2026-11-19&to=2026-11-20", report.Costs, reporttest.At(22, 0)},
		{"of several the oldest", "", report.Costs, reporttest.At(22, 0)},
		{"another organization's does not count", "organization=beta", report.Costs, reporttest.At(22, 6)},
		{"nothing found: as far as usage was read", "organization=acme&model=none", report.Costs, usageAt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, run(t, store, tt.kind, tt.query).AsOf)
		})
	}
	require.Zero(t, run(t, reporttest.Open(t), report.Costs, "").AsOf)
}

func TestMissingHours(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for _, tt := range []struct {
		name, query string
		want        int64
	}{
		{"all of it was read", "organization=acme&from=2026-10-01", 0},
		{"a day before the history", "organization=acme&from=2026-09-30", 24},
		{"organizations add up", "from=2026-09-30", 48},
		{"what comes after the data is not missing", "organization=acme&from=2026-11-22&to=2026-11-30", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, run(t, store, report.Costs, tt.query).MissingHours)
			require.Equal(t, tt.want, run(t, store, report.Usage, tt.query).MissingHours)
		})
	}
}

// Filters by id keep what filters by the same ids as names do.
func TestOnly(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	values := url.Values{"by": {"model"}, "step": {"day"}, "from": {"2026-11-01"}}
	p, err := report.Parse(report.Costs, values, reporttest.Now)
	require.NoError(t, err)
	p.Only = []storage.Match{{Dimension: spend.ByWorkspace, Values: []string{reporttest.Staging}}}
	got, err := report.Run(t.Context(), store, p)
	require.NoError(t, err)
	want := run(t, store, report.Costs, values.Encode()+"&workspace="+reporttest.Staging)
	require.NotEmpty(t, want.Rows)
	require.Equal(t, want.Rows, got.Rows)
	require.Equal(t, want.Total, got.Total)
}
