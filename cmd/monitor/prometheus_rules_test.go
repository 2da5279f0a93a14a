package main

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// TestPrometheusRules has Prometheus's tool check the alerting rules and run their unit tests.
func TestPrometheusRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"check", "rules", "rules.yml"},
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "rules_test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), tool(t, "promtool"), args...)
		cmd.Dir = "../../deploy/prometheus"
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "promtool %v: %s", args, out)
		require.Contains(t, string(out), "SUCCESS", "promtool %v", args)
	}
	require.Regexp(t, `(?m)^rule_files: \[rules\.yml\]$`, read(t, "deploy/prometheus/prometheus.yml"))
}

// TestPrometheusRulesTested checks that the unit tests see each alert fire and see it quiet.
func TestPrometheusRulesTested(t *testing.T) {
	t.Parallel()
	var file struct {
		Tests []struct {
			Name  string
			Alert []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/prometheus/rules_test.yml")), &file))
	fires, quiet := map[string]int{}, map[string]int{}
	for _, story := range file.Tests {
		for _, a := range story.Alert {
			if len(a.Expected) > 0 {
				fires[a.Name]++
			} else {
				quiet[a.Name]++
			}
		}
	}
	var names []string
	for _, r := range prometheusRules(t) {
		names = append(names, r.Alert)
		require.Positive(t, fires[r.Alert], "no test in which %s fires", r.Alert)
		require.Positive(t, quiet[r.Alert], "no test in which %s is quiet", r.Alert)
	}
	for name := range fires {
		require.Contains(t, names, name, "rules_test.yml tests an alert that does not exist")
	}
	require.Len(t, names, len(quiet), "alerts, and alerts tested")
}

// TestPrometheusRulesNames checks that the alerting rules and their tests name only metrics, labels
// and values of labels that the monitor exports, and that each rule has what its readers need.
func TestPrometheusRulesNames(t *testing.T) {
	t.Parallel()
	exported := exportedNames{metricsReference(t), read(t, "docs/metrics.md"), read(t, "internal/metrics/testdata/metrics.txt")}
	seen := map[string]bool{}
	for _, r := range prometheusRules(t) {
		require.False(t, seen[r.Alert], "%s is there twice", r.Alert)
		seen[r.Alert] = true
		require.Regexp(t, `^Anthropic[A-Z][A-Za-z]+$`, r.Alert)
		require.Contains(t, exported.reference, "`"+r.Alert+"`", "docs/metrics.md lists the alerts")
		require.Contains(t, []string{"info", "warning", "critical"}, r.Labels["severity"], "severity of %s", r.Alert)
		require.NotEmpty(t, r.For, "for of %s", r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], "summary of %s", r.Alert)
		require.NotEmpty(t, r.Annotations["description"], "description of %s", r.Alert)

		require.NoError(t, exported.check(r.Expr, r.Annotations["summary"]+r.Annotations["description"]), "%s", r.Alert)
	}
	require.NotEmpty(t, seen)
	for _, name := range regexp.MustCompile("`(Anthropic[A-Za-z]+)`").FindAllStringSubmatch(exported.reference, -1) {
		require.Contains(t, seen, name[1], "docs/metrics.md lists an alert that does not exist")
	}

	job := regexp.MustCompile(`job_name: (\S+)`).FindStringSubmatch(read(t, "deploy/prometheus/prometheus.yml"))
	require.Len(t, job, 2)
	for _, m := range regexp.MustCompile(`\bup\{job="([^"]*)"\}`).FindAllStringSubmatch(read(t, "deploy/prometheus/rules.yml"), -1) {
		require.Equal(t, job[1], m[1], "job of up, against prometheus.yml")
	}

	for _, m := range regexp.MustCompile(`(?m)^ +- series: '(.*)'$`).FindAllStringSubmatch(read(t, "deploy/prometheus/rules_test.yml"), -1) {
		if strings.Contains(m[1], `job="anthropic-monitor"`) { // else it is of honor_labels
			_, err := exported.selectors(m[1])
			require.NoError(t, err, "rules_test.yml: %s", m[1])
		}
	}

	t.Run("drift is found", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct{ expr, annotation, want string }{
			{`anthropic_cost_eur{period="today"} > 1`, "", "anthropic_cost_eur is no metric"},
			{`anthropic_cost_usd{day="today"} > 1`, "", "anthropic_cost_usd has no label day"},
			{`anthropic_cost_usd{period=~"today|tomorrow"} > 1`, "", "period of anthropic_cost_usd is never tomorrow"},
			{`sum by (organization, team) (anthropic_cost_usd)`, "", "nothing in the expression has the label team"},
			{`a unless on (check) anthropic_cost_usd`, "", "nothing in the expression has the label check"},
			{`sum by (organization) (anthropic_cost_usd)`, "{{ $labels.modle }}", "nothing in the expression has the label modle"},
			{`sum by (organization) (anthropic_cost_usd)`, "{{ $labels.model }}", "the alert has no label model"},
			{`up{host="a"} == 0`, "", "up has no label host"},
		} {
			require.EqualError(t, exported.check(c.expr, c.annotation), c.want, c.expr)
		}
	})
}

// prometheusRule is an alerting rule of Prometheus.
type prometheusRule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// prometheusRules reads the alerting rules that are deployed.
func prometheusRules(t *testing.T) (all []prometheusRule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []prometheusRule }
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/prometheus/rules.yml")), &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// exportedNames is what the monitor exports: the reference, read and as text, and the golden file.
type exportedNames struct {
	metrics            map[string]exposition
	reference, example string
}

var (
	selector     = regexp.MustCompile(`\b(anthropic_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?`)
	matcher      = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping     = regexp.MustCompile(`\b(by|on|without|ignoring)\s*\(([^)]*)\)`)
	labelInText  = regexp.MustCompile(`\$labels\.(\w+)`)
	targetLabels = []string{"instance", "job"}
)

// labelsOf are the labels that a metric has in Prometheus, which adds those of the target, and
// renames a label of the metric that is called like one of them.
func (e exportedNames) labelsOf(metric string) ([]string, error) {
	if metric == "up" {
		return targetLabels, nil
	}
	exposed, ok := e.metrics[metric]
	if !ok {
		return nil, fmt.Errorf("%s is no metric", metric)
	}
	all := slices.Clone(targetLabels)
	for _, l := range exposed.Labels {
		if slices.Contains(targetLabels, l) {
			l = "exported_" + l
		}
		all = append(all, l)
	}
	row := strings.Index(e.reference, "\n| `"+metric+"` |")
	line, _, _ := strings.Cut(e.reference[row+1:], "\n")
	if row < strings.Index(e.reference, "\n## The daemon\n") || strings.Contains(line, "`organization`") {
		all = append(all, "organization")
	}
	return all, nil
}

// selectors checks the metrics of an expression and the labels that they are selected by, and
// returns all labels of them.
func (e exportedNames) selectors(expr string) (all []string, err error) {
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		labels, err := e.labelsOf(s[1])
		if err != nil {
			return nil, err
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains(labels, m[1]) {
				return nil, fmt.Errorf("%s has no label %s", s[1], m[1])
			}
		}
		all = append(all, labels...)
	}
	return all, nil
}

// values checks that what labels are compared with occurs.
func (e exportedNames) values(expr string) error {
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		if s[1] == "up" {
			continue // of the target, not of the monitor
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			values := []string{m[3]}
			if strings.HasSuffix(m[2], "~") {
				values = strings.Split(m[3], "|")
			}
			for _, v := range values {
				label := strings.TrimPrefix(m[1], "exported_")
				if !strings.Contains(e.reference, "`"+v+"`") && !strings.Contains(e.example, label+`="`+v+`"`) {
					return fmt.Errorf("%s of %s is never %s", m[1], s[1], v)
				}
			}
		}
	}
	return nil
}

// check checks an expression, and a text that is made of its result.
func (e exportedNames) check(expr, text string) error {
	labels, err := e.selectors(expr)
	if err != nil {
		return err
	}
	if len(labels) == 0 {
		return errors.New("the expression is about no metric")
	}
	if err := e.values(expr); err != nil {
		return err
	}
	var kept []string // by the outermost aggregation, which comes first
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		names := regexp.MustCompile(`\w+`).FindAllString(g[2], -1)
		for _, name := range names {
			if !slices.Contains(labels, name) {
				return fmt.Errorf("nothing in the expression has the label %s", name)
			}
		}
		if kept == nil && g[1] == "by" {
			kept = names
		}
	}
	for _, m := range labelInText.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(labels, m[1]) {
			return fmt.Errorf("nothing in the expression has the label %s", m[1])
		}
		if kept != nil && !slices.Contains(kept, m[1]) {
			return fmt.Errorf("the alert has no label %s", m[1])
		}
	}
	return nil
}
