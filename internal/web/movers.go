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
	if p > 999 {
		return fmt.Sprintf("× %.0f", m.Is.Cost.USD()/m.Was.Cost.USD())
	}
	return fmt.Sprintf("%+.0f %%", p)
}

// Rises reports whether it costs more than before.
func (m mover) Rises() bool { return m.By > 0 }

// movedOf compares the newest seven days that are billed with the seven before; where no bill is
// known, or it is older than a week, the seven days through yesterday.
func (s *server) movedOf(ctx context.Context, o storage.OrganizationState, x past, now time.Time) (moved, error) {
	var m moved
	end, ok := x.known.billed()
	if today := spend.Day.Floor(now); !ok || today.Sub(end) > moverDays*24*time.Hour {
		end = today
	} else {
		m.Settled = true
	}
	m.Window = spend.Window{Start: end.AddDate(0, 0, -moverDays), End: end}
	m.Before = spend.Window{Start: m.Window.Start.AddDate(0, 0, -moverDays), End: m.Window.Start}
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
	by := []spend.Dimension{spend.ByAPIKey} // there may be thousands: as sums only, and with their teams at once
	if len(s.Teams) > 0 {
		by = append(by, spend.ByTeam)
	}
	var err error
	ask := s.asking(ctx, o)
	if is, err = ask(m.Window, report.StepTotal, by...); err != nil {
		return m, err
	}
	if was, err = ask(m.Before, report.StepTotal, by...); err != nil {
		return m, err
	}
	add(is, was, by...)
	order := []spend.Dimension{spend.ByTeam, spend.ByWorkspace, spend.ByModel, spend.ByAPIKey}
	slices.SortStableFunc(m.Groups, func(a, b moverGroup) int {
		return slices.Index(order, a.By) - slices.Index(order, b.By)
	})
	return m, nil
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
