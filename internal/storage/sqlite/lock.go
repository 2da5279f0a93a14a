package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// errLocked says that another process, or another store of this one, holds the lock.
var errLocked = errors.New("locked")

// fileLock is an exclusive lock on the file beside the database named as it and ".lock". It is an
// SQLite lock: it works the same on every system and ends with its process, however that dies.
type fileLock struct {
	db   *sql.DB
	conn *sql.Conn
}

// lockFile takes the lock of the database in path, or returns errLocked at once.
func lockFile(ctx context.Context, path string) (*fileLock, error) {
	name, err := create(path + ".lock")
	if err != nil {
		return nil, err
	}
	// No pragma but this one: others would wait for the lock before they could be refused.
	db, err := sql.Open("sqlite", fileURL(name, url.Values{"_pragma": {"busy_timeout(0)"}}))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "begin exclusive")
	}
	if err == nil {
		return &fileLock{db, conn}, nil
	}
	var e *driver.Error
	if errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_BUSY {
		err = errLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), db.Close())
}

// release gives the lock up; closing the connection ends its transaction.
func (l *fileLock) release() error { return errors.Join(l.conn.Close(), l.db.Close()) }
