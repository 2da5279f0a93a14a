package dashboards

import "fmt"

func budgetsAndForecast() *Dashboard {
	const usd = "currencyUSD"
	chosen := []string{"organization", "rule"}
	const budget = "organization, rule, subject"
	of := func(what string) string {
		return fmt.Sprintf("max by (%s) (%s)", budget, selector("anthropic_budget_"+what, chosen))
	}
	spent, forecast := of("spent_usd")+" / "+of("limit_usd"), of("forecast_usd")+" / "+of("limit_usd")
	const legend = "{{rule}} {{subject}}"
	const basis = "Each budget's own running period, in its own time zone; a subject is what it is for, empty for all that the rule is about."
	used := object{
		"decimals": 0, "thresholds": thresholds("green", 0.8, "orange", 1, "red"),
		"custom.cellOptions": object{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"},
	}
	alerts := func(state string) string {
		return fmt.Sprintf("sum by (organization, rule, severity) (%s)", selector("anthropic_monitor_alerts", chosen, fmt.Sprintf("state=%q", state)))
	}
	return newDashboard("anthropic-budgets", "Anthropic: Budgets and forecast",
		"How much of each budget is spent, what its period is expected to come to, when it runs out, and which rules fire. From Prometheus; live data only.", "now-7d",
		[]object{
			prometheusSource, organization,
			labelVariable("rule", "Rule", "Rules of the monitor's configuration", `label_values(anthropic_monitor_alerts{organization=~"$organization"}, rule)`),
		}, []object{firing},
		side(4,
			stat("Budgets", "Budgets of the rules chosen, one for each subject.", "none", now("count("+of("limit_usd")+")", "budgets")).goesTo("Alerts", "/alerts"),
			stat("Used up", "Budgets of which all is spent. "+basis, "none", now("count("+spent+" >= 1) or vector(0)", "budgets")).steps("green", 1, "red"),
			stat("Expected over", "Budgets whose period is expected to cost more when it ends, and is not used up yet. The forecast is as likely too high as too low.", "none",
				now("count(("+forecast+" > 1) unless ("+spent+" >= 1)) or vector(0)", "budgets")).steps("green", 1, "orange"),
			stat("Alerts that fire", "Alerts of the rules chosen that fire now, those whose data stopped (stale) included.", "none",
				now(`sum(`+selector("anthropic_monitor_alerts", chosen, `state=~"firing|stale"`)+`)`, "alerts")).steps("green", 1, "red").goesTo("Alerts", "/alerts"),
			stat("Rules that cannot be judged", "Rules that failed in the last evaluation: their alerts neither fire nor resolve.", "none",
				now(`sum(`+selector("anthropic_monitor_rule_failing", chosen)+`)`, "rules")).steps("green", 1, "red"),
			dataAsOf(),
		),
		side(11,
			rows("Each budget", basis+" Spent is billed where the bill is in, else estimated; the forecast is what the period is expected to cost when it ends (docs/forecast.md). "+
				"Runs out: when the budget was, or will be, used up; empty: not in this period.",
				[]column{
					{"organization", "Organization", "", nil}, {"rule", "Rule", "", nil}, {"subject", "Subject", "", nil},
					{"Value #A", "Budget", usd, object{"decimals": 2}}, {"Value #B", "Spent", usd, object{"decimals": 2}}, {"Value #C", "Expected", usd, object{"decimals": 2}},
					{"Value #D", "Used", "percentunit", used}, {"Value #E", "Expected use", "percentunit", used}, {"Value #F", "Runs out", "dateTimeAsIso", nil},
				},
				table(of("limit_usd")), table(of("spent_usd")), table(of("forecast_usd")), table(spent), table(forecast), table(of("exhausted_timestamp_seconds")+" * 1000"),
			).sortedBy("Used"),
		),
		side(9,
			lines("Used", "Spent over the budget; it begins anew with each period. Orange from 80 %, red when it is used up. Live data only.", "percentunit", over(spent, legend)).
				every("5m").steps("transparent", 0.8, "orange", 1, "red"),
			lines("Expected use", "The forecast for the period's end over the budget, as it was at each time. Live data only.", "percentunit", over(forecast, legend)).
				every("5m").steps("transparent", 1, "red"),
		),
		side(9,
			lines("Spent, expected and budget", "In dollars, of each budget chosen. Spent is billed where the bill is in, else estimated. Live data only.", usd,
				over(of("spent_usd"), "spent: "+legend), over(of("forecast_usd"), "expected: "+legend), over(of("limit_usd"), "budget: "+legend)).every("5m"),
		),
		section("Alerts of the monitor"),
		side(9,
			timeline("Rules that fire", "Alerts of each rule that fire at each time, those whose data stopped (stale) included; 0 is none. Live data only.",
				over(`sum by (organization, rule, severity) (`+selector("anthropic_monitor_alerts", chosen, `state=~"firing|stale"`)+`)`, "{{rule}}")).every("5m").wide(14),
			rows("Rules", "Alerts of each rule by their state, now. Stale: it fires, and its data stopped.",
				[]column{
					{"organization", "Organization", "", nil}, {"rule", "Rule", "", nil}, {"severity", "Severity", "", nil},
					{"Value #A", "Pending", "none", nil}, {"Value #B", "Firing", "none", object{"thresholds": thresholds("text", 1, "red"), "custom.cellOptions": object{"type": "color-text"}}},
					{"Value #C", "Stale", "none", object{"thresholds": thresholds("text", 1, "orange"), "custom.cellOptions": object{"type": "color-text"}}},
				},
				table(alerts("pending")), table(alerts("firing")), table(alerts("stale")),
			).sortedBy("Firing").goesTo("Alerts", "/alerts"),
		),
	)
}
