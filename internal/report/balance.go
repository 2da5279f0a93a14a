package report

import (
	"context"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// LoadBalance is the prepaid balance of an organization, as [forecast.NewBalance] has it: what was
// entered less what was billed since, and estimated where the bill is not in. Cost counts from the full
// hour that Since lies in; of a day that is known as a whole only, its hours' share. Tokens without a
// known price and hours that were never read make it incomplete.
func LoadBalance(ctx context.Context, store storage.Store, organization string, p forecast.Prepaid, now time.Time) (forecast.Balance, error) {
	if err := p.Validate(now); err != nil {
		return forecast.Balance{}, err
	}
	h, err := LoadHistory(ctx, store, HistoryQuery{Organization: organization, From: now}, now)
	if err != nil {
		return forecast.Balance{}, err
	}
	since := spend.Hour.Floor(p.Since)
	if h.AsOf.IsZero() || !since.Before(h.AsOf) {
		return forecast.NewBalance(p, forecast.Used{Complete: true}, h.History, now)
	}
	w := spend.Window{Start: since, End: spend.Day.Ceil(h.AsOf)}
	missing, err := storage.Missing(ctx, store, organization, spend.Window{Start: since, End: h.AsOf}, spend.FactUsage, spend.FactCost)
	if err != nil {
		return forecast.Balance{}, fmt.Errorf("what is missing in %s: %w", w, err)
	}
	used := daily{days: []spend.Window{w}, cost: make([]spend.Money, 1)}
	midnight := spend.Day.Ceil(since)
	for _, q := range []storage.Query{
		{Window: spend.Window{Start: since, End: midnight}, Step: spend.Hour}, // the first day, where it is cut
		{Window: spend.Window{Start: midnight, End: w.End}, Step: spend.Day},
	} {
		if q.Window.Empty() {
			continue
		}
		q.Where = []storage.Match{{Dimension: spend.ByOrganization, Values: []string{organization}}}
		result, err := store.Costs(ctx, q)
		if err != nil {
			return forecast.Balance{}, fmt.Errorf("costs %s: %w", q.Window, err)
		}
		for _, r := range result.Rows {
			used.add(r, since)
		}
	}
	return forecast.NewBalance(p, forecast.Used{Cost: used.cost[0], Complete: len(missing) == 0 && used.since.Unpriced == 0}, h.History, now)
}
