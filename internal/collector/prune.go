package collector

import (
	"context"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// prune removes what retention does not keep.
func (w *worker) prune(ctx context.Context, now time.Time) error {
	rows, err := w.owner.Prune(ctx, keep(w.Config.Retention, now))
	w.run.Rows = rows
	return err
}

// keep is from when on facts are kept: whole UTC days, and never less than what is still open.
func keep(r Retention, now time.Time) storage.Keep {
	from := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return spend.Day.Floor(now.Add(-max(d, 2*day)))
	}
	return storage.Keep{Minute: from(r.Minute), Hour: from(r.Hour), Day: from(r.Day)}
}
