package alerts

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func TestCheckRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"nothing", `- {name: a}`, "r.yaml:1: rules[0]: must have one of threshold, budget, anomaly, balance, new, keys and stale"},
		{"two blocks", `- {name: a, stale: {after: 1h}, keys: {}}`, "r.yaml:1: rules[0]: must have exactly one of threshold, budget, anomaly, balance, new, keys and stale, but has keys and stale"},
		{"no name", `- {stale: {after: 1h}}`, "r.yaml:1: rules[0].name: must be set: alerts are known by it"},
		{"name", `- {name: "a\nb", stale: {after: 1h}}`, "r.yaml:1: rules[0].name: must be letters, digits, spaces and any of _ . : / - (at most 100), and begin with a letter or digit"},
		{"same name", "- {name: a, stale: {after: 1h}}\n- {name: a, stale: {after: 2h}}", "r.yaml:2: rules[1].name: is the name of rules[0] too"},
		{"severity", `- {name: a, severity: bad, stale: {after: 1h}}`, "r.yaml:1: rules[0].severity: must be info, warning or critical"},
		{"notifier", `- {name: a, notify: [chat, pager], stale: {after: 1h}}`, `r.yaml:1: rules[0].notify[1]: names "pager", which is not in notifiers (there are chat, mail)`},
		{"repeat", `- {name: a, repeat: 10s, stale: {after: 1h}}`, "r.yaml:1: rules[0].repeat: must be at least 1m, or 0 for never"},
		{"label", `- {name: a, labels: {rule: x}, stale: {after: 1h}}`, "r.yaml:1: rules[0].labels.rule: is a label that alerts have by themselves"},
		{"label name", `- {name: a, labels: {a-b: x}, stale: {after: 1h}}`, "r.yaml:1: rules[0].labels.a-b: is not a label name: letters, digits and _, not beginning with a digit"},
		{"runbook", `- {name: a, runbook_url: wiki, stale: {after: 1h}}`, "r.yaml:1: rules[0].runbook_url: must be a URL that starts with http:// or https://"},
		{"pattern", `- {name: a, where: {workspace: "a*b"}, threshold: {metric: tokens, window: 1h, above: 1}}`, "r.yaml:1: rules[0].where.workspace[0]: may have * at its end only"},
		{"by", `- {name: a, by: [speed], threshold: {metric: tokens, window: 1h, above: 1}}`, "r.yaml:1: rules[0].by[0]: must be one of organization, workspace, api_key, model, service_tier, team"},
		{"unknown key", `- {name: a, stale: {afer: 1h}}`, "r.yaml:1: rules[0].stale.afer: unknown key, did you mean after?\nr.yaml:1: rules[0].stale.after: must be at least 5m"},
		{"metric", `- {name: a, threshold: {metric: money, window: 1h, above: 1}}`, "r.yaml:1: rules[0].threshold.metric: must be one of cost_usd, tokens, requests, cache_hit_ratio, share, rate_limit_used_ratio, estimate_drift_ratio"},
		{"window", `- {name: a, threshold: {metric: tokens, window: 91d, above: 1}}`, "r.yaml:1: rules[0].threshold.window: must be from 1m to 90d"},
		{"sides", `- {name: a, threshold: {metric: tokens, window: 1h, above: 1, below: 2}}`, "r.yaml:1: rules[0].threshold: must have only one of above and below: make two rules"},
		{"no side", `- {name: a, threshold: {metric: tokens, window: 1h}}`, "r.yaml:1: rules[0].threshold: must have one of above and below"},
		{"ratio", `- {name: a, threshold: {metric: share, window: 1h, above: 80}}`, "r.yaml:1: rules[0].threshold.above: must be from 0 to 1: 0.8 is 80 %"},
		{"too much", `- {name: a, threshold: {metric: cost_usd, window: 1h, above: 1e15}}`, "r.yaml:1: rules[0].threshold.above: must be at most 9000000000 dollars"},
		{"at least", `- {name: a, threshold: {metric: tokens, window: 1h, above: 80, at_least: 3}}`, "r.yaml:1: rules[0].threshold.at_least: goes with cache_hit_ratio and share only"},
		{"amount", `- {name: a, budget: {period: month}}`, "r.yaml:1: rules[0].budget.amount_usd: must be above 0"},
		{"period", `- {name: a, budget: {amount_usd: 1, period: year}}`, "r.yaml:1: rules[0].budget.period: must be one of day, week, month, quarter"},
		{"zone", `- {name: a, budget: {amount_usd: 1, time_zone: Mars}}`, "r.yaml:1: rules[0].budget.time_zone: is not known: a zone is named like Europe/Berlin; leave it out for UTC"},
		{"percent", `- {name: a, budget: {amount_usd: 1, actual: [50, 0]}}`, "r.yaml:1: rules[0].budget.actual[1]: must be a percentage above 0 and at most 1000"},
		{"floor", `- {name: a, anomaly: {}}`, "r.yaml:1: rules[0].anomaly.min_increase: must be above 0: what is small is not worth waking anybody"},
		{"history", `- {name: a, anomaly: {min_increase: 1, history: 7d}}`, "r.yaml:1: rules[0].anomaly.history: must be from 14d to 52w"},
		{"balance", `- {name: a, balance: {amount_usd: 5, since: 2026-01-01}}`, "r.yaml:1: rules[0].balance: must have below_usd, days_left, or both"},
		{"top-up", `- {name: a, balance: {amount_usd: 5, since: 2026-01-02, below_usd: 1, top_ups: [{at: 2026-01-01, amount_usd: 3}]}}`, "r.yaml:1: rules[0].balance.top_ups[0].at: is before since, where amount_usd holds already"},
		{"balance by", `- {name: a, by: workspace, balance: {amount_usd: 5, since: 2026-01-02, below_usd: 1}}`, "r.yaml:1: rules[0].by[0]: does not go with balance, which is about a whole organization"},
		{"new", `- {name: a, new: {what: [user]}}`, "r.yaml:1: rules[0].new.what[0]: must be one of model, api_key, admin, workspace"},
		{"checks", `- {name: a, keys: {checks: [lost]}}`, "r.yaml:1: rules[0].keys.checks[0]: must be one of " + join(Checks)},
		{"stale", `- {name: a, stale: {after: 1m}}`, "r.yaml:1: rules[0].stale.after: must be at least 5m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var x struct {
				Rules []RuleConfig `yaml:"rules"`
			}
			text := "rules: [" + c.text[2:] + "]\n"
			if c.name == "same name" {
				text = "rules: [{name: a, stale: {after: 1h}},\n  {name: a, stale: {after: 2h}}]\n"
			}
			f := config.Load("r.yaml", []byte(text), nil, &x)
			CheckRules(x.Rules, []string{"chat", "mail"}, func(path, format string, args ...any) { f.Problem("rules"+path, format, args...) })
			require.EqualError(t, f.Err(), c.want)
		})
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	var notes []string
	Notes(parseRules(t, `
rules:
  - {name: a, notify: chat, budget: {amount_usd: 1, time_zone: Asia/Kolkata}}
  - {name: b, stale: {after: 1h}}
  - {name: c, notify: chat, budget: {amount_usd: 1, actual: [0.8, 100], forecast: [1]}}
`), func(path, format string, args ...any) { notes = append(notes, path+": "+fmt.Sprintf(format, args...)) })
	require.Equal(t, []string{
		"[0].budget.time_zone: midnight in Asia/Kolkata is not on a whole hour of UTC: periods begin at the hour before",
		`[1].notify: names nobody: alerts of "b" show on the pages and in the metrics only`,
		"[2].budget.actual[0]: is 0.8 percent of the amount: if 0.8 is meant as a ratio, write 80",
		"[2].budget.forecast[0]: is 1 percent of the amount: if 1 is meant as a ratio, write 100",
	}, notes)
}

// TestWhere filters by names and ids, which may end in *.
func TestWhere(t *testing.T) {
	t.Parallel()
	for where, want := range map[string][]string{
		`{workspace: search}`:                         {"wrkspc_a"},
		`{workspace: [search, chat]}`:                 {"wrkspc_a", "wrkspc_b"},
		`{workspace: wrkspc_b}`:                       {"wrkspc_b"},
		`{api_key: "search-*"}`:                       {"wrkspc_a"},
		`{api_key: apikey_c}`:                         {"wrkspc_b"},
		`{api_key: ""}`:                               {"wrkspc_b"},
		`{model: "claude-x*"}`:                        {"wrkspc_a", "wrkspc_b"},
		`{model: claude}`:                             nil,
		`{organization: acme, workspace: search}`:     {"wrkspc_a"},
		`{organization: other, workspace: search}`:    nil,
		`{service_tier: standard, model: claude-x-2}`: {"wrkspc_b"},
		`{team: red}`:                                 {"wrkspc_a"},
	} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, "03-10 00:00", "")
			k.options.Team = func(_, workspace, _ string) string { return map[string]string{"wrkspc_a": "red"}[workspace] }
			k.rules(`rules: [{name: r, by: [workspace], where: ` + where + `, threshold: {metric: tokens, window: 1h, above: 0}}]`)
			k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "claude-x-1", 1, 5, 0}, use{"wrkspc_b", "apikey_c", "claude-x-2", 1, 5, 0},
				use{"wrkspc_b", spend.NoKey, "claude-x-2", 1, 5, 0})
			k.data("03-10 00:00", "03-10 11:00")
			k.at("03-10 11:01")
			as, err := k.store.Alerts(t.Context(), testOrg)
			require.NoError(t, err)
			var got []string
			for _, a := range as {
				got = append(got, a.Subject[len("workspace="):])
			}
			require.Equal(t, want, got)
		})
	}
}

func TestThresholdByTeam(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "")
	k.options.Team = func(_, workspace, key string) string {
		if workspace == "wrkspc_a" || key == "apikey_c" {
			return "red"
		}
		return "unmapped"
	}
	k.rules(`rules: [{name: r, by: [team], notify: [chat], threshold: {metric: cost_usd, window: 1h, above: 10}}]`)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 6, 5, 0}, use{"wrkspc_b", "apikey_c", "", 6, 5, 0}, use{"wrkspc_b", "apikey_x", "", 9, 5, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing r team=red"}, k.at("03-10 11:01"))
	require.Equal(t, "Cost of team red: $12.00 in the last hour (limit: $10.00)", k.alert().Summary)
}

func TestThresholdRatios(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: cache, notify: [chat], by: [workspace], threshold: {metric: cache_hit_ratio, window: 1h, below: 0.5, at_least: 1000}}
  - {name: share, notify: [mail], by: [api_key], where: {workspace: search}, threshold: {metric: share, window: 1h, above: 0.6}}
`)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 7, 1000, 200}, use{"wrkspc_b", "apikey_c", "", 3, 100, 0})
	k.used("03-10 12:00", use{"wrkspc_a", "apikey_a", "", 1, 100, 2000}, use{"wrkspc_b", "apikey_c", "", 3, 100, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing cache workspace=wrkspc_a"}, k.at("03-10 11:01"), "a few tokens do not make a ratio")
	require.Equal(t, []string{"firing share api_key=apikey_a"}, k.mail.take())
	k.data("03-10 11:00", "03-10 12:00")
	require.Empty(t, k.at("03-10 12:01"), "no tokens, no ratio: nothing to resolve by")
	require.Equal(t, "cache workspace=wrkspc_a: stale", k.states()[0])
	k.data("03-10 12:00", "03-10 13:00")
	require.Equal(t, []string{"resolved cache workspace=wrkspc_a in thread-1"}, k.at("03-10 13:01"))
}

func TestThresholdBelow(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: quiet, notify: [chat], by: [workspace], threshold: {metric: tokens, window: 2h, below: 100}}
`)
	for h := 6; h < 10; h++ {
		k.used(fmt.Sprintf("03-10 %02d:00", h), use{"wrkspc_a", "apikey_a", "", 1, 1000, 0})
	}
	k.data("03-10 00:00", "03-10 10:00")
	require.Empty(t, k.at("03-10 10:01"))
	k.data("03-10 10:00", "03-10 12:00")
	require.Equal(t, []string{"firing quiet workspace=wrkspc_a"}, k.at("03-10 12:01"), "what was there lately and is not any more")
	require.Equal(t, "Tokens of workspace search: 0 tokens in the last 2h (limit: not below 100 tokens)", k.alert().Summary)
}

// TestThresholdBelowForLong lets something be unused for longer than it would be thought of as lately
// used: that resolves nothing. What is archived, or not the rule's any more, is over.
func TestThresholdBelowForLong(t *testing.T) {
	t.Parallel()
	const rule = "rules: [{name: quiet, notify: [chat], by: [workspace], threshold: {metric: tokens, window: 2h, below: 100}}]"
	begin := func(t *testing.T) *kit {
		k := newKit(t, "03-01 00:00", rule)
		k.used("03-01 09:00", use{"wrkspc_a", "apikey_a", "", 1, 1000, 0})
		k.data("03-01 00:00", "03-01 12:00")
		require.Equal(t, []string{"firing quiet workspace=wrkspc_a"}, k.at("03-01 12:01"))
		k.data("03-01 12:00", "03-09 12:00")
		require.Empty(t, k.at("03-09 12:01"))
		require.Equal(t, []string{"quiet workspace=wrkspc_a: stale"}, k.states())
		k.rules(rule)
		require.Empty(t, k.at("03-09 12:02"), "nor does a restart")
		return k
	}
	t.Run("used again", func(t *testing.T) {
		t.Parallel()
		k := begin(t)
		k.used("03-09 13:00", use{"wrkspc_a", "apikey_a", "", 1, 1000, 0})
		k.data("03-09 12:00", "03-09 14:00")
		require.Equal(t, []string{"resolved quiet workspace=wrkspc_a in thread-1"}, k.at("03-09 14:01"))
	})
	t.Run("archived", func(t *testing.T) {
		t.Parallel()
		k := begin(t)
		require.NoError(t, k.owner.SaveWorkspaces(t.Context(), []spend.Workspace{
			{ID: "wrkspc_a", Name: "search", ArchivedAt: at("03-09 12:02")}, {ID: "wrkspc_b", Name: "chat"},
		}, at("03-09 12:02")))
		require.Equal(t, []string{"resolved quiet workspace=wrkspc_a in thread-1"}, k.at("03-09 12:03"))
		require.Equal(t, "Tokens of workspace search: 0 tokens in the last 2h (limit: not below 100 tokens). It is archived", k.alert().Summary)
	})
	for name, changed := range map[string]string{
		"filtered": "by: [workspace], where: {workspace: chat}", "grouped by key": "by: [workspace, api_key]", "grouped by model": "by: [model]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := begin(t)
			k.rules("rules: [{name: quiet, notify: [chat], " + changed + ", threshold: {metric: tokens, window: 2h, below: 100}}]")
			require.Equal(t, []string{"resolved quiet workspace=wrkspc_a in thread-1"}, k.at("03-09 12:03"))
		})
	}
}

// TestThresholdShareOfNothing has hours in which nothing, or too little, was used: there is no share
// then, and nothing to resolve or to fire by.
func TestThresholdShareOfNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: much, notify: [chat], by: [workspace], threshold: {metric: share, window: 1h, above: 0.6, at_least: 100}}
  - {name: little, notify: [chat], by: [workspace], threshold: {metric: share, window: 1h, below: 0.4}}
`)
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 7, 1000, 0}, use{"wrkspc_b", "apikey_c", "", 3, 1000, 0})
	k.used("03-10 11:00", use{"wrkspc_b", "apikey_c", "", 1, 10, 0})
	k.used("03-10 13:00", use{"wrkspc_b", "apikey_c", "", 1, 1000, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing little workspace=wrkspc_b; much workspace=wrkspc_a"}, k.at("03-10 11:01"))
	k.data("03-10 11:00", "03-10 12:00")
	require.Equal(t, []string{"firing little workspace=wrkspc_a", "resolved little workspace=wrkspc_b in thread-1"}, k.at("03-10 12:01"),
		"what costs nothing has no share of what others cost")
	require.Contains(t, k.states(), "much workspace=wrkspc_a: stale", "too few tokens")
	k.data("03-10 12:00", "03-10 13:00")
	require.Empty(t, k.at("03-10 13:01"))
	require.Equal(t, []string{"little workspace=wrkspc_a: stale", "little workspace=wrkspc_b: resolved", "much workspace=wrkspc_a: stale"}, k.states())
	k.data("03-10 13:00", "03-10 14:00")
	require.Equal(t, []string{"firing much workspace=wrkspc_b", "resolved much workspace=wrkspc_a in thread-1"}, k.at("03-10 14:01"))
	as, err := k.store.Alerts(t.Context(), testOrg)
	require.NoError(t, err)
	require.Equal(t, "Share of the organization's cost of workspace search: 0 % in the last hour (limit: 60 %)", as[2].Summary)
}

// TestThresholdMinutes cuts short windows by the minute where minutes are known, and says where it
// cannot.
func TestThresholdMinutes(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: leak, notify: [chat], threshold: {metric: cost_usd, window: 15m, above: 10}}
`)
	k.data("03-10 00:00", "03-10 10:00")
	minute := func(m int, usd float64) spend.Usage {
		u := spend.Usage{Bucket: at("03-10 10:00").Add(time.Duration(m) * time.Minute), Dims: spend.Dims{WorkspaceID: "wrkspc_a", APIKeyID: "apikey_a", Model: "claude-x"}, Price: spend.Priced}
		u.Counts[spend.Output], u.Estimate[spend.Output] = 10, money(usd)
		return u
	}
	put := func(us ...spend.Usage) {
		_, err := k.owner.ReplaceUsage(t.Context(), storage.Reading{
			Report: spend.ReportMessages, Grain: spend.Minute, Window: spend.Window{Start: at("03-10 10:00"), End: at("03-10 10:45")},
			At: at("03-10 10:45"), DataAt: at("03-10 10:40"),
		}, us)
		require.NoError(t, err)
		k.readUpTo(at("03-10 10:40"))
	}
	put(minute(2, 100), minute(26, 6), minute(38, 3))
	require.Empty(t, k.at("03-10 10:45"), "what was before the window does not count")
	put(minute(2, 100), minute(26, 6), minute(38, 3), minute(43, 2))
	require.Equal(t, []string{"firing leak"}, k.at("03-10 10:45"), "above counts what is not complete too")
	a := k.alert()
	require.InDelta(t, 11, a.Value, 1e-9)
	require.Equal(t, at("03-10 10:40"), a.AsOf)
	require.Empty(t, a.Description)

	// Without minutes the hour counts as a whole.
	k.hours[at("03-10 12:00")] = []use{{"wrkspc_a", "apikey_a", "", 30, 1, 0}}
	k.data("03-10 11:00", "03-10 13:00")
	k.readUpTo(at("03-10 13:10"))
	k.at("03-10 13:11")
	a = k.alert()
	require.InDelta(t, 30, a.Value, 1e-9)
	require.Equal(t, "Counted from 2026-03-10 12:00 UTC on: what is known there is not finer.", a.Description)
}

func TestThresholdOptions(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "")
	const text = `
rules:
  - {name: drift, notify: [chat], threshold: {metric: estimate_drift_ratio, above: 1.05}}
  - {name: limits, notify: [chat], where: {workspace: search}, threshold: {metric: rate_limit_used_ratio, window: 1h, above: 0.8}}
`
	k.rules(text)
	k.data("03-10 00:00", "03-10 11:00")
	require.Empty(t, k.at("03-10 11:01"))
	require.Equal(t, "estimate_drift_ratio is not measured by this program", k.note("drift"))
	k.options.Drift = func(context.Context, string, time.Time) (float64, time.Time, bool, error) {
		return 1.1, at("03-09 00:00"), true, nil
	}
	k.options.Headroom = func(context.Context, string, spend.Window) ([]LimitUse, error) {
		return []LimitUse{
			{WorkspaceID: "wrkspc_a", ModelGroup: "Opus", Limiter: "output_tokens_per_minute", Used: 900, Limit: 1000, AsOf: at("03-10 11:00")},
			{WorkspaceID: "wrkspc_a", ModelGroup: "Opus", Limiter: "requests_per_minute", Used: 10, Limit: 1000, AsOf: at("03-10 11:00")},
			{WorkspaceID: "wrkspc_b", ModelGroup: "Opus", Limiter: "output_tokens_per_minute", Used: 900, Limit: 1000, AsOf: at("03-10 11:00")},
		}, nil
	}
	k.rules(text)
	require.Equal(t, []string{"firing drift; limits workspace=wrkspc_a,model_group=Opus,limiter=output_tokens_per_minute"}, k.at("03-10 11:02"))
}

// What is over says what it was about, also after a restart, when its window has nothing of it any more.
func TestThresholdOverNamesItsSubject(t *testing.T) {
	t.Parallel()
	text := "rules: [{name: dear, notify: [chat], by: [api_key], threshold: {metric: cost_usd, window: 1h, above: 1}}]"
	k := newKit(t, "03-01 00:00", text)
	k.spent("03-03 10:00", 20)
	k.data("03-01 00:00", "03-03 11:00")
	require.Len(t, k.at("03-03 11:01"), 1)
	k.rules(text)
	k.data("03-05 00:00", "03-09 00:00")
	require.Len(t, k.at("03-09 00:01"), 1)
	require.Equal(t, "Cost of API key search-prod: $0.00 in the last hour (limit: $1.00)", k.chat.all[1].Alerts[0].Summary)
}

func TestBalance(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-01 00:00", `
rules:
  - name: prepaid
    notify: [chat]
    balance: {amount_usd: 100, since: 2026-03-02, top_ups: [{at: 2026-03-12, amount_usd: 100}], below_usd: 20, days_left: 5}
`)
	for d := 1; d < 15; d++ {
		k.spent(fmt.Sprintf("03-%02d 10:00", d), 10)
	}
	k.data("03-01 00:00", "03-06 00:00")
	require.Empty(t, k.at("03-06 00:01"))
	k.data("03-06 00:00", "03-08 00:00")
	require.Equal(t, []string{"firing prepaid"}, k.at("03-08 00:01"))
	a := k.alert()
	require.Equal(t, "Prepaid balance of acme: $40.00 left, enough for 4.0 days at the present rate", a.Summary)
	require.Equal(t, spend.UnitDays, a.Unit)
	require.True(t, a.Below)
	budgets, err := k.store.Budgets(t.Context(), testOrg)
	require.NoError(t, err)
	require.Len(t, budgets, 1, "a balance shows beside the budgets")
	b := budgets[0]
	require.Equal(t, BalancePeriod, b.PeriodName)
	require.Equal(t, []spend.Money{100 * spend.Dollar, 60 * spend.Dollar}, []spend.Money{b.Limit, b.Spent})
	require.Equal(t, at("03-12 00:00"), b.ExhaustedAt)
	require.Equal(t, storage.BudgetOK, b.State)
	k.data("03-08 00:00", "03-11 00:00")
	require.Empty(t, k.at("03-11 00:01"))
	require.Equal(t, spend.UnitUSD, k.alert().Unit, "now it is below the amount")
	require.InDelta(t, 10, k.alert().Value, 1e-9)
	k.data("03-11 00:00", "03-12 01:00")
	require.Equal(t, []string{"resolved prepaid in thread-1"}, k.at("03-12 01:01"), "paid")
}

// A balance that is used up was so on the day on which it was, however long ago.
func TestBalanceRanOut(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-01 00:00", `
rules:
  - name: prepaid
    notify: [chat]
    balance: {amount_usd: 100, since: 2026-03-02, top_ups: [{at: 2026-03-12T08:00:00Z, amount_usd: 45}], below_usd: 20}
`)
	for d := 1; d < 32; d++ {
		k.spent(fmt.Sprintf("03-%02d 10:00", d), 10)
	}
	for _, c := range []struct{ from, to, day, text string }{
		{"03-01 00:00", "03-11 12:00", "03-11 00:00", "$0.00 left. It ran out on Wednesday, 11 March 2026"}, // to the cent
		{"03-11 12:00", "03-12 00:00", "03-11 00:00", "$0.00 left. It ran out on Wednesday, 11 March 2026"},
		{"03-12 00:00", "03-13 00:00", "", "$35.00 left, enough for 3.5 days at the present rate"},
		{"03-13 00:00", "03-17 00:00", "03-16 00:00", "-$5.00 left. It ran out on Monday, 16 March 2026"},
		{"03-17 00:00", "03-30 06:00", "03-16 00:00", "-$135.00 left. It ran out on Monday, 16 March 2026"},
	} {
		k.data(c.from, c.to)
		k.at(c.to)
		bs, err := k.store.Budgets(t.Context(), testOrg)
		require.NoError(t, err)
		as, err := k.store.Alerts(t.Context(), testOrg)
		require.NoError(t, err)
		require.Equal(t, "Prepaid balance of acme: "+c.text, as[0].Summary, c)
		if c.day != "" {
			require.Equal(t, storage.BudgetExceeded, bs[0].State, c)
			require.Equal(t, at(c.day), bs[0].ExhaustedAt, c)
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: new, notify: [chat], new: {what: [model, api_key, admin, workspace]}}
`)
	require.NoError(t, k.owner.SetLive(t.Context(), at("03-10 10:30")))
	require.NoError(t, k.owner.SaveMembers(t.Context(), []spend.Member{{ID: "user_a", Email: "a@example.com", Role: "admin"}, {ID: "user_b", Email: "b@example.com", Role: "developer"}}, k.now))
	k.used("03-10 09:00", use{"wrkspc_a", "apikey_a", "claude-old", 1, 5, 0})
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "claude-now", 1, 5, 0})
	k.used("03-10 12:00", use{"wrkspc_a", "apikey_a", "claude-old", 1, 5, 0}, use{"wrkspc_b", "apikey_c", "claude-rogue", 1, 5, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing new model=claude-now"}, k.at("03-10 11:01"), "first used in the hour in which live collection began")
	k.data("03-10 11:00", "03-10 13:00")
	require.Equal(t, []string{"firing new model=claude-rogue"}, k.at("03-10 13:01"))
	require.NoError(t, k.owner.SaveMembers(t.Context(), []spend.Member{{ID: "user_b", Email: "b@example.com", Role: "admin"}, {ID: "user_c", Email: "c@example.com", Role: "user"}}, at("03-10 13:05")))
	ks, err := k.store.APIKeys(t.Context(), testOrg)
	require.NoError(t, err)
	require.NoError(t, k.owner.SaveAPIKeys(t.Context(), append(ks, spend.APIKey{ID: "apikey_n", Name: "mystery", WorkspaceID: "wrkspc_b"}), at("03-10 13:05")))
	require.Equal(t, []string{"firing new admin=user_b; new api_key=apikey_n"}, k.at("03-10 13:06"))
	k.data("03-10 13:00", "03-11 14:00")
	require.Empty(t, k.at("03-11 14:01"), "it ends without a message")
	require.Equal(t, []string{
		"new admin=user_b: resolved", "new api_key=apikey_n: resolved", "new model=claude-now: resolved", "new model=claude-rogue: resolved",
	}, k.states())
}

func TestNewWaitsForHistory(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "")
	k.options.Backfill = 48 * time.Hour
	k.rules("rules: [{name: new, notify: [chat], new: {what: [model]}}]")
	require.NoError(t, k.owner.SetLive(t.Context(), at("03-10 10:30")))
	k.used("03-09 09:00", use{"wrkspc_a", "apikey_a", "claude-old", 1, 5, 0})
	k.used("03-10 11:00", use{"wrkspc_a", "apikey_a", "claude-old", 1, 5, 0})
	k.data("03-10 10:00", "03-10 12:00")
	require.Empty(t, k.at("03-10 12:01"))
	require.Equal(t, "waiting for the history: what is in it is not new", k.note("new"))
	k.data("03-08 00:00", "03-10 10:00")
	k.readUpTo(at("03-10 12:00"))
	require.Empty(t, k.at("03-10 12:02"))
	require.Empty(t, k.note("new"))
}

// An organization whose very first use was minutes before the monitor's start has nothing new; later models are.
func TestNewOfABeginner(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "rules: [{name: new, notify: [chat], new: {what: [model]}}]")
	require.NoError(t, k.owner.SetLive(t.Context(), at("03-10 10:30")))
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "claude-first", 1, 5, 0})
	k.used("03-10 11:00", use{"wrkspc_a", "apikey_a", "claude-second", 1, 5, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Empty(t, k.at("03-10 11:01"))
	k.data("03-10 11:00", "03-10 12:00")
	require.Equal(t, []string{"firing new model=claude-second"}, k.at("03-10 12:01"))
}

// A key that may read the bill only is told from one whose first answer is not there yet.
func TestUsageIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "rules: [{name: month, budget: {amount_usd: 10, period: month, actual: [100]}}]")
	require.Empty(t, k.at("03-10 11:00"))
	require.Equal(t, "no usage has been read yet", k.note("month"))
	for _, r := range []spend.Report{spend.ReportMessages, spend.ReportAnalyticsUsage} {
		require.NoError(t, k.owner.SetWatermark(t.Context(), storage.Watermark{Report: r, RefusedAt: k.now, Reason: "no permission"}))
	}
	require.Empty(t, k.at("03-10 11:01"))
	require.Equal(t, "usage is refused to this key: no permission", k.note("month"))
	require.NoError(t, k.owner.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportMessages, RefusedAt: k.now, Reason: storage.NoDataYet}))
	require.Empty(t, k.at("03-10 11:02"))
	require.Equal(t, "no usage has been read yet", k.note("month"))
}

func TestStale(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "")
	k.options.Interval = func(job string) time.Duration {
		if job == "prune" {
			return 24 * time.Hour
		}
		if job == "backfill" {
			return 0
		}
		return time.Second
	}
	k.rules("rules: [{name: stale, notify: [chat], stale: {after: 2h}}]")
	run := func(job, when, outcome string) {
		require.NoError(t, k.owner.SaveRun(t.Context(), storage.Run{Organization: testOrg, Job: job, StartedAt: at(when), EndedAt: at(when), Outcome: outcome}))
	}
	run("usage", "03-10 10:00", "ok")
	run("prune", "03-10 03:00", "ok")
	run("backfill", "03-10 01:00", "ok")
	run("cost", "03-10 10:00", "failed")
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing stale job=cost"}, k.at("03-10 11:01"), "never, since the organization was first seen")
	run("cost", "03-10 11:02", "ok")
	require.Equal(t, []string{"resolved stale job=cost in thread-1"}, k.at("03-10 11:02"))
	run("usage", "03-10 13:00", "failed")
	require.Equal(t, []string{"firing stale job=usage; stale report=messages"}, k.at("03-10 13:02"), "this one never goes quiet because data stopped")
	k.data("03-10 11:00", "03-10 13:00")
	run("usage", "03-10 13:03", "ok")
	run("cost", "03-10 13:03", "ok")
	require.Equal(t, []string{"resolved stale job=usage; stale report=messages in thread-1"}, k.at("03-10 13:04"))
}

// TestStaleRefused refuses a report of which data came: that does not make it young, unless another one
// tells the same.
func TestStaleRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "rules: [{name: stale, notify: [chat], stale: {after: 2h}}]")
	mark := func(m storage.Watermark) { require.NoError(t, k.owner.SetWatermark(t.Context(), m)) }
	mark(storage.Watermark{Report: spend.ReportAnalyticsUsage, RefusedAt: at("03-10 00:00"), Reason: "no scope"})
	k.data("03-10 00:00", "03-10 11:00")
	require.Equal(t, []string{"firing stale report=messages"}, k.at("03-10 13:01"))
	mark(storage.Watermark{Report: spend.ReportMessages, RefusedAt: at("03-10 13:02"), Reason: "no scope"})
	require.Empty(t, k.at("03-10 13:03"))
	require.Equal(t, []string{"stale report=messages: firing"}, k.states(), "what never answered is not stale")
	mark(storage.Watermark{Report: spend.ReportAnalyticsUsage, DataAt: at("03-10 13:00"), ReadAt: at("03-10 13:04")})
	require.Equal(t, []string{"resolved stale report=messages in thread-1"}, k.at("03-10 13:04"))
	require.Equal(t, "The report messages of acme is refused, analytics_usage tells instead", k.alert().Summary)
}

// TestThresholdRequests ends where the report that counts requests does.
func TestThresholdRequests(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", `
rules:
  - {name: quiet, notify: [chat], threshold: {metric: requests, window: 2h, below: 10}}
`)
	k.data("03-10 00:00", "03-10 12:00")
	require.Empty(t, k.at("03-10 12:01"))
	require.Equal(t, "no report that counts requests has been read", k.note("quiet"))
	w := spend.Window{Start: at("03-10 00:00"), End: at("03-10 09:00")}
	counted := func(hour string, n int64) spend.Usage {
		return spend.Usage{Bucket: at(hour), Dims: spend.Dims{WorkspaceID: "wrkspc_a", Model: "claude-x"}, Requests: n}
	}
	read := func(rows ...spend.Usage) {
		_, err := k.owner.ReplaceRequests(t.Context(), storage.Reading{Report: spend.ReportAnalyticsUsage, Grain: spend.Hour, Window: w, At: at("03-10 12:00"), DataAt: w.End}, rows)
		require.NoError(t, err)
		require.NoError(t, k.owner.SetWatermark(t.Context(), storage.Watermark{Report: spend.ReportAnalyticsUsage, DataAt: w.End, ReadAt: at("03-10 12:00")}))
	}
	read(counted("03-10 07:00", 20))
	require.Empty(t, k.at("03-10 12:02"), "hours that are not counted yet are not quiet")
	require.Empty(t, k.note("quiet"))
	w.End = at("03-10 11:00")
	read(counted("03-10 07:00", 20), counted("03-10 09:00", 4))
	require.Equal(t, []string{"firing quiet"}, k.at("03-10 12:03"))
	require.Equal(t, "Requests of acme: 4 requests in the last 2h (limit: not below 10 requests)", k.alert().Summary)
}

// TestBacktestAgreesWithLive replays what was evaluated live by the hour.
func TestBacktestAgreesWithLive(t *testing.T) {
	t.Parallel()
	const text = `
rules:
  - {name: spike, notify: [chat], keep_firing_for: 2h, repeat: 3h, by: [workspace], threshold: {metric: cost_usd, window: 3h, above: 20}}
  - {name: day, notify: [chat], budget: {amount_usd: 50, period: day, actual: [50, 100], forecast: [150]}}
`
	k := newKit(t, "03-01 00:00", text)
	for h := range 72 {
		hour := at("03-01 00:00").Add(time.Duration(h) * time.Hour)
		k.hours[hour] = []use{{"wrkspc_a", "apikey_a", "", float64((h*h*7)%23) / 2, 1, 0}, {"wrkspc_b", "apikey_c", "", float64((h*5)%11) / 4, 1, 0}}
	}
	for h := 1; h <= 72; h++ {
		now := at("03-01 00:00").Add(time.Duration(h) * time.Hour)
		k.data(now.Add(-time.Hour).Format("01-02 15:04"), now.Format("01-02 15:04"))
		k.at(now.Format("01-02 15:04"))
	}
	live, err := k.store.AlertHistory(t.Context(), testOrg, spend.Window{Start: at("03-01 00:00"), End: at("03-05 00:00")}, 1000)
	require.NoError(t, err)
	lines := func(cs []storage.AlertChange, rule string) []string {
		out := []string{}
		for _, c := range cs {
			if c.Alert.Rule == rule {
				out = append(out, fmt.Sprintf("%s %s %s %s %s %q %.4f", c.At.Format("02 15:04"), c.Alert.Subject, c.From, c.To, c.Event, c.Alert.Summary, c.Alert.Value))
			}
		}
		return out
	}
	for _, r := range parseRules(t, text) {
		b, err := Backtest(t.Context(), k.options, testOrg, r, spend.Window{Start: at("03-01 01:00"), End: at("03-04 00:00")})
		require.NoError(t, err)
		require.NotEmpty(t, b.Changes)
		require.ElementsMatch(t, lines(live, r.Name), lines(b.Changes, r.Name), r.Name)
	}
}

// What the store does not know of past times is said, not made up from what is known now.
func TestBacktestOfWhatIsNotStored(t *testing.T) {
	t.Parallel()
	const text = `
rules:
  - {name: audit, notify: [chat], keys: {}}
  - {name: new, notify: [chat], new: {what: [api_key, model]}}
`
	k := newKit(t, "03-03 12:30", text)
	k.options.Audit = func(context.Context, string, time.Time) ([]AuditFinding, error) {
		return []AuditFinding{{Check: "unused", Severity: spend.Warning, APIKeyID: "apikey_a", Summary: "unused"}}, nil
	}
	require.NoError(t, k.owner.SetLive(t.Context(), at("03-03 12:30")))
	k.used("03-02 10:00", use{"wrkspc_a", "apikey_a", "claude-new", 1, 5, 0})
	k.data("03-01 00:00", "03-05 00:00")
	ks, err := k.store.APIKeys(t.Context(), testOrg)
	require.NoError(t, err)
	require.NoError(t, k.owner.SaveAPIKeys(t.Context(), append(ks, spend.APIKey{ID: "apikey_n", Name: "mystery", WorkspaceID: "wrkspc_b"}), at("03-03 20:00")))

	w := spend.Window{Start: at("03-02 00:00"), End: at("03-04 00:00")}
	rules := parseRules(t, text)
	b, err := Backtest(t.Context(), k.options, testOrg, rules[0], w)
	require.NoError(t, err)
	require.Empty(t, b.Changes)
	require.Equal(t, []string{"2026-03-02 00:00 UTC to 2026-03-04 00:00 UTC: what the audit found at past times is not stored"}, b.Notes)

	b, err = Backtest(t.Context(), k.options, testOrg, rules[1], w)
	require.NoError(t, err)
	require.Equal(t, []string{
		"2026-03-02 00:00 UTC to 2026-03-03 13:00 UTC: new API keys, admins and workspaces are known from 2026-03-03 12:30 UTC on",
	}, b.Notes)
	var fired []string
	for _, c := range b.Changes {
		if c.To == spend.Firing {
			fired = append(fired, c.Alert.Subject)
		}
	}
	require.Equal(t, []string{"model=claude-new", "api_key=apikey_n"}, fired)
}

// Where only days are known a backtest claims nothing of shorter windows, and longer ones end with a day:
// a day's sum is no hour's, and at its first hour not known yet.
func TestBacktestByDayOnly(t *testing.T) {
	t.Parallel()
	const text = `
rules:
  - {name: hour, notify: [chat], threshold: {metric: cost_usd, window: 1h, above: 20}}
  - {name: day, notify: [chat], threshold: {metric: cost_usd, window: 1d, above: 40}}
  - {name: limits, notify: [chat], threshold: {metric: rate_limit_used_ratio, window: 10m, above: 0.8}}
`
	k := newKit(t, "03-01 00:00", text)
	k.options.Headroom = func(_ context.Context, _ string, w spend.Window) ([]LimitUse, error) {
		return nil, fmt.Errorf("%w of %s", ErrNoMinutes, w)
	}
	for i, usd := range []float64{30, 30, 50, 30} {
		day := spend.Day.Bucket(at("03-01 00:00").AddDate(0, 0, i))
		us := rows(map[time.Time][]use{day.Start: {{"wrkspc_a", "apikey_a", "", usd, 1, 0}}}, day)
		for j := range us {
			us[j].Bucket = day.Start
		}
		_, err := k.owner.ReplaceUsage(t.Context(), storage.Reading{Report: spend.ReportMessages, Grain: spend.Day, Window: day, At: day.End, DataAt: day.End}, us)
		require.NoError(t, err)
	}
	k.data("03-05 00:00", "03-06 00:00")

	w := spend.Window{Start: at("03-02 00:00"), End: at("03-06 00:00")}
	rules := parseRules(t, text)
	b, err := Backtest(t.Context(), k.options, testOrg, rules[0], w)
	require.NoError(t, err)
	require.Empty(t, b.Changes)
	require.Equal(t, []string{"2026-03-02 00:00 UTC to 2026-03-05 01:00 UTC: what was used is known by the day only"}, b.Notes)

	b, err = Backtest(t.Context(), k.options, testOrg, rules[1], w)
	require.NoError(t, err)
	require.Empty(t, b.Notes)
	var changes []string
	for _, c := range b.Changes {
		changes = append(changes, fmt.Sprintf("%s %s %.0f", c.At.Format("02 15:04"), c.To, c.Alert.Value))
	}
	require.Equal(t, []string{"04 00:00 firing 50", "05 00:00 resolved 30"}, changes)

	b, err = Backtest(t.Context(), k.options, testOrg, rules[2], w)
	require.NoError(t, err)
	require.Equal(t, []string{"2026-03-02 00:00 UTC to 2026-03-06 00:00 UTC: usage of that time is not known by the minute"}, b.Notes)
}

// TestContributorsWithoutNotifier: the pages show them too.
func TestContributorsWithoutNotifier(t *testing.T) {
	t.Parallel()
	k := newKit(t, "03-10 00:00", "rules: [{name: spike, threshold: {metric: cost_usd, window: 1h, above: 50}}]")
	k.used("03-10 10:00", use{"wrkspc_a", "apikey_a", "", 60, 100, 0}, use{"wrkspc_b", "apikey_c", "", 20, 100, 0})
	k.data("03-10 00:00", "03-10 11:00")
	require.Empty(t, k.at("03-10 11:01"))
	want := []spend.Contributor{{Name: "search-prod", Value: 60, Share: 0.75}, {Name: "support", Value: 20, Share: 0.25}}
	require.Equal(t, want, k.alert().Contributors)
	require.Empty(t, k.at("03-10 11:02"))
	require.Equal(t, want, k.alert().Contributors, "they stay while it fires")
}
