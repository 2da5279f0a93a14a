package storagetest

import (
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var runTests = []test{
	{"are listed newest first, and the last of each job", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.store.SaveOrganization(ctx, spend.Organization{ID: other, Name: "beta"}, at("02 00:00")))
		o := e.own(other)
		run := func(org, job, when, outcome string) storage.Run {
			r := storage.Run{Organization: org, Job: job, StartedAt: at(when), EndedAt: at(when).Add(5e9), Outcome: outcome, Rows: 12, Requests: 3}
			if outcome != "ok" {
				r.Error = "cost report: 500"
			}
			return r
		}
		first, second, third := run(org, "usage", "10 00:00", "ok"), run(org, "usage", "10 00:01", "ok"), run(org, "usage", "10 00:02", "failed")
		cost, others := run(org, "cost", "10 00:03", "ok"), run(other, "usage", "10 00:04", "failed")
		for _, r := range []storage.Run{first, second, third, cost} {
			require.NoError(e, e.owner.SaveRun(ctx, r))
		}
		require.NoError(e, o.SaveRun(ctx, others))

		runs, err := e.store.Runs(ctx, "", 10)
		require.NoError(e, err)
		require.Equal(e, []storage.Run{others, cost, third, second, first}, runs)
		runs, err = e.store.Runs(ctx, org, 2)
		require.NoError(e, err)
		require.Equal(e, []storage.Run{cost, third}, runs)
		runs, err = e.store.LastRuns(ctx)
		require.NoError(e, err)
		require.Equal(e, []storage.Run{cost, third, second, others}, runs)
	}},
}

var requestTests = []test{
	{"are left, listed and finished", func(e *env) {
		ctx := e.Context()
		ask := storage.Request{Organization: org, Kind: storage.RequestBackfill, Grain: spend.Day, Window: span("01 00:00/10 00:00"), AskedAt: at("10 00:00")}
		id, err := e.store.Ask(ctx, ask)
		require.NoError(e, err)
		second, err := e.store.Ask(ctx, storage.Request{Organization: org, Kind: storage.RequestCollect, AskedAt: at("10 00:01")})
		require.NoError(e, err)
		require.Greater(e, second, id)
		ask.ID = id
		collect := storage.Request{ID: second, Organization: org, Kind: storage.RequestCollect, AskedAt: at("10 00:01")}
		rs, err := e.store.Requests(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []storage.Request{ask, collect}, rs)

		require.NoError(e, e.owner.FinishRequest(ctx, id, at("10 01:00"), ""))
		require.NoError(e, e.owner.FinishRequest(ctx, second, at("10 01:00"), "key refused"))
		require.NoError(e, e.owner.FinishRequest(ctx, second, at("10 02:00"), ""), "what is done stays as it was done")
		rs, err = e.store.Requests(ctx, org)
		require.NoError(e, err)
		require.Empty(e, rs)
		collect.DoneAt, collect.Problem = at("10 01:00"), "key refused"
		r, err := e.store.Request(ctx, second)
		require.NoError(e, err)
		require.Equal(e, collect, r)
	}},
	{"that do not exist are not found", func(e *env) {
		ctx := e.Context()
		_, err := e.store.Request(ctx, 77)
		require.ErrorIs(e, err, storage.ErrNotFound)
		require.ErrorIs(e, e.owner.FinishRequest(ctx, 77, at("10 00:00"), ""), storage.ErrNotFound)
		_, err = e.store.Ask(ctx, storage.Request{Organization: other, Kind: storage.RequestCollect, AskedAt: at("10 00:00")})
		require.ErrorIs(e, err, storage.ErrNotFound)
	}},
}

var claudeCodeTests = []test{
	{"is replaced by the day", func(e *env) {
		ctx := e.Context()
		row := spend.ClaudeCode{
			Day: at("10 00:00"), ActorType: "user_actor", Actor: "a@example.com", CustomerType: "api", TerminalType: "vscode", Sessions: 3,
			LinesAdded: 100, LinesRemoved: 20, Commits: 2, PullRequests: 1, ToolsAccepted: 40, ToolsRejected: 4,
			Models: []spend.ClaudeCodeModel{
				{Model: "claude-x", Input: 1, Output: 2, CacheRead: 3, CacheCreation: 4, Cost: 5}, {Model: "claude-w", Input: 9},
			},
		}
		bare := spend.ClaudeCode{Day: at("10 00:00"), ActorType: "api_actor", Actor: "ci", CustomerType: "subscription", SubscriptionType: "team"}
		require.NoError(e, e.owner.ReplaceClaudeCode(ctx, at("10 00:00"), []spend.ClaudeCode{row, bare}))
		next := bare
		next.Day = at("11 00:00")
		require.NoError(e, e.owner.ReplaceClaudeCode(ctx, at("11 00:00"), []spend.ClaudeCode{next}))
		got, err := e.store.ClaudeCode(ctx, org, span("10 00:00/12 00:00"))
		require.NoError(e, err)
		require.Equal(e, []spend.ClaudeCode{bare, row, next}, got)

		row.Sessions, row.Models = 4, row.Models[1:]
		require.NoError(e, e.owner.ReplaceClaudeCode(ctx, at("10 00:00"), []spend.ClaudeCode{row}))
		got, err = e.store.ClaudeCode(ctx, org, span("10 00:00/11 00:00"))
		require.NoError(e, err)
		require.Equal(e, []spend.ClaudeCode{row}, got)
		require.Error(e, e.owner.ReplaceClaudeCode(ctx, at("10 01:00"), nil))
		require.Error(e, e.owner.ReplaceClaudeCode(ctx, at("10 00:00"), []spend.ClaudeCode{next}))
	}},
}

var ownerTests = []test{
	{"is one at a time", func(e *env) {
		ctx := e.Context()
		_, err := e.store.Own(ctx, org)
		require.ErrorIs(e, err, storage.ErrOwned)
		require.NoError(e, e.owner.Release())
		e.owner = e.own(org)
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
	}},
	{"is one at a time over processes", func(e *env) {
		i, ok := e.store.(Inspector)
		require.True(e, ok, "the store under test must be an Inspector")
		ctx := e.Context()
		second, err := i.Reopen(ctx)
		require.NoError(e, err)
		defer func() { require.NoError(e, second.Close()) }()
		_, err = second.Own(ctx, org)
		require.ErrorIs(e, err, storage.ErrOwned)

		// The other process reads and makes its short writes meanwhile.
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
		r, err := second.Usage(ctx, query("10 00:00/10 01:00", 0))
		require.NoError(e, err)
		require.Len(e, r.Rows, 1)
		_, err = second.Ask(ctx, storage.Request{Organization: org, Kind: storage.RequestCollect, AskedAt: at("10 00:00")})
		require.NoError(e, err)
		require.NoError(e, second.Ping(ctx))

		require.NoError(e, e.owner.Release())
		o, err := second.Own(ctx, org)
		require.NoError(e, err)
		_, err = e.store.Own(ctx, org)
		require.ErrorIs(e, err, storage.ErrOwned)
		_, err = o.ReplaceUsage(ctx, hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:00", "apikey_a", 2), used("10 00:00", "apikey_b", 2)})
		require.NoError(e, err)
		require.NoError(e, o.Release())

		// Series that the other process made are known here.
		e.owner = e.own(org)
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_b", 3))
		require.Equal(e, []string{"10 00:00 1h apikey_b 9"}, e.showUsage(query("10 00:00/10 01:00", 0, spend.ByAPIKey)))
	}},
	{"writes nothing once it is lost", func(e *env) {
		ctx := e.Context()
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_a", 1))
		require.NoError(e, e.owner.Release())
		require.NoError(e, e.owner.Release(), "releasing twice is safe")
		for name, err := range ownerCalls(ctx, e.owner) {
			require.ErrorIs(e, err, storage.ErrLost, name)
		}
		require.Equal(e, []string{"10 00:00 1h 3"}, e.showUsage(query("10 00:00/10 01:00", 0)))
	}},
	{"writes all or nothing", func(e *env) {
		ctx := e.Context()
		_, err := e.owner.ReplaceUsage(ctx, hours("10 00:00/10 02:00"), []spend.Usage{used("10 00:00", "apikey_new", 1), used("10 02:00", "apikey_new", 1)})
		require.Error(e, err)
		canceled := canceled(ctx)
		_, err = e.owner.ReplaceUsage(canceled, hours("10 00:00/10 01:00"), []spend.Usage{used("10 00:00", "apikey_new", 1)})
		require.Error(e, err)
		require.Empty(e, e.slots(spend.FactUsage, "10 00:00/11 00:00"))
		e.usage(hours("10 00:00/10 01:00"), used("10 00:00", "apikey_new", 1))
		require.Equal(e, []string{"10 00:00 1h apikey_new 3"}, e.showUsage(query("10 00:00/10 01:00", 0, spend.ByAPIKey)))
	}},
}
