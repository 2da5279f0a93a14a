package collector

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// mostLocated bounds for how many days of a pass the rows are looked for that differ.
const mostLocated = 3

// place is what both generations of cost reports tell of a row.
type place struct{ workspace, model, costType, tokenType string }

func placeOf(d spend.Dims) place {
	p := place{d.WorkspaceID, d.Model, d.CostType, d.TokenType}
	if p.tokenType == "" {
		p.model = "" // the older report tells it of tokens only
	}
	return p
}

func (p place) String() string {
	var parts []string
	for _, x := range []struct{ name, value string }{
		{"workspace", p.workspace}, {"model", p.model}, {"cost type", p.costType}, {"token type", p.tokenType},
	} {
		if x.value != "" {
			parts = append(parts, x.name+" "+x.value)
		}
	}
	return strings.Join(parts, ", ")
}

// locate asks the other generation's report for the rows of a day whose bills differ, and names
// where the difference is; empty if it is nowhere in particular.
func (r *reconciliation) locate(ctx context.Context, other spend.Report, d spend.Window) (string, error) {
	ask := r.Client.Costs
	if isAnalytics(other) {
		ask = r.Client.AnalyticsCosts
	}
	asking, cancel := r.asking(ctx)
	defer cancel()
	answer, err := ask(asking, adminapi.Query{Window: d, Grain: spend.Day, DefaultWorkspace: r.workspace})
	if err != nil {
		return "", err
	}
	stored, err := r.Store.Costs(ctx, r.query(d, spend.ByWorkspace, spend.ByModel, spend.ByCostType, spend.ByTokenType))
	if err != nil {
		return "", err
	}
	ours, theirs := map[place]sums{}, map[place]sums{}
	for _, c := range stored.Rows {
		s := ours[placeOf(c.Dims)]
		ours[placeOf(c.Dims)] = sums{amount: s.amount + c.Cost, list: s.list + c.List}
	}
	for _, c := range answer.Rows {
		s := theirs[placeOf(c.Dims)]
		theirs[placeOf(c.Dims)] = sums{amount: s.amount + c.Amount, list: s.list + c.List}
	}
	return nameDifference(ours, theirs, isAnalytics(other)), nil
}

// nameDifference names the places whose amounts differ, the largest difference first. Theirs are of
// analytics, or else ours are; the older report has either its amounts or its list amounts.
func nameDifference(ours, theirs map[place]sums, analytics bool) string {
	type difference struct {
		place
		ours, theirs spend.Money
	}
	var fewest []difference
	for i, list := range []bool{false, true} {
		var ds []difference
		all := maps.Clone(ours)
		maps.Copy(all, theirs)
		for p := range all {
			a, b := ours[p].amount, theirs[p].amount
			if list && analytics {
				b = theirs[p].list
			} else if list {
				a = ours[p].list
			}
			if !near(a, b) {
				ds = append(ds, difference{p, a, b})
			}
		}
		if i == 0 || len(ds) < len(fewest) {
			fewest = ds
		}
	}
	if len(fewest) == 0 || 2*len(fewest) > len(ours)+1 {
		return ""
	}
	size := func(d difference) spend.Money { return max(d.ours-d.theirs, d.theirs-d.ours) }
	slices.SortFunc(fewest, func(a, b difference) int {
		return cmp.Or(cmp.Compare(size(b), size(a)), strings.Compare(a.String(), b.String()))
	})
	d := fewest[0]
	text := fmt.Sprintf("it is in %s: $%s here, $%s there", d.place, d.ours, d.theirs)
	if n := len(fewest) - 1; n > 0 {
		text += fmt.Sprintf("; and %d smaller ones", n)
	}
	return text
}

// located adds to checks of bills that differ where the difference is.
func (r *reconciliation) located(ctx context.Context, other spend.Report, cs []storage.Check) error {
	n := 0
	for i, c := range cs {
		if c.Name != storage.CheckCostReports || !off(c.Verdict) || n == mostLocated {
			continue
		}
		n++
		text, err := r.locate(ctx, other, spend.Day.Bucket(c.Day))
		if err != nil {
			return err
		}
		cs[i].Explanation = text
	}
	return nil
}
