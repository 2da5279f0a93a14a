package alerts

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/pgtest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func openPostgres(t testing.TB, url string) storage.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// TestTwoDaemons: of two on one database the one that works the organization tells, and when it is
// gone the other goes on where it was.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	k := newKitOn(t, openPostgres(t, url), "03-10 00:00", spikeRule)
	second := openPostgres(t, url)
	_, err := second.Own(t.Context(), testOrg)
	require.ErrorIs(t, err, storage.ErrOwned)

	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing spike workspace=wrkspc_a"}, k.at("03-10 11:01"))
	a := k.alert()
	require.Equal(t, time.UTC, a.FiredAt.Location())

	// The lock goes to the other; what the first one still tries is refused.
	first := k.owner
	require.NoError(t, first.Release())
	k.owner, err = second.Own(t.Context(), testOrg)
	require.NoError(t, err)
	require.ErrorIs(t, k.engine.Evaluate(t.Context(), first, testOrg, at("03-10 11:02")), storage.ErrLost)
	k.options.Store = second
	k.rules(spikeRule)
	require.Empty(t, k.at("03-10 11:03"), "told already")
	k.data("03-10 11:00", "03-10 13:00")
	require.Equal(t, []string{"resolved spike workspace=wrkspc_a in thread-1"}, k.at("03-10 13:01"))
	h, err := second.AlertHistory(t.Context(), testOrg, spend.Window{Start: at("03-10 00:00"), End: at("03-11 00:00")}, 10)
	require.NoError(t, err)
	require.Len(t, h, 2)
}
