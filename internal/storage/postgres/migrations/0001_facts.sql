-- +goose Up

-- The organizations ever seen. Everything else is keyed by the id given here, so that facts are
-- narrow and the tables can be distributed by organization. change_seq numbers the writes that
-- changed a figure of some day; counted_seq is the one up to which the counters have followed.
create table organization (
    id            int generated always as identity primary key,
    uuid          text not null unique,
    name          text not null,
    first_seen_at timestamptz not null,
    live_at       timestamptz,
    price_version text not null default '',
    change_seq    bigint not null default 0,
    counted_seq   bigint not null default 0
);

-- The combinations of dimensions, stored once each; facts point here. The unique key finds the id
-- of a combination when facts are written.
create table series (
    id             int generated always as identity primary key,
    organization   int not null references organization,
    workspace_id   text not null default '',
    api_key_id     text not null default '',
    model          text not null default '',
    service_tier   text not null default '',
    context_window text not null default '',
    inference_geo  text not null default '',
    speed          text not null default '',
    product        text not null default '',
    cost_type      text not null default '',
    token_type     text not null default '',
    unique (organization, workspace_id, api_key_id, model, service_tier, context_window,
        inference_geo, speed, product, cost_type, token_type)
);

-- Finds a key's series, to look up when it was used last.
create index series_api_key on series (organization, api_key_id);

-- Usage by the minute, in one partition per UTC day that is made when the first rows for it come,
-- so that retention drops a table instead of deleting rows. est_ is the estimate in billionths of
-- a dollar; price says how far it can be trusted (spend.PriceState).
create table usage_minute (
    bucket                      timestamptz not null,
    uncached_input              bigint not null,
    cache_read_input            bigint not null,
    cache_creation_5m_input     bigint not null,
    cache_creation_1h_input     bigint not null,
    output                      bigint not null,
    web_searches                bigint not null,
    est_uncached_input          bigint not null,
    est_cache_read_input        bigint not null,
    est_cache_creation_5m_input bigint not null,
    est_cache_creation_1h_input bigint not null,
    est_output                  bigint not null,
    est_web_search              bigint not null,
    organization                int not null,
    series                      int not null,
    price                       smallint not null,
    primary key (organization, bucket, series)
) partition by range (bucket);

-- Usage by the hour, only in hours that the ledger says are ruled by hour. bill_ is the row's share
-- of the cost report's bill, null while the day is not billed from it.
create table usage_hour (
    bucket                       timestamptz not null,
    uncached_input               bigint not null,
    cache_read_input             bigint not null,
    cache_creation_5m_input      bigint not null,
    cache_creation_1h_input      bigint not null,
    output                       bigint not null,
    web_searches                 bigint not null,
    est_uncached_input           bigint not null,
    est_cache_read_input         bigint not null,
    est_cache_creation_5m_input  bigint not null,
    est_cache_creation_1h_input  bigint not null,
    est_output                   bigint not null,
    est_web_search               bigint not null,
    bill_uncached_input          bigint,
    bill_cache_read_input        bigint,
    bill_cache_creation_5m_input bigint,
    bill_cache_creation_1h_input bigint,
    bill_output                  bigint,
    bill_web_search              bigint,
    organization                 int not null,
    series                       int not null,
    price                        smallint not null,
    primary key (organization, bucket, series)
);

-- Usage by the day, only in days that the ledger says are ruled by day: old history that was never
-- fetched finer, or was folded.
create table usage_day (like usage_hour including all);

-- Request counts, which another report has than the tokens.
create table request_hour (
    bucket       timestamptz not null,
    requests     bigint not null,
    organization int not null,
    series       int not null,
    primary key (organization, bucket, series)
);

create table request_day (like request_hour including all);

-- The analytics bill, by the hour, in billionths of a dollar. An hour in it is billed.
create table cost_hour (
    bucket       timestamptz not null,
    amount       bigint not null,
    list         bigint not null,
    organization int not null,
    series       int not null,
    primary key (organization, bucket, series)
);

-- The cells of the cost report, by the day. rest is what of the amount could not be shared out to
-- usage, null while the day is not billed.
create table cost_day (
    bucket       timestamptz not null,
    amount       bigint not null,
    list         bigint not null,
    rest         bigint,
    rest_list    bigint,
    organization int not null,
    series       int not null,
    primary key (organization, bucket, series)
);

-- Who rules an hour or a day: one slot for each that was ever read, per fact. grain is that of the
-- rows that count, in seconds; the slot covers a day if it is a day, else an hour.
create table ledger (
    organization  int not null,
    fact          text not null,
    start         timestamptz not null,
    grain         int not null,
    report        text not null,
    state         text not null,
    read_at       timestamptz not null,
    since         timestamptz not null,
    suspect_since timestamptz,
    suspect_reads int not null default 0,
    primary key (organization, fact, start)
);

-- How far each report was read.
create table watermark (
    organization int not null,
    report       text not null,
    data_at      timestamptz,
    read_at      timestamptz,
    refused_at   timestamptz,
    reason       text not null default '',
    primary key (organization, report)
);

-- What settled usage and request counts were before they changed.
create table usage_revision (
    id                          bigint generated always as identity primary key,
    organization                int not null,
    fact                        text not null,
    bucket                      timestamptz not null,
    grain                       int not null,
    series                      int not null,
    revised_at                  timestamptz not null,
    old_uncached_input          bigint not null default 0,
    old_cache_read_input        bigint not null default 0,
    old_cache_creation_5m_input bigint not null default 0,
    old_cache_creation_1h_input bigint not null default 0,
    old_output                  bigint not null default 0,
    old_web_searches            bigint not null default 0,
    old_requests                bigint not null default 0,
    new_uncached_input          bigint not null default 0,
    new_cache_read_input        bigint not null default 0,
    new_cache_creation_5m_input bigint not null default 0,
    new_cache_creation_1h_input bigint not null default 0,
    new_output                  bigint not null default 0,
    new_web_searches            bigint not null default 0,
    new_requests                bigint not null default 0
);

-- Revisions of a window are listed.
create index usage_revision_bucket on usage_revision (organization, fact, bucket);

-- What billed cost was before it changed.
create table cost_revision (
    id           bigint generated always as identity primary key,
    organization int not null,
    bucket       timestamptz not null,
    grain        int not null,
    series       int not null,
    revised_at   timestamptz not null,
    old_amount   bigint not null,
    old_list     bigint not null,
    new_amount   bigint not null,
    new_list     bigint not null
);

-- Revisions of a window are listed.
create index cost_revision_bucket on cost_revision (organization, bucket);

-- The UTC days whose figures changed, with the number of the newest change: what Changed lists and
-- the counters follow.
create table day_change (
    organization int not null,
    day          timestamptz not null,
    seq          bigint not null,
    primary key (organization, day)
);

-- The days that changed after a number are asked for.
create index day_change_seq on day_change (organization, seq);

-- The newest bucket in which each key was used, kept when the facts are pruned. grain in seconds.
create table key_use (
    organization int not null,
    api_key_id   text not null,
    bucket       timestamptz not null,
    grain        int not null,
    primary key (organization, api_key_id)
);

-- Running totals since live collection began. shown is the highest total so far; folded series
-- count in the series labelled other.
create table counter (
    id           int generated always as identity primary key,
    organization int not null,
    name         text not null,
    workspace_id text not null default '',
    api_key_id   text not null default '',
    model        text not null default '',
    service_tier text not null default '',
    cost_type    text not null default '',
    token_type   text not null default '',
    total        bigint not null default 0,
    shown        bigint not null default 0,
    folded       boolean not null default false,
    unique (organization, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type)
);

-- What each day has put into each counter, so that a changed day moves it by the difference.
create table counter_day (
    organization int not null,
    day          timestamptz not null,
    counter      int not null references counter,
    value        bigint not null,
    primary key (organization, day, counter)
);

-- +goose Down
drop table counter_day, counter, key_use, day_change, cost_revision, usage_revision, watermark, ledger,
    cost_day, cost_hour, request_day, request_hour, usage_day, usage_hour, usage_minute, series, organization;
