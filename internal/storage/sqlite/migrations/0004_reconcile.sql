-- Calibration and reconciliation: estimates scaled to what bills really charge, what was compared
-- with what, and what bills hold that cannot be added up.

-- +goose Up

-- cal_*: the estimate of each kind as it counts, est_* times the calibration factor that held when
-- the row was written, each rounded by itself. Until there is a factor it is the estimate itself.
alter table usage_minute add column cal_uncached_input integer not null default 0;
alter table usage_minute add column cal_cache_read_input integer not null default 0;
alter table usage_minute add column cal_cache_creation_5m_input integer not null default 0;
alter table usage_minute add column cal_cache_creation_1h_input integer not null default 0;
alter table usage_minute add column cal_output integer not null default 0;
alter table usage_minute add column cal_web_search integer not null default 0;
alter table usage_hour add column cal_uncached_input integer not null default 0;
alter table usage_hour add column cal_cache_read_input integer not null default 0;
alter table usage_hour add column cal_cache_creation_5m_input integer not null default 0;
alter table usage_hour add column cal_cache_creation_1h_input integer not null default 0;
alter table usage_hour add column cal_output integer not null default 0;
alter table usage_hour add column cal_web_search integer not null default 0;
alter table usage_day add column cal_uncached_input integer not null default 0;
alter table usage_day add column cal_cache_read_input integer not null default 0;
alter table usage_day add column cal_cache_creation_5m_input integer not null default 0;
alter table usage_day add column cal_cache_creation_1h_input integer not null default 0;
alter table usage_day add column cal_output integer not null default 0;
alter table usage_day add column cal_web_search integer not null default 0;
update usage_minute set cal_uncached_input = est_uncached_input, cal_cache_read_input = est_cache_read_input, cal_cache_creation_5m_input = est_cache_creation_5m_input, cal_cache_creation_1h_input = est_cache_creation_1h_input, cal_output = est_output, cal_web_search = est_web_search;
update usage_hour set cal_uncached_input = est_uncached_input, cal_cache_read_input = est_cache_read_input, cal_cache_creation_5m_input = est_cache_creation_5m_input, cal_cache_creation_1h_input = est_cache_creation_1h_input, cal_output = est_output, cal_web_search = est_web_search;
update usage_day set cal_uncached_input = est_uncached_input, cal_cache_read_input = est_cache_read_input, cal_cache_creation_5m_input = est_cache_creation_5m_input, cal_cache_creation_1h_input = est_cache_creation_1h_input, cal_output = est_output, cal_web_search = est_web_search;

-- What the bills of settled days say about estimates. factor is in billionths; model is empty for
-- the organization; problem: why the factor does not count.
create table calibration (
    organization integer not null references organization (id),
    model        text not null,
    factor       integer not null,
    billed       integer not null,
    estimated    integer not null,
    days         integer not null,
    first_day    integer,
    end_day      integer,
    computed_at  integer not null,
    problem      text not null,
    primary key (organization, model)
) strict, without rowid;

-- What models whose price step no report tells really cost, in billionths of a dollar per million tokens.
create table effective_price (
    organization            integer not null references organization (id),
    model                   text not null,
    first_day               integer not null,
    end_day                 integer not null,
    uncached_input          integer not null,
    cache_read_input        integer not null,
    cache_creation_5m_input integer not null,
    cache_creation_1h_input integer not null,
    output                  integer not null,
    primary key (organization, model)
) strict, without rowid;

-- What was compared on a UTC day: counts, or billionths of a dollar where money is true.
create table reconciliation (
    organization integer not null references organization (id),
    day          integer not null,
    name         text not null,
    subject      text not null,
    model        text not null,
    token_type   text not null,
    report       text not null,
    compared     text not null, -- the report that theirs come from
    money        integer not null,
    ours         integer not null,
    theirs       integer not null,
    list         integer not null,
    verdict      text not null,
    explanation  text not null,
    since        integer not null,
    checked_at   integer not null,
    primary key (organization, day, name, subject, model, token_type)
) strict, without rowid;

-- What the figures show that somebody should know.
create table finding (
    organization integer not null references organization (id),
    kind         text not null,
    subject      text not null,
    amount       text not null,
    detail       text not null,
    first_day    integer,
    end_day      integer,
    first_at     integer not null,
    seen_at      integer not null,
    primary key (organization, kind, subject)
) strict, without rowid;

-- Rows of bills in a currency that cannot be added up with the others; amounts as reported.
create table set_aside (
    organization   integer not null references organization (id),
    report         text not null,
    bucket         integer not null,
    position       integer not null,
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
    read_at        integer not null,
    primary key (organization, report, bucket, position)
) strict, without rowid;

-- The estimates that count, calibrated (amount) and at list price (list).
drop view stored_cost;
drop view stored_estimate;
create view stored_estimate as
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.cal_uncached_input when 1 then u.cal_cache_read_input when 2 then u.cal_cache_creation_5m_input when 3 then u.cal_cache_creation_1h_input when 4 then u.cal_output when 5 then u.cal_web_search end as amount, case k.kind when 0 then u.est_uncached_input when 1 then u.est_cache_read_input when 2 then u.est_cache_creation_5m_input when 3 then u.est_cache_creation_1h_input when 4 then u.est_output when 5 then u.est_web_search end as list
from usage_hour u cross join stored_kind k
where not exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'cost' and l.state = 'billed'
        and (l.start = u.bucket - u.bucket % 3600 and l.grain = 3600 or l.start = u.bucket - u.bucket % 86400 and l.grain = 86400)
)
union all
select u.organization, u.bucket, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.cal_uncached_input when 1 then u.cal_cache_read_input when 2 then u.cal_cache_creation_5m_input when 3 then u.cal_cache_creation_1h_input when 4 then u.cal_output when 5 then u.cal_web_search end, case k.kind when 0 then u.est_uncached_input when 1 then u.est_cache_read_input when 2 then u.est_cache_creation_5m_input when 3 then u.est_cache_creation_1h_input when 4 then u.est_output when 5 then u.est_web_search end
from usage_day u cross join stored_kind k
where not exists (
    select 1 from ledger l
    where l.organization = u.organization and l.fact = 'cost' and l.state = 'billed' and l.start >= u.bucket and l.start < u.bucket + 86400
)
union all
select u.organization, u.bucket - u.bucket % 3600, u.series, k.cost_type, k.token_type, case k.kind when 0 then u.cal_uncached_input when 1 then u.cal_cache_read_input when 2 then u.cal_cache_creation_5m_input when 3 then u.cal_cache_creation_1h_input when 4 then u.cal_output when 5 then u.cal_web_search end, case k.kind when 0 then u.est_uncached_input when 1 then u.est_cache_read_input when 2 then u.est_cache_creation_5m_input when 3 then u.est_cache_creation_1h_input when 4 then u.est_output when 5 then u.est_web_search end
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
select organization, bucket, series, cost_type, token_type, 'estimated', amount, list
from stored_estimate
where amount <> 0 or list <> 0
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

-- +goose Down
drop view stored_cost;
drop view stored_estimate;
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
drop table set_aside;
drop table finding;
drop table reconciliation;
drop table effective_price;
drop table calibration;
alter table usage_minute drop column cal_uncached_input;
alter table usage_minute drop column cal_cache_read_input;
alter table usage_minute drop column cal_cache_creation_5m_input;
alter table usage_minute drop column cal_cache_creation_1h_input;
alter table usage_minute drop column cal_output;
alter table usage_minute drop column cal_web_search;
alter table usage_hour drop column cal_uncached_input;
alter table usage_hour drop column cal_cache_read_input;
alter table usage_hour drop column cal_cache_creation_5m_input;
alter table usage_hour drop column cal_cache_creation_1h_input;
alter table usage_hour drop column cal_output;
alter table usage_hour drop column cal_web_search;
alter table usage_day drop column cal_uncached_input;
alter table usage_day drop column cal_cache_read_input;
alter table usage_day drop column cal_cache_creation_5m_input;
alter table usage_day drop column cal_cache_creation_1h_input;
alter table usage_day drop column cal_output;
alter table usage_day drop column cal_web_search;
