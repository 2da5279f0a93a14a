package alerts

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestNamesThatDriveWhatShowsThem: a name neither adds a line to what is told of an alert, nor drives a
// terminal, nor turns the figures behind it around; the label has it as it is.
func TestNamesThatDriveWhatShowsThem(t *testing.T) {
	t.Parallel()
	const name, told = "se\narch\x1b[2J\u202e\u0085👩\u200d🔬 Value: $0.00", "se arch\uFFFD[2J\uFFFD 👩\u200d🔬 Value: $0.00"
	k := newKit(t, "03-10 00:00", spikeRule)
	require.NoError(t, k.owner.SaveWorkspaces(t.Context(), []spend.Workspace{{ID: "wrkspc_a", Name: name}}, k.now))
	require.NoError(t, k.owner.SaveAPIKeys(t.Context(), []spend.APIKey{{ID: "apikey_a", Name: name, WorkspaceID: "wrkspc_a"}}, k.now))
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "claude-x", 75, 100, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing spike workspace=wrkspc_a"}, k.at("03-10 11:01"))
	a := k.alert()
	require.Equal(t, "Cost of workspace "+told+": $75.00 in the last hour (limit: $50.00)", a.Summary)
	require.Equal(t, []spend.Contributor{{Name: told, Value: 75, Share: 1}}, a.Contributors)
	require.Equal(t, name, a.Labels["workspace"])

	a.Labels["organization"], a.Summary = name, name // as an older version may have stored it
	n := spend.Notification{Event: spend.EventFiring, Alerts: []spend.Alert{a}, CreatedAt: k.now}
	for _, text := range []string{plainText(n), titleText(n)} {
		require.Contains(t, text, told)
		require.NotContains(t, strings.ReplaceAll(text, told, ""), "se")
		require.NotRegexp(t, `[^\P{C}\n\x{200d}]`, text)
	}

	_, digest, err := Digest(t.Context(), k.store, testOrg, spend.Window{Start: at("03-10 10:00"), End: at("03-10 11:00")}, DigestState{}, k.now)
	require.NoError(t, err)
	require.Contains(t, digest, "\n  "+told+": $75.00")
	require.Contains(t, digest, "\n  "+told+" in "+told+": $75.00")
	require.NotRegexp(t, `[^\P{C}\n\x{200d}]`, digest)
}
