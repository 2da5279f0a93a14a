package alerts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Beside what rules find there are two kinds of notifications that come by the clock: digests, and
// what is posted again to receivers that forget.

// deliveriesBack is how many attempts are searched for a digest that was delivered already.
const deliveriesBack = 5000

// digests adds the digests that are due and were not made before. A digest's id follows from when it
// was due, so that the outbox and the log of deliveries tell what was made.
func (r *round) digests(ctx context.Context) {
	for _, d := range r.e.options.Digests {
		w := r.e.options.Due(d.Schedule, r.v.now)
		if w.Empty() || r.v.org.LiveAt.IsZero() || r.v.org.LiveAt.After(w.End) {
			continue // what was due before anything was collected is not made up for
		}
		due := map[string]string{} // notifiers by id
		for _, n := range d.Notify {
			h := sha256.Sum256([]byte(strings.Join([]string{r.v.organization, n, "digest", d.Schedule, w.End.UTC().Format(time.RFC3339)}, "\x00")))
			if id := "msg_" + hex.EncodeToString(h[:12]); !r.o.digested[id] {
				due[id] = n
			}
		}
		if len(due) == 0 {
			continue
		}
		if err := r.digest(ctx, d, w, due); err != nil {
			r.logs = append(r.logs, func(ctx context.Context) {
				r.e.log.ErrorContext(ctx, "a digest cannot be made, it is tried again", "schedule", d.Schedule, "err", err)
			})
		}
	}
}

// digest adds the digest of the window for each notifier that was not sent it before.
func (r *round) digest(ctx context.Context, d DigestConfig, w spend.Window, due map[string]string) error {
	store, org := r.e.options.Store, r.v.organization
	out, err := store.Outbox(ctx, org)
	if err != nil {
		return err
	}
	sent, err := store.Deliveries(ctx, org, deliveriesBack)
	if err != nil {
		return err
	}
	for id := range due {
		made := slices.ContainsFunc(out, func(o storage.Outgoing) bool { return o.ID == id }) ||
			slices.ContainsFunc(sent, func(x storage.Delivery) bool { return x.NotificationID == id })
		if made {
			r.o.digested[id] = true
			delete(due, id)
		}
	}
	if len(due) == 0 {
		return nil
	}
	state, err := r.digestState(ctx)
	if err != nil {
		return err
	}
	title, text, err := Digest(ctx, store, org, w, state, r.v.now)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(due)) {
		r.changes.Notifications = append(r.changes.Notifications, spend.Notification{
			ID: id, Organization: org, Notifier: due[id], Event: spend.EventDigest, CreatedAt: r.v.now, Title: title, Text: text,
		})
	}
	return nil
}

// digestState is how things stood after the last evaluation.
func (r *round) digestState(ctx context.Context) (DigestState, error) {
	var s DigestState
	for _, key := range sortedAlertKeys(r.alerts) {
		if a := r.alerts[key].Alert; a.State == spend.Firing || a.State == spend.Stale {
			s.Alerts = append(s.Alerts, a)
		}
	}
	for _, key := range sortedAlertKeys(r.budgets) {
		b := r.budgets[key]
		name := b.Rule
		if who := subjectText(spend.Alert{Rule: b.Rule, Labels: b.Labels}); b.Subject != "" && who != "" {
			name += ", " + who
		}
		s.Budgets = append(s.Budgets, BudgetState{
			Name: name, Spent: b.Spent, Limit: b.Limit, Forecast: b.Forecast,
			Exhausted: b.ExhaustedOn(), Exceeded: b.State == storage.BudgetExceeded,
		})
	}
	if r.e.options.Audit == nil {
		return s, nil
	}
	found, err := r.e.options.Audit(ctx, r.v.organization, r.v.now)
	if err != nil {
		return s, fmt.Errorf("audit: %w", err)
	}
	s.Findings = map[spend.Severity]int{}
	for _, f := range found {
		s.Findings[f.Severity]++
	}
	return s, nil
}

func sortedAlertKeys[V any](m map[storage.AlertKey]V) []storage.AlertKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b storage.AlertKey) int {
		if c := strings.Compare(a.Rule, b.Rule); c != 0 {
			return c
		}
		return strings.Compare(a.Subject, b.Subject)
	})
}

// repost tells each [Repeater] of what still fires, as often as it wants. Nothing is kept of it: what
// is missed is made up for by the next one.
func (e *Engine) repost(ctx context.Context, o *organization, organizationID string, now time.Time) {
	for name, n := range e.options.Notifiers {
		forgets, ok := n.(Repeater)
		if !ok || now.Sub(o.reposted[name]) < forgets.Repeats() {
			continue
		}
		firing, err := e.firing(ctx, organizationID, name)
		if err == nil && len(firing) > 0 {
			limited, cancel := context.WithTimeout(ctx, attemptTimeout)
			again := spend.Notification{
				Organization: organizationID, Notifier: name, Event: spend.EventReminder, CreatedAt: now, Alerts: firing,
			}
			again.ID = notificationID(again)
			_, err = n.Notify(limited, again)
			cancel()
		}
		if err != nil {
			if ctx.Err() == nil {
				e.log.WarnContext(ctx, "what still fires cannot be told again, it is tried with the next evaluation", "notifier", name, "err", err)
			}
			continue
		}
		o.reposted[name] = now
	}
}

// firing lists the alerts that fire and that the notifier was told of.
func (e *Engine) firing(ctx context.Context, organizationID, notifier string) ([]spend.Alert, error) {
	records, err := e.options.Store.Alerts(ctx, organizationID)
	if err != nil {
		return nil, err
	}
	receipts, err := e.options.Store.Receipts(ctx, organizationID)
	if err != nil {
		return nil, err
	}
	var firing []spend.Alert
	for _, a := range records {
		told := slices.ContainsFunc(receipts, func(x storage.Receipt) bool {
			return x.Notifier == notifier && x.Fingerprint == a.Fingerprint()
		})
		if (a.State == spend.Firing || a.State == spend.Stale) && told && !a.Silenced {
			firing = append(firing, a.Alert)
		}
	}
	return firing, nil
}
