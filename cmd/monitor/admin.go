package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// adminCmd is the writing side of the Admin API. Nothing else in the program writes to it.
type adminCmd struct {
	Members    adminMembersCmd    `cmd:"" help:"List members of the organization, change roles, remove."`
	Invites    adminInvitesCmd    `cmd:"" help:"List, create and delete invites."`
	Workspaces adminWorkspacesCmd `cmd:"" help:"List, create, rename and archive workspaces, and who is in them."`
	Keys       adminKeysCmd       `cmd:"" help:"List, rename, enable, disable and archive API keys."`
	RateLimits adminRateLimitsCmd `cmd:"" help:"Show rate limits."`
	Onboard    adminOnboardCmd    `cmd:"" help:"Let somebody in: invite, then workspaces; run again to continue."`
	Offboard   adminOffboardCmd   `cmd:"" help:"Let somebody go: keys, workspaces, invites, membership."`
	Log        adminLogCmd        `cmd:"" help:"List what was changed, by whom and how it ended."`
}

// adminFlags are of every command that asks the API.
type adminFlags struct {
	Organization string `placeholder:"NAME" help:"The organization, by its configured name; needed where several are configured."`
	Format       string `enum:"table,json,csv,markdown" default:"table" help:"Output as ${enum}."`
}

// changeFlags are of every command that changes something.
type changeFlags struct {
	adminFlags
	DryRun  bool     `help:"Show what would be done, and do nothing."`
	Yes     bool     `short:"y" help:"Do not ask; for scripts."`
	Confirm []string `sep:"none" placeholder:"NAME" help:"With --yes: the name of what is changed for good; repeatable. The organization's name stands for all."`
}

// office is an organization that an administrator's command works on.
type office struct {
	*app
	adminFlags
	config *Config
	org    OrganizationConfig
	known  spend.Organization
	state  *admin.State
}

// open reads the configuration and asks whose key it is.
func (f adminFlags) open(a *app) (*office, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	orgs, err := config.organizations(f.Organization)
	if err != nil {
		return nil, err
	}
	if len(orgs) > 1 {
		var names []string
		for i, o := range orgs {
			if o.Name == "" {
				return nil, usageError{fmt.Errorf("%d organizations are configured: give organizations[%d] a name, then say which one with --organization", len(orgs), i)}
			}
			names = append(names, o.Name)
		}
		return nil, usageError{fmt.Errorf("%d organizations are configured: say which one with --organization: %s", len(orgs), strings.Join(names, ", "))}
	}
	client, err := newClient(a, orgs[0])
	if err != nil {
		return nil, usageError{err}
	}
	known, err := client.Organization(a.ctx)
	if err != nil {
		return nil, asUsage(err)
	}
	if orgs[0].Name != "" {
		known.Name = orgs[0].Name
	}
	state := admin.Read(client, func(what string) { fmt.Fprintf(a.stderr, "monitor: reading %s, which takes a while\n", what) })
	o := &office{app: a, adminFlags: f, config: config, org: orgs[0], known: known, state: state}
	state.Stored = o.inventory
	return o, nil
}

// inventory is what the database, if there is one, knows of the organization. Nothing waits long for it: who
// disables a key must not need the database to be told its name.
func (o *office) inventory(ctx context.Context) (known admin.Inventory) {
	ctx, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	store, err := o.storeIfAny(ctx)
	if err != nil {
		return known
	}
	defer store.Close()
	ws, err := store.Workspaces(ctx, o.known.ID)
	if err != nil {
		return known
	}
	ks, err := store.APIKeys(ctx, o.known.ID)
	if err != nil {
		return known
	}
	return admin.Inventory{Workspaces: ws, Keys: ks}
}

// asUsage gives errors about what was asked for their exit code, and those of the key an advice. Who stops
// a command must not take it for done.
func asUsage(err error) error {
	var u admin.UsageError
	switch {
	case errors.As(err, &u):
		return usageError{err}
	case errors.Is(err, context.Canceled):
		return errors.New("stopped: nothing was done")
	}
	return keyAdvice(err)
}

// show prints a list.
func (o *office) show(s sheet) error {
	return s.write(o.stdout, o.Format, sheetField{"organization", o.known.Name})
}

// newWriter is the one place where a client that can write is made.
func newWriter(o *office) (*adminapi.Writer, error) {
	return adminapi.NewWriter(clientOptions(o.app, o.org), func(wait time.Duration, reason error) {
		fmt.Fprintf(o.stderr, "monitor: %s; trying again in %s (Ctrl-C stops)\n", reason, wait.Round(100*time.Millisecond))
	})
}

// desk opens what a change needs: the log in the store, the file beside it, and the writing client.
func (o *office) desk() (*admin.Desk, func(), error) {
	const why = "the change was not made, because it cannot be written to the admin log: %w"
	store, err := openStore(o.ctx, o.app, o.config)
	if err != nil {
		return nil, nil, fmt.Errorf(why, err)
	}
	closing := []io.Closer{store}
	done := func() {
		for _, c := range closing {
			_ = c.Close() // what was written is on the disk already
		}
	}
	fail := func(err error) (*admin.Desk, func(), error) {
		done()
		return nil, nil, fmt.Errorf(why, err)
	}
	if err := store.SaveOrganization(o.ctx, o.known, time.Now()); err != nil {
		return fail(err)
	}
	var file *admin.LogFile
	if o.config.Admin.LogFile != "" {
		if file, err = admin.OpenLogFile(o.config.Admin.LogFile); err != nil {
			return fail(err)
		}
		closing = append(closing, file)
	}
	writer, err := newWriter(o)
	if err != nil {
		done()
		return nil, nil, usageError{err}
	}
	return &admin.Desk{Organization: o.known, Writer: writer, Log: store, File: file, Who: admin.Whoever(o.getenv)}, done, nil
}

// change shows a plan, asks, carries it out and says what became of it.
func (o *office) change(f changeFlags, p admin.Plan, about ...sheetField) error {
	table := f.Format == "table"
	if len(p.Steps) == 0 {
		fmt.Fprintln(o.stderr, "monitor: nothing to do: nothing matches")
	}
	asking := len(p.Open()) > 0 && !f.DryRun && !f.Yes
	in, terminal := o.terminal()
	planned := o.stdout
	if !table || asking && terminal && !isTerminal(o.stdout) {
		planned = o.stderr // a program reads the result, somebody the plan
	}
	if len(p.Steps) > 0 && (table || asking) {
		if err := planSheet(p).write(planned, "table"); err != nil {
			return err
		}
	}
	switch {
	case table && len(p.Steps) == 0:
		return nil
	case table && f.DryRun:
		_, err := fmt.Fprintf(o.stdout, "\nDry run: nothing was done; %s would be made.\n", changes(len(p.Open())))
		return err
	case f.DryRun || len(p.Steps) == 0:
		return o.results(admin.DryRun(p), about)
	}
	if len(p.Open()) == 0 && admin.DryRun(p).Count(admin.OutcomeCannot) == 0 {
		return o.finished(f, admin.DryRun(p), about) // nothing to ask, to do or to log
	}
	consent := admin.Consent{Yes: f.Yes, Confirm: f.Confirm, Terminal: terminal, In: in, Out: o.stderr}
	if err := consent.Ask(o.ctx, o.known.Name, p); err != nil {
		return asUsage(err)
	}
	desk, done, err := o.desk()
	if err != nil {
		return asUsage(err)
	}
	defer done()
	if table {
		fmt.Fprintln(o.stdout)
	}
	report := desk.Apply(o.ctx, p, func(r admin.Result) {
		if table {
			fmt.Fprintln(o.stdout, resultLine(r))
		}
	})
	return o.finished(f, report, about)
}

// finished says what is left, to programs all of what became of a plan.
func (o *office) finished(f changeFlags, r admin.Report, about []sheetField) error {
	if f.Format != "table" {
		if err := o.results(r, about); err != nil {
			return err
		}
	} else if n := r.Count(admin.OutcomeLater); n > 0 && r.Err() == nil {
		fmt.Fprintf(o.stdout, "\nLeft to do: %s, see above.\n", changes(n))
	} else if len(r.Results) == r.Count(admin.OutcomeNothing) {
		fmt.Fprintln(o.stdout, "\nNothing to do.")
	}
	return r.Err()
}

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// results prints what became of a plan, for programs.
func (o *office) results(r admin.Report, about []sheetField) error {
	s := sheet{columns: []string{"action", "target", "id", "change", "outcome", "request_id", "detail"}}
	for _, x := range r.Results {
		s.add(x.Action, x.Subject(), x.ID, x.Change, x.Outcome, x.RequestID, x.Error)
	}
	return s.write(o.stdout, o.Format, append([]sheetField{{"organization", o.known.Name}}, about...)...)
}

// planSheet is a plan for people.
func planSheet(p admin.Plan) sheet {
	s := sheet{columns: []string{"action", "target", "id", "change", "note"}}
	for _, x := range p.Steps {
		note := x.Note
		switch {
		case x.Already != "":
			note = "nothing to do: " + x.Already
		case x.Cannot != "":
			note = "cannot: " + x.Cannot
		case x.Later != "":
			note = "later: " + x.Later
		}
		s.add(x.Action, x.Subject(), x.ID, x.Change, note)
	}
	return s
}

// resultLine is a result for people.
func resultLine(r admin.Result) string {
	line := fmt.Sprintf("%-13s  %s %s", r.Outcome, r.Action, r.Subject())
	if r.ID != "" {
		line += " (" + r.ID + ")"
	}
	if r.Error != "" {
		line += ": " + r.Error
	} else if r.RequestID != "" {
		line += " [" + r.RequestID + "]"
	}
	return printable(line)
}

// terminal is where somebody can be asked.
func (a *app) terminal() (io.Reader, bool) {
	return a.stdin, isTerminal(a.stdin)
}

func isTerminal(x any) bool {
	f, ok := x.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// storeIfAny opens the database if there is one: to look into it is no reason to make it.
func (o *office) storeIfAny(ctx context.Context) (storage.Store, error) {
	if s := o.config.Storage.SQLite; s != nil {
		if _, err := os.Stat(filepath.Clean(s.Path)); err != nil {
			return nil, fmt.Errorf("there is no database yet: %w", err)
		}
	}
	return openStore(ctx, o.app, o.config)
}

// each plans a step for each thing.
func each[T any](things []T, step func(T) (admin.Step, error)) (p admin.Plan, err error) {
	for _, t := range things {
		s, err := step(t)
		if err != nil {
			return p, err
		}
		p.Add(s)
	}
	return p, nil
}

// plain makes a step that cannot fail one that could.
func plain[T any](step func(T) admin.Step) func(T) (admin.Step, error) {
	return func(t T) (admin.Step, error) { return step(t), nil }
}

// pick is how a command that changes many things is told which: by name, or by what they are like.
type pick[T any] struct {
	what   string   // as --help names the arguments
	fields []string // of --where
	one    func(ctx context.Context, text string) (T, error)
	many   func(ctx context.Context, w admin.Where) ([]T, error)
	id     func(T) string

	// removal is the action that takes such things away, where the command does that: then what is named and is not
	// there may have been removed by the run before, from the workspace in where that is not empty.
	removal, in string
}

// from lists the things that the arguments or the filters mean, each once, and the removals made before of
// those that are not there any more.
func (p pick[T]) from(ctx context.Context, o *office, targets, where []string) (all []T, gone []admin.Step, err error) {
	switch {
	case len(targets) > 0 && len(where) > 0:
		return nil, nil, usageError{fmt.Errorf("give either %s or --where, not both", p.what)}
	case len(targets) == 0 && len(where) == 0:
		return nil, nil, usageError{fmt.Errorf("which? Give %s (an id or a name), or --where FIELD=VALUE (%s)", p.what, strings.Join(p.fields, ", "))}
	case len(where) > 0:
		w, err := admin.ParseWhere(where, p.fields)
		if err != nil {
			return nil, nil, err
		}
		all, err = p.many(ctx, w)
		return all, nil, err
	}
	seen := map[string]bool{}
	for _, text := range targets {
		t, err := p.one(ctx, text)
		if admin.IsAbsent(err) && p.removal != "" {
			entries, problem := o.gone(text, p.in, p.removal)
			if problem != nil {
				return nil, nil, problem
			}
			if len(entries) > 0 {
				if id := entries[0].TargetID; !seen[id] {
					seen[id] = true
					gone = append(gone, admin.Gone(entries[0]))
				}
				continue
			}
		}
		if err != nil {
			return nil, nil, err
		}
		if id := p.id(t); !seen[id] {
			seen[id] = true
			all = append(all, t)
		}
	}
	return all, gone, nil
}

// apply picks, plans and changes.
func (p pick[T]) apply(a *app, f changeFlags, o *office, targets, where []string, step func(T) (admin.Step, error)) error {
	things, gone, err := p.from(a.ctx, o, targets, where)
	if err != nil {
		return asUsage(err)
	}
	plan, err := each(things, step)
	if err != nil {
		return asUsage(err)
	}
	plan.Steps = append(gone, plan.Steps...)
	return o.change(f, plan)
}
