package sim

import "slices"

// analyticsGroup is the dimensions of a row, null unless grouped by.
type analyticsGroup struct {
	Actor             *actor  `json:"actor"`
	ActorType         *string `json:"actor_type"`
	AgentID           *string `json:"agent_id"`
	APIKeyID          *string `json:"api_key_id"`
	ClaudeTagCategory *string `json:"claude_tag_category"`
	ClaudeTagUserID   *string `json:"claude_tag_user_id"`
	ContextWindow     *string `json:"context_window"`
	DeploymentID      *string `json:"deployment_id"`
	EnvironmentID     *string `json:"environment_id"`
	InferenceGeo      *string `json:"inference_geo"`
	Model             *string `json:"model"`
	OrganizationID    *string `json:"organization_id"`
	Product           *string `json:"product"`
	RBACGroupID       *string `json:"rbac_group_id"`
	ServiceTier       *string `json:"service_tier"`
	SessionID         *string `json:"session_id"`
	SlackChannelID    *string `json:"slack_channel_id"`
	Speed             *string `json:"speed"`
	UserProfileID     *string `json:"user_profile_id"`
	WorkspaceID       *string `json:"workspace_id"`
}

type analyticsCostGroup struct {
	analyticsGroup
	CostType  *string `json:"cost_type"`
	TokenType *string `json:"token_type"`
}

type analyticsUsageRow struct {
	StartingAt string         `json:"starting_at"`
	EndingAt   string         `json:"ending_at"`
	Group      analyticsGroup `json:"group"`
	Usage      analyticsUse   `json:"usage"`
}

type analyticsUse struct {
	UncachedInputTokens int64         `json:"uncached_input_tokens"`
	CacheReadTokens     int64         `json:"cache_read_input_tokens"`
	CacheCreation       cacheCreation `json:"cache_creation"`
	OutputTokens        int64         `json:"output_tokens"`
	ServerToolUse       serverToolUse `json:"server_tool_use"`
	TotalTokens         int64         `json:"total_tokens"`
	Requests            int64         `json:"requests"`
}

type analyticsCostRow struct {
	StartingAt string             `json:"starting_at"`
	EndingAt   string             `json:"ending_at"`
	Group      analyticsCostGroup `json:"group"`
	Cost       analyticsCost      `json:"cost"`
}

type analyticsCost struct {
	Amount     string `json:"amount"`
	ListAmount string `json:"list_amount"`
	Currency   string `json:"currency"`
	Requests   *int64 `json:"requests"`
}

func (a *analytics) group(row analyticsRow) analyticsGroup {
	s := a.selection.heads[row.group]
	text := func(name string) *string {
		if !slices.Contains(a.grouped, name) {
			return nil
		}
		return orNull(analyticsDimensions[name](s))
	}
	g := analyticsGroup{
		ActorType: text("actor_type"), AgentID: text("agent_id"), APIKeyID: text("api_key_id"),
		ContextWindow: text("context_window"), DeploymentID: text("deployment_id"),
		EnvironmentID: text("environment_id"), InferenceGeo: text("inference_geo"), Model: text("model"),
		Product: text("product"), ServiceTier: text("service_tier"), SessionID: text("session_id"),
		Speed: text("speed"), WorkspaceID: text("workspace_id"),
	}
	if slices.Contains(a.grouped, "actor") {
		g.Actor = s.actor
	}
	return g
}

func (a *analytics) writeUsage(w *rowWriter, row analyticsRow) {
	n := row.usage
	w.write(analyticsUsageRow{at(row.from), at(row.to), a.group(row), analyticsUse{
		UncachedInputTokens: n[uncached], CacheReadTokens: n[cacheRead],
		CacheCreation: cacheCreation{n[write1h], n[write5m]}, OutputTokens: n[output],
		ServerToolUse: serverToolUse{n[searches]}, TotalTokens: n.tokens(), Requests: n[requests],
	}})
}

// writeCosts writes a row, or one for each component asked for: by token type only those of tokens, by
// cost type one for each, and by both the token types beside the other costs.
func (a *analytics) writeCosts(w *rowWriter, row analyticsRow) {
	wrong := int64(0)
	if !a.lied {
		wrong = a.falsified(a.grouped, row.from)
		a.lied = wrong != 0
	}
	one := func(list int64, part int, costType, tokenType string, requests *int64) {
		if list == 0 {
			return
		}
		list, wrong = list+wrong, 0
		w.write(analyticsCostRow{at(row.from), at(row.to),
			analyticsCostGroup{a.group(row), orNull(costType), orNull(tokenType)},
			analyticsCost{cents(list, a.opts.DiscountPermille), cents(list, 0), a.currency(part), requests}})
	}
	if !a.byCostType && !a.byTokenType {
		foreign := int64(0)
		if a.currency(sessionTime) != "USD" {
			foreign = row.bill.list[sessionTime]
		}
		one(row.bill.total()-foreign, uncached, "", "", &row.bill.requests)
		one(foreign, sessionTime, "", "", &row.bill.requests)
		return
	}
	tokens := int64(0)
	for part, list := range row.bill.list {
		switch {
		case tokenTypes[part] != "" && a.byTokenType:
			one(list, part, "tokens", tokenTypes[part], nil)
		case tokenTypes[part] != "":
			tokens += list
		}
	}
	one(tokens, uncached, "tokens", "", nil)
	if a.byCostType {
		for part := webSearch; part < parts; part++ {
			one(row.bill.list[part], part, a.costType(part), "", nil)
		}
	}
}
