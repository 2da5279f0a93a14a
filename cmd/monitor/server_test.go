package main

import (
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// oneConn is a listener that gives one connection.
type oneConn struct {
	conn  chan net.Conn
	ended chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { close(l.ended); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowClients: whoever sends half a request, takes no answer or falls silent does not keep the connection.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sends string
		takes int64 // bytes of the answer; -1: all
		most  time.Duration
	}{
		"nothing":        {"", -1, 11 * time.Second},
		"half a header":  {"GET / HTTP/1.1\r\nHo", -1, 11 * time.Second},
		"half a body":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", -1, 31 * time.Second},
		"no next one":    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", -1, 6 * time.Minute},
		"takes nothing":  {"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 0, 6 * time.Minute},
		"takes too long": {"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", 1000, 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					if r.URL.Path == "/large" {
						_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
					}
				}), slog.New(slog.DiscardHandler))
				closed := make(chan time.Time, 1)
				server.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						closed <- time.Now()
					}
				}
				ours, theirs := net.Pipe()
				l := &oneConn{conn: make(chan net.Conn, 1), ended: make(chan struct{})}
				l.conn <- theirs
				go func() { _ = server.Serve(l) }()
				defer func() {
					ours.Close()
					server.Close()
				}()
				start := time.Now()
				_, err := io.WriteString(ours, test.sends)
				require.NoError(t, err)
				go func() {
					if test.takes < 0 {
						test.takes = math.MaxInt64
					}
					_, _ = io.CopyN(io.Discard, ours, test.takes)
				}()
				select {
				case at := <-closed:
					require.LessOrEqual(t, at.Sub(start), test.most)
				case <-time.After(time.Hour):
					t.Error("the connection is still open after an hour")
				}
			})
		})
	}
}

// TestAuthenticationThatWasTakenAway: the web configuration file is in force as it is when a request comes,
// so whether everybody is let in must be known then.
func TestAuthenticationThatWasTakenAway(t *testing.T) {
	t.Parallel()
	require.False(t, authenticatedBy("")())
	file := filepath.Join(t.TempDir(), "web.yml")
	now := authenticatedBy(file)
	for _, step := range []struct {
		text string
		want bool
	}{
		{"basic_auth_users: {ada: " + openSesame + "}", true},
		{"basic_auth_users: {}", false},
		{"tls_server_config: {client_auth_type: RequireAndVerifyClientCert}", true},
		{"tls_server_config: {client_auth_type: VerifyClientCertIfGiven}", false},
		{"basic_auth_users: [", false},
	} {
		require.NoError(t, os.WriteFile(file, []byte(step.text), 0o600))
		require.Equal(t, step.want, now(), step.text)
	}
	require.NoError(t, os.Remove(file))
	require.False(t, now())
}
