package sim

import (
	"slices"
	"time"
)

type claudeCodeRow struct {
	Actor            claudeCodeActor          `json:"actor"`
	CoreMetrics      coreMetrics              `json:"core_metrics"`
	CustomerType     string                   `json:"customer_type"`
	Date             string                   `json:"date"`
	ModelBreakdown   []modelBreakdown         `json:"model_breakdown"`
	OrganizationID   string                   `json:"organization_id"`
	SubscriptionType *string                  `json:"subscription_type"`
	TerminalType     string                   `json:"terminal_type"`
	ToolActions      map[string]toolDecisions `json:"tool_actions"`
}

type claudeCodeActor struct {
	Type         string `json:"type"`
	EmailAddress string `json:"email_address,omitempty"`
	APIKeyName   string `json:"api_key_name,omitempty"`
}

type coreMetrics struct {
	Commits     int64 `json:"commits_by_claude_code"`
	LinesOfCode struct {
		Added   int64 `json:"added"`
		Removed int64 `json:"removed"`
	} `json:"lines_of_code"`
	NumSessions  int64 `json:"num_sessions"`
	PullRequests int64 `json:"pull_requests_by_claude_code"`
}

type toolDecisions struct {
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
}

type modelBreakdown struct {
	EstimatedCost struct {
		Amount   int64  `json:"amount"` // cents
		Currency string `json:"currency"`
	} `json:"estimated_cost"`
	Model  string `json:"model"`
	Tokens struct {
		CacheCreation int64 `json:"cache_creation"`
		CacheRead     int64 `json:"cache_read"`
		Input         int64 `json:"input"`
		Output        int64 `json:"output"`
	} `json:"tokens"`
}

// claudeCodeReport is a day of Claude Code: who, and what came of it. It is an hour behind.
func (c *call) claudeCodeReport() (any, error) {
	if err := c.refused(c.opts.Legacy); err != nil {
		return nil, err
	}
	q := c.query
	q.required("starting_at")
	day, err := time.Parse(time.DateOnly, q.text("starting_at"))
	if err != nil {
		q.fail(invalid("starting_at: Input should be a date, YYYY-MM-DD"))
	}
	limit := q.number("limit", 20, 1000)
	from, paged := q.position(c.salt)
	if err := q.done(); err != nil {
		return nil, err
	}
	rows := c.claudeCode(day)
	if c.fault.vanished(day) {
		rows = nil
	}
	begin := min(int(from[0]), len(rows))
	if paged && c.fault.Fault == DuplicatePage {
		begin = max(begin-limit, 0)
	}
	end := min(begin+limit, len(rows))
	page := struct {
		Data     []claudeCodeRow `json:"data"`
		HasMore  bool            `json:"has_more"`
		NextPage *string         `json:"next_page"`
	}{Data: append([]claudeCodeRow{}, rows[begin:end]...), HasMore: end < len(rows)}
	if page.HasMore {
		next := q.token(c.salt, position{int64(end)})
		page.NextPage = &next
	}
	return page, nil
}

func (c *call) claudeCode(day time.Time) (rows []claudeCodeRow) {
	v := view{asOf: c.now.Add(-time.Hour), known: c.now}
	from := day.Unix()
	at := map[string]int{} // actor → row
	for i := range c.streams {
		s := &c.streams[i]
		if s.product != "claude_code" {
			continue
		}
		n := s.total(from, from+86400, v)
		if n[requests] == 0 {
			continue
		}
		actor := claudeCodeActor{Type: "api_actor"}
		if k := c.key(s.key); k != nil {
			actor.APIKeyName = k.Name
		} else {
			actor.Type, actor.EmailAddress = "user_actor", *s.actor.EmailAddress
		}
		who := actor.EmailAddress + "/" + actor.APIKeyName
		r, ok := at[who]
		if !ok {
			r = len(rows)
			at[who] = r
			terminals := []string{"iTerm.app", "vscode", "tmux"}
			rows = append(rows, claudeCodeRow{Actor: actor, CustomerType: "api", Date: day.Format(time.RFC3339),
				OrganizationID: c.organization.ID, ToolActions: map[string]toolDecisions{},
				TerminalType: terminals[hash(c.opts.Seed, who)%3]})
		}
		rows[r].count(s, n, s.bill(from, from+86400, v))
	}
	return rows
}

// count adds a stream's day; what people did is in proportion to their requests.
func (r *claudeCodeRow) count(s *stream, n counts, b bill) {
	m := &r.CoreMetrics
	m.NumSessions += 1 + n[requests]/18
	m.Commits += n[requests] / 30
	m.PullRequests += n[requests] / 90
	m.LinesOfCode.Added += n[output] / 40
	m.LinesOfCode.Removed += n[output] / 130
	for _, tool := range []string{"edit_tool", "multi_edit_tool", "notebook_edit_tool", "write_tool"} {
		share := int64(len(tool))
		had := r.ToolActions[tool]
		r.ToolActions[tool] = toolDecisions{had.Accepted + n[requests]/share, had.Rejected + n[requests]/share/7}
	}
	i := slices.IndexFunc(r.ModelBreakdown, func(b modelBreakdown) bool { return b.Model == s.model })
	if i < 0 {
		i = len(r.ModelBreakdown)
		r.ModelBreakdown = append(r.ModelBreakdown, modelBreakdown{Model: s.model})
	}
	of := &r.ModelBreakdown[i]
	of.EstimatedCost.Currency = "USD"
	of.EstimatedCost.Amount += b.total() / 1_000_000_000
	of.Tokens.CacheCreation += n[write5m] + n[write1h]
	of.Tokens.CacheRead += n[cacheRead]
	of.Tokens.Input += n[uncached]
	of.Tokens.Output += n[output]
}
