package adminapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// analyticsPage is a page of analytics/cost with a cent for each of the keys.
func analyticsPage(refreshed, next string, keys ...string) string {
	var rows []string
	for _, k := range keys {
		rows = append(rows, `{"starting_at":"2026-11-20T10:00:00Z","ending_at":"2026-11-20T11:00:00Z","group":{"workspace_id":"w",
			"api_key_id":"`+k+`","model":"m","service_tier":null,"product":null,"cost_type":"tokens","token_type":"output_tokens"},
			"cost":{"amount":"1","list_amount":"1","currency":"USD"}}`)
	}
	return `{"data":[` + strings.Join(rows, ",") + `],"data_refreshed_at":"` + refreshed + `",` + more(next) + `}`
}

// costPage is a page of cost_report with a dollar a day.
func costPage(next string, days ...string) string {
	var buckets []string
	for _, d := range days {
		start := at(d + "T00:00:00Z")
		buckets = append(buckets, fmt.Sprintf(`{"starting_at":%q,"ending_at":%q,"results":[{"workspace_id":null,"amount":"100","currency":"USD"}]}`,
			start.Format("2006-01-02T15:04:05Z"), start.AddDate(0, 0, 1).Format("2006-01-02T15:04:05Z")))
	}
	return `{"data":[` + strings.Join(buckets, ",") + `],` + more(next) + `}`
}

func more(next string) string {
	if next == "" {
		return `"has_more":false,"next_page":null`
	}
	return `"has_more":true,"next_page":"` + next + `"`
}

const (
	early = "2026-11-20T11:02:00Z"
	late  = "2026-11-20T12:02:00Z"
)

func keysOf(rows []spend.Cost) (keys []string) {
	for _, r := range rows {
		keys = append(keys, r.APIKeyID)
	}
	return keys
}

func TestPagesThatChange(t *testing.T) {
	t.Parallel()
	ok := func(body string) http.HandlerFunc { return answers(body) }
	for name, test := range map[string]struct {
		pages    []http.HandlerFunc
		requests int64
		want     []string
	}{
		"in order": {
			[]http.HandlerFunc{ok(analyticsPage(early, "2", "a", "b")), ok(analyticsPage(early, "3", "c")), ok(analyticsPage(early, "", "d"))},
			3, []string{"a", "b", "c", "d"},
		},
		"an empty page in the middle": {
			[]http.HandlerFunc{ok(analyticsPage(early, "2", "a")), ok(analyticsPage(early, "3")), ok(analyticsPage(early, "", "b"))},
			3, []string{"a", "b"},
		},
		"data refreshed between pages": {
			[]http.HandlerFunc{
				ok(analyticsPage(early, "2", "a", "b")), ok(analyticsPage(late, "", "b", "c")),
				ok(analyticsPage(late, "2", "a")), ok(analyticsPage(late, "", "b", "c", "d")),
			},
			4, []string{"a", "b", "c", "d"},
		},
		"cursor expired": {
			[]http.HandlerFunc{
				ok(analyticsPage(early, "2", "a")), fails(410),
				ok(analyticsPage(late, "2", "a")), ok(analyticsPage(late, "", "b")),
			},
			4, []string{"a", "b"},
		},
		"cursor does not match": {
			[]http.HandlerFunc{
				ok(analyticsPage(early, "2", "a")), fails(400),
				ok(analyticsPage(early, "2", "a")), ok(analyticsPage(early, "", "b")),
			},
			4, []string{"a", "b"},
		},
		"the same page twice": {
			[]http.HandlerFunc{
				ok(analyticsPage(early, "2", "a", "b")), ok(analyticsPage(early, "3", "a", "b")),
				ok(analyticsPage(early, "2", "a", "b")), ok(analyticsPage(early, "", "c")),
			},
			4, []string{"a", "b", "c"},
		},
		"a page cut and read again": {
			[]http.HandlerFunc{
				ok(analyticsPage(early, "2", "a", "b")), ok(analyticsPage(early, "", "c", "d")[:500]),
				ok(analyticsPage(early, "", "d", "c")),
			},
			3, []string{"a", "b", "d", "c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := client(t, then(test.pages...))
				a, err := c.AnalyticsCosts(t.Context(), hourly)
				require.NoError(t, err)
				require.Equal(t, test.want, keysOf(a.Rows))
				require.Equal(t, test.requests, c.Requests())
				for _, r := range a.Rows {
					require.Equal(t, spend.Cent, r.Amount)
				}
			})
		})
	}
}

func TestPagesThatNeverFit(t *testing.T) {
	t.Parallel()
	n := 0
	alternating := func(w http.ResponseWriter, r *http.Request) {
		n++
		next := strconv.Itoa(n)
		_, _ = io.WriteString(w, analyticsPage(fmt.Sprintf("2026-11-20T11:%02d:00Z", n), next, "key"+next))
	}
	c := client(t, alternating)
	_, err := c.AnalyticsCosts(t.Context(), hourly)
	e := asError(t, err)
	require.True(t, e.Temporary())
	require.Equal(t, "data_refreshed_at changed between pages", e.Message)
	require.EqualValues(t, 8, c.Requests(), "the first reading and three more, two pages each")

	c = client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("page") {
			fails(410)(w, r)
			return
		}
		_, _ = io.WriteString(w, analyticsPage(early, "2", "a"))
	})
	_, err = c.AnalyticsCosts(t.Context(), hourly)
	e = asError(t, err)
	require.Equal(t, http.StatusGone, e.Status)
	require.True(t, e.Temporary())
	require.EqualValues(t, 8, c.Requests())
}

// TestPagingEnds has servers whose pages never end, or contradict themselves.
func TestPagingEnds(t *testing.T) {
	t.Parallel()
	n := 0
	counting := func(body func(n int) string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			n++
			_, _ = io.WriteString(w, body(n))
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"the same token for ever": {
			answers(`{"data":[],"has_more":true,"next_page":"x"}`),
			"cost_report: malformed: next_page: still set after 2 pages, or the same again",
		},
		"a new token for ever": {
			counting(func(n int) string { return `{"data":[],"has_more":true,"next_page":"` + strconv.Itoa(n) + `"}` }),
			"cost_report: malformed: next_page: still set after 11 pages, or the same again",
		},
		"more without a token": {
			answers(`{"data":[],"has_more":true,"next_page":null}`),
			"cost_report: malformed: next_page: is missing although has_more is true",
		},
		"a token without more": {
			answers(`{"data":[],"has_more":false,"next_page":"x"}`),
			"cost_report: malformed: has_more: is false although there is a next_page",
		},
		"the same bucket for ever": {
			counting(func(n int) string { return costPage("x"+strconv.Itoa(n), "2026-11-19") }),
			"cost_report: malformed: data[0].starting_at: is not after the bucket before: 2026-11-19T00:00:00Z/2026-11-20T00:00:00Z",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := client(t, test.handler).Costs(t.Context(), daily)
			require.EqualError(t, asError(t, err), test.want)
			require.Empty(t, a.Rows)
		})
	}
}

func TestEndlessRowsEnd(t *testing.T) {
	t.Parallel()
	n := 0
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		n++
		_, _ = io.WriteString(w, `{"data":[],"data_refreshed_at":null,"has_more":true,"next_page":"`+strconv.Itoa(n)+`"}`)
	}, func(o *adminapi.Options) { o.Log = nil })
	_, err := c.AnalyticsUsage(t.Context(), hourly)
	require.ErrorContains(t, err, "still set after 2000 pages")
}

func TestBucketsOutsideTheWindow(t *testing.T) {
	t.Parallel()
	c := client(t, answers(costPage("2", "2026-11-18", "2026-11-19"), costPage("", "2026-11-20")))
	a, err := c.Costs(t.Context(), daily)
	require.NoError(t, err)
	require.Equal(t, []spend.Cost{cost(oneDay.Start, spend.Dims{WorkspaceID: spend.DefaultWorkspace}, spend.Dollar)}, a.Rows)
	require.Equal(t, oneDay.End, a.End)
}

func TestDefaultLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, answers(lastPage), func(o *adminapi.Options) { o.Limiter, o.Log = nil, nil })
		start := time.Now()
		for range 90 {
			_, err := c.Costs(t.Context(), daily)
			require.NoError(t, err)
		}
		require.InDelta(t, 60, time.Since(start).Seconds(), 1, "a burst of 30, then one a second")
	})
}
