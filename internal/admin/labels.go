package admin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Inventory is what a store knows of an organization, with the labels that pages, metrics and reports show.
type Inventory struct {
	Workspaces []spend.Workspace
	Keys       []spend.APIKey
}

// giveLabels tells things that share a name apart, as the store does. Only then is the store asked, whose
// labels stay: to list the organization takes no database.
func giveLabels[T any](things []T, labelled func(*T) (storage.Labelled, *string), stored func() []T) {
	var all []storage.Labelled
	for i := range things {
		l, _ := labelled(&things[i])
		l.Label = ""
		all = append(all, l)
	}
	storage.GiveLabels(all)
	if slices.ContainsFunc(all, func(l storage.Labelled) bool { return l.Label != l.Name }) {
		known := map[string]storage.Labelled{}
		for _, t := range stored() {
			l, _ := labelled(&t)
			known[l.ID] = l
		}
		for i, l := range all {
			was, ok := known[l.ID]
			all[i].Label, all[i].LabelName = was.Label, was.Name
			if !ok {
				all[i].FirstSeenAt = time.Unix(1, 0) // later than what the store has seen
			}
			delete(known, l.ID)
		}
		for _, gone := range known { // the labels of what is gone are not given again
			gone.LabelName = gone.Name
			all = append(all, gone)
		}
		storage.GiveLabels(all)
	}
	for i := range things {
		_, label := labelled(&things[i])
		*label = all[i].Label
	}
}

func labelledWorkspace(w *spend.Workspace) (storage.Labelled, *string) {
	return storage.Labelled{ID: w.ID, Name: storage.WorkspaceName(*w), Label: w.Label}, &w.Label
}

func labelledKey(k *spend.APIKey) (storage.Labelled, *string) {
	return storage.Labelled{ID: k.ID, Name: k.Name, Label: k.Label}, &k.Label
}

// WorkspaceLabel is how the workspace of that id is shown: its name, told apart from others of the same name;
// the id where it is not listed, and "" for a key of the whole organization.
func (s *State) WorkspaceLabel(ctx context.Context, id string) (string, error) {
	return s.workspaceCalled(ctx, id, func(w spend.Workspace) string { return w.Label })
}

// shownAs are the names that something may be shown by: its own, and that with the last characters of its id
// behind it.
func shownAs(name, label, id string) []string {
	names := []string{name}
	if label != "" && label != name {
		names = append(names, label)
	}
	if n := len(id); name != "" && n >= 6 {
		names = append(names, name+" ("+id[n-6:]+")")
	}
	return names
}

// check refuses values of a field that match nothing there is: who disables the keys of a workspace that
// is misspelt must not read that there is nothing to do. None at all (the empty value) is no name.
func (w Where) check(field string, known []string) error {
	for _, want := range w[field] {
		if want == "" || want == "*" || slices.ContainsFunc(known, func(k string) bool { return matchesValue(want, k) }) {
			continue
		}
		// Of a name and the same with an id behind it, the short one is enough to be put right.
		names := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(known))), func(k string) bool {
			bare, _, more := strings.Cut(k, " (")
			return k == "" || more && slices.Contains(known, bare)
		})
		hint := meant(strings.TrimSuffix(want, "*"), names)
		if hint == "" && (field == "role" || field == "status") {
			hint = "; there is " + strings.Join(names, ", ")
		}
		return usage("--where %q: there is no %s %q%s", field+"="+want, field, want, hint)
	}
	return nil
}
