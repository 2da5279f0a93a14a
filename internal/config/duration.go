package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time written as whole weeks, days, hours, minutes and seconds, the
// greater before the smaller: 90s, 15m, 6h, 14d, 2w, 1d12h; 0 needs no unit. It is never negative.
type Duration time.Duration

var durationUnits = []struct {
	name  byte
	width time.Duration
}{{'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// maxDuration is what everything that computes with durations can bear.
const maxDuration = 100 * 365 * 24 * time.Hour

// ParseDuration reads a duration of at most a hundred years.
func ParseDuration(s string) (Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errors.New("is empty, a duration is written like 90s, 15m, 6h, 14d or 2w")
	}
	var sum time.Duration
	rest, units := s, durationUnits
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits == len(rest) {
			return 0, notDuration(s)
		}
		i := 0
		for i < len(units) && units[i].name != rest[digits] {
			i++
		}
		if i == len(units) {
			return 0, notDuration(s)
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil || n > int64((maxDuration-sum)/units[i].width) {
			return 0, fmt.Errorf("%q is longer than a hundred years", s)
		}
		sum += time.Duration(n) * units[i].width
		rest, units = rest[digits+1:], units[i+1:]
	}
	return Duration(sum), nil
}

func notDuration(s string) error {
	return fmt.Errorf("%q is not a duration such as 90s, 15m, 6h, 14d, 2w or 1d12h", s)
}

// Duration is the duration as the standard library's type.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// String is the duration as it is written in the configuration, in days and smaller units.
func (d Duration) String() string {
	if d == 0 {
		return "0"
	}
	if d < 0 || d.Duration()%time.Second != 0 {
		return d.Duration().String() // not from a configuration
	}
	var b strings.Builder
	rest := d.Duration()
	for _, u := range durationUnits[1:] {
		if n := rest / u.width; n > 0 {
			fmt.Fprintf(&b, "%d%c", n, u.name)
			rest -= n * u.width
		}
	}
	return b.String()
}

// MarshalText writes the duration as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [ParseDuration] reads.
func (d *Duration) UnmarshalText(b []byte) error {
	x, err := ParseDuration(string(b))
	if err == nil {
		*d = x
	}
	return err
}
