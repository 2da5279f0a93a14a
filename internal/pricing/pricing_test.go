package pricing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/golden"
	"github.com/anthropic-monitor/monitor/internal/pricing"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

var (
	november = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	october7 = time.Date(2026, 10, 7, 0, 0, 0, 0, time.UTC)
)

func table(t *testing.T, overrides string) *pricing.Table {
	t.Helper()
	p, err := pricing.Load(parse(t, overrides))
	require.NoError(t, err)
	return p
}

func parse(t *testing.T, text string) pricing.Overrides {
	t.Helper()
	var section struct {
		Prices pricing.Overrides `yaml:"prices"`
	}
	require.NoError(t, config.Load("monitor.yaml", []byte(text), nil, &section).Err())
	return section.Prices
}

func usd(t *testing.T, s string) spend.Money {
	t.Helper()
	m, err := spend.ParseUSD(s)
	require.NoError(t, err)
	return m
}

// row is a row with every dimension said, 1 M input, 2 M cache reads, 0.4 M and 0.1 M cache writes,
// 0.3 M output and 7 web searches.
func row(model string, change func(*spend.Usage)) spend.Usage {
	u := spend.Usage{
		Bucket: november,
		Dims:   spend.Dims{Model: model, ServiceTier: "standard", InferenceGeo: "global", Speed: "standard", ContextWindow: "0-200k"},
		Counts: spend.Counts{1_000_000, 2_000_000, 400_000, 100_000, 300_000, 7},
	}
	if change != nil {
		change(&u)
	}
	return u
}

// The wanted amounts are computed by hand from the published prices.
func TestEstimate(t *testing.T) {
	t.Parallel()
	builtIn := table(t, "")
	tier := func(s string) func(*spend.Usage) { return func(u *spend.Usage) { u.ServiceTier = s } }
	geo := func(s string) func(*spend.Usage) { return func(u *spend.Usage) { u.InferenceGeo = s } }
	speed := func(s string) func(*spend.Usage) { return func(u *spend.Usage) { u.Speed = s } }
	window := func(s string) func(*spend.Usage) { return func(u *spend.Usage) { u.ContextWindow = s } }
	at := func(x time.Time) func(*spend.Usage) { return func(u *spend.Usage) { u.Bucket = x } }
	all := func(fs ...func(*spend.Usage)) func(*spend.Usage) {
		return func(u *spend.Usage) {
			for _, f := range fs {
				f(u)
			}
		}
	}
	none := [5]string{"0", "0", "0", "0", "0"}
	tests := []struct {
		name   string
		model  string
		change func(*spend.Usage)
		state  spend.PriceState
		want   [5]string // uncached input, cache read, 5m write, 1h write, output
	}{
		{"standard", "claude-opus-5", nil, spend.Priced, [5]string{"5", "1", "2.5", "1", "7.5"}},
		{"dated release", "claude-opus-5-20260401", nil, spend.Priced, [5]string{"5", "1", "2.5", "1", "7.5"}},
		{"older name", "claude-opus-4-0", nil, spend.Priced, [5]string{"15", "3", "7.5", "3", "22.5"}},
		{"latest", "claude-3-5-haiku-latest", nil, spend.Priced, [5]string{"0.8", "0.16", "0.4", "0.16", "1.2"}},
		{"batch", "claude-opus-5", tier("batch"), spend.Priced, [5]string{"2.5", "0.5", "1.25", "0.5", "3.75"}},
		{"us", "claude-opus-5", geo("us"), spend.Priced, [5]string{"5.5", "1.1", "2.75", "1.1", "8.25"}},
		{"us, batch", "claude-opus-5", all(geo("us"), tier("batch")), spend.Priced, [5]string{"2.75", "0.55", "1.375", "0.55", "4.125"}},
		{"us, older model", "claude-haiku-4-5", geo("us"), spend.Priced, [5]string{"1", "0.2", "0.5", "0.2", "1.5"}},
		{"geo not available", "claude-haiku-4-5", geo("not_available"), spend.Priced, [5]string{"1", "0.2", "0.5", "0.2", "1.5"}},
		{"new geo", "claude-opus-5", geo("mars"), spend.Unpriced, none},
		{"geo not in the report", "claude-opus-5", geo(""), spend.Uncertain, [5]string{"5", "1", "2.5", "1", "7.5"}},
		{"geo not in the report, no matter", "claude-haiku-4-5", geo(""), spend.Priced, [5]string{"1", "0.2", "0.5", "0.2", "1.5"}},
		{"fast", "claude-opus-5", speed("fast"), spend.Priced, [5]string{"10", "2", "5", "2", "15"}},
		{"fast, reduced cache reads", "claude-opus-5-5", speed("fast"), spend.Priced, [5]string{"8", "0.8", "4", "1.6", "12"}},
		{"fast, us", "claude-opus-5", all(speed("fast"), geo("us")), spend.Priced, [5]string{"11", "2.2", "5.5", "2.2", "16.5"}},
		{"fast, batch", "claude-opus-5", all(speed("fast"), tier("batch")), spend.Unpriced, none},
		{"fast, model without", "claude-opus-4-7", speed("fast"), spend.Unpriced, none},
		{"new speed", "claude-opus-5", speed("ludicrous"), spend.Unpriced, none},
		{"speed not in the report", "claude-opus-5", speed(""), spend.Uncertain, [5]string{"5", "1", "2.5", "1", "7.5"}},
		{"long context", "claude-sonnet-4-5", window("200k-1M"), spend.Priced, [5]string{"6", "1.2", "3", "1.2", "6.75"}},
		{"long context, batch", "claude-sonnet-4-5", all(window("200k-1M"), tier("batch")), spend.Priced, [5]string{"3", "0.6", "1.5", "0.6", "3.375"}},
		{"long context, no premium", "claude-sonnet-4-6", window("200k-1M"), spend.Priced, [5]string{"3", "0.6", "1.5", "0.6", "4.5"}},
		{"window not in the report", "claude-sonnet-4-5", window(""), spend.Uncertain, [5]string{"3", "0.6", "1.5", "0.6", "4.5"}},
		{"new window", "claude-sonnet-4-6", window("1M-2M"), spend.Unpriced, none},
		{"until a price change", "claude-sonnet-5-5", at(october7.Add(-time.Second)), spend.Priced, [5]string{"2", "0.4", "1", "0.4", "3"}},
		{"from a price change", "claude-sonnet-5-5", at(october7), spend.Priced, [5]string{"2", "0.2", "1", "0.4", "3"}},
		{"prompt tier", "claude-haiku-5-5", nil, spend.Uncertain, [5]string{"0.5", "0.1", "0.25", "0.1", "0.75"}},
		{"prompt tier, batch", "claude-haiku-5-5", tier("batch"), spend.Uncertain, [5]string{"0.25", "0.05", "0.125", "0.05", "0.375"}},
		{"priority", "claude-opus-5", tier("priority"), spend.Committed, none},
		{"priority on demand, unknown model", "claude-next", tier("priority_on_demand"), spend.Committed, none},
		{"flex", "claude-opus-5", tier("flex"), spend.Unpriced, none},
		{"flex discount", "claude-opus-5", tier("flex_discount"), spend.Unpriced, none},
		{"tier not in the report", "claude-haiku-4-5", tier(""), spend.Uncertain, [5]string{"1", "0.2", "0.5", "0.2", "1.5"}},
		{"unknown model", "claude-opus-6", nil, spend.Unpriced, none},
		{"longer name", "claude-opus-5-turbo", nil, spend.Unpriced, none},
		{"no model", "", nil, spend.Unpriced, none},
		{"cost beyond money", "claude-opus-5", func(u *spend.Usage) { u.Counts[spend.Output] = 1 << 62 }, spend.Unpriced, none},
		{"negative count", "claude-opus-5", func(u *spend.Usage) { u.Counts[spend.CacheRead] = -1 }, spend.Unpriced, none},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u := row(test.model, test.change)
			u.Estimate[spend.Output] = 1 // what is left of an earlier estimate goes
			builtIn.Estimate(&u)
			want := spend.Amounts{spend.WebSearches: usd(t, "0.07")}
			for k, s := range test.want {
				want[k] = usd(t, s)
			}
			require.Equal(t, want, u.Estimate)
			require.Equal(t, test.state, u.Price)
		})
	}
}

func TestEstimateLargeCounts(t *testing.T) {
	t.Parallel()
	p := table(t, "")
	u := row("claude-opus-4-1", func(u *spend.Usage) {
		u.Counts = spend.Counts{1e13, 1e13, 1e13, 1e13, 1e13, 1e8}
	})
	p.Estimate(&u)
	require.Equal(t, spend.Priced, u.Price)
	require.Equal(t, spend.Amounts{
		150_000_000 * spend.Dollar, 15_000_000 * spend.Dollar, 187_500_000 * spend.Dollar,
		300_000_000 * spend.Dollar, 750_000_000 * spend.Dollar, 1_000_000 * spend.Dollar,
	}, u.Estimate)

	u.Counts[spend.WebSearches] = 1e13
	p.Estimate(&u)
	require.Equal(t, spend.Unpriced, u.Price)
}

func TestEstimateRoundsHalfToEven(t *testing.T) {
	t.Parallel()
	// Half a billionth of a dollar per token.
	p := table(t, "prices: {m: {input: 0.0005, output: 0.0005, cache_read: 0.0005, cache_write_5m: 0.0005, cache_write_1h: 0.0005}}")
	u := row("m", func(u *spend.Usage) { u.Counts = spend.Counts{1, 2, 3, 4, 5} })
	p.Estimate(&u)
	require.Equal(t, spend.Amounts{0, 1, 2, 2, 2}, u.Estimate)
	u = row("m", func(u *spend.Usage) { u.Counts, u.ServiceTier = spend.Counts{1, 2, 3, 5, 6}, "batch" })
	p.Estimate(&u)
	require.Equal(t, spend.Amounts{0, 0, 1, 1, 2}, u.Estimate)
}

func TestWithEffective(t *testing.T) {
	t.Parallel()
	p := table(t, "")
	d := spend.Dollar / 10
	q := p.WithEffective("claude-haiku-5-5", pricing.Price{Input: 2 * d, CacheRead: d, CacheWrite5m: d, CacheWrite1h: d, Output: 10 * d}).
		WithEffective("claude-opus-5-20260401", pricing.Price{})
	u := row("claude-haiku-5-5-20261007", func(u *spend.Usage) { u.ServiceTier = "batch" })
	q.Estimate(&u)
	require.Equal(t, spend.Uncertain, u.Price)
	require.Equal(t, spend.Amounts{usd(t, "0.1"), usd(t, "0.1"), usd(t, "0.02"), usd(t, "0.005"), usd(t, "0.15"), usd(t, "0.07")}, u.Estimate)
	u = row("claude-opus-5", nil)
	q.Estimate(&u)
	require.Equal(t, usd(t, "5"), u.Estimate[spend.UncachedInput], "has no prompt tier")

	u = row("claude-haiku-5-5", nil)
	p.Estimate(&u)
	require.Equal(t, usd(t, "0.5"), u.Estimate[spend.UncachedInput], "the table before is as it was")

	u = row("claude-haiku-5-5", nil)
	p.WithEffective("claude-haiku-5-5", pricing.Price{Input: -1}).Estimate(&u)
	require.Equal(t, spend.Unpriced, u.Price)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := table(t, "")
	require.Regexp(t, `^2026-11-22-[0-9a-f]{8}$`, p.Version())
	require.Equal(t, p.Version(), table(t, "prices: {}").Version())
	const override = "prices: {m: {input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1%s}}"
	versions := map[string]bool{
		p.Version(): true,
		p.WithEffective("claude-haiku-5-5", pricing.Price{}).Version():   true,
		p.WithEffective("m", pricing.Price{}).Version():                  true,
		p.WithEffective("m", pricing.Price{Output: 1}).Version():         true,
		table(t, fmt.Sprintf(override, "")).Version():                    true,
		table(t, fmt.Sprintf(override, ", batch: 0.6")).Version():        true,
		table(t, fmt.Sprintf(override, ", until: 2026-01-01")).Version(): true,
	}
	require.Len(t, versions, 7, "every content has its version")
	require.Equal(t, table(t, fmt.Sprintf(override, "")).Version(), table(t, fmt.Sprintf(override, ", batch: 0.50")).Version())
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	p := table(t, `
prices:
  claude-opus-5:
    - {until: 2026-06-01, input: 4, output: 20, cache_read: 0.4, cache_write_5m: 5, cache_write_1h: 8}
    - {from: 2026-12-01, input: 3, output: 15, cache_read: 0.3, cache_write_5m: 3.75, cache_write_1h: 6,
       batch: 0.4, inference_geo_us: 1.25, fast: {input: 9, output: 45}}
  claude-new*: {input: 1, output: 2, cache_read: 0.1, cache_write_5m: 1.25, cache_write_1h: 2}
  claude-new-big*: {input: 10, output: 20, cache_read: 1, cache_write_5m: 12.5, cache_write_1h: 20}
  claude-new-big-1: {input: 11, output: 20, cache_read: 1, cache_write_5m: 12.5, cache_write_1h: 20}
`)
	input := func(model, at string) string {
		bucket, err := time.Parse(time.DateOnly, at)
		require.NoError(t, err)
		price, ok := p.ModelPrice(model, bucket)
		if !ok {
			return "none"
		}
		return price.Input.String()
	}
	require.Equal(t, "4", input("claude-opus-5", "2026-05-31"))
	require.Equal(t, "5", input("claude-opus-5", "2026-06-01"), "the built-in price rules where no override does")
	require.Equal(t, "3", input("claude-opus-5-20260401", "2026-12-01"))
	require.Equal(t, "1", input("claude-new-small", "2026-12-01"))
	require.Equal(t, "10", input("claude-new-big-2", "2026-12-01"))
	require.Equal(t, "11", input("claude-new-big-1-20261201", "2026-12-01"))
	require.Equal(t, "none", input("claude-ne", "2026-12-01"))

	u := row("claude-opus-5", func(u *spend.Usage) {
		u.Bucket, u.ServiceTier, u.InferenceGeo = november.AddDate(0, 1, 0), "batch", "us"
	})
	p.Estimate(&u)
	require.Equal(t, usd(t, "1.5"), u.Estimate[spend.UncachedInput], "3 × 0.4 × 1.25")
	u.ServiceTier, u.Speed, u.InferenceGeo = "standard", "fast", "global"
	p.Estimate(&u)
	require.Equal(t, spend.Amounts{usd(t, "9"), usd(t, "1.8"), usd(t, "4.5"), usd(t, "1.8"), usd(t, "13.5"), usd(t, "0.07")}, u.Estimate)
}

func TestOverridesProblems(t *testing.T) {
	t.Parallel()
	const full = "input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1"
	tests := []struct{ name, text, want string }{
		{"missing", "m: {input: 1, cache_read: 0}", "prices.m[0].output: must be set (USD per million tokens)\n" +
			"prices.m[0].cache_write_5m: must be set (USD per million tokens)\nprices.m[0].cache_write_1h: must be set (USD per million tokens)"},
		{"negative", "m: {input: -1, output: 10000.1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}",
			"prices.m[0].input: must not be negative\nprices.m[0].output: must be at most 10000 USD per million tokens"},
		{"overlap", "m: [{" + full + "}, {from: 2026-01-01, " + full + "}]", "prices.m[1]: overlaps in time with m[0]"},
		{"overlap by a day", "m: [{from: 2026-01-01, " + full + "}, {until: 2026-01-02, " + full + "}]", "prices.m[1]: overlaps in time with m[0]"},
		{"backwards", "m: {from: 2026-01-02, until: 2026-01-02, " + full + "}", "prices.m[0].until: must be later than from"},
		{"nothing", "m: []", "prices.m: has no prices"},
		{"pattern", "'*': {" + full + "}", "prices.*: must be a model's name, or the beginning of names followed by *"},
		{"pattern", "a*b: {" + full + "}", "prices.a*b: must be a model's name, or the beginning of names followed by *"},
		{"pattern", "'': {" + full + "}", "prices.: must be a model's name, or the beginning of names followed by *"},
		{"factors", "m: {batch: 0, inference_geo_us: 10.01, " + full + "}",
			"prices.m[0].batch: must be above 0 and at most 10\nprices.m[0].inference_geo_us: must be above 0 and at most 10"},
		{"fast", "m: {fast: {input: 11}, " + full + "}",
			"prices.m[0].fast.output: must be set (USD per million tokens)\nprices.m[0].fast.input: must be at most 10 times the price of input"},
		{"fast of nothing", "m: {fast: {input: 0, output: 1}, input: 0, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}",
			"prices.m[0].fast: needs an input price above 0, for cache prices keep their proportion to it"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := pricing.Load(parse(t, "prices: {"+test.text+"}"))
			require.EqualError(t, err, test.want)
		})
	}
	_, err := pricing.Load(parse(t, "prices: {m: {long_context: {input: 1}, prompt_tier: {output: -1}, "+full+"}}"))
	require.ErrorContains(t, err, "prices.m[0].long_context.output: must be set")
	require.ErrorContains(t, err, "prices.m[0].prompt_tier.output: must not be negative")

	var f pricing.Factor
	require.ErrorContains(t, f.UnmarshalText([]byte("1.105")), "more than two decimals")
	require.Error(t, f.UnmarshalText([]byte("half")))
}

// models are the built-in table's models.
func models(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("prices.json")
	require.NoError(t, err)
	var file struct{ Models map[string]any }
	require.NoError(t, json.Unmarshal(b, &file), "the table is plain JSON")
	var names []string
	for name := range file.Models {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestBuiltInTable(t *testing.T) {
	t.Parallel()
	p := table(t, "")
	var b bytes.Buffer
	fmt.Fprintf(&b, "%-20s %-10s %7s %7s %7s %7s %7s\n", "model", "from", "input", "read", "5m", "1h", "output")
	for _, model := range models(t) {
		var last pricing.Price
		for day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
			x, ok := p.ModelPrice(model, day)
			require.True(t, ok, "%s at %s", model, day)
			if x != last {
				fmt.Fprintf(&b, "%-20s %s %7s %7s %7s %7s %7s\n", model, day.Format(time.DateOnly),
					x.Input, x.CacheRead, x.CacheWrite5m, x.CacheWrite1h, x.Output)
			}
			last = x
		}
	}
	golden.Check(t, "prices.txt", b.Bytes())
}

// TestFormula compares with the published formula: the sum of tokens × price / 1e6, times the
// factors, plus a cent per web search.
func TestFormula(t *testing.T) {
	t.Parallel()
	p := table(t, "")
	names := slices.DeleteFunc(models(t), func(m string) bool { return m == "claude-haiku-5-5" })
	rapid.Check(t, func(t *rapid.T) {
		u := row(rapid.SampledFrom(names).Draw(t, "model"), func(u *spend.Usage) {
			u.ServiceTier = rapid.SampledFrom([]string{"standard", "batch"}).Draw(t, "tier")
			for k := range u.Counts {
				u.Counts[k] = rapid.Int64Range(0, 1e8).Draw(t, "count")
			}
		})
		price, ok := p.ModelPrice(u.Model, u.Bucket)
		require.True(t, ok)
		sum := new(big.Int)
		for k, m := range []spend.Money{price.Input, price.CacheRead, price.CacheWrite5m, price.CacheWrite1h, price.Output} {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(u.Counts[k]), big.NewInt(int64(m))))
		}
		want := new(big.Rat).SetFrac(sum, big.NewInt(1e6))
		if u.ServiceTier == "batch" {
			want.Mul(want, big.NewRat(1, 2))
		}
		want.Add(want, new(big.Rat).SetInt64(u.Counts[spend.WebSearches]*int64(spend.Cent)))
		p.Estimate(&u)
		off := want.Sub(want, new(big.Rat).SetInt64(int64(u.Estimate.Sum())))
		require.LessOrEqual(t, off.Abs(off).Cmp(big.NewRat(5, 2)), 0, "five kinds of tokens are rounded by at most a half each")
	})
}

func TestEstimateIsLinear(t *testing.T) {
	t.Parallel()
	p := table(t, "prices: {m: {input: 0.00071, output: 3.3333, cache_read: 0.0005, cache_write_5m: 1.000001, cache_write_1h: 7.77777777}}")
	rapid.Check(t, func(t *rapid.T) {
		counts := func(label string) (c spend.Counts) {
			for k := range c {
				c[k] = rapid.Int64Range(0, 1e10).Draw(t, label)
			}
			return c
		}
		estimate := func(c spend.Counts) spend.Amounts {
			u := row("m", func(u *spend.Usage) { u.Counts = c })
			p.Estimate(&u)
			require.Equal(t, spend.Priced, u.Price)
			return u.Estimate
		}
		a, b := counts("a"), counts("b")
		parts, whole := estimate(a), estimate(b)
		parts.Add(whole)
		a.Add(b)
		whole = estimate(a)
		for k := range whole {
			require.LessOrEqual(t, max(whole[k]-parts[k], parts[k]-whole[k]), spend.Money(1))
		}
	})
}

func TestUnknownModelsAreNeverPriced(t *testing.T) {
	t.Parallel()
	p, known := table(t, ""), models(t)
	rapid.Check(t, func(t *rapid.T) {
		model := rapid.StringMatching(`(claude-)?(opus|sonnet|haiku|nova)-[0-9](-[0-9a-z]{1,9})?(-[0-9]{8})?`).Draw(t, "model")
		if slices.ContainsFunc(known, func(k string) bool { return len(model) >= len(k) && model[:len(k)] == k }) {
			return
		}
		u := row(model, nil)
		p.Estimate(&u)
		require.Equal(t, spend.Unpriced, u.Price, model)
		require.Equal(t, spend.Amounts{spend.WebSearches: 7 * spend.Cent}, u.Estimate)
	})
}

func BenchmarkEstimate(b *testing.B) {
	p, err := pricing.Load(nil)
	require.NoError(b, err)
	u := row("claude-opus-5-20260401", nil)
	for b.Loop() {
		p.Estimate(&u)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := pricing.Load(nil); err != nil {
			b.Fatal(err)
		}
	}
}
