package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/storage/sqlite"
)

// TestNamesDoNotDriveTheTerminal: what commands print for people holds no character that does something
// to a terminal, or turns what stands behind it around, whoever named what it is about.
func TestNamesDoNotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b]0;owned\a\x1b[2J\u202ey"
	dir, now := t.TempDir(), time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "monitor.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, store.SaveOrganization(t.Context(), spend.Organization{ID: "org", Name: evil}, now))
	owner, err := store.Own(t.Context(), "org")
	require.NoError(t, err)
	a := spend.Alert{
		Rule: "r", Subject: "s", State: spend.Firing, Severity: spend.Warning, FiredAt: now, SeenAt: now, AsOf: now,
		Labels: map[string]string{"rule": "r", "workspace": evil}, Summary: "Cost of workspace " + evil,
	}
	require.NoError(t, owner.SaveEvaluation(t.Context(), storage.Evaluation{
		Now: now, Alerts: []storage.AlertRecord{{Alert: a}},
		History:  []storage.AlertChange{{At: now, From: spend.Inactive, To: spend.Firing, Event: spend.EventFiring, Alert: a, Notifiers: []string{}}},
		PutRules: []storage.RuleState{{Rule: "r", Note: evil}},
	}))
	s, err := storage.NewSilence([]storage.Matcher{{Label: "workspace", Value: "x\u202ey"}}, now, now.Add(time.Hour), "me\u202e", "why\u202e", now)
	require.NoError(t, err)
	require.NoError(t, store.SaveSilence(t.Context(), s))
	require.NoError(t, owner.Release())
	require.NoError(t, store.Close())

	file := filepath.Join(dir, "monitor.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`organizations: [{name: acme, admin_key: "${KEY}"}]
storage: {sqlite: {path: "`+filepath.ToSlash(filepath.Join(dir, "monitor.db"))+`"}}`), 0o600))
	for _, args := range [][]string{{"alerts", "list"}, {"alerts", "history"}} {
		var out, problems bytes.Buffer
		app := &app{ctx: t.Context(), getenv: environment{"KEY": "k"}.get, stdout: &out, stderr: &problems}
		require.NoError(t, app.run(append([]string{"--config", file}, args...)), problems.String())
		require.Contains(t, out.String(), "Cost of workspace x\uFFFD]0;owned\uFFFD\uFFFD[2J\uFFFDy")
		require.NotRegexp(t, `[^\P{C}\n]`, out.String()+problems.String())
	}

	var out bytes.Buffer
	d := doctor{app: &app{stdout: &out}}
	d.say(false, "what", evil)
	d.note("what", evil)
	d.warn("what", evil)
	require.NotRegexp(t, `[^\P{C}\n]`, out.String())
	require.Equal(t, "a\uFFFD\nb", printableLines(errors.Join(errors.New("a\x1b"), errors.New("b")).Error()))
}
