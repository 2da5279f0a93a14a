package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (t *tx) State(ctx context.Context) (liveAt time.Time, counted int64, err error) {
	var live sql.NullInt64
	err = t.QueryRowContext(ctx, `select live_at, counted_seq from organization where id = ?`, t.organization).Scan(&live, &counted)
	return null(live), counted, err
}

func (t *tx) PutCounted(ctx context.Context, counted int64) error {
	_, err := t.ExecContext(ctx, `update organization set counted_seq = ? where id = ?`, counted, t.organization)
	return err
}

func (t *tx) Counters(ctx context.Context) ([]storage.StoredCounter, error) {
	rows, err := t.QueryContext(ctx, `
		select id, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type, total, shown, folded
		from counter
		where organization = ?
		order by id`, t.organization)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []storage.StoredCounter
	for rows.Next() {
		var c storage.StoredCounter
		err := rows.Scan(&c.ID, &c.Name, &c.WorkspaceID, &c.APIKeyID, &c.Model, &c.ServiceTier, &c.CostType, &c.TokenType, &c.Total, &c.Shown, &c.Folded)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

func (t *tx) PutCounters(ctx context.Context, counters []*storage.StoredCounter) error {
	for _, c := range counters {
		if c.ID != 0 {
			_, err := t.ExecContext(ctx, `update counter set total = ?, shown = ?, folded = ? where id = ?`, c.Total, c.Shown, c.Folded, c.ID)
			if err != nil {
				return err
			}
			continue
		}
		err := t.QueryRowContext(ctx, `
			insert into counter (organization, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type, total, shown, folded)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			returning id`,
			t.organization, c.Name, c.WorkspaceID, c.APIKeyID, c.Model, c.ServiceTier, c.CostType, c.TokenType, c.Total, c.Shown, c.Folded).Scan(&c.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) CounterDay(ctx context.Context, day time.Time) (map[int64]int64, error) {
	rows, err := t.QueryContext(ctx, `select counter, value from counter_day where organization = ? and day = ?`, t.organization, day.Unix())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	parts := map[int64]int64{}
	for rows.Next() {
		var id, value int64
		if err := rows.Scan(&id, &value); err != nil {
			return nil, err
		}
		parts[id] = value
	}
	return parts, rows.Err()
}

func (t *tx) PutCounterDay(ctx context.Context, day time.Time, parts map[int64]int64) error {
	_, err := t.ExecContext(ctx, `delete from counter_day where organization = ? and day = ?`, t.organization, day.Unix())
	if err != nil {
		return err
	}
	ids := make([]int64, 0, len(parts))
	for id := range parts {
		ids = append(ids, id)
	}
	return t.each(ctx, `insert into counter_day (organization, day, counter, value) values (?, ?, ?, ?)`, len(ids), func(i int) []any {
		return []any{t.organization, day.Unix(), ids[i], parts[ids[i]]}
	})
}
