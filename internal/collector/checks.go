package collector

import (
	"fmt"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// confirmAfter is how long after a difference was first seen it is looked at again: by then a
// revision that one report knew before the other has reached both.
const confirmAfter = time.Hour

// How far an estimate may be off its bill: what is more says that a price, or the discount, is not
// what we take it for.
const (
	estimateSlack        = spend.Cent
	estimateSlackPercent = 1
)

// checkKey is what a check is known by from one day to the next reading of it.
type checkKey struct {
	day                       time.Time
	name                      storage.CheckName
	subject, model, tokenType string
}

func keyOf(c storage.Check) checkKey {
	return checkKey{c.Day.UTC(), c.Name, c.Subject, c.Model, c.TokenType}
}

// history is what was found before.
type history map[checkKey]storage.Check

func newHistory(cs []storage.Check) history {
	h := history{}
	for _, c := range cs {
		h[keyOf(c)] = c
	}
	return h
}

// off reports whether the figures of a check were found to differ, for no known reason.
func off(v storage.Verdict) bool { return v == storage.Unconfirmed || v == storage.Differs }

// judge gives the check its verdict: same says whether the figures agree, why explains that they do
// not, or what is to be known although they do. A difference that nothing explains counts once it
// was seen again an hour later.
func (h history) judge(c storage.Check, same bool, why string, now time.Time) storage.Check {
	before, known := h[keyOf(c)]
	c.CheckedAt, c.Since, c.Explanation = now.UTC().Truncate(time.Second), now.UTC().Truncate(time.Second), why
	switch {
	case same:
		c.Verdict = storage.Agrees
	case why != "":
		c.Verdict = storage.Explained
	default:
		c.Verdict = storage.Unconfirmed
	}
	switch {
	case !known:
	case off(c.Verdict) && off(before.Verdict):
		c.Since = before.Since
		if before.Verdict == storage.Differs || now.Sub(before.Since) >= confirmAfter {
			c.Verdict = storage.Differs
		}
	case c.Verdict == before.Verdict:
		c.Since = before.Since
	}
	return c
}

// kindName is the SQL name of what the kind counts.
func kindName(k spend.Kind) string {
	if k == spend.WebSearches {
		return "web_searches"
	}
	return k.TokenType() + "_tokens"
}

// totalChecks compares a day's sums with a report's totals.
func (h history) totalChecks(c storage.Check, f spend.Fact, ours, theirs sums, why string, now time.Time) []storage.Check {
	one := func(subject string, ours, theirs int64, same bool) storage.Check {
		c.Subject, c.Ours, c.Theirs = subject, ours, theirs
		return h.judge(c, same, iff(same, why), now)
	}
	switch f {
	case spend.FactUsage:
		var cs []storage.Check
		for k := range spend.NumKinds {
			cs = append(cs, one(kindName(k), ours.counts[k], theirs.counts[k], ours.counts[k] == theirs.counts[k]))
		}
		return cs
	case spend.FactRequests:
		return []storage.Check{one("requests", ours.requests, theirs.requests, ours.requests == theirs.requests)}
	default:
		c.Money = true
		cs := []storage.Check{one("amount", int64(ours.amount), int64(theirs.amount), near(ours.amount, theirs.amount))}
		if c.Report == spend.ReportAnalyticsCost {
			cs = append(cs, one("list", int64(ours.list), int64(theirs.list), near(ours.list, theirs.list)))
		}
		return cs
	}
}

func iff(condition bool, text string) string {
	if condition {
		return text
	}
	return ""
}

// Explanations of what the older cost report is before or after.
const (
	afterDiscount  = "the older cost report is after discount: it matches the amount, not the list amount"
	beforeDiscount = "the older cost report is before discount: it matches the list amount, not the amount"
	noDiscount     = "there is no discount, so it cannot be told whether the older cost report is before or after it"
)

// costReportsCheck compares the older cost report's total of a day with that of analytics, of which
// priority is what it has for the tiers that are under commitment.
func (h history) costReportsCheck(c storage.Check, analytics, older, priority sums, now time.Time) storage.Check {
	c.Subject, c.Money, c.List = "amount", true, int64(analytics.list)
	ours := analytics.amount
	same, why := true, ""
	for _, without := range []sums{{}, priority} {
		amount, list := analytics.amount-without.amount, analytics.list-without.list
		switch {
		case near(older.amount, amount) && near(amount, list):
			why = noDiscount
		case near(older.amount, amount):
			why = afterDiscount
		case near(older.amount, list):
			why, c.Subject, ours = beforeDiscount, "list", analytics.list
		default:
			same = false
			continue
		}
		same = true
		if without.amount != 0 {
			ours -= without.amount
			why += "; priority tier is in analytics only and left out"
		}
		break
	}
	c.Ours, c.Theirs = int64(ours), int64(older.amount)
	if c.Report == spend.ReportCost {
		c.Ours, c.Theirs = c.Theirs, c.Ours
	}
	return h.judge(c, same, why, now)
}

// noPrice explains why there is no estimate for what was billed.
const noPrice = "no price is known, so there is no estimate"

// committed reports whether the tier is paid for by a commitment: it is estimated 0 and in no bill.
func committed(tier string) bool { return strings.HasPrefix(tier, "priority") }

// cell is what can be compared of a day: the estimates and the bill of a model and token type.
type cell struct {
	subject, model, tokenType string
}

// cellSum is both sides of a cell.
type cellSum struct {
	estimate, amount, list spend.Money
	uncertain              bool
	why                    string // why it cannot be compared
}

// cells sorts a day's estimates and bill into what can be compared and what cannot, which has a
// reason. The rows are by model, tier, cost type and token type. Committed searches, whose price is
// known but which no bill has, are returned beside.
func cells(estimates, bill []storage.CostRow) (sums map[cell]*cellSum, committedSearches spend.Money) {
	sums = map[cell]*cellSum{}
	at := func(c cell) *cellSum {
		if sums[c] == nil {
			sums[c] = &cellSum{}
		}
		return sums[c]
	}
	type tier struct{ model, tier string }
	unpriced := map[tier]bool{}
	for _, r := range estimates {
		if r.Unpriced > 0 {
			unpriced[tier{r.Model, r.ServiceTier}] = true
		}
	}
	place := func(d spend.Dims) (c cell, why string) {
		c = cell{d.CostType, d.Model, d.TokenType}
		switch {
		case d.CostType == spend.WebSearches.CostType():
			return cell{subject: d.CostType}, "" // the older bill does not tell the model
		case d.CostType != spend.Output.CostType():
			return cell{subject: d.CostType}, "is in the bill only: no usage report counts it"
		case committed(d.ServiceTier):
			c.subject += " (" + d.ServiceTier + ")"
			return c, "priority tier is paid for by a commitment: it is not estimated"
		case unpriced[tier{d.Model, d.ServiceTier}]:
			if d.ServiceTier != "" && d.ServiceTier != "standard" {
				c.subject += " (" + d.ServiceTier + ")"
			} else {
				c.subject += " (no price)"
			}
			return c, noPrice
		}
		return c, ""
	}
	for _, r := range estimates {
		if r.CostType == spend.WebSearches.CostType() && committed(r.ServiceTier) {
			committedSearches += r.List
			continue
		}
		c, why := place(r.Dims)
		s := at(c)
		s.estimate += r.List
		s.uncertain = s.uncertain || r.Uncertain
		s.why = why
	}
	for _, r := range bill {
		c, why := place(r.Dims)
		s := at(c)
		s.amount += r.Cost
		s.list += r.List
		s.why = why
	}
	for c, s := range sums {
		if s.estimate == 0 && s.amount == 0 && s.list == 0 {
			delete(sums, c)
		}
	}
	return sums, committedSearches
}

// closeTo reports whether an estimate is near enough to what was billed.
func closeTo(estimate, billed spend.Money) bool {
	d := max(estimate-billed, billed-estimate)
	return d <= estimateSlack || d <= max(billed, -billed)/100*estimateSlackPercent
}

// estimateChecks compares a day's estimates at list price with its bill: with the list amount where
// the bill tells it, else with the amount after the discount that the factors say.
func (h history) estimateChecks(
	c storage.Check, estimates, bill []storage.CostRow, factors storage.Factors, stepped func(model string) bool, now time.Time,
) []storage.Check {
	c.Name, c.Money = storage.CheckEstimate, true
	lists := c.With == spend.ReportAnalyticsCost
	sums, searches := cells(estimates, bill)
	var cs []storage.Check
	total, expected := cellSum{}, spend.Money(0)
	doubtful := false
	for k, s := range sums {
		one := c
		one.Subject, one.Model, one.TokenType = k.subject, k.model, k.tokenType
		one.Ours, one.Theirs = int64(s.estimate), int64(s.amount)
		billed, should := s.amount, factors.For(k.model).Of(s.estimate)
		if lists {
			one.List, billed, should = int64(s.list), s.list, s.estimate
		}
		same, why := s.why == "" && closeTo(should, billed), s.why
		switch {
		case same || why != "":
		case k.subject == spend.WebSearches.CostType() && searches != 0 && closeTo(should+searches, billed):
			why = "the bill has the searches of the priority tier too"
		case stepped(k.model):
			why = "no report tells the price step of this model; estimates use what it was billed at last"
			doubtful = true
		case s.uncertain:
			why = "the usage report does not tell all that the price depends on"
			doubtful = true
		}
		if s.why == "" {
			total.estimate += s.estimate
			total.amount += s.amount
			total.list += s.list
			expected += should
		}
		cs = append(cs, h.judge(one, same, why, now))
	}
	c.Subject, c.Ours, c.Theirs = storage.Total, int64(total.estimate), int64(total.amount)
	billed := total.amount
	if lists {
		c.List, billed = int64(total.list), total.list
	}
	same, why := closeTo(expected, billed), ""
	if ratio, ok := spend.FactorOf(total.estimate, total.amount); ok {
		why = fmt.Sprintf("estimate over bill: %.4f; scaled to what was billed lately the estimate is $%s", ratio.Float(), expected)
		if lists {
			why = fmt.Sprintf("estimate over bill: %.4f; the bill at list price is $%s", ratio.Float(), billed)
		}
	}
	if !same && !doubtful {
		why = ""
	}
	return append(cs, h.judge(c, same, why, now))
}
