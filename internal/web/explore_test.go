package web_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
	"github.com/anthropic-monitor/monitor/internal/web"
)

func TestExploreRefuses(t *testing.T) {
	t.Parallel()
	o := options(reporttest.Filled(t))
	h := web.New(o)
	o.Teams = team.Teams{{Name: "search", APIKeys: []string{"ci"}}}
	teams := web.New(o)
	for _, tt := range []struct {
		h            http.Handler
		query, field string
		want         string
	}{
		{h, "measure=money", "measure", `"money" is not one of cost, list, tokens, input`},
		{h, "measure=cost&measure=list", "measure", "is given 2 times"},
		{h, "by=key", "by", `"key" is not one of none, organization, workspace`},
		{h, "by=workspace,model,api_key,speed", "by", "at most 3 dimensions"},
		{h, "by=team", "by", "no teams are configured"},
		{h, "team=search", "team", "no teams are configured"},
		{teams, "team=sales", "team", `no team is called "sales" (search, unmapped)`},
		{h, "measure=tokens&by=token_type", "by", "token_type is known for money only"},
		{h, "measure=tokens&cost_type=tokens", "cost_type", "is known for money only"},
		{h, "range=week", "range", `"week" is not one of today, yesterday, 7d, 30d, month, last-month, 90d, custom, or a number of days such as 14d`},
		{h, "range=0d", "range", "is not one of"},
		{h, "range=+7d", "range", "is not one of"},
		{h, "range=99999d", "range", "is not one of"},
		{h, "range=custom", "from", "is missing: a date such as 2026-11-15"},
		{h, "from=yesterday", "from", "is neither a date"},
		{h, "from=2026-11-01&to=soon", "to", "is neither a date"},
		{h, "from=2026-11-02&to=2026-11-02", "from", "must be before to"},
		{h, "to=2026-11-02", "from", "is missing"},
		{h, "step=fortnight", "step", `"fortnight" is not one of auto, hour, day, week, month, total`},
		{h, "step=hour&range=90d", "step", "this time has 2,160 hours, and at most 400 can be drawn"},
		{h, "compare=after", "compare", `"after" is not before`},
		{h, "rows=0", "rows", `"0" is not a number from 1 to 1000`},
		{h, "spet=day", "spet", "is unknown here. There are measure, by, range"},
	} {
		status, body, _ := ask(t, tt.h, http.MethodGet, "/explore?workspace=sta*&"+strings.ReplaceAll(tt.query, "+", "%2B"))
		require.Equal(t, http.StatusBadRequest, status, tt.query)
		text := html.UnescapeString(body)
		require.Contains(t, text, "<strong>"+tt.field+"</strong>: ", tt.query)
		require.Contains(t, text, tt.want, tt.query)
		require.Contains(t, body, `name="workspace" value="sta*"`, "the form stays filled in: %s", tt.query)
	}
}

// What a form sends is led to one URL for one question, and that stays as it is.
func TestExploreURL(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	for query, want := range map[string]string{
		"range=7d&measure=cost&by=workspace&by=&by=&step=auto&from=&to=&organization=&workspace=&model=":          "by=workspace&measure=cost&range=7d",
		"range=30d&measure=tokens&by=none&by=&by=model&step=day&from=2026-11-01&to=&api_key=(no+key)&api_key=":    "api_key=%28no+key%29&by=model&from=2026-11-01&measure=tokens&range=custom&step=day",
		"measure=list&by=none&by=&by=&step=total&compare=before&rows=100&workspace=a%26b&workspace=c*&workspace=": "by=none&compare=before&measure=list&range=30d&rows=100&step=total&workspace=a%26b&workspace=c*",
	} {
		status, _, header := ask(t, h, http.MethodGet, "/explore?"+query)
		require.Equal(t, http.StatusSeeOther, status, query)
		require.Equal(t, "/explore?"+want, header.Get("Location"), query)
		status, body, _ := ask(t, h, http.MethodGet, "/explore?"+want)
		require.Equal(t, http.StatusOK, status, want)
		require.Contains(t, html.UnescapeString(body), `<a href="/explore?`+want+`" rel="bookmark">`)
	}
}

var (
	figure  = regexp.MustCompile(`<p class="figure">([^<]*)</p>`)
	before  = regexp.MustCompile(`Before, [0-9A-Za-z :]*:`)
	apiLink = regexp.MustCompile(`<a href="([^"]*)">JSON</a>`)
)

// The page shows what the API says to the question that it links to.
func TestExploreAgrees(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	o := options(store)
	o.Teams = team.Teams{{Name: "search", APIKeys: []string{"ci"}}}
	h := web.New(o)
	for _, query := range []string{
		"", "range=today", "range=yesterday&step=hour", "range=month&by=api_key,model,token_type", "range=last-month&by=none", "range=90d&step=month&by=team",
		"from=2026-11-19T10:00:00Z&to=2026-11-21T12:00:00Z&by=model&step=hour", "from=2026-11-03&to=2026-11-04&by=workspace&step=total",
		"api_key=(no+key)&range=month", "api_key=(unattributed)&range=month", "model=(no+model)&range=month&by=cost_type", "workspace=sta*&team=unmapped&range=month",
		"measure=list&range=14d", "rows=1&by=api_key",
	} {
		status, body, _ := ask(t, h, http.MethodGet, "/explore?"+query)
		require.Equal(t, http.StatusOK, status, query)
		link := html.UnescapeString(apiLink.FindStringSubmatch(body)[1])
		status, answer, _ := ask(t, h, http.MethodGet, link)
		require.Equal(t, http.StatusOK, status, link)
		var got struct {
			Total struct {
				Cost spend.Money `json:"cost_usd"`
				List spend.Money `json:"list_usd"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(answer), &got))
		want := got.Total.Cost
		if strings.Contains(query, "measure=list") {
			want = got.Total.List
		}
		m := figure.FindStringSubmatch(body)
		if m == nil {
			require.Zero(t, want, query)
			require.Contains(t, body, "Nothing in this time", query)
			continue
		}
		require.Equal(t, "$"+report.USD(want), html.UnescapeString(m[1]), query)
	}
	for query, want := range map[string]string{
		"range=yesterday":               "Before, 20 November 2026:",
		"range=7d":                      "Before, 9 November to 14 November 2026:", // known by the day
		"range=month":                   "Before, 1 October to 21 October 2026:",   // known by the day
		"from=2026-11-19&to=2026-11-21": "Before, 17 November to 18 November 2026:",
		"from=2026-11-01&to=2026-11-20": "Before, 1 October to 19 October 2026:",
	} {
		_, body, _ := ask(t, h, http.MethodGet, "/explore?compare=before&"+query)
		require.Equal(t, want, before.FindString(body), query)
	}
	// Hours are not compared with a day of which only the whole is known.
	_, body, _ := ask(t, h, http.MethodGet, "/explore?compare=before&range=today")
	require.Contains(t, body, "Nothing can be compared yet: some of it is known by the day only, and no whole day of this time has been read.")
	require.NotContains(t, body, ">Before</th>")
	// Usage is known by the hour: both times end with the last one that was read, at 10:25.
	_, body, _ = ask(t, h, http.MethodGet, "/explore?compare=before&range=today&measure=tokens&organization=acme")
	require.Contains(t, body, "22 November 00:00 to 22 November 2026 10:00 UTC")
	require.Equal(t, "Before, 21 November 00:00 to 21 November 2026 10:00 UTC:", before.FindString(body))
	require.Contains(t, body, "so that they are equally long")
	_, body, _ = ask(t, web.New(options(reporttest.Open(t))), http.MethodGet, "/explore")
	require.Contains(t, body, "No report has been read yet")
	_, body, _ = ask(t, h, http.MethodGet, "/explore?workspace=nothing")
	require.Contains(t, body, "Nothing in this time has workspace=nothing. There is: Default, staging, staging (9f2k1z).")
	_, body, _ = ask(t, h, http.MethodGet, "/explore?rows=1&by=api_key&range=month&organization=acme")
	require.Regexp(t, `4 more, <a href="[^"]*rows=1000[^"]*">show 5</a>`, body)
}

// Where there are very many groups only the greatest are asked for by time: the figures stay the same.
func TestExploreOfManyKeys(t *testing.T) {
	t.Parallel()
	const keys = 75
	ctx := t.Context()
	store := reporttest.Open(t)
	w := spend.Window{Start: reporttest.At(20, 0), End: reporttest.At(22, 0)}
	require.NoError(t, store.SaveOrganization(ctx, spend.Organization{ID: reporttest.Acme, Name: "acme"}, w.Start))
	owner, err := store.Own(ctx, reporttest.Acme)
	require.NoError(t, err)
	var ks []spend.APIKey
	var rows []spend.Usage
	for i := range keys {
		id := fmt.Sprintf("apikey_%d", i)
		ks = append(ks, spend.APIKey{ID: id, Name: fmt.Sprintf("key %d <&>", i), WorkspaceID: reporttest.Default, Status: "active", CreatedAt: w.Start})
		for _, at := range []time.Time{w.Start, w.Start.Add(time.Duration(24+i%20) * time.Hour)} {
			rows = append(rows, spend.Usage{
				Bucket: at, Dims: spend.Dims{WorkspaceID: reporttest.Default, APIKeyID: id, Model: reporttest.Sonnet},
				Counts: spend.Counts{spend.Output: int64(1000 * (i + 1))},
			})
		}
	}
	require.NoError(t, owner.SaveAPIKeys(ctx, ks, w.Start))
	_, err = owner.ReplaceUsage(ctx, storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: w.End, DataAt: w.End}, rows)
	require.NoError(t, err)
	require.NoError(t, owner.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: w.End, ReadAt: w.End}))
	require.NoError(t, owner.Release())

	status, body, _ := ask(t, web.New(options(store)), http.MethodGet, "/explore?measure=output&by=api_key&range=7d&step=day")
	require.Equal(t, http.StatusOK, status)
	var all int64
	for i := range int64(keys) {
		all += 1000 * (i + 1)
	}
	require.Contains(t, body, `<p class="figure">`+report.Count(2*all)+`</p>`)
	require.Contains(t, body, "key 74 &lt;&amp;&gt;")
	require.NotContains(t, body, "<&>")
	require.Contains(t, body, "50 more, ")
	var rest int64
	for i := range int64(keys - 8) {
		rest += 1000 * (i + 1)
	}
	for _, day := range []string{"Friday, 20 November 2026", "Saturday, 21 November 2026"} {
		row := regexp.MustCompile(`<tr><th scope="row">` + day + `</th>(.*?)</tr>`).FindStringSubmatch(body)
		require.NotNil(t, row, day)
		require.Contains(t, row[1], `<td class="number">75,000</td>`, "the greatest")
		require.Contains(t, row[1], `<td class="number">`+report.Count(rest)+`</td>`, "the others")
		require.Contains(t, row[1], `<td class="number">`+report.Count(all)+`</td>`, "all of them")
	}
	// What was never read is not nothing.
	_, body, _ = ask(t, web.New(options(store)), http.MethodGet, "/explore?measure=output&by=api_key&range=60d&step=month")
	row := regexp.MustCompile(`<tr><th scope="row">October 2026</th>(.*?)</tr>`).FindStringSubmatch(body)
	require.NotNil(t, row)
	require.Contains(t, row[1], "not read yet")
	require.NotContains(t, row[1], ">0<")
	row = regexp.MustCompile(`<tr><th scope="row">November 2026</th>(.*?)</tr>`).FindStringSubmatch(body)
	require.NotNil(t, row)
	require.Contains(t, row[1], "not complete")
	require.Contains(t, row[1], `<td class="number">`+report.Count(2*all)+`</td>`)
}

func TestBudgetsPage(t *testing.T) {
	t.Parallel()
	h := web.New(options(reporttest.Filled(t)))
	_, body, _ := ask(t, h, http.MethodGet, "/budgets?rule=quarter")
	require.Contains(t, body, "waiting for data")
	require.NotContains(t, body, "$23.50")
	status, body, _ := ask(t, h, http.MethodGet, "/budgets?period=month")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "There is no parameter &#34;period&#34; here, only rule.")
	_, body, _ = ask(t, web.New(options(reporttest.Open(t))), http.MethodGet, "/budgets")
	require.Contains(t, body, "No budget is set")
}

// Budgets of a calendar with another zone, of single days, of many subjects, and balances.
func TestBudgetsOfEachKind(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := reporttest.Filled(t)
	owner, err := store.Own(ctx, reporttest.Acme)
	require.NoError(t, err)
	berlin := spend.Window{Start: time.Date(2026, 11, 15, 23, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)}
	e := storage.Evaluation{Now: reporttest.Now, PutBudgets: []storage.Budget{
		{
			Rule: "berlin week", PeriodName: "week", TimeZone: "Europe/Berlin", Period: berlin, Limit: 5 * spend.Dollar, Spent: 4 * spend.Dollar,
			ExhaustedAt: reporttest.At(21, 23), State: storage.BudgetOK, AsOf: reporttest.Now, Basis: spend.Mixed,
		},
		{
			Rule: "single day", PeriodName: "day", Period: spend.Window{Start: reporttest.At(22, 0), End: reporttest.At(23, 0)}, Limit: 5 * spend.Dollar,
			Spent: spend.Dollar, State: storage.BudgetOK, AsOf: reporttest.Now, Basis: spend.Estimated,
		},
		{
			Rule: "prepaid", PeriodName: "balance", Period: spend.Window{Start: reporttest.At(1, 0), End: reporttest.Now}, Limit: 100 * spend.Dollar,
			Spent: 25 * spend.Dollar, ExhaustedAt: reporttest.At(22, 10).AddDate(0, 0, 40), State: storage.BudgetOK, AsOf: reporttest.Now, Basis: spend.Mixed,
		},
	}}
	e.PutBudgets = append(e.PutBudgets, storage.Budget{
		Rule: "used up", PeriodName: "balance", Period: spend.Window{Start: reporttest.At(1, 0), End: reporttest.Now}, Limit: 20 * spend.Dollar,
		Spent: 25 * spend.Dollar, ExhaustedAt: reporttest.At(17, 0), State: storage.BudgetExceeded, AsOf: reporttest.Now, Basis: spend.Mixed,
	})
	for i := range 25 {
		e.PutBudgets = append(e.PutBudgets, storage.Budget{
			Rule: "keys", Subject: fmt.Sprintf("api_key=apikey_%d", i), Labels: map[string]string{"api_key": fmt.Sprintf("key %d", i)}, PeriodName: "month",
			Period: spend.Window{Start: reporttest.At(1, 0), End: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}, Limit: 100 * spend.Dollar,
			Spent: spend.Money(i) * spend.Dollar, State: storage.BudgetOK, AsOf: reporttest.Now, Basis: spend.Estimated,
		})
	}
	require.NoError(t, owner.SaveEvaluation(ctx, e))
	require.NoError(t, owner.Release())
	o := options(store)
	o.Budgets = []web.BudgetRule{
		{Name: "berlin week", Actual: []float64{100}},
		{Name: "single day", Where: []report.Filter{{Dimension: spend.ByModel, Values: []string{"claude-*"}}}, Actual: []float64{80}},
		{Name: "keys", By: []spend.Dimension{spend.ByAPIKey}, Actual: []float64{100}},
	}
	status, body, _ := ask(t, web.New(o), http.MethodGet, "/budgets")
	require.Equal(t, http.StatusOK, status)
	for _, text := range []string{
		"week from 16 November 2026", "week from 9 November 2026", "Europe/Berlin", "It runs out on <strong>2026-11-22</strong>", "Sunday, 22 November 2026", "Saturday, 21 November 2026",
		"prepaid balance", "<strong>$75.00</strong> of $100.00 left", "enough for <strong>39 days</strong>", "until 2027-01-01", "2026-11-01 00:00 UTC</time>. It ran out on <strong>2026-11-17</strong>.", "key 24", "5 more, none of which has spent more than 4.0 %",
	} {
		require.Contains(t, body, text)
	}
	require.NotContains(t, body, ">key 3 <")

	// A week of another zone costs what its hours do.
	a, err := report.Run(ctx, store, report.Params{
		Kind: report.Costs, Step: report.StepTotal, From: berlin.Start.AddDate(0, 0, -14), To: berlin.Start.AddDate(0, 0, -7),
		Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{"acme"}}},
	})
	require.NoError(t, err)
	require.Positive(t, a.Total.Cost)
	require.Regexp(t, `week from 2 November 2026</a>.*?<td class="number">\$`+regexp.QuoteMeta(report.USD(a.Total.Cost))+`</td>`, body)
}
