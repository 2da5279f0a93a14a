package storage

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// allTime is longer than anything stored.
var allTime = spend.Window{Start: time.Unix(0, 0).UTC(), End: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// lostUse is a bucket in which a series had use before a reading and has none after.
type lostUse struct {
	series int64
	window spend.Window
}

// later reports whether use in b replaces use in a as a key's last use: it is later, or says more
// exactly when in a it was.
func later(a, b spend.Window) bool {
	if a.Overlaps(b) {
		return b.Duration() < a.Duration()
	}
	return a.Start.Before(b.Start)
}

// updateKeyUse brings the last use of the keys in a usage reading up to date: the newest bucket
// that counts, as exactly as any grain knows it.
func (d *diff) updateKeyUse(ctx context.Context, tx Tx) error {
	fresh, err := newestUse(ctx, tx, d.counted, d.reading.Grain)
	if err != nil {
		return err
	}
	refined, err := newestUse(ctx, tx, d.beside, d.reading.Grain)
	if err != nil {
		return err
	}
	ids := make([]int64, len(d.lost))
	for i, l := range d.lost {
		ids[i] = l.series
	}
	dims, err := tx.Dims(ctx, ids)
	if err != nil {
		return err
	}
	lost := map[string][]spend.Window{}
	for i, l := range d.lost {
		lost[dims[i].APIKeyID] = append(lost[dims[i].APIKeyID], l.window)
	}

	keys := map[string]bool{}
	for _, k := range slices.Concat(slices.Collect(maps.Keys(fresh)), slices.Collect(maps.Keys(refined)), slices.Collect(maps.Keys(lost))) {
		keys[k] = k != "" && k != spend.NoKey
	}
	maps.DeleteFunc(keys, func(_ string, is bool) bool { return !is })
	if len(keys) == 0 {
		return nil
	}
	known, err := tx.KeyUse(ctx, slices.Sorted(maps.Keys(keys)))
	if err != nil {
		return err
	}
	updates := map[string]spend.Window{}
	for k := range keys {
		was := known[k]
		use := was
		if slices.ContainsFunc(lost[k], was.Overlaps) {
			if use, err = findKeyUse(ctx, tx, k); err != nil {
				return err
			}
		}
		if f := fresh[k]; !f.Empty() && (use.Empty() || later(use, f)) {
			use = f
		}
		if !refined[k].Empty() && use.Duration() > spend.Minute.Duration() {
			if use, err = refineKeyUse(ctx, tx, k, use); err != nil {
				return err
			}
		}
		if use != was {
			updates[k] = use
		}
	}
	if len(updates) == 0 {
		return nil
	}
	return tx.PutKeyUse(ctx, updates)
}

// newestUse is the newest bucket with use, by key.
func newestUse(ctx context.Context, tx Tx, units [][]Row, g spend.Grain) (map[string]spend.Window, error) {
	newest := map[int64]int64{}
	for _, rows := range units {
		for i := range rows {
			if r := &rows[i]; !r.Counts.IsZero() {
				newest[r.Series] = max(newest[r.Series], r.Bucket)
			}
		}
	}
	ids := slices.Collect(maps.Keys(newest))
	dims, err := tx.Dims(ctx, ids)
	if err != nil {
		return nil, err
	}
	uses := map[string]spend.Window{}
	for i, id := range ids {
		w := g.Bucket(time.Unix(newest[id], 0))
		if k := dims[i].APIKeyID; uses[k].Start.Before(w.Start) {
			uses[k] = w
		}
	}
	return uses, nil
}

// findKeyUse looks a key's last use up in the facts.
func findKeyUse(ctx context.Context, tx Tx, key string) (spend.Window, error) {
	slots, err := tx.Slots(ctx, spend.FactUsage, allTime)
	if err != nil {
		return spend.Window{}, err
	}
	windows := map[Table][]spend.Window{UsageHour: {allTime}, UsageDay: {allTime}, UsageMinute: slotWindows(slots, spend.Minute)}
	var use spend.Window
	for _, t := range []Table{UsageMinute, UsageHour, UsageDay} {
		for _, w := range slices.Backward(windows[t]) {
			bucket, ok, err := tx.FindKeyUse(ctx, t, key, w)
			if err != nil {
				return spend.Window{}, err
			}
			if ok {
				if b := t.Grain().Bucket(bucket); use.Start.Before(b.Start) {
					use = b
				}
				break
			}
		}
	}
	if use.Duration() > spend.Minute.Duration() {
		return refineKeyUse(ctx, tx, key, use)
	}
	return use, nil
}

// refineKeyUse says by the minute when in the window the key was used last, if minutes know.
func refineKeyUse(ctx context.Context, tx Tx, key string, use spend.Window) (spend.Window, error) {
	bucket, ok, err := tx.FindKeyUse(ctx, UsageMinute, key, use)
	if err != nil || !ok {
		return use, err
	}
	return spend.Minute.Bucket(bucket), nil
}

// slotWindows joins the windows of the slots of a grain.
func slotWindows(slots []Slot, g spend.Grain) []spend.Window {
	var ws []spend.Window
	for _, s := range slots {
		if s.Grain == g {
			ws = append(ws, s.Window)
		}
	}
	return spend.Join(ws)
}
