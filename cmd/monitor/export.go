package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/anthropic-monitor/monitor/internal/export"
	"github.com/anthropic-monitor/monitor/internal/metrics"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

type exportCmd struct {
	Openmetrics exportOpenMetricsCmd `cmd:"" name:"openmetrics" help:"OpenMetrics text with timestamps, for promtool tsdb create-blocks-from openmetrics."`
	CSV         exportCSVCmd         `cmd:"" name:"csv" help:"CSV: counts and cost by bucket, for spreadsheets."`
	FOCUS       exportFOCUSCmd       `cmd:"" name:"focus" help:"FOCUS 1.2 CSV: billed cost, for FinOps tools."`
}

// exportRange are the flags of every export.
type exportRange struct {
	From   string `placeholder:"TIME" help:"First day (2026-01-31, UTC) or instant (RFC 3339); default: where the stored history begins."`
	To     string `placeholder:"TIME" help:"End, not included; default: where the stored history ends."`
	Output string `short:"o" placeholder:"FILE" help:"File to write; it appears when all of it is written. Default: standard output."`
}

type exportStep struct {
	Step string `enum:"hour,day" default:"day" help:"A row for each ${enum}."`
}

func (s exportStep) grain() spend.Grain {
	if s.Step == "hour" {
		return spend.Hour
	}
	return spend.Day
}

type exportOpenMetricsCmd struct {
	exportRange
	Label []string `placeholder:"NAME=VALUE" sep:"none" help:"Label that every series gets, such as the job and instance that Prometheus scrapes the daemon as; repeatable."`
}

type exportCSVCmd struct {
	exportRange
	exportStep
	By []string `placeholder:"DIMENSION,…" help:"Row by: workspace, api_key, model, service_tier, context_window, inference_geo, speed, product, cost_type, token_type, team. Default: workspace,api_key,model,service_tier,cost_type, and team where there are teams."`
}

type exportFOCUSCmd struct {
	exportRange
	exportStep
	IncludeEstimated bool `help:"Also write what is not billed yet, as estimated (x_Basis)."`
}

// Run writes the history of the metrics.
func (c exportOpenMetricsCmd) Run(a *app) error {
	labels, err := export.ParseLabels(c.Label)
	if err != nil {
		return usageError{err}
	}
	return c.write(a, spend.Hour, "samples", func(w io.Writer, e export.Exporter, config *Config) (export.Summary, error) {
		return e.OpenMetrics(a.ctx, w, metrics.Options{MaxSeries: config.Metrics.MaxSeries, APIKeys: config.Metrics.APIKeys}, labels)
	})
}

// Run writes counts and cost.
func (c exportCSVCmd) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	by, err := export.ParseBy(c.By, config.Teams)
	if err != nil {
		return usageError{err}
	}
	return c.write(a, c.grain(), "rows", func(w io.Writer, e export.Exporter, _ *Config) (export.Summary, error) {
		return e.CSV(a.ctx, w, by)
	})
}

// Run writes cost.
func (c exportFOCUSCmd) Run(a *app) error {
	return c.write(a, c.grain(), "rows", func(w io.Writer, e export.Exporter, _ *Config) (export.Summary, error) {
		return e.FOCUS(a.ctx, w, c.IncludeEstimated)
	})
}

// write runs an export of what of the range is stored, and says on stderr what was written.
func (c exportRange) write(
	a *app, step spend.Grain, things string, run func(io.Writer, export.Exporter, *Config) (export.Summary, error),
) error {
	asked, err := c.window()
	if err != nil {
		return usageError{err}
	}
	config, store, err := open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	stored, err := export.Stored(a.ctx, store)
	if err != nil {
		return err
	}
	w := stored
	if !asked.Start.IsZero() && asked.Start.After(w.Start) {
		w.Start = asked.Start
	}
	if !asked.End.IsZero() && asked.End.Before(w.End) {
		w.End = asked.End
	}
	if w.Empty() {
		return fmt.Errorf("nothing is stored of that time: the stored history is from %s to %s UTC", minuteOf(stored.Start), minuteOf(stored.End))
	}
	out, err := newOutput(a.stdout, c.Output)
	if err != nil {
		return err
	}
	summary, err := run(out, export.Exporter{Store: store, Window: w, Step: step, Teams: config.Teams}, config)
	if err = out.finish(err); err != nil {
		if errors.Is(err, syscall.EPIPE) { // who reads has seen enough
			return nil
		}
		return err
	}
	c.say(a.stderr, summary, asked, stored, things)
	return nil
}

// window is what the flags ask for; zero times are not asked for.
func (c exportRange) window() (w spend.Window, err error) {
	if c.From != "" {
		if w.Start, err = report.ParseTime("--from", c.From); err != nil {
			return w, err
		}
	}
	if c.To != "" {
		if w.End, err = report.ParseTime("--to", c.To); err != nil {
			return w, err
		}
	}
	if c.From != "" && c.To != "" && w.Empty() {
		return w, fmt.Errorf("--from (%s) must be before --to (%s); --to itself is not included",
			w.Start.Format(time.RFC3339), w.End.Format(time.RFC3339))
	}
	return w, nil
}

// say tells what was written.
func (exportRange) say(w io.Writer, s export.Summary, asked, stored spend.Window, things string) {
	asOf := "nothing read yet"
	if !s.AsOf.IsZero() {
		asOf = "as of " + minuteOf(s.AsOf)
	}
	fmt.Fprintf(w, "%s %s from %s to %s UTC, %s", report.Count(s.Rows), things, minuteOf(s.Window.Start), minuteOf(s.Window.End), asOf)
	if things == "rows" {
		fmt.Fprintf(w, ", cost $%s", s.Cost)
	}
	fmt.Fprintln(w)
	if !asked.Start.IsZero() && asked.Start.Before(stored.Start) {
		fmt.Fprintf(w, "The stored history begins at %s UTC: `monitor backfill --from` reads what is before.\n", minuteOf(stored.Start))
	}
	if s.MissingHours > 0 {
		fmt.Fprintf(w, "Incomplete: %s hours of this time have not been read yet (`monitor backfill --from` reads them).\n", report.Count(s.MissingHours))
	}
	if s.LeftOut != 0 {
		fmt.Fprintf(w, "Left out: $%s that is estimated and not billed yet (--include-estimated adds it).\n", s.LeftOut)
	}
}

func minuteOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// output is where an export goes. A file gets its name when all of it is written.
type output struct {
	io.Writer
	file *os.File // nil for standard output
	name string   // that the file gets; empty if it has it already
}

func newOutput(stdout io.Writer, name string) (*output, error) {
	if name == "" {
		return &output{Writer: stdout}, nil
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("--output: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("--output: %s is a directory: name a file", name)
	case !info.Mode().IsRegular(): // a pipe or a device: it cannot be replaced
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("--output: %w", err)
		}
		return &output{Writer: f, file: f}, nil
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.%d.partial", name, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	return &output{Writer: f, file: f, name: name}, nil
}

// finish ends the output of an export that ended with err.
func (o *output) finish(err error) error {
	if o.file == nil {
		return err
	}
	if err == nil && o.name != "" {
		err = o.file.Sync()
	}
	if closed := o.file.Close(); err == nil {
		err = closed
	}
	if o.name == "" {
		return err
	}
	if err == nil {
		err = os.Rename(o.file.Name(), o.name)
	}
	if err != nil {
		if removed := os.Remove(o.file.Name()); removed != nil && !errors.Is(err, context.Canceled) {
			err = errors.Join(err, removed)
		}
	}
	return err
}
