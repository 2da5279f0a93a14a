package alerts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const spikeRule = `
rules:
  - name: spike
    severity: critical
    repeat: 4h
    notify: [chat]
    runbook_url: https://wiki.example.com/spike
    labels: {oncall: platform}
    by: [workspace]
    threshold: {metric: cost_usd, window: 1h, above: 50}
`

func TestEngineFiresAndResolves(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "claude-x", 60, 100, 0}, use{"wrkspc_a", "apikey_b", "claude-x", 15, 100, 0}, use{"wrkspc_b", "apikey_c", "claude-x", 50, 9, 0})
	k.used("03-10 12:00", use{"wrkspc_a", "apikey_a", "claude-x", 1, 100, 0})
	k.data("03-10 00:00", "03-10 10:00")
	require.Empty(t, k.at("03-10 10:01"))
	require.Empty(t, k.states())

	k.data("03-10 10:00", "03-10 11:00")
	require.Equal(t, []string{"firing spike workspace=wrkspc_a"}, k.at("03-10 11:01"))
	a := k.alert()
	require.Equal(t, spend.Firing, a.State)
	require.Equal(t, map[string]string{"organization": "acme", "rule": "spike", "severity": "critical", "workspace": "search", "oncall": "platform"}, a.Labels)
	require.InDelta(t, 75, a.Value, 1e-9)
	require.InDelta(t, 50, a.Limit, 1e-9)
	require.Equal(t, spend.UnitUSD, a.Unit)
	require.Equal(t, spend.Estimated, a.Basis)
	require.Equal(t, at("03-10 11:00"), a.AsOf)
	require.Equal(t, "Cost of workspace search: $75.00 in the last hour (limit: $50.00)", a.Summary)
	require.Equal(t, "https://wiki.example.com/spike", a.RunbookURL)
	require.Equal(t, "http://monitor.test/alerts?rule=spike", a.PageURL)
	require.Equal(t, []spend.Contributor{{Name: "search-prod", Value: 60, Share: 0.8}, {Name: "search-ci", Value: 15, Share: 0.2}}, a.Contributors)

	require.Empty(t, k.at("03-10 11:30"), "told once")
	k.data("03-10 11:00", "03-10 13:00")
	require.Equal(t, []string{"resolved spike workspace=wrkspc_a in thread-1"}, k.at("03-10 13:01"))
	require.Equal(t, []string{"spike workspace=wrkspc_a: resolved"}, k.states())
	require.Equal(t, "Cost of workspace search: $1.00 in the last hour (limit: $50.00)", k.alert().Summary)
	k.data("03-10 13:00", "03-11 14:00")
	require.Empty(t, k.at("03-11 14:01"))
	require.Empty(t, k.states(), "after a day it is history")
	h, err := k.store.AlertHistory(t.Context(), testOrg, spend.Window{Start: at("03-01 00:00"), End: at("04-01 00:00")}, 10)
	require.NoError(t, err)
	require.Len(t, h, 2)
	require.Equal(t, []string{"chat"}, h[1].Notifiers)
}

func TestEnginePicture(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	k.used("03-10 09:00", use{"wrkspc_a", "apikey_a", "", 3, 1, 0})
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-08 00:00", "03-10 11:00")
	require.NoError(t, k.engine.Evaluate(t.Context(), k.owner, testOrg, at("03-10 11:01")))
	require.Len(t, k.chat.got, 1)
	n := k.chat.got[0]
	points := n.Series[n.Alerts[0].Fingerprint()]
	require.Len(t, points, 48)
	require.Equal(t, []spend.Point{{At: at("03-10 09:00"), Value: 3}, {At: at("03-10 10:00"), Value: 60}}, points[46:])
}

// TestEngineRestart evaluates with a new engine each time: nothing is told twice, nothing is lost.
func TestEngineRestart(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	for h := 10; h < 20; h++ {
		k.used(fmt.Sprintf("03-10 %d:00", h), use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	}
	var got []string
	for h := 10; h < 23; h++ {
		k.rules(spikeRule)
		k.data(fmt.Sprintf("03-10 %d:00", h-1), fmt.Sprintf("03-10 %d:00", h))
		for _, line := range k.at(fmt.Sprintf("03-10 %d:01", h)) {
			got = append(got, fmt.Sprintf("%d %s", h, line))
		}
	}
	require.Equal(t, []string{
		"11 firing spike workspace=wrkspc_a", "15 reminder spike workspace=wrkspc_a in thread-1", "19 reminder spike workspace=wrkspc_a in thread-1",
		"21 resolved spike workspace=wrkspc_a in thread-1",
	}, got)
}

func TestEngineMissingDataNeverResolves(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Len(t, k.at("03-10 11:01"), 1)
	require.Empty(t, k.at("03-10 17:00"))
	require.Equal(t, []string{"spike workspace=wrkspc_a: stale"}, k.states())
	require.Equal(t, "usage was last read at 2026-03-10 11:00 UTC", k.note("spike"))
	k.data("03-10 11:00", "03-10 17:00")
	require.Equal(t, []string{"resolved spike workspace=wrkspc_a in thread-1"}, k.at("03-10 17:31"))
	require.Empty(t, k.note("spike"))
}

func TestEngineGroups(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - name: keys
    severity: warning
    notify: [chat, mail]
    by: [workspace, api_key]
    threshold: {metric: cost_usd, window: 1h, above: 1}
  - name: workspaces
    severity: critical
    notify: chat
    by: workspace
    threshold: {metric: cost_usd, window: 1h, above: 1}
`)
	for i := range 40 {
		k.used("03-10 10:00", use{"wrkspc_a", fmt.Sprintf("apikey_%02d", i), "", 2, 1, 0})
	}
	k.data("03-10 00:00", "03-10 11:00")
	require.NoError(t, k.engine.Evaluate(t.Context(), k.owner, testOrg, at("03-10 11:01")))
	require.Len(t, k.chat.got, 1, "one tick is one message to one place")
	require.Len(t, k.chat.got[0].Alerts, 41)
	require.Equal(t, "workspaces", k.chat.got[0].Alerts[0].Rule, "most severe first")
	require.Len(t, k.mail.got, 1)
	require.Len(t, k.mail.got[0].Alerts, 40)
	require.NotEqual(t, k.chat.got[0].ID, k.mail.got[0].ID)
	k.chat.take()
	k.data("03-10 11:00", "03-10 13:00")
	require.Len(t, k.at("03-10 13:01"), 1)
}

func TestEngineFailingRuleChangesNothing(t *testing.T) {
	t.Parallel()
	fail := error(nil)
	findings := []AuditFinding{{Check: "unused", Severity: spend.Warning, APIKeyID: "apikey_a", WorkspaceID: "wrkspc_a", Summary: "API key search-prod: no use for 120 days"}}
	k := newKit(t, "03-10 00:00", "")
	k.options.Audit = func(context.Context, string, time.Time) ([]AuditFinding, error) { return findings, fail }
	const text = `
rules:
  - {name: audit, notify: [chat], keys: {}}
  - {name: spike, notify: [chat], threshold: {metric: cost_usd, window: 1h, above: 50}}
`
	k.rules(text)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 10:00")
	require.Equal(t, []string{"firing audit api_key=apikey_a,check=unused"}, k.at("03-10 10:01"))
	fail = errors.New("no inventory")
	k.data("03-10 10:00", "03-10 11:00")
	require.Equal(t, []string{"firing spike"}, k.at("03-10 11:01"), "other rules go on")
	require.Equal(t, []string{"audit api_key=apikey_a,check=unused: stale", "spike: firing"}, k.states())
	require.Equal(t, "audit: no inventory", k.note("audit"))
	require.Empty(t, k.at("03-10 11:02"))
	require.Equal(t, 1, strings.Count(k.logs.String(), "a rule cannot be judged"), "said once")
	fail = nil
	require.Empty(t, k.at("03-10 11:03"))
	require.Equal(t, []string{"audit api_key=apikey_a,check=unused: firing", "spike: firing"}, k.states())
	findings = nil
	require.Equal(t, []string{"resolved audit api_key=apikey_a,check=unused in thread-1"}, k.at("03-10 11:04"))
}

func TestEngineRuleLeavesQuietly(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Len(t, k.at("03-10 11:01"), 1)
	k.rules(`
rules:
  - {name: other, notify: [chat], threshold: {metric: cost_usd, window: 1h, above: 5000}}
`)
	require.Empty(t, k.at("03-10 11:02"))
	require.Empty(t, k.states())
	h, err := k.store.AlertHistory(t.Context(), testOrg, spend.Window{Start: at("03-01 00:00"), End: at("04-01 00:00")}, 10)
	require.NoError(t, err)
	require.Equal(t, "the rule left the configuration", h[0].Note)
	require.Equal(t, spend.Resolved, h[0].To)
	rs, err := k.store.RuleStates(t.Context(), testOrg)
	require.NoError(t, err)
	require.Len(t, rs, 1)
}

func TestEngineSilence(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	for h := 10; h < 13; h++ {
		k.used(fmt.Sprintf("03-10 %d:00", h), use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	}
	require.NoError(t, k.store.SaveSilence(t.Context(), storage.Silence{
		ID: "s", Matchers: []storage.Matcher{{Label: "rule", Value: "spike"}, {Label: "workspace", Value: "se*"}},
		StartsAt: at("03-10 00:00"), EndsAt: at("03-10 12:30"), CreatedAt: at("03-10 00:00"),
	}))
	k.data("03-10 00:00", "03-10 11:00")
	require.Empty(t, k.at("03-10 11:01"))
	require.Equal(t, []string{"spike workspace=wrkspc_a: firing, silenced"}, k.states())
	k.data("03-10 11:00", "03-10 13:00")
	require.Equal(t, []string{"firing spike workspace=wrkspc_a"}, k.at("03-10 13:01"), "told when the silence ends, as long as it fires")
	require.Equal(t, at("03-10 11:01"), k.alert().FiredAt)
}

// TestEngineSilenceOutlivesAName renames what is silenced: the silence is about the thing, not its name.
func TestEngineSilenceOutlivesAName(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	for h := 10; h < 13; h++ {
		k.used(fmt.Sprintf("03-10 %d:00", h), use{"wrkspc_a", "apikey_a", "", 60, 1, 0}, use{"wrkspc_b", "apikey_c", "", 60, 1, 0})
	}
	s, err := storage.NewSilence([]storage.Matcher{{Label: "workspace", Value: "search"}}, at("03-10 00:00"), at("03-10 15:00"), "zoë", "known", at("03-10 00:00"))
	require.NoError(t, err)
	require.NoError(t, s.Identify(t.Context(), k.store))
	require.NoError(t, k.store.SaveSilence(t.Context(), s))
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing spike workspace=wrkspc_b"}, k.at("03-10 11:01"))
	require.NoError(t, k.owner.SaveWorkspaces(t.Context(), []spend.Workspace{{ID: "wrkspc_a", Name: "find"}, {ID: "wrkspc_b", Name: "search"}}, at("03-10 11:02")))
	k.data("03-10 11:00", "03-10 12:00")
	require.Empty(t, k.at("03-10 12:01"))
	require.Equal(t, []string{"spike workspace=wrkspc_a: firing, silenced", "spike workspace=wrkspc_b: firing"}, k.states())
	as, err := k.store.Alerts(t.Context(), testOrg)
	require.NoError(t, err)
	require.Equal(t, "find", as[0].Labels["workspace"])
}

func TestEngineDelivery(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: spike, notify: [chat, mail], threshold: {metric: cost_usd, window: 1h, above: 50}}
`)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	var ids []string
	k.chat.fail = func(n spend.Notification) error {
		ids = append(ids, n.ID)
		return errors.New("503")
	}
	require.Empty(t, k.at("03-10 11:00"))
	require.Equal(t, []string{"firing spike"}, k.mail.take(), "the others are told all the same")
	require.Empty(t, k.at("03-10 11:00"), "not before the time")
	require.Len(t, ids, 1)
	k.chat.fail = func(n spend.Notification) error {
		ids = append(ids, n.ID)
		return &RetryAfter{After: 10 * time.Minute, Err: errors.New("429")}
	}
	k.at("03-10 11:01")
	k.at("03-10 11:05")
	require.Len(t, ids, 2, "the receiver asked to wait")

	// It is over before it was told: both are told then, in order.
	k.data("03-10 11:00", "03-10 13:00")
	k.chat.fail = nil
	require.Equal(t, []string{"firing spike"}, k.at("03-10 13:00"))
	require.Equal(t, []string{"resolved spike in thread-1"}, k.at("03-10 13:01"))
	require.Equal(t, []string{"resolved spike"}, k.mail.take())
	require.Equal(t, ids[0], ids[1], "every attempt has the same id")
	log, err := k.store.Deliveries(t.Context(), testOrg, 10)
	require.NoError(t, err)
	var outcomes []string
	for _, d := range log {
		outcomes = append(outcomes, d.Notifier+" "+string(d.Event)+" "+d.Outcome)
	}
	require.ElementsMatch(t, []string{
		"chat firing failed", "chat firing failed", "chat firing sent", "chat resolved sent", "mail firing sent", "mail resolved sent",
	}, outcomes)
}

func TestEngineDeadLetters(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: spike, notify: [chat, mail], threshold: {metric: cost_usd, window: 1h, above: 50}}
`)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	k.chat.fail = func(spend.Notification) error { return fmt.Errorf("channel is gone: %w", ErrPermanent) }
	k.mail.fail = func(spend.Notification) error { return errors.New("connection refused") }
	k.at("03-10 11:00")
	out, err := k.store.Outbox(t.Context(), testOrg)
	require.NoError(t, err)
	require.Len(t, out, 2)
	require.Equal(t, storage.Dead, out[0].State)
	require.Equal(t, "channel is gone: refused for good", out[0].Problem)

	// Who was never told of the firing is not told of the resolve.
	k.data("03-10 11:00", "03-10 13:00")
	k.chat.fail = nil
	require.Empty(t, k.at("03-10 13:00"))
	for d := 11; d < 15; d++ {
		k.data(fmt.Sprintf("03-%d 00:00", d), fmt.Sprintf("03-%d 01:00", d))
		k.at(fmt.Sprintf("03-%d 01:00", d))
	}
	k.at("03-14 01:01")
	out, err = k.store.Outbox(t.Context(), testOrg)
	require.NoError(t, err)
	require.Len(t, out, 2, "the resolves were dropped: nobody to tell")
	require.Equal(t, storage.Dead, out[1].State)
	require.Contains(t, out[1].Problem, "given up after")
}

// TestEngineKilledWhileSending ends between sending and noting it: the message is repeated with the
// same id.
func TestEngineKilledWhileSending(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	var ids []string
	k.chat.fail = func(n spend.Notification) error {
		ids = append(ids, n.ID)
		return k.owner.Release() // what is sent can no longer be noted
	}
	require.ErrorIs(t, k.engine.Evaluate(t.Context(), k.owner, testOrg, at("03-10 11:01")), storage.ErrLost)
	k.chat.take()
	k.chat.fail = func(n spend.Notification) error {
		ids = append(ids, n.ID)
		return nil
	}
	var err error
	k.owner, err = k.store.Own(t.Context(), testOrg)
	require.NoError(t, err)
	k.rules(spikeRule)
	require.Empty(t, k.at("03-10 11:02"), "while the claim lasts it may still be under way")
	require.Equal(t, []string{"firing spike workspace=wrkspc_a"}, k.at("03-10 11:04"))
	require.Equal(t, ids[0], ids[1])
	require.Empty(t, k.at("03-10 11:10"))
}

// stopping is a notifier that is stopped, with all of the program, while it sends.
type stopping struct {
	*recorder
	stop func()
}

func (s stopping) Notify(ctx context.Context, n spend.Notification) (string, error) {
	s.stop()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return s.recorder.Notify(ctx, n)
}

// TestEngineStoppedWhileSending is told to stop while a message is on its way: it is sent to the end,
// and not again.
func TestEngineStoppedWhileSending(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 1, 0})
	k.data("03-10 00:00", "03-10 11:00")
	ctx, stop := context.WithCancel(t.Context())
	k.options.Notifiers["chat"] = stopping{k.chat, stop}
	k.rules(spikeRule)
	_ = k.engine.Evaluate(ctx, k.owner, testOrg, at("03-10 11:01")) // stopped or not, by what it comes to
	require.Equal(t, []string{"firing spike workspace=wrkspc_a"}, k.chat.take())
	out, err := k.store.Outbox(t.Context(), testOrg)
	require.NoError(t, err)
	require.Empty(t, out)
	k.rules(spikeRule)
	require.Empty(t, k.at("03-10 11:10"))
}

func TestEngineHeartbeat(t *testing.T) {
	t.Parallel()
	beats := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats++ }))
	k := newKit(t, "03-10 00:00", "")
	var err error
	k.options.Heartbeat, err = config.ParseSecret(server.URL+"/secret-path", nil)
	require.NoError(t, err)
	k.rules(spikeRule)
	k.data("03-10 00:00", "03-10 11:00")
	k.at("03-10 11:01")
	require.Equal(t, 1, beats)
	k.rules("rules: [{name: audit, keys: {}}]")
	k.at("03-10 11:02")
	require.Equal(t, 1, beats, "not while a rule cannot be judged")
	server.Close()
	k.rules(spikeRule)
	k.at("03-10 11:03")
	require.Contains(t, k.logs.String(), "heartbeat failed")
	require.NotContains(t, k.logs.String(), "secret-path")
}

func TestEngineUnknownOrganization(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", spikeRule)
	require.ErrorIs(t, k.engine.Evaluate(t.Context(), k.owner, "none", k.now), storage.ErrNotFound)
}

func TestRetryAfterDoubles(t *testing.T) {
	t.Parallel()
	require.Equal(t, 30*time.Second, retryIn(1))
	require.Equal(t, time.Minute, retryIn(2))
	require.Equal(t, longestRetry, retryIn(100))
}

func TestEngineWarnsOfFiltersThatMatchNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: spike, where: {workspace: ["serch", "chat"], api_key: "search-*"}, threshold: {metric: cost_usd, window: 1h, above: 50}}
`)
	k.data("03-10 00:00", "03-10 11:00")
	k.at("03-10 11:01")
	k.at("03-10 11:02")
	require.Equal(t, 1, strings.Count(k.logs.String(), "matches nothing"+`"`))
	out, err := Unmatched(t.Context(), k.store, spend.Organization{ID: testOrg, Name: "acme"}, k.options.Rules)
	require.NoError(t, err)
	require.Equal(t, []string{`rule "spike": where.workspace "serch" matches nothing in acme; there are chat, search`}, out)
}
