package metrics

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// readTeams adds the cost by team of the days in the window.
func (h *costHistory) readTeams(ctx context.Context, b *builder, w spend.Window, days map[time.Time]dayCost) error {
	if len(b.options.Teams) == 0 {
		return nil
	}
	rows, _, err := team.Costs(ctx, b.store, storage.Query{
		Window: w, Step: spend.Day,
		Where: []storage.Match{{Dimension: spend.ByOrganization, Values: []string{b.id}}},
	}, map[string]team.Map{b.id: h.of})
	if err != nil {
		return fmt.Errorf("costs by team: %w", err)
	}
	for _, r := range rows {
		day, ok := days[r.Start]
		if !ok {
			return fmt.Errorf("costs by team: a row begins at %s, outside of %s", r.Start, w)
		}
		day.teams[teamPart{r.Team, r.Basis}] += r.Cost
	}
	return nil
}

// teamPoint is a series of the gauge of teams. There are no more teams than the configuration has,
// so none are folded.
type teamPoint struct {
	teamPart
	period string
}

func (b *builder) teamGauge(points map[teamPoint]spend.Money) {
	for _, p := range sortedKeys(points, func(p, q teamPoint) int {
		return cmp.Or(cmp.Compare(p.team, q.team), cmp.Compare(p.period, q.period), cmp.Compare(p.basis, q.basis))
	}) {
		b.gauge(teamCost, points[p].USD(), p.team, p.period, string(p.basis))
	}
}
