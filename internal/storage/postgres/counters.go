package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

func (t *tx) State(ctx context.Context) (time.Time, int64, error) {
	var live *time.Time
	var counted int64
	err := t.QueryRow(ctx, "select live_at, counted_seq from organization where id = $1", t.organization).Scan(&live, &counted)
	return orZero(live), counted, err
}

func (t *tx) PutCounted(ctx context.Context, counted int64) error {
	return t.exec(ctx, "update organization set counted_seq = $2 where id = $1", t.organization, counted)
}

func (t *tx) Counters(ctx context.Context) ([]storage.StoredCounter, error) {
	rows, _ := t.Query(ctx, `
		select id, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type, total, shown, folded
		from counter
		where organization = $1
		order by id`,
		t.organization)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (storage.StoredCounter, error) {
		var c storage.StoredCounter
		err := row.Scan(&c.ID, &c.Name, &c.WorkspaceID, &c.APIKeyID, &c.Model, &c.ServiceTier, &c.CostType, &c.TokenType,
			&c.Total, &c.Shown, &c.Folded)
		return c, err
	})
}

func (t *tx) PutCounters(ctx context.Context, counters []*storage.StoredCounter) error {
	batch := &pgx.Batch{}
	for _, c := range counters {
		if c.ID != 0 {
			batch.Queue("update counter set total = $3, shown = $4, folded = $5 where organization = $1 and id = $2",
				t.organization, c.ID, c.Total, c.Shown, c.Folded)
			continue
		}
		batch.Queue(`
			insert into counter (organization, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type,
				total, shown, folded)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			returning id`,
			t.organization, c.Name, c.WorkspaceID, c.APIKeyID, c.Model, c.ServiceTier, c.CostType, c.TokenType,
			c.Total, c.Shown, c.Folded).QueryRow(func(row pgx.Row) error { return row.Scan(&c.ID) })
	}
	return t.SendBatch(ctx, batch).Close()
}

func (t *tx) CounterDay(ctx context.Context, day time.Time) (map[int64]int64, error) {
	rows, err := t.Query(ctx, "select counter, value from counter_day where organization = $1 and day = $2", t.organization, day)
	if err != nil {
		return nil, err
	}
	parts := map[int64]int64{}
	var counter, value int64
	_, err = pgx.ForEachRow(rows, []any{&counter, &value}, func() error {
		parts[counter] = value
		return nil
	})
	return parts, err
}

func (t *tx) PutCounterDay(ctx context.Context, day time.Time, parts map[int64]int64) error {
	if err := t.exec(ctx, "delete from counter_day where organization = $1 and day = $2", t.organization, day); err != nil {
		return err
	}
	var counters, values []int64
	for c, v := range parts {
		counters, values = append(counters, c), append(values, v)
	}
	return t.exec(ctx, `
		insert into counter_day (organization, day, counter, value)
		select $1, $2, n.*
		from unnest($3::int[], $4::bigint[]) n`,
		t.organization, day, counters, values)
}
