package postgres

import (
	"context"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (o *owner) SaveTeams(ctx context.Context, ts []storage.TeamOf) error {
	return o.writing(ctx, "saving teams", func(t *tx) error {
		return t.replace(ctx, "delete from team_of where organization = $1", []any{t.organization},
			"insert into team_of (organization, kind, id, team) values ($1, $2, $3, $4)", len(ts), func(i int) []any {
				return []any{t.organization, ts[i].Kind, ts[i].ID, ts[i].Team}
			})
	})
}
