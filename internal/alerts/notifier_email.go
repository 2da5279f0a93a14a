package alerts

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/wneessen/go-mail"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// emailNotifier sends messages by a mail server, to each recipient a message of its own, so that
// one bad address does not keep the others from theirs. The receipt is the Message-ID, to which
// reminders and the resolve refer, so that they stand in one thread.
type emailNotifier struct {
	config    EmailConfig
	templates overrides
	options   NotifierOptions
	host      string
	port      int
	tls       *tls.Config
	from      string // address alone

	mu   sync.Mutex
	sent map[string]map[string]bool // by notification, recipients that have it while others are still tried
}

func newEmail(c EmailConfig, templates overrides, o NotifierOptions) (*emailNotifier, error) {
	host, portText, err := net.SplitHostPort(c.Smarthost)
	if err != nil {
		return nil, fmt.Errorf("smarthost: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("smarthost: %w", err)
	}
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	tlsConfig, err := c.TLS.build()
	if err != nil {
		return nil, err
	}
	if tlsConfig.ServerName == "" {
		tlsConfig.ServerName = host
	}
	return &emailNotifier{
		config: c, templates: templates, options: o, host: host, port: port, tls: tlsConfig, from: from.Address,
		sent: map[string]map[string]bool{},
	}, nil
}

// Notify implements [Notifier]. Recipients that are refused for good are logged where others took
// the message; as long as one is put off the whole is tried again, without those who have it.
func (e *emailNotifier) Notify(ctx context.Context, n spend.Notification) (string, error) {
	ctx, stop := context.WithTimeout(ctx, e.options.Timeout)
	defer stop()
	n = e.options.complete(n)
	id := e.messageID(n)
	var secrets hidden
	err := e.withPassword(ctx, &secrets, func(client *mail.Client) error { return e.send(ctx, client, n, id, &secrets) })
	if err != nil {
		return "", secrets.wrap("mail server "+e.config.Smarthost, err)
	}
	if isMessageID(n.Thread) {
		return n.Thread, nil
	}
	return id, nil
}

// Check implements [Notifier]: it connects, encrypts, logs in, and sends nothing.
func (e *emailNotifier) Check(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, e.options.Timeout)
	defer stop()
	var secrets hidden
	return secrets.wrap("mail server "+e.config.Smarthost, e.withPassword(ctx, &secrets, func(client *mail.Client) error {
		smtp, err := client.DialToSMTPClientWithContext(ctx)
		if err != nil {
			return mailError(err)
		}
		defer client.CloseWithSMTPClient(smtp) //nolint:errcheck // nothing was sent
		return mailError(smtp.Noop())
	}))
}

// withPassword calls do with a client that logs in where a user is set.
func (e *emailNotifier) withPassword(ctx context.Context, secrets *hidden, do func(*mail.Client) error) error {
	if e.config.Username == "" {
		client, err := e.client(ctx)
		if err != nil {
			return err
		}
		return do(client)
	}
	return withSecret(ctx, e.config.Password, func(password string) error {
		secrets.add(password)
		secrets.add("\x00" + e.config.Username + "\x00" + password) // as AUTH PLAIN sends it
		client, err := e.client(ctx, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover),
			mail.WithUsername(e.config.Username), mail.WithPassword(password))
		if err != nil {
			return err
		}
		return do(client)
	})
}

func (e *emailNotifier) client(ctx context.Context, more ...mail.Option) (*mail.Client, error) {
	options := append([]mail.Option{
		mail.WithPort(e.port), mail.WithTimeout(e.options.Timeout), mail.WithTLSConfig(e.tls),
		mail.WithoutNoop(),
	}, more...)
	switch e.config.Encryption {
	case encryptionTLS: // by go-mail's own dialer: of another's connection it does not know that it is encrypted
		options = append(options, mail.WithSSL())
	case encryptionNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS), mail.WithDialContextFunc(e.dial(ctx)))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithDialContextFunc(e.dial(ctx)))
	}
	if e.config.Hello != "" {
		options = append(options, mail.WithHELO(e.config.Hello))
	}
	return mail.NewClient(e.host, options...)
}

// dial makes connections that end with the context, which go-mail heeds while dialing only.
func (e *emailNotifier) dial(whole context.Context) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			context.AfterFunc(whole, func() { conn.Close() })
		}
		return conn, err
	}
}

func (e *emailNotifier) send(ctx context.Context, client *mail.Client, n spend.Notification, id string, secrets *hidden) error {
	if err := client.DialWithContext(ctx); err != nil {
		return mailError(err)
	}
	defer client.Close() //nolint:errcheck // what was sent was answered
	title, text, html, err := e.content(n)
	if err != nil {
		return err
	}
	delivered, putOff := 0, error(nil)
	var refusals []error
	for _, to := range e.config.To {
		if e.has(n.ID, to) {
			delivered++
			continue
		}
		m, err := e.message(n, id, to, title, text, html)
		if err != nil {
			refusals = append(refusals, &refused{text: err.Error()})
			continue
		}
		err = mailError(client.Send(m))
		switch {
		case err == nil || m.IsDelivered(): // what goes wrong after the server took it is no matter
			delivered++
			e.note(n.ID, to)
		case errors.Is(err, ErrPermanent):
			refusals = append(refusals, err)
		default:
			putOff = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if putOff != nil {
		return putOff
	}
	e.forget(n.ID)
	if delivered == 0 {
		return errors.Join(refusals...)
	}
	for _, err := range refusals {
		e.options.Log.Warn("a recipient was refused by the mail server, others have the message", "err", secrets.clean(err.Error()))
	}
	return nil
}

func (e *emailNotifier) has(id, to string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent[id][to]
}

// note remembers that a recipient has the message. What is remembered of messages that are never
// finished is bounded.
func (e *emailNotifier) note(id, to string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sent[id] == nil {
		if len(e.sent) >= 1000 {
			clear(e.sent)
		}
		e.sent[id] = map[string]bool{}
	}
	e.sent[id][to] = true
}

func (e *emailNotifier) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sent, id)
}

// mailError says what an error of go-mail means for a retry: SMTP's own codes decide.
func mailError(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := strings.Cut(err.Error(), ", affected message ID: ")
	text = oneLine(text)
	code := 0
	var answer *textproto.Error
	var failed *mail.SendError
	switch {
	case errors.As(err, &answer):
		code = answer.Code
	case errors.As(err, &failed):
		code = failed.ErrorCode()
	}
	switch {
	case code == 530 || code == 534 || code == 535 || code == 538:
		return &refused{text: text + ": check username and password", auth: true}
	case code >= 500 && code < 600:
		return &refused{text: text}
	case code >= 400:
		return errors.New(text)
	// These two may pass: go-mail takes a server that has no time for EHLO for one that offers nothing.
	case strings.Contains(text, "does not support STARTTLS"):
		return errors.New("the server offers no STARTTLS: if it never does, set encryption to tls, or to none where nobody can read along")
	case strings.Contains(text, "does not support SMTP AUTH"), errors.Is(err, mail.ErrNoSupportedAuthDiscovered):
		return errors.New("the server offers no login that we know: if it never does, leave out username and password, or use another port")
	default:
		return err
	}
}

// messageID is the same in every attempt and different for every notification.
func (e *emailNotifier) messageID(n spend.Notification) string {
	sum := sha256.Sum256([]byte(n.Notifier + "\x00" + n.ID))
	_, domain, _ := strings.Cut(e.from, "@")
	return "<" + hex.EncodeToString(sum[:12]) + ".monitor@" + domain + ">"
}

var messageID = regexp.MustCompile(`^<[^<>\s]+@[^<>\s]+>$`)

func isMessageID(s string) bool { return messageID.MatchString(s) }

func (e *emailNotifier) message(n spend.Notification, id, to, title, text, html string) (*mail.Msg, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.From(e.config.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := m.To(to); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	m.Subject(title)
	m.SetDateWithValue(n.CreatedAt.UTC())
	m.SetMessageIDWithValue(strings.Trim(id, "<>"))
	if isMessageID(n.Thread) && n.Thread != id {
		m.SetGenHeader(mail.HeaderInReplyTo, n.Thread)
		m.SetGenHeader(mail.HeaderReferences, n.Thread)
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // no vacation notes, please
	if len(n.Alerts) > 0 && worst(n.Alerts) == spend.Critical && n.Event != spend.EventResolved {
		m.SetImportance(mail.ImportanceHigh)
	}
	m.SetBodyString(mail.TypeTextPlain, text)
	m.AddAlternativeString(mail.TypeTextHTML, html)
	return m, nil
}

// content is the message's subject and its two forms.
func (e *emailNotifier) content(n spend.Notification) (title, text, html string, err error) {
	title, own := e.templates.apply(n, plain)
	title = cut(oneLine(firstOf(title, titleText(n))), 200)
	text = firstOf(own, plainText(n))
	if len(n.Alerts) == 0 && e.options.ExternalURL != "" {
		text = strings.TrimRight(text, "\n") + "\n\nPages: " + e.options.ExternalURL + "\n"
	}
	html, err = emailHTML(n, title, own, e.options.ExternalURL)
	return title, text, html, err
}

// emailColors are the bar beside the title.
var emailColors = map[spend.Severity]string{spend.Critical: "#c83228", spend.Warning: "#d98014", spend.Info: "#2563ab"}

// emailAlert is an alert for the page.
type emailAlert struct {
	Summary, Description string
	Fields               [][2]string
	Parts                []string
	Page, Runbook        string
}

func emailHTML(n spend.Notification, title, own, pages string) (string, error) {
	d := struct {
		Title, Color, Text, Pages string
		Test                      bool
		Alerts                    []emailAlert
		Listed                    []string
	}{Title: title, Color: emailColors[spend.Info], Text: strings.TrimSpace(own), Test: n.Event == spend.EventTest}
	if len(n.Alerts) > 0 {
		d.Color = emailColors[worst(n.Alerts)]
	} else {
		d.Text, d.Pages = firstOf(d.Text, strings.TrimSpace(n.Text)), pages
	}
	if n.Event == spend.EventResolved {
		d.Color = "#2e7d32"
	}
	if own == "" {
		full, listed, more := split(n.Alerts)
		for _, a := range full {
			x := emailAlert{
				Summary: summaryText(a), Description: a.Description, Parts: contributorTexts(a), Page: a.PageURL, Runbook: a.RunbookURL,
			}
			for _, f := range alertFields(a) {
				x.Fields = append(x.Fields, [2]string{f.name, f.value})
			}
			d.Alerts = append(d.Alerts, x)
		}
		for _, a := range listed {
			d.Listed = append(d.Listed, summaryText(a))
		}
		if more > 0 {
			d.Listed = append(d.Listed, moreText(more))
		}
	}
	var b strings.Builder
	if err := emailPage.Execute(&b, d); err != nil {
		return "", fmt.Errorf("writing the message: %w", err)
	}
	return b.String(), nil
}

var emailPage = template.Must(template.New("email").Parse(`<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{{.Title}}</title></head>
<body style="font-family:sans-serif;font-size:14px;line-height:1.45;color:#222;margin:16px">
<div style="border-left:6px solid {{.Color}};padding:4px 12px;font-size:17px;font-weight:bold">{{.Title}}</div>
{{- if .Test}}
<p><strong>` + testNote + `</strong></p>
{{- end}}
{{- if .Text}}
<pre style="font-family:inherit;white-space:pre-wrap">{{.Text}}</pre>
{{- end}}
{{- range .Alerts}}
<h3 style="font-size:15px;margin:18px 0 4px">{{.Summary}}</h3>
{{- if .Description}}
<p style="white-space:pre-wrap;margin:4px 0">{{.Description}}</p>
{{- end}}
<table style="border-collapse:collapse">
{{- range .Fields}}
<tr><td style="padding:2px 12px 2px 0;color:#666">{{index . 0}}</td><td>{{index . 1}}</td></tr>
{{- end}}
</table>
{{- if .Parts}}
<p style="margin:8px 0 0">Largest parts:</p>
<ul style="margin:2px 0">
{{- range .Parts}}
<li>{{.}}</li>
{{- end}}
</ul>
{{- end}}
{{- if or .Page .Runbook}}
<p>{{if .Page}}<a href="{{.Page}}">Page</a>{{end}}{{if and .Page .Runbook}} · {{end}}{{if .Runbook}}<a href="{{.Runbook}}">Runbook</a>{{end}}</p>
{{- end}}
{{- end}}
{{- if .Listed}}
<p style="margin:18px 0 0">Also:</p>
<ul style="margin:2px 0">
{{- range .Listed}}
<li>{{.}}</li>
{{- end}}
</ul>
{{- end}}
{{- if .Pages}}
<p><a href="{{.Pages}}">Open the pages</a></p>
{{- end}}
</body></html>
`))
