package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

type adminMembersCmd struct {
	List   adminMembersListCmd   `cmd:"" help:"List the members."`
	Update adminMembersUpdateCmd `cmd:"" help:"Give members another role."`
	Remove adminMembersRemoveCmd `cmd:"" help:"Remove members from the organization."`
}

func pickMembers(o *office) pick[spend.Member] {
	return pick[spend.Member]{
		what: "USER…", fields: admin.MemberFields, one: o.state.Member, many: o.state.SelectMembers,
		id: func(m spend.Member) string { return m.ID },
	}
}

type adminMembersListCmd struct {
	adminFlags
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Only those: id, email, name, role, workspace; a value may end in *; repeatable."`
}

// Run lists the members.
func (c adminMembersListCmd) Run(a *app) error {
	w, err := admin.ParseWhere(c.Where, admin.MemberFields)
	if err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	ms, err := o.state.SelectMembers(a.ctx, w)
	if err != nil {
		return asUsage(err)
	}
	s := sheet{columns: []string{"id", "email", "name", "role", "added_at"}}
	for _, m := range ms {
		s.add(m.ID, m.Email, m.Name, m.Role, m.AddedAt)
	}
	return o.show(s)
}

type adminMembersUpdateCmd struct {
	changeFlags
	Users []string `arg:"" optional:"" name:"user" help:"Id, e-mail address or name."`
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, email, name, role, workspace; a value may end in *; repeatable."`
	Role  string   `required:"" help:"user, developer, billing or claude_code_user (Claude Enterprise: user, managed)."`
}

// Run gives members another role.
func (c adminMembersUpdateCmd) Run(a *app) error {
	if err := admin.CheckMemberRole(c.Role); err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	return pickMembers(o).apply(a, c.changeFlags, o, c.Users, c.Where, func(m spend.Member) (admin.Step, error) {
		return o.state.SetMemberRole(a.ctx, m, c.Role)
	})
}

type adminMembersRemoveCmd struct {
	changeFlags
	Users []string `arg:"" optional:"" name:"user" help:"Id, e-mail address or name."`
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, email, name, role, workspace; a value may end in *; repeatable."`
}

// Run removes members.
func (c adminMembersRemoveCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	p := pickMembers(o)
	p.removal = admin.MemberRemove
	return p.apply(a, c.changeFlags, o, c.Users, c.Where, func(m spend.Member) (admin.Step, error) {
		return o.state.RemoveMember(a.ctx, m)
	})
}

type adminInvitesCmd struct {
	List   adminInvitesListCmd   `cmd:"" help:"List the invites."`
	Create adminInvitesCreateCmd `cmd:"" help:"Invite people."`
	Delete adminInvitesDeleteCmd `cmd:"" help:"Take invites back."`
}

type adminInvitesListCmd struct {
	adminFlags
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Only those: id, email, role, status; a value may end in *; repeatable."`
}

// Run lists the invites.
func (c adminInvitesListCmd) Run(a *app) error {
	w, err := admin.ParseWhere(c.Where, admin.InviteFields)
	if err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	is, err := o.state.SelectInvites(a.ctx, w)
	if err != nil {
		return asUsage(err)
	}
	s := sheet{columns: []string{"id", "email", "role", "status", "invited_at", "expires_at", "accepted_at"}}
	for _, i := range is {
		s.add(i.ID, i.Email, i.Role, i.Status, i.InvitedAt, i.ExpiresAt, i.AcceptedAt)
	}
	return o.show(s)
}

type adminInvitesCreateCmd struct {
	changeFlags
	Emails []string `arg:"" name:"email" help:"Addresses to invite."`
	Role   string   `required:"" help:"user, developer, billing or claude_code_user (Claude Enterprise: user, managed)."`
}

// Run invites people.
func (c adminInvitesCreateCmd) Run(a *app) error {
	if err := admin.CheckMemberRole(c.Role); err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	plan, err := each(distinct(c.Emails), func(email string) (admin.Step, error) { return o.state.InviteMember(a.ctx, email, c.Role) })
	if err != nil {
		return asUsage(err)
	}
	return o.change(c.changeFlags, plan)
}

// distinct keeps the first of equal names.
func distinct(names []string) (all []string) {
	for _, n := range names {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

type adminInvitesDeleteCmd struct {
	changeFlags
	Invites []string `arg:"" optional:"" name:"invite" help:"Id, or e-mail address."`
	Where   []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, email, role, status; a value may end in *; repeatable."`
}

// Run takes invites back.
func (c adminInvitesDeleteCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	p := pick[spend.Invite]{
		what: "INVITE…", fields: admin.InviteFields, one: o.state.Invite, many: o.state.SelectInvites,
		id: func(i spend.Invite) string { return i.ID }, removal: admin.InviteDelete,
	}
	return p.apply(a, c.changeFlags, o, c.Invites, c.Where, plain(admin.DeleteInvite))
}

type adminOnboardCmd struct {
	changeFlags
	Email     string   `arg:"" help:"Whom to let in."`
	Role      string   `required:"" help:"user, developer, billing or claude_code_user (Claude Enterprise: user, managed)."`
	Workspace []string `sep:"none" placeholder:"NAME:ROLE" help:"A workspace and the role there: user, developer, restricted_developer, admin; repeatable."`
}

// Run does what is left to do of letting somebody in.
func (c adminOnboardCmd) Run(a *app) error {
	var grants []admin.Grant
	for _, text := range c.Workspace {
		g, err := admin.ParseGrant(text)
		if err != nil {
			return asUsage(err)
		}
		grants = append(grants, g)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	plan, err := o.state.Onboard(a.ctx, c.Email, c.Role, grants)
	if err != nil {
		return asUsage(err)
	}
	return o.change(c.changeFlags, plan)
}

type adminOffboardCmd struct {
	changeFlags
	User string `arg:"" help:"Who leaves: e-mail address, name or id."`
	Keys string `enum:"disable,archive,keep" default:"disable" help:"What to do with the keys they created: ${enum}."`
}

// Run does what is left to do of letting somebody go.
func (c adminOffboardCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	who, err := o.state.Offboard(a.ctx, c.User, c.Keys)
	if admin.IsAbsent(err) {
		gone, e := o.removed(c.User)
		switch {
		case e != nil:
			err = e
		case gone.TargetID != "": // who has left is found by the id only
			if who, err = o.state.Offboard(a.ctx, gone.TargetID, c.Keys); admin.IsAbsent(err) {
				who, err = admin.Leaver{ID: gone.TargetID, Name: gone.TargetID}, nil
			}
		default: // nor a member any more who was never more than invited
			if deleted, e := o.gone(c.User, "", admin.InviteDelete); e != nil {
				err = e
			} else if len(deleted) > 0 {
				who, err = admin.Leaver{Name: deleted[0].TargetName}, nil
			}
		}
	}
	if err != nil {
		return asUsage(err)
	}
	costs, note := o.keyCosts(who.Keys, time.Now())
	keys := sheet{columns: []string{"id", "name", "workspace", "status", "personal", "cost_usd", "basis"}}
	for _, k := range who.Keys {
		workspace, err := o.state.WorkspaceLabel(a.ctx, k.WorkspaceID)
		if err != nil {
			return asUsage(err)
		}
		var amount any = ""
		f, ok := costs[k.ID]
		if ok && f.Unpriced > 0 && f.Cost == 0 {
			amount = "no price"
		} else if ok {
			amount = f.Cost
		}
		keys.add(k.ID, k.Label, workspace, k.Status, k.PrincipalID != "", amount, string(f.Basis))
	}
	if c.Format == "table" {
		fmt.Fprintln(a.stdout, printable(leaving(who)))
		if len(who.Keys) > 0 {
			fmt.Fprintf(a.stdout, "\nKeys they created; cost in $: %s\n", note)
			if err := keys.write(a.stdout, "table"); err != nil {
				return err
			}
		}
		fmt.Fprintln(a.stdout)
	}
	if len(who.Plan.Steps) == 0 {
		fmt.Fprintln(a.stderr, "monitor: nothing to do: they have no membership, invite or key in use")
		if c.Format == "table" {
			return nil
		}
	}
	return o.change(c.changeFlags, who.Plan, sheetField{"user", who.Name}, sheetField{"user_id", who.ID},
		sheetField{"keys", keys.objects()}, sheetField{"cost_note", note})
}

// gone finds the entries of the log, newest first, that say that something of that id, address or name was to be
// removed, by the action and from the workspace in where that is not empty. It is for what is not there any
// more: that it was there once the entry tells, however it ended, and somebody else may have taken it away meanwhile.
func (o *office) gone(text, in, action string) (found []storage.AdminEntry, err error) {
	store, err := o.storeIfAny(o.ctx)
	if err != nil {
		return nil, nil // without a log nothing is known to be removed
	}
	defer store.Close()
	entries, err := store.AdminLog(o.ctx, storage.AdminFilter{Organization: o.known.ID, Action: action})
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		called := slices.ContainsFunc([]string{e.TargetID, e.TargetName, e.Arguments["name"]}, func(name string) bool {
			return name != "" && strings.EqualFold(name, text)
		})
		if called && (in == "" || e.Arguments["workspace_id"] == in) {
			found = append(found, e)
		}
	}
	return found, nil
}

// removed finds the entry of the log about the removal of a member; it is empty where there is none. Who shares a
// name with another must be told apart by the id.
func (o *office) removed(text string) (found storage.AdminEntry, err error) {
	entries, err := o.gone(text, "", admin.MemberRemove)
	var ids, candidates []string
	for _, e := range entries {
		if !slices.Contains(ids, e.TargetID) {
			ids, candidates, found = append(ids, e.TargetID), append(candidates, fmt.Sprintf("%s (%s)", e.TargetID, e.TargetName)), e
		}
	}
	if len(ids) > 1 {
		return found, usageError{fmt.Errorf("%q is the name of %d who were removed: give the id of one: %s", text, len(ids), strings.Join(candidates, ", "))}
	}
	return found, err
}

// leaving says who leaves.
func leaving(who admin.Leaver) string {
	switch {
	case who.Member.ID != "":
		return fmt.Sprintf("%s (%s, %s), %s since %s, in %d workspaces", who.Name, who.Member.Name, who.ID, who.Member.Role,
			who.Member.AddedAt.Format(time.DateOnly), len(who.Seats))
	case who.ID == "":
		return who.Name + ", who was invited and is no member"
	default:
		return who.ID + ", who is no member any more"
	}
}

// keyCosts is what each of the keys cost in the last days, as far as the store knows, and what to know about
// these figures.
func (o *office) keyCosts(keys []spend.APIKey, now time.Time) (map[string]report.Figures, string) {
	const unknown = "not known here ("
	if len(keys) == 0 {
		return nil, ""
	}
	store, err := o.storeIfAny(o.ctx)
	if err != nil {
		return nil, unknown + err.Error() + ")"
	}
	defer store.Close()
	window := audit.CostWindow(now) // for a key that both tell of, the same figure
	p := report.Params{Kind: report.Costs, From: window.Start, To: window.End, Step: report.StepTotal, By: []spend.Dimension{spend.ByAPIKey}}
	ids := report.Filter{Dimension: spend.ByAPIKey}
	for _, k := range keys {
		ids.Values = append(ids.Values, k.ID)
	}
	p.Where = []report.Filter{{Dimension: spend.ByOrganization, Values: []string{o.known.ID}}, ids}
	answer, err := report.Run(o.ctx, store, p)
	switch {
	case err != nil:
		return nil, unknown + err.Error() + ")"
	case answer.AsOf.IsZero():
		return nil, unknown + "nothing was collected yet)"
	}
	costs := map[string]report.Figures{}
	for _, k := range keys {
		costs[k.ID] = report.Figures{}
	}
	for _, r := range answer.Rows {
		f := costs[r.APIKeyID]
		f.Add(r.Figures)
		costs[r.APIKeyID] = f
	}
	note := fmt.Sprintf("%d days from %s, as of %s UTC", audit.CostDays, window.Start.Format(time.DateOnly), answer.AsOf.UTC().Format("2006-01-02 15:04"))
	if answer.MissingHours > 0 {
		note += fmt.Sprintf(", without %d hours that were not read yet", answer.MissingHours)
	}
	return costs, note
}
