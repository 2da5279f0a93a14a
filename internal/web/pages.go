package web

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

//go:embed templates
var templates embed.FS

// pages are the templates, each with the layout around it.
type pages map[string]*template.Template

func parsePages() pages {
	funcs := template.FuncMap{
		"usd": usd, "count": report.Count, "share": share, "what": report.What, "subject": report.Subject, "figure": report.Figure,
		"time": clock, "moment": moment, "seconds": seconds, "day": day, "lastDay": lastDay, "ago": ago,
		"dimension": dimensionTitle,
	}
	ps := pages{}
	for _, name := range []string{"status.html", "explore.html", "budgets.html", "alerts.html", "keys.html", "error.html"} {
		ps[name] = template.Must(template.New("layout.html").Funcs(funcs).
			ParseFS(templates, "templates/layout.html", "templates/parts.html", "templates/"+name))
	}
	return ps
}

func (ps pages) render(w io.Writer, name string, data any) error {
	return ps[name].Execute(w, data)
}

type errorPage struct {
	frame
	Status int
	Text   string
}

// statusData is what the page at / shows.
type statusData struct {
	frame
	Organizations []organizationPage
}

type organizationPage struct {
	organizationStatus
	Now    time.Time
	Anchor string // id of the section in the page
	Empty  bool   // no cost of the last 30 days and this month is known
	Spent  []spent
	Chart  chart
	Top    []ranking
	End    monthEnd
	Limits limitsTable
	Jobs   []job

	Reconciled reconciled
}

// spent is the cost of a period, up to what is known of it.
type spent struct {
	Period string
	AsOf   time.Time
	report.Figures
	MissingHours int64 // never read, and so in no figure
}

// ranking is who cost most this month.
type ranking struct {
	By   string
	Rows []ranked
	Rest int // how many more there are
}

type ranked struct {
	Name    string
	Percent float64 // of the greatest
	report.Figures
}

// topRows is how many rows a ranking shows.
const topRows = 6

func (s *server) statusPage(r *http.Request) (any, error) {
	now := s.Now().UTC()
	orgs, err := s.Store.Organizations(r.Context())
	if err != nil {
		return nil, err
	}
	runs, err := s.Store.LastRuns(r.Context())
	if err != nil {
		return nil, err
	}
	data := statusData{frame: s.frame(r, "Overview", link{"/api/v1/costs?by=workspace,model", "costs"}, link{"/api/v1/forecast", "forecast"})}
	for i, o := range orgs {
		p, err := s.organizationPage(r.Context(), o, now)
		if err != nil {
			return nil, fmt.Errorf("page of %s: %w", o.Name, err)
		}
		p.Anchor = fmt.Sprintf("organization-%d", i+1)
		p.Jobs = jobsOf(o, runs)
		data.Organizations = append(data.Organizations, p)
	}
	return data, nil
}

func (s *server) organizationPage(ctx context.Context, o storage.OrganizationState, now time.Time) (organizationPage, error) {
	p := organizationPage{Now: now}
	var err error
	if p.organizationStatus, err = s.statusOf(ctx, o, now); err != nil {
		return p, err
	}
	if p.Reconciled, err = s.reconciledPage(ctx, o, now); err != nil {
		return p, err
	}
	today := spend.Day.Floor(now)
	tomorrow, month := today.AddDate(0, 0, 1), spend.MonthStart(today)
	last30 := dayWindows(today, chartDays)
	first := last30[0].Start
	ask := func(from, to time.Time, step report.Step, by ...spend.Dimension) (report.Answer, error) {
		return report.Run(ctx, s.Store, report.Params{
			Kind: report.Costs, From: from, To: to, Step: step, By: by, Teams: s.Teams,
			Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{o.ID}}},
		})
	}
	for _, period := range []struct {
		name     string
		from, to time.Time
	}{
		{"Today", today, tomorrow},
		{"Yesterday", today.AddDate(0, 0, -1), today},
		{now.Format("January"), month, tomorrow},
	} {
		a, err := ask(period.from, period.to, report.StepTotal)
		if err != nil {
			return p, err
		}
		p.Spent = append(p.Spent, spent{period.name, a.AsOf, a.Total, a.MissingHours})
	}
	days, err := ask(first, tomorrow, report.StepDay)
	if err != nil {
		return p, err
	}
	p.Chart = drawDays(days, last30)
	p.Empty = len(days.Rows) == 0 && p.Spent[2].Basis == ""
	ranked := []spend.Dimension{spend.ByWorkspace, spend.ByModel}
	if len(s.Teams) > 0 {
		ranked = append(ranked, spend.ByTeam)
	}
	for _, d := range ranked {
		a, err := ask(month, tomorrow, report.StepTotal, d)
		if err != nil {
			return p, err
		}
		p.Top = append(p.Top, rank(a, d))
	}
	if p.End, err = s.monthEnd(ctx, o, now); err != nil {
		return p, err
	}
	p.Limits, err = s.limitsTable(ctx, o)
	return p, err
}

// rank orders the rows by cost, the greatest first.
func rank(a report.Answer, d spend.Dimension) ranking {
	rows := slices.Clone(a.Rows)
	slices.SortStableFunc(rows, func(x, y report.Row) int {
		switch {
		case x.Cost > y.Cost:
			return -1
		case x.Cost < y.Cost:
			return 1
		default:
			return 0
		}
	})
	out := ranking{By: string(d)}
	for i, r := range rows {
		if i == topRows {
			out.Rest = len(rows) - topRows
			break
		}
		name := r.Name(d)
		if name == "" {
			name = "(none)" // code execution and sessions have no model
		}
		x := ranked{Name: name, Figures: r.Figures}
		if most := rows[0].Cost; most > 0 && r.Cost > 0 {
			x.Percent = 100 * r.Cost.USD() / most.USD()
		}
		out.Rows = append(out.Rows, x)
	}
	return out
}

// usd writes an amount, which a template has as a value or a pointer.
func usd(m any) string {
	switch x := m.(type) {
	case *spend.Money:
		return report.USD(*x)
	case spend.Money:
		return report.USD(x)
	default:
		return fmt.Sprint(m)
	}
}

// share writes a ratio as a whole percentage.
func share(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
