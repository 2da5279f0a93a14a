package alerts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// alertmanager starts a real one that sends to the receiver; it ends with the test, and with the
// test's process: the shell waits for the end of its input.
func alertmanager(t *testing.T, receiver string) string {
	t.Helper()
	binary, err := exec.LookPath("prometheus-alertmanager") // Debian's name
	if err != nil {
		binary, err = exec.LookPath("alertmanager")
	}
	require.NoError(t, err, "Alertmanager is not installed (Debian and Ubuntu: apt-get install prometheus-alertmanager; macOS: brew install alertmanager)")
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
route: {receiver: hook, group_by: [rule], group_wait: 3s, group_interval: 500ms, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]
`, receiver), 0o600))
	log := &logBuffer{}
	cmd := exec.Command("sh", "-c", `"$@" & pid=$!; read -r _; kill -9 $pid; wait`, "sh", binary,
		"--config.file="+file, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0",
		"--cluster.listen-address=", "--web.external-url=http://alertmanager.example.com/")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	tether, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		tether.Close()
		_ = cmd.Wait() // it was killed
	})
	listening := regexp.MustCompile(`msg="Listening on" address=(127\.0\.0\.1:\d+)`)
	require.Eventually(t, func() bool { return listening.MatchString(log.String()) }, 20*time.Second, 20*time.Millisecond, "it does not start: %s", log)
	return "http://" + listening.FindStringSubmatch(log.String())[1]
}

// gettableAlert is an alert as Alertmanager shows it.
type gettableAlert struct {
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	EndsAt      time.Time
	Status      struct{ State string }
}

func alertsOf(t *testing.T, url string) []gettableAlert {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v2/alerts", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var as []gettableAlert
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&as))
	return as
}

// TestAlertmanager has a real Alertmanager take, keep, group and resolve alerts, and compares what
// it sends to webhooks with what we send.
func TestAlertmanager(t *testing.T) {
	t.Parallel()
	hook := newReceiver(t, nil)
	url := alertmanager(t, hook.URL)
	c := &alerts.AlertmanagerConfig{URL: url + "/"}
	c.SetDefaults()
	am, log := notifierOf(t, alerts.NotifierConfig{Alertmanager: c}, "")
	require.NoError(t, am.Check(t.Context()))
	repeater, ok := am.(alerts.Repeater)
	require.True(t, ok)
	require.Equal(t, time.Minute, repeater.Repeats())

	began := time.Now()
	firing := notification(spend.EventFiring, 2)
	resolved := notification(spend.EventResolved, 2)
	for i := range firing.Alerts { // Alertmanager goes by the machine's clock
		firing.Alerts[i].FiredAt = began.Add(-time.Second)
		resolved.Alerts[i].FiredAt, resolved.Alerts[i].ResolvedAt = began.Add(-time.Second), began
	}
	receipt, err := am.Notify(t.Context(), firing)
	require.NoError(t, err)
	require.Empty(t, receipt)
	sent := func(n int) alertmanagerMessage {
		require.Eventually(t, func() bool { return len(hook.got()) >= n }, 20*time.Second, 20*time.Millisecond, "%d messages", n)
		m, err := readAlertmanagerMessage(hook.got()[n-1].body)
		require.NoError(t, err, "what Alertmanager sends: %s", hook.got()[n-1].body)
		return m
	}
	m := sent(1)
	require.Equal(t, "firing", m.Status)
	require.Len(t, m.Alerts, 2, "grouped")
	require.Equal(t, map[string]string{"alertname": "daily-cost", "organization": "acme", "rule": "daily-cost", "severity": "warning"}, m.CommonLabels)
	require.Equal(t, "$92.00", m.Alerts[0].Annotations["value"])

	first := alertsOf(t, url)
	require.Len(t, first, 2)
	for _, a := range first {
		require.Equal(t, "active", a.Status.State)
		require.WithinDuration(t, began.Add(30*time.Minute), a.EndsAt, time.Minute, "kept for as long as it takes us to come back")
	}

	reminder := firing
	reminder.Event = spend.EventReminder
	_, err = am.Notify(t.Context(), reminder)
	require.NoError(t, err)
	again := alertsOf(t, url)
	require.Len(t, again, 2, "the same alerts")
	require.False(t, again[0].EndsAt.Before(first[0].EndsAt))

	_, err = am.Notify(t.Context(), resolved)
	require.NoError(t, err)
	m = sent(2)
	require.Equal(t, "resolved", m.Status)
	require.Len(t, m.Alerts, 2)
	require.Empty(t, alertsOf(t, url))
	require.Len(t, hook.got(), 2, "nobody was told of the reminder")

	// Ours, to the same receiver.
	webhook, _ := notifierOf(t, alerts.NotifierConfig{Webhook: &alerts.WebhookConfig{URL: plainly(t, hook.URL)}}, "")
	for i, n := range []spend.Notification{firing, resolved} {
		_, err = webhook.Notify(t.Context(), n)
		require.NoError(t, err)
		ours := sent(3 + i)
		theirs, err := readAlertmanagerMessage(hook.got()[i].body)
		require.NoError(t, err)
		require.Equal(t, theirs.Status, ours.Status)
		require.Equal(t, theirs.CommonLabels, ours.CommonLabels)
		require.Equal(t, shape(t, hook.got()[i].body), shape(t, hook.got()[2+i].body), "the same keys at every depth")
	}

	_, err = am.Notify(t.Context(), notification(spend.EventTest, 1))
	require.NoError(t, err)
	m = sent(5)
	require.Equal(t, "TEST test", m.CommonLabels["alertname"])
	require.Contains(t, m.CommonAnnotations(), "TEST: ")
	require.WithinDuration(t, time.Now().Add(5*time.Minute), alertsOf(t, url)[0].EndsAt, time.Minute, "a test ends by itself")

	_, err = am.Notify(t.Context(), notification(spend.EventDigest, 0))
	require.Equal(t, never, outcome(err))
	require.ErrorContains(t, err, "takes alerts only")
	require.Empty(t, log.String())
}

// CommonAnnotations is the summary that all alerts share.
func (m alertmanagerMessage) CommonAnnotations() string { return m.CommonNotes["summary"] }

// shape lists the keys of a JSON value at every depth; names of labels and annotations are free.
func shape(t *testing.T, raw []byte) []string {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(raw, &v))
	keys := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for k, inner := range x {
				keys[path+k] = true
				if !strings.HasSuffix(strings.ToLower(k), "labels") && !strings.HasSuffix(strings.ToLower(k), "annotations") {
					walk(path+k+".", inner)
				}
			}
		case []any:
			for _, inner := range x {
				walk(path, inner)
			}
		default:
			keys[fmt.Sprintf("%s%T", path, v)] = true
		}
	}
	walk("", v)
	return slices.Sorted(maps.Keys(keys))
}

func TestAlertmanagerMessages(t *testing.T) {
	t.Parallel()
	for name, n := range events {
		if n.Event == spend.EventDigest {
			continue // Alertmanager takes none
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, nil)
			_, err := kinds["alertmanager"](t, server.URL+"/prefix/").Notify(t.Context(), n)
			require.NoError(t, err)
			got := server.got()
			require.Len(t, got, 1)
			require.Equal(t, "/prefix/api/v2/alerts", got[0].path)
			require.Equal(t, bearer, got[0].header.Get("Authorization"))
			body := got[0].body
			if n.Event != spend.EventResolved { // ends at a time that depends on when the test runs
				body = regexp.MustCompile(`"endsAt":"[^"]+"`).ReplaceAll(body, []byte(`"endsAt":"(later)"`))
			}
			golden.Check(t, "alertmanager/"+name+".json", indented(t, body))
		})
	}
}

func TestAlertmanagerCheck(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"versionInfo":{"version":"0.28.0"}}`: "",
		`{}`:                                   "what answers is no Alertmanager: check url",
		`<html>`:                               "what answers is no Alertmanager: check url",
	} {
		server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, body) })
		err := kinds["alertmanager"](t, server.URL).Check(context.WithoutCancel(t.Context()))
		if want == "" {
			require.NoError(t, err)
			require.Equal(t, "/api/v2/status", server.got()[0].path)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}
