package adminapi

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

// storable is the text with a mark in place of what PostgreSQL does not hold: NUL, and bytes that are
// no UTF-8, which Prometheus does not take either. Names come from other people: one of them must not
// stop the whole list from being saved, or all metrics from being read. The mark is seen, so that no
// name passes for another.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// makeStorable does that to every text in v, at any depth, so that none is forgotten.
func makeStorable[T any](v *T) { makeAllStorable(reflect.ValueOf(v).Elem()) }

func makeAllStorable(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); storable(s) != s {
			v.SetString(storable(s))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // the others are those of times
				makeAllStorable(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			makeAllStorable(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() || v.Type() != reflect.TypeFor[map[string]string]() {
			return
		}
		m := map[string]string{}
		for key, value := range v.Interface().(map[string]string) {
			m[storable(key)] = storable(value)
		}
		v.Set(reflect.ValueOf(m))
	}
}
