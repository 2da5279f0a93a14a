package reporttest

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// reconciled stores comparisons of one day that agrees and one that does not, a calibration that
// changes no figure, and findings.
func reconciled(f filler) {
	ctx := f.Context()
	check := func(day int, name storage.CheckName, subject string, ours, theirs int64, v storage.Verdict, why string) storage.Check {
		c := storage.Check{
			Day: At(day, 0), Name: name, Subject: subject, Report: spend.ReportMessages, With: spend.ReportMessages, Ours: ours, Theirs: theirs,
			Verdict: v, Explanation: why, Since: At(20, 7), CheckedAt: At(22, 7),
		}
		switch name {
		case storage.CheckCost:
			c.Report, c.With, c.Money = spend.ReportCost, spend.ReportCost, true
		case storage.CheckEstimate:
			c.With, c.Money = spend.ReportCost, true
		}
		return c
	}
	model := func(c storage.Check) storage.Check {
		c.Model, c.TokenType = Sonnet, "output"
		return c
	}
	f.ok(f.SaveChecks(ctx, []storage.Check{
		check(3, storage.CheckUsage, "output_tokens", 70_000, 70_000, storage.Agrees, ""),
		check(3, storage.CheckUsage, "uncached_input_tokens", 400_000, 400_000, storage.Agrees, "agrees since one row was revised: hour of 05:00"),
		check(3, storage.CheckUsage, "web_searches", 3, 3, storage.Agrees, ""),
		check(3, storage.CheckCost, "amount", int64(650*spend.Cent), int64(650*spend.Cent), storage.Agrees, ""),
		model(check(3, storage.CheckEstimate, "tokens", int64(8*spend.Dollar), int64(650*spend.Cent), storage.Agrees, "")),
		check(3, storage.CheckEstimate, storage.Total, int64(8*spend.Dollar), int64(650*spend.Cent), storage.Agrees, "estimate over bill: 1.2308"),
		check(3, storage.CheckEstimate, "code_execution", 0, int64(175*spend.Cent), storage.Explained, "is in the bill only: no usage report counts it"),
		check(19, storage.CheckUsage, "output_tokens", 8_001, 8_000, storage.Unconfirmed, ""),
		check(19, storage.CheckUsage, "web_searches", 2, 2, storage.Agrees, ""),
		check(19, storage.CheckCost, "amount", 1_333_333_334, int64(33*spend.Cent), storage.Differs, ""),
		check(19, storage.CheckEstimate, storage.Total, int64(2*spend.Dollar), 1_333_333_334, storage.Agrees, "estimate over bill: 1.5000"),
	}))
	f.ok(f.Calibrate(ctx, storage.Calibration{
		At: At(22, 7),
		Factors: []storage.CalibrationFactor{
			{Factor: spend.One, Billed: 10 * spend.Dollar, Estimated: 10 * spend.Dollar, Days: 7, Window: spend.Window{Start: At(15, 0), End: At(22, 0)}},
			{Model: Sonnet, Factor: spend.One, Billed: 40 * spend.Cent, Estimated: 50 * spend.Cent, Days: 2, Window: spend.Window{Start: At(18, 0), End: At(20, 0)}, Problem: "too little to tell"},
		},
		Prices: []storage.EffectivePrice{{
			Model: Haiku, Window: spend.Window{Start: At(20, 0), End: At(21, 0)}, Price: [spend.WebSearches]spend.Money{300_000_000, 10_000_000, 125_000_000, 200_000_000, 1_500_000_000},
		}},
	}))
	f.ok(f.SaveFindings(ctx, []storage.Finding{
		{
			Kind: storage.FindingUnpriced, Subject: Opus, Amount: "12345 tokens", Detail: "no price is known", FirstAt: At(21, 7), SeenAt: At(22, 7),
			Window: spend.Window{Start: At(20, 0), End: At(21, 0)},
		},
	}))
	f.ok(f.ReplaceSetAside(ctx, spend.ReportCost, spend.Window{Start: Aside, End: Aside.Add(24 * time.Hour)}, []storage.SetAside{
		{Bucket: Aside, Report: spend.ReportCost, Currency: "EUR", Amount: "1234.5", ReadAt: At(20, 7), Dims: spend.Dims{WorkspaceID: Staging, CostType: "tokens"}},
	}))
}

// Aside is a day, before the rest of the history, whose bill has a row in another currency.
var Aside = time.Date(2026, 9, 15, 0, 0, 0, 0, time.UTC)
