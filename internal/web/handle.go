package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// problem is an error whose message is for the client.
type problem struct {
	status  int
	message string
}

func (p problem) Error() string { return p.message }

var errNoPage = problem{http.StatusNotFound, "There is no such page."}

// answer says what the client is told of an error. What is not a problem comes from the database:
// it is logged, here and nowhere else, and not shown.
func (s *server) answer(r *http.Request, err error) problem {
	var p problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, storage.ErrTooMany):
		return problem{http.StatusBadRequest, fmt.Sprintf("The answer would have more than %d rows. "+
			"Ask for a shorter time, a longer step or fewer dimensions; monitor report has no such limit.", mostAnswered)}
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		s.Log.Warn("request took too long", "path", r.URL.Path, "err", err)
		return problem{http.StatusServiceUnavailable, "This took too long. Ask for a shorter time or fewer dimensions."}
	case r.Context().Err() != nil: // the client went away
		return problem{http.StatusServiceUnavailable, "The request was canceled."}
	default:
		s.Log.Error("request failed", "path", r.URL.Path, "err", err)
		return problem{http.StatusServiceUnavailable, "The database cannot be read at the moment. The log says why."}
	}
}

// api serves what the function returns as JSON.
func (s *server) api(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		v, err := f(r)
		var body []byte
		if err == nil {
			body, err = json.Marshal(v)
		}
		if err != nil {
			p := s.answer(r, err)
			status, body = p.status, p.json()
		}
		writeJSON(w, status, body)
	})
}

// page serves the template, filled with what the function returns. Data that has a Status says what
// status the page has; else it is 200.
func (s *server) page(name string, f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		status := http.StatusOK
		data, err := f(r)
		if err == nil {
			if x, ok := data.(interface{ Status() int }); ok {
				status = x.Status()
			}
			err = s.pages.render(&b, name, data)
		}
		if err != nil {
			p := s.answer(r, err)
			status = p.status
			b.Reset()
			if err := s.pages.render(&b, "error.html", errorPage{s.frame(r, http.StatusText(p.status)), p.status, p.message}); err != nil {
				s.Log.Error("error page failed", "err", err)
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(b.Bytes()) // the client may be gone
	})
}

// methods refuses all methods but the ones given.
func methods(h http.Handler, allowed ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(allowed, r.Method) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		message := "Method " + r.Method + " is not allowed here, only " + strings.Join(allowed, " and ") + "."
		if strings.HasPrefix(r.URL.Path, "/api/") {
			writeJSON(w, http.StatusMethodNotAllowed, problem{message: message}.json())
			return
		}
		http.Error(w, message, http.StatusMethodNotAllowed)
	})
}

// json is the problem as the API says it.
func (p problem) json() []byte {
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Message = p.message
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // a string always marshals
	}
	return b
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
