package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Outcomes of a write to the Admin API.
const (
	AdminStarted = "started" // about to be made; what stays so was cut off, and may or may not have happened
	AdminDone    = "done"
	AdminRefused = "refused" // by the API, or by us because the API cannot do it: nothing was changed
	AdminFailed  = "failed"  // it did not reach the API, or the API did not get to it: nothing was changed
	AdminUnknown = "unknown" // it was sent, but no proper answer came: it may or may not have happened
)

// AdminOutcomes lists the outcomes.
var AdminOutcomes = []string{AdminStarted, AdminDone, AdminRefused, AdminFailed, AdminUnknown}

// AdminEntry is an entry of the audit log of writes: somebody changed the organization through us,
// or tried to. It never holds a credential.
type AdminEntry struct {
	ID           int64
	Organization string
	StartedAt    time.Time
	User         string            // of the operating system
	SudoUser     string            // who became that user by sudo; empty otherwise
	Host         string            // where the command ran
	Action       string            // such as api_key.disable
	TargetID     string            // empty for what does not exist yet
	TargetName   string            // its name at that time, or its e-mail address
	Arguments    map[string]string // what was asked for, such as status=inactive; never nil from the store
	AdminOutcome
}

// AdminOutcome is how a write ended.
type AdminOutcome struct {
	Outcome   string
	Took      time.Duration // by the millisecond
	RequestID string        // the API's, if it answered
	Error     string        // empty when done
}

// AdminFilter says which entries are wanted; what is empty does not restrict. A text matches as a
// whole and whatever its case, or, if it ends in *, by its beginning.
type AdminFilter struct {
	Organization string // exact
	Window       spend.Window
	Action       string
	User         string // of the operating system, or of sudo
	Target       string // id or name
	Outcome      string // exact
	Limit        int    // the newest so many; 0: all
}

// AdminLog is the audit log of writes to the Admin API. Any process writes it in short
// transactions, entries are never removed, and each is changed once: when its outcome is known.
type AdminLog interface {
	// BeginAdmin stores an entry with outcome [AdminStarted], whatever e.AdminOutcome says, and
	// returns its id. It returns [ErrNotFound] for an organization that was never saved.
	BeginAdmin(ctx context.Context, e AdminEntry) (int64, error)
	// FinishAdmin says how it ended, and the id of what it created where that had none before. It returns
	// [ErrNotFound] if no such entry is started.
	FinishAdmin(ctx context.Context, id int64, created string, o AdminOutcome) error
	// AdminLog lists entries, newest first.
	AdminLog(ctx context.Context, f AdminFilter) ([]AdminEntry, error)
}

// CheckAdminOutcome refuses an outcome that an entry cannot end with.
func CheckAdminOutcome(o AdminOutcome) error {
	switch o.Outcome {
	case AdminDone, AdminRefused, AdminFailed, AdminUnknown:
		return nil
	default:
		return fmt.Errorf("a write cannot end with outcome %q", o.Outcome)
	}
}

// Select keeps, of entries that are ordered newest first, those whose texts match, up to the limit.
// Backends filter by organization, window and outcome; texts are compared here, alike for all of them.
func (f AdminFilter) Select(entries []AdminEntry) []AdminEntry {
	kept := []AdminEntry{}
	for _, e := range entries {
		if f.Limit > 0 && len(kept) == f.Limit {
			break
		}
		if matchesText(f.Action, e.Action) && matchesText(f.User, e.User, e.SudoUser) && matchesText(f.Target, e.TargetID, e.TargetName) {
			kept = append(kept, e)
		}
	}
	return kept
}

// matchesText reports whether one of the texts is what is wanted; an empty wish restricts nothing.
func matchesText(want string, texts ...string) bool {
	if want == "" {
		return true
	}
	prefix, open := strings.CutSuffix(want, "*")
	return slices.ContainsFunc(texts, func(text string) bool {
		if open {
			return strings.HasPrefix(strings.ToLower(text), strings.ToLower(prefix))
		}
		return strings.EqualFold(text, want)
	})
}

// AdminArguments is the JSON that a backend stores the arguments as.
func AdminArguments(arguments map[string]string) (string, error) {
	if arguments == nil {
		arguments = map[string]string{}
	}
	b, err := json.Marshal(arguments)
	return string(b), err
}
