package web

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// memory remembers what was made of the figures of days, one thing of each kind for an organization.
// It is derived: where the store says that one of the days has changed since, it is made again.
type memory struct {
	store storage.Store

	mu sync.Mutex
	of map[memoryKey]memoryEntry // entries are replaced, never changed
}

type memoryKey struct{ organization, kind string }

type memoryEntry struct {
	window spend.Window
	names  uint64 // see [namesOf]; 0: no names are in it
	seq    int64  // change number up to which it is made of the store's figures
	value  any
}

func newMemory(store storage.Store) *memory {
	return &memory{store: store, of: map[memoryKey]memoryEntry{}}
}

// remember returns what derive makes of the days of the window, from memory where nothing has changed.
func remember[T any](
	ctx context.Context, m *memory, organization, kind string, w spend.Window, names uint64, derive func() (T, error),
) (T, error) {
	key := memoryKey{organization, kind}
	m.mu.Lock()
	e := m.of[key]
	m.mu.Unlock()
	var none T
	// The number first: what changes while the figures are read has a higher one and is read next time.
	changed, seq, err := m.store.Changed(ctx, organization, e.seq)
	if err != nil {
		return none, fmt.Errorf("changed days: %w", err)
	}
	value, known := e.value.(T)
	if !known || e.window != w || e.names != names ||
		slices.ContainsFunc(changed, func(day time.Time) bool { return spend.Day.Bucket(day).Overlaps(w) }) {
		if value, err = derive(); err != nil {
			return none, err
		}
	}
	m.mu.Lock()
	m.of[key] = memoryEntry{w, names, seq, value}
	m.mu.Unlock()
	return value, nil
}

var namesSeed = maphash.MakeSeed()

// namesOf is a number that differs when a workspace or a key is called something else, or teams may be told
// by them otherwise.
func (s *server) namesOf(ctx context.Context, organization string) (uint64, error) {
	ws, err := s.Store.Workspaces(ctx, organization)
	if err != nil {
		return 0, err
	}
	ks, err := s.Store.APIKeys(ctx, organization)
	if err != nil {
		return 0, err
	}
	var h maphash.Hash
	h.SetSeed(namesSeed)
	for _, w := range ws {
		fmt.Fprintln(&h, w.ID, w.Name, w.Tags)
	}
	for _, k := range ks {
		fmt.Fprintln(&h, k.ID, k.Name, k.WorkspaceID)
	}
	return h.Sum64(), nil
}
