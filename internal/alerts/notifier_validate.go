package alerts

import (
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
)

// ValidateNotifiers notes everything that is wrong with the notifiers at the path. Environment
// variables and files of secrets are looked at where they can be read; a secret that is missing is
// no mistake of the file.
func ValidateNotifiers(f *config.File, path string, ns []NotifierConfig) {
	for i, n := range ns {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case strings.TrimSpace(n.Name) == "":
			f.Problem(at+".name", "must be set: rules name it under notify")
		case n.Name != strings.TrimSpace(n.Name) || len(n.Name) > 100 || strings.ContainsFunc(n.Name, isControl):
			f.Problem(at+".name", "must be a short name without white space around it")
		}
		for j, other := range ns[:i] {
			if n.Name != "" && n.Name == other.Name {
				f.Problem(at+".name", "is the name of %s[%d] too", path, j)
			}
		}
		if ks := n.kinds(); len(ks) != 1 {
			f.Problem(at, "must have exactly one of slack, webhook, alertmanager and email%s", map[bool]string{
				true: ", not " + strings.Join(ks, " and ")}[len(ks) > 0])
		}
		if n.Slack != nil {
			n.Slack.validate(f, at+".slack")
		}
		if n.Webhook != nil {
			n.Webhook.validate(f, at+".webhook")
		}
		if n.Alertmanager != nil {
			n.Alertmanager.validate(f, at+".alertmanager")
		}
		if n.Email != nil {
			n.Email.validate(f, at+".email")
		}
		if _, err := parseTemplate("title", n.Title); err != nil {
			f.Problem(at+".title", "%s", err)
		}
		if _, err := parseTemplate("text", n.Text); err != nil {
			f.Problem(at+".text", "%s", err)
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (c *SlackConfig) validate(f *config.File, path string) {
	hook, token := !c.WebhookURL.IsZero(), !c.Token.IsZero()
	switch {
	case hook && (token || c.Channel != ""):
		f.Problem(path, "must have either webhook_url, or token and channel: a webhook has a channel of its own")
	case !hook && !token:
		f.Problem(path, "must have webhook_url, or token and channel")
	case token && c.Channel == "":
		f.Problem(path+".channel", "must be set beside token, to #name or an id")
	}
	if hook {
		checkSecretURL(f, path+".webhook_url", c.WebhookURL)
	}
	if value, ok := c.Token.Peek(); ok && !strings.HasPrefix(value, "xox") {
		f.Problem(path+".token", "is not a token of Slack (%s): a bot's begins with xoxb-", c.Token.Source())
	}
	if c.Channel != "" && strings.ContainsAny(c.Channel, " \t\n:") {
		f.Problem(path+".channel", "must be #name or an id, without white space")
	}
}

func (c *WebhookConfig) validate(f *config.File, path string) {
	if c.URL.IsZero() {
		f.Problem(path+".url", "must be set")
	} else {
		checkSecretURL(f, path+".url", c.URL)
	}
	if value, ok := c.Secret.Peek(); ok {
		if _, err := signingKey(value); err != nil {
			f.Problem(path+".secret", "%s (%s)", err, c.Secret.Source())
		}
	}
	validateHeaders(f, path+".headers", c.Headers)
	validateTLS(f, path+".tls", c.TLS)
}

func (c *AlertmanagerConfig) validate(f *config.File, path string) {
	if c.URL == "" {
		f.Problem(path+".url", "must be set, for example to http://127.0.0.1:9093")
	} else if text := urlProblem(c.URL); text != "" {
		f.Problem(path+".url", "%s", text)
	} else if u, _ := url.Parse(c.URL); u.User != nil {
		f.Problem(path+".url", "must not contain a user or password: set headers.Authorization")
	} else if u.RawQuery != "" || strings.Contains(u.Path, "/api/v") {
		f.Problem(path+".url", "must be where Alertmanager is, without /api/v2/alerts and without ?")
	}
	if c.Repeat.Duration() < 10*time.Second {
		f.Problem(path+".repeat", "must be at least 10s")
	}
	if c.Keep < 3*c.Repeat {
		f.Problem(path+".keep", "must be at least three times repeat (%s)", c.Repeat)
	}
	validateHeaders(f, path+".headers", c.Headers)
	validateTLS(f, path+".tls", c.TLS)
}

func (c *EmailConfig) validate(f *config.File, path string) {
	if host, port, err := net.SplitHostPort(c.Smarthost); err != nil || host == "" {
		f.Problem(path+".smarthost", "must be host:port, such as mail.example.com:587")
	} else if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		f.Problem(path+".smarthost", "must end in a port from 1 to 65535")
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		f.Problem(path+".from", "must be an e-mail address, such as monitor@example.com or Monitor <monitor@example.com>")
	}
	if len(c.To) == 0 {
		f.Problem(path+".to", "must list at least one e-mail address")
	}
	for i, to := range c.To {
		if _, err := mail.ParseAddress(to); err != nil {
			f.Problem(fmt.Sprintf("%s.to[%d]", path, i), "must be an e-mail address, such as ops@example.com")
		}
	}
	switch c.Encryption {
	case encryptionStartTLS, encryptionTLS:
	case encryptionNone:
		if c.Username != "" {
			f.Problem(path+".encryption", "must not be none where username is set: the password would be sent in the clear")
		}
	default:
		f.Problem(path+".encryption", "must be %s, %s or %s", encryptionStartTLS, encryptionTLS, encryptionNone)
	}
	switch {
	case c.Username != "" && c.Password.IsZero():
		f.Problem(path+".password", "must be set beside username")
	case c.Username == "" && !c.Password.IsZero():
		f.Problem(path+".username", "must be set beside password")
	}
	if strings.ContainsAny(c.Hello, " \t\r\n") {
		f.Problem(path+".hello", "must be a host name")
	}
	validateTLS(f, path+".tls", c.TLS)
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ownHeaders are those that the requests must have as we set them.
var ownHeaders = []string{"Content-Length", "Content-Type", "Host", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

func validateHeaders(f *config.File, path string, headers map[string]config.Secret) {
	for name, value := range headers {
		at := path + "." + name
		switch {
		case !headerName.MatchString(name):
			f.Problem(at, "is not the name of an HTTP header")
		case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
			f.Problem(at, "cannot be set: the request has this header already")
		case value.IsZero():
			f.Problem(at, "must have a value")
		}
	}
}

func validateTLS(f *config.File, path string, c TLSConfig) {
	if _, err := c.build(); err != nil {
		key, rest, _ := strings.Cut(err.Error(), ": ")
		f.Problem(path+"."+key, "%s", rest)
	}
}

// checkSecretURL looks at a URL that is a secret, without quoting it.
func checkSecretURL(f *config.File, path string, s config.Secret) {
	value, ok := s.Peek()
	if !ok {
		return
	}
	if text := urlProblem(value); text != "" {
		f.Problem(path, "%s (%s)", text, s.Source())
	}
}

func urlProblem(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "must be a URL that starts with http:// or https://"
	}
	if u.Fragment != "" {
		return "must not contain #"
	}
	return ""
}

// ValidateDigests notes everything that is wrong with the digests at the path. schedule reads a
// schedule; its error says what is wrong with the text.
func ValidateDigests(f *config.File, path string, ds []DigestConfig, ns []NotifierConfig, schedule func(string) error) {
	for i, d := range ds {
		at := fmt.Sprintf("%s[%d]", path, i)
		if d.Schedule == "" {
			f.Problem(at+".schedule", "must be set, for example to \"0 9 * * 1\"")
		} else if err := schedule(d.Schedule); err != nil {
			f.Problem(at+".schedule", "%s", err)
		}
		if len(d.Notify) == 0 {
			f.Problem(at+".notify", "must name at least one notifier")
		}
		for j, name := range d.Notify {
			to := fmt.Sprintf("%s.notify[%d]", at, j)
			k := slices.IndexFunc(ns, func(n NotifierConfig) bool { return n.Name == name })
			switch {
			case k < 0:
				f.Problem(to, "%s", unknownNotifier(name, ns))
			case ns[k].Alertmanager != nil:
				f.Problem(to, "cannot be an Alertmanager, which takes alerts only: use slack, webhook or email")
			case slices.Contains(d.Notify[:j], name):
				f.Problem(to, "is listed twice")
			}
		}
	}
}

// unknownNotifier says that there is no notifier of the name, and which there are.
func unknownNotifier(name string, ns []NotifierConfig) string {
	if len(ns) == 0 {
		return fmt.Sprintf("there is no notifier %q: the section notifiers lists none", name)
	}
	var names []string
	for _, n := range ns {
		names = append(names, n.Name)
	}
	return fmt.Sprintf("there is no notifier %q; there are %s", name, strings.Join(names, ", "))
}
