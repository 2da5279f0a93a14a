-- The views of the operator's contract. They count exactly the rows that the program counts; the
-- ones named stored_ are parts of them and not promised. team is empty until teams are mapped.

-- +goose Up

-- The usage that counts, once: hours and days stand in their tables only where they rule, minutes
-- count where the ledger says so. Days that are only known by the day stand at their start.
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
comment on view stored_usage is 'Usage rows that count, by hour or day. Used by the other views.';

-- The cost that counts, once, as in the answers of the program: a bill by the hour; on days billed
-- by the day the shares of usage and what was not shared out; else the estimates, and of the open
-- bill what no estimate covers.
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
comment on view stored_cost is 'Cost rows that count, by hour or day, in billionths of a dollar. Used by the other views.';

-- Series with the names of their workspaces and keys.
create view stored_name as
select s.id, case when o.name = '' then o.uuid else o.name end as organization, s.workspace_id, coalesce(w.label, s.workspace_id) as workspace,
    case when s.api_key_id = 'none' then '' else s.api_key_id end as api_key_id,
    case when s.api_key_id = 'none' then '' else coalesce(k.label, s.api_key_id) end as api_key,
    s.api_key_id = '' as unattributed,
    '' as team, s.model, s.service_tier, s.context_window, s.inference_geo, s.speed, s.product
from series s
join organization o on o.id = s.organization
left join workspace w on w.organization = s.organization and w.id = s.workspace_id
left join api_key k on k.organization = s.organization and k.id = s.api_key_id;
comment on view stored_name is 'Dimensions by id and name. Used by the other views.';

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
comment on view cost_daily is 'Cost by UTC day in dollars, exact. basis: billed, allocated (a share of a billed cell) or estimated.';

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
comment on view cost_hourly is 'Cost by hour in dollars, exact; what is only known by the day stands at the start of its UTC day.';

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
comment on view usage_daily is 'Tokens, web searches and requests by UTC day.';

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
comment on view usage_hourly is 'Tokens, web searches and requests by hour; what is only known by the day stands at the start of its UTC day.';

create view job_history as
select case when o.name = '' then o.uuid else o.name end as organization, r.job, r.started_at, r.ended_at, r.outcome, r.rows, r.requests, r.error
from run r
join organization o on o.id = r.organization;
comment on view job_history is 'Runs of jobs.';

-- +goose Down
drop view job_history, usage_hourly, usage_daily, cost_hourly, cost_daily, stored_name, stored_cost, stored_usage;
