package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// claudeCodeDelay is how long after the fact the Claude Code report has it.
const claudeCodeDelay = time.Hour

// tools are those that are known to be in tool_actions.
var tools = []string{"edit_tool", "multi_edit_tool", "notebook_edit_tool", "write_tool"}

// claudeCodeRow is a row of usage_report/claude_code. Counts are pointers: nil is missing.
type claudeCodeRow struct {
	Actor struct {
		Type  string `json:"type"`
		Email string `json:"email_address"`
		Key   string `json:"api_key_name"`
	} `json:"actor"`
	Date             string `json:"date"`
	CustomerType     string `json:"customer_type"`
	SubscriptionType string `json:"subscription_type"`
	TerminalType     string `json:"terminal_type"`
	Core             struct {
		Sessions *int64 `json:"num_sessions"`
		Lines    struct {
			Added   *int64 `json:"added"`
			Removed *int64 `json:"removed"`
		} `json:"lines_of_code"`
		Commits      *int64 `json:"commits_by_claude_code"`
		PullRequests *int64 `json:"pull_requests_by_claude_code"`
	} `json:"core_metrics"`
	Tools  map[string]json.RawMessage `json:"tool_actions"`
	Models []struct {
		Model  string `json:"model"`
		Tokens struct {
			Input         *int64 `json:"input"`
			Output        *int64 `json:"output"`
			CacheRead     *int64 `json:"cache_read"`
			CacheCreation *int64 `json:"cache_creation"`
		} `json:"tokens"`
		Cost struct {
			Amount   *cents `json:"amount"`
			Currency string `json:"currency"`
		} `json:"estimated_cost"`
	} `json:"model_breakdown"`
}

// ClaudeCode reads the Claude Code report of the UTC day. It has what is older than about an hour.
func (c *Client) ClaudeCode(ctx context.Context, day time.Time) (Answer[spend.ClaudeCode], error) {
	const endpoint = "usage_report/claude_code"
	window := spend.Day.Bucket(day)
	g, err := read(ctx, c, report[spend.ClaudeCode]{
		call: pageCall(endpoint), path: "v1/organizations/" + endpoint, window: window, grain: spend.Day, pages: maxPages,
		options: []option.RequestOption{option.WithHeader("anthropic-version", reportVersion)},
		query:   url.Values{"starting_at": {window.Start.Format(time.DateOnly)}, "limit": {"1000"}},
		element: claudeCodeElement,
	})
	if err != nil {
		return Answer[spend.ClaudeCode]{}, err
	}
	a := Answer[spend.ClaudeCode]{Rows: g.rows, End: window.End, DataAt: window.End, ReadAt: g.readAt}
	if complete := g.readAt.Add(-claudeCodeDelay); a.DataAt.After(complete) {
		a.DataAt = complete
	}
	return a, nil
}

// claudeCodeElement reads a row of the Claude Code report.
func claudeCodeElement(w *walker, g *gathering[spend.ClaudeCode]) error {
	var row claudeCodeRow
	if err := w.value(&row); err != nil {
		return err
	}
	at, err := w.parseTime("date", row.Date)
	switch {
	case err != nil:
		return err
	case !g.window.Contains(at):
		return w.wrong("date", "is not of the day that was asked for: "+strconv.Quote(row.Date))
	case row.Actor.Type == "":
		return w.wrong("actor.type", "is missing")
	}
	n := counter{w: w}
	cc := spend.ClaudeCode{
		Day:              g.window.Start,
		ActorType:        row.Actor.Type,
		Actor:            orElse(row.Actor.Email, row.Actor.Key),
		CustomerType:     row.CustomerType,
		SubscriptionType: row.SubscriptionType,
		TerminalType:     row.TerminalType,
		Sessions:         n.of(row.Core.Sessions, "core_metrics.num_sessions"),
		LinesAdded:       n.of(row.Core.Lines.Added, "core_metrics.lines_of_code.added"),
		LinesRemoved:     n.of(row.Core.Lines.Removed, "core_metrics.lines_of_code.removed"),
		Commits:          n.of(row.Core.Commits, "core_metrics.commits_by_claude_code"),
		PullRequests:     n.of(row.Core.PullRequests, "core_metrics.pull_requests_by_claude_code"),
	}
	for tool, raw := range row.Tools {
		var actions struct{ Accepted, Rejected *int64 }
		err := json.Unmarshal(raw, &actions)
		if !slices.Contains(tools, tool) && (err != nil || actions.Accepted == nil && actions.Rejected == nil) {
			continue // the map is open: not everything that will be in it need be a tool
		}
		if err != nil {
			return w.wrong("tool_actions."+tool, "is not of the documented type")
		}
		cc.ToolsAccepted += n.of(actions.Accepted, "tool_actions."+tool+".accepted")
		cc.ToolsRejected += n.of(actions.Rejected, "tool_actions."+tool+".rejected")
	}
	for i, m := range row.Models {
		at := fmt.Sprintf("model_breakdown[%d].", i)
		cc.Models = append(cc.Models, spend.ClaudeCodeModel{
			Model:         m.Model,
			Input:         n.of(m.Tokens.Input, at+"tokens.input"),
			Output:        n.of(m.Tokens.Output, at+"tokens.output"),
			CacheRead:     n.of(m.Tokens.CacheRead, at+"tokens.cache_read"),
			CacheCreation: n.of(m.Tokens.CacheCreation, at+"tokens.cache_creation"),
			Cost:          n.money((*spend.Money)(m.Cost.Amount), m.Cost.Currency, at+"estimated_cost."),
		})
	}
	if n.err != nil {
		return n.err
	}
	makeStorable(&cc)
	g.add(cc)
	return nil
}

// counter reads optional values and keeps the first complaint about one that is missing.
type counter struct {
	w   *walker
	err error
}

func (c *counter) of(n *int64, field string) int64 {
	value := int64(absent)
	if n != nil {
		value = *n
	}
	if problem := checkCount(value); problem != "" {
		c.fail(field, problem)
		return 0
	}
	return value
}

func (c *counter) money(m *spend.Money, currency, at string) spend.Money {
	switch {
	case m == nil:
		c.fail(at+"amount", "is missing")
		return 0
	case currency != "USD":
		c.fail(at+"currency", "is "+strconv.Quote(currency)+", only USD is understood")
		return 0
	default:
		return *m
	}
}

func (c *counter) fail(field, problem string) {
	if c.err == nil {
		c.err = c.w.wrong(field, problem)
	}
}

// cents is an amount that this report alone writes as a JSON number of cents.
type cents spend.Money

func (c *cents) UnmarshalJSON(b []byte) error {
	m, err := spend.ParseCents(strings.Trim(string(b), `"`))
	if err != nil {
		return &json.UnmarshalTypeError{Value: clean(string(b), 40), Type: reflect.TypeFor[cents]()}
	}
	*c = cents(m)
	return nil
}

var _ json.Unmarshaler = (*cents)(nil)
