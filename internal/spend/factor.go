package spend

import (
	"fmt"
	"math"
	"math/bits"
)

// Factor is what an amount is multiplied by, in billionths: an exact decimal of nine places.
type Factor int64

// One is the factor that changes nothing.
const One Factor = 1_000_000_000

// FactorOf is a over b, rounded half to even; false where neither is positive or it is no factor.
func FactorOf(a, b Money) (Factor, bool) {
	f, ok := mulDiv(uint64(max(a, 0)), uint64(One), uint64(max(b, 0)))
	return Factor(f), ok && a > 0
}

// Of is the amount times the factor, rounded half to even. Amounts of opposite sign give opposite
// results. What is beyond all amounts is the largest one.
func (f Factor) Of(m Money) Money {
	if f == One {
		return m
	}
	if m < 0 {
		return -f.Of(-m)
	}
	x, ok := mulDiv(uint64(m), uint64(max(f, 0)), uint64(One))
	if !ok {
		return math.MaxInt64
	}
	return Money(x)
}

// Of is each amount times the factor.
func (a Amounts) Of(f Factor) Amounts {
	for k := range a {
		a[k] = f.Of(a[k])
	}
	return a
}

// String is the factor as a plain decimal number without trailing zeros: "0.88".
func (f Factor) String() string { return Money(f).String() }

// Float is the factor for display and for Prometheus.
func (f Factor) Float() float64 { return float64(f) / float64(One) }

// MarshalText writes the factor as String does.
func (f Factor) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Percent writes how far the factor is from one: "-12.0 %".
func (f Factor) Percent() string { return fmt.Sprintf("%+.1f %%", 100*(f.Float()-1)) }

// mulDiv is a × b / c, rounded half to even; false where that does not fit an amount, or c is 0.
func mulDiv(a, b, c uint64) (uint64, bool) {
	hi, lo := bits.Mul64(a, b)
	if hi >= c {
		return 0, false
	}
	q, r := bits.Div64(hi, lo, c)
	if half := c - r; r > half || r == half && q%2 == 1 {
		q++
	}
	return q, q <= math.MaxInt64
}
