// Package export writes stored history for other programs: OpenMetrics text with timestamps for
// Prometheus (openmetrics.go), CSV for spreadsheets (csv.go) and the FinOps community's format FOCUS
// for cost tools (focus.go).
//
// Each reads the store a day, or an hour, at a time and writes what it read before it reads on, so
// that memory does not grow with the range. OpenMetrics wants its samples by series while the store
// has them by time: they are sorted on disk (spool.go). Sums are those of package report, and so are
// names; the metrics are those of package metrics. Money is exact, but in OpenMetrics, which knows
// floats only.
//
// A day is read in one transaction. What a daemon writes meanwhile is in it or not.
//
// A new format is a file with a method of [Exporter] and a command in cmd/monitor/export.go.
package export

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// ErrNothing is that the store has no history yet.
var ErrNothing = errors.New("nothing is stored yet: let `monitor run` or `monitor once` collect first")

// Exporter reads a store. Its methods write one format each.
type Exporter struct {
	Store  storage.Store
	Window spend.Window // widened to whole buckets of the step
	Step   spend.Grain  // Hour or Day
	Teams  team.Teams   // what the dimension team means
}

// Summary says what was written.
type Summary struct {
	Window       spend.Window // what was read: the window asked for, in whole buckets
	Rows         int64        // rows, or samples
	AsOf         time.Time    // the oldest data time of the reports that the figures come from; zero if there are none
	MissingHours int64        // hours of the window, up to the newest data, that were never read; of several organizations they add up
	Cost         spend.Money  // exact sum of the rows
	LeftOut      spend.Money  // estimated cost that was not asked for
}

// Stored is the time that the store has history of, in whole hours: from the first hour of any
// organization up to the newest data. It returns [ErrNothing] where there is none.
func Stored(ctx context.Context, store storage.Store) (spend.Window, error) {
	var all spend.Window
	orgs, err := store.Organizations(ctx)
	if err != nil {
		return all, fmt.Errorf("organizations: %w", err)
	}
	for _, o := range orgs {
		marks, err := store.Watermarks(ctx, o.ID)
		if err != nil {
			return all, fmt.Errorf("how far the reports of %s were read: %w", o.Name, err)
		}
		for _, m := range marks {
			if end := spend.Hour.Ceil(m.DataAt); m.Report != spend.ReportClaudeCode && !m.DataAt.IsZero() && end.After(all.End) {
				all.End = end
			}
		}
	}
	if all.End.IsZero() {
		return all, ErrNothing
	}
	for _, o := range orgs {
		for _, f := range []spend.Fact{spend.FactUsage, spend.FactRequests, spend.FactCost} {
			start, err := first(ctx, store, o.ID, f, all.End)
			if err != nil {
				return all, fmt.Errorf("history of %s: %w", o.Name, err)
			}
			if !start.IsZero() && (all.Start.IsZero() || start.Before(all.Start)) {
				all.Start = start
			}
		}
	}
	if all.Start.IsZero() || all.Empty() {
		return all, ErrNothing
	}
	return all, nil
}

// firstYear is before the API was there.
const firstYear = 2020

// first is when a fact's history begins; zero if it has none. It looks a year at a time, since the
// ledger of all time may be long.
func first(ctx context.Context, store storage.Store, organization string, f spend.Fact, end time.Time) (time.Time, error) {
	for year := firstYear; year <= end.Year(); year++ {
		slots, err := store.Slots(ctx, organization, f, spend.Window{
			Start: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), End: time.Date(year+1, 1, 1, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			return time.Time{}, err
		}
		if len(slots) > 0 {
			return slots[0].Window.Start, nil
		}
	}
	return time.Time{}, nil
}

// run is an export under way.
type run struct {
	Exporter
	labels  *report.Labels
	teams   map[string]team.Map // by organization
	sources report.Sources
	summary Summary
}

func (e Exporter) begin(ctx context.Context) (*run, error) {
	labels, err := report.LoadLabels(ctx, e.Store)
	if err != nil {
		return nil, err
	}
	r := &run{Exporter: e, labels: labels, sources: report.Sources{}, teams: map[string]team.Map{}}
	for _, o := range labels.Organizations {
		if r.teams[o.ID], err = team.Load(ctx, e.Store, e.Teams, o.ID); err != nil {
			return nil, fmt.Errorf("teams of %s: %w", o.Name, err)
		}
	}
	r.Window = e.Window.Align(e.Step)
	r.summary.Window = r.Window
	return r, nil
}

// days calls f for each day, or what of it lies in the window, and organization.
func (r *run) days(ctx context.Context, f func(o storage.OrganizationState, w spend.Window) error) error {
	for day := spend.Day.Floor(r.Window.Start); day.Before(r.Window.End); day = day.Add(spend.Day.Duration()) {
		w := spend.Day.Bucket(day).Intersect(r.Window)
		for _, o := range r.labels.Organizations {
			if err := ctx.Err(); err != nil {
				return err
			}
			missing, err := storage.Missing(ctx, r.Store, o.ID, w, spend.FactUsage, spend.FactCost)
			if err != nil {
				return fmt.Errorf("what is missing of %s: %w", o.Name, err)
			}
			for _, m := range missing {
				r.summary.MissingHours += int64(m.Duration() / time.Hour)
			}
			if err := f(o, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// end completes the summary.
func (r *run) end(ctx context.Context) (Summary, error) {
	var err error
	r.summary.AsOf, err = r.sources.AsOf(ctx, r.Store)
	return r.summary, err
}

// figures are the figures of a stretch of time, and the stretch they are really of.
type figures struct {
	spend.Window
	usage []storage.UsageRow
	costs []storage.CostRow
}

// read asks for figures of an organization. Where only the day is known they are of the whole day.
func (r *run) read(
	ctx context.Context, o storage.OrganizationState, w spend.Window, step spend.Grain, costBy, usageBy []spend.Dimension,
) (figures, error) {
	where := []storage.Match{{Dimension: spend.ByOrganization, Values: []string{o.ID}}}
	costs, err := r.Store.Costs(ctx, storage.Query{Window: w, Step: step, By: costBy, Where: where})
	if err != nil {
		return figures{}, fmt.Errorf("costs of %s, %s: %w", o.Name, w, err)
	}
	usage, err := r.Store.Usage(ctx, storage.Query{Window: w, Step: step, By: usageBy, Where: where})
	if err != nil {
		return figures{}, fmt.Errorf("usage of %s, %s: %w", o.Name, w, err)
	}
	if wide := join(costs.Window, usage.Window); !same(costs.Window, wide) || !same(usage.Window, wide) {
		return r.read(ctx, o, wide, step, costBy, usageBy) // one of them knows only the day
	}
	return figures{costs.Window, usage.Rows, costs.Rows}, nil
}

// join is the shortest window that covers both.
func join(v, w spend.Window) spend.Window {
	if w.Start.Before(v.Start) {
		v.Start = w.Start
	}
	if w.End.After(v.End) {
		v.End = w.End
	}
	return v
}

func same(v, w spend.Window) bool { return v.Start.Equal(w.Start) && v.End.Equal(w.End) }

// stretches reads a day's figures stretch by stretch: by parts as they are given or, where only the
// day is known, the day at once.
func (r *run) stretches(
	ctx context.Context, o storage.OrganizationState, day spend.Window, parts []spend.Window, step spend.Grain,
	costBy, usageBy []spend.Dimension, write func(figures) error,
) error {
	for i, w := range parts {
		f, err := r.read(ctx, o, w, step, costBy, usageBy)
		if err != nil {
			return err
		}
		if !same(f.Window, w) && i > 0 {
			return fmt.Errorf("%s changed while it was read (%s): export it again", o.Name, day)
		}
		r.summary.Window = join(r.summary.Window, f.Window)
		if err := write(f); err != nil {
			return err
		}
		if !same(f.Window, w) { // it was all of the day
			return nil
		}
	}
	return nil
}

// note notes what rows come from.
func (r *run) note(o storage.OrganizationState, usage []storage.UsageRow, costs []storage.CostRow) {
	for _, u := range usage {
		r.sources.Add(o.ID, !u.Counts.IsZero(), u.Requests != 0, false)
	}
	for _, c := range costs {
		r.sources.Add(o.ID, c.Basis == spend.Estimated, false, c.Basis != spend.Estimated)
	}
}
