package adminapi

import (
	"context"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Costs reads the cost report, by workspace and description, by the day: it knows no other grain.
// Model, tier, context window, geo, cost type and token type are what the API reads from the
// description. List is the amount: the report does not tell a list price.
func (c *Client) Costs(ctx context.Context, q Query) (Answer[spend.Cost], error) {
	if err := q.check("cost_report", spend.Day); err != nil {
		return Answer[spend.Cost]{}, err
	}
	r := bucketReport[spend.Cost]("cost_report", q)
	by := grouping{nullWorkspace: orElse(q.DefaultWorkspace, spend.DefaultWorkspace)}
	if !q.Total {
		by.by = []string{byWorkspace, "description"}
	}
	r.query["group_by[]"] = by.by
	r.place, r.merge = placeCost, mergeCost
	r.element = costElement(by)
	g, err := read(ctx, c, r)
	if err != nil {
		return Answer[spend.Cost]{}, err
	}
	return g.answer(), nil
}

// costElement reads a bucket of the cost report.
func costElement(by grouping) func(*walker, *gathering[spend.Cost]) error {
	return bucketElement(func(w *walker, g *gathering[spend.Cost]) error {
		var money wireMoney
		var wire wireDims
		err := w.object(func(name []byte) error {
			if is, err := money.read(w, name, g.names); is {
				return err
			}
			return wire.read(w, name, g.names)
		})
		if err != nil {
			return err
		}
		if field, problem := money.check(); problem != "" {
			return w.wrong(field, problem)
		}
		dims, missing := by.dims(&wire)
		if missing != "" {
			return w.wrong(missing, "is missing")
		}
		if f, is := money.foreign(dims); is {
			g.foreign = append(g.foreign, f)
			return nil
		}
		g.add(spend.Cost{Dims: dims, Amount: money.amount, List: money.amount})
		return nil
	})
}

func placeCost(c *spend.Cost) (*time.Time, *spend.Dims) { return &c.Bucket, &c.Dims }

func mergeCost(to, from *spend.Cost) {
	to.Amount += from.Amount
	to.List += from.List
}
