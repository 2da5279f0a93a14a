package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

type adminLogCmd struct {
	adminFlags
	Action  string `placeholder:"ACTION" help:"Only this action, such as api_key.disable, or member.*."`
	User    string `placeholder:"NAME" help:"Only what this user did (of the operating system, also before sudo)."`
	Target  string `placeholder:"NAME" help:"Only what was done to this id, name or address; may end in *."`
	Outcome string `placeholder:"OUTCOME" help:"Only these: started (cut off: not known whether it happened), done, refused, failed, unknown."`
	From    string `placeholder:"TIME" help:"From this day (2026-01-31, UTC) or instant (RFC 3339) on."`
	To      string `placeholder:"TIME" help:"Before this day or instant."`
	Limit   int    `default:"50" help:"The newest so many; 0: all."`
}

// Run lists the log from the store; it asks nothing of the API.
func (c adminLogCmd) Run(a *app) error {
	f := storage.AdminFilter{Action: c.Action, User: c.User, Target: c.Target, Outcome: c.Outcome, Limit: c.Limit}
	if c.Outcome != "" && !slices.Contains(storage.AdminOutcomes, c.Outcome) {
		return usageError{fmt.Errorf("--outcome %q: one of %s", c.Outcome, strings.Join(storage.AdminOutcomes, ", "))}
	}
	if c.Limit < 0 {
		return usageError{fmt.Errorf("--limit %d must not be negative (0: all)", c.Limit)}
	}
	for _, x := range []struct {
		flag, text string
		into       *time.Time
	}{{"--from", c.From, &f.Window.Start}, {"--to", c.To, &f.Window.End}} {
		if x.text == "" {
			continue
		}
		t, err := report.ParseTime(x.flag, x.text)
		if err != nil {
			return usageError{err}
		}
		*x.into = t
	}
	if !f.Window.Start.IsZero() && !f.Window.End.IsZero() && !f.Window.Start.Before(f.Window.End) {
		return usageError{fmt.Errorf("--from %s is not before --to %s", c.From, c.To)}
	}
	_, store, err := open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	orgs, err := store.Organizations(a.ctx)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, o := range orgs {
		names[o.ID] = o.Name
		if o.Name == c.Organization && c.Organization != "" || o.ID == c.Organization {
			f.Organization = o.ID
		}
	}
	if c.Organization != "" && f.Organization == "" {
		return usageError{fmt.Errorf("the database has no organization named %q", c.Organization)}
	}
	entries, err := store.AdminLog(a.ctx, f)
	if err != nil {
		return err
	}
	s := sheet{columns: []string{"started_at", "organization", "user", "host", "action", "target", "target_id", "arguments", "outcome", "took", "request_id", "error"}}
	if c.Format != "table" && c.Format != "markdown" {
		s.columns = []string{"id", "started_at", "organization", "os_user", "sudo_user", "host", "action", "target_id", "target", "arguments", "took_ms", "outcome", "request_id", "error"}
	}
	for _, e := range entries {
		if len(s.columns) == 12 {
			s.add(e.StartedAt, names[e.Organization], adminUser(e), e.Host, e.Action, e.TargetName, e.TargetID, e.Arguments, adminOutcome(e),
				e.Took.Round(time.Millisecond).String(), e.RequestID, e.Error)
			continue
		}
		s.add(e.ID, e.StartedAt, names[e.Organization], e.User, e.SudoUser, e.Host, e.Action, e.TargetID, e.TargetName, e.Arguments,
			e.Took.Milliseconds(), e.Outcome, e.RequestID, e.Error)
	}
	return s.write(a.stdout, c.Format)
}

func adminUser(e storage.AdminEntry) string {
	if e.SudoUser != "" && e.SudoUser != e.User {
		return e.User + " (sudo by " + e.SudoUser + ")"
	}
	return e.User
}

// adminOutcome says what an entry that never ended means.
func adminOutcome(e storage.AdminEntry) string {
	if e.Outcome == storage.AdminStarted {
		return "started (unknown whether it happened)"
	}
	return e.Outcome
}
