package pricing

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // for the built-in table
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Overrides is the section prices of the configuration, and has the shape of the built-in table:
// prices by model. A model is a name, which also stands for its dated releases (name-20260131), or
// the beginning of names, ending in *. Where several match the longest rules, and
// any override rules before the built-in table, in the time it says.
type Overrides map[string]config.OneOrMany[Entry]

// Entry is a model's prices, all of them, for a time. Money is USD per million tokens.
type Entry struct {
	From           time.Time `yaml:"from"`  // prices hold from then on; default: always
	Until          time.Time `yaml:"until"` // prices hold before then; default: for ever
	TokenPrices    `yaml:",inline"`
	Batch          Factor       `yaml:"batch"`            // on prices in service tier batch; default 0.5
	InferenceGeoUS Factor       `yaml:"inference_geo_us"` // on prices with inference geo us; default 1
	Fast           *FastPrices  `yaml:"fast"`             // in speed fast, cache in proportion; default: not offered
	LongContext    *TokenPrices `yaml:"long_context"`     // in context window 200k-1M; default: no difference
	PromptTier     *TokenPrices `yaml:"prompt_tier"`      // of long prompts, which no report tells; default: no difference
}

// TokenPrices are the prices of the kinds of tokens, in USD per million.
type TokenPrices struct {
	Input        *spend.Money `yaml:"input"`          // uncached input
	Output       *spend.Money `yaml:"output"`         // output
	CacheRead    *spend.Money `yaml:"cache_read"`     // input read from the cache
	CacheWrite5m *spend.Money `yaml:"cache_write_5m"` // input written to the cache for 5 minutes
	CacheWrite1h *spend.Money `yaml:"cache_write_1h"` // input written to the cache for an hour
}

// FastPrices are the prices in speed fast, in USD per million tokens.
type FastPrices struct {
	Input  *spend.Money `yaml:"input"`  // uncached input
	Output *spend.Money `yaml:"output"` // output
}

// SetDefaults sets the factors that hold where an entry does not say them.
func (e *Entry) SetDefaults() { e.Batch, e.InferenceGeoUS = one/2, one }

// Factor is a multiplier of prices, in hundredths.
type Factor int64

const one Factor = 100

// Limits that keep price × factors within 64 bits; no real price comes near.
const (
	maxPrice  = 10_000 * spend.Dollar
	maxFactor = 10 * one
)

// UnmarshalText reads a decimal number with at most two decimals.
func (f *Factor) UnmarshalText(b []byte) error {
	m, err := spend.ParseUSD(string(b))
	if err != nil {
		return err
	}
	if m%spend.Cent != 0 {
		return fmt.Errorf("%q has more than two decimals", b)
	}
	*f = Factor(m / spend.Cent)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (f Factor) MarshalText() ([]byte, error) { return (spend.Money(f) * spend.Cent).MarshalText() }

//go:embed prices.json
var builtIn []byte

// Load makes a table of the built-in prices and the overrides, whose problems it returns all.
func Load(overrides Overrides) (*Table, error) {
	var problems []error
	overrides.Check(func(path, format string, args ...any) {
		problems = append(problems, fmt.Errorf("prices.%s: %s", path, fmt.Sprintf(format, args...)))
	})
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	var file struct {
		Date        string      `yaml:"date"`
		WebSearches spend.Money `yaml:"web_searches_per_1000"`
		Models      Overrides   `yaml:"models"`
	}
	f := config.Load("prices.json", builtIn, nil, &file) // JSON is YAML
	file.Models.Check(func(path, format string, args ...any) { f.Problem("models."+path, format, args...) })
	if err := f.Err(); err != nil {
		return nil, err
	}
	t := &Table{layers: []layer{newLayer(file.Models)}, webSearches: file.WebSearches, date: file.Date}
	t.content = bytes.Clone(builtIn)
	if len(overrides) > 0 {
		t.layers = append([]layer{newLayer(overrides)}, t.layers...)
		content, err := json.Marshal(overrides)
		if err != nil {
			return nil, err
		}
		t.content = append(t.content, content...)
	}
	return t, nil
}

// Version names the table's content: the date of the built-in prices and a digest of everything
// that estimates depend on.
func (t *Table) Version() string {
	h := sha256.New()
	h.Write(t.content)
	for _, model := range slices.Sorted(maps.Keys(t.effective)) {
		fmt.Fprintf(h, "%s %v\n", model, t.effective[model])
	}
	return fmt.Sprintf("%s-%x", t.date, h.Sum(nil)[:4])
}

// newLayer compiles what Check has found good.
func newLayer(o Overrides) layer {
	l := layer{names: map[string][]period{}}
	for pattern, entries := range o {
		var periods []period
		for i := range entries {
			periods = append(periods, entries[i].period())
		}
		if text, ok := strings.CutSuffix(pattern, "*"); ok {
			l.prefixes = append(l.prefixes, prefix{text, periods})
		} else {
			l.names[pattern] = periods
		}
	}
	slices.SortFunc(l.prefixes, func(a, b prefix) int { return cmp.Compare(len(b.text), len(a.text)) })
	return l
}

func (e *Entry) period() period {
	p := period{from: e.From, until: e.Until, standard: e.price(), batch: e.Batch, us: e.InferenceGeoUS}
	if e.Fast != nil {
		proportional := func(m spend.Money) spend.Money {
			scaled, _ := amount(int64(m), uint64(*e.Fast.Input), uint64(p.standard.Input))
			return scaled
		}
		p.fast = &Price{
			Input:        *e.Fast.Input,
			Output:       *e.Fast.Output,
			CacheRead:    proportional(p.standard.CacheRead),
			CacheWrite5m: proportional(p.standard.CacheWrite5m),
			CacheWrite1h: proportional(p.standard.CacheWrite1h),
		}
	}
	for _, x := range []struct {
		from *TokenPrices
		to   **Price
	}{{e.LongContext, &p.long}, {e.PromptTier, &p.promptTier}} {
		if x.from != nil {
			price := x.from.price()
			*x.to = &price
		}
	}
	return p
}

func (p *TokenPrices) price() Price {
	return Price{
		Input: *p.Input, CacheRead: *p.CacheRead, CacheWrite5m: *p.CacheWrite5m, CacheWrite1h: *p.CacheWrite1h, Output: *p.Output,
	}
}

var goodPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@/-]*\*?$`)

// Check reports everything that is wrong, by path from the section on, such as "claude-x[0].input".
func (o Overrides) Check(report func(path, format string, args ...any)) {
	for _, pattern := range slices.Sorted(maps.Keys(o)) {
		if !goodPattern.MatchString(pattern) {
			report(pattern, "must be a model's name, or the beginning of names followed by *")
		}
		if len(o[pattern]) == 0 {
			report(pattern, "has no prices")
		}
		for i := range o[pattern] {
			path := fmt.Sprintf("%s[%d]", pattern, i)
			o[pattern][i].check(func(field, format string, args ...any) { report(path+field, format, args...) })
			for j := range i {
				if overlap(&o[pattern][j], &o[pattern][i]) {
					report(path, "overlaps in time with %s[%d]", pattern, j)
				}
			}
		}
	}
}

func overlap(a, b *Entry) bool {
	ends := func(a, b *Entry) bool { return !a.Until.IsZero() && !b.From.Before(a.Until) } // a before b
	return !ends(a, b) && !ends(b, a) && !a.backwards() && !b.backwards()
}

func (e *Entry) backwards() bool {
	return !e.From.IsZero() && !e.Until.IsZero() && !e.From.Before(e.Until)
}

func (e *Entry) check(report func(path, format string, args ...any)) {
	prices := func(path string, p *TokenPrices) {
		checkPrice(report, path+".input", p.Input)
		checkPrice(report, path+".output", p.Output)
		checkPrice(report, path+".cache_read", p.CacheRead)
		checkPrice(report, path+".cache_write_5m", p.CacheWrite5m)
		checkPrice(report, path+".cache_write_1h", p.CacheWrite1h)
	}
	prices("", &e.TokenPrices)
	if e.LongContext != nil {
		prices(".long_context", e.LongContext)
	}
	if e.PromptTier != nil {
		prices(".prompt_tier", e.PromptTier)
	}
	if e.Fast != nil {
		checkPrice(report, ".fast.input", e.Fast.Input)
		checkPrice(report, ".fast.output", e.Fast.Output)
		if e.Input != nil && e.Fast.Input != nil && *e.Fast.Input > 10**e.Input {
			report(".fast.input", "must be at most 10 times the price of input") // cache prices follow
		} else if e.Input != nil && *e.Input == 0 {
			report(".fast", "needs an input price above 0, for cache prices keep their proportion to it")
		}
	}
	if e.Batch <= 0 || e.Batch > maxFactor {
		report(".batch", "must be above 0 and at most 10")
	}
	if e.InferenceGeoUS <= 0 || e.InferenceGeoUS > maxFactor {
		report(".inference_geo_us", "must be above 0 and at most 10")
	}
	if e.backwards() {
		report(".until", "must be later than from")
	}
}

func checkPrice(report func(path, format string, args ...any), path string, m *spend.Money) {
	switch {
	case m == nil:
		report(path, "must be set (USD per million tokens)")
	case *m < 0:
		report(path, "must not be negative")
	case *m > maxPrice:
		report(path, "must be at most 10000 USD per million tokens")
	}
}
