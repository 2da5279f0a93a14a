-- +goose Up

-- Writes to the Admin API, stored before they are made and completed afterwards. Never pruned. Ids are
-- never used twice.
create table admin_write (
    id           integer primary key autoincrement,
    organization integer not null references organization (id),
    started_at   integer not null,
    os_user      text    not null,
    sudo_user    text    not null,
    host         text    not null,
    action       text    not null,
    target_id    text    not null,
    target       text    not null,
    arguments    text    not null, -- a JSON object
    took_ms      integer not null default 0,
    outcome      text    not null default 'started',
    request_id   text    not null default '',
    error        text    not null default ''
) strict;

-- Lists an organization's writes, newest first.
create index admin_write_organization on admin_write (organization, id);

create view admin_log as
select w.id, case when o.name = '' then o.uuid else o.name end as organization,
    strftime('%Y-%m-%dT%H:%M:%SZ', w.started_at, 'unixepoch') as started_at,
    w.os_user, w.sudo_user, w.host, w.action, w.target_id, w.target, w.arguments, w.took_ms, w.outcome, w.request_id, w.error
from admin_write w join organization o on o.id = w.organization;

-- +goose Down
drop view admin_log;
drop table admin_write;
