package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/anthropic-monitor/monitor/internal/alerts"
	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

type alertsCmd struct {
	List      alertsListCmd      `cmd:"" help:"List alerts that are pending, firing or stale, and silences."`
	History   alertsHistoryCmd   `cmd:"" help:"Print what became of alerts and who was told."`
	Silence   alertsSilenceCmd   `cmd:"" help:"Silence alerts: states go on, nobody is told."`
	Unsilence alertsUnsilenceCmd `cmd:"" help:"End a silence."`
	Test      alertsTestCmd      `cmd:"" help:"Send a marked test message."`
	Backtest  alertsBacktestCmd  `cmd:"" help:"Say when a rule would have fired on stored history."`
}

type alertsListCmd struct {
	Format string `enum:"table,json" default:"table" help:"Output as ${enum}."`
}

// listedAlert is an alert as commands print it.
type listedAlert struct {
	Organization string            `json:"organization"`
	Rule         string            `json:"rule"`
	Subject      string            `json:"subject"`
	Labels       map[string]string `json:"labels"`
	State        spend.AlertState  `json:"state"`
	Severity     spend.Severity    `json:"severity"`
	Silenced     bool              `json:"silenced"`
	Since        time.Time         `json:"since"`
	AsOf         time.Time         `json:"as_of"`
	Value        float64           `json:"value"`
	Limit        float64           `json:"limit"`
	Unit         spend.Unit        `json:"unit"`
	Summary      string            `json:"summary"`
	Notifiers    []string          `json:"notifiers"`
}

func listAlert(o storage.OrganizationState, a spend.Alert, told []string) listedAlert {
	since := a.FiredAt
	if since.IsZero() {
		since = a.PendingAt
	}
	if told == nil {
		told = []string{}
	}
	return listedAlert{
		o.Name, a.Rule, a.Subject, a.Labels, a.State, a.Severity, a.Silenced, since, a.AsOf, a.Value, a.Limit, a.Unit, a.Summary, told,
	}
}

// Run lists what the store has.
func (c alertsListCmd) Run(a *app) error {
	return withStore(a, func(_ *Config, store storage.Store) error {
		orgs, err := store.Organizations(a.ctx)
		if err != nil {
			return err
		}
		list := []listedAlert{}
		for _, o := range orgs {
			as, err := store.Alerts(a.ctx, o.ID)
			if err != nil {
				return err
			}
			for _, x := range as {
				if x.State != spend.Resolved {
					list = append(list, listAlert(o, x.Alert, x.Told))
				}
			}
		}
		silences, err := store.Silences(a.ctx, time.Now())
		if err != nil {
			return err
		}
		if c.Format == "json" {
			return printJSON(a, list)
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ORGANIZATION\tSTATE\tSEVERITY\tSINCE\tSUMMARY")
		for _, x := range list {
			state := string(x.State)
			if x.Silenced {
				state += ", silenced"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n",
				printable(x.Organization), state, x.Severity, minute(x.Since), printable(cmp.Or(x.Summary, x.Rule)))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		for _, s := range silences {
			fmt.Fprintf(a.stdout, "silence %s: %s from %s until %s, by %s: %s\n",
				s.ID, printable(matchersText(s.Matchers)), minute(s.StartsAt), minute(s.EndsAt), printable(s.CreatedBy), printable(s.Comment))
		}
		return nil
	})
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func matchersText(ms []storage.Matcher) string {
	var texts []string
	for _, m := range ms {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, ", ")
}

func printJSON(a *app, v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

type alertsHistoryCmd struct {
	From   string `placeholder:"TIME" help:"First day (2026-01-31, UTC) or instant (RFC 3339); default: 30 days ago."`
	To     string `placeholder:"TIME" help:"End, not included; default: now."`
	Rule   string `placeholder:"RULE" help:"Only this rule."`
	Format string `enum:"table,json" default:"table" help:"Output as ${enum}."`
}

// listedChange is a change as commands print it.
type listedChange struct {
	At        time.Time        `json:"at"`
	From      spend.AlertState `json:"from"`
	To        spend.AlertState `json:"to"`
	Event     spend.Event      `json:"event"`
	Notifiers []string         `json:"notifiers"`
	Note      string           `json:"note"`
	Alert     listedAlert      `json:"alert"`
}

func listChanges(o storage.OrganizationState, cs []storage.AlertChange) []listedChange {
	out := []listedChange{}
	for _, c := range cs {
		out = append(out, listedChange{c.At, c.From, c.To, c.Event, c.Notifiers, c.Note, listAlert(o, c.Alert, c.Notifiers)})
	}
	return out
}

// Run prints the newest changes, the newest last.
func (c alertsHistoryCmd) Run(a *app) error {
	now := time.Now()
	w, err := window(c.From, c.To, now.AddDate(0, 0, -30), now)
	if err != nil {
		return err
	}
	return withStore(a, func(_ *Config, store storage.Store) error {
		orgs, err := store.Organizations(a.ctx)
		if err != nil {
			return err
		}
		list := []listedChange{}
		for _, o := range orgs {
			cs, err := store.AlertHistory(a.ctx, o.ID, w, 100_000)
			if err != nil {
				return err
			}
			list = append(list, listChanges(o, cs)...)
		}
		list = slices.DeleteFunc(list, func(x listedChange) bool { return c.Rule != "" && x.Alert.Rule != c.Rule })
		slices.SortStableFunc(list, func(x, y listedChange) int { return x.At.Compare(y.At) })
		if c.Format == "json" {
			return printJSON(a, list)
		}
		return printChanges(a, list)
	})
}

func printChanges(a *app, list []listedChange) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AT\tORGANIZATION\tRULE\tSTATE\tTOLD\tSUMMARY")
	for _, x := range list {
		told := "-"
		if x.Event != "" {
			told = string(x.Event)
			if len(x.Notifiers) > 0 {
				told += " to " + strings.Join(x.Notifiers, ", ")
			}
		}
		summary := x.Alert.Summary
		if x.Note != "" {
			summary += " (" + x.Note + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", minute(x.At), printable(x.Alert.Organization), x.Alert.Rule, x.To, told, printable(summary))
	}
	return w.Flush()
}

// window reads the ends of a window.
func window(from, to string, start, end time.Time) (spend.Window, error) {
	w := spend.Window{Start: start.UTC(), End: end.UTC()}
	for _, x := range []struct {
		flag, text string
		t          *time.Time
	}{{"--from", from, &w.Start}, {"--to", to, &w.End}} {
		if x.text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, x.text)
		if err != nil {
			if t, err = time.Parse(time.RFC3339, x.text); err != nil {
				return w, usageError{fmt.Errorf("%s %q is neither a date (2026-01-31) nor an instant (2026-01-31T15:04:05Z)", x.flag, x.text)}
			}
		}
		*x.t = t.UTC()
	}
	if w.Empty() {
		return w, usageError{fmt.Errorf("the time from %s to %s is empty", minute(w.Start), minute(w.End))}
	}
	return w, nil
}

type alertsSilenceCmd struct {
	Matchers []string `arg:"" sep:"none" placeholder:"LABEL=VALUE" help:"Labels that must all match, such as \"rule=daily budget\" or workspace=search*."`
	For      string   `default:"2h" placeholder:"DURATION" help:"For how long, such as 30m, 2h, 7d (default: 2h)."`
	Comment  string   `required:"" placeholder:"TEXT" help:"Why."`
	By       string   `placeholder:"NAME" help:"Who (default: $USER)."`
}

// Run stores a silence; the daemon heeds it from its next evaluation on.
func (c alertsSilenceCmd) Run(a *app) error {
	var ms []storage.Matcher
	for _, text := range c.Matchers {
		m, err := storage.ParseMatcher(text)
		if err != nil {
			return usageError{err}
		}
		ms = append(ms, m)
	}
	lasts, err := config.ParseDuration(c.For)
	if err != nil {
		return usageError{fmt.Errorf("--for %w", err)}
	}
	by := cmp.Or(c.By, a.getenv("USER"), "monitor alerts silence")
	now := time.Now()
	s, err := storage.NewSilence(ms, now, now.Add(lasts.Duration()), by, c.Comment, now)
	if err != nil {
		return usageError{err}
	}
	return withStore(a, func(_ *Config, store storage.Store) error {
		if err := s.Identify(a.ctx, store); err != nil {
			return err
		}
		if err := store.SaveSilence(a.ctx, s); err != nil {
			return err
		}
		matching, err := silencedBy(a.ctx, store, s)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "silenced %s until %s, %d alerts now; end it with: monitor alerts unsilence %s\n",
			matchersText(ms), minute(s.EndsAt), matching, s.ID)
		return err
	})
}

// silencedBy counts the alerts that a silence matches now.
func silencedBy(ctx context.Context, store storage.Store, s storage.Silence) (int, error) {
	orgs, err := store.Organizations(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, o := range orgs {
		as, err := store.Alerts(ctx, o.ID)
		if err != nil {
			return 0, err
		}
		for _, x := range as {
			if x.State != spend.Resolved && s.Silences(x.Subject, x.Labels, s.StartsAt) {
				n++
			}
		}
	}
	return n, nil
}

type alertsUnsilenceCmd struct {
	ID string `arg:"" help:"The silence's id, from monitor alerts list."`
}

// Run ends a silence.
func (c alertsUnsilenceCmd) Run(a *app) error {
	return withStore(a, func(_ *Config, store storage.Store) error {
		err := store.EndSilence(a.ctx, c.ID, time.Now())
		if errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("there is no silence %q (monitor alerts list shows them)", c.ID)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "silence %s has ended\n", c.ID)
		return err
	})
}

type alertsTestCmd struct {
	Notifier string `arg:"" help:"Name of the notifier."`
}

// Run sends a test message and says what came of it.
func (c alertsTestCmd) Run(a *app) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	all, err := newNotifiers(a, config, nil)
	if err != nil {
		return usageError{err}
	}
	n, ok := all[c.Notifier]
	if !ok {
		there := "notifiers lists none"
		if len(all) > 0 {
			there = "there are " + strings.Join(slices.Sorted(maps.Keys(all)), ", ")
		}
		return usageError{fmt.Errorf("there is no notifier %q: %s", c.Notifier, there)}
	}
	ctx, cancel := context.WithTimeout(a.ctx, notifierTimeout)
	defer cancel()
	if _, err := n.Notify(ctx, testNotification(config, c.Notifier, time.Now())); err != nil {
		return fmt.Errorf("notifier %s: %w", c.Notifier, err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s has taken the test message\n", c.Notifier)
	return err
}

type alertsBacktestCmd struct {
	Rule   string `required:"" placeholder:"RULE" help:"Name of a rule of the configuration."`
	From   string `placeholder:"TIME" help:"First day (2026-01-31, UTC) or instant (RFC 3339); default: 30 days ago."`
	To     string `placeholder:"TIME" help:"End, not included; default: now."`
	Format string `enum:"table,json" default:"table" help:"Output as ${enum}."`
}

// Run replays the rule on every organization it is about.
func (c alertsBacktestCmd) Run(a *app) error {
	now := time.Now()
	w, err := window(c.From, c.To, now.AddDate(0, 0, -30), now)
	if err != nil {
		return err
	}
	return withStore(a, func(config *Config, store storage.Store) error {
		i := slices.IndexFunc(config.Rules, func(r alerts.RuleConfig) bool { return r.Name == c.Rule })
		if i < 0 {
			var names []string
			for _, r := range config.Rules {
				names = append(names, r.Name)
			}
			return usageError{fmt.Errorf("there is no rule %q in %s: there are %s", c.Rule, config.source(), cmp.Or(strings.Join(names, ", "), "none"))}
		}
		orgs, err := store.Organizations(a.ctx)
		if err != nil {
			return err
		}
		options := alertOptions(a, config, store, nil)
		all := []listedChange{}
		for _, o := range orgs {
			if !config.Rules[i].About(o.Organization) {
				continue
			}
			b, err := alerts.Backtest(a.ctx, options, o.ID, config.Rules[i], w)
			if err != nil {
				return err
			}
			list := listChanges(o, b.Changes)
			all = append(all, list...)
			if c.Format == "table" {
				if err := printBacktest(a, o.Name, c.Rule, b, list); err != nil {
					return err
				}
			}
		}
		if c.Format == "json" {
			return printJSON(a, all)
		}
		return nil
	})
}

func printBacktest(a *app, organization, rule string, b alerts.Backtested, list []listedChange) error {
	fmt.Fprintf(a.stdout, "%s, rule %s, %s to %s, by the hour, on today's figures (when they arrived is not replayed)\n",
		printable(organization), rule, minute(b.Window.Start), minute(b.Window.End))
	fired, resolved, messages := 0, 0, 0
	for _, x := range list {
		switch {
		case x.To == spend.Firing && x.From != spend.Firing && x.From != spend.Stale:
			fired++
		case x.To == spend.Resolved:
			resolved++
		}
		messages += len(x.Notifiers)
	}
	if len(list) > 0 {
		if err := printChanges(a, list); err != nil {
			return err
		}
	}
	const notes = 10
	for i, note := range b.Notes {
		if i == notes {
			fmt.Fprintf(a.stdout, "and %d more times quiet\n", len(b.Notes)-notes)
			break
		}
		fmt.Fprintf(a.stdout, "quiet %s\n", printable(note))
	}
	_, err := fmt.Fprintf(a.stdout, "fired %d times, resolved %d times, %d messages\n", fired, resolved, messages)
	return err
}
