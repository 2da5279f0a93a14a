package alerts

import (
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// sight is what an evaluation says of a subject.
type sight int

const (
	unknown sight = iota // nothing can be said: the rule failed, or its data is missing or old
	well                 // it was looked at, and all is well
	found
	over // it is over for a reason that nobody needs to be told of
)

// policy is what of a rule decides over time.
type policy struct {
	For           time.Duration // how long a subject must be found until it fires
	KeepFiringFor time.Duration // how long it must not be found until it is resolved
	Repeat        time.Duration // how long until those who were told are told again; 0: never
}

// step is an alert's next state, and what there is to tell; an empty event is nothing. The alert is
// as it was after the evaluation before, but that Silenced says how it is now: while it is, states
// go on and nobody is told, and when it ends, of what still fires.
func step(a spend.Alert, s sight, p policy, now time.Time) (spend.Alert, spend.Event) {
	if a.State == "" || a.State == spend.Resolved && s == found {
		silenced := a.Silenced
		a = identity(a)
		a.State, a.Silenced = spend.Inactive, silenced
	}
	switch s {
	case unknown:
		if a.State == spend.Firing {
			a.State = spend.Stale
		}
		return a, ""
	case well:
		return stepClear(a, p, now)
	case over:
		return stepOver(a, now), ""
	}
	a.SeenAt = now
	if a.State == spend.Inactive {
		a.State, a.PendingAt = spend.Pending, now
	}
	if a.State == spend.Pending && now.Sub(a.PendingAt) >= p.For {
		a.FiredAt = now
		a.State = spend.Firing
	}
	if a.State == spend.Stale {
		a.State = spend.Firing
	}
	if a.State != spend.Firing || a.Silenced {
		return a, ""
	}
	switch {
	case a.NotifiedAt.IsZero():
		a.NotifiedAt = now
		return a, spend.EventFiring
	case p.Repeat > 0 && now.Sub(a.NotifiedAt) >= p.Repeat:
		a.NotifiedAt = now
		return a, spend.EventReminder
	}
	return a, ""
}

// stepClear is step for a subject that is well.
func stepClear(a spend.Alert, p policy, now time.Time) (spend.Alert, spend.Event) {
	switch a.State {
	case spend.Pending:
		a = identity(a)
		a.State = spend.Inactive
	case spend.Firing, spend.Stale:
		if now.Sub(a.SeenAt) < p.KeepFiringFor {
			a.State = spend.Firing
			return a, ""
		}
		told := !a.NotifiedAt.IsZero()
		a.State, a.ResolvedAt = spend.Resolved, now
		if told && !a.Silenced {
			return a, spend.EventResolved
		}
	}
	return a, ""
}

// stepOver is step for a subject that is over without a word.
func stepOver(a spend.Alert, now time.Time) spend.Alert {
	switch a.State {
	case spend.Pending:
		a = identity(a)
		a.State = spend.Inactive
	case spend.Firing, spend.Stale:
		a.State, a.ResolvedAt = spend.Resolved, now
	}
	return a
}

// identity is the alert without its episode.
func identity(a spend.Alert) spend.Alert {
	return spend.Alert{
		Organization: a.Organization, Rule: a.Rule, Subject: a.Subject, Severity: a.Severity, Labels: a.Labels, Unit: a.Unit,
	}
}
