package storage

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Reconciled is the part of [Store] that tells what was compared with what, and what came of it.
type Reconciled interface {
	// Estimates sums the estimates of all usage over the query's window, also of what is billed: Cost
	// is calibrated, List is tokens × price. Rows are ordered as those of [Store.Costs].
	Estimates(ctx context.Context, q Query) (CostResult, error)
	// Checks lists the checks of the UTC days in the window, by day, name, subject, model and token type.
	Checks(ctx context.Context, organization string, w spend.Window) ([]Check, error)
	// Findings lists the findings, by kind and subject.
	Findings(ctx context.Context, organization string) ([]Finding, error)
	// SetAside lists the rows of bills that could not be added up, of the buckets that begin in the
	// window, by bucket, report and position.
	SetAside(ctx context.Context, organization string, w spend.Window) ([]SetAside, error)
	// Calibration is the newest calibration.
	Calibration(ctx context.Context, organization string) (Calibration, error)
}

// Reconciler is the part of [Owner] that writes what [Reconciled] tells.
type Reconciler interface {
	// SaveChecks stores checks. They replace all earlier ones of the same day and name.
	SaveChecks(ctx context.Context, cs []Check) error
	// SaveFindings replaces the list of findings; one that was there before keeps its FirstAt.
	SaveFindings(ctx context.Context, fs []Finding) error
	// ReplaceSetAside makes the rows the only ones of the report that are set aside in the window.
	ReplaceSetAside(ctx context.Context, r spend.Report, w spend.Window, rows []SetAside) error
	// Calibrate scales the estimates of what is not billed yet by the calibration, day by day, and then
	// replaces the stored one by it.
	Calibrate(ctx context.Context, c Calibration) error
}

// CheckName says what was compared.
type CheckName string

// The checks of a UTC day of an organization.
const (
	CheckUsage        CheckName = "usage"         // the sum of the stored rows with the report's own total, by kind
	CheckRequests     CheckName = "requests"      // the same of request counts
	CheckCost         CheckName = "cost"          // the same of the bill, amount and list
	CheckUsageReports CheckName = "usage_reports" // the stored rows with the total of the other generation's report
	CheckCostReports  CheckName = "cost_reports"  // the same of the bill
	CheckEstimate     CheckName = "estimate"      // the estimate at list price with the bill, by model and token type
)

// Verdict is what came of a comparison.
type Verdict string

// The verdicts.
const (
	Agrees      Verdict = "agrees"
	Explained   Verdict = "explained"   // they differ for a reason that is known
	Unconfirmed Verdict = "unconfirmed" // they differ, and are compared once more within the hours to come
	Differs     Verdict = "differs"     // they differed at least twice, an hour apart
)

// Check is a comparison of two figures of a UTC day: counts, or billionths of a dollar.
type Check struct {
	Day         time.Time
	Name        CheckName
	Subject     string       // what of it: a kind that usage counts, "amount", "list", a cost type, "total"
	Model       string       // of estimates
	TokenType   string       // of estimates
	Report      spend.Report // what ours come from
	With        spend.Report // what theirs come from
	Money       bool
	Ours        int64 // of estimates tokens × price
	Theirs      int64 // of estimates the amount that was billed
	List        int64 // of estimates the list amount that was billed; 0 where the report does not tell
	Verdict     Verdict
	Explanation string
	Since       time.Time // since when the verdict is this
	CheckedAt   time.Time
}

// Difference is ours less theirs.
func (c Check) Difference() int64 { return c.Ours - c.Theirs }

// Total is the subject of the sum of a day's estimates that can be compared with the bill.
const Total = "total"

// Finding kinds.
const (
	FindingUnpriced    = "unpriced_model"    // a model, or tier, without a price
	FindingCostType    = "unknown_cost_type" // a cost type that is not documented
	FindingCurrency    = "currency"          // rows of a bill in another currency
	FindingCalibration = "calibration"       // a factor that cannot be right
	FindingDiscount    = "cost_report_basis" // whether the older cost report is before or after discount
)

// Finding is something that the figures show and somebody should know.
type Finding struct {
	Kind    string
	Subject string
	Amount  string       // with its unit, as it is to be shown; empty: none
	Detail  string       // a sentence
	Window  spend.Window // the days it was seen on
	FirstAt time.Time    // when it was first found
	SeenAt  time.Time    // when it was last found
}

// SetAside is a row of a bill in a currency that cannot be added up with the others. It is in no
// total. Amount and List are decimal numbers as the report has them, in its unit of the currency.
type SetAside struct {
	Bucket   time.Time
	Report   spend.Report
	Position int // within bucket and report
	spend.Dims
	Currency string
	Amount   string
	List     string
	ReadAt   time.Time
}

// CurrencySum is what is set aside of one currency.
type CurrencySum struct {
	Currency string
	Rows     int
	Amount   string       // the sum, as a decimal number in the report's unit
	Window   spend.Window // the UTC days it is of
}

func (c CurrencySum) String() string {
	return fmt.Sprintf("%s in %s (as reported, in the currency's lowest unit)", c.Amount, c.Currency)
}

// SumSetAside sums what is set aside by currency. Nothing is converted.
func SumSetAside(rows []SetAside) []CurrencySum {
	var sums []CurrencySum
	amounts := map[string]*big.Rat{}
	for _, r := range rows {
		day := spend.Day.Bucket(r.Bucket)
		i := slices.IndexFunc(sums, func(s CurrencySum) bool { return s.Currency == r.Currency })
		if i < 0 {
			i = len(sums)
			sums = append(sums, CurrencySum{Currency: r.Currency, Window: day})
			amounts[r.Currency] = new(big.Rat)
		}
		sums[i].Rows++
		sums[i].Window = spend.Window{Start: minTime(sums[i].Window.Start, day.Start), End: maxTime(sums[i].Window.End, day.End)}
		if a, ok := new(big.Rat).SetString(r.Amount); ok {
			amounts[r.Currency].Add(amounts[r.Currency], a)
		}
	}
	for i := range sums {
		text := amounts[sums[i].Currency].FloatString(12)
		sums[i].Amount = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	slices.SortFunc(sums, func(a, b CurrencySum) int { return strings.Compare(a.Currency, b.Currency) })
	return sums
}

// SumEstimates is [Reconciled.Estimates] on backends' transactions.
func SumEstimates(ctx context.Context, organizations []OrganizationTx, q Query) (CostResult, error) {
	w, fs, err := open(ctx, organizations, q, spend.FactUsage)
	if err != nil {
		return CostResult{}, err
	}
	g := merger{query: q, window: w, rows: map[rowKey]*total{}}
	for _, f := range fs {
		parts := UsageParts(w, f.usage, nil)
		for i := range parts {
			parts[i].Figures, parts[i].Basis = EstimateFigures, spend.Estimated
		}
		if err := g.add(ctx, f.OrganizationTx, parts); err != nil {
			return CostResult{}, err
		}
	}
	return CostResult{Window: w, Rows: g.costs()}, nil
}

// GroupChecks lists the days and names of checks, each once, in the order in which they come first.
func GroupChecks(cs []Check) []Check {
	var groups []Check
	seen := map[Check]bool{}
	for _, c := range cs {
		g := Check{Day: c.Day.UTC(), Name: c.Name}
		if !seen[g] {
			seen[g] = true
			groups = append(groups, g)
		}
	}
	return groups
}

// KeepFirst is the findings with the time that those of the same kind and subject were first found.
func KeepFirst(old, fs []Finding) []Finding {
	out := slices.Clone(fs)
	for i := range out {
		for _, o := range old {
			if o.Kind == out[i].Kind && o.Subject == out[i].Subject {
				out[i].FirstAt = o.FirstAt
			}
		}
	}
	return out
}
