package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// ForecastParams is a question about what the running period will have cost at its end.
type ForecastParams struct {
	Period forecast.Period
	By     []spend.Dimension
	Where  []Filter
	Teams  team.Teams // what the dimension team means
}

// WithTeams is the question with the teams that its dimension team means; see [Params.WithTeams].
func (p ForecastParams) WithTeams(ts team.Teams) (ForecastParams, error) {
	asked, err := Params{By: p.By, Where: p.Where}.WithTeams(ts)
	p.Teams = asked.Teams
	return p, err
}

// ParseForecast reads a question from query parameters: period (day, week, month or quarter; default
// month), by and filters as [Parse] has them.
func ParseForecast(values url.Values, now time.Time) (ForecastParams, error) {
	p := ForecastParams{Period: forecast.Month}
	rest := url.Values{}
	for name, vs := range values {
		switch name {
		case "period":
			if len(vs) > 1 {
				return p, fmt.Errorf("parameter period is given %d times", len(vs))
			}
			p.Period = forecast.Period(vs[0])
			if !p.Period.Valid() {
				return p, fmt.Errorf("unknown period %q (day, week, month or quarter)", vs[0])
			}
		case "from", "to", "step":
			return p, fmt.Errorf("parameter %s does not go with a forecast, which is about the running period (period, by, and filters)", name)
		default:
			rest[name] = vs
		}
	}
	costs, err := Parse(Costs, rest, now)
	if err != nil {
		return p, fmt.Errorf("%s", strings.Replace(err.Error(), "(from, to, step, by,", "(period, by,", 1))
	}
	p.By, p.Where = costs.By, costs.Where
	return p, nil
}

// ForecastAnswer is the answer: rows ordered by organization and the names of the dimensions.
type ForecastAnswer struct {
	ForecastParams
	Nothing []Nothing // filters that mean nothing that has cost
	AsOf    time.Time // the oldest of the rows; zero if nothing was read yet
	Window  spend.Window
	Rows    []ForecastRow
	// Total adds up what the organizations spent, and what is expected of each of them as a whole. It
	// has an interval only where there is just one. It is not the sum of the rows' forecasts.
	Total ForecastRow
}

// ForecastRow is the forecast of one combination of dimensions. Without a forecast Method is empty.
type ForecastRow struct {
	Row // Start and End are the period's; Cost is what was spent, Basis that of it
	forecast.Forecast
}

// RunForecast answers a question about the period that now lies in. Errors come from the store only.
func RunForecast(ctx context.Context, store storage.Store, p ForecastParams, now time.Time) (ForecastAnswer, error) {
	a := ForecastAnswer{ForecastParams: p, Window: p.Period.Window(now, time.UTC)}
	// What a filter may mean is what had cost in the time that is looked at.
	params := Params{Kind: Costs, Step: StepTotal, By: p.By, Where: p.Where, Teams: p.Teams, From: a.Window.Start, To: now.UTC()}
	if first := now.AddDate(0, 0, -forecast.MaxDays); first.Before(params.From) {
		params.From = first.UTC()
	}
	names, err := loadNames(ctx, store, params)
	if err != nil {
		return a, err
	}
	if len(names.organizations) == 0 {
		return a, nil
	}
	teams, err := names.teamMaps(ctx, store, params)
	if err != nil {
		return a, err
	}
	where, nothing, err := resolve(ctx, store, names, params)
	if err != nil || len(nothing) > 0 {
		a.Nothing = nothing
		return a, err
	}
	organizations := 0
	for _, o := range names.organizations {
		h, err := LoadHistory(ctx, store, HistoryQuery{
			Organization: o.ID, From: a.Window.Start, By: p.By, Teams: teams, OfTeam: params.keeps,
			Where: slices.DeleteFunc(slices.Clone(where), func(m storage.Match) bool { return m.Dimension == spend.ByOrganization }),
		}, now)
		if err != nil {
			return a, fmt.Errorf("cost history of %s: %w", o.Name, err)
		}
		whole, err := a.row(o, PartHistory{History: h.History, Since: h.Since}, now)
		if err != nil {
			return a, err
		}
		if whole.Method != "" {
			organizations++
			a.Total.merge(whole, organizations == 1)
			if a.AsOf.IsZero() || whole.AsOf.Before(a.AsOf) {
				a.AsOf = whole.AsOf
			}
		}
		if !slices.ContainsFunc(p.By, func(d spend.Dimension) bool { return d != spend.ByOrganization }) {
			a.Rows = append(a.Rows, whole)
			continue
		}
		for _, part := range h.Parts {
			r, err := a.row(o, part, now)
			if err != nil {
				return a, err
			}
			a.Rows = append(a.Rows, r)
		}
	}
	for i := range a.Rows {
		names.label(&a.Rows[i].Row, p.By)
	}
	slices.SortFunc(a.Rows, func(x, y ForecastRow) int { return x.compare(y.Row, p.By) })
	return a, nil
}

// row forecasts one history.
func (a ForecastAnswer) row(o storage.OrganizationState, h PartHistory, now time.Time) (ForecastRow, error) {
	r := ForecastRow{Row: Row{Start: a.Window.Start, End: a.Window.End, OrganizationID: o.ID, Organization: o.Name, Dims: h.Dims, Team: h.Team}}
	f, err := forecast.New(h.History, a.Window, now)
	if errors.Is(err, forecast.ErrNoHistory) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", o.Name, err)
	}
	r.Forecast = f
	r.Figures = h.Since
	r.Cost = f.Spent
	return r, nil
}

// merge adds an organization's forecast to the total.
func (r *ForecastRow) merge(x ForecastRow, first bool) {
	if first {
		*r = x
		r.Row = Row{Figures: x.Figures}
		return
	}
	r.Figures.Add(x.Figures)
	r.Spent += x.Spent
	r.Expected += x.Expected
	r.Today += x.Today
	r.Interval = false
	r.Low, r.High = r.Expected, r.Expected
	r.HistoryDays = min(r.HistoryDays, x.HistoryDays)
	r.MissingDays = max(r.MissingDays, x.MissingDays)
	if x.Method != r.Method {
		r.Method = "mixed"
	}
}

// figures are the fields of a forecast. What is not known is null.
func (r ForecastRow) figures() object {
	known := func(ok bool, m spend.Money) any {
		if !ok {
			return nil
		}
		return m
	}
	has := r.Method != ""
	o := object{
		{name: "spent_usd", value: known(has, r.Spent)},
		{name: "basis", value: string(r.Basis)},
		{name: "forecast_usd", value: known(has, r.Expected)},
		{name: "forecast_low_usd", value: known(r.Interval, r.Low)},
		{name: "forecast_high_usd", value: known(r.Interval, r.High)},
		{name: "interval_percent", value: int64(0)},
		{name: "today_usd", value: known(has, r.Today)},
		{name: "method", value: string(r.Method)},
		{name: "history_days", value: int64(r.HistoryDays)},
		{name: "missing_days", value: int64(r.MissingDays)},
		{name: "unpriced_tokens", value: r.Unpriced, optional: true},
		{name: "uncertain", value: r.Uncertain, optional: true},
	}
	if r.Interval {
		o[5].value = int64(forecast.Coverage)
	} else {
		o[5].value = nil
	}
	return o
}

// object is the row as JSON and CSV have it.
func (a ForecastAnswer) object(r ForecastRow) object {
	o := Params{By: a.By}.labels(r.Row)
	return append(append(o, field{name: "as_of", value: stamp(r.AsOf)}), r.figures()...)
}

// stamp is a time as JSON shows it, null where there is none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func (a ForecastAnswer) sheet() sheet {
	s := sheet{
		head: object{
			{name: "as_of", value: stamp(a.AsOf)},
			{name: "from", value: stamp(a.Window.Start)},
			{name: "to", value: stamp(a.Window.End)},
			{name: "period", value: string(a.Period)},
		},
		tail:  object{{name: "total", value: a.Total.figures()}},
		blank: a.object(ForecastRow{}),
	}
	s.heading = fmt.Sprintf("Forecast for the %s from %s to %s UTC", a.Period, a.Window.Start.Format(time.DateOnly), a.Window.End.Format(time.DateOnly))
	if a.AsOf.IsZero() {
		s.heading += ", nothing read yet"
	} else {
		s.heading += ", as of " + a.AsOf.UTC().Format("2006-01-02 15:04")
	}
	s.titles = []title{{name: "organization"}}
	for _, d := range a.By {
		if d != spend.ByOrganization {
			s.titles = append(s.titles, title{name: strings.ReplaceAll(string(d), "_", " "), label: true})
		}
	}
	names := len(s.titles)
	for _, name := range []string{"spent $", "forecast $", "low $", "high $", "today $"} {
		s.titles = append(s.titles, title{name: name, number: true, whole: true})
	}
	s.titles = append(s.titles, title{name: "method", whole: true}, title{name: "days", number: true, whole: true})
	for _, r := range a.Rows {
		s.rows = append(s.rows, a.object(r))
		line := []string{r.Organization}
		for _, d := range a.By {
			if d != spend.ByOrganization {
				line = append(line, orDash(r.Name(d)))
			}
		}
		s.cells = append(s.cells, append(line, r.cells()...))
	}
	if len(a.Rows) > 1 {
		s.total = append(append(make([]string, 0, len(s.titles)), "total"), make([]string, names-1)...)
		s.total = append(s.total, a.Total.cells()...)
	}
	s.hideOnly("organization")
	s.notes = a.notes()
	return s
}

func (r ForecastRow) cells() []string {
	if r.Method == "" {
		return []string{"-", "-", "-", "-", "-", "-", "0"}
	}
	low, high := "-", "-"
	if r.Interval {
		low, high = USD(r.Low), USD(r.High)
	}
	return []string{r.USD(), USD(r.Expected), low, high, USD(r.Today), string(r.Method), fmt.Sprint(r.HistoryDays)}
}

// notes say what a reader must know about the figures.
func (a ForecastAnswer) notes() []string {
	ns := []string{fmt.Sprintf("forecast: the total at the end of the %s, as likely too high as too low; it should lie from low to high %d times of 100.",
		a.Period, forecast.Coverage)}
	for _, n := range a.Nothing {
		ns = append(ns, n.String())
	}
	has := func(m forecast.Method) bool {
		return slices.ContainsFunc(a.Rows, func(r ForecastRow) bool { return r.Method == m })
	}
	if has(forecast.RunRate) {
		ns = append(ns, fmt.Sprintf("%s: fewer than %d days of history, so cost per time so far goes on; no interval can be told.",
			forecast.RunRate, forecast.MinDays))
	}
	if len(a.Rows) > 1 {
		ns = append(ns, "Rows are forecast each from its own history and do not add up to the total.")
	}
	if n := a.Total.Unpriced; n > 0 {
		ns = append(ns, Count(n)+" tokens have no known price: their cost is neither in what was spent nor in the forecast.")
	}
	if a.Total.Uncertain {
		ns = append(ns, "Some prices could not be told for sure.")
	}
	if n := a.Total.MissingDays; n > 0 {
		ns = append(ns, fmt.Sprintf("Incomplete: %d days of the period were not read in full; the forecast holds an estimate of them, spent does not.", n))
	}
	return ns
}

// MarshalJSON writes the answer as the HTTP API gives it.
func (a ForecastAnswer) MarshalJSON() ([]byte, error) { return a.sheet().json() }

// WriteJSON, WriteCSV, WriteTable and WriteMarkdown write the answer as those of [Answer] do.
func (a ForecastAnswer) WriteJSON(w io.Writer) error { return a.sheet().writeJSON(w) }

// WriteCSV is described at WriteJSON.
func (a ForecastAnswer) WriteCSV(w io.Writer) error { return a.sheet().writeCSV(w) }

// WriteTable is described at WriteJSON.
func (a ForecastAnswer) WriteTable(w io.Writer, width int) error {
	return a.sheet().table().write(w, width)
}

// WriteMarkdown is described at WriteJSON.
func (a ForecastAnswer) WriteMarkdown(w io.Writer) error { return a.sheet().table().writeMarkdown(w) }
