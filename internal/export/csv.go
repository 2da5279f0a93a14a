package export

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// CSVBy are the dimensions of a CSV row where none are asked for: those that usage and every bill
// have, so that counts and cost of the same use stand in the same row.
var CSVBy = []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel, spend.ByServiceTier, spend.ByCostType}

// ParseBy reads the dimensions of a CSV row, comma separated or repeated. The team is among the
// default ones where there are teams; whose a row is follows from its workspace and key.
func ParseBy(texts []string, teams team.Teams) ([]spend.Dimension, error) {
	allowed := report.Dimensions(report.Costs)[1:] // the organization always is one
	var by []spend.Dimension
	for _, t := range texts {
		for name := range strings.SplitSeq(t, ",") {
			d := spend.Dimension(strings.TrimSpace(name))
			switch {
			case d == "" || d == spend.ByOrganization || slices.Contains(by, d):
			case slices.Contains(allowed, d):
				by = append(by, d)
			default:
				var names []string
				for _, a := range allowed {
					names = append(names, string(a))
				}
				return nil, fmt.Errorf("--by: unknown dimension %q (%s)", name, strings.Join(names, ", "))
			}
		}
	}
	switch {
	case len(by) == 0 && len(teams) > 0:
		return append(slices.Clone(CSVBy), spend.ByTeam), nil
	case len(by) == 0:
		return CSVBy, nil
	case !slices.Contains(by, spend.ByTeam):
	case len(teams) == 0:
		return nil, errors.New("--by: no teams are configured, so nothing can be told by team (section teams of the configuration)")
	case !slices.Contains(by, spend.ByWorkspace) || !slices.Contains(by, spend.ByAPIKey):
		return nil, errors.New("--by: team goes together with workspace and api_key, which tell whose a row is")
	}
	return by, nil
}

// rowKey is what rows of a CSV file differ in.
type rowKey struct {
	start, end int64
	dims       spend.Dims
	basis      spend.Basis
}

// rowFigures are the numbers of a row.
type rowFigures struct {
	counts     spend.Counts
	requests   int64
	cost, list spend.Money
	unpriced   int64
}

// CSV writes a row for each bucket of the step, combination of the dimensions and basis: counts, cost
// and list price, in the columns of the SQL views. Counts stand once: with figures of several bases,
// in the row of the first.
func (e Exporter) CSV(ctx context.Context, w io.Writer, by []spend.Dimension) (Summary, error) {
	r, err := e.begin(ctx)
	if err != nil {
		return Summary{}, err
	}
	out := csv.NewWriter(w)
	if err := out.Write(r.csvHeader(by)); err != nil {
		return r.summary, err
	}
	costBy := slices.DeleteFunc(slices.Clone(by), func(d spend.Dimension) bool { return d == spend.ByTeam })
	usageBy := slices.DeleteFunc(slices.Clone(costBy), func(d spend.Dimension) bool { return d == spend.ByCostType || d == spend.ByTokenType })
	if err := r.days(ctx, func(o storage.OrganizationState, day spend.Window) error {
		return r.stretches(ctx, o, day, day.Buckets(e.Step), e.Step, costBy, usageBy, func(f figures) error {
			r.note(o, f.usage, f.costs)
			rows := csvRows(f, by)
			for _, k := range slices.SortedFunc(maps.Keys(rows), rowKey.compare) {
				if err := out.Write(r.csvRow(o, by, k, *rows[k])); err != nil {
					return err
				}
				r.summary.Rows++
				r.summary.Cost += rows[k].cost
			}
			return nil
		})
	}); err != nil {
		return r.summary, err
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return r.summary, err
	}
	return r.end(ctx)
}

func (k rowKey) compare(l rowKey) int {
	c := cmp.Or(cmp.Compare(k.start, l.start), cmp.Compare(k.end, l.end))
	for _, d := range spend.Dimensions {
		c = cmp.Or(c, strings.Compare(*k.dims.Field(d), *l.dims.Field(d)))
	}
	return cmp.Or(c, strings.Compare(string(k.basis), string(l.basis)))
}

// csvRows joins usage and costs of the same bucket and dimensions.
func csvRows(f figures, by []spend.Dimension) map[rowKey]*rowFigures {
	rows := map[rowKey]*rowFigures{}
	row := func(k rowKey) *rowFigures {
		if rows[k] == nil {
			rows[k] = &rowFigures{}
		}
		return rows[k]
	}
	for _, c := range f.costs {
		x := row(rowKey{c.Start.Unix(), c.End.Unix(), c.Dims, c.Basis})
		x.cost += c.Cost
		x.list += c.List
		x.unpriced += c.Unpriced
	}
	bases := []spend.Basis{spend.Allocated, spend.Billed, spend.Estimated, ""} // "": use without any cost
	counted := func(k rowKey) *rowFigures {
		for _, k.basis = range bases {
			if rows[k] != nil {
				return rows[k]
			}
		}
		return row(k)
	}
	byCost, byToken := slices.Contains(by, spend.ByCostType), slices.Contains(by, spend.ByTokenType)
	for _, u := range f.usage {
		at := func(costType, tokenType string) *rowFigures {
			k := rowKey{start: u.Start.Unix(), end: u.End.Unix(), dims: u.Dims}
			if byCost {
				k.dims.CostType = costType
			}
			if byToken {
				k.dims.TokenType = tokenType
			}
			return counted(k)
		}
		for k := range spend.NumKinds {
			if u.Counts[k] != 0 {
				at(k.CostType(), k.TokenType()).counts[k] += u.Counts[k]
			}
		}
		if u.Requests != 0 {
			at(spend.Output.CostType(), "").requests += u.Requests
		}
	}
	return rows
}

// bucketColumn is what the SQL views call the bucket.
func (r *run) bucketColumn() string {
	if r.Step == spend.Day {
		return "day"
	}
	return "bucket"
}

func (r *run) csvHeader(by []spend.Dimension) []string {
	h := []string{r.bucketColumn(), "end", "organization_id", "organization"}
	for _, d := range by {
		if d.Column() != string(d) {
			h = append(h, d.Column())
		}
		h = append(h, string(d))
	}
	h = append(h, "basis")
	for k := range spend.NumKinds {
		h = append(h, report.CountName(k))
	}
	return append(h, "requests", "cost_usd", "list_usd", "unpriced_tokens")
}

func (r *run) csvRow(o storage.OrganizationState, by []spend.Dimension, k rowKey, f rowFigures) []string {
	named := report.Row{OrganizationID: o.ID, Dims: k.dims}
	r.labels.Label(&named, by)
	if slices.Contains(by, spend.ByTeam) {
		named.Team = cmp.Or(r.teams[o.ID].Of(k.dims.WorkspaceID, k.dims.APIKeyID), team.Unmapped)
	}
	form := time.RFC3339
	if r.Step == spend.Day {
		form = time.DateOnly
	}
	line := []string{
		time.Unix(k.start, 0).UTC().Format(form), time.Unix(k.end, 0).UTC().Format(form), o.ID, named.Organization,
	}
	for _, d := range by {
		if d.Column() != string(d) {
			id := *named.Field(d)
			if d == spend.ByAPIKey && id == spend.NoKey {
				id = ""
			}
			line = append(line, id)
		}
		line = append(line, named.Name(d))
	}
	line = append(line, string(k.basis))
	for kind := range spend.NumKinds {
		line = append(line, strconv.FormatInt(f.counts[kind], 10))
	}
	return append(line, strconv.FormatInt(f.requests, 10), f.cost.String(), f.list.String(), strconv.FormatInt(f.unpriced, 10))
}
