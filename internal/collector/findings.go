package collector

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// costTypes are the documented ones; a report that is not grouped by them, or does not tell, has none.
var costTypes = []string{"", "tokens", "web_search", "code_execution", "session_usage"}

// findings brings the list of findings up to date: what this and last month's figures show.
func (r *reconciliation) findings(ctx context.Context) error {
	window := spend.Window{Start: spend.MonthStart(r.now).AddDate(0, -1, 0), End: r.now}
	before, err := r.Store.Findings(ctx, r.org.ID)
	if err != nil {
		return err
	}
	var fs []storage.Finding
	for _, find := range []func(context.Context, spend.Window) ([]storage.Finding, error){
		r.unpriced, r.newCostTypes, r.currencies, r.absurdFactors, r.discountBasis,
	} {
		some, err := find(ctx, window)
		if err != nil {
			return err
		}
		fs = append(fs, some...)
	}
	for i := range fs {
		fs[i].FirstAt, fs[i].SeenAt = r.now, r.now
	}
	if err := r.owner.SaveFindings(ctx, fs); err != nil {
		return err
	}
	for _, f := range fs {
		known := slices.ContainsFunc(before, func(b storage.Finding) bool { return b.Kind == f.Kind && b.Subject == f.Subject })
		if !known && f.Kind != storage.FindingDiscount {
			r.log.WarnContext(ctx, "found in the figures", "kind", f.Kind, "subject", f.Subject, "amount", f.Amount, "detail", f.Detail)
		}
	}
	return nil
}

// seen widens the finding's window by a day.
func seen(f *storage.Finding, d time.Time) {
	if f.Window.Start.IsZero() || d.Before(f.Window.Start) {
		f.Window.Start = d
	}
	if end := d.Add(day); end.After(f.Window.End) {
		f.Window.End = end
	}
}

// unpriced finds models, and tiers of models, that no price is known for: by what they were billed,
// and while that is not in by the tokens that wait for it.
func (r *reconciliation) unpriced(ctx context.Context, window spend.Window) ([]storage.Finding, error) {
	const detail = "no price is known, so its use costs nothing in estimates until the bill is in; a price can be set under prices in the configuration"
	var fs []storage.Finding
	sums := map[string]spend.Money{}
	models := map[string]bool{}
	for _, c := range r.checks {
		if c.Name != storage.CheckEstimate || c.Explanation != noPrice || !window.Contains(c.Day) {
			continue
		}
		subject := c.Model
		if _, tier, ok := strings.Cut(c.Subject, "("); ok && tier != "no price)" {
			subject += ", tier " + strings.TrimSuffix(tier, ")")
		}
		models[c.Model] = true
		sums[subject] += spend.Money(c.Theirs)
		f := finding(&fs, storage.FindingUnpriced, subject, detail)
		f.Amount = "billed $" + sums[subject].String()
		seen(f, c.Day)
	}
	counters, err := r.Store.Counters(ctx, r.org.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range counters {
		if c.Name == storage.CounterUnpriced && c.Total > 0 && c.Model != storage.Other && !models[c.Model] {
			finding(&fs, storage.FindingUnpriced, c.Model, detail).Amount = fmt.Sprintf("%d tokens not billed yet", c.Total)
		}
	}
	return fs, nil
}

// newCostTypes finds cost types that are not documented.
func (r *reconciliation) newCostTypes(_ context.Context, window spend.Window) ([]storage.Finding, error) {
	var fs []storage.Finding
	sums := map[string]spend.Money{}
	for _, c := range r.checks {
		kind, _, _ := strings.Cut(c.Subject, " (")
		if c.Name != storage.CheckEstimate || c.Subject == storage.Total || slices.Contains(costTypes, kind) || !window.Contains(c.Day) {
			continue
		}
		sums[c.Subject] += spend.Money(c.Theirs)
		f := finding(&fs, storage.FindingCostType, c.Subject, "a cost type that is not documented: it is in every total, but estimates know nothing of it")
		f.Amount = "billed $" + sums[c.Subject].String()
		seen(f, c.Day)
	}
	return fs, nil
}

// finding is the one of the subject, which is added if it is not there.
func finding(fs *[]storage.Finding, kind, subject, detail string) *storage.Finding {
	for i := range *fs {
		if (*fs)[i].Subject == subject {
			return &(*fs)[i]
		}
	}
	*fs = append(*fs, storage.Finding{Kind: kind, Subject: subject, Detail: detail})
	return &(*fs)[len(*fs)-1]
}

// currencies finds what is set aside because it is not in US dollars.
func (r *reconciliation) currencies(ctx context.Context, window spend.Window) ([]storage.Finding, error) {
	rows, err := r.Store.SetAside(ctx, r.org.ID, window)
	if err != nil {
		return nil, err
	}
	var fs []storage.Finding
	for _, s := range storage.SumSetAside(rows) {
		fs = append(fs, storage.Finding{
			Kind: storage.FindingCurrency, Subject: s.Currency, Amount: s.String(), Window: s.Window,
			Detail: fmt.Sprintf("%d rows of the bill are not in US dollars: they are kept aside, not converted and in no total, so totals of these days are incomplete", s.Rows),
		})
	}
	return fs, nil
}

// absurdFactors finds calibration factors that cannot be right.
func (r *reconciliation) absurdFactors(ctx context.Context, _ spend.Window) ([]storage.Finding, error) {
	c, err := r.Store.Calibration(ctx, r.org.ID)
	if err != nil {
		return nil, err
	}
	var fs []storage.Finding
	for _, f := range c.Factors {
		if !absurd(f) {
			continue
		}
		subject := f.Model
		if subject == "" {
			subject = "organization"
		}
		fs = append(fs, storage.Finding{
			Kind: storage.FindingCalibration, Subject: subject, Amount: f.Factor.String(), Window: f.Window,
			Detail: fmt.Sprintf("billed $%s, estimated $%s: the factor is %s; it is not used", f.Billed, f.Estimated, f.Problem),
		})
	}
	return fs, nil
}

// discountBasis tells whether the older cost report is before or after discount, as the last day on
// which it was compared has it.
func (r *reconciliation) discountBasis(_ context.Context, window spend.Window) ([]storage.Finding, error) {
	var last *storage.Check
	for i, c := range r.checks {
		if c.Name == storage.CheckCostReports && window.Contains(c.Day) && c.Explanation != "" {
			last = &r.checks[i]
		}
	}
	if last == nil {
		return nil, nil
	}
	return []storage.Finding{{
		Kind: storage.FindingDiscount, Subject: "cost_report", Detail: strings.TrimSpace(last.Explanation),
		Window: spend.Day.Bucket(last.Day),
	}}, nil
}

// setAside stores the rows of a bill that are in another currency, in place of earlier ones of the
// reading's window. It comes before the rest is stored: a window that was read has nothing missing.
func (w *worker) setAside(ctx context.Context, r storage.Reading, foreign []adminapi.Foreign) error {
	stored, err := w.Store.SetAside(ctx, w.org.ID, r.Window)
	if err != nil {
		return err
	}
	stored = slices.DeleteFunc(stored, func(a storage.SetAside) bool { return a.Report != r.Report })
	var rows []storage.SetAside
	position := map[time.Time]int{}
	for _, f := range foreign {
		if !r.Window.Contains(f.Bucket) {
			continue
		}
		rows = append(rows, storage.SetAside{
			Bucket: f.Bucket, Report: r.Report, Position: position[f.Bucket], Dims: f.Dims, Currency: f.Currency, Amount: f.Amount, List: f.List,
			ReadAt: r.At,
		})
		position[f.Bucket]++
	}
	if len(stored) == 0 && len(rows) == 0 {
		return nil
	}
	if err := w.owner.ReplaceSetAside(ctx, r.Report, r.Window, rows); err != nil {
		return err
	}
	for _, s := range storage.SumSetAside(rows) {
		if _, said := w.currencies[s.Currency]; said {
			continue
		}
		w.currencies[s.Currency] = struct{}{}
		found, err := w.Store.Findings(ctx, w.org.ID) // of an earlier process
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(found, func(f storage.Finding) bool { return f.Kind == storage.FindingCurrency && f.Subject == s.Currency }) {
			w.log.WarnContext(ctx, "the bill has rows that are not in US dollars; they are kept aside and in no total",
				"report", string(r.Report), "currency", s.Currency, "amount", s.Amount, "window", s.Window.String())
		}
	}
	return nil
}
