package dashboards

import "fmt"

func keysAndAccess() *Dashboard {
	const usd = "currencyUSD"
	place := []string{"organization", "workspace"}
	const key = "organization, workspace, api_key"
	keyCost := func(period string) string {
		return fmt.Sprintf("sum by (%s) (%s)", key, selector("anthropic_api_key_cost_usd", place, fmt.Sprintf("period=%q", period)))
	}
	active := fmt.Sprintf("max by (%s) (%s)", key, selector("anthropic_api_key_info", place, `status="active"`))
	lastUsed := fmt.Sprintf("max by (%s) (%s)", key, selector("anthropic_api_key_last_used_timestamp_seconds", place))
	findings := func(severity, color string) *Panel {
		return stat("Findings: "+severity, "What the audit of keys and people finds of this severity, as of its last run, in all workspaces. Empty where all checks of this severity are off.", "none",
			now(fmt.Sprintf(`sum(anthropic_audit_findings{organization=~"$organization", severity=%q})`, severity), severity)).steps("green", 1, color).goesTo("Findings", "/keys")
	}
	return newDashboard("anthropic-keys", "Anthropic: Keys and access",
		"API keys: what each costs, when it was last used, whose it is, and what the audit finds about keys and people. From Prometheus.", "now-30d",
		[]object{prometheusSource, organization, workspace}, []object{firing},
		side(4,
			stat("Active keys", "API keys that are listed as active, as of the last inventory.", "none", now("count("+active+")", "keys")),
			stat("Unused for 90 days", "Active keys that were last used more than 90 days ago.", "none",
				now("count((time() - "+lastUsed+" > 90 * 86400) and "+active+") or vector(0)", "keys")).steps("green", 1, "orange"),
			stat("No use seen", "Active keys without any use in what the monitor knows.", "none",
				now("count("+active+" unless "+lastUsed+") or vector(0)", "keys")).steps("green", 1, "orange"),
			findings("critical", "red"), findings("warning", "orange"), findings("info", "blue"),
		),
		side(14,
			rows("Keys", "A row a key: what it cost, when it was last seen in use, its status and owner. An empty key is use without a key (Console, OAuth, federation); (unattributed) is cost "+
				"that no key can be named for. "+costBasis+" No time of last use: none was seen.",
				[]column{
					{"organization", "Organization", "", nil}, {"workspace", "Workspace", "", nil}, {"api_key", "Key", "", nil}, {"status", "Status", "", nil}, {"owner", "Owner", "", nil},
					{"Value #A", "Today", usd, object{"decimals": 2}}, {"Value #B", "This month", usd, object{"decimals": 2}}, {"Value #C", "Last month", usd, object{"decimals": 2}},
					{"Value #D", "Last used", "dateTimeFromNow", nil}, {"Value #E", "Listed", "none", object{"mappings": []object{{"type": "value", "options": object{"1": object{"text": "yes"}}}}}},
				},
				table(keyCost("today")), table(keyCost("month")), table(keyCost("last_month")), table(lastUsed+" * 1000"),
				table(fmt.Sprintf("max by (%s, status, owner) (%s)", key, selector("anthropic_api_key_info", place))),
			).sortedBy("This month").goesTo("Keys", "/keys"),
		),
		side(9,
			bars("Dearest keys today", "The ten API keys with the highest cost of the running UTC day. "+costBasis, usd, now("topk(10, "+keyCost("today")+")", "{{api_key}} ({{workspace}})")),
			bars("This month by owner", "Cost of the running UTC month by the owner of the key; keys that are not listed any more, and use without a key, have none and are left out. "+costBasis, usd,
				now(fmt.Sprintf("sort_desc(sum by (owner) ((%s) * on (%s) group_left (owner) max by (%s, owner) (%s)))", keyCost("month"), key, key, selector("anthropic_api_key_info", place)), "{{owner}}")),
			pie("Keys by status", "API keys by status, as of the last inventory.", "none", now(fmt.Sprintf("count by (status) (%s)", selector("anthropic_api_key_info", place)), "{{status}}")),
		),
		side(10,
			stacked("Tokens per hour by key", "Tokens of every kind per hour, over each step of at least an hour. An empty key is use without a key. "+counted, "short",
				over(fmt.Sprintf("sum by (workspace, api_key) (rate(%s[$__rate_interval])) * 3600", selector("anthropic_api_key_tokens_total", place)), "{{api_key}} ({{workspace}})")).every("1h").wide(14),
			rows("Findings by check", "What the audit finds, by check, as of its last run, in all workspaces. Checks that find nothing are left out; what each means is in docs/keys-and-access.md.",
				[]column{
					{"check", "Check", "", nil}, {"severity", "Severity", "", object{"custom.cellOptions": object{"type": "color-text"}, "mappings": []object{{"type": "value", "options": object{
						"critical": object{"color": "red"}, "warning": object{"color": "orange"}, "info": object{"color": "blue"},
					}}}}},
					{"Value", "Findings", "none", nil},
				},
				table(`sum by (check, severity) (anthropic_audit_findings{organization=~"$organization"}) > 0`),
			).sortedBy("Findings").goesTo("Findings", "/keys"),
		),
		side(8,
			stacked("Findings by severity", "What the audit found at each time; live data only.", "none",
				over(`sum by (severity) (anthropic_audit_findings{organization=~"$organization"})`, "{{severity}}")).every("5m"),
		),
	)
}
