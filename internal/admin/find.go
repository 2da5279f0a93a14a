package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// named is how a thing may be called.
type named struct {
	id    string
	names []string // what it answers to
	shown string   // how it is told from others of its name
	live  bool     // it can still be changed
}

// calls reports whether the text means the thing: its id, a name whatever its case, or a name with the last
// characters of the id behind it, as pages and metrics show what shares its name with another.
func (n named) calls(text string) bool {
	if text == n.id {
		return true
	}
	for _, name := range n.names {
		if name == "" {
			continue
		}
		if strings.EqualFold(text, name) {
			return true
		}
		if suffix, ok := strings.CutPrefix(text, name+" ("); ok {
			suffix, ok = strings.CutSuffix(suffix, ")")
			if ok && len(suffix) >= 6 && strings.HasSuffix(n.id, suffix) {
				return true
			}
		}
	}
	return false
}

// one finds the thing that the text means. Where several are meant it is the only live one among them.
func one[T any](what, text string, all []T, name func(T) named) (T, error) {
	var found, live []T
	var zero T
	var candidates []string
	for _, t := range all {
		n := name(t)
		if n.id == text {
			return t, nil
		}
		if n.calls(text) {
			found = append(found, t)
			candidates = append(candidates, fmt.Sprintf("%s (%s)", n.id, n.shown))
			if n.live {
				live = append(live, t)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(live) == 1:
		return live[0], nil
	case len(found) > 1:
		return zero, usage("%q is the name of %d %ss: give the id of one: %s", text, len(found), what, strings.Join(candidates, ", "))
	}
	var names []string
	for _, t := range all {
		n := name(t)
		names = append(append(names, n.names...), n.id)
	}
	return zero, UsageError{absent{fmt.Errorf("there is no %s %q%s", what, text, meant(text, names))}}
}

// meant asks for the name that may have been meant; it is empty where none is near.
func meant(text string, names []string) string {
	if near := config.Nearest(text, names); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	switch near := containing(text, names); len(near) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" (did you mean %s?)", near[0])
	default:
		return fmt.Sprintf(" (did you mean one of %s?)", strings.Join(near, ", "))
	}
}

// containing lists up to five names that hold the text, or the part of it before the @.
func containing(text string, names []string) (near []string) {
	text, _, _ = strings.Cut(strings.ToLower(text), "@")
	for _, n := range names {
		if len(text) >= 3 && len(near) < 5 && strings.Contains(strings.ToLower(n), text) {
			near = append(near, fmt.Sprintf("%q", n))
		}
	}
	return near
}

func nameOfMember(m spend.Member) named {
	return named{id: m.ID, names: []string{m.Email, m.Name}, shown: m.Email + ", " + m.Role, live: true}
}

func nameOfInvite(i spend.Invite) named {
	return named{id: i.ID, names: []string{i.Email}, shown: i.Status + ", invited " + dayOf(i.InvitedAt), live: i.Status == "pending"}
}

func nameOfWorkspace(w spend.Workspace) named {
	n := named{id: w.ID, names: []string{storage.WorkspaceName(w)}, shown: "created " + dayOf(w.CreatedAt), live: w.ArchivedAt.IsZero()}
	if !n.live {
		n.shown = "archived " + dayOf(w.ArchivedAt)
	}
	return n
}

func dayOf(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.Format(time.DateOnly)
}

// Member finds a member by id, e-mail address or name.
func (s *State) Member(ctx context.Context, text string) (spend.Member, error) {
	all, err := s.Members(ctx)
	if err != nil {
		return spend.Member{}, err
	}
	return one("member", text, all, nameOfMember)
}

// Invite finds an invite by id or e-mail address.
func (s *State) Invite(ctx context.Context, text string) (spend.Invite, error) {
	all, err := s.Invites(ctx)
	if err != nil {
		return spend.Invite{}, err
	}
	return one("invite", text, all, nameOfInvite)
}

// Workspace finds a workspace by id or name.
func (s *State) Workspace(ctx context.Context, text string) (spend.Workspace, error) {
	all, err := s.Workspaces(ctx)
	if err != nil {
		return spend.Workspace{}, err
	}
	return one("workspace", text, all, nameOfWorkspace)
}

// Key finds a key by id or name.
func (s *State) Key(ctx context.Context, text string) (spend.APIKey, error) {
	all, err := s.Keys(ctx)
	if err != nil {
		return spend.APIKey{}, err
	}
	names := map[string]string{}
	for _, k := range all {
		if names[k.ID], err = s.WorkspaceLabel(ctx, k.WorkspaceID); err != nil {
			return spend.APIKey{}, err
		}
	}
	return one("key", text, all, func(k spend.APIKey) named {
		in := "workspace " + names[k.ID]
		if names[k.ID] == "" {
			in = "the whole organization"
		}
		return named{id: k.ID, names: []string{k.Name}, shown: in + ", " + k.Status, live: k.Status != "archived"}
	})
}
