package adminapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// bigPage is a page of the usage report of about 30 MB: a week by the hour, with 200 keys that use
// two models each.
func bigPage() ([]byte, adminapi.Query) {
	var b bytes.Buffer
	start := at("2026-11-09T00:00:00Z")
	q := adminapi.Query{Window: spend.Window{Start: start, End: start.Add(168 * time.Hour)}, Grain: spend.Hour}
	b.WriteString(`{"data":[`)
	for i, bucket := range q.Window.Buckets(spend.Hour) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"starting_at":%q,"ending_at":%q,"results":[`, bucket.Start.Format(time.RFC3339), bucket.End.Format(time.RFC3339))
		for key := range 200 {
			for model := range 2 {
				if key+model > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `{"uncached_input_tokens":%d,"cache_creation":{"ephemeral_1h_input_tokens":%d,"ephemeral_5m_input_tokens":%d},`+
					`"cache_read_input_tokens":%d,"output_tokens":%d,"server_tool_use":{"web_search_requests":%d},"account_id":null,`+
					`"api_key_id":"apikey_01Rj2N8SVvo6BePZj9%06d","workspace_id":"wrkspc_01JwQvzr7rXLA5AGx3HKf%03d","model":"claude-opus-5-%d",`+
					`"service_account_id":null,"service_tier":"standard","context_window":"0-200k","inference_geo":"global","speed":"standard"}`,
					1500+i*key, i, key, 20_000+i, 500+key, model, key, key%20, model)
			}
		}
		b.WriteString(`]}`)
	}
	b.WriteString(`],"has_more":false,"next_page":null}`)
	return b.Bytes(), q
}

// bareRow is what encoding/json is given to compare with.
type bareRow struct {
	UncachedInput int64 `json:"uncached_input_tokens"`
	CacheRead     int64 `json:"cache_read_input_tokens"`
	Output        int64 `json:"output_tokens"`
	CacheCreation struct {
		For5m int64 `json:"ephemeral_5m_input_tokens"`
		For1h int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	ServerToolUse struct {
		WebSearches int64 `json:"web_search_requests"`
	} `json:"server_tool_use"`
	WorkspaceID   string `json:"workspace_id"`
	APIKeyID      string `json:"api_key_id"`
	Model         string `json:"model"`
	ServiceTier   string `json:"service_tier"`
	ContextWindow string `json:"context_window"`
	InferenceGeo  string `json:"inference_geo"`
	Speed         string `json:"speed"`
}

type barePage struct {
	Data []struct {
		StartingAt time.Time `json:"starting_at"`
		EndingAt   time.Time `json:"ending_at"`
		Results    []bareRow `json:"results"`
	} `json:"data"`
	HasMore  bool    `json:"has_more"`
	NextPage *string `json:"next_page"`
}

// BenchmarkDecode compares our decoding of a large page with what encoding/json takes for bare
// structs, in turns so that both see the same machine: ratio is our speed over its speed.
func BenchmarkDecode(b *testing.B) {
	body, q := bigPage()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var ours, theirs time.Duration
	for b.Loop() {
		runtime.GC()
		start := time.Now()
		rows, err := adminapi.DecodeUsage(body, q.Window, q.Grain)
		ours += time.Since(start)
		if err != nil || len(rows) != 168*400 {
			b.Fatal(len(rows), err)
		}
		rows = nil
		runtime.GC()
		start = time.Now()
		var page barePage
		err = json.Unmarshal(body, &page)
		theirs += time.Since(start)
		if err != nil || len(page.Data) != 168 {
			b.Fatal(len(page.Data), err)
		}
	}
	megabytes := float64(len(body)) * float64(b.N) / 1e6
	b.ReportMetric(megabytes/ours.Seconds(), "ours-MB/s")
	b.ReportMetric(megabytes/theirs.Seconds(), "json-MB/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
}

// measured is a body that looks at the heap while it is read.
type measured struct {
	r    *bytes.Reader
	next int
	peak uint64
}

func (m *measured) Read(p []byte) (int, error) {
	if left := m.r.Len(); left <= m.next {
		m.next = left - 1<<20
		m.peak = max(m.peak, heap())
	}
	return m.r.Read(p[:min(len(p), 16<<10)])
}

func (m *measured) Close() error { return nil }

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

type bodyOf struct{ body io.ReadCloser }

func (b bodyOf) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: b.body}, nil
}

// TestMemory reads a large page through the client. It is not parallel: the heap is everybody's.
func TestMemory(t *testing.T) {
	body, q := bigPage()
	require.Greater(t, len(body), 30_000_000)
	m := &measured{r: bytes.NewReader(body), next: len(body)}
	c := client(t, nil, func(o *adminapi.Options) { o.HTTP, o.Log = &http.Client{Transport: bodyOf{m}}, nil })
	before := heap()
	a, err := c.Usage(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, a.Rows, 168*400)
	rows := uint64(len(a.Rows)) * uint64(unsafe.Sizeof(spend.Usage{}))
	over := (float64(m.peak) - float64(before) - float64(rows)) / (1 << 20)
	t.Logf("%d MB of JSON, %d MB of rows, %.1f MB more while reading", len(body)>>20, rows>>20, over)
	require.Less(t, over, 12.0)
	for _, r := range a.Rows[1:] {
		if r.APIKeyID == a.Rows[0].APIKeyID {
			require.Same(t, unsafe.StringData(a.Rows[0].APIKeyID), unsafe.StringData(r.APIKeyID), "equal strings are one string")
		}
	}
	runtime.KeepAlive(body)
}
