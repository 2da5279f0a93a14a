package report

import (
	"context"
	"time"

	"github.com/anthropic-monitor/monitor/internal/spend"
	"github.com/anthropic-monitor/monitor/internal/storage"
)

// Labels is what organizations, workspaces and keys are called, for what writes rows of its own: an
// export calls things what a report calls them.
type Labels struct {
	Organizations []storage.OrganizationState
	names         *names
}

// LoadLabels reads the inventory of all organizations.
func LoadLabels(ctx context.Context, store storage.Store) (*Labels, error) {
	n, err := loadNames(ctx, store, Params{By: []spend.Dimension{spend.ByWorkspace, spend.ByAPIKey}})
	if err != nil {
		return nil, err
	}
	return &Labels{n.organizations, n}, nil
}

// Label gives a row the names of its organization and of its ids of the dimensions.
func (l *Labels) Label(r *Row, by []spend.Dimension) { l.names.label(r, by) }

// Workspace finds a workspace; it is false for one that the inventory never had.
func (l *Labels) Workspace(organization, id string) (spend.Workspace, bool) {
	w, ok := l.names.workspaces[thing{organization, id}]
	return w, ok
}

// Sources collects what figures come from, to say as of when they are.
type Sources map[string]*source

// Add notes that an organization's figures come from the usage report (estimates do), from request
// counts, or from a bill.
func (s Sources) Add(organization string, usage, requests, bill bool) {
	x := s[organization]
	if x == nil {
		x = &source{}
		s[organization] = x
	}
	x.usage, x.requests, x.bill = x.usage || usage, x.requests || requests, x.bill || bill
}

// AsOf is the oldest data time of the reports that the figures come from, as in an [Answer].
func (s Sources) AsOf(ctx context.Context, store storage.Store) (time.Time, error) {
	return asOf(ctx, store, s)
}

// CountName is the SQL name of what the kind counts.
func CountName(k spend.Kind) string { return countName(k) }
