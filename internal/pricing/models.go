package pricing

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/config"
)

// Models lists the models that prices are known for, at whatever time, as the tables name them: a name
// also stands for its dated releases, and may end in * for the beginning of names.
func (t *Table) Models() []string {
	names := map[string]bool{}
	for _, l := range t.layers {
		for name := range l.names {
			names[name] = true
		}
		for _, p := range l.prefixes {
			names[p.text+"*"] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Knows reports whether a price is known for the model, at whatever time.
func (t *Table) Knows(model string) bool {
	for _, l := range t.layers {
		if len(l.names[model])+len(l.names[undated(model)]) > 0 {
			return true
		}
		if slices.ContainsFunc(l.prefixes, func(p prefix) bool { return strings.HasPrefix(model, p.text) }) {
			return model != ""
		}
	}
	return false
}

// Near lists the models that a mistyped or shortened name most likely means, the likeliest first; all
// of them where it is like none.
func (t *Table) Near(model string) []string {
	all := t.Models()
	far := map[string]int{}
	var near []string
	for _, m := range all {
		name := strings.TrimSuffix(m, "*")
		far[m] = config.Distance(model, name)
		if model != "" && strings.Contains(name, model) {
			far[m] = 0
		}
		if far[m] <= max(2, len(name)/5) {
			near = append(near, m)
		}
	}
	if len(near) == 0 {
		return all
	}
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(far[a], far[b]) })
	return near
}

// Matcher reports for names of models whether the pattern of the section means them.
func (Overrides) Matcher(pattern string) func(model string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return func(model string) bool {
		return model == pattern || undated(model) == pattern || open && strings.HasPrefix(model, prefix)
	}
}
