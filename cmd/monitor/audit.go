package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func newAuditor(c *Config, store storage.Store) *audit.Auditor {
	return &audit.Auditor{Store: store, Config: c.Audit, Several: len(c.Organizations) > 1}
}

// auditing stores evaluations after ticks, as often as it does not keep the process busy.
type auditing struct {
	*audit.Auditor
	mu   sync.Mutex
	next map[string]time.Time // by organization
}

func newAuditing(c *Config, store storage.Store) *auditing {
	return &auditing{Auditor: newAuditor(c, store), next: map[string]time.Time{}}
}

// auditShare is how many times as long as an evaluation took the pause until the next one is.
const auditShare = 20

// after audits an organization that was collected just now, unless the last time was too short a while ago.
func (x *auditing) after(ctx context.Context, owner storage.Owner, organization string, now time.Time) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now.Before(x.next[organization]) {
		return nil
	}
	begun := time.Now()
	err := x.Save(ctx, owner, organization, now)
	x.next[organization] = now.Add(auditShare * time.Since(begun))
	return err
}

// auditFindings are what rules judge by.
func auditFindings(ctx context.Context, auditor *audit.Auditor, organization string, now time.Time) ([]alerts.AuditFinding, error) {
	found, err := auditor.Findings(ctx, organization, now)
	if err != nil {
		return nil, err
	}
	out := make([]alerts.AuditFinding, len(found))
	for i, f := range found {
		out[i] = alerts.AuditFinding{
			Check: f.Check, Severity: spend.Severity(f.Severity), WorkspaceID: f.WorkspaceID, Name: f.Name, Summary: audit.Summary(f),
		}
		if f.About == storage.AboutKey {
			out[i].APIKeyID = f.ID
		} else {
			out[i].Subject = f.ID
		}
	}
	return out, nil
}

type auditCmd struct {
	Organization string   `placeholder:"NAME" help:"Only this organization."`
	Check        []string `placeholder:"CHECK,…" help:"Only what these checks find."`
	Severity     string   `enum:"info,warning,critical" default:"info" help:"Only what is at least so bad: ${enum}."`
	Format       string   `enum:"table,json,csv,markdown" default:"table" help:"Output as ${enum}."`
	FailOn       string   `enum:"never,info,warning,critical" default:"never" help:"Exit with 1 if something printed is at least so bad: ${enum}."`
	Fix          bool     `help:"Walk through what a command can mend, and ask for each."`
}

// audited is an organization and its evaluation.
type audited struct {
	spend.Organization
	storage.Audit
	workspaces map[string]string // labels by id
}

// Run evaluates afresh what is stored. It asks nothing of the API, but with --fix.
func (c auditCmd) Run(a *app) error {
	for _, name := range c.Check {
		if !slices.Contains(audit.Names(), name) {
			hint := ""
			if near := config.Nearest(name, audit.Names()); near != "" {
				hint = fmt.Sprintf(" (did you mean %s?)", near)
			}
			return usageError{fmt.Errorf("--check: %q is not a check%s: %s", name, hint, strings.Join(audit.Names(), ", "))}
		}
	}
	if c.Fix {
		if _, terminal := a.terminal(); !terminal {
			return usageError{errors.New("--fix asks, and there is no terminal to ask on: run the commands that are printed, with --yes")}
		}
		if c.Format != "table" {
			return usageError{errors.New("--fix goes with --format table only")}
		}
	}
	if c.Fix && c.FailOn != "never" {
		return usageError{errors.New("--fix does not go with --fail-on, which is for scripts")}
	}
	settings, store, err := open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := c.evaluate(a, settings, store)
	if err != nil {
		return err
	}
	if err := c.print(a, all); err != nil {
		return err
	}
	if c.Fix {
		return c.fix(a, settings, all)
	}
	worst := 0
	for _, o := range all {
		for _, f := range o.Findings {
			if audit.Rank(f.Severity) >= audit.Rank(c.FailOn) && c.FailOn != "never" {
				worst++
			}
		}
	}
	if worst > 0 {
		return fmt.Errorf("findings of severity %s or worse: %d (--fail-on)", c.FailOn, worst)
	}
	return nil
}

// evaluate audits the organizations asked for. Findings are the worst first, and only those asked for.
func (c auditCmd) evaluate(a *app, settings *Config, store storage.Store) ([]audited, error) {
	orgs, err := store.Organizations(a.ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	auditor, now := newAuditor(settings, store), time.Now()
	var all []audited
	for _, o := range orgs {
		names = append(names, o.Name)
		if c.Organization != "" && o.Name != c.Organization && o.ID != c.Organization {
			continue
		}
		evaluation, err := auditor.Evaluate(a.ctx, o.ID, now)
		if err != nil {
			return nil, fmt.Errorf("audit of %s: %w", o.Name, err)
		}
		evaluation.Findings = slices.DeleteFunc(evaluation.Findings, func(f storage.AuditFinding) bool {
			return audit.Rank(f.Severity) < audit.Rank(c.Severity) || len(c.Check) > 0 && !slices.Contains(c.Check, f.Check)
		})
		slices.SortStableFunc(evaluation.Findings, func(f, g storage.AuditFinding) int {
			return cmp.Or(cmp.Compare(audit.Rank(g.Severity), audit.Rank(f.Severity)), strings.Compare(f.Check, g.Check), strings.Compare(f.Name, g.Name))
		})
		ws, err := store.Workspaces(a.ctx, o.ID)
		if err != nil {
			return nil, err
		}
		labels := map[string]string{}
		for _, w := range ws {
			labels[w.ID] = cmp.Or(w.Label, w.Name)
		}
		all = append(all, audited{o.Organization, evaluation, labels})
	}
	switch {
	case len(orgs) == 0:
		return nil, errors.New("nothing was collected yet: start monitor run, or run monitor once")
	case len(all) == 0:
		return nil, usageError{fmt.Errorf("there is no organization %q; known are %s", c.Organization, strings.Join(names, ", "))}
	}
	return all, nil
}

// workspace is what a finding's workspace is called.
func (o audited) workspace(f storage.AuditFinding) string {
	return cmp.Or(o.workspaces[f.WorkspaceID], f.WorkspaceID)
}

func (c auditCmd) print(a *app, all []audited) error {
	columns := []string{
		"organization", "severity", "check", "about", "name", "id", "workspace", "owner", "since", "cost_usd_30d", "basis", "what", "evidence", "advice", "command",
	}
	s := sheet{columns: columns}
	for _, o := range all {
		for _, f := range o.Findings {
			s.add(o.Name, f.Severity, f.Check, f.About, f.Name, f.ID, o.workspace(f), f.Owner, f.Since, f.Cost, string(f.Basis), f.What, f.Evidence, f.Advice, f.Command)
		}
	}
	switch c.Format {
	case "json":
		return s.write(a.stdout, "json", sheetField{"as_of", sheetValue(all[0].EvaluatedAt)}, sheetField{"organizations", abouts(all)}, sheetField{"total", totals(all)})
	case "csv":
		for _, o := range all {
			notes(a.stderr, o)
		}
		return s.write(a.stdout, "csv")
	case "markdown":
		if err := s.write(a.stdout, "markdown"); err != nil {
			return err
		}
		for _, o := range all {
			fmt.Fprintln(a.stdout)
			notes(listItems{a.stdout}, o)
		}
		return nil
	}
	for i, o := range all {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		if err := o.table(a.stdout); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout)
		notes(a.stdout, o)
	}
	for _, line := range unusedEverywhere(all) {
		fmt.Fprintln(a.stdout, line)
	}
	return nil
}

// unusedEverywhere warns of exceptions that are meant for several organizations and hide nothing in any of
// those that were looked at.
func unusedEverywhere(all []audited) (lines []string) {
	used, seen := map[string]bool{}, map[string]bool{}
	line := func(e storage.AuditException) string {
		return fmt.Sprintf("Warning: the exception of %s, %s, through %s hides nothing in any organization: remove it (%s)",
			printable(e.Subject), e.Check, lastDay(e.Until), printable(e.Reason))
	}
	for _, o := range all {
		for _, e := range o.Exceptions {
			used[line(e)] = used[line(e)] || e.State != storage.ExceptionElsewhere
		}
	}
	for _, o := range all {
		for _, e := range o.Exceptions {
			if l := line(e); len(all) > 1 && !used[l] && !seen[l] {
				seen[l], lines = true, append(lines, l)
			}
		}
	}
	return lines
}

// lastDay is the day of which the end is that of an exception.
func lastDay(end time.Time) string { return end.Add(-time.Second).Format(time.DateOnly) }

// table prints the findings for people.
func (o audited) table(w io.Writer) error {
	if len(o.Findings) == 0 {
		_, err := fmt.Fprintf(w, "%s: nothing to find.\n", printable(o.Name))
		return err
	}
	s := sheet{columns: []string{"severity", "check", "name", "workspace", "owner", "since", "cost_usd_30d", "basis", "what", "command"}}
	for _, f := range o.Findings {
		cost, basis := "", string(f.Basis)
		if f.About == storage.AboutKey && (basis != "" || !o.UsageAt.IsZero()) { // else not known
			cost = report.USD(f.Cost)
		}
		since := ""
		if !f.Since.IsZero() {
			since = f.Since.Format(time.DateOnly)
		}
		s.add(f.Severity, f.Check, f.Name, o.workspace(f), f.Owner, since, cost, basis, f.What, f.Command)
	}
	return s.write(w, "table")
}

// listItems writes each line as an item of a Markdown list.
type listItems struct{ io.Writer }

func (l listItems) Write(p []byte) (int, error) {
	if _, err := l.Writer.Write(append([]byte("- "), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// notes say what the findings rest on, a line at a time.
func notes(w io.Writer, o audited) {
	line := func(format string, args ...any) {
		_, _ = io.WriteString(w, printable(fmt.Sprintf(format, args...))+"\n")
	}
	line("%s: inventory as of %s, use as of %s, cost of 30 days as of %s", o.Name, moment(o.InventoryAt), moment(o.UsageAt), moment(o.CostAt))
	if !o.HistorySince.IsZero() {
		missing := ""
		if o.MissingHours > 0 {
			missing = fmt.Sprintf(", %d hours of it were never read", o.MissingHours)
		}
		line("Use is known since %s%s. It is billed Messages usage: calls that bill none (files, models, token counting, refused ones) do not show.",
			moment(o.HistorySince), missing)
	}
	for _, g := range o.Gaps {
		line("Not checked: %s: %s", g.Check, g.Reason)
	}
	for _, e := range o.Exceptions {
		end := lastDay(e.Until)
		switch e.State {
		case storage.ExceptionInForce:
			line("Exception through %s: %s, %s (%s); hides %s", end, e.Subject, e.Check, e.Reason, strings.Join(e.Hides, ", "))
		case storage.ExceptionUnused:
			line("Warning: the exception of %s, %s, through %s hides nothing: remove it (%s)", e.Subject, e.Check, end, e.Reason)
		case storage.ExceptionEnded:
			line("Warning: the exception of %s, %s, ended with %s: remove or renew it (%s)", e.Subject, e.Check, end, e.Reason)
		}
	}
}

// moment is a time for people; unknown is said.
func moment(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Format("2006-01-02 15:04")
}

// abouts say what the findings rest on, for programs.
func abouts(all []audited) []sheetObject {
	out := []sheetObject{}
	for _, o := range all {
		exceptions, gaps := []sheetObject{}, []sheetObject{}
		for _, e := range o.Exceptions {
			exceptions = append(exceptions, sheetObject{
				{"subject", e.Subject}, {"check", e.Check}, {"until", sheetValue(e.Until)}, {"reason", e.Reason}, {"state", e.State}, {"hides", e.Hides},
			})
		}
		for _, g := range o.Gaps {
			gaps = append(gaps, sheetObject{{"check", g.Check}, {"reason", g.Reason}})
		}
		out = append(out, sheetObject{
			{"organization", o.Name}, {"inventory_as_of", sheetValue(o.InventoryAt)}, {"usage_as_of", sheetValue(o.UsageAt)},
			{"cost_as_of", sheetValue(o.CostAt)}, {"history_since", sheetValue(o.HistorySince)}, {"missing_hours", o.MissingHours},
			{"not_checked", gaps}, {"exceptions", exceptions},
		})
	}
	return out
}

// totals count the findings by severity.
func totals(all []audited) sheetObject {
	counts, n := map[string]int{}, 0
	for _, o := range all {
		for _, f := range o.Findings {
			counts[f.Severity]++
			n++
		}
	}
	out := sheetObject{{"findings", n}}
	for _, s := range audit.Severities {
		out = append(out, sheetField{s, counts[s]})
	}
	return out
}
