package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/sim"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

var known1 = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// TestLogComesFirst looks into the log while the API is being asked.
func TestLogComesFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seen := 0
	b.before = func(*http.Request) {
		seen++
		entries := b.log()
		require.Len(t, entries, 1)
		require.Equal(t, storage.AdminStarted, entries[0].Outcome)
		require.Empty(t, entries[0].RequestID)
	}
	key := b.key("web-backend")
	report := b.desk.Apply(t.Context(), b.disable("web-backend"), nil)
	require.NoError(t, report.Err())
	require.Equal(t, 1, seen)
	require.Equal(t, "inactive", b.key("web-backend").Status)

	e := b.log()[0]
	require.WithinDuration(t, time.Now(), e.StartedAt, time.Minute)
	require.Equal(t, report.Results[0].RequestID, e.RequestID)
	require.Regexp(t, "^req_", e.RequestID)
	require.Equal(t, storage.AdminEntry{
		ID: report.Results[0].LogID, Organization: b.desk.Organization.ID, StartedAt: e.StartedAt, User: "root", SudoUser: "ada", Host: "ops-1",
		Action: admin.KeyDisable, TargetID: key.ID, TargetName: "web-backend", Arguments: map[string]string{"status": "inactive"},
		AdminOutcome: storage.AdminOutcome{Outcome: storage.AdminDone, Took: e.Took, RequestID: e.RequestID},
	}, e)
}

func TestNothingWithoutALog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	plan := b.disable("web-backend", "evals")
	b.store.Fail(errors.New("no space left on the disk"), "BeginAdmin")
	report := b.desk.Apply(t.Context(), plan, nil)
	require.Equal(t, []string{admin.OutcomeNotDone, admin.OutcomeNotDone}, outcomes(report))
	require.ErrorContains(t, report.Err(), "the change was not made, because it cannot be written to the admin log")
	require.ErrorContains(t, report.Err(), "no space left on the disk: 0 of 2 done")
	require.Zero(t, b.writes())

	// When only the outcome cannot be stored the change is made, and nothing after it.
	b.store.Fail(errors.New("no space left on the disk"), "FinishAdmin")
	report = b.desk.Apply(t.Context(), plan, nil)
	require.Equal(t, []string{storage.AdminDone, admin.OutcomeNotDone}, outcomes(report))
	require.ErrorContains(t, report.Err(), "the outcome (done) of entry 1 cannot be written to the admin log, where it stays as started")
	require.ErrorContains(t, report.Err(), "1 of 2 done")
	require.Equal(t, storage.AdminStarted, b.log()[0].Outcome)
	require.Equal(t, 1, b.writes())
}

// TestRefusedStepsDoNotStopOthers has things vanish between plan and change.
func TestRefusedStepsDoNotStopOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	invite, err := b.state().Invite(t.Context(), "lea.roy@partner.example")
	require.NoError(t, err)
	plan := admin.Plan{}
	plan.Add(admin.EnableKey(b.key("hackathon-demo")), admin.DeleteInvite(invite), admin.DisableKey(b.key("evals")), admin.DisableKey(b.key("paused")))
	require.NoError(t, b.desk.Apply(t.Context(), admin.Plan{Steps: plan.Steps[1:2]}, nil).Err())

	report := b.desk.Apply(t.Context(), plan, nil)
	require.Equal(t, []string{admin.OutcomeCannot, storage.AdminRefused, storage.AdminDone, admin.OutcomeNothing}, outcomes(report))
	require.EqualError(t, report.Err(), "2 of 3 not done, see above; what was done stays done; the same command again does what is left")
	require.Contains(t, report.Results[1].Error, "404 not_found")
	require.Contains(t, report.Results[1].Error, "somebody changed it meanwhile")

	log := b.log()
	require.Len(t, log, 4, "what cannot be done is in the log, what is nothing to do is not")
	require.Equal(t, "api_key.disable invite.delete api_key.enable invite.delete",
		strings.Join([]string{log[0].Action, log[1].Action, log[2].Action, log[3].Action}, " "))
	require.Equal(t, storage.AdminRefused, log[2].Outcome)
	require.Equal(t, "is archived, which is for good: make a new key in the Console", log[2].Error)
	require.Equal(t, storage.AdminRefused, log[1].Outcome)
	require.NotEmpty(t, log[1].RequestID)
}

// TestFailingAPIStopsAPlan arms a fault from the second change on.
func TestFailingAPIStopsAPlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault   sim.Rule
		outcome string
		says    string
	}{
		"long rate limit": {sim.Rule{Fault: sim.RateLimited, RetryAfter: 2 * time.Minute}, storage.AdminFailed, "retry after 2m0s"},
		"monthly cap":     {sim.Rule{Fault: sim.TierCap}, storage.AdminFailed, "the API does not say for how long"},
		"revoked key":     {sim.Rule{Fault: sim.Unauthorized}, storage.AdminRefused, "401 authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			plan := b.disable("web-backend", "evals", "lab")
			test.fault.Method = http.MethodPost
			report := b.desk.Apply(t.Context(), plan, func(admin.Result) {
				b.org.Faults().Disarm()
				b.org.Faults().Arm(test.fault)
			})
			require.Equal(t, []string{storage.AdminDone, test.outcome, admin.OutcomeNotDone}, outcomes(report))
			require.Contains(t, report.Results[1].Error, test.says)
			require.ErrorContains(t, report.Err(), "1 of 3 done, see above; what was done stays done; the same command again does what is left")
			require.Equal(t, test.outcome, b.log()[0].Outcome)
			require.NotEmpty(t, b.log()[0].Error)

			b.org.Faults().Disarm()
			require.NoError(t, b.desk.Apply(t.Context(), b.disable("web-backend", "evals", "lab"), nil).Err(), "it can be run again")
			require.Equal(t, "inactive", b.key("lab").Status)
		})
	}
}

// TestRefusedForOneThing has a key that the admin key may not change, and one that somebody else changes meanwhile:
// what else was asked for is done.
func TestRefusedForOneThing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.org.Faults().Arm(sim.Rule{Fault: sim.Forbidden, Method: http.MethodPost, Path: b.key("web-backend").ID})
	report := b.desk.Apply(t.Context(), b.disable("web-backend", "evals", "lab"), nil)
	require.Equal(t, []string{storage.AdminRefused, storage.AdminDone, storage.AdminDone}, outcomes(report))
	require.Contains(t, report.Results[0].Error, "the admin key may not make this change")
	require.EqualError(t, report.Err(), "1 of 3 not done, see above; what was done stays done; the same command again does what is left")

	// The one who leaves stays until it is settled.
	who, err := b.state().Offboard(t.Context(), "Dev Patel", admin.KeysDisable)
	require.NoError(t, err)
	report = b.desk.Apply(t.Context(), who.Plan, nil)
	require.Equal(t, 1, report.Count(storage.AdminRefused))
	require.Equal(t, admin.OutcomeNotDone, report.Results[len(report.Results)-1].Outcome)
	require.Equal(t, "waits until everything above is done", report.Results[len(report.Results)-1].Error)
	require.Equal(t, "developer", b.member("Dev Patel").Role)
}

func TestConflict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	plan := b.disable("web-backend")
	b.answer = func(*http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusConflict, Body: io.NopCloser(strings.NewReader(
			`{"type":"error","error":{"type":"conflict_error","message":"busy","details":{"error_code":"concurrent_membership_change"}}}`))}
	}
	report := b.desk.Apply(t.Context(), plan, nil)
	require.Equal(t, []string{storage.AdminRefused}, outcomes(report))
	require.Equal(t, "api_keys: 409 invalid: busy (concurrent_membership_change); somebody else changed it at the same time: run the command again",
		report.Results[0].Error)
}

// TestUncertainOutcome cuts the answer to a creation off: the workspace is there all the same.
func TestUncertainOutcome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.org.Faults().Arm(sim.Rule{Fault: sim.CutBody, Method: http.MethodPost})
	plan := admin.Plan{Steps: []admin.Step{must(t)(b.state().CreateWorkspace(t.Context(), "fresh"))}}
	report := b.desk.Apply(t.Context(), plan, nil)
	require.Equal(t, []string{storage.AdminUnknown}, outcomes(report))
	require.Contains(t, report.Results[0].Error, "it may have been done all the same: run the command again to see")
	require.Equal(t, storage.AdminUnknown, b.log()[0].Outcome)
	require.Equal(t, 1, b.writes(), "a creation is not repeated")
	again := must(t)(b.state().CreateWorkspace(t.Context(), "fresh"))
	require.Equal(t, "exists already", again.Already)
	require.Equal(t, "exists already", admin.DryRun(admin.Plan{Steps: []admin.Step{again}}).Results[0].Error)
}

func TestCreatedIDsAreLogged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	report := b.desk.Apply(t.Context(), admin.Plan{Steps: []admin.Step{must(t)(b.state().CreateWorkspace(t.Context(), "fresh"))}}, nil)
	require.NoError(t, report.Err())
	require.Regexp(t, "^wrkspc_", b.log()[0].TargetID)
	require.Equal(t, report.Results[0].ID, b.log()[0].TargetID)
}

func TestInterruptedPlan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	plan := b.disable("web-backend", "evals", "lab", "paused")
	report := b.desk.Apply(ctx, plan, func(r admin.Result) {
		if r.Target == "evals" {
			cancel()
		}
	})
	require.Equal(t, []string{storage.AdminDone, storage.AdminDone, admin.OutcomeNotDone, admin.OutcomeNothing}, outcomes(report))
	require.EqualError(t, report.Err(), "stopped: 2 of 3 done, see above; what was done stays done; the same command again does what is left")
	require.NotErrorIs(t, report.Err(), context.Canceled, "who stops a plan half-way is told so")
	for _, e := range b.log() {
		require.Equal(t, storage.AdminDone, e.Outcome)
	}

	// Interrupted while a change is being made, it is finished.
	ctx, cancel = context.WithCancel(t.Context())
	b.before = func(*http.Request) { cancel() }
	report = b.desk.Apply(ctx, b.disable("lab", "search-ranker"), nil)
	require.Equal(t, []string{storage.AdminDone, admin.OutcomeNotDone}, outcomes(report))
	require.Equal(t, storage.AdminDone, b.log()[0].Outcome)
}

func TestLogFile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path := filepath.Join(t.TempDir(), "admin.jsonl")
	var err error
	b.desk.File, err = admin.OpenLogFile(path)
	require.NoError(t, err)
	plan := b.disable("web-backend")
	plan.Add(admin.EnableKey(b.key("hackathon-demo")))
	b.desk.Apply(t.Context(), plan, nil)
	require.NoError(t, b.desk.File.Close())

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var lines []string
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var line map[string]any
		require.NoError(t, json.Unmarshal(scan.Bytes(), &line))
		require.Equal(t, "Acme Robotics", line["organization"])
		require.Equal(t, "root", line["os_user"])
		lines = append(lines, line["action"].(string)+" "+line["target"].(string)+" "+line["outcome"].(string))
	}
	require.Equal(t, []string{
		"api_key.disable web-backend started", "api_key.disable web-backend done",
		"api_key.enable hackathon-demo started", "api_key.enable hackathon-demo refused",
	}, lines)

	// The closed file cannot be written: then the change is not made either.
	writes := b.writes()
	report := b.desk.Apply(t.Context(), b.disable("evals"), nil)
	require.Equal(t, []string{admin.OutcomeNotDone}, outcomes(report))
	require.ErrorContains(t, report.Err(), "admin.log_file")
	require.Equal(t, writes, b.writes())
	require.Equal(t, storage.AdminFailed, b.log()[0].Outcome)
	require.Contains(t, b.log()[0].Error, "not made: admin.log_file")

	_, err = admin.OpenLogFile(t.TempDir())
	require.ErrorContains(t, err, "admin.log_file: open ")
}

func TestDryRunAsksNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	report := admin.DryRun(b.disable("web-backend", "paused"))
	require.Equal(t, []string{admin.OutcomePlanned, admin.OutcomeNothing}, outcomes(report))
	require.Zero(t, b.writes())
	require.Empty(t, b.log())
}

func TestWhoever(t *testing.T) {
	t.Parallel()
	w := admin.Whoever(func(name string) string { return map[string]string{"SUDO_USER": "ada"}[name] })
	require.NotEmpty(t, w.User)
	require.NotEmpty(t, w.Host)
	require.Equal(t, "ada", w.SudoUser)
}
