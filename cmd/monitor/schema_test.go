package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// TestConfigSchema keeps monitor.schema.json, by which editors check and complete the configuration,
// as the types say it.
func TestConfigSchema(t *testing.T) {
	t.Parallel()
	s := schemaReflector(t).Reflect(&Config{})
	s.Title = "Configuration of monitor"
	b, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	golden.Check(t, "../../../monitor.schema.json", append(b, '\n'))
}

func schemaReflector(t *testing.T) *jsonschema.Reflector {
	t.Helper()
	files := []string{
		"config.go", "../../internal/pricing/table.go", "../../internal/team/team.go", "../../internal/alerts/notifier_config.go", "../../internal/audit/config.go",
	}
	rules, err := filepath.Glob("../../internal/alerts/rule*.go")
	require.NoError(t, err)
	comments := fieldComments(t, append(files, rules...)...)
	r := &jsonschema.Reflector{
		FieldNameTag:               "yaml",
		Anonymous:                  true,
		DoNotReference:             true,
		RequiredFromJSONSchemaTags: true,
		LookupComment: func(typ reflect.Type, field string) string {
			if field == "" {
				return ""
			}
			comment := comments[typ.Name()+"."+field]
			require.NotEmpty(t, comment, "a comment for %s.%s", typ.Name(), field)
			return comment
		},
	}
	r.Mapper = func(typ reflect.Type) *jsonschema.Schema {
		switch typ {
		case reflect.TypeFor[config.Secret](), reflect.TypeFor[time.Time]():
			return &jsonschema.Schema{Type: "string"}
		case reflect.TypeFor[config.Duration]():
			return anyOf(&jsonschema.Schema{Type: "string", Pattern: `^(0|(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?)$`}, &jsonschema.Schema{Const: 0})
		case reflect.TypeFor[config.OneOrMany[string]]():
			return anyOf(&jsonschema.Schema{Type: "string"}, &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}})
		case reflect.TypeFor[spend.Money](), reflect.TypeFor[pricing.Factor]():
			return &jsonschema.Schema{Type: "number"}
		case reflect.TypeFor[config.OneOrMany[pricing.Entry]](), reflect.TypeFor[config.OneOrMany[string]](), reflect.TypeFor[config.OneOrMany[spend.Dimension]]():
			one := r.ReflectFromType(typ.Elem())
			one.Version = ""
			return anyOf(one, &jsonschema.Schema{Type: "array", Items: one})
		default:
			return nil
		}
	}
	return r
}

func anyOf(ss ...*jsonschema.Schema) *jsonschema.Schema { return &jsonschema.Schema{AnyOf: ss} }

// fieldComments maps Type.Field to the comment above or beside the field.
func fieldComments(t *testing.T, files ...string) map[string]string {
	t.Helper()
	comments := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, id := range f.Names {
						comments[spec.Name.Name+"."+id.Name] = strings.TrimSpace(f.Doc.Text() + f.Comment.Text())
					}
				}
			}
			return false
		})
	}
	return comments
}
