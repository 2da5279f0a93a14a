package collector

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// What a calibration factor is made of: the newest settled days, at least enough of them, further
// back where those are too little.
const (
	calibrateDays    = 7
	calibrateLongest = 28
	calibrateFewest  = 3            // settled days
	calibrateLeast   = spend.Dollar // billed on them
)

// Bounds of a factor that can be right: no discount is that deep, and no price list that wrong.
const (
	lowestFactor  = spend.One / 5
	highestFactor = 2 * spend.One
)

// pair is what was estimated at list price and billed on a day.
type pair struct{ estimated, billed spend.Money }

// calibration computes the factors from the checks of estimates of the last days. Models with a
// price step have none of their own: their estimate is at what they were billed at last.
func calibration(cs []storage.Check, stepped func(model string, at time.Time) bool, now time.Time) storage.Calibration {
	groups := map[string]map[time.Time]pair{"": {}} // by model; empty is the organization
	settled := map[time.Time]bool{}
	oldest := spend.Day.Floor(now).AddDate(0, 0, -calibrateLongest)
	for _, c := range cs {
		tokens := c.Subject == spend.Output.CostType()
		if c.Name != storage.CheckEstimate || c.Day.Before(oldest) {
			continue
		}
		settled[c.Day] = true
		if !tokens && c.Subject != spend.WebSearches.CostType() || tokens && stepped(c.Model, c.Day) {
			continue
		}
		add := func(model string) {
			if groups[model] == nil {
				groups[model] = map[time.Time]pair{}
			}
			p := groups[model][c.Day]
			groups[model][c.Day] = pair{p.estimated + spend.Money(c.Ours), p.billed + spend.Money(c.Theirs)}
		}
		add("")
		if tokens && c.Model != "" {
			add(c.Model)
		}
	}
	days := slices.SortedFunc(maps.Keys(settled), func(a, b time.Time) int { return b.Compare(a) })
	out := storage.Calibration{At: now.UTC().Truncate(time.Second)}
	for _, model := range slices.Sorted(maps.Keys(groups)) {
		out.Factors = append(out.Factors, factorOf(model, days, groups[model]))
	}
	return out
}

// factorOf is the factor of what is known by day, days being the settled ones, newest first.
func factorOf(model string, days []time.Time, known map[time.Time]pair) storage.CalibrationFactor {
	f := storage.CalibrationFactor{Model: model, Factor: spend.One}
	enough := func() bool { return f.Days >= calibrateFewest && f.Billed >= calibrateLeast }
	for i, d := range days {
		if i >= calibrateDays && enough() {
			break
		}
		p, ok := known[d]
		if !ok {
			continue
		}
		f.Days++
		f.Billed += p.billed
		f.Estimated += p.estimated
		if f.Window.End.IsZero() {
			f.Window.End = d.Add(day)
		}
		f.Window.Start = d
	}
	x, ok := spend.FactorOf(f.Billed, f.Estimated)
	if ok {
		f.Factor = x
	}
	switch {
	case !enough():
		f.Problem = fmt.Sprintf("too little to tell: %d settled days with $%s billed, of %d days and $%s that are needed",
			f.Days, f.Billed, calibrateFewest, calibrateLeast)
	case !ok:
		f.Problem = "nothing was estimated for what was billed"
	case f.Factor < lowestFactor || f.Factor > highestFactor:
		f.Problem = fmt.Sprintf("not between %s and %s: a price or the bill is not what it seems", lowestFactor, highestFactor)
	}
	return f
}

// absurd reports whether a factor was left aside for what it is, not for want of data.
func absurd(f storage.CalibrationFactor) bool {
	return f.Problem != "" && f.Days >= calibrateFewest && f.Billed >= calibrateLeast
}

// calibrate brings the calibration up to date, if it is due: daily, and as long as there are days
// to be added to it.
func (w *worker) calibrate(ctx context.Context, cs []storage.Check, now time.Time) error {
	old, err := w.Store.Calibration(ctx, w.org.ID)
	if err != nil {
		return err
	}
	c := calibration(cs, w.Prices.Stepped, now)
	if len(old.Factors) > 0 && !compareDue(spend.Day.Floor(now), old.At, now) && old.Factors[0].Days >= c.Factors[0].Days {
		return nil
	}
	if c.Prices, err = w.effectivePrices(ctx, cs, c.Counting(), now); err != nil {
		return err
	}
	if err := w.owner.Calibrate(ctx, c); err != nil {
		return fmt.Errorf("calibrating estimates: %w", err)
	}
	w.changed = true
	if f := c.Factors[0]; f.Problem == "" && (len(old.Factors) == 0 || old.Factors[0].Factor != f.Factor || old.Factors[0].Problem != "") {
		w.log.InfoContext(ctx, "estimates are scaled to what was billed", "factor", f.Factor.String(), "billed", f.Billed.String(),
			"estimated", f.Estimated.String(), "days", f.Days)
	}
	w.usePrices(c.Prices)
	return w.reestimate(ctx)
}

// effectivePrices are what the models with a price step were billed at on their last settled days,
// at list price: where the bill does not tell that, what was charged before the discount.
func (w *worker) effectivePrices(ctx context.Context, cs []storage.Check, factors storage.Factors, now time.Time) ([]storage.EffectivePrice, error) {
	type billed struct {
		amounts spend.Amounts
		days    map[time.Time]bool
	}
	models := map[string]*billed{}
	for i := len(cs) - 1; i >= 0; i-- { // newest first
		c := cs[i]
		if c.Name != storage.CheckEstimate || c.Subject != spend.Output.CostType() || !w.Prices.Stepped(c.Model, c.Day) ||
			c.Day.Before(spend.Day.Floor(now).AddDate(0, 0, -calibrateLongest)) {
			continue
		}
		m := models[c.Model]
		if m == nil {
			m = &billed{days: map[time.Time]bool{}}
			models[c.Model] = m
		}
		if !m.days[c.Day] && len(m.days) == calibrateDays {
			continue
		}
		m.days[c.Day] = true
		list := spend.Money(c.List)
		if c.With != spend.ReportAnalyticsCost {
			list = spend.Money(c.Theirs)
			if f, ok := spend.FactorOf(spend.Money(spend.One), spend.Money(factors.For(""))); ok {
				list = f.Of(list)
			}
		}
		for k := range spend.WebSearches {
			if k.TokenType() == c.TokenType {
				m.amounts[k] += list
			}
		}
	}
	var out []storage.EffectivePrice
	for _, model := range slices.Sorted(maps.Keys(models)) {
		m := models[model]
		days := slices.SortedFunc(maps.Keys(m.days), time.Time.Compare)
		window := spend.Window{Start: days[0], End: days[len(days)-1].Add(day)}
		usage, err := w.Store.Usage(ctx, storage.Query{
			Window: window, Step: spend.Day, Facts: true,
			By: []spend.Dimension{spend.ByModel, spend.ByServiceTier, spend.ByContextWindow, spend.ByInferenceGeo, spend.BySpeed},
			Where: []storage.Match{
				{Dimension: spend.ByOrganization, Values: []string{w.org.ID}}, {Dimension: spend.ByModel, Values: []string{model}},
			},
		})
		if err != nil {
			return nil, err
		}
		var rows []spend.Usage
		for _, u := range usage.Rows {
			if m.days[u.Start] {
				rows = append(rows, spend.Usage{Bucket: u.Start, Dims: u.Dims, Counts: u.Counts})
			}
		}
		if p, ok := w.Prices.Effective(rows, m.amounts); ok {
			out = append(out, storage.EffectivePrice{Model: model, Window: window, Price: p.Kinds()})
		}
	}
	return out, nil
}

// usePrices takes the price table with the effective prices.
func (w *worker) usePrices(ps []storage.EffectivePrice) {
	w.prices = w.Prices
	for _, p := range ps {
		w.prices = w.prices.WithEffective(p.Model, pricing.PriceOf(p.Price))
	}
}

// reestimate makes the stored estimates those of the price table.
func (w *worker) reestimate(ctx context.Context) error {
	version := w.prices.Version()
	if version == w.org.PriceVersion {
		return nil
	}
	if err := w.owner.Reestimate(ctx, time.Time{}, version, w.prices.Estimate); err != nil {
		return fmt.Errorf("estimating anew with prices %s: %w", version, err)
	}
	w.log.InfoContext(ctx, "estimated anew what is not billed yet", "prices", version)
	w.org.PriceVersion, w.changed = version, true
	return nil
}
