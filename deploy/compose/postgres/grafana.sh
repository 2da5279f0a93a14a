#!/bin/sh
# When the database is made: a role for Grafana that may only read, also what is added later.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/grafana-password)" -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'SQL'
create role grafana login password :'password';
alter role grafana set default_transaction_read_only = on;
alter role grafana set statement_timeout = '30s';
grant usage on schema public to grafana;
alter default privileges for role monitor in schema public grant select on tables to grafana;
SQL
