-- The views of the operator's contract. They count exactly the rows that the program counts; the
-- ones named stored_ are parts of them and not promised. team is empty until teams are mapped.

-- +goose Up

-- The usage that counts, at the grain it is known at; requests beside it.
create view stored_usage as
select organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input, output, web_searches, 0 as requests
from usage_hour
union all
select organization, bucket, series, uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input, output, web_searches, 0 as requests
from usage_day
union all
select organization, bucket - bucket % 3600, series, uncached_input, cache_read_input, cache_creation_5m_input, cache_creation_1h_input, output, web_searches, 0
from usage_minute u
where exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'usage' and l.start = u.bucket - u.bucket % 3600 and l.grain = 60
)
union all
select organization, bucket, series, 0, 0, 0, 0, 0, 0, requests
from request_hour
union all
select organization, bucket, series, 0, 0, 0, 0, 0, 0, requests
from request_day;

-- The kinds that usage counts, to turn their columns into rows.
create view stored_kind as
select 0 as kind, 'tokens' as cost_type, 'uncached_input' as token_type
union all
select 1, 'tokens', 'cache_read_input'
union all
select 2, 'tokens', 'cache_creation_5m_input'
union all
select 3, 'tokens', 'cache_creation_1h_input'
union all
select 4, 'tokens', 'output'
union all
select 5, 'web_search', '';

-- The usage rows that carry shares of a bill, and those that carry the estimate that counts: where
-- neither the hour nor the day is billed, nor, for usage by the day, any hour of it.
create view stored_share as
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.bill_uncached_input when 1 then u.bill_cache_read_input when 2 then u.bill_cache_creation_5m_input when 3 then u.bill_cache_creation_1h_input when 4 then u.bill_output when 5 then u.bill_web_search end as amount
from usage_hour u cross join stored_kind k
where u.bill_output is not null
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.bill_uncached_input when 1 then u.bill_cache_read_input when 2 then u.bill_cache_creation_5m_input when 3 then u.bill_cache_creation_1h_input when 4 then u.bill_output when 5 then u.bill_web_search end as amount
from usage_day u cross join stored_kind k
where u.bill_output is not null;

create view stored_estimate as
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.est_uncached_input when 1 then u.est_cache_read_input when 2 then u.est_cache_creation_5m_input when 3 then u.est_cache_creation_1h_input when 4 then u.est_output when 5 then u.est_web_search end as amount
from usage_hour u cross join stored_kind k
where not exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'cost' and l.state = 'billed'
        and (l.start = u.bucket - u.bucket % 3600 and l.grain = 3600 or l.start = u.bucket - u.bucket % 86400 and l.grain = 86400)
)
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.est_uncached_input when 1 then u.est_cache_read_input when 2 then u.est_cache_creation_5m_input when 3 then u.est_cache_creation_1h_input when 4 then u.est_output when 5 then u.est_web_search end
from usage_day u cross join stored_kind k
where not exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'cost' and l.state = 'billed' and l.start >= u.bucket and l.start < u.bucket + 86400
)
union all
select u.organization, u.bucket - u.bucket % 3600, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.est_uncached_input when 1 then u.est_cache_read_input when 2 then u.est_cache_creation_5m_input when 3 then u.est_cache_creation_1h_input when 4 then u.est_output when 5 then u.est_web_search end
from usage_minute u cross join stored_kind k
where exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'usage' and l.start = u.bucket - u.bucket % 3600 and l.grain = 60
) and not exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'cost' and l.state = 'billed'
        and (l.start = u.bucket - u.bucket % 3600 and l.grain = 3600 or l.start = u.bucket - u.bucket % 86400 and l.grain = 86400)
);

-- The cost that counts, at the grain it is known at.
create view stored_cost as
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed' as basis, c.amount, c.list
from cost_hour c join series s on s.id = c.series
union all
select organization, bucket, series, cost_type, token_type, 'allocated', amount, amount
from stored_share
where amount <> 0
union all
select organization, bucket, series, cost_type, token_type, 'estimated', amount, amount
from stored_estimate
where amount <> 0
union all
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed', c.rest, c.rest_list
from cost_day c join series s on s.id = c.series
where c.rest <> 0 or c.rest_list <> 0
union all
select c.organization, c.bucket, c.series, s.cost_type, s.token_type, 'billed', c.amount, c.list
from cost_day c
    join series s on s.id = c.series
    join ledger l on l.organization = c.organization and l.fact = 'cost' and l.start = c.bucket
where l.state <> 'billed' and s.cost_type not in ('tokens', 'web_search');

-- Series with the names of things. Use without a key has an empty key.
create view stored_name as
select s.id as series, case when o.name = '' then o.uuid else o.name end as organization,
    s.workspace_id, coalesce(w.label, s.workspace_id) as workspace,
    case when s.api_key_id = 'none' then '' else s.api_key_id end as api_key_id,
    case when s.api_key_id = 'none' then '' else coalesce(k.label, s.api_key_id) end as api_key,
    s.api_key_id = '' as no_key_known,
    '' as team, s.model, s.service_tier, s.context_window, s.inference_geo, s.speed, s.product
from series s
    join organization o on o.id = s.organization
    left join workspace w on w.organization = s.organization and w.id = s.workspace_id
    left join api_key k on k.organization = s.organization and k.id = s.api_key_id;

-- Usage by UTC day (text, 2026-01-31); bucket is its first instant, as in usage_hourly.
create view usage_daily as
select date(u.bucket, 'unixepoch') as day, strftime('%Y-%m-%dT00:00:00Z', u.bucket, 'unixepoch') as bucket, n.organization, n.workspace_id, n.workspace, n.api_key_id, n.api_key, n.team, n.model, n.service_tier, n.context_window,
    n.inference_geo, n.speed, n.product,
    sum(u.uncached_input) as uncached_input_tokens,
    sum(u.cache_read_input) as cache_read_input_tokens,
    sum(u.cache_creation_5m_input) as cache_creation_5m_input_tokens,
    sum(u.cache_creation_1h_input) as cache_creation_1h_input_tokens,
    sum(u.output) as output_tokens,
    sum(u.web_searches) as web_searches,
    sum(u.requests) as requests
from stored_usage u join stored_name n on n.series = u.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14;

-- Usage by the hour (text, 2026-01-31T15:00:00Z); what is only known by the day stands at its start.
create view usage_hourly as
select strftime('%Y-%m-%dT%H:%M:%SZ', u.bucket, 'unixepoch') as bucket, n.organization, n.workspace_id, n.workspace, n.api_key_id, n.api_key, n.team, n.model, n.service_tier, n.context_window,
    n.inference_geo, n.speed, n.product,
    sum(u.uncached_input) as uncached_input_tokens,
    sum(u.cache_read_input) as cache_read_input_tokens,
    sum(u.cache_creation_5m_input) as cache_creation_5m_input_tokens,
    sum(u.cache_creation_1h_input) as cache_creation_1h_input_tokens,
    sum(u.output) as output_tokens,
    sum(u.web_searches) as web_searches,
    sum(u.requests) as requests
from stored_usage u join stored_name n on n.series = u.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;

-- Cost by UTC day. cost_usd and list_usd are floating point, for display; cost_nano and list_nano are the
-- exact amounts in billionths of a dollar, for sums.
create view cost_daily as
select date(c.bucket, 'unixepoch') as day, n.organization, n.workspace_id, n.workspace, n.api_key_id,
    case when n.no_key_known then '(unattributed)' else n.api_key end as api_key, n.team,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else n.model end as model,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else n.service_tier end as service_tier,
    c.cost_type, c.token_type, n.product, c.basis,
    sum(c.amount) / 1e9 as cost_usd, sum(c.list) / 1e9 as list_usd, sum(c.amount) as cost_nano, sum(c.list) as list_nano
from stored_cost c join stored_name n on n.series = c.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;

-- Cost by the hour, as cost_daily; what is only known by the day stands at its start.
create view cost_hourly as
select strftime('%Y-%m-%dT%H:%M:%SZ', c.bucket, 'unixepoch') as bucket, n.organization, n.workspace_id, n.workspace, n.api_key_id,
    case when n.no_key_known then '(unattributed)' else n.api_key end as api_key, n.team,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else n.model end as model,
    case when c.basis = 'allocated' and c.cost_type = 'web_search' then '' else n.service_tier end as service_tier,
    c.cost_type, c.token_type, n.product, c.basis,
    sum(c.amount) / 1e9 as cost_usd, sum(c.list) / 1e9 as list_usd, sum(c.amount) as cost_nano, sum(c.list) as list_nano
from stored_cost c join stored_name n on n.series = c.series
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13;

-- Job runs, times as text.
create view job_history as
select case when o.name = '' then o.uuid else o.name end as organization, r.job,
    strftime('%Y-%m-%dT%H:%M:%SZ', r.started_at, 'unixepoch') as started_at,
    strftime('%Y-%m-%dT%H:%M:%SZ', r.ended_at, 'unixepoch') as ended_at,
    r.outcome, r.rows, r.requests, r.error
from run r join organization o on o.id = r.organization;

-- +goose Down
drop view job_history;
drop view cost_hourly;
drop view cost_daily;
drop view usage_hourly;
drop view usage_daily;
drop view stored_name;
drop view stored_cost;
drop view stored_estimate;
drop view stored_share;
drop view stored_kind;
drop view stored_usage;
