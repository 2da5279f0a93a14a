-- +goose Up

-- Which lists of the inventory were saved before: the first one is the baseline of changes.
create table inventory_list (
    organization int not null references organization,
    kind         text not null,
    primary key (organization, kind)
);

-- The workspaces ever seen. label is the unique display name, label_name the name it was made from;
-- gone_at is when a thing was no longer listed.
create table workspace (
    organization  int not null references organization,
    id            text not null,
    name          text not null,
    label         text not null,
    label_name    text not null,
    is_default    boolean not null,
    created_at    timestamptz,
    archived_at   timestamptz,
    tags          jsonb not null,
    first_seen_at timestamptz not null,
    gone_at       timestamptz,
    primary key (organization, id)
);

-- The keys ever seen, labelled like workspaces. The key itself is not known to us.
create table api_key (
    organization  int not null references organization,
    id            text not null,
    name          text not null,
    label         text not null,
    label_name    text not null,
    hint          text not null,
    status        text not null,
    workspace_id  text not null,
    created_by_id text not null,
    creator_type  text not null,
    principal_id  text not null,
    created_at    timestamptz,
    expires_at    timestamptz,
    first_seen_at timestamptz not null,
    gone_at       timestamptz,
    primary key (organization, id)
);

-- The people of the organization, their roles in workspaces, and who is invited.
create table member (
    organization int not null references organization,
    id           text not null,
    email        text not null,
    name         text not null,
    role         text not null,
    added_at     timestamptz,
    primary key (organization, id)
);

create table workspace_member (
    organization int not null references organization,
    workspace_id text not null,
    user_id      text not null,
    role         text not null,
    primary key (organization, workspace_id, user_id)
);

create table invite (
    organization int not null references organization,
    id           text not null,
    email        text not null,
    role         text not null,
    status       text not null,
    invited_at   timestamptz,
    expires_at   timestamptz,
    accepted_at  timestamptz,
    primary key (organization, id)
);

-- Rate limits, of the organization (workspace_id empty) or a workspace, in the API's order.
create table rate_limit (
    organization int not null references organization,
    workspace_id text not null,
    position     int not null,
    group_id     text not null,
    group_type   text not null,
    group_name   text not null,
    models       text[], -- null: the API names none
    limiter      text not null,
    value        bigint not null,
    primary key (organization, workspace_id, position)
);

-- Spend limits, in the API's order; amount in billionths of a dollar.
create table spend_limit (
    organization int not null references organization,
    position     int not null,
    id           text not null,
    scope        text not null,
    scope_id     text not null,
    amount       bigint not null,
    unlimited    boolean not null,
    period       text not null,
    enabled      boolean not null,
    primary key (organization, position)
);

-- What was seen to differ from the inventory before.
create table inventory_change (
    id           bigint generated always as identity primary key,
    organization int not null references organization,
    at           timestamptz not null,
    kind         text not null,
    object_id    text not null,
    field        text not null,
    old          text not null,
    new          text not null
);

-- Lists the changes of a window.
create index inventory_change_at on inventory_change (organization, at);

-- A day of one actor's work with Claude Code, by that report's own figures.
create table claude_code (
    organization      int not null references organization,
    day               timestamptz not null,
    position          int not null,
    actor_type        text not null,
    actor             text not null,
    customer_type     text not null,
    subscription_type text not null,
    terminal_type     text not null,
    sessions          bigint not null,
    lines_added       bigint not null,
    lines_removed     bigint not null,
    commits           bigint not null,
    pull_requests     bigint not null,
    tools_accepted    bigint not null,
    tools_rejected    bigint not null,
    primary key (organization, day, position)
);

-- Its share of each model; cost is the report's own estimate in billionths of a dollar.
create table claude_code_model (
    organization   int not null references organization,
    day            timestamptz not null,
    position       int not null, -- of the row in claude_code
    ordinal        int not null,
    model          text not null,
    input          bigint not null,
    output         bigint not null,
    cache_read     bigint not null,
    cache_creation bigint not null,
    cost           bigint not null,
    primary key (organization, day, position, ordinal)
);

-- Executions of jobs.
create table run (
    id           bigint generated always as identity primary key,
    organization int not null references organization,
    job          text not null,
    started_at   timestamptz not null,
    ended_at     timestamptz not null,
    outcome      text not null,
    rows         bigint not null,
    requests     bigint not null,
    error        text not null
);

-- Lists the newest runs, and per job the newest one and the newest success.
create index run_started on run (started_at);
create index run_job on run (organization, job, started_at);

-- What is asked of the daemon that works an organization; grain in seconds.
create table request (
    id           bigint generated always as identity primary key,
    organization int not null references organization,
    kind         text not null,
    grain        int not null,
    window_start timestamptz,
    window_end   timestamptz,
    asked_at     timestamptz not null,
    done_at      timestamptz,
    problem      text not null default ''
);

-- Lists what is open.
create index request_open on request (organization, id) where done_at is null;

-- +goose Down
drop table request, run, claude_code_model, claude_code, inventory_change, spend_limit, rate_limit, invite,
    workspace_member, member, api_key, workspace, inventory_list;
