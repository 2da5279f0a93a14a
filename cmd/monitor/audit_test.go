package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/audit"
	"github.com/anthropic-monitor/monitor/internal/report/reporttest"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Rules are given what the audit stored; they know its checks by the same names.
func TestAuditFindingsForRules(t *testing.T) {
	t.Parallel()
	require.Equal(t, audit.Names(), alerts.Checks)
	store := reporttest.Filled(t)
	found, err := auditFindings(t.Context(), newAuditor(&Config{Audit: audit.Defaults()}, store), reporttest.Acme, reporttest.Now)
	require.NoError(t, err)
	require.Equal(t, []alerts.AuditFinding{
		{Check: "creator_left", Severity: spend.Critical, APIKeyID: reporttest.KeyCI, WorkspaceID: reporttest.Staging, Name: "ci", Summary: "API key ci: works although user_01Bob, who made it, is no member any more"},
		{Check: "no_expiry", Severity: spend.Info, APIKeyID: reporttest.KeyIdle, WorkspaceID: reporttest.Staging, Name: "idle", Summary: "API key idle: never expires"},
		{Check: "foreign_domain", Severity: spend.Warning, Subject: "user_01Ada", Name: "<ada@acme.example>", Summary: "member <ada@acme.example>: is admin with an address at acme.example"},
	}, found)
}

// An exception for several organizations is warned of only if it hides nothing in any.
func TestUnusedEverywhere(t *testing.T) {
	t.Parallel()
	until := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	of := func(subject, state string) storage.AuditException {
		return storage.AuditException{Subject: subject, Check: "old", Until: until, Reason: "r", State: state}
	}
	with := func(es ...storage.AuditException) audited {
		return audited{Audit: storage.Audit{AuditAbout: storage.AuditAbout{Exceptions: es}}}
	}
	here := storage.ExceptionElsewhere
	require.Equal(t, []string{"Warning: the exception of api_key b, old, through 2027-01-31 hides nothing in any organization: remove it (r)"},
		unusedEverywhere([]audited{
			with(of("api_key a", here), of("api_key b", here), of("api_key c", storage.ExceptionEnded)), with(of("api_key a", storage.ExceptionInForce), of("api_key b", here)),
		}))
	require.Empty(t, unusedEverywhere([]audited{with(of("api_key a", here))}), "only one was looked at")
}

// What is stored is as old as the store is busy with it, and a failure is not tried again at once.
func TestAuditing(t *testing.T) {
	t.Parallel()
	store := reporttest.Filled(t)
	owner, err := store.Own(t.Context(), reporttest.Acme)
	require.NoError(t, err)
	defer func() { require.NoError(t, owner.Release()) }()
	x := newAuditing(&Config{Audit: audit.Defaults()}, store)
	now := reporttest.Now
	evaluated := func() time.Time {
		a, err := store.Audit(t.Context(), reporttest.Acme)
		require.NoError(t, err)
		return a.EvaluatedAt
	}
	require.NoError(t, x.after(t.Context(), owner, reporttest.Acme, now))
	require.Equal(t, now, evaluated())
	x.next[reporttest.Acme] = now.Add(10 * time.Minute)
	require.NoError(t, x.after(t.Context(), owner, reporttest.Acme, now.Add(9*time.Minute)))
	require.Equal(t, now, evaluated(), "it took so long that there is a pause")
	require.NoError(t, x.after(t.Context(), owner, reporttest.Acme, now.Add(10*time.Minute)))
	require.Equal(t, now.Add(10*time.Minute), evaluated())

	stopped, stop := context.WithCancelCause(t.Context())
	stop(errors.New("stopped"))
	require.Error(t, x.after(stopped, owner, reporttest.Acme, now.Add(time.Hour)))
	require.Equal(t, now.Add(10*time.Minute), evaluated())
}

// Names must not drive a terminal, nor a Markdown table.
func TestAuditPrintsNamesSafely(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	o := audited{Audit: storage.Audit{Findings: []storage.AuditFinding{{Check: "name", Severity: "info", About: storage.AboutKey, Name: "a\x1b[2Jb|c", What: "x"}}}}
	a := &app{stdout: &out, stderr: &out}
	for _, format := range []string{"table", "markdown"} {
		out.Reset()
		require.NoError(t, auditCmd{Format: format}.print(a, []audited{o}))
		require.NotContains(t, out.String(), "\x1b")
		require.Contains(t, out.String(), "a�")
	}
	require.Contains(t, out.String(), `a�\[2Jb\|c`)
}

// Who stops the walk must not take it for done; who answers q has done what they wanted.
func TestAuditFixIsStopped(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	a := &app{ctx: ctx, stdout: &out, stderr: &out}
	require.NoError(t, fixed(a, 2, 0, 0))
	require.EqualError(t, fixed(a, 1, 1, 0), "1 change not made, or not known to be made, see above")
	stop()
	require.EqualError(t, fixed(a, 2, 0, 0), "stopped: what was made stays made; the same command again goes on")
}

// Without usage no cost can be told by key: then it is not known, which is not nothing.
func TestAuditOfCostThatIsNotKnown(t *testing.T) {
	t.Parallel()
	of := func(usageAt time.Time) string {
		var b strings.Builder
		o := audited{Audit: storage.Audit{
			AuditAbout: storage.AuditAbout{UsageAt: usageAt},
			Findings:   []storage.AuditFinding{{Check: "old", Severity: "info", About: storage.AboutKey, Name: "web", What: "is old"}},
		}}
		require.NoError(t, o.table(&b))
		return b.String()
	}
	require.NotContains(t, of(time.Time{}), "0.00")
	require.Contains(t, of(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)), "0.00")
}
