package report

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Comparison is an answer beside that of the period before. Rows are groups; a group that is in one
// of the two only is new or gone.
type Comparison struct {
	Now, Before Answer
	Rows        []Compared
}

// Compared is a group and its figures in both times. Row holds the names, and the figures of now.
type Compared struct {
	Row
	Was       Figures
	New, Gone bool
}

// ErrStep says that a comparison is of totals.
var ErrStep = errors.New("a comparison is of totals: leave the step out")

// Errors that say that there is nothing yet that could be compared.
var (
	ErrNoWholeHour = errors.New("nothing can be compared yet: no whole hour of this time has been read")
	ErrNoWholeDay  = errors.New("nothing can be compared yet: some of it is known by the day only, and no whole day of this time has been read")
)

// comparable is the part of the answer's time that can be compared with another of the same length: up to the
// last whole hour, or day, that has been read. One that is not over, or not read, is less than one that is.
func (a Answer) comparable(g spend.Grain) spend.Window {
	w := a.Window.Align(g)
	if !a.Until.IsZero() && a.Until.Before(w.End) {
		w.End = g.Floor(a.Until)
	}
	if w.End.Before(w.Start) {
		w.End = w.Start
	}
	return w
}

// Beside gives what can be compared of the answer, and the answer for the time that before tells. Both times
// are equally long: whole hours, or whole days where in one of them only the day is known, whose bill would
// else stand beside hours. Ask answers the same question for another time, as one total. Where nothing can be
// compared the error is [ErrNoWholeHour] or [ErrNoWholeDay].
func (a Answer) Beside(
	ctx context.Context, ask func(context.Context, spend.Window) (Answer, error), before func(spend.Window) spend.Window,
) (now, was Answer, err error) {
	try := func(known, earlier spend.Window) error {
		both, asking := errgroup.WithContext(ctx)
		both.Go(func() (err error) { was, err = ask(asking, earlier); return err })
		if now = a; !same(known, a.Window) {
			both.Go(func() (err error) { now, err = ask(asking, known); return err })
		}
		return both.Wait()
	}
	known := a.comparable(spend.Hour)
	if known.Empty() {
		return now, was, ErrNoWholeHour
	}
	earlier := before(known)
	if err = try(known, earlier); err != nil || same(now.Window, known) && same(was.Window, earlier) {
		return now, was, err
	}
	if known = a.comparable(spend.Day); known.Empty() {
		return now, was, ErrNoWholeDay
	}
	return now, was, try(known, before(known))
}

func same(v, w spend.Window) bool { return v.Start.Equal(w.Start) && v.End.Equal(w.End) }

// Compare answers the question for its time, as far as it can be compared, and for the one before it
// ([Previous]); see [Answer.Beside]. Groups beyond the n with the most in both times together are
// joined; 0 joins none.
func Compare(ctx context.Context, store storage.Store, p Params, sort Sort, n int) (Comparison, error) {
	var c Comparison
	if p.Step != StepTotal {
		return c, ErrStep
	}
	var err error
	if c.Now, err = Run(ctx, store, p); err != nil {
		return c, err
	}
	ask := func(ctx context.Context, w spend.Window) (Answer, error) {
		q := p
		q.From, q.To = w.Start, w.End
		return Run(ctx, store, q)
	}
	if c.Now, c.Before, err = c.Now.Beside(ctx, ask, Previous); err != nil {
		return c, err
	}
	kept := largest(n, c.Now, c.Before)
	folded := others(kept, c.Now, c.Before)
	c.Now.keep(kept, folded)
	c.Before.keep(kept, folded)
	index := map[group]int{}
	for _, r := range c.Now.Rows {
		index[r.group()] = len(c.Rows)
		c.Rows = append(c.Rows, Compared{Row: r, New: true})
	}
	for _, r := range c.Before.Rows {
		if i, ok := index[r.group()]; ok {
			c.Rows[i].Was, c.Rows[i].New = r.Figures, false
			continue
		}
		was := r.Figures
		r.Start, r.End, r.Figures = c.Now.Window.Start, c.Now.Window.End, Figures{}
		c.Rows = append(c.Rows, Compared{Row: r, Was: was, Gone: true})
	}
	slices.SortStableFunc(c.Rows, func(x, y Compared) int {
		if d := cmp.Compare(min(x.Folded, 1), min(y.Folded, 1)); d != 0 {
			return d
		}
		if sort == SortAmount {
			amount := p.Kind.amount
			return cmp.Or(cmp.Compare(amount(y.Figures), amount(x.Figures)), cmp.Compare(amount(y.Was), amount(x.Was)))
		}
		return x.compare(y.Row, p.By)
	})
	return c, nil
}

// Previous is the time to compare a window with: the same length before it; for a window that begins
// with a month, as many months earlier as it has begun, up to the same day and hour of the month, or the
// end of a month that has no such day.
func Previous(w spend.Window) spend.Window {
	if !w.Start.Equal(spend.MonthStart(w.Start)) {
		return spend.Window{Start: w.Start.Add(-w.Duration()), End: w.Start}
	}
	months := 0
	for t := w.Start; t.Before(w.End); t = t.AddDate(0, 1, 0) {
		months++
	}
	start, last := w.Start.AddDate(0, -months, 0), spend.MonthStart(w.End)
	month := last.AddDate(0, -months, 0)
	end := month.Add(w.End.Sub(last))
	if next := month.AddDate(0, 1, 0); end.After(next) {
		end = next
	}
	return spend.Window{Start: start, End: end}
}

// change is by how much the amount differs.
func (c Compared) change(k Kind) int64 { return k.amount(c.Figures) - k.amount(c.Was) }

// state says that a row is in one of the times only.
func (c Compared) state() string {
	switch {
	case c.New:
		return "new"
	case c.Gone:
		return "gone"
	default:
		return ""
	}
}

func (c Comparison) total() Compared {
	return Compared{Row: Row{Figures: c.Now.Total}, Was: c.Before.Total}
}

// signed writes a change for people.
func signed(k Kind, n int64) string {
	s := Count(n)
	if k == Costs {
		s = USD(spend.Money(n))
	}
	if n > 0 {
		s = "+" + s
	}
	return s
}

// growth is the change in percent of before for people; empty where there was nothing before.
func growth(k Kind, c Compared) string {
	was := k.amount(c.Was)
	if was == 0 {
		return ""
	}
	p := 100 * float64(c.change(k)) / math.Abs(float64(was))
	if p > 9999 {
		return ">9999%"
	}
	return Percent(p, 1) + "%"
}

func (c Comparison) table() table {
	k := c.Now.Kind
	rows := c.Rows
	if len(c.Now.By) == 0 {
		rows = nil
	}
	plain := make([]Row, len(rows))
	for i, r := range rows {
		plain[i] = r.Row
	}
	title := map[Kind]string{Costs: "Cost", Usage: "Tokens"}[k]
	t := table{
		heading: title + " " + span(c.Now.Window, c.Now.AsOf) + "\ncompared with the time " + span(c.Before.Window, c.Before.AsOf),
		rows:    len(rows), columns: c.Now.names(plain), notes: c.notes(),
	}
	total := c.total()
	number := func(title string, drop int, show, compact func(Compared) string) {
		t.columns = append(t.columns, column{
			title: title, number: true, drop: drop,
			cell:  func(n int) string { return show(rows[n]) },
			short: func(n int) string { return compact(rows[n]) },
			total: func() string { return show(total) },
			brief: func() string { return compact(total) },
		})
	}
	figure := func(title string, of func(Compared) Figures) {
		show := func(c Compared) string {
			if k == Costs {
				return of(c).USD()
			}
			return Count(k.amount(of(c)))
		}
		compact := show
		if k == Usage {
			compact = func(c Compared) string { return short(k.amount(of(c))) }
		}
		number(title, 0, show, compact)
	}
	unit := map[Kind]string{Costs: " $", Usage: ""}[k]
	figure("before"+unit, func(c Compared) Figures { return c.Was })
	figure("now"+unit, func(c Compared) Figures { return c.Figures })
	change := func(c Compared) string { return signed(k, c.change(k)) }
	compact := change
	if k == Usage {
		compact = func(c Compared) string {
			if n := c.change(k); n > 0 {
				return "+" + short(n)
			}
			return short(c.change(k))
		}
	}
	number("change"+unit, 2, change, compact)
	percent := func(c Compared) string { return cmp.Or(c.state(), growth(k, c)) }
	number("change %", 0, percent, percent)
	if k == Costs {
		basis := func(c Compared) string {
			was, now := string(c.Was.Basis), string(c.Basis)
			if was == "" || now == "" || was == now {
				return cmp.Or(now, was)
			}
			return was + " → " + now
		}
		t.columns = append(t.columns, column{
			title: "basis", whole: true, drop: 1,
			cell:  func(n int) string { return basis(rows[n]) },
			total: func() string { return basis(total) },
		})
	}
	return t
}

// notes are those of both times.
func (c Comparison) notes() []string {
	ns := c.Now.Notes()
	for _, n := range c.Before.Notes() {
		if !slices.Contains(ns, n) {
			ns = append(ns, "Before: "+n)
		}
	}
	return ns
}

// WriteTable writes the comparison as a table that is at most width cells wide; 0 is any width.
func (c Comparison) WriteTable(w io.Writer, width int) error { return c.table().write(w, width) }

// WriteMarkdown writes the comparison as a Markdown table.
func (c Comparison) WriteMarkdown(w io.Writer) error { return c.table().writeMarkdown(w) }

// row is the fields of a row: those of an answer, the same of before, and the change.
func (c Comparison) row(r Compared, names bool) object {
	p := c.Now.Params
	o := p.figures(r.Figures)
	if names {
		o = p.row(r.Row)
	}
	for _, f := range p.figures(r.Was) {
		f.name = "before_" + f.name
		o = append(o, f)
	}
	amount := any(r.change(p.Kind))
	name := "change_tokens"
	if p.Kind == Costs {
		amount, name = spend.Money(r.change(p.Kind)), "change_usd"
	}
	var percent any
	if was := p.Kind.amount(r.Was); was != 0 {
		percent = math.Round(1000*100*float64(r.change(p.Kind))/math.Abs(float64(was))) / 1000
	}
	o = append(o, field{name: name, value: amount}, field{name: "change_percent", value: percent})
	if names {
		o = append(o, field{name: "state", value: r.state(), optional: true})
	}
	return o
}

// MarshalJSON writes both times: rows have the figures of now by their names and those of before with
// before_ in front; change_percent is null where there was nothing before.
func (c Comparison) MarshalJSON() ([]byte, error) {
	type times struct {
		AsOf         *time.Time `json:"as_of"`
		From         time.Time  `json:"from"`
		To           time.Time  `json:"to"`
		MissingHours int64      `json:"missing_hours,omitempty"`
	}
	of := func(a Answer) times {
		t := times{From: a.Window.Start.UTC(), To: a.Window.End.UTC(), MissingHours: a.MissingHours}
		if !a.AsOf.IsZero() {
			at := a.AsOf.UTC().Truncate(time.Second)
			t.AsOf = &at
		}
		return t
	}
	out := struct {
		times
		Before times    `json:"before"`
		Data   []object `json:"data"`
		Total  object   `json:"total"`
	}{times: of(c.Now), Before: of(c.Before), Data: make([]object, len(c.Rows)), Total: c.row(c.total(), false)}
	for i, r := range c.Rows {
		out.Data[i] = c.row(r, true)
	}
	return json.Marshal(out)
}

// WriteJSON writes the comparison as JSON, indented for reading, with a line end.
func (c Comparison) WriteJSON(w io.Writer) error { return writeJSON(w, c) }

// WriteCSV writes the rows, without the total, under the names that JSON has them by.
func (c Comparison) WriteCSV(w io.Writer) error {
	rows := make([]object, len(c.Rows))
	for i, r := range c.Rows {
		rows[i] = c.row(r, true)
	}
	return writeCSV(w, c.row(Compared{}, true), rows)
}
