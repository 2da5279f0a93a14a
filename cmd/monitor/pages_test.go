package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// pagesConfig has a rule of each kind that the pages show in a way of its own. Some fire at once.
const pagesConfig = `backfill: 40d
notifiers: [{name: chat, webhook: {url: %q}}]
teams: [{name: search, api_keys: ["search-*"]}]
rules:
  - {name: monthly budget, notify: [chat], budget: {amount_usd: 400, period: month}}
  - {name: daily budget, budget: {amount_usd: 100, period: day, actual: [80, 100], forecast: [100]}}
  - {name: per workspace, by: [workspace], where: {model: ["claude-*"]}, budget: {amount_usd: 900, period: week, time_zone: Europe/Berlin}}
  - {name: any spending, severity: critical, notify: [chat], by: [workspace], threshold: {metric: cost_usd, window: 1d, above: 0.01}}
`

// TestPages looks at every page in a real browser: on both databases, once without and once with a
// login, with and without scripts, wide and narrow, light and dark.
func TestPages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("two daemons and a browser")
	}
	browser := openBrowser(t)
	for _, database := range []string{"sqlite", "postgres"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			p := newPages(t, database)
			x := &shown{newTab(t, browser, p.world), p.now}
			x.everyPage()
			x.figures()
			x.explore()
			x.silence()
			x.elsewhere()
			x.refused()
		})
	}
}

// pagesWorld is a daemon whose pages are looked at.
type pagesWorld struct {
	*world
	now time.Time
}

func newPages(t *testing.T, database string) pagesWorld {
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(chat.Close)
	now := fullHour()
	o := punctual(now)
	o.DiscountPermille = 120
	w := newWorld(t, database, o, "")
	config := fmt.Sprintf(pagesConfig, chat.URL)
	if database == "postgres" { // the other way to ask who may change something
		file := filepath.Join(w.dir, "web.yml")
		require.NoError(t, os.WriteFile(file, []byte("basic_auth_users: {ada: "+openSesame+"}\n"), 0o600))
		w.web, w.login = fmt.Sprintf(", config_file: %q", file), "ada:open%20sesame@"
	}
	w.configure(config)
	w.monitor("once")
	w.serve()
	return pagesWorld{w, now}
}

// openSesame is the hash of "open sesame".
const openSesame = "$2a$04$d1iTe7630Rl18uvSADSzq.In4MRJqAQ8oo3Uiws4cY2BKZLzbiuay"

// shown is a window on the pages.
type shown struct {
	*tab
	now time.Time
}

var pagePaths = []struct{ path, title string }{
	{"/", "Overview"},
	{"/explore", "Explore"},
	{"/explore?by=api_key,model&compare=before&measure=tokens&range=7d", "Explore"},
	{"/budgets", "Budgets"},
	{"/alerts", "Alerts"},
	{"/keys", "Keys and access"},
	{"/jobs", "Jobs and data"},
}

// everyPage looks at each page as it is, by keyboard, in the dark, on a telephone and without scripts.
func (x *shown) everyPage() {
	t := x.t
	x.zone("America/New_York")
	for _, p := range pagePaths {
		x.look(1280, "light")
		require.EqualValues(t, 200, x.open(p.path), p.path)
		require.Equal(t, p.title+" · Anthropic Monitor", eval[string](x.tab, "document.title"))
		require.Contains(t, eval[string](x.tab, "document.querySelector('time[datetime]').textContent"), " ES", "%s: times are in the viewer's zone", p.path)
		require.False(t, strings.Contains(x.text(), "ZgotmplZ"), p.path)
		light := eval[string](x.tab, "getComputedStyle(document.body).backgroundColor")

		x.do(chromedp.KeyEvent(kb.Tab))
		require.Equal(t, "#content", eval[string](x.tab, "document.activeElement.getAttribute('href')"), "%s: Tab leads to the skip link first", p.path)
		x.do(chromedp.KeyEvent(kb.Enter))
		x.do(poll("document.activeElement.id === 'content'"))

		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 1280} {
				x.look(width, scheme)
				wide := eval[[]int](x.tab, "[document.scrollingElement.scrollWidth, innerWidth]")
				require.LessOrEqual(t, wide[0], wide[1], "%s scrolls sideways at %d", p.path, width)
				if p.path == "/keys" || p.path == "/budgets" {
					require.Empty(t, eval[[]string](x.tab, cutOff), "%s at %d: tables are cut off", p.path, width)
				}
			}
		}
		require.NotEqual(t, light, eval[string](x.tab, "getComputedStyle(document.body).backgroundColor"), "%s in the dark", p.path)
		x.clean(p.path)

		x.scripts(false)
		require.EqualValues(t, 200, x.open(p.path), p.path)
		require.Contains(t, eval[string](x.tab, "document.querySelector('time[datetime]').textContent"), " UTC", "%s without scripts", p.path)
		require.Equal(t, p.title, eval[string](x.tab, "document.title.split(' · ')[0]"))
		x.clean(p.path + " without scripts")
		x.scripts(true)
	}
	x.expects("404")
	require.EqualValues(t, 404, x.open("/nowhere"))
	x.says("There is no such page.", "the page")
	x.clean("/nowhere")
}

// cutOff lists the tables that are wider than their place, also those that are folded away.
const cutOff = `(document.querySelectorAll('details:has(.scroll)').forEach(d => d.open = true),
	[...document.querySelectorAll('.scroll:has(.keys), .scroll:has(.past)')].filter(e => e.scrollWidth > e.clientWidth)
		.map(e => e.getAttribute('aria-label') + ' ' + e.scrollWidth + '>' + e.clientWidth))`

// poll is a step that waits until the condition holds in the page.
func poll(condition string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(time.Minute))(ctx, target)
		return err
	})
}

// answer asks the daemon's API.
func (x *shown) api(path string, into any) {
	x.t.Helper()
	status, body := x.get(path)
	require.Equal(x.t, 200, status, "%s: %s", path, body)
	require.NoError(x.t, json.Unmarshal(body, into))
}

// figures compares what the pages show with the simulator's own ledger, to the cent.
func (x *shown) figures() {
	t := x.t
	day := spend.Day.Floor(x.now).AddDate(0, 0, -5)
	window := spend.Window{Start: day, End: day.AddDate(0, 0, 1)}
	usd := func(nano int64) string { return "$" + report.USD(spend.Money(nano)) }
	var total int64
	byWorkspace := map[string]int64{}
	for _, c := range x.org.TrueHourBill(window.Start, window.End) {
		n := sim.SumNanoUSD([]sim.CostCell{c})
		total += n
		byWorkspace[c.WorkspaceID] += n
	}
	require.Positive(t, total)
	var workspaces struct {
		Data []struct {
			ID   string `json:"workspace_id"`
			Name string `json:"workspace"`
		}
	}
	span := "from=" + window.Start.Format(time.DateOnly) + "&to=" + window.End.Format(time.DateOnly)
	x.api("/api/v1/costs?by=workspace&"+span, &workspaces)
	require.Len(t, workspaces.Data, len(byWorkspace))

	require.EqualValues(t, 200, x.open("/explore?by=workspace&"+span))
	require.Equal(t, usd(total), eval[string](x.tab, "document.querySelector('.figure').textContent"), "cost of a day")
	rows := eval[map[string]string](x.tab, `Object.fromEntries([...document.querySelectorAll("table.ranking tbody tr")].map(r => [r.querySelector("a").textContent, r.querySelector("td.number").textContent]))`)
	want := map[string]string{}
	for _, w := range workspaces.Data {
		want[w.Name] = usd(byWorkspace[w.ID])
	}
	require.Equal(t, want, rows, "cost of a day by workspace")

	var tokens int64
	for _, c := range x.org.TrueUsage(window.Start, window.End) {
		tokens += c.UncachedInput + c.CacheRead + c.CacheCreation5m + c.CacheCreation1h + c.Output
	}
	require.EqualValues(t, 200, x.open("/explore?by=model&measure=tokens&step=hour&"+span))
	require.Equal(t, report.Count(tokens), eval[string](x.tab, "document.querySelector('.figure').textContent"), "tokens of a day")

	require.EqualValues(t, 200, x.open("/"))
	x.says(usd(total), "the chart of the days")
	x.agrees("/budgets", func() []string {
		var budgets struct {
			Data []struct {
				Rule, State string
				Spent       spend.Money `json:"spent_usd"`
			}
		}
		x.api("/api/v1/budgets", &budgets)
		require.Greater(t, len(budgets.Data), 3)
		texts := []string{usd(total)} // an earlier period of the daily budget
		for _, b := range budgets.Data {
			texts = append(texts, b.Rule, "$"+report.USD(b.Spent))
			if b.State != "ok" { // that is shown as what is expected
				texts = append(texts, b.State)
			}
		}
		return texts
	})
	require.NotEmpty(t, eval[string](x.tab, "document.querySelector('.course .line').getAttribute('points')"))

	x.agrees("/alerts", func() []string {
		var alerts struct{ Data []struct{ Summary string } }
		x.api("/api/v1/alerts", &alerts)
		require.Greater(t, len(alerts.Data), 2)
		texts := []string{"Told: chat."}
		for _, a := range alerts.Data {
			texts = append(texts, strings.Join(strings.Fields(a.Summary), " "))
		}
		return texts
	})

	var keys struct {
		Data []struct {
			Name string     `json:"api_key"`
			Gone *time.Time `json:"gone_at"`
		}
	}
	x.api("/api/v1/keys", &keys)
	require.EqualValues(t, 200, x.open("/keys"))
	x.says(fmt.Sprintf("%d keys", len(keys.Data)), "all keys")
	for _, k := range keys.Data {
		x.says(k.Name, "a key")
	}
	x.load(chromedp.Click(chromedp.CSS(`.keys thead a[href*="sort=cost"]`)))
	require.Contains(t, x.path(), "sort=cost")

	var jobs struct{ Data []struct{ Job string } }
	x.api("/api/v1/jobs", &jobs)
	require.NotEmpty(t, jobs.Data)
	require.EqualValues(t, 200, x.open("/jobs"))
	for _, j := range jobs.Data {
		x.says(j.Job, "a job")
	}
	x.clean("figures")
}

// agrees requires that the page says what the API does. Both are asked again where a tick came between them.
func (x *shown) agrees(path string, texts func() []string) {
	x.t.Helper()
	var missing []string
	x.eventually(func() bool {
		want := texts()
		require.EqualValues(x.t, 200, x.open(path))
		has := x.text()
		missing = slices.DeleteFunc(want, func(text string) bool { return strings.Contains(has, text) })
		return len(missing) == 0
	}, printed{func() string { return strings.Join(missing, "\n") }}, path+" does not say what the API does:")
}

// compared is where a comparison ends: with the last hour that is complete, which in its first minutes the newest
// is not.
func (x *shown) compared() (end time.Time) {
	var status struct {
		Data []struct {
			Reports []struct {
				Report spend.Report
				DataAt time.Time `json:"data_at"`
			}
		}
	}
	x.api("/api/v1/status", &status)
	for _, r := range status.Data[0].Reports {
		if r.Report != spend.ReportClaudeCode && r.DataAt.After(end) {
			end = r.DataAt
		}
	}
	return spend.Hour.Floor(end)
}

// explore asks by the form, and follows the links of the answer.
func (x *shown) explore() {
	t := x.t
	require.EqualValues(t, 200, x.open("/explore"))
	x.do(
		chromedp.SendKeys(chromedp.CSS(`select[name="by"]`), "Model"),
		chromedp.Click(chromedp.CSS(`details.where > summary`)),
		chromedp.SendKeys(chromedp.CSS(`input[name="workspace"]`), "prod*"),
		chromedp.Click(chromedp.CSS(`input[name="compare"]`)),
	)
	require.EqualValues(t, 200, x.load(chromedp.Click(chromedp.CSS(`form.ask button`))))
	const permanent = "/explore?by=model&compare=before&measure=cost&range=30d&workspace=prod*"
	require.Equal(t, permanent, x.path(), "the form leads to the URL of the question")
	x.agrees(permanent, func() []string {
		var costs struct {
			Total struct {
				Cost spend.Money `json:"cost_usd"`
			}
		}
		x.api("/api/v1/costs?workspace=prod*&from="+spend.Day.Floor(x.now).AddDate(0, 0, -29).Format(time.DateOnly)+
			"&to="+x.compared().Format(time.RFC3339), &costs)
		return []string{"$" + report.USD(costs.Total.Cost)}
	})

	status, csv := x.get(eval[string](x.tab, `[...document.querySelectorAll("main a")].find(a => a.textContent === "CSV").getAttribute("href")`))
	require.Equal(t, 200, status)
	require.True(t, strings.HasPrefix(string(csv), "start,end,organization,model,cost_usd,"), "%.80s", csv)

	require.EqualValues(t, 200, x.load(chromedp.Click(chromedp.Search(`//a[text()="Last 7 days"]`))))
	require.Equal(t, strings.Replace(permanent, "30d", "7d", 1), x.path(), "another time, the same question")
	require.EqualValues(t, 200, x.open(permanent))
	require.EqualValues(t, 200, x.load(chromedp.Click(chromedp.CSS(`table.ranking tbody a`))))
	require.Contains(t, x.path(), "&model=claude-", "a row leads to what it is made of")
	require.Contains(t, x.path(), "&workspace=prod*")
	x.clean("explore")

	x.expects("400")
	require.EqualValues(t, 400, x.open("/explore?by=model&step=fortnight&workspace=prod*"))
	require.Contains(t, eval[string](x.tab, `document.querySelector("[role=alert]").textContent`), `step: "fortnight" is not one of auto, hour, day`)
	require.Equal(t, "prod*", eval[string](x.tab, `document.querySelector("input[name=workspace]").value`), "the form stays filled in")
	x.clean("a wrong question")
	x.expects("")
}

// silence makes a silence by the form of an alert, and ends it.
func (x *shown) silence() {
	t := x.t
	silences := func() (n int, by string) {
		var all struct {
			Data []struct {
				By string `json:"created_by"`
			}
		}
		x.api("/api/v1/silences", &all)
		for _, s := range all.Data {
			by = s.By
		}
		return len(all.Data), by
	}
	x.scripts(x.login != "") // forms need none
	require.EqualValues(t, 200, x.open("/alerts"))
	require.EqualValues(t, 200, x.load(chromedp.Click(chromedp.Search(`//a[text()="Silence…"]`))))
	require.Contains(t, eval[string](x.tab, `document.querySelector("input[name=matcher]").value`), "organization=")
	require.Contains(t, eval[string](x.tab, `document.querySelectorAll("input[name=matcher]")[1].value`), "rule=")
	who := eval[string](x.tab, `document.querySelector("input[name=created_by]").value`)
	require.Equal(t, strings.SplitN(x.login, ":", 2)[0], who, "who is logged in")
	if who == "" {
		x.do(chromedp.SendKeys(chromedp.CSS(`input[name="created_by"]`), "ada"))
	}
	x.do(chromedp.SendKeys(chromedp.CSS(`input[name="for"]`), " of time"), chromedp.SendKeys(chromedp.CSS(`input[name="comment"]`), "known <b>for long</b>"))
	x.expects("400")
	require.EqualValues(t, 400, x.load(chromedp.Click(chromedp.CSS(`#silence button`))))
	require.Contains(t, eval[string](x.tab, `document.querySelector("[role=alert]").textContent`), "How long?")
	require.Equal(t, "known <b>for long</b>", eval[string](x.tab, `document.querySelector("input[name=comment]").value`), "the form stays filled in")
	n, _ := silences()
	require.Zero(t, n)
	x.clean("a wrong form")
	x.expects("")

	x.do(chromedp.Clear(chromedp.CSS(`input[name="for"]`)), chromedp.SendKeys(chromedp.CSS(`input[name="for"]`), "3h"))
	require.EqualValues(t, 200, x.load(chromedp.Click(chromedp.CSS(`#silence button`))))
	require.Equal(t, "/alerts#silences", x.path())
	x.says("known <b>for long</b>", "the page")
	n, by := silences()
	require.Equal(t, 1, n)
	require.Equal(t, "ada", by)
	require.EqualValues(t, 200, x.load(chromedp.Click(chromedp.CSS(`#silences button`))))
	x.says("Nothing is silenced.", "the page")
	n, _ = silences()
	require.Zero(t, n)
	x.clean("silences")
	x.scripts(true)
}

// elsewhere posts the form from a page of another origin, which the daemon refuses although the browser
// sends the login.
func (x *shown) elsewhere() {
	t := x.t
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>a</title><link rel="icon" href="data:,"><form method="post" action="http://%s/alerts">`+
			`<input name="matcher" value="rule=any spending"><input name="for" value="1h"><input name="created_by" value="eve"><input name="comment" value="-">`+
			`<button>Win</button></form>`, x.listen)
	}))
	t.Cleanup(page.Close)
	require.EqualValues(t, 200, x.load(chromedp.Navigate(page.URL)))
	x.expects("403")
	require.EqualValues(t, 403, x.load(chromedp.Click(chromedp.CSS("button"))))
	x.says("Refused: the request comes from a page of another origin.", "the page")
	var all struct{ Data []any }
	x.api("/api/v1/silences", &all)
	require.Empty(t, all.Data)
}

// refused posts the form without what is asked for: a login, or else from this machine.
func (x *shown) refused() {
	t := x.t
	form := url.Values{"matcher": {"rule=any spending"}, "for": {"1h"}, "created_by": {"eve"}, "comment": {"-"}}
	post := func(host string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+x.listen+"/alerts", strings.NewReader(form.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = host
		answer, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode
	}
	if x.login != "" {
		require.Equal(t, http.StatusUnauthorized, post(x.listen), "without a login")
	} else {
		require.Equal(t, http.StatusForbidden, post("monitor.example"), "by another name")
	}
	var all struct{ Data []any }
	x.api("/api/v1/silences", &all)
	require.Empty(t, all.Data)
}
