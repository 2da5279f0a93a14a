package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Input is what the store knows of an organization.
type Input struct {
	Organization spend.Organization
	// Several says that commands must name the organization.
	Several bool

	Workspaces       []spend.Workspace
	Keys             []spend.APIKey
	Members          []spend.Member
	WorkspaceMembers []spend.WorkspaceMember
	Invites          []spend.Invite
	Lists            []storage.ListRead
	Changes          []storage.InventoryChange // newest first

	// UsageAt is up to where use is known, HistorySince from when on; zero: nothing is. MissingHours is
	// how many hours in between were never read.
	UsageAt, HistorySince time.Time
	MissingHours          int64
	// Recent and Before are the use of keys in the two windows that are compared; Earlier is when the keys
	// that may have woken were used before both.
	Recent, Before []storage.KeySpan
	Earlier        map[string]spend.Window

	// Costs is what each key cost in the last 30 UTC days, today included, and CostAt how far it goes.
	Costs  map[string]storage.KeyCost
	CostAt time.Time
}

// earlier is how far before the windows the last use of keys that woke is looked for: as far as the sweep
// on first start goes.
const earlier = 365 * 24 * time.Hour

// read reads what the store knows.
func (a *Auditor) read(ctx context.Context, o spend.Organization, now time.Time) (in Input, err error) {
	in = Input{Organization: o, Several: a.Several, Earlier: map[string]spend.Window{}}
	for _, read := range []func() error{
		func() error { return into(ctx, "workspaces", &in.Workspaces, a.Store.Workspaces, o.ID) },
		func() error { return into(ctx, "api keys", &in.Keys, a.Store.APIKeys, o.ID) },
		func() error { return into(ctx, "members", &in.Members, a.Store.Members, o.ID) },
		func() error {
			return into(ctx, "workspace members", &in.WorkspaceMembers, a.Store.WorkspaceMembers, o.ID)
		},
		func() error { return into(ctx, "invites", &in.Invites, a.Store.Invites, o.ID) },
		func() error { return into(ctx, "lists read", &in.Lists, a.Store.ListReads, o.ID) },
	} {
		if err := read(); err != nil {
			return in, err
		}
	}
	all := spend.Window{Start: time.Unix(0, 0).UTC(), End: now.Add(24 * time.Hour)}
	if in.Changes, err = a.Store.InventoryChanges(ctx, o.ID, all); err != nil {
		return in, fmt.Errorf("inventory changes: %w", err)
	}
	if err := a.readUse(ctx, &in, now); err != nil {
		return in, err
	}
	window := CostWindow(now)
	costs, err := report.Run(ctx, a.Store, report.Params{
		Kind: report.Costs, Step: report.StepTotal, By: []spend.Dimension{spend.ByAPIKey},
		From: window.Start, To: window.End,
		Where: []report.Filter{{Dimension: spend.ByOrganization, Values: []string{o.ID}}},
	})
	if err != nil {
		return in, err
	}
	in.Costs, in.CostAt = map[string]storage.KeyCost{}, costs.AsOf
	for _, r := range costs.Rows {
		if r.APIKeyID != "" && r.APIKeyID != spend.NoKey {
			in.Costs[r.APIKeyID] = storage.KeyCost{Cost: r.Cost, Basis: r.Basis}
		}
	}
	return in, nil
}

// CostDays is how many days what a key cost is told for.
const CostDays = 30

// CostWindow is the days, in UTC and the one of now included, that what a key cost is told for.
func CostWindow(now time.Time) spend.Window {
	end := spend.Day.Floor(now).AddDate(0, 0, 1)
	return spend.Window{Start: end.AddDate(0, 0, -CostDays), End: end}
}

func into[T any](ctx context.Context, what string, list *[]T, read func(context.Context, string) ([]T, error), organization string) (err error) {
	if *list, err = read(ctx, organization); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// readUse reads how far use is known, and what of it is compared.
func (a *Auditor) readUse(ctx context.Context, in *Input, now time.Time) (err error) {
	sources := report.Sources{}
	sources.Add(in.Organization.ID, true, false, false)
	if in.UsageAt, err = sources.AsOf(ctx, a.Store); err != nil {
		return err
	}
	slots, err := a.Store.Slots(ctx, in.Organization.ID, spend.FactUsage, spend.Window{Start: time.Unix(0, 0).UTC(), End: now})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	in.HistorySince, in.MissingHours = history(slots)
	if in.UsageAt.IsZero() || in.HistorySince.IsZero() || !a.Config.Moved && a.Config.WokeAfter == 0 {
		return nil
	}
	latest, past := windows(a.Config, in.UsageAt)
	if in.Recent, err = a.Store.KeySpans(ctx, in.Organization.ID, latest, nil); err != nil {
		return fmt.Errorf("recent use: %w", err)
	}
	// The days just before settle most keys; of the others more is read.
	near := spend.Window{Start: past.End.Add(-recent), End: past.End}
	if in.Before, err = a.Store.KeySpans(ctx, in.Organization.ID, near, nil); err != nil {
		return fmt.Errorf("use before: %w", err)
	}
	open := a.open(in)
	more, err := a.Store.KeySpans(ctx, in.Organization.ID, spend.Window{Start: past.Start, End: near.Start}, open)
	if err != nil {
		return fmt.Errorf("use before: %w", err)
	}
	in.Before = append(in.Before, more...)
	found, err := a.Store.KeySpans(ctx, in.Organization.ID, spend.Window{Start: past.Start.Add(-earlier), End: past.Start}, a.slept(in, open))
	if err != nil {
		return fmt.Errorf("earlier use: %w", err)
	}
	for _, s := range found {
		if in.Earlier[s.APIKeyID].Start.Before(s.Last.Start) {
			in.Earlier[s.APIKeyID] = s.Last
		}
	}
	return nil
}

// open lists the keys with recent use of which the days just before do not show that they neither slept nor
// moved.
func (a *Auditor) open(in *Input) []string {
	before := spansByKey(in.Before)
	open := []string{}
	for id, recent := range spansByKey(in.Recent) {
		settled := len(before[id]) > 0
		for _, s := range recent {
			known := func(same func(storage.KeySpan) bool) bool { return slices.ContainsFunc(before[id], same) }
			settled = settled && known(func(b storage.KeySpan) bool { return b.WorkspaceID == s.WorkspaceID }) &&
				known(func(b storage.KeySpan) bool { return b.Model == s.Model })
		}
		if !settled {
			open = append(open, id)
		}
	}
	slices.Sort(open)
	return open
}

// slept lists those of the keys that were not used in the windows before and may have slept all the time. A
// key that is new cannot have.
func (a *Auditor) slept(in *Input, keys []string) []string {
	slept := []string{}
	if a.Config.WokeAfter == 0 {
		return slept
	}
	before, recent := spansByKey(in.Before), spansByKey(in.Recent)
	for _, k := range in.Keys {
		if _, ok := slices.BinarySearch(keys, k.ID); !ok || len(before[k.ID]) > 0 {
			continue
		}
		if in.UsageAt.Sub(k.CreatedAt) >= a.Config.WokeAfter.Duration() && len(recent[k.ID]) > 0 {
			slept = append(slept, k.ID)
		}
	}
	return slept
}

// longestGap is how long a gap in the history may be for what is before it to count as known.
const longestGap = 24 * time.Hour

// history is from when on use is known, but for short gaps, and how many hours those have.
func history(slots []storage.Slot) (since time.Time, missing int64) {
	windows := make([]spend.Window, len(slots))
	for i, s := range slots {
		windows[i] = s.Window
	}
	joined := spend.Join(windows)
	for i := len(joined) - 1; i >= 0; i-- {
		if !since.IsZero() {
			gap := since.Sub(joined[i].End)
			if gap > longestGap {
				break
			}
			missing += int64(gap / time.Hour)
		}
		since = joined[i].Start
	}
	return since, missing
}
