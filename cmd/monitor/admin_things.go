package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

type adminWorkspacesCmd struct {
	List    adminWorkspacesListCmd    `cmd:"" help:"List the workspaces."`
	Create  adminWorkspacesCreateCmd  `cmd:"" help:"Create workspaces."`
	Rename  adminWorkspacesRenameCmd  `cmd:"" help:"Rename a workspace."`
	Archive adminWorkspacesArchiveCmd `cmd:"" help:"Archive workspaces and their keys, for good."`
	Members adminSeatsCmd             `cmd:"" help:"List, add, update and remove members of a workspace."`
}

type adminWorkspacesListCmd struct {
	adminFlags
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Only those: id, name, status (live, archived); a value may end in *; repeatable."`
}

// Run lists the workspaces.
func (c adminWorkspacesListCmd) Run(a *app) error {
	w, err := admin.ParseWhere(c.Where, admin.WorkspaceFields)
	if err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	ws, err := o.state.SelectWorkspaces(a.ctx, w)
	if err != nil {
		return asUsage(err)
	}
	s := sheet{columns: []string{"id", "name", "status", "default", "created_at", "archived_at", "tags"}}
	for _, x := range ws {
		s.add(x.ID, x.Label, admin.WorkspaceStatus(x), x.Default, x.CreatedAt, x.ArchivedAt, x.Tags)
	}
	return o.show(s)
}

type adminWorkspacesCreateCmd struct {
	changeFlags
	Names []string `arg:"" name:"name" help:"Names of the workspaces."`
}

// Run creates workspaces.
func (c adminWorkspacesCreateCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	plan, err := each(distinct(c.Names), func(name string) (admin.Step, error) { return o.state.CreateWorkspace(a.ctx, name) })
	if err != nil {
		return asUsage(err)
	}
	return o.change(c.changeFlags, plan)
}

type adminWorkspacesRenameCmd struct {
	changeFlags
	Workspace string `arg:"" help:"Id or name."`
	Name      string `arg:"" help:"The new name."`
}

// Run renames a workspace.
func (c adminWorkspacesRenameCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	return pickWorkspaces(o).apply(a, c.changeFlags, o, []string{c.Workspace}, nil, func(x spend.Workspace) (admin.Step, error) {
		return admin.RenameWorkspace(x, c.Name)
	})
}

func pickWorkspaces(o *office) pick[spend.Workspace] {
	return pick[spend.Workspace]{
		what: "WORKSPACE…", fields: admin.WorkspaceFields, one: o.state.Workspace, many: o.state.SelectWorkspaces,
		id: func(x spend.Workspace) string { return x.ID },
	}
}

type adminWorkspacesArchiveCmd struct {
	changeFlags
	Workspaces []string `arg:"" optional:"" name:"workspace" help:"Id or name."`
	Where      []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, name, status (live, archived); a value may end in *; repeatable."`
}

// Run archives workspaces.
func (c adminWorkspacesArchiveCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	return pickWorkspaces(o).apply(a, c.changeFlags, o, c.Workspaces, c.Where, func(x spend.Workspace) (admin.Step, error) {
		return o.state.ArchiveWorkspace(a.ctx, x)
	})
}

type adminSeatsCmd struct {
	List   adminSeatsListCmd   `cmd:"" help:"List who has a role in a workspace."`
	Add    adminSeatsAddCmd    `cmd:"" help:"Give members of the organization a role in a workspace."`
	Update adminSeatsUpdateCmd `cmd:"" help:"Give members of a workspace another role there."`
	Remove adminSeatsRemoveCmd `cmd:"" help:"Remove members from a workspace."`
}

type adminSeatsListCmd struct {
	adminFlags
	Workspace string   `arg:"" help:"Id or name."`
	Where     []string `sep:"none" placeholder:"FIELD=VALUE" help:"Only those: id, email, name, role; a value may end in *; repeatable."`
}

// Run lists who is in a workspace.
func (c adminSeatsListCmd) Run(a *app) error {
	w, err := admin.ParseWhere(c.Where, admin.WorkspaceMemberFields)
	if err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	x, err := o.state.Workspace(a.ctx, c.Workspace)
	if err != nil {
		return asUsage(err)
	}
	seats, err := o.state.SelectSeats(a.ctx, x, w)
	if err != nil {
		return asUsage(err)
	}
	s := sheet{columns: []string{"workspace_id", "workspace", "user_id", "email", "name", "role"}}
	for _, seat := range seats {
		s.add(x.ID, x.Label, seat.Member.ID, seat.Member.Email, seat.Member.Name, seat.Role)
	}
	return o.show(s)
}

type adminSeatsAddCmd struct {
	changeFlags
	Workspace string   `arg:"" help:"Id or name."`
	Users     []string `arg:"" optional:"" name:"user" help:"Id, e-mail address or name."`
	Where     []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, email, name, role, workspace; a value may end in *; repeatable."`
	Role      string   `required:"" help:"user, developer, restricted_developer or admin."`
}

// Run gives members of the organization a role in a workspace.
func (c adminSeatsAddCmd) Run(a *app) error {
	if _, err := admin.CheckWorkspaceRole(c.Role); err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	x, err := o.state.Workspace(a.ctx, c.Workspace)
	if err != nil {
		return asUsage(err)
	}
	return pickMembers(o).apply(a, c.changeFlags, o, c.Users, c.Where, func(m spend.Member) (admin.Step, error) {
		return o.state.AddToWorkspace(a.ctx, x, m, c.Role)
	})
}

// pickSeats picks among those who are in the workspace.
func pickSeats(a *app, o *office, workspace string) (pick[admin.Seat], error) {
	x, err := o.state.Workspace(a.ctx, workspace)
	if err != nil {
		return pick[admin.Seat]{}, asUsage(err)
	}
	return pick[admin.Seat]{
		what: "USER…", in: x.ID, fields: admin.WorkspaceMemberFields, id: func(s admin.Seat) string { return s.Member.ID },
		one:  func(ctx context.Context, text string) (admin.Seat, error) { return o.state.Seat(ctx, x, text) },
		many: func(ctx context.Context, w admin.Where) ([]admin.Seat, error) { return o.state.SelectSeats(ctx, x, w) },
	}, nil
}

type adminSeatsUpdateCmd struct {
	changeFlags
	Workspace string   `arg:"" help:"Id or name."`
	Users     []string `arg:"" optional:"" name:"user" help:"Id, e-mail address or name."`
	Where     []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, email, name, role; a value may end in *; repeatable."`
	Role      string   `required:"" help:"user, developer, restricted_developer or admin."`
}

// Run gives members of a workspace another role there.
func (c adminSeatsUpdateCmd) Run(a *app) error {
	if _, err := admin.CheckWorkspaceRole(c.Role); err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	p, err := pickSeats(a, o, c.Workspace)
	if err != nil {
		return err
	}
	return p.apply(a, c.changeFlags, o, c.Users, c.Where, func(s admin.Seat) (admin.Step, error) { return admin.SetWorkspaceRole(s, c.Role) })
}

type adminSeatsRemoveCmd struct {
	changeFlags
	Workspace string   `arg:"" help:"Id or name."`
	Users     []string `arg:"" optional:"" name:"user" help:"Id, e-mail address or name."`
	Where     []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, email, name, role; a value may end in *; repeatable."`
}

// Run removes members from a workspace.
func (c adminSeatsRemoveCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	p, err := pickSeats(a, o, c.Workspace)
	if err != nil {
		return err
	}
	p.removal = admin.WorkspaceMemberRemove
	return p.apply(a, c.changeFlags, o, c.Users, c.Where, plain(admin.RemoveFromWorkspace))
}

type adminKeysCmd struct {
	List    adminKeysListCmd    `cmd:"" help:"List the keys."`
	Rename  adminKeysRenameCmd  `cmd:"" help:"Rename a key."`
	Enable  adminKeysEnableCmd  `cmd:"" help:"Make disabled keys usable."`
	Disable adminKeysDisableCmd `cmd:"" help:"Make keys unusable; can be undone."`
	Archive adminKeysArchiveCmd `cmd:"" help:"Make keys unusable for good."`
	Create  adminKeysCreateCmd  `cmd:"" help:"Says where keys are made: the API makes none."`
	Delete  adminKeysDeleteCmd  `cmd:"" help:"Says what takes its place: the API deletes none."`
}

type adminKeysListCmd struct {
	adminFlags
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Only those: id, name, status, workspace, creator; a value may end in *; repeatable."`
}

// Run lists the keys.
func (c adminKeysListCmd) Run(a *app) error {
	w, err := admin.ParseWhere(c.Where, admin.KeyFields)
	if err != nil {
		return asUsage(err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	ks, err := o.state.SelectKeys(a.ctx, w)
	if err != nil {
		return asUsage(err)
	}
	s := sheet{columns: []string{"id", "name", "workspace", "status", "creator", "hint", "created_at", "expires_at"}}
	for _, k := range ks {
		workspace, err := o.state.WorkspaceLabel(a.ctx, k.WorkspaceID)
		if err != nil {
			return asUsage(err)
		}
		creator, err := o.state.Person(a.ctx, k.CreatedByID)
		if err != nil {
			return asUsage(err)
		}
		s.add(k.ID, k.Label, workspace, k.Status, creator, k.Hint, k.CreatedAt, k.ExpiresAt)
	}
	return o.show(s)
}

func pickKeys(o *office) pick[spend.APIKey] {
	return pick[spend.APIKey]{
		what: "KEY…", fields: admin.KeyFields, one: o.state.Key, many: o.state.SelectKeys,
		id: func(k spend.APIKey) string { return k.ID },
	}
}

// keyChange is a change of keys by name or filter.
type keyChange struct {
	changeFlags
	Keys  []string `arg:"" optional:"" name:"key" help:"Id or name."`
	Where []string `sep:"none" placeholder:"FIELD=VALUE" help:"Those: id, name, status, workspace, creator; a value may end in *; repeatable."`
}

func (c keyChange) apply(a *app, step func(spend.APIKey) admin.Step) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	return pickKeys(o).apply(a, c.changeFlags, o, c.Keys, c.Where, plain(step))
}

type (
	adminKeysEnableCmd  struct{ keyChange }
	adminKeysDisableCmd struct{ keyChange }
	adminKeysArchiveCmd struct{ keyChange }
)

// Run enables keys.
func (c adminKeysEnableCmd) Run(a *app) error { return c.apply(a, admin.EnableKey) }

// Run disables keys.
func (c adminKeysDisableCmd) Run(a *app) error { return c.apply(a, admin.DisableKey) }

// Run archives keys.
func (c adminKeysArchiveCmd) Run(a *app) error { return c.apply(a, admin.ArchiveKey) }

type adminKeysRenameCmd struct {
	changeFlags
	Key  string `arg:"" help:"Id or name."`
	Name string `arg:"" help:"The new name."`
}

// Run renames a key.
func (c adminKeysRenameCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	return pickKeys(o).apply(a, c.changeFlags, o, []string{c.Key}, nil, func(k spend.APIKey) (admin.Step, error) {
		return admin.RenameKey(k, c.Name)
	})
}

// anything takes whatever follows a command that only explains itself.
type anything struct {
	Arguments []string `arg:"" optional:"" passthrough:"" hidden:""`
}

type (
	adminKeysCreateCmd struct{ anything }
	adminKeysDeleteCmd struct{ anything }
)

// Run says where keys are made.
func (adminKeysCreateCmd) Run(*app) error {
	return usageError{errors.New("the Admin API makes no keys: make one in the Console (Settings, API keys), in the workspace it is for")}
}

// Run says what takes the place of deleting.
func (adminKeysDeleteCmd) Run(*app) error {
	return usageError{errors.New("the Admin API deletes no keys: monitor admin keys disable makes one unusable and can be undone, " +
		"monitor admin keys archive is for good; the Console's Delete (Settings, API keys) archives too")}
}

type adminRateLimitsCmd struct {
	Show adminRateLimitsShowCmd `cmd:"" help:"Show the limits of the organization, and those that workspaces have of their own."`
}

type adminRateLimitsShowCmd struct{ adminFlags }

// Run shows the rate limits.
func (c adminRateLimitsShowCmd) Run(a *app) error {
	o, err := c.open(a)
	if err != nil {
		return err
	}
	ls, err := o.state.RateLimits(a.ctx)
	if err != nil {
		return asUsage(err)
	}
	s := sheet{columns: []string{"workspace", "group", "type", "limiter", "value", "models"}}
	for _, l := range ls {
		workspace, err := o.state.WorkspaceLabel(a.ctx, l.WorkspaceID)
		if err != nil {
			return asUsage(err)
		}
		s.add(workspace, l.Group, l.GroupType, l.Limiter, l.Value, l.Models)
	}
	if err := o.show(s); err != nil || c.Format != "table" {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, "\nWithout a workspace: the organization's. What a workspace does not have of its own it inherits.")
	return err
}
