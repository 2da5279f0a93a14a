package storagetest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// lastUsed is a key's last use.
func (e *env) lastUsed(id string) spend.Window {
	e.Helper()
	ks, err := e.store.APIKeys(e.Context(), org)
	require.NoError(e, err)
	for _, k := range ks {
		if k.ID == id {
			return k.LastUsed
		}
	}
	require.Fail(e, "no such key", id)
	return spend.Window{}
}

func (e *env) saveKeys() {
	e.Helper()
	require.NoError(e, e.owner.SaveAPIKeys(e.Context(), []spend.APIKey{{ID: "apikey_a", Name: "a"}, {ID: "apikey_b", Name: "b"}}, at("01 00:00")))
}

var keyTests = []test{
	{"were used last where the finest grain says", func(e *env) {
		e.saveKeys()
		require.Zero(e, e.lastUsed("apikey_a"))
		e.usage(days("08 00:00/10 00:00"), used("08 00:00", "apikey_a", 1), used("09 00:00", "apikey_b", 1), used("09 00:00", "apikey_a", 0))
		require.Equal(e, span("08 00:00/09 00:00"), e.lastUsed("apikey_a"), "no tokens, no use")
		require.Equal(e, span("09 00:00/10 00:00"), e.lastUsed("apikey_b"))
		e.usage(hours("08 00:00/09 00:00"), used("08 03:00", "apikey_a", 1))
		require.Equal(e, span("08 03:00/08 04:00"), e.lastUsed("apikey_a"))
		e.usage(minutes("08 03:00/08 04:00"), used("08 03:05", "apikey_a", 1), used("08 03:04", "apikey_a", 1))
		require.Equal(e, span("08 03:05/08 03:06"), e.lastUsed("apikey_a"), "minutes refine the hour")
		e.usage(hours("07 00:00/07 01:00"), used("07 00:00", "apikey_a", 1))
		require.Equal(e, span("08 03:05/08 03:06"), e.lastUsed("apikey_a"), "older use is not the last")
		e.usage(hours("08 03:00/08 05:00"), used("08 03:00", "apikey_a", 5))
		require.Equal(e, span("08 03:05/08 03:06"), e.lastUsed("apikey_a"), "the hour knows less")
		e.usage(hours("08 03:00/08 05:00"), used("08 03:00", "apikey_a", 5), with(used("08 04:00", "apikey_a", 0), func(u *spend.Usage) { u.Counts[spend.WebSearches] = 1 }))
		require.Equal(e, span("08 04:00/08 05:00"), e.lastUsed("apikey_a"), "a search is use")
	}},
	{"lose a last use that was taken back", func(e *env) {
		e.saveKeys()
		e.usage(hours("08 00:00/09 00:00"), used("08 03:00", "apikey_a", 1), used("08 03:00", "apikey_b", 1))
		e.usage(minutes("09 00:00/09 01:00"), used("09 00:05", "apikey_a", 1), used("09 00:07", "apikey_a", 1), used("09 00:09", "apikey_b", 1))
		require.Equal(e, span("09 00:07/09 00:08"), e.lastUsed("apikey_a"))
		e.usage(later(minutes("09 00:00/09 01:00"), time.Minute), used("09 00:05", "apikey_a", 1), used("09 00:09", "apikey_b", 1))
		require.Equal(e, span("09 00:05/09 00:06"), e.lastUsed("apikey_a"))
		e.usage(hours("09 00:00/09 01:00"), used("09 00:00", "apikey_b", 1), used("09 00:00", "apikey_a", 0))
		require.Equal(e, span("08 03:00/08 04:00"), e.lastUsed("apikey_a"), "the hour rules")
		require.Equal(e, span("09 00:09/09 00:10"), e.lastUsed("apikey_b"))
		e.usage(hours("08 00:00/09 00:00"), used("08 03:00", "apikey_b", 1))
		require.Zero(e, e.lastUsed("apikey_a"))
	}},
	{"keep a use that another series still shows", func(e *env) {
		e.saveKeys()
		batch := func(n int64) spend.Usage {
			return with(used("08 03:00", "apikey_a", n), func(u *spend.Usage) { u.ServiceTier = "batch" })
		}
		e.usage(hours("08 00:00/09 00:00"), used("08 03:00", "apikey_a", 1), batch(1))
		e.usage(hours("08 00:00/09 00:00"), batch(1))
		require.Equal(e, span("08 03:00/08 04:00"), e.lastUsed("apikey_a"))
	}},
	{"are kept when they are no longer listed", func(e *env) {
		ctx := e.Context()
		key := spend.APIKey{
			ID: "apikey_a", Name: "build", Hint: "sk-ant-api03-R2D...igAA", Status: "active", WorkspaceID: "wrkspc_a", CreatedByID: "user_1",
			CreatorType: "user", PrincipalID: "user_1", CreatedAt: at("01 10:00"), ExpiresAt: at("20 00:00"),
		}
		require.NoError(e, e.owner.SaveAPIKeys(ctx, []spend.APIKey{key}, at("02 00:00")))
		want := key
		want.Label, want.FirstSeenAt = "build", at("02 00:00")
		ks, err := e.store.APIKeys(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []spend.APIKey{want}, ks)

		require.NoError(e, e.owner.SaveAPIKeys(ctx, nil, at("03 00:00")))
		require.NoError(e, e.owner.SaveAPIKeys(ctx, nil, at("04 00:00")))
		want.GoneAt = at("03 00:00")
		ks, err = e.store.APIKeys(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []spend.APIKey{want}, ks)

		key.Status = "inactive"
		require.NoError(e, e.owner.SaveAPIKeys(ctx, []spend.APIKey{key}, at("05 00:00")))
		want.GoneAt, want.Status = time.Time{}, "inactive"
		ks, err = e.store.APIKeys(ctx, org)
		require.NoError(e, err)
		require.Equal(e, []spend.APIKey{want}, ks)
		require.Equal(e, []string{
			"05 00:00 api_key apikey_a status: active to inactive", "05 00:00 api_key apikey_a added: to build", "03 00:00 api_key apikey_a gone: build to",
		}, e.changes())
	}},
	{"of one name get labels that stay", func(e *env) {
		save := func(when string, names ...string) map[string]string {
			var ks []spend.APIKey
			for i := 0; i < len(names); i += 2 {
				ks = append(ks, spend.APIKey{ID: names[i], Name: names[i+1]})
			}
			require.NoError(e, e.owner.SaveAPIKeys(e.Context(), ks, at(when)))
			stored, err := e.store.APIKeys(e.Context(), org)
			require.NoError(e, err)
			labels := map[string]string{}
			for _, k := range stored {
				labels[k.ID] = k.Label
			}
			return labels
		}
		require.Equal(e, map[string]string{"apikey_2bbbbbb": "ci", "apikey_3cccccc": "web"}, save("01 00:00", "apikey_2bbbbbb", "ci", "apikey_3cccccc", "web"))
		require.Equal(e, map[string]string{"apikey_1aaaaaa": "ci (aaaaaa)", "apikey_2bbbbbb": "ci", "apikey_3cccccc": "web"},
			save("02 00:00", "apikey_1aaaaaa", "ci", "apikey_2bbbbbb", "ci", "apikey_3cccccc", "web"), "the first seen keeps the name")
		require.Equal(e, map[string]string{"apikey_1aaaaaa": "ci (aaaaaa)", "apikey_2bbbbbb": "build", "apikey_3cccccc": "web"},
			save("03 00:00", "apikey_1aaaaaa", "ci", "apikey_2bbbbbb", "build", "apikey_3cccccc", "web"), "a label that was given stays")
		require.Equal(e, map[string]string{"apikey_1aaaaaa": "ci (aaaaaa)", "apikey_2bbbbbb": "build", "apikey_3cccccc": "ci"},
			save("04 00:00", "apikey_1aaaaaa", "ci", "apikey_3cccccc", "ci"), "nobody holds the bare name; what is gone keeps its label")
		require.Equal(e, map[string]string{"apikey_1aaaaaa": "ci (aaaaaa)", "apikey_2bbbbbb": "build", "apikey_3cccccc": "ci", "apikey_4dddddd": "build (dddddd)", "apikey_5dddddd": "build (5dddddd)"},
			save("05 00:00", "apikey_4dddddd", "build", "apikey_5dddddd", "build"))
	}},
}

// changes shows what changed in the inventory.
func (e *env) changes() []string {
	e.Helper()
	cs, err := e.store.InventoryChanges(e.Context(), org, span("01 00:00/31 00:00"))
	require.NoError(e, err)
	lines := []string{}
	for _, c := range cs {
		lines = append(lines, changeLine(c))
	}
	return lines
}

func changeLine(c storage.InventoryChange) string {
	line := c.At.Format("02 15:04") + " " + c.Kind + " " + c.ID + " " + c.Field + ":"
	if c.Old != "" {
		line += " " + c.Old
	}
	line += " to"
	if c.New != "" {
		line += " " + c.New
	}
	return line
}
