package storage_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// A figure that is added to [storage.Sum] must be added up too.
func TestSumAddsEveryFigure(t *testing.T) {
	t.Parallel()
	var one, two storage.Sum
	fill := func(s *storage.Sum, n int64) {
		v := reflect.ValueOf(s).Elem()
		for i := range v.NumField() {
			switch f := v.Field(i); {
			case f.CanInt():
				f.SetInt(n)
			case f.Kind() == reflect.Array:
				for j := range f.Len() {
					f.Index(j).SetInt(n)
				}
			case f.Kind() == reflect.Bool:
				f.SetBool(true)
			}
		}
	}
	fill(&one, 1)
	fill(&two, 2)
	got := one
	got.Add(&one)
	require.Equal(t, two, got)
	require.Equal(t, spend.Money(2), got.List)
}
