package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTellSystemd runs the daemon as a service manager does that waits until it is told.
func TestTellSystemd(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "notify") //nolint:usetesting // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })

	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\n")
	w.environ["NOTIFY_SOCKET"] = socket
	r := w.start("run")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	told := make([]byte, 100)
	n, err := conn.Read(told)
	require.NoError(t, err, "%s", r.log)
	require.Equal(t, "READY=1", string(told[:n]))
	status, _ := w.get("/-/healthy")
	require.Equal(t, http.StatusOK, status)
	r.stop()

	var log bytes.Buffer
	a := &app{log: slog.New(slog.NewTextHandler(&log, nil)), getenv: func(string) string { return socket + ".gone" }}
	a.tellSystemd("READY=1")
	require.Contains(t, log.String(), "not told")
}

// TestQuickAsksNoMore has a daemon that wants a client's certificate asked whether it is alive.
func TestQuickAsksNoMore(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: version, MaxVersion: version}
		server.StartTLS()
		t.Cleanup(server.Close)
		web := filepath.Join(t.TempDir(), "web.yml")
		require.NoError(t, os.WriteFile(web, []byte("tls_server_config: {cert_file: a.crt, key_file: a.key}\n"), 0o600))
		config := &Config{Web: WebConfig{Listen: server.Listener.Addr().String(), ConfigFile: web}}

		var out bytes.Buffer
		a := &app{ctx: t.Context(), stdout: &out}
		require.NoError(t, quick(a, config))
		require.Equal(t, "healthy\n", out.String())

		server.Close()
		require.ErrorContains(t, quick(a, config), "does not answer")
	}
}
