-- +goose Up

-- Whose the use of keys and workspaces is, as the configuration says it of the inventory, for the
-- views. kind: api_key, workspace, or rest, without an id, for what belongs to no team.
create table team_of (
    organization integer not null references organization (id),
    kind         text    not null,
    id           text    not null,
    team         text    not null,
    primary key (organization, kind, id)
) strict, without rowid;

-- Series with the names of things. Use without a key has an empty key. A key's team counts before
-- its workspace's; without teams the column is empty.
drop view stored_name;
create view stored_name as
select s.id as series, case when o.name = '' then o.uuid else o.name end as organization,
    s.workspace_id, coalesce(w.label, s.workspace_id) as workspace,
    case when s.api_key_id = 'none' then '' else s.api_key_id end as api_key_id,
    case when s.api_key_id = 'none' then '' else coalesce(k.label, s.api_key_id) end as api_key,
    s.api_key_id = '' as no_key_known,
    coalesce(tk.team, tw.team, tr.team, '') as team, s.model, s.service_tier, s.context_window, s.inference_geo, s.speed, s.product
from series s
join organization o on o.id = s.organization
left join workspace w on w.organization = s.organization and w.id = s.workspace_id
left join api_key k on k.organization = s.organization and k.id = s.api_key_id
left join team_of tk on tk.organization = s.organization and tk.kind = 'api_key' and tk.id = s.api_key_id
left join team_of tw on tw.organization = s.organization and tw.kind = 'workspace' and tw.id = s.workspace_id
left join team_of tr on tr.organization = s.organization and tr.kind = 'rest' and tr.id = '';

-- +goose Down
drop view stored_name;
create view stored_name as
select s.id as series, case when o.name = '' then o.uuid else o.name end as organization,
    s.workspace_id, coalesce(w.label, s.workspace_id) as workspace,
    case when s.api_key_id = 'none' then '' else s.api_key_id end as api_key_id,
    case when s.api_key_id = 'none' then '' else coalesce(k.label, s.api_key_id) end as api_key,
    s.api_key_id = '' as no_key_known,
    '' as team, s.model, s.service_tier, s.context_window, s.inference_geo, s.speed, s.product
from series s
join organization o on o.id = s.organization
left join workspace w on w.organization = s.organization and w.id = s.workspace_id
left join api_key k on k.organization = s.organization and k.id = s.api_key_id;
drop table team_of;
