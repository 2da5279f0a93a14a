package collector_test

import (
	"database/sql"
	"time"

	"github.com/stretchr/testify/require"
)

// requireSummed requires that every day of history is summed up and that none is left.
func (w *world) requireSummed() {
	owner, err := w.store.Own(w.t.Context(), w.id)
	require.NoError(w.t, err)
	left, err := owner.SumDay(w.t.Context(), time.Now())
	require.NoError(w.t, err)
	require.False(w.t, left, "a day that is over was not summed up")
	require.NoError(w.t, owner.Release())

	db, err := sql.Open("sqlite", w.path)
	require.NoError(w.t, err)
	defer db.Close()
	var days, today int
	require.NoError(w.t, db.QueryRow("select count(*) filter (where holds), count(*) filter (where not holds) from sum_day").Scan(&days, &today))
	require.GreaterOrEqual(w.t, days, 5)
	require.LessOrEqual(w.t, today, 1)
}
