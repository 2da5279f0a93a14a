package dashboards

import "fmt"

// What the dashboards say of their figures, so that they say it in the same words.
const (
	costBasis = "Billed where the bill is in, a bill shared out (allocated) or estimated where not, as of the newest data (at the top right)."
	utcDays   = "Days, weeks (from Monday) and months are UTC."
	exact     = "The gauge is exact and follows corrections."
	counted   = "From counters, which count from the first live collection (or from the imported history) on and are not exact at the edges of a step; exact figures are in Spend explorer."
)

var byPlace = []string{"organization", "workspace", "model"}

// cost is the cost of a calendar period as of now, by labels.
func cost(period, by string) string {
	sum := "sum"
	if by != "" {
		sum += " by (" + by + ")"
	}
	return fmt.Sprintf(`%s (%s)`, sum, selector("anthropic_cost_usd", byPlace, fmt.Sprintf("period=%q", period)))
}

// costByDay is the cost of each UTC day, at the day's beginning, as it was known a day after its end: what
// the gauge of yesterday said last on the day that followed. Where that is not there yet it is the day so
// far. The sum is taken before the last value: a series that turned from estimated to billed would
// otherwise count twice. A window begins after midnight, when an imported sample is still of the day before.
func costByDay(by string) string {
	return fmt.Sprintf(`last_over_time((%s)[23h45m:15m] offset -2d)
or
last_over_time((%s)[23h45m:15m] offset -1d)`, cost("yesterday", by), cost("today", by))
}

const byDayBasis = "Each bar is a UTC day, as it was known at the end of the day after it, or is known now; today is what has come in, up to 15 minutes ago. " +
	"Later corrections of older days are in Spend explorer."

var asOf = stat("Data as of", "The end of the newest complete data of the slowest report about cost or usage that is read.", "dateTimeFromNow",
	now(`min(anthropic_monitor_data_timestamp_seconds{organization=~"$organization", report!="claude_code"}) * 1000`, "as of"))

// dataAsOf is a panel of its own for each dashboard.
func dataAsOf() *Panel {
	p := *asOf
	return &p
}

func spendOverview() *Dashboard {
	usd := "currencyUSD"
	period := func(title, name, what string) *Panel {
		return stat(title, "Cost of "+what+". "+costBasis+" "+exact+" Absent where hours of it were never read.", usd, now(cost(name, ""), title)).set("decimals", 2)
	}
	return newDashboard("anthropic-spend", "Anthropic: Spend overview",
		"What is spent on Claude: today, this month, on which models, in which workspaces, by which teams and keys. From Prometheus.", "now-30d",
		[]object{
			prometheusSource, organization, workspace, model,
			labelVariable("team", "Team", "For the panel by team; teams are in the monitor's configuration",
				`label_values(anthropic_team_cost_usd{organization=~"$organization"}, team)`),
		}, []object{firing},
		side(4,
			period("Today", "today", "the running UTC day").goesTo("Monitor", "/"),
			period("Yesterday", "yesterday", "the UTC day before"),
			period("This week", "week", "the week from Monday (UTC)"),
			period("This month", "month", "the running UTC month"),
			period("Last month", "last_month", "the UTC month before"),
			dataAsOf(),
		),
		side(10,
			days("Cost by day and model", byDayBasis+" An empty model is cost that no model is named for.", usd,
				over(costByDay("model"), "{{model}}")).every("1d").wide(16),
			pie("This month by basis", "Which part of this month's cost is billed, shared out from a bill (allocated), or still an estimate. "+utcDays, usd,
				now(cost("month", "basis"), "{{basis}}")),
		),
		side(9,
			days("Cost by day and workspace", byDayBasis, usd, over(costByDay("workspace"), "{{workspace}}")).every("1d"),
			stacked("Running total of the month by workspace", "What the UTC month had cost at each hour, which begins anew at its first. "+costBasis, usd,
				over(cost("month", "workspace"), "{{workspace}}")).every("1h"),
		),
		section("This month"),
		side(9,
			bars("By workspace", "Cost of the running UTC month. "+costBasis, usd, now("sort_desc("+cost("month", "workspace")+")", "{{workspace}}")),
			bars("By model", "Cost of the running UTC month. "+costBasis, usd, now("sort_desc("+cost("month", "model")+")", "{{model}}")),
			bars("By team", "Cost of the running UTC month by the teams of the monitor's configuration; unmapped belongs to none. Not by the workspaces and models chosen. "+
				"Empty where no teams are configured. "+costBasis, usd,
				now(`sort_desc(sum by (team) (`+selector("anthropic_team_cost_usd", []string{"organization", "team"}, `period="month"`)+`))`, "{{team}}")),
		),
		side(9,
			rows("Dearest keys", "The 20 API keys with the highest cost in the running UTC month, of the workspaces chosen and all models. An empty key is use without a key "+
				"(Console, OAuth, federation); (unattributed) is cost that no key can be named for. "+costBasis,
				[]column{{"workspace", "Workspace", "", nil}, {"api_key", "Key", "", nil}, {"Value", "This month", usd, object{"decimals": 2}}},
				table(`topk(20, sum by (workspace, api_key) (`+selector("anthropic_api_key_cost_usd", []string{"organization", "workspace"}, `period="month"`)+`))`),
			).sortedBy("This month").goesTo("Keys", "/keys").wide(12),
			lines("Estimate over bill", "Cost at list price over what was billed for it, last 7 settled days: 1 means that the list price is paid, a discount of 12 % makes 1.136. "+
				"What matters is that it changes. Absent until a day was compared with its bill.", "none",
				over(`max by (organization) (anthropic_estimate_drift_ratio{organization=~"$organization"})`, "{{organization}}")).set("decimals", 3).wide(12),
		),
	)
}
