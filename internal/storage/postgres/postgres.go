// Package postgres keeps the facts in PostgreSQL 14 or newer, for several daemons beside each other
// and for whoever wants to query the tables and views with SQL. What a store must do is in package
// storage; what both backends decide alike is there too, this package has the SQL.
//
// Reads go through a pool. The process that works an organization has a connection of its own that
// holds a session-level advisory lock, and everything it writes goes through that connection: who
// lost the connection lost the lock, and cannot write. A pooler that shares sessions between
// clients (PgBouncer in transaction mode) breaks that and must not stand in between.
//
// Rows are written with COPY where they are known to be new, else with arrays and unnest, and only
// where they differ. Minutes live in partitions by the UTC day, so that retention drops tables.
//
// A schema change is a new file in migrations; files that were released are never edited.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

//go:embed migrations/*.sql
var migrations embed.FS

// How long things may take when the other side does not answer.
const (
	connectTimeout = 10 * time.Second
	cancelTimeout  = 5 * time.Second  // for a query to end after it was asked to
	settleTimeout  = 30 * time.Second // for a transaction to begin, or to end; more than a vanished host takes to be noticed
)

// Store is a PostgreSQL database. It is safe for concurrent use.
type Store struct {
	name    string // for messages
	log     *slog.Logger
	pool    *pgxpool.Pool
	version int64 // of the schema

	mu    sync.Mutex
	owned map[*owner]bool
}

var _ storage.Store = (*Store)(nil)

// Open connects to the database and brings its schema up to date; of several processes that do so
// at the same time one does the work and the others wait for it. Errors wrap
// [storage.ErrUnavailable] where the server cannot be reached, and are [storage.ErrNewerSchema]
// where a newer version of the program has changed the schema. No error tells the password.
func Open(ctx context.Context, url string, log *slog.Logger) (*Store, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	c := config.ConnConfig
	s := &Store{name: fmt.Sprintf("%s on %s:%d", c.Database, c.Host, c.Port), log: log, owned: map[*owner]bool{}}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, s.failOpening(ctx, err)
	}
	if err := s.prepare(ctx); err != nil {
		s.pool.Close()
		return nil, s.failOpening(ctx, err)
	}
	return s, nil
}

// parse reads the URL. Its own errors quote what they cannot read, which may be the password.
func parse(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the postgres url cannot be read: wanted " +
			"postgres://user:password@host:5432/database, with special characters in % notation")
	}
	c := config.ConnConfig
	if c.ConnectTimeout == 0 || c.ConnectTimeout > connectTimeout {
		c.ConnectTimeout = connectTimeout
	}
	c.DialFunc = dial
	c.RuntimeParams["timezone"] = "UTC"
	// Compiling a query takes longer than running it, for all but the largest of ours.
	c.RuntimeParams["jit"] = "off"
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "anthropic-monitor"
	}
	// A query that is given up is canceled at the server. Otherwise the driver closes the connection,
	// and its owner would lose the organization with it.
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelTimeout}
	}
	config.AfterConnect = setUp
	return config, nil
}

// setUp sets a new connection up: times come back in UTC, and the server, too, notices within
// half a minute that this host has vanished.
func setUp(ctx context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	_, err := conn.Exec(ctx, `
		select set_config('tcp_keepalives_idle', '10', false),
			set_config('tcp_keepalives_interval', '5', false),
			set_config('tcp_keepalives_count', '3', false),
			set_config('tcp_user_timeout', '25000', false)`)
	return err
}

// connect makes a connection that is not of the pool.
func (s *Store) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if err := setUp(ctx, conn); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// prepare brings the schema up to date.
func (s *Store) prepare(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	var id int64
	if err := s.pool.QueryRow(ctx, "select "+lockID("migrations"), "").Scan(&id); err != nil {
		return err
	}
	// One process migrates, the others try the lock every second, for five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(id), lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > newest {
		return newerSchema(current, newest)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, m := range done {
		s.log.Info("database migrated", "version", m.Source.Version, "took", m.Duration)
	}
	s.version = newest
	return nil
}

// lockID is the SQL for the number of an advisory lock of ours on what $1 names. Locks are the
// database's: the schema keeps installations in one database apart.
func lockID(kind string) string {
	return "hashtextextended('anthropic-monitor ' || current_schema() || ' " + kind + " ' || $1::text, 0)"
}

func newerSchema(current, known int64) error {
	return fmt.Errorf("schema %d, this program knows %d: %w (start that version again, or restore a backup made before it ran)",
		current, known, storage.ErrNewerSchema)
}

// Ping reports whether the database can be reached and its schema is the one expected.
func (s *Store) Ping(ctx context.Context) error {
	var current int64
	err := s.pool.QueryRow(ctx, "select max(version_id) from goose_db_version where is_applied").Scan(&current)
	switch {
	case err != nil:
		return s.fail(ctx, "reading", err)
	case current > s.version:
		return s.fail(ctx, "reading", newerSchema(current, s.version))
	case current < s.version:
		return fmt.Errorf("database %s: schema %d, wanted %d", s.name, current, s.version)
	}
	return nil
}

// Close gives up what is owned and closes all connections.
func (s *Store) Close() error {
	s.mu.Lock()
	owned := slices.Collect(maps.Keys(s.owned))
	s.mu.Unlock()
	for _, o := range owned {
		_ = o.Release()
	}
	s.pool.Close()
	return nil
}

// reading runs f in a transaction that sees one state of the database.
func (s *Store) reading(ctx context.Context, doing string, f func(pgx.Tx) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return s.fail(ctx, doing, pgx.BeginTxFunc(ctx, s.pool, options, f))
}

// writing runs f in a transaction that happens as a whole or not at all.
func (s *Store) writing(ctx context.Context, doing string, f func(pgx.Tx) error) error {
	return s.fail(ctx, doing, pgx.BeginFunc(ctx, s.pool, f))
}
