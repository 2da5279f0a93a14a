package alerts

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/anthropic-monitor/monitor/internal/config"
)

const (
	bodyLimit     = 1 << 20          // bytes of an answer that are read
	excerptLimit  = 200              // characters of an answer that an error quotes
	maxRetryAfter = 24 * time.Hour   // a receiver cannot silence itself for longer
	sendTimeout   = 30 * time.Second // of a notification with all its requests
)

// errPrivate refuses an address that is not public.
var errPrivate = errors.New("the address is not a public one, and public_only is set")

// refused is a permanent refusal. auth marks one by which a secret may have been meant: it is read
// anew, and the request repeated if it has changed.
type refused struct {
	text string
	auth bool
	code string // the receiver's own word for it, if it has words
}

func (r *refused) Error() string { return r.text + ": " + ErrPermanent.Error() }

func (r *refused) Unwrap() error { return ErrPermanent }

// hidden are texts that must not be seen.
type hidden []string

// add hides the secret and, of a URL, what comes after the host.
func (h *hidden) add(secret string) {
	put := func(s string) {
		// A short text, such as the path "/", would tear holes into every message.
		if len(s) >= 4 {
			*h = append(*h, s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)))
		}
	}
	put(secret)
	if u, err := url.Parse(secret); err == nil && u.Host != "" {
		put(u.RequestURI())
		put(u.Path)
		put(u.RawQuery)
		if password, ok := u.User.Password(); ok {
			put(password)
		}
	}
}

// clean is the text without what is hidden, and without what would drive a terminal: receivers may
// answer anything.
func (h hidden) clean(text string) string {
	for _, s := range h {
		text = strings.ReplaceAll(text, s, "[secret]")
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

// wrap makes an error of ours of one of a library: its text without secrets, and of its chain only
// what callers branch on.
func (h hidden) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	var u *url.Error // holds the whole URL
	if errors.As(err, &u) {
		err = u.Err
	}
	text := h.clean(what + ": " + err.Error())
	var r *refused
	var after *RetryAfter
	switch {
	case errors.As(err, &r):
		return &refused{text: h.clean(what + ": " + r.text), auth: r.auth}
	case errors.As(err, &after):
		return &RetryAfter{After: after.After, Err: errors.New(h.clean(what + ": " + after.Err.Error()))}
	case errors.Is(err, errPrivate):
		return &refused{text: h.clean(what + ": " + errPrivate.Error())}
	case errors.Is(err, ErrPermanent):
		return &refused{text: strings.TrimSuffix(text, ": "+ErrPermanent.Error())}
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", h.clean(what), context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Errorf("%s: no answer in time: %w", h.clean(what), context.DeadlineExceeded)
	default:
		return errors.New(text)
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// where is all of a URL that may be shown.
func where(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "(not a URL)"
	}
	return u.Scheme + "://" + u.Host
}

// withSecret calls do with the secret's value and, after a refusal for it, once more with what the
// secret is by then: keys are rotated.
func withSecret(ctx context.Context, s config.Secret, do func(value string) error) error {
	value, err := s.Value(ctx, false)
	if err != nil {
		return err
	}
	err = do(value)
	var r *refused
	if !errors.As(err, &r) || !r.auth {
		return err
	}
	renewed, again := s.Value(ctx, true)
	if again != nil || renewed == value {
		return err
	}
	return do(renewed)
}

// newTransport is the network of one notifier. With publicOnly each address is looked at when it is
// dialed, after its name was resolved, so that no name can lead elsewhere.
func newTransport(t TLSConfig, publicOnly bool) (*http.Transport, error) {
	tlsConfig, err := t.build()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: tlsConfig,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1,
		ForceAttemptHTTP2: true, MaxResponseHeaderBytes: bodyLimit,
	}
	if publicOnly {
		dialer.Control = refusePrivate
		transport.Proxy = nil // it would dial for us
	}
	return transport, nil
}

// notPublic are address blocks that netip's own words leave out.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // of carriers
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // an IPv4 address within
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // an IPv4 address within
	netip.MustParsePrefix("fec0::/10"),
}

func isPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() { // neither loopback, link-local, multicast nor unspecified
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// refusePrivate is called with the address itself, never a name.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(ap.Addr()) {
		return errPrivate
	}
	return nil
}

// newHTTPClient follows no redirect: whoever answers would choose where our data goes.
func newHTTPClient(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a body and says by its error what the answer means for a retry.
func post(ctx context.Context, client *http.Client, to string, header http.Header, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return &refused{text: "the URL cannot be used"}
	}
	r.Header = header
	_, err = do(client, r)
	return err
}

// do carries a request out and returns what was answered, at most bodyLimit of it.
func do(client *http.Client, r *http.Request) ([]byte, error) {
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit))
	if refusal := statusError(answer.StatusCode, answer.Header, string(body)); refusal != nil {
		return body, refusal
	}
	return body, err
}

// statusError says what an HTTP status means: nil for success, else what to do about it.
func statusError(status int, header http.Header, body string) error {
	text := strconv.Itoa(status)
	if name := http.StatusText(status); name != "" {
		text += " " + name
	}
	if excerpt := cut(oneLine(body), excerptLimit); excerpt != "" && !strings.HasPrefix(excerpt, "<") {
		text += " (" + excerpt + ")"
	}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if wait, ok := retryAfter(header.Get("Retry-After"), header.Get("Date")); ok {
			return &RetryAfter{After: wait, Err: errors.New(text)}
		}
		return errors.New(text)
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return errors.New(text)
	case status >= 300 && status < 400:
		to := ""
		if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
			to = " to " + u.Scheme + "://" + u.Host
		}
		return &refused{text: text + ": redirects" + to + " are not followed: set the URL that it leads to"}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &refused{text: text + ": check the secret of this notifier", auth: true}
	case status == http.StatusNotFound, status == http.StatusGone:
		return &refused{text: text + ": check the URL of this notifier", auth: true}
	default:
		return &refused{text: text}
	}
}

// retryAfter reads the header, seconds or a time; a time is measured by the answer's own clock.
func retryAfter(text, date string) (time.Duration, bool) {
	if text == "" {
		return 0, false
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil {
		return clampRetry(time.Duration(n) * time.Second), true
	}
	at, err := http.ParseTime(text)
	now, errDate := http.ParseTime(date)
	if err != nil || errDate != nil {
		return 0, false
	}
	return clampRetry(at.Sub(now)), true
}

func clampRetry(d time.Duration) time.Duration { return min(max(d, time.Second), maxRetryAfter) }

// reach tries whether the host of the URL can be connected to, by TLS for https.
func reach(ctx context.Context, t *http.Transport, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return &refused{text: "the URL cannot be used"}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if t.Proxy != nil {
		proxy, err := t.Proxy(&http.Request{URL: u})
		if err == nil && proxy != nil { // the proxy alone can reach it; it is enough that the proxy is there
			u, port = proxy, proxy.Port()
			if port == "" {
				port = "80"
			}
		}
	}
	conn, err := t.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return nil
	}
	return handshake(ctx, conn, t.TLSClientConfig, u.Hostname())
}
