package adminapi

import (
	"encoding/json"
	"slices"

	"github.com/anthropic-monitor/monitor/internal/spend"
)

// The names that reports are grouped by.
const (
	byWorkspace = "workspace_id"
	byKey       = "api_key_id"
	bySpeed     = "speed"
)

// names holds each different string of a report once, by its JSON text, so that a million rows of
// a few hundred keys and models hold a few hundred strings.
type names map[string]string

// text is a string or null in a row of a report.
type text struct {
	s    string
	seen bool // present, if only as null
}

// text reads a string or null.
func (w *walker) text(t *text, known names) error {
	t.seen = true
	if null, err := w.null(); null || err != nil {
		return err
	}
	s, err := w.string()
	if err != nil {
		return err
	}
	name, ok := known[string(s)]
	if !ok {
		if err := json.Unmarshal(s, &name); err != nil {
			return w.wrong("", err.Error())
		}
		name = storable(name)
		known[string(s)] = name
	}
	t.s = name
	return nil
}

// wireDims are the dimensions of a row, named alike in all reports. Those a report does not have,
// or was not grouped by, are null or missing.
type wireDims struct {
	workspaceID, apiKeyID, model, serviceTier, contextWindow text
	inferenceGeo, speed, product, costType, tokenType        text
}

// field is the dimension of that name, nil if there is none.
func (d *wireDims) field(name string) *text {
	switch name {
	case byWorkspace:
		return &d.workspaceID
	case byKey:
		return &d.apiKeyID
	case "model":
		return &d.model
	case "service_tier":
		return &d.serviceTier
	case "context_window":
		return &d.contextWindow
	case "inference_geo":
		return &d.inferenceGeo
	case bySpeed:
		return &d.speed
	case "product":
		return &d.product
	case "cost_type":
		return &d.costType
	case "token_type":
		return &d.tokenType
	default:
		return nil
	}
}

// read reads the member of that name if it is a dimension, and skips it if it is not.
func (d *wireDims) read(w *walker, name []byte, known names) error {
	if t := d.field(string(name)); t != nil {
		return w.text(t, known)
	}
	return w.skip()
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
		// The published schema of the older usage report does not have speed.
		if t := d.field(name); t != nil && !t.seen && name != bySpeed {
			return spend.Dims{}, name
		}
	}
	dims = spend.Dims{
		WorkspaceID:   d.workspaceID.s,
		APIKeyID:      d.apiKeyID.s,
		Model:         d.model.s,
		ServiceTier:   d.serviceTier.s,
		ContextWindow: d.contextWindow.s,
		InferenceGeo:  d.inferenceGeo.s,
		Speed:         d.speed.s,
		Product:       d.product.s,
		CostType:      d.costType.s,
		TokenType:     tokenType(d.tokenType.s),
	}
	if dims.WorkspaceID == "" && slices.Contains(g.by, byWorkspace) {
		dims.WorkspaceID = g.nullWorkspace
	}
	if dims.APIKeyID == "" && slices.Contains(g.by, byKey) {
		dims.APIKeyID = spend.NoKey
	}
	return dims, ""
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
type wireCounts spend.Counts

func newWireCounts() (c wireCounts) {
	for k := range c {
		c[k] = absent
	}
	return c
}

// read reads the member of that name if it is a count, and reports whether it was.
func (c *wireCounts) read(w *walker, name []byte) (bool, error) {
	switch string(name) {
	case "uncached_input_tokens":
		return true, w.count(&c[spend.UncachedInput])
	case "cache_read_input_tokens":
		return true, w.count(&c[spend.CacheRead])
	case "output_tokens":
		return true, w.count(&c[spend.Output])
	case "cache_creation":
		return true, w.object(func(name []byte) error {
			switch string(name) {
			case "ephemeral_5m_input_tokens":
				return w.count(&c[spend.CacheCreation5m])
			case "ephemeral_1h_input_tokens":
				return w.count(&c[spend.CacheCreation1h])
			default:
				return w.skip()
			}
		})
	case "server_tool_use":
		return true, w.object(func(name []byte) error {
			if string(name) == "web_search_requests" {
				return w.count(&c[spend.WebSearches])
			}
			return w.skip()
		})
	default:
		return false, nil
	}
}

// countFields are the API's names of the counts, in the order of [spend.Counts].
var countFields = [spend.NumKinds]string{
	"uncached_input_tokens", "cache_read_input_tokens",
	"cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens",
	"output_tokens", "server_tool_use.web_search_requests",
}

// check names a count that is missing or negative and says which, or returns nothing.
func (c *wireCounts) check() (field, problem string) {
	for k, n := range c {
		if problem := checkCount(n); problem != "" {
			return countFields[k], problem
		}
	}
	return "", ""
}

// wireMoney are the amounts of a cost row.
type wireMoney struct {
	amount, list       spend.Money
	hasAmount, hasList bool
	currency           text

	amountText, listText string // as reported
}

// read reads the member of that name if it is about money, and reports whether it was.
func (m *wireMoney) read(w *walker, name []byte, known names) (is bool, err error) {
	switch string(name) {
	case "amount":
		m.amount, m.amountText, err = w.cents()
		m.hasAmount = true
	case "list_amount":
		m.list, m.listText, err = w.cents()
		m.hasList = true
	case "currency":
		err = w.text(&m.currency, known)
	default:
		return false, nil
	}
	return true, err
}

// cents reads a decimal string of cents; text is what it says.
func (w *walker) cents() (m spend.Money, text string, err error) {
	s, err := w.string()
	if err != nil {
		return 0, "", err
	}
	text = unquote(s)
	if m, err = spend.ParseCents(text); err != nil {
		return 0, "", w.wrong("", "is not an amount: "+clean(err.Error(), 80))
	}
	return m, text, nil
}

// check names an amount or currency that is missing, or returns nothing.
func (m *wireMoney) check() (field, problem string) {
	switch {
	case !m.hasAmount:
		return "amount", "is missing"
	case m.currency.s == "":
		return "currency", "is missing"
	default:
		return "", ""
	}
}

// usd is the currency of all amounts that are added up.
const usd = "USD"

// foreign is the row in another currency; false if it is in US dollars.
func (m *wireMoney) foreign(d spend.Dims) (Foreign, bool) {
	return Foreign{Dims: d, Currency: clean(m.currency.s, 16), Amount: m.amountText, List: m.listText}, m.currency.s != usd
}
