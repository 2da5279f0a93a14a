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

// until is where the data of the organizations in an answer ends, of the one whose ends first. Cost is known as
// far as usage was read, by estimates, although the bill that most of it comes from ends before. Where
// nothing is in the answer (empty) it is where any data ends.
func until(marks map[string][]storage.Watermark, p Params, empty bool) (out time.Time) {
	for _, ms := range marks {
		t := dataAt(ms, spend.ReportMessages, spend.ReportAnalyticsUsage)
		if p.Requests { // which another report counts, and it is read later
			if r := dataAt(ms, spend.ReportAnalyticsUsage); !r.IsZero() && r.Before(t) {
				t = r
			}
		}
		if bill := dataAt(ms, spend.ReportAnalyticsCost, spend.ReportCost); p.Kind == Costs && bill.After(t) {
			t = bill
		}
		if !t.IsZero() && (out.IsZero() || t.Before(out) != empty) {
			out = t
		}
	}
	return out
}
