package storage

import (
	"context"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Calibration is what the bills of settled days say about estimates: factors that scale estimates
// at list price to what is really charged, and prices that no list tells. The zero value changes
// nothing.
type Calibration struct {
	At      time.Time           // when it was computed; zero: never
	Factors []CalibrationFactor // the organization's first, whose Model is empty, then by model
	Prices  []EffectivePrice    // by model
}

// CalibrationFactor is what was billed over what was estimated at list price, of a model or (Model
// empty) of all that can be compared. It holds for the tokens of the model; the organization's holds
// for web searches, and for the models that have none of their own. One that has a Problem is shown
// and does not count.
type CalibrationFactor struct {
	Model     string
	Factor    spend.Factor
	Billed    spend.Money
	Estimated spend.Money
	Days      int          // settled days that the sums are of
	Window    spend.Window // from the first to the end of the last of them
	Problem   string       // why it does not count; empty: it does
}

// EffectivePrice is what a model whose price step no report tells really costs at list price, in
// money per million tokens by kind, as the bills of the window's settled days have it.
type EffectivePrice struct {
	Model  string
	Window spend.Window
	Price  [spend.WebSearches]spend.Money
}

// Factors are the factors that count.
type Factors struct {
	Organization spend.Factor // zero: none is known
	Models       map[string]spend.Factor
}

// Counting are the factors of a calibration that count.
func (c Calibration) Counting() Factors {
	f := Factors{Models: map[string]spend.Factor{}}
	for _, x := range c.Factors {
		switch {
		case x.Problem != "":
		case x.Model == "":
			f.Organization = x.Factor
		default:
			f.Models[x.Model] = x.Factor
		}
	}
	return f
}

// For is the factor of the model's tokens; that of web searches has no model.
func (f Factors) For(model string) spend.Factor {
	if x, ok := f.Models[model]; ok && model != "" {
		return x
	}
	if f.Organization != 0 {
		return f.Organization
	}
	return spend.One
}

// Apply is the estimate of a row of usage of the model, calibrated: each kind is scaled and rounded
// by itself, half to even, so that sums by whatever grouping are sums of the same numbers.
func (f Factors) Apply(model string, estimate spend.Amounts) spend.Amounts {
	searches := f.For("").Of(estimate[spend.WebSearches])
	estimate = estimate.Of(f.For(model))
	estimate[spend.WebSearches] = searches
	return estimate
}

// billedOf are the windows that are billed, joined.
func billedOf(cost []Slot) []spend.Window {
	var ws []spend.Window
	for _, s := range cost {
		if s.State == Billed {
			ws = append(ws, s.Window)
		}
	}
	return spend.Join(ws)
}

// openDays lists the UTC days of which some usage is not billed.
func openDays(usage, cost []Slot) []spend.Window {
	var days []spend.Window
	billed := billedOf(cost)
	for _, s := range usage {
		for len(billed) > 0 && !billed[0].End.After(s.Window.Start) {
			billed = billed[1:]
		}
		if len(billed) == 0 || !billed[0].Covers(s.Window) {
			days = append(days, s.Window.Align(spend.Day))
		}
	}
	var out []spend.Window
	for _, span := range spend.Join(days) {
		out = append(out, span.Buckets(spend.Day)...)
	}
	return out
}

// Calibrate is [Owner.Calibrate]. The calibration is written last: where this breaks off, it is due
// again.
func Calibrate(ctx context.Context, transact Transact, c Calibration) error {
	if err := reestimateDays(ctx, transact, time.Time{}, c.Counting(), func(*spend.Usage) {}); err != nil {
		return err
	}
	return transact(ctx, func(tx Tx) error { return tx.PutCalibration(ctx, c) })
}
