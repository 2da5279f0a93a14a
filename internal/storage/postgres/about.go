package postgres

import (
	"context"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// About says what the database is. Its size is that of the whole database, other schemas included.
func (s *Store) About(ctx context.Context) (storage.About, error) {
	var a storage.About
	err := s.pool.QueryRow(ctx, `
		select 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1), pg_database_size(current_database())`).Scan(&a.Kind, &a.Size)
	return a, s.fail(ctx, "reading", err)
}
