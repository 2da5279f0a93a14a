package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Sort is an order of rows within a bucket.
type Sort string

// The orders.
const (
	SortName   Sort = "name"   // by what rows are called
	SortAmount Sort = "amount" // the most cost, or tokens, first
)

// group is what rows of different buckets have in common.
type group struct {
	organization, team string
	dims               spend.Dims
	folded             bool
}

func (r Row) group() group { return group{r.OrganizationID, r.Team, r.Dims, r.Folded > 0} }

// amount is what rows of the kind are compared by.
func (k Kind) amount(f Figures) int64 {
	if k == Costs {
		return int64(f.Cost)
	}
	return f.Counts.Tokens()
}

// Limit keeps the n groups that have the most over the whole time and joins the others in one row for
// each bucket and organization, "other (7)", so that the total stays. 0 keeps all.
func (a *Answer) Limit(n int) {
	kept := largest(n, *a)
	a.keep(kept, others(kept, *a))
}

// others counts the groups of the answers that are not kept, by organization.
func others(kept map[group]bool, answers ...Answer) map[string]int {
	seen, counts := map[group]bool{}, map[string]int{}
	for _, a := range answers {
		for _, r := range a.Rows {
			if g := r.group(); !kept[g] && !seen[g] {
				seen[g] = true
				counts[r.OrganizationID]++
			}
		}
	}
	return counts
}

// largest lists the n groups that have the most in the answers together; nil is all of them.
func largest(n int, answers ...Answer) map[group]bool {
	sums := map[group]int64{}
	var order []group
	for _, a := range answers {
		for _, r := range a.Rows {
			g := r.group()
			if _, seen := sums[g]; !seen {
				order = append(order, g)
			}
			sums[g] += a.Kind.amount(r.Figures)
		}
	}
	if n <= 0 || len(order) <= n {
		return nil
	}
	slices.SortStableFunc(order, func(g, h group) int { return cmp.Compare(sums[h], sums[g]) })
	kept, left := map[group]bool{}, map[string]int{}
	for _, g := range order[n:] {
		left[g.organization]++
	}
	for i, g := range order {
		if i < n || left[g.organization] == 1 { // one other alone is no longer by its own name
			kept[g] = true
		}
	}
	return kept
}

// keep joins the rows of all other groups, of which there are so many by organization; nil keeps all.
func (a *Answer) keep(kept map[group]bool, folded map[string]int) {
	if kept == nil || len(a.By) == 0 {
		return
	}
	type bucket struct {
		organization string
		start, end   time.Time
	}
	rows, joined := make([]Row, 0, len(a.Rows)), map[bucket]*Row{}
	flush := func(start time.Time) { // what is joined of a bucket comes behind its rows
		var due []Row
		for b, r := range joined {
			if !b.start.Equal(start) {
				due = append(due, *r)
				delete(joined, b)
			}
		}
		slices.SortFunc(due, func(r, s Row) int {
			return cmp.Or(r.Start.Compare(s.Start), strings.Compare(r.Organization, s.Organization), strings.Compare(r.OrganizationID, s.OrganizationID), r.End.Compare(s.End))
		})
		rows = append(rows, due...)
	}
	for _, r := range a.Rows {
		flush(r.Start)
		if kept[r.group()] {
			rows = append(rows, r)
			continue
		}
		b := bucket{r.OrganizationID, r.Start, r.End}
		if joined[b] == nil {
			joined[b] = &Row{
				Start: r.Start, End: r.End, OrganizationID: r.OrganizationID, Organization: r.Organization,
				Folded: folded[r.OrganizationID],
			}
		}
		joined[b].Add(r.Figures)
	}
	flush(time.Time{})
	a.Rows = rows
}

// other is what a row of several groups is called.
func (r Row) other() string { return fmt.Sprintf("other (%d)", r.Folded) }

// Arrange orders the rows of each bucket; joined ones stay last.
func (a *Answer) Arrange(s Sort) {
	if s != SortAmount {
		return
	}
	slices.SortStableFunc(a.Rows, func(x, y Row) int { return byAmount(a.Kind, x, y) })
}

// byAmount compares rows by time, those of a group of their own first, and the most first.
func byAmount(k Kind, x, y Row) int {
	return cmp.Or(x.Start.Compare(y.Start), cmp.Compare(min(x.Folded, 1), min(y.Folded, 1)),
		cmp.Compare(k.amount(y.Figures), k.amount(x.Figures)))
}
