package report_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestReconciliation(t *testing.T) {
	t.Parallel()
	window, err := report.ParseReconciliation(url.Values{}, reporttest.Now)
	require.NoError(t, err)
	require.Equal(t, spend.MonthStart(reporttest.Now), window.Start)
	r, err := report.Reconcile(t.Context(), reporttest.Filled(t), window, reporttest.Now)
	require.NoError(t, err)
	require.Equal(t, reporttest.At(22, 7), r.AsOf)
	require.Len(t, r.Of, 2)
	require.Equal(t, 2, r.Of[0].Days)
	require.Equal(t, 1, r.Of[0].Agreeing)
	ratio, ok := r.Of[0].Drift.Ratio()
	require.True(t, ok)
	require.InDelta(t, 10/7.833333334, ratio, 1e-9)
	_, ok = r.Of[1].Drift.Ratio()
	require.False(t, ok)
	for name, write := range map[string]func(io.Writer) error{
		"reconciliation.json": r.WriteJSON,
		"reconciliation.csv":  r.WriteCSV,
		"reconciliation.md":   r.WriteMarkdown,
		"reconciliation.txt":  func(w io.Writer) error { return r.WriteTable(w, 0) },
	} {
		var b bytes.Buffer
		require.NoError(t, write(&b))
		golden.Check(t, name, b.Bytes())
	}
}

func TestReconciliationOfNothing(t *testing.T) {
	t.Parallel()
	w := spend.Window{Start: reporttest.At(1, 0), End: reporttest.At(3, 5)}
	r, err := report.Reconcile(t.Context(), reporttest.Open(t), w, reporttest.Now)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, r.WriteTable(&b, 0))
	require.Equal(t, "Reconciliation from 2026-11-01 to 2026-11-04 UTC, nothing compared yet\n\n", b.String())
	body, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"as_of":null,"from":"2026-11-01T00:00:00Z","to":"2026-11-04T00:00:00Z","data":[],"organizations":[]}`, string(body))

	for query, want := range map[string]string{
		"from=yesterday":                "from: \"yesterday\" is neither a date",
		"from=2026-11-02&to=2026-11-01": "must be before to",
		"by=model":                      `unknown parameter "by" for the reconciliation (from, to)`,
	} {
		v, err := url.ParseQuery(query)
		require.NoError(t, err)
		_, err = report.ParseReconciliation(v, reporttest.Now)
		require.ErrorContains(t, err, want)
	}
}

// TestCostsSaySetAside: a total that misses rows in another currency says so.
func TestCostsSaySetAside(t *testing.T) {
	t.Parallel()
	p := report.Params{Kind: report.Costs, Step: report.StepTotal, From: reporttest.Aside.Add(12 * time.Hour), To: reporttest.Aside.Add(36 * time.Hour)}
	a, err := report.Run(t.Context(), reporttest.Filled(t), p)
	require.NoError(t, err)
	require.Len(t, a.SetAside, 1)
	body, err := json.Marshal(a)
	require.NoError(t, err)
	require.Contains(t, string(body), `"set_aside":[{"currency":"EUR","amount":"1234.5","rows":1,"from":"2026-09-15T00:00:00Z","to":"2026-09-16T00:00:00Z"}]`)
	var b bytes.Buffer
	require.NoError(t, a.WriteTable(&b, 0))
	require.Contains(t, b.String(), "Incomplete: 1 rows of the bill, 1234.5 in EUR (as reported, in the currency's lowest unit), 2026-09-15, are not in US dollars and in no total.")
}
