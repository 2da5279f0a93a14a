package collector

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/anthropic-monitor/monitor/internal/config"
)

// maxJitter bounds by how much an organization's ticks come after the schedule's.
const maxJitter = 15 * time.Second

// Schedule says when a job is due.
type Schedule struct{ spec cron.Schedule }

// ParseSchedule reads a schedule: five cron fields (minute, hour, day of month, month, day of
// week), read in UTC, or "@every" and a duration of at least a minute, or one of cron's words such
// as "@daily". It refuses a schedule that never comes due. What is due every so often is due at the
// same times whoever asks and however often the process was started, counted from a Monday.
func ParseSchedule(text string) (s Schedule, err error) {
	defer func() {
		// The parser is said to panic on some inputs.
		if r := recover(); r != nil {
			s, err = Schedule{}, fmt.Errorf("schedule %q: %v", text, r)
		}
	}()
	if strings.Contains(text, "TZ=") {
		return Schedule{}, fmt.Errorf("schedule %q: schedules are in UTC, a time zone cannot be given", text)
	}
	if length, ok := strings.CutPrefix(text, "@every "); ok {
		d, err := config.ParseDuration(strings.TrimSpace(length))
		switch {
		case err != nil:
			return Schedule{}, fmt.Errorf("schedule %q: %w", text, err)
		case d.Duration() < time.Minute:
			return Schedule{}, fmt.Errorf("schedule %q: more often than once a minute", text)
		}
		return Schedule{every(d)}, nil
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	spec, err := parser.Parse(text)
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), ": strconv")
		return Schedule{}, fmt.Errorf("schedule %q: is no schedule (%s): write minute, hour, day of month, month and day of week, "+
			"such as 0 9 * * 1 for Mondays at 9:00, or @daily, or @every 30m", text, why)
	}
	s = Schedule{spec}
	if s.Next(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q: never comes due", text)
	}
	return s, nil
}

// every is due at the multiples of a duration since Go's zero time, a Monday.
type every time.Duration

func (e every) Next(t time.Time) time.Time {
	return t.Truncate(time.Duration(e)).Add(time.Duration(e))
}

// Next is the first time after t at which the schedule is due, UTC.
func (s Schedule) Next(t time.Time) time.Time { return s.spec.Next(t.UTC()) }

// nextAfter is Next, every time later by the jitter.
func (s Schedule) nextAfter(t time.Time, jitter time.Duration) time.Time {
	return s.Next(t.Add(-jitter)).Add(jitter)
}

// jitterOf is the organization's fixed share of maxJitter, so that many installations do not ask
// at the same second.
func jitterOf(organization string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(organization)) // never fails
	return time.Duration(h.Sum32()) % maxJitter
}

// schedules are the parsed schedules of the jobs that have one.
type schedules struct {
	usage, cost, inventory, prune Schedule
	evaluate                      *Schedule // nil: none
}

func parseSchedules(c Config) (schedules, error) {
	var s schedules
	var errs []error
	for _, x := range []struct {
		name, text string
		to         *Schedule
	}{
		{"usage", c.Usage, &s.usage}, {"cost", c.Cost, &s.cost}, {"inventory", c.Inventory, &s.inventory}, {"prune", c.Prune, &s.prune},
	} {
		var err error
		if *x.to, err = ParseSchedule(x.text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", x.name, err))
		}
	}
	if c.Evaluate != "" {
		evaluate, err := ParseSchedule(c.Evaluate)
		if err != nil {
			errs = append(errs, fmt.Errorf("evaluate: %w", err))
		}
		s.evaluate = &evaluate
	}
	return s, errors.Join(errs...)
}
