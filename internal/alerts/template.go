package alerts

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/template"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TemplateData is what the templates title and text of a notifier are executed on. All that is
// text is written for people: money as $1,234.50, times as 2026-01-31 15:04 UTC. Where the receiver
// has a markup of its own (Slack), text is escaped already.
//
// Templates are for alerts: firing, reminder, resolved and test. A digest is written as it is.
type TemplateData struct {
	Event        string // firing, reminder, resolved or test
	Resolved     bool   // Event is resolved
	Test         bool   // Event is test
	Organization string // name
	Title        string // as it would be without a template
	Text         string // as it would be without a template
	Alerts       []TemplateAlert
}

// TemplateAlert is an alert of [TemplateData], most severe first.
type TemplateAlert struct {
	Rule         string
	Severity     string
	Labels       map[string]string
	Summary      string
	Description  string
	Value, Limit string  // with their unit; empty for an event
	Number       float64 // Value
	LimitNumber  float64 // Limit
	Since        string
	Resolved     string // empty while it fires
	AsOf         string
	Basis        string // of money: billed, allocated, estimated, mixed
	Contributors []TemplateContributor
	Page         string // URL; empty: none
	Runbook      string // URL; empty: none
}

// TemplateContributor is one of the greatest parts of an alert's value.
type TemplateContributor struct{ Name, Value, Share string }

// templateLimit bounds what a template may write: no receiver takes more.
const templateLimit = 64 << 10

// templateFuncs are what templates may call besides text/template's own.
var templateFuncs = template.FuncMap{
	"upper":   strings.ToUpper,
	"lower":   strings.ToLower,
	"replace": func(from, to, s string) string { return strings.ReplaceAll(s, from, to) },
}

// overrides are a notifier's own templates; nil where it has none.
type overrides struct {
	title, text *template.Template
	log         *slog.Logger
}

func newOverrides(c NotifierConfig, log *slog.Logger) (overrides, error) {
	title, err := parseTemplate("title", c.Title)
	if err != nil {
		return overrides{}, fmt.Errorf("title %w", err)
	}
	text, err := parseTemplate("text", c.Text)
	if err != nil {
		return overrides{}, fmt.Errorf("text %w", err)
	}
	return overrides{title, text, log}, nil
}

// apply writes the notification's title, which is plain, and its text, whose data is escaped, by the
// templates; empty where there is none. One that fails is left out: the message matters more than
// its form.
func (o overrides) apply(n spend.Notification, escape func(string) string) (title, text string) {
	run := func(name string, t *template.Template, escape func(string) string) string {
		if t == nil || n.Event == spend.EventDigest {
			return ""
		}
		s, err := execute(t, templateData(n, escape))
		if err != nil {
			o.log.Warn("a template failed, the message has its usual text", "template", name, "err", err)
			return ""
		}
		return s
	}
	title = oneLine(run("title", o.title, plain))
	if title != "" && n.Event == spend.EventTest && !strings.Contains(strings.ToUpper(title), "TEST") {
		title = "[TEST] " + title
	}
	text = run("text", o.text, escape)
	if text != "" && n.Event == spend.EventTest {
		text = testNote + "\n" + text
	}
	return title, text
}

func plain(s string) string { return s }

func parseTemplate(name, text string) (*template.Template, error) {
	if text == "" {
		return nil, nil
	}
	t, err := template.New(name).Funcs(templateFuncs).Option("missingkey=zero").Parse(text)
	if err != nil {
		return nil, templateError(err)
	}
	// Mistakes in names show only when the template runs; each event may take another branch.
	now := time.Date(2026, 1, 31, 15, 4, 0, 0, time.UTC)
	for _, n := range sampleNotifications(now) {
		if _, err := execute(t, templateData(n, plain)); err != nil {
			return nil, templateError(err)
		}
	}
	return t, nil
}

// templateError leaves out the words that text/template puts before its message.
func templateError(err error) error {
	return fmt.Errorf("is not a working template: %s", strings.TrimPrefix(err.Error(), "template: "))
}

// sampleNotifications are what templates are tried on: each event, one alert and several.
func sampleNotifications(now time.Time) []spend.Notification {
	one := sampleAlert("acme", now)
	resolved := one
	resolved.State, resolved.ResolvedAt = spend.Resolved, now.Add(time.Hour)
	bare := spend.Alert{Rule: "new-keys", Severity: spend.Info, State: spend.Firing, FiredAt: now, Labels: map[string]string{}}
	return []spend.Notification{
		{Event: spend.EventFiring, Alerts: []spend.Alert{one}},
		{Event: spend.EventFiring, Alerts: []spend.Alert{one, bare}},
		{Event: spend.EventReminder, Alerts: []spend.Alert{bare}},
		{Event: spend.EventResolved, Alerts: []spend.Alert{resolved}},
		TestNotification("1", "", spend.Organization{Name: "acme"}, now),
	}
}

// templateData is the notification for templates; escape makes text safe for the receiver's markup.
func templateData(n spend.Notification, escape func(string) string) TemplateData {
	d := TemplateData{
		Event: string(n.Event), Resolved: n.Event == spend.EventResolved, Test: n.Event == spend.EventTest,
		Organization: escape(organizationName(n)), Title: escape(titleText(n)), Text: escape(plainText(n)),
	}
	for _, a := range n.Alerts {
		t := TemplateAlert{
			Rule: escape(a.Rule), Severity: string(a.Severity), Labels: map[string]string{},
			Summary: escape(summaryText(a)), Description: escape(a.Description),
			Value: escape(formatValue(a.Value, a.Unit)), Number: a.Value, LimitNumber: a.Limit,
			Since: formatTime(a.FiredAt), Resolved: formatTime(a.ResolvedAt), AsOf: formatTime(a.AsOf), Basis: string(a.Basis),
			Page: a.PageURL, Runbook: a.RunbookURL,
		}
		if a.Limit != 0 {
			t.Limit = escape(formatValue(a.Limit, a.Unit))
		}
		for name, value := range a.Labels {
			t.Labels[name] = escape(oneLine(value))
		}
		for _, c := range a.Contributors {
			t.Contributors = append(t.Contributors, TemplateContributor{
				escape(c.Name), escape(formatValue(c.Value, a.Unit)), formatPercent(c.Share),
			})
		}
		d.Alerts = append(d.Alerts, t)
	}
	return d
}

func execute(t *template.Template, d TemplateData) (string, error) {
	var b bytes.Buffer
	if err := t.Execute(&limitedWriter{&b, templateLimit}, d); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// limitedWriter refuses what goes over the limit, so that a template's loop ends.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("the template writes more than %d bytes", templateLimit)
	}
	return l.w.Write(p)
}
