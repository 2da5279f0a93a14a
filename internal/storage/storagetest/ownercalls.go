package storagetest

import (
	"context"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// canceled is a context that is over.
func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// ownerCalls calls every method of an owner that writes.
func ownerCalls(ctx context.Context, o storage.Owner) map[string]error {
	now := at("11 00:00")
	_, usage := o.ReplaceUsage(ctx, hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:00", "apikey_a", 9)})
	_, requests := o.ReplaceRequests(ctx, reading(spend.ReportAnalyticsUsage, spend.Hour, "10 00:00/10 01:00"), nil)
	_, costs := o.ReplaceCosts(ctx, billHours("10 00:00/10 01:00"), nil)
	_, prune := o.Prune(ctx, storage.Keep{Minute: now})
	_, claim := o.Claim(ctx, []int64{1}, now, now)
	_, sum := o.SumDay(ctx, now)
	return map[string]error{
		"SumDay":               sum,
		"SaveEvaluation":       o.SaveEvaluation(ctx, storage.Evaluation{Now: now}),
		"Claim":                claim,
		"FinishDelivery":       o.FinishDelivery(ctx, storage.Delivery{Outcome: storage.DeliverySent}),
		"ReplaceUsage":         usage,
		"ReplaceRequests":      requests,
		"ReplaceCosts":         costs,
		"Prune":                prune,
		"Bill":                 o.Bill(ctx, at("10 00:00"), now),
		"Confirm":              o.Confirm(ctx, spend.FactUsage, span("10 00:00/10 01:00"), now),
		"ReplaceClaudeCode":    o.ReplaceClaudeCode(ctx, at("10 00:00"), nil),
		"Reestimate":           o.Reestimate(ctx, now, "v", func(*spend.Usage) {}),
		"SetWatermark":         o.SetWatermark(ctx, storage.Watermark{Report: spend.ReportMessages, DataAt: now}),
		"SetLive":              o.SetLive(ctx, now),
		"UpdateCounters":       o.UpdateCounters(ctx, 0),
		"SaveWorkspaces":       o.SaveWorkspaces(ctx, nil, now),
		"SaveAPIKeys":          o.SaveAPIKeys(ctx, nil, now),
		"SaveMembers":          o.SaveMembers(ctx, nil, now),
		"SaveWorkspaceMembers": o.SaveWorkspaceMembers(ctx, "wrkspc_a", nil, now),
		"SaveInvites":          o.SaveInvites(ctx, nil, now),
		"SaveRateLimits":       o.SaveRateLimits(ctx, "", nil, now),
		"SaveSpendLimits":      o.SaveSpendLimits(ctx, nil, now),
		"SaveTeams":            o.SaveTeams(ctx, nil),
		"SaveListRead":         o.SaveListRead(ctx, storage.ListRead{List: storage.ListMembers, ReadAt: now}),
		"SaveAudit":            o.SaveAudit(ctx, storage.Audit{AuditAbout: storage.AuditAbout{EvaluatedAt: now}}),
		"SaveRun":              o.SaveRun(ctx, storage.Run{Organization: org, Job: "usage", StartedAt: now, EndedAt: now, Outcome: "ok"}),
		"SaveChecks":           o.SaveChecks(ctx, []storage.Check{{Day: at("10 00:00"), Name: storage.CheckUsage, CheckedAt: now, Since: now}}),
		"SaveFindings":         o.SaveFindings(ctx, nil),
		"ReplaceSetAside":      o.ReplaceSetAside(ctx, spend.ReportCost, span("10 00:00/11 00:00"), nil),
		"Calibrate":            o.Calibrate(ctx, storage.Calibration{At: now}),
		"FinishRequest":        o.FinishRequest(ctx, 1, now, ""),
	}
}
