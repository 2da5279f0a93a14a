package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTeamsFollowTheConfiguration changes teams while the daemon runs: views, metrics and API follow, for all of
// the history. That has all of last month, which /metrics tells also where this month has only begun.
func TestTeamsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 62d\n")
	inViews := func() map[string]bool {
		teams := map[string]bool{}
		w.query("select distinct team from usage_daily", func(scan func(...any)) {
			var team string
			scan(&team)
			teams[team] = true
		})
		return teams
	}
	w.monitor("once")
	require.Equal(t, map[string]bool{"": true}, inViews(), "without teams the column is empty")

	w.configure("backfill: 62d\nteams: [{name: ops, tags: [\"env=prod\"]}]\n")
	w.serve()
	w.eventually(func() bool { return inViews()["ops"] }, &strings.Builder{}, "the views do not show the team")
	require.Equal(t, map[string]bool{"ops": true, "unmapped": true}, inViews())
	shown := func(team string) bool {
		_, metrics := w.get("/metrics")
		_, costs := w.get("/api/v1/costs?by=team&from=" + time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
		return bytes.Contains(metrics, []byte(`team="`+team+`"`)) && bytes.Contains(costs, []byte(`"team":"`+team+`"`))
	}
	w.eventually(func() bool { return shown("ops") && shown("unmapped") }, &strings.Builder{}, "metrics and API do not show the team")

	w.configure("backfill: 62d\nteams: [{name: platform, workspaces: [production]}, {name: lab, workspaces: [research]}]\n")
	r, err := http.Post("http://"+w.listen+"/-/reload", "", nil) //nolint:noctx // bounded by the test
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusOK, r.StatusCode)
	w.eventually(func() bool { return inViews()["platform"] && shown("platform") && shown("lab") && !shown("ops") }, &strings.Builder{}, "nothing follows the reload")
	require.Equal(t, map[string]bool{"platform": true, "lab": true, "unmapped": true}, inViews())
}

// TestTeamsInConflict has a key that two teams claim under different names: the first listed has it, which is said.
func TestTeamsInConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\n")
	w.monitor("once")
	store := w.open()
	orgs, err := store.Organizations(t.Context())
	require.NoError(t, err)
	keys, err := store.APIKeys(t.Context(), orgs[0].ID)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	id := ""
	for _, k := range keys {
		if k.Name == "search-ranker" {
			id = k.ID
		}
	}
	w.configure("backfill: 1d\nteams: [{name: a, api_keys: [\"search-*\"]}, {name: b, api_keys: [" + id + ", nobody]}]\n" +
		"prices: {claude-nobody*: {input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}}\n")
	var stdout, stderr bytes.Buffer
	require.NoError(t, w.app(t.Context(), &stdout, &stderr).run([]string{"--config", w.config, "once"}))
	conflict := `API key "search-ranker" is claimed by "search-*" of team "a" (teams[0].api_keys[0]), which is listed first and has it, and by "` +
		id + `" of team "b" (teams[1].api_keys[0])`
	require.Equal(t, 1, strings.Count(stderr.String(), "several teams claim the same thing"), stderr.String())
	require.Contains(t, strings.ReplaceAll(stderr.String(), `\"`, `"`), conflict)

	said := w.monitor("doctor")
	require.Contains(t, said, "warn  teams            "+conflict+"\n")
	require.Contains(t, said, `warn  teams            teams[1].api_keys[1]: "nobody" of team "b" matches nothing; there is: `)
	require.Contains(t, said, "warn  prices           prices.claude-nobody* matches no model that was used; there is: claude-")
	require.Contains(t, said, "search-ranker")
}

// TestDoctorComparesWithNothing says why it cannot compare yet, and that all is well.
func TestDoctorComparesWithNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite", punctual(fullHour()), "backfill: 1d\nteams: [{name: a, workspaces: [production]}]\n"+
		"prices: {claude-opus-5-5: {input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}}\n")
	said := w.monitor("doctor")
	require.Contains(t, said, "--    teams            not compared with workspaces and keys: none are stored yet\n")
	require.Contains(t, said, "--    prices           not compared with models: no usage is stored yet\n")
	w.monitor("once")
	said = w.monitor("doctor")
	require.Contains(t, said, "ok    teams            a: every workspace, key and tag they name exists\n")
	require.Contains(t, said, "ok    prices           every model of the configuration was used\n")
}
