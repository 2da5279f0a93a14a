package spend_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestDimensions(t *testing.T) {
	t.Parallel()
	var d spend.Dims
	fields := reflect.ValueOf(&d).Elem()
	require.Len(t, spend.Dimensions, fields.NumField(), "a dimension for every field")
	columns := map[string]bool{}
	for i, x := range spend.Dimensions {
		p := d.Field(x)
		require.NotNil(t, p, x)
		*p = string(x)
		require.Equal(t, string(x), fields.Field(i).String(), "the list is in the order of the fields")
		columns[x.Column()] = true
	}
	require.Len(t, columns, len(spend.Dimensions))
	require.Nil(t, d.Field(spend.ByOrganization))
	require.Nil(t, d.Field("colour"))
	require.Equal(t, "api_key_id", spend.ByAPIKey.Column())
	require.Equal(t, "workspace_id", spend.ByWorkspace.Column())
	require.Equal(t, "model", spend.ByModel.Column())
}

func TestKinds(t *testing.T) {
	t.Parallel()
	var tokenTypes, costTypes []string
	for k := range spend.NumKinds {
		tokenTypes = append(tokenTypes, k.TokenType())
		costTypes = append(costTypes, k.CostType())
	}
	require.Equal(t, []string{
		"uncached_input", "cache_read_input", "cache_creation_5m_input", "cache_creation_1h_input", "output", "",
	}, tokenTypes)
	require.Equal(t, []string{"tokens", "tokens", "tokens", "tokens", "tokens", "web_search"}, costTypes)
}

func TestCounts(t *testing.T) {
	t.Parallel()
	c := spend.Counts{1, 2, 3, 4, 5, 100}
	require.Equal(t, int64(15), c.Tokens(), "web searches are no tokens")
	c.Add(spend.Counts{10, 10, 10, 10, 10, 10})
	require.Equal(t, spend.Counts{11, 12, 13, 14, 15, 110}, c)
	require.False(t, c.IsZero())
	require.True(t, spend.Counts{}.IsZero())

	a := spend.Amounts{1, 2, 3, 4, 5, 6}
	a.Add(spend.Amounts{1, 1, 1, 1, 1, 1})
	require.Equal(t, spend.Amounts{2, 3, 4, 5, 6, 7}, a)
	require.Equal(t, spend.Money(27), a.Sum())
}

func TestBasis(t *testing.T) {
	t.Parallel()
	for _, b := range []spend.Basis{spend.Billed, spend.Allocated, spend.Estimated, spend.Mixed} {
		require.Equal(t, b, b.And(b))
		require.Equal(t, b, b.And(""))
		require.Equal(t, b, spend.Basis("").And(b))
		require.Equal(t, spend.Mixed, spend.Mixed.And(b))
	}
	require.Equal(t, spend.Mixed, spend.Billed.And(spend.Estimated))
}
