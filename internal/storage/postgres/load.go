package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// notLoaded are the tables that a copy leaves out, and why.
var notLoaded = map[string]string{
	"goose_db_version": "says when each backend was migrated; the versions are compared instead",
}

// loadTable is a table as the catalog describes it.
type loadTable struct {
	name       string
	columns    []loadColumn
	references []string // tables whose rows must be there first
}

type loadColumn struct {
	name     string
	typ      string
	identity bool
}

// Load copies the dump into this database, whose tables must be empty, in one transaction: all of it is
// there afterwards, compared with the dump, or nothing is. watch is told of rows as they go.
func (s *Store) Load(ctx context.Context, d storage.Dump, watch func(table string, rows int64)) (l storage.Loaded, err error) {
	if d.Version() != s.version {
		return l, fmt.Errorf("database %s: schema %d, and %d is to be copied: both must have the same one", s.name, s.version, d.Version())
	}
	err = s.writing(ctx, "copying", func(ptx pgx.Tx) error {
		l, err = (&loading{Tx: ptx, dump: d, watch: watch}).run(ctx)
		return err
	})
	if err != nil {
		return storage.Loaded{}, err
	}
	return l, nil
}

// loading is the transaction of a copy.
type loading struct {
	pgx.Tx
	dump  storage.Dump
	watch func(string, int64)
}

func (l *loading) run(ctx context.Context) (out storage.Loaded, err error) {
	// What an operator set for queries that hang would end this.
	if _, err := l.Exec(ctx, "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0"); err != nil {
		return out, err
	}
	tables, err := l.tables(ctx)
	if err != nil {
		return out, err
	}
	dumped, err := l.dump.Tables(ctx)
	if err != nil {
		return out, err
	}
	tables, out.Foreign, err = common(tables, dumped)
	if err != nil {
		return out, err
	}
	if err := l.reserve(ctx, tables); err != nil {
		return out, err
	}
	sums := map[string]checksums{}
	for _, t := range inOrder(tables) {
		rows := dumpedTable(dumped, t.name)
		if sums[t.name], err = l.copy(ctx, t, rows); err != nil {
			return out, fmt.Errorf("table %s: %w", t.name, err)
		}
		out.Tables = append(out.Tables, storage.LoadedTable{Name: t.name, Rows: rows.Rows})
	}
	slices.SortFunc(out.Tables, func(a, b storage.LoadedTable) int { return cmp.Compare(a.Name, b.Name) })
	if out.Months, err = l.compare(ctx, tables, sums); err != nil {
		return out, err
	}
	return out, nil
}

// tables describes the tables of this schema, without partitions and what is not copied.
func (l *loading) tables(ctx context.Context) ([]loadTable, error) {
	type row struct {
		table string
		loadColumn
	}
	columns, err := collect(ctx, l, `
		select c.relname, a.attname, format_type(a.atttypid, null), a.attidentity <> ''
		from pg_class c
		join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
		order by c.relname, a.attnum`, nil, func(r pgx.CollectableRow) (x row, err error) {
		return x, r.Scan(&x.table, &x.name, &x.typ, &x.identity)
	})
	if err != nil {
		return nil, err
	}
	var tables []loadTable
	for _, x := range columns {
		if notLoaded[x.table] != "" {
			continue
		}
		if len(tables) == 0 || tables[len(tables)-1].name != x.table {
			tables = append(tables, loadTable{name: x.table})
		}
		t := &tables[len(tables)-1]
		t.columns = append(t.columns, x.loadColumn)
	}
	rows, _ := l.Query(ctx, `
		select conrelid::regclass::text, confrelid::regclass::text
		from pg_constraint
		where contype = 'f' and connamespace = current_schema()::regnamespace and conparentid = 0 and conrelid <> confrelid`)
	var from, to string
	_, err = pgx.ForEachRow(rows, []any{&from, &to}, func() error {
		for i := range tables {
			if tables[i].name == from {
				tables[i].references = append(tables[i].references, to)
			}
		}
		return nil
	})
	return tables, err
}

// inOrder puts tables behind those that they refer to. References of ours make no circle: rows could not be
// written one table after another otherwise.
func inOrder(tables []loadTable) []loadTable {
	var out []loadTable
	done := map[string]bool{}
	for len(out) < len(tables) {
		before := len(out)
		for _, t := range tables {
			if !done[t.name] && !slices.ContainsFunc(t.references, func(r string) bool { return !done[r] }) {
				done[t.name] = true
				out = append(out, t)
			}
		}
		if len(out) == before {
			panic("tables refer to each other in a circle")
		}
	}
	return out
}

// common are the tables that both databases have, which must have the same columns; foreign ones,
// which somebody made beside ours in the one to be copied, are named. That the schemas themselves have
// the same tables follows from their version, and a test watches over it.
func common(tables []loadTable, dumped []storage.DumpTable) (both []loadTable, foreign []string, err error) {
	for _, d := range dumped {
		i := slices.IndexFunc(tables, func(t loadTable) bool { return t.name == d.Name })
		if i < 0 {
			foreign = append(foreign, d.Name)
			continue
		}
		var have []string
		for _, c := range tables[i].columns {
			have = append(have, c.name)
		}
		if want := slices.Sorted(slices.Values(d.Columns)); !slices.Equal(slices.Sorted(slices.Values(have)), want) {
			return nil, nil, fmt.Errorf("table %s has columns %v, and %v where it is to be copied from", d.Name, have, d.Columns)
		}
		both = append(both, tables[i])
	}
	return both, foreign, nil
}

func dumpedTable(dumped []storage.DumpTable, name string) storage.DumpTable {
	return dumped[slices.IndexFunc(dumped, func(d storage.DumpTable) bool { return d.Name == name })]
}

// reserve keeps everybody else from writing and makes sure that nobody has.
func (l *loading) reserve(ctx context.Context, tables []loadTable) error {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	_, err := l.Exec(ctx, "set local lock_timeout = '10s'; lock table "+strings.Join(names, ", ")+" in share row exclusive mode; set local lock_timeout = default")
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == lockNotAvailable {
		return errors.New("another process writes to it: stop the monitor that uses it, or wait for the copy that runs")
	}
	if err != nil {
		return err
	}
	var full []string
	for _, name := range names {
		var rows bool
		if err := l.QueryRow(ctx, "select exists (select from "+name+")").Scan(&rows); err != nil {
			return err
		}
		if rows {
			full = append(full, name)
		}
	}
	if len(full) > 0 {
		return fmt.Errorf("is not empty (there are rows in %s): copy to a new database, or to a schema of its own (…?search_path=name)", some(full))
	}
	return nil
}

// some names the first few.
func some(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more tables", strings.Join(names[:few], ", "), len(names)-few)
}

// copy streams a table and sets the sequence that numbers its rows.
func (l *loading) copy(ctx context.Context, t loadTable, dumped storage.DumpTable) (checksums, error) {
	columns := make([]string, len(t.columns))
	for i, c := range t.columns {
		columns[i] = c.name
	}
	if t.name == string(storage.UsageMinute) {
		if err := l.partition(ctx); err != nil {
			return nil, err
		}
	}
	rows, err := l.dump.Rows(ctx, t.name, columns)
	if err != nil {
		return nil, err
	}
	stream := newStream(t, rows, func(n int64) { l.watch(t.name, n) })
	n, err := l.CopyFrom(ctx, pgx.Identifier{t.name}, columns, stream)
	if err = cmp.Or(stream.err, err, rows.Close()); err != nil {
		return nil, err
	}
	if n != dumped.Rows {
		return nil, fmt.Errorf("%d rows were counted and %d copied", dumped.Rows, n)
	}
	l.watch(t.name, n)
	for _, c := range t.columns {
		if c.identity && dumped.LastID > 0 {
			if _, err := l.Exec(ctx, "select setval(pg_get_serial_sequence($1, $2), $3)", t.name, c.name, dumped.LastID); err != nil {
				return nil, err
			}
		}
	}
	_, err = l.Exec(ctx, "analyze "+t.name)
	return stream.sums, err
}

// partition makes a partition for each day of minutes.
func (l *loading) partition(ctx context.Context) error {
	rows, err := l.dump.Rows(ctx, string(storage.UsageMinute), []string{"bucket"})
	if err != nil {
		return err
	}
	defer rows.Close()
	days := map[int64]bool{}
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			return err
		}
		bucket, err := integer(v[0])
		if err != nil {
			return err
		}
		days[bucket/int64(spend.Day)] = true
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var first []storage.Row // one of each day
	for d := range days {
		first = append(first, storage.Row{Bucket: d * int64(spend.Day)})
	}
	return (&tx{Tx: l.Tx}).makePartitions(ctx, first)
}
