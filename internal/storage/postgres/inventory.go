package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const byOrganization = " join organization o on o.id = x.organization where o.uuid = $1"

const workspaceColumns = `x.id, x.name, x.label, x.label_name, x.is_default, x.created_at, x.archived_at, x.tags, x.first_seen_at, x.gone_at`

func scanWorkspace(row pgx.CollectableRow) (storage.StoredWorkspace, error) {
	var w storage.StoredWorkspace
	var created, archived, gone *time.Time
	err := row.Scan(&w.ID, &w.Name, &w.Label, &w.LabelName, &w.Default, &created, &archived, &w.Tags, &w.FirstSeenAt, &gone)
	w.CreatedAt, w.ArchivedAt, w.GoneAt = orZero(created), orZero(archived), orZero(gone)
	return w, err
}

// Workspaces lists all workspaces, by id.
func (s *Store) Workspaces(ctx context.Context, organization string) ([]spend.Workspace, error) {
	return list(ctx, s, "listing workspaces", `select `+workspaceColumns+` from workspace x`+byOrganization+` order by x.id collate "C"`,
		[]any{organization}, func(row pgx.CollectableRow) (spend.Workspace, error) {
			w, err := scanWorkspace(row)
			return w.Workspace, err
		})
}

func (o *owner) SaveWorkspaces(ctx context.Context, ws []spend.Workspace, now time.Time) error {
	return o.saving(ctx, storage.KindWorkspace, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+workspaceColumns+` from workspace x where x.organization = $1`, []any{t.organization}, scanWorkspace)
		if err != nil {
			return nil, err
		}
		write, changes := storage.MergeWorkspaces(stored, ws, baseline, now)
		return changes, t.each(ctx, `
			insert into workspace (organization, id, name, label, label_name, is_default, created_at, archived_at, tags, first_seen_at, gone_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			on conflict (organization, id) do update
			set name = excluded.name, label = excluded.label, label_name = excluded.label_name, is_default = excluded.is_default,
				created_at = excluded.created_at, archived_at = excluded.archived_at, tags = excluded.tags,
				first_seen_at = excluded.first_seen_at, gone_at = excluded.gone_at`, len(write), func(i int) []any {
			w := write[i]
			return []any{
				t.organization, w.ID, w.Name, w.Label, w.LabelName, w.Default, orNull(w.CreatedAt), orNull(w.ArchivedAt),
				w.Tags, w.FirstSeenAt, orNull(w.GoneAt),
			}
		})
	})
}

const keyColumns = `x.id, x.name, x.label, x.label_name, x.hint, x.status, x.workspace_id, x.created_by_id, x.creator_type, x.principal_id,
	x.created_at, x.expires_at, x.first_seen_at, x.gone_at`

func scanKey(row pgx.CollectableRow, more ...any) (storage.StoredAPIKey, error) {
	var k storage.StoredAPIKey
	var created, expires, gone *time.Time
	err := row.Scan(append([]any{
		&k.ID, &k.Name, &k.Label, &k.LabelName, &k.Hint, &k.Status, &k.WorkspaceID, &k.CreatedByID, &k.CreatorType, &k.PrincipalID,
		&created, &expires, &k.FirstSeenAt, &gone,
	}, more...)...)
	k.CreatedAt, k.ExpiresAt, k.GoneAt = orZero(created), orZero(expires), orZero(gone)
	return k, err
}

// APIKeys lists all keys, by id.
func (s *Store) APIKeys(ctx context.Context, organization string) ([]spend.APIKey, error) {
	return list(ctx, s, "listing API keys", `
		select `+keyColumns+`, u.bucket, u.grain
		from api_key x
		join organization o on o.id = x.organization
		left join key_use u on u.organization = x.organization and u.api_key_id = x.id
		where o.uuid = $1
		order by x.id collate "C"`, []any{organization}, func(row pgx.CollectableRow) (spend.APIKey, error) {
		var bucket *time.Time
		var grain *int64
		k, err := scanKey(row, &bucket, &grain)
		if bucket != nil {
			k.LastUsed = spend.Grain(*grain).Bucket(*bucket)
		}
		return k.APIKey, err
	})
}

func (o *owner) SaveAPIKeys(ctx context.Context, ks []spend.APIKey, now time.Time) error {
	return o.saving(ctx, storage.KindAPIKey, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+keyColumns+` from api_key x where x.organization = $1`, []any{t.organization},
			func(row pgx.CollectableRow) (storage.StoredAPIKey, error) { return scanKey(row) })
		if err != nil {
			return nil, err
		}
		write, changes := storage.MergeAPIKeys(stored, ks, baseline, now)
		return changes, t.each(ctx, `
			insert into api_key (organization, id, name, label, label_name, hint, status, workspace_id, created_by_id, creator_type,
				principal_id, created_at, expires_at, first_seen_at, gone_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			on conflict (organization, id) do update
			set name = excluded.name, label = excluded.label, label_name = excluded.label_name, hint = excluded.hint,
				status = excluded.status, workspace_id = excluded.workspace_id, created_by_id = excluded.created_by_id,
				creator_type = excluded.creator_type, principal_id = excluded.principal_id, created_at = excluded.created_at,
				expires_at = excluded.expires_at, first_seen_at = excluded.first_seen_at, gone_at = excluded.gone_at`,
			len(write), func(i int) []any {
				k := write[i]
				return []any{
					t.organization, k.ID, k.Name, k.Label, k.LabelName, k.Hint, k.Status, k.WorkspaceID, k.CreatedByID, k.CreatorType,
					k.PrincipalID, orNull(k.CreatedAt), orNull(k.ExpiresAt), k.FirstSeenAt, orNull(k.GoneAt),
				}
			})
	})
}

// saving runs f, which writes a list of the inventory, and records the changes it returns.
func (o *owner) saving(ctx context.Context, kind string, f func(t *tx, baseline bool) ([]storage.InventoryChange, error)) error {
	return o.writing(ctx, "saving "+kind+" list", func(t *tx) error {
		first, err := t.Exec(ctx, "insert into inventory_list (organization, kind) values ($1, $2) on conflict do nothing", t.organization, kind)
		if err != nil {
			return err
		}
		changes, err := f(t, first.RowsAffected() == 1)
		if err != nil {
			return err
		}
		return t.each(ctx, "insert into inventory_change (organization, at, kind, object_id, field, old, new) values ($1, $2, $3, $4, $5, $6, $7)",
			len(changes), func(i int) []any {
				c := changes[i]
				return []any{t.organization, c.At, c.Kind, c.ID, c.Field, c.Old, c.New}
			})
	})
}

const memberColumns = `x.id, x.email, x.name, x.role, x.added_at`

func scanMember(row pgx.CollectableRow) (spend.Member, error) {
	var m spend.Member
	var added *time.Time
	err := row.Scan(&m.ID, &m.Email, &m.Name, &m.Role, &added)
	m.AddedAt = orZero(added)
	return m, err
}

// Members lists the members, by id.
func (s *Store) Members(ctx context.Context, organization string) ([]spend.Member, error) {
	return list(ctx, s, "listing members", `select `+memberColumns+` from member x`+byOrganization+` order by x.id collate "C"`,
		[]any{organization}, scanMember)
}

func (o *owner) SaveMembers(ctx context.Context, ms []spend.Member, now time.Time) error {
	return o.saving(ctx, storage.KindMember, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+memberColumns+` from member x where x.organization = $1`, []any{t.organization}, scanMember)
		if err != nil {
			return nil, err
		}
		return storage.MemberChanges(stored, ms, baseline, now),
			t.replace(ctx, "delete from member where organization = $1", []any{t.organization}, `
				insert into member (organization, id, email, name, role, added_at)
				values ($1, $2, $3, $4, $5, $6)
				on conflict (organization, id) do update
				set email = excluded.email, name = excluded.name, role = excluded.role, added_at = excluded.added_at`,
				len(ms), func(i int) []any {
					m := ms[i]
					return []any{t.organization, m.ID, m.Email, m.Name, m.Role, orNull(m.AddedAt)}
				})
	})
}

const inviteColumns = `x.id, x.email, x.role, x.status, x.invited_at, x.expires_at, x.accepted_at`

func scanInvite(row pgx.CollectableRow) (spend.Invite, error) {
	var i spend.Invite
	var invited, expires, accepted *time.Time
	err := row.Scan(&i.ID, &i.Email, &i.Role, &i.Status, &invited, &expires, &accepted)
	i.InvitedAt, i.ExpiresAt, i.AcceptedAt = orZero(invited), orZero(expires), orZero(accepted)
	return i, err
}

// Invites lists the invites, by id.
func (s *Store) Invites(ctx context.Context, organization string) ([]spend.Invite, error) {
	return list(ctx, s, "listing invites", `select `+inviteColumns+` from invite x`+byOrganization+` order by x.id collate "C"`,
		[]any{organization}, scanInvite)
}

func (o *owner) SaveInvites(ctx context.Context, is []spend.Invite, now time.Time) error {
	return o.saving(ctx, storage.KindInvite, func(t *tx, baseline bool) ([]storage.InventoryChange, error) {
		stored, err := collect(ctx, t, `select `+inviteColumns+` from invite x where x.organization = $1`, []any{t.organization}, scanInvite)
		if err != nil {
			return nil, err
		}
		return storage.InviteChanges(stored, is, baseline, now),
			t.replace(ctx, "delete from invite where organization = $1", []any{t.organization}, `
				insert into invite (organization, id, email, role, status, invited_at, expires_at, accepted_at)
				values ($1, $2, $3, $4, $5, $6, $7, $8)
				on conflict (organization, id) do update
				set email = excluded.email, role = excluded.role, status = excluded.status, invited_at = excluded.invited_at,
					expires_at = excluded.expires_at, accepted_at = excluded.accepted_at`, len(is), func(i int) []any {
				v := is[i]
				return []any{
					t.organization, v.ID, v.Email, v.Role, v.Status, orNull(v.InvitedAt), orNull(v.ExpiresAt), orNull(v.AcceptedAt),
				}
			})
	})
}

// replace removes rows and inserts n others.
func (t *tx) replace(ctx context.Context, remove string, removed []any, insert string, n int, args func(i int) []any) error {
	if err := t.exec(ctx, remove, removed...); err != nil {
		return err
	}
	return t.each(ctx, insert, n, args)
}

// WorkspaceMembers lists who has which role where, by workspace and member.
func (s *Store) WorkspaceMembers(ctx context.Context, organization string) ([]spend.WorkspaceMember, error) {
	return list(ctx, s, "listing workspace members", `
		select x.workspace_id, x.user_id, x.role
		from workspace_member x`+byOrganization+`
		order by x.workspace_id collate "C", x.user_id collate "C"`, []any{organization}, pgx.RowToStructByPos[spend.WorkspaceMember])
}

func (o *owner) SaveWorkspaceMembers(ctx context.Context, workspaceID string, ms []spend.WorkspaceMember, _ time.Time) error {
	return o.writing(ctx, "saving workspace members", func(t *tx) error {
		return t.replace(ctx, "delete from workspace_member where organization = $1 and workspace_id = $2", []any{t.organization, workspaceID}, `
			insert into workspace_member (organization, workspace_id, user_id, role)
			values ($1, $2, $3, $4)
			on conflict (organization, workspace_id, user_id) do update
			set role = excluded.role`, len(ms), func(i int) []any {
			return []any{t.organization, workspaceID, ms[i].UserID, ms[i].Role}
		})
	})
}
