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

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// keyOrder is a column that keys can be ordered by, and which way its natural order is.
type keyOrder struct {
	Name, Title string
	Number      bool
	compare     func(a, b keyOnPage) int
}

// keyOrders lists the columns of the table of keys. Their natural order has first what is looked for: the
// worst, the dearest, the oldest use, the nearest end.
var keyOrders = []keyOrder{
	{"key", "Key", false, func(a, b keyOnPage) int { return strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)) }},
	{"workspace", "Workspace", false, func(a, b keyOnPage) int {
		return strings.Compare(strings.ToLower(a.Workspace), strings.ToLower(b.Workspace))
	}},
	{"owner", "Owner", false, func(a, b keyOnPage) int { return strings.Compare(a.Owner, b.Owner) }},
	{"status", "Status", false, func(a, b keyOnPage) int {
		return cmp.Or(strings.Compare(a.Status, b.Status), lastIfZero(a.ExpiresAt, b.ExpiresAt))
	}},
	{"used", "Last used", false, func(a, b keyOnPage) int { return a.LastUsed.End.Compare(b.LastUsed.End) }},
	{"cost", "30 days", true, func(a, b keyOnPage) int { return cmp.Compare(b.Cost.Cost, a.Cost.Cost) }},
	{"findings", "Found", false, func(a, b keyOnPage) int {
		return cmp.Or(cmp.Compare(b.worst(), a.worst()), cmp.Compare(len(b.Findings), len(a.Findings)))
	}},
}

// lastIfZero orders times with those that are not known last.
func lastIfZero(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

// defaultKeyOrder is the worst first.
const defaultKeyOrder = "findings"

// keysPageRows is how many keys a page shows.
const keysPageRows = 100

// keysData is what the page at /keys shows.
type keysData struct {
	frame
	Filtered      bool
	Filter        struct{ Check, Severity, Workspace, Owner, Text, Organization string }
	Sort          string // of keyOrders, with a minus in front for the other way
	Page          int
	Checks        []string
	Severities    []string
	Workspaces    []string
	Owners        []string
	Organizations []keysOfOrganization
	CSV           string

	values url.Values // of the filter
}

type keysOfOrganization struct {
	Organization string
	storage.AuditAbout
	Counts []count                // of findings, by severity, the worst first
	Others []storage.AuditFinding // about people and the organization
	Keys   []keyOnPage            // of the page
	Of     int                    // keys on all pages
	Hidden int                    // keys that are not shown, because nothing asked for was found about them
	Cost   report.Figures         // of the keys on all pages
	First  int                    // number of the first key that is shown
}

// Last is the number of the last key that is shown.
func (o keysOfOrganization) Last() int { return o.First + len(o.Keys) - 1 }

// unchecked is why some checks could not be made.
type unchecked struct {
	Checks []string
	Reason string
}

// Unchecked lists the checks that could not be made, by why.
func (o keysOfOrganization) Unchecked() []unchecked {
	var us []unchecked
	for _, g := range o.Gaps {
		i := slices.IndexFunc(us, func(u unchecked) bool { return u.Reason == g.Reason })
		if i < 0 {
			i = len(us)
			us = append(us, unchecked{Reason: g.Reason})
		}
		us[i].Checks = append(us[i].Checks, g.Check)
	}
	return us
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
	Explore          string
}

// worst is how bad the worst finding is; -1 without any.
func (k keyOnPage) worst() int {
	if len(k.Findings) == 0 {
		return -1
	}
	return slices.Index(severities, k.Findings[0].Severity)
}

// Worst is the severity of the worst finding; empty without any.
func (k keyOnPage) Worst() string {
	if len(k.Findings) == 0 {
		return ""
	}
	return k.Findings[0].Severity
}

// Grave are the findings that are worse than worth knowing.
func (k keyOnPage) Grave() []storage.AuditFinding { return k.graver(true) }

// Slight are the other findings.
func (k keyOnPage) Slight() []storage.AuditFinding { return k.graver(false) }

func (k keyOnPage) graver(than bool) (fs []storage.AuditFinding) {
	for _, f := range k.Findings {
		if (slices.Index(severities, f.Severity) > 0) == than {
			fs = append(fs, f)
		}
	}
	return fs
}

// Expires says how an expiry stands against now.
func (k keyOnPage) Expires(now time.Time) string {
	switch days := int(k.ExpiresAt.Sub(now).Hours() / 24); {
	case k.ExpiresAt.IsZero():
		return "never expires"
	case !k.ExpiresAt.After(now):
		return "expired " + day(k.ExpiresAt)
	case days < 60:
		return fmt.Sprintf("expires %s, in %d days", day(k.ExpiresAt), days)
	default:
		return "expires " + day(k.ExpiresAt)
	}
}

// column is the heading of a column of keys: a link that orders by it, the other way where it is the order
// already.
type column struct {
	Title, Href string
	Order       string // of aria-sort; empty: not ordered by it
	Number      bool
}

// Columns are the headings.
func (d keysData) Columns() []column {
	var cs []column
	for _, o := range keyOrders {
		c := column{Title: o.Title, Number: o.Number}
		sort := o.Name
		switch d.Sort {
		case o.Name:
			c.Order, sort = "ascending", "-"+o.Name
		case "-" + o.Name:
			c.Order = "descending"
		}
		c.Href = d.href(sort, 1) + "#keys"
		cs = append(cs, c)
	}
	return cs
}

// href is the page with the same filter.
func (d keysData) href(sort string, page int) string {
	v := maps.Clone(d.values)
	if sort != defaultKeyOrder {
		v.Set("sort", sort)
	}
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if len(v) == 0 {
		return "/keys"
	}
	return "/keys?" + readable(v)
}

// Before leads to the page before this one; empty where there is none.
func (d keysData) Before() string {
	if d.Page == 1 {
		return ""
	}
	return d.href(d.Sort, d.Page-1) + "#keys"
}

// After leads to the page after this one; empty where the organization has no more keys.
func (d keysData) After(o keysOfOrganization) string {
	if o.Of <= d.Page*keysPageRows {
		return ""
	}
	return d.href(d.Sort, d.Page+1) + "#keys"
}

func (s *server) keysPage(r *http.Request) (any, error) {
	values := r.URL.Query()
	data := keysData{
		frame: s.frame(r, "Keys and access", link{"/api/v1/audit", "audit"}, link{"/api/v1/keys", "keys"}),
		Sort:  cmp.Or(values.Get("sort"), defaultKeyOrder), Page: 1, Severities: severities,
	}
	order := slices.IndexFunc(keyOrders, func(o keyOrder) bool { return o.Name == strings.TrimPrefix(data.Sort, "-") })
	if order < 0 {
		return nil, problem{http.StatusBadRequest, fmt.Sprintf("sort: %q is not one of %s; a minus in front is the other way.", data.Sort, names(keyOrders, func(o keyOrder) string { return o.Name }))}
	}
	if v := values.Get("page"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1_000_000 {
			return nil, problem{http.StatusBadRequest, fmt.Sprintf("page: %q is not a number from 1 on.", v)}
		}
		data.Page = n
	}
	values.Del("sort")
	values.Del("page")
	filter, err := parseAuditFilter(values)
	if err != nil {
		return nil, err
	}
	for name, vs := range values {
		if vs = slices.DeleteFunc(vs, func(v string) bool { return v == "" }); len(vs) > 0 {
			values[name] = vs
		} else {
			delete(values, name)
		}
	}
	data.values, data.Filtered = values, len(values) > 0
	f := &data.Filter
	f.Severity, f.Check, f.Workspace, f.Owner = filter.severity, first(filter.checks), first(filter.workspaces), first(filter.owners)
	f.Organization, f.Text = first(filter.organizations), values.Get("text")
	export := maps.Clone(values)
	export.Set("format", "csv")
	data.CSV = "/api/v1/audit?" + readable(export)
	orgs, err := s.Store.Organizations(r.Context())
	if err != nil {
		return nil, err
	}
	known := keyChoices{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, o := range orgs {
		if !among(filter.organizations, o.Name, o.ID) {
			continue
		}
		page, err := s.keysOf(r.Context(), o, filter, known)
		if err != nil {
			return nil, fmt.Errorf("keys of %s: %w", o.Name, err)
		}
		page.arrange(keyOrders[order].compare, strings.HasPrefix(data.Sort, "-"), data.Page)
		data.Organizations = append(data.Organizations, page)
	}
	data.Checks, data.Workspaces, data.Owners = sortedSet(known.checks), sortedSet(known.workspaces), sortedSet(known.owners)
	return data, nil
}

// keyChoices is what can be filtered by.
type keyChoices struct{ checks, workspaces, owners map[string]bool }

func sortedSet(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// arrange orders the keys and keeps those of the page.
func (o *keysOfOrganization) arrange(compare func(a, b keyOnPage) int, reverse bool, page int) {
	slices.SortStableFunc(o.Keys, func(a, b keyOnPage) int {
		c := compare(a, b)
		if reverse {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(b.Cost.Cost, a.Cost.Cost), strings.Compare(a.Label, b.Label), strings.Compare(a.ID, b.ID))
	})
	o.Of = len(o.Keys)
	for _, k := range o.Keys {
		o.Cost.Add(report.Figures{Cost: k.Cost.Cost, Basis: k.Cost.Basis})
	}
	from := min(len(o.Keys), (page-1)*keysPageRows)
	o.First = from + 1
	o.Keys = o.Keys[from:min(len(o.Keys), from+keysPageRows)]
}

// keysOf collects an organization's part of the page, and what can be filtered by.
func (s *server) keysOf(ctx context.Context, o storage.OrganizationState, filter auditFilter, known keyChoices) (keysOfOrganization, error) {
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
		known.checks[c.Name] = true
	}
	slices.SortStableFunc(a.Findings, worstFirst)
	counts, by := map[string]int{}, map[string][]storage.AuditFinding{}
	for _, f := range a.Findings {
		switch {
		case !filter.finds(f):
		case f.About == storage.AboutKey:
			by[f.ID] = append(by[f.ID], f)
		case filter.lets(f, cmp.Or(names[f.WorkspaceID], f.WorkspaceID)):
			counts[f.Severity]++
			page.Others = append(page.Others, f)
		}
	}
	for _, k := range keys {
		if !k.GoneAt.IsZero() {
			continue
		}
		row := keyOnPage{APIKey: k, Workspace: cmp.Or(names[k.WorkspaceID], k.WorkspaceID), Cost: a.Costs[k.ID], Findings: by[k.ID]}
		row.Label = cmp.Or(k.Label, k.Name, k.ID)
		if row.Workspace != "" {
			known.workspaces[row.Workspace] = true
		}
		id := cmp.Or(k.PrincipalID, k.CreatedByID)
		if row.Owner = cmp.Or(emails[id], id); row.Owner != "" {
			known.owners[row.Owner] = true
		}
		if !filter.about(row.Workspace, k.WorkspaceID, row.Owner, row.Label, k.ID, k.Name, k.Hint) {
			continue
		}
		if len(row.Findings) == 0 && filter.narrow() {
			page.Hidden++
			continue
		}
		for _, f := range row.Findings {
			counts[f.Severity]++
		}
		if k.LastUsed.Empty() && !a.HistorySince.IsZero() {
			row.NoUseSince = a.HistorySince
			if k.CreatedAt.After(row.NoUseSince) {
				row.NoUseSince = k.CreatedAt
			}
		}
		row.Explore = "/explore?" + readable(url.Values{"api_key": {k.ID}, "by": {"model"}, "measure": {"cost"}, "organization": {o.Name}, "range": {"30d"}})
		page.Keys = append(page.Keys, row)
	}
	for _, severity := range slices.Backward(severities) {
		page.Counts = append(page.Counts, count{severity, counts[severity]})
	}
	return page, nil
}
