-- +goose Up

-- Writes to the Admin API, stored before they are made and completed afterwards. Never pruned.
create table admin_write (
    id           bigint generated always as identity primary key,
    organization int not null references organization,
    started_at   timestamptz not null,
    os_user      text not null,
    sudo_user    text not null,
    host         text not null,
    action       text not null,
    target_id    text not null,
    target       text not null,
    arguments    jsonb not null,
    took_ms      bigint not null default 0,
    outcome      text not null default 'started',
    request_id   text not null default '',
    error        text not null default ''
);

-- Lists an organization's writes, newest first.
create index admin_write_organization on admin_write (organization, id);

create view admin_log as
select w.id, case when o.name = '' then o.uuid else o.name end as organization, w.started_at,
    w.os_user, w.sudo_user, w.host, w.action, w.target_id, w.target, w.arguments, w.took_ms, w.outcome, w.request_id, w.error
from admin_write w
join organization o on o.id = w.organization;
comment on view admin_log is 'Writes to the Admin API: who changed what, and how it ended.';

-- +goose Down
drop view admin_log;
drop table admin_write;
