package sim_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

const lastHour = "starting_at=2026-11-20T12:00:00Z&ending_at=2026-11-20T13:00:00Z"

// TestLateDataGrowsAndNeverOvershoots reads the running hour, second by second and then until it is
// settled: it only grows, hours and minutes agree at every moment, and it ends at the ledger.
func TestLateDataGrowsAndNeverOvershoots(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(func(o *sim.Options) { o.Delay = 12 * time.Minute })
	start := clock.now()
	clock.advance(2 * time.Hour)
	final := usage(t, org, lastHour+"&bucket_width=1h", "model", "api_key_id")
	clock.second.Store(start.Unix())
	before := tally{}
	grew := 0
	for clock.now().Before(day("2026-11-20T13:12:00Z")) {
		hour := usage(t, org, lastHour+"&bucket_width=1h", "model", "api_key_id")
		require.Equal(t, hour, usage(t, org, lastHour+"&bucket_width=1m", "model", "api_key_id"), clock.now())
		for k, was := range before {
			for i := range was {
				require.GreaterOrEqual(t, hour[k][i], was[i], "%s at %s", k, clock.now())
			}
		}
		for k, is := range hour {
			for i := range is {
				require.LessOrEqual(t, is[i], final[k][i], "%s at %s", k, clock.now())
			}
			if is != before[k] {
				grew++
			}
		}
		before = hour
		clock.advance(47 * time.Second)
	}
	require.Greater(t, grew, 100)
	clock.second.Store(day("2026-11-20T13:12:00Z").Unix())
	require.Equal(t, final, usage(t, org, lastHour+"&bucket_width=1h", "model", "api_key_id"))
}

func TestNothingIsInTheFuture(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(nil)
	buckets := list(t, org, "/usage_report/messages?bucket_width=1m&starting_at=2026-11-20T12:30:30Z&ending_at=2026-11-21T00:00:00Z")
	require.Len(t, buckets, 5, "from the minute of the start to the running one")
	require.Equal(t, "2026-11-20T12:30:00Z", buckets[0]["starting_at"])
	require.Equal(t, "2026-11-20T12:35:00Z", buckets[4]["ending_at"])
	require.Empty(t, list(t, org, "/cost_report?starting_at=2026-11-21T00:00:00Z"))
	for _, c := range org.TrueUsage(clock.now(), clock.now().Add(48*time.Hour)) {
		require.False(t, c.Hour.After(clock.now()))
	}
}

func TestBucketsSnapAndTheirEndIsExclusive(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	for _, test := range []struct {
		query       string
		count       int
		first, last string
	}{
		{"bucket_width=1h&starting_at=2026-11-18T05:59:59Z&ending_at=2026-11-18T08:59:59Z", 3, "2026-11-18T05:00:00Z", "2026-11-18T08:00:00Z"},
		{"bucket_width=1h&starting_at=2026-11-18T07:00:00%2B02:00&ending_at=2026-11-18T06:00:00Z", 1, "2026-11-18T05:00:00Z", "2026-11-18T06:00:00Z"},
		{"starting_at=2026-11-10T13:00:00Z&ending_at=2026-11-12T00:00:00Z", 2, "2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z"},
		{"starting_at=2026-11-18T00:00:00Z", 3, "2026-11-18T00:00:00Z", "2026-11-21T00:00:00Z"},
	} {
		buckets := list(t, org, "/usage_report/messages?limit=1&"+test.query)
		require.Len(t, buckets, test.count, test.query)
		require.Equal(t, test.first, buckets[0]["starting_at"], test.query)
		require.Equal(t, test.last, buckets[test.count-1]["ending_at"], test.query)
	}
	// Before the organization's time buckets are there, and empty; analytics has no row.
	org, _ = newOrg(func(o *sim.Options) { o.Start = day("2026-11-19T00:00:00Z") })
	empty := list(t, org, "/usage_report/messages?"+settledDay+"&bucket_width=1h")
	require.Len(t, empty, 24)
	require.Equal(t, []any{}, empty[0]["results"])
	require.Empty(t, list(t, org, "/analytics/usage?time_bucket_width=1h&"+settledDay))
}

func TestAnalyticsMovesInSteps(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(nil)
	const query = "/analytics/usage?time_bucket_width=1m&limit=1000&order_by=time&order=asc&" +
		"starting_at=2026-11-20T11:30:00Z&ending_at=2026-11-20T13:00:00Z"
	first := get(t, org, query)
	require.Equal(t, "2026-11-20T12:02:00Z", first["data_refreshed_at"])
	minutes := func(body map[string]any, from, to string) (requests int64) {
		for _, v := range body["data"].([]any) {
			row := v.(map[string]any)
			if at := row["starting_at"].(string); at >= from && at < to {
				requests += number(t, row["usage"].(map[string]any)["requests"])
			}
		}
		return requests
	}
	clock.advance(32 * time.Minute)
	require.Equal(t, first, get(t, org, query), "until the next export nothing changes")
	clock.advance(20 * time.Second)
	second := get(t, org, query)
	require.Equal(t, "2026-11-20T13:02:00Z", second["data_refreshed_at"])
	const a, mark, z = "2026-11-20T11:30:00Z", "2026-11-20T12:02:00Z", "2026-11-20T13:00:00Z"
	require.Equal(t, minutes(second, a, mark), minutes(first, a, mark), "complete before the mark")
	require.Less(t, minutes(first, mark, z), minutes(second, mark, z), "incomplete behind it")
	require.Positive(t, minutes(first, mark, z))

	var want int64
	for _, c := range org.TrueUsage(day("2026-11-20T12:00:00Z"), day("2026-11-20T13:00:00Z")) {
		want += c.Requests
	}
	require.Equal(t, want, minutes(second, "2026-11-20T12:00:00Z", z))
}

func TestAnalyticsCursorExpires(t *testing.T) {
	t.Parallel()
	org, clock := newOrg(nil)
	const query = "/analytics/cost?limit=2&group_by[]=model&starting_at=2026-11-19T00:00:00Z&ending_at=2026-11-20T00:00:00Z"
	page := get(t, org, query)["next_page"].(string)
	get(t, org, query+"&page="+page)
	clock.advance(time.Hour)
	require.Equal(t, http.StatusGone, send(t, org, "GET", query+"&page="+page, "").status)
	org, _ = newOrg(func(o *sim.Options) { o.Start = day("2026-11-20T12:30:00Z") })
	require.Nil(t, get(t, org, query)["data_refreshed_at"], "nothing exported yet")
}

// TestRevisionsEndOnTheSeventh reads October each day of November: some settled days change, all but
// slightly, and none after the 7th.
func TestRevisionsEndOnTheSeventh(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-11-01T12:00:00Z")
	org := sim.New(sim.Options{Seed: 3, Now: clock.now, Revise: true})
	plain := sim.New(sim.Options{Seed: 3, Now: clock.now})
	total := func(o *sim.Org) (sum int64) {
		return sim.SumNanoUSD(o.TrueBill(day("2026-10-01T00:00:00Z"), day("2026-11-01T00:00:00Z")))
	}
	base, last, changes := total(plain), total(org), 0
	for clock.now().Before(day("2026-11-30T00:00:00Z")) {
		clock.advance(24 * time.Hour)
		now := total(org)
		if now != last {
			changes++
			require.False(t, clock.now().After(day("2026-11-08T00:00:00Z")), "changed at %s", clock.now())
		}
		last = now
	}
	require.Greater(t, changes, 2)
	require.NotEqual(t, base, last)
	require.InEpsilon(t, base, last, 0.01)
	require.Equal(t, base, total(plain))
}

func TestSpikesAreWhereTheyAreSaid(t *testing.T) {
	t.Parallel()
	from := day("2026-11-21T02:00:00Z") // at night
	org, clock := newOrg(func(o *sim.Options) {
		o.Spikes = []sim.Spike{{Key: "web-backend", From: from, To: from.Add(3 * time.Hour), Factor: 40}}
	})
	clock.advance(48 * time.Hour)
	id := ""
	for _, k := range list(t, org, "/api_keys") {
		if k["name"] == "web-backend" {
			id = k["id"].(string)
		}
	}
	hourly := map[int]int64{}
	for _, c := range org.TrueUsage(from.Add(-2*time.Hour), from.Add(5*time.Hour)) {
		if c.APIKeyID == id {
			hourly[c.Hour.Hour()] += c.Requests
		}
	}
	for hour, n := range hourly {
		if hour >= 2 && hour < 5 {
			require.Greater(t, n, int64(5000), hour)
		} else {
			require.Less(t, n, int64(100), hour)
		}
	}
}

// TestFakeClock runs the organization in a bubble: its clock is the bubble's, and answers stream.
func TestFakeClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := sim.New(sim.Options{Seed: 1})
		today := "/usage_report/messages?bucket_width=1h&limit=168&group_by[]=model&starting_at=" + time.Now().UTC().Format(time.RFC3339)
		before := len(list(t, org, today))
		time.Sleep(36 * time.Hour)
		require.Equal(t, before+36, len(list(t, org, today)))
		get(t, org, "/analytics/usage?starting_at="+time.Now().UTC().Add(-time.Hour).Format(time.RFC3339))
	})
}
