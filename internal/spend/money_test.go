package spend_test

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

func TestParseCents(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "1": "0.01", "100": "1", "007": "0.07",
		"123.45":                      "1.2345",
		"123.78912":                   "1.2378912",
		"-123.45":                     "-1.2345",
		"0.0000001":                   "0.000000001",
		"0.00000005":                  "0", // half to even
		"0.00000015":                  "0.000000002",
		"0.00000025":                  "0.000000002",
		"-0.00000015":                 "-0.000000002",
		"0.000000050001":              "0.000000001",
		"0.00000004999":               "0",
		"922337203685.4775807":        "9223372036.854775807",
		"-922337203685.4775808":       "-9223372036.854775808",
		"922337203685.47758074":       "9223372036.854775807",
		"99.999999999":                "1",
		strings.Repeat("0", 40) + "1": "0.01",
		"1e2":                         "1",
		"1.5E-5":                      "0.00000015",
		"0E-8":                        "0",
		"0E+3":                        "0",
		"-12.345e+1":                  "-1.2345",
		"1.5E-7":                      "0.000000002", // half to even
		"2.5E-7":                      "0.000000002",
		"1E-30":                       "0",
	} {
		m, err := spend.ParseCents(text)
		require.NoError(t, err, text)
		require.Equal(t, want, m.String(), text)
	}
	for _, text := range []string{
		"", "-", ".", "-.", "1.", ".5", "+1", "--1", "1e", "e5", "1.e5", "1e1.5", "1e2e2", "1e-31", "1e999999999", "1e12", "0x10", "1_000", "1,5", " 1", "1 ", "1.2.3", "1.5x", "1.00000001x",
		"NaN", "Inf", "-Inf", "null", "١",
		"922337203685.4775808", "922337203685.47758075", "-922337203685.4775809", "9223372036854775807", strings.Repeat("9", 400),
	} {
		m, err := spend.ParseCents(text)
		require.Error(t, err, text)
		require.Zero(t, m, text)
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 1.2345, (spend.Dollar + 23*spend.Cent + 45*spend.Cent/100).USD(), 0)
	require.Equal(t, "-9223372036.854775808", spend.Money(math.MinInt64).String())

	b, err := json.Marshal(map[string]any{"cost_usd": 12345 * spend.Cent / 100})
	require.NoError(t, err)
	require.Equal(t, `{"cost_usd":"1.2345"}`, string(b))
	b, err = yaml.Marshal(map[string]spend.Money{"amount_usd": spend.Dollar / 2})
	require.NoError(t, err)
	require.Equal(t, "amount_usd: \"0.5\"\n", string(b))

	m := spend.Dollar
	require.Error(t, json.Unmarshal([]byte(`"1e31"`), &m))
	require.Error(t, json.Unmarshal([]byte(`1.5`), &m), "a JSON number may have lost digits")
	require.Equal(t, spend.Dollar, m)

	rapid.Check(t, func(t *rapid.T) {
		m := spend.Money(rapid.Int64().Draw(t, "m"))
		back, err := spend.ParseUSD(m.String())
		require.NoError(t, err)
		require.Equal(t, m, back)
		b, err := json.Marshal(m)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, m, back)
	})
}

var decimal = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?0*([0-9]|[12][0-9]|30))?$`)

// FuzzParseCents compares with exact rational arithmetic.
func FuzzParseCents(f *testing.F) {
	for _, s := range []string{
		"123.45", "123.78912", "-0.00000015", "0.00000025", "922337203685.4775807", "-922337203685.4775808", "922337203685.47758075",
		"1e5", "0E-8", "1.5E-7", "1e31", "", "-", "1.", "0.123456789012345678901234567890",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := spend.ParseCents(s)
		if !decimal.MatchString(s) {
			require.Error(t, err)
			return
		}
		want := exactCents(t, s)
		if !want.IsInt64() {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.Int64(), int64(m))
	})
}

// exactCents is s × 10^7, rounded half to even.
func exactCents(t *testing.T, s string) *big.Int {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	require.True(t, ok)
	r.Mul(r, big.NewRat(1e7, 1))
	double := new(big.Int).Lsh(r.Num(), 1)
	// floor((2n + d) / 2d) rounds half up; take one off where that was a half and came out odd.
	q, rest := new(big.Int).DivMod(double.Add(double, r.Denom()), new(big.Int).Lsh(r.Denom(), 1), new(big.Int))
	if rest.Sign() == 0 && q.Bit(0) == 1 {
		q.Sub(q, big.NewInt(1))
	}
	return q
}
