package report

import (
	"fmt"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// USD writes an amount for people: cents, thousands apart, and "<0.01" for what would look like nothing.
func USD(m spend.Money) string {
	sign, abs := "", m
	if m < 0 {
		sign, abs = "-", -m
	}
	cents := (abs + spend.Cent/2) / spend.Cent
	if cents == 0 && abs > 0 {
		return sign + "<0.01"
	}
	return fmt.Sprintf("%s%s.%02d", sign, Count(int64(cents/100)), cents%100)
}

// USD writes the cost for people; what has no known price is not free.
func (f Figures) USD() string {
	if f.Cost == 0 && f.Unpriced > 0 {
		return "no price"
	}
	return USD(f.Cost)
}

// Count writes a whole number with its thousands apart.
func Count(n int64) string {
	s := fmt.Sprint(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a whole number in at most five characters, for narrow terminals.
func short(n int64) string {
	abs, unit := float64(n), ""
	if n < 0 {
		abs = -abs
	}
	if abs < 1000 {
		return fmt.Sprint(n)
	}
	for _, unit = range []string{"k", "M", "G", "T", "P"} {
		if abs /= 1000; abs < 999.5 {
			break
		}
	}
	s := fmt.Sprintf("%.3g%s", abs, unit)
	if n < 0 {
		return "-" + s
	}
	return s
}

// Percent writes a change in percent with its sign; zero, also what is rounded to it, has none.
func Percent(p float64, digits int) string {
	s := fmt.Sprintf("%+.*f", digits, p)
	if strings.Trim(s, "+-0.") == "" {
		return s[1:]
	}
	return s
}
