package adminapi

import (
	"slices"
	"strconv"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// The names that reports are grouped by.
const (
	byWorkspace = "workspace_id"
	byKey       = "api_key_id"
	bySpeed     = "speed"
)

// wireDims are the dimensions of a row, named alike in all reports. Those a report does not have,
// or was not grouped by, are null or missing.
type wireDims struct {
	WorkspaceID   text `json:"workspace_id"`
	APIKeyID      text `json:"api_key_id"`
	Model         text `json:"model"`
	ServiceTier   text `json:"service_tier"`
	ContextWindow text `json:"context_window"`
	InferenceGeo  text `json:"inference_geo"`
	Speed         text `json:"speed"`
	Product       text `json:"product"`
	CostType      text `json:"cost_type"`
	TokenType     text `json:"token_type"`
}

func newWireDims(n names) wireDims {
	t := text{names: n}
	return wireDims{t, t, t, t, t, t, t, t, t, t}
}

// grouping is what a report was asked to group by, and with that what a null in it means.
type grouping struct {
	by            []string // in the API's names
	nullWorkspace string
}

// dims translates the dimensions. It returns the name of a dimension that was grouped by and is
// missing, rather than take it for a null: that would give one workspace or key the use of all.
func (g grouping) dims(d *wireDims) (dims spend.Dims, missing string) {
	if len(g.by) == 0 {
		return spend.Dims{}, ""
	}
	for _, name := range g.by {
		if t := d.field(name); t != nil && !t.seen {
			return spend.Dims{}, name
		}
	}
	dims = spend.Dims{
		WorkspaceID:   d.WorkspaceID.s,
		APIKeyID:      d.APIKeyID.s,
		Model:         d.Model.s,
		ServiceTier:   d.ServiceTier.s,
		ContextWindow: d.ContextWindow.s,
		InferenceGeo:  d.InferenceGeo.s,
		Speed:         d.Speed.s,
		Product:       d.Product.s,
		CostType:      d.CostType.s,
		TokenType:     tokenType(d.TokenType.s),
	}
	if dims.WorkspaceID == "" && slices.Contains(g.by, byWorkspace) {
		dims.WorkspaceID = g.nullWorkspace
	}
	if dims.APIKeyID == "" && slices.Contains(g.by, byKey) {
		dims.APIKeyID = spend.NoKey
	}
	return dims, ""
}

// field is the dimension of that name if rows must have it when grouped by it. The published
// schema of the older usage report does not have speed, and a cost's description we do not keep.
func (d *wireDims) field(name string) *text {
	switch name {
	case byWorkspace:
		return &d.WorkspaceID
	case byKey:
		return &d.APIKeyID
	case "model":
		return &d.Model
	case "service_tier":
		return &d.ServiceTier
	case "context_window":
		return &d.ContextWindow
	case "inference_geo":
		return &d.InferenceGeo
	case "product":
		return &d.Product
	case "cost_type":
		return &d.CostType
	case "token_type":
		return &d.TokenType
	default:
		return nil
	}
}

// tokenType is the API's name in our words; one we do not know stays as it is.
func tokenType(s string) string {
	switch s {
	case "uncached_input_tokens":
		return spend.UncachedInput.TokenType()
	case "cache_read_input_tokens":
		return spend.CacheRead.TokenType()
	case "cache_creation.ephemeral_5m_input_tokens":
		return spend.CacheCreation5m.TokenType()
	case "cache_creation.ephemeral_1h_input_tokens":
		return spend.CacheCreation1h.TokenType()
	case "output_tokens":
		return spend.Output.TokenType()
	default:
		return s
	}
}

// wireCounts are the counts of a usage row.
type wireCounts struct {
	UncachedInput int64 `json:"uncached_input_tokens"`
	CacheRead     int64 `json:"cache_read_input_tokens"`
	CacheCreation struct {
		For5m int64 `json:"ephemeral_5m_input_tokens"`
		For1h int64 `json:"ephemeral_1h_input_tokens"`
	} `json:"cache_creation"`
	Output        int64 `json:"output_tokens"`
	ServerToolUse struct {
		WebSearches int64 `json:"web_search_requests"`
	} `json:"server_tool_use"`
}

func newWireCounts() (c wireCounts) {
	c.UncachedInput, c.CacheRead, c.Output = absent, absent, absent
	c.CacheCreation.For5m, c.CacheCreation.For1h = absent, absent
	c.ServerToolUse.WebSearches = absent
	return c
}

// countFields are the API's names of the counts, in the order of [spend.Counts].
var countFields = [spend.NumKinds]string{
	"uncached_input_tokens", "cache_read_input_tokens",
	"cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens",
	"output_tokens", "server_tool_use.web_search_requests",
}

// counts translates the counts; field and problem tell of one that cannot be.
func (c *wireCounts) counts() (counts spend.Counts, field, problem string) {
	counts = spend.Counts{
		spend.UncachedInput:   c.UncachedInput,
		spend.CacheRead:       c.CacheRead,
		spend.CacheCreation5m: c.CacheCreation.For5m,
		spend.CacheCreation1h: c.CacheCreation.For1h,
		spend.Output:          c.Output,
		spend.WebSearches:     c.ServerToolUse.WebSearches,
	}
	for k, n := range counts {
		if problem := checkCount(n); problem != "" {
			return spend.Counts{}, countFields[k], problem
		}
	}
	return counts, "", ""
}

// wireMoney are the amounts of a cost row.
type wireMoney struct {
	Amount   amount `json:"amount"`
	List     amount `json:"list_amount"`
	Currency text   `json:"currency"`
}

// check says what is wrong with the amounts, or nothing. There is no conversion: an amount in
// another currency is nothing we can add up.
func (m *wireMoney) check() (field, problem string) {
	switch {
	case !m.Amount.seen:
		return "amount", "is missing"
	case m.Currency.s == "":
		return "currency", "is missing"
	case m.Currency.s != "USD":
		return "currency", "is " + strconv.Quote(m.Currency.s) + ", only USD is understood"
	default:
		return "", ""
	}
}
