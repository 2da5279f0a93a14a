package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// moverDays is how many days are compared with as many before.
const moverDays = 7

// moved is what changed most from one week to the next.
type moved struct {
	Window, Before spend.Window
	Settled        bool // both are billed as far as a bill is known
	AsOf           time.Time
	Was, Is        report.Figures
	Total          mover
	Missing        int64 // hours of both
	Groups         []moverGroup
}

// moverGroup is what changed most of a dimension.
type moverGroup struct {
	By   spend.Dimension
	Rows []mover
}

// mover is what something cost in both weeks.
type mover struct {
	Name    string
	Was, Is report.Figures
	By      spend.Money
	New     bool
	Gone    bool
}

// Change writes the difference with its sign.
func (m mover) Change() string {
	s := report.USD(m.By)
	if m.By > 0 {
		return "+" + s
	}
	return s
}

// Growth writes the change in percent of before.
func (m mover) Growth() string {
	switch {
	case m.New:
		return "new"
	case m.Gone:
		return "gone"
	case m.Was.Cost == 0:
		return ""
	}
	p := 100 * m.By.USD() / math.Abs(m.Was.Cost.USD())
	if p > 999 && m.Was.Cost > 0 {
		return fmt.Sprintf("× %.0f", m.Is.Cost.USD()/m.Was.Cost.USD())
	}
	return report.Percent(p, 0) + " %"
}

// Rises reports whether it costs more than before.
func (m mover) Rises() bool { return m.By > 0 }

// weeks are the two weeks that are compared: the newest seven days that are billed and the seven before;
// where no bill is known, or it is older than a week, the seven days through yesterday.
type weeks struct {
	Window, Before spend.Window
	settled        bool
	by             []spend.Dimension
	is, was        report.Answer // by these
}

// weeksOf asks for the weeks by key, of which there may be thousands, hence as sums only, and by team.
func (s *server) weeksOf(ctx context.Context, o storage.OrganizationState, x past) (weeks, error) {
	var ws weeks
	end, ok := x.known.billed()
	if !ok || x.today.Start.Sub(end) > moverDays*24*time.Hour {
		end = x.today.Start
	} else {
		ws.settled = true
	}
	ws.Window = spend.Window{Start: end.AddDate(0, 0, -moverDays), End: end}
	ws.Before = spend.Window{Start: ws.Window.Start.AddDate(0, 0, -moverDays), End: ws.Window.Start}
	ws.by = []spend.Dimension{spend.ByAPIKey}
	if len(s.Teams) > 0 {
		ws.by = append(ws.by, spend.ByTeam)
	}
	var err error
	if ws.is, err = s.weekBy(ctx, o, x, "this week", ws.Window, ws.by...); err != nil {
		return ws, err
	}
	ws.was, err = s.weekBy(ctx, o, x, "the week before", ws.Before, ws.by...)
	return ws, err
}

func (s *server) weekBy(
	ctx context.Context, o storage.OrganizationState, x past, kind string, w spend.Window, by ...spend.Dimension,
) (report.Answer, error) {
	return remember(ctx, s.memory, o.ID, kind, w, x.names, func() (report.Answer, error) {
		return s.asking(ctx, o)(w, report.StepTotal, by...)
	})
}

// movedOf compares the weeks.
func movedOf(x past) moved {
	m := moved{Window: x.weeks.Window, Before: x.weeks.Before, Settled: x.weeks.settled}
	is, was := x.of(x.rows, m.Window), x.of(x.rows, m.Before)
	m.AsOf, m.Is, m.Was, m.Missing = is.AsOf, is.Total, was.Total, is.MissingHours+was.MissingHours
	m.Total = mover{Was: m.Was, Is: m.Is, By: m.Is.Cost - m.Was.Cost}
	add := func(is, was report.Answer, ds ...spend.Dimension) {
		for _, d := range ds {
			if rows := movers(was.Rows, is.Rows, d); len(rows) > 0 {
				m.Groups = append(m.Groups, moverGroup{d, rows})
			}
		}
	}
	add(is, was, spend.ByWorkspace, spend.ByModel)
	add(x.weeks.is, x.weeks.was, x.weeks.by...)
	order := []spend.Dimension{spend.ByTeam, spend.ByWorkspace, spend.ByModel, spend.ByAPIKey}
	slices.SortStableFunc(m.Groups, func(a, b moverGroup) int {
		return slices.Index(order, a.By) - slices.Index(order, b.By)
	})
	return m
}

// movers sums the rows of both times by the dimension and lists what changed most, by amount.
func movers(was, is []report.Row, d spend.Dimension) []mover {
	sums := map[thing]*mover{}
	of := func(r report.Row) *mover {
		t := thingOf(r, d)
		m := sums[t]
		if m == nil {
			m = &mover{Name: t.name, New: true, Gone: true}
			sums[t] = m
		}
		return m
	}
	for _, r := range was {
		m := of(r)
		m.Was.Add(r.Figures)
		m.New = false
	}
	for _, r := range is {
		m := of(r)
		m.Is.Add(r.Figures)
		m.Gone = false
	}
	var out []mover
	for _, m := range sums {
		m.By = m.Is.Cost - m.Was.Cost
		if m.By >= spend.Cent || m.By <= -spend.Cent {
			out = append(out, *m)
		}
	}
	slices.SortFunc(out, func(a, b mover) int {
		return cmp.Or(cmp.Compare(max(b.By, -b.By), max(a.By, -a.By)), cmp.Compare(b.Is.Cost, a.Is.Cost), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), topMovers)]
}
