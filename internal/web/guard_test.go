package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestReloadIsGuarded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		remote, host  string
		header        map[string]string
		authenticated bool
		want          int
	}{
		{"local", "127.0.0.1:5000", "127.0.0.1:9599", nil, false, 200},
		{"local by name", "[::1]:5000", "localhost:9599", nil, false, 200},
		{"local by IPv6", "[::1]:5000", "[::1]:9599", nil, false, 200},
		{"local, no port", "127.0.0.1:5000", "localhost", nil, false, 200},
		{"another machine", "192.0.2.7:5000", "127.0.0.1:9599", nil, false, 403},
		{"no address", "@", "localhost", nil, false, 403},
		{"a name pointed here", "127.0.0.1:5000", "evil.example:9599", nil, false, 403},
		{"a name that begins like here", "127.0.0.1:5000", "127.0.0.1.evil.example", nil, false, 403},
		{"no host", "127.0.0.1:5000", "", nil, false, 403},
		{"Forwarded", "127.0.0.1:5000", "localhost", map[string]string{"Forwarded": "for=192.0.2.7"}, false, 403},
		{"X-Forwarded-For", "127.0.0.1:5000", "localhost", map[string]string{"x-forwarded-for": "127.0.0.1"}, false, 403},
		{"X-Forwarded-Host", "127.0.0.1:5000", "localhost", map[string]string{"X-Forwarded-Host": "a"}, false, 403},
		{"X-Real-IP", "127.0.0.1:5000", "localhost", map[string]string{"X-Real-IP": "192.0.2.7"}, false, 403},
		{"Via", "127.0.0.1:5000", "localhost", map[string]string{"Via": "1.1 proxy"}, false, 403},
		{"same origin", "127.0.0.1:5000", "localhost:9599", map[string]string{
			"Origin": "http://localhost:9599", "Sec-Fetch-Site": "same-origin",
		}, false, 200},
		{"same origin, old browser", "127.0.0.1:5000", "localhost:9599", map[string]string{"Origin": "http://localhost:9599"}, false, 200},
		{"other origin", "127.0.0.1:5000", "localhost:9599", map[string]string{"Origin": "https://evil.example"}, false, 403},
		{"other port", "127.0.0.1:5000", "localhost:9599", map[string]string{"Origin": "http://localhost:80"}, false, 403},
		{"opaque origin", "127.0.0.1:5000", "localhost:9599", map[string]string{"Origin": "null"}, false, 403},
		{"cross site", "127.0.0.1:5000", "localhost:9599", map[string]string{"Sec-Fetch-Site": "cross-site"}, false, 403},
		{"same site is not same origin", "127.0.0.1:5000", "localhost:9599", map[string]string{"Sec-Fetch-Site": "same-site"}, false, 403},
		{"typed in", "127.0.0.1:5000", "localhost:9599", map[string]string{"Sec-Fetch-Site": "none"}, false, 200},
		{"authenticated, another machine", "192.0.2.7:5000", "monitor.example", nil, true, 200},
		{"authenticated, proxy", "127.0.0.1:5000", "monitor.example", map[string]string{"X-Forwarded-For": "a"}, true, 200},
		{"authenticated, other origin", "192.0.2.7:5000", "monitor.example", map[string]string{"Origin": "https://evil.example"}, true, 403},
		{"authenticated, cross site", "192.0.2.7:5000", "monitor.example", map[string]string{"Sec-Fetch-Site": "cross-site"}, true, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reloads := 0
			h := New(Options{
				Gatherer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: time.Now, Authenticated: func() bool { return tt.authenticated },
				Reload: func(context.Context) error { reloads++; return nil },
			})
			r := httptest.NewRequest(http.MethodPost, "/-/reload", nil)
			r.RemoteAddr, r.Host = tt.remote, tt.host
			for k, v := range tt.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, tt.want, w.Code, w.Body)
			require.Equal(t, tt.want == 200, reloads == 1)
		})
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	ask := func(method string, reload func(context.Context) error) *httptest.ResponseRecorder {
		h := New(Options{Gatherer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: time.Now, Reload: reload})
		r := httptest.NewRequest(method, "/-/reload", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := ask(http.MethodPost, func(context.Context) error { return errors.New("monitor.yaml:3: unknown key") })
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, "The configuration was not changed: monitor.yaml:3: unknown key\n", w.Body.String())

	w = ask(http.MethodGet, nil)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))

	require.Equal(t, http.StatusNotImplemented, ask(http.MethodPost, nil).Code)
}
