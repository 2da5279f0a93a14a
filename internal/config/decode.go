package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// OneOrMany is a list that may be written as its only element.
type OneOrMany[T any] []T

func (OneOrMany[T]) oneOrMany() {}

// decoder fills values from the nodes of one file. It goes on after a problem, which a decoder
// made to stop at the first cannot.
type decoder struct {
	file    *File
	getenv  func(string) string
	anchors map[string]ast.Node // decoded so far, hence without cycles
}

func (d *decoder) problem(path string, n ast.Node, format string, args ...any) {
	line := d.file.Line(path)
	if line == 0 && n != nil {
		line = n.GetToken().Position.Line
	}
	d.file.add(path, line, fmt.Sprintf(format, args...))
}

// value decodes n into v, which can be set. Null leaves v as it is.
func (d *decoder) value(path string, n ast.Node, v reflect.Value) {
	switch x := n.(type) {
	case nil, *ast.NullNode:
		return
	case *ast.TagNode:
		d.value(path, x.Value, v)
		return
	case *ast.AnchorNode:
		d.value(path, x.Value, v)
		if _, alias := x.Value.(*ast.AliasNode); !alias {
			d.anchors[x.Name.GetToken().Value] = x.Value
		}
		return
	case *ast.AliasNode:
		name := x.Value.GetToken().Value
		if target, ok := d.anchors[name]; ok {
			d.value(path, target, v)
		} else {
			d.problem(path, n, "no anchor &%s stands before this alias (text that starts with * needs quotes)", name)
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(newElement(v.Type().Elem()).Addr())
		}
		d.value(path, n, v.Elem())
		return
	}
	switch x := v.Addr().Interface().(type) {
	case *Secret, *time.Time, encoding.TextUnmarshaler:
		d.text(path, n, x)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Map:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	default:
		d.scalar(path, n, v)
	}
}

// newElement is a new value of the type with its defaults.
func newElement(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if x, ok := p.Interface().(interface{ SetDefaults() }); ok {
		x.SetDefaults()
	}
	return p.Elem()
}

// entries lists what a mapping holds; false where n is none.
func (d *decoder) entries(path string, n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch x := n.(type) {
	case *ast.MappingNode:
		return x.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{x}, true
	default:
		d.problem(path, n, "must be a mapping of keys to values")
		return nil, false
	}
}

// enter records where the value of an entry stands and returns its path.
func (d *decoder) enter(path string, e *ast.MappingValueNode) (key, inner string) {
	token := e.Key.GetToken()
	key = token.Value
	inner = strings.TrimPrefix(path+"."+key, ".")
	d.file.lines[inner] = token.Position.Line
	return key, inner
}

func (d *decoder) structure(path string, n ast.Node, v reflect.Value) {
	fields := map[string][]int{}
	var names []string
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			fields[name] = f.Index
			names = append(names, name)
		}
	}
	entries, _ := d.entries(path, n)
	for _, e := range entries {
		key, inner := d.enter(path, e)
		if index, ok := fields[key]; ok {
			d.value(inner, e.Value, v.FieldByIndex(index))
		} else if near := Nearest(key, names); near != "" {
			d.problem(inner, e.Key, "unknown key, did you mean %s?", near)
		} else if blocks := blocksWith(v.Type(), key); len(blocks) > 0 {
			d.problem(inner, e.Key, "unknown key here: it belongs into %s, indented below that", strings.Join(blocks, " or "))
		} else {
			d.problem(inner, e.Key, "unknown key; the keys here are %s", strings.Join(names, ", "))
		}
	}
}

// blocksWith lists the blocks of a structure that have a key of the name.
func blocksWith(t reflect.Type, key string) (blocks []string) {
	name := func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		return name
	}
	for _, f := range reflect.VisibleFields(t) {
		inner := f.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if name(f) == "" || inner.Kind() != reflect.Struct {
			continue
		}
		if slices.ContainsFunc(reflect.VisibleFields(inner), func(f reflect.StructField) bool { return name(f) == key }) {
			blocks = append(blocks, name(f))
		}
	}
	return blocks
}

func (d *decoder) mapping(path string, n ast.Node, v reflect.Value) {
	entries, ok := d.entries(path, n)
	if !ok {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		key, inner := d.enter(path, e)
		element := newElement(v.Type().Elem())
		d.value(inner, e.Value, element)
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
	}
	v.Set(m)
}

func (d *decoder) list(path string, n ast.Node, v reflect.Value) {
	var nodes []ast.Node
	if s, ok := n.(*ast.SequenceNode); ok {
		nodes = s.Values
	} else if _, ok := v.Interface().(interface{ oneOrMany() }); ok {
		nodes = []ast.Node{n}
	} else {
		d.problem(path, n, "must be a list")
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, len(nodes))
	for i, n := range nodes {
		inner := fmt.Sprintf("%s[%d]", path, i)
		d.file.lines[inner] = n.GetToken().Position.Line
		element := newElement(v.Type().Elem())
		d.value(inner, n, element)
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

// textOf is the text of a scalar as it was written; false where n is none.
func textOf(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	case ast.ScalarNode:
		return x.GetToken().Value, true
	default:
		return "", false
	}
}

// text decodes what has a text form of its own. No message of it quotes a secret.
func (d *decoder) text(path string, n ast.Node, into any) {
	s, ok := textOf(n)
	if !ok {
		d.problem(path, n, "must be a single value, not a list or mapping")
		return
	}
	var err error
	switch x := into.(type) {
	case *Secret:
		*x, err = ParseSecret(s, d.getenv)
	case *time.Time:
		*x, err = parseTime(s)
	case encoding.TextUnmarshaler:
		err = x.UnmarshalText([]byte(s))
	}
	if err != nil {
		d.problem(path, n, "%s", err)
	}
}

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a date such as 2026-01-31 nor a time such as 2026-01-31T15:04:05Z", s)
}

func (d *decoder) scalar(path string, n ast.Node, v reflect.Value) {
	s, ok := textOf(n)
	switch v.Kind() {
	case reflect.String:
		if variable.MatchString(s) {
			d.problem(path, n, "only secrets may be ${NAME}: write the value itself")
		} else if ok {
			v.SetString(s)
		} else {
			d.problem(path, n, "must be text, not a list or mapping")
		}
	case reflect.Bool:
		if b, is := n.(*ast.BoolNode); is {
			v.SetBool(b.Value)
		} else {
			d.problem(path, n, "must be true or false")
		}
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, v.Type().Bits())
		if err != nil {
			d.problem(path, n, "must be a whole number")
		} else {
			v.SetInt(i)
		}
	case reflect.Float64:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || x-x != 0 { // refuses infinities and NaN
			d.problem(path, n, "must be a number")
		} else {
			v.SetFloat(x)
		}
	default:
		panic(fmt.Sprintf("config: %s: values of type %s cannot be decoded", path, v.Type()))
	}
}

// Nearest is the name that key is most likely a slip of, "" where none is near.
func Nearest(key string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		if n := Distance(key, name); n < least && n < len(name) {
			best, least = name, n
		}
	}
	return best
}

// Distance is how many letters must be added, removed or changed to make b of a.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = slices.Min([]int{change, row[j] + 1, row[j+1] + 1})
		}
	}
	return row[len(b)]
}
