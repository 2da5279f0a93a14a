package report_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

var now = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

func at(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, query string
		kind        report.Kind
		want        report.Params
	}{
		{"nothing is the month to date", "", report.Costs, report.Params{
			Kind: report.Costs, From: at(1, 0), To: now, Step: report.StepTotal,
		}},
		{"everything", "from=2026-10-01&to=2026-11-01T03:00:00%2B02:00&step=day&by=model,workspace&by=workspace,+api_key" +
			"&workspace=a&workspace=b*&organization=acme", report.Costs, report.Params{
			Kind: report.Costs, From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), To: at(1, 1), Step: report.StepDay,
			By: []spend.Dimension{spend.ByModel, spend.ByWorkspace, spend.ByAPIKey},
			Where: []report.Filter{
				{Dimension: spend.ByOrganization, Values: []string{"acme"}},
				{Dimension: spend.ByWorkspace, Values: []string{"a", "b*"}},
			},
		}},
		{"an end alone is the month it ends", "to=2026-11-01&step=hour", report.Usage, report.Params{
			Kind: report.Usage, From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), To: at(1, 0), Step: report.StepHour,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			values, err := url.ParseQuery(tt.query)
			require.NoError(t, err)
			got, err := report.Parse(tt.kind, values, now)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query string
		kind  report.Kind
		want  string
	}{
		{"spet=day", report.Costs, `unknown parameter "spet" for costs (from, to, step, by, and filters by organization, workspace, ` +
			`api_key, model, service_tier, context_window, inference_geo, speed, product, cost_type, token_type, team)`},
		{"teams=search", report.Costs, `unknown parameter "teams" for costs`},
		{"by=model,teams", report.Costs, `unknown dimension "teams" in by for costs (organization, workspace,`},
		{"by=token_type", report.Usage, `unknown dimension "token_type" in by for usage (organization, workspace,`},
		{"cost_type=tokens", report.Usage, `unknown parameter "cost_type" for usage`},
		{"step=year", report.Costs, `unknown step "year" (hour, day, week, month or total)`},
		{"from=yesterday", report.Costs, `from: "yesterday" is neither a date (2026-01-31) nor a time (2026-01-31T15:00:00Z)`},
		{"to=2026-13-01", report.Costs, `to: "2026-13-01" is neither a date`},
		{"from=2026-11-02&to=2026-11-01", report.Costs, "from (2026-11-02T00:00:00Z) must be before to (2026-11-01T00:00:00Z)"},
		{"from=2026-11-02&to=2026-11-02", report.Costs, "to itself is not included"},
		{"from=2026-11-01&from=2026-11-02", report.Costs, "parameter from is given 2 times"},
		{"from=2020-01-01&step=hour", report.Costs, "from 2020-01-01 to 2026-11-22 is 60418 hours; at most 11000 can be asked for at once"},
		{"from=0001-01-01", report.Costs, "days; at most 11000 can be asked for at once"},
		{"", "spend", `unknown kind "spend" (costs or usage)`},
	} {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			values, err := url.ParseQuery(tt.query)
			require.NoError(t, err)
			_, err = report.Parse(tt.kind, values, now)
			require.ErrorContains(t, err, tt.want)
		})
	}
}
