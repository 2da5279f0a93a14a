package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/forecast"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// HistoryQuery asks for the cost of an organization by day, as a forecast needs it.
type HistoryQuery struct {
	Organization string    // id
	From         time.Time // when the period asked about begins; days that a forecast looks at come before it
	By           []spend.Dimension
	Where        []storage.Match        // further filters, by id
	Teams        map[string]team.Map    // by organization; where there are any, parts are told apart by team too
	OfTeam       func(name string) bool // which teams count; nil: all
	Zone         *time.Location         // where days begin at midnight; nil is UTC
}

// CostHistory is the answer.
type CostHistory struct {
	// History is the cost of all that the filters let through. Its AsOf is zero where nothing was read yet.
	forecast.History
	// Since says how what was spent since From is known; its Cost is left to the days.
	Since Figures
	// Parts are the same by the dimensions asked for: what had any cost in this time. Their days are
	// the same days.
	Parts []PartHistory
}

// PartHistory is the cost of one combination of dimensions.
type PartHistory struct {
	spend.Dims
	Team string // empty where teams are not told apart
	forecast.History
	Since Figures
}

// shareDays is how many days tell by what time of day how much of a day's cost has come in.
const shareDays = 14

// LoadHistory reads the cost of an organization by day, up to the newest usage. A day of which hours
// were never read is left out.
func LoadHistory(ctx context.Context, store storage.Store, q HistoryQuery, now time.Time) (CostHistory, error) {
	h := CostHistory{History: forecast.History{Zone: q.Zone}}
	marks, err := store.Watermarks(ctx, q.Organization)
	if err != nil {
		return h, fmt.Errorf("how far reports were read: %w", err)
	}
	h.AsOf = dataAt(marks, spend.ReportMessages, spend.ReportAnalyticsUsage)
	if h.AsOf.IsZero() { // a key that may read bills only
		h.AsOf = dataAt(marks, spend.ReportAnalyticsCost, spend.ReportCost)
	}
	if h.AsOf.IsZero() {
		return h, nil
	}
	if h.AsOf.After(now) {
		h.AsOf = now.UTC()
	}
	days, err := knownDays(ctx, store, q, h.AsOf)
	if err != nil {
		return h, err
	}
	if len(days) == 0 {
		return h, nil
	}
	q.Where = append([]storage.Match{{Dimension: spend.ByOrganization, Values: []string{q.Organization}}}, q.Where...)
	costs := storage.Query{
		Window: spend.Window{Start: days[0].Start, End: days[len(days)-1].End}, Step: spend.Hour, Where: q.Where,
		By: slices.DeleteFunc(slices.Clone(q.By), func(d spend.Dimension) bool { return d == spend.ByTeam }),
	}
	if costs.Window.Aligned(spend.Day) && (q.Zone == nil || q.Zone == time.UTC) {
		costs.Step = spend.Day
	}
	rows, _, err := costRows(ctx, store, costs, q.Teams)
	if err != nil {
		return h, fmt.Errorf("costs %s: %w", costs.Window, err)
	}
	whole := daily{days: days, cost: make([]spend.Money, len(days))}
	type partKey struct {
		spend.Dims
		team string
	}
	parts := map[partKey]*daily{}
	for _, r := range rows {
		if q.Teams != nil {
			r.Team = orUnmapped(r.Team)
		}
		if q.OfTeam != nil && !q.OfTeam(r.Team) {
			continue
		}
		k := partKey{r.Dims, r.Team}
		if !slices.Contains(q.By, spend.ByTeam) {
			k.team = ""
		}
		p := parts[k]
		if p == nil {
			p = &daily{days: days, cost: make([]spend.Money, len(days))}
			parts[k] = p
		}
		for _, d := range []*daily{p, &whole} {
			d.add(r.CostRow, q.From)
		}
	}
	if h.Share, err = usualShare(ctx, store, q.Where, days, h.AsOf); err != nil {
		return h, err
	}
	history := func(d daily) forecast.History {
		x := forecast.History{AsOf: h.AsOf, Share: h.Share, Zone: q.Zone, Days: make([]forecast.Day, len(days))}
		for i, w := range days {
			x.Days[i] = forecast.Day{Window: w, Cost: d.cost[i]}
		}
		return x
	}
	h.History, h.Since = history(whole), whole.since
	for k, d := range parts {
		h.Parts = append(h.Parts, PartHistory{Dims: k.Dims, Team: k.team, History: history(*d), Since: d.since})
	}
	slices.SortFunc(h.Parts, func(a, b PartHistory) int {
		for _, d := range q.By {
			if f := a.Field(d); f != nil {
				if c := cmp.Compare(*f, *b.Field(d)); c != 0 {
					return c
				}
			}
		}
		return cmp.Compare(a.Team, b.Team)
	})
	return h, nil
}

// knownDays are the days of which every hour up to asOf has been read, the running one included, from
// as far back as a forecast looks or the question goes.
func knownDays(ctx context.Context, store storage.Store, q HistoryQuery, asOf time.Time) ([]spend.Window, error) {
	first := asOf.AddDate(0, 0, -forecast.MaxDays)
	if q.From.Before(first) {
		first = q.From
	}
	all := spend.Window{Start: forecast.DayOf(first, q.Zone).Start, End: asOf}
	missing, err := storage.Missing(ctx, store, q.Organization, all, spend.FactUsage, spend.FactCost)
	if err != nil {
		return nil, fmt.Errorf("what is missing in %s: %w", all, err)
	}
	var days []spend.Window
	for day := forecast.DayOf(all.Start, q.Zone); day.Start.Before(asOf); day = forecast.DayOf(day.End, q.Zone) {
		if !slices.ContainsFunc(missing, day.Overlaps) {
			days = append(days, day)
		}
	}
	return days, nil
}

// daily is cost by day.
type daily struct {
	days []spend.Window
	cost []spend.Money

	since Figures // without Cost
}

// add adds a row to the day it lies in. Of a row that is only known by the UTC day, where days begin
// at another time, each day gets its hours' share.
func (d *daily) add(r storage.CostRow, from time.Time) {
	i, _ := slices.BinarySearchFunc(d.days, r.Start, func(w spend.Window, t time.Time) int {
		if !w.End.After(t) {
			return -1
		}
		return 1
	})
	row := spend.Window{Start: r.Start, End: r.End}
	if r.End.After(from) && (r.Cost != 0 || r.Unpriced > 0) {
		d.since.Add(Figures{Basis: r.Basis, Unpriced: r.Unpriced, Uncertain: r.Uncertain})
	}
	if i < len(d.days) && d.days[i].Covers(row) {
		d.cost[i] += r.Cost
		return
	}
	weights := []spend.Money{} // of each day, and of what lies in none
	rest := row.Duration()
	for j := i; j < len(d.days) && d.days[j].Overlaps(row); j++ {
		part := d.days[j].Intersect(row).Duration()
		weights = append(weights, spend.Money(part))
		rest -= part
	}
	for j, m := range spend.Shares(r.Cost, append(weights, spend.Money(rest))) {
		if j < len(weights) {
			d.cost[i+j] += m
		}
	}
}

// UsualShare is how much of a day's cost of the organization has usually come in by the time of day that
// asOf is at, in the zone; 0 where that cannot be told. It does not ask whether asOf has been read.
func UsualShare(ctx context.Context, store storage.Store, organization string, zone *time.Location, asOf time.Time) (float64, error) {
	running := forecast.DayOf(asOf, zone)
	days, err := knownDays(ctx, store, HistoryQuery{Organization: organization, From: running.Start, Zone: zone}, running.Start)
	if err != nil {
		return 0, err
	}
	where := []storage.Match{{Dimension: spend.ByOrganization, Values: []string{organization}}}
	return usualShare(ctx, store, where, append(days, running), asOf)
}

// usualShare is how much of a day's cost has usually come in by the time of day that asOf is at, by
// the hours of the last complete days; 0 where that cannot be told.
func usualShare(ctx context.Context, store storage.Store, where []storage.Match, days []spend.Window, asOf time.Time) (float64, error) {
	running := days[len(days)-1]
	if !running.Contains(asOf) {
		return 0, nil
	}
	into := asOf.Sub(running.Start)
	complete := days[max(0, len(days)-1-shareDays) : len(days)-1]
	if len(complete) == 0 || into <= 0 {
		return 0, nil
	}
	result, err := store.Costs(ctx, storage.Query{
		Window: spend.Window{Start: complete[0].Start, End: running.Start}, Step: spend.Hour, Where: where,
	})
	if err != nil {
		return 0, fmt.Errorf("costs by the hour: %w", err)
	}
	before, all := 0.0, 0.0
	for _, r := range result.Rows {
		if r.End.Sub(r.Start) > time.Hour || r.Cost <= 0 {
			continue
		}
		i := slices.IndexFunc(complete, func(d spend.Window) bool { return d.Contains(r.Start) })
		if i < 0 {
			continue
		}
		usual := spend.Window{Start: complete[i].Start, End: complete[i].Start.Add(into)}
		part := usual.Intersect(spend.Window{Start: r.Start, End: r.End})
		if !part.Empty() {
			before += r.Cost.USD() * part.Duration().Hours()
		}
		all += r.Cost.USD()
	}
	if all == 0 || before == 0 {
		return 0, nil
	}
	return min(1, before/all), nil
}
