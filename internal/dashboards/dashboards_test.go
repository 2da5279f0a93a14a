package dashboards_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/dashboards"
	"github.com/anthropic-monitor/monitor/internal/golden"
)

// TestCommitted checks that the dashboards that are committed are those of this package. With -update it
// writes what the others read, and so it is done before they begin.
func TestCommitted(t *testing.T) {
	for name, d := range dashboards.All() {
		text, err := d.JSON()
		require.NoError(t, err)
		golden.Check(t, "../../../grafana/dashboards/"+name+".json", text)
	}
}

// known is what grafana/check/check.mjs wrote down of Grafana's own types.
type known struct {
	SchemaVersion int
	Properties    map[string][]string
	Panels        map[string]struct{ Options, Custom []string }
	Units         []string
}

// TestStructure checks each dashboard against what Grafana knows, and what is ours of all of them:
// panels that fill the width and do not overlap, and say what they show.
func TestStructure(t *testing.T) {
	t.Parallel()
	k := readKnown(t)
	files, err := filepath.Glob("../../grafana/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(dashboards.All()), "a file for each dashboard, and no others")
	uids := map[any]bool{}
	for _, file := range files {
		d := readObject(t, file)
		require.NoError(t, k.check(d), file)
		require.False(t, uids[d["uid"]], "uid of %s", file)
		uids[d["uid"]] = true
	}
}

// TestStructureRefuses changes one thing of a good dashboard at a time.
func TestStructureRefuses(t *testing.T) {
	t.Parallel()
	k := readKnown(t)
	panel := func(d object) object { return d["panels"].([]any)[1].(object) }
	defaults := func(d object) object { return panel(d)["fieldConfig"].(object)["defaults"].(object) }
	for want, change := range map[string]func(d object){
		`panel 2 "Yesterday": unit currencyEURO is unknown`:              func(d object) { defaults(d)["unit"] = "currencyEURO" },
		`panel 2 "Yesterday": a field has no colour`:                     func(d object) { defaults(d)["colour"] = 1 },
		`panel 2 "Yesterday": type single is unknown`:                    func(d object) { panel(d)["type"] = "single" },
		`panel 2 "Yesterday": its options have no orientaton`:            func(d object) { panel(d)["options"].(object)["orientaton"] = 1 },
		`panel 2 "Yesterday": a panel has no datasrc`:                    func(d object) { panel(d)["datasrc"] = 1 },
		`panel 2 "Yesterday": no description`:                            func(d object) { delete(panel(d), "description") },
		`panel 1 "Yesterday": id 1 is there twice`:                       func(d object) { panel(d)["id"] = 1.0 },
		`panel 2 "Yesterday" is on top of panel 1 "Today"`:               func(d object) { panel(d)["gridPos"].(object)["x"] = 3.0 },
		`panel 2 "Today": there is another panel of this title`:          func(d object) { panel(d)["title"] = "Today" },
		`at y 0 panels are 23 wide, not 24`:                              func(d object) { panel(d)["gridPos"].(object)["w"] = 3.0 },
		`panel 2 "Yesterday": data source abc is no variable`:            func(d object) { panel(d)["datasource"].(object)["uid"] = "abc" },
		`panel 2 "Yesterday": query A uses $modle, which is no variable`: func(d object) { query(d)["expr"] = `x{model=~"$modle"}` },
		`panel 2 "Yesterday": query A has no data source of its panel`:   func(d object) { query(d)["datasource"] = object{"type": "prometheus", "uid": "x"} },
		`schemaVersion 1, not 42`:                                        func(d object) { d["schemaVersion"] = 1.0 },
		`a dashboard has no tittle`:                                      func(d object) { d["tittle"] = "x" },
		`variable datasource: a variable has no kind`:                    func(d object) { variables(d)[0].(object)["kind"] = "x" },
		`timezone browser: days, and hourly samples, are UTC`:            func(d object) { d["timezone"] = "browser" },
		`no link to the other dashboards`:                                func(d object) { d["links"] = []any{} },
	} {
		d := readObject(t, "../../grafana/dashboards/spend-overview.json")
		change(d)
		require.EqualError(t, k.check(d), want)
	}
}

type object = map[string]any

func query(d object) object { return d["panels"].([]any)[1].(object)["targets"].([]any)[0].(object) }

func variables(d object) []any { return d["templating"].(object)["list"].([]any) }

func readObject(t *testing.T, file string) (d object) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d), file)
	return d
}

func readKnown(t *testing.T) (k known) {
	t.Helper()
	text, err := os.ReadFile("../../grafana/check/known.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &k))
	require.Greater(t, len(k.Units), 100)
	return k
}

// names checks that an object has known properties only.
func names(of object, known []string, what string) error {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s no %s", what, name)
		}
	}
	return nil
}

func (k known) check(d object) error {
	if d["schemaVersion"] != float64(k.SchemaVersion) {
		return fmt.Errorf("schemaVersion %v, not %d", d["schemaVersion"], k.SchemaVersion)
	}
	if d["timezone"] != "utc" {
		return fmt.Errorf("timezone %v: days, and hourly samples, are UTC", d["timezone"])
	}
	if err := names(d, k.Properties["dashboard"], "a dashboard has"); err != nil {
		return err
	}
	variable := map[string]bool{"__rate_interval": true, "__range": true, "__interval": true, "__timeFilter": true}
	for _, v := range variables(d) {
		v := v.(object)
		if err := names(v, k.Properties["variable"], fmt.Sprintf("variable %v: a variable has", v["name"])); err != nil {
			return err
		}
		variable[v["name"].(string)] = true
	}
	others := 0
	for _, l := range d["links"].([]any) {
		l := l.(object)
		if err := names(l, k.Properties["link"], "a link has"); err != nil {
			return err
		}
		if l["type"] == "dashboards" && fmt.Sprint(l["tags"]) == fmt.Sprint(d["tags"]) && fmt.Sprint(d["tags"]) == "["+dashboards.Tag+"]" {
			others++
		}
	}
	if others != 1 {
		return errors.New("no link to the other dashboards")
	}
	panels := d["panels"].([]any)
	ids, titles := map[any]bool{}, map[any]bool{}
	for _, p := range panels {
		p := p.(object)
		if ids[p["id"]] {
			return fmt.Errorf("%s: id %v is there twice", called(p), p["id"])
		}
		ids[p["id"]] = true
		if p["type"] == "row" {
			continue
		}
		if titles[p["title"]] {
			return fmt.Errorf("%s: there is another panel of this title", called(p))
		}
		titles[p["title"]] = true
		if err := k.checkPanel(p, variable); err != nil {
			return fmt.Errorf("%s: %w", called(p), err)
		}
	}
	return checkLayout(panels)
}

func called(p object) string { return fmt.Sprintf("panel %v %q", p["id"], p["title"]) }

var reference = regexp.MustCompile(`\$\{?(\w+)`)

func (k known) checkPanel(p object, variable map[string]bool) error {
	kind, ok := k.Panels[fmt.Sprint(p["type"])]
	if !ok {
		return fmt.Errorf("type %v is unknown", p["type"])
	}
	if p["description"] == nil || p["title"] == "" {
		return errors.New("no description")
	}
	config := p["fieldConfig"].(object)
	defaults := config["defaults"].(object)
	custom, _ := defaults["custom"].(object)
	for _, err := range []error{
		names(p, k.Properties["panel"], "a panel has"),
		names(p["options"].(object), kind.Options, "its options have"),
		names(defaults, k.Properties["field"], "a field has"),
		names(custom, kind.Custom, "its fields have"),
	} {
		if err != nil {
			return err
		}
	}
	var units []any
	if unit, ok := defaults["unit"]; ok {
		units = append(units, unit)
	}
	for _, o := range config["overrides"].([]any) {
		for _, property := range o.(object)["properties"].([]any) {
			if property := property.(object); property["id"] == "unit" {
				units = append(units, property["value"])
			}
		}
	}
	for _, unit := range units {
		if !slices.Contains(k.Units, fmt.Sprint(unit)) {
			return fmt.Errorf("unit %v is unknown", unit)
		}
	}
	source := p["datasource"].(object)
	if m := regexp.MustCompile(`^\$\{(\w+)\}$`).FindStringSubmatch(fmt.Sprint(source["uid"])); m == nil || !variable[m[1]] {
		return fmt.Errorf("data source %v is no variable", source["uid"])
	}
	for _, q := range p["targets"].([]any) {
		q := q.(object)
		if !reflect.DeepEqual(q["datasource"], p["datasource"]) {
			return fmt.Errorf("query %v has no data source of its panel", q["refId"])
		}
		text := fmt.Sprint(q["expr"], q["rawSql"], p["interval"])
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if !variable[m[1]] {
				return fmt.Errorf("query %v uses $%s, which is no variable", q["refId"], m[1])
			}
		}
	}
	return nil
}

// checkLayout checks that panels do not overlap, and that those that begin at one height fill the width.
func checkLayout(panels []any) error {
	type rectangle struct{ x, y, w, h int }
	at := func(p any) rectangle {
		g := p.(object)["gridPos"].(object)
		number := func(name string) int { return int(g[name].(float64)) }
		return rectangle{number("x"), number("y"), number("w"), number("h")}
	}
	wide := map[int]int{}
	for i, p := range panels {
		a := at(p)
		wide[a.y] += a.w
		for _, q := range panels[:i] {
			if b := at(q); a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				return fmt.Errorf("%s is on top of %s", called(p.(object)), called(q.(object)))
			}
		}
	}
	for _, y := range slices.Sorted(maps.Keys(wide)) {
		if wide[y] != 24 {
			return fmt.Errorf("at y %d panels are %d wide, not 24", y, wide[y])
		}
	}
	return nil
}

// TestLockfile checks that the packages of the check against Grafana's types come from the public registry.
func TestLockfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../grafana/check/package-lock.json")
	require.NoError(t, err)
	sources := regexp.MustCompile(`"resolved": "([^"]*)"`).FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(sources), 100)
	for _, m := range sources {
		require.True(t, strings.HasPrefix(m[1], "https://registry.npmjs.org/"), m[1])
	}
}
