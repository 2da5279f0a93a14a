package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// WithTeams is the question with the teams that its dimension team means. Its error says that it
// asks for teams where there are none, or for one that does not exist, and which ones do.
func (p Params) WithTeams(ts team.Teams) (Params, error) {
	p.Teams = ts
	if !p.uses(spend.ByTeam) {
		return p, nil
	}
	if len(ts) == 0 {
		return p, fmt.Errorf("no teams are configured, so nothing can be told by team (section teams of the configuration)")
	}
	names := append(ts.Names(), team.Unmapped)
	for _, f := range p.Where {
		for _, v := range f.Values {
			if f.Dimension == spend.ByTeam && !slices.ContainsFunc(names, func(n string) bool { return team.Matches(v, n) }) {
				return p, fmt.Errorf("no team is called %q (%s)", v, strings.Join(names, ", "))
			}
		}
	}
	return p, nil
}

// uses reports whether the question groups or filters by the dimension.
func (p Params) uses(d spend.Dimension) bool {
	return slices.Contains(p.By, d) || slices.ContainsFunc(p.Where, func(f Filter) bool { return f.Dimension == d })
}

// teamMaps says for each of the organizations whose the use of a workspace and key is; nil where the
// question does not ask.
func (n *names) teamMaps(ctx context.Context, store storage.Store, p Params) (map[string]team.Map, error) {
	if !p.uses(spend.ByTeam) {
		return nil, nil
	}
	maps := map[string]team.Map{}
	for _, o := range n.organizations {
		m, err := team.Load(ctx, store, p.Teams, o.ID)
		if err != nil {
			return nil, fmt.Errorf("teams of %s: %w", o.Name, err)
		}
		maps[o.ID] = m
	}
	return maps, nil
}

// ofTeams drops the rows of teams that the filters keep out, and forgets the team where the question
// does not group by it.
func (p Params) ofTeams(rs []Row) []Row {
	rs = slices.DeleteFunc(rs, func(r Row) bool { return !p.keeps(r.Team) })
	if !slices.Contains(p.By, spend.ByTeam) {
		for i := range rs {
			rs[i].Team = ""
		}
	}
	return rs
}

// keeps reports whether the filters let the team through.
func (p Params) keeps(name string) bool {
	return !slices.ContainsFunc(p.Where, func(f Filter) bool { return f.Dimension == spend.ByTeam && !f.matches(name) })
}

// stored is the question's dimensions that the store knows.
func (p Params) stored() []spend.Dimension {
	return slices.DeleteFunc(slices.Clone(p.By), func(d spend.Dimension) bool { return d == spend.ByTeam })
}

// costRows asks the store for costs, by team where there are maps.
func costRows(ctx context.Context, store storage.Store, q storage.Query, maps map[string]team.Map) ([]team.CostRow, spend.Window, error) {
	if maps != nil {
		return team.Costs(ctx, store, q, maps)
	}
	result, err := store.Costs(ctx, q)
	out := make([]team.CostRow, len(result.Rows))
	for i, r := range result.Rows {
		out[i].CostRow = r
	}
	return out, result.Window, err
}

// usageRows asks the store for usage, by team where there are maps.
func usageRows(ctx context.Context, store storage.Store, q storage.Query, maps map[string]team.Map) ([]team.UsageRow, spend.Window, error) {
	if maps != nil {
		return team.Usage(ctx, store, q, maps)
	}
	result, err := store.Usage(ctx, q)
	out := make([]team.UsageRow, len(result.Rows))
	for i, r := range result.Rows {
		out[i].UsageRow = r
	}
	return out, result.Window, err
}

// orUnmapped names the team of what has none, also where there are no teams.
func orUnmapped(name string) string {
	if name == "" {
		return team.Unmapped
	}
	return name
}
