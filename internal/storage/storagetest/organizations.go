package storagetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var organizationTests = []test{
	{"are listed by when they were first seen, and renamed", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.store.SaveOrganization(ctx, spend.Organization{ID: other, Name: "beta"}, at("02 00:00")))
		require.NoError(e, e.store.SaveOrganization(ctx, spend.Organization{ID: org, Name: "acme & co"}, at("03 00:00")))
		os, err := e.store.Organizations(ctx)
		require.NoError(e, err)
		require.Equal(e, []storage.OrganizationState{
			{Organization: spend.Organization{ID: org, Name: "acme & co"}, FirstSeenAt: at("01 00:00")},
			{Organization: spend.Organization{ID: other, Name: "beta"}, FirstSeenAt: at("02 00:00")},
		}, os)
	}},
	{"go live once", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.owner.SetLive(ctx, at("02 10:00").In(time.FixedZone("", 3600))))
		require.NoError(e, e.owner.SetLive(ctx, at("03 10:00")))
		os, err := e.store.Organizations(ctx)
		require.NoError(e, err)
		require.Equal(e, at("02 10:00"), os[0].LiveAt)
	}},
	{"are kept apart", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.store.SaveOrganization(ctx, spend.Organization{ID: other, Name: "beta"}, at("02 00:00")))
		o := e.own(other)
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
		_, err := o.ReplaceUsage(ctx, hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:00", "apikey_a", 10)})
		require.NoError(e, err)
		_, err = o.ReplaceUsage(ctx, hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:00", "apikey_b", 20)})
		require.NoError(e, err)

		both, err := e.store.Usage(ctx, query("10 00:00/11 00:00", 0))
		require.NoError(e, err)
		require.Len(e, both.Rows, 2, "rows of different organizations are never merged")
		require.Equal(e, []string{org, other}, []string{both.Rows[0].Organization, both.Rows[1].Organization})
		require.EqualValues(e, 3, both.Rows[0].Counts.Tokens())
		require.EqualValues(e, 60, both.Rows[1].Counts.Tokens())
		require.Equal(e, []string{"10 00:00 24h apikey_a 3"}, e.showUsage(where(query("10 00:00/11 00:00", 0, spend.ByAPIKey), spend.ByOrganization, org)))
		slots, err := e.store.Slots(ctx, other, spend.FactUsage, span("10 00:00/11 00:00"))
		require.NoError(e, err)
		require.Len(e, slots, 1)
	}},
	{"that are not known have nothing", func(e *env) {
		ctx := e.Context()
		const nobody = "5b0c7c2e-0000-4000-8000-000000000009"
		_, err := e.store.Own(ctx, nobody)
		require.ErrorIs(e, err, storage.ErrNotFound)
		slots, err := e.store.Slots(ctx, nobody, spend.FactUsage, span("01 00:00/31 00:00"))
		require.NoError(e, err)
		require.Empty(e, slots)
		days, seq, err := e.store.Changed(ctx, nobody, 0)
		require.NoError(e, err)
		require.Empty(e, days)
		require.Zero(e, seq)
		costs, err := e.store.Costs(ctx, where(query("01 00:00/31 00:00", 0), spend.ByOrganization, nobody))
		require.NoError(e, err)
		require.NotNil(e, costs.Rows)
		require.Empty(e, costs.Rows)
	}},
	{"have watermarks that never go back", func(e *env) {
		ctx := e.Context()
		set := func(w storage.Watermark) {
			e.Helper()
			require.NoError(e, e.owner.SetWatermark(ctx, w))
		}
		set(storage.Watermark{Report: spend.ReportMessages, DataAt: at("10 10:00"), ReadAt: at("10 10:05")})
		set(storage.Watermark{Report: spend.ReportMessages, DataAt: at("10 09:00"), ReadAt: at("10 10:10")})
		set(storage.Watermark{Report: spend.ReportAnalyticsCost, RefusedAt: at("10 10:00"), Reason: "403"})
		ws, err := e.store.Watermarks(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.Watermark{
			{Report: spend.ReportAnalyticsCost, RefusedAt: at("10 10:00"), Reason: "403"},
			{Report: spend.ReportMessages, DataAt: at("10 10:00"), ReadAt: at("10 10:10")},
		}, ws)

		set(storage.Watermark{Report: spend.ReportMessages, RefusedAt: at("10 11:00"), Reason: "401"})
		set(storage.Watermark{Report: spend.ReportAnalyticsCost, DataAt: at("10 11:00"), ReadAt: at("10 11:00")})
		ws, err = e.store.Watermarks(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.Watermark{
			{Report: spend.ReportAnalyticsCost, DataAt: at("10 11:00"), ReadAt: at("10 11:00")},
			{Report: spend.ReportMessages, DataAt: at("10 10:00"), ReadAt: at("10 10:10"), RefusedAt: at("10 11:00"), Reason: "401"},
		}, ws)
	}},
}
