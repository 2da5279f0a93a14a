package storagetest

import "github.com/stretchr/testify/require"

var aboutTests = []test{
	{"says what the database is", func(e *env) {
		a, err := e.store.About(e.Context())
		require.NoError(e, err)
		require.Regexp(e, `^(SQLite|PostgreSQL) \d+(\.\d+)*`, a.Kind)
		require.Greater(e, a.Size, int64(10_000), "the tables alone take more")
		require.Regexp(e, `^\d+\.\d [KM]iB$`, a.Bytes())
	}},
}
