package storage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Labelled is a thing of the inventory that is shown by a label.
type Labelled struct {
	ID          string
	Name        string // its name now
	LabelName   string // the name its label was made from; empty while it has none
	Label       string
	FirstSeenAt time.Time
}

// GiveLabels gives every thing that has no label, or whose name changed since it got one, a label
// that no other thing of the list has: its bare name if nobody holds that, else the name with the
// last characters of its id. Labels of things whose name did not change stay for ever.
func GiveLabels(things []Labelled) {
	held := map[string]bool{}
	var due []*Labelled
	for i := range things {
		if t := &things[i]; t.Label == "" || t.LabelName != t.Name {
			due = append(due, t)
		} else {
			held[t.Label] = true
		}
	}
	slices.SortFunc(due, func(a, b *Labelled) int {
		return cmp.Or(a.FirstSeenAt.Compare(b.FirstSeenAt), strings.Compare(a.ID, b.ID))
	})
	for _, t := range due {
		t.LabelName = t.Name
		t.Label = cmp.Or(t.Name, t.ID)
		for n := 6; held[t.Label]; n++ {
			if n <= max(6, len(t.ID)) {
				t.Label = t.Name + " (" + t.ID[max(0, len(t.ID)-n):] + ")"
			} else { // another thing's name looks like this label
				t.Label = fmt.Sprintf("%s (%s, %d)", t.Name, t.ID, n)
			}
		}
		held[t.Label] = true
	}
}

// WorkspaceName is the name a workspace is known by.
func WorkspaceName(w spend.Workspace) string {
	if w.Default {
		return "Default"
	}
	return w.Name
}
