package alerts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// DigestState is what a digest tells besides spending: how things stand now.
type DigestState struct {
	Budgets  []BudgetState
	Alerts   []spend.Alert          // those that fire or are stale
	Findings map[spend.Severity]int // of the audit; nil where there is none
}

// BudgetState is how far a budget is used.
type BudgetState struct {
	Name      string // of the rule, and what it is about
	Spent     spend.Money
	Limit     spend.Money
	Forecast  spend.Money // for the period's end; 0: not known
	Exhausted time.Time   // the day, in its own zone, on which it ran out or runs out, as it goes on; zero: not in the period, or not known
	Exceeded  bool        // it ran out
}

// How much a digest lists.
const (
	digestRows   = 5
	digestMovers = 5
	digestAlerts = 10
	digestName   = 200 // characters of what a line is about
)

// Digest writes the summary of an organization's spending in the window, against the window of the
// same length before, and of how things stand at now. Figures are no finer than hours: both ends go
// back to the full hour, so that digests of one window after the other join, and where nothing is
// left between them it is the last whole hour that is told of. The text is plain lines, most
// important first, and states the window that was summed. Errors come from the store only.
func Digest(
	ctx context.Context, store storage.Store, organization string, w spend.Window, state DigestState, now time.Time,
) (title, text string, err error) {
	if w.End.After(now) {
		w.End = now
	}
	w = spend.Window{Start: spend.Hour.Floor(w.Start), End: spend.Hour.Floor(w.End)}
	if w.Empty() {
		w.Start = w.End.Add(-time.Hour)
	}
	d := digest{ctx: ctx, store: store, organization: organization}
	name, err := d.name()
	if err != nil {
		return "", "", err
	}
	total, err := d.ask(w)
	if err != nil {
		return "", "", err
	}
	w = total.Window // more than was asked for where only whole days are known
	d.window, d.before = w, spend.Window{Start: w.Start.Add(-w.Duration()), End: w.Start}
	before, err := d.ask(d.before)
	if err != nil {
		return "", "", err
	}
	change := d.change(total, before)
	title = fmt.Sprintf("Spend of %s from %s to %s: %s", name, formatDay(w.Start), formatDay(w.End), dollarsOf(total.Total))
	if change != "" {
		title += " (" + change + ")"
	}
	d.line("Spend of %s from %s to %s (%s).", name, formatTime(w.Start), formatTime(w.End), formatAge(w.Duration()))
	d.total(total, before, change)
	for _, s := range []struct {
		title string
		by    []spend.Dimension
	}{
		{"By workspace", []spend.Dimension{spend.ByWorkspace}},
		{"By model", []spend.Dimension{spend.ByModel}},
		{"By API key", []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey}},
	} {
		if err := d.section(s.title, s.by, before); err != nil {
			return "", "", err
		}
	}
	if err := d.movers(before); err != nil {
		return "", "", err
	}
	d.state(state)
	return title, strings.TrimSpace(d.text.String()) + "\n", nil
}

// digest writes one.
type digest struct {
	ctx            context.Context
	store          storage.Store
	organization   string
	window, before spend.Window
	text           strings.Builder
}

func (d *digest) line(format string, args ...any) { fmt.Fprintf(&d.text, format+"\n", args...) }

func (d *digest) name() (string, error) {
	all, err := d.store.Organizations(d.ctx)
	if err != nil {
		return "", fmt.Errorf("digest: organizations: %w", err)
	}
	for _, o := range all {
		if o.ID == d.organization {
			return cmp.Or(oneLine(o.Name), o.ID), nil
		}
	}
	return d.organization, nil
}

func (d *digest) ask(w spend.Window, by ...spend.Dimension) (report.Answer, error) {
	a, err := report.Run(d.ctx, d.store, report.Params{
		Kind: report.Costs, From: w.Start, To: w.End, Step: report.StepTotal, By: by,
		Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{d.organization}}},
	})
	if err != nil {
		return a, fmt.Errorf("digest: %w", err)
	}
	return a, nil
}

// pair asks the same question of the window and of the one before.
func (d *digest) pair(by ...spend.Dimension) (now, before report.Answer, err error) {
	if now, err = d.ask(d.window, by...); err != nil {
		return now, before, err
	}
	before, err = d.ask(d.before, by...)
	return now, before, err
}

// dollarsOf is the cost; what has no known price is not free.
func dollarsOf(f report.Figures) string {
	if f.Cost == 0 && f.Unpriced > 0 {
		return "no known price"
	}
	return dollars(f.Cost)
}

func formatDay(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// readWhole reports whether the window before was read whole: else every change would be made up.
func readWhole(before report.Answer) bool { return before.MissingHours == 0 && !before.AsOf.IsZero() }

// change is by how much the whole changed, empty where that cannot be said.
func (d *digest) change(now, before report.Answer) string {
	if !readWhole(before) || before.Total.Cost <= 0 {
		return ""
	}
	ratio := now.Total.Cost.USD()/before.Total.Cost.USD() - 1
	return signed(formatPercent(ratio), ratio)
}

func signed(text string, v float64) string {
	if v > 0 {
		return "+" + text
	}
	return text
}

func (d *digest) total(now, before report.Answer, change string) {
	line := "Total: " + dollarsOf(now.Total)
	if now.Total.Basis != "" {
		line += " (" + string(now.Total.Basis) + ")"
	}
	span := formatAge(d.before.Duration())
	switch {
	case !readWhole(before):
		line += fmt.Sprintf("; the %s before cannot be compared: not all of that time was read", span)
	case change != "":
		line += fmt.Sprintf(", %s against %s in the %s before", change, dollarsOf(before.Total), span)
	default:
		line += fmt.Sprintf("; %s in the %s before", dollarsOf(before.Total), span)
	}
	d.line("%s.", line)
	if now.AsOf.IsZero() {
		d.line("Nothing was read yet.")
	} else {
		d.line("Figures as of %s.", formatTime(now.AsOf))
	}
	if now.MissingHours > 0 {
		d.line("Incomplete: %s hours of this time have not been read yet.", report.Count(now.MissingHours))
	}
	if now.Total.Unpriced > 0 {
		d.line("%s tokens have no known price and are not in the figures.", report.Count(now.Total.Unpriced))
	}
}

// section lists the greatest by a dimension.
func (d *digest) section(title string, by []spend.Dimension, whole report.Answer) error {
	now, before, err := d.pair(by...)
	if err != nil {
		return err
	}
	rows := slices.Clone(now.Rows)
	slices.SortStableFunc(rows, func(a, b report.Row) int { return cmp.Compare(b.Cost, a.Cost) })
	if len(rows) == 0 {
		return nil
	}
	was := costs(before.Rows)
	d.line("\n%s", title)
	for _, r := range rows[:min(len(rows), digestRows)] {
		line := fmt.Sprintf("  %s: %s", rowName(r, by), dollarsOf(r.Figures))
		if now.Total.Cost > 0 && r.Cost > 0 {
			line += " (" + formatPercent(r.Cost.USD()/now.Total.Cost.USD()) + ")"
		}
		if readWhole(whole) && (r.Cost != 0 || r.Unpriced == 0) {
			line += ", " + difference(r.Cost, was[r.Dims])
		}
		d.line("%s", line)
	}
	if more := len(rows) - digestRows; more > 0 {
		d.line("  %s", moreText(more))
	}
	return nil
}

func costs(rows []report.Row) map[spend.Dims]spend.Money {
	m := map[spend.Dims]spend.Money{}
	for _, r := range rows {
		m[r.Dims] += r.Cost
	}
	return m
}

func difference(now, before spend.Money) string {
	switch {
	case before == 0 && now != 0:
		return "new"
	case now == before:
		return "as before"
	default:
		return signed(dollars(now-before), float64(now-before))
	}
}

// rowName is what the row is about by names: "prod in Default, claude-sonnet-5".
func rowName(r report.Row, by []spend.Dimension) string {
	var parts []string
	workspace := cmp.Or(r.Workspace, "(no workspace)")
	switch {
	case slices.Contains(by, spend.ByAPIKey):
		parts = append(parts, cmp.Or(r.APIKey, "(without a key)")+" in "+workspace)
	case slices.Contains(by, spend.ByWorkspace):
		parts = append(parts, workspace)
	}
	if slices.Contains(by, spend.ByModel) {
		parts = append(parts, cmp.Or(r.Model, "(no model)"))
	}
	return cut(oneLine(strings.Join(parts, ", ")), digestName)
}

// movers lists what changed most, up or down, by workspace, key and model.
func (d *digest) movers(whole report.Answer) error {
	if !readWhole(whole) {
		return nil
	}
	by := []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey, spend.ByModel}
	now, before, err := d.pair(by...)
	if err != nil {
		return err
	}
	type mover struct {
		name        string
		now, before spend.Money
	}
	found := map[spend.Dims]*mover{}
	var order []*mover
	add := func(rows []report.Row, to func(*mover) *spend.Money) {
		for _, r := range rows {
			m := found[r.Dims]
			if m == nil {
				m = &mover{name: rowName(r, by)}
				found[r.Dims] = m
				order = append(order, m)
			}
			*to(m) += r.Cost
		}
	}
	add(now.Rows, func(m *mover) *spend.Money { return &m.now })
	add(before.Rows, func(m *mover) *spend.Money { return &m.before })
	order = slices.DeleteFunc(order, func(m *mover) bool { return absolute(m.now-m.before) < spend.Cent })
	slices.SortStableFunc(order, func(a, b *mover) int {
		return cmp.Compare(absolute(b.now-b.before), absolute(a.now-a.before))
	})
	if len(order) == 0 {
		return nil
	}
	d.line("\nTop movers")
	for _, m := range order[:min(len(order), digestMovers)] {
		d.line("  %s: %s (%s, was %s)", m.name, signed(dollars(m.now-m.before), float64(m.now-m.before)), dollars(m.now), dollars(m.before))
	}
	return nil
}

func absolute(m spend.Money) spend.Money { return max(m, -m) }

// state tells how things stand.
func (d *digest) state(s DigestState) {
	if len(s.Budgets) > 0 {
		d.line("\nBudgets")
	}
	for _, b := range s.Budgets {
		line := fmt.Sprintf("  %s: %s of %s", oneLine(b.Name), dollars(b.Spent), dollars(b.Limit))
		if b.Limit > 0 {
			line += " (" + formatPercent(b.Spent.USD()/b.Limit.USD()) + ")"
		}
		if b.Forecast > 0 {
			line += ", forecast " + dollars(b.Forecast)
		}
		if !b.Exhausted.IsZero() {
			word := "runs out on"
			if b.Exceeded {
				word = "ran out on"
			}
			line += fmt.Sprintf(", %s %s", word, b.Exhausted.Format(time.DateOnly))
		}
		d.line("%s", line)
	}
	d.line("\nAlerts firing: %d", len(s.Alerts))
	for _, a := range s.Alerts[:min(len(s.Alerts), digestAlerts)] {
		d.line("  %s: %s (since %s)", a.Severity, oneLine(summaryText(a)), formatTime(a.FiredAt))
	}
	if more := len(s.Alerts) - digestAlerts; more > 0 {
		d.line("  %s", moreText(more))
	}
	if s.Findings == nil {
		return
	}
	var parts []string
	for _, severity := range slices.Backward(spend.Severities) {
		if n := s.Findings[severity]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, severity))
		}
	}
	d.line("Audit findings: %s", cmp.Or(strings.Join(parts, ", "), "none"))
}
