package sqlite

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// LimitPages makes the writing connection see a disk that has no room for more.
func (s *Store) LimitPages(ctx context.Context, t *testing.T) {
	_, err := s.write.ExecContext(ctx, "pragma max_page_count = 1")
	require.NoError(t, err)
}
