-- +goose Up

-- Alerts that are not inactive; body is the whole of one as a JSON object.
create table alert (
    organization int not null references organization,
    rule         text not null,
    subject      text not null,
    state        text not null,
    body         jsonb not null,
    primary key (organization, rule, subject)
);

-- When the rules were last evaluated.
create table evaluation (
    organization int not null primary key references organization,
    at           timestamptz not null
);

-- What became of alerts: states that changed and what was told. body is the alert then; labels and
-- notifiers are JSON.
create table alert_change (
    id           bigint generated always as identity primary key,
    organization int not null references organization,
    at           timestamptz not null,
    rule         text not null,
    subject      text not null,
    from_state   text not null,
    to_state     text not null,
    event        text not null,
    severity     text not null,
    value        double precision not null,
    value_limit  double precision not null,
    unit         text not null,
    summary      text not null,
    note         text not null,
    fired_at     timestamptz,
    silenced     boolean not null,
    labels       jsonb not null,
    notifiers    jsonb not null,
    body         jsonb not null
);

-- Lists the newest changes of an organization, and prunes.
create index alert_change_at on alert_change (organization, at);

-- Thresholds that were crossed in a period.
create table budget_mark (
    organization int not null references organization,
    rule         text not null,
    subject      text not null,
    period       timestamptz not null,
    kind         text not null,
    threshold    double precision not null,
    amount       bigint  not null,
    crossed_at   timestamptz not null,
    muted        boolean not null,
    primary key (organization, rule, subject, period, kind, threshold)
);

-- How each budget stands; body is all of it as a JSON object.
create table budget (
    organization int not null references organization,
    rule         text not null,
    subject      text not null,
    body         jsonb not null,
    primary key (organization, rule, subject)
);

-- How each rule fares.
create table rule_state (
    organization int not null references organization,
    rule         text not null,
    kind         text not null,
    severity     text not null,
    problem      text not null,
    problem_at   timestamptz,
    note         text not null,
    primary key (organization, rule)
);

-- Notifications that are not delivered; body is the notification as a JSON object. Numbers are
-- never used twice.
create table outbox (
    seq             bigint generated always as identity primary key,
    organization    int not null references organization,
    notification_id text not null,
    state           text not null,
    attempts        int not null default 0,
    next_at         timestamptz not null,
    claimed_until   timestamptz,
    failed_at       timestamptz,
    problem         text not null default '',
    body            jsonb not null,
    unique (organization, notification_id)
);

-- Attempts to deliver.
create table delivery (
    id              bigint generated always as identity primary key,
    organization    int not null references organization,
    notification_id text not null,
    notifier        text not null,
    event           text not null,
    subjects        text not null,
    at              timestamptz not null,
    attempt         int not null,
    outcome         text not null,
    problem         text not null,
    next_at         timestamptz
);

-- Lists the newest attempts of an organization, and prunes.
create index delivery_at on delivery (organization, at);

-- What notifiers returned for episodes that they were told of.
create table receipt (
    organization int not null references organization,
    notifier     text not null,
    fingerprint  text not null,
    receipt      text not null,
    at           timestamptz not null,
    primary key (organization, notifier, fingerprint)
);

-- Silences, of all organizations; matchers is a JSON array.
create table silence (
    id         text not null primary key,
    matchers   jsonb not null,
    starts_at  timestamptz not null,
    ends_at    timestamptz not null,
    created_by text not null,
    comment    text not null,
    created_at timestamptz not null
);

create view alert_history as
select c.at, case when o.name = '' then o.uuid else o.name end as organization, c.rule, c.subject, c.from_state, c.to_state as state,
    c.event, c.severity, c.value, c.value_limit, c.unit, c.summary, c.note,
    c.fired_at, c.silenced, c.labels, c.notifiers
from alert_change c
join organization o on o.id = c.organization;
comment on view alert_history is 'What became of alerts: states that changed and what was told.';

-- +goose Down
drop view alert_history;
drop table silence, receipt, delivery, outbox, rule_state, budget, budget_mark, alert_change, evaluation, alert;
