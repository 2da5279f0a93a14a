package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/anthropic-monitor/monitor/internal/storage"
)

// except takes out of the findings what the exceptions in force hide, and says what became of each
// exception.
func (x *examination) except() []storage.AuditException {
	states := []storage.AuditException{}
	hidden := make([]bool, len(x.found))
	for _, e := range x.Except {
		if e.Organization != "" && e.Organization != x.Organization.Name {
			continue
		}
		state := storage.AuditException{
			Subject: e.subject(), Check: e.Check, Until: e.end(), Reason: e.Reason, State: storage.ExceptionUnused, Hides: []string{},
		}
		if x.Several && e.Organization == "" {
			state.State = storage.ExceptionElsewhere
		}
		if !x.now.Before(e.end()) {
			state.State = storage.ExceptionEnded
			states = append(states, state)
			continue
		}
		for i, f := range x.found {
			if e.matches(f) {
				hidden[i] = true
				state.State = storage.ExceptionInForce
				state.Hides = append(state.Hides, fmt.Sprintf("%s: %s", f.Check, f.names[0]))
			}
		}
		slices.Sort(state.Hides)
		states = append(states, state)
	}
	var kept []found
	for i, f := range x.found {
		if !hidden[i] {
			kept = append(kept, f)
		}
	}
	x.found = kept
	return states
}

func (e Exception) matches(f found) bool {
	if e.Check != "*" && e.Check != f.Check {
		return false
	}
	wanted, about := "", storage.AboutOrganization
	switch {
	case e.APIKey != "":
		wanted, about = e.APIKey, storage.AboutKey
	case e.Member != "":
		wanted, about = e.Member, storage.AboutMember
	case e.Invite != "":
		wanted, about = e.Invite, storage.AboutInvite
	}
	if f.About != about {
		return false
	}
	return wanted == "" || slices.ContainsFunc(f.names, func(name string) bool {
		if beginning, ok := strings.CutSuffix(wanted, "*"); ok {
			return strings.HasPrefix(name, beginning)
		}
		return name == wanted
	})
}
