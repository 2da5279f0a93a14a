package adminapi

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// analyticsBeta is the beta of both analytics reports.
const analyticsBeta = "analytics-usage-cost-2026-08-24"

// analyticsRows is the number of rows asked for per page.
const analyticsRows = "1000"

// AnalyticsUsage reads the analytics usage report by workspace, key, model, service tier and
// product, with request counts. DataAt is its data_refreshed_at. The window may be 31 days long,
// 24 hours at minute grain.
func (c *Client) AnalyticsUsage(ctx context.Context, q Query) (Answer[spend.Usage], error) {
	r, by, err := analyticsReport[spend.Usage]("analytics/usage", q)
	if err != nil {
		return Answer[spend.Usage]{}, err
	}
	r.place, r.merge = placeUsage, mergeUsage
	r.element = analyticsUsageElement(by)
	return readAnalytics(ctx, c, r)
}

// AnalyticsCosts reads the analytics cost report by the same dimensions, cost type and token type.
// Amount is after discount and before credits, List before discount.
func (c *Client) AnalyticsCosts(ctx context.Context, q Query) (Answer[spend.Cost], error) {
	r, by, err := analyticsReport[spend.Cost]("analytics/cost", q, "cost_type", "token_type")
	if err != nil {
		return Answer[spend.Cost]{}, err
	}
	r.place, r.merge = placeCost, mergeCost
	r.element = analyticsCostElement(by)
	return readAnalytics(ctx, c, r)
}

func analyticsReport[T any](endpoint string, q Query, more ...string) (report[T], grouping, error) {
	if err := q.check(endpoint, spend.Minute, spend.Hour, spend.Day); err != nil {
		return report[T]{}, grouping{}, err
	}
	longest, width := 31*24*time.Hour, "1d"
	switch q.Grain {
	case spend.Minute:
		longest, width = 24*time.Hour, "1m"
	case spend.Hour:
		width = "1h"
	}
	if q.Window.Duration() > longest {
		return report[T]{}, grouping{}, fmt.Errorf("%s: the window %s is longer than %s", endpoint, q.Window, longest)
	}
	var by grouping // a null workspace here is use outside of any
	if !q.Total {
		by.by = append([]string{byWorkspace, byKey, "model", "service_tier", "product"}, more...)
	}
	return report[T]{
		call: pageCall(endpoint), path: "v1/organizations/" + endpoint, window: q.Window, grain: q.Grain, pages: maxPages,
		options: []option.RequestOption{option.WithHeader("anthropic-beta", analyticsBeta)},
		query: url.Values{
			"starting_at":       {q.Window.Start.UTC().Format(time.RFC3339)},
			"ending_at":         {q.Window.End.UTC().Format(time.RFC3339)},
			"time_bucket_width": {width},
			"limit":             {analyticsRows},
			"order_by":          {"time"},
			"order":             {"asc"},
			"group_by[]":        by.by,
		},
	}, by, nil
}

func readAnalytics[T any](ctx context.Context, c *Client, r report[T]) (Answer[T], error) {
	g, err := read(ctx, c, r)
	if err != nil {
		return Answer[T]{}, err
	}
	return Answer[T]{Rows: g.rows, End: g.end, DataAt: g.refreshedAt, ReadAt: g.readAt, Foreign: g.foreign}, nil
}

// analyticsRow is what the rows of both reports have in common. Rows of one bucket follow each
// other, so a time is parsed again only where its text changed.
type analyticsRow struct {
	startingAt, endingAt text
	group                wireDims
}

// read reads a row but for the figures, which are in the member of that name.
func (r *analyticsRow) read(w *walker, known names, figures string, figure func(name []byte) error) error {
	return w.object(func(name []byte) error {
		switch string(name) {
		case "starting_at":
			return w.text(&r.startingAt, known)
		case "ending_at":
			return w.text(&r.endingAt, known)
		case "group":
			return w.object(func(name []byte) error { return r.group.read(w, name, known) })
		case figures:
			return w.object(figure)
		default:
			return w.skip()
		}
	})
}

// analyticsUsageElement reads a row of analytics/usage.
func analyticsUsageElement(by grouping) func(*walker, *gathering[spend.Usage]) error {
	var b buckets
	return func(w *walker, g *gathering[spend.Usage]) error {
		var row analyticsRow
		counts, requests := newWireCounts(), int64(absent)
		err := row.read(w, g.names, "usage", func(name []byte) error {
			if is, err := counts.read(w, name); is {
				return err
			}
			if string(name) == "requests" {
				return w.count(&requests)
			}
			return w.skip()
		})
		if err != nil {
			return err
		}
		field, problem := counts.check()
		if problem == "" {
			field, problem = "requests", checkCount(requests)
		}
		if problem != "" {
			return w.wrong("usage."+field, problem)
		}
		dims, missing := by.dims(&row.group)
		if missing != "" {
			return w.wrong("group."+missing, "is missing")
		}
		g.add(spend.Usage{Dims: dims, Counts: spend.Counts(counts), Requests: requests})
		return settleRow(w, g, len(g.rows)-1, &b, &row)
	}
}

// analyticsCostElement reads a row of analytics/cost.
func analyticsCostElement(by grouping) func(*walker, *gathering[spend.Cost]) error {
	var b buckets
	return func(w *walker, g *gathering[spend.Cost]) error {
		var row analyticsRow
		var money wireMoney
		err := row.read(w, g.names, "cost", func(name []byte) error {
			if is, err := money.read(w, name, g.names); is {
				return err
			}
			return w.skip()
		})
		if err != nil {
			return err
		}
		field, problem := money.check()
		if problem == "" && !money.hasList {
			field, problem = "list_amount", "is missing"
		}
		if problem != "" {
			return w.wrong("cost."+field, problem)
		}
		dims, missing := by.dims(&row.group)
		if missing != "" {
			return w.wrong("group."+missing, "is missing")
		}
		if f, is := money.foreign(dims); is {
			g.foreign = append(g.foreign, f)
			return settleRow(w, g, len(g.rows), &b, &row)
		}
		g.add(spend.Cost{Dims: dims, Amount: money.amount, List: money.list})
		return settleRow(w, g, len(g.rows)-1, &b, &row)
	}
}

// buckets remembers the last bucket and its text.
type buckets struct {
	start, end string
	window     spend.Window
}

// settleRow takes the rows from index from on, which are of the row's bucket, into the answer.
func settleRow[T any](w *walker, g *gathering[T], from int, b *buckets, row *analyticsRow) (err error) {
	if start, end := row.startingAt.s, row.endingAt.s; start != b.start || end != b.end || start == "" {
		var window spend.Window
		if window.Start, err = w.parseTime("starting_at", start); err != nil {
			return err
		}
		if window.End, err = w.parseTime("ending_at", end); err != nil {
			return err
		}
		if field, problem := g.check(window); problem != "" {
			return w.wrong(field, problem)
		}
		*b = buckets{start, end, window}
	}
	if g.settle(from, b.window) {
		e := w.wrong("", "was on an earlier page already")
		e.repeated = true
		return e
	}
	return nil
}
