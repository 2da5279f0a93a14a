package storage

import (
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Kinds of [InventoryChange].
const (
	KindWorkspace = "workspace"
	KindAPIKey    = "api_key"
	KindMember    = "member"
	KindInvite    = "invite"
)

// Fields of [InventoryChange] that are not a field's name.
const (
	FieldAdded = "added"
	FieldGone  = "gone"
)

// StoredWorkspace is a workspace and what a backend keeps beside it.
type StoredWorkspace struct {
	spend.Workspace
	LabelName   string // what the label was made from
	FirstSeenAt time.Time
	GoneAt      time.Time // zero while listed
}

// StoredAPIKey is a key and what a backend keeps beside it. LastUsed is not part of it.
type StoredAPIKey struct {
	spend.APIKey
	LabelName string
}

// MergeWorkspaces says what a list of all workspaces changes: the rows to write, whole, and the
// changes to record. The first list of all is the baseline: in it nothing counts as added.
func MergeWorkspaces(stored []StoredWorkspace, listed []spend.Workspace, baseline bool, now time.Time) ([]StoredWorkspace, []InventoryChange) {
	now = second(now)
	m := merge[StoredWorkspace]{kind: KindWorkspace, baseline: baseline, now: now, properties: func(w StoredWorkspace) []property {
		tags, _ := json.Marshal(w.Tags) // a map of strings cannot fail
		return []property{{"name", w.Name}, {"archived_at", stamp(w.ArchivedAt)}, {"tags", string(tags)}}
	}}
	before := byID(stored, func(w StoredWorkspace) string { return w.ID })
	after := maps.Clone(before)
	for _, w := range listed {
		w.Name, w.CreatedAt, w.ArchivedAt = WorkspaceName(w), second(w.CreatedAt), second(w.ArchivedAt)
		if w.Tags == nil {
			w.Tags = map[string]string{}
		}
		was, known := before[w.ID]
		now := StoredWorkspace{Workspace: w, LabelName: was.LabelName, FirstSeenAt: was.FirstSeenAt}
		now.Label = was.Label
		if !known {
			now.FirstSeenAt = m.now
		}
		m.seen(w.ID, was, now, known, was.GoneAt)
		after[w.ID] = now
	}
	for id, w := range after {
		if !m.listed[id] && w.GoneAt.IsZero() {
			m.gone(id, w)
			w.GoneAt = now
			after[id] = w
		}
	}
	things := make([]Labelled, 0, len(after))
	for _, w := range after {
		things = append(things, Labelled{w.ID, w.Name, w.LabelName, w.Label, w.FirstSeenAt})
	}
	GiveLabels(things)
	for _, t := range things {
		w := after[t.ID]
		w.Label, w.LabelName = t.Label, t.LabelName
		after[t.ID] = w
	}
	return different(before, after), m.sorted()
}

// MergeAPIKeys does for API keys what [MergeWorkspaces] does for workspaces.
func MergeAPIKeys(stored []StoredAPIKey, listed []spend.APIKey, baseline bool, now time.Time) ([]StoredAPIKey, []InventoryChange) {
	now = second(now)
	m := merge[StoredAPIKey]{kind: KindAPIKey, baseline: baseline, now: now, properties: func(k StoredAPIKey) []property {
		return []property{
			{"name", k.Name}, {"status", k.Status}, {"workspace_id", k.WorkspaceID},
			{"created_by_id", k.CreatedByID}, {"principal_id", k.PrincipalID}, {"expires_at", stamp(k.ExpiresAt)},
		}
	}}
	before := byID(stored, func(k StoredAPIKey) string { return k.ID })
	after := maps.Clone(before)
	for _, k := range listed {
		was, known := before[k.ID]
		k.CreatedAt, k.ExpiresAt = second(k.CreatedAt), second(k.ExpiresAt)
		k.Label, k.FirstSeenAt, k.GoneAt, k.LastUsed = was.Label, was.FirstSeenAt, time.Time{}, spend.Window{}
		if !known {
			k.FirstSeenAt = m.now
		}
		now := StoredAPIKey{k, was.LabelName}
		m.seen(k.ID, was, now, known, was.GoneAt)
		after[k.ID] = now
	}
	for id, k := range after {
		if !m.listed[id] && k.GoneAt.IsZero() {
			m.gone(id, k)
			k.GoneAt = now
			after[id] = k
		}
	}
	things := make([]Labelled, 0, len(after))
	for _, k := range after {
		things = append(things, Labelled{k.ID, k.Name, k.LabelName, k.Label, k.FirstSeenAt})
	}
	GiveLabels(things)
	for _, t := range things {
		k := after[t.ID]
		k.Label, k.LabelName = t.Label, t.LabelName
		after[t.ID] = k
	}
	return different(before, after), m.sorted()
}

// MemberChanges says what a list of all members changes.
func MemberChanges(stored, listed []spend.Member, baseline bool, now time.Time) []InventoryChange {
	m := merge[spend.Member]{kind: KindMember, baseline: baseline, now: second(now), properties: func(p spend.Member) []property {
		return []property{{"email", p.Email}, {"name", p.Name}, {"role", p.Role}}
	}}
	return m.lists(stored, listed, func(p spend.Member) string { return p.ID })
}

// InviteChanges says what a list of all invites changes.
func InviteChanges(stored, listed []spend.Invite, baseline bool, now time.Time) []InventoryChange {
	m := merge[spend.Invite]{kind: KindInvite, baseline: baseline, now: second(now), properties: func(i spend.Invite) []property {
		return []property{{"email", i.Email}, {"role", i.Role}, {"status", i.Status}}
	}}
	return m.lists(stored, listed, func(i spend.Invite) string { return i.ID })
}

// property is a field whose changes are recorded.
type property struct{ name, value string }

// merge collects the changes between two lists of a kind of thing.
type merge[T any] struct {
	kind       string
	baseline   bool
	now        time.Time
	properties func(T) []property // the first one names the thing
	listed     map[string]bool
	changes    []InventoryChange
}

func (m *merge[T]) lists(stored, listed []T, id func(T) string) []InventoryChange {
	before := byID(stored, id)
	for _, x := range listed {
		was, known := before[id(x)]
		m.seen(id(x), was, x, known, time.Time{})
	}
	for i, x := range before {
		if !m.listed[i] {
			m.gone(i, x)
		}
	}
	return m.sorted()
}

// seen records how a listed thing differs from before.
func (m *merge[T]) seen(id string, was, now T, known bool, goneAt time.Time) {
	if m.listed == nil {
		m.listed = map[string]bool{}
	}
	m.listed[id] = true
	ps := m.properties(now)
	if !known || !goneAt.IsZero() {
		if !m.baseline {
			m.record(id, FieldAdded, "", ps[0].value)
		}
	}
	if !known {
		return
	}
	for i, p := range m.properties(was) {
		if p.value != ps[i].value {
			m.record(id, p.name, p.value, ps[i].value)
		}
	}
}

func (m *merge[T]) gone(id string, was T) { m.record(id, FieldGone, m.properties(was)[0].value, "") }

func (m *merge[T]) record(id, field, old, now string) {
	m.changes = append(m.changes, InventoryChange{At: m.now, Kind: m.kind, ID: id, Field: field, Old: old, New: now})
}

func (m *merge[T]) sorted() []InventoryChange {
	slices.SortFunc(m.changes, func(a, b InventoryChange) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Field, b.Field))
	})
	return m.changes
}

func byID[T any](things []T, id func(T) string) map[string]T {
	m := map[string]T{}
	for _, t := range things {
		m[id(t)] = t
	}
	return m
}

// different are the things of after that before has not so, by id.
func different[T any](before, after map[string]T) []T {
	var out []T
	for _, id := range slices.Sorted(maps.Keys(after)) {
		if was, known := before[id]; !known || !reflect.DeepEqual(was, after[id]) {
			out = append(out, after[id])
		}
	}
	return out
}

// second cuts a time to what is stored.
func second(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// stamp is a time as a change records it; never is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
