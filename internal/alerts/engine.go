package alerts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// resolvedFor is how long a resolved alert is kept among the alerts; after that it is history.
const resolvedFor = 24 * time.Hour

// Engine judges the rules of all organizations and delivers what there is to tell. It is safe for
// concurrent use; what it remembers are caches.
type Engine struct {
	options Options
	log     *slog.Logger
	metrics metrics
	client  *http.Client

	mu   sync.Mutex
	orgs map[string]*organization
}

// organization is what the engine remembers of one.
type organization struct {
	mu    sync.Mutex // one evaluation at a time
	cache *cache
	rules []*rule
	said  map[string]string // what was logged of each rule

	digested map[string]bool      // ids of digests that are known to be made
	reposted map[string]time.Time // when each notifier that forgets was told of what fires

	warned   int             // version of the inventory that filters were compared with
	warnings map[string]bool // what was said of them
}

// NewEngine returns an engine. The rules must have passed [CheckRules].
func NewEngine(o Options) *Engine {
	return &Engine{
		options: o, log: o.Log.With("component", "alerts"), metrics: newMetrics(), orgs: map[string]*organization{},
		client: &http.Client{Timeout: 10 * time.Second},
	}
}

// Evaluate judges every rule on the organization as at now and stores what follows, through the
// owner, in one transaction; then it delivers what is due. Rules that cannot be judged are noted,
// not an error. An error says that nothing was evaluated, or not stored.
func (e *Engine) Evaluate(ctx context.Context, owner storage.Owner, organizationID string, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	o := e.organization(organizationID)
	o.mu.Lock()
	defer o.mu.Unlock()
	start := time.Now()
	v, err := e.look(ctx, o, organizationID, now)
	if err != nil {
		return fmt.Errorf("evaluating rules: %w", err)
	}
	r, err := e.evaluate(ctx, o, v)
	if err != nil {
		return fmt.Errorf("evaluating rules: %w", err)
	}
	if err := ctx.Err(); err != nil { // rules that were cut off failed for no reason of theirs
		return err
	}
	if err := owner.SaveEvaluation(ctx, r.changes); err != nil {
		return fmt.Errorf("storing the evaluation: %w", err)
	}
	r.log(ctx)
	e.metrics.evaluated(v.org.Name, time.Since(start))
	if r.failed == 0 {
		e.beat(ctx)
	}
	if err := e.deliver(ctx, owner, organizationID, now); err != nil {
		return err
	}
	e.repost(ctx, o, organizationID, now)
	return nil
}

func (e *Engine) organization(id string) *organization {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := e.orgs[id]
	if o == nil {
		o = &organization{
			cache: newCache(e.options.Store, id), said: map[string]string{}, warnings: map[string]bool{},
			digested: map[string]bool{}, reposted: map[string]time.Time{},
		}
		for _, c := range e.options.Rules {
			o.rules = append(o.rules, newRule(c))
		}
		e.orgs[id] = o
	}
	return o
}

// look reads what the rules look at.
func (e *Engine) look(ctx context.Context, o *organization, id string, now time.Time) (*view, error) {
	v := &view{
		cache: o.cache, options: &e.options, now: now, totals: map[totalKey]total{}, minutes: map[int64]bool{},
		missing: map[holesKey][]spend.Window{}, facts: costFacts,
	}
	store := e.options.Store
	all, err := store.Organizations(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(x storage.OrganizationState) bool { return x.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("organization %q: %w", id, storage.ErrNotFound)
	}
	v.org = all[i]
	if v.org.Name == "" {
		v.org.Name = id
	}
	if err := o.cache.refresh(ctx); err != nil {
		return nil, err
	}
	if v.marks, err = store.Watermarks(ctx, id); err != nil {
		return nil, fmt.Errorf("watermarks: %w", err)
	}
	v.dataAt, v.readAt = usageAt(v.marks)
	if v.runs, err = store.LastRuns(ctx); err != nil {
		return nil, fmt.Errorf("last runs: %w", err)
	}
	if v.crossed, err = store.BudgetMarks(ctx, id); err != nil {
		return nil, err
	}
	return v, nil
}

// usageAt is up to where usage is complete, and when it was read, by the report it comes from: the
// older generation's unless that is refused.
func usageAt(marks []storage.Watermark) (dataAt, readAt time.Time) {
	for _, report := range []spend.Report{spend.ReportMessages, spend.ReportAnalyticsUsage} {
		for _, m := range marks {
			if m.Report != report || m.DataAt.IsZero() {
				continue
			}
			if m.RefusedAt.IsZero() {
				return m.DataAt, m.ReadAt
			}
			if dataAt.IsZero() {
				dataAt, readAt = m.DataAt, m.ReadAt
			}
		}
	}
	return dataAt, readAt
}

// round is one evaluation of an organization.
type round struct {
	e        *Engine
	o        *organization
	v        *view
	alerts   map[storage.AlertKey]storage.AlertRecord
	silences []storage.Silence
	budgets  map[storage.AlertKey]storage.Budget
	states   map[string]storage.RuleState
	receipts []storage.Receipt
	changes  storage.Evaluation
	told     []telling
	failed   int
	logs     []func(context.Context)
}

// telling is an alert and what is to be told of it.
type telling struct {
	alert  spend.Alert
	event  spend.Event
	to     []string
	fresh  []string // of these, who was not told of the episode before
	rule   *rule
	detail finding
}

// evaluate judges all rules. What the store cannot tell makes the rules that need it fail.
func (e *Engine) evaluate(ctx context.Context, o *organization, v *view) (*round, error) {
	r := &round{
		e: e, o: o, v: v, alerts: map[storage.AlertKey]storage.AlertRecord{}, budgets: map[storage.AlertKey]storage.Budget{},
		states: map[string]storage.RuleState{},
	}
	r.changes.Now = v.now
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if o.warned != v.inventory.version {
		o.warned = v.inventory.version
		for _, text := range v.inventory.unmatched(v.org.Organization, e.options.Rules) {
			if !o.warnings[text] {
				o.warnings[text] = true
				r.logs = append(r.logs, func(ctx context.Context) { e.log.WarnContext(ctx, "a rule's filter matches nothing", "problem", text) })
			}
		}
	}
	there := map[string]bool{}
	for _, rule := range o.rules {
		there[rule.Name] = true
		if rule.About(v.org.Organization) {
			r.judge(ctx, rule)
		} else {
			there[rule.Name] = false
		}
	}
	r.leave(there)
	r.compose(ctx)
	r.digests(ctx)
	return r, nil
}

func (r *round) load(ctx context.Context) error {
	store, id := r.e.options.Store, r.v.organization
	alerts, err := store.Alerts(ctx, id)
	if err != nil {
		return err
	}
	for _, a := range alerts {
		r.alerts[storage.AlertKey{Rule: a.Rule, Subject: a.Subject}] = a
	}
	if r.silences, err = store.Silences(ctx, r.v.now); err != nil {
		return err
	}
	budgets, err := store.Budgets(ctx, id)
	if err != nil {
		return err
	}
	for _, b := range budgets {
		r.budgets[storage.AlertKey{Rule: b.Rule, Subject: b.Subject}] = b
	}
	states, err := store.RuleStates(ctx, id)
	if err != nil {
		return err
	}
	for _, s := range states {
		r.states[s.Rule] = s
	}
	r.receipts, err = store.Receipts(ctx, id)
	return err
}

// judge judges one rule and steps its alerts.
func (r *round) judge(ctx context.Context, rule *rule) {
	verdict, err := rule.block.judge(ctx, r.v, rule)
	state := storage.RuleState{Rule: rule.Name, Kind: rule.Kind(), Severity: rule.Severity, Note: verdict.note}
	before := r.states[rule.Name]
	if err != nil {
		r.failed++
		r.e.metrics.failed(r.v.org.Name, rule.Name)
		verdict = nothing("")
		state.Problem, state.ProblemAt, state.Note = err.Error(), r.v.now, before.Note
		if before.Problem != "" {
			state.ProblemAt = before.ProblemAt
		}
	}
	r.say(rule.Name, state)
	if state != before {
		r.changes.PutRules = append(r.changes.PutRules, state)
	}
	r.changes.PutMarks = append(r.changes.PutMarks, verdict.putMarks...)
	r.changes.DropMarks = append(r.changes.DropMarks, verdict.dropped...)
	if err == nil {
		r.keepBudgets(rule.Name, verdict.budgets)
	}

	seen := map[string]finding{}
	subjects := map[string]bool{}
	for _, f := range verdict.findings {
		if _, twice := seen[f.subject]; !twice {
			seen[f.subject] = f
		}
		subjects[f.subject] = true
	}
	for key := range r.alerts {
		if key.Rule == rule.Name {
			subjects[key.Subject] = true
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(subjects)) {
		r.step(rule, verdict, subject, seen)
	}
}

// say logs what is new about how a rule fares.
func (r *round) say(name string, s storage.RuleState) {
	text := s.Problem + "\x00" + s.Note
	if r.o.said[name] == text {
		return
	}
	known := r.o.said[name]
	r.o.said[name] = text
	log, org := r.e.log, r.v.org.Name
	switch {
	case s.Problem != "":
		r.logs = append(r.logs, func(ctx context.Context) {
			log.ErrorContext(ctx, "a rule cannot be judged: its alerts stay as they are", "organization", org, "rule", name, "err", s.Problem)
		})
	case s.Note != "":
		r.logs = append(r.logs, func(ctx context.Context) {
			log.InfoContext(ctx, "a rule is quiet", "organization", org, "rule", name, "why", s.Note)
		})
	case known != "":
		r.logs = append(r.logs, func(ctx context.Context) {
			log.InfoContext(ctx, "a rule is judged again", "organization", org, "rule", name)
		})
	}
}

func (r *round) keepBudgets(rule string, budgets []storage.Budget) {
	current := map[storage.AlertKey]bool{}
	for _, b := range budgets {
		key := storage.AlertKey{Rule: b.Rule, Subject: b.Subject}
		current[key] = true
		if !reflect.DeepEqual(r.budgets[key], b) {
			r.changes.PutBudgets = append(r.changes.PutBudgets, b)
		}
	}
	for key := range r.budgets {
		if key.Rule == rule && !current[key] {
			r.changes.ForgetBudgets = append(r.changes.ForgetBudgets, key)
		}
	}
}

// step takes one alert of a rule to its next state.
func (r *round) step(rule *rule, verdict verdict, subject string, findings map[string]finding) {
	key := storage.AlertKey{Rule: rule.Name, Subject: subject}
	record, known := r.alerts[key]
	before := record.Alert
	a := before
	a.Organization, a.Rule, a.Subject, a.Severity = r.v.organization, rule.Name, subject, rule.Severity
	s := well
	f, ok := findings[subject]
	switch {
	case ok:
		s = found
	case verdict.over != nil && verdict.over(subject):
		s = over
	case verdict.unknown != nil && verdict.unknown(subject):
		s = unknown
	}
	if ok {
		a.Labels = r.labels(rule, f)
	}
	a.Silenced = r.silenced(a)
	after, event := step(a, s, rule.policy(), r.v.now)
	switch {
	case ok:
		after = apply(after, f)
	case s == well && after.State != spend.Inactive && verdict.well != nil && before.State != spend.Resolved:
		if f, ok = verdict.well(after); ok {
			labels := after.Labels
			after = apply(after, f)
			after.Labels = labels
		}
	}
	after.RunbookURL, after.PageURL = rule.RunbookURL, r.page(rule.Name)
	told := record.Told
	if before.State == spend.Resolved && after.State != spend.Resolved {
		told = nil // of the episode before
	}
	t := telling{alert: after, event: event, rule: rule, detail: f}
	switch event {
	case spend.EventFiring:
		t.to, told = rule.Notify, slices.Clone([]string(rule.Notify))
	case spend.EventReminder:
		t.to = rule.Notify
		for _, n := range rule.Notify {
			if !slices.Contains(told, n) { // who was added since is told that it fires
				t.fresh, told = append(t.fresh, n), append(slices.Clone(told), n)
			}
		}
	case spend.EventResolved:
		t.to = told
	}
	r.keep(key, known, storage.AlertRecord{Alert: after, Told: told}, record, event, t.to)
	if event != "" { // also where nobody is told: the pages show it
		r.told = append(r.told, t)
	}
}

// keep notes what is to be stored of an alert.
func (r *round) keep(
	key storage.AlertKey, known bool, after, before storage.AlertRecord, event spend.Event, to []string,
) {
	from := before.State
	if from == "" {
		from = spend.Inactive
	}
	gone := after.State == spend.Inactive || after.State == spend.Resolved && r.v.now.Sub(after.ResolvedAt) > resolvedFor
	if after.State != from || event != "" {
		shown := after.Alert
		if after.State == spend.Inactive {
			shown.Summary, shown.Value, shown.Limit = before.Summary, before.Value, before.Limit
		}
		if to == nil {
			to = []string{}
		}
		if !(from == spend.Resolved && after.State == spend.Inactive) {
			r.changes.History = append(r.changes.History, storage.AlertChange{
				At: r.v.now, From: from, To: after.State, Event: event, Notifiers: to, Alert: shown,
			})
		}
	}
	switch {
	case gone && known:
		r.changes.ForgetAlerts = append(r.changes.ForgetAlerts, key)
	case !gone && !reflect.DeepEqual(before, after):
		r.changes.Alerts = append(r.changes.Alerts, after)
	}
}

// apply gives the alert what was found.
func apply(a spend.Alert, f finding) spend.Alert {
	a.Value, a.Limit, a.Unit, a.Below, a.AsOf, a.Basis = finite(f.value), finite(f.limit), f.unit, f.below, f.asOf.UTC(), f.basis
	a.Summary, a.Description = oneLine(f.summary), lines(f.description)
	if f.contributors != nil { // else they are those of the last message
		a.Contributors = f.contributors
	}
	return a
}

// finite is the number, or 0 for what JSON cannot write.
func finite(x float64) float64 {
	if x-x != 0 {
		return 0
	}
	return x
}

// labels are what an alert is known by.
func (r *round) labels(rule *rule, f finding) map[string]string {
	out := map[string]string{}
	maps.Copy(out, rule.Labels)
	maps.Copy(out, f.labels)
	out["organization"], out["rule"], out["severity"] = r.v.org.Name, rule.Name, string(rule.Severity)
	return out
}

func (r *round) silenced(a spend.Alert) bool {
	return slices.ContainsFunc(r.silences, func(s storage.Silence) bool { return s.Silences(a.Subject, a.Labels, r.v.now) })
}

// page is the page that shows alerts of the rule.
func (r *round) page(rule string) string {
	if r.e.options.PageURL == "" {
		return ""
	}
	return r.e.options.PageURL + "/alerts?rule=" + url.QueryEscape(rule)
}

// leave closes, without a message, what rules have left that are not there any more.
func (r *round) leave(there map[string]bool) {
	closed := 0
	for key, record := range r.alerts {
		if there[key.Rule] {
			continue
		}
		if a := stepOver(record.Alert, r.v.now); a.State == spend.Resolved && record.State != spend.Resolved {
			closed++
			r.changes.History = append(r.changes.History, storage.AlertChange{
				At: r.v.now, From: record.State, To: a.State, Notifiers: []string{}, Note: "the rule left the configuration", Alert: a,
			})
		}
		r.changes.ForgetAlerts = append(r.changes.ForgetAlerts, key)
	}
	for key := range r.budgets {
		if !there[key.Rule] {
			r.changes.ForgetBudgets = append(r.changes.ForgetBudgets, key)
		}
	}
	for name := range r.states {
		if !there[name] {
			r.changes.ForgetRules = append(r.changes.ForgetRules, name)
		}
	}
	slices.Sort(r.changes.ForgetRules)
	if len(r.changes.ForgetRules) > 0 {
		names := strings.Join(r.changes.ForgetRules, ", ")
		r.logs = append(r.logs, func(ctx context.Context) {
			r.e.log.InfoContext(ctx, "rules left the configuration, what fired is closed without a message", "organization", r.v.org.Name, "rules", names, "closed", closed)
		})
	}
}

// log says what happened, once it is stored.
func (r *round) log(ctx context.Context) {
	for _, f := range r.logs {
		f(ctx)
	}
	for _, c := range r.changes.History {
		level := slog.LevelDebug
		if c.To == spend.Firing && c.From != spend.Firing && c.From != spend.Stale || c.To == spend.Resolved {
			level = slog.LevelInfo
		}
		r.e.log.Log(ctx, level, "alert "+string(c.To), "organization", r.v.org.Name, "rule", c.Alert.Rule, "subject", c.Alert.Subject,
			"summary", c.Alert.Summary, "silenced", c.Alert.Silenced)
	}
}

// beat asks for the heartbeat's URL, whose watcher notices when nobody does any more.
func (e *Engine) beat(ctx context.Context) {
	if e.options.Heartbeat.IsZero() {
		return
	}
	err := func() error {
		target, err := e.options.Heartbeat.Value(ctx, false)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return errors.New("the URL cannot be read")
		}
		answer, err := e.client.Do(req)
		if err != nil {
			return hostOnly(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode >= 300 {
			return fmt.Errorf("%s answers %s", req.URL.Host, answer.Status)
		}
		return nil
	}()
	e.metrics.beat(err == nil)
	if err != nil && ctx.Err() == nil {
		e.log.WarnContext(ctx, "heartbeat failed", "err", err)
	}
}

// hostOnly cuts the URL in an error of the HTTP client to its host: the rest may be a secret.
func hostOnly(err error) error {
	var e *url.Error
	if !errors.As(err, &e) {
		return err
	}
	host := "the URL"
	if u, parseErr := url.Parse(e.URL); parseErr == nil {
		host = u.Host
	}
	return fmt.Errorf("%s: %w", host, e.Err)
}
