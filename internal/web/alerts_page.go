package web

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// alertFilter is which alerts and changes the page at /alerts shows. Empty fields let all pass.
type alertFilter struct {
	Rule, State, Severity string
	Page                  int // of the history, from 1
}

// alertStates are what an alert on the page, or in its history, can have become.
var alertStates = []spend.AlertState{spend.Pending, spend.Firing, spend.Stale, spend.Resolved, spend.Inactive}

func parseAlertFilter(values url.Values) (alertFilter, error) {
	f := alertFilter{Page: 1}
	for name, vs := range values {
		v := vs[len(vs)-1]
		switch name {
		case "rule":
			f.Rule = v
		case "state":
			if f.State = v; v != "" && !slices.Contains(alertStates, spend.AlertState(v)) {
				return f, problem{http.StatusBadRequest, fmt.Sprintf("state: %q is not one of %s.", v, names(alertStates, func(s spend.AlertState) string { return string(s) }))}
			}
		case "severity":
			if f.Severity = v; v != "" && !slices.Contains(severities, v) {
				return f, problem{http.StatusBadRequest, fmt.Sprintf("severity: %q is not one of %s.", v, strings.Join(severities, ", "))}
			}
		case "page":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > historyLimit/pageRows {
				return f, problem{http.StatusBadRequest, fmt.Sprintf("page: %q is not a number from 1 to %d.", v, historyLimit/pageRows)}
			}
			f.Page = n
		case "silence": // of the form
		default:
			return f, problem{http.StatusBadRequest, fmt.Sprintf("There is no parameter %q here, only rule, state, severity, page and silence.", name)}
		}
	}
	return f, nil
}

// Set reports whether not everything is shown.
func (f alertFilter) Set() bool { return f.Rule != "" || f.State != "" || f.Severity != "" }

func (f alertFilter) lets(rule string, state spend.AlertState, severity spend.Severity) bool {
	return (f.Rule == "" || f.Rule == rule) && (f.State == "" || f.State == string(state)) && (f.Severity == "" || f.Severity == string(severity))
}

// href is the page of the filter.
func (f alertFilter) href(page int) string {
	v := url.Values{}
	for name, value := range map[string]string{"rule": f.Rule, "state": f.State, "severity": f.Severity} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/alerts"
	}
	return "/alerts?" + readable(v)
}

// alertsPage is what the page at /alerts shows.
type alertsPage struct {
	frame
	Filter        alertFilter
	Rules         []string // to filter by
	States        []spend.AlertState
	Severities    []string
	Organizations []organizationAlerts
	NoRules       bool // none is configured, as far as the store knows
	Silences      []silence
	Form          silenceForm
	status        int
}

// Status is the page's status.
func (p *alertsPage) Status() int { return p.status }

type organizationAlerts struct {
	Organization string
	Evaluated    time.Time
	Rules        []ruleRow
	Failing      []storage.RuleState
	Alerts       []alertCard
	More         int // alerts beyond those
	Hidden       int // alerts that the filter keeps out
	History      []alertChange
	Of           int    // changes that the filter lets through
	Newer, Older string // other pages of the history
	Pending      []storage.Outgoing
	Deliveries   []storage.Delivery
}

// ruleRow is a rule and how it fares.
type ruleRow struct {
	storage.RuleState
	Alerts int // that are not resolved
	Href   string
}

// alertCard is an alert and what can be done about it.
type alertCard struct {
	alert
	Silence string // the page with the form filled in
	Since   *time.Time
}

// silenceForm is what the form for a silence holds, and what is wrong with it.
type silenceForm struct {
	Matchers                []string
	For, CreatedBy, Comment string
	Problem                 string
	Given                   bool // it was filled in for the viewer
}

// All is how many alerts pass the filter.
func (p organizationAlerts) All() int { return len(p.Alerts) + max(0, p.More) }

// mostAlerts is how many alerts the page shows, the worst first.
const mostAlerts = 100

// pageRows is how many rows of history the page shows.
const pageRows = 50

// alertsHandler serves the page, and takes its form.
func (s *server) alertsHandler() http.Handler {
	page := s.page("alerts.html", s.alertsPage)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.silencePost(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

func (s *server) alertsPage(r *http.Request) (any, error) {
	form := silenceForm{For: "2h"}
	for _, v := range r.URL.Query()["silence"] {
		if v != "" {
			form.Matchers = append(form.Matchers, v)
		}
	}
	form.Given = len(form.Matchers) > 0
	return s.alertsWith(r, form, http.StatusOK)
}

// alertsWith is the page with a form as it is.
func (s *server) alertsWith(r *http.Request, form silenceForm, status int) (any, error) {
	ctx, now := r.Context(), s.Now().UTC()
	filter, err := parseAlertFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	if user, _, ok := r.BasicAuth(); ok && form.CreatedBy == "" && s.authenticated() {
		form.CreatedBy = user
	}
	data := alertsPage{
		frame: s.frame(r, "Alerts", link{"/api/v1/alerts", "alerts"}, link{"/api/v1/alerts/history", "history"},
			link{"/api/v1/silences", "silences"}),
		Filter: filter, States: alertStates, Severities: severities, Form: form, status: status, NoRules: true,
	}
	all, err := s.Store.Silences(ctx, now)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		data.Silences = append(data.Silences, silenceRow(x, now))
	}
	rules := map[string]bool{}
	err = s.each(ctx, func(o storage.OrganizationState) error {
		p, err := s.alertsOf(ctx, o, filter, now)
		for _, r := range p.Rules {
			rules[r.Rule] = true
		}
		data.NoRules = data.NoRules && len(p.Rules) == 0
		data.Organizations = append(data.Organizations, p)
		return err
	})
	if filter.Rule != "" {
		rules[filter.Rule] = true
	}
	data.Rules = slices.Sorted(maps.Keys(rules))
	return &data, err
}

func (s *server) alertsOf(ctx context.Context, o storage.OrganizationState, filter alertFilter, now time.Time) (organizationAlerts, error) {
	p := organizationAlerts{Organization: o.Name}
	var err error
	if p.Evaluated, err = s.Store.EvaluatedAt(ctx, o.ID); err != nil {
		return p, err
	}
	as, err := s.Store.Alerts(ctx, o.ID)
	if err != nil {
		return p, err
	}
	counts := map[string]int{}
	for _, a := range as {
		if a.State == spend.Resolved && filter.State != string(spend.Resolved) {
			continue
		}
		if a.State != spend.Resolved {
			counts[a.Rule]++
		}
		if !filter.lets(a.Rule, a.State, a.Severity) {
			p.Hidden++
			continue
		}
		card := alertCard{alert: alertRow(o, a.Alert, a.Told), Silence: silenceHref(a.Labels)}
		card.Since = cmp.Or(card.FiredAt, card.PendingAt)
		p.Alerts = append(p.Alerts, card)
	}
	slices.SortStableFunc(p.Alerts, func(a, b alertCard) int {
		return cmp.Or(cmp.Compare(slices.Index(spend.Severities, b.Severity), slices.Index(spend.Severities, a.Severity)),
			cmp.Compare(slices.Index(alertOrder, a.State), slices.Index(alertOrder, b.State)))
	})
	if p.More = len(p.Alerts) - mostAlerts; p.More > 0 {
		p.Alerts = p.Alerts[:mostAlerts]
	}
	rules, err := s.Store.RuleStates(ctx, o.ID)
	if err != nil {
		return p, err
	}
	for _, r := range rules {
		if r.Problem != "" {
			p.Failing = append(p.Failing, r)
		}
		p.Rules = append(p.Rules, ruleRow{r, counts[r.Rule], alertFilter{Rule: r.Rule}.href(1)})
	}
	cs, err := s.Store.AlertHistory(ctx, o.ID, spend.Window{Start: time.Unix(0, 0).UTC(), End: now.Add(time.Second)}, historyLimit)
	if err != nil {
		return p, err
	}
	first := (filter.Page - 1) * pageRows
	for _, c := range cs {
		if !filter.lets(c.Alert.Rule, c.To, c.Alert.Severity) {
			continue
		}
		if p.Of++; p.Of > first && p.Of <= first+pageRows {
			p.History = append(p.History, alertChange{instant(c.At), c.From, c.To, c.Event, c.Notifiers, c.Note, alertRow(o, c.Alert, c.Notifiers)})
		}
	}
	if filter.Page > 1 {
		p.Newer = filter.href(filter.Page-1) + "#history"
	}
	if p.Of > first+pageRows {
		p.Older = filter.href(filter.Page+1) + "#history"
	}
	if p.Pending, err = s.Store.Outbox(ctx, o.ID); err != nil {
		return p, err
	}
	p.Deliveries, err = s.Store.Deliveries(ctx, o.ID, pageRows)
	return p, err
}

// alertOrder is the order of states on the page.
var alertOrder = []spend.AlertState{spend.Firing, spend.Stale, spend.Pending, spend.Resolved}

// From is the number of the first change that is shown.
func (p organizationAlerts) From(page int) int { return (page-1)*pageRows + 1 }

// To is the number of the last change that is shown.
func (p organizationAlerts) To(page int) int { return (page-1)*pageRows + len(p.History) }

// Limited reports whether there may be older changes than those that were looked at.
func (p organizationAlerts) Limited() bool { return p.Of >= historyLimit }

// silenceHref is the page with a form that silences what has the labels: whatever its severity and
// whichever threshold it crossed.
func silenceHref(labels map[string]string) string {
	var ms []string
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if label != "severity" && label != "threshold" && labels[label] != "" {
			ms = append(ms, storage.Matcher{Label: label, Value: labels[label]}.String())
		}
	}
	return "/alerts?" + readable(url.Values{"silence": ms}) + "#silence"
}

// silencePost makes or ends a silence from the form of the page, and shows the page again.
func (s *server) silencePost(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, text string) {
		page := s.page("error.html", func(*http.Request) (any, error) { return nil, problem{status, text} })
		page.ServeHTTP(w, r)
	}
	if why := s.refuseWrite(r); why != "" {
		refuse(http.StatusForbidden, why)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := r.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "The form cannot be read.")
		return
	}
	if id := r.PostForm.Get("end"); id != "" {
		if err := s.unsilence(r, id); err != nil {
			p := s.answer(r, err)
			refuse(p.status, p.message)
			return
		}
		http.Redirect(w, r, "/alerts#silences", http.StatusSeeOther)
		return
	}
	form := silenceForm{
		For: strings.TrimSpace(r.PostForm.Get("for")), CreatedBy: strings.TrimSpace(r.PostForm.Get("created_by")),
		Comment: strings.TrimSpace(r.PostForm.Get("comment")),
	}
	for _, text := range r.PostForm["matcher"] {
		if text = strings.TrimSpace(text); text != "" {
			form.Matchers = append(form.Matchers, text)
		}
	}
	x, err := form.silence(s.Now())
	if err != nil {
		form.Problem = capital(err.Error())
		page := s.page("alerts.html", func(r *http.Request) (any, error) { return s.alertsWith(r, form, http.StatusBadRequest) })
		page.ServeHTTP(w, r)
		return
	}
	if err := s.saveSilence(r.Context(), &x); err != nil {
		p := s.answer(r, err)
		refuse(p.status, p.message)
		return
	}
	s.Log.Info("silence made", "id", x.ID, "by", x.CreatedBy, "until", x.EndsAt)
	http.Redirect(w, r, "/alerts#silences", http.StatusSeeOther)
}

// silence is what the form asks for. Its error says what is wrong with it.
func (f silenceForm) silence(now time.Time) (storage.Silence, error) {
	var ms []storage.Matcher
	for _, text := range f.Matchers {
		m, err := storage.ParseMatcher(text)
		if err != nil {
			return storage.Silence{}, err
		}
		ms = append(ms, m)
	}
	lasts, err := config.ParseDuration(f.For)
	if err != nil {
		return storage.Silence{}, fmt.Errorf("how long? %w", err)
	}
	return storage.NewSilence(ms, now, now.Add(lasts.Duration()), f.CreatedBy, f.Comment, now)
}
