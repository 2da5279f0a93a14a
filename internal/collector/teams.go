package collector

import (
	"context"

	"github.com/anthropic-monitor/monitor/internal/team"
)

// storeTeams keeps the mapping in the store as the configuration says it of the inventory: at the
// begin of the work, which a reload is too, and after each reading of the inventory.
func (w *worker) storeTeams(ctx context.Context) error {
	if !w.teamsDue {
		return nil
	}
	m, err := team.Load(ctx, w.Store, w.Teams, w.org.ID)
	if err != nil {
		return err
	}
	if !w.teamsStored || !m.Equal(w.teams) {
		if err := w.owner.SaveTeams(ctx, m.Stored()); err != nil {
			return err
		}
	}
	for _, c := range m.Conflicts() {
		if said := c.String(); !w.saidTeams[said] {
			w.saidTeams[said] = true
			w.log.WarnContext(ctx, "several teams claim the same thing", "conflict", said)
		}
	}
	w.teams, w.teamsStored, w.teamsDue = m, true, false
	return nil
}
