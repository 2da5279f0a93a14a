package adminapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Kind sorts errors by what can be done about them.
type Kind string

// The kinds.
const (
	KindAuthentication Kind = "authentication" // the key is wrong, revoked or expired
	KindPermission     Kind = "permission"     // the key may not read this
	KindNotFound       Kind = "not_found"
	KindInvalid        Kind = "invalid" // any other refusal of the request itself
	KindRateLimit      Kind = "rate_limit"
	KindOverloaded     Kind = "overloaded"
	KindServer         Kind = "server"
	KindMalformed      Kind = "malformed" // the answer is not what the documentation says
	KindNetwork        Kind = "network"   // no answer, or not all of it
)

// Error is a request that failed. It holds no credential.
type Error struct {
	Endpoint  string // such as cost_report
	Status    int    // 0 if no answer came
	Kind      Kind
	Type      string // the API's error.type
	Code      string // the API's error.details.error_code
	Message   string // the API's words, or ours; one line of limited length
	RequestID string
	// RetryAfter is how long the API asks to be left alone; 0 if it did not say.
	RetryAfter time.Duration

	unsent  bool // the request never left
	doubt   bool // a try before this one may have been carried out
	restart bool // the pages read so far do not fit the next one: begin again
}

// maxMessage bounds what an error repeats of the API's words, in bytes.
const maxMessage = 300

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Endpoint + ": ")
	if e.Status != 0 && e.Kind != KindMalformed && e.Kind != KindNetwork {
		b.WriteString(strconv.Itoa(e.Status) + " ")
	}
	b.WriteString(string(e.Kind))
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Code != "" {
		b.WriteString(" (" + e.Code + ")")
	}
	if e.RetryAfter > 0 {
		b.WriteString(fmt.Sprintf(", retry after %s", e.RetryAfter))
	}
	if e.RequestID != "" {
		b.WriteString(" [" + e.RequestID + "]")
	}
	return b.String()
}

// Temporary reports whether the same request may succeed later, without anybody doing anything.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case KindRateLimit, KindOverloaded, KindServer, KindNetwork:
		return true
	default:
		return e.Status == http.StatusGone
	}
}

// Uncertain reports whether a request that changes something may have been carried out all the same: it,
// or a try before it, was sent, and what came back does not say that it was turned away.
func (e *Error) Uncertain() bool {
	if e.doubt {
		return true
	}
	switch e.Kind {
	case KindServer, KindMalformed, KindNetwork:
		return !e.unsent
	default:
		return false
	}
}

// Refused reports whether the API will not give this at all: not to this key, or not to this
// organization.
func (e *Error) Refused() bool {
	switch e.Kind {
	case KindAuthentication, KindPermission, KindNotFound:
		return true
	case KindInvalid:
		switch e.Code {
		case "organization_type_not_supported", "organization_not_enrolled_in_beta", "parent_organization_required":
			return true
		}
	}
	return false
}

// answerError makes an error of an answer that is not a 200.
func answerError(resp *http.Response) *Error {
	e := &Error{
		Kind:       kindOf(resp.StatusCode),
		RequestID:  clean(resp.Header.Get("request-id"), 100),
		RetryAfter: retryAfter(resp.Header),
		restart:    resp.StatusCode == http.StatusGone,
	}
	if e.Kind == KindMalformed {
		e.Message = "the answer has status " + strconv.Itoa(resp.StatusCode) + " (redirects are not followed)"
		return e
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var envelope struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
			Details struct {
				Code string `json:"error_code"`
			} `json:"details"`
		} `json:"error"`
		RequestID string `json:"request_id"`
	}
	if err == nil && json.Unmarshal(body, &envelope) == nil {
		e.Type = clean(envelope.Error.Type, 100)
		e.Code = clean(envelope.Error.Details.Code, 100)
		e.Message = envelope.Error.Message // bounded once the key is known to be out of it
		e.RequestID = orElse(e.RequestID, clean(envelope.RequestID, 100))
	}
	if e.Message == "" { // a gateway's page, or nothing
		e.Message = http.StatusText(resp.StatusCode)
	}
	return e
}

func kindOf(status int) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return KindAuthentication
	case status == http.StatusForbidden:
		return KindPermission
	case status == http.StatusNotFound:
		return KindNotFound
	case status == http.StatusTooManyRequests:
		return KindRateLimit
	case status == 529:
		return KindOverloaded
	case status >= 500:
		return KindServer
	case status >= 400:
		return KindInvalid
	default:
		return KindMalformed
	}
}

// retryAfter is what the header asks for, at least a second and at most thirty days; 0 if it asks
// for nothing.
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		d = time.Duration(min(seconds, 30*86400) * float64(time.Second))
	} else if at, err := http.ParseTime(value); err == nil {
		d = time.Until(at)
	} else {
		return 0
	}
	return min(max(d, time.Second), 30*24*time.Hour)
}

// clean makes one printable line of outside text, of at most about max bytes.
func clean(s string, max int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) > max {
		s = strings.ToValidUTF8(s[:max], "") + "…"
	}
	return s
}
