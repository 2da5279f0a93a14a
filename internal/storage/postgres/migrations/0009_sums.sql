-- Sums by the UTC day of what is kept by the hour, so that questions about days need not add hours up.
-- They are derived: a day whose sums do not hold is answered from the hours, and summed again.

-- +goose Up

-- The rows of usage_hour summed up by day, series and price, so that what counts by price can still be told.
create table usage_sum (like usage_hour including defaults, primary key (organization, bucket, series, price));
create table request_sum (like request_hour, primary key (organization, bucket, series));
create table cost_sum (like cost_hour, primary key (organization, bucket, series));

-- The days of which hours were written, and whether all their sums hold: every write to hours of a
-- day makes that false in the same transaction.
create table sum_day (
    organization int not null,
    day          timestamptz not null,
    holds        boolean not null,
    primary key (organization, day)
);

-- Finds what is to be summed.
create index sum_day_due on sum_day (organization, day) where not holds;

insert into sum_day (organization, day, holds)
select distinct organization, date_trunc('day', start, 'UTC'), false
from ledger
where grain = 3600;

-- +goose Down
drop table sum_day, cost_sum, request_sum, usage_sum;
