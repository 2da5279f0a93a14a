package metrics

import (
	"context"
	"fmt"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// drift adds how far estimates are off the bill.
func (b *builder) drift(ctx context.Context) error {
	cs, err := b.store.Checks(ctx, b.id, storage.DriftWindow(b.now))
	if err != nil {
		return fmt.Errorf("checks: %w", err)
	}
	if ratio, ok := storage.DriftOf(cs).Ratio(); ok {
		b.gauge(driftRatio, ratio)
	}
	return nil
}
