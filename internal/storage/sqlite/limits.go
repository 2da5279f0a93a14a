package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// RateLimits lists all rate limits: the organization's, then each workspace's, in the API's order.
func (s *Store) RateLimits(ctx context.Context, organization string) ([]spend.RateLimit, error) {
	return list(ctx, s, "listing rate limits", `
		select x.workspace_id, x.group_id, x.group_type, x.group_name, x.models, x.limiter, x.value
		from rate_limit x`+byOrganization+`
		order by x.workspace_id, x.position`, []any{organization}, func(scan scanner) (l spend.RateLimit, err error) {
		var models string
		if err := scan(&l.WorkspaceID, &l.GroupID, &l.GroupType, &l.Group, &models, &l.Limiter, &l.Value); err != nil {
			return l, err
		}
		return l, json.Unmarshal([]byte(models), &l.Models)
	})
}

func (o *owner) SaveRateLimits(ctx context.Context, workspaceID string, ls []spend.RateLimit, _ time.Time) error {
	return o.writing(ctx, "saving rate limits", func(t *tx) error {
		return t.replace(ctx, `delete from rate_limit where organization = ? and workspace_id = ?`, []any{o.id, workspaceID}, `
			insert into rate_limit (organization, workspace_id, position, group_id, group_type, group_name, models, limiter, value)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(ls), func(i int) []any {
			l := ls[i]
			models, _ := json.Marshal(l.Models) // a list of strings cannot fail
			return []any{o.id, workspaceID, i, l.GroupID, l.GroupType, l.Group, string(models), l.Limiter, l.Value}
		})
	})
}

// SpendLimits lists all spend limits, in the API's order.
func (s *Store) SpendLimits(ctx context.Context, organization string) ([]spend.SpendLimit, error) {
	return list(ctx, s, "listing spend limits", `
		select x.id, x.scope, x.scope_id, x.amount, x.unlimited, x.period, x.enabled
		from spend_limit x`+byOrganization+`
		order by x.position`, []any{organization}, func(scan scanner) (l spend.SpendLimit, err error) {
		err = scan(&l.ID, &l.Scope, &l.ScopeID, (*int64)(&l.Amount), &l.Unlimited, &l.Period, &l.Enabled)
		return l, err
	})
}

func (o *owner) SaveSpendLimits(ctx context.Context, ls []spend.SpendLimit, _ time.Time) error {
	return o.writing(ctx, "saving spend limits", func(t *tx) error {
		return t.replace(ctx, `delete from spend_limit where organization = ?`, []any{o.id}, `
			insert into spend_limit (organization, position, id, scope, scope_id, amount, unlimited, period, enabled)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(ls), func(i int) []any {
			l := ls[i]
			return []any{o.id, i, l.ID, l.Scope, l.ScopeID, int64(l.Amount), l.Unlimited, l.Period, l.Enabled}
		})
	})
}

// InventoryChanges lists what changed in the window, newest first.
func (s *Store) InventoryChanges(ctx context.Context, organization string, w spend.Window) ([]storage.InventoryChange, error) {
	return list(ctx, s, "listing inventory changes", `
		select x.at, x.kind, x.object_id, x.field, x.old, x.new
		from inventory_change x`+byOrganization+` and x.at >= ? and x.at < ?
		order by x.at desc, x.id desc`, []any{organization, w.Start.Unix(), w.End.Unix()}, func(scan scanner) (c storage.InventoryChange, err error) {
		var at int64
		err = scan(&at, &c.Kind, &c.ID, &c.Field, &c.Old, &c.New)
		c.At = unix(at)
		return c, err
	})
}
