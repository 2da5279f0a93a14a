package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// grafanaVariable is what the test reads of a variable of a dashboard.
type grafanaVariable struct {
	Name, Type, AllValue string
	Multi, IncludeAll    bool
	Query                variableQuery
	Datasource           struct{ Type string }
}

// variableQuery is a text, or an object that has it.
type variableQuery string

func (q *variableQuery) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*q = variableQuery(s)
		return nil
	}
	var o struct{ Query string }
	err := json.Unmarshal(text, &o)
	*q = variableQuery(o.Query)
	return err
}

// view is what somebody looks at: a time, and what is chosen of each variable; nothing is All.
type view struct {
	from, to  time.Time
	variables map[string]grafanaVariable
	chosen    map[string][]string
	listed    map[string][]string
}

func (v *view) options(name string, values []string) {
	if v.listed == nil {
		v.listed = map[string][]string{}
	}
	v.listed[name] = values
}

// ago reads "now-30d".
func ago(t *testing.T, from string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(`^now-(\d+)([hd])$`).FindStringSubmatch(from)
	require.Len(t, m, 3, from)
	n, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	return time.Duration(n) * map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour}[m[2]]
}

// step is that of a graph of a thousand points, and no shorter than what the panel asks for.
func (v *view) step(t *testing.T, shortest string) time.Duration {
	t.Helper()
	least := time.Minute
	if shortest != "" {
		days, isDays := strings.CutSuffix(shortest, "d")
		d, err := time.ParseDuration(shortest)
		if isDays {
			var n int
			n, err = strconv.Atoi(days)
			d = time.Duration(n) * 24 * time.Hour
		}
		require.NoError(t, err, shortest)
		least = d
	}
	for _, step := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		if step >= least && v.to.Sub(v.from)/step <= 1000 {
			return step
		}
	}
	return least
}

var variableUse = regexp.MustCompile(`\$(?:\{(\w+)(?::(\w+))?\}|(\w+))`)

// values are what a variable stands for. custom says that it is to be pasted as it is.
func (v *view) values(t *testing.T, name string) (values []string, custom bool) {
	t.Helper()
	x, ok := v.variables[name]
	require.True(t, ok, "$%s is no variable", name)
	if chosen := v.chosen[name]; len(chosen) > 0 {
		return chosen, false
	}
	switch {
	case x.Type == "custom":
		return strings.Split(string(x.Query), ",")[:1], false
	case x.AllValue != "":
		return []string{x.AllValue}, true
	default:
		return v.listed[name], false
	}
}

// promQL puts values into an expression as Grafana's data source for Prometheus does: those of a
// variable of several values as a regular expression inside of a string.
func (v *view) promQL(t *testing.T, expr string, step time.Duration) string {
	t.Helper()
	rate := max(step+time.Minute, 4*time.Minute)
	return variableUse.ReplaceAllStringFunc(expr, func(use string) string {
		m := variableUse.FindStringSubmatch(use)
		name := m[1] + m[3]
		switch name {
		case "__rate_interval":
			return fmt.Sprintf("%ds", int(rate.Seconds()))
		case "__interval":
			return fmt.Sprintf("%ds", int(step.Seconds()))
		case "__range":
			return fmt.Sprintf("%ds", int(v.to.Sub(v.from).Seconds()))
		}
		require.Empty(t, m[2], "a format of %s would not be escaped for PromQL", use)
		values, custom := v.values(t, name)
		if custom || !v.variables[name].Multi {
			return strings.Join(values, "|")
		}
		var escaped []string
		for _, value := range values {
			escaped = append(escaped, strings.ReplaceAll(regexp.QuoteMeta(value), `\`, `\\`))
		}
		return "(" + strings.Join(escaped, "|") + ")"
	})
}

var sqlMacro = regexp.MustCompile(`\$(\w+)\(([^)]*)\)`)

// sql puts values into SQL: variables first, as lists of strings, then the macros of the time.
func (v *view) sql(t *testing.T, text string) string {
	t.Helper()
	text = variableUse.ReplaceAllStringFunc(text, func(use string) string {
		m := variableUse.FindStringSubmatch(use)
		if strings.HasPrefix(m[3], "__") {
			return use // a macro
		}
		require.Equal(t, "sqlstring", m[2], "%s is not quoted", use)
		values, custom := v.values(t, m[1])
		if custom {
			return values[0]
		}
		var quoted []string
		for _, value := range values {
			quoted = append(quoted, "'"+strings.ReplaceAll(value, "'", "''")+"'")
		}
		return strings.Join(quoted, ",")
	})
	return sqlMacro.ReplaceAllStringFunc(text, func(use string) string {
		m := sqlMacro.FindStringSubmatch(use)
		require.Equal(t, "__timeFilter", m[1], "a macro that this test does not know")
		at := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
		return fmt.Sprintf("%s BETWEEN '%s' AND '%s'", m[2], at(v.from), at(v.to))
	})
}

// checkTimes checks that the answer is one over time: a column time of seconds, ascending, in the time
// shown or at the beginning of its first day, and numbers beside it.
func (v *view) checkTimes(t *testing.T, a outcome) {
	t.Helper()
	require.Contains(t, a.columns, "time", a.query)
	var times []float64
	for _, row := range a.rows {
		at, err := strconv.ParseFloat(fmt.Sprint(row["time"]), 64)
		require.NoError(t, err, a.query)
		times = append(times, at)
		require.GreaterOrEqual(t, at, float64(v.from.Truncate(24*time.Hour).Unix()), a.query)
		require.LessOrEqual(t, at, float64(v.to.Unix()), a.query)
	}
	require.True(t, slices.IsSorted(times), a.query)
	for _, name := range a.columns {
		if name == "time" || name == "metric" || len(a.rows) == 0 {
			continue
		}
		require.NotEmpty(t, a.values, "%s: no number: %s", name, a.query)
	}
}
