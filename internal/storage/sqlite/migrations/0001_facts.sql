-- Times are Unix seconds, UTC; money is billionths of a dollar; a text that does not apply is empty.

-- +goose Up

-- The accounts. live_at: when live collection began, from which on counters count. change_seq is the
-- newest number in day_change, counted_seq the one that the counters stand at.
create table organization (
    id            integer primary key,
    uuid          text    not null unique,
    name          text    not null,
    first_seen_at integer not null,
    live_at       integer,
    price_version text    not null default '',
    change_seq    integer not null default 0,
    counted_seq   integer not null default 0
) strict;

-- A combination of dimensions, stored once; facts point to it. Rows never change. The key serves
-- the lookup of a combination that is not in memory yet.
create table series (
    id             integer primary key,
    organization   integer not null references organization (id),
    workspace_id   text    not null default '',
    api_key_id     text    not null default '',
    model          text    not null default '',
    service_tier   text    not null default '',
    context_window text    not null default '',
    inference_geo  text    not null default '',
    speed          text    not null default '',
    product        text    not null default '',
    cost_type      text    not null default '',
    token_type     text    not null default '',
    unique (organization, workspace_id, api_key_id, model, service_tier, context_window, inference_geo,
            speed, product, cost_type, token_type)
) strict;

-- Finds a key's series, to look up when it was used last.
create index series_api_key on series (organization, api_key_id);

-- Usage by the minute: counts in hours whose slot has minute grain, else only refines. est_*: the
-- estimated cost of each kind; price: 0 unknown, 1 known, 2 uncertain, 3 committed. The key of each
-- table of facts serves windows of an organization; nothing is looked up by series alone.
create table usage_minute (
    organization            integer not null references organization (id),
    bucket                  integer not null,
    series                  integer not null references series (id),
    uncached_input          integer not null,
    cache_read_input        integer not null,
    cache_creation_5m_input integer not null,
    cache_creation_1h_input integer not null,
    output                  integer not null,
    web_searches            integer not null,
    est_uncached_input          integer not null,
    est_cache_read_input        integer not null,
    est_cache_creation_5m_input integer not null,
    est_cache_creation_1h_input integer not null,
    est_output                  integer not null,
    est_web_search              integer not null,
    price                   integer not null,
    primary key (organization, bucket, series)
) strict, without rowid;

-- Usage by the hour: exists only in hours whose slot has hour grain. bill_*: the row's share of the
-- day's bill from the cost report, null while that is not billed.
create table usage_hour (
    organization            integer not null references organization (id),
    bucket                  integer not null,
    series                  integer not null references series (id),
    uncached_input          integer not null,
    cache_read_input        integer not null,
    cache_creation_5m_input integer not null,
    cache_creation_1h_input integer not null,
    output                  integer not null,
    web_searches            integer not null,
    est_uncached_input          integer not null,
    est_cache_read_input        integer not null,
    est_cache_creation_5m_input integer not null,
    est_cache_creation_1h_input integer not null,
    est_output                  integer not null,
    est_web_search              integer not null,
    price                   integer not null,
    bill_uncached_input          integer,
    bill_cache_read_input        integer,
    bill_cache_creation_5m_input integer,
    bill_cache_creation_1h_input integer,
    bill_output                  integer,
    bill_web_search              integer,
    primary key (organization, bucket, series)
) strict, without rowid;

-- Usage by the day: exists only on days whose slot has day grain.
create table usage_day (
    organization            integer not null references organization (id),
    bucket                  integer not null,
    series                  integer not null references series (id),
    uncached_input          integer not null,
    cache_read_input        integer not null,
    cache_creation_5m_input integer not null,
    cache_creation_1h_input integer not null,
    output                  integer not null,
    web_searches            integer not null,
    est_uncached_input          integer not null,
    est_cache_read_input        integer not null,
    est_cache_creation_5m_input integer not null,
    est_cache_creation_1h_input integer not null,
    est_output                  integer not null,
    est_web_search              integer not null,
    price                   integer not null,
    bill_uncached_input          integer,
    bill_cache_read_input        integer,
    bill_cache_creation_5m_input integer,
    bill_cache_creation_1h_input integer,
    bill_output                  integer,
    bill_web_search              integer,
    primary key (organization, bucket, series)
) strict, without rowid;

-- Request counts, by the hour and by the day, with a ledger of their own.
create table request_hour (
    organization integer not null references organization (id),
    bucket       integer not null,
    series       integer not null references series (id),
    requests     integer not null,
    primary key (organization, bucket, series)
) strict, without rowid;

create table request_day (
    organization integer not null references organization (id),
    bucket       integer not null,
    series       integer not null references series (id),
    requests     integer not null,
    primary key (organization, bucket, series)
) strict, without rowid;

-- The bill by the hour (analytics).
create table cost_hour (
    organization integer not null references organization (id),
    bucket       integer not null,
    series       integer not null references series (id),
    amount       integer not null,
    list         integer not null,
    primary key (organization, bucket, series)
) strict, without rowid;

-- The bill by the day: the cost report's cells, and folded hours. rest: what of the amount stands
-- here because it was not shared out to usage, null while the day is not billed.
create table cost_day (
    organization integer not null references organization (id),
    bucket       integer not null,
    series       integer not null references series (id),
    amount       integer not null,
    list         integer not null,
    rest         integer,
    rest_list    integer,
    primary key (organization, bucket, series)
) strict, without rowid;

-- Who rules an hour or a day: grain of the rows that count (60, 3600, 86400), their report, and how
-- far they are settled. The slots of a day cover an hour each (grain 60 or 3600) or all of it.
create table ledger (
    organization  integer not null references organization (id),
    fact          text    not null,
    start         integer not null,
    grain         integer not null,
    report        text    not null,
    state         text    not null,
    read_at       integer not null,
    since         integer not null,
    suspect_since integer,
    suspect_reads integer not null default 0,
    primary key (organization, fact, start)
) strict, without rowid;

-- How far each report has been read.
create table watermark (
    organization integer not null references organization (id),
    report       text    not null,
    data_at      integer,
    read_at      integer,
    refused_at   integer,
    reason       text    not null default '',
    primary key (organization, report)
) strict, without rowid;

-- What settled figures were before they changed, and are since.
create table usage_revision (
    id           integer primary key,
    organization integer not null references organization (id),
    fact         text    not null, -- usage or requests
    bucket       integer not null,
    grain        integer not null,
    series       integer not null references series (id),
    revised_at   integer not null,
    old_uncached_input          integer not null,
    old_cache_read_input        integer not null,
    old_cache_creation_5m_input integer not null,
    old_cache_creation_1h_input integer not null,
    old_output                  integer not null,
    old_web_searches            integer not null,
    old_requests                integer not null,
    new_uncached_input          integer not null,
    new_cache_read_input        integer not null,
    new_cache_creation_5m_input integer not null,
    new_cache_creation_1h_input integer not null,
    new_output                  integer not null,
    new_web_searches            integer not null,
    new_requests                integer not null
) strict;

-- Lists the revisions of a window.
create index usage_revision_bucket on usage_revision (organization, fact, bucket);

create table cost_revision (
    id           integer primary key,
    organization integer not null references organization (id),
    bucket       integer not null,
    grain        integer not null,
    series       integer not null references series (id),
    revised_at   integer not null,
    old_amount   integer not null,
    old_list     integer not null,
    new_amount   integer not null,
    new_list     integer not null
) strict;

-- Lists the revisions of a window.
create index cost_revision_bucket on cost_revision (organization, bucket);

-- The newest bucket in which a key had use, at the finest grain that knows; survives pruning.
create table key_use (
    organization integer not null references organization (id),
    api_key_id   text    not null,
    bucket       integer not null,
    grain        integer not null,
    primary key (organization, api_key_id)
) strict, without rowid;

-- The change number of the newest change of a day's figures.
create table day_change (
    organization integer not null references organization (id),
    day          integer not null,
    seq          integer not null,
    primary key (organization, day)
) strict, without rowid;

-- Lists what changed since a number.
create index day_change_seq on day_change (organization, seq);

-- Running totals. total: the sum of the counter's parts in counter_day; shown: the highest total so
-- far; folded: shown as part of the counter whose dimensions are all 'other'.
create table counter (
    id           integer primary key,
    organization integer not null references organization (id),
    name         text    not null,
    workspace_id text    not null,
    api_key_id   text    not null,
    model        text    not null,
    service_tier text    not null,
    cost_type    text    not null,
    token_type   text    not null,
    total        integer not null,
    shown        integer not null,
    folded       integer not null,
    unique (organization, name, workspace_id, api_key_id, model, service_tier, cost_type, token_type)
) strict;

-- What each day is worth in each counter, to move the total by the difference when the day changes.
create table counter_day (
    organization integer not null references organization (id),
    day          integer not null,
    counter      integer not null references counter (id),
    value        integer not null,
    primary key (organization, day, counter)
) strict, without rowid;

-- +goose Down
drop table counter_day;
drop table counter;
drop table day_change;
drop table key_use;
drop table cost_revision;
drop table usage_revision;
drop table watermark;
drop table ledger;
drop table cost_day;
drop table cost_hour;
drop table request_day;
drop table request_hour;
drop table usage_day;
drop table usage_hour;
drop table usage_minute;
drop table series;
drop table organization;
