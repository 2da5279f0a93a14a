package spend

import (
	"fmt"
	"math"
	"strconv"
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
// $1.2345), also with an exponent, as many languages write a small or long zero ("1.5E-7", "0E-8").
// Digits below a billionth of a dollar are rounded half to even. It refuses what is not a decimal
// number, and what does not fit.
func ParseCents(s string) (Money, error) { return parseDecimal(s, 7) }

// ParseUSD reads a decimal number of dollars, rounded half to even at a billionth.
func ParseUSD(s string) (Money, error) { return parseDecimal(s, 9) }

// parseDecimal reads s × 10^places, rounded half to even.
func parseDecimal(s string, places int) (Money, error) {
	digits, negative := strings.CutPrefix(s, "-")
	digits, exponent := cutExponent(digits)
	whole, frac, dotted := strings.Cut(digits, ".")
	if whole == "" || dotted && frac == "" {
		return 0, fmt.Errorf("%q is not a decimal number", s)
	}
	whole, frac = movePoint(whole, frac, exponent)
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

// largestExponent bounds what a number with an exponent makes us write out.
const largestExponent = 30

// cutExponent splits a number before its exponent. Where that is none, or too large, all of it stays.
func cutExponent(s string) (digits string, exponent int) {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return s, 0
	}
	e, err := strconv.Atoi(s[i+1:])
	if err != nil || e < -largestExponent || e > largestExponent {
		return s, 0
	}
	return s[:i], e
}

// movePoint moves the point between whole and frac by places to the right.
func movePoint(whole, frac string, places int) (string, string) {
	if places < 0 {
		whole = strings.Repeat("0", -places) + whole
		at := len(whole) + places
		return whole[:at], whole[at:] + frac
	}
	frac += strings.Repeat("0", places)
	return whole + frac[:places], frac[places:]
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
