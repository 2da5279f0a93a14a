package alerts

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// ByTeam is the dimension of the teams that workspaces and keys are mapped to.
const ByTeam spend.Dimension = "team"

// RuleConfig is one rule of the configuration: common keys, and exactly one of the blocks.
type RuleConfig struct {
	// What the rule is called, in messages, metrics and stored states.
	Name string `yaml:"name"`
	// How bad it is: info, warning or critical.
	Severity spend.Severity `yaml:"severity" jsonschema:"enum=info,enum=warning,enum=critical"`
	// How long it must be found without a break until it fires.
	For config.Duration `yaml:"for"`
	// How long it must not be found without a break until it is resolved.
	KeepFiringFor config.Duration `yaml:"keep_firing_for"`
	// How long until those who were told that it fires are told again; 0 is never.
	Repeat config.Duration `yaml:"repeat"`
	// The notifiers that are told.
	Notify config.OneOrMany[string] `yaml:"notify"`
	// More labels of its alerts.
	Labels map[string]string `yaml:"labels"`
	// Where to read what to do, a URL.
	RunbookURL string `yaml:"runbook_url"`
	// What it is about; everything where nothing is said.
	Where Where `yaml:"where"`
	// One alert per value of these.
	By config.OneOrMany[spend.Dimension] `yaml:"by"`

	// A metric is above or below a limit.
	Threshold *ThresholdConfig `yaml:"threshold"`
	// A percentage of an amount of money is spent, or will be.
	Budget *BudgetConfig `yaml:"budget"`
	// A metric is above what is usual for the hour of the week.
	Anomaly *AnomalyConfig `yaml:"anomaly"`
	// A prepaid balance runs low.
	Balance *BalanceConfig `yaml:"balance"`
	// Something is seen for the first time.
	New *NewConfig `yaml:"new"`
	// The audit finds something about a key or a person.
	Keys *KeysConfig `yaml:"keys"`
	// A report's newest data, or a job's last success, is old.
	Stale *StaleConfig `yaml:"stale"`
}

// SetDefaults sets what every rule starts from.
func (r *RuleConfig) SetDefaults() { r.Severity = spend.Warning }

// Where says what a rule is about: for each dimension a name or id, or several, which may end in *.
type Where struct {
	// Organizations.
	Organization config.OneOrMany[string] `yaml:"organization"`
	// Workspaces.
	Workspace config.OneOrMany[string] `yaml:"workspace"`
	// Models.
	Model config.OneOrMany[string] `yaml:"model"`
	// API keys; "" is use without a key.
	APIKey config.OneOrMany[string] `yaml:"api_key"`
	// Service tiers.
	ServiceTier config.OneOrMany[string] `yaml:"service_tier"`
	// Teams.
	Team config.OneOrMany[string] `yaml:"team"`
}

// filter is the patterns of one dimension.
type filter struct {
	dimension spend.Dimension
	patterns  []string
}

// filters are the filters that are set, but the organization's.
func (w Where) filters() []filter {
	all := []filter{
		{spend.ByWorkspace, w.Workspace}, {spend.ByAPIKey, w.APIKey}, {spend.ByModel, w.Model},
		{spend.ByServiceTier, w.ServiceTier}, {ByTeam, w.Team},
	}
	return slices.DeleteFunc(all, func(f filter) bool { return len(f.patterns) == 0 })
}

// block is what a rule's kind does: it checks its configuration and judges.
type block interface {
	kind() string
	// check notes what is wrong with the block.
	check(p problems, r *RuleConfig)
	// judge says what the rule finds now. Its error says why it cannot tell.
	judge(ctx context.Context, v *view, r *rule) (verdict, error)
}

// blocks lists the blocks that are set.
func (r *RuleConfig) blocks() []block {
	var bs []block
	if r.Threshold != nil {
		bs = append(bs, r.Threshold)
	}
	if r.Budget != nil {
		bs = append(bs, r.Budget)
	}
	if r.Anomaly != nil {
		bs = append(bs, r.Anomaly)
	}
	if r.Balance != nil {
		bs = append(bs, r.Balance)
	}
	if r.New != nil {
		bs = append(bs, r.New)
	}
	if r.Keys != nil {
		bs = append(bs, r.Keys)
	}
	if r.Stale != nil {
		bs = append(bs, r.Stale)
	}
	return bs
}

// Kind is the name of the rule's block.
func (r *RuleConfig) Kind() string {
	if bs := r.blocks(); len(bs) == 1 {
		return bs[0].kind()
	}
	return ""
}

// problems notes what is wrong at a path below the rule.
type problems func(path, format string, args ...any)

var (
	ruleName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 _.:/-]*$`)
	labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// reservedLabels are labels that alerts have by themselves.
var reservedLabels = []string{"organization", "rule", "severity", "threshold", "kind", "period", "alertname", "check"}

// dimensions that rules group and filter by.
var dimensions = []spend.Dimension{spend.ByOrganization, spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, ByTeam}

// CheckRules notes everything that is wrong with the rules, with paths such as
// [2].budget.amount_usd. Notifiers are the names that notify may use.
func CheckRules(rules []RuleConfig, notifiers []string, problem func(path, format string, args ...any)) {
	for i := range rules {
		r := &rules[i]
		p := func(path, format string, args ...any) {
			if path != "" {
				path = "." + path
			}
			problem(fmt.Sprintf("[%d]%s", i, path), format, args...)
		}
		r.check(p, notifiers)
		for j, other := range rules[:i] {
			if r.Name != "" && r.Name == other.Name {
				p("name", "is the name of rules[%d] too", j)
			}
		}
	}
}

func (r *RuleConfig) check(p problems, notifiers []string) {
	switch {
	case r.Name == "":
		p("name", "must be set: alerts are known by it")
	case !ruleName.MatchString(r.Name) || len(r.Name) > 100:
		p("name", "must be letters, digits, spaces and any of _ . : / - (at most 100), and begin with a letter or digit")
	}
	if !slices.Contains(spend.Severities, r.Severity) {
		p("severity", "must be info, warning or critical")
	}
	if r.Repeat != 0 && r.Repeat < config.Duration(time.Minute) {
		p("repeat", "must be at least 1m, or 0 for never")
	}
	for i, n := range r.Notify {
		switch {
		case !slices.Contains(notifiers, n) && len(notifiers) == 0:
			p(fmt.Sprintf("notify[%d]", i), "names %q, but notifiers lists none", n)
		case !slices.Contains(notifiers, n):
			p(fmt.Sprintf("notify[%d]", i), "names %q, which is not in notifiers (there are %s)", n, strings.Join(notifiers, ", "))
		case slices.Contains(r.Notify[:i], n):
			p(fmt.Sprintf("notify[%d]", i), "names %q twice", n)
		}
	}
	for name := range r.Labels {
		if !labelName.MatchString(name) {
			p("labels."+name, "is not a label name: letters, digits and _, not beginning with a digit")
		} else if slices.Contains(reservedLabels, name) || slices.Contains(dimensions, spend.Dimension(name)) {
			p("labels."+name, "is a label that alerts have by themselves")
		}
	}
	if u, err := url.Parse(r.RunbookURL); r.RunbookURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		p("runbook_url", "must be a URL that starts with http:// or https://")
	}
	for _, f := range append(r.Where.filters(), filter{spend.ByOrganization, r.Where.Organization}) {
		for i, v := range f.patterns {
			if strings.Contains(strings.TrimSuffix(v, "*"), "*") {
				p(fmt.Sprintf("where.%s[%d]", f.dimension, i), "may have * at its end only")
			}
		}
	}
	for i, d := range r.By {
		if !slices.Contains(dimensions, d) {
			p(fmt.Sprintf("by[%d]", i), "must be one of %s", join(dimensions))
		} else if slices.Contains(r.By[:i], d) {
			p(fmt.Sprintf("by[%d]", i), "is there twice")
		}
	}
	const names = "threshold, budget, anomaly, balance, new, keys and stale"
	bs := r.blocks()
	switch len(bs) {
	case 0:
		p("", "must have one of %s", names)
	case 1:
		bs[0].check(p, r)
	default:
		p("", "must have exactly one of %s, but has %s and %s", names, bs[0].kind(), bs[1].kind())
	}
}

// onlyOrganizations notes filters and groups that a block has no use for.
func (r *RuleConfig) onlyOrganizations(p problems, kind string) {
	for _, f := range r.Where.filters() {
		p("where."+string(f.dimension), "does not go with %s, which is about a whole organization", kind)
	}
	for i, d := range r.By {
		if d != spend.ByOrganization {
			p(fmt.Sprintf("by[%d]", i), "does not go with %s, which is about a whole organization", kind)
		}
	}
}

// Notes says of rules that are right what may surprise, with paths as in [CheckRules].
func Notes(rules []RuleConfig, note func(path, format string, args ...any)) {
	for i := range rules {
		r := &rules[i]
		if r.Budget != nil {
			r.Budget.notes(func(path, format string, args ...any) { note(fmt.Sprintf("[%d].%s", i, path), format, args...) })
		}
		if len(r.Notify) == 0 {
			note(fmt.Sprintf("[%d].notify", i), "names nobody: alerts of %q show on the pages and in the metrics only", r.Name)
		}
	}
}

// rule is a rule at work on one organization.
type rule struct {
	RuleConfig
	block  block
	groups map[*shape]*grouper // by the shape that they group
}

func newRule(c RuleConfig) *rule {
	return &rule{RuleConfig: c, block: c.blocks()[0], groups: map[*shape]*grouper{}}
}

func (r *rule) policy() policy {
	return policy{For: r.For.Duration(), KeepFiringFor: r.KeepFiringFor.Duration(), Repeat: r.Repeat.Duration()}
}

// About reports whether the rule is about the organization.
func (r *RuleConfig) About(o spend.Organization) bool {
	return len(r.Where.Organization) == 0 || matches(r.Where.Organization, o.Name, o.ID)
}

// finding is one thing that a rule sees at one moment.
type finding struct {
	subject      string // by ids
	labels       map[string]string
	value, limit float64
	unit         spend.Unit
	below        bool
	asOf         time.Time
	basis        spend.Basis
	summary      string
	description  string
	contributors []spend.Contributor
	breakdown    *breakdown // what it is made of, looked up when somebody is told
}

// breakdown is a figure that can be taken apart.
type breakdown struct {
	metric Metric
	window spend.Window
	group  string // of the rule's groups
}

// verdict is what a rule says at one moment. Of subjects that are neither found, unknown nor over
// it says that they are well.
type verdict struct {
	findings []finding
	unknown  func(subject string) bool           // nil: none
	over     func(subject string) bool           // nil: none
	well     func(a spend.Alert) (finding, bool) // what there is to say of an alert that is well; nil: nothing
	note     string                              // what to say of the rule: why it is quiet
	putMarks []storage.BudgetMark
	dropped  []storage.BudgetMark
	budgets  []storage.Budget
}

// nothing is the verdict of a rule that cannot tell yet.
func nothing(note string) verdict {
	return verdict{note: note, unknown: func(string) bool { return true }}
}

// matches reports whether one of the patterns is one of the names, or its beginning where it ends in *.
func matches(patterns []string, names ...string) bool {
	for _, p := range patterns {
		prefix, open := strings.CutSuffix(p, "*")
		for _, n := range names {
			if p == n || open && strings.HasPrefix(n, prefix) {
				return true
			}
		}
	}
	return false
}

func join[T ~string](xs []T) string {
	ss := make([]string, len(xs))
	for i, x := range xs {
		ss[i] = string(x)
	}
	return strings.Join(ss, ", ")
}

// ordered sorts findings, worst first.
func ordered(fs []finding) []finding {
	slices.SortStableFunc(fs, func(a, b finding) int {
		return cmp.Or(cmp.Compare(b.value, a.value), strings.Compare(a.subject, b.subject))
	})
	return fs
}
