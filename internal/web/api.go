package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/anthropic-monitor/monitor/internal/report"
	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

func nothingHere(*http.Request) (any, error) {
	return nil, problem{http.StatusNotFound, "There is nothing here. The API is at /api/v1/costs, usage, efficiency, forecast, headroom, claude-code, reconciliation, " +
		"alerts, alerts/history, budgets, silences, audit, jobs, status and keys."}
}

// costs is GET /api/v1/costs, usage GET /api/v1/usage; parameters and answer are those of package
// report.
func (s *server) costs(r *http.Request) (any, error) { return s.report(r, report.Costs) }
func (s *server) usage(r *http.Request) (any, error) { return s.report(r, report.Usage) }

// mostAnswered is how many rows one answer of the API may have: whoever reaches the port must not be able to use
// up the memory of the process.
const mostAnswered = 100_000

func (s *server) report(r *http.Request, kind report.Kind) (any, error) {
	p, err := report.Parse(kind, r.URL.Query(), s.Now())
	if err == nil {
		p, err = p.WithTeams(s.Teams)
	}
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	p.Most = mostAnswered
	return report.Run(r.Context(), s.Store, p)
}

// efficiency is GET /api/v1/efficiency: parameters of usage, and what_if.
func (s *server) efficiency(r *http.Request) (any, error) {
	p, whatIf, err := report.ParseEfficiency(r.URL.Query(), s.Now(), s.Prices)
	if err == nil {
		p, err = p.WithTeams(s.Teams)
	}
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error()}
	}
	p.Most = mostAnswered
	return report.RunEfficiency(r.Context(), s.Store, s.Prices, p, whatIf)
}

// listed is the answer of the lists: as_of is when it was given, or how far its figures go.
type listed[T any] struct {
	AsOf *time.Time `json:"as_of"`
	Data []T        `json:"data"`
}

// noParameters refuses parameters, which a list would silently ignore.
func noParameters(r *http.Request) error {
	for name := range r.URL.Query() {
		return problem{http.StatusBadRequest, "unknown parameter \"" + name + "\": " + r.URL.Path + " takes none"}
	}
	return nil
}

// instant is the time as JSON shows it, null where there is none.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// job is a row of GET /api/v1/jobs: a job of an organization with its newest run, and when it last
// ended well (null: never).
type job struct {
	Organization  string     `json:"organization"`
	Job           string     `json:"job"`
	StartedAt     *time.Time `json:"started_at"`
	EndedAt       *time.Time `json:"ended_at"`
	Outcome       string     `json:"outcome"` // ok, failed, canceled
	Rows          int64      `json:"rows"`
	Requests      int64      `json:"requests"`
	Error         string     `json:"error"`
	LastSuccessAt *time.Time `json:"last_success_at"`
}

func (s *server) jobs(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	orgs, err := s.Store.Organizations(r.Context())
	if err != nil {
		return nil, err
	}
	runs, err := s.Store.LastRuns(r.Context())
	if err != nil {
		return nil, err
	}
	out := listed[job]{AsOf: instant(s.Now()), Data: []job{}}
	for _, o := range orgs {
		out.Data = append(out.Data, jobsOf(o, runs)...)
	}
	return out, nil
}

// jobsOf lists the organization's jobs by name.
func jobsOf(o storage.OrganizationState, runs []storage.Run) []job {
	newest := map[string]storage.Run{}
	success := map[string]time.Time{}
	for _, r := range runs {
		if r.Organization != o.ID {
			continue
		}
		if n, ok := newest[r.Job]; !ok || r.StartedAt.After(n.StartedAt) {
			newest[r.Job] = r
		}
		if r.Outcome == "ok" && r.EndedAt.After(success[r.Job]) {
			success[r.Job] = r.EndedAt
		}
	}
	jobs := make([]job, 0, len(newest))
	for name, r := range newest {
		jobs = append(jobs, job{
			Organization: o.Name, Job: name, StartedAt: instant(r.StartedAt), EndedAt: instant(r.EndedAt), Outcome: r.Outcome,
			Rows: r.Rows, Requests: r.Requests, Error: r.Error, LastSuccessAt: instant(success[name]),
		})
	}
	slices.SortFunc(jobs, func(a, b job) int { return strings.Compare(a.Job, b.Job) })
	return jobs
}

// key is a row of GET /api/v1/keys. Last used is null where no use was seen since the time given.
// Cost is that of the last 30 UTC days, today included.
type key struct {
	Organization   string      `json:"organization"`
	APIKeyID       string      `json:"api_key_id"`
	APIKey         string      `json:"api_key"`
	Hint           string      `json:"hint"`
	WorkspaceID    string      `json:"workspace_id"`
	Workspace      string      `json:"workspace"`
	Status         string      `json:"status"`
	OwnerID        string      `json:"owner_id"`
	CreatedAt      *time.Time  `json:"created_at"`
	ExpiresAt      *time.Time  `json:"expires_at"` // null: never
	GoneAt         *time.Time  `json:"gone_at"`    // null: still listed
	LastUsed       *lastUse    `json:"last_used"`
	NoUseSeenSince *time.Time  `json:"no_use_seen_since,omitempty"`
	Cost30Days     spend.Money `json:"cost_usd_30d"`
	Basis          spend.Basis `json:"basis,omitempty"`
	// Findings are what the audit found when it was last evaluated, the worst first.
	Findings []keyFinding `json:"findings"`
}

// lastUse is the newest hour, minute or day in which a key was used.
type lastUse struct {
	Start *time.Time `json:"start"`
	End   *time.Time `json:"end"`
	Grain string     `json:"grain"`
}

func (s *server) keys(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	ctx, now := r.Context(), s.Now()
	today := spend.Day.Floor(now)
	costs, err := report.Run(ctx, s.Store, report.Params{
		Kind: report.Costs, Step: report.StepTotal, By: []spend.Dimension{spend.ByAPIKey},
		From: today.AddDate(0, 0, -29), To: today.AddDate(0, 0, 1),
	})
	if err != nil {
		return nil, err
	}
	type id struct{ organization, key string }
	cost := map[id]report.Figures{}
	for _, row := range costs.Rows {
		cost[id{row.OrganizationID, row.APIKeyID}] = row.Figures
	}
	orgs, err := s.Store.Organizations(ctx)
	if err != nil {
		return nil, err
	}
	out := listed[key]{AsOf: instant(costs.AsOf), Data: []key{}}
	for _, o := range orgs {
		ws, err := s.Store.Workspaces(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		workspaces := map[string]string{}
		for _, w := range ws {
			workspaces[w.ID] = w.Label
		}
		ks, err := s.Store.APIKeys(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		since, err := s.historySince(ctx, o.ID, now)
		if err != nil {
			return nil, err
		}
		findings, err := s.findingsByKey(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		for _, k := range ks {
			row := keyRow(o, k, workspaces, since)
			row.Findings = append([]keyFinding{}, findings[k.ID]...)
			f := cost[id{o.ID, k.ID}]
			row.Cost30Days, row.Basis = f.Cost, f.Basis
			out.Data = append(out.Data, row)
		}
	}
	return out, nil
}

func keyRow(o storage.OrganizationState, k spend.APIKey, workspaces map[string]string, since time.Time) key {
	row := key{
		Organization: o.Name, APIKeyID: k.ID, APIKey: k.Label, Hint: k.Hint, WorkspaceID: k.WorkspaceID,
		Workspace: workspaces[k.WorkspaceID], Status: k.Status, OwnerID: k.PrincipalID,
		CreatedAt: instant(k.CreatedAt), ExpiresAt: instant(k.ExpiresAt), GoneAt: instant(k.GoneAt),
	}
	if row.OwnerID == "" {
		row.OwnerID = k.CreatedByID
	}
	if row.Workspace == "" {
		row.Workspace = k.WorkspaceID
	}
	switch {
	case !k.LastUsed.Empty():
		row.LastUsed = &lastUse{
			Start: instant(k.LastUsed.Start), End: instant(k.LastUsed.End),
			Grain: spend.Grain(k.LastUsed.Duration() / time.Second).String(),
		}
	case !since.IsZero():
		if k.CreatedAt.After(since) { // never used
			since = k.CreatedAt
		}
		row.NoUseSeenSince = instant(since)
	}
	return row
}
