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
	return map[string]error{
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
		"SaveListRead":         o.SaveListRead(ctx, storage.ListRead{List: storage.ListMembers, ReadAt: now}),
		"SaveAudit":            o.SaveAudit(ctx, storage.Audit{AuditAbout: storage.AuditAbout{EvaluatedAt: now}}),
		"SaveRun":              o.SaveRun(ctx, storage.Run{Organization: org, Job: "usage", StartedAt: now, EndedAt: now, Outcome: "ok"}),
		"FinishRequest":        o.FinishRequest(ctx, 1, now, ""),
	}
}
