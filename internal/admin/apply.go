package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/anthropic-monitor/monitor/internal/adminapi"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// What a result's outcome is where nothing was asked of the API; the others are those of the admin log.
const (
	OutcomeNothing = "nothing to do"
	OutcomeCannot  = "cannot"
	OutcomeLater   = "later"
	OutcomeNotDone = "not done" // what came before it stopped the plan
	OutcomePlanned = "planned"  // of a dry run
)

// Result is what became of a step.
type Result struct {
	Step
	Outcome   string
	RequestID string
	Error     string // and what to do; also why there was nothing to do
	Took      time.Duration
	LogID     int64 // entry of the admin log; 0 for none
}

// Report is what became of a plan.
type Report struct {
	Results []Result
	Stopped error // what stopped it before its end; nil if it came to it
}

// Count is how many results have one of the outcomes.
func (r Report) Count(outcomes ...string) (n int) {
	for _, x := range r.Results {
		for _, o := range outcomes {
			if x.Outcome == o {
				n++
			}
		}
	}
	return n
}

// Err is nil if everything was done, or was so already, or waits for somebody else.
func (r Report) Err() error {
	undone := r.Count(storage.AdminRefused, storage.AdminFailed, storage.AdminUnknown, OutcomeCannot, OutcomeNotDone)
	if undone > 0 && undone == r.Count(OutcomeCannot) && r.Stopped == nil {
		return fmt.Errorf("%d of %d cannot be done through the API, see above", undone, r.Count(storage.AdminDone)+undone)
	}
	again := "what was done stays done; the same command again does what is left"
	switch {
	case r.Stopped != nil:
		return fmt.Errorf("%w: %d of %d done, see above; %s", r.Stopped, r.Count(storage.AdminDone), r.Count(storage.AdminDone)+undone, again)
	case undone > 0:
		return fmt.Errorf("%d of %d not done, see above; %s", undone, r.Count(storage.AdminDone)+undone, again)
	}
	return nil
}

// DryRun is what would become of the plan.
func DryRun(p Plan) Report {
	var r Report
	for _, s := range p.Steps {
		x := unmade(s)
		x.Outcome = cmp.Or(x.Outcome, OutcomePlanned)
		r.Results = append(r.Results, x)
	}
	return r
}

// unmade is the result of a step that is not to be made; without an outcome for one that is.
func unmade(s Step) Result {
	switch {
	case s.Already != "":
		return Result{Step: s, Outcome: OutcomeNothing, Error: s.Already}
	case s.Cannot != "":
		return Result{Step: s, Outcome: OutcomeCannot, Error: s.Cannot}
	case s.Later != "":
		return Result{Step: s, Outcome: OutcomeLater, Error: s.Later}
	}
	return Result{Step: s}
}

// Desk is where changes of an organization are made: it has the writing client and the admin log. It is
// the only way from a plan to the API.
type Desk struct {
	Organization spend.Organization // known to the store
	Writer       *adminapi.Writer
	Log          storage.AdminLog
	File         *LogFile // a second place for the log; may be nil
	Who          Who
}

// logTimeout is how long storing an entry may take.
const logTimeout = 15 * time.Second

// Apply makes the plan's steps, one after the other, and calls each, where not nil, with every result.
// A step that the API refuses for itself, or to this key, does not keep it from the next ones; an API that does
// not answer, or does not know the key, a log that cannot be written and a context that ends do. The caller asks
// for consent first ([Consent.Ask]).
func (d *Desk) Apply(ctx context.Context, p Plan, each func(Result)) Report {
	var report Report
	undone := 0
	for _, s := range p.Steps {
		x := unmade(s)
		switch {
		case x.Outcome == OutcomeCannot && report.Stopped == nil:
			if err := d.refuse(ctx, s, &x); err != nil {
				report.Stopped = err
			}
		case x.Outcome != "":
		case report.Stopped != nil:
			x.Outcome = OutcomeNotDone
		case ctx.Err() != nil:
			x.Outcome, report.Stopped = OutcomeNotDone, errStopped
		case s.afterOthers && undone > 0:
			x.Outcome, x.Error = OutcomeNotDone, "waits until everything above is done"
		default:
			report.Stopped = d.make(ctx, s, &x)
		}
		if x.Outcome != storage.AdminDone && x.Outcome != OutcomeNothing {
			undone++
		}
		report.Results = append(report.Results, x)
		if each != nil {
			each(x)
		}
	}
	return report
}

// refuse records that somebody asked for what cannot be done.
func (d *Desk) refuse(ctx context.Context, s Step, x *Result) error {
	id, err := d.begin(ctx, s)
	if err != nil {
		return err
	}
	x.LogID = id
	return d.finish(ctx, s, id, "", storage.AdminOutcome{Outcome: storage.AdminRefused, Error: s.Cannot})
}

// make makes a step. Its error says why the next ones must not be tried.
func (d *Desk) make(ctx context.Context, s Step, x *Result) error {
	id, err := d.begin(ctx, s)
	if err != nil {
		x.Outcome, x.Error = OutcomeNotDone, err.Error()
		return err
	}
	x.LogID = id
	start := time.Now()
	receipt, err := s.do(ctx, d.Writer)
	x.Took = time.Since(start)
	x.Outcome, x.RequestID = outcome(err), receipt.RequestID
	if x.ID == "" {
		x.ID = receipt.ID
	}
	if err != nil {
		x.Error = advice(err)
	}
	o := storage.AdminOutcome{Outcome: x.Outcome, Took: x.Took, RequestID: x.RequestID}
	if err != nil {
		o.Error = err.Error()
	}
	if problem := d.finish(ctx, s, id, receipt.ID, o); problem != nil {
		return problem
	}
	if stops(err) {
		if ctx.Err() != nil {
			return errStopped
		}
		return fmt.Errorf("stopped by an error that the next step would meet too (%w)", err)
	}
	return nil
}

// begin stores that a step is about to be made.
func (d *Desk) begin(ctx context.Context, s Step) (int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTimeout)
	defer cancel()
	e := storage.AdminEntry{
		Organization: d.Organization.ID, StartedAt: time.Now(), User: d.Who.User, SudoUser: d.Who.SudoUser, Host: d.Who.Host,
		Action: s.Action, TargetID: s.ID, TargetName: s.Target, Arguments: s.Arguments,
	}
	e.Outcome = storage.AdminStarted
	id, err := d.Log.BeginAdmin(ctx, e)
	if err == nil {
		e.ID = id
		if err = d.File.write(d.Organization.Name, e); err != nil {
			err = errors.Join(err, d.Log.FinishAdmin(ctx, id, "", storage.AdminOutcome{Outcome: storage.AdminFailed, Error: "not made: " + err.Error()}))
		}
	}
	if err != nil {
		return 0, fmt.Errorf("the change was not made, because it cannot be written to the admin log (make the database, and admin.log_file "+
			"where it is set, writable and try again; in an emergency make the change in the Console): %w", err)
	}
	return id, nil
}

// finish stores how it ended. Whoever interrupts a plan still wants to know that.
func (d *Desk) finish(ctx context.Context, s Step, id int64, created string, o storage.AdminOutcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTimeout)
	defer cancel()
	err := d.Log.FinishAdmin(ctx, id, created, o)
	e := storage.AdminEntry{
		ID: id, Organization: d.Organization.ID, StartedAt: time.Now(), User: d.Who.User, SudoUser: d.Who.SudoUser, Host: d.Who.Host,
		Action: s.Action, TargetID: cmp.Or(s.ID, created), TargetName: s.Target, Arguments: s.Arguments, AdminOutcome: o,
	}
	if err = errors.Join(err, d.File.write(d.Organization.Name, e)); err != nil {
		return fmt.Errorf("stopped, because the outcome (%s) of entry %d cannot be written to the admin log, where it stays as started: %w", o.Outcome, id, err)
	}
	return nil
}

// outcome is how a call ended, in the words of the admin log.
func outcome(err error) string {
	var e *adminapi.Error
	switch {
	case err == nil:
		return storage.AdminDone
	case !errors.As(err, &e):
		return storage.AdminFailed // it was not sent
	case e.Uncertain():
		return storage.AdminUnknown
	case e.Temporary():
		return storage.AdminFailed
	default:
		return storage.AdminRefused
	}
}

// stops reports whether the next call would end alike.
func stops(err error) bool {
	var e *adminapi.Error
	switch {
	case err == nil:
		return false
	case !errors.As(err, &e):
		return true
	}
	switch e.Kind {
	case adminapi.KindInvalid, adminapi.KindNotFound, adminapi.KindPermission: // 403 may be about this one thing
		return false
	default:
		return true
	}
}

// advice is the error with what to do about it.
func advice(err error) string {
	var e *adminapi.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	switch {
	case e.Uncertain():
		return err.Error() + "; it may have been done all the same: run the command again to see"
	case e.Kind == adminapi.KindRateLimit && e.RetryAfter > 0:
		return err.Error() + "; run the command again after that"
	case e.Kind == adminapi.KindRateLimit:
		return err.Error() + "; the API does not say for how long"
	case e.Kind == adminapi.KindPermission:
		return err.Error() + "; the admin key may not make this change"
	case e.Status == http.StatusConflict:
		return err.Error() + "; somebody else changed it at the same time: run the command again"
	case e.Kind == adminapi.KindNotFound:
		return err.Error() + "; it is gone, or somebody changed it meanwhile: run the command again"
	}
	return err.Error()
}
