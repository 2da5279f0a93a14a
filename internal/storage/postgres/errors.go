package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// lockNotAvailable is the error code of a lock that was not to be had in time.
const lockNotAvailable = "55P03"

// fail says what was done on which database when err happened, and marks it as
// [storage.ErrUnavailable] where the database may be back later; nil stays nil.
func (s *Store) fail(ctx context.Context, doing string, err error) error {
	err = inOneLine(err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("database %s: %s: %w", s.name, doing, ctx.Err())
	case unavailable(err):
		return fmt.Errorf("database %s: %s: %w: %w", s.name, doing, storage.ErrUnavailable, err)
	default:
		return fmt.Errorf("database %s: %s: %w", s.name, doing, err)
	}
}

// failOpening is fail where a connection is made for the first time.
func (s *Store) failOpening(ctx context.Context, err error) error {
	failed := s.fail(ctx, "opening", err)
	if _, connect := errors.AsType[*pgconn.ConnectError](err); connect && ctx.Err() == nil {
		return fmt.Errorf("%w: check that the server runs, and the host, port, user and password of its URL", failed)
	}
	return failed
}

// lineError is an error whose text was made to fit a line.
type lineError struct {
	error
	text string
}

func (e lineError) Error() string { return e.text }
func (e lineError) Unwrap() error { return e.error }

// inOneLine is the error in one line. The driver tells each address that it tried in a line of its own, and an
// address twice that it tried with TLS and without.
func inOneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lineError{err, strings.ReplaceAll(strings.Join(lines, "; "), ":; ", ": ")}
}

// unavailable reports whether the error is one of the connection or of the server's condition.
func unavailable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return unavailableCode(pg.Code)
	}
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return connect || network || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// unavailableCode reports whether the server's error code (SQLSTATE) is one of a passing condition.
func unavailableCode(code string) bool {
	switch code {
	case "25006", // the server only reads: a standby, or a full disk
		"40001", "40P01", // serialization failure, deadlock
		lockNotAvailable,
		"57P01", "57P02", "57P03": // shut down, crashed, starting up
		return true
	}
	// Connection, resources (disk full, too many connections), input and output.
	for _, class := range []string{"08", "53", "58"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}
