package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// mend plans what mends a finding; false where no single command does. The thing is read afresh.
func mend(ctx context.Context, o *office, f storage.AuditFinding) (admin.Step, bool, error) {
	switch {
	case f.About == storage.AboutInvite:
		i, err := o.state.Invite(ctx, f.ID)
		if err != nil {
			return admin.Step{}, false, err
		}
		return admin.DeleteInvite(i), true, nil
	case f.About != storage.AboutKey:
		return admin.Step{}, false, nil
	}
	k, err := o.state.Key(ctx, f.ID)
	if err != nil {
		return admin.Step{}, false, err
	}
	switch f.Check {
	case audit.Unused, audit.NeverUsed, audit.CreatorLeft, audit.Woke, audit.Moved:
		return admin.DisableKey(k), true, nil
	case audit.ExpiredNotArchived, audit.Inactive, audit.ArchivedWorkspace:
		return admin.ArchiveKey(k), true, nil
	}
	return admin.Step{}, false, nil // a new key has to be made first, or a name thought of
}

// fix walks through the findings, asks, and makes the changes as `monitor admin` does, log included.
func (c auditCmd) fix(a *app, settings *Config, all []audited) error {
	in, _ := a.terminal()
	answers := newAnswers(a.ctx, in, a.stdout)
	failed, made, rest := 0, 0, 0
	for _, organization := range all {
		flags := adminFlags{Format: "table"}
		if len(settings.Organizations) > 1 {
			flags.Organization = organization.Name
		}
		o, err := flags.open(a)
		if err != nil {
			return err
		}
		if o.known.ID != organization.ID {
			return fmt.Errorf("the admin key is of %s (%s), the findings are of %s (%s)", o.known.Name, o.known.ID, organization.Name, organization.ID)
		}
		done := map[string]bool{}
		for _, f := range organization.Findings {
			step, can, err := mend(a.ctx, o, f)
			switch {
			case err != nil:
				fmt.Fprintf(a.stdout, "\n%s %s: %s\n", f.Check, printable(f.Name), printable(err.Error()))
				continue
			case !can:
				rest++
				continue
			case !step.Open() || done[f.ID]:
				continue
			}
			fmt.Fprintf(a.stdout, "\n%s %s: %s %s\n  %s\n  %s\n", f.Severity, f.Check, printable(f.Name), printable(f.What), printable(f.Evidence), printable(f.Advice))
			if f.About == storage.AboutKey {
				fmt.Fprintf(a.stdout, "  cost in 30 days: $%s %s\n", report.USD(f.Cost), f.Basis)
			}
			answer, confirm := answers.ask(step)
			if answer == replyQuit {
				return fixed(a, made, failed, rest)
			} else if answer == replyNo {
				continue
			}
			done[f.ID] = true
			fmt.Fprintln(a.stdout)
			if err := o.change(changeFlags{adminFlags: flags, Yes: true, Confirm: confirm}, admin.Plan{Steps: []admin.Step{step}}); err != nil {
				failed++
				fmt.Fprintf(a.stderr, "monitor: %s\n", err)
				continue
			}
			made++
		}
	}
	return fixed(a, made, failed, rest)
}

// fixed says what was done.
func fixed(a *app, made, failed, rest int) error {
	fmt.Fprintf(a.stdout, "\n%s made.", changes(made))
	if rest > 0 {
		fmt.Fprintf(a.stdout, " %d findings need more than a command: see what to do in --format json, or docs/keys-and-access.md.", rest)
	}
	fmt.Fprintln(a.stdout)
	switch {
	case failed > 0:
		return fmt.Errorf("%s not made, or not known to be made, see above", changes(failed))
	case a.ctx.Err() != nil: // stopped, which is not the same as q
		return errors.New("stopped: what was made stays made; the same command again goes on")
	}
	return nil
}

// answers are the lines that somebody types. One reader takes them all: what it has read ahead is not lost
// between two questions.
type answers struct {
	ctx   context.Context
	out   io.Writer
	lines chan string
}

type reply int

const (
	replyNo reply = iota
	replyYes
	replyQuit
)

func newAnswers(ctx context.Context, in io.Reader, out io.Writer) *answers {
	a := &answers{ctx, out, make(chan string)}
	go func() { // ends with the input, or the process
		defer close(a.lines)
		for scan := bufio.NewScanner(in); scan.Scan(); {
			select {
			case a.lines <- strings.TrimSpace(scan.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return a
}

// line is the next one; false at the end of the input, or when the program is stopped.
func (a *answers) line() (string, bool) {
	select {
	case line, ok := <-a.lines:
		return line, ok
	case <-a.ctx.Done():
		return "", false
	}
}

// ask asks whether to make the step. What cannot be undone needs its name typed out.
func (a *answers) ask(s admin.Step) (reply, []string) {
	what := fmt.Sprintf("%s %s (%s)", s.Action, printable(s.Subject()), printable(s.Change))
	if s.Confirm != "" {
		fmt.Fprintf(a.out, "%s cannot be undone. Type %q to do it, nothing to skip it, q to stop: ", what, s.Confirm)
	} else {
		fmt.Fprintf(a.out, "%s? [y/N/q] ", what)
	}
	line, ok := a.line()
	switch lower := strings.ToLower(line); {
	case !ok, lower == "q" && s.Confirm != "q", lower == "quit" && s.Confirm != "quit":
		return replyQuit, nil
	case s.Confirm != "" && line == strings.TrimSpace(s.Confirm):
		return replyYes, []string{s.Confirm}
	case s.Confirm == "" && (lower == "y" || lower == "yes"):
		return replyYes, nil
	}
	return replyNo, nil
}
