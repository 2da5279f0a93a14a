package web

import (
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// frame is what every page has around what is its own. A page's data embeds it, made by [server.frame].
type frame struct {
	Now     time.Time
	Version string
	Title   string
	Path    string // of the page, without parameters: the navigation marks it
	Links   []link // to the same for machines
	Unread  []Unread
}

// link is a reference to another page of this server.
type link struct{ Path, Name string }

// navigation lists the pages.
var navigation = []link{
	{"/", "Overview"},
	{"/explore", "Explore"},
	{"/budgets", "Budgets"},
	{"/alerts", "Alerts"},
	{"/keys", "Keys"},
	{"/jobs", "Jobs and data"},
}

// Navigation lists the pages, in order.
func (frame) Navigation() []link { return navigation }

// frame returns the frame of the page that is asked for. The links are to what the page shows, for
// machines, and stand in its footer.
func (s *server) frame(r *http.Request, title string, links ...link) frame {
	return frame{Now: s.Now().UTC(), Version: s.Version, Title: title, Path: r.URL.Path, Links: links, Unread: s.unread()}
}

// unread lists the configured organizations that no figure is of.
func (s *server) unread() []Unread {
	if s.Unread == nil {
		return nil
	}
	return s.Unread()
}

// minuteLayout is how an instant is written for people.
const minuteLayout = "2006-01-02 15:04"

// element writes an instant as an element that the script page.js can show in the viewer's zone.
func element(t time.Time, layout string) template.HTML {
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s UTC</time>`, t.Format("2006-01-02T15:04:05Z"), t.Format(layout)))
}

// clock writes an instant, to the minute; "never" where there is none. It takes a time.Time or a
// pointer to one.
func clock(t any) template.HTML { return instantOr(t, "never") }

// moment writes an instant that may not be known.
func moment(t any) template.HTML { return instantOr(t, "an unknown time") }

func instantOr(v any, none template.HTML) template.HTML {
	t := instantOf(v)
	if t.IsZero() {
		return none
	}
	return element(t, minuteLayout)
}

// instantOf is the instant that a template has as a value or a pointer; zero where there is none.
func instantOf(v any) time.Time {
	switch x := v.(type) {
	case time.Time:
		return x
	case *time.Time:
		if x == nil {
			return time.Time{}
		}
		return *x
	default:
		panic(fmt.Sprintf("a time cannot be written from a %T", v)) // a template of ours is wrong
	}
}

// seconds writes an instant to the second.
func seconds(t time.Time) template.HTML { return element(t, "2006-01-02 15:04:05") }

// day writes a UTC day, which is the same day for every viewer. It takes what [clock] takes.
func day(v any) string {
	if t := instantOf(v); !t.IsZero() {
		return t.UTC().Format(time.DateOnly)
	}
	return "–"
}

// lastDay is the day of which the end is given.
func lastDay(end time.Time) string { return end.Add(-time.Second).UTC().Format(time.DateOnly) }

// ago writes how long before now an instant was. It takes what [clock] takes.
func ago(now time.Time, v any) string {
	t := instantOf(v)
	switch d := now.Sub(t); {
	case t.IsZero():
		return ""
	case d < -time.Minute:
		return "ahead of this clock"
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", d/time.Hour)
	default:
		return fmt.Sprintf("%d days ago", d/(24*time.Hour))
	}
}

// took writes how long something lasted, of which whole seconds are known.
func took(start, end time.Time) string {
	if d := end.Sub(start); d >= time.Second {
		return d.Round(time.Second).String()
	}
	return "<1s"
}
