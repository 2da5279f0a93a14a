package alerts_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestFormatValue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value float64
		unit  spend.Unit
		want  string
	}{
		{1234567.891, spend.UnitUSD, "$1,234,567.89"},
		{0.004, spend.UnitUSD, "<$0.01"},
		{-0.004, spend.UnitUSD, "-<$0.01"},
		{-1234.5, spend.UnitUSD, "-$1,234.50"},
		{0, spend.UnitUSD, "$0.00"},
		{1e300, spend.UnitUSD, "$9,000,000,000.00"},
		{math.NaN(), spend.UnitUSD, "unknown"},
		{math.Inf(1), spend.UnitRatio, "unknown"},
		{1234567, spend.UnitTokens, "1,234,567 tokens"},
		{12.4, spend.UnitRequests, "12 requests"},
		{0.925, spend.UnitRatio, "92.5 %"},
		{1, spend.UnitRatio, "100 %"},
		{45, spend.UnitSeconds, "45 s"},
		{60, spend.UnitSeconds, "1 min"},
		{7505, spend.UnitSeconds, "2 h 5 min"},
		{86400 + 300, spend.UnitSeconds, "1 d"},
		{200 * 3600, spend.UnitSeconds, "8 d 8 h"},
		{-5, spend.UnitSeconds, "0 s"},
		{12.5, spend.UnitDays, "12.5 days"},
		{1, spend.UnitDays, "1 day"},
		{3, spend.UnitDays, "3 days"},
		{1, spend.UnitNone, ""},
	} {
		require.Equal(t, test.want, alerts.FormatValue(test.value, test.unit), "%v %s", test.value, test.unit)
	}
}

// That a value is below a cent is enough to know; a limit is what somebody wrote.
func TestFormatLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, "$0.0005", alerts.FormatLimit(0.0005, spend.UnitUSD))
	require.Equal(t, "-$0.0005", alerts.FormatLimit(-0.0005, spend.UnitUSD))
	require.Equal(t, "$0.03", alerts.FormatLimit(0.025, spend.UnitUSD))
	require.Equal(t, "$0.00", alerts.FormatLimit(0, spend.UnitUSD))
	require.Equal(t, "5 %", alerts.FormatLimit(0.05, spend.UnitRatio))
}

func TestTitle(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"firing":   "[FIRING] warning: Cost of workspace Default is $92.00 in the last 24 hours, above $60.00",
		"reminder": "[STILL FIRING] warning: Cost of workspace Default is $92.00 in the last 24 hours, above $60.00",
		"resolved": "[RESOLVED] warning: Cost of workspace Default is $92.00 in the last 24 hours, above $60.00",
		"grouped":  "[FIRING:48] warning: daily-cost of acme",
		"digest":   "Spend of acme from 2026-11-15 to 2026-11-22: $1,234.50 (+12.5 %)",
		"test":     "[TEST] info: Test message of Anthropic Monitor: cost of workspace Default is $92.00, above $60.00",
	} {
		require.Equal(t, want, alerts.TitleText(events[name]))
	}
	n := notification(spend.EventFiring, 2)
	n.Alerts[1].Rule, n.Alerts[1].Severity = "budget", spend.Critical
	require.Equal(t, "[FIRING:2] critical: 2 rules of acme", alerts.TitleText(n))
	n.Alerts = n.Alerts[:1]
	n.Alerts[0].Summary = ""
	require.Equal(t, "[FIRING] warning: daily-cost: workspace=Default: $92.00, limit $60.00", alerts.TitleText(n), "made up where there is none")
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	a := alerts.SampleAlert(now)
	a.Below, a.Unit, a.Value, a.Limit, a.Basis = true, spend.UnitRatio, 0.12, 0.5, spend.Estimated
	a.AsOf = now.In(time.FixedZone("", -5*3600))
	text := alerts.PlainText(spend.Notification{Event: spend.EventFiring, Alerts: []spend.Alert{a}})
	require.Contains(t, text, "Value: 12 %, at least 50 %\n")
	require.Contains(t, text, "As of: 2026-11-22 10:30 UTC\n", "UTC, and a basis is of money only")

	require.NotContains(t, text, "Data: ")
	a.State = spend.Stale
	require.Contains(t, alerts.PlainText(spend.Notification{Event: spend.EventReminder, Alerts: []spend.Alert{a}}),
		"Data: has stopped, so this is neither confirmed nor over\n")

	grouped := alerts.PlainText(events["grouped"])
	require.Equal(t, 5, strings.Count(grouped, "Value: "), "the first in full")
	require.Equal(t, 40, strings.Count(grouped, "\n  Cost of workspace"), "the others listed")
	require.Contains(t, grouped, "\n  and 3 more\n")

	a.Contributors = []spend.Contributor{{Name: "", Value: 0.1}, {Name: "b", Share: 0.5}}
	require.Contains(t, alerts.PlainText(spend.Notification{Alerts: []spend.Alert{a}}), "Largest parts:\n  (no name): 10 %\n  b: 0 % (50 %)\n")

	event := spend.Alert{Rule: "new-keys", Severity: spend.Info, Summary: "API key ci was created", FiredAt: now}
	require.Equal(t, "API key ci was created\nSince: 2026-11-22 10:30 UTC\nRule: new-keys (info)\n",
		alerts.PlainText(spend.Notification{Event: spend.EventFiring, Alerts: []spend.Alert{event}}))
}

// TestOrganizationsPage: without a page of its own an alert leads to the pages, and never elsewhere.
func TestOrganizationsPage(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		"":                       "https://monitor.example.com",
		"/alerts?rule=x":         "https://monitor.example.com/alerts?rule=x",
		"https://other.example/": "https://other.example/",
		"javascript:alert(1)":    "https://monitor.example.com",
	} {
		server := newReceiver(t, nil)
		n := notification(spend.EventFiring, 1)
		n.Alerts[0].PageURL = page
		_, err := kinds["webhook"](t, server.URL).Notify(t.Context(), n)
		require.NoError(t, err)
		m, err := readAlertmanagerMessage(server.got()[0].body)
		require.NoError(t, err)
		require.Equal(t, want, m.Alerts[0].GeneratorURL)
		require.Equal(t, page, n.Alerts[0].PageURL, "what was given stays as it is")
	}
}
