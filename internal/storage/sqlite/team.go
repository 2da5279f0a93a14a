package sqlite

import (
	"context"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (o *owner) SaveTeams(ctx context.Context, ts []storage.TeamOf) error {
	return o.writing(ctx, "saving teams", func(t *tx) error {
		return t.replace(ctx, `delete from team_of where organization = ?`, []any{o.id},
			`insert into team_of (organization, kind, id, team) values (?, ?, ?, ?)`, len(ts), func(i int) []any {
				return []any{o.id, ts[i].Kind, ts[i].ID, ts[i].Team}
			})
	})
}
