package web

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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
	organizations, checks, workspaces []string
	severity                          string // at least so bad
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
		case "severity":
			if len(vs) == 0 {
				continue
			}
			if f.severity = vs[0]; len(vs) > 1 || !slices.Contains(severities, f.severity) {
				return f, problem{http.StatusBadRequest, fmt.Sprintf("severity must be one of %s: what is at least so bad", strings.Join(severities, ", "))}
			}
		default:
			return f, problem{http.StatusBadRequest, fmt.Sprintf("unknown parameter %q (organization, workspace, check and severity are known)", name)}
		}
	}
	return f, nil
}

// narrow reports whether only some findings are asked for.
func (f auditFilter) narrow() bool {
	return len(f.checks) > 0 || len(f.workspaces) > 0 || f.severity != ""
}

func among(list []string, values ...string) bool {
	return len(list) == 0 || slices.ContainsFunc(values, func(v string) bool { return slices.Contains(list, v) })
}

func (f auditFilter) lets(x storage.AuditFinding, workspace string) bool {
	return among(f.checks, x.Check) && among(f.workspaces, x.WorkspaceID, workspace) &&
		slices.Index(severities, x.Severity) >= slices.Index(severities, f.severity)
}

// worstFirst orders findings for people.
func worstFirst(a, b storage.AuditFinding) int {
	return cmp.Or(cmp.Compare(slices.Index(severities, b.Severity), slices.Index(severities, a.Severity)),
		strings.Compare(a.Check, b.Check), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
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
	out := struct {
		AsOf          *time.Time     `json:"as_of"`
		Organizations []evaluation   `json:"organizations"`
		Data          []finding      `json:"data"`
		Total         map[string]int `json:"total"`
	}{Organizations: []evaluation{}, Data: []finding{}, Total: map[string]int{"findings": 0, "info": 0, "warning": 0, "critical": 0}}
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

// keysData is what the page at /keys shows.
type keysData struct {
	frame
	Filtered      bool
	Filter        struct{ Check, Severity, Workspace string }
	Checks        []string
	Severities    []string
	Workspaces    []string
	Organizations []keysOfOrganization
}

type keysOfOrganization struct {
	Organization string
	storage.AuditAbout
	Counts []count                // of findings, by severity, the worst first
	Others []storage.AuditFinding // about people and the organization
	Keys   []keyOnPage
	Hidden int // keys that are not shown, because nothing asked for was found about them
}

type count struct {
	Name string
	N    int
}

// keyOnPage is a key and what was found about it.
type keyOnPage struct {
	spend.APIKey
	Workspace, Owner string
	NoUseSince       time.Time // where no use was seen: since when; zero if nothing is known
	Cost             storage.KeyCost
	Findings         []storage.AuditFinding
}

func (s *server) keysPage(r *http.Request) (any, error) {
	filter, err := parseAuditFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	orgs, err := s.Store.Organizations(r.Context())
	if err != nil {
		return nil, err
	}
	data := keysData{
		frame:    s.frame(r, "Keys and access", link{"/api/v1/audit", "audit"}, link{"/api/v1/keys", "keys"}),
		Filtered: filter.narrow() || len(filter.organizations) > 0, Severities: severities,
	}
	data.Filter.Severity, data.Filter.Check, data.Filter.Workspace = filter.severity, first(filter.checks), first(filter.workspaces)
	checks, workspaces := map[string]bool{}, map[string]bool{}
	for _, o := range orgs {
		if !among(filter.organizations, o.Name, o.ID) {
			continue
		}
		page, err := s.keysOf(r.Context(), o, filter, checks, workspaces)
		if err != nil {
			return nil, fmt.Errorf("keys of %s: %w", o.Name, err)
		}
		data.Organizations = append(data.Organizations, page)
	}
	data.Checks, data.Workspaces = slices.Sorted(maps.Keys(checks)), slices.Sorted(maps.Keys(workspaces))
	return data, nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// keysOf collects an organization's part of the page, and what can be filtered by.
func (s *server) keysOf(ctx context.Context, o storage.OrganizationState, filter auditFilter, checks, workspaces map[string]bool) (keysOfOrganization, error) {
	page := keysOfOrganization{Organization: o.Name}
	a, err := s.Store.Audit(ctx, o.ID)
	if err != nil {
		return page, err
	}
	page.AuditAbout = a.AuditAbout
	names, err := s.workspaceNames(ctx, o.ID)
	if err != nil {
		return page, err
	}
	members, err := s.Store.Members(ctx, o.ID)
	if err != nil {
		return page, err
	}
	emails := map[string]string{}
	for _, m := range members {
		emails[m.ID] = m.Email
	}
	keys, err := s.Store.APIKeys(ctx, o.ID)
	if err != nil {
		return page, err
	}
	for _, c := range a.Checks {
		checks[c.Name] = true
	}
	slices.SortStableFunc(a.Findings, worstFirst)
	counts, by := map[string]int{}, map[string][]storage.AuditFinding{}
	for _, f := range a.Findings {
		if !filter.lets(f, cmp.Or(names[f.WorkspaceID], f.WorkspaceID)) {
			continue
		}
		counts[f.Severity]++
		if f.About == storage.AboutKey {
			by[f.ID] = append(by[f.ID], f)
		} else {
			page.Others = append(page.Others, f)
		}
	}
	for _, severity := range slices.Backward(severities) {
		page.Counts = append(page.Counts, count{severity, counts[severity]})
	}
	for _, k := range keys {
		if !k.GoneAt.IsZero() {
			continue
		}
		row := keyOnPage{APIKey: k, Workspace: cmp.Or(names[k.WorkspaceID], k.WorkspaceID), Cost: a.Costs[k.ID], Findings: by[k.ID]}
		if row.Workspace != "" {
			workspaces[row.Workspace] = true
		}
		id := cmp.Or(k.PrincipalID, k.CreatedByID)
		row.Owner = cmp.Or(emails[id], id)
		if k.LastUsed.Empty() && !a.HistorySince.IsZero() {
			row.NoUseSince = a.HistorySince
			if k.CreatedAt.After(row.NoUseSince) {
				row.NoUseSince = k.CreatedAt
			}
		}
		if len(row.Findings) == 0 && filter.narrow() {
			page.Hidden++
			continue
		}
		page.Keys = append(page.Keys, row)
	}
	slices.SortStableFunc(page.Keys, func(x, y keyOnPage) int {
		worst := func(k keyOnPage) int {
			if len(k.Findings) == 0 {
				return -1
			}
			return slices.Index(severities, k.Findings[0].Severity)
		}
		return cmp.Or(cmp.Compare(worst(y), worst(x)), cmp.Compare(y.Cost.Cost, x.Cost.Cost), strings.Compare(x.Label, y.Label))
	})
	return page, nil
}
