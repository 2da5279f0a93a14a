package storagetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// adminEntry is an entry as it is begun.
func adminEntry(when, action, target string) storage.AdminEntry {
	return storage.AdminEntry{
		Organization: org, StartedAt: at(when), User: "root", SudoUser: "Ada", Host: "ops-1", Action: action,
		TargetID: "id_" + target, TargetName: target, Arguments: map[string]string{"status": "inactive"},
	}
}

// beginAdmin begins an entry and returns it as it is stored.
func (e *env) beginAdmin(x storage.AdminEntry) storage.AdminEntry {
	e.Helper()
	id, err := e.store.BeginAdmin(e.Context(), x)
	require.NoError(e, err)
	x.ID, x.Outcome = id, storage.AdminStarted
	return x
}

func (e *env) adminLog(f storage.AdminFilter) []storage.AdminEntry {
	e.Helper()
	entries, err := e.store.AdminLog(e.Context(), f)
	require.NoError(e, err)
	return entries
}

var adminLogTests = []test{
	{"keeps what was begun and how it ended", func(e *env) {
		ctx := e.Context()
		require.Equal(e, []storage.AdminEntry{}, e.adminLog(storage.AdminFilter{}))
		x := adminEntry("10 00:00", "api_key.disable", "ci")
		x.StartedAt = x.StartedAt.Add(700 * time.Millisecond)
		x.AdminOutcome = storage.AdminOutcome{Outcome: storage.AdminDone, RequestID: "req_1", Error: "x"}
		id, err := e.store.BeginAdmin(ctx, x)
		require.NoError(e, err)
		x.ID, x.StartedAt, x.AdminOutcome = id, at("10 00:00"), storage.AdminOutcome{Outcome: storage.AdminStarted}
		require.Equal(e, []storage.AdminEntry{x}, e.adminLog(storage.AdminFilter{}), "before it is finished its outcome is not known")

		x.AdminOutcome = storage.AdminOutcome{Outcome: storage.AdminRefused, Took: 1234 * time.Millisecond, RequestID: "req_2", Error: "400 no"}
		require.NoError(e, e.store.FinishAdmin(ctx, x.ID, "", x.AdminOutcome))
		require.Equal(e, []storage.AdminEntry{x}, e.adminLog(storage.AdminFilter{}))
		require.ErrorIs(e, e.store.FinishAdmin(ctx, x.ID, "", storage.AdminOutcome{Outcome: storage.AdminDone}), storage.ErrNotFound, "an outcome stays")
		require.ErrorIs(e, e.store.FinishAdmin(ctx, x.ID+1, "", storage.AdminOutcome{Outcome: storage.AdminDone}), storage.ErrNotFound)
		require.Error(e, e.store.FinishAdmin(ctx, x.ID, "", storage.AdminOutcome{Outcome: storage.AdminStarted}))
		require.Equal(e, []storage.AdminEntry{x}, e.adminLog(storage.AdminFilter{}))
	}},
	{"is of an organization that is known, and may have no arguments", func(e *env) {
		x := adminEntry("10 00:00", "workspace.create", "")
		x.Organization = other
		_, err := e.store.BeginAdmin(e.Context(), x)
		require.ErrorIs(e, err, storage.ErrNotFound)
		x.Organization, x.TargetID, x.Arguments, x.SudoUser = org, "", nil, ""
		x = e.beginAdmin(x)
		x.Arguments = map[string]string{}
		require.Equal(e, []storage.AdminEntry{x}, e.adminLog(storage.AdminFilter{}))

		x.TargetID, x.AdminOutcome = "wrkspc_1", storage.AdminOutcome{Outcome: storage.AdminDone}
		require.NoError(e, e.store.FinishAdmin(e.Context(), x.ID, "wrkspc_1", x.AdminOutcome))
		require.Equal(e, []storage.AdminEntry{x}, e.adminLog(storage.AdminFilter{}), "what was created has an id now")
		y := e.beginAdmin(adminEntry("11 00:00", "api_key.disable", "ci"))
		y.AdminOutcome = x.AdminOutcome
		require.NoError(e, e.store.FinishAdmin(e.Context(), y.ID, "id_other", y.AdminOutcome))
		require.Equal(e, []storage.AdminEntry{y, x}, e.adminLog(storage.AdminFilter{}), "what had one keeps it")
	}},
	{"is filtered, newest first", func(e *env) {
		ctx := e.Context()
		require.NoError(e, e.store.SaveOrganization(ctx, spend.Organization{ID: other, Name: "beta"}, at("02 00:00")))
		var xs []storage.AdminEntry
		for _, x := range []storage.AdminEntry{
			adminEntry("10 00:00", "api_key.disable", "ci"), adminEntry("11 00:00", "api_key.archive", "ci-old"),
			adminEntry("12 00:00", "member.remove", "Dev@Example.com"), adminEntry("12 00:00", "member.remove", "eva@example.com"),
		} {
			if x.TargetName == "eva@example.com" {
				x.Organization, x.User, x.SudoUser = other, "ben", ""
			}
			xs = append(xs, e.beginAdmin(x))
		}
		xs[0].AdminOutcome = storage.AdminOutcome{Outcome: storage.AdminDone, Took: time.Second, RequestID: "req_1"}
		require.NoError(e, e.store.FinishAdmin(ctx, xs[0].ID, "", xs[0].AdminOutcome))
		for _, c := range []struct {
			filter storage.AdminFilter
			want   []int
		}{
			{storage.AdminFilter{}, []int{3, 2, 1, 0}},
			{storage.AdminFilter{Limit: 2}, []int{3, 2}},
			{storage.AdminFilter{Organization: org}, []int{2, 1, 0}},
			{storage.AdminFilter{Organization: "nobody"}, nil},
			{storage.AdminFilter{Window: span("11 00:00/12 00:00")}, []int{1}},
			{storage.AdminFilter{Window: spend.Window{Start: at("11 00:00")}}, []int{3, 2, 1}},
			{storage.AdminFilter{Window: spend.Window{End: at("11 00:00")}}, []int{0}},
			{storage.AdminFilter{Action: "api_key.*"}, []int{1, 0}},
			{storage.AdminFilter{Action: "api_key.*", Limit: 1}, []int{1}},
			{storage.AdminFilter{Action: "api_key"}, nil},
			{storage.AdminFilter{User: "ada"}, []int{2, 1, 0}},
			{storage.AdminFilter{User: "ben"}, []int{3}},
			{storage.AdminFilter{Target: "dev@example.COM"}, []int{2}},
			{storage.AdminFilter{Target: "ID_ci"}, []int{0}},
			{storage.AdminFilter{Target: "ci*"}, []int{1, 0}},
			{storage.AdminFilter{Outcome: storage.AdminDone}, []int{0}},
			{storage.AdminFilter{Outcome: storage.AdminStarted, Organization: org}, []int{2, 1}},
		} {
			want := []storage.AdminEntry{}
			for _, i := range c.want {
				want = append(want, xs[i])
			}
			require.Equal(e, want, e.adminLog(c.filter), "%+v", c.filter)
		}
	}},
	{"is written by a process beside the owner, and once it is lost", func(e *env) {
		i, ok := e.store.(Inspector)
		require.True(e, ok, "the store under test must be an Inspector")
		second, err := i.Reopen(e.Context())
		require.NoError(e, err)
		defer func() { require.NoError(e, second.Close()) }()
		x := adminEntry("10 00:00", "invite.delete", "a@example.com")
		x.ID, err = second.BeginAdmin(e.Context(), x)
		require.NoError(e, err)
		require.NoError(e, e.owner.Release())
		x.AdminOutcome = storage.AdminOutcome{Outcome: storage.AdminUnknown, Took: time.Second, Error: "no answer"}
		require.NoError(e, e.store.FinishAdmin(e.Context(), x.ID, "", x.AdminOutcome))
		entries, err := second.AdminLog(e.Context(), storage.AdminFilter{})
		require.NoError(e, err)
		require.Equal(e, []storage.AdminEntry{x}, entries)
	}},
	{"survives pruning", func(e *env) {
		x := e.beginAdmin(adminEntry("02 00:00", "api_key.disable", "ci"))
		_, err := e.owner.Prune(e.Context(), storage.Keep{Minute: at("20 00:00"), Hour: at("20 00:00"), Day: at("20 00:00")})
		require.NoError(e, err)
		require.Equal(e, []storage.AdminEntry{x}, e.adminLog(storage.AdminFilter{}))
	}},
	{"is the view admin_log", func(e *env) {
		x := e.beginAdmin(adminEntry("10 00:00", "api_key.disable", "ci"))
		columns := `organization || '|' || os_user || '|' || sudo_user || '|' || host || '|' || action || '|' || target_id || '|' || target || '|' ||
			took_ms || '|' || outcome || '|' || request_id || '|' || error`
		require.Equal(e, []string{"acme|root|Ada|ops-1|api_key.disable|id_ci|ci|0|started||"}, e.ask(`select `+columns+` from admin_log`))
		require.NoError(e, e.store.FinishAdmin(e.Context(), x.ID, "", storage.AdminOutcome{
			Outcome: storage.AdminFailed, Took: 2 * time.Second, RequestID: "req_9", Error: "529",
		}))
		require.Equal(e, []string{"acme|root|Ada|ops-1|api_key.disable|id_ci|ci|2000|failed|req_9|529"}, e.ask(`select `+columns+` from admin_log`))
		require.Equal(e, []string{"inactive"}, e.ask(`select arguments ->> 'status' from admin_log where id = `+e.ask(`select id from admin_log`)[0]))
	}},
}
