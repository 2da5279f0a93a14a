package admin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// TestOnboarding runs the same command until nothing is left to do.
func TestOnboarding(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	const who = "zoe.kern@acme-robotics.example"
	research, err := admin.ParseGrant("research:developer")
	require.NoError(t, err)
	code, err := admin.ParseGrant("Claude Code:user")
	require.NoError(t, err)
	onboard := func(role string) admin.Plan {
		p, err := b.state().Onboard(ctx, who, role, []admin.Grant{research, code})
		require.NoError(t, err)
		return p
	}
	apply := func(p admin.Plan) admin.Report {
		r := b.desk.Apply(ctx, p, nil)
		require.NoError(t, r.Err())
		return r
	}
	waiting := []string{
		"workspace_member.add " + who + " in research: add as workspace_developer | later once the invite is accepted: run the same command again then",
		"workspace_member.add " + who + " in Claude Code: add as workspace_user | later once the invite is accepted: run the same command again then",
	}
	p := onboard("developer")
	require.Equal(t, append([]string{"invite.create " + who + ": invite as developer"}, waiting...), steps(p))
	require.Equal(t, []string{storage.AdminDone, admin.OutcomeLater, admin.OutcomeLater}, outcomes(apply(p)))

	p = onboard("developer")
	require.Empty(t, p.Open())
	require.Contains(t, p.Steps[0].Already, "is invited already, as developer, until ")
	apply(p)
	require.Equal(t, 1, b.writes())

	require.True(t, b.org.Accept(who))
	p = onboard("developer")
	require.Equal(t, []string{
		"member.role " + who + ": developer → developer | already has that role already",
		"workspace_member.add " + who + " in research: add as workspace_developer",
		"workspace_member.add " + who + " in Claude Code: add as workspace_user",
	}, steps(p))
	b.org.Faults().Arm(sim.Rule{Fault: sim.Internal, Method: http.MethodPost, Times: 1})
	r := b.desk.Apply(ctx, p, nil)
	require.Equal(t, []string{admin.OutcomeNothing, storage.AdminUnknown, admin.OutcomeNotDone}, outcomes(r))
	require.Equal(t, []string{admin.OutcomeNothing, storage.AdminDone, storage.AdminDone}, outcomes(apply(onboard("developer"))))
	require.Empty(t, onboard("developer").Open(), "nothing is left to do")
	require.Equal(t, []string{"member.role " + who + ": developer → user"}, steps(admin.Plan{Steps: onboard("user").Open()}))

	_, err = b.state().Onboard(ctx, who, "user", []admin.Grant{research, research})
	isUsage(t, err, "workspace research is named twice")
	_, err = b.state().Onboard(ctx, who, "user", []admin.Grant{{Workspace: "reserch", Role: "workspace_user"}})
	isUsage(t, err, `there is no workspace "reserch" (did you mean "research"?)`)
	_, err = b.state().Onboard(ctx, who, "admin", nil)
	require.Error(t, err)
	p, err = b.state().Onboard(ctx, "new@x.example", "user", []admin.Grant{{Workspace: "hackathon", Role: "workspace_user"}})
	require.NoError(t, err)
	require.Equal(t, "workspace hackathon is archived, which is for good", p.Steps[1].Cannot)

	// To let in who is an admin takes nothing away from them.
	p, err = b.state().Onboard(ctx, "ada.marsh@acme-robotics.example", "user", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"member.role ada.marsh@acme-robotics.example: admin → user | already is an admin, which is more"}, steps(p))
}

func offboard(t *testing.T, b *bench, text, keys string) admin.Leaver {
	t.Helper()
	who, err := b.state().Offboard(t.Context(), text, keys)
	require.NoError(t, err)
	return who
}

// TestOffboarding fails half-way, and is run again.
func TestOffboarding(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	const email = "iris.novak@freelance.example"
	who := offboard(t, b, "Iris Novak", admin.KeysDisable)
	require.Equal(t, email, who.Name)
	require.Len(t, who.Keys, 2)
	require.Len(t, who.Seats, 2)
	require.Equal(t, []string{
		"api_key.disable ci: active → inactive",
		"api_key.disable contractor: active → inactive",
		"workspace_member.remove " + email + " in staging: workspace_developer → removed",
		"workspace_member.remove " + email + " in research: workspace_restricted_developer → removed",
		"member.remove " + email + ": developer → removed",
	}, steps(who.Plan))

	// A change that is refused keeps the person in, so that the command can be run again by name.
	require.NoError(t, b.desk.Apply(ctx, admin.Plan{Steps: []admin.Step{admin.RemoveFromWorkspace(who.Seats[0])}}, nil).Err())
	r := b.desk.Apply(ctx, who.Plan, nil)
	require.Equal(t, []string{storage.AdminDone, storage.AdminDone, storage.AdminRefused, storage.AdminDone, admin.OutcomeNotDone}, outcomes(r))
	require.Equal(t, "waits until everything above is done", r.Results[4].Error)
	require.Equal(t, "developer", b.member("Iris Novak").Role)

	again := offboard(t, b, email, admin.KeysDisable)
	require.Equal(t, []string{"member.remove " + email + ": developer → removed"}, steps(admin.Plan{Steps: again.Plan.Open()}))
	require.NoError(t, b.desk.Apply(ctx, again.Plan, nil).Err())

	_, err := b.state().Offboard(ctx, email, admin.KeysDisable)
	require.True(t, admin.IsAbsent(err))
	require.ErrorContains(t, err, "keys of somebody who has left are found by the id of the user")
	gone := offboard(t, b, who.ID, admin.KeysArchive)
	require.Empty(t, gone.Member)
	require.Equal(t, []string{
		"api_key.archive ci: inactive → archived | confirm ci", "api_key.archive contractor: inactive → archived | confirm contractor",
	}, steps(gone.Plan))
	require.NoError(t, b.desk.Apply(ctx, gone.Plan, nil).Err())
	require.Empty(t, offboard(t, b, who.ID, admin.KeysDisable).Plan.Steps)
}

func TestOffboardingOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// An admin's keys are put out of use; the admin stays.
	who := offboard(t, b, "Ben Ortiz", admin.KeysDisable)
	require.Equal(t, []string{
		"api_key.disable billing-export: active → inactive", "api_key.disable ben-laptop: active → inactive",
		"api_key.disable quarterly-close: active → inactive", "api_key.disable trial-2025: expired → inactive | already is expired: it cannot be used any more",
		"member.remove ben.ortiz@acme-robotics.example: admin → removed | cannot is an admin, whom the API does not remove: in the Console " +
			"(Settings, Members), or first monitor admin members update ben.ortiz@acme-robotics.example --role user",
	}, steps(who.Plan))
	require.EqualError(t, b.desk.Apply(t.Context(), who.Plan, nil).Err(), "1 of 4 cannot be done through the API, see above")

	who = offboard(t, b, "gita.rao@acme-robotics.example", admin.KeysKeep)
	require.Equal(t, []string{
		"api_key.disable claude-code-ci: active → inactive | already is kept, but keys of this workspace stop when their creator is removed",
		"workspace_member.remove gita.rao@acme-robotics.example in Claude Code: workspace_user → removed",
		"member.remove gita.rao@acme-robotics.example: claude_code_user → removed",
	}, steps(who.Plan))
	who = offboard(t, b, "lea.roy@partner.example", admin.KeysDisable)
	require.Equal(t, []string{"invite.delete lea.roy@partner.example: pending → deleted"}, steps(who.Plan))
	_, err := b.state().Offboard(t.Context(), "user_nobody", admin.KeysDisable)
	require.True(t, admin.IsAbsent(err))
}
