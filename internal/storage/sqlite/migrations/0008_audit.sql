-- +goose Up

-- When each list of the inventory was last read, and when it was refused to the credential.
create table list_read (
    organization integer not null references organization (id),
    list         text    not null,
    read_at      integer,
    refused_at   integer,
    reason       text    not null default '',
    primary key (organization, list)
) strict, without rowid;

-- The newest evaluation of the audit of keys and access. about: a JSON object that says what it rests on.
create table audit (
    organization integer primary key references organization (id),
    evaluated_at integer not null,
    about        text    not null
) strict;

-- What it found. subject: an id, empty for the organization.
create table audit_finding (
    organization integer not null references organization (id),
    about        text    not null, -- api_key, member, invite, organization
    subject_id   text    not null,
    finding      text    not null, -- the check's name
    severity     text    not null,
    subject      text    not null,
    workspace_id text    not null,
    owner        text    not null,
    since        integer,
    what         text    not null,
    evidence     text    not null,
    advice       text    not null,
    command      text    not null,
    cost         integer not null,
    basis        text    not null,
    primary key (organization, about, subject_id, finding)
) strict, without rowid;

-- What each key cost in the 30 days before, where that is not nothing.
create table audit_cost (
    organization integer not null references organization (id),
    api_key_id   text    not null,
    cost         integer not null,
    basis        text    not null,
    primary key (organization, api_key_id)
) strict, without rowid;

-- A row for each finding about a key, and one without a finding for each other key that is listed;
-- what is about all keys together has no key.
create view api_key_audit as
select case when o.name = '' then o.uuid else o.name end as organization, k.id as api_key_id, k.label as api_key,
    coalesce(w.label, k.workspace_id) as workspace,
    coalesce(m.email, case when k.principal_id = '' then k.created_by_id else k.principal_id end) as owner, k.status,
    strftime('%Y-%m-%dT%H:%M:%SZ', k.created_at, 'unixepoch') as created_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', k.expires_at, 'unixepoch') as expires_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', u.bucket + u.grain, 'unixepoch') as last_used_at,
    case when a.evaluated_at is not null then coalesce(c.cost, 0) / 1e9 end as cost_usd_30d,
    coalesce(f.finding, '') as finding, coalesce(f.severity, '') as severity,
    strftime('%Y-%m-%dT%H:%M:%SZ', f.since, 'unixepoch') as since, coalesce(f.what, '') as what, coalesce(f.command, '') as command,
    strftime('%Y-%m-%dT%H:%M:%SZ', a.evaluated_at, 'unixepoch') as evaluated_at,
    case when a.evaluated_at is not null then coalesce(c.cost, 0) end as cost_nano_30d
from api_key k
    join organization o on o.id = k.organization
    left join workspace w on w.organization = k.organization and w.id = k.workspace_id
    left join member m on m.organization = k.organization and m.id = case when k.principal_id = '' then k.created_by_id else k.principal_id end
    left join key_use u on u.organization = k.organization and u.api_key_id = k.id
    left join audit a on a.organization = k.organization
    left join audit_cost c on c.organization = k.organization and c.api_key_id = k.id
    left join audit_finding f on f.organization = k.organization and f.about = 'api_key' and f.subject_id = k.id
where k.gone_at is null
union all
select case when o.name = '' then o.uuid else o.name end, '', '', '', '', '', null, null, null, null, f.finding, f.severity,
    strftime('%Y-%m-%dT%H:%M:%SZ', f.since, 'unixepoch'), f.what, f.command, strftime('%Y-%m-%dT%H:%M:%SZ', a.evaluated_at, 'unixepoch'), null
from audit_finding f
    join organization o on o.id = f.organization
    join audit a on a.organization = f.organization
where f.about = 'organization' and f.finding = 'too_many_keys';

-- The same for people: members, and invites that were not accepted.
create view access_audit as
select case when o.name = '' then o.uuid else o.name end as organization, p.kind, p.id, p.email, p.name, p.role, p.status,
    strftime('%Y-%m-%dT%H:%M:%SZ', p.since, 'unixepoch') as added_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', p.expires_at, 'unixepoch') as expires_at,
    coalesce(f.finding, '') as finding, coalesce(f.severity, '') as severity,
    strftime('%Y-%m-%dT%H:%M:%SZ', f.since, 'unixepoch') as since, coalesce(f.what, '') as what, coalesce(f.command, '') as command,
    strftime('%Y-%m-%dT%H:%M:%SZ', a.evaluated_at, 'unixepoch') as evaluated_at
from (
        select organization, 'member' as kind, id, email, name, role, 'member' as status, added_at as since, null as expires_at
        from member
        union all
        select organization, 'invite', id, email, '', role, status, invited_at, expires_at
        from invite
        where status <> 'accepted'
    ) p
    join organization o on o.id = p.organization
    left join audit a on a.organization = p.organization
    left join audit_finding f on f.organization = p.organization and f.about = p.kind and f.subject_id = p.id
union all
select case when o.name = '' then o.uuid else o.name end, 'organization', '', '', '', '', '', null, null, f.finding, f.severity,
    strftime('%Y-%m-%dT%H:%M:%SZ', f.since, 'unixepoch'), f.what, f.command, strftime('%Y-%m-%dT%H:%M:%SZ', a.evaluated_at, 'unixepoch')
from audit_finding f
    join organization o on o.id = f.organization
    join audit a on a.organization = f.organization
where f.about = 'organization' and f.finding = 'too_many_admins';

-- +goose Down
drop view access_audit;
drop view api_key_audit;
drop table audit_cost;
drop table audit_finding;
drop table audit;
drop table list_read;
