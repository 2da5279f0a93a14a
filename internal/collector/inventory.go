package collector

import (
	"context"
	"errors"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// How often lists are read that change rarely, and over how many runs the workspaces are spread.
const (
	peopleEvery   = time.Hour
	limitsEvery   = day
	workspaceRuns = 72 // with a run every ten minutes, half a day
)

// list is one of the organization's lists.
type list struct {
	name  string
	every time.Duration // 0: at each run
	need  bool          // its refusal is a failure
	do    func(ctx context.Context, now time.Time) error
}

// inventory lists the lists; keys come after their workspaces.
func (w *worker) inventory() []list {
	return []list{
		{storage.ListWorkspaces, 0, true, func(ctx context.Context, now time.Time) error {
			return save(ctx, now, w.Client.Workspaces, w.owner.SaveWorkspaces)
		}},
		{storage.ListAPIKeys, 0, true, func(ctx context.Context, now time.Time) error {
			return save(ctx, now, w.apiKeys, w.owner.SaveAPIKeys)
		}},
		{storage.ListMembers, peopleEvery, false, func(ctx context.Context, now time.Time) error {
			return save(ctx, now, w.Client.Members, w.owner.SaveMembers)
		}},
		{storage.ListInvites, peopleEvery, false, func(ctx context.Context, now time.Time) error {
			return save(ctx, now, w.Client.Invites, w.owner.SaveInvites)
		}},
		{"rate_limits", limitsEvery, false, func(ctx context.Context, now time.Time) error {
			ls, err := w.Client.RateLimits(ctx)
			if err != nil {
				return err
			}
			return w.owner.SaveRateLimits(ctx, "", ls, now)
		}},
		{"spend_limits", limitsEvery, false, func(ctx context.Context, now time.Time) error {
			return save(ctx, now, w.Client.SpendLimits, w.owner.SaveSpendLimits)
		}},
	}
}

func save[T any](ctx context.Context, now time.Time,
	read func(context.Context) ([]T, error), write func(context.Context, []T, time.Time) error,
) error {
	all, err := read(ctx)
	if err != nil {
		return err
	}
	return write(ctx, all, now)
}

// apiKeys reads the keys. Older bodies do not tell the default workspace's id.
func (w *worker) apiKeys(ctx context.Context) ([]spend.APIKey, error) {
	keys, err := w.Client.APIKeys(ctx)
	for i := range keys {
		if keys[i].WorkspaceID == spend.DefaultWorkspace {
			keys[i].WorkspaceID = w.workspace
		}
	}
	return keys, err
}

// collectInventory reads the lists that are due, and some workspaces' own.
func (w *worker) collectInventory(ctx context.Context, now time.Time) error {
	w.teamsDue = true
	var errs []error
	for _, l := range w.inventory() {
		if !w.listDue(l.name, l.every, now) {
			continue
		}
		err := w.readList(ctx, now, l.name, l.need, func() error { return l.do(ctx, now) })
		if err != nil {
			errs = append(errs, err)
		} else {
			w.lists[l.name] = now
		}
		if stops(err) {
			return errors.Join(errs...)
		}
	}
	return errors.Join(append(errs, w.collectWorkspaces(ctx, now))...)
}

// listDue reports whether a list was not read for so long.
func (w *worker) listDue(name string, every time.Duration, now time.Time) bool {
	last, read := w.lists[name]
	return w.once || w.lookAll || !read || now.Sub(last) >= every-time.Minute
}

// readList reads a list and records that it was read, or refused. Where a refusal is no failure it is
// logged once.
func (w *worker) readList(ctx context.Context, now time.Time, name string, need bool, read func() error) error {
	err := read()
	if err == nil {
		return w.owner.SaveListRead(ctx, storage.ListRead{List: name, ReadAt: now})
	}
	var e *adminapi.Error
	if !errors.As(err, &e) || !e.Refused() || e.Kind == adminapi.KindAuthentication {
		return err
	}
	if saveErr := w.owner.SaveListRead(ctx, storage.ListRead{List: name, RefusedAt: now, Reason: e.Message}); saveErr != nil || need {
		return errors.Join(err, saveErr)
	}
	if _, known := w.refusedLists[name]; !known {
		w.refusedLists[name] = struct{}{}
		w.log.InfoContext(ctx, "list is refused, doing without it", "list", name, "err", err)
	}
	return nil
}

// collectWorkspaces reads members and limits of workspaces, of each once a day. To spread them
// over the day it takes a few at a run, but all where none was ever read or somebody asked.
func (w *worker) collectWorkspaces(ctx context.Context, now time.Time) error {
	all, err := w.Store.Workspaces(ctx, w.org.ID)
	if err != nil {
		return err
	}
	members, err := w.Store.WorkspaceMembers(ctx, w.org.ID)
	if err != nil {
		return err
	}
	left := max(2, (len(all)+workspaceRuns-1)/workspaceRuns)
	if w.once || w.lookAll || len(members) == 0 {
		left = len(all)
	}
	var errs []error
	for _, ws := range all {
		// The default workspace has neither members nor limits of its own.
		if left == 0 || ws.Default || ws.ID == spend.DefaultWorkspace || !ws.ArchivedAt.IsZero() || !w.listDue(ws.ID, limitsEvery, now) {
			continue
		}
		left--
		err := w.readList(ctx, now, storage.ListWorkspaceMembers, false, func() error {
			ms, err := w.Client.WorkspaceMembers(ctx, ws.ID)
			if err != nil {
				return err
			}
			return w.owner.SaveWorkspaceMembers(ctx, ws.ID, ms, now)
		})
		if !stops(err) {
			err = errors.Join(err, w.readList(ctx, now, "workspace_rate_limits", false, func() error {
				ls, err := w.Client.WorkspaceRateLimits(ctx, ws.ID)
				if err != nil {
					return err
				}
				return w.owner.SaveRateLimits(ctx, ws.ID, ls, now)
			}))
		}
		if err == nil {
			w.lists[ws.ID] = now
			continue
		}
		errs = append(errs, err)
		if stops(err) {
			break
		}
	}
	return errors.Join(errs...)
}
