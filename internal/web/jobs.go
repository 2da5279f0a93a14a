package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

const (
	coverageDays = 90
	shownRuns    = 20
	// searchedRuns is among how many of the newest runs errors are looked for.
	searchedRuns = 500
	shownErrors  = 8
)

// jobsData is what the page at /jobs shows.
type jobsData struct {
	frame
	Database      storage.About
	Organizations []jobsOfOrganization
}

// jobsOfOrganization is an organization on it: what runs, and what is known.
type jobsOfOrganization struct {
	organizationStatus
	Anchor     string
	Now        time.Time
	Strips     []strip
	Reconciled reconciled
	Jobs       []job
	Runs       []storage.Run
	Errors     []runError
	Searched   int       // runs that errors were looked for among
	Since      time.Time // when the oldest of them began
}

// runError is an error that runs ended with.
type runError struct {
	Job, Error string
	Times      int
	Last       time.Time
	Over       bool // the job ended well since
}

func (s *server) jobsPage(r *http.Request) (any, error) {
	ctx := r.Context()
	for name := range r.URL.Query() {
		return nil, problem{http.StatusBadRequest, fmt.Sprintf("unknown parameter %q: this page has none", name)}
	}
	data := jobsData{frame: s.frame(r, "Jobs and data", link{"/api/v1/jobs", "jobs"}, link{"/api/v1/reconciliation", "reconciliation"})}
	var err error
	if data.Database, err = s.Store.About(ctx); err != nil {
		return nil, err
	}
	last, err := s.Store.LastRuns(ctx)
	if err != nil {
		return nil, err
	}
	return &data, s.each(ctx, func(o storage.OrganizationState) error {
		p, err := s.jobsOfOrganization(ctx, o, data.Now)
		if err != nil {
			return fmt.Errorf("jobs of %s: %w", o.Name, err)
		}
		p.Anchor = fmt.Sprintf("organization-%d", len(data.Organizations)+1)
		p.Jobs = jobsOf(o, last)
		p.errors()
		data.Organizations = append(data.Organizations, p)
		return nil
	})
}

func (s *server) jobsOfOrganization(ctx context.Context, o storage.OrganizationState, now time.Time) (jobsOfOrganization, error) {
	p := jobsOfOrganization{Now: now}
	var err error
	if p.organizationStatus, err = s.statusOf(ctx, o, now); err != nil {
		return p, err
	}
	marks, err := s.Store.Watermarks(ctx, o.ID)
	if err != nil {
		return p, err
	}
	days := dayWindows(spend.Day.Floor(now), coverageDays)
	known, err := s.coverageOf(ctx, o.ID, days, marks, spend.FactUsage, spend.FactRequests, spend.FactCost)
	if err != nil {
		return p, err
	}
	wanted := spend.Day.Floor(o.LiveAt)
	if p.Backfill != nil {
		wanted = *p.Backfill.From
	}
	p.Strips = []strip{known.strip(spend.FactUsage, "Usage", wanted)}
	if !newest(marks, reportsOf[spend.FactRequests]).IsZero() { // not every key may read them
		p.Strips = append(p.Strips, known.strip(spend.FactRequests, "Request counts", wanted))
	}
	p.Strips = append(p.Strips, known.strip(spend.FactCost, "Bill", wanted))
	if p.Reconciled, err = s.reconciledPage(ctx, o, now); err != nil {
		return p, err
	}
	p.Runs, err = s.Store.Runs(ctx, o.ID, searchedRuns)
	return p, err
}

// errors finds what the newest runs failed with, and leaves only the newest of them to be listed.
func (p *jobsOfOrganization) errors() {
	p.Searched = len(p.Runs)
	success := map[string]time.Time{}
	for _, j := range p.Jobs {
		if j.LastSuccessAt != nil {
			success[j.Job] = *j.LastSuccessAt
		}
	}
	for _, r := range p.Runs { // the newest first
		p.Since = r.StartedAt
		if r.Error == "" {
			continue
		}
		i := slices.IndexFunc(p.Errors, func(e runError) bool { return e.Job == r.Job && e.Error == r.Error })
		if i < 0 {
			i = len(p.Errors)
			p.Errors = append(p.Errors, runError{Job: r.Job, Error: r.Error, Last: r.EndedAt, Over: success[r.Job].After(r.EndedAt)})
		}
		p.Errors[i].Times++
	}
	p.Errors = p.Errors[:min(len(p.Errors), shownErrors)]
	p.Runs = p.Runs[:min(len(p.Runs), shownRuns)]
}
