package alerts_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// now is the moment that all messages of these tests were written at.
var now = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

// Secrets of the tests, put together so that none looks real to a scanner of this file.
var (
	slackToken  = "xox" + "b-" + strings.Repeat("7", 12) + "-hush"
	hookPath    = "/services/T0/B0/hush-hush-hush"
	signingText = "whsec" + "_" + base64.StdEncoding.EncodeToString([]byte("hush-hush-hush-hush-hush-hush-32"))
	bearer      = "Bearer hush-bearer-hush"
	password    = "hush-password-hush"
)

// plainly is a secret given literally.
func plainly(t testing.TB, text string) config.Secret {
	t.Helper()
	s, err := config.ParseSecret(text, func(string) string { return "" })
	require.NoError(t, err)
	return s
}

// notification is a message of the event about some alerts.
func notification(event spend.Event, n int) spend.Notification {
	m := spend.Notification{
		ID: "0198c0de-" + string(event), Organization: "00000000-0000-4000-8000-000000000000", Notifier: "ops", Event: event, CreatedAt: now,
	}
	switch event {
	case spend.EventTest:
		return alerts.TestNotification(m.ID, "ops", spend.Organization{ID: m.Organization, Name: "acme"}, now)
	case spend.EventDigest:
		m.Title = "Spend of acme from 2026-11-15 to 2026-11-22: $1,234.50 (+12.5 %)"
		m.Text = "Total: $1,234.50 (mixed).\n\nBy workspace\n  Default: $1,000.00 (81 %)\n  R&D <new>: $234.50 (19 %)\n"
		return m
	}
	for i := range n {
		a := alerts.SampleAlert(now)
		if i > 0 {
			a.Subject = fmt.Sprintf("workspace=wrkspc_%02d", i)
			a.Labels["workspace"] = fmt.Sprintf("team-%02d", i)
			a.Summary = fmt.Sprintf("Cost of workspace team-%02d is $%d.00 in the last 24 hours, above $60.00", i, 100-i)
			a.Value = float64(100 - i)
		}
		if event == spend.EventResolved {
			a.State, a.ResolvedAt, a.Value = spend.Resolved, now.Add(-time.Minute), 12.25
		}
		m.Alerts = append(m.Alerts, a)
	}
	return m
}

// events are the messages that each notifier has a golden file of.
var events = map[string]spend.Notification{
	"firing":   notification(spend.EventFiring, 1),
	"reminder": notification(spend.EventReminder, 1),
	"resolved": notification(spend.EventResolved, 1),
	"grouped":  notification(spend.EventFiring, 48),
	"digest":   notification(spend.EventDigest, 0),
	"test":     notification(spend.EventTest, 1),
}

// indented is JSON as golden files hold it.
func indented(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, raw, "", "  "))
	return append(b.Bytes(), '\n')
}

// receiver is an HTTP server that keeps what it was sent and answers as it is told.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   func(w http.ResponseWriter, r *http.Request, body []byte)
}

type request struct {
	path   string
	header http.Header
	body   []byte
}

func newReceiver(t testing.TB, answer func(http.ResponseWriter, *http.Request, []byte)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, request{q.URL.Path, q.Header.Clone(), body})
		r.mu.Unlock()
		if r.answer != nil {
			r.answer(w, q, body)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// got are the requests so far.
func (r *receiver) got() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.requests...)
}

// form is a request's body as the form that Slack is sent.
func (q request) form(t testing.TB) url.Values {
	t.Helper()
	v, err := url.ParseQuery(string(q.body))
	require.NoError(t, err)
	return v
}

// notifierOf makes a notifier whose log is kept.
func notifierOf(t testing.TB, c alerts.NotifierConfig, slackURL string) (alerts.Notifier, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	if c.Name == "" {
		c.Name = "ops"
	}
	n, err := alerts.NewNotifier(c, alerts.NotifierOptions{
		UserAgent: "anthropic-monitor/test", ExternalURL: "https://monitor.example.com", Timeout: time.Minute,
		Name: func(string) string { return "acme" },
		Log:  slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}.WithSlackURL(slackURL))
	require.NoError(t, err)
	t.Cleanup(func() { requireNoSecrets(t, log.String()) })
	return n, log
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Outcomes of a notification.
const (
	arrives = "arrives"
	retries = "retry"
	waits   = "wait"
	never   = "never"
)

// outcome names what an error means for the next attempt.
func outcome(err error) string {
	var after *alerts.RetryAfter
	switch {
	case err == nil:
		return arrives
	case errors.Is(err, alerts.ErrPermanent):
		return never
	case errors.As(err, &after):
		return waits + " " + after.After.String()
	default:
		return retries
	}
}

// everythingOf is all that can be got out of an error.
func everythingOf(err error) string {
	var b strings.Builder
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		fmt.Fprintf(&b, "%s\n%v\n%+v\n%#v\n", err, err, err, err)
		switch x := err.(type) { //nolint:errorlint // walks the tree itself
		case interface{ Unwrap() error }:
			walk(x.Unwrap())
		case interface{ Unwrap() []error }:
			for _, e := range x.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	return b.String()
}

// kinds makes each notifier that speaks HTTP, on a server.
var kinds = map[string]func(t testing.TB, server string) alerts.Notifier{
	"slack webhook": func(t testing.TB, server string) alerts.Notifier {
		n, _ := notifierOf(t, alerts.NotifierConfig{Slack: &alerts.SlackConfig{WebhookURL: plainly(t, server+hookPath)}}, "")
		return n
	},
	"slack token": func(t testing.TB, server string) alerts.Notifier {
		n, _ := notifierOf(t, alerts.NotifierConfig{Slack: &alerts.SlackConfig{Token: plainly(t, slackToken), Channel: "#ops"}}, server+"/")
		return n
	},
	"webhook": func(t testing.TB, server string) alerts.Notifier {
		n, _ := notifierOf(t, alerts.NotifierConfig{Webhook: &alerts.WebhookConfig{
			URL: plainly(t, server+hookPath+"?key=hush-hush-key"), Secret: plainly(t, signingText),
			Headers: map[string]config.Secret{"Authorization": plainly(t, bearer)},
		}}, "")
		return n
	},
	"alertmanager": func(t testing.TB, server string) alerts.Notifier {
		c := &alerts.AlertmanagerConfig{URL: server, Headers: map[string]config.Secret{"Authorization": plainly(t, bearer)}}
		c.SetDefaults()
		n, _ := notifierOf(t, alerts.NotifierConfig{Alertmanager: c}, "")
		return n
	},
}

// TestOutcomes says for each notifier and answer whether the message is sent again, and that no
// error holds a secret, not even where the receiver sends it back.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	const echo = "you sent " // with everything that we sent
	tests := []struct {
		name   string
		status int
		header string // Retry-After
		body   string
		want   string
		others map[string]string // by kind, where it differs
	}{
		{"200", 200, "", `{"ok":true,"channel":"C1","ts":"1.2"}`, arrives, nil},
		{"204", 204, "", "", arrives, map[string]string{"slack token": retries}},
		{"301", 301, "", "", never, nil},
		{"302", 302, "", "", never, nil},
		{"307", 307, "", "", never, nil},
		{"400", 400, "", echo, never, nil},
		{"401", 401, "", echo, never, nil},
		{"403", 403, "", echo, never, nil},
		{"404", 404, "", echo, never, nil},
		{"405", 405, "", "", never, nil},
		{"408", 408, "", "", retries, nil},
		{"410", 410, "", "", never, nil},
		{"413", 413, "", "", never, nil},
		{"422", 422, "", echo, never, nil},
		{"425", 425, "", "", retries, nil},
		{"429 with a time", 429, "37", "", waits + " 37s", nil},
		{"429 with a very long time", 429, "99999999", "", waits + " 24h0m0s", nil},
		{"429 with zero", 429, "0", "", waits + " 1s", nil},
		{"429 without", 429, "", "", retries, nil},
		{"429 with nonsense", 429, "soon", "", retries, nil},
		{"500", 500, "", echo, retries, nil},
		{"502", 502, "", "<html>bad gateway</html>", retries, nil},
		{"503", 503, "", "", retries, nil},
		{"503 with a time", 503, "90", "", waits + " 1m30s", map[string]string{"slack token": retries}},
		{"504", 504, "", "", retries, nil},
		{"529", 529, "", "", retries, nil},
	}
	for _, test := range tests {
		for kind, make := range kinds {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				server := newReceiver(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
					if test.header != "" {
						w.Header().Set("Retry-After", test.header)
					}
					if test.status >= 300 && test.status < 400 {
						w.Header().Set("Location", "https://elsewhere.example.com"+hookPath)
					}
					w.WriteHeader(test.status)
					text := test.body
					if text == echo {
						text += r.URL.String() + fmt.Sprint(r.Header)
						if v, err := url.ParseQuery(string(body)); err == nil {
							text += v.Get("token")
						}
					}
					fmt.Fprint(w, text)
				})
				_, err := make(t, server.URL).Notify(t.Context(), notification(spend.EventFiring, 1))
				want := test.want
				if other, ok := test.others[kind]; ok {
					want = other
				}
				require.Equal(t, want, outcome(err), "%v", err)
				requireNoSecrets(t, everythingOf(err))
				if err != nil {
					require.Contains(t, strings.ToLower(err.Error()), strings.Fields(kind)[0], "says who failed")
				}
			})
		}
	}
}

// TestRetryAfterDate: a time is measured by the receiver's clock, not by ours.
func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	header := http.Header{"Date": {"Sun, 22 Nov 2026 10:30:00 GMT"}, "Retry-After": {"Sun, 22 Nov 2026 10:32:30 GMT"}}
	require.Equal(t, waits+" 2m30s", outcome(alerts.StatusError(http.StatusTooManyRequests, header, "")))
	header.Set("Retry-After", "Sun, 22 Nov 2026 10:00:00 GMT")
	require.Equal(t, waits+" 1s", outcome(alerts.StatusError(http.StatusServiceUnavailable, header, "")))
	header.Del("Date")
	require.Equal(t, retries, outcome(alerts.StatusError(http.StatusTooManyRequests, header, "")))
}

// TestAnswersAreCleaned: what a receiver answers is shown in terminals.
func TestAnswersAreCleaned(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, "\x1b[31mred\a\nnext "+strings.Repeat("long ", 1000))
	})
	_, err := kinds["webhook"](t, server.URL).Notify(t.Context(), notification(spend.EventFiring, 1))
	require.ErrorContains(t, err, "400 Bad Request (\uFFFD[31mred\uFFFD next long")
	require.Less(t, len(err.Error()), 400)
}

// TestConcurrent: notifiers are used by many at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	mails := newMailServer(t, nil)
	mail, _ := mailer(t, mails, nil)
	all := []alerts.Notifier{mail}
	slackServer := newFakeSlack(t)
	bot, _ := slackBot(t, slackServer)
	all = append(all, bot)
	server := newReceiver(t, nil)
	for _, kind := range []string{"slack webhook", "webhook", "alertmanager"} {
		all = append(all, kinds[kind](t, server.URL))
	}
	var group errgroup.Group
	for i := range 40 {
		group.Go(func() error {
			n := notification(spend.EventFiring, 2)
			n.ID = fmt.Sprint(i)
			_, err := all[i%len(all)].Notify(t.Context(), n)
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Len(t, mails.got(), 8)
	require.Len(t, server.got(), 24)
}

// TestFailures is the same for what never answers.
func TestFailures(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := "http://" + closed.Addr().String()
	require.NoError(t, closed.Close())
	for kind, make := range kinds {
		t.Run("dead/"+kind, func(t *testing.T) {
			t.Parallel()
			n := make(t, dead)
			_, err := n.Notify(t.Context(), notification(spend.EventFiring, 1))
			require.Equal(t, retries, outcome(err))
			require.ErrorContains(t, err, "connection refused")
			requireNoSecrets(t, everythingOf(err))
			err = n.Check(t.Context())
			require.ErrorContains(t, err, "connection refused")
			requireNoSecrets(t, everythingOf(err))
		})
		t.Run("slow/"+kind, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() })
			ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer stop()
			_, err := make(t, server.URL).Notify(ctx, notification(spend.EventFiring, 1))
			require.Equal(t, retries, outcome(err))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			requireNoSecrets(t, everythingOf(err))
		})
		t.Run("stopped/"+kind, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			server := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) { stop(); <-r.Context().Done() })
			_, err := make(t, server.URL).Notify(ctx, notification(spend.EventFiring, 1))
			require.ErrorIs(t, err, context.Canceled, "being stopped is told from a failure")
			requireNoSecrets(t, everythingOf(err))
		})
		t.Run("cut/"+kind, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) {
				w.Header().Set("Content-Length", "1000")
				fmt.Fprint(w, `{"ok":tr`)
			})
			_, err := make(t, server.URL).Notify(t.Context(), notification(spend.EventFiring, 1))
			if kind != "slack webhook" { // Slack has said 200 by then, and slack-go does not read on
				require.Equal(t, retries, outcome(err))
			}
			requireNoSecrets(t, everythingOf(err))
		})
	}
}

// requireNoSecrets fails if the text holds anything that must not be seen.
func requireNoSecrets(t testing.TB, text string) {
	t.Helper()
	for _, secret := range []string{
		slackToken, hookPath, "hush-hush-key", signingText, strings.TrimPrefix(signingText, "whsec_"), bearer,
		strings.TrimPrefix(bearer, "Bearer "), password, base64.StdEncoding.EncodeToString([]byte(password)), "hush",
	} {
		require.NotContains(t, text, secret)
	}
}

// TestMissingSecret: a secret that cannot be read now may be there later.
func TestMissingSecret(t *testing.T) {
	t.Parallel()
	missing, err := config.ParseSecret("${NOT_SET}", func(string) string { return "" })
	require.NoError(t, err)
	am := &alerts.AlertmanagerConfig{URL: "http://127.0.0.1:1", Headers: map[string]config.Secret{"Authorization": missing}}
	am.SetDefaults()
	mail := &alerts.EmailConfig{Smarthost: "127.0.0.1:1", From: "a@example.com", To: []string{"b@example.com"}, Username: "u", Password: missing}
	mail.SetDefaults()
	for _, c := range []alerts.NotifierConfig{
		{Slack: &alerts.SlackConfig{WebhookURL: missing}},
		{Slack: &alerts.SlackConfig{Token: missing, Channel: "#ops"}},
		{Webhook: &alerts.WebhookConfig{URL: missing}},
		{Webhook: &alerts.WebhookConfig{URL: plainly(t, "http://127.0.0.1:1"), Secret: missing}},
		{Webhook: &alerts.WebhookConfig{URL: plainly(t, "http://127.0.0.1:1"), Headers: map[string]config.Secret{"X": missing}}},
		{Alertmanager: am},
		{Email: mail},
	} {
		n, _ := notifierOf(t, c, "")
		_, err := n.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.Equal(t, retries, outcome(err))
		require.ErrorContains(t, err, "environment variable NOT_SET is empty or not set")
	}
}

// TestRotatedSecret: after a refusal the secret is read anew, and the message sent at once if it changed.
func TestRotatedSecret(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/secret"
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	secret, err := config.ParseSecret("file:"+file, nil)
	require.NoError(t, err)
	server := newReceiver(t, nil)
	server.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	am := &alerts.AlertmanagerConfig{URL: server.URL, Headers: map[string]config.Secret{"Authorization": secret}}
	am.SetDefaults()
	for name, c := range map[string]alerts.NotifierConfig{
		"alertmanager": {Alertmanager: am},
		"webhook": {Webhook: &alerts.WebhookConfig{
			URL: plainly(t, server.URL), Headers: map[string]config.Secret{"Authorization": secret}, Secret: plainly(t, signingText),
		}},
	} {
		write("Bearer old")
		_, err = secret.Value(t.Context(), true)
		require.NoError(t, err)
		n, _ := notifierOf(t, c, "")
		before := len(server.got())
		_, err = n.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.Equal(t, never, outcome(err), name)
		require.Len(t, server.got(), before+1, "%s: the same secret is not tried twice", name)
		write("Bearer new")
		_, err = n.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.NoError(t, err, name)
		require.Len(t, server.got(), before+3, name)
	}
}
