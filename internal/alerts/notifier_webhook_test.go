package alerts_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// alertmanagerMessage is what receivers of Alertmanager's webhooks expect.
type alertmanagerMessage struct {
	Version         string            `json:"version"`
	GroupKey        string            `json:"groupKey"`
	TruncatedAlerts *uint64           `json:"truncatedAlerts"`
	Status          string            `json:"status"`
	Receiver        string            `json:"receiver"`
	GroupLabels     map[string]string `json:"groupLabels"`
	CommonLabels    map[string]string `json:"commonLabels"`
	CommonNotes     map[string]string `json:"commonAnnotations"`
	ExternalURL     string            `json:"externalURL"`
	Alerts          []struct {
		Status       string            `json:"status"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		StartsAt     time.Time         `json:"startsAt"`
		EndsAt       time.Time         `json:"endsAt"`
		GeneratorURL string            `json:"generatorURL"`
		Fingerprint  string            `json:"fingerprint"`
	} `json:"alerts"`
}

// readAlertmanagerMessage is a receiver that takes nothing else.
func readAlertmanagerMessage(body []byte) (m alertmanagerMessage, err error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, err
	}
	status := func(s string) bool { return s == "firing" || s == "resolved" }
	switch {
	case m.Version != "4", !status(m.Status), m.Receiver == "", m.TruncatedAlerts == nil:
		return m, fmt.Errorf("head %+v", m)
	case !regexp.MustCompile(`^\{.*\}:\{.*\}$`).MatchString(m.GroupKey):
		return m, fmt.Errorf("group key %s", m.GroupKey)
	case m.GroupLabels == nil || m.CommonLabels == nil || m.CommonNotes == nil || len(m.Alerts) == 0:
		return m, fmt.Errorf("nothing in it: %+v", m)
	}
	firing := false
	for _, a := range m.Alerts {
		firing = firing || a.Status == "firing"
		switch {
		case !status(a.Status), a.Labels["alertname"] == "", a.Annotations == nil:
			return m, fmt.Errorf("alert %+v", a)
		case !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(a.Fingerprint):
			return m, fmt.Errorf("fingerprint %s", a.Fingerprint)
		case a.StartsAt.IsZero() || (a.Status == "firing") != a.EndsAt.IsZero() || !a.EndsAt.IsZero() && a.EndsAt.Before(a.StartsAt):
			return m, fmt.Errorf("times of %+v", a)
		}
		for name, value := range a.Labels {
			if !regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`).MatchString(name) || value == "" {
				return m, fmt.Errorf("label %s=%q", name, value)
			}
		}
		for name, value := range m.CommonLabels {
			if a.Labels[name] != value {
				return m, fmt.Errorf("label %s is not common", name)
			}
		}
	}
	if firing != (m.Status == "firing") {
		return m, fmt.Errorf("status %s", m.Status)
	}
	return m, nil
}

func TestWebhookMessages(t *testing.T) {
	t.Parallel()
	for name, n := range events {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, nil)
			receipt, err := kinds["webhook"](t, server.URL).Notify(t.Context(), n)
			require.NoError(t, err)
			require.Empty(t, receipt)
			got := server.got()
			require.Len(t, got, 1)
			require.Equal(t, hookPath, got[0].path)
			require.Equal(t, "application/json", got[0].header.Get("Content-Type"))
			require.Equal(t, "anthropic-monitor/test", got[0].header.Get("User-Agent"))
			require.Equal(t, bearer, got[0].header.Get("Authorization"))
			m, err := readAlertmanagerMessage(got[0].body)
			require.NoError(t, err)
			require.Equal(t, n.Event == spend.EventTest, strings.Contains(string(got[0].body), "TEST"), "tests are marked, and nothing else")
			require.Equal(t, n.Event == spend.EventTest, m.CommonLabels["test"] == "true")
			golden.Check(t, "webhook/"+name+".json", indented(t, got[0].body))

			verify, err := standardwebhooks.NewWebhook(signingText)
			require.NoError(t, err)
			require.NoError(t, verify.Verify(got[0].body, got[0].header), "by the standard's own library")
			require.Equal(t, n.ID, got[0].header.Get("webhook-id"))
			require.Error(t, verify.Verify(append(got[0].body, ' '), got[0].header))
		})
	}
}

func TestWebhookWithoutSecret(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, nil)
	n, _ := notifierOf(t, alerts.NotifierConfig{Webhook: &alerts.WebhookConfig{URL: plainly(t, server.URL)}}, "")
	_, err := n.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.NoError(t, err)
	require.Empty(t, server.got()[0].header.Get("webhook-signature"))
	require.NotEmpty(t, server.got()[0].header.Get("webhook-id"), "a repetition can be told")
	require.NoError(t, n.Check(t.Context()))
	require.Len(t, server.got(), 1, "trying it sends nothing")
}

// TestWebhookEpisodes: a receiver that keeps state goes by the fingerprint.
func TestWebhookEpisodes(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, nil)
	webhook := kinds["webhook"](t, server.URL)
	next := notification(spend.EventFiring, 1)
	next.Alerts[0].FiredAt = now.Add(time.Hour)
	var prints, keys []string
	for _, n := range []spend.Notification{events["firing"], events["reminder"], events["resolved"], next} {
		_, err := webhook.Notify(t.Context(), n)
		require.NoError(t, err)
		got := server.got()
		m, err := readAlertmanagerMessage(got[len(got)-1].body)
		require.NoError(t, err)
		prints, keys = append(prints, m.Alerts[0].Fingerprint), append(keys, m.GroupKey)
	}
	require.Equal(t, prints[0], prints[1])
	require.Equal(t, prints[0], prints[2])
	require.NotEqual(t, prints[0], prints[3], "the next episode is another alert")
	require.Equal(t, []string{keys[0], keys[0], keys[0], keys[0]}, keys)
	require.Equal(t, `{}:{alertname="daily-cost", organization="acme"}`, keys[0])
}

// TestWebhookLabels: Prometheus's names of labels are narrower than ours.
func TestWebhookLabels(t *testing.T) {
	t.Parallel()
	n := notification(spend.EventFiring, 1)
	n.Alerts[0].Labels = map[string]string{"cost centre": "4711", "2nd": "x", "empty": "", "rule": "daily-cost", "": "nothing"}
	server := newReceiver(t, nil)
	_, err := kinds["webhook"](t, server.URL).Notify(t.Context(), n)
	require.NoError(t, err)
	m, err := readAlertmanagerMessage(server.got()[0].body)
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"alertname": "daily-cost", "cost_centre": "4711", "_2nd": "x", "rule": "daily-cost", "_": "nothing",
	}, m.Alerts[0].Labels)
}

func TestPublicOnly(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, nil)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		n, _ := notifierOf(t, alerts.NotifierConfig{Webhook: &alerts.WebhookConfig{
			URL: plainly(t, "http://"+host+":"+port+hookPath), PublicOnly: true,
		}}, "")
		_, err := n.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.Equal(t, never, outcome(err), host)
		require.ErrorContains(t, err, "not a public one, and public_only is set", host)
		requireNoSecrets(t, everythingOf(err))
		require.ErrorContains(t, n.Check(t.Context()), "not a public one", host)
	}
	require.Empty(t, server.got())

	for _, private := range []string{
		"127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
		"0.1.2.3", "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
		"fd12:3456::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:a00:1::", "2001:db8::1", "fec0::1",
	} {
		require.False(t, alerts.IsPublic(netip.MustParseAddr(private)), private)
		address := netip.AddrPortFrom(netip.MustParseAddr(private), 443).String()
		require.Error(t, alerts.RefusePrivate("tcp", address, nil), address)
	}
	for _, public := range []string{"1.1.1.1", "93.184.215.14", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8"} {
		require.True(t, alerts.IsPublic(netip.MustParseAddr(public)), public)
	}
	require.Error(t, alerts.RefusePrivate("tcp", "a name:80", nil), "only addresses are dialed")
}

// TestWebhookAnswerHasNoEnd: an answer is read only so far.
func TestWebhookAnswerHasNoEnd(t *testing.T) {
	t.Parallel()
	server := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ []byte) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	_, err := kinds["webhook"](t, server.URL).Notify(t.Context(), notification(spend.EventFiring, 1))
	require.NoError(t, err)
}

func TestWebhookTLS(t *testing.T) {
	t.Parallel()
	server := newTLSReceiver(t)
	make := func(c alerts.TLSConfig) alerts.Notifier {
		n, _ := notifierOf(t, alerts.NotifierConfig{Webhook: &alerts.WebhookConfig{URL: plainly(t, server.URL+hookPath), TLS: c}}, "")
		return n
	}
	for _, c := range []alerts.TLSConfig{{CAFile: server.caFile}, {InsecureSkipVerify: true}} {
		n := make(c)
		require.NoError(t, n.Check(t.Context()))
		_, err := n.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.NoError(t, err)
	}
	for _, c := range []alerts.TLSConfig{{}, {CAFile: server.caFile, ServerName: "other.example.com"}} {
		n := make(c)
		require.ErrorContains(t, n.Check(t.Context()), "certificate")
		_, err := n.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.Equal(t, retries, outcome(err), "a certificate can be put right")
		require.ErrorContains(t, err, "certificate")
		requireNoSecrets(t, everythingOf(err))
	}
}

// TestHeaderSecrets: the values of headers are secrets like any other.
func TestHeaderSecrets(t *testing.T) {
	t.Parallel()
	c := alerts.WebhookConfig{
		URL: plainly(t, "https://hooks.example.com"+hookPath), Secret: plainly(t, signingText),
		Headers: map[string]config.Secret{"Authorization": plainly(t, bearer)},
	}
	requireNoSecrets(t, fmt.Sprintf("%v %+v %#v", c, c, c))
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	requireNoSecrets(t, string(raw))
}
