package alerts

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

var stepStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// sights: what the rule says of the subject, a letter a minute.
var sights = map[rune]sight{'x': found, '.': well, '?': unknown, '-': over, 's': found, 'S': well}

// told is the letter of an event.
var told = map[spend.Event]byte{"": '.', spend.EventFiring: 'F', spend.EventReminder: 'M', spend.EventResolved: 'R'}

var stateLetters = map[spend.AlertState]byte{
	spend.Inactive: '.', spend.Pending: 'p', spend.Firing: 'f', spend.Stale: 's', spend.Resolved: 'r',
}

// TestStep runs timelines, one letter a minute. The rule sees x or not (.), cannot tell (?), or it is
// over without a word (-); s and S are x and . under a silence. Told is F firing, M reminder, R resolved.
func TestStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		p            policy
		sees, states string
		told         string
	}{
		{"fires at once and resolves", policy{}, "..xx..", "..ffrr", "..F.R."},
		{"short blip stays quiet", policy{For: 2 * time.Minute}, "xx.xx.", "pp.pp.", "......"},
		{"fires after for", policy{For: 2 * time.Minute}, "xxxx.", "ppffr", "..F.R"},
		{"flapping is held", policy{KeepFiringFor: 3 * time.Minute}, "x.x..x....", "ffffffffrr", "F.......R."},
		{"reminders by repeat", policy{Repeat: 2 * time.Minute}, "xxxxxx.", "ffffffr", "F.M.M.R"},
		{"no reminder without repeat", policy{}, "xxxxxxxxxx", "ffffffffff", "F........."},
		{"missing data does not resolve", policy{}, "x???x.", "fsssfr", "F....R"},
		{"missing data, then well", policy{}, "x??..", "fssrr", "F..R."},
		{"missing data does not fire", policy{For: time.Minute}, "x??x.", "pppfr", "...FR"},
		{"missing data from the start", policy{}, "??x", "..f", "..F"},
		{"no reminder while data is missing", policy{Repeat: time.Minute}, "x???x", "fsssf", "F...M"},
		{"second episode", policy{}, "x.x.", "frfr", "FRFR"},
		{"over without a word", policy{}, "xx--x", "ffrrf", "F...F"},
		{"pending, over without a word", policy{For: time.Hour}, "xx-", "pp.", "..."},
		{"silenced all along", policy{}, "ssS.", "ffrr", "...."},
		{"silence ends while it fires", policy{}, "ssx.", "fffr", "..FR"},
		{"silenced after it was told", policy{Repeat: time.Minute}, "xsssx.", "fffffr", "F...MR"},
		{"resolved under a silence", policy{}, "xsS.", "ffrr", "F..."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var a spend.Alert
			states, events := "", ""
			for i, r := range c.sees {
				a.Silenced = strings.ContainsRune("sS", r)
				var e spend.Event
				a, e = step(a, sights[r], c.p, stepStart.Add(time.Duration(i)*time.Minute))
				states += string(stateLetters[a.State])
				events += string(told[e])
			}
			require.Equal(t, c.states, states, "states of %s", c.sees)
			require.Equal(t, c.told, events, "told of %s", c.sees)
		})
	}
}

func TestStepForgetsTheEpisode(t *testing.T) {
	t.Parallel()
	now := stepStart
	a := spend.Alert{Rule: "r", Subject: "s", Value: 3, Summary: "old"}
	a, _ = step(a, found, policy{}, now)
	first := a.Fingerprint()
	a, _ = step(a, well, policy{}, now.Add(time.Minute))
	require.Equal(t, first, a.Fingerprint(), "the resolve is of the same episode")
	a, _ = step(a, found, policy{}, now.Add(2*time.Minute))
	require.NotEqual(t, first, a.Fingerprint())
	require.Zero(t, a.ResolvedAt)
	require.Equal(t, now.Add(2*time.Minute), a.PendingAt)
}

// TestStepProperties checks what must hold whatever a rule sees and however long ticks are apart.
func TestStepProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minutes := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 5).Draw(t, name)) * time.Minute
		}
		p := policy{For: minutes("for"), KeepFiringFor: minutes("keep"), Repeat: minutes("repeat")}
		n := rapid.IntRange(1, 40).Draw(t, "ticks")
		now := stepStart
		var a, restarted spend.Alert
		toldFiring, last := false, time.Time{}
		for range n {
			now = now.Add(time.Duration(rapid.IntRange(1, 180).Draw(t, "gap")) * time.Second)
			s := sight(rapid.IntRange(int(unknown), int(over)).Draw(t, "sight"))
			silenced := rapid.IntRange(0, 5).Draw(t, "silenced") == 0
			before := a
			a.Silenced, restarted.Silenced = silenced, silenced
			var e, f spend.Event
			a, e = step(a, s, p, now)

			// A restart between any two evaluations changes nothing.
			body, err := json.Marshal(restarted)
			require.NoError(t, err)
			restarted = spend.Alert{}
			require.NoError(t, json.Unmarshal(body, &restarted))
			restarted, f = step(restarted, s, p, now)
			require.Equal(t, a, restarted)
			require.Equal(t, e, f)

			switch e {
			case spend.EventFiring:
				require.False(t, toldFiring, "two firings without a resolve between")
				require.GreaterOrEqual(t, now.Sub(a.PendingAt), p.For)
				toldFiring, last = true, now
			case spend.EventReminder:
				require.True(t, toldFiring)
				require.Positive(t, p.Repeat)
				require.GreaterOrEqual(t, now.Sub(last), p.Repeat)
				last = now
			case spend.EventResolved:
				require.True(t, toldFiring, "resolved, but nobody was told that it fired")
				toldFiring = false
			}
			if a.State == spend.Resolved {
				toldFiring = false // in silence
			}
			if s == unknown {
				require.Empty(t, e)
				if before.State == spend.Firing {
					require.Equal(t, spend.Stale, a.State)
				} else if before.State != "" {
					require.Equal(t, before.State, a.State)
				}
			}
			if silenced || s == over {
				require.Empty(t, e)
			}
			if a.State == spend.Firing || a.State == spend.Stale {
				require.False(t, a.FiredAt.IsZero())
				require.True(t, a.ResolvedAt.IsZero())
			}
		}
	})
}
