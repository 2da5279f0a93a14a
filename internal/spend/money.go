package spend

import (
	"fmt"
	"math"
	"strings"
)

// Money is an amount in billionths of a US dollar. Sums are exact; there is no float until display.
type Money int64

// Units of money.
const (
	Dollar Money = 1_000_000_000
	Cent   Money = Dollar / 100
)

// ParseCents reads a decimal number of cents, as the Admin API writes amounts ("123.45" is
// $1.2345). Digits below a billionth of a dollar are rounded half to even. It refuses what is not
// a plain decimal number, and what does not fit.
func ParseCents(s string) (Money, error) { return parseDecimal(s, 7) }

// ParseUSD reads a decimal number of dollars, rounded half to even at a billionth.
func ParseUSD(s string) (Money, error) { return parseDecimal(s, 9) }

// parseDecimal reads s × 10^places, rounded half to even.
func parseDecimal(s string, places int) (Money, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, dotted := strings.Cut(digits, ".")
	if whole == "" || dotted && frac == "" {
		return 0, fmt.Errorf("%q is not a decimal number", s)
	}
	tooLarge := fmt.Errorf("%q is too large an amount", s)
	var n uint64
	add := func(c byte) error {
		if c < '0' || c > '9' {
			return fmt.Errorf("%q is not a decimal number", s)
		}
		if n > math.MaxInt64/10+1 {
			return tooLarge
		}
		n = n*10 + uint64(c-'0')
		return nil
	}
	for i := range len(whole) {
		if err := add(whole[i]); err != nil {
			return 0, err
		}
	}
	for i := range places {
		c := byte('0')
		if i < len(frac) {
			c = frac[i]
		}
		if err := add(c); err != nil {
			return 0, err
		}
	}
	if len(frac) > places {
		rest := frac[places:]
		for i := range len(rest) {
			if rest[i] < '0' || rest[i] > '9' {
				return 0, fmt.Errorf("%q is not a decimal number", s)
			}
		}
		half := rest[0] == '5' && strings.Trim(rest[1:], "0") == ""
		if rest[0] > '5' || rest[0] == '5' && !half || half && n%2 == 1 {
			n++
		}
	}
	switch {
	case negative && n <= -math.MinInt64:
		return Money(-n), nil
	case n <= math.MaxInt64:
		return Money(n), nil
	default:
		return 0, tooLarge
	}
}

// String is the amount in dollars, as a plain decimal number without trailing zeros: "1.2345".
func (m Money) String() string {
	u, sign := uint64(m), ""
	if m < 0 {
		u, sign = -u, "-"
	}
	s := fmt.Sprintf("%s%d.%09d", sign, u/uint64(Dollar), u%uint64(Dollar))
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// USD is the amount in dollars for display and for Prometheus, which know floats only.
func (m Money) USD() float64 { return float64(m) / float64(Dollar) }

// MarshalText writes the amount as String does; so do JSON, as a string, and YAML.
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what [ParseUSD] reads.
func (m *Money) UnmarshalText(b []byte) error {
	x, err := ParseUSD(string(b))
	if err == nil {
		*m = x
	}
	return err
}
