package alerts

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// KeysConfig fires for each key or person and check that the audit finds something about. What the
// audit checks, and its exceptions, are in the section audit.
type KeysConfig struct {
	// Only these checks; default: all.
	Checks []string `yaml:"checks"`
	// Only findings that are at least so bad: info, warning or critical.
	MinSeverity spend.Severity `yaml:"min_severity" jsonschema:"enum=info,enum=warning,enum=critical"`
}

// SetDefaults sets what every such rule starts from.
func (c *KeysConfig) SetDefaults() { c.MinSeverity = spend.Warning }

// Checks lists the names of the audit's checks.
var Checks = []string{
	"unused", "never_used", "old", "expiring", "expired_not_archived", "no_expiry", "creator_left", "default_workspace",
	"archived_workspace", "inactive", "woke", "moved", "name", "too_many_keys",
	"too_many_admins", "no_workspace_role", "invite_pending", "foreign_domain",
}

func (*KeysConfig) kind() string { return "keys" }

func (c *KeysConfig) check(p problems, r *RuleConfig) {
	for i, x := range c.Checks {
		if !slices.Contains(Checks, x) {
			p(fmt.Sprintf("keys.checks[%d]", i), "must be one of %s", join(Checks))
		}
	}
	if !slices.Contains(spend.Severities, c.MinSeverity) {
		p("keys.min_severity", "must be info, warning or critical")
	}
	for _, f := range r.Where.filters() {
		if f.dimension != spend.ByWorkspace && f.dimension != spend.ByAPIKey && f.dimension != ByTeam {
			p("where."+string(f.dimension), "does not go with keys")
		}
	}
	for i, d := range r.By {
		if d != spend.ByOrganization {
			p(fmt.Sprintf("by[%d]", i), "does not go with keys, which has an alert for each key and check by itself")
		}
	}
}

func (c *KeysConfig) judge(ctx context.Context, v *view, r *rule) (verdict, error) {
	if v.replay {
		return nothing("what the audit found at past times is not stored"), nil
	}
	if v.options.Audit == nil {
		return verdict{}, errors.New("this program has no audit")
	}
	found, err := v.options.Audit(ctx, v.organization, v.now)
	if err != nil {
		return verdict{}, fmt.Errorf("audit: %w", err)
	}
	var out verdict
	for _, a := range found {
		if len(c.Checks) > 0 && !slices.Contains(c.Checks, a.Check) ||
			slices.Index(spend.Severities, a.Severity) < slices.Index(spend.Severities, c.MinSeverity) || !c.lets(v, r, a) {
			continue
		}
		f := finding{labels: map[string]string{"check": a.Check}, asOf: v.now, summary: a.Summary}
		switch {
		case a.APIKeyID != "":
			f.subject = fmt.Sprintf("api_key=%s,check=%s", a.APIKeyID, a.Check)
			f.labels["api_key"] = v.inventory.label(spend.ByAPIKey, a.APIKeyID)
		default:
			f.subject = fmt.Sprintf("subject=%s,check=%s", a.Subject, a.Check)
			f.labels["subject"] = a.Name
		}
		if a.WorkspaceID != "" {
			f.labels["workspace"] = v.inventory.label(spend.ByWorkspace, a.WorkspaceID)
		}
		out.findings = append(out.findings, f)
	}
	return out, nil
}

// lets reports whether the rule's filters let the finding through.
func (c *KeysConfig) lets(v *view, r *rule, a AuditFinding) bool {
	if len(r.Where.APIKey) > 0 && (a.APIKeyID == "" || !matches(r.Where.APIKey, v.inventory.called(spend.ByAPIKey, a.APIKeyID)...)) {
		return false
	}
	if len(r.Where.Workspace) > 0 && !matches(r.Where.Workspace, v.inventory.called(spend.ByWorkspace, a.WorkspaceID)...) {
		return false
	}
	return len(r.Where.Team) == 0 || v.options.Team != nil && matches(r.Where.Team, v.options.Team(v.organization, a.WorkspaceID, a.APIKeyID))
}
