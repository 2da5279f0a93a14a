package alerts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// listedNames is how many names a warning lists.
const listedNames = 20

// Unmatched says which patterns of the rules match no workspace or key of the organization, and
// what there is. It is empty as long as nothing is known of the organization.
func Unmatched(ctx context.Context, store storage.Store, o spend.Organization, rules []RuleConfig) ([]string, error) {
	c := newCache(store, o.ID)
	if err := c.readInventory(ctx); err != nil {
		return nil, err
	}
	return c.inventory.unmatched(o, rules), nil
}

func (i *inventory) unmatched(o spend.Organization, rules []RuleConfig) []string {
	var out []string
	for n := range rules {
		r := &rules[n]
		if !r.About(o) {
			continue
		}
		for _, f := range r.Where.filters() {
			var ids []string
			switch f.dimension {
			case spend.ByWorkspace:
				for id := range i.workspaces {
					ids = append(ids, id)
				}
			case spend.ByAPIKey:
				for id := range i.keys {
					ids = append(ids, id)
				}
			}
			if len(ids) == 0 {
				continue
			}
			for _, p := range f.patterns {
				if p == "" || p == unattributed || p == "*" ||
					slices.ContainsFunc(ids, func(id string) bool { return matches([]string{p}, i.called(f.dimension, id)...) }) {
					continue
				}
				out = append(out, fmt.Sprintf("rule %q: where.%s %q matches nothing in %s; there are %s", r.Name, f.dimension, p, o.Name, i.names(f.dimension, ids)))
			}
		}
	}
	return out
}

// names lists what things are called.
func (i *inventory) names(d spend.Dimension, ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, i.label(d, id))
	}
	slices.Sort(names)
	if more := len(names) - listedNames; more > 0 {
		names = append(names[:listedNames], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
