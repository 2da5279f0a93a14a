package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// key is a key under examination.
type key struct {
	spend.APIKey
	usable bool // by whoever has it
	// Since when no use was seen, as far as the history reaches; zero: nothing can be said.
	idleSince      time.Time
	recent, before []storage.KeySpan
}

// inUse reports whether the key was used within a week of what is known.
func (x *examination) inUse(k *key) bool {
	return !k.LastUsed.Empty() && x.UsageAt.Sub(k.LastUsed.End) < 7*24*time.Hour
}

// keys makes the checks about keys. Keys that are not listed any more are not looked at.
func (x *examination) keys() {
	if x.HistorySince.IsZero() || x.UsageAt.IsZero() {
		x.gap("no usage was read yet", Unused, NeverUsed, Inactive, Woke, Moved)
	} else {
		known := x.UsageAt.Sub(x.HistorySince)
		tooShort := "the history of use begins " + dayOf(x.HistorySince) + ": what was before it is not known"
		for _, c := range []struct {
			name string
			need time.Duration
		}{{Unused, x.UnusedFor.Duration()}, {Woke, x.WokeAfter.Duration()}, {Inactive, x.InactiveFor.Duration()}, {Moved, recent + settled}} {
			if known < c.need {
				x.gap(tooShort, c.name)
			}
		}
	}
	_, problem := x.list(storage.ListMembers, len(x.Members) == 0)
	if problem != "" {
		x.gap(problem, CreatorLeft)
	}
	if _, problem := x.list(storage.ListAPIKeys, len(x.Keys) == 0); problem != "" {
		for _, c := range checks[:slices.IndexFunc(checks, func(c check) bool { return c.name == TooManyAdmins })] {
			x.gap(problem, c.name)
		}
	}
	// Use before a hole in the history says nothing: what is in the hole, such as all that the first start has not
	// come to yet, may be use too.
	recent, before := spansByKey(x.Recent), spansByKey(slices.DeleteFunc(slices.Clone(x.Before), func(s storage.KeySpan) bool {
		return !s.Last.End.After(x.HistorySince)
	}))
	usable := 0
	for _, k := range x.Keys {
		if !k.GoneAt.IsZero() || k.Status == "archived" {
			continue
		}
		expired := k.Status == "expired" || !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(x.now)
		k := &key{APIKey: k, usable: k.Status != "inactive" && !expired, recent: recent[k.ID], before: before[k.ID]}
		if !x.HistorySince.IsZero() && !x.UsageAt.IsZero() {
			k.idleSince = latest(k.CreatedAt, k.LastUsed.End, x.HistorySince)
		}
		if expired {
			x.expired(k)
		}
		x.inactive(k)
		x.archivedWorkspace(k)
		if !k.usable {
			continue
		}
		usable++
		x.idle(k)
		x.age(k)
		x.expiry(k)
		x.creatorLeft(k)
		x.defaultWorkspace(k)
		x.woke(k)
		x.moved(k)
		x.name(k)
	}
	if x.on(TooManyKeys) && usable > x.MaxActiveKeys {
		x.organization(storage.AuditFinding{
			Check: TooManyKeys, Severity: Warning, What: fmt.Sprintf("%d active keys, more than %d", usable, x.MaxActiveKeys),
			Evidence: "keys that are neither disabled, archived nor expired", Advice: "disable those that nobody needs; begin with unused and never_used",
			Command: x.command("keys", "list", "--where", "status=active"),
		})
	}
}

func spansByKey(spans []storage.KeySpan) map[string][]storage.KeySpan {
	by := map[string][]storage.KeySpan{}
	for _, s := range spans {
		by[s.APIKeyID] = append(by[s.APIKeyID], s)
	}
	return by
}

// key adds a finding about a key.
func (x *examination) key(k *key, f storage.AuditFinding) {
	if !x.on(f.Check) {
		return
	}
	f.About, f.ID, f.Name, f.WorkspaceID, f.Owner = storage.AboutKey, k.ID, cmp.Or(k.Label, k.Name, k.ID), k.WorkspaceID, x.owner(k.APIKey)
	c := x.Costs[k.ID]
	f.Cost, f.Basis = c.Cost, c.Basis
	x.found = append(x.found, found{f, []string{f.Name, k.Name, k.ID}})
}

// organization adds a finding about all of it.
func (x *examination) organization(f storage.AuditFinding) {
	f.About, f.Name = storage.AboutOrganization, cmp.Or(x.Organization.Name, x.Organization.ID)
	x.found = append(x.found, found{f, []string{f.Name}})
}

// owner is who a key acts as, or else who made it.
func (x *examination) owner(k spend.APIKey) string {
	return x.person(cmp.Or(k.PrincipalID, k.CreatedByID))
}

// person is what a member, or one who has left, is called.
func (x *examination) person(id string) string {
	if m, ok := x.members[id]; ok {
		return cmp.Or(m.Email, m.Name, id)
	}
	return cmp.Or(x.left[id].Old, id)
}

func (x *examination) workspace(id string) string {
	return cmp.Or(x.workspaces[id].Label, x.workspaces[id].Name, id)
}

const (
	disableAdvice = "disable it, which can be undone; archive it when nobody missed it"
	rotateAdvice  = "make a new key in the Console with an expiry, move its users to it, then disable this one"
)

func (x *examination) disable(k *key) string { return x.command("keys", "disable", k.ID) }
func (x *examination) archive(k *key) string { return x.command("keys", "archive", k.ID) }

// lastUse says what is known of a key's last use.
func (x *examination) lastUse(k *key) string {
	switch {
	case !k.LastUsed.Empty():
		grain := spend.Grain(k.LastUsed.Duration() / time.Second)
		return fmt.Sprintf("last billed Messages usage before %s, known by the %s", k.LastUsed.End.Format("2006-01-02 15:04"), grain)
	case x.HistorySince.IsZero():
		return "no history of use"
	case !k.CreatedAt.Before(x.HistorySince):
		return fmt.Sprintf("no billed Messages usage since it was made on %s", dayOf(k.CreatedAt))
	default:
		return fmt.Sprintf("no billed Messages usage seen since %s, where the history begins", dayOf(x.HistorySince))
	}
}

// idle finds keys that are not used. A key is called never used only if all of its life is known.
func (x *examination) idle(k *key) {
	if k.idleSince.IsZero() {
		return
	}
	idle := x.UsageAt.Sub(k.idleSince)
	f := storage.AuditFinding{Severity: Warning, Since: k.idleSince, Evidence: x.lastUse(k), Advice: disableAdvice, Command: x.disable(k)}
	if k.LastUsed.Empty() && !k.CreatedAt.Before(x.HistorySince) {
		if f.Check = NeverUsed; idle >= x.NeverUsedAfter.Duration() {
			f.What = "never used in the " + days(idle) + " since it was made"
			x.key(k, f)
		}
		return
	}
	if f.Check = Unused; idle >= x.UnusedFor.Duration() {
		f.What = "no use seen for " + days(idle)
		x.key(k, f)
	}
}

func (x *examination) age(k *key) {
	age := x.now.Sub(k.CreatedAt)
	if k.CreatedAt.IsZero() || age < x.OlderThan.Duration() {
		return
	}
	x.key(k, storage.AuditFinding{
		Check: Old, Severity: Info, Since: k.CreatedAt.Add(x.OlderThan.Duration()), What: days(age) + " old", Evidence: "made on " + dayOf(k.CreatedAt),
		Advice: rotateAdvice, Command: x.disable(k),
	})
}

// soon is when the end of a key in use is an emergency.
const soon = 3 * 24 * time.Hour

func (x *examination) expiry(k *key) {
	if k.ExpiresAt.IsZero() {
		x.key(k, storage.AuditFinding{
			Check: NoExpiry, Severity: Info, Since: k.CreatedAt, What: "never expires", Evidence: "made without an expiry, which cannot be added later",
			Advice: rotateAdvice, Command: x.disable(k),
		})
		return
	}
	left := k.ExpiresAt.Sub(x.now)
	if left > x.ExpiresWithin.Duration() {
		return
	}
	f := storage.AuditFinding{
		Check: Expiring, Severity: Info, Since: k.ExpiresAt.Add(-x.ExpiresWithin.Duration()),
		What: fmt.Sprintf("expires on %s, in %s", k.ExpiresAt.Format("2006-01-02 15:04"), days(left)), Evidence: x.lastUse(k),
		Advice: "nobody seems to need it: let it expire, then archive it",
	}
	if x.inUse(k) {
		f.Severity = Warning
		if left <= soon {
			f.Severity = Critical
		}
		f.What += ", and is in use"
		f.Advice = "make a new key in the Console and move its users to it before that: an expiry cannot be changed"
	}
	x.key(k, f)
}

func (x *examination) expired(k *key) {
	x.key(k, storage.AuditFinding{
		Check: ExpiredNotArchived, Severity: Info, Since: k.ExpiresAt, What: "has expired and is not archived",
		Evidence: "expired on " + dayOf(k.ExpiresAt), Advice: "archive it, for good", Command: x.archive(k),
	})
}

// clockDoubt is how far this machine's clock, by which lists are read, may be ahead of the API's, by which keys are
// made.
const clockDoubt = 10 * time.Minute

// orphaned reports whether the key's creator is known to be no member. That needs a list of members that is
// newer than the key: who just came is not on an older one.
func (x *examination) orphaned(k *key) bool {
	readAt, problem := x.list(storage.ListMembers, len(x.Members) == 0)
	if problem != "" || k.CreatorType != "user" || k.CreatedByID == "" || !readAt.IsZero() && k.CreatedAt.After(readAt.Add(-clockDoubt)) {
		return false
	}
	_, member := x.members[k.CreatedByID]
	return !member
}

func (x *examination) creatorLeft(k *key) {
	if !x.orphaned(k) {
		return
	}
	left, seen := x.left[k.CreatedByID]
	evidence := k.CreatedByID + " is not on the list of members; when they left is not known"
	if seen {
		evidence = fmt.Sprintf("%s was seen to be gone on %s", cmp.Or(left.Old, k.CreatedByID), dayOf(left.At))
	}
	x.key(k, storage.AuditFinding{
		Check: CreatorLeft, Severity: Critical, Since: left.At, What: "works although " + x.person(k.CreatedByID) + ", who made it, is no member any more",
		Evidence: evidence, Advice: "whoever made it may have kept it: make a new key, move its users to it, disable this one", Command: x.disable(k),
	})
}

func (x *examination) defaultWorkspace(k *key) {
	if w := x.workspaces[k.WorkspaceID]; k.WorkspaceID == "" || !w.Default && k.WorkspaceID != spend.DefaultWorkspace {
		return
	}
	x.key(k, storage.AuditFinding{
		Check: DefaultWorkspace, Severity: Info, Since: k.CreatedAt, What: "is in the default workspace",
		Evidence: "the default workspace can have no limits, and everybody is in it", Advice: rotateAdvice + " (in a workspace of its own)", Command: x.disable(k),
	})
}

func (x *examination) archivedWorkspace(k *key) {
	w := x.workspaces[k.WorkspaceID]
	if w.ArchivedAt.IsZero() {
		return
	}
	f := storage.AuditFinding{
		Check: ArchivedWorkspace, Severity: Warning, Since: w.ArchivedAt, What: fmt.Sprintf("is %s, its workspace %s is archived", k.Status, x.workspace(w.ID)),
		Evidence: "the workspace was archived on " + dayOf(w.ArchivedAt) + ", which should have archived its keys", Advice: "archive it, for good", Command: x.archive(k),
	}
	if k.usable {
		f.Severity = Critical
	}
	x.key(k, f)
}

// inactive finds disabled keys. When one was disabled is known only if it was seen; that nobody used it
// for so long is known either way.
func (x *examination) inactive(k *key) {
	if k.Status != "inactive" || k.idleSince.IsZero() {
		return
	}
	since := latest(k.idleSince, x.disabled[k.ID])
	if x.UsageAt.Sub(since) < x.InactiveFor.Duration() {
		return
	}
	evidence := x.lastUse(k)
	if at := x.disabled[k.ID]; !at.IsZero() {
		evidence = "disabled on " + dayOf(at) + "; " + evidence
	}
	x.key(k, storage.AuditFinding{
		Check: Inactive, Severity: Info, Since: since, What: "is disabled, and was not used for " + days(x.UsageAt.Sub(since)), Evidence: evidence,
		Advice: "archive it, for good, if nobody will want it back", Command: x.archive(k),
	})
}

// woke finds keys that are used again. What the key did before must be known for as long as it slept.
func (x *examination) woke(k *key) {
	if len(k.recent) == 0 || x.WokeAfter == 0 {
		return
	}
	first := k.recent[0].First
	for _, s := range k.recent {
		if s.First.Start.Before(first.Start) {
			first = s.First
		}
	}
	last := x.Earlier[k.ID].End
	for _, s := range k.before {
		last = latest(last, s.Last.End)
	}
	// While the history is being filled, old days may be known before those that came after them.
	from := latest(last, k.CreatedAt, x.HistorySince)
	var evidence string
	switch {
	case from.Equal(last):
		evidence = fmt.Sprintf("used until %s, and again from %s on", dayOf(last), dayOf(first.Start))
	case from.Equal(k.CreatedAt):
		evidence = fmt.Sprintf("first use seen on %s; none since it was made on %s", dayOf(first.Start), dayOf(k.CreatedAt))
	default:
		evidence = fmt.Sprintf("first use seen on %s; none since %s, where the history begins", dayOf(first.Start), dayOf(x.HistorySince))
	}
	slept := first.Start.Sub(from)
	if slept < x.WokeAfter.Duration() {
		return
	}
	f := storage.AuditFinding{
		Check: Woke, Severity: Warning, Since: first.Start, What: "used again after " + days(slept) + " without use", Evidence: evidence,
		Advice: "ask whose work it is; if nobody knows, disable it", Command: x.disable(k),
	}
	if x.orphaned(k) {
		f.Severity = Critical
		f.What += "; its creator has left"
	}
	x.key(k, f)
}

// settled is how long a key must have been used before to have habits.
const settled = 7 * 24 * time.Hour

// moved finds keys with new habits: use from a workspace that they were never used from, or other models
// in place of all that they used.
func (x *examination) moved(k *key) {
	if len(k.recent) == 0 || len(k.before) == 0 {
		return
	}
	from, to := k.before[0].First.Start, k.before[0].Last.End
	for _, s := range k.before {
		if s.First.Start.Before(from) {
			from = s.First.Start
		}
		to = latest(to, s.Last.End)
	}
	if to.Sub(from) < settled {
		return
	}
	f := storage.AuditFinding{Check: Moved, Advice: "ask whose work it is; if nobody knows, disable it", Command: x.disable(k)}
	if old, fresh, since := news(k, func(s storage.KeySpan) string { return s.WorkspaceID }, false); len(fresh) > 0 {
		f.Severity, f.Since = Warning, since
		f.What = fmt.Sprintf("used from workspace %s, before only from %s", x.workspaceNames(fresh), x.workspaceNames(old))
	}
	if old, fresh, since := news(k, func(s storage.KeySpan) string { return s.Model }, true); len(fresh) > 0 {
		f.Severity = cmp.Or(f.Severity, Info)
		if f.What != "" {
			f.What += "; "
		} else {
			f.Since = since
			f.Advice = "a move to a newer model looks the same: ask if it is one"
		}
		f.What += fmt.Sprintf("used with %s, before only with %s", strings.Join(fresh, ", "), strings.Join(old, ", "))
	}
	if f.What != "" {
		f.Evidence = fmt.Sprintf("compared with its use from %s to %s", dayOf(from), dayOf(to))
		x.key(k, f)
	}
}

// news lists what a key was used with before and what is new, and since when. If replaced, something is
// new only if all of the old ceased when it began.
func news(k *key, of func(storage.KeySpan) string, replaced bool) (old, fresh []string, since time.Time) {
	was, is := map[string]bool{}, map[string]time.Time{}
	var last time.Time // of the old
	for _, s := range k.before {
		was[of(s)] = true
	}
	for _, s := range k.recent {
		if v := of(s); was[v] {
			last = latest(last, s.Last.End)
		} else if first, ok := is[v]; !ok || s.First.Start.Before(first) {
			is[v] = s.First.Start
		}
	}
	for _, at := range is {
		if since.IsZero() || at.Before(since) {
			since = at
		}
	}
	if replaced && last.After(since.Add(24*time.Hour)) {
		return nil, nil, since
	}
	return slices.Sorted(maps.Keys(was)), slices.Sorted(maps.Keys(is)), since
}

func (x *examination) workspaceNames(ids []string) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = x.workspace(id)
	}
	return strings.Join(names, ", ")
}

func (x *examination) name(k *key) {
	if x.pattern.MatchString(k.Name) {
		return
	}
	x.key(k, storage.AuditFinding{
		Check: Name, Severity: Info, What: fmt.Sprintf("its name does not match %s", x.NamePattern), Evidence: "the key's name in the Console",
		Advice: "give it another name", Command: x.command("keys", "rename", k.ID) + " NEW_NAME",
	})
}
