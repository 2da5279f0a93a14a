package admin_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestRolesThatCanBeGiven(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"user", "developer", "billing", "claude_code_user", "managed"} {
		require.NoError(t, admin.CheckMemberRole(role), role)
	}
	isUsage(t, admin.CheckMemberRole("admin"), "role admin cannot be given through the API, only in the Console (Settings, Members); "+
		"the API gives user, developer, billing, claude_code_user")
	isUsage(t, admin.CheckMemberRole("boss"), `there is no role "boss": the API gives user, developer, billing, claude_code_user (in Claude Enterprise user and managed)`)
	isUsage(t, admin.CheckMemberRole(""), "--role is missing: one of user, developer, billing, claude_code_user")

	for short, full := range map[string]string{
		"user": "workspace_user", "workspace_admin": "workspace_admin", "restricted_developer": "workspace_restricted_developer",
	} {
		role, err := admin.CheckWorkspaceRole(short)
		require.NoError(t, err)
		require.Equal(t, full, role)
	}
	const gives = "the API gives workspace_user, workspace_developer, workspace_restricted_developer, workspace_admin"
	for _, role := range []string{"billing", "workspace_billing"} {
		_, err := admin.CheckWorkspaceRole(role)
		isUsage(t, err, "workspace_billing cannot be given: billing members of the organization have it in every workspace; "+gives)
	}
	_, err := admin.CheckWorkspaceRole("king")
	isUsage(t, err, `there is no role "king" in a workspace: `+gives)
	_, err = admin.CheckWorkspaceRole("")
	require.Error(t, err)
	g, err := admin.ParseGrant("a:b:developer")
	require.NoError(t, err)
	require.Equal(t, admin.Grant{Workspace: "a:b", Role: "workspace_developer"}, g)
	for _, text := range []string{"staging", ":user", "staging:", "staging:king"} {
		_, err := admin.ParseGrant(text)
		require.Error(t, err, text)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, ctx := b.state(), t.Context()
	one := must(t)
	workspace := func(name string) spend.Workspace {
		x, err := s.Workspace(ctx, name)
		require.NoError(t, err)
		return x
	}
	invite := func(email string) spend.Invite {
		i, err := s.Invite(ctx, email)
		require.NoError(t, err)
		return i
	}
	dev, production := b.member("Dev Patel"), workspace("production")
	seat, err := s.Seat(ctx, production, "Dev Patel")
	require.NoError(t, err)
	hackathon := workspace("hackathon")
	for want, step := range map[string]admin.Step{
		"api_key.disable evals: active → inactive":                                                                                                                  admin.DisableKey(b.key("evals")),
		"api_key.disable paused: inactive → inactive | already is disabled already":                                                                                 admin.DisableKey(b.key("paused")),
		"api_key.disable trial-2025: expired → inactive | already is expired: it cannot be used any more":                                                           admin.DisableKey(b.key("trial-2025")),
		"api_key.disable hackathon-demo: archived → inactive | already is archived: it cannot be used any more":                                                     admin.DisableKey(b.key("hackathon-demo")),
		"api_key.enable paused: inactive → active":                                                                                                                  admin.EnableKey(b.key("paused")),
		"api_key.enable evals: active → active | already is enabled already":                                                                                        admin.EnableKey(b.key("evals")),
		"api_key.enable hackathon-demo: archived → active | cannot is archived, which is for good: make a new key in the Console":                                   admin.EnableKey(b.key("hackathon-demo")),
		"api_key.enable trial-2025: expired → active | cannot has expired, which is for good: make a new key in the Console":                                        admin.EnableKey(b.key("trial-2025")),
		"api_key.archive evals: active → archived | confirm evals":                                                                                                  admin.ArchiveKey(b.key("evals")),
		"api_key.archive trial-2025: expired → archived | confirm trial-2025":                                                                                       admin.ArchiveKey(b.key("trial-2025")),
		"api_key.archive hackathon-demo: archived → archived | already is archived already":                                                                         admin.ArchiveKey(b.key("hackathon-demo")),
		"api_key.rename evals: name → tests":                                                                                                                        one(admin.RenameKey(b.key("evals"), "tests")),
		"api_key.rename evals: name → evals | already has that name already":                                                                                        one(admin.RenameKey(b.key("evals"), "evals")),
		"invite.create new@x.example: invite as user":                                                                                                               one(s.InviteMember(ctx, "new@x.example", "user")),
		"invite.create Dev.Patel@acme-robotics.example: invite as user | already is a member already, as developer":                                                 one(s.InviteMember(ctx, "Dev.Patel@acme-robotics.example", "user")),
		"invite.create max.ito@acme-robotics.example: invite as user":                                                                                               one(s.InviteMember(ctx, "max.ito@acme-robotics.example", "user")),
		"invite.delete kim.sato@acme-robotics.example: pending → deleted":                                                                                           admin.DeleteInvite(invite("kim.sato@acme-robotics.example")),
		"invite.delete jon.berg@acme-robotics.example: accepted → deleted | cannot was accepted: remove the member instead (monitor admin members remove)":          admin.DeleteInvite(invite("jon.berg@acme-robotics.example")),
		"member.role dev.patel@acme-robotics.example: developer → user":                                                                                             one(s.SetMemberRole(ctx, dev, "user")),
		"member.role dev.patel@acme-robotics.example: developer → developer | already has that role already":                                                        one(s.SetMemberRole(ctx, dev, "developer")),
		"member.role ben.ortiz@acme-robotics.example: admin → user | confirm ben.ortiz@acme-robotics.example":                                                       one(s.SetMemberRole(ctx, b.member("Ben Ortiz"), "user")),
		"member.remove dev.patel@acme-robotics.example: developer → removed":                                                                                        one(s.RemoveMember(ctx, dev)),
		"workspace.create fresh: create":                                                                                                                            one(s.CreateWorkspace(ctx, "fresh")),
		"workspace.create production: create | already exists already":                                                                                              one(s.CreateWorkspace(ctx, "production")),
		"workspace.create hackathon: create":                                                                                                                        one(s.CreateWorkspace(ctx, "hackathon")),
		"workspace.rename production: name → prod":                                                                                                                  one(admin.RenameWorkspace(production, "prod")),
		"workspace.rename Default: name → prod | cannot is the default workspace, which cannot be renamed":                                                          one(admin.RenameWorkspace(workspace("Default"), "prod")),
		"workspace.rename hackathon: name → prod | cannot is archived, which is for good":                                                                           one(admin.RenameWorkspace(hackathon, "prod")),
		"workspace.archive production: live → archived | confirm production":                                                                                        one(s.ArchiveWorkspace(ctx, production)),
		"workspace.archive hackathon: archived | already is archived already":                                                                                       one(s.ArchiveWorkspace(ctx, hackathon)),
		"workspace.archive Default: live → archived | cannot is the default workspace, which cannot be archived":                                                    one(s.ArchiveWorkspace(ctx, workspace("Default"))),
		"workspace_member.add hugo.petit@acme-robotics.example in production: add as workspace_user":                                                                one(s.AddToWorkspace(ctx, production, b.member("Hugo Petit"), "user")),
		"workspace_member.add dev.patel@acme-robotics.example in production: add as workspace_admin | already has that role already":                                one(s.AddToWorkspace(ctx, production, dev, "admin")),
		"workspace_member.role dev.patel@acme-robotics.example in production: workspace_admin → workspace_user":                                                     one(s.AddToWorkspace(ctx, production, dev, "user")),
		"workspace_member.role dev.patel@acme-robotics.example in production: workspace_admin → workspace_admin | already has that role already":                    one(admin.SetWorkspaceRole(seat, "admin")),
		"workspace_member.remove dev.patel@acme-robotics.example in production: workspace_admin → removed":                                                          admin.RemoveFromWorkspace(seat),
		"workspace_member.add dev.patel@acme-robotics.example in hackathon: add as workspace_user | cannot is archived, which is for good":                          one(s.AddToWorkspace(ctx, hackathon, dev, "user")),
		"workspace_member.add dev.patel@acme-robotics.example in Default: add as workspace_user | cannot everybody in the organization is in the default workspace": one(s.AddToWorkspace(ctx, workspace("Default"), dev, "user")),
	} {
		require.Equal(t, []string{want}, steps(admin.Plan{Steps: []admin.Step{step}}))
	}
	archive := must(t)(s.ArchiveWorkspace(ctx, production))
	require.Equal(t, "for good, with its keys; active now: web-backend, search-ranker, support-agent, us-residency, priority-api, nightly-etl, "+
		"billing-export, reserve and 2 more", archive.Note)
	require.Equal(t, "their keys of the Claude Code workspace stop: claude-code-ci", must(t)(s.RemoveMember(ctx, b.member("Gita Rao"))).Note)
	lea := must(t)(s.InviteMember(ctx, "lea.roy@partner.example", "developer"))
	require.Contains(t, lea.Cannot, "is invited already, as user: delete that invite first (monitor admin invites delete invite_")
	lea = must(t)(s.InviteMember(ctx, "lea.roy@partner.example", "user"))
	require.Contains(t, lea.Already, "is invited already, as user, until 20")

	for _, err := range []error{
		second(admin.RenameKey(b.key("evals"), " ")), second(admin.RenameKey(b.key("evals"), strings.Repeat("ä", 501))),
		second(s.CreateWorkspace(ctx, strings.Repeat("x", 41))), second(s.CreateWorkspace(ctx, "")), second(s.CreateWorkspace(ctx, "a\x1b[31mb")), second(admin.RenameWorkspace(production, "")),
		second(s.InviteMember(ctx, "no address", "user")), second(s.InviteMember(ctx, "A <a@b.example>", "user")), second(s.InviteMember(ctx, "a@b.example", "admin")),
		second(s.SetMemberRole(ctx, dev, "owner")), second(s.AddToWorkspace(ctx, production, dev, "billing")), second(admin.SetWorkspaceRole(seat, "")),
	} {
		var u admin.UsageError
		require.ErrorAs(t, err, &u)
	}
}

func second[T any](_ T, err error) error { return err }

// TestTheLastAdmin has one admin made a user, and then asks for the other.
func TestTheLastAdmin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	remove := must(t)(b.state().RemoveMember(ctx, b.member("Ben Ortiz")))
	require.Equal(t, "is an admin, whom the API does not remove: in the Console (Settings, Members), or first "+
		"monitor admin members update ben.ortiz@acme-robotics.example --role user", remove.Cannot)
	together := b.state()
	require.Empty(t, must(t)(together.SetMemberRole(ctx, b.member("Ben Ortiz"), "user")).Cannot)
	all := must(t)(together.SetMemberRole(ctx, b.member("Ada Marsh"), "user"))
	require.Equal(t, "would be the only admin left: somebody else must be made one in the Console first", all.Cannot)
	require.Empty(t, all.Confirm)
	demote := must(t)(b.state().SetMemberRole(ctx, b.member("Ben Ortiz"), "user"))
	require.Equal(t, "only the Console can make an admin again; if the admin key in use is theirs, it may stop working", demote.Note)
	require.NoError(t, b.desk.Apply(ctx, admin.Plan{Steps: []admin.Step{demote}}, nil).Err())

	const last = "is the only admin: somebody else must be made one in the Console first"
	require.Equal(t, last, must(t)(b.state().SetMemberRole(ctx, b.member("Ada Marsh"), "user")).Cannot)
	require.Equal(t, last, must(t)(b.state().RemoveMember(ctx, b.member("Ada Marsh"))).Cannot)

	// The former admin can be removed now; that archives a personal key for good.
	remove = must(t)(b.state().RemoveMember(ctx, b.member("Ben Ortiz")))
	require.Equal(t, "archives their personal keys for good: ben-laptop; keys they made keep working: billing-export, quarterly-close; "+
		"monitor admin offboard disables them first", remove.Note)
	who, err := b.state().Offboard(ctx, "Ben Ortiz", admin.KeysDisable)
	require.NoError(t, err)
	require.Equal(t, "archives their personal keys for good: ben-laptop", who.Plan.Steps[len(who.Plan.Steps)-1].Note)
	require.Equal(t, "ben.ortiz@acme-robotics.example", remove.Confirm)
	require.NoError(t, b.desk.Apply(ctx, admin.Plan{Steps: []admin.Step{remove}}, nil).Err())
	require.Equal(t, "archived", b.key("ben-laptop").Status)
}
