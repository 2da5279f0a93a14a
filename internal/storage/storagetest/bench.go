package storagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const (
	benchKeys = 1000
	benchDays = 90
)

// BenchmarkSums measures the questions that pages ask: sums over 30 and 90 days by what people ask for, of
// 1,000 keys that are used every hour (2.2 million rows). The limit is one plain sum of all these rows,
// from before they were summed by the day. The last day is not summed, as today is not.
func BenchmarkSums(b *testing.B, s storage.Store) {
	ctx := b.Context()
	require.NoError(b, s.SaveOrganization(ctx, spend.Organization{ID: org}, at("01 00:00")))
	o, err := s.Own(ctx, org)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, o.Release()) })
	all := spend.Window{Start: at("01 00:00"), End: at("01 00:00").AddDate(0, 0, benchDays)}
	put := func(w spend.Window, more int64) {
		var us []spend.Usage
		for _, h := range w.Buckets(spend.Hour) {
			for i := range benchKeys {
				u := spend.Usage{Bucket: h.Start, Price: spend.Priced, Counts: spend.Counts{1000, 5000, 10 + more, 0, int64(300 + i)}, Dims: spend.Dims{
					WorkspaceID: fmt.Sprintf("wrkspc_%d", i%20), APIKeyID: fmt.Sprintf("apikey_%d", i), Model: fmt.Sprintf("model-%d", i%8), ServiceTier: "standard",
				}}
				u.Estimate[spend.Output] = spend.Dollar / 10
				us = append(us, u)
			}
		}
		_, err := o.ReplaceUsage(ctx, storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: w.End, DataAt: w.End}, us)
		require.NoError(b, err)
	}
	for n, day := range all.Buckets(spend.Day) {
		put(day, int64(n))
	}
	var plain time.Duration
	for range 3 { // the first one warms up
		start := time.Now() //nolint:forbidigo // a benchmark measures
		_, err := s.Usage(ctx, storage.Query{Window: all})
		require.NoError(b, err)
		plain = time.Since(start)
	}
	start, days := time.Now(), 0 //nolint:forbidigo // as above
	for {
		some, err := o.SumDay(ctx, all.End)
		require.NoError(b, err)
		if !some {
			break
		}
		days++
	}
	require.Equal(b, benchDays, days)
	b.Logf("a plain sum of all hours takes %d ms, a day is summed up in %d ms", plain.Milliseconds(), time.Since(start).Milliseconds()/benchDays)

	put(spend.Window{Start: all.End.Add(-time.Hour), End: all.End}, benchDays+1) // the last day is read from its hours, as today is

	for _, back := range []int{30, 90} {
		w := spend.Window{Start: all.End.AddDate(0, 0, -back), End: all.End}
		for _, q := range []struct {
			name string
			storage.Query
		}{
			{"total", storage.Query{}},
			{"by_day", storage.Query{Step: spend.Day}},
			{"by_workspace", storage.Query{By: []spend.Dimension{spend.ByWorkspace}}},
			{"by_model_and_day", storage.Query{Step: spend.Day, By: []spend.Dimension{spend.ByModel}}},
			{"by_workspace_and_day", storage.Query{Step: spend.Day, By: []spend.Dimension{spend.ByWorkspace}}},
			{"by_key", storage.Query{By: []spend.Dimension{spend.ByAPIKey}}},
			{"of_10_keys_by_day", storage.Query{Step: spend.Day, By: []spend.Dimension{spend.ByAPIKey}, Where: []storage.Match{{
				Dimension: spend.ByAPIKey, Values: []string{"apikey_0", "apikey_1", "apikey_2", "apikey_3", "apikey_4", "apikey_5", "apikey_6", "apikey_7", "apikey_8", "apikey_9"},
			}}}},
			{"by_key_and_day", storage.Query{Step: spend.Day, By: []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey}}},
		} {
			q.Window = w
			b.Run(fmt.Sprintf("costs_%dd_%s", back, q.name), func(b *testing.B) {
				for b.Loop() {
					r, err := s.Costs(b.Context(), q.Query)
					require.NoError(b, err)
					require.NotEmpty(b, r.Rows)
				}
				took := b.Elapsed() / time.Duration(b.N)
				b.ReportMetric(float64(took.Milliseconds()), "ms")
				b.ReportMetric(took.Seconds()/plain.Seconds(), "of-plain-sum")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
