package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// warn says that something is likely not as it is meant; it is no failure.
func (d *doctor) warn(what, result string) {
	fmt.Fprintf(d.stdout, "warn  %-16s %s\n", what, printableLines(result))
}

// patterns looks for parts of the configuration that mean nothing that is stored.
func (d *doctor) patterns(config *Config, store storage.Store) {
	if len(config.Teams) == 0 && len(config.Prices) == 0 {
		return
	}
	orgs, err := store.Organizations(d.ctx)
	if err != nil {
		d.say(false, "database", err.Error())
		return
	}
	if len(config.Teams) > 0 {
		d.teams(config.Teams, store, orgs)
	}
	if len(config.Prices) > 0 {
		d.prices(config, store)
	}
}

// teams says what of the teams' claims means nothing, or the same thing twice.
func (d *doctor) teams(ts team.Teams, store storage.Store, orgs []storage.OrganizationState) {
	there := map[team.Kind]map[string]bool{team.ByAPIKey: {}, team.ByWorkspace: {}, team.ByTag: {}}
	var all []team.Map
	inventory := 0
	for _, o := range orgs {
		workspaces, err := store.Workspaces(d.ctx, o.ID)
		if err != nil {
			d.say(false, "teams", err.Error())
			return
		}
		keys, err := store.APIKeys(d.ctx, o.ID)
		if err != nil {
			d.say(false, "teams", err.Error())
			return
		}
		inventory += len(workspaces) + len(keys)
		for _, w := range workspaces {
			there[team.ByWorkspace][w.Label] = true
			for tag, value := range w.Tags {
				there[team.ByTag][tag+"="+value] = true
			}
		}
		for _, k := range keys {
			there[team.ByAPIKey][k.Label] = true
		}
		all = append(all, ts.Map(workspaces, keys))
	}
	if inventory == 0 {
		d.note("teams", "not compared with workspaces and keys: none are stored yet")
		return
	}
	fine := true
	for _, e := range ts.Entries() {
		if !slices.ContainsFunc(all, func(m team.Map) bool { return m.Matched(e.Path) }) {
			fine = false
			d.warn("teams", fmt.Sprintf("%s: %q of team %q matches nothing; there is: %s", e.Path, e.Value, e.Team, existing(there[e.Kind])))
		}
	}
	for _, m := range all {
		for _, c := range m.Conflicts() {
			fine = false
			d.warn("teams", c.String())
		}
	}
	if fine {
		d.say(true, "teams", fmt.Sprintf("%s: every workspace, key and tag they name exists", strings.Join(ts.Names(), ", ")))
	}
}

// modelsSeen is how far back a model counts as being in use.
const modelsSeen = 400 * 24 * time.Hour

// prices says which of the configured prices are of no model that was ever used.
func (d *doctor) prices(config *Config, store storage.Store) {
	now := time.Now().UTC()
	used, err := store.Usage(d.ctx, storage.Query{
		Window: spend.Window{Start: now.Add(-modelsSeen), End: now}, By: []spend.Dimension{spend.ByModel},
	})
	if err != nil {
		d.say(false, "prices", err.Error())
		return
	}
	models := map[string]bool{}
	for _, r := range used.Rows {
		if r.Model != "" {
			models[r.Model] = true
		}
	}
	if len(models) == 0 {
		d.note("prices", "not compared with models: no usage is stored yet")
		return
	}
	fine := true
	for _, pattern := range slices.Sorted(maps.Keys(config.Prices)) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(models)), config.Prices.Matcher(pattern)) {
			fine = false
			d.warn("prices", fmt.Sprintf("prices.%s matches no model that was used; there is: %s", pattern, existing(models)))
		}
	}
	if fine {
		d.say(true, "prices", "every model of the configuration was used")
	}
}

// existing lists names, not too many.
func existing(names map[string]bool) string {
	const most = 20
	sorted := slices.Sorted(maps.Keys(names))
	if len(sorted) == 0 {
		return "none"
	}
	s := strings.Join(sorted[:min(most, len(sorted))], ", ")
	if more := len(sorted) - most; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
