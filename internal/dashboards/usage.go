package dashboards

import "fmt"

// counter is how much a counter grew in the time shown, by labels of place.
func grown(metric string, more ...string) string {
	return fmt.Sprintf("sum(increase(%s[$__range]))", selector(metric, byPlace, more...))
}

// perHour is how fast a counter grows, by labels.
func perHour(metric, by string, more ...string) string {
	return fmt.Sprintf("sum by (%s) (rate(%s[$__rate_interval])) * 3600", by, selector(metric, byPlace, more...))
}

func usageAndCache() *Dashboard {
	const input = `token_type!="output"`
	hitRatio := func(by, window string) string {
		sum := "sum"
		if by != "" {
			sum += " by (" + by + ")"
		}
		rate := func(matcher string) string {
			return fmt.Sprintf("%s (rate(%s[%s]))", sum, selector("anthropic_tokens_total", byPlace, matcher), window)
		}
		return rate(`token_type="cache_read_input"`) + " / (" + rate(input) + " > 0)"
	}
	claudeCode := func(title, metric, unit, what string) *Panel {
		return stat(title, what+" Of yesterday (UTC), by the Claude Code report; not by the workspaces and models chosen.", unit,
			now(fmt.Sprintf(`sum(%s{organization=~"$organization"})`, metric), title))
	}
	limits := []string{"organization", "workspace"}
	return newDashboard("anthropic-usage", "Anthropic: Usage and cache",
		"Tokens, requests and searches, how well the cache works, how near the rate limits are, and Claude Code. From Prometheus.", "now-7d",
		[]object{
			prometheusSource, organization, workspace, model,
			listVariable("step", "Step", "Shortest step of the graphs. Imported history is hourly: shorter steps show live data only", "1h", "6h", "1d", "5m"),
		}, []object{firing},
		side(4,
			stat("Tokens", "All tokens, of every kind, in the time shown. "+counted, "short", now(grown("anthropic_tokens_total"), "tokens")),
			stat("Output tokens", "In the time shown. "+counted, "short", now(grown("anthropic_tokens_total", `token_type="output"`), "tokens")),
			stat("Cache hits", "Input tokens read from the cache over all input tokens, in the time shown. "+counted, "percentunit",
				now(hitRatio("", "$__range"), "hits")).set("decimals", 1).steps("red", 0.3, "yellow", 0.6, "green"),
			stat("Requests", "In the time shown; only where the analytics report answers. "+counted, "short", now(grown("anthropic_requests_total"), "requests")),
			stat("Tokens without a price", "Tokens in the time shown that no price is known for: their cost is missing from estimates until it is billed. Not by workspace. "+counted, "short",
				now(`sum(increase(anthropic_unpriced_tokens_total{organization=~"$organization", model=~"$model"}[$__range])) or vector(0)`, "tokens")).steps("green", 1, "orange"),
			dataAsOf(),
		),
		section("Tokens"),
		side(9,
			stacked("Tokens per hour by type", "Tokens per hour, over each step. "+counted, "short", over(perHour("anthropic_tokens_total", "token_type"), "{{token_type}}")).every("$step"),
			stacked("Tokens per hour by model", "Tokens of every kind per hour, over each step. "+counted, "short", over(perHour("anthropic_tokens_total", "model"), "{{model}}")).every("$step"),
		),
		side(9,
			stacked("Output tokens per hour by workspace", "Output tokens per hour, over each step. "+counted, "short",
				over(perHour("anthropic_tokens_total", "workspace", `token_type="output"`), "{{workspace}}")).every("$step"),
			stacked("Tokens per hour by service tier", "Tokens of every kind per hour, over each step. "+counted, "short",
				over(perHour("anthropic_tokens_total", "service_tier"), "{{service_tier}}")).every("$step"),
		),
		side(8,
			stacked("Requests per hour by model", "Requests per hour, over each step; only where the analytics report answers. "+counted, "short",
				over(perHour("anthropic_requests_total", "model"), "{{model}}")).every("$step"),
			stacked("Web searches per hour by workspace", "Web searches per hour, over each step. "+counted, "short",
				over(perHour("anthropic_web_searches_total", "workspace"), "{{workspace}}")).every("$step"),
		),
		section("Cache"),
		side(9,
			lines("Cache hits by workspace", "Input tokens read from the cache over all input tokens, in each step. "+counted, "percentunit",
				over(hitRatio("workspace", "$__rate_interval"), "{{workspace}}")).every("$step").set("max", 1),
			lines("Cache hits of the last hour by workspace and model", "Input tokens read from the cache over all input tokens, in the last complete hour at each time. Exact.", "percentunit",
				over(`max by (workspace, model) (`+selector("anthropic_cache_hit_ratio", byPlace)+`)`, "{{workspace}}, {{model}}")).every("$step").set("max", 1),
		),
		section("Rate limits"),
		side(9,
			lines("Rate limits used", "Tokens of the fullest minute in the last hour over the limit, without batch and priority. An empty workspace is the whole organization. Exact; live data only. "+
				"Limits on requests have none.", "percentunit",
				over(`max by (workspace, model_group, limiter) (`+selector("anthropic_rate_limit_used_ratio", limits)+`)`, "{{workspace}} {{model_group}} {{limiter}}")).
				every("5m").steps("transparent", 0.8, "orange", 1, "red").wide(14),
			rows("Rate limits", "The limits that are configured, and how far the fullest minute of the last hour filled them. An empty workspace is the whole organization.",
				[]column{
					{"workspace", "Workspace", "", nil}, {"model_group", "Models", "", nil}, {"limiter", "Limit on", "", nil}, {"Value #A", "Limit", "short", nil},
					{"Value #B", "Used", "percentunit", object{"decimals": 1, "thresholds": thresholds("green", 0.8, "orange", 1, "red"), "custom.cellOptions": object{"type": "color-text"}}},
				},
				table(`max by (workspace, model_group, limiter) (`+selector("anthropic_rate_limit", limits)+`)`),
				table(`max by (workspace, model_group, limiter) (`+selector("anthropic_rate_limit_used_ratio", limits)+`)`),
			).sortedBy("Used"),
		),
		section("Claude Code, yesterday"),
		side(4,
			claudeCode("Sessions", "anthropic_claude_code_sessions", "short", "Sessions."),
			claudeCode("Commits", "anthropic_claude_code_commits", "short", "Commits made with it."),
			claudeCode("Pull requests", "anthropic_claude_code_pull_requests", "short", "Pull requests made with it."),
			stat("Lines added", "Lines of code added with it. Of yesterday (UTC), by the Claude Code report.", "short",
				now(`sum(anthropic_claude_code_lines_of_code{organization=~"$organization", type="added"})`, "added")),
			stat("Lines removed", "Lines of code removed with it. Of yesterday (UTC), by the Claude Code report.", "short",
				now(`sum(anthropic_claude_code_lines_of_code{organization=~"$organization", type="removed"})`, "removed")),
			claudeCode("Its own estimate", "anthropic_claude_code_cost_usd", "currencyUSD", "That report's own estimate of cost. It is not part of any other cost."),
		),
	)
}
