package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// ahead compares what the API, the command line and the metrics say of forecasts, rate limits and
// Claude Code with the costs, and with what the simulator answers to questions of its own.
func (a agreement) ahead() {
	a.t.Helper()
	a.forecasts()
	a.headroom()
	a.claudeCode()
}

// same asks the API and the command, which must answer alike while nothing is collected in between,
// and returns the answer.
func (a agreement) same(path string, flags ...string) answer {
	a.t.Helper()
	decode := func(text string) (x answer) {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		require.NoError(a.t, decoder.Decode(&x))
		return x
	}
	get := func() answer {
		status, body := a.get(path)
		require.Equal(a.t, 200, status, "%s", body)
		return decode(string(body))
	}
	want := get()
	for range 5 {
		got := decode(a.monitor(append([]string{"report", "--format", "json"}, flags...)...))
		if after := get(); !reflect.DeepEqual(want, after) {
			want = after
			continue
		}
		require.NotEmpty(a.t, want.Data, path)
		require.Equal(a.t, want, got, path)
		return want
	}
	require.Fail(a.t, "the figures never stand still", path)
	return want
}

func (a agreement) forecasts() {
	a.t.Helper()
	today := spend.Day.Floor(time.Now())
	for period, from := range map[string]time.Time{"month": spend.MonthStart(today), "day": today} {
		var spent any
		var x answer
		for range 5 {
			before := spent
			x = a.same("/api/v1/forecast?by=workspace,model&period="+period, "--forecast", "--by", "workspace,model", "--period", period)
			if spent = a.ask("/api/v1/costs", spend.Window{Start: from, End: today.AddDate(0, 0, 1)}, "").Total["cost_usd"]; spent == before {
				break
			}
		}
		if x.AsOf.Before(from) { // nor is there anything to forecast by in the first minutes of a period
			spent = "0"
		}
		require.Equal(a.t, spent, x.Total["spent_usd"], period)
		var sum int64
		for _, r := range append(x.Data, x.Total) {
			require.LessOrEqual(a.t, a.money(r["spent_usd"]), a.money(r["forecast_usd"]), "%v", r)
			if r["forecast_low_usd"] != nil {
				require.LessOrEqual(a.t, a.money(r["forecast_low_usd"]), a.money(r["forecast_usd"]), "%v", r)
				require.LessOrEqual(a.t, a.money(r["forecast_usd"]), a.money(r["forecast_high_usd"]), "%v", r)
			}
		}
		for _, r := range x.Data {
			sum += a.money(r["spent_usd"])
		}
		require.Equal(a.t, a.money(spent), sum, period)
		require.Equal(a.t, "weekday_trend", x.Total["method"])
	}
}

// fromSim asks the simulator what its API answers.
func (a agreement) fromSim(path string, query url.Values, into any) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, "http://sim.test/v1/organizations"+path+"?"+query.Encode(), nil)
	require.NoError(a.t, err)
	r.Header.Set("X-Api-Key", sim.AdminKey)
	r.Header.Set("Anthropic-Version", "2023-06-01")
	r.Header.Set("Anthropic-Beta", "fast-mode-2026-02-01")
	answered, err := a.org.Client().Do(r)
	require.NoError(a.t, err)
	defer answered.Body.Close()
	require.Equal(a.t, http.StatusOK, answered.StatusCode)
	require.NoError(a.t, json.NewDecoder(answered.Body).Decode(into))
}

func (a agreement) headroom() {
	a.t.Helper()
	x := a.same("/api/v1/headroom", "--headroom")
	start, err := time.Parse(time.RFC3339, x.Data[0]["start"].(string))
	require.NoError(a.t, err)
	end, err := time.Parse(time.RFC3339, x.Data[0]["end"].(string))
	require.NoError(a.t, err)
	require.Equal(a.t, time.Hour, end.Sub(start))

	var limits struct {
		Data []struct {
			Group struct {
				DisplayName string `json:"display_name"`
			}
			Models []string
		}
	}
	a.fromSim("/rate_limits", url.Values{"group_type": {"model_group"}, "limit": {"100"}}, &limits)
	var usage struct {
		Data []struct {
			Results []struct {
				WorkspaceID   *string `json:"workspace_id"`
				Model         string
				ServiceTier   string `json:"service_tier"`
				Speed         string
				Uncached      int64 `json:"uncached_input_tokens"`
				Output        int64 `json:"output_tokens"`
				CacheCreation struct {
					A int64 `json:"ephemeral_5m_input_tokens"`
					B int64 `json:"ephemeral_1h_input_tokens"`
				} `json:"cache_creation"`
			}
		}
	}
	a.fromSim("/usage_report/messages", url.Values{
		"starting_at": {start.Format(time.RFC3339)}, "ending_at": {end.Format(time.RFC3339)}, "bucket_width": {"1m"}, "limit": {"1440"},
		"group_by[]": {"workspace_id", "model", "service_tier", "speed"},
	}, &usage)
	require.Len(a.t, usage.Data, 60)
	peaks := figures{}
	for _, minute := range usage.Data {
		sums := figures{}
		for _, r := range minute.Results {
			if r.ServiceTier != "standard" && !strings.HasPrefix(r.ServiceTier, "flex") || r.Speed == "fast" {
				continue
			}
			for _, g := range limits.Data {
				if !slices.Contains(g.Models, r.Model) {
					continue
				}
				workspaces := []string{"all", "the default workspace"}
				if r.WorkspaceID != nil {
					workspaces[1] = *r.WorkspaceID
				}
				for _, workspace := range workspaces {
					sums.add(r.Uncached+r.CacheCreation.A+r.CacheCreation.B, workspace, g.Group.DisplayName, "input_tokens_per_minute_cache_aware")
					sums.add(r.Output, workspace, g.Group.DisplayName, "output_tokens_per_minute")
				}
			}
		}
		for about, n := range sums {
			peaks[about] = max(peaks[about], n)
		}
	}
	got := figures{}
	for _, r := range x.Data {
		workspace := r["workspace_id"]
		switch {
		case workspace == "":
			workspace = "all"
		case r["workspace"] == "Default":
			workspace = "the default workspace"
		}
		got.add(a.count(r["peak"]), workspace, r["model_group"], r["limiter"])
	}
	requireSame(a.t, peaks, got, "fullest minutes: the API and the simulator's own report")
	used := a.metric("anthropic_rate_limit_used_ratio")
	require.NotEmpty(a.t, used)
}

func (a agreement) claudeCode() {
	a.t.Helper()
	yesterday := spend.Day.Floor(a.now).AddDate(0, 0, -1)
	from, to := yesterday.Format(time.DateOnly), yesterday.AddDate(0, 0, 1).Format(time.DateOnly)
	x := a.same("/api/v1/claude-code?by=actor&from="+from+"&to="+to, "--claude-code", "--by", "actor", "--from", from, "--to", to)
	var report struct {
		Data []struct {
			Actor struct {
				Email  string `json:"email_address"`
				APIKey string `json:"api_key_name"`
			}
			Core struct {
				Sessions int64                 `json:"num_sessions"`
				Lines    struct{ Added int64 } `json:"lines_of_code"`
				Commits  int64                 `json:"commits_by_claude_code"`
			} `json:"core_metrics"`
		}
	}
	a.fromSim("/usage_report/claude_code", url.Values{"starting_at": {from}, "limit": {"1000"}}, &report)
	want, got := figures{}, figures{}
	for _, r := range report.Data {
		actor := r.Actor.Email + r.Actor.APIKey
		want.add(r.Core.Sessions, actor, "sessions")
		want.add(r.Core.Lines.Added, actor, "lines_added")
		want.add(r.Core.Commits, actor, "commits")
	}
	for _, r := range x.Data {
		for _, name := range []string{"sessions", "lines_added", "commits"} {
			got.add(a.count(r[name]), r["actor"], name)
		}
	}
	requireSame(a.t, want, got, "Claude Code: the API and the simulator's own report")
}
