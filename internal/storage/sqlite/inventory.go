package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const byOrganization = ` join organization o on o.id = x.organization where o.uuid = ?`

const workspaceColumns = `x.id, x.name, x.label, x.label_name, x.is_default, x.created_at, x.archived_at, x.tags, x.first_seen_at, x.gone_at`

func scanWorkspace(scan scanner) (w storage.StoredWorkspace, err error) {
	var created, archived, gone sql.NullInt64
	var seen int64
	var tags string
	err = scan(&w.ID, &w.Name, &w.Label, &w.LabelName, &w.Default, &created, &archived, &tags, &seen, &gone)
	if err != nil {
		return w, err
	}
	w.CreatedAt, w.ArchivedAt, w.FirstSeenAt, w.GoneAt = null(created), null(archived), unix(seen), null(gone)
	return w, json.Unmarshal([]byte(tags), &w.Tags)
}

// Workspaces lists all workspaces, by id.
func (s *Store) Workspaces(ctx context.Context, organization string) ([]spend.Workspace, error) {
	return list(ctx, s, "listing workspaces", `select `+workspaceColumns+` from workspace x`+byOrganization+` order by x.id`,
		[]any{organization}, func(scan scanner) (spend.Workspace, error) {
			w, err := scanWorkspace(scan)
			return w.Workspace, err
		})
}

func (o *owner) SaveWorkspaces(ctx context.Context, ws []spend.Workspace, now time.Time) error {
	return o.saving(ctx, storage.KindWorkspace, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+workspaceColumns+` from workspace x where x.organization = ?`, []any{o.id}, scanWorkspace)
		if err != nil {
			return nil, err
		}
		write, changes := storage.MergeWorkspaces(stored, ws, baseline, now)
		return changes, t.each(ctx, `
			insert or replace into workspace (organization, id, name, label, label_name, is_default, created_at, archived_at, tags, first_seen_at, gone_at)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(write), func(i int) []any {
			w := write[i]
			tags, _ := json.Marshal(w.Tags) // a map of strings cannot fail
			return []any{
				o.id, w.ID, w.Name, w.Label, w.LabelName, w.Default, orNull(w.CreatedAt), orNull(w.ArchivedAt),
				string(tags), w.FirstSeenAt.Unix(), orNull(w.GoneAt),
			}
		})
	})
}

const keyColumns = `x.id, x.name, x.label, x.label_name, x.hint, x.status, x.workspace_id, x.created_by_id, x.creator_type, x.principal_id,
	x.created_at, x.expires_at, x.first_seen_at, x.gone_at`

func scanKey(scan scanner, more ...any) (k storage.StoredAPIKey, err error) {
	var created, expires, gone sql.NullInt64
	var seen int64
	err = scan(append([]any{
		&k.ID, &k.Name, &k.Label, &k.LabelName, &k.Hint, &k.Status, &k.WorkspaceID, &k.CreatedByID, &k.CreatorType, &k.PrincipalID,
		&created, &expires, &seen, &gone,
	}, more...)...)
	k.CreatedAt, k.ExpiresAt, k.FirstSeenAt, k.GoneAt = null(created), null(expires), unix(seen), null(gone)
	return k, err
}

// APIKeys lists all keys, by id.
func (s *Store) APIKeys(ctx context.Context, organization string) ([]spend.APIKey, error) {
	return list(ctx, s, "listing API keys", `
		select `+keyColumns+`, u.bucket, u.grain
		from api_key x
			join organization o on o.id = x.organization
			left join key_use u on u.organization = x.organization and u.api_key_id = x.id
		where o.uuid = ?
		order by x.id`, []any{organization}, func(scan scanner) (spend.APIKey, error) {
		var bucket, grain sql.NullInt64
		k, err := scanKey(scan, &bucket, &grain)
		if bucket.Valid {
			k.LastUsed = spend.Grain(grain.Int64).Bucket(unix(bucket.Int64))
		}
		return k.APIKey, err
	})
}

func (o *owner) SaveAPIKeys(ctx context.Context, ks []spend.APIKey, now time.Time) error {
	return o.saving(ctx, storage.KindAPIKey, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+keyColumns+` from api_key x where x.organization = ?`, []any{o.id},
			func(scan scanner) (storage.StoredAPIKey, error) { return scanKey(scan) })
		if err != nil {
			return nil, err
		}
		write, changes := storage.MergeAPIKeys(stored, ks, baseline, now)
		return changes, t.each(ctx, `
			insert or replace into api_key (organization, id, name, label, label_name, hint, status, workspace_id, created_by_id, creator_type,
				principal_id, created_at, expires_at, first_seen_at, gone_at)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, len(write), func(i int) []any {
			k := write[i]
			return []any{
				o.id, k.ID, k.Name, k.Label, k.LabelName, k.Hint, k.Status, k.WorkspaceID, k.CreatedByID, k.CreatorType,
				k.PrincipalID, orNull(k.CreatedAt), orNull(k.ExpiresAt), k.FirstSeenAt.Unix(), orNull(k.GoneAt),
			}
		})
	})
}

// saving runs f, which writes a list of the inventory, and records the changes it returns.
func (o *owner) saving(ctx context.Context, kind string, f func(t *tx, baseline bool) ([]storage.InventoryChange, error)) error {
	return o.writing(ctx, "saving "+kind+" list", func(t *tx) error {
		first, err := t.deleted(ctx, `insert or ignore into inventory_list (organization, kind) values (?, ?)`, o.id, kind)
		if err != nil {
			return err
		}
		changes, err := f(t, first == 1)
		if err != nil {
			return err
		}
		return t.each(ctx, `insert into inventory_change (organization, at, kind, object_id, field, old, new) values (?, ?, ?, ?, ?, ?, ?)`,
			len(changes), func(i int) []any {
				c := changes[i]
				return []any{o.id, c.At.Unix(), c.Kind, c.ID, c.Field, c.Old, c.New}
			})
	})
}

const memberColumns = `x.id, x.email, x.name, x.role, x.added_at`

func scanMember(scan scanner) (m spend.Member, err error) {
	var added sql.NullInt64
	err = scan(&m.ID, &m.Email, &m.Name, &m.Role, &added)
	m.AddedAt = null(added)
	return m, err
}

// Members lists the members, by id.
func (s *Store) Members(ctx context.Context, organization string) ([]spend.Member, error) {
	return list(ctx, s, "listing members", `select `+memberColumns+` from member x`+byOrganization+` order by x.id`, []any{organization}, scanMember)
}

func (o *owner) SaveMembers(ctx context.Context, ms []spend.Member, now time.Time) error {
	return o.saving(ctx, storage.KindMember, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+memberColumns+` from member x where x.organization = ?`, []any{o.id}, scanMember)
		if err != nil {
			return nil, err
		}
		return storage.MemberChanges(stored, ms, baseline, now),
			t.replace(ctx, `delete from member where organization = ?`, []any{o.id},
				`insert or replace into member (organization, id, email, name, role, added_at) values (?, ?, ?, ?, ?, ?)`, len(ms), func(i int) []any {
					m := ms[i]
					return []any{o.id, m.ID, m.Email, m.Name, m.Role, orNull(m.AddedAt)}
				})
	})
}

const inviteColumns = `x.id, x.email, x.role, x.status, x.invited_at, x.expires_at, x.accepted_at`

func scanInvite(scan scanner) (i spend.Invite, err error) {
	var invited, expires, accepted sql.NullInt64
	err = scan(&i.ID, &i.Email, &i.Role, &i.Status, &invited, &expires, &accepted)
	i.InvitedAt, i.ExpiresAt, i.AcceptedAt = null(invited), null(expires), null(accepted)
	return i, err
}

// Invites lists the invites, by id.
func (s *Store) Invites(ctx context.Context, organization string) ([]spend.Invite, error) {
	return list(ctx, s, "listing invites", `select `+inviteColumns+` from invite x`+byOrganization+` order by x.id`, []any{organization}, scanInvite)
}

func (o *owner) SaveInvites(ctx context.Context, is []spend.Invite, now time.Time) error {
	return o.saving(ctx, storage.KindInvite, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+inviteColumns+` from invite x where x.organization = ?`, []any{o.id}, scanInvite)
		if err != nil {
			return nil, err
		}
		return storage.InviteChanges(stored, is, baseline, now),
			t.replace(ctx, `delete from invite where organization = ?`, []any{o.id},
				`insert or replace into invite (organization, id, email, role, status, invited_at, expires_at, accepted_at)
				values (?, ?, ?, ?, ?, ?, ?, ?)`, len(is), func(n int) []any {
					i := is[n]
					return []any{o.id, i.ID, i.Email, i.Role, i.Status, orNull(i.InvitedAt), orNull(i.ExpiresAt), orNull(i.AcceptedAt)}
				})
	})
}

// replace deletes, then inserts n rows.
func (t *tx) replace(ctx context.Context, remove string, removed []any, insert string, n int, args func(i int) []any) error {
	if _, err := t.ExecContext(ctx, remove, removed...); err != nil {
		return err
	}
	return t.each(ctx, insert, n, args)
}

// WorkspaceMembers lists who has which role where, by workspace and member.
func (s *Store) WorkspaceMembers(ctx context.Context, organization string) ([]spend.WorkspaceMember, error) {
	return list(ctx, s, "listing workspace members", `
		select x.workspace_id, x.user_id, x.role
		from workspace_member x`+byOrganization+`
		order by x.workspace_id, x.user_id`, []any{organization}, func(scan scanner) (m spend.WorkspaceMember, err error) {
		err = scan(&m.WorkspaceID, &m.UserID, &m.Role)
		return m, err
	})
}

func (o *owner) SaveWorkspaceMembers(ctx context.Context, workspaceID string, ms []spend.WorkspaceMember, _ time.Time) error {
	return o.writing(ctx, "saving workspace members", func(t *tx) error {
		return t.replace(ctx, `delete from workspace_member where organization = ? and workspace_id = ?`, []any{o.id, workspaceID},
			`insert or replace into workspace_member (organization, workspace_id, user_id, role) values (?, ?, ?, ?)`, len(ms), func(i int) []any {
				return []any{o.id, workspaceID, ms[i].UserID, ms[i].Role}
			})
	})
}
