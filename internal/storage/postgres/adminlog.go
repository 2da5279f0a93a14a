package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// BeginAdmin stores that a write is about to be made.
func (s *Store) BeginAdmin(ctx context.Context, e storage.AdminEntry) (int64, error) {
	arguments, err := storage.AdminArguments(e.Arguments)
	if err != nil {
		return 0, err
	}
	var id int64
	err = s.writing(ctx, "saving the admin log", func(ptx pgx.Tx) error {
		organization, err := organizationID(ctx, ptx, e.Organization)
		if err != nil {
			return err
		}
		return ptx.QueryRow(ctx, `
			insert into admin_write (organization, started_at, os_user, sudo_user, host, action, target_id, target, arguments)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb)
			returning id`,
			organization, e.StartedAt.Truncate(time.Second), e.User, e.SudoUser, e.Host, e.Action, e.TargetID, e.TargetName, arguments).Scan(&id)
	})
	return id, err
}

// FinishAdmin says how a write ended.
func (s *Store) FinishAdmin(ctx context.Context, id int64, created string, o storage.AdminOutcome) error {
	if err := storage.CheckAdminOutcome(o); err != nil {
		return err
	}
	return s.writing(ctx, "saving the admin log", func(ptx pgx.Tx) error {
		tag, err := ptx.Exec(ctx, `
			update admin_write
			set took_ms = $2, outcome = $3, request_id = $4, error = $5, target_id = case when target_id = '' then $6 else target_id end
			where id = $1 and outcome = 'started'`,
			id, o.Took.Milliseconds(), o.Outcome, o.RequestID, o.Error, created)
		if err == nil && tag.RowsAffected() != 1 {
			return fmt.Errorf("entry %d: %w", id, storage.ErrNotFound)
		}
		return err
	})
}

// AdminLog lists writes, newest first.
func (s *Store) AdminLog(ctx context.Context, f storage.AdminFilter) ([]storage.AdminEntry, error) {
	all, err := list(ctx, s, "reading the admin log", `
		select w.id, o.uuid, w.started_at, w.os_user, w.sudo_user, w.host, w.action, w.target_id, w.target, w.arguments,
			w.took_ms, w.outcome, w.request_id, w.error
		from admin_write w
		join organization o on o.id = w.organization
		where ($1::text = '' or o.uuid = $1::text) and ($2::text = '' or w.outcome = $2::text)
			and ($3::timestamptz is null or w.started_at >= $3) and ($4::timestamptz is null or w.started_at < $4)
		order by w.id desc`,
		[]any{f.Organization, f.Outcome, orNull(f.Window.Start), orNull(f.Window.End)},
		func(row pgx.CollectableRow) (storage.AdminEntry, error) {
			var e storage.AdminEntry
			var took int64
			err := row.Scan(&e.ID, &e.Organization, &e.StartedAt, &e.User, &e.SudoUser, &e.Host, &e.Action, &e.TargetID, &e.TargetName,
				&e.Arguments, &took, &e.Outcome, &e.RequestID, &e.Error)
			e.Took = time.Duration(took) * time.Millisecond
			return e, err
		})
	if err != nil {
		return nil, err
	}
	return f.Select(all), nil
}
