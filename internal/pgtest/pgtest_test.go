package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestURL(t *testing.T) {
	t.Parallel()
	a, b := pgtest.URL(t), pgtest.URL(t)
	require.NotEqual(t, a, b)

	exec(t, a, "create table only_here (x int)")
	exec(t, b, "create table only_here (x int)")
}

func TestClusterRestarts(t *testing.T) {
	t.Parallel()
	c := pgtest.NewCluster(t)
	exec(t, c.URL(), "create table kept (x int)")

	c.Stop(t)
	_, err := pgx.Connect(t.Context(), c.URL())
	require.Error(t, err)

	c.Start(t)
	exec(t, c.URL(), "insert into kept values (1)")
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
