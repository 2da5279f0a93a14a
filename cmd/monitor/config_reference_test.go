package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestConfigurationReference keeps docs/configuration.md as the types say it: every key with its type,
// its default and the comment of its field.
func TestConfigurationReference(t *testing.T) {
	t.Parallel()
	files := []string{
		"config.go", "../../internal/pricing/table.go", "../../internal/team/team.go", "../../internal/alerts/notifier_config.go", "../../internal/audit/config.go",
	}
	rules, err := filepath.Glob("../../internal/alerts/rule*.go")
	require.NoError(t, err)
	r := reference{t: t, comments: fieldComments(t, append(files, rules...)...)}
	r.write(configurationIntroduction)
	defaults := defaultConfig(environment{"HOME": "~"}.get)
	v := reflect.ValueOf(*defaults)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.IsExported() {
			r.section(f, v.FieldByIndex(f.Index))
		}
	}
	golden.Check(t, "../../../docs/configuration.md", r.text.Bytes())
}

const configurationIntroduction = `# Configuration

Every key, made from the code by ` + "`go test ./cmd/monitor -run TestConfigurationReference -update`" + `. The same with examples is
[config.example.yaml](../config.example.yaml); editors complete by [monitor.schema.json](../monitor.schema.json).

One YAML file, named by ` + "`--config`" + `, else by ` + "`$MONITOR_CONFIG`" + `, else ` + "`./monitor.yaml`" + ` where it exists; without a file the defaults hold. It is
read strictly: an unknown key is an error, and ` + "`monitor check`" + ` prints all errors with their lines. SIGHUP or ` + "`POST /-/reload`" + ` reads it again;
a file with errors changes nothing, and ` + "`storage`" + ` and ` + "`web`" + ` take effect at the next start.

- *secret*: ` + "`${NAME}`" + ` (an environment variable), ` + "`file:/path`" + `, ` + "`exec:command args`" + ` (no shell; the first line of the output), or the text itself.
  Only secrets can be written so, and relative paths are from the working directory. Files and commands are read again after a refusal, and nothing prints, logs or stores a secret.
- *duration*: ` + "`90s`, `15m`, `6h`, `14d`, `2w`" + `, or several units one after another. *time*: ` + "`2026-01-31`" + ` or ` + "`2026-01-31T12:00:00Z`" + `; times are UTC.
- *one or more*: a value, or a list of them.
- In paths ` + "`[]`" + ` stands for each entry of a list, and a word in capitals for a name of your choice. Keys without a default are unset.
`

// reference writes the document.
type reference struct {
	t        *testing.T
	comments map[string]string
	text     bytes.Buffer
}

func (r *reference) write(format string) { r.text.WriteString(format) }

// section writes what is below a key of the top.
func (r *reference) section(f reflect.StructField, v reflect.Value) {
	name := yamlName(f)
	fmt.Fprintf(&r.text, "\n## `%s`\n\n%s\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n", name, r.comment("Config", f))
	if named(f.Type) != "" {
		r.row(name, f, v, "Config")
		return
	}
	r.below(name, f.Type, v)
}

// below writes the keys below a path.
func (r *reference) below(path string, typ reflect.Type, v reflect.Value) {
	switch typ.Kind() {
	case reflect.Pointer:
		element := reflect.New(typ.Elem()).Elem()
		if v.IsValid() && !v.IsNil() {
			element = v.Elem()
		} else if d, ok := element.Addr().Interface().(interface{ SetDefaults() }); ok {
			d.SetDefaults()
		}
		r.below(path, typ.Elem(), element)
	case reflect.Slice:
		element := reflect.New(typ.Elem()).Elem()
		if d, ok := element.Addr().Interface().(interface{ SetDefaults() }); ok {
			d.SetDefaults()
		}
		if typ != reflect.TypeFor[config.OneOrMany[pricing.Entry]]() {
			path += "[]"
		}
		r.below(path, typ.Elem(), element)
	case reflect.Map:
		r.below(path+".MODEL", typ.Elem(), reflect.Value{})
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Anonymous {
				r.below(path, f.Type, v.Field(i))
				continue
			}
			if name := yamlName(f); name != "" {
				r.row(path+"."+name, f, v.Field(i), typ.Name())
			}
		}
	default:
		require.Fail(r.t, "no way to write this", "%s: %s", path, typ)
	}
}

// row writes a key and what is below it.
func (r *reference) row(path string, f reflect.StructField, v reflect.Value, parent string) {
	typ := named(f.Type)
	if enum := enumOf(f); enum != nil && f.Type.Kind() == reflect.String {
		typ = "`" + strings.Join(enum, "`, `") + "`"
	}
	inner := typ == ""
	if inner {
		typ = map[reflect.Kind]string{reflect.Pointer: "block", reflect.Struct: "block", reflect.Slice: "list", reflect.Map: "by name"}[f.Type.Kind()]
	}
	shown := ""
	if !inner && !slices.Contains([]string{"rules[].threshold.window", "rules[].stale.after"}, path) { // which must be given
		shown = defaultOf(v)
	}
	fmt.Fprintf(&r.text, "| `%s` | %s | %s | %s |\n", path, typ, shown, strings.ReplaceAll(r.comment(parent, f), "|", `\|`))
	if inner {
		r.below(path, f.Type, v)
	}
}

func (r *reference) comment(parent string, f reflect.StructField) string {
	comment := strings.Join(strings.Fields(r.comments[parent+"."+f.Name]), " ")
	require.NotEmpty(r.t, comment, "a comment for %s.%s", parent, f.Name)
	if !strings.HasSuffix(comment, ".") {
		comment += "."
	}
	if first, _, _ := strings.Cut(comment, " "); slices.Contains(enumOf(f), first) {
		return comment // it begins with a value
	}
	return strings.ToUpper(comment[:1]) + comment[1:]
}

func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func enumOf(f reflect.StructField) (values []string) {
	for part := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		if v, ok := strings.CutPrefix(part, "enum="); ok {
			values = append(values, v)
		}
	}
	return values
}

// named is what a type is called; empty where there are keys below it.
func named(typ reflect.Type) string {
	switch typ {
	case reflect.TypeFor[config.Secret]():
		return "secret"
	case reflect.TypeFor[config.Duration]():
		return "duration"
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[spend.Money](), reflect.TypeFor[*spend.Money]():
		return "dollars"
	case reflect.TypeFor[pricing.Factor](), reflect.TypeFor[*float64]():
		return "number"
	case reflect.TypeFor[config.OneOrMany[string]]():
		return "text, one or more"
	case reflect.TypeFor[config.OneOrMany[spend.Dimension]]():
		return "dimension, one or more"
	case reflect.TypeFor[map[string]string]():
		return "texts by name"
	case reflect.TypeFor[map[string]config.Secret]():
		return "secrets by name"
	case reflect.TypeFor[[]string](), reflect.TypeFor[[]alerts.NewThing]():
		return "list of texts"
	case reflect.TypeFor[[]float64]():
		return "list of numbers"
	}
	switch typ.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "`true` or `false`"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	}
	return ""
}

// defaultOf is a default as it would be written.
func defaultOf(v reflect.Value) string {
	if !v.IsValid() || v.IsZero() && v.Kind() != reflect.Bool {
		if v.IsValid() && (v.Type() == reflect.TypeFor[config.Duration]() || v.Kind() == reflect.Int || v.Kind() == reflect.Int64) && v.Type() != reflect.TypeFor[spend.Money]() {
			return "`0`"
		}
		return ""
	}
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return ""
	}
	switch x := v.Interface().(type) {
	case config.Secret:
		return ""
	case []float64:
		return "`" + strings.ReplaceAll(strings.Trim(fmt.Sprint(x), "[]"), " ", ", ") + "`"
	case pricing.Factor:
		return fmt.Sprintf("`%g`", float64(x)/100)
	default:
		return fmt.Sprintf("`%v`", x)
	}
}
