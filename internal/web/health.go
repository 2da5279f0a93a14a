package web

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// healthy says that the process answers.
func healthy(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "healthy") }

// ready says whether the daemon does its work: the database is there with the schema expected, and
// a first collection has been tried.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	reason, err := s.unready(r)
	if err != nil {
		s.Log.Warn("not ready", "reason", reason, "err", err)
	}
	if reason != "" {
		http.Error(w, "not ready: "+reason, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// unready is why the daemon is not ready; empty if it is.
func (s *server) unready(r *http.Request) (string, error) {
	switch err := s.Store.Ping(r.Context()); {
	case errors.Is(err, storage.ErrNewerSchema):
		return "the database was written by a newer version of monitor", err
	case err != nil:
		return "the database cannot be reached, or its schema is not the one expected", err
	}
	tried := false
	if s.Tried != nil {
		tried = s.Tried()
	} else {
		runs, err := s.Store.LastRuns(r.Context())
		if err != nil {
			return "the database cannot be read", err
		}
		tried = len(runs) > 0
	}
	if !tried {
		reason := "no collection has been tried yet"
		for _, u := range s.unread() {
			reason += "; " + u.Organization + ": " + u.Problem
		}
		return reason, nil
	}
	return "", nil
}

// reload has the configuration read anew.
func (s *server) reload(w http.ResponseWriter, r *http.Request) {
	if why := s.refuseWrite(r); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	if s.Reload == nil {
		http.Error(w, "There is no configuration to reload.", http.StatusNotImplemented)
		return
	}
	if err := s.Reload(r.Context()); err != nil {
		http.Error(w, "The configuration was not changed: "+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "reloaded")
}

// refuseWrite is why a request may not change anything; empty if it may. Without authentication
// only the machine itself may, asking for it by a loopback name (a page elsewhere whose name was
// pointed here does not) and not through a proxy, which makes everybody look local. A page of
// another origin never may.
func (s *server) refuseWrite(r *http.Request) string {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return "Refused: the request comes from a page of another origin."
	}
	if s.authenticated() {
		return ""
	}
	const hint = " Ask from the machine itself, or set up authentication (web.config_file)."
	if !loopback(r.RemoteAddr) {
		return "Refused: the request comes from another machine." + hint
	}
	if !loopback(r.Host) {
		return "Refused: the Host header names no loopback address." + hint
	}
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded") {
			return "Refused: the request came through a proxy." + hint
		}
	}
	return ""
}

// authenticated reports whether nobody is answered who did not show who they are.
func (s *server) authenticated() bool { return s.Authenticated != nil && s.Authenticated() }

// loopback reports whether the address, with or without a port, is of this machine.
func loopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
