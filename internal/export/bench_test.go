package export

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	monitor "github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Days of the ranges that BenchmarkMemory compares.
const short, long = 2, 10

// BenchmarkMemory exports a short and a long range of an organization with 60 keys that use four
// models every hour, and fails if the live heap of the long one is more than twice as high at its peak.
// "MB-short" and "MB-long" are the peaks over what was live before.
func BenchmarkMemory(b *testing.B) {
	store := reporttest.Open(b)
	busy(b, store, long)
	all := stored(b, store)
	few := spend.Window{Start: all.End.AddDate(0, 0, -short), End: all.End}
	for _, x := range []struct {
		name string
		run  func(e Exporter, w *peak) (Summary, error)
	}{
		{"openmetrics", func(e Exporter, w *peak) (Summary, error) {
			return e.openMetrics(b.Context(), w, monitor.Options{APIKeys: true, MaxSeries: 20_000}, nil, 1<<16)
		}},
		{"csv", func(e Exporter, w *peak) (Summary, error) { return e.CSV(b.Context(), w, CSVBy) }},
		{"focus", func(e Exporter, w *peak) (Summary, error) { return e.FOCUS(b.Context(), w, true) }},
	} {
		for _, step := range []spend.Grain{spend.Hour, spend.Day} {
			if x.name == "openmetrics" && step == spend.Day {
				continue
			}
			b.Run(x.name+"/"+step.String(), func(b *testing.B) {
				defer debug.SetGCPercent(debug.SetGCPercent(20))
				for b.Loop() {
					measure := func(w spend.Window) (mb float64, s Summary, size int64) {
						p := watch()
						s, err := x.run(Exporter{Store: store, Window: w, Step: step}, p)
						require.NoError(b, err)
						return p.stop(), s, p.size
					}
					shortMB, _, _ := measure(few)
					started := time.Now()
					longMB, s, size := measure(all)
					b.ReportMetric(shortMB, "MB-short")
					b.ReportMetric(longMB, "MB-long")
					b.ReportMetric(float64(size)/1e6, "MB-written")
					b.ReportMetric(float64(s.Rows)/time.Since(started).Seconds(), "rows/s")
					require.Less(b, longMB, 2*shortMB+4, "%d days need much more memory than %d", long, short)
				}
			})
		}
	}
}

// busy fills the store.
func busy(b *testing.B, store storage.Store, days int) {
	org := spend.Organization{ID: reporttest.Acme, Name: "acme"}
	end := reporttest.At(22, 0)
	require.NoError(b, store.SaveOrganization(b.Context(), org, end))
	owner, err := store.Own(b.Context(), org.ID)
	require.NoError(b, err)
	for day := end.AddDate(0, 0, -days); day.Before(end); day = day.AddDate(0, 0, 1) {
		var rows []spend.Usage
		for hour := range 24 {
			for key := range 60 {
				for model := range 4 {
					n := int64(1000 + hour + 10*key + model)
					rows = append(rows, spend.Usage{
						Bucket: day.Add(time.Duration(hour) * time.Hour),
						Dims: spend.Dims{
							WorkspaceID: fmt.Sprintf("wrkspc_%02d", key%10), APIKeyID: fmt.Sprintf("apikey_%03d", key),
							Model: fmt.Sprintf("claude-model-%d", model), ServiceTier: "standard",
						},
						Counts: spend.Counts{n, n, n, 0, n, 0}, Price: spend.Priced,
						Estimate: spend.Amounts{spend.Money(n), spend.Money(n), spend.Money(n), 0, spend.Money(n), 0},
					})
				}
			}
		}
		w := spend.Day.Bucket(day)
		_, err := owner.ReplaceUsage(b.Context(), storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: end, DataAt: w.End}, rows)
		require.NoError(b, err)
	}
	require.NoError(b, owner.SetWatermark(b.Context(), storage.Watermark{Report: spend.ReportMessages, DataAt: end, ReadAt: end}))
	require.NoError(b, owner.Release())
}

// peak is a writer that forgets what is written, and watches the heap meanwhile.
type peak struct {
	size   int64
	before uint64
	done   chan struct{}
	most   chan uint64
}

// live is what the heap held after the newest collection.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func watch() *peak {
	debug.FreeOSMemory() // collects
	p := &peak{before: live(), done: make(chan struct{}), most: make(chan uint64)}
	go func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		most := p.before
		for {
			most = max(most, live())
			select {
			case <-ticker.C:
			case <-p.done:
				p.most <- most
				return
			}
		}
	}()
	return p
}

func (p *peak) Write(b []byte) (int, error) {
	p.size += int64(len(b))
	return len(b), nil
}

// stop returns the peak over what was there before, in MB.
func (p *peak) stop() float64 {
	close(p.done)
	return float64(<-p.most-p.before) / 1e6
}
