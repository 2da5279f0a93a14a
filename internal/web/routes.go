// Package web serves HTTP: the metrics, the health checks, the JSON API and the built-in pages.
// It only reads the store; what changes anything is POST /-/reload, and making and ending silences.
//
// All routes are in [New]. An API route is a function that returns what to write as JSON
// (api.go), a page is a template and a function that returns its data, which embeds the frame that
// all pages have (frame.go, pages.go). Both return errors; handle turns them into answers and logs
// them, in one place. Pages need no JavaScript and load nothing from elsewhere; the one script shows
// times in the viewer's zone. Charts are drawn here (chart.go).
package web

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

//go:embed static
var static embed.FS

// timeout bounds every request.
const timeout = 30 * time.Second

// Options are what the server is made of.
type Options struct {
	Store    storage.Store
	Gatherer prometheus.Gatherer
	Log      *slog.Logger
	Version  string
	// Now is the clock that periods are told by.
	Now func() time.Time
	// Backfill is how far back history is wanted; 0 is not at all.
	Backfill time.Duration
	// Tried reports whether a first collection has been tried, well or not. Where it is nil, a job run
	// in the store tells.
	Tried func() bool
	// Unread lists the organizations of the configuration that are not known yet, because the API has not
	// told which they are: their figures are in no answer. Nil lists none.
	Unread func() []Unread
	// Reload reads the configuration anew and logs what came of it. Its error is shown to who asked.
	Reload func(context.Context) error
	// Prices are what savings are estimated at.
	Prices *pricing.Table
	// Teams are what the dimension team means.
	Teams team.Teams
	// Budgets are the rules with a budget, by the configuration.
	Budgets []BudgetRule
	// Authenticated reports whether the web configuration file asks for authentication now, so that other
	// than local requests may change something; nil: it does not. It is asked each time, since the
	// file is in force as it is when a request comes.
	Authenticated func() bool
}

// Unread is an organization that is configured and of which nothing can be read.
type Unread struct {
	Organization string    // as the configuration calls it
	Problem      string    // what came of the last try
	At           time.Time // of the last try
}

type server struct {
	Options
	pages  pages
	memory *memory
	past   pastHours // for forecasts
}

// New returns the handler of everything.
func New(o Options) http.Handler {
	s := &server{Options: o, pages: parsePages(), memory: newMemory(o.Store)}
	s.past = pastHours{o.Store, s.memory}
	s.Log = o.Log.With("component", "web")

	mux := http.NewServeMux()
	mux.Handle("/metrics", get(promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
		Timeout:           timeout,
	})))
	mux.Handle("/-/healthy", get(http.HandlerFunc(healthy)))
	mux.Handle("/-/ready", get(http.HandlerFunc(s.ready)))
	mux.Handle("/-/reload", methods(http.HandlerFunc(s.reload), http.MethodPost))

	mux.Handle("/api/v1/costs", get(s.table(s.costs)))
	mux.Handle("/api/v1/usage", get(s.table(s.usage)))
	mux.Handle("/api/v1/forecast", get(s.table(s.forecast)))
	mux.Handle("/api/v1/headroom", get(s.table(s.headroom)))
	mux.Handle("/api/v1/claude-code", get(s.table(s.claudeCode)))
	mux.Handle("/api/v1/efficiency", get(s.table(s.efficiency)))
	mux.Handle("/api/v1/jobs", get(s.api(s.jobs)))
	mux.Handle("/api/v1/status", get(s.api(s.status)))
	mux.Handle("/api/v1/keys", get(s.api(s.keys)))
	mux.Handle("/api/v1/reconciliation", get(s.table(s.reconciliation)))
	mux.Handle("/api/v1/alerts", get(s.api(s.alerts)))
	mux.Handle("/api/v1/alerts/history", get(s.api(s.alertHistory)))
	mux.Handle("/api/v1/budgets", get(s.api(s.budgets)))
	mux.Handle("/api/v1/silences", methods(s.api(s.silences), http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete))
	mux.Handle("/api/v1/audit", get(s.table(s.auditAPI)))
	mux.Handle("/api/", s.api(nothingHere))

	mux.Handle("/{$}", get(s.page("overview.html", s.overviewPage)))
	mux.Handle("/explore", get(s.exploreHandler()))
	mux.Handle("/budgets", get(s.page("budgets.html", s.budgetsPage)))
	mux.Handle("/alerts", methods(s.alertsHandler(), http.MethodGet, http.MethodHead, http.MethodPost))
	mux.Handle("/keys", get(s.page("keys.html", s.keysPage)))
	mux.Handle("/jobs", get(s.page("jobs.html", s.jobsPage)))
	mux.Handle("/static/style.css", get(http.FileServerFS(static)))
	mux.Handle("/static/page.js", get(http.FileServerFS(static)))
	mux.Handle("/static/icon.svg", get(http.FileServerFS(static)))
	mux.Handle("/", s.page("", func(*http.Request) (any, error) { return nil, errNoPage }))

	return secure(s.readable(limit(mux)))
}

// readable refuses a query string that cannot be read: what is left of it when a filter is dropped
// would be answered with figures of more than was asked for.
func (s *server) readable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := url.ParseQuery(r.URL.RawQuery)
		if err == nil {
			h.ServeHTTP(w, r)
			return
		}
		p := problem{http.StatusBadRequest, fmt.Sprintf("The query string cannot be read: %s. "+
			"In values %% is written %%25, & is %%26, + is %%2B and ; is %%3B.", err)}
		r.URL.RawQuery = "" // the page of the error reads it, too
		if strings.HasPrefix(r.URL.Path, "/api/") {
			s.api(func(*http.Request) (any, error) { return nil, p }).ServeHTTP(w, r)
			return
		}
		s.page("", func(*http.Request) (any, error) { return nil, p }).ServeHTTP(w, r)
	})
}

func get(h http.Handler) http.Handler { return methods(h, http.MethodGet, http.MethodHead) }

// limit gives every request a deadline, which ends its queries too.
func limit(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// secure sets the headers that keep a browser from doing what the pages do not ask for.
func secure(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if strings.HasPrefix(r.URL.Path, "/static/") {
			header.Set("Cache-Control", "max-age=300")
		} else {
			header.Set("Cache-Control", "no-store")
		}
		h.ServeHTTP(w, r)
	})
}
