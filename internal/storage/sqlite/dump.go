package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// dump implements [storage.Dump] on a file that nobody else writes to: it holds the daemon's lock and
// a transaction that keeps the short writes of other processes out, and writes nothing itself.
type dump struct {
	*Store
	version int64
	lock    *fileLock
	tx      *sql.Tx
}

// OpenDump opens a database of ours to be copied. It neither makes nor migrates one. It returns
// [storage.ErrOwned] where a daemon works the file.
func OpenDump(ctx context.Context, path string, log *slog.Logger) (storage.Dump, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("database %s: there is no such file", path)
	case err != nil:
		return nil, fmt.Errorf("database %s: %w", path, err)
	case info.IsDir():
		return nil, fmt.Errorf("database %s: is a directory", path)
	}
	s, err := connect(path, log)
	if err != nil {
		return nil, err
	}
	d := &dump{Store: s}
	if err := d.hold(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// hold checks the file and keeps everybody else from writing to it.
func (d *dump) hold(ctx context.Context) error {
	_, newest, err := d.migrator()
	if err != nil {
		return err
	}
	if d.version, err = d.Store.version(ctx); err != nil {
		return err
	}
	switch {
	case d.version == 0:
		return fmt.Errorf("database %s: is empty, there is nothing to copy", d.path)
	case d.version > newest:
		return d.newer(d.version, newest)
	case d.version < newest:
		return fmt.Errorf("database %s: has schema %d, this program writes %d: let it bring the file up to date first (monitor doctor does, with the file in storage.sqlite.path)",
			d.path, d.version, newest)
	}
	if d.lock, err = lockFile(ctx, d.path); errors.Is(err, errLocked) {
		d.lock = nil
		return fmt.Errorf("database %s: %w: stop it first, what it writes meanwhile would be missing in the copy", d.path, storage.ErrOwned)
	}
	if err != nil {
		return err
	}
	if d.tx, err = d.write.BeginTx(ctx, nil); err != nil {
		return d.fail(ctx, "keeping others from writing", err)
	}
	return nil
}

func (d *dump) Version() int64 { return d.version }

// Close lets others write again.
func (d *dump) Close() error {
	var errs []error
	if d.tx != nil {
		errs = append(errs, d.tx.Rollback()) // nothing was written
	}
	if d.lock != nil {
		errs = append(errs, d.lock.release())
	}
	d.tx, d.lock = nil, nil
	return errors.Join(append(errs, d.Store.Close())...)
}

// Tables lists the tables, counted.
func (d *dump) Tables(ctx context.Context) ([]storage.DumpTable, error) {
	tables, err := collect(ctx, d.read, `
		select t.name, group_concat(c.name order by c.cid), coalesce(max(case when c.pk = 1 and c.type = 'INTEGER' and t.wr = 0 then c.name end), ''),
			t.sql like '%autoincrement%'
		from (
			select s.name, s.sql, l.wr
			from sqlite_schema s
			join pragma_table_list l on l.schema = 'main' and l.name = s.name
			where s.type = 'table' and s.name not like 'sqlite\_%' escape '\' and s.name <> 'goose_db_version') t, pragma_table_info(t.name) c
		group by t.name
		order by t.name`, nil, func(scan scanner) (t dumpTable, err error) {
		var columns string
		err = scan(&t.Name, &columns, &t.id, &t.sequence)
		t.Columns = strings.Split(columns, ",")
		return t, err
	})
	if err != nil {
		return nil, d.fail(ctx, "listing tables", err)
	}
	out := make([]storage.DumpTable, len(tables))
	for i, t := range tables {
		query := `select count(*), 0 from ` + t.Name
		if t.id != "" {
			query = `select count(*), coalesce(max(` + t.id + `), 0) from ` + t.Name
		}
		var last sql.NullInt64
		err := d.read.QueryRowContext(ctx, query).Scan(&t.Rows, &t.LastID)
		if err == nil && t.sequence { // what was the highest number may be gone
			err = d.read.QueryRowContext(ctx, `select max(seq) from sqlite_sequence where name = ?`, t.Name).Scan(&last)
		}
		if err != nil {
			return nil, d.fail(ctx, "counting "+t.Name, err)
		}
		t.LastID = max(t.LastID, last.Int64)
		out[i] = t.DumpTable
	}
	return out, nil
}

type dumpTable struct {
	storage.DumpTable
	id       string // the column that numbers rows; empty: none does
	sequence bool   // whether numbers are never used twice
}

// Rows reads a table, which comes in the order of its key.
func (d *dump) Rows(ctx context.Context, table string, columns []string) (storage.DumpRows, error) {
	rows, err := d.read.QueryContext(ctx, `select `+strings.Join(columns, ", ")+` from `+table)
	if err != nil {
		return nil, d.fail(ctx, "reading "+table, err)
	}
	r := &dumpRows{Rows: rows, values: make([]any, len(columns)), targets: make([]any, len(columns))}
	for i := range r.values {
		r.targets[i] = &r.values[i]
	}
	return r, nil
}

type dumpRows struct {
	*sql.Rows
	values, targets []any
}

func (r *dumpRows) Values() ([]any, error) { return r.values, r.Scan(r.targets...) }
