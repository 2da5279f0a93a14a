// Package team says which team's a piece of use is: by its API key, else by its workspace, else by
// a tag of the workspace. What no team claims is [Unmapped]. It is the only place that knows.
//
// The section teams of the configuration ([Teams]) names workspaces and keys by patterns.
// [Teams.Map] resolves it against the inventory of one organization; the [Map] answers
// for ids, and is what is stored for SQL. [Costs] and [Usage] ask the store and tell
// the answer apart by team, exactly: a bill is cut only where the keys of several teams share a cell.
//
// A pattern means what the inventory lists, by name, label or id. The mapping is of today and holds
// for all history: a key that changes its team takes its history with it.
package team

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Unmapped is the team of what no team claims.
const Unmapped = "unmapped"

// Teams is the section teams of the configuration. Where two of a kind claim the same thing the
// first listed has it.
type Teams []Team

// Team is an owner of workspaces and keys. A value of its lists may end in * for all that begin so.
type Team struct {
	// Its name, a value of the dimension team.
	Name string `yaml:"name"`
	// Names or ids of workspaces; a value may end in *.
	Workspaces []string `yaml:"workspaces"`
	// Names or ids of API keys, which count before workspaces; a value may end in *.
	APIKeys []string `yaml:"api_keys"`
	// Tags of workspaces, key=value, which count after workspaces; a value may end in *.
	Tags []string `yaml:"tags"`
}

// Kind is what an entry claims.
type Kind string

// The kinds, by precedence.
const (
	ByAPIKey    Kind = "api_keys"
	ByWorkspace Kind = "workspaces"
	ByTag       Kind = "tags"
)

// Entry is one value of the configuration's lists.
type Entry struct {
	Path  string // such as teams[0].api_keys[1]
	Team  string
	Kind  Kind
	Value string
}

// Entries lists all entries in the order in which they claim things.
func (ts Teams) Entries() []Entry {
	var es []Entry
	for i, t := range ts {
		for _, l := range []struct {
			kind   Kind
			values []string
		}{{ByAPIKey, t.APIKeys}, {ByWorkspace, t.Workspaces}, {ByTag, t.Tags}} {
			for j, v := range l.values {
				es = append(es, Entry{fmt.Sprintf("teams[%d].%s[%d]", i, l.kind, j), t.Name, l.kind, v})
			}
		}
	}
	return es
}

// Names lists the teams' names, in order.
func (ts Teams) Names() []string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.Name
	}
	return names
}

// Check reports everything that is wrong, by path, such as "teams[0].name".
func (ts Teams) Check(report func(path, format string, args ...any)) {
	for i, t := range ts {
		path := fmt.Sprintf("teams[%d]", i)
		same := slices.IndexFunc(ts[:i], func(o Team) bool { return o.Name == t.Name })
		switch {
		case strings.TrimSpace(t.Name) == "":
			report(path+".name", "must be set")
		case t.Name == Unmapped:
			report(path+".name", "must not be %q, which is what belongs to no team", Unmapped)
		case strings.Contains(t.Name, "*"):
			report(path+".name", "must not contain *, which filters by team end in")
		case same >= 0:
			report(path+".name", "is the name of teams[%d] too", same)
		}
		if len(t.Workspaces)+len(t.APIKeys)+len(t.Tags) == 0 {
			report(path, "claims nothing: it needs workspaces, api_keys or tags")
		}
	}
	es := ts.Entries()
	for i, e := range es {
		if !e.check(report) {
			continue
		}
		for _, o := range es[:i] {
			if o.Kind == e.Kind && o.index() != e.index() && overlap(o.Value, e.Value) {
				report(e.Path, "%q of team %q overlaps with %q of team %q (%s): one thing belongs to one team", e.Value, e.Team, o.Value, o.Team, o.Path)
			}
		}
	}
}

// index is the part of the path that says which team it is.
func (e Entry) index() string { return e.Path[:strings.IndexByte(e.Path, ']')] }

// check reports what is wrong with the entry by itself.
func (e Entry) check(report func(path, format string, args ...any)) bool {
	key, _, tagged := strings.Cut(e.Value, "=")
	switch {
	case strings.TrimSpace(e.Value) == "":
		report(e.Path, "must not be empty")
	case strings.Contains(strings.TrimSuffix(e.Value, "*"), "*"):
		report(e.Path, "%q may have a * at its end only", e.Value)
	case e.Kind == ByTag && (!tagged || key == ""):
		report(e.Path, "%q must be a tag of workspaces and its value, such as team=search", e.Value)
	default:
		return true
	}
	return false
}

// overlap reports whether something may be called by both patterns.
func overlap(a, b string) bool {
	p, anyA := strings.CutSuffix(a, "*")
	q, anyB := strings.CutSuffix(b, "*")
	switch {
	case anyA && anyB:
		return strings.HasPrefix(p, q) || strings.HasPrefix(q, p)
	case anyA:
		return strings.HasPrefix(b, p)
	case anyB:
		return strings.HasPrefix(a, q)
	default:
		return a == b
	}
}

// Matches reports whether the pattern, which may end in *, means something that is called so.
// Empty names mean nothing.
func Matches(pattern string, called ...string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return slices.ContainsFunc(called, func(c string) bool {
		return c != "" && (c == pattern || open && strings.HasPrefix(c, prefix))
	})
}

// Map says whose the use of one organization is. The zero Map is that of no teams.
type Map struct {
	configured       bool
	keys, workspaces map[string]string // team by id
	matched          map[string]bool   // paths of the entries that mean something
	conflicts        []Conflict
}

// Conflict is a thing that entries of several teams claim and the first listed has.
type Conflict struct {
	Kind        Kind
	ID, Name    string
	Winner, Too Entry
}

func (c Conflict) String() string {
	thing := map[Kind]string{ByAPIKey: "API key", ByWorkspace: "workspace", ByTag: "workspace"}[c.Kind]
	return fmt.Sprintf("%s %q is claimed by %q of team %q (%s), which is listed first and has it, and by %q of team %q (%s)",
		thing, c.Name, c.Winner.Value, c.Winner.Team, c.Winner.Path, c.Too.Value, c.Too.Team, c.Too.Path)
}

// Map resolves the teams against an organization's inventory.
func (ts Teams) Map(workspaces []spend.Workspace, keys []spend.APIKey) Map {
	m := Map{configured: len(ts) > 0, keys: map[string]string{}, workspaces: map[string]string{}, matched: map[string]bool{}}
	es := ts.Entries()
	claim := func(kind Kind, id, name string, called ...string) string {
		var first *Entry
		for i, e := range es {
			if e.Kind != kind || !Matches(e.Value, called...) {
				continue
			}
			m.matched[e.Path] = true
			switch {
			case first == nil:
				first = &es[i]
			case first.Team != e.Team:
				m.conflicts = append(m.conflicts, Conflict{kind, id, name, *first, e})
			}
		}
		if first == nil {
			return ""
		}
		return first.Team
	}
	for _, k := range keys {
		if t := claim(ByAPIKey, k.ID, labelOr(k.Label, k.Name, k.ID), k.Name, k.Label, k.ID); t != "" {
			m.keys[k.ID] = t
		}
	}
	for _, w := range workspaces {
		name := labelOr(w.Label, w.Name, w.ID)
		t := claim(ByWorkspace, w.ID, name, w.Name, w.Label, w.ID)
		var tags []string
		for _, k := range slices.Sorted(maps.Keys(w.Tags)) {
			tags = append(tags, k+"="+w.Tags[k])
		}
		before := len(m.conflicts)
		if byTag := claim(ByTag, w.ID, name, tags...); t == "" {
			t = byTag
		} else {
			m.conflicts = m.conflicts[:before] // tags do not matter
		}
		if t != "" {
			m.workspaces[w.ID] = t
		}
	}
	return m
}

func labelOr(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// Of is the team of what a key used in a workspace, by ids: [Unmapped] where none claims it, empty
// where there are no teams. Use without a key, and what no key can be told for, is its workspace's.
func (m Map) Of(workspaceID, apiKeyID string) string {
	if t := m.keys[apiKeyID]; t != "" {
		return t
	}
	if t := m.workspaces[workspaceID]; t != "" {
		return t
	}
	if m.configured {
		return Unmapped
	}
	return ""
}

// Matched reports whether the entry at the path means something of the inventory.
func (m Map) Matched(path string) bool { return m.matched[path] }

// Conflicts lists what several teams claim.
func (m Map) Conflicts() []Conflict { return m.conflicts }

// Equal reports whether both say the same of everything.
func (m Map) Equal(o Map) bool {
	return m.configured == o.configured && maps.Equal(m.keys, o.keys) && maps.Equal(m.workspaces, o.workspaces)
}

// Stored is the mapping as the store keeps it for SQL.
func (m Map) Stored() []storage.TeamOf {
	var out []storage.TeamOf
	add := func(kind string, teams map[string]string) {
		for _, id := range slices.Sorted(maps.Keys(teams)) {
			out = append(out, storage.TeamOf{Kind: kind, ID: id, Team: teams[id]})
		}
	}
	add(storage.KindAPIKey, m.keys)
	add(storage.KindWorkspace, m.workspaces)
	if m.configured {
		out = append(out, storage.TeamOf{Kind: storage.KindRest, Team: Unmapped})
	}
	return out
}
