package web

import (
	"context"
	"net/http"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// reconciliation is GET /api/v1/reconciliation; parameters and answer are those of package report.
func (s *server) reconciliation(r *http.Request) (any, error) {
	w, err := report.ParseReconciliation(r.URL.Query(), s.Now())
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	return report.Reconcile(r.Context(), s.Store, w, s.Now())
}

// reconciled is the section of a page about what was compared with what this month.
type reconciled struct {
	report.OrganizationReconciliation
	AsOf  time.Time
	Month string
	Off   []storage.Check // what differs, the newest first
	More  int             // that differ beside
}

// mostOff is how many differences a page shows.
const mostOff = 10

func (s *server) reconciledPage(ctx context.Context, o storage.OrganizationState, now time.Time) (reconciled, error) {
	month := spend.Window{Start: spend.MonthStart(now), End: now}
	if now.Sub(month.Start) < 8*24*time.Hour { // so few days tell nothing yet: last month is still open too
		month.Start = month.Start.AddDate(0, -1, 0)
	}
	x, cs, err := report.ReconciliationOf(ctx, s.Store, o, month.Align(spend.Day), now)
	p := reconciled{OrganizationReconciliation: x, Month: month.Start.Format(time.DateOnly)}
	for i := len(cs) - 1; i >= 0; i-- {
		if cs[i].CheckedAt.After(p.AsOf) {
			p.AsOf = cs[i].CheckedAt
		}
		switch {
		case !report.Off(cs[i].Verdict):
		case len(p.Off) == mostOff:
			p.More++
		default:
			p.Off = append(p.Off, cs[i])
		}
	}
	return p, err
}
