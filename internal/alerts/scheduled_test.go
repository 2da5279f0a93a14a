package alerts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

const overADollar = `
rules:
  - name: dear
    notify: [chat, mail]
    threshold: {metric: cost_usd, window: 1h, above: 1}
`

// TestDigestOfUseWithoutKey: what is spent without a key is not called as if it were all that is spent.
func TestDigestOfUseWithoutKey(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-01 00:00", "")
	k.options.Digests = []DigestConfig{{Schedule: "daily", Notify: []string{"chat"}}}
	k.options.Due = func(string, time.Time) spend.Window {
		return spend.Window{Start: at("03-01 09:00"), End: at("03-02 09:00")}
	}
	k.rules("rules: [{name: month, by: [workspace, api_key], budget: {amount_usd: 100, forecast: []}}]")
	k.used("03-01 10:00", use{workspace: "wrkspc_a", key: "apikey_a", usd: 12}, use{workspace: "wrkspc_a", key: spend.NoKey, usd: 3})
	k.data("03-01 00:00", "03-02 09:00")
	require.NoError(t, k.owner.SetLive(t.Context(), at("03-01 00:00")))
	k.at("03-02 09:01") // the budgets are those of the evaluation before
	k.options.Due = func(string, time.Time) spend.Window {
		return spend.Window{Start: at("03-01 10:00"), End: at("03-02 10:00")}
	}
	k.rules("rules: [{name: month, by: [workspace, api_key], budget: {amount_usd: 100, forecast: []}}]")
	k.at("03-02 10:01")
	sent := k.digests()
	require.NotEmpty(t, sent)
	text := sent[len(sent)-1].Text
	require.Contains(t, text, "month, api_key=search-prod, workspace=search: $12.00 of $100.00")
	require.Contains(t, text, "month, api_key=(none), workspace=search: $3.00 of $100.00")
}

// A digest comes once for each time it is due, also over restarts; what was due before anything was
// collected, or too long ago, is not made up for.
func TestDigestsComeOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-02 08:00", "")
	due := spend.Window{Start: at("02-23 09:00"), End: at("03-02 09:00")}
	k.options.Digests = []DigestConfig{{Schedule: "weekly", Notify: []string{"chat", "mail"}}}
	k.options.Due = func(schedule string, now time.Time) spend.Window {
		require.Equal(t, "weekly", schedule)
		if now.Before(due.End) || now.Sub(due.End) > 24*time.Hour {
			return spend.Window{}
		}
		return due
	}
	k.rules(overADollar)
	k.used("03-01 10:00", use{workspace: "wrkspc_a", key: "apikey_a", usd: 12.5})
	k.used("03-02 07:00", use{workspace: "wrkspc_a", key: "apikey_a", usd: 3})
	k.data("02-20 00:00", "03-02 08:00")

	k.at("03-02 09:00")
	require.Empty(t, k.digests(), "nothing was live when it was due")

	require.NoError(t, k.owner.SetLive(t.Context(), at("03-01 00:00")))
	k.at("03-02 08:59")
	require.Empty(t, k.digests(), "not due")
	k.at("03-02 09:01")
	sent := k.digests()
	require.Len(t, sent, 1)
	require.Contains(t, sent[0].Title, "acme")
	require.Contains(t, sent[0].Title, "$15.50")
	require.Contains(t, sent[0].Text, "Alerts firing: 1", "what fires is in it")
	require.Len(t, k.mail.all, 2, "the alert and the digest")

	k.at("03-02 09:02")
	k.rules(overADollar) // a restart
	k.at("03-02 09:03")
	require.Len(t, k.digests(), 1, "once")

	due = spend.Window{Start: due.End, End: at("03-09 09:00")}
	k.at("03-10 09:01")
	require.Len(t, k.digests(), 1, "more than a day late: left out")
}

// digests are the digests that chat was sent so far.
func (k *kit) digests() []spend.Notification {
	var all []spend.Notification
	for _, n := range k.chat.all {
		if n.Event == spend.EventDigest {
			all = append(all, n)
		}
	}
	return all
}

// forgetful is a receiver that forgets.
type forgetful struct {
	recorder
	refuses error
}

func (f *forgetful) Repeats() time.Duration { return 2 * time.Minute }

func (f *forgetful) Notify(ctx context.Context, n spend.Notification) (string, error) {
	if n.Event == spend.EventReminder && f.refuses != nil {
		return "", f.refuses
	}
	return f.recorder.Notify(ctx, n)
}

// What fires is told again and again to a receiver that forgets, and to no other; it leaves no trace.
func TestForgetfulReceivers(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-02 08:00", "")
	f := &forgetful{}
	k.options.Notifiers["mail"] = f
	k.rules(overADollar)
	k.used("03-02 07:00", use{workspace: "wrkspc_a", key: "apikey_a", usd: 3})
	k.data("03-02 00:00", "03-02 08:00")
	events := func() (es []spend.Event) {
		for _, n := range f.all {
			es = append(es, n.Event)
		}
		return es
	}
	k.at("03-02 08:01")
	require.Equal(t, []spend.Event{spend.EventFiring, spend.EventReminder}, events())
	k.at("03-02 08:02")
	require.Len(t, events(), 2, "not yet again")
	k.at("03-02 08:03")
	require.Equal(t, []spend.Event{spend.EventFiring, spend.EventReminder, spend.EventReminder}, events())
	require.Equal(t, f.all[0].Alerts[0].Fingerprint(), f.all[2].Alerts[0].Fingerprint())
	require.Len(t, k.chat.all, 1, "who does not forget is told once")

	f.refuses = errors.New("away")
	k.at("03-02 08:05")
	require.Contains(t, k.logs.String(), "told again")
	f.refuses = nil
	k.at("03-02 08:06")
	require.Len(t, events(), 4, "made up for with the next evaluation")

	log, err := k.store.Deliveries(t.Context(), testOrg, 100)
	require.NoError(t, err)
	require.Len(t, log, 2, "the log has what was told, not what was repeated")

	k.data("03-02 08:00", "03-02 09:00")
	k.at("03-02 09:01")
	require.Equal(t, spend.EventResolved, events()[4])
	k.at("03-02 09:10")
	require.Len(t, events(), 5)
}
