package team

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Load resolves the teams against what the store has of the organization.
func Load(ctx context.Context, store storage.Store, ts Teams, organization string) (Map, error) {
	if len(ts) == 0 {
		return Map{}, nil
	}
	workspaces, err := store.Workspaces(ctx, organization)
	if err != nil {
		return Map{}, fmt.Errorf("workspaces: %w", err)
	}
	keys, err := store.APIKeys(ctx, organization)
	if err != nil {
		return Map{}, fmt.Errorf("api keys: %w", err)
	}
	return ts.Map(workspaces, keys), nil
}

// CostRow is a row of an answer about costs and whose it is.
type CostRow struct {
	storage.CostRow
	Team string
}

// UsageRow is a row of an answer about usage and whose it is.
type UsageRow struct {
	storage.UsageRow
	Team string
}

// Costs is [storage.Store.Costs], told apart by team with the maps of the organizations, by id. Rows
// have the dimensions that the query names and are in no order; several may differ in
// nothing but their figures. Their sum is that of the query without teams, to the last digit.
//
// Where all use in a cell of the bill is one team's the cell is taken as it is; only where teams share it
// by their keys it is cut, and allocated.
func Costs(ctx context.Context, store storage.Store, q storage.Query, of map[string]Map) ([]CostRow, spend.Window, error) {
	f := fold{query: q, of: of}
	if !f.byKey() {
		whole, err := store.Costs(ctx, with(q, spend.ByWorkspace))
		return f.rows(whole.Rows, nil), whole.Window, err
	}
	split, err := store.Costs(ctx, with(q, spend.ByWorkspace, spend.ByAPIKey))
	if err != nil || f.keyTold() || !slices.ContainsFunc(split.Rows, allocated) {
		return f.rows(nil, split.Rows), split.Window, err
	}
	// The question is asked once more without keys, and of workspaces that teams share by the cells
	// of the bill, so that no more is cut than has to be.
	shared := f.shared(split.Rows)
	theirs := func(r storage.CostRow) bool { return shared[r.WorkspaceID] }
	whole, err := store.Costs(ctx, with(q, spend.ByWorkspace))
	if err != nil {
		return nil, split.Window, err
	}
	rows := f.rows(slices.DeleteFunc(whole.Rows, theirs), slices.DeleteFunc(split.Rows, theirs))
	if len(shared) == 0 {
		return rows, split.Window, nil
	}
	cells := with(q, spend.ByWorkspace)
	cells.Where = append(slices.Clone(q.Where), storage.Match{Dimension: spend.ByWorkspace, Values: slices.Sorted(maps.Keys(shared))})
	cells = with(cells, billed...)
	if whole, err = store.Costs(ctx, cells); err != nil {
		return nil, split.Window, err
	}
	finer, err := store.Costs(ctx, with(cells, spend.ByAPIKey))
	return append(rows, f.rows(whole.Rows, finer.Rows)...), split.Window, err
}

// billed are the dimensions that tell the cells of a bill apart, besides the workspace.
var billed = []spend.Dimension{
	spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo, spend.ByCostType, spend.ByTokenType,
}

func allocated(r storage.CostRow) bool { return r.Basis == spend.Allocated }

// Usage is [storage.Store.Usage], told apart like [Costs].
func Usage(ctx context.Context, store storage.Store, q storage.Query, of map[string]Map) ([]UsageRow, spend.Window, error) {
	result, err := store.Usage(ctx, with(q, spend.ByWorkspace, spend.ByAPIKey))
	if err != nil {
		return nil, result.Window, err
	}
	rows := make([]UsageRow, len(result.Rows))
	for i, r := range result.Rows {
		rows[i] = UsageRow{r, of[r.Organization].Of(r.WorkspaceID, r.APIKeyID)}
		rows[i].Dims = only(q.By, r.Dims)
	}
	return rows, result.Window, nil
}

// with is the query with more dimensions.
func with(q storage.Query, more ...spend.Dimension) storage.Query {
	q.By = slices.Clone(q.By)
	for _, d := range more {
		if !slices.Contains(q.By, d) {
			q.By = append(q.By, d)
		}
	}
	return q
}

// only leaves out the dimensions that the query does not name.
func only(by []spend.Dimension, d spend.Dims) spend.Dims {
	for _, x := range spend.Dimensions {
		if !slices.Contains(by, x) {
			*d.Field(x) = ""
		}
	}
	return d
}

// fold puts an answer by workspace and key together again by team.
type fold struct {
	query storage.Query
	of    map[string]Map
}

// cell is a row of the answer that is not told apart by key.
type cell struct {
	organization string
	start, end   time.Time
	dims         spend.Dims
}

func cellOf(r storage.CostRow) cell {
	r.APIKeyID = ""
	return cell{r.Organization, r.Start, r.End, r.Dims}
}

func (f fold) team(r storage.CostRow) string {
	return f.of[r.Organization].Of(r.WorkspaceID, r.APIKeyID)
}

// teams says for each cell whose it is: the one team that used it, or empty where several did.
func (f fold) teams(split []storage.CostRow) map[cell]string {
	teams := map[cell]string{}
	for _, r := range split {
		c, t := cellOf(r), f.team(r)
		if seen, ok := teams[c]; ok && seen != t {
			t = ""
		}
		teams[c] = t
	}
	return teams
}

// shared lists the workspaces of which cells with shares of a bill belong to several teams.
func (f fold) shared(split []storage.CostRow) map[string]bool {
	teams, shared := f.teams(split), map[string]bool{}
	for _, r := range split {
		if allocated(r) && teams[cellOf(r)] == "" {
			shared[r.WorkspaceID] = true
		}
	}
	return shared
}

// byKey reports whether any team has keys.
func (f fold) byKey() bool {
	for _, m := range f.of {
		if len(m.keys) > 0 {
			return true
		}
	}
	return false
}

// keyTold reports whether the query itself tells keys apart.
func (f fold) keyTold() bool {
	return slices.Contains(f.query.By, spend.ByAPIKey) ||
		slices.ContainsFunc(f.query.Where, func(m storage.Match) bool { return m.Dimension == spend.ByAPIKey })
}

// rows are those of the whole cells that are one team's, and the split ones of the others. Without
// split rows, cells are their workspace's; without whole ones, all are split.
func (f fold) rows(whole, split []storage.CostRow) []CostRow {
	out := make([]CostRow, 0, max(len(whole), len(split)))
	add := func(r storage.CostRow, team string) {
		r.Dims = only(f.query.By, r.Dims)
		out = append(out, CostRow{r, team})
	}
	teams := f.teams(split)
	for _, r := range whole {
		if t, used := teams[cellOf(r)]; !used {
			add(r, f.team(r))
		} else if t != "" {
			add(r, t)
		}
	}
	for _, r := range split {
		if whole == nil || teams[cellOf(r)] == "" {
			add(r, f.team(r))
		}
	}
	return out
}
