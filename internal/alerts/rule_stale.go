package alerts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/config"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// StaleConfig fires when a report's newest data, or a job's last success, is older than it should
// be: an alert for each.
type StaleConfig struct {
	// How old is too old.
	After config.Duration `yaml:"after"`
}

func (*StaleConfig) kind() string { return "stale" }

func (c *StaleConfig) check(p problems, r *RuleConfig) {
	if c.After < config.Duration(5*time.Minute) {
		p("stale.after", "must be at least 5m")
	}
	r.onlyOrganizations(p, "stale")
}

// otherReport is, for each report that is to have data of the last hour, the one that tells the same.
var otherReport = map[spend.Report]spend.Report{
	spend.ReportMessages: spend.ReportAnalyticsUsage, spend.ReportAnalyticsUsage: spend.ReportMessages,
	spend.ReportCost: spend.ReportAnalyticsCost, spend.ReportAnalyticsCost: spend.ReportCost,
}

func (c *StaleConfig) judge(_ context.Context, v *view, _ *rule) (verdict, error) {
	if v.replay {
		return nothing("how old data was at past times is not stored"), nil
	}
	all := map[string]finding{}
	var out verdict
	add := func(kind, name, what string, last time.Time, grace time.Duration) {
		since := latest(last, v.org.FirstSeenAt)
		f := finding{
			subject: kind + "=" + name, labels: map[string]string{kind: name}, value: v.now.Sub(since).Seconds(),
			limit: (c.After.Duration() + grace).Seconds(), unit: spend.UnitSeconds, asOf: v.now,
		}
		if last.IsZero() {
			f.summary = fmt.Sprintf("%s of %s: never, for %s", what, v.org.Name, formatAge(v.now.Sub(since)))
		} else {
			f.summary = fmt.Sprintf("%s of %s is %s old (%s)", what, v.org.Name, formatAge(v.now.Sub(since)), stamp(last))
		}
		all[f.subject] = f
		if v.now.Sub(since) > c.After.Duration()+grace {
			out.findings = append(out.findings, f)
		}
	}
	answers := func(r spend.Report) bool {
		return slices.ContainsFunc(v.marks, func(m storage.Watermark) bool {
			return m.Report == r && m.RefusedAt.IsZero() && !m.DataAt.IsZero()
		})
	}
	for _, m := range v.marks {
		other, live := otherReport[m.Report]
		switch {
		case !live:
		case m.Report == spend.ReportCost && answers(other): // it is read now and then, to compare
		case m.RefusedAt.IsZero():
			add("report", string(m.Report), "Newest data of the report "+string(m.Report), m.DataAt, 0)
		case m.DataAt.IsZero(): // it never answered
		case answers(other):
			subject := "report=" + string(m.Report)
			all[subject] = finding{
				subject: subject, labels: map[string]string{"report": string(m.Report)}, unit: spend.UnitSeconds, asOf: v.now,
				summary: fmt.Sprintf("The report %s of %s is refused, %s tells instead", m.Report, v.org.Name, other),
			}
		default: // its data stopped all the same
			add("report", string(m.Report), "Newest data of the report "+string(m.Report)+", which is refused now,", m.DataAt, 0)
		}
	}
	success := map[string]time.Time{}
	for _, run := range v.runs {
		if run.Organization != v.organization {
			continue
		}
		if _, ok := success[run.Job]; !ok {
			success[run.Job] = time.Time{}
		}
		if run.Outcome == "ok" {
			success[run.Job] = latest(success[run.Job], run.EndedAt)
		}
	}
	for job, last := range success {
		var grace time.Duration
		if v.options.Interval != nil {
			if grace = v.options.Interval(job); grace == 0 { // it runs when there is something to do
				continue
			}
		}
		add("job", job, "Last success of the job "+job, last, grace)
	}
	out.findings = ordered(out.findings)
	out.well = func(a spend.Alert) (finding, bool) {
		f, ok := all[a.Subject]
		return f, ok
	}
	return out, nil
}
