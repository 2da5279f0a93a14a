-- +goose Up

-- When each list of the inventory was last read, and when it was refused to the credential.
create table list_read (
    organization int not null references organization,
    list         text not null,
    read_at      timestamptz,
    refused_at   timestamptz,
    reason       text not null default '',
    primary key (organization, list)
);

-- The newest evaluation of the audit of keys and access. about says what it rests on.
create table audit (
    organization int primary key references organization,
    evaluated_at timestamptz not null,
    about        jsonb not null
);

-- What it found. subject: an id, empty for the organization.
create table audit_finding (
    organization int not null references organization,
    about        text not null, -- api_key, member, invite, organization
    subject_id   text not null,
    finding      text not null, -- the check's name
    severity     text not null,
    subject      text not null,
    workspace_id text not null,
    owner        text not null,
    since        timestamptz,
    what         text not null,
    evidence     text not null,
    advice       text not null,
    command      text not null,
    cost         bigint not null,
    basis        text not null,
    primary key (organization, about, subject_id, finding)
);

-- What each key cost in the 30 days before, where that is not nothing.
create table audit_cost (
    organization int not null references organization,
    api_key_id   text not null,
    cost         bigint not null,
    basis        text not null,
    primary key (organization, api_key_id)
);

create view api_key_audit as
select case when o.name = '' then o.uuid else o.name end as organization, k.id as api_key_id, k.label as api_key,
    coalesce(w.label, k.workspace_id) as workspace,
    coalesce(m.email, case when k.principal_id = '' then k.created_by_id else k.principal_id end) as owner, k.status,
    k.created_at, k.expires_at, u.bucket + make_interval(secs => u.grain) as last_used_at,
    case when a.evaluated_at is not null then (coalesce(c.cost, 0) * 0.000000001)::numeric(20, 9) end as cost_usd_30d,
    coalesce(f.finding, '') as finding, coalesce(f.severity, '') as severity,
    f.since, coalesce(f.what, '') as what, coalesce(f.command, '') as command, a.evaluated_at
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
    f.since, f.what, f.command, a.evaluated_at
from audit_finding f
join organization o on o.id = f.organization
join audit a on a.organization = f.organization
where f.about = 'organization' and f.finding = 'too_many_keys';
comment on view api_key_audit is 'A row for each finding about a key, and one without for each other key that is listed; what is about all keys together has no key.';

create view access_audit as
select case when o.name = '' then o.uuid else o.name end as organization, p.kind, p.id, p.email, p.name, p.role, p.status,
    p.since as added_at, p.expires_at, coalesce(f.finding, '') as finding, coalesce(f.severity, '') as severity,
    f.since, coalesce(f.what, '') as what, coalesce(f.command, '') as command, a.evaluated_at
from (
    select organization, 'member' as kind, id, email, name, role, 'member' as status, added_at as since, null::timestamptz as expires_at
    from member
    union all
    select organization, 'invite', id, email, '', role, status, invited_at, expires_at
    from invite
    where status <> 'accepted') p
join organization o on o.id = p.organization
left join audit a on a.organization = p.organization
left join audit_finding f on f.organization = p.organization and f.about = p.kind and f.subject_id = p.id
union all
select case when o.name = '' then o.uuid else o.name end, 'organization', '', '', '', '', '', null, null, f.finding, f.severity,
    f.since, f.what, f.command, a.evaluated_at
from audit_finding f
join organization o on o.id = f.organization
join audit a on a.organization = f.organization
where f.about = 'organization' and f.finding = 'too_many_admins';
comment on view access_audit is 'The same for people: members, and invites that were not accepted.';

-- +goose Down
drop view access_audit, api_key_audit;
drop table audit_cost, audit_finding, audit, list_read;
