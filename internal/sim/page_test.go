package sim_test

import (
	"slices"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/sim"
)

// TestAThousandAndOneKeys pages forwards and backwards, by hand and with the SDK.
func TestAThousandAndOneKeys(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.Scale = 1001 })
	var forwards []string
	pages := 0
	for path := "/api_keys?limit=100"; path != ""; pages++ {
		body := get(t, org, path)
		data := body["data"].([]any)
		for _, k := range data {
			forwards = append(forwards, k.(map[string]any)["id"].(string))
		}
		require.Equal(t, body["last_id"], forwards[len(forwards)-1])
		require.Equal(t, body["first_id"], forwards[len(forwards)-len(data)])
		path = ""
		if body["has_more"].(bool) {
			path = "/api_keys?limit=100&after_id=" + body["last_id"].(string)
		}
	}
	require.Equal(t, 11, pages)
	require.Len(t, forwards, 1001)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(forwards))), 1001)

	var backwards []string
	for before := forwards[1000]; before != ""; {
		body := get(t, org, "/api_keys?limit=300&before_id="+before)
		var page []string
		for _, k := range body["data"].([]any) {
			page = append(page, k.(map[string]any)["id"].(string))
		}
		backwards = append(page, backwards...)
		before = ""
		if body["has_more"].(bool) {
			before = body["first_id"].(string)
		}
	}
	require.Equal(t, forwards[:1000], backwards)

	var bySDK []string
	keys := sdk(org).Organization.APIKeys.ListAutoPaging(t.Context(), anthropic.OrganizationAPIKeyListParams{
		Limit: param.NewOpt(int64(250))})
	for k := range keys.All() {
		bySDK = append(bySDK, k.ID)
	}
	require.NoError(t, keys.Err())
	require.Equal(t, forwards, bySDK)
	empty := get(t, org, "/api_keys?status=expired")
	require.Equal(t, map[string]any{"data": []any{}, "first_id": nil, "last_id": nil, "has_more": false}, empty)
}

func TestAPageMayBeEmptyWithMoreToCome(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	first := get(t, org, "/rate_limits?group_type=web_search&limit=1")
	require.Empty(t, first["data"])
	require.NotNil(t, first["next_page"])
	require.Len(t, list(t, org, "/rate_limits?group_type=web_search&limit=1"), 1)
	require.Len(t, get(t, org, "/rate_limits")["data"], 12)
}

// TestAnalyticsOrders compares pages of a few rows in each order with the whole.
func TestAnalyticsOrders(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(nil)
	query := "/analytics/usage?time_bucket_width=1h&starting_at=2026-11-19T00:00:00Z&ending_at=2026-11-19T06:00:00Z&group_by[]=model"
	for _, order := range []string{"", "&order=asc", "&order_by=requests", "&order_by=output_tokens&order=asc", "&order_by=time",
		"&order_by=time&order=asc"} {
		whole := get(t, org, query+order+"&limit=1000")["data"].([]any)
		require.Greater(t, len(whole), 20)
		paged := list(t, org, query+order+"&limit=7")
		require.Len(t, paged, len(whole))
		for i, row := range paged {
			require.Equal(t, whole[i], any(row))
		}
	}
	inOrder := func(order, field string) (all []int64) {
		for _, r := range list(t, org, query+order) {
			if field == "starting_at" {
				all = append(all, day(r[field].(string)).Unix())
			} else {
				all = append(all, number(t, r["usage"].(map[string]any)[field]))
			}
		}
		return all
	}
	require.True(t, slices.IsSorted(inOrder("&order=asc", "total_tokens")))
	require.True(t, slices.IsSorted(inOrder("&order_by=requests&order=asc", "requests")))
	require.True(t, slices.IsSorted(inOrder("&order_by=time&order=asc", "starting_at")))
	newest := inOrder("&order_by=time", "starting_at")
	slices.Reverse(newest)
	require.True(t, slices.IsSorted(newest))
}

// TestLargeAnswers reads an hour report of a thousand keys as it streams.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	org, _ := newOrg(func(o *sim.Options) { o.Scale = 200 })
	rows := 0
	for _, bucket := range list(t, org, "/usage_report/messages?bucket_width=1h&"+settledDay+"&group_by[]=api_key_id&group_by[]=model") {
		rows += len(bucket["results"].([]any))
	}
	require.Equal(t, 200*8*24, rows)
}
