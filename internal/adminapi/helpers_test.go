package adminapi_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// testKey is not shaped like a key, so that no scanner takes it for one.
const testKey = "the-admin-key-of-the-tests"

// inProcess answers requests by a handler, without a network, as a synctest bubble needs it.
type inProcess http.HandlerFunc

func (h inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	h(rec, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// client is a client of the handler.
func client(t *testing.T, h http.HandlerFunc, change ...func(*adminapi.Options)) *adminapi.Client {
	t.Helper()
	o := adminapi.Options{
		Key:     func(context.Context, bool) (string, error) { return testKey, nil },
		HTTP:    &http.Client{Transport: inProcess(h)},
		Log:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Limiter: rate.NewLimiter(rate.Inf, 1),
	}
	for _, f := range change {
		f(&o)
	}
	c, err := adminapi.New(o)
	require.NoError(t, err)
	return c
}

// answers is a handler that gives the bodies one after the other, the last one again and again.
func answers(bodies ...string) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, bodies[min(n, len(bodies)-1)])
		n++
	}
}

// fails is a handler that answers with the status, the headers and a body of the documented form.
func fails(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"type":"error","error":{"type":"some_error","message":"no"},"request_id":"req_1"}`)
	}
}

// then gives the first handlers one request each, and the last one the rest.
func then(hs ...http.HandlerFunc) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		h := hs[min(n, len(hs)-1)]
		n++
		h(w, r)
	}
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return string(b)
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func window(start, end string) spend.Window { return spend.Window{Start: at(start), End: at(end)} }

// The window and query that most tests use.
var (
	twoHours = window("2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z")
	hourly   = adminapi.Query{Window: twoHours, Grain: spend.Hour}
	oneDay   = window("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z")
	daily    = adminapi.Query{Window: oneDay, Grain: spend.Day}
)

const lastPage = `{"data":[],"has_more":false,"next_page":null,"data_refreshed_at":null}`

// asError is err as an [adminapi.Error].
func asError(t *testing.T, err error) *adminapi.Error {
	t.Helper()
	var e *adminapi.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, err.Error(), testKey)
	return e
}

func replace(s, old, by string) string { return strings.ReplaceAll(s, old, by) }

// cost is a cost without a discount.
func cost(bucket time.Time, d spend.Dims, amount spend.Money) spend.Cost {
	return spend.Cost{Bucket: bucket, Dims: d, Amount: amount, List: amount}
}
