package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// mayBeEmpty are the queries that need not give anything, and why.
var mayBeEmpty = map[string]string{
	"anthropic-health/Series folded into other":       "that takes more than a thousand series, or changes the labels of all others",
	"anthropic-health/Rules that could not be judged": "no rule fails while its database answers",
}

// TestDashboards runs every query of the dashboards as Grafana would: against a real Prometheus that was
// given 60 days by the export and scrapes the daemon by the configuration that we ship, and against
// the daemon's PostgreSQL database. None may fail or be empty, and the figures on top are the simulator's.
func TestDashboards(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("60 days are collected and imported")
	}
	o := punctual(fullHour())
	o.DiscountPermille = 120
	heart := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(heart.Close)
	told, deaf := newHook(t), newHook(t)
	deaf.status = func() int { return http.StatusBadRequest } // for good: what is sent there is given up
	config := agreeTeams + fmt.Sprintf("backfill: 66d\nheartbeat: {url: %q}\naudit: {own_domains: [%q]}\n", heart.URL, sim.Domain)
	w := newWorld(t, "postgres", o, config)
	live := spend.Day.Floor(o.Now()).AddDate(0, 0, -3)
	w.liveSince(live)
	w.monitor("once")
	w.monitor("admin", "keys", "disable", "reserve", "--yes")
	g := &grafana{world: w, now: o.Now(), prom: w.imported(o.Now(), 60), counted: live}
	w.configure(config + fmt.Sprintf(`
notifiers: [{name: told, webhook: {url: %q}}, {name: deaf, webhook: {url: %q}}]
rules:
  - {name: spending, severity: critical, notify: [told, deaf], by: [workspace], threshold: {metric: cost_usd, window: 6h, above: 0.001}}
  - {name: month, notify: told, budget: {amount_usd: 4000}}
  - {name: workspaces, notify: told, by: [workspace], budget: {amount_usd: 10}}
`, told.url, deaf.url)) // now, so that the daemon tells of what it finds
	g.scraped()
	g.db = g.database()
	for _, d := range readDashboards(t) {
		g.dashboard(d)
	}
	g.figures()
}

// grafana asks what the dashboards ask.
type grafana struct {
	*world
	now     time.Time // the simulator's
	counted time.Time // when counters began to count
	prom    *prometheusServer
	db      *sql.DB
}

// imported starts a Prometheus by the configuration that is shipped, but for the port and for what
// would take minutes, on blocks made of the last days, month by month.
func (w *world) imported(now time.Time, days int) *prometheusServer {
	w.t.Helper()
	dir := w.t.TempDir()
	today := spend.Day.Floor(now)
	for from := today.AddDate(0, 0, -days); from.Before(now); {
		to := spend.MonthStart(from).AddDate(0, 1, 0)
		if to.After(now) {
			to = now
		}
		file := filepath.Join(w.dir, "month.om")
		w.monitor("export", "openmetrics", "--label", "job=anthropic-monitor", "--label", "instance="+w.listen,
			"--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339), "--output", file)
		out, err := exec.CommandContext(w.t.Context(), tool(w.t, "promtool"), "tsdb", "create-blocks-from", "--max-block-duration=486h",
			"openmetrics", file, filepath.Join(dir, "data")).CombinedOutput()
		require.NoError(w.t, err, "promtool: %s", out)
		from = to
	}
	replaced := func(file string, pairs ...string) {
		text := read(w.t, "deploy/prometheus/"+file)
		for i := 0; i < len(pairs); i += 2 {
			old := regexp.MustCompile(pairs[i])
			require.Regexp(w.t, old, text, file)
			text = old.ReplaceAllString(text, pairs[i+1])
		}
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	replaced("rules.yml", `for: \d+[mh]`, "for: 0s")
	replaced("prometheus.yml", `127\.0\.0\.1:9599`, w.listen, `scrape_interval: 1m`, "scrape_interval: 1s", `rule_files:`, "global: {evaluation_interval: 1s}\nrule_files:")
	return w.prometheusOf(dir, filepath.Join(dir, "prometheus.yml"))
}

// scraped runs the daemon until Prometheus has seen it collect, fail, judge and tell, again and again.
func (g *grafana) scraped() {
	g.t.Helper()
	since := time.Now()
	daemon := g.daemon()
	seen := func(query string) bool {
		got := g.prom.query(query)
		return len(got) > 0 && got[0].values[0] > 0
	}
	for _, query := range []string{
		fmt.Sprintf(`anthropic_monitor_snapshot_timestamp_seconds{job="anthropic-monitor"} >= bool %d`, since.Unix()),
		`sum(anthropic_monitor_api_requests_total{code="429"})`,
		`sum(increase(anthropic_monitor_api_requests_total{code="429"}[5m]))`,
		`sum(increase(anthropic_monitor_job_runs_total{exported_job="usage"}[5m]))`,
		`sum(increase(anthropic_monitor_evaluation_duration_seconds_count[5m]))`,
		`sum(anthropic_monitor_notifications_total)`,
		`sum(anthropic_monitor_notifications_pending{outcome="dead"})`,
		`anthropic_monitor_heartbeats_total`,
		`ALERTS{alertstate="firing"}`,
	} {
		asked := time.Now()
		g.eventually(func() bool {
			if seen(query) {
				return true
			}
			if time.Since(asked) > 2*time.Second {
				g.org.Faults().Arm(sim.Rule{Fault: sim.RateLimited, Path: "/usage_report/messages", Times: 1})
				g.monitor("once") // has the daemon collect and judge
				asked = time.Now()
			}
			return false
		}, daemon.log, "Prometheus does not see "+query)
	}
}

// database is the daemon's, as somebody reads it whose session is not in UTC.
func (g *grafana) database() *sql.DB {
	u, err := url.Parse(g.dbURL)
	require.NoError(g.t, err)
	q := u.Query()
	q.Set("timezone", "America/New_York")
	u.RawQuery = q.Encode()
	db, err := sql.Open("pgx", u.String())
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = db.Close() })
	return db
}

// grafanaDashboard is what the test reads of a dashboard.
type grafanaDashboard struct {
	UID        string
	Time       struct{ From, To string }
	Links      []struct{ URL string }
	Templating struct{ List []grafanaVariable }
	Panels     []grafanaPanel
	// Annotations are marks in graphs.
	Annotations struct {
		List []struct {
			Name       string
			BuiltIn    int
			Datasource struct{ Type string }
			Target     grafanaQuery
		}
	}
}

type grafanaPanel struct {
	Type, Title, Interval string
	Targets               []grafanaQuery
	Links                 []struct{ URL string }
	Transformations       []struct {
		ID      string
		Options struct{ IndexByName map[string]int }
	}
}

type grafanaQuery struct {
	RefID, Expr, LegendFormat, RawSQL, Format, Interval string
	Instant                                             bool
}

func readDashboards(t *testing.T) (all []grafanaDashboard) {
	t.Helper()
	files, err := filepath.Glob("../../grafana/dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var d grafanaDashboard
		require.NoError(t, json.Unmarshal(text, &d), file)
		all = append(all, d)
	}
	return all
}

// dashboard runs all queries of a dashboard with everything chosen, when none may be empty, and again
// with one value of each variable, when nothing may be left.
func (g *grafana) dashboard(d grafanaDashboard) {
	v := &view{to: time.Now(), chosen: map[string][]string{}, variables: map[string]grafanaVariable{}}
	v.from = v.to.Add(-ago(g.t, d.Time.From))
	for _, x := range d.Templating.List {
		v.variables[x.Name] = x
	}
	for _, x := range d.Templating.List {
		if x.Type != "query" {
			continue
		}
		values := g.values(x, v)
		require.NotEmpty(g.t, values, "%s: variable %s", d.UID, x.Name)
		v.options(x.Name, values)
	}
	for _, a := range d.Annotations.List {
		if a.BuiltIn == 0 {
			require.NotEmpty(g.t, g.run(a.Target, grafanaPanel{Interval: a.Target.Interval}, v).values, "%s: annotation %s", d.UID, a.Name)
		}
	}
	links := d.Links
	for _, p := range d.Panels {
		links = append(links, p.Links...)
		name := d.UID + "/" + p.Title
		g.panel(name, p, v)
	}
	for _, l := range links {
		if path, ok := strings.CutPrefix(l.URL, "${monitor_url}"); ok {
			status, _ := g.get(path)
			require.Equal(g.t, http.StatusOK, status, "%s links to %s", d.UID, path)
		}
	}
	one := *v
	one.chosen = map[string][]string{}
	for name, x := range v.variables {
		values := v.listed[name]
		if x.Type == "custom" {
			values = strings.Split(string(x.Query), ",")
		}
		if len(values) > 0 {
			one.chosen[name] = values[len(values)-1:]
		}
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			g.run(q, p, &one)
		}
	}
}

// panel runs the queries of a panel, none of which may be empty, and looks for what its legend and its
// table are made of in the answers.
func (g *grafana) panel(name string, p grafanaPanel, v *view) {
	g.t.Helper()
	var columns []string
	for i, q := range p.Targets {
		a := g.run(q, p, v)
		if mayBeEmpty[name] == "" && !(g.nothingYet() && ofRunning.MatchString(a.query)) {
			require.NotEmpty(g.t, a.values, "%s is empty: %s", name, a.query)
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(q.LegendFormat, -1) {
				require.Contains(g.t, a.columns, m[1], "%s: its legend names a label that no answer has: %s", name, a.query)
			}
		}
		value := "Value"
		if len(p.Targets) > 1 {
			value += " #" + q.RefID
		}
		require.Equal(g.t, string(rune('A'+i)), q.RefID, name)
		columns = append(append(columns, a.columns...), value)
	}
	if mayBeEmpty[name] != "" || g.nothingYet() {
		return
	}
	for _, tr := range p.Transformations {
		for column := range tr.Options.IndexByName {
			require.Contains(g.t, columns, column, "%s: a column that no answer has", name)
		}
	}
}

// imported are the metrics that the export has.
var imported = regexp.MustCompile(`\banthropic_((?:api_key_|unpriced_)?tokens_total|requests_total|web_searches_total|cost_usd|api_key_cost_usd|cache_hit_ratio)\b`)

// ofRunning are the metrics of a period that runs.
var ofRunning = regexp.MustCompile(`period="(today|week|month)"|anthropic_budget_`)

// nothingYet reports whether no hour of the running day is over for the simulator: then there is nothing of
// the day, and on a first day nothing of its week or month.
func (g *grafana) nothingYet() bool { return !spend.Day.Floor(time.Now()).Before(g.now) }

// outcome is what a query gave.
type outcome struct {
	query   string
	columns []string // labels, or columns
	series  []series
	rows    []map[string]any
	values  []float64 // all there are, but those that are no number
}

// run runs a query as it is sent for a panel.
func (g *grafana) run(q grafanaQuery, p grafanaPanel, v *view) (a outcome) {
	g.t.Helper()
	step := v.step(g.t, v.promQL(g.t, p.Interval, 0))
	if q.RawSQL != "" {
		a.query = v.sql(g.t, q.RawSQL)
		g.rows(&a)
		if q.Format == "time_series" {
			v.checkTimes(g.t, a)
		}
		return a
	}
	a.query = v.promQL(g.t, q.Expr, step)
	path, values := "query", url.Values{"query": {a.query}, "time": {seconds(v.to)}}
	if !q.Instant {
		// Steps are whole ones of UTC. What was not imported begins with the daemon, seconds ago: for that
		// the last step is now.
		to := v.to
		if imported.MatchString(a.query) {
			to = to.Truncate(step)
		}
		from := to.Add(-v.to.Sub(v.from).Round(step))
		path, values = "query_range", url.Values{"query": {a.query}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {seconds(time.Unix(0, int64(step)))}}
	}
	a.series = g.prom.ask(path, values)
	found := map[string]bool{}
	for _, s := range a.series {
		for label := range s.labels {
			found[label] = true
		}
		for _, x := range s.values {
			if !math.IsNaN(x) && !math.IsInf(x, 0) {
				a.values = append(a.values, x)
			}
		}
	}
	a.columns = slices.Sorted(maps.Keys(found))
	return a
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// rows runs SQL.
func (g *grafana) rows(a *outcome) {
	g.t.Helper()
	rows, err := g.db.QueryContext(g.t.Context(), a.query)
	require.NoError(g.t, err, a.query)
	defer rows.Close()
	a.columns, err = rows.Columns()
	require.NoError(g.t, err)
	for rows.Next() {
		cells, into := make([]any, len(a.columns)), make([]any, len(a.columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		require.NoError(g.t, rows.Scan(into...))
		row := map[string]any{}
		for i, name := range a.columns {
			row[name] = cells[i]
			if x, err := strconv.ParseFloat(fmt.Sprint(cells[i]), 64); err == nil && name != "time" {
				a.values = append(a.values, x)
			} else if at, ok := cells[i].(time.Time); ok {
				a.values = append(a.values, float64(at.Unix()))
			}
		}
		a.rows = append(a.rows, row)
	}
	require.NoError(g.t, rows.Err())
}

// values lists what can be chosen of a variable.
func (g *grafana) values(x grafanaVariable, v *view) (all []string) {
	g.t.Helper()
	if x.Datasource.Type != "prometheus" {
		a := outcome{query: v.sql(g.t, string(x.Query))}
		g.rows(&a)
		for _, row := range a.rows {
			all = append(all, row[a.columns[0]].(string))
		}
		return all
	}
	m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.promQL(g.t, string(x.Query), 0))
	require.Len(g.t, m, 3, "%s: %s", x.Name, x.Query)
	r, err := http.Get("http://" + g.prom.address + "/api/v1/label/" + m[2] + "/values?" + url.Values{ //nolint:noctx // bounded by the test
		"match[]": {m[1]}, "start": {seconds(v.from)}, "end": {seconds(v.to)},
	}.Encode())
	require.NoError(g.t, err)
	defer r.Body.Close()
	var answer struct {
		Status, Error string
		Data          []string
	}
	require.NoError(g.t, json.NewDecoder(r.Body).Decode(&answer))
	require.Equal(g.t, "success", answer.Status, "%s: %s", m[0], answer.Error)
	return answer.Data
}

// figures compares what is on top with the simulator's ledger.
func (g *grafana) figures() {
	g.t.Helper()
	byTitle := map[string]grafanaPanel{}
	views := map[string]*view{}
	for _, d := range readDashboards(g.t) {
		v := &view{to: time.Now(), variables: map[string]grafanaVariable{}}
		v.from = spend.Day.Floor(g.now).AddDate(0, 0, -58)
		for _, x := range d.Templating.List {
			v.variables[x.Name] = x
		}
		views[d.UID] = v
		for _, p := range d.Panels {
			if p.Type != "row" {
				byTitle[d.UID+"/"+p.Title] = p
			}
		}
	}
	shown := func(name string) outcome {
		g.t.Helper()
		p, ok := byTitle[name]
		require.True(g.t, ok, name)
		uid, _, _ := strings.Cut(name, "/")
		return g.run(p.Targets[0], p, views[uid])
	}
	one := func(name string) float64 {
		g.t.Helper()
		a := shown(name)
		require.Len(g.t, a.values, 1, "%s: %s", name, a.query)
		return a.values[0]
	}

	// Last month is billed as a whole; this month and today are what the API says.
	month := spend.MonthStart(g.now)
	bill := func(from, to time.Time) float64 {
		return float64(sim.SumNanoUSD(g.org.TrueHourBill(from, to))) / 1e9
	}
	require.InDelta(g.t, bill(month.AddDate(0, -1, 0), month), one("anthropic-spend/Last month"), 1e-6)
	a := agreement{g.world, g.now}
	dollars := func(from time.Time, query string) float64 {
		return float64(a.money(a.ask("/api/v1/costs", spend.Window{Start: from, End: spend.Day.Floor(g.now).AddDate(0, 0, 1)}, query).Total["cost_usd"])) / 1e9
	}
	if !g.nothingYet() {
		thisMonth := dollars(month, "")
		require.InDelta(g.t, dollars(spend.Day.Floor(g.now), ""), one("anthropic-spend/Today"), 1e-6)
		require.InDelta(g.t, thisMonth, one("anthropic-spend/This month"), 1e-6)
		for _, name := range []string{"anthropic-spend/This month by basis", "anthropic-spend/By workspace", "anthropic-spend/By model", "anthropic-spend/By team"} {
			var sum float64
			for _, x := range shown(name).values {
				sum += x
			}
			require.InDelta(g.t, thisMonth, sum, 1e-6, name)
		}
		v := *views["anthropic-spend"]
		v.chosen = map[string][]string{"workspace": {g.oddWorkspace()}}
		views["anthropic-spend"] = &v
		require.InDelta(g.t, dollars(month, url.Values{"workspace": v.chosen["workspace"]}.Encode()), one("anthropic-spend/This month"), 1e-6, "of one workspace")
		v.chosen = nil
	}

	// Each day in graph and table, by model, is that of the bill, once it is settled.
	first, settled := views["anthropic-spend"].from, spend.Day.Floor(g.now).AddDate(0, 0, -4)
	want, got := figures{}, figures{}
	for _, c := range g.org.TrueHourBill(first, settled) {
		want.add(sim.SumNanoUSD([]sim.CostCell{c}), spend.Day.Floor(c.Start).Unix(), c.Model)
	}
	for _, s := range shown("anthropic-spend/Cost by day and model").series {
		for i, at := range s.at {
			if at >= float64(first.Unix()) && at < float64(settled.Unix()) {
				got.add(int64(math.Round(s.values[i]*1e9)), int64(at), s.labels["model"])
			}
		}
	}
	for about := range want {
		if n := got[about] - want[about]; max(n, -n) <= 10 {
			got[about] = want[about] // floats
		}
	}
	requireSame(g.t, want, got, "cost by day and model in Prometheus, and the simulator's ledger")

	explorer := *views["anthropic-explorer"]
	explorer.from, explorer.to = first, settled.Add(-time.Second)
	explorer.chosen = map[string][]string{"by": {"model"}}
	views["anthropic-explorer"] = &explorer
	got = figures{}
	for _, row := range shown("anthropic-explorer/Cost by day").rows {
		m, err := spend.ParseUSD(row["cost"].(string))
		require.NoError(g.t, err)
		name := row["metric"].(string)
		if name == "(none)" {
			name = ""
		}
		at, err := strconv.ParseFloat(fmt.Sprint(row["time"]), 64)
		require.NoError(g.t, err)
		got.add(int64(m), int64(at), name)
	}
	requireSame(g.t, want, got, "cost by day and model in the explorer, and the simulator's ledger")
	require.InDelta(g.t, bill(first, settled), one("anthropic-explorer/Cost"), 1e-9)
	require.InDelta(g.t, 1.0, one("anthropic-explorer/Billed"), 1e-9)

	// Tokens of each hour, by type, over the beginning of live collection; and of all the time.
	g.tokens(shown("anthropic-usage/Tokens per hour by type"), views["anthropic-usage"].step(g.t, "1h"))
	var output float64
	for _, c := range g.org.TrueUsage(first, g.now) {
		output += float64(c.Output)
	}
	require.InEpsilon(g.t, output, one("anthropic-usage/Output tokens"), 0.05, "increase() extrapolates")

	// Budgets are those of the API.
	var budgets struct {
		Data []struct {
			Rule, Subject string
			SpentUSD      string `json:"spent_usd"`
		}
	}
	status, body := g.get("/api/v1/budgets")
	require.Equal(g.t, http.StatusOK, status)
	require.NoError(g.t, json.Unmarshal(body, &budgets))
	require.Equal(g.t, float64(len(budgets.Data)), one("anthropic-budgets/Budgets"))
}

// tokens compares tokens per hour with the simulator's, where a step is whole hours.
func (g *grafana) tokens(a outcome, step time.Duration) {
	g.t.Helper()
	types := map[string]func(sim.UsageCell) int64{
		"uncached_input":   func(c sim.UsageCell) int64 { return c.UncachedInput },
		"cache_read_input": func(c sim.UsageCell) int64 { return c.CacheRead },
		"output":           func(c sim.UsageCell) int64 { return c.Output },
	}
	compared := 0
	for _, s := range a.series {
		count := types[s.labels["token_type"]]
		if count == nil {
			continue
		}
		for i, at := range s.at {
			end := time.Unix(int64(at), 0).UTC()
			if i == 0 || end.After(g.now) || end.Sub(g.counted).Abs() <= step {
				continue // counters begin with the export, and with live collection
			}
			var want float64
			for _, c := range g.org.TrueUsage(end.Add(-step), end) {
				want += float64(count(c))
			}
			// Of a counter that began in the window, rate() counts the minute before it as well.
			require.InEpsilon(g.t, want*float64(time.Hour)/float64(step), s.values[i], 0.01, "%v at %v", s.labels, end)
			compared++
		}
	}
	require.Greater(g.t, compared, 100)
}

// oddWorkspace is one of which the name has to be escaped.
func (g *grafana) oddWorkspace() (name string) {
	g.t.Helper()
	g.query("select distinct workspace from cost_daily where workspace like '%(%' order by 1", func(scan func(...any)) { scan(&name) })
	require.NotEmpty(g.t, name)
	return name
}

// TestDashboardNames checks that dashboards name metrics, labels and values of labels that the monitor
// exports, and no other metrics than its own and those that each target and process has.
func TestDashboardNames(t *testing.T) {
	t.Parallel()
	exported := exportedNames{metricsReference(t), read(t, "docs/metrics.md"), read(t, "internal/metrics/testdata/metrics.txt")}
	common := regexp.MustCompile(`^(up|ALERTS|scrape_duration_seconds|process_\w+)$`)
	metric := regexp.MustCompile(`\b([a-zA-Z_]\w*)\{`)
	n := 0
	check := func(where, expr string) {
		n++
		for _, m := range metric.FindAllStringSubmatch(expr, -1) {
			require.True(t, strings.HasPrefix(m[1], "anthropic_") || common.MatchString(m[1]), "%s: %s is no metric of ours", where, m[1])
		}
		require.NoError(t, exported.dashboard(expr), "%s: %s", where, expr)
	}
	for _, d := range readDashboards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				if q.Expr != "" {
					check(d.UID+"/"+p.Title, q.Expr)
				}
			}
		}
		for _, a := range d.Annotations.List {
			if a.Target.Expr != "" {
				check(d.UID+"/"+a.Name, a.Target.Expr)
			}
		}
	}
	require.Greater(t, n, 80)
	for expr, want := range map[string]string{
		`sum(anthropic_cost_eur{period="today"})`:                      "anthropic_cost_eur is no metric",
		`sum(anthropic_cost_usd{team=~"$team", period="today"})`:       "anthropic_cost_usd has no label team",
		`sum(anthropic_cost_usd{workspace=~"$workspace", period="x"})`: "period of anthropic_cost_usd is never x",
		`sum by (team) (anthropic_cost_usd{period="today"})`:           "nothing in the expression has the label team",
		`max by (job) (anthropic_monitor_job_runs_total{job="usage"})`: "job of anthropic_monitor_job_runs_total is of the target, the monitor's is exported_job",
	} {
		require.EqualError(t, exported.dashboard(expr), want, expr)
	}
}

// dashboard checks an expression of a dashboard, in which values can be variables.
func (e exportedNames) dashboard(expr string) error {
	for _, m := range regexp.MustCompile(`(anthropic_monitor_job_\w+)\{[^}]*\bjob=`).FindAllStringSubmatch(expr, -1) {
		return fmt.Errorf("job of %s is of the target, the monitor's is exported_job", m[1])
	}
	// Histograms are documented by their name without an ending, and variables stand for any value.
	expr = regexp.MustCompile(`(_seconds)_(bucket|sum|count)\b`).ReplaceAllString(expr, "$1")
	expr = regexp.MustCompile(`\w+=~"\$\w+\|?"(, )?`).ReplaceAllStringFunc(expr, func(m string) string {
		label, _, _ := strings.Cut(m, "=~")
		return label + `=~".*"` + map[bool]string{true: ", "}[strings.HasSuffix(m, ", ")]
	})
	labels, err := e.selectors(expr)
	if err != nil {
		return err
	}
	for _, m := range matcher.FindAllStringSubmatch(expr, -1) {
		if m[3] == ".*" || m[3] == "2.." {
			expr = strings.ReplaceAll(expr, m[0], m[1]+`=""`)
		}
	}
	expr = regexp.MustCompile(`(\w+)=""(, )?`).ReplaceAllString(expr, "")
	if err := e.values(expr); err != nil {
		return err
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, name := range regexp.MustCompile(`\w+`).FindAllString(g[2], -1) {
			if name != "le" && !slices.Contains(labels, name) {
				return fmt.Errorf("nothing in the expression has the label %s", name)
			}
		}
	}
	return nil
}

// TestGrafanaProvisioning checks the files that Grafana reads at its start.
func TestGrafanaProvisioning(t *testing.T) {
	t.Parallel()
	var sources struct {
		Datasources []struct {
			Name, UID, Type, URL string
			JSONData             map[string]any `yaml:"jsonData"`
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "grafana/provisioning/datasources/anthropic-monitor.yaml")), &sources))
	plugins := map[string]bool{}
	for _, s := range sources.Datasources {
		require.NotEmpty(t, s.UID)
		require.NotEmpty(t, s.URL)
		plugins[s.Type] = true
		if s.Type == "prometheus" {
			require.Equal(t, "1m", s.JSONData["timeInterval"], "as in deploy/prometheus/prometheus.yml")
		}
	}
	require.Contains(t, read(t, "deploy/prometheus/prometheus.yml"), "scrape_interval: 1m")
	for _, d := range readDashboards(t) {
		for _, v := range d.Templating.List {
			if v.Type == "datasource" {
				require.Contains(t, plugins, string(v.Query), "%s: a data source for it", d.UID)
			}
		}
	}
	var providers struct {
		Providers []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "grafana/provisioning/dashboards/anthropic-monitor.yaml")), &providers))
	require.Len(t, providers.Providers, 1)
	require.Equal(t, "file", providers.Providers[0].Type)
	require.NotEmpty(t, providers.Providers[0].Options.Path)
	manual := read(t, "docs/grafana.md")
	for _, file := range []string{"datasources", "dashboards"} {
		for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(read(t, "grafana/provisioning/"+file+"/anthropic-monitor.yaml"), -1) {
			require.Contains(t, manual, "`"+m[1]+"`", "docs/grafana.md names what has to be set")
		}
	}
}
