package adminapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// speedBeta is the beta that lets the usage report be grouped by speed.
const speedBeta = "fast-mode-2026-02-01"

// Usage reads the messages usage report by workspace, key, model, service tier, context window,
// geo and speed, at any grain. Where the beta for speed is refused the rows have no speed, and it
// is not asked for again for a day.
func (c *Client) Usage(ctx context.Context, q Query) (Answer[spend.Usage], error) {
	if err := q.check("usage_report/messages", spend.Minute, spend.Hour, spend.Day); err != nil {
		return Answer[spend.Usage]{}, err
	}
	speed := !q.Total && time.Now().Unix() >= c.withoutSpeed.Load()
	a, err := c.usage(ctx, q, speed)
	var e *Error
	if !speed || !errors.As(err, &e) {
		return a, err
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound:
	default:
		return a, err
	}
	// It may be the beta or the report that is refused: only what works without tells.
	a, err = c.usage(ctx, q, false)
	if err == nil {
		c.withoutSpeed.Store(a.ReadAt.Add(24 * time.Hour).Unix())
		c.log.WarnContext(ctx, "usage cannot be read by speed, reading it without", "err", e)
	}
	return a, err
}

func (c *Client) usage(ctx context.Context, q Query, speed bool) (Answer[spend.Usage], error) {
	r := bucketReport[spend.Usage]("usage_report/messages", q)
	by := grouping{nullWorkspace: orElse(q.DefaultWorkspace, spend.DefaultWorkspace)}
	if !q.Total {
		by.by = []string{byWorkspace, byKey, "model", "service_tier", "context_window", "inference_geo"}
	}
	if speed {
		by.by = append(by.by, bySpeed)
		r.options = append(r.options, option.WithHeader("anthropic-beta", speedBeta))
	}
	r.query["group_by[]"] = by.by
	r.place, r.merge = placeUsage, mergeUsage
	r.element = usageElement(by)
	g, err := read(ctx, c, r)
	if err != nil {
		return Answer[spend.Usage]{}, err
	}
	return g.answer(), nil
}

// usageElement reads a bucket of the usage report.
func usageElement(by grouping) func(*walker, *gathering[spend.Usage]) error {
	return bucketElement(func(w *walker, g *gathering[spend.Usage]) error {
		counts, wire := newWireCounts(), wireDims{}
		err := w.object(func(name []byte) error {
			if is, err := counts.read(w, name); is {
				return err
			}
			return wire.read(w, name, g.names)
		})
		if err != nil {
			return err
		}
		if field, problem := counts.check(); problem != "" {
			return w.wrong(field, problem)
		}
		dims, missing := by.dims(&wire)
		if missing != "" {
			return w.wrong(missing, "is missing")
		}
		g.add(spend.Usage{Dims: dims, Counts: spend.Counts(counts)})
		return nil
	})
}

func placeUsage(u *spend.Usage) (*time.Time, *spend.Dims) { return &u.Bucket, &u.Dims }

func mergeUsage(to, from *spend.Usage) {
	to.Counts.Add(from.Counts)
	to.Requests += from.Requests
}
