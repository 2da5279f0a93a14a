package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// RateLimits lists all rate limits: the organization's, then each workspace's, in the API's order.
func (s *Store) RateLimits(ctx context.Context, organization string) ([]spend.RateLimit, error) {
	return list(ctx, s, "listing rate limits", `
		select x.workspace_id, x.group_id, x.group_type, x.group_name, x.models, x.limiter, x.value
		from rate_limit x`+byOrganization+`
		order by x.workspace_id collate "C", x.position`, []any{organization}, pgx.RowToStructByPos[spend.RateLimit])
}

func (o *owner) SaveRateLimits(ctx context.Context, workspaceID string, ls []spend.RateLimit, _ time.Time) error {
	return o.writing(ctx, "saving rate limits", func(t *tx) error {
		return t.replace(ctx, "delete from rate_limit where organization = $1 and workspace_id = $2", []any{t.organization, workspaceID}, `
			insert into rate_limit (organization, workspace_id, position, group_id, group_type, group_name, models, limiter, value)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, len(ls), func(i int) []any {
			l := ls[i]
			return []any{t.organization, workspaceID, i, l.GroupID, l.GroupType, l.Group, l.Models, l.Limiter, l.Value}
		})
	})
}

// SpendLimits lists all spend limits, in the API's order.
func (s *Store) SpendLimits(ctx context.Context, organization string) ([]spend.SpendLimit, error) {
	return list(ctx, s, "listing spend limits", `
		select x.id, x.scope, x.scope_id, x.amount, x.unlimited, x.period, x.enabled
		from spend_limit x`+byOrganization+`
		order by x.position`, []any{organization}, func(row pgx.CollectableRow) (spend.SpendLimit, error) {
		var l spend.SpendLimit
		err := row.Scan(&l.ID, &l.Scope, &l.ScopeID, (*int64)(&l.Amount), &l.Unlimited, &l.Period, &l.Enabled)
		return l, err
	})
}

func (o *owner) SaveSpendLimits(ctx context.Context, ls []spend.SpendLimit, _ time.Time) error {
	return o.writing(ctx, "saving spend limits", func(t *tx) error {
		return t.replace(ctx, "delete from spend_limit where organization = $1", []any{t.organization}, `
			insert into spend_limit (organization, position, id, scope, scope_id, amount, unlimited, period, enabled)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, len(ls), func(i int) []any {
			l := ls[i]
			return []any{t.organization, i, l.ID, l.Scope, l.ScopeID, int64(l.Amount), l.Unlimited, l.Period, l.Enabled}
		})
	})
}

// InventoryChanges lists what changed in the window, newest first.
func (s *Store) InventoryChanges(ctx context.Context, organization string, w spend.Window) ([]storage.InventoryChange, error) {
	return list(ctx, s, "listing inventory changes", `
		select x.at, x.kind, x.object_id, x.field, x.old, x.new
		from inventory_change x`+byOrganization+` and x.at >= $2 and x.at < $3
		order by x.at desc, x.id desc`, []any{organization, w.Start, w.End}, pgx.RowToStructByPos[storage.InventoryChange])
}
