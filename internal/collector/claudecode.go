package collector

import (
	"context"
	"errors"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// How far back days of the Claude Code report are read: at first, daily, and hourly.
const (
	claudeCodeHistory = 30
	claudeCodeDaily   = 3
	claudeCodeHourly  = 1
)

// claudeCodeDays is the days of the Claude Code report that are due, oldest first: yesterday and
// today once an hour, the days before once a day, and whatever the report was not read up to.
func claudeCodeDays(m storage.Watermark, now time.Time) []time.Time {
	today := spend.Day.Floor(now)
	back := func(days int) time.Time { return today.AddDate(0, 0, -days) }
	from := back(claudeCodeHourly)
	read := spend.Day.Floor(m.DataAt)
	switch {
	case refused(m, now):
		return nil
	case read.Before(from): // the first time, or after a pause
		from = read
	case !m.ReadAt.Before(spend.Hour.Floor(now)):
		return nil
	}
	if m.ReadAt.Before(today) && from.After(back(claudeCodeDaily)) {
		from = back(claudeCodeDaily)
	}
	if from.Before(back(claudeCodeHistory)) {
		from = back(claudeCodeHistory)
	}
	var days []time.Time
	for d := from; !d.After(today); d = d.AddDate(0, 0, 1) {
		days = append(days, d)
	}
	return days
}

// collectClaudeCode reads the days of the Claude Code report that are due.
func (w *worker) collectClaudeCode(ctx context.Context, now time.Time) error {
	p, err := w.planFor(ctx, spend.FactUsage, spend.Window{Start: now, End: now.Add(time.Second)}, now)
	if err != nil {
		return err
	}
	mark := p.marks[spend.ReportClaudeCode]
	days := claudeCodeDays(mark, now)
	for i, d := range days {
		a, err := w.Client.ClaudeCode(ctx, d)
		if err != nil {
			err = w.refusal(ctx, now, p, spend.ReportClaudeCode, err)
			if errors.Is(err, errRefused) {
				return nil
			}
			return err
		}
		if err := w.owner.ReplaceClaudeCode(ctx, d, a.Rows); err != nil {
			return err
		}
		w.run.Rows += int64(len(a.Rows))
		if i == len(days)-1 { // only then nothing is due any more
			mark.ReadAt = a.ReadAt
		}
		if err := w.mark(ctx, spend.ReportClaudeCode, a.DataAt, mark.ReadAt); err != nil {
			return err
		}
	}
	return nil
}
