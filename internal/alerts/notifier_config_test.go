package alerts_test

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
)

type sections struct {
	Notifiers []alerts.NotifierConfig `yaml:"notifiers"`
	Digests   []alerts.DigestConfig   `yaml:"digests"`
}

func validate(text string) (sections, error) {
	var c sections
	f := config.Load("m.yaml", []byte(text), os.Getenv, &c)
	alerts.ValidateNotifiers(f, "notifiers", c.Notifiers)
	alerts.ValidateDigests(f, "digests", c.Digests, c.Notifiers, func(s string) error {
		if s == "0 9 * * 1" {
			return nil
		}
		return errors.New("is no schedule")
	})
	return c, f.Err()
}

func TestValidateNotifiers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"fine", `
notifiers:
  - {name: a, slack: {webhook_url: ${NOT_SET_HERE}}}
  - {name: b, slack: {token: ` + slackToken + `, channel: "#x"}}
  - {name: c, webhook: {url: "https://example.com/x?y=z", secret: ` + signingText + `, headers: {X-Team: ops}}}
  - {name: d, alertmanager: {url: "http://am:9093/prefix"}}
  - {name: e, email: {smarthost: "mail:587", from: "M <m@example.com>", to: o@example.com}}
digests: [{schedule: "0 9 * * 1", notify: [a, e]}, {schedule: "0 9 * * 1", notify: b}]
`, ""},
		{"names", "notifiers:\n  - slack: {webhook_url: 'http://x'}\n  - {name: a, slack: {webhook_url: 'http://x'}}\n  - {name: a, slack: {webhook_url: 'http://x'}}\n  - {name: ' b ', slack: {webhook_url: 'http://x'}}\n",
			"m.yaml:2: notifiers[0].name: must be set: rules name it under notify\n" +
				"m.yaml:4: notifiers[2].name: is the name of notifiers[1] too\n" +
				"m.yaml:5: notifiers[3].name: must be a short name without white space around it"},
		{"kinds", "notifiers:\n  - {name: a}\n  - {name: b, slack: {webhook_url: 'http://x'}, webhook: {url: 'http://x'}}\n  - {name: c, pager: {}}\n",
			"m.yaml:2: notifiers[0]: must have exactly one of slack, webhook, alertmanager and email\n" +
				"m.yaml:3: notifiers[1]: must have exactly one of slack, webhook, alertmanager and email, not slack and webhook\n" +
				"m.yaml:4: notifiers[2].pager: unknown key; the keys here are name, slack, webhook, alertmanager, email, title, text"},
		{"slack", "notifiers:\n  - {name: a, slack: {}}\n  - {name: b, slack: {token: " + slackToken + "}}\n  - {name: c, slack: {token: hush, channel: 'a b'}}\n" +
			"  - {name: d, slack: {webhook_url: hush, channel: x}}\n",
			"m.yaml:2: notifiers[0].slack: must have webhook_url, or token and channel\n" +
				"m.yaml:3: notifiers[1].slack.channel: must be set beside token, to #name or an id\n" +
				"m.yaml:4: notifiers[2].slack.token: is not a token of Slack (literal): a bot's begins with xoxb-\n" +
				"m.yaml:4: notifiers[2].slack.channel: must be #name or an id, without white space\n" +
				"m.yaml:5: notifiers[3].slack: must have either webhook_url, or token and channel: a webhook has a channel of its own\n" +
				"m.yaml:5: notifiers[3].slack.webhook_url: must be a URL that starts with http:// or https:// (literal)"},
		{"webhook", "notifiers:\n  - {name: a, webhook: {}}\n  - {name: b, webhook: {url: 'ftp://hush', secret: hush}}\n  - name: c\n    webhook:\n      url: http://x\n      headers:\n        'a b': x\n        content-type: x\n        X-Empty:\n      tls: {ca_file: /nowhere/ca.pem, cert_file: x}\n",
			"m.yaml:2: notifiers[0].webhook.url: must be set\n" +
				"m.yaml:3: notifiers[1].webhook.url: must be a URL that starts with http:// or https:// (literal)\n" +
				"m.yaml:3: notifiers[1].webhook.secret: must be whsec_ and the base64 of 24 to 64 random bytes: make one by \"echo whsec_$(openssl rand -base64 32)\" (literal)\n" +
				"m.yaml:8: notifiers[2].webhook.headers.a b: is not the name of an HTTP header\n" +
				"m.yaml:9: notifiers[2].webhook.headers.content-type: cannot be set: the request has this header already\n" +
				"m.yaml:10: notifiers[2].webhook.headers.X-Empty: must have a value\n" +
				"m.yaml:11: notifiers[2].webhook.tls.ca_file: open /nowhere/ca.pem: no such file or directory"},
		{"alertmanager", "notifiers:\n  - {name: a, alertmanager: {}}\n  - {name: b, alertmanager: {url: 'http://u:p@x', repeat: 1s, keep: 2s}}\n  - {name: c, alertmanager: {url: 'http://x/api/v2/alerts'}}\n  - {name: d, alertmanager: {url: x}}\n",
			"m.yaml:2: notifiers[0].alertmanager.url: must be set, for example to http://127.0.0.1:9093\n" +
				"m.yaml:3: notifiers[1].alertmanager.url: must not contain a user or password: set headers.Authorization\n" +
				"m.yaml:3: notifiers[1].alertmanager.repeat: must be at least 10s\n" +
				"m.yaml:3: notifiers[1].alertmanager.keep: must be at least three times repeat (1s)\n" +
				"m.yaml:4: notifiers[2].alertmanager.url: must be where Alertmanager is, without /api/v2/alerts and without ?\n" +
				"m.yaml:5: notifiers[3].alertmanager.url: must be a URL that starts with http:// or https://"},
		{"email", "notifiers:\n  - {name: a, email: {}}\n  - {name: b, email: {smarthost: 'mail:99999', from: x, to: [o@example.com, y], username: u, encryption: none, hello: 'a b'}}\n  - {name: c, email: {smarthost: 'mail:25', from: m@example.com, to: [o@example.com], password: hush, encryption: maybe}}\n",
			"m.yaml:2: notifiers[0].email.smarthost: must be host:port, such as mail.example.com:587\n" +
				"m.yaml:2: notifiers[0].email.from: must be an e-mail address, such as monitor@example.com or Monitor <monitor@example.com>\n" +
				"m.yaml:2: notifiers[0].email.to: must list at least one e-mail address\n" +
				"m.yaml:3: notifiers[1].email.smarthost: must end in a port from 1 to 65535\n" +
				"m.yaml:3: notifiers[1].email.from: must be an e-mail address, such as monitor@example.com or Monitor <monitor@example.com>\n" +
				"m.yaml:3: notifiers[1].email.to[1]: must be an e-mail address, such as ops@example.com\n" +
				"m.yaml:3: notifiers[1].email.encryption: must not be none where username is set: the password would be sent in the clear\n" +
				"m.yaml:3: notifiers[1].email.password: must be set beside username\n" +
				"m.yaml:3: notifiers[1].email.hello: must be a host name\n" +
				"m.yaml:4: notifiers[2].email.encryption: must be starttls, tls or none\n" +
				"m.yaml:4: notifiers[2].email.username: must be set beside password"},
		{"templates", "notifiers:\n  - name: a\n    webhook: {url: 'http://x'}\n    title: '{{.Nope}}'\n    text: '{{range .Alerts}}{{.Sumary}}'\n  - name: b\n    webhook: {url: 'http://x'}\n    title: '{{if .Resolved}}{{(index .Alerts 7).Rule}}{{end}}'\n    text: '{{range 100000}}{{$.Text}}{{end}}'\n",
			"m.yaml:4: notifiers[0].title: is not a working template: title:1:2: executing \"title\" at <.Nope>: can't evaluate field Nope in type alerts.TemplateData\n" +
				"m.yaml:5: notifiers[0].text: is not a working template: text:1: unexpected EOF\n" +
				"m.yaml:8: notifiers[1].title: is not a working template: title:1:19: executing \"title\" at <index .Alerts 7>: error calling index: index out of range: 7\n" +
				"m.yaml:9: notifiers[1].text: is not a working template: the template writes more than 65536 bytes"},
		{"digests", "notifiers:\n  - {name: a, webhook: {url: 'http://x'}}\n  - {name: am, alertmanager: {url: 'http://x'}}\ndigests:\n  - {}\n  - {schedule: never, notify: [b, am, a, a]}\n",
			"m.yaml:5: digests[0].schedule: must be set, for example to \"0 9 * * 1\"\n" +
				"m.yaml:5: digests[0].notify: must name at least one notifier\n" +
				"m.yaml:6: digests[1].schedule: is no schedule\n" +
				"m.yaml:6: digests[1].notify[0]: there is no notifier \"b\"; there are a, am\n" +
				"m.yaml:6: digests[1].notify[1]: cannot be an Alertmanager, which takes alerts only: use slack, webhook or email\n" +
				"m.yaml:6: digests[1].notify[3]: is listed twice"},
		{"digests without notifiers", "digests: [{schedule: '0 9 * * 1', notify: ops}]\n",
			"m.yaml:1: digests[0].notify[0]: there is no notifier \"ops\": the section notifiers lists none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, err := validate(test.text)
			if test.want != "" {
				require.EqualError(t, err, test.want)
				requireNoSecrets(t, err.Error())
				return
			}
			require.NoError(t, err)
			for _, n := range c.Notifiers {
				_, err := alerts.NewNotifier(n, alerts.NotifierOptions{})
				require.NoError(t, err, n.Name)
			}
		})
	}
}

// TestNewRefuses: what was not validated is an error, not a panic.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]alerts.NotifierConfig{
		"notifier a: has no kind":                                {Name: "a"},
		"notifier a: title is not a working template: title:1: ": {Name: "a", Title: "{{", Slack: &alerts.SlackConfig{}},
		"notifier a: smarthost: ":                                {Name: "a", Email: &alerts.EmailConfig{Smarthost: "x"}},
		"notifier a: ca_file: open /nowhere: ":                   {Name: "a", Webhook: &alerts.WebhookConfig{TLS: alerts.TLSConfig{CAFile: "/nowhere"}}},
	} {
		_, err := alerts.NewNotifier(c, alerts.NotifierOptions{})
		require.ErrorContains(t, err, want)
	}
}
