// Package sqlite keeps the store in one SQLite file: the embedded default, without any server.
//
// The file is in WAL mode. One connection writes, a few others read beside it, each from a
// snapshot of its own, so readers never wait for the writer. A daemon owns the file as a whole
// through a lock on a second file next to it (see lock.go); other processes may read and make the
// short writes of [storage.Store] at any time.
//
// What to write is decided in package storage; this package has the SQL ([tx] for facts) and the
// migrations. Never edit a migration that was released: add the next one.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as ours ("amon"), so that another program's is never touched.
const applicationID = 0x616d6f6e

const (
	readers     = 8
	busyTimeout = 10 * time.Second       // how long a write waits for another process
	busyLook    = 100 * time.Millisecond // how often, at the least, a waiting process looks: sqliteDefaultBusyCallback

	// What the process holds beside the file: pages in the cache of a connection, in KiB, which the
	// system's own cache backs, and connections that nobody reads with.
	readCache   = 2 << 10
	writeCache  = 2 << 10
	idleReaders = 2
	idleTime    = 30 * time.Second
)

// Store implements [storage.Store] on an SQLite file.
type Store struct {
	path  string
	log   *slog.Logger
	write *sql.DB // one connection
	read  *sql.DB

	mu       sync.Mutex
	lock     *fileLock         // held while any organization is owned
	owned    map[string]*owner // by organization
	prepared map[string]*sql.Stmt
}

var _ storage.Store = (*Store)(nil)

// Open opens the database in the file, makes it where it does not exist, and migrates it. An error
// wraps [storage.ErrNewerSchema] or [storage.ErrUnavailable] where that is the reason.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	path, err := create(path)
	if err != nil {
		return nil, err
	}
	s, err := connect(path, log)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect makes a store of a file that exists, and does not look into it yet.
func connect(path string, log *slog.Logger) (s *Store, err error) {
	s = &Store{path: path, log: log, owned: map[string]*owner{}}
	s.write, err = sql.Open("sqlite", dsn(path, "immediate", writeCache))
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, "deferred", readCache)+"&_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", path, err), s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(idleReaders)
	s.read.SetConnMaxIdleTime(idleTime)
	return s, nil
}

// create makes the file, readable for its owner only, and its directory. An existing file is not
// opened here: closing it again would drop the locks that SQLite holds on it in this process.
func create(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("database %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("database %s: directory cannot be made: %w (set storage.sqlite.path to a file in a directory that can be written)", path, err)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return "", fmt.Errorf("database %s: is a directory (set storage.sqlite.path to a file in it)", path)
	case err == nil:
		return path, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("database %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return path, nil // by another process, just now
	}
	if err != nil {
		return "", fmt.Errorf("database %s: cannot be made: %w (set storage.sqlite.path to a file in a directory that can be written)", path, err)
	}
	return path, f.Close()
}

// dsn is the driver's name for the database. Every transaction is durable when it returns, hence
// synchronous(full).
func dsn(path, lock string, cache int) string {
	return fileURL(path, url.Values{"_txlock": {lock}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"foreign_keys(1)", "synchronous(full)", "temp_store(memory)", fmt.Sprintf("cache_size(-%d)", cache),
	}})
}

func fileURL(path string, q url.Values) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/…
	}
	return (&url.URL{Scheme: "file", Path: p, RawQuery: q.Encode()}).String()
}

// migrator knows the migrations, and the newest one's number.
func (s *Store) migrator() (*goose.Provider, int64, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, 0, err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, sub, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, 0, fmt.Errorf("migrations: %w", err)
	}
	sources := provider.ListSources()
	return provider, sources[len(sources)-1].Version, nil
}

// newer is the error of a schema that this program does not know.
func (s *Store) newer(version, newest int64) error {
	return fmt.Errorf("database %s: schema %d, this program knows %d: %w (start that version again, or restore a backup made before it ran)",
		s.path, version, newest, storage.ErrNewerSchema)
}

// prepare checks the file and migrates it.
func (s *Store) prepare(ctx context.Context) error {
	provider, newest, err := s.migrator()
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		version, err := s.version(ctx)
		if err != nil {
			return err
		}
		if version > newest {
			return s.newer(version, newest)
		}
		if version == newest {
			return s.writable(ctx)
		}
		lock, err := lockFile(ctx, s.path)
		if err == nil {
			err = s.migrate(ctx, provider, version)
			return errors.Join(err, lock.release())
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		select {
		case <-waiting.Done():
			return errors.Join(ctx.Err(), fmt.Errorf("database %s: must be migrated, but another monitor works on it (stop that one first): %w", s.path, storage.ErrUnavailable))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// writable says at the start what every write would fail with later.
func (s *Store) writable(ctx context.Context) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return s.fail(ctx, "opening", err)
	}
	defer conn.Close()
	var readOnly bool
	err = conn.Raw(func(c any) (err error) {
		readOnly, err = c.(interface{ IsReadOnly(string) (bool, error) }).IsReadOnly("main")
		return err
	})
	if err == nil && readOnly {
		return fmt.Errorf("database %s: is read-only (let this user write the file and its directory)", s.path)
	}
	return s.fail(ctx, "opening", err)
}

// version is the schema version of the file; 0 if it is empty.
func (s *Store) version(ctx context.Context) (int64, error) {
	var id, objects, version int64
	err := s.write.QueryRowContext(ctx, `select (select application_id from pragma_application_id), count(*) from sqlite_schema`).Scan(&id, &objects)
	if err != nil {
		return 0, s.fail(ctx, "opening", err)
	}
	if objects == 0 {
		return 0, nil
	}
	if id != applicationID {
		return 0, fmt.Errorf("database %s: belongs to another program (set storage.sqlite.path to another file)", s.path)
	}
	err = s.write.QueryRowContext(ctx, `select coalesce(max(version_id), 0) from goose_db_version where is_applied`).Scan(&version)
	if err != nil {
		return 0, s.fail(ctx, "reading the schema version", err)
	}
	return version, nil
}

// migrate brings the schema up to date; the caller holds the lock.
func (s *Store) migrate(ctx context.Context, provider *goose.Provider, from int64) error {
	if from == 0 {
		for _, q := range []string{"pragma journal_mode = wal", fmt.Sprintf("pragma application_id = %d", applicationID)} {
			if _, err := s.write.ExecContext(ctx, q); err != nil {
				return s.fail(ctx, "making the database", err)
			}
		}
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return s.fail(ctx, "migrating", err)
	}
	for _, r := range results {
		s.log.Info("database migrated", "version", r.Source.Version, "took", r.Duration)
	}
	return nil
}

// Ping reports whether the file can be read and has the schema that this program knows.
func (s *Store) Ping(ctx context.Context) error {
	var id int64
	err := s.read.QueryRowContext(ctx, `select count(*) from organization`).Scan(&id)
	return s.fail(ctx, "reading", err)
}

// Close gives up what is owned and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, o := range s.owned {
		errs = append(errs, o.releaseLocked())
	}
	for _, p := range s.prepared {
		errs = append(errs, p.Close())
	}
	s.prepared = nil
	return errors.Join(append(errs, s.read.Close(), s.write.Close())...)
}

// fail says what was done on which file when err happened; nil stays nil.
func (s *Store) fail(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("database %s: %s: %w", s.path, doing, ctx.Err())
	}
	var e *driver.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("database %s: %s: %w", s.path, doing, err)
	}
	switch e.Code() & 0xff {
	case codes.SQLITE_FULL:
		return fmt.Errorf("database %s: %s: no space left on its disk: %w: %w", s.path, doing, storage.ErrUnavailable, err)
	case codes.SQLITE_READONLY:
		return fmt.Errorf("database %s: %s: the file or its directory cannot be written: %w", s.path, doing, err)
	case codes.SQLITE_NOTADB:
		return fmt.Errorf("database %s: %s: not an SQLite database (set storage.sqlite.path to another file): %w", s.path, doing, err)
	case codes.SQLITE_CANTOPEN, codes.SQLITE_PERM, codes.SQLITE_AUTH:
		return fmt.Errorf("database %s: %s: the file or its directory cannot be opened for writing: %w", s.path, doing, err)
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_IOERR, codes.SQLITE_PROTOCOL, codes.SQLITE_NOMEM:
		return fmt.Errorf("database %s: %s: %w: %w", s.path, doing, storage.ErrUnavailable, err)
	default:
		return fmt.Errorf("database %s: %s: %w", s.path, doing, err)
	}
}

// reading runs f in a transaction that sees one state of the database.
func (s *Store) reading(ctx context.Context, doing string, f func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return s.fail(ctx, doing, err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	if err := f(tx); err != nil {
		return s.fail(ctx, doing, err)
	}
	return nil
}

// writing runs f in a transaction that happens as a whole or not at all.
func (s *Store) writing(ctx context.Context, doing string, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.fail(ctx, doing, err)
	}
	if err = f(tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		_ = tx.Rollback() // the error that led here says more
		return s.fail(ctx, doing, err)
	}
	return nil
}
