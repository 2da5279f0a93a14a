package report

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Reconciliation is what was compared with what on the UTC days of a window, and what is known of
// estimates, bills and their oddities.
type Reconciliation struct {
	AsOf   time.Time // the newest comparison; zero if nothing was compared yet
	Window spend.Window
	Checks []OrganizationCheck // by day, organization, name, subject, model and token type
	Of     []OrganizationReconciliation
}

// OrganizationCheck is a check and whose it is.
type OrganizationCheck struct {
	Organization string // name
	storage.Check
}

// OrganizationReconciliation is what is known of one organization.
type OrganizationReconciliation struct {
	Organization string // name
	Days         int    // that were compared
	Agreeing     int    // of them, without any difference that nothing explains
	Calibration  storage.Calibration
	Findings     []storage.Finding
	SetAside     []storage.CurrencySum // of the window
	Drift        storage.Drift
}

// ParseReconciliation reads a question from the query parameters from and to, as [Parse] does.
func ParseReconciliation(values url.Values, now time.Time) (spend.Window, error) {
	for name := range values {
		if name != "from" && name != "to" {
			return spend.Window{}, fmt.Errorf("unknown parameter %q for the reconciliation (from, to)", name)
		}
	}
	p, err := Parse(Costs, values, now)
	return p.window(), err
}

// Reconcile answers what was compared on the UTC days of the window. It compares nothing itself.
func Reconcile(ctx context.Context, store storage.Store, w spend.Window, now time.Time) (Reconciliation, error) {
	r := Reconciliation{Window: w.Align(spend.Day)}
	orgs, err := store.Organizations(ctx)
	if err != nil {
		return r, fmt.Errorf("organizations: %w", err)
	}
	for _, o := range orgs {
		x, cs, err := ReconciliationOf(ctx, store, o, r.Window, now)
		if err != nil {
			return r, fmt.Errorf("reconciliation of %s: %w", o.Name, err)
		}
		for _, c := range cs {
			r.Checks = append(r.Checks, OrganizationCheck{o.Name, c})
			if c.CheckedAt.After(r.AsOf) {
				r.AsOf = c.CheckedAt
			}
		}
		r.Of = append(r.Of, x)
	}
	slices.SortStableFunc(r.Checks, func(a, b OrganizationCheck) int { return a.Day.Compare(b.Day) })
	return r, nil
}

// ReconciliationOf is what is known of one organization, and its checks of the window.
func ReconciliationOf(
	ctx context.Context, store storage.Store, o storage.OrganizationState, w spend.Window, now time.Time,
) (OrganizationReconciliation, []storage.Check, error) {
	x := OrganizationReconciliation{Organization: o.Name}
	cs, err := store.Checks(ctx, o.ID, w)
	if err != nil {
		return x, nil, err
	}
	off := map[time.Time]bool{}
	for _, c := range cs {
		off[c.Day] = off[c.Day] || Off(c.Verdict)
	}
	x.Days = len(off)
	for _, is := range off {
		if !is {
			x.Agreeing++
		}
	}
	if x.Calibration, err = store.Calibration(ctx, o.ID); err != nil {
		return x, nil, err
	}
	if x.Findings, err = store.Findings(ctx, o.ID); err != nil {
		return x, nil, err
	}
	aside, err := store.SetAside(ctx, o.ID, w)
	if err != nil {
		return x, nil, err
	}
	x.SetAside = storage.SumSetAside(aside)
	recent, err := store.Checks(ctx, o.ID, storage.DriftWindow(now))
	x.Drift = storage.DriftOf(recent)
	return x, cs, err
}

// Off reports whether figures were found to differ, for no known reason.
func Off(v storage.Verdict) bool { return v == storage.Unconfirmed || v == storage.Differs }

// What says in words what a check compares.
func What(c storage.Check) string {
	switch c.Name {
	case storage.CheckUsage:
		return fmt.Sprintf("usage: rows with the total of %s", c.Report)
	case storage.CheckRequests:
		return fmt.Sprintf("requests: rows with the total of %s", c.Report)
	case storage.CheckCost:
		return fmt.Sprintf("bill: rows with the total of %s", c.Report)
	case storage.CheckUsageReports:
		return fmt.Sprintf("usage: %s with %s", c.Report, c.With)
	case storage.CheckCostReports:
		return fmt.Sprintf("bill: %s with %s", c.Report, c.With)
	case storage.CheckEstimate:
		return fmt.Sprintf("estimate at list price with the bill of %s", c.With)
	default:
		return string(c.Name)
	}
}

// Subject says in words what of it.
func Subject(c storage.Check) string {
	parts := []string{c.Subject}
	for _, s := range []string{c.Model, c.TokenType} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// Figure writes a figure of a check for people.
func Figure(c storage.Check, n int64) string {
	if c.Money {
		return "$" + USD(spend.Money(n))
	}
	return Count(n)
}

// exact is a figure of a check as JSON and CSV have it: a whole number, or a decimal string of dollars.
func exact(c storage.Check, n int64) any {
	if c.Money {
		return spend.Money(n)
	}
	return n
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func (c OrganizationCheck) object() object {
	unit := "count"
	if c.Money {
		unit = "usd"
	}
	return object{
		{name: "day", value: c.Day.UTC().Format(time.DateOnly)},
		{name: "organization", value: c.Organization},
		{name: "check", value: string(c.Name)},
		{name: "subject", value: c.Subject},
		{name: "model", value: c.Model},
		{name: "token_type", value: c.TokenType},
		{name: "ours_from", value: string(c.Report)},
		{name: "theirs_from", value: string(c.With)},
		{name: "unit", value: unit},
		{name: "ours", value: exact(c.Check, c.Ours)},
		{name: "theirs", value: exact(c.Check, c.Theirs)},
		{name: "difference", value: exact(c.Check, c.Difference())},
		{name: "verdict", value: string(c.Verdict)},
		{name: "explanation", value: c.Explanation},
		{name: "since", value: moment(c.Since)},
		{name: "checked_at", value: moment(c.CheckedAt)},
	}
}

// CalibrationObject is a calibration as JSON has it.
func CalibrationObject(c storage.Calibration) any {
	factors, prices := []object{}, []object{}
	for _, f := range c.Factors {
		factors = append(factors, object{
			{name: "model", value: f.Model},
			{name: "factor", value: f.Factor.String()},
			{name: "applied", value: f.Problem == ""},
			{name: "problem", value: f.Problem},
			{name: "billed_usd", value: f.Billed},
			{name: "estimated_usd", value: f.Estimated},
			{name: "days", value: f.Days},
			{name: "from", value: moment(f.Window.Start)},
			{name: "to", value: moment(f.Window.End)},
		})
	}
	for _, p := range c.Prices {
		o := object{{name: "model", value: p.Model}, {name: "from", value: moment(p.Window.Start)}, {name: "to", value: moment(p.Window.End)}}
		for k, m := range p.Price {
			o = append(o, field{name: spend.Kind(k).TokenType() + "_usd_per_million", value: m})
		}
		prices = append(prices, o)
	}
	return object{{name: "as_of", value: moment(c.At)}, {name: "factors", value: factors}, {name: "effective_prices", value: prices}}
}

func (x OrganizationReconciliation) object() object {
	findings := []object{}
	for _, f := range x.Findings {
		findings = append(findings, object{
			{name: "kind", value: f.Kind}, {name: "subject", value: f.Subject}, {name: "amount", value: f.Amount}, {name: "detail", value: f.Detail},
			{name: "from", value: moment(f.Window.Start)}, {name: "to", value: moment(f.Window.End)},
			{name: "first_at", value: moment(f.FirstAt)}, {name: "seen_at", value: moment(f.SeenAt)},
		})
	}
	drift := object{
		{name: "ratio", value: nil}, {name: "estimated_usd", value: x.Drift.Estimated}, {name: "billed_usd", value: x.Drift.Billed},
		{name: "days", value: x.Drift.Days}, {name: "from", value: moment(x.Drift.Window.Start)}, {name: "to", value: moment(x.Drift.Window.End)},
	}
	if ratio, ok := x.Drift.Ratio(); ok {
		drift[0].value = ratio
	}
	return object{
		{name: "organization", value: x.Organization},
		{name: "days", value: x.Days},
		{name: "days_agreeing", value: x.Agreeing},
		{name: "drift", value: drift},
		{name: "calibration", value: CalibrationObject(x.Calibration)},
		{name: "findings", value: findings},
		{name: "set_aside", value: asideObjects(x.SetAside)},
	}
}

// setAside is what is set aside of the organizations' bills on the days of a window.
func setAside(ctx context.Context, store storage.Store, orgs []storage.OrganizationState, w spend.Window) ([]storage.CurrencySum, error) {
	var all []storage.SetAside
	for _, o := range orgs {
		rows, err := store.SetAside(ctx, o.ID, w.Align(spend.Day))
		if err != nil {
			return nil, fmt.Errorf("what is set aside of %s: %w", o.Name, err)
		}
		all = append(all, rows...)
	}
	return storage.SumSetAside(all), nil
}

func asideObjects(sums []storage.CurrencySum) []object {
	out := []object{}
	for _, s := range sums {
		out = append(out, object{
			{name: "currency", value: s.Currency}, {name: "amount", value: s.Amount}, {name: "rows", value: s.Rows},
			{name: "from", value: moment(s.Window.Start)}, {name: "to", value: moment(s.Window.End)},
		})
	}
	return out
}

func asideNote(s storage.CurrencySum) string {
	return fmt.Sprintf("%d rows of the bill, %s, %s, are not in US dollars and in no total.", s.Rows, s, dayRange(s.Window))
}

// MarshalJSON writes the answer as the HTTP API gives it: as_of, from, to, data (a row for each
// check) and organizations.
func (r Reconciliation) MarshalJSON() ([]byte, error) {
	out := struct {
		AsOf          any      `json:"as_of"`
		From          string   `json:"from"`
		To            string   `json:"to"`
		Data          []object `json:"data"`
		Organizations []object `json:"organizations"`
	}{
		moment(r.AsOf), r.Window.Start.Format(time.RFC3339), r.Window.End.Format(time.RFC3339), []object{}, []object{},
	}
	for _, c := range r.Checks {
		out.Data = append(out.Data, c.object())
	}
	for _, x := range r.Of {
		out.Organizations = append(out.Organizations, x.object())
	}
	return json.Marshal(out)
}

// WriteJSON writes the answer as JSON, indented for reading, with a line end.
func (r Reconciliation) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes all checks under the names that JSON has them by.
func (r Reconciliation) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	var header []string
	for _, f := range (OrganizationCheck{}).object() {
		header = append(header, f.name)
	}
	if err := c.Write(header); err != nil {
		return err
	}
	for _, x := range r.Checks {
		var line []string
		for _, f := range x.object() {
			line = append(line, fmt.Sprint(f.value))
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// Summary is the checks with those that agree joined to one line for each day and name; of
// estimates the total stands for them. What differs, or is explained, stands by itself.
func (r Reconciliation) Summary() []OrganizationCheck {
	type group struct {
		organization string
		day          time.Time
		name         storage.CheckName
	}
	at := map[group]int{}
	var out []OrganizationCheck
	for _, c := range r.Checks {
		if c.Name == storage.CheckEstimate {
			if c.Subject == storage.Total || Off(c.Verdict) {
				out = append(out, c)
			}
			continue
		}
		g := group{c.Organization, c.Day, c.Name}
		i, known := at[g]
		switch {
		case c.Verdict != storage.Agrees:
			out = append(out, c)
		case c.Money:
			if !known || c.Subject == "amount" {
				if known {
					out[i] = c
					continue
				}
				at[g] = len(out)
				out = append(out, c)
			}
		case c.Subject == kindTotal(spend.WebSearches):
			continue // another unit than tokens
		case known:
			out[i].Ours += c.Ours
			out[i].Theirs += c.Theirs
			if out[i].Explanation == "" {
				out[i].Explanation = c.Explanation
			}
		default:
			if c.Name != storage.CheckRequests {
				c.Subject = "tokens"
			}
			at[g] = len(out)
			out = append(out, c)
		}
	}
	return out
}

func kindTotal(k spend.Kind) string { return countName(k) }

// table is the summary for people.
func (r Reconciliation) table() table {
	rows := r.Summary()
	t := table{heading: r.Heading(), rows: len(rows), noTotal: true}
	add := func(c column, of func(OrganizationCheck) string) {
		c.cell = func(n int) string { return of(rows[n]) }
		t.columns = append(t.columns, c)
	}
	add(column{title: "day", whole: true}, func(c OrganizationCheck) string { return c.Day.UTC().Format(time.DateOnly) })
	if len(r.Of) > 1 {
		add(column{title: "organization"}, func(c OrganizationCheck) string { return c.Organization })
	}
	add(column{title: "compared", whole: true}, func(c OrganizationCheck) string { return What(c.Check) })
	add(column{title: "of", whole: true}, func(c OrganizationCheck) string { return Subject(c.Check) })
	add(column{title: "ours", number: true}, func(c OrganizationCheck) string { return Figure(c.Check, c.Ours) })
	add(column{title: "theirs", number: true}, func(c OrganizationCheck) string { return Figure(c.Check, c.Theirs) })
	add(column{title: "difference", number: true}, func(c OrganizationCheck) string { return Figure(c.Check, c.Difference()) })
	add(column{title: "verdict", whole: true}, func(c OrganizationCheck) string { return string(c.Verdict) })
	add(column{title: "explanation", whole: true}, func(c OrganizationCheck) string { return c.Explanation })
	for _, n := range r.notes() {
		t.notes = append(t.notes, clean(n))
	}
	return t
}

// Heading says of which time the comparisons are, and as of when.
func (r Reconciliation) Heading() string {
	s := fmt.Sprintf("Reconciliation from %s to %s UTC", r.Window.Start.Format(time.DateOnly), r.Window.End.Format(time.DateOnly))
	if r.AsOf.IsZero() {
		return s + ", nothing compared yet"
	}
	return s + ", as of " + r.AsOf.UTC().Format("2006-01-02 15:04")
}

// Notes say, organization by organization, what comes of it.
func (x OrganizationReconciliation) Notes() []string {
	notes := []string{fmt.Sprintf("%s: %d of %d days that were compared agree.", x.Organization, x.Agreeing, x.Days)}
	if ratio, ok := x.Drift.Ratio(); ok {
		notes = append(notes, fmt.Sprintf("Estimates at list price over the bill, last %d settled days (%s): %.4f ($%s over $%s).",
			x.Drift.Days, dayRange(x.Drift.Window), ratio, USD(x.Drift.Estimated), USD(x.Drift.Billed)))
	}
	notes = append(notes, CalibrationNotes(x.Calibration)...)
	for _, s := range x.SetAside {
		notes = append(notes, "Incomplete: "+asideNote(s))
	}
	for _, f := range x.Findings {
		text := fmt.Sprintf("Found: %s %s", strings.ReplaceAll(f.Kind, "_", " "), f.Subject)
		if f.Amount != "" {
			text += ", " + f.Amount
		}
		if !f.Window.Empty() {
			text += ", " + dayRange(f.Window)
		}
		notes = append(notes, text+": "+f.Detail+" (as of "+f.SeenAt.UTC().Format("2006-01-02 15:04")+").")
	}
	return notes
}

// CalibrationNotes say how estimates are scaled, and by which data.
func CalibrationNotes(c storage.Calibration) []string {
	if c.At.IsZero() {
		return []string{"Estimates are at list price: no settled day was compared with its bill yet."}
	}
	var notes, none []string
	for _, f := range c.Factors {
		name := f.Model
		if name == "" {
			name = "the organization"
		}
		data := fmt.Sprintf("billed $%s, estimated $%s", USD(f.Billed), USD(f.Estimated))
		if f.Days > 0 {
			data += fmt.Sprintf(", %d settled days, %s", f.Days, dayRange(f.Window))
		}
		data += "; computed " + c.At.UTC().Format("2006-01-02 15:04") + "."
		switch {
		case f.Problem == "":
			notes = append(notes, fmt.Sprintf("Estimates of %s are scaled by %s (%s): %s", name, f.Factor, f.Factor.Percent(), data))
		case f.Model == "":
			notes = append(notes, fmt.Sprintf("Estimates of %s have no factor: %s; %s", name, f.Problem, data))
		default:
			none = append(none, f.Model)
		}
	}
	if len(none) > 0 {
		notes = append(notes, "Without a factor of their own, so with the organization's if it has one: "+strings.Join(none, ", ")+".")
	}
	for _, p := range c.Prices {
		notes = append(notes, fmt.Sprintf("Estimates of %s, whose price step no report tells, use what it was billed at: $%s input, $%s output a million tokens, %s.",
			p.Model, p.Price[spend.UncachedInput], p.Price[spend.Output], dayRange(p.Window)))
	}
	return notes
}

// dayRange writes a window of days, its last day included.
func dayRange(w spend.Window) string {
	first, last := w.Start.UTC().Format(time.DateOnly), w.End.UTC().Add(-1).Format(time.DateOnly)
	if first == last {
		return first
	}
	return first + " to " + last
}

func (r Reconciliation) notes() []string {
	var notes []string
	for _, x := range r.Of {
		notes = append(notes, x.Notes()...)
	}
	return notes
}

// WriteTable writes the summary as a table. It is as wide as its explanations, which stand last and are
// never cut.
func (r Reconciliation) WriteTable(w io.Writer, width int) error { return r.table().write(w, width) }

// WriteMarkdown writes the summary as a Markdown table under a line that says what it is.
func (r Reconciliation) WriteMarkdown(w io.Writer) error { return r.table().writeMarkdown(w) }
