package alerts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// How notifications are delivered.
const (
	attemptTimeout = 10 * time.Second // of one attempt
	roundTimeout   = 20 * time.Second // of all attempts of one notifier after an evaluation
	stopTimeout    = 3 * time.Second  // of what is being sent while the caller is stopped
	claimFor       = 2 * time.Minute  // how long a notification is this process's while it is sent
	giveUpAfter    = 3 * 24 * time.Hour
	firstRetry     = 30 * time.Second
	longestRetry   = 30 * time.Minute
)

// Deliver sends the organization's notifications that are due. One notifier does not hold the others
// up, and none holds the caller up for longer than about twenty seconds; what is not sent by then is
// sent the next time. Its error is of the store.
func (e *Engine) Deliver(ctx context.Context, owner storage.Owner, organizationID string, now time.Time) error {
	o := e.organization(organizationID)
	o.mu.Lock()
	defer o.mu.Unlock()
	return e.deliver(ctx, owner, organizationID, now.UTC().Truncate(time.Second))
}

func (e *Engine) deliver(ctx context.Context, owner storage.Owner, organizationID string, now time.Time) error {
	out, err := e.options.Store.Outbox(ctx, organizationID)
	if err != nil {
		return fmt.Errorf("notifications: %w", err)
	}
	due := dueOf(out, now)
	if len(due) == 0 {
		return nil
	}
	receipts, err := e.options.Store.Receipts(ctx, organizationID)
	if err != nil {
		return fmt.Errorf("notifications: %w", err)
	}
	var seqs []int64
	for _, o := range due {
		seqs = append(seqs, o.Seq)
	}
	claimed, err := owner.Claim(ctx, seqs, now, now.Add(claimFor))
	if err != nil {
		return fmt.Errorf("notifications: %w", err)
	}
	byNotifier := map[string][]storage.Outgoing{}
	for _, o := range due {
		if slices.Contains(claimed, o.Seq) {
			byNotifier[o.Notifier] = append(byNotifier[o.Notifier], o)
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, len(byNotifier))
	i := 0
	for name, all := range byNotifier {
		to := i
		i++
		wg.Go(func() { errs[to] = e.deliverTo(ctx, owner, name, all, receipts, now) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// dueOf lists what is due, oldest first. What tells more of an episode waits for what told of its
// beginning.
func dueOf(out []storage.Outgoing, now time.Time) []storage.Outgoing {
	type episode struct{ notifier, fingerprint string }
	pending := map[episode]bool{}
	var due []storage.Outgoing
	for _, o := range out {
		if o.State != storage.Waiting {
			continue
		}
		ready := !o.NextAt.After(now) && !o.ClaimedUntil.After(now)
		for _, a := range o.Alerts {
			ready = ready && !pending[episode{o.Notifier, a.Fingerprint()}]
		}
		for _, a := range o.Alerts {
			pending[episode{o.Notifier, a.Fingerprint()}] = true
		}
		if ready {
			due = append(due, o)
		}
	}
	return due
}

// deliverTo sends notifications to one notifier, one after the other. Once it fails, the others wait
// as long as it does.
func (e *Engine) deliverTo(
	ctx context.Context, owner storage.Owner, name string, all []storage.Outgoing, receipts []storage.Receipt, now time.Time,
) error {
	limited, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	var trouble *storage.Delivery
	for _, o := range all {
		d := storage.Delivery{
			Seq: o.Seq, NotificationID: o.ID, Notifier: name, Event: o.Event, Subjects: subjects(o.Notification), At: now, Attempt: o.Attempts + 1,
		}
		switch {
		case trouble != nil:
			d.Outcome, d.NextAt = storage.DeliveryPostponed, trouble.NextAt
		case limited.Err() != nil: // what is not sent keeps its claim and its place
			return ctx.Err()
		default:
			e.attempt(limited, o, receipts, &d)
			if ctx.Err() != nil && d.Outcome != storage.DeliverySent {
				return ctx.Err() // stopped: not the receiver's fault
			}
			if d.Outcome == storage.DeliveryFailed {
				trouble = &d
			}
		}
		if err := e.finish(ctx, owner, d); err != nil {
			return err
		}
	}
	return nil
}

// finish notes how an attempt ended, also where the caller is being stopped.
func (e *Engine) finish(ctx context.Context, owner storage.Owner, d storage.Delivery) error {
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := owner.FinishDelivery(saving, d); err != nil {
		return fmt.Errorf("noting a delivery: %w", err)
	}
	if d.Outcome == storage.DeliveryPostponed {
		return nil
	}
	e.metrics.delivered(d.Notifier, d.Outcome)
	attrs := []any{"notifier", d.Notifier, "event", d.Event, "about", d.Subjects, "attempt", d.Attempt}
	switch d.Outcome {
	case storage.DeliveryFailed:
		e.log.WarnContext(ctx, "notification not delivered, it will be tried again", append(attrs, "next", d.NextAt, "err", d.Problem)...)
	case storage.DeliveryDead:
		e.log.ErrorContext(ctx, "notification given up", append(attrs, "err", d.Problem)...)
	default:
		e.log.InfoContext(ctx, "notification "+d.Outcome, attrs...)
	}
	return nil
}

// outliving is the context of one attempt, which goes on for a moment when the caller is stopped: what is
// cut off may have arrived, and would be told twice, by each restart.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopTimeout, cancel) })
	return sending, func() {
		stop()
		cancel()
	}
}

// attempt sends one notification and says in d what came of it.
func (e *Engine) attempt(ctx context.Context, o storage.Outgoing, receipts []storage.Receipt, d *storage.Delivery) {
	n := o.Notification
	if !tellable(&n, receipts) {
		d.Outcome, d.Problem = storage.DeliveryDropped, "it was never told that this fires"
		return
	}
	for _, a := range n.Alerts {
		d.Episodes = append(d.Episodes, a.Fingerprint())
	}
	notifier := e.options.Notifiers[n.Notifier]
	if notifier == nil {
		d.Outcome, d.Problem = storage.DeliveryDead, "there is no notifier of this name in the configuration any more"
		return
	}
	sending, cancel := outliving(ctx)
	defer cancel()
	receipt, err := notifier.Notify(sending, n)
	if err == nil {
		d.Outcome, d.Receipt = storage.DeliverySent, receipt
		return
	}
	d.Problem = strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\x00", ""), "?")
	wait := retryIn(d.Attempt)
	var asked *RetryAfter
	if errors.As(err, &asked) {
		wait = max(asked.After, time.Second)
	}
	d.NextAt = d.At.Add(wait).Truncate(time.Second)
	switch {
	case errors.Is(err, ErrPermanent):
		d.Outcome = storage.DeliveryDead
	case d.NextAt.Sub(o.CreatedAt) > giveUpAfter:
		d.Outcome = storage.DeliveryDead
		d.Problem = fmt.Sprintf("given up after %s: %s", formatAge(d.At.Sub(o.CreatedAt)), d.Problem)
	default:
		d.Outcome = storage.DeliveryFailed
	}
}

// tellable leaves of a resolve only what its receiver was told of, and says whether anything is
// left. What else fires in a thread is answered there.
func tellable(n *spend.Notification, receipts []storage.Receipt) bool {
	if n.Event != spend.EventResolved && n.Event != spend.EventReminder {
		return true
	}
	threads := map[string]string{}
	for _, x := range receipts {
		if x.Notifier == n.Notifier {
			threads[x.Fingerprint] = x.Receipt
		}
	}
	if n.Event == spend.EventResolved {
		n.Alerts = slices.DeleteFunc(slices.Clone(n.Alerts), func(a spend.Alert) bool {
			_, ok := threads[a.Fingerprint()]
			return !ok
		})
	}
	n.Thread = ""
	for i, a := range n.Alerts {
		if thread := threads[a.Fingerprint()]; i == 0 {
			n.Thread = thread
		} else if thread != n.Thread {
			n.Thread = "" // of several none is the right one
			break
		}
	}
	return len(n.Alerts) > 0
}

// retryIn is how long to wait after the attempt of that number failed.
func retryIn(attempt int) time.Duration {
	b := &backoff.ExponentialBackOff{InitialInterval: firstRetry, Multiplier: 2, MaxInterval: longestRetry}
	b.Reset()
	wait := firstRetry
	for range min(attempt, 20) {
		wait = b.NextBackOff()
	}
	return wait
}

// subjects says in a few words what a notification is about.
func subjects(n spend.Notification) string {
	if len(n.Alerts) == 0 {
		return cmp.Or(n.Title, string(n.Event))
	}
	a := n.Alerts[0]
	text := a.Rule
	if a.Subject != "" {
		text += " " + a.Subject
	}
	if len(n.Alerts) > 1 {
		text += fmt.Sprintf(" and %d more", len(n.Alerts)-1)
	}
	return text
}
