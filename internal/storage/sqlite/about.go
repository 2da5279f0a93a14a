package sqlite

import (
	"context"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// About says what the database is. Its size is that of the file, without what is still to be moved
// into it from the log beside it.
func (s *Store) About(ctx context.Context) (storage.About, error) {
	var a storage.About
	err := s.read.QueryRowContext(ctx, `
		select 'SQLite ' || sqlite_version(), c.page_count * s.page_size
		from pragma_page_count() c, pragma_page_size() s`).Scan(&a.Kind, &a.Size)
	return a, s.fail(ctx, "reading", err)
}
