package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// problem is a refusal in the API's envelope.
type problem struct {
	status     int
	kind       string
	message    string
	code       string // details.error_code, where one is documented
	retryAfter string
}

func (p *problem) Error() string { return p.message }

var kinds = map[int]string{
	401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
	409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error",
	504: "timeout_error", 529: "overloaded_error",
}

func refuse(status int, format string, args ...any) *problem {
	kind, ok := kinds[status]
	if !ok {
		kind = "invalid_request_error"
	}
	return &problem{status: status, kind: kind, message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error { return refuse(http.StatusBadRequest, format, args...) }

func notFound() error { return refuse(404, "The requested resource could not be found.") }

// coded is a refusal with one of the documented error codes.
func coded(status int, code, format string, args ...any) error {
	p := refuse(status, format, args...)
	p.code = code
	return p
}

func (p *problem) write(header http.Header, requestID string) (status int, body []byte) {
	type details struct {
		ErrorCode string `json:"error_code"`
	}
	type inner struct {
		Type    string   `json:"type"`
		Message string   `json:"message"`
		Details *details `json:"details,omitempty"`
	}
	envelope := struct {
		Type      string `json:"type"`
		Error     inner  `json:"error"`
		RequestID string `json:"request_id"`
	}{"error", inner{Type: p.kind, Message: p.message}, requestID}
	if p.code != "" {
		envelope.Error.Details = &details{p.code}
	}
	if p.retryAfter != "" {
		header.Set("retry-after", p.retryAfter)
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		panic(err) // strings only
	}
	return p.status, body
}
