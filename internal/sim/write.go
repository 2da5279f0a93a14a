package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"slices"
	"strings"
)

// body reads a request's JSON strictly into a struct.
func (c *call) body(into any) error {
	if err := c.query.done(); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(c.sent))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return invalid("body: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("body: more than one JSON value")
	}
	return nil
}

// assignable refuses roles that the API does not give to members of a Console organization.
func assignable(role string) error {
	if !slices.Contains([]string{"user", "developer", "billing", "claude_code_user"}, role) {
		return invalid("role: %q cannot be assigned through the API", role)
	}
	return nil
}

func (c *call) updateUser() (any, error) {
	u := c.user(c.args[0])
	if u == nil {
		return nil, notFound()
	}
	var body struct {
		Role string `json:"role"`
	}
	if err := errors.Join(c.body(&body), assignable(body.Role)); err != nil {
		return nil, err
	}
	u.Role = body.Role
	return u, nil
}

// removeUser archives the member's personal keys; workspace keys keep working, but those of a Claude
// Code workspace stop.
func (c *call) removeUser() (any, error) {
	u := c.user(c.args[0])
	if u == nil {
		return nil, notFound()
	}
	if err := c.query.done(); err != nil {
		return nil, err
	}
	if u.Role == "admin" {
		return nil, invalid("Admins cannot be removed through the API.")
	}
	if len(c.users) == 1 {
		return nil, coded(400, "cannot_remove_last_member", "The last member cannot be removed.")
	}
	c.users = slices.DeleteFunc(slices.Clone(c.users), func(v *user) bool { return v == u })
	for id, all := range c.members {
		c.members[id] = slices.DeleteFunc(slices.Clone(all), func(m *member) bool { return m.UserID == u.ID })
	}
	for _, k := range c.keys {
		if k.principal == u {
			k.status = "archived"
			c.switchOff(k.ID)
		}
		if k.workspace != nil && k.workspace.claudeCode && k.createdBy != nil && k.createdBy.ID == u.ID {
			c.switchOff(k.ID)
		}
	}
	c.leave(u)
	return deleted{ID: u.ID, Type: "user_deleted"}, nil
}

type deleted struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// switchOff ends a key's use with the running hour; what was used stays as it was.
func (o *Org) switchOff(key string) {
	next := hourOf(o.opts.Now()) + 1
	o.changeStreams(func(s *stream) {
		if s.key == key && (len(s.off) == 0 || s.off[len(s.off)-1].to <= next) {
			s.off = append(slices.Clone(s.off), span{next, forever})
		}
	})
}

func (o *Org) switchOn(key string) {
	next := hourOf(o.opts.Now()) + 1
	o.changeStreams(func(s *stream) {
		if n := len(s.off); s.key == key && n > 0 && s.off[n-1].to == forever {
			s.off = slices.Clone(s.off)
			s.off[n-1].to = next
		}
	})
}

// leave ends what a former member used without a key, and marks the rest as a former member's.
func (o *Org) leave(u *user) {
	next := hourOf(o.opts.Now()) + 1
	gone := true
	o.changeStreams(func(s *stream) {
		if s.actor == nil || s.actor.UserID != u.ID {
			return
		}
		former := *s.actor
		former.Deleted = &gone
		s.actor = &former
		if s.key == "" {
			s.to = min(s.to, next)
		}
	})
}

// changeStreams replaces the streams, which reports under way keep reading.
func (o *Org) changeStreams(change func(*stream)) {
	o.streams = slices.Clone(o.streams)
	for i := range o.streams {
		change(&o.streams[i])
	}
}

func (c *call) createInvite() (any, error) {
	var body struct {
		Email        string   `json:"email"`
		Role         string   `json:"role"`
		RBACGroupIDs []string `json:"rbac_group_ids"`
	}
	if err := errors.Join(c.body(&body), assignable(body.Role)); err != nil {
		return nil, err
	}
	if at, err := mail.ParseAddress(body.Email); err != nil || at.Address != body.Email {
		return nil, invalid("email: value is not a valid email address")
	}
	if len(body.RBACGroupIDs) > 0 {
		return nil, coded(400, "organization_type_not_supported", "rbac_group_ids needs a Claude Enterprise organization.")
	}
	same := func(email string) bool { return strings.EqualFold(email, body.Email) }
	if find(c.users, func(u *user) bool { return same(u.Email) }) != nil {
		return nil, coded(400, "already_member", "This user is already a member.")
	}
	if find(c.invites, func(i *invite) bool { return same(i.Email) && i.at(c.now).Status == "pending" }) != nil {
		return nil, coded(400, "invite_already_exists", "An invite for this email already exists.")
	}
	i := newInvite(newID(c.salt, "invite", fmt.Sprint(len(c.invites))), body.Email, body.Role, c.now)
	c.invites = append(c.invites, i)
	return i.at(c.now), nil
}

// Accept has the invited person accept the pending invite to the address, which no request can do. It
// reports whether there was one.
func (o *Org) Accept(email string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.opts.Now().UTC()
	i := find(o.invites, func(i *invite) bool { return strings.EqualFold(i.Email, email) && i.at(now).Status == "pending" })
	if i == nil {
		return false
	}
	i.AcceptedAt = stampPtr(now)
	name, _, _ := strings.Cut(i.Email, "@")
	o.users = append(slices.Clip(o.users), &user{
		ID: newID(o.salt, "user", i.ID), AddedAt: stamp(now), Email: i.Email, Name: name, Role: i.Role, Type: "user",
	})
	return true
}

func (c *call) deleteInvite() (any, error) {
	i, err := c.invite()
	if err != nil {
		return nil, err
	}
	switch i.at(c.now).Status {
	case "deleted":
		return nil, notFound()
	case "accepted":
		return nil, invalid("An invite that was accepted cannot be deleted.")
	}
	i.Status = "deleted"
	return deleted{ID: i.ID, Type: "invite_deleted"}, nil
}

func (c *call) updateKey() (any, error) {
	k := c.key(c.args[0])
	if k == nil {
		return nil, notFound()
	}
	var body struct {
		Name   *string `json:"name"`
		Status *string `json:"status"`
	}
	if err := c.body(&body); err != nil {
		return nil, err
	}
	if body.Name != nil && (len(*body.Name) < 1 || len(*body.Name) > 500) {
		return nil, invalid("name: String should have 1 to 500 characters")
	}
	if s := body.Status; s != nil {
		now := k.statusAt(c.now)
		switch {
		case !slices.Contains([]string{"active", "inactive", "archived"}, *s):
			return nil, invalid("status: Input should be active, inactive or archived")
		case now == "archived" && *s != "archived":
			return nil, invalid("status: an archived key cannot be changed")
		case now == "expired" && *s != "archived":
			return nil, invalid("status: an expired key can only be archived")
		}
		if k.status = *s; *s == "active" {
			c.switchOn(k.ID)
		} else {
			c.switchOff(k.ID)
		}
	}
	if body.Name != nil {
		k.Name = *body.Name
	}
	return c.keyBody(k), nil
}
