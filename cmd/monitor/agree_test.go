package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// figures are integers by what they are about: counts, or billionths of a dollar.
type figures map[string]int64

func (f figures) add(n int64, about ...any) {
	if n != 0 {
		f[strings.TrimSuffix(fmt.Sprintln(about...), "\n")] += n
	}
}

// requireSame compares figures and, where they differ, shows the first that do.
func requireSame(t *testing.T, want, got figures, what string) {
	t.Helper()
	require.NotEmpty(t, want, what)
	require.Empty(t, difference(want, got), what)
}

// difference shows the first figures that differ; empty if none do.
func difference(want, got figures) string {
	all := maps.Clone(want)
	maps.Copy(all, got)
	var differ []string
	for _, about := range slices.Sorted(maps.Keys(all)) {
		if want[about] != got[about] {
			differ = append(differ, fmt.Sprintf("%s: want %d, got %d", about, want[about], got[about]))
		}
	}
	if len(differ) == 0 {
		return ""
	}
	shown := strings.Join(differ[:min(len(differ), 20)], "\n")
	return fmt.Sprintf("%d of %d figures differ:\n%s\n", len(differ), len(all), shown)
}

// TestEverythingAgrees collects an organization and compares, to the last digit, what the HTTP API,
// the command line, the SQL views and the metrics say with the simulator's own ledger, on both
// databases and both generations of reports.
func TestEverythingAgrees(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"sqlite", "postgres"} {
		for _, reports := range []string{"analytics", "cost_report"} {
			t.Run(database+" "+reports, func(t *testing.T) {
				t.Parallel()
				now := time.Now().UTC().Truncate(time.Second)
				o := sim.Options{
					Seed: 7, Now: func() time.Time { return now }, Start: now.AddDate(0, 0, -70),
					Revise: true, DiscountPermille: 120,
				}
				if reports == "cost_report" {
					o.Analytics = "refused"
				}
				receiver := newHook(t)
				w := newWorld(t, database, o, "backfill: 65d\n"+agreeTeams+fmt.Sprintf(agreeRules, receiver.url))
				w.monitor("once")
				stop := w.serve()
				a := agreement{w, now}
				a.usage(spend.Window{Start: spend.Hour.Floor(now.AddDate(0, 0, -5)), End: spend.Hour.Floor(now.Add(-3 * time.Hour))}, reports == "analytics")
				a.bill(spend.Window{Start: spend.Day.Floor(now.AddDate(0, 0, -12)), End: spend.Day.Floor(now.AddDate(0, 0, -3))}, reports == "analytics")
				a.lastMonth(reports == "analytics")
				a.commandLine()
				a.ahead()
				a.teams(reports == "analytics")
				a.estimated(spend.Window{Start: spend.Day.Floor(now.AddDate(0, 0, -3)), End: spend.Day.Ceil(now)})
				a.reconciled()
				a.budgets()
				a.told(receiver)
				stop()
			})
		}
	}
}

type agreement struct {
	*world
	now time.Time
}

// answer is what the HTTP API answers to a question about costs or usage.
type answer struct {
	AsOf  time.Time        `json:"as_of"`
	Data  []map[string]any `json:"data"`
	Total map[string]any   `json:"total"`
}

func (a agreement) ask(path string, window spend.Window, query string) answer {
	a.t.Helper()
	v, err := url.ParseQuery(query)
	require.NoError(a.t, err)
	v.Set("from", window.Start.Format(time.RFC3339))
	v.Set("to", window.End.Format(time.RFC3339))
	status, body := a.get(path + "?" + v.Encode())
	require.Equal(a.t, 200, status, "%s", body)
	var x answer
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	require.NoError(a.t, decoder.Decode(&x))
	return x
}

// money reads a decimal string of dollars.
func (a agreement) money(v any) int64 {
	m, err := spend.ParseUSD(v.(string))
	require.NoError(a.t, err)
	return int64(m)
}

func (a agreement) count(v any) int64 {
	n, err := v.(json.Number).Int64()
	require.NoError(a.t, err)
	return n
}

var countNames = []string{
	"uncached_input_tokens", "cache_read_input_tokens", "cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens",
	"output_tokens", "web_searches", "requests",
}

// usage compares hours by workspace, model, key and tier.
func (a agreement) usage(window spend.Window, requests bool) {
	a.t.Helper()
	names := countNames
	if !requests {
		names = names[:6]
	}
	want, want2 := figures{}, figures{}
	for _, c := range a.org.TrueUsage(window.Start, window.End) {
		counts := []int64{c.UncachedInput, c.CacheRead, c.CacheCreation5m, c.CacheCreation1h, c.Output, c.WebSearches, c.Requests}
		for i, name := range names {
			want.add(counts[i], c.Hour.Unix(), c.WorkspaceID, c.Model, c.APIKeyID, c.ServiceTier, name)
			if i < 6 {
				want2.add(counts[i], c.Hour.Unix(), c.WorkspaceID, c.Model, c.APIKeyID, c.ServiceTier, c.ContextWindow, c.InferenceGeo, c.Speed, name)
			}
		}
	}
	got := figures{}
	for _, r := range a.ask("/api/v1/usage", window, "step=hour&by=workspace,model,api_key,service_tier").Data {
		start, err := time.Parse(time.RFC3339, r["start"].(string))
		require.NoError(a.t, err)
		for _, name := range names {
			got.add(a.count(r[name]), start.Unix(), r["workspace_id"], r["model"], r["api_key_id"], r["service_tier"], name)
		}
	}
	requireSame(a.t, want, got, "usage: the API and the simulator's ledger")

	// The view has every dimension of the report.
	got = figures{}
	columns := strings.Join(countNames[:6], ", ")
	a.query("select bucket, workspace_id, model, api_key_id, service_tier, context_window, inference_geo, speed, "+columns+
		" from usage_hourly", func(scan func(...any)) {
		var bucket any
		var workspace, mdl, key, tier, window_, geo, speed string
		var n [6]int64
		scan(&bucket, &workspace, &mdl, &key, &tier, &window_, &geo, &speed, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5])
		if at := instant(a.t, bucket); window.Contains(at) {
			for i, name := range countNames[:6] {
				got.add(n[i], at.Unix(), workspace, mdl, key, tier, window_, geo, speed, name)
			}
		}
	})
	requireSame(a.t, want2, got, "usage: the view usage_hourly and the simulator's ledger")
}

// bill compares billed cost: by workspace, model and day, and where analytics tells it by key, tier and hour.
func (a agreement) bill(window spend.Window, analytics bool) {
	a.t.Helper()
	cells := a.org.TrueBill(window.Start, window.End)
	if analytics {
		cells = a.org.TrueHourBill(window.Start, window.End)
	}
	days, hours := figures{}, figures{}
	var total int64
	for _, c := range cells {
		amount := sim.SumNanoUSD([]sim.CostCell{c})
		total += amount
		days.add(amount, spend.Day.Floor(c.Start).Format(time.DateOnly), c.WorkspaceID, c.Model)
		hours.add(amount, c.Start.Unix(), c.WorkspaceID, c.APIKeyID, c.Model, c.ServiceTier)
	}
	got := figures{}
	x := a.ask("/api/v1/costs", window, "step=day&by=workspace,model")
	for _, r := range x.Data {
		got.add(a.money(r["cost_usd"]), r["start"].(string)[:10], r["workspace_id"], r["model"])
		require.Equal(a.t, "billed", r["basis"], "%v", r)
	}
	requireSame(a.t, days, got, "cost: the API and the simulator's ledger")
	require.Equal(a.t, total, a.money(x.Total["cost_usd"]))

	got = figures{}
	amount := "cast(cost_usd * 1000000000 as bigint)"
	if a.sqlite != "" {
		amount = "cost_nano"
	}
	var viewTotal int64
	a.query("select cast(day as text), workspace_id, model, "+amount+" from cost_daily", func(scan func(...any)) {
		var day, workspace, mdl string
		var nano int64
		scan(&day, &workspace, &mdl, &nano)
		if day >= window.Start.Format(time.DateOnly) && day < window.End.Format(time.DateOnly) {
			got.add(nano, day, workspace, mdl)
			viewTotal += nano
		}
	})
	requireSame(a.t, days, got, "cost: the view cost_daily and the simulator's ledger")
	require.Equal(a.t, total, viewTotal)

	byKey := a.ask("/api/v1/costs", window, "step=hour&by=workspace,api_key,model,service_tier")
	require.Equal(a.t, total, a.money(byKey.Total["cost_usd"]), "shares add up to the bill")
	if !analytics {
		return
	}
	got = figures{}
	for _, r := range byKey.Data {
		start, err := time.Parse(time.RFC3339, r["start"].(string))
		require.NoError(a.t, err)
		got.add(a.money(r["cost_usd"]), start.Unix(), r["workspace_id"], r["api_key_id"], r["model"], r["service_tier"])
	}
	requireSame(a.t, hours, got, "cost by key, tier and hour: the API and the simulator's ledger")
}

// billedWithin is how long after its end the simulated day has its bill, and the monitor believes it.
const billedWithin = 4 * 24 * time.Hour

// monthBilled reports whether all of last month is billed.
func (a agreement) monthBilled() bool { return a.now.Sub(spend.MonthStart(a.now)) > billedWithin }

// lastMonth compares the gauges of /metrics with the ledger, or with the API while the month's last
// days are not billed.
func (a agreement) lastMonth(analytics bool) {
	end := spend.MonthStart(a.now)
	window := spend.Window{Start: end.AddDate(0, -1, 0), End: end}
	answer := a.ask("/api/v1/costs", window, "by=workspace,model")
	names := map[string]string{}
	want := figures{}
	for _, r := range answer.Data {
		names[r["workspace_id"].(string)] = r["workspace"].(string)
		want.add(a.money(r["cost_usd"]), r["workspace"], r["model"])
	}
	if a.monthBilled() {
		cells := a.org.TrueBill(window.Start, window.End)
		if analytics {
			cells = a.org.TrueHourBill(window.Start, window.End)
		}
		want = figures{}
		for _, c := range cells {
			want.add(sim.SumNanoUSD([]sim.CostCell{c}), names[c.WorkspaceID], c.Model)
		}
	}
	got := figures{}
	for labels, value := range a.metric("anthropic_cost_usd") {
		if labels.period == "last_month" {
			got.add(int64(math.Round(value*1e9)), labels.workspace, labels.model)
			if a.monthBilled() {
				require.Equal(a.t, "billed", labels.basis)
			}
		}
	}
	requireSame(a.t, want, got, "cost of last month")

	var keys, models float64
	for labels, value := range a.metric("anthropic_api_key_cost_usd") {
		if labels.period == "last_month" {
			keys += value
		}
	}
	for _, n := range want {
		models += float64(n) / 1e9
	}
	require.InDelta(a.t, models, keys, 1e-6, "keys and models add up to the same month")
}

// commandLine compares what the command prints with what the API answers.
func (a agreement) commandLine() {
	window := spend.Window{Start: spend.Day.Floor(a.now.AddDate(0, 0, -12)), End: spend.Day.Floor(a.now.AddDate(0, 0, -3))}
	for path, flags := range map[string][]string{"/api/v1/costs": nil, "/api/v1/usage": {"--usage"}} {
		printed := a.monitor(append([]string{
			"report", "--format", "json", "--by", "workspace,model,api_key", "--step", "day",
			"--from", window.Start.Format(time.DateOnly), "--to", window.End.Format(time.DateOnly),
		}, flags...)...)
		var got answer
		decoder := json.NewDecoder(strings.NewReader(printed))
		decoder.UseNumber()
		require.NoError(a.t, decoder.Decode(&got))
		want := a.ask(path, window, "by=workspace,model,api_key&step=day")
		require.NotEmpty(a.t, want.Data)
		require.Equal(a.t, want.Data, got.Data)
		require.Equal(a.t, want.Total, got.Total)
	}
}

// estimated compares cost that is not all billed: calibrated, and at list price beside it.
func (a agreement) estimated(window spend.Window) {
	want, lists := figures{}, figures{}
	var scaled, today int64
	for _, r := range a.ask("/api/v1/costs", window, "step=day&by=workspace,model,cost_type,token_type,api_key").Data {
		about := []any{r["start"].(string)[:10], r["workspace_id"], r["api_key_id"], r["model"], r["cost_type"], r["token_type"]}
		cost, list := a.money(r["cost_usd"]), a.money(r["list_usd"])
		want.add(cost, about...)
		lists.add(list, about...)
		if r["start"].(string)[:10] == a.now.Format(time.DateOnly) {
			today += cost
		}
	}
	for _, r := range a.ask("/api/v1/costs", window, "step=hour&by=workspace,model,api_key").Data {
		if list := a.money(r["list_usd"]); r["basis"] == "estimated" && list > 1_000_000 {
			require.InDelta(a.t, 0.88, float64(a.money(r["cost_usd"]))/float64(list), 1e-4, "%v", r)
			scaled++
		}
	}
	require.Positive(a.t, scaled, "something is estimated, and scaled")
	amount, list := "cast(cost_usd * 1000000000 as bigint)", "cast(list_usd * 1000000000 as bigint)"
	if a.sqlite != "" {
		amount, list = "cost_nano", "list_nano"
	}
	for _, view := range []string{"cost_daily", "cost_hourly"} {
		day := "cast(day as text)"
		switch {
		case view == "cost_daily":
		case a.sqlite != "":
			day = "substr(bucket, 1, 10)"
		default:
			day = "to_char(bucket at time zone 'UTC', 'YYYY-MM-DD')" // a session has a zone of its own
		}
		got, gotLists := figures{}, figures{}
		a.query("select "+day+", workspace_id, api_key_id, model, cost_type, token_type, "+amount+", "+list+" from "+view, func(scan func(...any)) {
			var day, workspace, key, mdl, costType, tokenType string
			var nano, listNano int64
			scan(&day, &workspace, &key, &mdl, &costType, &tokenType, &nano, &listNano)
			if day >= window.Start.Format(time.DateOnly) && day < window.End.Format(time.DateOnly) {
				about := []any{day, workspace, key, mdl, costType, tokenType}
				got.add(nano, about...)
				gotLists.add(listNano, about...)
			}
		})
		requireSame(a.t, want, got, "cost to date: the API and the view "+view)
		requireSame(a.t, lists, gotLists, "cost to date at list price: the API and the view "+view)
	}
	var gauge int64
	for labels, value := range a.metric("anthropic_cost_usd") {
		if labels.period == "today" {
			gauge += int64(math.Round(value * 1e9))
		}
	}
	require.Equal(a.t, today, gauge, "cost of today: the API and /metrics")
}

// reconciled requires that every settled day agrees, that the command says what the API says, and
// that the discount is found.
func (a agreement) reconciled() {
	window := spend.Window{Start: spend.Day.Floor(a.now.AddDate(0, 0, -40)), End: spend.Day.Ceil(a.now)}
	status, body := a.get("/api/v1/reconciliation?from=" + window.Start.Format(time.DateOnly) + "&to=" + window.End.Format(time.DateOnly))
	require.Equal(a.t, 200, status, "%s", body)
	printed := a.monitor("report", "--reconcile", "--format", "json", "--from", window.Start.Format(time.DateOnly), "--to", window.End.Format(time.DateOnly))
	require.JSONEq(a.t, string(body), printed)
	var answer struct {
		Data []struct {
			Day, Check, Verdict, Explanation string
		}
		Organizations []struct {
			Days        int
			Agreeing    int `json:"days_agreeing"`
			Calibration struct {
				Factors []struct {
					Model, Factor string
					Applied       bool
				}
			}
		}
	}
	require.NoError(a.t, json.Unmarshal(body, &answer))
	require.GreaterOrEqual(a.t, len(answer.Data), 30*20)
	for _, d := range answer.Data {
		require.Contains(a.t, []string{"agrees", "explained"}, d.Verdict, "%+v", d)
	}
	o := answer.Organizations[0]
	require.GreaterOrEqual(a.t, o.Days, 35)
	require.Equal(a.t, o.Days, o.Agreeing)
	require.GreaterOrEqual(a.t, len(o.Calibration.Factors), 5)
	for _, f := range o.Calibration.Factors {
		require.True(a.t, f.Applied, "%+v", f)
		factor, err := spend.ParseUSD(f.Factor)
		require.NoError(a.t, err)
		require.InDelta(a.t, 0.88, factor.USD(), 1e-6, "%+v", f)
	}
	drift := 0.0
	for _, v := range a.metric("anthropic_estimate_drift_ratio") {
		drift = v
	}
	require.Greater(a.t, drift, 1.0, "list price over a bill with a discount")
}

// labels are those of the metrics compared here.
type costLabels struct{ workspace, model, apiKey, team, period, basis, subject string }

// metric reads a gauge from the daemon.
func (a agreement) metric(name string) map[costLabels]float64 {
	a.t.Helper()
	var body []byte
	require.Eventually(a.t, func() bool {
		_, body = a.get("/metrics")
		return bytes.Contains(body, []byte(name+"{"))
	}, 30*time.Second, 50*time.Millisecond, "no %s", name)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	require.NoError(a.t, err)
	values := map[costLabels]float64{}
	for _, m := range families[name].GetMetric() {
		var l costLabels
		for _, p := range m.GetLabel() {
			switch p.GetName() {
			case "workspace":
				l.workspace = p.GetValue()
			case "model":
				l.model = p.GetValue()
			case "api_key":
				l.apiKey = p.GetValue()
			case "team":
				l.team = p.GetValue()
			case "period":
				l.period = p.GetValue()
			case "basis":
				l.basis = p.GetValue()
			case "subject":
				l.subject = p.GetValue()
			}
		}
		values[l] = m.GetGauge().GetValue()
	}
	return values
}

// query runs SQL as a user of the views would, from outside.
func (w *world) query(text string, row func(scan func(...any))) {
	w.t.Helper()
	driver, source := "sqlite", w.sqlite
	if w.dbURL != "" {
		driver, source = "pgx", w.dbURL
	}
	db, err := sql.Open(driver, source)
	require.NoError(w.t, err)
	defer db.Close()
	rows, err := db.QueryContext(w.t.Context(), text)
	require.NoError(w.t, err)
	defer rows.Close()
	for rows.Next() {
		row(func(into ...any) { require.NoError(w.t, rows.Scan(into...)) })
	}
	require.NoError(w.t, rows.Err())
}

// instant is a time of a view: a time in PostgreSQL, seconds or text in SQLite.
func instant(t *testing.T, v any) time.Time {
	t.Helper()
	switch v := v.(type) {
	case time.Time:
		return v.UTC()
	case int64:
		return time.Unix(v, 0).UTC()
	case string:
		at, err := time.Parse(time.RFC3339, v)
		require.NoError(t, err)
		return at.UTC()
	default:
		require.Fail(t, "not a time", "%T", v)
		return time.Time{}
	}
}
