package alerts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// NotifierConfig is a union: exactly one of the blocks is set.
type NotifierConfig struct {
	// The name that rules and digests know it by.
	Name string `yaml:"name"`
	// Messages in Slack.
	Slack *SlackConfig `yaml:"slack"`
	// Alertmanager's webhook body, version 4, to any URL.
	Webhook *WebhookConfig `yaml:"webhook"`
	// Alerts of a real Alertmanager.
	Alertmanager *AlertmanagerConfig `yaml:"alertmanager"`
	// Messages by e-mail.
	Email *EmailConfig `yaml:"email"`
	// Template (Go's text/template) of the title; default: the built-in one.
	Title string `yaml:"title"`
	// Template of the text; default: the built-in one.
	Text string `yaml:"text"`
}

// SlackConfig is an incoming webhook, or a bot's token and a channel.
type SlackConfig struct {
	// URL of an incoming webhook, a secret. Messages only: no threads, no pictures.
	WebhookURL config.Secret `yaml:"webhook_url"`
	// Token of a bot (xoxb-…) with the scopes chat:write and files:write, a secret.
	Token config.Secret `yaml:"token"`
	// The channel, #name or id, that the bot is a member of; with token.
	Channel string `yaml:"channel"`
}

// WebhookConfig is a receiver of Alertmanager's webhooks.
type WebhookConfig struct {
	// Where to post, a secret.
	URL config.Secret `yaml:"url"`
	// Key that signs the requests by Standard Webhooks, whsec_ and base64; default: not signed.
	Secret config.Secret `yaml:"secret"`
	// More headers of the requests; their values are secrets.
	Headers map[string]config.Secret `yaml:"headers"`
	// Whether addresses that are not public (private, loopback, link-local) are refused.
	PublicOnly bool `yaml:"public_only"`
	// How servers are recognized.
	TLS TLSConfig `yaml:"tls"`
}

// AlertmanagerConfig is an Alertmanager.
type AlertmanagerConfig struct {
	// Its URL, with the path prefix if it has one; /api/v2/alerts is added.
	URL string `yaml:"url"`
	// More headers of the requests, such as Authorization; their values are secrets.
	Headers map[string]config.Secret `yaml:"headers"`
	// How often a firing alert is posted again.
	Repeat config.Duration `yaml:"repeat"`
	// How long Alertmanager keeps an alert firing that is not posted again; at least three times repeat.
	Keep config.Duration `yaml:"keep"`
	// How servers are recognized.
	TLS TLSConfig `yaml:"tls"`
}

// SetDefaults sets what every Alertmanager starts from.
func (c *AlertmanagerConfig) SetDefaults() {
	c.Repeat = config.Duration(time.Minute)
	c.Keep = config.Duration(30 * time.Minute)
}

// EmailConfig is a mail server and who writes to whom.
type EmailConfig struct {
	// The mail server, host:port.
	Smarthost string `yaml:"smarthost"`
	// The sender's address.
	From string `yaml:"from"`
	// The addresses of the recipients; each gets a message of its own.
	To config.OneOrMany[string] `yaml:"to"`
	// Name to log in with; default: no login.
	Username string `yaml:"username"`
	// Password to log in with, a secret.
	Password config.Secret `yaml:"password"`
	// starttls (required of the server), tls (from the start) or none.
	Encryption string `yaml:"encryption" jsonschema:"enum=starttls,enum=tls,enum=none"`
	// The name that we introduce ourselves by; default: the machine's.
	Hello string `yaml:"hello"`
	// How servers are recognized.
	TLS TLSConfig `yaml:"tls"`
}

// How connections to a mail server are encrypted.
const (
	encryptionStartTLS = "starttls"
	encryptionTLS      = "tls"
	encryptionNone     = "none"
)

// SetDefaults sets what every mail server starts from.
func (c *EmailConfig) SetDefaults() { c.Encryption = encryptionStartTLS }

// TLSConfig says how servers are recognized, and how we show who we are.
type TLSConfig struct {
	// File with the certificates (PEM) that vouch for the server; default: the system's.
	CAFile string `yaml:"ca_file"`
	// File with our certificate (PEM); default: none.
	CertFile string `yaml:"cert_file"`
	// File with the key of our certificate.
	KeyFile string `yaml:"key_file"`
	// The name in the server's certificate; default: the host.
	ServerName string `yaml:"server_name"`
	// Whether any certificate is taken: then anybody on the way can read along.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
}

// build reads the files.
func (c TLSConfig) build() (*tls.Config, error) {
	t := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.InsecureSkipVerify} //nolint:gosec // asked for by name
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		if c.CertFile == "" || c.KeyFile == "" {
			return nil, errors.New("cert_file: needs key_file, and the other way round")
		}
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file: %w", err)
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// handshake tries TLS on the connection.
func handshake(ctx context.Context, conn net.Conn, c *tls.Config, host string) error {
	c = c.Clone()
	if c.ServerName == "" {
		c.ServerName = host
	}
	return tls.Client(conn, c).HandshakeContext(ctx)
}

// Options are what all notifiers share.
type Options struct {
	UserAgent   string // of requests
	ExternalURL string // of our pages, for messages that have no better link; may be empty
	Log         *slog.Logger
	Timeout     time.Duration                    // of one notification with all its requests; 0: half a minute
	Name        func(organization string) string // of an organization by its id, for messages without alerts; nil: the id

	slackURL string // of Slack's API; empty: the real one
}

// complete gives every alert a link to a page that can be opened from elsewhere, or none.
func (o Options) complete(n spend.Notification) spend.Notification {
	n.Alerts = slices.Clone(n.Alerts)
	for i := range n.Alerts {
		a := &n.Alerts[i]
		switch {
		case strings.HasPrefix(a.PageURL, "http://"), strings.HasPrefix(a.PageURL, "https://"):
		case strings.HasPrefix(a.PageURL, "/") && o.ExternalURL != "":
			a.PageURL = strings.TrimRight(o.ExternalURL, "/") + a.PageURL
		default:
			a.PageURL = o.ExternalURL
		}
	}
	return n
}

// organization is what the notification's organization is called.
func (o Options) organization(n spend.Notification) string {
	if name := organizationName(n); name != n.Organization || o.Name == nil {
		return name
	}
	return firstOf(o.Name(n.Organization), n.Organization)
}

// New makes the notifier of a configuration that [ValidateNotifiers] has nothing against.
func New(c NotifierConfig, o Options) (Notifier, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	o.Log = o.Log.With("component", "alerts", "notifier", c.Name)
	if o.Timeout <= 0 {
		o.Timeout = sendTimeout
	}
	n, err := newNotifier(c, o)
	if err != nil {
		return nil, fmt.Errorf("notifier %s: %w", c.Name, err)
	}
	return n, nil
}

func newNotifier(c NotifierConfig, o Options) (Notifier, error) {
	templates, err := newOverrides(c, o.Log)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Slack != nil:
		return newSlack(*c.Slack, templates, o)
	case c.Webhook != nil:
		return newWebhook(c.Name, *c.Webhook, templates, o)
	case c.Alertmanager != nil:
		return newAlertmanager(*c.Alertmanager, templates, o)
	case c.Email != nil:
		return newEmail(*c.Email, templates, o)
	default:
		return nil, errors.New("has no kind")
	}
}

// kinds lists the blocks that are set.
func (c NotifierConfig) kinds() []string {
	var ks []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"slack", c.Slack != nil}, {"webhook", c.Webhook != nil},
		{"alertmanager", c.Alertmanager != nil}, {"email", c.Email != nil},
	} {
		if k.set {
			ks = append(ks, k.name)
		}
	}
	return ks
}

// Kind is the name of the block that is set.
func (c NotifierConfig) Kind() string { return strings.Join(c.kinds(), ",") }

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

// DigestConfig is a summary that is sent by schedule.
type DigestConfig struct {
	// When: five cron fields, a word such as @weekly, or @every and a duration; in UTC. It tells of the time since it was last due.
	Schedule string `yaml:"schedule"`
	// The names of the notifiers that send it.
	Notify config.OneOrMany[string] `yaml:"notify"`
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
