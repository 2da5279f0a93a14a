package storage

import (
	"context"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Missing lists the stretches of the window, whole hours by start, that no slot of any of the facts
// covers: what a sum over the window does not hold although the API has it. It looks no further
// than the data that was read, as the watermarks of the facts' reports tell; where nothing was read
// yet all of the window is missing.
func Missing(ctx context.Context, s Store, organization string, w spend.Window, facts ...spend.Fact) ([]spend.Window, error) {
	marks, err := s.Watermarks(ctx, organization)
	if err != nil {
		return nil, err
	}
	var dataAt time.Time
	var have []spend.Window
	for _, f := range facts {
		for _, m := range marks {
			if slices.Contains(reportsOf[f], m.Report) {
				dataAt = maxTime(dataAt, m.DataAt)
			}
		}
		slots, err := s.Slots(ctx, organization, f, w)
		if err != nil {
			return nil, err
		}
		for _, slot := range slots {
			if f != spend.FactCost || slot.State == Billed {
				have = append(have, slot.Window)
			}
		}
	}
	if !dataAt.IsZero() {
		w.End = minTime(w.End, spend.Hour.Floor(dataAt))
	}
	slices.SortFunc(have, func(a, b spend.Window) int { return a.Start.Compare(b.Start) })
	var missing []spend.Window
	at := w.Start
	for _, x := range append(spend.Join(have), spend.Window{Start: w.End, End: w.End}) {
		if gap := (spend.Window{Start: at, End: minTime(x.Start, w.End)}); !gap.Empty() {
			missing = append(missing, gap)
		}
		at = maxTime(at, x.End)
	}
	return missing, nil
}

// reportsOf are the reports that a fact comes from.
var reportsOf = map[spend.Fact][]spend.Report{
	spend.FactUsage:    {spend.ReportMessages, spend.ReportAnalyticsUsage},
	spend.FactRequests: {spend.ReportAnalyticsUsage},
	spend.FactCost:     {spend.ReportAnalyticsCost, spend.ReportCost},
}
