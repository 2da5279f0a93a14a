package dashboards

import (
	"fmt"
	"strings"
)

// Panel is one panel. Its methods change it and return it, so that they can be written in a row.
type Panel struct {
	ID              int          `json:"id"`
	Type            string       `json:"type"`
	Title           string       `json:"title"`
	Description     string       `json:"description,omitempty"`
	Datasource      object       `json:"datasource,omitempty"`
	GridPos         gridPos      `json:"gridPos"`
	Interval        string       `json:"interval,omitempty"`
	FieldConfig     *fieldConfig `json:"fieldConfig,omitempty"`
	Options         object       `json:"options,omitempty"`
	Transformations []object     `json:"transformations,omitempty"`
	Targets         []target     `json:"targets,omitempty"`
	Links           []object     `json:"links,omitempty"`
	Collapsed       *bool        `json:"collapsed,omitempty"` // of rows
	Panels          *[]*Panel    `json:"panels,omitempty"`    // of rows
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type fieldConfig struct {
	Defaults  object   `json:"defaults"`
	Overrides []object `json:"overrides"`
}

// target is a query: PromQL or SQL.
type target struct {
	RefID        string `json:"refId"`
	Datasource   object `json:"datasource"`
	EditorMode   string `json:"editorMode"`
	Expr         string `json:"expr,omitempty"`
	LegendFormat string `json:"legendFormat,omitempty"`
	Instant      bool   `json:"instant,omitempty"`
	Range        bool   `json:"range,omitempty"`
	Format       string `json:"format"`
	RawQuery     bool   `json:"rawQuery,omitempty"`
	RawSQL       string `json:"rawSql,omitempty"`
}

// over is a query over the time shown, now one as of its end, and table the same for a table.
func over(expr, legend string) target {
	return target{Datasource: prometheus, EditorMode: "code", Expr: expr, LegendFormat: legend, Range: true, Format: "time_series"}
}

func now(expr, legend string) target {
	return target{Datasource: prometheus, EditorMode: "code", Expr: expr, LegendFormat: legend, Instant: true, Format: "time_series"}
}

func table(expr string) target {
	return target{Datasource: prometheus, EditorMode: "code", Expr: expr, Instant: true, Format: "table"}
}

// sqlOver is a query with a column "time", and sqlRows any other.
func sqlOver(sql string) target {
	return target{Datasource: postgres, EditorMode: "code", RawQuery: true, RawSQL: strings.TrimSpace(sql), Format: "time_series"}
}

func sqlRows(sql string) target {
	return target{Datasource: postgres, EditorMode: "code", RawQuery: true, RawSQL: strings.TrimSpace(sql), Format: "table"}
}

// row is panels of one height side by side, which fill the width; with a title it begins a section.
type row struct {
	title  string
	height int
	panels []*Panel
}

func section(title string) row                    { return row{title: title} }
func side(height int, panels ...*Panel) row       { return row{height: height, panels: panels} }
func (p *Panel) wide(columns int) *Panel          { p.GridPos.W = columns; return p }
func (p *Panel) every(interval string) *Panel     { p.Interval = interval; return p }
func (p *Panel) set(key string, value any) *Panel { p.FieldConfig.Defaults[key] = value; return p }

// layout numbers and places the panels. Those of a row without a width of their own share what is left.
func layout(rows []row) []*Panel {
	const width = 24
	var all []*Panel
	y := 0
	for _, r := range rows {
		if r.title != "" {
			open, none := false, []*Panel{}
			all = append(all, &Panel{Type: "row", Title: r.title, GridPos: gridPos{1, width, 0, y}, Collapsed: &open, Panels: &none})
			y++
		}
		left, free := width, 0
		for _, p := range r.panels {
			left -= p.GridPos.W
			if p.GridPos.W == 0 {
				free++
			}
		}
		x := 0
		for _, p := range r.panels {
			if p.GridPos.W == 0 {
				p.GridPos.W = left / free
			}
			p.GridPos.H, p.GridPos.X, p.GridPos.Y = r.height, x, y
			x += p.GridPos.W
			all = append(all, p)
		}
		y += r.height
	}
	for i, p := range all {
		p.ID = i + 1
	}
	return all
}

// panel makes a panel of any kind. description says what the number is: on which basis, and as of when.
func panel(kind, title, description, unit string, targets ...target) *Panel {
	for i := range targets {
		targets[i].RefID = string(rune('A' + i))
	}
	return &Panel{
		Type: kind, Title: title, Description: description, Datasource: targets[0].Datasource, Targets: targets,
		FieldConfig: &fieldConfig{Overrides: []object{}, Defaults: object{
			"unit": unit, "color": object{"mode": "palette-classic-by-name"}, "custom": object{},
		}},
		Options: object{},
	}
}

// stat shows one number.
func stat(title, description, unit string, t target) *Panel {
	p := panel("stat", title, description, unit, t)
	p.Options = object{
		"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "orientation": "auto",
		"textMode": "auto", "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "wideLayout": true,
		"percentChangeColorMode": "standard", "showPercentChange": false,
	}
	delete(p.FieldConfig.Defaults, "custom")
	return p.set("color", object{"mode": "thresholds"}).steps("text")
}

// bars compares numbers as of the end of the time shown.
func bars(title, description, unit string, t target) *Panel {
	p := panel("bargauge", title, description, unit, t)
	p.Options = object{
		"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "orientation": "horizontal",
		"displayMode": "basic", "valueMode": "color", "namePlacement": "auto", "showUnfilled": true, "sizing": "auto",
		"minVizHeight": 16, "minVizWidth": 8, "maxVizHeight": 300,
		"legend": object{"showLegend": false, "displayMode": "list", "placement": "bottom", "calcs": []string{}},
	}
	delete(p.FieldConfig.Defaults, "custom")
	return p.set("min", 0).set("color", object{"mode": "continuous-blues"})
}

// pie shows parts of a whole as of the end of the time shown.
func pie(title, description, unit string, t target) *Panel {
	p := panel("piechart", title, description, unit, t)
	p.Options = object{
		"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "orientation": "auto",
		"pieType": "donut", "displayLabels": []string{}, "sort": "desc",
		"legend":  object{"showLegend": true, "displayMode": "table", "placement": "right", "calcs": []string{}, "values": []string{"value", "percent"}},
		"tooltip": object{"mode": "single", "sort": "none"},
	}
	return p
}

// lines shows numbers over time.
func lines(title, description, unit string, targets ...target) *Panel {
	p := panel("timeseries", title, description, unit, targets...)
	p.Options = object{
		"legend":  object{"showLegend": true, "displayMode": "table", "placement": "right", "calcs": []string{"lastNotNull"}, "sortBy": "Last *", "sortDesc": true},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
	return p.set("min", 0).set("custom", object{
		"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": false,
	})
}

// stacked are lines on top of each other, which are parts of a whole.
func stacked(title, description, unit string, targets ...target) *Panel {
	p := lines(title, description, unit, targets...)
	custom := p.FieldConfig.Defaults["custom"].(object)
	custom["stacking"], custom["fillOpacity"], custom["showPoints"] = object{"mode": "normal", "group": "A"}, 40, "never"
	return p
}

// days are stacked bars, each from its time on, with sums in the legend.
func days(title, description, unit string, targets ...target) *Panel {
	p := stacked(title, description, unit, targets...)
	custom := p.FieldConfig.Defaults["custom"].(object)
	custom["drawStyle"], custom["barAlignment"], custom["barWidthFactor"], custom["fillOpacity"] = "bars", 1, 0.9, 80
	p.Options["legend"] = object{"showLegend": true, "displayMode": "table", "placement": "right", "calcs": []string{"sum"}, "sortBy": "Total", "sortDesc": true}
	return p
}

// column is a column of a table: what it is called in the answer, and in the table.
type column struct {
	from, title, unit string
	more              object // further properties, by their id
}

// rows is a table of the columns, in their order. Rows of several queries are joined by the labels that they share.
func rows(title, description string, columns []column, targets ...target) *Panel {
	p := panel("table", title, description, "none", targets...)
	p.FieldConfig.Defaults = object{"custom": object{"align": "auto", "cellOptions": object{"type": "auto"}, "inspect": false, "filterable": true}}
	p.Options = object{"showHeader": true, "cellHeight": "sm", "frameIndex": 0}
	index, names := object{}, object{}
	for i, c := range columns {
		index[c.from], names[c.from] = i, c.title
		var properties []object
		if c.unit != "" {
			properties = append(properties, object{"id": "unit", "value": c.unit})
		}
		for _, id := range []string{"decimals", "thresholds", "custom.cellOptions", "custom.width", "mappings", "links"} {
			if value, ok := c.more[id]; ok {
				properties = append(properties, object{"id": id, "value": value})
			}
		}
		if len(properties) > 0 {
			p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, object{
				"matcher": object{"id": "byName", "options": c.title}, "properties": properties,
			})
		}
	}
	if len(targets) > 1 {
		p.Transformations = append(p.Transformations, object{"id": "merge", "options": object{}})
	}
	p.Transformations = append(p.Transformations, object{"id": "organize", "options": object{
		"excludeByName": object{"Time": true}, "indexByName": index, "renameByName": names,
	}})
	return p
}

// sortedBy sorts a table by a column, the largest first.
func (p *Panel) sortedBy(title string) *Panel {
	p.Options["sortBy"] = []object{{"displayName": title, "desc": true}}
	return p
}

// byRows has a panel show each row of a table, up to a limit, instead of the last value of each series.
func (p *Panel) byRows(limit int) *Panel {
	p.Options["reduceOptions"] = object{"calcs": []string{}, "fields": "", "values": true, "limit": limit}
	return p
}

// steps colours by value: a colour, and from each value on another one.
func (p *Panel) steps(first string, more ...any) *Panel {
	return p.set("thresholds", thresholds(first, more...))
}

func thresholds(first string, more ...any) object {
	steps := []object{{"color": first, "value": nil}}
	for i := 0; i < len(more); i += 2 {
		steps = append(steps, object{"value": more[i], "color": more[i+1]})
	}
	return object{"mode": "absolute", "steps": steps}
}

// texts shows words for values.
func (p *Panel) texts(of map[string]object) *Panel {
	return p.set("mappings", []object{{"type": "value", "options": of}})
}

// goesTo links a panel to a page of the monitor.
func (p *Panel) goesTo(title, path string) *Panel {
	p.Links = append(p.Links, pageLink(title, path, ""))
	return p
}

// selector is a metric with what is chosen of its labels, and more matchers.
func selector(metric string, chosen []string, more ...string) string {
	var matchers []string
	for _, label := range chosen {
		matchers = append(matchers, fmt.Sprintf(`%s=~"$%s"`, label, label))
	}
	return metric + "{" + strings.Join(append(matchers, more...), ", ") + "}"
}

// timeline shows counts over time as colours: none, and some.
func timeline(title, description string, t target) *Panel {
	p := panel("state-timeline", title, description, "none", t)
	p.Options = object{
		"showValue": "never", "rowHeight": 0.9, "mergeValues": true, "alignValue": "left",
		"legend":  object{"showLegend": false, "displayMode": "list", "placement": "bottom", "calcs": []string{}},
		"tooltip": object{"mode": "single", "sort": "none"},
	}
	return p.set("custom", object{"lineWidth": 0, "fillOpacity": 80}).set("color", object{"mode": "thresholds"}).steps("green", 1, "red")
}
