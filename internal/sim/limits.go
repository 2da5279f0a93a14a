package sim

import (
	"slices"
	"time"
)

// rate is one group of rate limits of the organization.
type rate struct {
	ID     string
	group  rateGroup
	models []string
	limits []limit
}

type rateGroup struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name,omitempty"`
}

type limit struct {
	Type  string `json:"type"`
	Value int64  `json:"value"`
}

type rateBody struct {
	Type      string    `json:"type"`
	ID        string    `json:"id"`
	Group     rateGroup `json:"group"`
	GroupType string    `json:"group_type,omitempty"` // deprecated
	Models    []string  `json:"models"`
	Limits    []limit   `json:"limits"`
}

type workspaceRateBody struct {
	Type        string           `json:"type"`
	RateLimitID string           `json:"rate_limit_id"`
	WorkspaceID string           `json:"workspace_id"`
	Group       rateGroup        `json:"group"`
	GroupType   string           `json:"group_type,omitempty"` // deprecated
	Models      []string         `json:"models"`
	Limits      []workspaceLimit `json:"limits"`
}

type workspaceLimit struct {
	Type     string `json:"type"`
	Value    int64  `json:"value"`
	OrgLimit *int64 `json:"org_limit"`
	Source   struct {
		Type string `json:"type"`
	} `json:"source"`
}

var groupTypes = []string{"model_group", "batch", "token_count", "files", "skills", "web_search"}

func smallRates(seed uint64) []rate {
	var all []rate
	family := func(name string, perMinute int64, models ...string) {
		all = append(all, rate{group: rateGroup{Type: "model_group", DisplayName: name}, models: models, limits: []limit{
			{"requests_per_minute", perMinute}, {"input_tokens_per_minute_cache_aware", perMinute * 500},
			{"output_tokens_per_minute", perMinute * 100}}})
	}
	family("Claude Sonnet 5.x", 4000, "claude-sonnet-5-5", "claude-sonnet-5")
	family("Claude Opus 5.x", 2000, "claude-opus-5-5", "claude-opus-5")
	family("Claude Haiku 5.x", 8000, "claude-haiku-5-5")
	family("Claude Fable 5.x", 1000, "claude-fable-5-2", "claude-fable-5-1")
	family("Claude Haiku 4.x", 4000, "claude-haiku-4-5", "claude-haiku-4-5-20251001")
	family("Claude Sonnet 4.x", 4000, "claude-sonnet-4-6", "claude-sonnet-4-5")
	family("Claude Opus 4.x", 2000, "claude-opus-4-8", "claude-opus-4-7")
	for _, other := range []struct {
		group string
		limit limit
	}{
		{"batch", limit{"enqueued_batch_requests", 500000}}, {"token_count", limit{"requests_per_minute", 8000}},
		{"files", limit{"requests_per_minute", 1000}}, {"skills", limit{"requests_per_minute", 500}},
		{"web_search", limit{"tool_uses_per_second", 30}},
	} {
		all = append(all, rate{group: rateGroup{Type: other.group}, limits: []limit{other.limit}})
	}
	for i := range all {
		what := all[i].group.Type + all[i].group.DisplayName
		all[i].ID, all[i].group.ID = newID(seed, "rl", what), newID(seed, "rlg", what)
	}
	return all
}

// olderGroupType is the deprecated field, where the request's version still has it.
func (c *call) olderGroupType(r rate) string {
	if c.version() == newest {
		return ""
	}
	return r.group.Type
}

func (c *call) listRates() (any, error) {
	group, model := c.query.choice("group_type", groupTypes...), c.query.text("model")
	if model != "" && !slices.ContainsFunc(c.rates, func(r rate) bool { return slices.Contains(r.models, model) }) {
		return nil, notFound()
	}
	var bodies []rateBody
	for _, r := range c.rates {
		bodies = append(bodies, rateBody{Type: "rate_limit", ID: r.ID, Group: r.group, GroupType: c.olderGroupType(r),
			Models: r.models, Limits: r.limits})
	}
	return tokens(c, bodies, func(b rateBody) bool {
		return (group == "" || b.Group.Type == group) && (model == "" || slices.Contains(b.Models, model))
	})
}

func (c *call) workspaceRate(w *workspace, r rate, inherited bool) workspaceRateBody {
	body := workspaceRateBody{Type: "workspace_rate_limit", RateLimitID: r.ID, WorkspaceID: w.ID, Group: r.group,
		GroupType: c.olderGroupType(r), Models: r.models, Limits: []workspaceLimit{}}
	for _, l := range r.limits {
		shown := workspaceLimit{Type: l.Type, Value: l.Value, OrgLimit: &l.Value}
		shown.Source.Type = "organization"
		own, set := c.overrides[w.ID][r.ID+"/"+l.Type]
		if set {
			shown.Value, shown.Source.Type = own, "workspace"
		}
		if set || inherited {
			body.Limits = append(body.Limits, shown)
		}
	}
	return body
}

func (c *call) listWorkspaceRates() (any, error) {
	w, err := c.pathWorkspace()
	if err != nil {
		return nil, err
	}
	group, inherited := c.query.choice("group_type", groupTypes...), c.query.flag("include_inherited")
	var bodies []workspaceRateBody
	for _, r := range c.rates {
		bodies = append(bodies, c.workspaceRate(w, r, inherited))
	}
	return tokens(c, bodies, func(b workspaceRateBody) bool {
		return len(b.Limits) > 0 && (group == "" || b.Group.Type == group)
	})
}

// updateWorkspaceRates sets and clears overrides. A value above the organization's is kept as given.
func (c *call) updateWorkspaceRates() (any, error) {
	w, err := c.changeable(false)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(c.rates, func(r rate) bool { return r.ID == c.args[1] })
	if at < 0 {
		return nil, notFound()
	}
	r := c.rates[at]
	var body struct {
		Limits []struct {
			Type  string `json:"type"`
			Value *int64 `json:"value"`
		} `json:"limits"`
	}
	if err := c.body(&body); err != nil {
		return nil, err
	}
	if len(body.Limits) == 0 {
		return nil, invalid("limits: Field required")
	}
	for _, l := range body.Limits {
		if !slices.ContainsFunc(r.limits, func(of limit) bool { return of.Type == l.Type }) {
			return nil, invalid("limits: %q is not a limiter of this group", l.Type)
		}
		if l.Value != nil && *l.Value < 0 {
			return nil, invalid("limits: Input should be greater than or equal to 0")
		}
	}
	own := map[string]int64{}
	for k, v := range c.overrides[w.ID] {
		own[k] = v
	}
	for _, l := range body.Limits {
		if l.Value == nil {
			delete(own, r.ID+"/"+l.Type)
		} else {
			own[r.ID+"/"+l.Type] = *l.Value
		}
	}
	c.overrides[w.ID] = own
	return c.workspaceRate(w, r, false), nil
}

type spendLimit struct {
	Type      string     `json:"type"`
	ID        string     `json:"id"`
	CreatedAt string     `json:"created_at"`
	UpdatedAt string     `json:"updated_at"`
	Scope     spendScope `json:"scope"`
	Amount    *string    `json:"amount"`
	Currency  string     `json:"currency"`
	Period    string     `json:"period"`
	IsEnabled bool       `json:"is_enabled"`
}

type spendScope struct {
	Type        string `json:"type"`
	WorkspaceID string `json:"workspace_id,omitempty"`
}

func (c *call) spendLimits() []spendLimit {
	at := stamp(c.opts.Start.Add(37 * time.Minute))
	one := func(scope spendScope, amount string) spendLimit {
		return spendLimit{Type: "spend_limit", ID: newID(c.opts.Seed, "spl", scope.Type+scope.WorkspaceID),
			CreatedAt: at, UpdatedAt: at, Scope: scope, Amount: &amount, Currency: "USD", Period: "monthly", IsEnabled: true}
	}
	return []spendLimit{
		one(spendScope{Type: "organization"}, "5000000"),
		one(spendScope{Type: "workspace", WorkspaceID: c.workspaces[1].ID}, "2000000"),
		one(spendScope{Type: "usage_tier"}, "10000000"),
	}
}

// spendLimitsOpen refuses organizations outside the early access.
func (c *call) spendLimitsOpen() error {
	if !c.opts.SpendLimits {
		return refuse(403, "Spend limits are in an early access preview for Claude Console organizations.")
	}
	return nil
}

func (c *call) listSpendLimits() (any, error) {
	if !c.hasBeta("spend-limit-reads-2026-09-26") {
		return nil, notFound()
	}
	if err := c.spendLimitsOpen(); err != nil {
		return nil, err
	}
	scopes, in := c.query.list("scope_type[]"), c.query.text("workspace_id")
	return tokens(c, c.spendLimits(), func(l spendLimit) bool {
		return allowed(scopes, l.Scope.Type) && (in == "" || l.Scope.WorkspaceID == in)
	})
}

func (c *call) getSpendLimit() (any, error) {
	if err := c.spendLimitsOpen(); err != nil {
		return nil, err
	}
	for _, l := range c.spendLimits() {
		if l.ID == c.args[0] {
			return l, c.query.done()
		}
	}
	return nil, notFound()
}

func (c *call) refuseSpendLimitWrite() (any, error) {
	return nil, coded(403, "spend_limits_admin_api_writes_not_enabled", "Writing spend limits is not enabled.")
}

func (c *call) enterpriseOnly() (any, error) {
	return nil, coded(400, "organization_type_not_supported", "This endpoint needs a Claude Enterprise organization.")
}
