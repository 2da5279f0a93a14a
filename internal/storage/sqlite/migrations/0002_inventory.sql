-- +goose Up

-- Which lists of the inventory were saved before: the first one is the baseline of changes.
create table inventory_list (
    organization integer not null references organization (id),
    kind         text    not null,
    primary key (organization, kind)
) strict, without rowid;

-- label: the unique display name; label_name: the name it was made from.
create table workspace (
    organization  integer not null references organization (id),
    id            text    not null,
    name          text    not null,
    label         text    not null,
    label_name    text    not null,
    is_default    integer not null,
    created_at    integer,
    archived_at   integer,
    tags          text    not null, -- a JSON object
    first_seen_at integer not null,
    gone_at       integer,
    primary key (organization, id)
) strict, without rowid;

create table api_key (
    organization  integer not null references organization (id),
    id            text    not null,
    name          text    not null,
    label         text    not null,
    label_name    text    not null,
    hint          text    not null,
    status        text    not null,
    workspace_id  text    not null,
    created_by_id text    not null,
    creator_type  text    not null,
    principal_id  text    not null,
    created_at    integer,
    expires_at    integer,
    first_seen_at integer not null,
    gone_at       integer,
    primary key (organization, id)
) strict, without rowid;

create table member (
    organization integer not null references organization (id),
    id           text    not null,
    email        text    not null,
    name         text    not null,
    role         text    not null,
    added_at     integer,
    primary key (organization, id)
) strict, without rowid;

create table workspace_member (
    organization integer not null references organization (id),
    workspace_id text    not null,
    user_id      text    not null,
    role         text    not null,
    primary key (organization, workspace_id, user_id)
) strict, without rowid;

create table invite (
    organization integer not null references organization (id),
    id           text    not null,
    email        text    not null,
    role         text    not null,
    status       text    not null,
    invited_at   integer,
    expires_at   integer,
    accepted_at  integer,
    primary key (organization, id)
) strict, without rowid;

-- Rate limits, of the organization (workspace_id empty) or a workspace, in the API's order.
create table rate_limit (
    organization integer not null references organization (id),
    workspace_id text    not null,
    position     integer not null,
    group_id     text    not null,
    group_type   text    not null,
    group_name   text    not null,
    models       text    not null, -- a JSON array
    limiter      text    not null,
    value        integer not null,
    primary key (organization, workspace_id, position)
) strict, without rowid;

-- Spend limits, in the API's order.
create table spend_limit (
    organization integer not null references organization (id),
    position     integer not null,
    id           text    not null,
    scope        text    not null,
    scope_id     text    not null,
    amount       integer not null,
    unlimited    integer not null,
    period       text    not null,
    enabled      integer not null,
    primary key (organization, position)
) strict, without rowid;

-- What was seen to differ from the inventory before.
create table inventory_change (
    id           integer primary key,
    organization integer not null references organization (id),
    at           integer not null,
    kind         text    not null,
    object_id    text    not null,
    field        text    not null,
    old          text    not null,
    new          text    not null
) strict;

-- Lists the changes of a window.
create index inventory_change_at on inventory_change (organization, at);

-- A day of one actor's work with Claude Code.
create table claude_code (
    organization      integer not null references organization (id),
    day               integer not null,
    position          integer not null,
    actor_type        text    not null,
    actor             text    not null,
    customer_type     text    not null,
    subscription_type text    not null,
    terminal_type     text    not null,
    sessions          integer not null,
    lines_added       integer not null,
    lines_removed     integer not null,
    commits           integer not null,
    pull_requests     integer not null,
    tools_accepted    integer not null,
    tools_rejected    integer not null,
    primary key (organization, day, position)
) strict, without rowid;

-- Its share of each model.
create table claude_code_model (
    organization   integer not null references organization (id),
    day            integer not null,
    position       integer not null, -- of the row in claude_code
    ordinal        integer not null,
    model          text    not null,
    input          integer not null,
    output         integer not null,
    cache_read     integer not null,
    cache_creation integer not null,
    cost           integer not null,
    primary key (organization, day, position, ordinal)
) strict, without rowid;

-- Executions of jobs.
create table run (
    id           integer primary key,
    organization integer not null references organization (id),
    job          text    not null,
    started_at   integer not null,
    ended_at     integer not null,
    outcome      text    not null,
    rows         integer not null,
    requests     integer not null,
    error        text    not null
) strict;

-- Lists the newest runs, and per job the newest one and the newest success.
create index run_started on run (started_at);
create index run_job on run (organization, job, started_at);

-- What is asked of the daemon that works an organization. Ids are never used twice.
create table request (
    id           integer primary key autoincrement,
    organization integer not null references organization (id),
    kind         text    not null,
    grain        integer not null,
    window_start integer,
    window_end   integer,
    asked_at     integer not null,
    done_at      integer,
    problem      text    not null default ''
) strict;

-- Lists what is open.
create index request_open on request (organization, id) where done_at is null;

-- +goose Down
drop table request;
drop table run;
drop table claude_code_model;
drop table claude_code;
drop table inventory_change;
drop table spend_limit;
drop table rate_limit;
drop table invite;
drop table workspace_member;
drop table member;
drop table api_key;
drop table workspace;
drop table inventory_list;
