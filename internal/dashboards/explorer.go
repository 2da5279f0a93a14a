package dashboards

// chosenRows filters a view by what is chosen. Days are whole: the first and the last are not cut.
const (
	chosenRows = `organization in (${organization:sqlstring}) and workspace in (${workspace:sqlstring})
  and model in (${model:sqlstring}) and team in (${team:sqlstring})`
	chosenDays = "$__timeFilter(day) and " + chosenRows
	chosenOrg  = "organization in (${organization:sqlstring})"

	// byChosen is the dimension chosen. It is compared, not pasted: a variable can be set by a link.
	byChosen = `coalesce(nullif(case ${by:sqlstring}
    when 'workspace' then workspace when 'model' then model when 'api_key' then api_key when 'team' then team
    when 'service_tier' then service_tier when 'product' then product when 'cost_type' then cost_type
    when 'token_type' then token_type when 'organization' then organization when 'basis' then basis end, ''), '(none)')`

	exactDays = "From the view cost_daily: exact, with all later corrections, in whole UTC days of the time shown."
)

func spendExplorer() *Dashboard {
	const usd = "currencyUSD"
	total := func(title, what, unit, expr string) *Panel {
		return stat(title, what+" "+exactDays, unit, sqlRows("select "+expr+" as value\nfrom cost_daily\nwhere "+chosenDays)).byRows(1)
	}
	money := object{"decimals": 2}
	severity := column{"severity", "Severity", "", object{"custom.cellOptions": object{"type": "color-text"}, "mappings": []object{{"type": "value", "options": object{
		"critical": object{"color": "red"}, "warning": object{"color": "orange"}, "info": object{"color": "blue"},
	}}}}}
	return newDashboard("anthropic-explorer", "Anthropic: Spend explorer",
		"Exact history, by any dimension, with what was changed and by whom. From the views of the monitor's PostgreSQL database (docs/sql.md).", "now-30d",
		[]object{
			sourceVariable("postgres", "PostgreSQL", "grafana-postgresql-datasource"),
			listVariable("by", "By", "What graphs and tables of cost are split by", "workspace", "model", "api_key", "team", "service_tier", "product", "cost_type", "token_type", "organization", "basis"),
			columnVariable("organization", "Organization", "Organizations that the monitor watches"),
			columnVariable("workspace", "Workspace", "Names"),
			columnVariable("model", "Model", "All includes cost that no model is named for, such as code execution"),
			columnVariable("team", "Team", "Empty where no teams are configured"),
		},
		[]object{{
			"name": "Monitor's alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": postgres,
			"target": object{
				"refId": "Anno", "format": "table", "rawQuery": true, "editorMode": "code",
				"rawSql": `select at as "time", rule || ': ' || event as title, summary as text, severity || ',' || rule as tags
from alert_history
where $__timeFilter(at) and ` + chosenOrg + ` and event in ('firing', 'resolved')
order by at desc
limit 500`,
			},
		}},
		side(4,
			total("Cost", "Cost after discount: billed where the bill is in, else estimated.", usd, "sum(cost_usd)").set("decimals", 2),
			total("At list price", "The same before discount.", usd, "sum(list_usd)").set("decimals", 2),
			total("Billed", "Which part of the cost is billed, or shared out from a bill; the rest is an estimate.", "percentunit",
				"sum(cost_usd) filter (where basis <> 'estimated') / nullif(sum(cost_usd), 0)").set("decimals", 1),
			total("Per day", "Mean cost of the days that have any.", usd, "sum(cost_usd) / nullif(count(distinct day), 0)").set("decimals", 2),
			stat("Tokens", "Tokens of every kind. From the view usage_daily: exact, in whole UTC days of the time shown.", "short", sqlRows(`select sum(uncached_input_tokens + cache_read_input_tokens + cache_creation_5m_input_tokens
  + cache_creation_1h_input_tokens + output_tokens) as value
from usage_daily
where `+chosenDays)).byRows(1),
			stat("Cache hits", "Input tokens read from the cache over all input tokens. From the view usage_daily: exact, in whole UTC days of the time shown.", "percentunit",
				sqlRows(`select sum(cache_read_input_tokens) / nullif(sum(uncached_input_tokens + cache_read_input_tokens
  + cache_creation_5m_input_tokens + cache_creation_1h_input_tokens), 0) as value
from usage_daily
where `+chosenDays)).byRows(1).set("decimals", 1),
		),
		side(10,
			days("Cost by day", "By the dimension chosen. "+exactDays, usd, sqlOver(`
select extract(epoch from day) as "time", `+byChosen+` as metric, sum(cost_usd) as cost
from cost_daily
where `+chosenDays+`
group by 1, 2
order by 1, 2`)).every("1d").wide(15),
			rows("Cost by dimension", "By the dimension chosen. "+exactDays,
				[]column{
					{"name", "Name", "", nil}, {"cost", "Cost", usd, money}, {"list", "At list price", usd, money},
					{"share", "Share", "percentunit", object{"decimals": 1}}, {"billed", "Billed", "percentunit", object{"decimals": 0}},
				},
				sqlRows(`
select `+byChosen+` as name, sum(cost_usd) as cost, sum(list_usd) as list,
  sum(cost_usd) / nullif(sum(sum(cost_usd)) over (), 0) as share,
  sum(cost_usd) filter (where basis <> 'estimated') / nullif(sum(cost_usd), 0) as billed
from cost_daily
where `+chosenDays+`
group by 1
order by 2 desc`)),
		),
		side(9,
			days("Cost by day and basis", "Billed, allocated (a bill shared out) and estimated. "+exactDays, usd, sqlOver(`
select extract(epoch from day) as "time", basis as metric, sum(cost_usd) as cost
from cost_daily
where `+chosenDays+`
group by 1, 2
order by 1, 2`)).every("1d"),
			days("Cost by hour", "By the dimension chosen. From the view cost_hourly: what is only known by the day stands at the beginning of its day. Exact; show a few days.", usd, sqlOver(`
select extract(epoch from bucket) as "time", `+byChosen+` as metric, sum(cost_usd) as cost
from cost_hourly
where $__timeFilter(bucket) and `+chosenRows+`
group by 1, 2
order by 1, 2`)).every("1h"),
		),
		section("Usage"),
		side(9,
			days("Tokens by day and type", "From the view usage_daily: exact, in whole UTC days.", "short", sqlOver(`
select extract(epoch from day) as "time", sum(uncached_input_tokens) as uncached_input, sum(cache_read_input_tokens) as cache_read,
  sum(cache_creation_5m_input_tokens) as cache_creation_5m, sum(cache_creation_1h_input_tokens) as cache_creation_1h,
  sum(output_tokens) as output
from usage_daily
where `+chosenDays+`
group by 1
order by 1`)).every("1d"),
			lines("Cache hits by day", "Input tokens read from the cache over all input tokens, by workspace. From the view usage_daily: exact, in whole UTC days.", "percentunit", sqlOver(`
select extract(epoch from day) as "time", workspace as metric,
  sum(cache_read_input_tokens) / nullif(sum(uncached_input_tokens + cache_read_input_tokens + cache_creation_5m_input_tokens
    + cache_creation_1h_input_tokens), 0) as hits
from usage_daily
where `+chosenDays+`
group by 1, 2
order by 1, 2`)).every("1d").set("max", 1),
		),
		section("Keys and people"),
		side(10,
			rows("Keys", "Cost of each key. "+exactDays+" An empty key is use without a key (Console, OAuth, federation); (unattributed) is cost that no key can be named for.",
				[]column{
					{"organization", "Organization", "", nil}, {"workspace", "Workspace", "", nil}, {"api_key", "Key", "", nil}, {"team", "Team", "", nil},
					{"cost", "Cost", usd, money}, {"first", "First day", "dateTimeAsIso", nil}, {"last", "Last day", "dateTimeAsIso", nil},
				},
				sqlRows(`
select organization, workspace, api_key, team, sum(cost_usd) as cost, min(day) as first, max(day) as last
from cost_daily
where `+chosenDays+`
group by 1, 2, 3, 4
order by 5 desc
limit 200`)).goesTo("Keys", "/keys").wide(12),
			rows("Findings", "What the audit finds about keys and people now, whatever the time shown; cost is of the last 30 UTC days.",
				[]column{
					severity, {"finding", "Finding", "", nil}, {"subject", "Key or person", "", nil}, {"place", "Workspace or role", "", nil},
					{"cost", "Cost", usd, money}, {"what", "What", "", object{"custom.width": 400}}, {"evaluated_at", "As of", "dateTimeFromNow", nil},
				},
				sqlRows(`
select severity, finding, subject, place, cost, what, evaluated_at
from (
  select severity, finding, api_key as subject, workspace as place, cost_usd_30d as cost, what, evaluated_at
  from api_key_audit
  where finding <> '' and `+chosenOrg+`
  union all
  select severity, finding, coalesce(nullif(email, ''), name), role, null, what, evaluated_at
  from access_audit
  where finding <> '' and `+chosenOrg+`
) findings
order by array_position(array['critical', 'warning', 'info'], severity), finding, subject
limit 500`)).goesTo("Findings", "/keys").wide(12),
		),
		section("What happened"),
		side(10,
			rows("Alerts", "What became of alerts in the time shown: states that changed, and what was told. From the view alert_history.",
				[]column{
					{"at", "Time", "dateTimeAsIso", nil}, severity, {"rule", "Rule", "", nil}, {"state", "State", "", nil}, {"event", "Told", "", nil},
					{"value", "Value", "", object{"decimals": 2}}, {"value_limit", "Limit", "", object{"decimals": 2}}, {"unit", "Unit", "", nil}, {"summary", "Summary", "", object{"custom.width": 500}},
				},
				sqlRows(`
select at, severity, rule, from_state || ' → ' || state as state, event, value, value_limit, unit, summary
from alert_history
where $__timeFilter(at) and `+chosenOrg+`
order by at desc
limit 500`)).goesTo("Alerts", "/alerts"),
		),
		side(9,
			rows("Jobs", "Runs of each job that began in the time shown, by outcome. From the view job_history.",
				[]column{
					{"organization", "Organization", "", nil}, {"job", "Job", "", nil}, {"outcome", "Outcome", "", nil}, {"runs", "Runs", "none", nil},
					{"seconds", "Mean time", "s", nil}, {"requests", "Requests", "none", nil}, {"last", "Last", "dateTimeFromNow", nil}, {"error", "Last error", "", object{"custom.width": 400}},
				},
				sqlRows(`
select organization, job, outcome, count(*) as runs, avg(extract(epoch from ended_at - started_at)) as seconds,
  sum(requests) as requests, max(started_at) as last, (array_agg(error order by started_at desc))[1] as error
from job_history
where $__timeFilter(started_at) and `+chosenOrg+`
group by 1, 2, 3
order by 1, 2, 3`)).wide(12),
			rows("Changes", "What monitor admin changed in the time shown, or tried. From the view admin_log. Empty where nothing was.",
				[]column{
					{"started_at", "Time", "dateTimeAsIso", nil}, {"os_user", "By", "", nil}, {"action", "Action", "", nil}, {"target", "Target", "", nil},
					{"outcome", "Outcome", "", nil}, {"error", "Error", "", nil},
				},
				sqlRows(`
select started_at, os_user, action, target, outcome, error
from admin_log
where $__timeFilter(started_at) and `+chosenOrg+`
order by started_at desc
limit 200`)).wide(12),
		),
	)
}
