package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
)

// Config is the section audit. A check is off where its value is 0, false or empty.
type Config struct {
	// Keys that nobody used for so long.
	UnusedFor config.Duration `yaml:"unused_for"`
	// Keys that nobody used since they were made, so long ago.
	NeverUsedAfter config.Duration `yaml:"never_used_after"`
	// Keys made so long ago.
	OlderThan config.Duration `yaml:"older_than"`
	// Keys that expire so soon.
	ExpiresWithin config.Duration `yaml:"expires_within"`
	// Keys that have expired and are not archived.
	ExpiredNotArchived bool `yaml:"expired_not_archived"`
	// Keys that were disabled, and not used, for so long.
	InactiveFor config.Duration `yaml:"inactive_for"`
	// Keys that are used again after so long without use; at least 14d.
	WokeAfter config.Duration `yaml:"woke_after"`
	// Keys that never expire.
	NoExpiry bool `yaml:"no_expiry"`
	// Keys whose creator is no member any more.
	CreatorLeft bool `yaml:"creator_left"`
	// Keys in the default workspace, which cannot have limits.
	DefaultWorkspace bool `yaml:"default_workspace"`
	// Keys of archived workspaces that are not archived.
	ArchivedWorkspace bool `yaml:"archived_workspace"`
	// Keys that are suddenly used from another workspace, or with other models.
	Moved bool `yaml:"moved"`
	// Keys whose name does not match this regular expression.
	NamePattern string `yaml:"name_pattern"`
	// More active keys than this in the organization.
	MaxActiveKeys int `yaml:"max_active_keys"`
	// More admins than this in the organization.
	MaxAdmins int `yaml:"max_admins"`
	// Members who have no role in any workspace.
	NoWorkspaceRole bool `yaml:"no_workspace_role"`
	// Invites that nobody answered for so long.
	PendingInvites config.Duration `yaml:"pending_invites"`
	// The domains of your e-mail addresses: members and invites of others are found. *.example.com stands for those below.
	OwnDomains []string `yaml:"own_domains"`
	// What is not to be found, for a while.
	Except []Exception `yaml:"except"`
}

const day = config.Duration(24 * time.Hour)

// Defaults is the section where the configuration says nothing.
func Defaults() Config {
	return Config{
		UnusedFor: 90 * day, NeverUsedAfter: 30 * day, OlderThan: 365 * day, ExpiresWithin: 14 * day, ExpiredNotArchived: true,
		InactiveFor: 90 * day, WokeAfter: 60 * day, NoExpiry: true, CreatorLeft: true, DefaultWorkspace: true, ArchivedWorkspace: true,
		Moved: true, MaxAdmins: 5, NoWorkspaceRole: true, PendingInvites: 14 * day, OwnDomains: []string{}, Except: []Exception{},
	}
}

// Exception takes something out of the findings, until a day. It is about keys, members or invites, or,
// where none of them is named, about the organization.
type Exception struct {
	// A key, by name or id; may end in *.
	APIKey string `yaml:"api_key"`
	// A member, by e-mail address, name or id; may end in *.
	Member string `yaml:"member"`
	// An invite, by e-mail address or id; may end in *.
	Invite string `yaml:"invite"`
	// Only in this organization, by name.
	Organization string `yaml:"organization"`
	// The check that finds it; * for all.
	Check string `yaml:"check"`
	// The last day of the exception (UTC).
	Until time.Time `yaml:"until"`
	// Why.
	Reason string `yaml:"reason"`
}

// end is when the exception ends: a date includes its day.
func (e Exception) end() time.Time {
	if e.Until.Equal(e.Until.Truncate(24 * time.Hour)) {
		return e.Until.AddDate(0, 0, 1)
	}
	return e.Until
}

// subject is what the exception is about, as configured.
func (e Exception) subject() string {
	switch {
	case e.APIKey != "":
		return "api_key " + e.APIKey
	case e.Member != "":
		return "member " + e.Member
	case e.Invite != "":
		return "invite " + e.Invite
	}
	return "organization"
}

// problems notes what is wrong at a path below the section.
type problems func(path, format string, args ...any)

// Validate notes everything that is wrong with the section. Organizations are the configured names.
func (c Config) Validate(problem problems, organizations []string) {
	if c.WokeAfter != 0 && c.WokeAfter.Duration() < recent {
		problem("woke_after", "must be at least 14d, or 0 to switch the check off")
	}
	if _, err := regexp.Compile(c.NamePattern); err != nil {
		problem("name_pattern", "is not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if c.MaxActiveKeys < 0 {
		problem("max_active_keys", "must not be negative (0 switches the check off)")
	}
	if c.MaxAdmins < 0 {
		problem("max_admins", "must not be negative (0 switches the check off)")
	}
	for i, d := range c.OwnDomains {
		if bare := strings.TrimPrefix(d, "*."); strings.Trim(bare, ".") != bare || bare == "" || strings.ContainsAny(bare, "@*/: ") {
			problem(fmt.Sprintf("own_domains[%d]", i), "must be a domain such as example.com, or *.example.com for those below it")
		}
	}
	for i, e := range c.Except {
		e.validate(func(key, format string, args ...any) {
			path := fmt.Sprintf("except[%d]", i)
			if key != "" {
				path += "." + key
			}
			problem(path, format, args...)
		}, organizations)
	}
}

func (e Exception) validate(problem problems, organizations []string) {
	subjects := 0
	for _, s := range []string{e.APIKey, e.Member, e.Invite} {
		if s != "" {
			subjects++
		}
	}
	ofAll := []string{TooManyKeys, TooManyAdmins}
	switch {
	case e.Check == "":
		problem("check", "must be set: the name of a check, or * for all")
	case e.Check != "*" && !slices.Contains(Names(), e.Check):
		hint := ""
		if near := config.Nearest(e.Check, Names()); near != "" {
			hint = fmt.Sprintf(" (did you mean %s?)", near)
		}
		problem("check", "%q is not a check%s: %s", e.Check, hint, strings.Join(Names(), ", "))
	case subjects > 1:
		problem("", "must be about one of api_key, member and invite")
	case subjects == 0 && !slices.Contains(ofAll, e.Check):
		problem("", "must name an api_key, a member or an invite (only %s are about the organization)", strings.Join(ofAll, " and "))
	case subjects == 1 && slices.Contains(ofAll, e.Check):
		problem("check", "%s is about the organization, not about one api_key, member or invite", e.Check)
	}
	if e.Until.IsZero() {
		problem("until", "must be set: exceptions end, on a day such as 2027-01-31")
	}
	if strings.TrimSpace(e.Reason) == "" {
		problem("reason", "must be set: whoever reads it later must know why")
	}
	if e.Organization != "" && !slices.Contains(organizations, e.Organization) && !slices.Contains(organizations, "") {
		problem("organization", "is not the name of a configured organization")
	}
}
