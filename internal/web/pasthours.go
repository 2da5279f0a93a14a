package web

import (
	"context"
	"slices"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// pastHours is a store that remembers of each organization its last sums by the hour of whole days. A
// forecast needs those of two weeks to tell how much of a day has usually come in by now: it is what the
// overview would wait for longest, and hardly ever differs.
type pastHours struct {
	storage.Store
	memory *memory
}

// Costs answers from memory where it can.
func (p pastHours) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	if q.Step != spend.Hour || len(q.By) > 0 || !q.Window.Aligned(spend.Day) || len(q.Where) != 1 ||
		q.Where[0].Dimension != spend.ByOrganization || len(q.Where[0].Values) != 1 {
		return p.Store.Costs(ctx, q)
	}
	r, err := remember(ctx, p.memory, q.Where[0].Values[0], "hours", q.Window, 0, func() (storage.CostResult, error) {
		return p.Store.Costs(ctx, q)
	})
	r.Rows = slices.Clone(r.Rows)
	return r, err
}
