package web

import (
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// anomalyKind is what a rule of the section anomaly is called among the states of rules.
const anomalyKind = "anomaly"

// judgedHours is what the anomaly rules said of the last hours. Nothing is judged here: it is read
// from the alerts and their history.
type judgedHours struct {
	Rules   int                  // anomaly rules that there are
	Quiet   []storage.RuleState  // those that cannot judge, or that say why they are quiet
	Marks   map[time.Time]string // what was found, by the start of the hour that the window ended with
	Summary []string             // the same, each once, the newest first
	kinds   map[string]bool
}

// Judging reports whether there is a rule of which nothing says that it is quiet.
func (j judgedHours) Judging() bool { return len(j.Quiet) < j.Rules }

// judgedBy finds the anomaly rules.
func judgedBy(rules []storage.RuleState) judgedHours {
	j := judgedHours{Marks: map[time.Time]string{}, kinds: map[string]bool{}}
	for _, r := range rules {
		if r.Kind != anomalyKind {
			continue
		}
		j.Rules++
		j.kinds[r.Rule] = true
		if r.Note != "" || r.Problem != "" {
			j.Quiet = append(j.Quiet, r)
		}
	}
	return j
}

// episode is one anomaly: the ends of the first and of the last window that was above its limit.
type episode struct {
	first, last time.Time
	summary     string
}

// mark puts a mark on the hours in which the windows of anomalies ended. The history is newest first.
func (j *judgedHours) mark(as []storage.AlertRecord, history []storage.AlertChange, hours []spend.Window) {
	began := map[string]spend.Alert{} // as they were when they began to fire
	over := map[string]spend.Alert{}  // and when they were over
	for _, c := range history {
		switch {
		case !j.kinds[c.Alert.Rule]:
		case c.To == spend.Firing && (c.From == spend.Inactive || c.From == spend.Pending || c.From == spend.Resolved):
			began[c.Alert.Fingerprint()] = c.Alert
		case c.To == spend.Resolved:
			over[c.Alert.Fingerprint()] = c.Alert
		}
	}
	latest := over
	for _, a := range as {
		if j.kinds[a.Rule] && !a.FiredAt.IsZero() {
			latest[a.Fingerprint()] = a.Alert
		}
	}
	var found []episode
	for fingerprint, first := range began {
		if _, ok := latest[fingerprint]; !ok {
			latest[fingerprint] = first
		}
	}
	for fingerprint, a := range latest {
		first, ok := began[fingerprint]
		if !ok { // it began before the history that was read
			first = a
			first.AsOf = spend.Hour.Floor(a.FiredAt)
		}
		e := episode{first.AsOf, a.AsOf, first.Summary}
		if a.State == spend.Resolved || a.Value <= a.Limit { // the last windows were well
			e.last = spend.Hour.Floor(a.SeenAt)
			if before := a.AsOf.Add(-time.Hour); before.Before(e.last) {
				e.last = before
			}
		}
		if e.last.Before(e.first) {
			e.last = e.first
		}
		found = append(found, e)
	}
	slices.SortFunc(found, func(a, b episode) int {
		if c := b.first.Compare(a.first); c != 0 {
			return c
		}
		if a.summary < b.summary {
			return -1
		}
		return 1
	})
	for _, e := range found {
		marked := false
		for _, h := range hours {
			if h.End.Before(e.first) || h.End.After(e.last) {
				continue
			}
			if j.Marks[h.Start] != "" {
				j.Marks[h.Start] += "\n"
			}
			j.Marks[h.Start] += "anomaly: " + e.summary
			marked = true
		}
		if marked {
			j.Summary = append(j.Summary, e.summary)
		}
	}
}
