-- Calibration and reconciliation: estimates scaled to what bills really charge, what was compared
-- with what, and what bills hold that cannot be added up.

-- +goose Up

-- cal_*: the estimate of each kind as it counts, est_* times the calibration factor that held when
-- the row was written, each rounded by itself. Until there is a factor it is the estimate itself.
alter table usage_minute
    add column cal_uncached_input bigint not null default 0,
    add column cal_cache_read_input bigint not null default 0,
    add column cal_cache_creation_5m_input bigint not null default 0,
    add column cal_cache_creation_1h_input bigint not null default 0,
    add column cal_output bigint not null default 0,
    add column cal_web_search bigint not null default 0;
alter table usage_hour
    add column cal_uncached_input bigint not null default 0,
    add column cal_cache_read_input bigint not null default 0,
    add column cal_cache_creation_5m_input bigint not null default 0,
    add column cal_cache_creation_1h_input bigint not null default 0,
    add column cal_output bigint not null default 0,
    add column cal_web_search bigint not null default 0;
alter table usage_day
    add column cal_uncached_input bigint not null default 0,
    add column cal_cache_read_input bigint not null default 0,
    add column cal_cache_creation_5m_input bigint not null default 0,
    add column cal_cache_creation_1h_input bigint not null default 0,
    add column cal_output bigint not null default 0,
    add column cal_web_search bigint not null default 0;
update usage_minute set cal_uncached_input = est_uncached_input, cal_cache_read_input = est_cache_read_input, cal_cache_creation_5m_input = est_cache_creation_5m_input, cal_cache_creation_1h_input = est_cache_creation_1h_input, cal_output = est_output, cal_web_search = est_web_search;
update usage_hour set cal_uncached_input = est_uncached_input, cal_cache_read_input = est_cache_read_input, cal_cache_creation_5m_input = est_cache_creation_5m_input, cal_cache_creation_1h_input = est_cache_creation_1h_input, cal_output = est_output, cal_web_search = est_web_search;
update usage_day set cal_uncached_input = est_uncached_input, cal_cache_read_input = est_cache_read_input, cal_cache_creation_5m_input = est_cache_creation_5m_input, cal_cache_creation_1h_input = est_cache_creation_1h_input, cal_output = est_output, cal_web_search = est_web_search;

-- What the bills of settled days say about estimates. factor is in billionths; model is empty for
-- the organization; problem: why the factor does not count.
create table calibration (
    organization int not null,
    model        text not null,
    factor       bigint not null,
    billed       bigint not null,
    estimated    bigint not null,
    days         int not null,
    first_day    timestamptz,
    end_day      timestamptz,
    computed_at  timestamptz not null,
    problem      text not null,
    primary key (organization, model)
);

-- What models whose price step no report tells really cost, in billionths of a dollar per million tokens.
create table effective_price (
    organization            int not null,
    model                   text not null,
    first_day               timestamptz not null,
    end_day                 timestamptz not null,
    uncached_input          bigint not null,
    cache_read_input        bigint not null,
    cache_creation_5m_input bigint not null,
    cache_creation_1h_input bigint not null,
    output                  bigint not null,
    primary key (organization, model)
);

-- What was compared on a UTC day: counts, or billionths of a dollar where money is true.
create table reconciliation (
    organization int not null,
    day          timestamptz not null,
    name         text not null,
    subject      text not null,
    model        text not null,
    token_type   text not null,
    report       text not null,
    compared     text not null, -- the report that theirs come from
    money        boolean not null,
    ours         bigint not null,
    theirs       bigint not null,
    list         bigint not null,
    verdict      text not null,
    explanation  text not null,
    since        timestamptz not null,
    checked_at   timestamptz not null,
    primary key (organization, day, name, subject, model, token_type)
);

-- What the figures show that somebody should know.
create table finding (
    organization int not null,
    kind         text not null,
    subject      text not null,
    amount       text not null,
    detail       text not null,
    first_day    timestamptz,
    end_day      timestamptz,
    first_at     timestamptz not null,
    seen_at      timestamptz not null,
    primary key (organization, kind, subject)
);

-- Rows of bills in a currency that cannot be added up with the others; amounts as reported.
create table set_aside (
    organization   int not null,
    report         text not null,
    bucket         timestamptz not null,
    position       int not null,
    workspace_id   text not null,
    api_key_id     text not null,
    model          text not null,
    service_tier   text not null,
    context_window text not null,
    inference_geo  text not null,
    speed          text not null,
    product        text not null,
    cost_type      text not null,
    token_type     text not null,
    currency       text not null,
    amount         text not null,
    list           text not null,
    read_at        timestamptz not null,
    primary key (organization, report, bucket, position)
);

create or replace view stored_usage as
select organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input,
    cache_creation_1h_input, output, web_searches, est_uncached_input, est_cache_read_input,
    est_cache_creation_5m_input, est_cache_creation_1h_input, est_output, est_web_search,
    3600 as grain, cal_uncached_input, cal_cache_read_input, cal_cache_creation_5m_input, cal_cache_creation_1h_input, cal_output, cal_web_search
from usage_hour
union all
select organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input,
    cache_creation_1h_input, output, web_searches, est_uncached_input, est_cache_read_input,
    est_cache_creation_5m_input, est_cache_creation_1h_input, est_output, est_web_search,
    86400, cal_uncached_input, cal_cache_read_input, cal_cache_creation_5m_input, cal_cache_creation_1h_input, cal_output, cal_web_search
from usage_day
union all
select m.organization, l.start, m.series, m.uncached_input, m.cache_read_input, m.cache_creation_5m_input,
    m.cache_creation_1h_input, m.output, m.web_searches, m.est_uncached_input, m.est_cache_read_input,
    m.est_cache_creation_5m_input, m.est_cache_creation_1h_input, m.est_output, m.est_web_search,
    3600, m.cal_uncached_input, m.cal_cache_read_input, m.cal_cache_creation_5m_input, m.cal_cache_creation_1h_input, m.cal_output, m.cal_web_search
from ledger l
join usage_minute m on m.organization = l.organization
    and m.bucket >= l.start and m.bucket < l.start + interval '1 hour'
where l.fact = 'usage' and l.grain = 60;

create or replace view stored_cost as
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed' as basis, c.amount, c.list
from cost_hour c
join series s on s.id = c.series
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, 'allocated', k.amount, k.amount
from (
    select organization, bucket, series, bill_uncached_input, bill_cache_read_input, bill_cache_creation_5m_input,
        bill_cache_creation_1h_input, bill_output, bill_web_search
    from usage_hour
    where bill_output is not null
    union all
    select organization, bucket, series, bill_uncached_input, bill_cache_read_input, bill_cache_creation_5m_input,
        bill_cache_creation_1h_input, bill_output, bill_web_search
    from usage_day
    where bill_output is not null) u
cross join lateral (values
    ('tokens', 'uncached_input', bill_uncached_input),
    ('tokens', 'cache_read_input', bill_cache_read_input),
    ('tokens', 'cache_creation_5m_input', bill_cache_creation_5m_input),
    ('tokens', 'cache_creation_1h_input', bill_cache_creation_1h_input),
    ('tokens', 'output', bill_output),
    ('web_search', '', bill_web_search)) k (cost_type, token_type, amount)
where k.amount <> 0
union all
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed', c.rest, c.rest_list
from cost_day c
join series s on s.id = c.series
where c.rest <> 0 or c.rest_list <> 0
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, 'estimated', k.amount, k.list
from stored_usage u
cross join lateral (values
    ('tokens', 'uncached_input', cal_uncached_input, est_uncached_input),
    ('tokens', 'cache_read_input', cal_cache_read_input, est_cache_read_input),
    ('tokens', 'cache_creation_5m_input', cal_cache_creation_5m_input, est_cache_creation_5m_input),
    ('tokens', 'cache_creation_1h_input', cal_cache_creation_1h_input, est_cache_creation_1h_input),
    ('tokens', 'output', cal_output, est_output),
    ('web_search', '', cal_web_search, est_web_search)) k (cost_type, token_type, amount, list)
where (k.amount <> 0 or k.list <> 0)
    and not exists (
        select
        from ledger l
        where l.organization = u.organization and l.fact = 'cost' and l.grain = 86400 and l.state = 'billed'
            and l.start = date_trunc('day', u.bucket, 'UTC'))
    and not exists (
        select
        from ledger l
        where l.organization = u.organization and l.fact = 'cost' and l.grain = 3600 and l.state = 'billed'
            and l.start >= u.bucket and l.start < u.bucket + make_interval(secs => u.grain))
union all
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed', c.amount, c.list
from cost_day c
join series s on s.id = c.series
join ledger l on l.organization = c.organization and l.fact = 'cost' and l.start = c.bucket
where l.grain = 86400 and l.state <> 'billed' and s.cost_type not in ('tokens', 'web_search');

-- +goose Down
drop view cost_hourly, cost_daily, usage_hourly, usage_daily, stored_cost, stored_usage;
create view stored_usage as
select organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input,
    cache_creation_1h_input, output, web_searches, est_uncached_input, est_cache_read_input,
    est_cache_creation_5m_input, est_cache_creation_1h_input, est_output, est_web_search,
    3600 as grain
from usage_hour
union all
select organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input,
    cache_creation_1h_input, output, web_searches, est_uncached_input, est_cache_read_input,
    est_cache_creation_5m_input, est_cache_creation_1h_input, est_output, est_web_search,
    86400
from usage_day
union all
select m.organization, l.start, m.series, m.uncached_input, m.cache_read_input, m.cache_creation_5m_input,
    m.cache_creation_1h_input, m.output, m.web_searches, m.est_uncached_input, m.est_cache_read_input,
    m.est_cache_creation_5m_input, m.est_cache_creation_1h_input, m.est_output, m.est_web_search,
    3600
from ledger l
join usage_minute m on m.organization = l.organization
    and m.bucket >= l.start and m.bucket < l.start + interval '1 hour'
where l.fact = 'usage' and l.grain = 60;
create view stored_cost as
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed' as basis, c.amount, c.list
from cost_hour c
join series s on s.id = c.series
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, 'allocated', k.amount, k.amount
from (
    select organization, bucket, series, bill_uncached_input, bill_cache_read_input, bill_cache_creation_5m_input,
        bill_cache_creation_1h_input, bill_output, bill_web_search
    from usage_hour
    where bill_output is not null
    union all
    select organization, bucket, series, bill_uncached_input, bill_cache_read_input, bill_cache_creation_5m_input,
        bill_cache_creation_1h_input, bill_output, bill_web_search
    from usage_day
    where bill_output is not null) u
cross join lateral (values
    ('tokens', 'uncached_input', bill_uncached_input),
    ('tokens', 'cache_read_input', bill_cache_read_input),
    ('tokens', 'cache_creation_5m_input', bill_cache_creation_5m_input),
    ('tokens', 'cache_creation_1h_input', bill_cache_creation_1h_input),
    ('tokens', 'output', bill_output),
    ('web_search', '', bill_web_search)) k (cost_type, token_type, amount)
where k.amount <> 0
union all
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed', c.rest, c.rest_list
from cost_day c
join series s on s.id = c.series
where c.rest <> 0 or c.rest_list <> 0
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, 'estimated', k.amount, k.amount
from stored_usage u
cross join lateral (values
    ('tokens', 'uncached_input', est_uncached_input),
    ('tokens', 'cache_read_input', est_cache_read_input),
    ('tokens', 'cache_creation_5m_input', est_cache_creation_5m_input),
    ('tokens', 'cache_creation_1h_input', est_cache_creation_1h_input),
    ('tokens', 'output', est_output),
    ('web_search', '', est_web_search)) k (cost_type, token_type, amount)
where k.amount <> 0
    and not exists (
        select
        from ledger l
        where l.organization = u.organization and l.fact = 'cost' and l.grain = 86400 and l.state = 'billed'
            and l.start = date_trunc('day', u.bucket, 'UTC'))
    and not exists (
        select
        from ledger l
        where l.organization = u.organization and l.fact = 'cost' and l.grain = 3600 and l.state = 'billed'
            and l.start >= u.bucket and l.start < u.bucket + make_interval(secs => u.grain))
union all
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed', c.amount, c.list
from cost_day c
join series s on s.id = c.series
join ledger l on l.organization = c.organization and l.fact = 'cost' and l.start = c.bucket
where l.grain = 86400 and l.state <> 'billed' and s.cost_type not in ('tokens', 'web_search');
create view cost_daily as
select (c.bucket at time zone 'UTC')::date as day, s.organization, s.workspace_id, s.workspace, s.api_key_id,
    case when s.unattributed then '(unattributed)' else s.api_key end as api_key, s.team,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else s.model end as model,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else s.service_tier end as service_tier,
    c.cost_type, c.token_type, s.product, c.basis,
    (sum(c.amount) * 0.000000001)::numeric(20, 9) as cost_usd,
    (sum(c.list) * 0.000000001)::numeric(20, 9) as list_usd
from stored_cost c
join stored_name s on s.id = c.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;
create view cost_hourly as
select c.bucket, s.organization, s.workspace_id, s.workspace, s.api_key_id,
    case when s.unattributed then '(unattributed)' else s.api_key end as api_key, s.team,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else s.model end as model,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else s.service_tier end as service_tier,
    c.cost_type, c.token_type, s.product, c.basis,
    (sum(c.amount) * 0.000000001)::numeric(20, 9) as cost_usd,
    (sum(c.list) * 0.000000001)::numeric(20, 9) as list_usd
from stored_cost c
join stored_name s on s.id = c.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;
create view usage_daily as
select (u.bucket at time zone 'UTC')::date as day, date_trunc('day', u.bucket, 'UTC') as bucket, s.organization, s.workspace_id, s.workspace, s.api_key_id, s.api_key,
    s.team, s.model, s.service_tier, s.context_window, s.inference_geo, s.speed, s.product,
    sum(u.uncached_input)::bigint as uncached_input_tokens,
    sum(u.cache_read_input)::bigint as cache_read_input_tokens,
    sum(u.cache_creation_5m_input)::bigint as cache_creation_5m_input_tokens,
    sum(u.cache_creation_1h_input)::bigint as cache_creation_1h_input_tokens,
    sum(u.output)::bigint as output_tokens,
    sum(u.web_searches)::bigint as web_searches,
    sum(u.requests)::bigint as requests
from (
    select bucket, series, uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input,
        output, web_searches, 0 as requests
    from stored_usage
    union all
    select bucket, series, 0, 0, 0, 0, 0, 0, requests
    from request_hour
    union all
    select bucket, series, 0, 0, 0, 0, 0, 0, requests
    from request_day) u
join stored_name s on s.id = u.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14;
create view usage_hourly as
select u.bucket, s.organization, s.workspace_id, s.workspace, s.api_key_id, s.api_key,
    s.team, s.model, s.service_tier, s.context_window, s.inference_geo, s.speed, s.product,
    sum(u.uncached_input)::bigint as uncached_input_tokens,
    sum(u.cache_read_input)::bigint as cache_read_input_tokens,
    sum(u.cache_creation_5m_input)::bigint as cache_creation_5m_input_tokens,
    sum(u.cache_creation_1h_input)::bigint as cache_creation_1h_input_tokens,
    sum(u.output)::bigint as output_tokens,
    sum(u.web_searches)::bigint as web_searches,
    sum(u.requests)::bigint as requests
from (
    select bucket, series, uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input,
        output, web_searches, 0 as requests
    from stored_usage
    union all
    select bucket, series, 0, 0, 0, 0, 0, 0, requests
    from request_hour
    union all
    select bucket, series, 0, 0, 0, 0, 0, 0, requests
    from request_day) u
join stored_name s on s.id = u.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;
drop table set_aside, finding, reconciliation, effective_price, calibration;
alter table usage_minute drop column cal_uncached_input, drop column cal_cache_read_input, drop column cal_cache_creation_5m_input, drop column cal_cache_creation_1h_input, drop column cal_output, drop column cal_web_search;
alter table usage_hour drop column cal_uncached_input, drop column cal_cache_read_input, drop column cal_cache_creation_5m_input, drop column cal_cache_creation_1h_input, drop column cal_output, drop column cal_web_search;
alter table usage_day drop column cal_uncached_input, drop column cal_cache_read_input, drop column cal_cache_creation_5m_input, drop column cal_cache_creation_1h_input, drop column cal_output, drop column cal_web_search;
