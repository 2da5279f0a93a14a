package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// names is the inventory as far as a question needs it.
type names struct {
	organizations []storage.OrganizationState // those that the question is about
	all           []string                    // what all are called
	workspaces    map[thing]spend.Workspace
	keys          map[thing]spend.APIKey
}

// thing is a workspace or a key: ids are unique in an organization only (the id "default").
type thing struct{ organization, id string }

// loadNames reads the organizations that the question is about, and what their workspaces and
// keys are called where it asks for them.
func loadNames(ctx context.Context, store storage.Store, p Params) (*names, error) {
	all, err := store.Organizations(ctx)
	if err != nil {
		return nil, fmt.Errorf("organizations: %w", err)
	}
	n := &names{workspaces: map[thing]spend.Workspace{}, keys: map[thing]spend.APIKey{}}
	used := func(d spend.Dimension) bool {
		return slices.Contains(p.By, d) || slices.ContainsFunc(p.Where, func(f Filter) bool { return f.Dimension == d })
	}
	for _, o := range all {
		n.all = append(n.all, o.Name)
		if !p.about(o) {
			continue
		}
		n.organizations = append(n.organizations, o)
		if used(spend.ByWorkspace) {
			ws, err := store.Workspaces(ctx, o.ID)
			if err != nil {
				return nil, fmt.Errorf("workspaces of %s: %w", o.Name, err)
			}
			for _, w := range ws {
				n.workspaces[thing{o.ID, w.ID}] = w
			}
		}
		if used(spend.ByAPIKey) {
			ks, err := store.APIKeys(ctx, o.ID)
			if err != nil {
				return nil, fmt.Errorf("api keys of %s: %w", o.Name, err)
			}
			for _, k := range ks {
				n.keys[thing{o.ID, k.ID}] = k
			}
		}
	}
	return n, nil
}

// about reports whether the question's filters let the organization through.
func (p Params) about(o storage.OrganizationState) bool {
	for _, f := range p.Where {
		if f.Dimension == spend.ByOrganization && !f.matches(o.ID, o.Name) {
			return false
		}
	}
	return true
}

// matches reports whether one of the filter's values means something that is called so.
func (f Filter) matches(called ...string) bool {
	for _, v := range f.Values {
		prefix, pattern := strings.CutSuffix(v, "*")
		for _, c := range called {
			if v == c || pattern && strings.HasPrefix(c, prefix) {
				return true
			}
		}
	}
	return false
}

// everything reports whether the filter lets everything through.
func (f Filter) everything() bool { return slices.Contains(f.Values, "*") }

// Nothing is a filter that means nothing that has figures in the time, and what there is instead.
type Nothing struct {
	Filter
	There []string // what is called, by name
}

func (n Nothing) String() string {
	const most = 12
	there := "nothing else either"
	if len(n.There) > 0 {
		there = strings.Join(n.There[:min(most, len(n.There))], ", ")
		if more := len(n.There) - most; more > 0 {
			there += fmt.Sprintf(" and %d more", more)
		}
	}
	return fmt.Sprintf("Nothing in this time has %s=%s. There is: %s.", n.Dimension, strings.Join(n.Values, " or "), there)
}

// resolve turns the question's filters into ids, and lists the filters that match nothing.
func resolve(ctx context.Context, store storage.Store, n *names, p Params) (where []storage.Match, nothing []Nothing, err error) {
	var orgs []string
	for _, o := range n.organizations {
		orgs = append(orgs, o.ID)
	}
	where = []storage.Match{{Dimension: spend.ByOrganization, Values: orgs}}
	for _, f := range p.Where {
		if f.Dimension == spend.ByOrganization || f.Dimension == spend.ByTeam || f.everything() {
			continue
		}
		seen, err := candidates(ctx, store, n, p, f, orgs)
		if err != nil {
			return nil, nil, err
		}
		var ids, there []string
		for _, x := range seen {
			if name := n.shown(f.Dimension, x); !slices.Contains(there, name) {
				there = append(there, name)
			}
			if f.matches(n.called(f.Dimension, x)...) && !slices.Contains(ids, x.id) {
				ids = append(ids, x.id)
			}
		}
		if len(ids) == 0 {
			slices.Sort(there)
			nothing = append(nothing, Nothing{f, there})
		}
		slices.Sort(ids)
		where = append(where, storage.Match{Dimension: f.Dimension, Values: ids})
	}
	return where, nothing, nil
}

// candidates lists what a filter may mean: what has figures in the window. Figures outlive the
// inventory, and models and tiers are in no inventory.
func candidates(
	ctx context.Context, store storage.Store, n *names, p Params, f Filter, orgs []string,
) ([]thing, error) {
	q := storage.Query{
		Window: p.window(), By: []spend.Dimension{f.Dimension},
		Where: []storage.Match{{Dimension: spend.ByOrganization, Values: orgs}},
	}
	rs, _, err := rows(ctx, store, p.Kind, q, nil)
	if err != nil {
		return nil, err
	}
	var seen []thing
	for _, r := range rs {
		seen = append(seen, thing{r.OrganizationID, *r.Field(f.Dimension)})
	}
	return seen, nil
}

// called lists what a filter may call a value of the dimension: its id, its name, and the label
// that answers show it by.
func (n *names) called(d spend.Dimension, x thing) []string {
	switch {
	case d == spend.ByAPIKey && x.id == spend.NoKey:
		return []string{""} // not "none": a key may be named so
	case d == spend.ByAPIKey && x.id == "":
		return []string{Unattributed}
	case d == spend.ByAPIKey:
		return append(known(n.keys[x].Name, n.keys[x].Label), x.id)
	case d == spend.ByWorkspace:
		return append(known(n.workspaces[x].Name, n.workspaces[x].Label), x.id)
	default:
		return []string{x.id}
	}
}

// shown is what answers call a value of the dimension.
func (n *names) shown(d spend.Dimension, x thing) string {
	var r Row
	r.OrganizationID = x.organization
	*r.Field(d) = x.id
	n.label(&r, []spend.Dimension{d})
	return orDash(r.Name(d))
}

// known leaves out the empty names of what is not in the inventory.
func known(called ...string) []string {
	return slices.DeleteFunc(called, func(s string) bool { return s == "" })
}

// label gives a row the names of its ids.
func (n *names) label(r *Row, by []spend.Dimension) {
	r.Organization = r.OrganizationID
	for _, o := range n.organizations {
		if o.ID == r.OrganizationID {
			r.Organization = o.Name
		}
	}
	for _, d := range by {
		switch d {
		case spend.ByWorkspace:
			r.Workspace = r.WorkspaceID
			if w := n.workspaces[thing{r.OrganizationID, r.WorkspaceID}]; w.Label != "" {
				r.Workspace = w.Label
			}
		case spend.ByAPIKey:
			r.APIKey = r.APIKeyID
			if k := n.keys[thing{r.OrganizationID, r.APIKeyID}]; k.Label != "" {
				r.APIKey = k.Label
			}
			switch r.APIKeyID {
			case spend.NoKey:
				r.APIKey = ""
			case "":
				r.APIKey = Unattributed
			}
		}
	}
}
