package web

import (
	"context"
	"net/http"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// organizationStatus is a row of GET /api/v1/status: how far an organization's reports have been
// read, and what of the history wanted is still missing.
type organizationStatus struct {
	Organization   string         `json:"organization"`
	OrganizationID string         `json:"organization_id"`
	FirstSeenAt    *time.Time     `json:"first_seen_at"`
	LiveAt         *time.Time     `json:"live_at"` // when live collection began; null before
	PriceVersion   string         `json:"price_version"`
	Calibration    any            `json:"calibration"` // by what factors estimates are scaled, and their data
	Reports        []reportStatus `json:"reports"`
	Backfill       *backfill      `json:"backfill"` // null where no history is wanted
	Requests       []request      `json:"requests"` // asked of the daemon and not done yet
}

// unreadStatus is an organization of the configuration that is in no answer, and why.
type unreadStatus struct {
	Organization string     `json:"organization"`
	Problem      string     `json:"problem"`
	TriedAt      *time.Time `json:"tried_at"`
}

// reportStatus is how far a report has been read. Refused is null unless the last answer was a refusal.
type reportStatus struct {
	Report    spend.Report `json:"report"`
	DataAt    *time.Time   `json:"data_at"`
	ReadAt    *time.Time   `json:"read_at"`
	RefusedAt *time.Time   `json:"refused_at"`
	Reason    string       `json:"reason"`
}

// NoData reports whether it answers, but has nothing for the organization yet.
func (r reportStatus) NoData() bool { return r.RefusedAt != nil && r.Reason == storage.NoDataYet }

// backfill is how much of the history wanted is there: hours of usage and of the bill since From,
// up to what the reports have so far.
type backfill struct {
	From         *time.Time `json:"from"`
	UsageHours   int64      `json:"usage_hours"`
	UsageMissing int64      `json:"usage_hours_missing"`
	CostHours    int64      `json:"cost_hours"`
	CostMissing  int64      `json:"cost_hours_missing"`
}

// Missing is the hours missing in all.
func (b backfill) Missing() int64 { return b.UsageMissing + b.CostMissing }

// Percent is how much of it is there, rounded down: 100 means all.
func (b backfill) Percent() int64 {
	if b.UsageHours+b.CostHours == 0 {
		return 100
	}
	return 100 * (b.UsageHours + b.CostHours - b.Missing()) / (b.UsageHours + b.CostHours)
}

// request is something asked of the daemon.
type request struct {
	ID      int64      `json:"id"`
	Kind    string     `json:"kind"`
	From    *time.Time `json:"from"`
	To      *time.Time `json:"to"`
	AskedAt *time.Time `json:"asked_at"`
}

func (s *server) status(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	orgs, err := s.Store.Organizations(r.Context())
	if err != nil {
		return nil, err
	}
	out := struct {
		Version string `json:"version"`
		listed[organizationStatus]
		Unread []unreadStatus `json:"unread,omitempty"`
	}{s.Version, listed[organizationStatus]{instant(s.Now()), []organizationStatus{}}, nil}
	for _, u := range s.unread() {
		out.Unread = append(out.Unread, unreadStatus{u.Organization, u.Problem, instant(u.At)})
	}
	for _, o := range orgs {
		status, err := s.statusOf(r.Context(), o, s.Now())
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, status)
	}
	return out, nil
}

func (s *server) statusOf(ctx context.Context, o storage.OrganizationState, now time.Time) (organizationStatus, error) {
	out := organizationStatus{
		Organization: o.Name, OrganizationID: o.ID, FirstSeenAt: instant(o.FirstSeenAt), LiveAt: instant(o.LiveAt),
		PriceVersion: o.PriceVersion, Reports: []reportStatus{}, Requests: []request{},
	}
	calibration, err := s.Store.Calibration(ctx, o.ID)
	if err != nil {
		return out, err
	}
	out.Calibration = report.CalibrationObject(calibration)
	marks, err := s.Store.Watermarks(ctx, o.ID)
	if err != nil {
		return out, err
	}
	for _, m := range marks {
		out.Reports = append(out.Reports, reportStatus{m.Report, instant(m.DataAt), instant(m.ReadAt), instant(m.RefusedAt), m.Reason})
	}
	asked, err := s.Store.Requests(ctx, o.ID)
	if err != nil {
		return out, err
	}
	for _, q := range asked {
		out.Requests = append(out.Requests, request{q.ID, q.Kind, instant(q.Window.Start), instant(q.Window.End), instant(q.AskedAt)})
	}
	if s.Backfill > 0 {
		out.Backfill, err = s.backfillOf(ctx, o, marks, now)
	}
	return out, err
}

// backfillOf counts what is missing of the history wanted, which goes back from the begin of live
// collection.
func (s *server) backfillOf(
	ctx context.Context, o storage.OrganizationState, marks []storage.Watermark, now time.Time,
) (*backfill, error) {
	began := o.LiveAt
	if began.IsZero() {
		began = now
	}
	from := spend.Day.Floor(began.Add(-s.Backfill))
	b := &backfill{From: instant(from)}
	for _, f := range []struct {
		fact           spend.Fact
		grain          spend.Grain
		reports        []spend.Report
		total, missing *int64
	}{
		{spend.FactUsage, spend.Hour, []spend.Report{spend.ReportMessages, spend.ReportAnalyticsUsage}, &b.UsageHours, &b.UsageMissing},
		{spend.FactCost, spend.Day, []spend.Report{spend.ReportCost, spend.ReportAnalyticsCost}, &b.CostHours, &b.CostMissing},
	} {
		w := spend.Window{Start: from, End: f.grain.Floor(newest(marks, f.reports))}
		if w.End.Before(spend.Day.Floor(began)) { // nothing read yet, or refused: all of the history is missing
			w.End = spend.Day.Floor(began)
		}
		slots, err := s.Store.Slots(ctx, o.ID, f.fact, w)
		if err != nil {
			return nil, err
		}
		*f.total = int64(w.Duration() / time.Hour)
		*f.missing = *f.total
		for _, slot := range slots {
			*f.missing -= int64(slot.Window.Intersect(w).Duration() / time.Hour)
		}
	}
	return b, nil
}

// newest is the newest data time of the reports.
func newest(marks []storage.Watermark, reports []spend.Report) time.Time {
	var t time.Time
	for _, m := range marks {
		for _, r := range reports {
			if m.Report == r && m.DataAt.After(t) {
				t = m.DataAt
			}
		}
	}
	return t
}

// historySince is from when on usage is known without a gap; zero if none is known.
func (s *server) historySince(ctx context.Context, organization string, now time.Time) (time.Time, error) {
	slots, err := s.Store.Slots(ctx, organization, spend.FactUsage, spend.Window{Start: time.Unix(0, 0).UTC(), End: now})
	if err != nil || len(slots) == 0 {
		return time.Time{}, err
	}
	windows := make([]spend.Window, len(slots))
	for i, slot := range slots {
		windows[i] = slot.Window
	}
	joined := spend.Join(windows)
	return joined[len(joined)-1].Start, nil
}
