package report

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// AsOfBasis is how far the reports were read that costs of the basis come from; of a mixed one the older
// of both. Of no cost at all it is how far usage was read. Zero: nothing was read yet. It says of a part of
// an [Answer] what [Run] says of the whole.
func AsOfBasis(marks []storage.Watermark, basis spend.Basis) time.Time {
	usage := dataAt(marks, spend.ReportMessages, spend.ReportAnalyticsUsage)
	bill := dataAt(marks, spend.ReportAnalyticsCost, spend.ReportCost)
	switch {
	case basis == "" || basis == spend.Estimated || bill.IsZero():
		return usage
	case basis != spend.Mixed || usage.IsZero():
		return bill
	case bill.Before(usage):
		return bill
	default:
		return usage
	}
}
