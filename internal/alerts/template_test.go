package alerts_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// templated sends the notification by a webhook and a Slack webhook with the templates.
func templated(t *testing.T, n spend.Notification, title, text string) (m alertmanagerMessage, slack, logged string) {
	t.Helper()
	server := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []byte) { fmt.Fprint(w, "ok") })
	webhook, _ := notifierOf(t, alerts.NotifierConfig{Title: title, Text: text, Webhook: &alerts.WebhookConfig{URL: plainly(t, server.URL)}}, "")
	_, err := webhook.Notify(t.Context(), n)
	require.NoError(t, err)
	m, err = readAlertmanagerMessage(server.got()[0].body)
	require.NoError(t, err)
	other, log := notifierOf(t, alerts.NotifierConfig{Title: title, Text: text, Slack: &alerts.SlackConfig{WebhookURL: plainly(t, server.URL)}}, "")
	_, err = other.Notify(t.Context(), n)
	require.NoError(t, err)
	return m, string(server.got()[1].body), log.String()
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	n := notification(spend.EventFiring, 1)
	n.Alerts[0].Labels["workspace"] = "R&D <x>"
	m, slack, logged := templated(t, n,
		`{{upper .Event}} {{with index .Alerts 0}}{{.Labels.workspace}}{{end}}`,
		`{{range .Alerts}}<https://x/|{{.Labels.workspace}}> {{.Value}} of {{.Limit}}, as of {{.AsOf}} ({{.Basis}}){{range .Contributors}}, {{.Name}} {{.Share}}{{end}}{{end}}`)
	require.Equal(t, "FIRING R&D <x>", m.CommonNotes["summary"])
	require.Equal(t, "<https://x/|R&D <x>> $92.00 of $60.00, as of 2026-11-22 10:25 UTC (estimated), prod 54.9 %, ci 32.6 %, nightly 12.5 %", m.CommonNotes["description"])
	require.Contains(t, slack, `🟠 FIRING R\u0026D \u003cx\u003e`, "a header has no markup")
	require.Contains(t, slack, `\u003chttps://x/|R\u0026amp;D \u0026lt;x\u0026gt;\u003e $92.00 of $60.00`, "the template's markup stays, the data's does not")
	require.Empty(t, logged)

	_, slack, _ = templated(t, events["digest"], "x", "y")
	require.Contains(t, slack, "Spend of acme", "a digest is written as it is")
	m, slack, _ = templated(t, events["test"], "mine", "own words")
	require.Equal(t, "[TEST] mine", m.CommonNotes["summary"])
	require.Contains(t, m.CommonNotes["description"], "This is a test message")
	require.Contains(t, slack, "[TEST] mine")
	require.Contains(t, slack, "This is a test message")

	// Fine on the samples, not on this alert: the message is sent all the same.
	n.Alerts[0].Summary = "odd"
	m, _, logged = templated(t, n, `{{range .Alerts}}{{if eq .Summary "odd"}}{{index .Contributors 99}}{{end}}{{end}}x`, "")
	require.Equal(t, "odd", m.CommonNotes["summary"])
	require.Contains(t, logged, "a template failed")
}
