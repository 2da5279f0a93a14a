package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestAsOfBasis(t *testing.T) {
	t.Parallel()
	usage, bill := reporttest.At(22, 10), reporttest.At(22, 0)
	marks := []storage.Watermark{{Report: spend.ReportMessages, DataAt: usage}, {Report: spend.ReportCost, DataAt: bill}}
	for basis, want := range map[spend.Basis]time.Time{"": usage, spend.Estimated: usage, spend.Billed: bill, spend.Allocated: bill, spend.Mixed: bill} {
		require.Equal(t, want, report.AsOfBasis(marks, basis), basis)
		require.Equal(t, usage, report.AsOfBasis(marks[:1], basis), "no bill was read: %s", basis)
	}
	require.Equal(t, bill, report.AsOfBasis(marks[1:], spend.Mixed))
	marks[0].DataAt = bill.Add(-time.Hour)
	require.Equal(t, marks[0].DataAt, report.AsOfBasis(marks, spend.Mixed), "the older of both")
	require.Zero(t, report.AsOfBasis(nil, spend.Billed))
}

// Of the whole of an answer it says what the answer says.
func TestAsOfBasisOfAnswers(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	for organization, id := range map[string]string{"acme": reporttest.Acme, "beta": reporttest.Beta} {
		marks, err := store.Watermarks(t.Context(), id)
		require.NoError(t, err)
		for day := 1; day <= 22; day++ {
			a, err := report.Run(t.Context(), store, report.Params{
				Kind: report.Costs, Step: report.StepTotal, From: reporttest.At(day, 0), To: reporttest.At(day+1, 0),
				Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{id}}},
			})
			require.NoError(t, err)
			require.Equal(t, a.AsOf, report.AsOfBasis(marks, a.Total.Basis), "%s, day %d: %s", organization, day, a.Total.Basis)
		}
	}
}
