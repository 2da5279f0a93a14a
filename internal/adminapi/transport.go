package adminapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// errNotReading is what the transport answers to anything that could do more than read.
var errNotReading = errors.New("refused: only GET below /v1/organizations of the configured API is allowed")

// readOnly is a transport that can only read the Admin API, whatever the code above it asks for.
type readOnly struct {
	next http.RoundTripper
	base *url.URL      // path ends in a slash
	skew *atomic.Int64 // set by each answer, see [Client.Skew]
}

// readOnlyClient is h with that transport.
func readOnlyClient(h *http.Client, base *url.URL, skew *atomic.Int64) *http.Client {
	return guarded(h, func(next http.RoundTripper) http.RoundTripper { return readOnly{next, base, skew} })
}

// guarded is h with a transport around its own and without redirects; nil stands for a client of our
// own.
func guarded(h *http.Client, guard func(http.RoundTripper) http.RoundTripper) *http.Client {
	own := http.Client{}
	if h != nil {
		own = *h
	}
	if own.Transport == nil {
		own.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 10 * time.Second,
			IdleConnTimeout:     90 * time.Second,
			MaxIdleConnsPerHost: 4,
		}
	}
	own.Transport = guard(own.Transport)
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func (t readOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	path, below := strings.CutPrefix(req.URL.EscapedPath(), t.base.EscapedPath()+"v1/organizations/")
	climbs := slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." || s == ".." })
	if req.Method != http.MethodGet || req.Body != nil || !below || climbs ||
		req.URL.Scheme != t.base.Scheme || req.URL.Host != t.base.Host {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errNotReading
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		t.skew.Store(int64(cmp.Or(time.Since(date), 1))) // 0 is not known yet
	}
	return resp, nil
}

// answer follows one request: what came back, and where it broke off.
type answer struct {
	call
	sent      bool
	status    int // 0 until the header is in
	requestID string
	mediaType string // of a 200
	body      *boundedBody
}

// receive is the middleware that sees the answer before the SDK does: what is not a 200 becomes
// an [Error], and the body of a 200 is bounded and watched.
func (a *answer) receive(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	a.sent = true
	resp, err := next(req)
	if err != nil {
		return nil, err
	}
	a.status = resp.StatusCode
	a.requestID = clean(resp.Header.Get("request-id"), 100)
	if resp.StatusCode != http.StatusOK {
		defer drain(resp.Body)
		return nil, answerError(resp)
	}
	a.mediaType, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	a.body = &boundedBody{ReadCloser: resp.Body, left: a.limit}
	resp.Body = a.body
	return resp, nil
}

// problem says what went wrong in our terms. An outer context that ended is not the API's fault.
func (a *answer) problem(ctx context.Context, key string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if !a.sent {
		return err // the SDK does not like the request
	}
	var e *Error
	var shape *shapeError
	var outer *url.Error
	switch {
	case errors.As(err, &e):
	case a.status == http.StatusOK && !isJSON(a.mediaType) && a.body.err == nil:
		// Not the API: a page of a proxy, or the address of something else. Nobody wants to read that here.
		e = &Error{Kind: KindMalformed, Message: fmt.Sprintf("the answer is not JSON (status 200, %s): check base_url, and proxies between",
			cmp.Or(a.mediaType, "no content type"))}
	case errors.As(err, &shape):
		e = &Error{Kind: KindMalformed, Message: shape.Error(), restart: shape.repeated}
	case errors.Is(err, errNotReading), errors.Is(err, errNotWriting):
		if errors.As(err, &outer) {
			err = outer.Err
		}
		e = &Error{Kind: KindInvalid, Message: err.Error(), unsent: true}
	case errors.Is(err, errTooLarge):
		e = &Error{Kind: KindMalformed, Message: errTooLarge.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		e = &Error{Kind: KindNetwork, Message: fmt.Sprintf("no complete answer within %s", a.timeout)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		e = &Error{Kind: KindNetwork, Message: "the answer was cut off"}
	case a.status == 0 || a.body != nil && a.body.err != nil:
		if errors.As(err, &outer) {
			err = outer.Err // the URL is known, and long
		}
		var dial *net.OpError
		e = &Error{Kind: KindNetwork, Message: err.Error(), unsent: errors.As(err, &dial) && dial.Op == "dial"}
	default: // the whole answer came, and the SDK could not make sense of it
		e = &Error{Kind: KindMalformed, Message: err.Error()}
	}
	e.Endpoint, e.Status, e.RequestID = a.endpoint, a.status, orElse(e.RequestID, a.requestID)
	e.Message = clean(strings.ReplaceAll(e.Message, key, "[secret]"), maxMessage)
	e.Type = strings.ReplaceAll(e.Type, key, "[secret]")
	e.Code = strings.ReplaceAll(e.Code, key, "[secret]")
	e.RequestID = strings.ReplaceAll(e.RequestID, key, "[secret]")
	return e
}

// isJSON reports whether the SDK takes an answer of that type for JSON.
func isJSON(mediaType string) bool {
	return strings.Contains(mediaType, "application/json") || strings.HasSuffix(mediaType, "+json")
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

var errTooLarge = errors.New("the answer is larger than any that is expected")

// boundedBody ends a body that grows too large, and remembers how reading it failed.
type boundedBody struct {
	io.ReadCloser
	left int64
	err  error
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, errTooLarge
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// drain reads what little may be left, so that the connection can be used again, and closes.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	_ = body.Close()
}
