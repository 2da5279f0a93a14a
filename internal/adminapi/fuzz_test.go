package adminapi_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// FuzzPages decodes any bytes as a page of each report. Whatever comes of it: no panic, no rows
// beside an error or outside the window, no negative counts, no text that a database refuses, and
// no rows from what is not JSON.
func FuzzPages(f *testing.F) {
	for _, name := range []string{
		"usage_report_messages_by_key_model_1h.json", "cost_report_types.json", "cost_report_ungrouped.json",
		"analytics_usage.json", "analytics_cost.json", "usage_report_claude_code.json", "error_500.json",
	} {
		var compact bytes.Buffer
		require.NoError(f, json.Compact(&compact, []byte(fixture(f, name))))
		f.Add(compact.Bytes())
	}
	for _, hostile := range []string{
		``, `null`, `[]`, `{"data":[`, `{"data":[]} {}`, `{"data":[],"has_more":false,"x":"\u12"}`, `{"data":[],"has_more":false,"x":[[{"]":"}"}]]}`,
		`{"data":[{"starting_at":"2026-11-20T10:00:00Z","ending_at":"2026-11-20T11:00:00Z","results":[{"output_tokens":01}]}]}`,
		`{"data":[{"starting_at":"2026-11-20T10:00:00Z","ending_at":"2026-11-20T11:00:00Z","results":[{"output_tokens":-0}]}]}`,
		"{\"data\":[],\"has_more\":false,\"a\xff\":nul}", `{"data":[],"has_more":false,"":1e5,}`, `{"data" []}`, `{"data":[,]}`,
	} {
		f.Add([]byte(hostile))
	}
	day := spend.Window{Start: at("2026-11-19T00:00:00Z"), End: at("2026-11-21T00:00:00Z")}
	f.Fuzz(func(t *testing.T, body []byte) {
		dims := func(bucket spend.Window, d spend.Dims) {
			require.True(t, day.Covers(bucket))
			for _, dim := range spend.Dimensions {
				require.True(t, utf8.ValidString(*d.Field(dim)))
				require.NotContains(t, *d.Field(dim), "\x00")
			}
		}
		costs := func(rows []spend.Cost, err error) {
			check(t, body, rows, err)
			for _, r := range rows {
				dims(spend.Hour.Bucket(r.Bucket), r.Dims)
			}
		}
		usage := func(rows []spend.Usage, err error) {
			check(t, body, rows, err)
			for _, r := range rows {
				dims(spend.Hour.Bucket(r.Bucket), r.Dims)
				require.GreaterOrEqual(t, r.Requests, int64(0))
			}
		}
		rows, err := adminapi.DecodeUsage(body, day, spend.Hour)
		usage(rows, err)
		again, err2 := adminapi.DecodeUsageFrom(iotest.OneByteReader(bytes.NewReader(body)), day, spend.Hour)
		require.Equal(t, rows, again, "how a body arrives makes no difference")
		require.Equal(t, err, err2)
		usage(adminapi.DecodeAnalyticsUsage(body, day))
		costs(adminapi.DecodeCosts(body, day))
		costs(adminapi.DecodeAnalyticsCosts(body, day))
		claudeCode, err := adminapi.DecodeClaudeCode(body, spend.Day.Bucket(day.Start))
		check(t, body, claudeCode, err)
	})
}

func check[T any](t *testing.T, body []byte, rows []T, err error) {
	t.Helper()
	if err != nil {
		require.Empty(t, rows)
		return
	}
	require.True(t, json.Valid(body))
}
