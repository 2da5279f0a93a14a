package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/postgres"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

type copyCmd struct {
	From   string `placeholder:"FILE" help:"The SQLite database to copy (default: storage.sqlite.path of the configuration). It is left as it is."`
	To     string `placeholder:"URL" help:"The PostgreSQL database to copy to, empty as yet: $${NAME}, file:/path, exec:command args, or the URL itself (default: storage.postgres.url of the configuration)."`
	Format string `enum:"table,json" default:"table" help:"Output format: ${enum}."`
}

// Run copies everything. Unlike other commands one that is stopped has failed: what comes next in a
// script must not begin to use the copy.
func (c copyCmd) Run(a *app) error {
	err := c.copy(a)
	if err != nil && a.ctx.Err() != nil {
		return errors.New("stopped before the copy was done: run it again")
	}
	return err
}

// copy copies in one transaction, compares the copy and says what there is.
func (c copyCmd) copy(a *app) error {
	path, target, err := c.ends(a)
	if err != nil {
		return err
	}
	url, err := target.Value(a.ctx, false)
	if err != nil {
		name := "--to"
		if c.To == "" {
			name = "storage.postgres.url"
		}
		return usageError{fmt.Errorf("%s: %w", name, err)}
	}
	log := a.log.With("component", "storage")
	dump, err := sqlite.OpenDump(a.ctx, path, log)
	if err != nil {
		return err
	}
	defer dump.Close()
	p := &copyProgress{app: a, started: time.Now()}
	if err := p.count(dump); err != nil {
		return err
	}
	store, err := postgres.Open(a.ctx, url, log)
	if err != nil {
		return err
	}
	defer store.Close()
	loaded, err := store.Load(a.ctx, dump, p.watch)
	p.end()
	if err != nil {
		return err
	}
	for _, name := range loaded.Foreign {
		a.log.Warn("a table that is not the monitor's stays behind", "table", name)
	}
	organizations, err := store.Organizations(context.WithoutCancel(a.ctx)) // it is done, whatever comes
	if err != nil {
		return err
	}
	return c.print(a.stdout, loaded, organizations, time.Since(p.started))
}

// ends are the databases, by the flags and where these say nothing by the configuration.
func (c copyCmd) ends(a *app) (path string, target config.Secret, err error) {
	path = c.From
	if c.To != "" {
		if target, err = config.ParseSecret(c.To, a.getenv); err != nil {
			return "", target, usageError{fmt.Errorf("--to: %w", err)}
		}
		if u, err := url.Parse(c.To); err == nil && u.User != nil {
			if _, ok := u.User.Password(); ok {
				a.log.Warn("the password of --to can be seen by other users of this machine while the command runs; write '${NAME}' or file:/path instead")
			}
		}
	}
	if path != "" && !target.IsZero() {
		return path, target, nil
	}
	settings, err := a.config()
	if err != nil {
		return "", target, err
	}
	if path == "" {
		if settings.Storage.SQLite == nil {
			return "", target, usageError{errors.New("the configuration names no SQLite database: say with --from which one to copy")}
		}
		path = settings.Storage.SQLite.Path
	}
	if target.IsZero() {
		if settings.Storage.Postgres == nil {
			return "", target, usageError{errors.New("the configuration names no PostgreSQL database: say with --to where to copy, for example --to '${DATABASE_URL}'")}
		}
		target = settings.Storage.Postgres.URL
	}
	return path, target, nil
}

// copyProgress tells on stderr how far a copy is: a line that is written over on a terminal, a line of
// the log now and then elsewhere.
type copyProgress struct {
	*app
	started  time.Time
	logged   time.Time
	terminal bool
	total    int64
	before   int64 // rows of the tables before
	table    string
	last     int64 // rows of that table
}

// count counts what is to be copied.
func (p *copyProgress) count(dump storage.Dump) error {
	tables, err := dump.Tables(p.ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		p.total += t.Rows
	}
	if p.total == 0 {
		return errors.New("there is nothing to copy: no monitor has collected anything into this database yet")
	}
	f, ok := p.stderr.(*os.File)
	p.terminal = ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a file descriptor
	p.logged = p.started
	return nil
}

func (p *copyProgress) watch(table string, rows int64) {
	if table != p.table {
		p.before += p.last
		p.table, p.last = table, 0
	}
	p.last = rows
	done := p.before + rows
	percent := 100 * done / p.total
	switch {
	case p.terminal && done == p.total:
		fmt.Fprint(p.stderr, "\r\x1b[Kcomparing")
	case p.terminal && time.Since(p.logged) >= time.Second/10:
		p.logged = time.Now()
		fmt.Fprintf(p.stderr, "\r\x1b[K%3d %%  %d of %d rows  %s", percent, done, p.total, table)
	case !p.terminal && time.Since(p.logged) >= logEvery:
		p.logged = time.Now()
		p.log.Info("copying", "table", table, "rows", done, "of", p.total, "percent", percent)
	}
}

// end leaves the terminal's line empty.
func (p *copyProgress) end() {
	if p.terminal {
		fmt.Fprint(p.stderr, "\r\x1b[K")
	}
}

// print says what was copied and compared.
func (c copyCmd) print(w io.Writer, l storage.Loaded, organizations []storage.OrganizationState, took time.Duration) error {
	names := map[string]string{}
	for _, o := range organizations {
		names[o.ID] = cmp.Or(o.Name, o.ID)
	}
	if c.Format == "json" {
		return copyJSON(w, l, names, took)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "table\t%14s\n", "rows")
	var rows int64
	empty := 0
	for _, x := range l.Tables {
		if rows += x.Rows; x.Rows == 0 {
			empty++
			continue
		}
		fmt.Fprintf(t, "%s\t%14d\n", x.Name, x.Rows)
	}
	fmt.Fprintf(t, "%d empty ones\t%14d\nall\t%14d\n", empty, 0, rows)
	if len(l.Months) > 0 {
		fmt.Fprintf(t, "\nmonth (UTC)\t%14s\torganization\n", "cost in USD")
		for _, m := range l.Months {
			fmt.Fprintf(t, "%s\t%14s\t%s\n", m.Month.Format("2006-01"), m.Cost, printable(names[m.Organization]))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nCopied in %s, and compared: every column of every table, and what every month cost (billed where settled,\n"+
		"else estimated). Now replace storage.sqlite by storage.postgres in the configuration and start the monitor.\n", took.Round(time.Second/10))
	return err
}

// copyJSON prints the same for programs.
func copyJSON(w io.Writer, l storage.Loaded, names map[string]string, took time.Duration) error {
	type table struct {
		Name string `json:"name"`
		Rows int64  `json:"rows"`
	}
	type month struct {
		Month          string `json:"month"`
		Organization   string `json:"organization"`
		OrganizationID string `json:"organization_id"`
		CostUSD        string `json:"cost_usd"`
		ListUSD        string `json:"list_usd"`
	}
	out := struct {
		Tables      []table `json:"tables"`
		Months      []month `json:"months"`
		TookSeconds float64 `json:"took_seconds"`
	}{Tables: []table{}, Months: []month{}, TookSeconds: took.Seconds()}
	for _, t := range l.Tables {
		out.Tables = append(out.Tables, table(t))
	}
	for _, m := range l.Months {
		out.Months = append(out.Months, month{m.Month.Format("2006-01"), names[m.Organization], m.Organization, m.Cost.String(), m.List.String()})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
