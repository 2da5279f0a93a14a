package admin

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Actions, as the admin log names them.
const (
	KeyEnable             = "api_key.enable"
	KeyDisable            = "api_key.disable"
	KeyArchive            = "api_key.archive"
	KeyRename             = "api_key.rename"
	InviteCreate          = "invite.create"
	InviteDelete          = "invite.delete"
	MemberRole            = "member.role"
	MemberRemove          = "member.remove"
	WorkspaceCreate       = "workspace.create"
	WorkspaceRename       = "workspace.rename"
	WorkspaceArchive      = "workspace.archive"
	WorkspaceMemberAdd    = "workspace_member.add"
	WorkspaceMemberRole   = "workspace_member.role"
	WorkspaceMemberRemove = "workspace_member.remove"
)

// Step is one change of a plan. It is made by the constructors of this package. Of Already, Cannot and
// Later at most one is set; a step with none of them is to be made.
type Step struct {
	Action    string
	ID        string            // of what is changed; empty for what does not exist yet
	Target    string            // its name or e-mail address
	In        string            // the workspace, of somebody's role in one; else empty
	Change    string            // such as "active → inactive"
	Note      string            // what else follows from it
	Arguments map[string]string // as the admin log stores them

	Already string // there is nothing to do, because …
	Cannot  string // the API does not let it be done, because …
	Later   string // it can be done only once …

	// Confirm is what has to be typed out before a step that cannot be undone; empty for others.
	Confirm string

	afterOthers bool // made only if no step before it is left undone
	do          func(context.Context, *adminapi.Writer) (adminapi.Receipt, error)
}

// Subject is what is changed, for people.
func (s Step) Subject() string {
	if s.In != "" {
		return s.Target + " in " + s.In
	}
	return s.Target
}

// Open reports whether the step is to be made.
func (s Step) Open() bool { return s.Already == "" && s.Cannot == "" && s.Later == "" }

// Plan is a list of changes, made in this order.
type Plan struct{ Steps []Step }

// Open lists the steps that are to be made.
func (p Plan) Open() []Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return !s.Open() })
}

// Add adds steps.
func (p *Plan) Add(steps ...Step) { p.Steps = append(p.Steps, steps...) }

const offForGood = "is %s: it cannot be used any more"

func keyStep(action string, k spend.APIKey, to string) Step {
	return Step{
		Action: action, ID: k.ID, Target: k.Name, Change: k.Status + " → " + to, Arguments: map[string]string{"status": to},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.SetKeyStatus(ctx, k.ID, to)
		},
	}
}

// DisableKey makes a key unusable until it is enabled again.
func DisableKey(k spend.APIKey) Step {
	s := keyStep(KeyDisable, k, adminapi.KeyInactive)
	switch k.Status {
	case "inactive":
		s.Already = "is disabled already"
	case "archived", "expired":
		s.Already = fmt.Sprintf(offForGood, k.Status)
	}
	return s
}

// EnableKey makes a disabled key usable.
func EnableKey(k spend.APIKey) Step {
	s := keyStep(KeyEnable, k, adminapi.KeyActive)
	switch k.Status {
	case "active":
		s.Already = "is enabled already"
	case "archived":
		s.Cannot = "is archived, which is for good: make a new key in the Console"
	case "expired":
		s.Cannot = "has expired, which is for good: make a new key in the Console"
	}
	return s
}

// ArchiveKey makes a key unusable for good.
func ArchiveKey(k spend.APIKey) Step {
	s := keyStep(KeyArchive, k, adminapi.KeyArchived)
	s.Note, s.Confirm = "for good", k.Name
	if k.Status == "archived" {
		s.Already, s.Confirm = "is archived already", ""
	}
	return s
}

// maxKeyName is how long a key's name may be.
const maxKeyName = 500

// RenameKey gives a key another name.
func RenameKey(k spend.APIKey, name string) (Step, error) {
	if err := checkName("key", name, maxKeyName); err != nil {
		return Step{}, err
	}
	s := Step{
		Action: KeyRename, ID: k.ID, Target: k.Name, Change: "name → " + name, Arguments: map[string]string{"name": name},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.RenameKey(ctx, k.ID, name)
		},
	}
	if k.Name == name {
		s.Already = "has that name already"
	}
	return s, nil
}

func checkName(what, name string, longest int) error {
	switch n := utf8.RuneCountInString(name); {
	case strings.TrimSpace(name) == "":
		return usage("the name of a %s must not be empty", what)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return usage("the name of a %s must have printable characters only: %q", what, name)
	case n > longest:
		return usage("the name of a %s may be %d characters long, this one has %d", what, longest, n)
	}
	return nil
}

// InviteMember invites an address into the organization.
func (s *State) InviteMember(ctx context.Context, email, role string) (Step, error) {
	if err := CheckMemberRole(role); err != nil {
		return Step{}, err
	}
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email {
		return Step{}, usage("%q is not an e-mail address", email)
	}
	step := Step{
		Action: InviteCreate, Target: email, Change: "invite as " + role, Arguments: map[string]string{"email": email, "role": role},
		Note: "is sent an e-mail; the invite expires after 21 days",
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.InviteMember(ctx, email, role)
		},
	}
	members, err := s.Members(ctx)
	if err != nil {
		return Step{}, err
	}
	for _, m := range members {
		if strings.EqualFold(m.Email, email) {
			step.ID, step.Already = m.ID, "is a member already, as "+m.Role
		}
	}
	invites, err := s.Invites(ctx)
	if err != nil {
		return Step{}, err
	}
	for _, i := range invites {
		if !strings.EqualFold(i.Email, email) || i.Status != "pending" || step.Already != "" {
			continue
		}
		step.ID, step.Already = i.ID, "is invited already, as "+i.Role+", until "+dayOf(i.ExpiresAt)
		if i.Role != role {
			step.Already = ""
			step.Cannot = fmt.Sprintf("is invited already, as %s: delete that invite first (monitor admin invites delete %s)", i.Role, i.ID)
		}
	}
	return step, nil
}

// DeleteInvite takes an invite back.
func DeleteInvite(i spend.Invite) Step {
	s := Step{
		Action: InviteDelete, ID: i.ID, Target: i.Email, Change: i.Status + " → deleted",
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.DeleteInvite(ctx, i.ID)
		},
	}
	switch i.Status {
	case "accepted":
		s.Cannot = "was accepted: remove the member instead (monitor admin members remove)"
	case "deleted":
		s.Already = "is deleted already"
	}
	return s
}

// Gone is a removal of what is not there any more, and was when the log's entry of its removal began. How that ended
// does not matter: it is gone.
func Gone(e storage.AdminEntry) Step {
	return Step{
		Action: e.Action, ID: e.TargetID, Target: e.TargetName, In: e.Arguments["workspace"], Change: "removed", Arguments: e.Arguments,
		Already: fmt.Sprintf("is gone; the admin log has its removal at %s UTC: %s", e.StartedAt.UTC().Format("2006-01-02 15:04"), e.Outcome),
	}
}

// admins counts the members who are admins.
func admins(ms []spend.Member) (n int) {
	for _, m := range ms {
		if slices.Contains(adminRoles, m.Role) {
			n++
		}
	}
	return n
}

const (
	lastAdmin = "is the only admin: somebody else must be made one in the Console first"
	restAdmin = "would be the only admin left: somebody else must be made one in the Console first"
)

// SetMemberRole gives a member another role.
func (s *State) SetMemberRole(ctx context.Context, m spend.Member, role string) (Step, error) {
	if err := CheckMemberRole(role); err != nil {
		return Step{}, err
	}
	step := Step{
		Action: MemberRole, ID: m.ID, Target: personName(m), Change: m.Role + " → " + role, Arguments: map[string]string{"role": role},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.SetMemberRole(ctx, m.ID, role)
		},
	}
	switch {
	case m.Role == role:
		step.Already = "has that role already"
	case slices.Contains(adminRoles, m.Role):
		ms, err := s.Members(ctx)
		if err != nil {
			return Step{}, err
		}
		rest := admins(slices.DeleteFunc(slices.Clone(ms), func(x spend.Member) bool { return x.ID == m.ID || s.demoted[x.ID] }))
		switch {
		case rest == 0 && len(s.demoted) > 0:
			step.Cannot = restAdmin
		case rest == 0:
			step.Cannot = lastAdmin
		default:
			step.Confirm, step.Note = personName(m), ownKey
			s.demoted[m.ID] = true
		}
	}
	return step, nil
}

const ownKey = "only the Console can make an admin again; if the admin key in use is theirs, it may stop working"

// RemoveMember removes somebody from the organization. Keys that they made and that outlive them are told.
func (s *State) RemoveMember(ctx context.Context, m spend.Member) (Step, error) {
	return s.removeMember(ctx, m, true)
}

// removeMember is [State.RemoveMember]; alone says that no step before it puts the person's keys out of use.
func (s *State) removeMember(ctx context.Context, m spend.Member, alone bool) (Step, error) {
	step := Step{
		Action: MemberRemove, ID: m.ID, Target: personName(m), Change: m.Role + " → removed",
		// Who is gone has a name in the log only.
		Arguments: map[string]string{"name": m.Name},
		do: func(ctx context.Context, w *adminapi.Writer) (adminapi.Receipt, error) {
			return w.RemoveMember(ctx, m.ID)
		},
	}
	if slices.Contains(adminRoles, m.Role) {
		ms, err := s.Members(ctx)
		if err != nil {
			return Step{}, err
		}
		step.Cannot = "is an admin, whom the API does not remove: in the Console (Settings, Members), or first " +
			"monitor admin members update " + config.ShellWord(personName(m)) + " --role user"
		if admins(ms) == 1 {
			step.Cannot = lastAdmin
		}
		return step, nil
	}
	keys, err := s.Keys(ctx)
	if err != nil {
		return Step{}, err
	}
	var personal, code, working []string
	for _, k := range keys {
		switch in, err := s.WorkspaceName(ctx, k.WorkspaceID); {
		case err != nil:
			return Step{}, err
		case k.PrincipalID == m.ID && k.Status != "archived":
			personal = append(personal, k.Name)
		case k.CreatedByID == m.ID && k.Status == "active" && in == claudeCode:
			code = append(code, k.Name)
		case k.CreatedByID == m.ID && k.Status == "active" && k.PrincipalID == "":
			working = append(working, k.Name)
		}
	}
	var notes []string
	if len(personal) > 0 {
		notes = append(notes, "archives their personal keys for good: "+shorten(personal))
		step.Confirm = personName(m)
	}
	if len(code) > 0 {
		notes = append(notes, "their keys of the Claude Code workspace stop: "+shorten(code))
	}
	if len(working) > 0 && alone {
		notes = append(notes, "keys they made keep working: "+shorten(working)+"; monitor admin offboard disables them first")
	}
	step.Note = strings.Join(notes, "; ")
	return step, nil
}
