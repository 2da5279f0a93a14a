package alerts

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// What messages say is written here once, as plain text; each notifier puts it into its receiver's
// form. How much is said is limited here too: receivers refuse what is too long.
const (
	shownContributors = 3
	shownInFull       = 5  // alerts of one message that are told in full; the others are listed
	shownInList       = 40 // alerts that are listed after them; of the others there is only the number
)

// formatValue writes a value for people; empty for what is no number of anything.
func formatValue(v float64, u spend.Unit) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	switch u {
	case spend.UnitUSD:
		return formatUSD(v)
	case spend.UnitTokens:
		return formatCount(v) + " tokens"
	case spend.UnitRequests:
		return formatCount(v) + " requests"
	case spend.UnitRatio:
		return formatPercent(v)
	case spend.UnitSeconds:
		return formatAge(time.Duration(min(max(v, 0), 100*365*86400)) * time.Second)
	case spend.UnitDays:
		days := strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
		if days == "1" {
			return "1 day"
		}
		return days + " days"
	default:
		return ""
	}
}

// formatLimit writes a limit as formatValue does, but whole where that would only say that it is small.
func formatLimit(v float64, u spend.Unit) string {
	text := formatValue(v, u)
	if u != spend.UnitUSD || !strings.Contains(text, "<") {
		return text
	}
	return strings.Replace("$"+strconv.FormatFloat(v, 'f', -1, 64), "$-", "-$", 1)
}

// formatUSD writes dollars as a report writes them.
func formatUSD(v float64) string {
	const most = 9e9 // dollars; more does not fit into spend.Money
	return dollars(spend.Money(math.Round(min(max(v, -most), most) * float64(spend.Dollar))))
}

// dollars puts the dollar sign where people write it: $0.42, -$3.00, <$0.01.
func dollars(m spend.Money) string {
	text := report.USD(m)
	digits := strings.TrimLeft(text, "-<")
	return strings.TrimSuffix(text, digits) + "$" + digits
}

func formatCount(v float64) string {
	return report.Count(int64(math.Round(min(max(v, -1e18), 1e18))))
}

func formatPercent(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v*100), ".0") + " %"
}

// formatAge writes a duration in its two greatest units.
func formatAge(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	var parts []string
	for _, u := range []struct {
		name  string
		width time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}} {
		if n := d / u.width; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.width
		} else if len(parts) > 0 {
			break
		}
	}
	return strings.Join(parts, " ")
}

// formatTime writes a time; empty for none.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// valueText sets the value against its limit: "$920.00, limit $1,000.00".
func valueText(a spend.Alert) string {
	value := formatValue(a.Value, a.Unit)
	if value == "" || a.Limit == 0 {
		return value
	}
	limit := "limit"
	if a.Below {
		limit = "at least"
	}
	return fmt.Sprintf("%s, %s %s", value, limit, formatLimit(a.Limit, a.Unit))
}

// asOfText says how sure the value is: "2026-11-22 10:25 UTC, estimated".
func asOfText(a spend.Alert) string {
	text := formatTime(a.AsOf)
	if a.Basis == "" || a.Unit != spend.UnitUSD {
		return text
	}
	if text == "" {
		return string(a.Basis)
	}
	return text + ", " + string(a.Basis)
}

// staleText says that nobody knows whether the alert still holds.
func staleText(a spend.Alert) string {
	if a.State != spend.Stale {
		return ""
	}
	return "has stopped, so this is neither confirmed nor over"
}

// sinceText says when the alert began and, once it is over, how long it lasted.
func sinceText(a spend.Alert) string {
	text := formatTime(a.FiredAt)
	if over := a.ResolvedAt.Sub(a.FiredAt); !a.ResolvedAt.IsZero() && !a.FiredAt.IsZero() && over >= 0 {
		text += ", resolved " + formatTime(a.ResolvedAt) + " after " + formatAge(over)
	}
	return text
}

// contributorTexts lists the greatest parts of the value, a line each.
func contributorTexts(a spend.Alert) []string {
	var lines []string
	for _, c := range a.Contributors[:min(len(a.Contributors), shownContributors)] {
		name := oneLine(c.Name)
		if name == "" {
			name = "(no name)"
		}
		line := name
		if v := formatValue(c.Value, a.Unit); v != "" {
			line += ": " + v
		}
		if c.Share > 0 {
			line += " (" + formatPercent(c.Share) + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

// organizationName is what the notification's organization is called.
func organizationName(n spend.Notification) string {
	for _, a := range n.Alerts {
		if name := a.Labels[string(spend.ByOrganization)]; name != "" {
			return oneLine(name)
		}
	}
	return n.Organization
}

// subjectText is what the alert is about by the names in its labels, without those that every
// alert has: "workspace=Default, model=claude-sonnet-5". Use without a key, or a model, is not all use.
func subjectText(a spend.Alert) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		value := a.Labels[name]
		switch d := spend.Dimension(name); {
		case d == spend.ByOrganization, name == "rule", name == "severity":
			continue
		case d == spend.ByAPIKey, d == spend.ByModel, d == spend.ByServiceTier:
			value = cmp.Or(value, "(none)")
		}
		if value != "" {
			parts = append(parts, name+"="+oneLine(value))
		}
	}
	return strings.Join(parts, ", ")
}

// summaryText is the alert in a line, made up where its rule wrote none.
func summaryText(a spend.Alert) string {
	if a.Summary != "" {
		return oneLine(a.Summary)
	}
	parts := slices.DeleteFunc([]string{a.Rule, subjectText(a), valueText(a)}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ")
}

// eventWord says what happened, in one word that stands out.
func eventWord(e spend.Event) string {
	switch e {
	case spend.EventReminder:
		return "STILL FIRING"
	case spend.EventResolved:
		return "RESOLVED"
	case spend.EventDigest:
		return "DIGEST"
	case spend.EventTest:
		return "TEST"
	default:
		return "FIRING"
	}
}

// titleText is the notification in one line.
func titleText(n spend.Notification) string {
	switch {
	case n.Event == spend.EventDigest:
		return cmp.Or(n.Title, "Digest of "+organizationName(n))
	case len(n.Alerts) == 0:
		return fmt.Sprintf("[%s] %s", eventWord(n.Event), cmp.Or(n.Title, "Anthropic Monitor"))
	case len(n.Alerts) == 1:
		a := n.Alerts[0]
		return fmt.Sprintf("[%s] %s: %s", eventWord(n.Event), a.Severity, summaryText(a))
	}
	rules := map[string]bool{}
	for _, a := range n.Alerts {
		rules[a.Rule] = true
	}
	what := fmt.Sprintf("%d rules", len(rules))
	if len(rules) == 1 {
		what = n.Alerts[0].Rule
	}
	return fmt.Sprintf("[%s:%d] %s: %s of %s", eventWord(n.Event), len(n.Alerts), worst(n.Alerts), what, organizationName(n))
}

// worst is the greatest severity of the alerts.
func worst(as []spend.Alert) spend.Severity {
	at := 0
	for _, a := range as {
		at = max(at, slices.Index(spend.Severities, a.Severity))
	}
	return spend.Severities[at]
}

// field is a named piece of an alert.
type field struct{ name, value string }

// alertFields lists what there is to say about an alert besides its summary.
func alertFields(a spend.Alert) []field {
	fs := []field{
		{"Value", valueText(a)},
		{"Since", sinceText(a)},
		{"As of", asOfText(a)},
		{"Data", staleText(a)},
		{"Rule", a.Rule + " (" + string(a.Severity) + ")"},
		{"Organization", cmp.Or(oneLine(a.Labels[string(spend.ByOrganization)]), a.Organization)},
		{"About", subjectText(a)},
	}
	return slices.DeleteFunc(fs, func(f field) bool { return f.value == "" })
}

// testNote stands in every test message.
const testNote = "This is a test message. Nothing has happened."

// split divides the alerts into those told in full, those listed, and the number of the rest.
func split(as []spend.Alert) (full, listed []spend.Alert, more int) {
	full = as[:min(len(as), shownInFull)]
	listed = as[len(full):]
	if more = len(listed) - shownInList; more > 0 {
		return full, listed[:shownInList], more
	}
	return full, listed, 0
}

// moreText says how many alerts a message leaves out.
func moreText(n int) string { return fmt.Sprintf("and %d more", n) }

// plainText is the whole notification without formatting.
func plainText(n spend.Notification) string {
	var b strings.Builder
	if n.Event == spend.EventTest {
		b.WriteString(testNote + "\n")
	}
	if n.Text != "" {
		b.WriteString(strings.TrimSpace(n.Text) + "\n")
	}
	full, listed, more := split(n.Alerts)
	for _, a := range full {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(summaryText(a) + "\n")
		if a.Description != "" {
			b.WriteString(a.Description + "\n")
		}
		for _, f := range alertFields(a) {
			fmt.Fprintf(&b, "%s: %s\n", f.name, f.value)
		}
		if lines := contributorTexts(a); len(lines) > 0 {
			b.WriteString("Largest parts:\n")
			for _, line := range lines {
				b.WriteString("  " + line + "\n")
			}
		}
		if a.PageURL != "" {
			fmt.Fprintf(&b, "Page: %s\n", a.PageURL)
		}
		if a.RunbookURL != "" {
			fmt.Fprintf(&b, "Runbook: %s\n", a.RunbookURL)
		}
	}
	if len(listed) > 0 {
		b.WriteString("\nAlso:\n")
	}
	for _, a := range listed {
		b.WriteString("  " + summaryText(a) + "\n")
	}
	if more > 0 {
		b.WriteString("  " + moreText(more) + "\n")
	}
	return b.String()
}

// cut shortens text to at most n characters; the end is marked.
func cut(s string, n int) string {
	if len(s) <= n { // bytes are never fewer than characters
		return s
	}
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return strings.TrimRight(string(runes[:n-1]), " \n") + "…"
}

// oneLine makes a line of text that may have several, without what would drive a terminal or turn
// the text after it around: names come from other people.
func oneLine(s string) string { return strings.Join(strings.Fields(strings.Map(shown, s)), " ") }

// lines does that to each line.
func lines(s string) string {
	all := strings.Split(s, "\n")
	for i := range all {
		all[i] = oneLine(all[i])
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}

// shown is the character, or a mark in place of one that is not seen but does something. Those that join
// emoji and letters stay.
func shown(r rune) rune {
	if unicode.IsSpace(r) || !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r) {
		return r
	}
	return '\uFFFD'
}

// TestNotification is the message by which people try a notifier. It is marked as a test, and so is
// what it is about. The id must be new for each.
func TestNotification(id, notifier string, o spend.Organization, now time.Time) spend.Notification {
	a := sampleAlert(o.Name, now)
	a.Organization, a.State = o.ID, spend.Firing
	a.Rule, a.Labels["rule"] = "test", "test"
	a.Severity, a.Labels["severity"] = spend.Info, string(spend.Info)
	a.Summary = "Test message of Anthropic Monitor: cost of workspace Default is $92.00, above $60.00"
	a.Description = "The figures are made up."
	a.PageURL, a.RunbookURL = "", ""
	return spend.Notification{
		ID: id, Organization: o.ID, Notifier: notifier, Event: spend.EventTest, CreatedAt: now, Alerts: []spend.Alert{a},
		Series: map[string][]spend.Point{a.Fingerprint(): sampleSeries(now)},
	}
}

// sampleAlert is an alert with everything in it, for tests of templates and of notifiers.
func sampleAlert(organization string, now time.Time) spend.Alert {
	now = now.UTC().Truncate(time.Second)
	return spend.Alert{
		Organization: "00000000-0000-4000-8000-000000000000", Rule: "daily-cost", Subject: "workspace=default",
		State: spend.Firing, Severity: spend.Warning,
		PendingAt: now.Add(-20 * time.Minute), FiredAt: now.Add(-5 * time.Minute), NotifiedAt: now, SeenAt: now,
		Labels: map[string]string{
			"organization": organization, "rule": "daily-cost", "severity": string(spend.Warning), "workspace": "Default",
		},
		Value: 92, Limit: 60, Unit: spend.UnitUSD, AsOf: now.Add(-5 * time.Minute), Basis: spend.Estimated,
		Summary:     "Cost of workspace Default is $92.00 in the last 24 hours, above $60.00",
		Description: "It was $41.20 in the 24 hours before.",
		Contributors: []spend.Contributor{
			{Name: "prod", Value: 50.5, Share: 50.5 / 92}, {Name: "ci", Value: 30, Share: 30.0 / 92}, {Name: "nightly", Value: 11.5, Share: 11.5 / 92},
		},
		RunbookURL: "https://wiki.example.com/claude-cost", PageURL: "https://monitor.example.com/alerts",
	}
}

func sampleSeries(now time.Time) []spend.Point {
	var points []spend.Point
	for i, v := range []float64{31, 33, 30, 35, 41, 52, 70, 84, 92} {
		points = append(points, spend.Point{At: now.UTC().Truncate(time.Hour).Add(time.Duration(i-8) * time.Hour), Value: v})
	}
	return points
}
