package sim

import "slices"

// costKey is what a row of cost_report is about, by real id.
type costKey struct {
	workspace, description                         string
	model, tier, context, geo, costType, tokenType string
	currency                                       string
}

type costRow struct {
	Amount        string  `json:"amount"`
	ContextWindow *string `json:"context_window"`
	CostType      *string `json:"cost_type"`
	Currency      string  `json:"currency"`
	Description   *string `json:"description"`
	InferenceGeo  *string `json:"inference_geo"`
	Model         *string `json:"model"`
	ServiceTier   *string `json:"service_tier"`
	TokenType     *string `json:"token_type"`
	WorkspaceID   *string `json:"workspace_id"`
}

var (
	costTypes = [parts]string{"tokens", "tokens", "tokens", "tokens", "tokens",
		"web_search", "code_execution", "session_usage"}
	tokenTypes = [parts]string{"uncached_input_tokens", "cache_read_input_tokens",
		"cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens", "output_tokens"}
	tokenNames = [parts]string{"Input Tokens", "Input Tokens, Cache Read", "Input Tokens, Cache Write 5m",
		"Input Tokens, Cache Write 1h", "Output Tokens"}
)

// currency is what a part of the bill is in, costType how the bill calls it.
func (o *Org) currency(part int) string {
	if part == sessionTime {
		return o.opts.SessionCurrency
	}
	return "USD"
}

func (o *Org) costType(part int) string {
	if part == sessionTime {
		return o.opts.SessionType
	}
	return costTypes[part]
}

// falsified is a dollar, in billionths of a cent, that is wrong with one grouped row of the bucket.
func (c *call) falsified(grouped []string, from int64) int64 {
	if c.fault.Fault != Falsified || len(grouped) == 0 || c.fault.From.Unix() != from {
		return 0
	}
	return 100 * 1e9
}

// has is whether a part of the bill exists for this kind of stream.
func (s *stream) has(part int) bool {
	switch part {
	case codeTime:
		return s.kind == codeStream
	case sessionTime:
		return s.kind == sessionStream
	default:
		return s.kind == tokenStream
	}
}

// describe is the line on the bill, in the documented pattern "Claude Sonnet 4 Usage - Input Tokens"
// with what is particular behind it.
func (s *stream) describe(part int) string {
	switch part {
	case webSearch:
		return "Web Search Usage"
	case codeTime:
		return "Code Execution Usage"
	case sessionTime:
		return "Session Usage"
	}
	text := modelOf(s.model).name
	if s.speed == "fast" {
		text += " Fast"
	}
	text += " Usage - " + tokenNames[part]
	switch s.tier {
	case "batch":
		text += ", Batch"
	case "flex":
		text += ", Flex"
	}
	if s.context == "200k-1M" {
		text += ", 200k-1M"
	}
	if s.geo == "us" {
		text += ", US"
	}
	return text
}

// costKey is the row of cost_report that a part of a stream's bill is in.
func (o *Org) costKey(s *stream, part int, byWorkspace, byDescription bool) (k costKey) {
	k.currency = o.currency(part)
	if byWorkspace {
		k.workspace = s.workspace
	}
	if !byDescription {
		return k
	}
	k.description, k.costType, k.tokenType = s.describe(part), o.costType(part), tokenTypes[part]
	if k.tokenType != "" {
		k.model, k.tier, k.context, k.geo = s.model, s.tier, s.context, s.geo
	}
	return k
}

// billing adds up the bill of all streams by row.
type billing struct {
	streams []stream
	rows    [][parts]int // of each stream's parts
	keys    []costKey
}

func (o *Org) newBilling(streams []stream, byWorkspace, byDescription bool) billing {
	b := billing{streams: streams, rows: make([][parts]int, len(streams))}
	numbers := map[costKey]int{}
	for i := range streams {
		for part := range parts {
			if !streams[i].has(part) {
				continue // its amount is zero, wherever it is added
			}
			k := o.costKey(&streams[i], part, byWorkspace, byDescription)
			n, ok := numbers[k]
			if !ok {
				n = len(b.keys)
				numbers[k] = n
				b.keys = append(b.keys, k)
			}
			b.rows[i][part] = n
		}
	}
	return b
}

// sums are the list amounts of the rows, most of which are zero.
func (b billing) sums(from, to int64, v view) []int64 {
	sums := make([]int64, len(b.keys))
	for i := range b.streams {
		bill := b.streams[i].bill(from, to, v)
		for part, n := range bill.list {
			sums[b.rows[i][part]] += n
		}
	}
	return sums
}

// costReportDiscount is the discount that cost_report shows.
func (o *Org) costReportDiscount() int {
	if o.opts.CostBeforeDiscount {
		return 0
	}
	return o.opts.DiscountPermille
}

func (c *call) costReport() (any, error) {
	if err := c.refused(c.opts.Legacy); err != nil {
		return nil, err
	}
	q := c.query
	q.choice("bucket_width", "1d")
	grouped := q.list("group_by[]", "workspace_id", "description")
	page := c.buckets("1d", 7, 31)
	if err := q.done(); err != nil {
		return nil, err
	}
	b := c.newBilling(c.streams, slices.Contains(grouped, "workspace_id"), slices.Contains(grouped, "description"))
	v, standard, discount := c.legacyView(), c.workspaces[0].ID, c.costReportDiscount()
	return page.write(c, func(w *rowWriter, from, to int64) {
		wrong := c.falsified(grouped, from)
		for i, sum := range b.sums(from, to, v) {
			if sum == 0 {
				continue
			}
			sum, wrong = sum+wrong, 0
			k := b.keys[i]
			row := costRow{Amount: cents(sum, discount), Currency: k.currency, ContextWindow: orNull(k.context),
				CostType: orNull(k.costType), Description: orNull(k.description), InferenceGeo: orNull(k.geo),
				Model: orNull(k.model), ServiceTier: orNull(k.tier), TokenType: orNull(k.tokenType)}
			if k.workspace != standard {
				row.WorkspaceID = orNull(k.workspace)
			}
			w.write(row)
		}
	}), nil
}
