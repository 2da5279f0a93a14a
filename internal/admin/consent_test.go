package admin_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/admin"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestConsent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reversible := b.disable("evals", "lab")
	final := admin.Plan{Steps: []admin.Step{admin.ArchiveKey(b.key("evals"))}}
	mixed := admin.Plan{Steps: append(b.disable("lab").Steps, final.Steps...)}
	nothing := admin.Plan{Steps: []admin.Step{admin.DisableKey(b.key("paused")), admin.EnableKey(b.key("hackathon-demo"))}}
	spaced := admin.Plan{Steps: []admin.Step{admin.ArchiveKey(spend.APIKey{ID: "apikey_1", Name: " $(id) it's ", Status: "inactive"})}}
	var many admin.Plan
	for _, name := range []string{"evals", "lab", "reserve", "fresh"} {
		many.Add(admin.ArchiveKey(b.key(name)))
	}
	const noTerminal = "there is no terminal to ask on: look at the plan with --dry-run, then run it with --yes"
	const no = "nothing was done"
	for name, test := range map[string]struct {
		plan    admin.Plan
		consent admin.Consent
		typed   string
		err     string // empty: agreed
		asked   int    // questions
	}{
		"no terminal":                         {reversible, admin.Consent{}, "y\n", noTerminal, 0},
		"no terminal, nothing to do":          {nothing, admin.Consent{}, "", "", 0},
		"agreed beforehand":                   {reversible, admin.Consent{Yes: true}, "", "", 0},
		"yes":                                 {reversible, admin.Consent{Terminal: true}, "y\n", "", 1},
		"yes in full":                         {reversible, admin.Consent{Terminal: true}, " YES \n", "", 1},
		"no":                                  {reversible, admin.Consent{Terminal: true}, "n\n", no, 1},
		"only enter":                          {reversible, admin.Consent{Terminal: true}, "\n", no, 1},
		"end of input":                        {reversible, admin.Consent{Terminal: true}, "", no, 1},
		"for good, agreed without the name":   {final, admin.Consent{Yes: true}, "", `this cannot be undone: beside --yes it needs --confirm evals`, 0},
		"for good, agreed with another name":  {final, admin.Consent{Yes: true, Confirm: []string{"lab"}}, "", `this cannot be undone: beside --yes it needs --confirm evals`, 0},
		"for good, agreed with the name":      {final, admin.Consent{Yes: true, Confirm: []string{"evals"}}, "", "", 0},
		"for good, the name without yes":      {final, admin.Consent{Confirm: []string{"evals"}}, "", noTerminal, 0},
		"for good, name typed":                {final, admin.Consent{Terminal: true}, "evals\n", "", 1},
		"for good, yes typed":                 {final, admin.Consent{Terminal: true}, "y\n", `"y" is not "evals": nothing was done`, 1},
		"both, name and yes typed":            {mixed, admin.Consent{Terminal: true}, "evals\ny\n", "", 2},
		"both, name typed and then no":        {mixed, admin.Consent{Terminal: true}, "evals\nn\n", no, 2},
		"both, name beforehand":               {mixed, admin.Consent{Terminal: true, Confirm: []string{"evals"}}, "y\n", "", 1},
		"for good, spaces about the name":     {spaced, admin.Consent{Terminal: true}, "$(id) it's\n", "", 1},
		"for good, a name for the shell":      {spaced, admin.Consent{Yes: true}, "", `this cannot be undone: beside --yes it needs --confirm ' $(id) it'\''s '`, 0},
		"many for good, the organization":     {many, admin.Consent{Terminal: true}, "Acme Robotics\n", "", 1},
		"many for good, one name":             {many, admin.Consent{Terminal: true}, "evals\n", `"evals" is not "Acme Robotics": nothing was done`, 1},
		"many for good, agreed without":       {many, admin.Consent{Yes: true, Confirm: []string{"evals"}}, "", `this cannot be undone: beside --yes it needs --confirm 'Acme Robotics'`, 0},
		"many for good, agreed":               {many, admin.Consent{Yes: true, Confirm: []string{"Acme Robotics"}}, "", "", 0},
		"for good, the organization suffices": {final, admin.Consent{Yes: true, Confirm: []string{"Acme Robotics"}}, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			c := test.consent
			c.In, c.Out = strings.NewReader(test.typed), &out
			err := c.Ask(t.Context(), "Acme Robotics", test.plan)
			require.Equal(t, test.asked, strings.Count(out.String(), "Type ")+strings.Count(out.String(), "? [y/N]"), out.String())
			if test.err == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, test.err)
		})
	}
}

func TestConsentIsInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in, typing := io.Pipe()
	defer typing.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := admin.Consent{Terminal: true, In: in, Out: io.Discard}.Ask(ctx, "Acme Robotics", b.disable("evals"))
	require.ErrorIs(t, err, admin.ErrDeclined)
}
