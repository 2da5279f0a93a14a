package report

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
	"github.com/anthropic-monitor/monitor/internal/team"
)

// Kind is what a question is about.
type Kind string

// The kinds.
const (
	Costs Kind = "costs"
	Usage Kind = "usage"
)

// Params is a question. The window is [From, To), UTC.
type Params struct {
	Kind     Kind
	From, To time.Time
	Step     Step
	By       []spend.Dimension
	Where    []Filter
	Only     []storage.Match // further filters, by id, of which it is known what they mean
	Teams    team.Teams      // what the dimension team means; see [Params.WithTeams]
	Most     int             // how many rows may be held at a time, else it is [storage.ErrTooMany]; 0: any number
	Requests bool            // it is about the number of requests, which is known later than tokens
}

// Filter keeps what is called, or has the id, of one of the values. A value that ends in * keeps
// all that begins like it. An empty value of the dimension api_key is use without a key.
type Filter struct {
	Dimension spend.Dimension
	Values    []string
}

// maxBuckets bounds what one question may ask for: 450 days by hour, 30 years by day.
const maxBuckets = 11_000

// Dimensions lists what a question of the kind may group and filter by.
func Dimensions(kind Kind) []spend.Dimension {
	ds := []spend.Dimension{spend.ByOrganization}
	for _, d := range spend.Dimensions {
		if kind == Usage && (d == spend.ByCostType || d == spend.ByTokenType) {
			continue
		}
		ds = append(ds, d)
	}
	return append(ds, spend.ByTeam)
}

// Parse reads a question from query parameters: from and to (RFC 3339, or a date, which is its
// first instant UTC), step (hour, day, week, month or total), by (dimensions, comma separated or repeated), and
// a filter for each dimension by its name, repeatable. Without from it is the month to date, without to it
// ends now, without step it is one total. Errors name the parameter and what is allowed.
func Parse(kind Kind, values url.Values, now time.Time) (Params, error) {
	p := Params{Kind: kind, Step: StepTotal, To: now.UTC()}
	if kind != Costs && kind != Usage {
		return p, fmt.Errorf("unknown kind %q (costs or usage)", kind)
	}
	dimensions := Dimensions(kind)
	for _, name := range []string{"from", "to", "step"} {
		if len(values[name]) > 1 {
			return p, fmt.Errorf("parameter %s is given %d times", name, len(values[name]))
		}
	}
	for name, vs := range values {
		switch d := spend.Dimension(name); {
		case name == "from", name == "to", name == "step", name == "by":
		case slices.Contains(dimensions, d):
			p.Where = append(p.Where, Filter{d, vs})
		default:
			return p, fmt.Errorf("unknown parameter %q for %s (from, to, step, by, and filters by %s)", name, kind, list(dimensions))
		}
	}
	slices.SortFunc(p.Where, func(a, b Filter) int {
		return slices.Index(dimensions, a.Dimension) - slices.Index(dimensions, b.Dimension)
	})
	for _, v := range values["by"] {
		for name := range strings.SplitSeq(v, ",") {
			d := spend.Dimension(strings.TrimSpace(name))
			switch {
			case d == "" || slices.Contains(p.By, d):
			case slices.Contains(dimensions, d):
				p.By = append(p.By, d)
			default:
				return p, fmt.Errorf("unknown dimension %q in by for %s (%s)", string(d), kind, list(dimensions))
			}
		}
	}
	if v := values.Get("step"); v != "" {
		p.Step = Step(v)
	}
	if !slices.Contains(Steps, p.Step) {
		return p, fmt.Errorf("unknown step %q (hour, day, week, month or total)", string(p.Step))
	}
	return p.parseWindow(values.Get("from"), values.Get("to"))
}

// CheckOrder says what is wrong with a time that ends before it begins.
func CheckOrder(from, to time.Time) error {
	if from.Before(to) {
		return nil
	}
	return fmt.Errorf("from (%s) must be before to (%s); to itself is not included", from.Format(time.RFC3339), to.Format(time.RFC3339))
}

func (p Params) parseWindow(from, to string) (Params, error) {
	var err error
	if to != "" {
		if p.To, err = ParseTime("to", to); err != nil {
			return p, err
		}
	}
	p.From = spend.MonthStart(p.To.Add(-1)) // the month that the window ends in
	if from != "" {
		if p.From, err = ParseTime("from", from); err != nil {
			return p, err
		}
	}
	if err := CheckOrder(p.From, p.To); err != nil {
		return p, err
	}
	width := spend.Day
	if p.Step == StepHour {
		width = spend.Hour
	}
	if n := (p.To.Unix() - p.From.Unix()) / int64(width); n > maxBuckets {
		return p, fmt.Errorf("from %s to %s is %d %ss; at most %d can be asked for at once",
			p.From.Format(time.DateOnly), p.To.Format(time.DateOnly), n, width, maxBuckets)
	}
	return p, nil
}

// ParseTime reads a date, which is its first instant UTC, or an RFC 3339 time. Errors name the parameter.
func ParseTime(name, s string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("%s: %q is neither a date (2026-01-31) nor a time (2026-01-31T15:00:00Z)", name, s)
	}
	return t.UTC(), nil
}

func (p Params) window() spend.Window { return spend.Window{Start: p.From, End: p.To} }

// grain is what the window is widened to.
func (p Params) grain() spend.Grain {
	if p.Step == StepHour || p.Step == StepTotal {
		return spend.Hour
	}
	return spend.Day
}

func list(ds []spend.Dimension) string {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = string(d)
	}
	return strings.Join(s, ", ")
}
