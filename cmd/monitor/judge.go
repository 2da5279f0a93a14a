package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/collector"
	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// newEngine makes the engine of the rules.
func newEngine(a *app, config *Config, store storage.Store) (*alerts.Engine, error) {
	notifiers, err := newNotifiers(a, config, nameOf(a.ctx, store))
	if err != nil {
		return nil, err
	}
	return alerts.NewEngine(alertOptions(a, config, store, notifiers)), nil
}

// alertOptions are what rules are judged with, live and in a backtest: what other packages know is
// joined to them here.
func alertOptions(a *app, config *Config, store storage.Store, notifiers map[string]alerts.Notifier) alerts.Options {
	return alerts.Options{
		Store: store, Rules: config.Rules, Notifiers: notifiers, Log: a.log, PageURL: config.pagesURL(),
		Heartbeat: config.Heartbeat.URL, Backfill: config.Backfill.Duration(), Interval: config.Schedule.interval,
		StaleAfter: max(time.Hour, 3*config.Schedule.interval("usage")),
		Digests:    config.Digests, Due: digestWindow,
		Team:     teamOf(a.ctx, store, config.Teams),
		Forecast: outlookWith(a.ctx, store), DaysLeft: daysLeft,
		Headroom: func(ctx context.Context, organization string, w spend.Window) ([]alerts.LimitUse, error) {
			return headroom(ctx, store, organization, w)
		},
		Drift: func(ctx context.Context, organization string, now time.Time) (float64, time.Time, bool, error) {
			checks, err := store.Checks(ctx, organization, storage.DriftWindow(now))
			if err != nil {
				return 0, time.Time{}, false, fmt.Errorf("reconciliation: %w", err)
			}
			d := storage.DriftOf(checks)
			ratio, ok := d.Ratio()
			return ratio, d.Window.End, ok, nil
		},
		Audit: func(ctx context.Context, organization string, now time.Time) ([]alerts.AuditFinding, error) {
			return auditFindings(ctx, newAuditor(config, store), organization, now)
		},
	}
}

// lookBack are the spans in which a schedule is searched for when it was due before; the longest is a
// leap year.
var lookBack = []time.Duration{time.Hour, 24 * time.Hour, 8 * 24 * time.Hour, 32 * 24 * time.Hour, 366 * 24 * time.Hour}

// digestWindow is the time from when a schedule was due before to when it was due last, where that is
// at most a day before now; else it is empty.
func digestWindow(schedule string, now time.Time) spend.Window {
	s, err := collector.ParseSchedule(schedule)
	if err != nil {
		return spend.Window{} // the configuration was checked
	}
	latest := func(before time.Time, within time.Duration) (last time.Time) {
		for at := s.Next(before.Add(-within)); !at.IsZero() && at.Before(before); at = s.Next(at) {
			last = at
		}
		return last
	}
	w := spend.Window{End: latest(now.Add(time.Second), 24*time.Hour)}
	if w.End.IsZero() {
		return spend.Window{}
	}
	for _, span := range lookBack {
		if w.Start = latest(w.End, span); !w.Start.IsZero() {
			return w
		}
	}
	return spend.Window{}
}

// nameOf says what an organization is called.
func nameOf(ctx context.Context, store storage.Store) func(organization string) string {
	return func(id string) string {
		orgs, err := store.Organizations(ctx)
		if err != nil {
			return id
		}
		for _, o := range orgs {
			if o.ID == id && o.Name != "" {
				return o.Name
			}
		}
		return id
	}
}

// teamsFor is how long what teams match in the inventory is taken for what it still does.
const teamsFor = time.Minute

// teamOf says which team a workspace and a key are of; nil without teams.
func teamOf(ctx context.Context, store storage.Store, teams team.Teams) func(organization, workspaceID, apiKeyID string) string {
	if len(teams) == 0 {
		return nil
	}
	type known struct {
		team.Map
		at time.Time
	}
	var mu sync.Mutex
	maps := map[string]known{}
	return func(organization, workspaceID, apiKeyID string) string {
		mu.Lock()
		defer mu.Unlock()
		m := maps[organization]
		if time.Since(m.at) > teamsFor {
			if fresh, err := team.Load(ctx, store, teams, organization); err == nil {
				m = known{fresh, time.Now()}
				maps[organization] = m
			}
		}
		if name := m.Of(workspaceID, apiKeyID); name != "" {
			return name
		}
		return team.Unmapped
	}
}

// history is what a forecast is made from. To the rules the running day ends where the data does, to
// the forecast at midnight.
func history(days []alerts.CostDay, asOf time.Time, zone *time.Location) forecast.History {
	h := forecast.History{AsOf: asOf, Zone: zone, Days: make([]forecast.Day, len(days))}
	for i, d := range days {
		h.Days[i] = forecast.Day{Window: d.Window, Cost: d.Cost}
		if running := forecast.DayOf(d.Start, zone); !d.End.Before(asOf) && running.End.After(asOf) {
			h.Days[i].End = running.End
		}
	}
	return h
}

// outlookWith forecasts what budgets' periods will have cost, as the overview and reports do.
func outlookWith(ctx context.Context, store storage.Store) func(alerts.ForecastInput) alerts.Outlook {
	shares := dayShares{ctx: ctx, store: store, known: map[string]dayShare{}}
	return func(in alerts.ForecastInput) alerts.Outlook {
		return outlook(in, shares.at(in.Organization, in.Zone, in.AsOf, in.Seq))
	}
}

// dayShares knows how much of a day has usually come in at a time of day. It is a straight line within
// an hour, so that each hour is looked up once.
type dayShares struct {
	ctx   context.Context
	store storage.Store
	mu    sync.Mutex
	known map[string]dayShare // by organization and zone
}

// dayShare is the share at the beginning and the end of an hour, by the days before as they were at a
// change number of the store.
type dayShare struct {
	hour     time.Time
	seq      int64
	from, to float64
}

// at is the share at a time, when the store is at that change number; 0 where it is not known.
func (d *dayShares) at(organization string, zone *time.Location, asOf time.Time, seq int64) float64 {
	if zone == nil {
		zone = time.UTC
	}
	hour := spend.Hour.Floor(asOf)
	d.mu.Lock()
	defer d.mu.Unlock()
	key := organization + " " + zone.String()
	s := d.known[key]
	running := forecast.DayOf(hour, zone)
	var changed []time.Time
	var err error
	if s.seq != seq { // once for all budgets that are judged at a time
		if changed, _, err = d.store.Changed(d.ctx, organization, s.seq); err != nil {
			return 0
		}
	}
	past := func(day time.Time) bool { return day.Before(running.Start) }
	if !s.hour.Equal(hour) || slices.ContainsFunc(changed, past) {
		s = dayShare{hour: hour}
		if s.from, err = report.UsualShare(d.ctx, d.store, organization, zone, hour); err != nil {
			return 0
		}
		end := hour.Add(time.Hour)
		if s.to = 1; !running.End.Equal(end) {
			if s.to, err = report.UsualShare(d.ctx, d.store, organization, zone, end); err != nil {
				return 0
			}
		}
		// Too little history: it may be there at the next look. Only where the day begins nothing has come in,
		// and only where it ends all has, whatever is known.
		if s.to == 0 || s.from == 0 && hour.After(running.Start) {
			return 0
		}
	}
	s.seq = seq
	d.known[key] = s
	return s.from + (s.to-s.from)*asOf.Sub(hour).Hours()
}

// outlook forecasts what a budget's period will have cost; share is how much of the running day has
// usually come in by now, 0 where that is not known.
func outlook(in alerts.ForecastInput, share float64) alerts.Outlook {
	h := history(in.Days, in.AsOf, in.Zone)
	h.Share = share
	f, err := forecast.New(h, in.Period, in.AsOf)
	if err != nil {
		return alerts.Outlook{Note: err.Error()}
	}
	o := alerts.Outlook{OK: true, Expected: f.Expected}
	if f.Method == forecast.RunRate {
		o.Note = fmt.Sprintf("fewer than %d days of history: the cost so far goes on", forecast.MinDays)
	}
	if in.Spent < in.Limit {
		o.ExhaustedAt, _ = f.Crosses(in.Limit)
	}
	return o
}

// daysLeft says how long money lasts; false where it lasts longer than a year, or nothing is known.
func daysLeft(days []alerts.CostDay, asOf time.Time, left spend.Money) (float64, bool) {
	b, err := forecast.NewBalance(forecast.Prepaid{Amount: max(left, 0), Since: asOf}, forecast.Used{Complete: true}, history(days, asOf, nil), asOf)
	if err != nil || b.DaysLeft < 0 {
		return 0, false
	}
	return math.Max(0, b.DaysLeft), true
}

// headroom is how far rate limits were used in the window; [alerts.ErrNoMinutes] where
// nothing is known of it by the minute.
func headroom(ctx context.Context, store storage.Store, organization string, w spend.Window) ([]alerts.LimitUse, error) {
	h, err := report.LoadHeadroom(ctx, store, organization, w)
	if err != nil {
		return nil, err
	}
	if !h.Known {
		return nil, fmt.Errorf("%w of %s", alerts.ErrNoMinutes, h.Window)
	}
	uses := make([]alerts.LimitUse, len(h.Rows))
	for i, r := range h.Rows {
		uses[i] = alerts.LimitUse{
			WorkspaceID: r.WorkspaceID, ModelGroup: r.Group, Limiter: r.Limiter, Used: float64(r.Peak), Limit: float64(r.Limit), AsOf: h.Window.End,
		}
	}
	return uses, nil
}
