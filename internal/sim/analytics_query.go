package sim

import (
	"slices"
	"time"
)

// none is a dimension that a Console organization without these products has no values of.
func none(*stream) string { return "" }

var analyticsDimensions = map[string]dimension{
	"actor": func(s *stream) string {
		if s.actor == nil {
			return ""
		}
		return s.actor.id() + s.actor.Subject
	},
	"actor_type": func(s *stream) string {
		if s.actor == nil {
			return ""
		}
		return s.actor.Type
	},
	"agent_id":            func(s *stream) string { return s.agent },
	"api_key_id":          func(s *stream) string { return s.key },
	"claude_tag_category": none,
	"claude_tag_user_id":  none,
	"context_window":      func(s *stream) string { return s.context },
	"deployment_id":       func(s *stream) string { return s.deployment },
	"environment_id":      func(s *stream) string { return s.environment },
	"inference_geo": func(s *stream) string {
		if s.geo == "not_available" {
			return "" // only the filter knows this word here
		}
		return s.geo
	},
	"model":            func(s *stream) string { return s.model },
	"organization_id":  none, // a parent organization's reports only
	"product":          func(s *stream) string { return s.product },
	"rbac_group_id":    none,
	"service_tier":     func(s *stream) string { return s.tier },
	"session_id":       func(s *stream) string { return s.session },
	"slack_channel_id": none,
	"speed":            func(s *stream) string { return s.speed },
	"user_profile_id":  none,
	"workspace_id":     func(s *stream) string { return s.workspace },
}

var analyticsFilters = []struct {
	param, dimension string
	values           []string
}{
	{"actor_types[]", "actor_type", []string{"api_actor", "federated_actor", "service_account_actor", "user_actor"}},
	{"agent_ids[]", "agent_id", nil}, {"api_key_ids[]", "api_key_id", nil},
	{"claude_tag_categories[]", "claude_tag_category", []string{"dm", "engaged", "monitoring", "proactive", "scheduled"}},
	{"claude_tag_user_ids[]", "claude_tag_user_id", nil}, {"context_windows[]", "context_window", contextWindows},
	{"deployment_ids[]", "deployment_id", nil}, {"environment_ids[]", "environment_id", nil}, {"models[]", "model", nil},
	{"products[]", "product", []string{"chat", "chat_cowork_unified", "claude_code", "claude_console",
		"claude_design", "claude_in_chrome", "claude_tag", "cowork", "managed_agents_api", "message_batches_api",
		"messages_api", "office_agent"}},
	{"rbac_group_ids[]", "rbac_group_id", nil}, {"service_tiers[]", "service_tier", serviceTiers},
	{"session_ids[]", "session_id", nil}, {"slack_channel_ids[]", "slack_channel_id", nil}, {"speeds[]", "speed", speeds},
	{"user_profile_ids[]", "user_profile_id", nil}, {"workspace_ids[]", "workspace_id", nil},
}

func (a *analytics) readGroups() {
	names := make([]string, 0, len(analyticsDimensions)+2)
	for name := range analyticsDimensions {
		names = append(names, name)
	}
	if a.cost {
		names = append(names, "cost_type", "token_type")
	}
	slices.Sort(names)
	for _, name := range a.query.list("group_by[]", names...) {
		switch name {
		case "cost_type":
			a.byCostType = true
		case "token_type":
			a.byTokenType = true
		default:
			a.grouped = append(a.grouped, name)
		}
	}
	if len(a.grouped) > 5 {
		a.query.fail(invalid("group_by: List should have at most 5 items, not counting cost_type and token_type"))
	}
}

func (a *analytics) readRange() {
	q := a.query
	q.required("starting_at")
	start, end := q.moment("starting_at"), q.moment("ending_at")
	a.width = widths[q.choice("time_bucket_width", "1d", "1h", "1m")]
	if !q.has("ending_at") {
		if a.width != 0 {
			q.fail(invalid("ending_at: Field required when time_bucket_width is set"))
		}
		end = start.AddDate(0, 0, 31)
		if end.After(a.now) {
			end = a.now
		}
	}
	oldest := a.now.AddDate(0, 0, -365)
	// The reports begin with 2026. A clock before that is a test's, which has no use for the rule.
	if begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); begun.After(oldest) && a.now.After(begun) {
		oldest = begun
	}
	switch {
	case start.Before(oldest):
		q.fail(invalid("starting_at: Input should not be before %s", at(oldest.Unix())))
	case q.has("ending_at") && !end.After(start):
		q.fail(invalid("ending_at: Input should be after starting_at"))
	case end.Sub(start) > 31*24*time.Hour:
		q.fail(invalid("ending_at: The range may span at most 31 days"))
	case a.width == 60 && end.Sub(start) > 24*time.Hour:
		q.fail(invalid("ending_at: The range may span at most 24 hours with time_bucket_width 1m"))
	}
	if a.width == 0 {
		a.from, a.to = start.Unix()/3600*3600, end.Unix()/3600*3600
	} else {
		a.from = start.Unix() / a.width * a.width
		a.to = (end.Unix() + a.width - 1) / a.width * a.width
	}
}

func (a *analytics) readOrder() {
	metrics := map[string]func(analyticsRow) int64{
		"total_tokens":          func(r analyticsRow) int64 { return r.usage.tokens() },
		"output_tokens":         func(r analyticsRow) int64 { return r.usage[output] },
		"requests":              func(r analyticsRow) int64 { return r.usage[requests] },
		"uncached_input_tokens": func(r analyticsRow) int64 { return r.usage[uncached] },
	}
	names, first := []string{"total_tokens", "output_tokens", "requests", "uncached_input_tokens", "time"}, "total_tokens"
	if a.cost {
		list := func(r analyticsRow) int64 { return r.bill.total() }
		metrics = map[string]func(analyticsRow) int64{"amount": list, "list_amount": list}
		names, first = []string{"amount", "list_amount", "time"}, "amount"
	}
	by := a.query.choice("order_by", names...)
	a.ascending = a.query.choice("order", "asc", "desc") == "asc"
	a.rank = metrics[by]
	if a.rank == nil {
		a.rank = metrics[first]
	}
	a.byTime = by == "time" && a.width != 0
}

func (a *analytics) readFilters() []filter {
	q := a.query
	if q.list("organization_ids[]") != nil {
		q.fail(coded(400, "parent_organization_required", "organization_ids: needs a key of a parent organization"))
	}
	if q.flag("exclude_deleted_users") && !slices.Contains(a.grouped, "actor") {
		q.fail(invalid("exclude_deleted_users: requires group_by actor"))
	}
	filters := []filter{
		{func(s *stream) string { return s.geo }, q.list("inference_geos[]", inferenceGeos...)},
		{func(s *stream) string {
			if s.actor == nil {
				return ""
			}
			return s.actor.id()
		}, q.list("actor_ids[]")},
	}
	for _, f := range analyticsFilters {
		filters = append(filters, filter{analyticsDimensions[f.dimension], q.list(f.param, f.values...)})
	}
	if q.values.Get("exclude_deleted_users") == "true" {
		filters = append(filters, filter{func(s *stream) string {
			if s.actor != nil && s.actor.Deleted != nil && *s.actor.Deleted {
				return "deleted"
			}
			return ""
		}, []string{""}})
	}
	return filters
}
