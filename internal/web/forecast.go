package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// forecast is GET /api/v1/forecast, headroom GET /api/v1/headroom, claudeCode GET /api/v1/claude-code;
// parameters and answers are those of package report.
func (s *server) forecast(r *http.Request) (any, error) {
	p, err := report.ParseForecast(r.URL.Query(), s.Now())
	if err == nil {
		p, err = p.WithTeams(s.Teams)
	}
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	return report.RunForecast(r.Context(), s.past, p, s.Now())
}

func (s *server) headroom(r *http.Request) (any, error) {
	p, err := report.ParseHeadroom(r.URL.Query(), s.Now())
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	return report.RunHeadroom(r.Context(), s.Store, p)
}

func (s *server) claudeCode(r *http.Request) (any, error) {
	p, err := report.ParseClaudeCode(r.URL.Query(), s.Now())
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	return report.RunClaudeCode(r.Context(), s.Store, p)
}

// monthEnd is what the page says of the month's end.
type monthEnd struct {
	Period string
	report.ForecastRow
}

// Coverage is how often of a hundred times the interval should hold the total.
func (monthEnd) Coverage() int { return forecast.Coverage }

// Words say how the forecast was made.
func (m monthEnd) Words() string {
	switch m.Method {
	case forecast.RunRate:
		return "cost per time so far goes on"
	case forecast.Weekday:
		return "level, weekdays and growth of the last weeks"
	default:
		return "the month is over"
	}
}

func (s *server) monthEnd(ctx context.Context, o storage.OrganizationState, now time.Time) (monthEnd, error) {
	a, err := report.RunForecast(ctx, s.past, report.ForecastParams{
		Period: forecast.Month,
		Where:  []report.Filter{{Dimension: spend.ByOrganization, Values: []string{o.ID}}},
	}, now)
	return monthEnd{"End of " + now.Format("January"), a.Total}, err
}

// limitsTable is what the page says of rate limits: the most used first.
type limitsTable struct {
	Known bool
	spend.Window
	Rows []limitRow
	Rest int
}

type limitRow struct {
	report.NamedHeadroomRow
	Bar float64 // percent of the meter
}

// topLimits is how many limits the page shows.
const topLimits = 6

func (s *server) limitsTable(ctx context.Context, o storage.OrganizationState) (limitsTable, error) {
	var t limitsTable
	a, err := report.RunHeadroom(ctx, s.Store, report.HeadroomParams{
		Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{o.ID}}},
	})
	if err != nil {
		return t, err
	}
	t.Known = len(a.Unknown) == 0 && len(a.Rows) > 0
	rows := slices.DeleteFunc(a.Rows, func(r report.NamedHeadroomRow) bool { return r.Peak == 0 })
	slices.SortStableFunc(rows, func(x, y report.NamedHeadroomRow) int { return cmp.Compare(y.Ratio, x.Ratio) })
	if t.Known {
		t.Window = spend.Window{Start: a.AsOf.Add(-time.Hour), End: a.AsOf}
	}
	for i, r := range rows {
		if i == topLimits {
			t.Rest = len(rows) - topLimits
			break
		}
		t.Rows = append(t.Rows, limitRow{r, min(100, 100*r.Ratio)})
	}
	return t, nil
}
