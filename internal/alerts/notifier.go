package alerts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// Notifier sends notifications to one place. It is safe for concurrent use.
type Notifier interface {
	// Notify sends n. The receipt is handed back as n.Thread with later notifications of the same
	// episodes, for a notifier that can answer in a thread; empty where there is nothing to remember.
	//
	// An error that wraps [ErrPermanent] will not be tried again; [RetryAfter] says when to try next;
	// all others are tried again later. No error holds a secret: of URLs it has scheme and host.
	Notify(ctx context.Context, n spend.Notification) (receipt string, err error)
	// Check tries, without sending anything that people see, whether the receiver can be reached and
	// lets us in, as far as it has a way to tell; nil where it has none.
	Check(ctx context.Context) error
}

// ErrPermanent is wrapped by errors of receivers that a repetition would not change: the message is
// a dead letter.
var ErrPermanent = errors.New("refused for good")

// RetryAfter is an error of a receiver that says when it wants the next attempt.
type RetryAfter struct {
	After time.Duration
	Err   error
}

func (e *RetryAfter) Error() string { return fmt.Sprintf("%s (asks to wait %s)", e.Err, e.After) }

// Unwrap is the receiver's error.
func (e *RetryAfter) Unwrap() error { return e.Err }
