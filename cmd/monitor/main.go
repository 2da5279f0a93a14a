package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // budgets name time zones, and not every machine has them

	"github.com/alecthomas/kong"

	"github.com/anthropic-monitor/monitor/internal/config"
)

func main() { os.Exit(process(api{})) }

// process is the program as a process: it runs until a signal ends it and returns the exit code.
func process(api api) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	collectOften(os.Getenv)
	a := app{ctx: ctx, getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, api: api}
	return exitCode(a.run(os.Args[1:]))
}

// gcPercent is by how much the heap may grow between two collections of garbage: half of what Go
// does by itself. What the program keeps is small beside what it reads and throws away, so that it
// is little more work, and a third less memory.
const gcPercent = 50

// collectOften sets that, unless the environment sets GOGC.
func collectOften(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// usageError chooses the exit code (contract: 0 done, 1 failed or findings, 2 wrong usage or
// configuration).
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	default:
		return 1
	}
}

// cli is the command line; each command is a field, its work the Run method of the field's type,
// in the file named like the command.
type cli struct {
	Config    []string `short:"c" sep:"none" placeholder:"FILE" help:"Configuration file (default: $MONITOR_CONFIG, else ./monitor.yaml where it exists, else none is needed)."`
	LogLevel  string   `enum:"debug,info,warn,error" default:"info" help:"Least level to log: ${enum}."`
	LogFormat string   `enum:"text,json" default:"text" help:"Log format: ${enum}."`

	Run      runCmd      `cmd:"" help:"Run the daemon: collect, store, evaluate, notify, serve."`
	Once     onceCmd     `cmd:"" help:"Run every job and evaluate the rules once, and print a line for each."`
	Demo     demoCmd     `cmd:"" help:"Show the product on a simulated organization: no key, no file, no network."`
	Backfill backfillCmd `cmd:"" help:"Fetch history; can be stopped and run again."`
	Check    checkCmd    `cmd:"" help:"Read the configuration and print every problem."`
	Doctor   doctorCmd   `cmd:"" help:"Try key, reports, clock, database and notifiers for real."`
	Report   reportCmd   `cmd:"" help:"Print cost or usage."`
	Alerts   alertsCmd   `cmd:"" help:"List alerts and their history, silence them, test a notifier, backtest a rule."`
	Audit    auditCmd    `cmd:"" help:"Print what there is to find about keys and access."`
	Export   exportCmd   `cmd:"" help:"Write stored history for Prometheus, a spreadsheet or a FOCUS tool."`
	Admin    adminCmd    `cmd:"" help:"Change the organization: members, invites, workspaces, keys."`
	Copy     copyCmd     `cmd:"" help:"Copy everything from SQLite to PostgreSQL."`
	Sim      simCmd      `cmd:"" help:"Serve a simulated Admin API."`
	Version  versionCmd  `cmd:"" help:"Print version, commit and Go version."`

	Completion completionCmd `cmd:"" help:"Print a script by which a shell completes commands and flags."`
	Man        manCmd        `cmd:"" help:"Print the manual page."`
}

// newParser is the parser that fills c; exit is called after --help was printed.
func newParser(c *cli, stdout, stderr io.Writer, exit func(int)) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("monitor"),
		kong.Description("Watches what an organization spends on Claude. Unofficial; not affiliated with Anthropic."),
		kong.Writers(stdout, stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
}

// app is what every command is given.
type app struct {
	ctx         context.Context
	getenv      func(string) string
	stdin       io.Reader // nil: none
	stdout      io.Writer
	stderr      io.Writer
	log         *slog.Logger
	configFiles []string
	api         api
}

// run parses args and runs one command. Errors are printed to stderr here, once.
func (a *app) run(args []string) error {
	stdout, stderr := a.stdout, a.stderr
	var c cli
	exited := false
	parser, err := newParser(&c, stdout, stderr, func(int) { exited = true })
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exited { // --help has been printed
		return nil
	}
	if err == nil {
		a.configFiles = c.Config
		a.log = newLog(stderr, c.LogLevel, c.LogFormat)
		err = command.Run(a)
	} else {
		err = usageError{fmt.Errorf("%w (monitor --help lists commands and flags)", err)}
	}
	var problems config.Problems
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && a.ctx.Err() != nil: // what ends by a signal says so itself: run, demo, sim
		err = errors.New("stopped before it was done")
		fmt.Fprintf(stderr, "monitor: %s\n", err)
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, problems) // each is a line with its place
	default:
		fmt.Fprintf(stderr, "monitor: %s\n", printableLines(err.Error()))
	}
	return err
}

func newLog(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(strings.ToUpper(level))); err != nil {
		panic(err) // the command line allows only names that slog knows
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// config reads the configuration that the command line names. Its problems are wrong usage.
func (a *app) config() (*Config, error) {
	if len(a.configFiles) > 1 {
		return nil, usageError{fmt.Errorf("--config is given %d times; one file holds the whole configuration", len(a.configFiles))}
	}
	var file string
	if len(a.configFiles) == 1 {
		file = a.configFiles[0]
	}
	c, err := loadConfig(file, a.getenv)
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}
