package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// NewConfig fires when something is seen for the first time. What is there at the first look, and in
// the history fetched then, is not new. The alert ends by itself after a day, without a message.
type NewConfig struct {
	// What: model (by use), api_key, admin, workspace.
	What []NewThing `yaml:"what" jsonschema:"enum=model,enum=api_key,enum=admin,enum=workspace"`
}

// NewThing is a kind of thing that may be new.
type NewThing string

// The kinds.
const (
	NewModel     NewThing = "model"
	NewAPIKey    NewThing = "api_key"
	NewAdmin     NewThing = "admin"
	NewWorkspace NewThing = "workspace"
)

// NewThings lists the kinds.
var NewThings = []NewThing{NewModel, NewAPIKey, NewAdmin, NewWorkspace}

// newFor is how long something is new.
const newFor = 24 * time.Hour

func (*NewConfig) kind() string { return "new" }

func (c *NewConfig) check(p problems, r *RuleConfig) {
	if len(c.What) == 0 {
		p("new.what", "must list some of %s", join(NewThings))
	}
	for i, w := range c.What {
		if !slices.Contains(NewThings, w) {
			p(fmt.Sprintf("new.what[%d]", i), "must be one of %s", join(NewThings))
		} else if slices.Contains(c.What[:i], w) {
			p(fmt.Sprintf("new.what[%d]", i), "is there twice")
		}
	}
	for i, d := range r.By {
		if d != spend.ByOrganization {
			p(fmt.Sprintf("by[%d]", i), "does not go with new, which has an alert for each new thing by itself")
		}
	}
}

func (c *NewConfig) judge(ctx context.Context, v *view, r *rule) (verdict, error) {
	out := verdict{}
	quiet := map[string]bool{} // kinds that cannot be told now
	for _, what := range c.What {
		var fs []finding
		var note string
		var err error
		switch {
		case what == NewModel:
			fs, note, err = c.models(ctx, v, r)
		case v.replay && v.now.Before(v.org.FirstSeenAt):
			note = fmt.Sprintf("new API keys, admins and workspaces are known from %s on", stamp(v.org.FirstSeenAt))
		default:
			fs, err = c.listed(ctx, v, r, what)
		}
		if err != nil {
			return verdict{}, err
		}
		if note != "" {
			out.note = note
			quiet[string(what)] = true
		}
		out.findings = append(out.findings, fs...)
	}
	out.unknown = func(subject string) bool {
		for what := range quiet {
			if len(subject) > len(what) && subject[:len(what)+1] == what+"=" {
				return true
			}
		}
		return false
	}
	out.over = func(string) bool { return true } // what is no longer new needs no message
	return out, nil
}

// models finds models whose first use is less than a day ago.
func (c *NewConfig) models(ctx context.Context, v *view, r *rule) ([]finding, string, error) {
	if why := v.old(Tokens); why != "" {
		return nil, why, nil
	}
	if v.org.LiveAt.IsZero() {
		return nil, "live collection has not begun yet", nil
	}
	history := spend.Window{Start: spend.Day.Floor(v.org.LiveAt.Add(-v.options.Backfill)), End: spend.Day.Floor(v.org.LiveAt)}
	if v.now.Sub(v.org.LiveAt) < 24*time.Hour && !v.replay { // after a day it will not come any more
		holes, err := v.incomplete(ctx, history)
		if err != nil || holes {
			return nil, "waiting for the history: what is in it is not new", err
		}
	}
	recent := spend.Window{Start: spend.Day.Floor(v.dataAt).AddDate(0, 0, -1), End: spend.Hour.Ceil(latest(v.now, v.dataAt))}
	if v.replay {
		recent.End = v.dataAt
		history.Start = earliest(history.Start, recent.Start.AddDate(0, 0, -90))
	}
	s := v.shapeOf(false, append(r.dimensions(), spend.ByModel))
	if err := v.need(ctx, s, recent, true); err != nil {
		return nil, "", err
	}
	if err := v.need(ctx, s, spend.Window{Start: history.Start, End: recent.Start}, false); err != nil {
		return nil, "", err
	}
	g := v.grouped(r, s)
	old := map[string]bool{}
	for day, cells := range s.days {
		if day < recent.Start.Unix() {
			for _, x := range cells.total {
				old[s.dims[x.id].Model] = true
			}
		}
	}
	first := map[string]time.Time{}
	where := map[string]spend.Dims{}
	for _, h := range recent.Buckets(spend.Hour) {
		day := s.days[spend.Day.Floor(h.Start).Unix()]
		cells := day.hours[h.Start.Hour()]
		if h.Start.Hour() == 0 {
			cells = slices.Concat(cells, day.whole)
		}
		for _, x := range cells {
			d := s.dims[x.id]
			if _, ok := first[d.Model]; !ok && d.Model != "" && g.of[x.id] >= 0 && (x.tokens > 0 || x.requests > 0) {
				first[d.Model], where[d.Model] = h.Start, d
			}
		}
	}
	// Before live collection began it is history, whenever that was read. Of an organization that was not
	// used before the hour in which it began, that hour is too.
	begun := spend.Hour.Floor(v.org.LiveAt)
	earlier := len(old) > 0
	for _, at := range first {
		earlier = earlier || at.Before(begun)
	}
	if !earlier {
		begun = begun.Add(time.Hour)
	}
	var out []finding
	for model, at := range first {
		if old[model] || !v.replay && at.Before(begun) || v.dataAt.Sub(at) >= newFor {
			continue
		}
		f := finding{
			subject: "model=" + model, labels: map[string]string{"model": model}, asOf: v.dataAt,
			summary: fmt.Sprintf("New model in %s: %s, first used in the hour from %s", v.org.Name, model, stamp(at)),
		}
		if d := where[model]; d.WorkspaceID != "" {
			f.description = "Workspace " + oneLine(v.inventory.label(spend.ByWorkspace, d.WorkspaceID))
		}
		out = append(out, f)
	}
	return ordered(out), "", nil
}

// listed finds what the inventory had added in the last day.
func (c *NewConfig) listed(ctx context.Context, v *view, r *rule, what NewThing) ([]finding, error) {
	changes, err := v.store.InventoryChanges(ctx, v.organization, spend.Window{Start: v.now.Add(-newFor).Add(time.Second), End: v.now.Add(time.Second)})
	if err != nil {
		return nil, fmt.Errorf("changes of the inventory: %w", err)
	}
	var people map[string]spend.Member
	if what == NewAdmin {
		people = map[string]spend.Member{}
		ms, err := v.store.Members(ctx, v.organization)
		if err != nil {
			return nil, fmt.Errorf("members: %w", err)
		}
		for _, m := range ms {
			people[m.ID] = m
		}
	}
	var out []finding
	seen := map[string]bool{}
	for _, x := range changes {
		f, ok := c.change(v, r, what, x, people)
		if ok && !seen[f.subject] {
			seen[f.subject] = true
			out = append(out, f)
		}
	}
	return ordered(out), nil
}

// kinds of the inventory, by what may be new in it.
var inventoryKinds = map[NewThing]string{NewAPIKey: storage.KindAPIKey, NewWorkspace: storage.KindWorkspace, NewAdmin: storage.KindMember}

func (c *NewConfig) change(v *view, r *rule, what NewThing, x storage.InventoryChange, people map[string]spend.Member) (finding, bool) {
	if x.Kind != inventoryKinds[what] {
		return finding{}, false
	}
	f := finding{subject: string(what) + "=" + x.ID, asOf: x.At}
	let := func(d spend.Dimension, patterns []string, id string) bool {
		return len(patterns) == 0 || matches(patterns, v.inventory.called(d, id)...)
	}
	switch what {
	case NewWorkspace:
		if x.Field != storage.FieldAdded || !let(spend.ByWorkspace, r.Where.Workspace, x.ID) {
			return f, false
		}
		name := v.inventory.label(spend.ByWorkspace, x.ID)
		f.labels = map[string]string{"workspace": name}
		f.summary = fmt.Sprintf("New workspace in %s: %s", v.org.Name, name)
	case NewAPIKey:
		in := v.inventory.keys[x.ID].workspace
		if x.Field != storage.FieldAdded || !let(spend.ByAPIKey, r.Where.APIKey, x.ID) || !let(spend.ByWorkspace, r.Where.Workspace, in) {
			return f, false
		}
		name, workspace := v.inventory.label(spend.ByAPIKey, x.ID), v.inventory.label(spend.ByWorkspace, in)
		f.labels = map[string]string{"api_key": name, "workspace": workspace}
		f.summary = fmt.Sprintf("New API key in %s: %s", v.org.Name, name)
		if workspace != "" {
			f.summary += ", workspace " + workspace
		}
	default:
		m := people[x.ID]
		if m.Role != "admin" || x.Field != storage.FieldAdded && (x.Field != "role" || x.New != "admin") {
			return f, false
		}
		f.labels = map[string]string{"admin": m.Email}
		f.summary = fmt.Sprintf("New admin of %s: %s", v.org.Name, m.Email)
		if x.Field == "role" {
			f.description = fmt.Sprintf("The role was %s before.", x.Old)
		}
	}
	return f, true
}
