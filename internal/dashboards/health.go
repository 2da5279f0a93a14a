package dashboards

import "fmt"

func monitorHealth() *Dashboard {
	org := []string{"organization"}
	daemon := []string{"job"}
	// Requests are made before an unnamed organization's name is known: then the label is empty.
	const requests = `organization=~"$organization|"`
	quantile := func(metric, by string, more ...string) string {
		return fmt.Sprintf("histogram_quantile(0.95, sum by (%s, le) (rate(%s[1h])))", by, selector(metric, nil, more...))
	}
	const ofOrg = `organization=~"$organization"`
	good := map[string]object{"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}}
	return newDashboard("anthropic-health", "Anthropic: Monitor health",
		"Whether the monitor works: its data, jobs, requests, rules, messages and process. From Prometheus; live data only.", "now-24h",
		[]object{
			prometheusSource, organization,
			func() object {
				v := labelVariable("job", "Job", "Jobs of Prometheus that scrape monitors", "label_values(anthropic_monitor_build_info, job)")
				delete(v, "allValue") // up{job=~".*"} would be about everything that is scraped
				return v
			}(),
		}, []object{firing, {
			"name": "Prometheus's alerts", "enable": true, "hide": false, "iconColor": "orange", "datasource": prometheus,
			"titleFormat": "{{alertname}} ({{severity}})", "textFormat": "{{organization}} {{instance}}", "tagKeys": "severity",
			"target": object{"refId": "Anno", "interval": "5m", "expr": `max_over_time(ALERTS{alertname=~"Anthropic.+", alertstate="firing"}[$__interval])`},
		}},
		side(4,
			stat("Answers", "Whether Prometheus gets an answer from every monitor that it scrapes.", "none", now("min("+selector("up", daemon)+")", "up")).texts(good),
			stat("Organizations worked", "Organizations that some monitor works, as it says.", "none", now("sum("+selector("anthropic_monitor_leader", org)+")", "organizations")).steps("red", 1, "green"),
			stat("Configuration read", "Whether the last attempt to read the configuration succeeded, in every monitor.", "none",
				now("min("+selector("anthropic_monitor_config_last_reload_successful", daemon)+")", "read")).texts(good),
			stat("Metrics as of", "When the metrics of stored data were last brought up to date, in the monitor that is furthest behind.", "dateTimeFromNow",
				now("min("+selector("anthropic_monitor_snapshot_timestamp_seconds", daemon)+") * 1000", "as of")),
			stat("Rules that cannot be judged", "Rules that failed in the last evaluation.", "none", now("sum("+selector("anthropic_monitor_rule_failing", org)+")", "rules")).steps("green", 1, "red"),
			stat("Messages given up", "Notifications that could not be delivered, of the last 30 days.", "none",
				now("sum("+selector("anthropic_monitor_notifications_pending", org, `outcome="dead"`)+") or vector(0)", "messages")).steps("green", 1, "red").goesTo("Alerts", "/alerts"),
		),
		section("Data and jobs"),
		side(9,
			lines("Age of the data", "How long ago the newest complete data of each report ends. Bills come late: cost_report after days.", "s",
				over("time() - max by (organization, report) ("+selector("anthropic_monitor_data_timestamp_seconds", org)+")", "{{report}}")).every("5m"),
			lines("Time since the last success", "By job of the monitor. The job backfill runs only where history is missing, prune and reconcile once a day.", "s",
				over("time() - max by (organization, exported_job) ("+selector("anthropic_monitor_job_last_success_timestamp_seconds", org)+")", "{{exported_job}}")).every("5m"),
		),
		side(9,
			days("Runs", "Runs of jobs in each step, by outcome.", "none",
				over("sum by (exported_job, outcome) (increase("+selector("anthropic_monitor_job_runs_total", org)+"[$__rate_interval]))", "{{exported_job}}: {{outcome}}")).every("5m"),
			lines("Time of runs", "Nineteen of twenty runs of the last hour took no longer, by job.", "s",
				over(quantile("anthropic_monitor_job_duration_seconds_bucket", "exported_job", ofOrg), "{{exported_job}}")).every("5m"),
		),
		section("Requests to the Admin API"),
		side(9,
			days("Requests by code", "Requests in each step by HTTP status, retries included; error is no answer. Of all organizations that have no name in the configuration together.", "none",
				over("sum by (code) (increase("+selector("anthropic_monitor_api_requests_total", nil, requests)+"[$__rate_interval]))", "{{code}}")).every("5m"),
			days("Failed requests by endpoint", "Requests in each step that were answered with 4xx or 5xx, or not at all. Empty where all went well.", "none",
				over("sum by (endpoint, code) (increase("+selector("anthropic_monitor_api_requests_total", nil, requests, `code!~"2.."`)+"[$__rate_interval])) > 0", "{{endpoint}}: {{code}}")).every("5m"),
			lines("Time of requests", "Nineteen of twenty requests of the last hour took no longer, by endpoint.", "s",
				over(quantile("anthropic_monitor_api_request_duration_seconds_bucket", "endpoint", requests), "{{endpoint}}")).every("5m"),
		),
		section("Rules and messages"),
		side(9,
			lines("Time since the rules were judged", "Rules are judged each minute and after each collection.", "s",
				over("time() - max by (organization) ("+selector("anthropic_monitor_last_evaluation_timestamp_seconds", org)+")", "{{organization}}")).every("5m"),
			lines("Time of judging", "Nineteen of twenty evaluations of the last hour took no longer.", "s",
				over(quantile("anthropic_monitor_evaluation_duration_seconds_bucket", "organization", ofOrg), "{{organization}}")).every("5m"),
			days("Rules that could not be judged", "Evaluations in each step in which a rule failed, by rule. Empty where none did.", "none",
				over("sum by (organization, rule) (increase("+selector("anthropic_monitor_rule_failures_total", org)+"[$__rate_interval]))", "{{rule}}")).every("5m"),
		),
		side(9,
			days("Attempts to deliver", "Attempts to deliver a notification, in each step: sent, failed (tried again), dead (given up), dropped (nobody to tell). Empty where there was nothing to tell.", "none",
				over("sum by (notifier, outcome) (increase(anthropic_monitor_notifications_total[$__rate_interval]))", "{{notifier}}: {{outcome}}")).every("5m"),
			rows("Not delivered", "Notifications that wait to be delivered, or were given up in the last 30 days.",
				[]column{{"organization", "Organization", "", nil}, {"notifier", "Notifier", "", nil}, {"outcome", "State", "", nil}, {"Value", "Notifications", "none", nil}},
				table("sum by (organization, notifier, outcome) ("+selector("anthropic_monitor_notifications_pending", org)+")")).goesTo("Alerts", "/alerts"),
			days("Heartbeats", "Heartbeats sent in each step, by outcome. Empty where none is configured (heartbeat.url).", "none",
				over("sum by (outcome) (increase("+"anthropic_monitor_heartbeats_total"+"[$__rate_interval]))", "{{outcome}}")).every("5m"),
		),
		section("Process"),
		side(8,
			lines("Memory", "Memory of the process that is in RAM.", "bytes", over(selector("process_resident_memory_bytes", daemon), "{{instance}}")),
			lines("Processor", "Processors in use, over each step.", "none", over("rate("+selector("process_cpu_seconds_total", daemon)+"[$__rate_interval])", "{{instance}}")).every("5m"),
			lines("Time of a scrape", "How long Prometheus's scrapes of the monitor took.", "s", over(selector("scrape_duration_seconds", daemon), "{{instance}}")),
		),
		side(7,
			rows("Monitors", "What is running.",
				[]column{{"instance", "Instance", "", nil}, {"version", "Version", "", nil}, {"revision", "Revision", "", nil}, {"goversion", "Go", "", nil}, {"Value", "Running", "none", nil}},
				table("max by (instance, version, revision, goversion) ("+selector("anthropic_monitor_build_info", daemon)+")")),
			rows("Series folded into other", "Series of counters that metrics.max_series folds into one labelled other, by metric. Empty where none are.",
				[]column{{"organization", "Organization", "", nil}, {"metric", "Metric", "", nil}, {"Value", "Series", "none", nil}},
				table("max by (organization, metric) ("+selector("anthropic_monitor_series_dropped", org)+")")),
		),
	)
}
