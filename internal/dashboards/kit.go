package dashboards

// Tag is on each dashboard; they link to each other by it.
const Tag = "anthropic-monitor"

// object is a part of a dashboard that only Grafana looks into.
type object = map[string]any

// Dashboard is one of Grafana's, in the form that is imported and provisioned.
type Dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"`
	Timezone      string   `json:"timezone"`
	WeekStart     string   `json:"weekStart"`
	Refresh       string   `json:"refresh"`
	Time          object   `json:"time"`
	Links         []object `json:"links"`
	Templating    struct {
		List []object `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []object `json:"list"`
	} `json:"annotations"`
	Panels []*Panel `json:"panels"`
}

// newDashboard makes a dashboard of rows. Days, weeks and months are UTC everywhere in the monitor, and
// hourly samples are found only by steps that are aligned to UTC, hence its time zone.
func newDashboard(uid, title, description, from string, variables, annotations []object, rows ...row) *Dashboard {
	d := &Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{Tag}, SchemaVersion: 42, Editable: true,
		GraphTooltip: 1, Timezone: "utc", WeekStart: "monday", Refresh: "5m", Time: object{"from": from, "to": "now"},
		Panels: layout(rows),
	}
	d.Links = []object{
		{
			"type": "dashboards", "title": "Dashboards", "tags": []string{Tag}, "asDropdown": true, "includeVars": true, "keepTime": true,
			"icon": "external link", "targetBlank": false, "tooltip": "The other dashboards, with the same time and selection",
		},
		pageLink("Monitor", "/", "The monitor's own pages"),
		pageLink("Explore", "/explore", "Cost and usage by any dimension, in the monitor"),
		pageLink("Budgets", "/budgets", "Budgets, their course and earlier periods, in the monitor"),
		pageLink("Alerts", "/alerts", "Alerts, their history and silences, in the monitor"),
		pageLink("Keys", "/keys", "Keys, people and what the audit finds, in the monitor"),
		pageLink("Jobs and data", "/jobs", "How fresh and complete the data is, in the monitor"),
	}
	d.Templating.List = append(variables, object{
		"type": "textbox", "name": "monitor_url", "label": "Monitor", "query": "http://localhost:9599", "hide": 0,
		"description": "Where the monitor's own pages are, for links (web.external_url)",
		"current":     object{"text": "http://localhost:9599", "value": "http://localhost:9599"},
	})
	d.Annotations.List = append([]object{{
		"builtIn": 1, "name": "Annotations & Alerts", "type": "dashboard", "enable": true, "hide": true,
		"iconColor": "rgba(0, 211, 255, 1)", "datasource": object{"type": "grafana", "uid": "-- Grafana --"},
	}}, annotations...)
	return d
}

func pageLink(title, path, tooltip string) object {
	return object{
		"type": "link", "title": title, "url": "${monitor_url}" + path, "tooltip": tooltip, "icon": "external link",
		"targetBlank": true, "asDropdown": false, "includeVars": false, "keepTime": false, "tags": []string{},
	}
}

// The two kinds of data source. Their variables have names of their own, so that a link between
// dashboards does not take the one for the other.
var (
	prometheus = object{"type": "prometheus", "uid": "${datasource}"}
	postgres   = object{"type": "grafana-postgresql-datasource", "uid": "${postgres}"}
)

func sourceVariable(name, label, plugin string) object {
	return object{
		"type": "datasource", "name": name, "label": label, "query": plugin, "regex": "", "hide": 0, "refresh": 1,
		"multi": false, "includeAll": false,
		"current": object{"text": "", "value": ""},
	}
}

// choice is a variable of several values, of which All is first chosen. What All stands for is a value
// of its own: a list of all values would leave out what has none, such as cost without a model.
func choice(name, label, description, all string, source object, query any) object {
	return object{
		"type": "query", "name": name, "label": label, "description": description, "datasource": source, "query": query,
		"multi": true, "includeAll": true, "allValue": all, "refresh": 2, "sort": 5, "regex": "", "hide": 0,
		"current": object{"text": []string{"All"}, "value": []string{"$__all"}},
	}
}

// labelVariable lists the values of a label.
func labelVariable(name, label, description, query string) object {
	return choice(name, label, description, ".*", prometheus, object{
		"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery",
	})
}

// columnVariable lists the values of a column of cost_daily. For All the column is compared with itself.
func columnVariable(column, label, description string) object {
	return choice(column, label, description, column, postgres,
		"select distinct "+column+" from cost_daily where $__timeFilter(day) and "+column+" <> '' order by 1")
}

// listVariable has values that stand in it; the first is chosen.
func listVariable(name, label, description string, values ...string) object {
	var options []object
	query := ""
	for i, v := range values {
		options = append(options, object{"text": v, "value": v, "selected": i == 0})
		if i > 0 {
			query += ","
		}
		query += v
	}
	return object{
		"type": "custom", "name": name, "label": label, "description": description, "query": query, "options": options, "hide": 0,
		"multi": false, "includeAll": false, "allowCustomValue": false,
		"current": object{"text": values[0], "value": values[0]},
	}
}

var (
	prometheusSource = sourceVariable("datasource", "Prometheus", "prometheus")
	organization     = labelVariable("organization", "Organization", "Organizations that the monitor watches",
		`label_values(anthropic_monitor_leader, organization)`)
	workspace = labelVariable("workspace", "Workspace", "Names as on the metrics",
		`label_values(anthropic_cost_usd{organization=~"$organization"}, workspace)`)
	model = labelVariable("model", "Model", "All includes cost that no model is named for, such as code execution",
		`label_values(anthropic_cost_usd{organization=~"$organization"}, model)`)
)

// firing marks the time in which rules of the monitor fire.
var firing = object{
	"name": "Monitor's alerts", "enable": true, "hide": false, "iconColor": "red", "datasource": prometheus,
	"titleFormat": "{{rule}} ({{severity}})", "textFormat": "{{organization}}", "tagKeys": "severity",
	"target": object{
		"refId": "Anno", "interval": "5m",
		"expr": `max by (organization, rule, severity) (max_over_time(anthropic_monitor_alerts{organization=~"$organization", state=~"firing|stale"}[$__interval])) > 0`,
	},
}
