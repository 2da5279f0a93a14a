-- +goose Up

-- Alerts that are not inactive; body is the whole of one as a JSON object.
create table alert (
    organization integer not null references organization (id),
    rule         text    not null,
    subject      text    not null,
    state        text    not null,
    body         text    not null,
    primary key (organization, rule, subject)
) strict, without rowid;

-- When the rules were last evaluated.
create table evaluation (
    organization integer not null primary key references organization (id),
    at           integer not null
) strict;

-- What became of alerts: states that changed and what was told. body is the alert then; labels and
-- notifiers are JSON.
create table alert_change (
    id           integer primary key,
    organization integer not null references organization (id),
    at           integer not null,
    rule         text    not null,
    subject      text    not null,
    from_state   text    not null,
    to_state     text    not null,
    event        text    not null,
    severity     text    not null,
    value        real    not null,
    value_limit  real    not null,
    unit         text    not null,
    summary      text    not null,
    note         text    not null,
    fired_at     integer,
    silenced     integer not null,
    labels       text    not null,
    notifiers    text    not null,
    body         text    not null
) strict;

-- Lists the newest changes of an organization, and prunes.
create index alert_change_at on alert_change (organization, at);

-- Thresholds that were crossed in a period.
create table budget_mark (
    organization integer not null references organization (id),
    rule         text    not null,
    subject      text    not null,
    period       integer not null,
    kind         text    not null,
    threshold    real    not null,
    amount       integer not null,
    crossed_at   integer not null,
    muted        integer not null,
    primary key (organization, rule, subject, period, kind, threshold)
) strict, without rowid;

-- How each budget stands; body is all of it as a JSON object.
create table budget (
    organization integer not null references organization (id),
    rule         text    not null,
    subject      text    not null,
    body         text    not null,
    primary key (organization, rule, subject)
) strict, without rowid;

-- How each rule fares.
create table rule_state (
    organization integer not null references organization (id),
    rule         text    not null,
    kind         text    not null,
    severity     text    not null,
    problem      text    not null,
    problem_at   integer,
    note         text    not null,
    primary key (organization, rule)
) strict, without rowid;

-- Notifications that are not delivered; body is the notification as a JSON object. Numbers are
-- never used twice.
create table outbox (
    seq             integer primary key autoincrement,
    organization    integer not null references organization (id),
    notification_id text    not null,
    state           text    not null,
    attempts        integer not null default 0,
    next_at         integer not null,
    claimed_until   integer,
    failed_at       integer,
    problem         text    not null default '',
    body            text    not null,
    unique (organization, notification_id)
) strict;

-- Attempts to deliver.
create table delivery (
    id              integer primary key,
    organization    integer not null references organization (id),
    notification_id text    not null,
    notifier        text    not null,
    event           text    not null,
    subjects        text    not null,
    at              integer not null,
    attempt         integer not null,
    outcome         text    not null,
    problem         text    not null,
    next_at         integer
) strict;

-- Lists the newest attempts of an organization, and prunes.
create index delivery_at on delivery (organization, at);

-- What notifiers returned for episodes that they were told of.
create table receipt (
    organization integer not null references organization (id),
    notifier     text    not null,
    fingerprint  text    not null,
    receipt      text    not null,
    at           integer not null,
    primary key (organization, notifier, fingerprint)
) strict, without rowid;

-- Silences, of all organizations; matchers is a JSON array.
create table silence (
    id         text    not null primary key,
    matchers   text    not null,
    starts_at  integer not null,
    ends_at    integer not null,
    created_by text    not null,
    comment    text    not null,
    created_at integer not null
) strict, without rowid;

create view alert_history as
select strftime('%Y-%m-%dT%H:%M:%SZ', c.at, 'unixepoch') as at, case when o.name = '' then o.uuid else o.name end as organization, c.rule, c.subject, c.from_state, c.to_state as state,
    c.event, c.severity, c.value, c.value_limit, c.unit, c.summary, c.note,
    strftime('%Y-%m-%dT%H:%M:%SZ', c.fired_at, 'unixepoch') as fired_at, c.silenced, c.labels, c.notifiers
from alert_change c
    join organization o on o.id = c.organization;

-- +goose Down
drop view alert_history;
drop table silence;
drop table receipt;
drop table delivery;
drop table outbox;
drop table rule_state;
drop table budget;
drop table budget_mark;
drop table alert_change;
drop table evaluation;
drop table alert;
