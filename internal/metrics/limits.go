package metrics

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/anthropic-monitor/monitor/internal/report"
)

var rateLimitUsed = desc("anthropic_rate_limit_used_ratio",
	"Tokens of the fullest minute in the hour before the newest usage, over the limit; without batch and priority, and not for limits on requests. "+
		"An empty workspace is the whole organization; a workspace without a limit of its own is held against the organization's. "+
		"Absent where no usage was read by the minute.",
	"workspace", "model_group", "limiter")

// rateLimits adds the limits and how much of them is used.
func (b *builder) rateLimits(ctx context.Context) error {
	ls, err := b.store.RateLimits(ctx, b.id)
	if err != nil {
		return fmt.Errorf("rate limits: %w", err)
	}
	groups := newLabels()
	for _, l := range ls {
		groups.add(l.GroupID, cmp.Or(l.Group, l.GroupID))
	}
	for _, l := range ls {
		b.gauge(rateLimit, float64(l.Value), b.workspaces.get(l.WorkspaceID), groups.get(l.GroupID), l.Limiter)
	}
	w, err := report.HeadroomWindow(ctx, b.store, b.id)
	if err != nil || w.Empty() {
		return err
	}
	h, err := report.LoadHeadroom(ctx, b.store, b.id, w)
	if err != nil {
		return err
	}
	rows := h.Rows
	if limit := b.options.MaxSeries; limit > 0 && len(rows) > limit {
		// A ratio of several limits would say nothing: the least used are left out.
		slices.SortStableFunc(rows, func(x, y report.HeadroomRow) int { return cmp.Compare(y.Ratio, x.Ratio) })
		b.folded["anthropic_rate_limit_used_ratio"] = len(rows) - limit
		rows = rows[:limit]
	}
	for _, r := range rows {
		b.gauge(rateLimitUsed, r.Ratio, b.workspaces.get(r.WorkspaceID), groups.get(r.GroupID), r.Limiter)
	}
	return nil
}
