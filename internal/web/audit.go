package web

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// severities, the least first.
var severities = []string{"info", "warning", "critical"}

// keyFinding is a finding of a row of GET /api/v1/keys.
type keyFinding struct {
	Check    string     `json:"check"`
	Severity string     `json:"severity"`
	Since    *time.Time `json:"since"` // null: not known
	What     string     `json:"what"`
	Evidence string     `json:"evidence"`
	Advice   string     `json:"advice"`
	Command  string     `json:"command"` // empty where no command helps
}

func keyFindingOf(f storage.AuditFinding) keyFinding {
	return keyFinding{f.Check, f.Severity, instant(f.Since), f.What, f.Evidence, f.Advice, f.Command}
}

// finding is a row of GET /api/v1/audit.
type finding struct {
	Organization string      `json:"organization"`
	About        string      `json:"about"` // api_key, member, invite, organization
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	WorkspaceID  string      `json:"workspace_id"`
	Workspace    string      `json:"workspace"`
	Owner        string      `json:"owner"`
	Cost30Days   spend.Money `json:"cost_usd_30d"`
	Basis        spend.Basis `json:"basis"`
	keyFinding
}

// evaluation is what an organization's findings rest on, in GET /api/v1/audit. Times are null where
// nothing is known.
type evaluation struct {
	Organization string                   `json:"organization"`
	EvaluatedAt  *time.Time               `json:"evaluated_at"`
	InventoryAt  *time.Time               `json:"inventory_as_of"`
	UsageAt      *time.Time               `json:"usage_as_of"`
	CostAt       *time.Time               `json:"cost_as_of"`
	HistorySince *time.Time               `json:"history_since"`
	MissingHours int64                    `json:"missing_hours"`
	Gaps         []storage.AuditGap       `json:"not_checked"`
	Exceptions   []storage.AuditException `json:"exceptions"`
}

func evaluationOf(o storage.OrganizationState, a storage.Audit) evaluation {
	return evaluation{
		o.Name, instant(a.EvaluatedAt), instant(a.InventoryAt), instant(a.UsageAt), instant(a.CostAt), instant(a.HistorySince), a.MissingHours,
		append([]storage.AuditGap{}, a.Gaps...), append([]storage.AuditException{}, a.Exceptions...),
	}
}

// auditFilter is which findings are asked for; empty lists let all pass.
type auditFilter struct {
	organizations, checks, workspaces, owners []string
	severity                                  string // at least so bad
	text                                      string // somewhere in what it is about, whatever the case
}

// parseAuditFilter reads the parameters that the API and the page have in common.
func parseAuditFilter(values url.Values) (f auditFilter, err error) {
	for name, vs := range values {
		vs = slices.DeleteFunc(slices.Clone(vs), func(v string) bool { return v == "" }) // of a form that was not filled in
		switch name {
		case "organization":
			f.organizations = vs
		case "check":
			f.checks = vs
		case "workspace":
			f.workspaces = vs
		case "owner":
			f.owners = vs
		case "text":
			f.text = strings.ToLower(strings.TrimSpace(strings.Join(vs, " ")))
		case "severity":
			if len(vs) == 0 {
				continue
			}
			if f.severity = vs[0]; len(vs) > 1 || !slices.Contains(severities, f.severity) {
				return f, problem{http.StatusBadRequest, fmt.Sprintf("severity must be one of %s: what is at least so bad", strings.Join(severities, ", "))}
			}
		default:
			return f, problem{http.StatusBadRequest, fmt.Sprintf("unknown parameter %q (organization, workspace, owner, check, severity and text are known)", name)}
		}
	}
	return f, nil
}

// narrow reports whether only some findings are asked for, whatever they are about.
func (f auditFilter) narrow() bool { return len(f.checks) > 0 || f.severity != "" }

func among(list []string, values ...string) bool {
	return len(list) == 0 || slices.ContainsFunc(values, func(v string) bool { return slices.Contains(list, v) })
}

func (f auditFilter) lets(x storage.AuditFinding, workspace string) bool {
	return f.finds(x) && f.about(workspace, x.WorkspaceID, x.Owner, x.Name, x.ID, x.What)
}

// finds reports whether the finding is one of those asked for, whatever it is about.
func (f auditFilter) finds(x storage.AuditFinding) bool {
	return among(f.checks, x.Check) && slices.Index(severities, x.Severity) >= slices.Index(severities, f.severity)
}

// about reports whether it is about something that is asked for.
func (f auditFilter) about(workspace, workspaceID, owner string, texts ...string) bool {
	return among(f.workspaces, workspaceID, workspace) && among(f.owners, owner) && (f.text == "" ||
		slices.ContainsFunc(append(texts, workspace, owner), func(s string) bool { return strings.Contains(strings.ToLower(s), f.text) }))
}

// worstFirst orders findings for people.
func worstFirst(a, b storage.AuditFinding) int {
	return cmp.Or(cmp.Compare(slices.Index(severities, b.Severity), slices.Index(severities, a.Severity)),
		strings.Compare(a.Check, b.Check), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
}

// auditAnswer is the answer of GET /api/v1/audit.
type auditAnswer struct {
	AsOf          *time.Time     `json:"as_of"`
	Organizations []evaluation   `json:"organizations"`
	Data          []finding      `json:"data"`
	Total         map[string]int `json:"total"`
}

// WriteCSV writes the findings with the columns that `monitor audit --format csv` has.
func (a auditAnswer) WriteCSV(w io.Writer) error {
	lines := [][]string{{
		"organization", "severity", "check", "about", "name", "id", "workspace", "owner", "since", "cost_usd_30d", "basis", "what", "evidence", "advice", "command",
	}}
	for _, f := range a.Data {
		since := ""
		if f.Since != nil {
			since = f.Since.Format(time.RFC3339)
		}
		lines = append(lines, []string{
			f.Organization, f.Severity, f.Check, f.About, f.Name, f.ID, f.Workspace, f.Owner, since, f.Cost30Days.String(), string(f.Basis),
			f.What, f.Evidence, f.Advice, f.Command,
		})
	}
	return csv.NewWriter(w).WriteAll(lines)
}

// auditAPI is GET /api/v1/audit: what was found when it was last evaluated, about keys, people and the
// organization, the worst first. As of is when the oldest of the evaluations was made.
func (s *server) auditAPI(r *http.Request) (any, error) {
	filter, err := parseAuditFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	orgs, err := s.Store.Organizations(r.Context())
	if err != nil {
		return nil, err
	}
	out := auditAnswer{Organizations: []evaluation{}, Data: []finding{}, Total: map[string]int{"findings": 0, "info": 0, "warning": 0, "critical": 0}}
	var oldest time.Time
	for _, o := range orgs {
		if !among(filter.organizations, o.Name, o.ID) {
			continue
		}
		a, err := s.Store.Audit(r.Context(), o.ID)
		if err != nil {
			return nil, err
		}
		names, err := s.workspaceNames(r.Context(), o.ID)
		if err != nil {
			return nil, err
		}
		out.Organizations = append(out.Organizations, evaluationOf(o, a))
		if !a.EvaluatedAt.IsZero() && (oldest.IsZero() || a.EvaluatedAt.Before(oldest)) {
			oldest = a.EvaluatedAt
		}
		slices.SortStableFunc(a.Findings, worstFirst)
		for _, f := range a.Findings {
			workspace := cmp.Or(names[f.WorkspaceID], f.WorkspaceID)
			if !filter.lets(f, workspace) {
				continue
			}
			out.Total["findings"]++
			out.Total[f.Severity]++
			out.Data = append(out.Data, finding{
				o.Name, f.About, f.ID, f.Name, f.WorkspaceID, workspace, f.Owner, f.Cost, f.Basis, keyFindingOf(f),
			})
		}
	}
	out.AsOf = instant(oldest)
	return out, nil
}

// workspaceNames are the workspaces' labels by id.
func (s *server) workspaceNames(ctx context.Context, organization string) (map[string]string, error) {
	ws, err := s.Store.Workspaces(ctx, organization)
	names := map[string]string{}
	for _, w := range ws {
		names[w.ID] = cmp.Or(w.Label, w.Name)
	}
	return names, err
}

// findingsByKey are what was last found about each key.
func (s *server) findingsByKey(ctx context.Context, organization string) (map[string][]keyFinding, error) {
	a, err := s.Store.Audit(ctx, organization)
	slices.SortStableFunc(a.Findings, worstFirst)
	by := map[string][]keyFinding{}
	for _, f := range a.Findings {
		if f.About == storage.AboutKey {
			by[f.ID] = append(by[f.ID], keyFindingOf(f))
		}
	}
	return by, err
}
