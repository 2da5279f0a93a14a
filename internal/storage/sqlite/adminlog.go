package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// BeginAdmin stores that a write is about to be made.
func (s *Store) BeginAdmin(ctx context.Context, e storage.AdminEntry) (id int64, err error) {
	organization, err := s.organizationID(ctx, e.Organization)
	if err != nil {
		return 0, err
	}
	arguments, err := storage.AdminArguments(e.Arguments)
	if err != nil {
		return 0, err
	}
	err = s.writing(ctx, "saving the admin log", func(t *sql.Tx) error {
		result, err := t.ExecContext(ctx, `
			insert into admin_write (organization, started_at, os_user, sudo_user, host, action, target_id, target, arguments)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			organization, e.StartedAt.Unix(), e.User, e.SudoUser, e.Host, e.Action, e.TargetID, e.TargetName, arguments)
		if err != nil {
			return err
		}
		id, err = result.LastInsertId()
		return err
	})
	return id, err
}

// FinishAdmin says how a write ended.
func (s *Store) FinishAdmin(ctx context.Context, id int64, created string, o storage.AdminOutcome) error {
	if err := storage.CheckAdminOutcome(o); err != nil {
		return err
	}
	return s.writing(ctx, "saving the admin log", func(t *sql.Tx) error {
		result, err := t.ExecContext(ctx, `
			update admin_write
			set took_ms = ?, outcome = ?, request_id = ?, error = ?, target_id = case when target_id = '' then ? else target_id end
			where id = ? and outcome = 'started'`,
			o.Took.Milliseconds(), o.Outcome, o.RequestID, o.Error, created, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return fmt.Errorf("entry %d: %w", id, storage.ErrNotFound)
	})
}

// AdminLog lists writes, newest first.
func (s *Store) AdminLog(ctx context.Context, f storage.AdminFilter) ([]storage.AdminEntry, error) {
	all, err := list(ctx, s, "reading the admin log", `
		select w.id, o.uuid, w.started_at, w.os_user, w.sudo_user, w.host, w.action, w.target_id, w.target, w.arguments,
			w.took_ms, w.outcome, w.request_id, w.error
		from admin_write w join organization o on o.id = w.organization
		where (?1 = '' or o.uuid = ?1) and (?2 = '' or w.outcome = ?2)
			and (?3 is null or w.started_at >= ?3) and (?4 is null or w.started_at < ?4)
		order by w.id desc`,
		[]any{f.Organization, f.Outcome, orNull(f.Window.Start), orNull(f.Window.End)},
		func(scan scanner) (e storage.AdminEntry, err error) {
			var started, took int64
			var arguments string
			err = scan(&e.ID, &e.Organization, &started, &e.User, &e.SudoUser, &e.Host, &e.Action, &e.TargetID, &e.TargetName, &arguments,
				&took, &e.Outcome, &e.RequestID, &e.Error)
			e.StartedAt, e.Took = unix(started), time.Duration(took)*time.Millisecond
			if err != nil {
				return e, err
			}
			return e, json.Unmarshal([]byte(arguments), &e.Arguments)
		})
	if err != nil {
		return nil, err
	}
	return f.Select(all), nil
}
