package collector

import (
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Values of the setting reports.
const (
	ReportsAuto      = "auto"      // both generations; they complement each other
	ReportsAnalytics = "analytics" // only analytics/usage and analytics/cost
	ReportsLegacy    = "legacy"    // only usage_report/messages and cost_report
)

// leftOut is why a report that was read before is not any more.
const leftOut = "the setting reports of the configuration leaves it out"

// leavesOut reports whether the setting leaves the report out.
func leavesOut(setting string, r spend.Report) bool {
	return setting == ReportsLegacy && isAnalytics(r) || setting == ReportsAnalytics && !isAnalytics(r)
}

// reportsFor lists the reports that give the fact, the preferred one first, as the setting
// `reports` has it: auto uses both generations, which complement each other, and the other two
// values only their own. What the API refused is left out until the next UTC day begins, or for an
// hour where usage or cost would come from nowhere else.
func reportsFor(f spend.Fact, setting string, marks map[spend.Report]storage.Watermark, now time.Time) []spend.Report {
	older, analytics := !leavesOut(setting, spend.ReportMessages), !leavesOut(setting, spend.ReportAnalyticsUsage)
	var all []spend.Report
	switch f {
	case spend.FactUsage:
		if older {
			all = append(all, spend.ReportMessages)
		}
		if analytics {
			all = append(all, spend.ReportAnalyticsUsage)
		}
	case spend.FactRequests:
		if analytics {
			all = append(all, spend.ReportAnalyticsUsage)
		}
	case spend.FactCost:
		if analytics {
			all = append(all, spend.ReportAnalyticsCost)
		}
		if older {
			all = append(all, spend.ReportCost)
		}
	}
	usable := slices.DeleteFunc(slices.Clone(all), func(r spend.Report) bool { return refused(marks[r], now) })
	if len(usable) == 0 && f != spend.FactRequests {
		return slices.DeleteFunc(all, func(r spend.Report) bool { return marks[r].RefusedAt.After(now.Add(-time.Hour)) })
	}
	return usable
}

// refused reports whether the report was refused today. The retry waits for the next day because
// only there may a fact change from one report to another.
func refused(m storage.Watermark, now time.Time) bool {
	return !m.RefusedAt.IsZero() && !m.RefusedAt.Before(spend.Day.Floor(now))
}

// openFrom is the start of the oldest day that is still open.
func openFrom(now time.Time) time.Time { return spend.Day.Floor(now.Add(-daySettled)) }
