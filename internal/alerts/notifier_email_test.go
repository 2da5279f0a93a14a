package alerts_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// authority makes a certificate for this machine that vouches for itself.
func authority(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

type tlsReceiver struct {
	*httptest.Server
	caFile string
}

func newTLSReceiver(t testing.TB) tlsReceiver {
	t.Helper()
	cert, file := authority(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	return tlsReceiver{s, file}
}

// mailServer is a small SMTP server.
type mailServer struct {
	address string
	caFile  string
	cert    tls.Certificate

	startTLS bool              // whether it is offered
	implicit bool              // whether it speaks TLS from the start
	auth     bool              // whether it asks for a login
	replies  map[string]string // what it answers to commands that begin so, instead of yes
	silent   bool              // whether it never says a word

	mu       sync.Mutex
	messages []sentMail
	commands []string
}

type sentMail struct {
	from, to  string
	encrypted bool
	user      string
	data      []byte
}

func newMailServer(t testing.TB, change func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{startTLS: true, replies: map[string]string{}}
	s.cert, s.caFile = authority(t)
	if change != nil {
		change(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = l.Addr().String()
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.serve(conn) })
		}
	}()
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if s.silent {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	if s.implicit {
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}})
	}
	r := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 mail.example.com ESMTP")
	m := sentMail{encrypted: s.implicit}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.commands = append(s.commands, line)
		reply := ""
		for prefix, text := range s.replies {
			if strings.HasPrefix(strings.ToUpper(line), strings.ToUpper(prefix)) {
				reply = text
			}
		}
		s.mu.Unlock()
		verb, rest, _ := strings.Cut(line, " ")
		switch verb = strings.ToUpper(verb); {
		case reply == "drop":
			return
		case reply != "":
			say("%s", reply)
		case verb == "EHLO":
			say("250-mail.example.com")
			if s.startTLS && !m.encrypted {
				say("250-STARTTLS")
			}
			if s.auth && m.encrypted {
				say("250-AUTH PLAIN LOGIN")
			}
			say("250 8BITMIME")
		case verb == "STARTTLS" && s.startTLS:
			say("220 go ahead")
			encrypted := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}})
			if encrypted.Handshake() != nil {
				return
			}
			conn, r, m.encrypted = encrypted, bufio.NewReader(encrypted), true
		case verb == "AUTH":
			raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if parts := strings.Split(string(raw), "\x00"); err == nil && len(parts) == 3 && parts[2] == password {
				m.user = parts[1]
				say("235 welcome")
			} else {
				say("535 5.7.8 no: %s", rest) // servers may say back what they were sent
			}
		case verb == "MAIL":
			m.from = rest
			say("250 ok")
		case verb == "RCPT":
			m.to = strings.Trim(strings.TrimPrefix(rest, "TO:"), "<>")
			say("250 ok")
		case verb == "DATA":
			say("354 go ahead")
			m.data = nil
			for {
				text, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if text == ".\r\n" {
					break
				}
				m.data = append(m.data, strings.TrimPrefix(text, ".")...)
			}
			s.mu.Lock()
			s.messages = append(s.messages, m)
			s.mu.Unlock()
			say("250 taken")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *mailServer) got() []sentMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sentMail(nil), s.messages...)
}

func (s *mailServer) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.commands, "\n")
}

// set changes what the server answers.
func (s *mailServer) set(command, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[command] = reply
}

func mailer(t testing.TB, s *mailServer, change func(*alerts.EmailConfig)) (alerts.Notifier, *logBuffer) {
	t.Helper()
	c := &alerts.EmailConfig{
		Smarthost: s.address, From: "Anthropic Monitor <monitor@example.com>", To: []string{"Ops <ops@example.com>"},
		Hello: "monitor.example.com", TLS: alerts.TLSConfig{CAFile: s.caFile},
	}
	c.SetDefaults()
	if change != nil {
		change(c)
	}
	return notifierOf(t, alerts.NotifierConfig{Email: c}, "")
}

// parts are the header and the decoded parts of a message, by content type.
func parts(t testing.TB, data []byte) (netmail.Header, map[string]string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	require.NoError(t, err)
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	texts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return m.Header, texts
		}
		require.NoError(t, err)
		require.Equal(t, "quoted-printable", p.Header.Get("Content-Transfer-Encoding"))
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		require.NoError(t, err)
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		require.NoError(t, err)
		texts[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

func TestEmailMessages(t *testing.T) {
	t.Parallel()
	for name, n := range events {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMailServer(t, nil)
			mail, logged := mailer(t, s, nil)
			_, err := mail.Notify(t.Context(), n)
			require.NoError(t, err)
			require.Empty(t, logged.String())
			got := s.got()
			require.Len(t, got, 1)
			require.True(t, got[0].encrypted)
			header, texts := parts(t, got[0].data)
			require.Len(t, texts, 2)
			subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
			require.NoError(t, err)
			require.Equal(t, n.Event == spend.EventTest, strings.Contains(subject, "TEST"))
			require.Equal(t, n.Event == spend.EventTest, strings.Contains(texts["text/plain"], "This is a test"))
			require.Equal(t, n.Event == spend.EventTest, strings.Contains(texts["text/html"], "This is a test"))
			var b strings.Builder
			for _, name := range []string{"From", "To", "Date", "Message-Id", "Auto-Submitted"} {
				fmt.Fprintf(&b, "%s: %s\n", name, header.Get(name))
			}
			fmt.Fprintf(&b, "Subject: %s\n\n%s\n%s", subject, texts["text/plain"], texts["text/html"])
			golden.Check(t, "email/"+name+".txt", []byte(b.String()))
		})
	}
}

func TestEmailThread(t *testing.T) {
	t.Parallel()
	s := newMailServer(t, nil)
	mail, _ := mailer(t, s, nil)
	firing := notification(spend.EventFiring, 1)
	firing.Alerts[0].Severity = spend.Critical
	receipt, err := mail.Notify(t.Context(), firing)
	require.NoError(t, err)
	again, err := mail.Notify(t.Context(), firing)
	require.NoError(t, err)
	require.Equal(t, receipt, again, "the same in every attempt")
	for _, event := range []spend.Event{spend.EventReminder, spend.EventResolved} {
		n := notification(event, 1)
		n.Thread = receipt
		kept, err := mail.Notify(t.Context(), n)
		require.NoError(t, err)
		require.Equal(t, receipt, kept)
	}
	got := s.got()
	first, _ := parts(t, got[0].data)
	require.Equal(t, receipt, first.Get("Message-Id"))
	require.Equal(t, "high", first.Get("Importance"))
	require.Empty(t, first.Get("References"))
	ids := map[string]bool{receipt: true}
	for _, m := range got[2:] {
		header, _ := parts(t, m.data)
		require.Equal(t, receipt, header.Get("In-Reply-To"))
		require.Equal(t, receipt, header.Get("References"))
		ids[header.Get("Message-Id")] = true
	}
	require.Len(t, ids, 3, "messages of their own")

	n := notification(spend.EventResolved, 1)
	n.Thread = "not <an id>\r\nBcc: x@example.com"
	_, err = mail.Notify(t.Context(), n)
	require.NoError(t, err)
	header, _ := parts(t, s.got()[4].data)
	require.Empty(t, header.Get("References"))
	require.Empty(t, header.Get("Bcc"))
}

func TestEmailLogin(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		server func(*mailServer)
		client func(*alerts.EmailConfig)
	}{
		"starttls": {func(s *mailServer) { s.auth = true }, func(*alerts.EmailConfig) {}},
		"tls":      {func(s *mailServer) { s.auth, s.implicit = true, true }, func(c *alerts.EmailConfig) { c.Encryption = "tls" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newMailServer(t, change.server)
			mail, logged := mailer(t, s, func(c *alerts.EmailConfig) {
				change.client(c)
				c.Username, c.Password = "monitor", plainly(t, password)
			})
			require.NoError(t, mail.Check(t.Context()))
			require.Contains(t, s.heard(), "NOOP")
			require.Empty(t, s.got(), "trying it sends nothing")
			_, err := mail.Notify(t.Context(), notification(spend.EventFiring, 1))
			require.NoError(t, err)
			require.Equal(t, "monitor", s.got()[0].user)
			require.True(t, s.got()[0].encrypted)
			require.Empty(t, logged.String())

			wrong, logged := mailer(t, s, func(c *alerts.EmailConfig) {
				change.client(c)
				c.Username, c.Password = "monitor", plainly(t, password+"-wrong")
			})
			_, err = wrong.Notify(t.Context(), notification(spend.EventFiring, 1))
			require.Equal(t, never, outcome(err))
			require.ErrorContains(t, err, "check username and password")
			requireNoSecrets(t, everythingOf(err)+logged.String())
			require.Error(t, wrong.Check(t.Context()))
		})
	}
}

func TestEmailEncryption(t *testing.T) {
	t.Parallel()
	plain := newMailServer(t, func(s *mailServer) { s.startTLS = false })
	mail, _ := mailer(t, plain, nil)
	_, err := mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.Equal(t, retries, outcome(err), "it may be too busy to say so")
	require.ErrorContains(t, err, "offers no STARTTLS")
	require.NotContains(t, plain.heard(), "MAIL FROM", "nothing goes in the clear unless asked for")

	mail, _ = mailer(t, plain, func(c *alerts.EmailConfig) { c.Encryption = "none" })
	_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.NoError(t, err)
	require.False(t, plain.got()[0].encrypted)

	s := newMailServer(t, nil)
	mail, _ = mailer(t, s, func(c *alerts.EmailConfig) { c.TLS = alerts.TLSConfig{} })
	_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.Equal(t, retries, outcome(err))
	require.ErrorContains(t, err, "certificate")
	require.Empty(t, s.got())
}

// TestEmailOutcomes is what each answer of a mail server means for a retry.
func TestEmailOutcomes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ command, reply, want string }{
		{"MAIL", "451 4.3.0 try again later", retries},
		{"MAIL", "550 5.7.1 not allowed", never},
		{"MAIL", "530 5.7.0 authentication required", never},
		{"RCPT", "450 4.2.1 greylisted", retries},
		{"RCPT", "452 4.2.2 mailbox full", retries},
		{"RCPT", "550 5.1.1 no such user", never},
		{"RCPT", "552 5.2.2 mailbox full", never},
		{"DATA", "421 4.3.2 closing", retries},
		{"DATA", "554 5.6.0 refused", never},
		{"EHLO", "421 4.3.2 too busy", retries},
		{"STARTTLS", "454 4.7.0 not now", retries},
		{"MAIL", "drop", retries},
		{"EHLO", "drop", retries},
	} {
		t.Run(test.command+" "+test.reply, func(t *testing.T) {
			t.Parallel()
			s := newMailServer(t, func(s *mailServer) { s.replies[test.command] = test.reply })
			mail, logged := mailer(t, s, nil)
			_, err := mail.Notify(t.Context(), notification(spend.EventFiring, 1))
			require.Equal(t, test.want, outcome(err), "%v", err)
			require.ErrorContains(t, err, "mail server "+s.address)
			if test.reply != "drop" && test.command != "EHLO" {
				require.ErrorContains(t, err, strings.Fields(test.reply)[0], "the server's own words")
			}
			requireNoSecrets(t, everythingOf(err)+logged.String())
		})
	}
	t.Run("dead", func(t *testing.T) {
		t.Parallel()
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, closed.Close())
		mail, _ := mailer(t, &mailServer{address: closed.Addr().String()}, nil)
		_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.Equal(t, retries, outcome(err))
		require.ErrorContains(t, err, "connection refused")
		require.ErrorContains(t, mail.Check(t.Context()), "connection refused")
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		s := newMailServer(t, func(s *mailServer) { s.silent = true })
		c := &alerts.EmailConfig{Smarthost: s.address, From: "a@example.com", To: []string{"b@example.com"}}
		c.SetDefaults()
		mail, err := alerts.NewNotifier(alerts.NotifierConfig{Name: "slow", Email: c}, alerts.NotifierOptions{Timeout: 100 * time.Millisecond})
		require.NoError(t, err)
		_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
		require.Equal(t, retries, outcome(err))
	})
}

// TestEmailRecipients: each gets the message once, and one that is refused does not keep it from the others.
func TestEmailRecipients(t *testing.T) {
	t.Parallel()
	three := func(c *alerts.EmailConfig) { c.To = []string{"a@example.com", "b@example.com", "c@example.com"} }
	to := func(s *mailServer) (list []string) {
		for _, m := range s.got() {
			list = append(list, m.to)
		}
		return list
	}
	s := newMailServer(t, func(s *mailServer) { s.replies["RCPT TO:<b@"] = "450 4.2.1 greylisted" })
	mail, logged := mailer(t, s, three)
	_, err := mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.Equal(t, retries, outcome(err), "as long as one is put off")
	require.ErrorContains(t, err, "greylisted")
	require.Equal(t, []string{"a@example.com", "c@example.com"}, to(s))
	s.set("RCPT TO:<b@", "250 ok")
	_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.NoError(t, err)
	require.Len(t, s.got(), 3, "those who have it do not get it again")
	require.Empty(t, logged.String())

	s = newMailServer(t, func(s *mailServer) { s.replies["RCPT TO:<b@"] = "550 5.1.1 no such user" })
	mail, logged = mailer(t, s, three)
	_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.NoError(t, err)
	require.Equal(t, []string{"a@example.com", "c@example.com"}, to(s))
	require.Contains(t, logged.String(), "no such user")
	require.Contains(t, logged.String(), "b@example.com")

	s = newMailServer(t, func(s *mailServer) { s.replies["RCPT"] = "550 5.1.1 no such user" })
	mail, _ = mailer(t, s, three)
	_, err = mail.Notify(t.Context(), notification(spend.EventFiring, 1))
	require.Equal(t, never, outcome(err))
	require.Empty(t, s.got())
}
