-- Sums by the UTC day of what is kept by the hour, so that questions about days need not add hours up.
-- They are derived: a day whose sums do not hold is answered from the hours, and summed again.

-- +goose Up

-- The rows of usage_hour summed up by day, series and price, so that what counts by price can still be told.
create table usage_sum (
    organization            integer not null,
    bucket                  integer not null,
    series                  integer not null,
    price                   integer not null,
    uncached_input              integer not null,
    cache_read_input            integer not null,
    cache_creation_5m_input     integer not null,
    cache_creation_1h_input     integer not null,
    output                      integer not null,
    web_searches                integer not null,
    est_uncached_input          integer not null,
    est_cache_read_input        integer not null,
    est_cache_creation_5m_input integer not null,
    est_cache_creation_1h_input integer not null,
    est_output                  integer not null,
    est_web_search              integer not null,
    cal_uncached_input          integer not null,
    cal_cache_read_input        integer not null,
    cal_cache_creation_5m_input integer not null,
    cal_cache_creation_1h_input integer not null,
    cal_output                  integer not null,
    cal_web_search              integer not null,
    bill_uncached_input          integer,
    bill_cache_read_input        integer,
    bill_cache_creation_5m_input integer,
    bill_cache_creation_1h_input integer,
    bill_output                  integer,
    bill_web_search              integer,
    primary key (organization, bucket, series, price)
) strict, without rowid;

create table request_sum (
    organization integer not null,
    bucket       integer not null,
    series       integer not null,
    requests     integer not null,
    primary key (organization, bucket, series)
) strict, without rowid;

create table cost_sum (
    organization integer not null,
    bucket       integer not null,
    series       integer not null,
    amount       integer not null,
    list         integer not null,
    primary key (organization, bucket, series)
) strict, without rowid;

-- The days of which hours were written, and whether all their sums hold: every write to hours of a
-- day makes that 0 in the same transaction.
create table sum_day (
    organization integer not null references organization (id),
    day          integer not null,
    holds        integer not null,
    primary key (organization, day)
) strict, without rowid;

-- Finds what is to be summed.
create index sum_day_due on sum_day (organization, day) where not holds;

insert into sum_day (organization, day, holds)
select distinct organization, start - start % 86400, 0
from ledger
where grain = 3600;

-- +goose Down
drop table sum_day;
drop table cost_sum;
drop table request_sum;
drop table usage_sum;
