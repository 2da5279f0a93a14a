package spend

import (
	"math/bits"
	"slices"
)

// Shares splits amount in proportion to the weights so that the parts add up to it exactly
// (largest remainder; of equal remainders the first wins). Weights must not be negative. Where all
// weights are zero nothing can be told apart and it returns nil.
func Shares(amount Money, weights []Money) []Money {
	var sum uint64
	for _, w := range weights {
		sum += uint64(w)
	}
	if sum == 0 {
		return nil
	}
	abs, sign := uint64(amount), Money(1)
	if amount < 0 {
		abs, sign = -abs, -1
	}
	parts := make([]Money, len(weights))
	rests := make([]uint64, len(weights))
	left := abs
	for i, w := range weights {
		// abs × w may exceed 64 bits; w ≤ sum keeps the quotient within them.
		hi, lo := bits.Mul64(abs, uint64(w))
		q, r := bits.Div64(hi, lo, sum)
		parts[i], rests[i] = sign*Money(q), r
		left -= q
	}
	if left > 0 {
		order := make([]int, len(weights))
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case rests[a] > rests[b]:
				return -1
			case rests[a] < rests[b]:
				return 1
			default:
				return 0
			}
		})
		for _, i := range order[:left] {
			parts[i] += sign
		}
	}
	return parts
}
