package postgres_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// TestLoadEveryColumn fills every column of every table that there is with every kind of value that it
// can hold, copies that, and compares what both databases then have.
func TestLoadEveryColumn(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	target := openEmpty(t, u)
	conn := connect(t, u)
	path, lite := sqliteFile(t)
	tables := catalog(t, conn)
	require.Greater(t, len(tables), 35)
	for _, table := range tables {
		fill(t, lite, table)
	}
	// Tables of somebody else, on either side, are none of our business.
	exec(t, lite, "create table of_somebody (x)")
	_, err := conn.Exec(t.Context(), "create table of_somebody_else (x int); insert into of_somebody_else values (1)")
	require.NoError(t, err)
	// The highest number was given to a row that is gone.
	exec(t, lite, "insert into outbox (seq, organization, notification_id, state, next_at, body) values (5000, 1, 'gone', 'x', 1, '{}'); delete from outbox where seq = 5000")
	require.NoError(t, lite.Close())

	dump, err := sqlite.OpenDump(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	watched := map[string]int64{}
	loaded, err := target.Load(t.Context(), dump, func(table string, rows int64) { watched[table] = rows })
	require.NoError(t, err)
	require.NoError(t, dump.Close())
	require.Equal(t, []string{"of_somebody"}, loaded.Foreign)

	_, lite = reopen(t, path)
	for i, table := range tables {
		require.Equal(t, table.name, loaded.Tables[i].Name)
		require.Positive(t, loaded.Tables[i].Rows, table.name)
		require.Equal(t, loaded.Tables[i].Rows, watched[table.name])
		requireSameRows(t, lite, conn, table)
	}
	for table, want := range map[string]int64{"outbox": 5001, "series": rowsOfFill + 1, "counter": rowsOfFill + 1} {
		var next int64
		column := "id"
		if table == "outbox" {
			column = "seq"
		}
		require.NoError(t, conn.QueryRow(t.Context(), "select nextval(pg_get_serial_sequence($1, $2))", table, column).Scan(&next))
		require.Equal(t, want, next, "the next number of %s", table)
	}
}

// TestLoadTables checks that both backends have the same tables with the same columns, but for those
// that are left out for a reason.
func TestLoadTables(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	openEmpty(t, u)
	conn := connect(t, u)
	path, lite := sqliteFile(t)
	require.NoError(t, lite.Close())
	dump, err := sqlite.OpenDump(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer dump.Close()
	dumped, err := dump.Tables(t.Context())
	require.NoError(t, err)
	var have []string
	for _, d := range dumped {
		slices.Sort(d.Columns)
		have = append(have, fmt.Sprint(d.Name, d.Columns))
	}
	var want []string
	for _, table := range catalog(t, conn) {
		var columns []string
		for _, c := range table.columns {
			columns = append(columns, c.name)
		}
		slices.Sort(columns)
		want = append(want, fmt.Sprint(table.name, columns))
	}
	require.Equal(t, want, have, "a table or a column that only one of the backends has: monitor copy would lose it")
}

// TestLoadRefuses has databases that cannot be copied, or not there.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	target := openEmpty(t, u)
	conn := connect(t, u)
	load := func(change string) error {
		t.Helper()
		path, lite := sqliteFile(t)
		exec(t, lite, "insert into organization (id, uuid, name, first_seen_at) values (1, 'u', 'acme', 0);"+change)
		require.NoError(t, lite.Close())
		dump, err := sqlite.OpenDump(t.Context(), path, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		defer dump.Close()
		_, err = target.Load(t.Context(), dump, func(string, int64) {})
		var rows int
		require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from organization").Scan(&rows))
		require.Zero(t, rows, "nothing is left of a copy that failed: %s", change)
		return err
	}
	for _, c := range []struct{ change, want string }{
		{"insert into workspace values (1, 'w', 'n', 'l', 'l', 2, null, null, '{}', 0, null)", "table workspace: row 1, column is_default: 2 is neither 0 nor 1"},
		{"insert into workspace values (1, 'w', 'n', 'l', 'l', 1, null, null, '{', 0, null)", "table workspace: row 1, column tags: is not JSON"},
		{"insert into workspace values (1, 'w', 'a' || char(0), 'l', 'l', 1, null, null, '{}', 0, null)", `table workspace: row 1, column name: "a\x00" holds a NUL character`},
		{"insert into workspace values (1, 'w', cast(x'ff' as text), 'l', 'l', 1, null, null, '{}', 0, null)", "is not valid UTF-8"},
		{"insert into rate_limit values (1, '', 0, 'g', 't', 'n', '{}', 'l', 1)", "column models: is not a JSON array of strings"},
		{"insert into ledger values (1, 'usage', 0, 5000000000, 'r', 's', 0, 0, null, 0)", "column grain: 5000000000 is out of range"},
	} {
		require.ErrorContains(t, load(c.change), c.want)
	}

	blocker, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = blocker.Exec(t.Context(), "insert into organization (uuid, name, first_seen_at) values ('x', 'other', now())")
	require.NoError(t, err)
	require.NoError(t, blocker.Commit(t.Context()))
	path, lite := sqliteFile(t)
	require.NoError(t, lite.Close())
	dump, err := sqlite.OpenDump(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer dump.Close()
	_, err = target.Load(t.Context(), dump, func(string, int64) {})
	require.ErrorContains(t, err, "is not empty (there are rows in organization): copy to a new database")

	_, err = target.Load(t.Context(), otherVersion{dump}, func(string, int64) {})
	require.ErrorContains(t, err, "both must have the same one")
}

type otherVersion struct{ storage.Dump }

func (otherVersion) Version() int64 { return 1 }

// TestLoadSeesDifferences has a database that is not what was copied: rows that change on the way.
func TestLoadSeesDifferences(t *testing.T) {
	t.Parallel()
	u := pgtest.URL(t)
	target := openEmpty(t, u)
	conn := connect(t, u)
	path, lite := sqliteFile(t)
	for _, table := range catalog(t, conn) {
		fill(t, lite, table)
	}
	require.NoError(t, lite.Close())
	dump, err := sqlite.OpenDump(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer dump.Close()
	for _, c := range []struct{ table, change, want string }{
		{"usage_hour", "new.output = new.output + 1", "column output of table usage_hour"},
		{"reconciliation", "new.checked_at = new.checked_at + interval '1 second'", "column checked_at of table reconciliation"},
		{"member", "new.email = upper(new.email)", "column email of table member"},
		{"outbox", `new.body = '{"other": 1}'`, "column body of table outbox"},
		{"rate_limit", "new.models = array['other']", "column models of table rate_limit"},
		{"alert_change", "new.value = new.value * 1.0000001", "column value of table alert_change"},
	} {
		_, err = conn.Exec(t.Context(), `
			create function change() returns trigger language plpgsql as $$ begin `+c.change+`; return new; end $$;
			create trigger change before insert on `+c.table+` for each row execute function change()`)
		require.NoError(t, err)
		_, err = target.Load(t.Context(), dump, func(string, int64) {})
		require.ErrorContains(t, err, "the copy differs: "+c.want, c.change)
		_, err = conn.Exec(t.Context(), "drop function change cascade")
		require.NoError(t, err)
	}
	_, err = target.Load(t.Context(), dump, func(string, int64) {})
	require.NoError(t, err)
}

// TestLoadInterrupted gives up half-way and does it again.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	target := openEmpty(t, pgtest.URL(t))
	path, lite := sqliteFile(t)
	exec(t, lite, `
		insert into organization (id, uuid, name, first_seen_at) values (1, 'u', 'acme', 0);
		insert into series (id, organization) values (1, 1);
		insert into request_hour
		with recursive n (value) as (select 1 union all select value + 1 from n where value < 20000)
		select 1, value * 3600, 1, value from n`)
	require.NoError(t, lite.Close())
	dump, err := sqlite.OpenDump(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer dump.Close()
	ctx, cancel := context.WithCancel(t.Context())
	_, err = target.Load(ctx, dump, func(table string, rows int64) {
		if table == "request_hour" {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	loaded, err := target.Load(t.Context(), dump, func(string, int64) {})
	require.NoError(t, err)
	i := slices.IndexFunc(loaded.Tables, func(x storage.LoadedTable) bool { return x.Name == "request_hour" })
	require.EqualValues(t, 20_000, loaded.Tables[i].Rows)
}

func TestOpenDump(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	_, err := sqlite.OpenDump(t.Context(), filepath.Join(t.TempDir(), "none.db"), log)
	require.ErrorContains(t, err, "there is no such file")

	path, lite := sqliteFile(t)
	exec(t, lite, "insert into organization (id, uuid, name, first_seen_at) values (1, 'u', 'acme', 0)")
	store, err := sqlite.Open(t.Context(), path, log)
	require.NoError(t, err)
	owner, err := store.Own(t.Context(), "u")
	require.NoError(t, err)
	_, err = sqlite.OpenDump(t.Context(), path, log)
	require.ErrorIs(t, err, storage.ErrOwned)
	require.ErrorContains(t, err, "stop it first")
	require.NoError(t, owner.Release())

	dump, err := sqlite.OpenDump(t.Context(), path, log)
	require.NoError(t, err)
	_, err = store.Own(t.Context(), "u")
	require.ErrorIs(t, err, storage.ErrOwned, "no daemon begins while it is copied")
	require.NoError(t, dump.Close())
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: "v"}, now))
	require.NoError(t, store.Close())

	for _, c := range []struct{ change, want string }{
		{"insert into goose_db_version (version_id, is_applied, tstamp) values (9999, 1, 0)", "schema 9999, this program knows"},
		{"delete from goose_db_version where version_id > 1", "has schema 1, this program writes"},
		{"pragma application_id = 7", "belongs to another program"},
	} {
		path, lite := sqliteFile(t)
		exec(t, lite, c.change)
		require.NoError(t, lite.Close())
		_, err = sqlite.OpenDump(t.Context(), path, log)
		require.ErrorContains(t, err, c.want)
	}
}

// BenchmarkLoad measures a quarter of a million rows by the hour against a plain COPY of the same rows,
// from memory into the same table, in the same run. What copying does besides is reading, converting,
// and comparing afterwards.
func BenchmarkLoad(b *testing.B) {
	w, rows := benchUsage()
	rows = rows[:len(rows)/4]
	path := filepath.Join(b.TempDir(), "monitor.db")
	source, err := sqlite.Open(b.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	require.NoError(b, source.SaveOrganization(b.Context(), spend.Organization{ID: organization, Name: "acme"}, now))
	o, err := source.Own(b.Context(), organization)
	require.NoError(b, err)
	_, err = o.ReplaceUsage(b.Context(), storage.Reading{Report: spend.ReportMessages, Grain: spend.Hour, Window: w, At: now, DataAt: w.Start}, rows)
	require.NoError(b, err)
	require.NoError(b, source.Close())

	u := pgtest.URL(b)
	target := openEmpty(b, u)
	conn := connect(b, u)
	dump, err := sqlite.OpenDump(b.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	defer dump.Close()
	tables, err := dump.Tables(b.Context())
	require.NoError(b, err)
	columns := tables[slices.IndexFunc(tables, func(x storage.DumpTable) bool { return x.Name == "usage_hour" })].Columns
	read, err := dump.Rows(b.Context(), "usage_hour", columns)
	require.NoError(b, err)
	var values [][]any
	for read.Next() {
		row, err := read.Values()
		require.NoError(b, err)
		row = slices.Clone(row)
		row[slices.Index(columns, "bucket")] = time.Unix(row[slices.Index(columns, "bucket")].(int64), 0)
		values = append(values, row)
	}
	require.NoError(b, read.Err())
	require.NoError(b, read.Close())
	require.Len(b, values, len(rows))

	var limit, took time.Duration
	for b.Loop() {
		start := time.Now()
		_, err := conn.CopyFrom(b.Context(), pgx.Identifier{"usage_hour"}, columns, pgx.CopyFromRows(values))
		require.NoError(b, err)
		limit += time.Since(start)
		_, err = conn.Exec(b.Context(), "truncate usage_hour")
		require.NoError(b, err)
		start = time.Now()
		_, err = target.Load(b.Context(), dump, func(string, int64) {})
		require.NoError(b, err)
		took += time.Since(start)
		_, err = conn.Exec(b.Context(), "truncate organization, usage_hour, ledger, day_change, key_use cascade")
		require.NoError(b, err)
	}
	n := float64(b.N * len(rows))
	b.ReportMetric(n/limit.Seconds(), "limit-rows/s")
	b.ReportMetric(n/took.Seconds(), "copy-rows/s")
	b.ReportMetric(limit.Seconds()/took.Seconds(), "copy/limit")
}

// column and table are as PostgreSQL's catalog has them.
type column struct {
	name, typ string
	nullable  bool
	key       bool // part of one
}

type table struct {
	name    string
	columns []column
}

func catalog(t *testing.T, conn *pgx.Conn) []table {
	t.Helper()
	rows, _ := conn.Query(t.Context(), `
		select c.relname, a.attname, format_type(a.atttypid, null), not a.attnotnull,
			exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any(i.indkey))
		from pg_class c
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
		where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
			and c.relname <> 'goose_db_version' -- which migrations each backend was given is its own
		order by c.relname, a.attnum`)
	var tables []table
	var name string
	var c column
	_, err := pgx.ForEachRow(rows, []any{&name, &c.name, &c.typ, &c.nullable, &c.key}, func() error {
		if len(tables) == 0 || tables[len(tables)-1].name != name {
			tables = append(tables, table{name: name})
		}
		x := &tables[len(tables)-1]
		x.columns = append(x.columns, c)
		return nil
	})
	require.NoError(t, err)
	return tables
}

const rowsOfFill = 12

// fill inserts rows that have, one row after another, each kind of value in each column.
func fill(t *testing.T, lite *sql.DB, x table) {
	t.Helper()
	var names, marks []string
	for _, c := range x.columns {
		names, marks = append(names, c.name), append(marks, "?")
	}
	for i := range rowsOfFill {
		var values []any
		for j, c := range x.columns {
			values = append(values, valueOf(t, x.name, c, i, i+j))
		}
		_, err := lite.ExecContext(t.Context(), "insert into "+x.name+" ("+strings.Join(names, ", ")+") values ("+strings.Join(marks, ", ")+")", values...)
		require.NoError(t, err, x.name)
	}
}

// valueOf is the value of a column of row i, the n-th of its kind.
func valueOf(t *testing.T, table string, c column, i, n int) any {
	t.Helper()
	number := int64(i + 1)
	switch c.name {
	case "organization", "series", "counter", "id", "seq":
		if c.typ != "text" {
			return number
		}
	case "day", "bucket", "start", "period":
		return number * 86400 * 3 // of different days, some of which are not at midnight for who forgets UTC
	}
	if c.nullable && c.typ != "text[]" && n%3 == 0 { // SQLite has JSON's null for lists
		return nil
	}
	pick := func(values ...any) any { return values[n%len(values)] }
	switch c.typ {
	case "smallint":
		return pick(int64(0), int64(math.MaxInt16), int64(math.MinInt16))
	case "integer":
		if c.name == "grain" {
			return int64(3600)
		}
		return pick(int64(0), int64(math.MaxInt32), int64(math.MinInt32), number)
	case "bigint":
		if strings.HasPrefix(table, "usage_") || strings.HasPrefix(table, "cost_") || strings.HasPrefix(table, "request_") {
			return pick(int64(0), int64(1e15), int64(-1e15), number) // these are summed up
		}
		return pick(int64(0), int64(math.MaxInt64), int64(math.MinInt64), number)
	case "timestamp with time zone":
		return pick(int64(0), int64(1793736000), int64(1774747800), int64(-1), int64(4102444799))
	case "boolean":
		return pick(int64(0), int64(1))
	case "double precision":
		return pick(0.1, 1e300, -2.5, math.Inf(1), 1.0/3, 5e-324)
	case "text":
		if c.key {
			return fmt.Sprintf("%d ß\"'", i)
		}
		return pick("", "a", "Ünïcödé 👍\n\t\\N", `\.`, strings.Repeat("long ", 1000))
	case "bytea":
		return pick([]byte{}, []byte{0, 1, 255})
	case "jsonb":
		return pick(`{}`, `[1, 2.50, 1e2, -0.1]`, `{"b": {"z": null, "a": "\u00fc\\u0000"}, "a": 9007199254740993}`, `"text"`, `null`)
	case "text[]":
		return pick(`["a", "b, {c}", "\"", "null", ""]`, `[]`, `null`)
	}
	require.Fail(t, "no values of this type", "%s in %s", c.typ, table)
	return nil
}

// requireSameRows compares a table in both databases, in a way of its own: PostgreSQL is asked for what
// SQLite holds.
func requireSameRows(t *testing.T, lite *sql.DB, conn *pgx.Conn, x table) {
	t.Helper()
	var here, there, keys []string
	for _, c := range x.columns {
		here = append(here, c.name)
		switch c.typ {
		case "timestamp with time zone":
			there = append(there, "round(extract(epoch from "+c.name+"))::bigint")
		case "boolean":
			there = append(there, "case "+c.name+" when true then 1 when false then 0 end::bigint")
		case "smallint", "integer":
			there = append(there, c.name+"::bigint")
		case "jsonb":
			there = append(there, c.name+"::text")
		case "text[]":
			there = append(there, "coalesce(array_to_json("+c.name+")::text, 'null')")
		default:
			there = append(there, c.name)
		}
		if c.key {
			keys = append(keys, c.name)
		}
	}
	order := " order by " + keys[0] // which all that have an organization are of different ones
	rows, err := lite.QueryContext(t.Context(), "select "+strings.Join(here, ", ")+" from "+x.name+order)
	require.NoError(t, err)
	defer rows.Close()
	want := scanAll(t, rows, len(here))
	answer, _ := conn.Query(t.Context(), "select "+strings.Join(there, ", ")+" from "+x.name+order)
	have, err := pgx.CollectRows(answer, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	require.NoError(t, err)
	require.Equal(t, len(want), len(have), x.name)
	for i := range want {
		for j, c := range x.columns {
			w, h := want[i][j], have[i][j]
			if s, ok := w.(string); ok && (c.typ == "jsonb" || c.typ == "text[]") {
				require.JSONEq(t, s, h.(string), "%s.%s", x.name, c.name)
				var exact [2]any
				for k, text := range []string{s, h.(string)} {
					d := json.NewDecoder(strings.NewReader(text))
					d.UseNumber()
					require.NoError(t, d.Decode(&exact[k]))
				}
				if strings.Contains(s, "9007199254740993") {
					require.Equal(t, exact[0], exact[1], "integers are exact")
				}
				continue
			}
			require.Equal(t, w, h, "%s.%s of row %d", x.name, c.name, i+1)
		}
	}
}

func scanAll(t *testing.T, rows *sql.Rows, n int) (all [][]any) {
	t.Helper()
	for rows.Next() {
		values, targets := make([]any, n), make([]any, n)
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		all = append(all, values)
	}
	require.NoError(t, rows.Err())
	return all
}

func openEmpty(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// sqliteFile is a new database file of ours, and a connection that writes anything to it.
func sqliteFile(t *testing.T) (string, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "monitor.db")
	store, err := sqlite.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, store.Close())
	return reopen(t, path)
}

func reopen(t *testing.T, path string) (string, *sql.DB) {
	t.Helper()
	lite, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	lite.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = lite.Close() })
	return path, lite
}

func exec(t *testing.T, lite *sql.DB, query string) {
	t.Helper()
	_, err := lite.ExecContext(t.Context(), query)
	require.NoError(t, err, query)
}
