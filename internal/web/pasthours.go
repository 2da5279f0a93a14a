package web

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// pastHours is a store that remembers of each organization its last sums by the hour of whole days. A
// forecast needs those of two weeks to tell how much of a day has usually come in by now: it is what the
// overview would wait for longest, and hardly ever differs. They are derived: where the store says that
// one of the days has changed, they are read again.
type pastHours struct {
	storage.Store

	mu sync.Mutex
	of map[string]hourSums // by organization; entries are replaced, never changed
}

type hourSums struct {
	seq    int64 // change number up to which they are those of the store
	result storage.CostResult
	asked  spend.Window
}

func newPastHours(store storage.Store) *pastHours {
	return &pastHours{Store: store, of: map[string]hourSums{}}
}

// Costs answers from memory where it can.
func (p *pastHours) Costs(ctx context.Context, q storage.Query) (storage.CostResult, error) {
	if q.Step != spend.Hour || len(q.By) > 0 || !q.Window.Aligned(spend.Day) || len(q.Where) != 1 ||
		q.Where[0].Dimension != spend.ByOrganization || len(q.Where[0].Values) != 1 {
		return p.Store.Costs(ctx, q)
	}
	organization := q.Where[0].Values[0]
	p.mu.Lock()
	sums := p.of[organization]
	p.mu.Unlock()
	// The number first: what changes while the hours are read has a higher one and is read next time.
	changed, seq, err := p.Changed(ctx, organization, sums.seq)
	if err != nil {
		return storage.CostResult{}, fmt.Errorf("changed days: %w", err)
	}
	if sums.asked != q.Window || slices.ContainsFunc(changed, func(day time.Time) bool { return spend.Day.Bucket(day).Overlaps(q.Window) }) {
		sums.asked = q.Window
		if sums.result, err = p.Store.Costs(ctx, q); err != nil {
			return storage.CostResult{}, err
		}
	}
	sums.seq = seq
	p.mu.Lock()
	p.of[organization] = sums
	p.mu.Unlock()
	return storage.CostResult{Window: sums.result.Window, Rows: slices.Clone(sums.result.Rows)}, nil
}
