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
	"os"
	"slices"
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

// NotifierOptions are what all notifiers share.
type NotifierOptions struct {
	UserAgent   string // of requests
	ExternalURL string // of our pages, for messages that have no better link; may be empty
	Log         *slog.Logger
	Timeout     time.Duration                    // of one notification with all its requests; 0: half a minute
	Name        func(organization string) string // of an organization by its id, for messages without alerts; nil: the id

	slackURL string // of Slack's API; empty: the real one
}

// complete gives every alert a link to a page that can be opened from elsewhere, or none.
func (o NotifierOptions) complete(n spend.Notification) spend.Notification {
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
func (o NotifierOptions) organization(n spend.Notification) string {
	if name := organizationName(n); name != n.Organization || o.Name == nil {
		return name
	}
	return firstOf(o.Name(n.Organization), n.Organization)
}

// NewNotifier makes the notifier of a configuration that [ValidateNotifiers] has nothing against.
func NewNotifier(c NotifierConfig, o NotifierOptions) (Notifier, error) {
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

func newNotifier(c NotifierConfig, o NotifierOptions) (Notifier, error) {
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

// DigestConfig is a summary that is sent by schedule.
type DigestConfig struct {
	// When: five cron fields, a word such as @weekly, or @every and a duration; in UTC. It tells of the whole hours since it was last due.
	Schedule string `yaml:"schedule"`
	// The names of the notifiers that send it.
	Notify config.OneOrMany[string] `yaml:"notify"`
}
