package sim

import "slices"

type usageRow struct {
	AccountID           *string       `json:"account_id"`
	APIKeyID            *string       `json:"api_key_id"`
	CacheCreation       cacheCreation `json:"cache_creation"`
	CacheReadTokens     int64         `json:"cache_read_input_tokens"`
	ContextWindow       *string       `json:"context_window"`
	InferenceGeo        *string       `json:"inference_geo"`
	Model               *string       `json:"model"`
	OutputTokens        int64         `json:"output_tokens"`
	ServerToolUse       serverToolUse `json:"server_tool_use"`
	ServiceAccountID    *string       `json:"service_account_id"`
	ServiceTier         *string       `json:"service_tier"`
	Speed               *string       `json:"speed,omitempty"` // only where it is grouped by
	UncachedInputTokens int64         `json:"uncached_input_tokens"`
	WorkspaceID         *string       `json:"workspace_id"`
}

type cacheCreation struct {
	Ephemeral1h int64 `json:"ephemeral_1h_input_tokens"`
	Ephemeral5m int64 `json:"ephemeral_5m_input_tokens"`
}

type serverToolUse struct {
	WebSearchRequests int64 `json:"web_search_requests"`
}

var legacyDimensions = map[string]dimension{
	"account_id":         func(s *stream) string { return s.account },
	"api_key_id":         func(s *stream) string { return s.key },
	"context_window":     func(s *stream) string { return s.context },
	"inference_geo":      func(s *stream) string { return s.geo },
	"model":              func(s *stream) string { return s.model },
	"service_account_id": func(s *stream) string { return s.service },
	"service_tier":       func(s *stream) string { return s.tier },
	"speed":              func(s *stream) string { return s.speed },
	"workspace_id":       func(s *stream) string { return s.workspace },
}

var legacyFilters = []struct {
	param, dimension string
	values           []string
}{
	{"account_ids[]", "account_id", nil}, {"api_key_ids[]", "api_key_id", nil},
	{"service_account_ids[]", "service_account_id", nil}, {"workspace_ids[]", "workspace_id", nil},
	{"models[]", "model", nil}, {"service_tiers[]", "service_tier", serviceTiers},
	{"context_window[]", "context_window", contextWindows}, {"inference_geos[]", "inference_geo", inferenceGeos},
	{"speeds[]", "speed", speeds},
}

var usageLimits = map[string][2]int{"1d": {7, 31}, "1h": {24, 168}, "1m": {60, 1440}}

func (c *call) usageReport() (any, error) {
	if err := c.refused(c.opts.Legacy); err != nil {
		return nil, err
	}
	q := c.query
	width := q.choice("bucket_width", "1d", "1h", "1m")
	if width == "" {
		width = "1d"
	}
	limits := usageLimits[width]
	grouped := q.list("group_by[]", "account_id", "api_key_id", "context_window", "inference_geo", "model",
		"service_account_id", "service_tier", "speed", "workspace_id")
	page := c.buckets(width, limits[0], limits[1])
	var filters []filter
	for _, f := range legacyFilters {
		filters = append(filters, filter{legacyDimensions[f.dimension], q.list(f.param, f.values...)})
	}
	bySpeed := slices.Contains(grouped, "speed")
	if beta := c.hasBeta("fast-mode-2026-02-01"); c.opts.Speed == "refused" && beta {
		q.fail(invalid("anthropic-beta: fast-mode-2026-02-01 is not available to this organization"))
	} else if (bySpeed || q.has("speeds[]")) && !beta {
		q.fail(invalid("speed: requires the fast-mode-2026-02-01 beta header"))
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	var by []dimension
	for _, name := range grouped {
		by = append(by, legacyDimensions[name])
	}
	sel := sortOut(c.streams, func(s *stream) bool { return s.kind == tokenStream && passes(filters, s) }, keyOf(by))
	v, sums := c.legacyView(), make([]counts, len(sel.heads))
	row := c.usageRow(grouped)
	return page.write(c, func(w *rowWriter, from, to int64) {
		clear(sums)
		for i, s := range sel.streams {
			sums[sel.group[i]].add(s.total(from, to, v))
		}
		for i, sum := range sums {
			if sum.tokens() > 0 {
				w.write(row(sel.heads[i], sum))
			}
		}
	}), nil
}

// usageRow makes rows with the dimensions asked for; the default workspace is null here.
func (c *call) usageRow(grouped []string) func(*stream, counts) usageRow {
	standard := c.workspaces[0].ID
	return func(s *stream, n counts) usageRow {
		text := func(name string) *string {
			if !slices.Contains(grouped, name) {
				return nil
			}
			return orNull(legacyDimensions[name](s))
		}
		row := usageRow{
			AccountID: text("account_id"), APIKeyID: text("api_key_id"), ContextWindow: text("context_window"),
			InferenceGeo: text("inference_geo"), Model: text("model"), ServiceAccountID: text("service_account_id"),
			ServiceTier: text("service_tier"), Speed: text("speed"),
			CacheCreation:   cacheCreation{n[write1h], n[write5m]},
			CacheReadTokens: n[cacheRead], OutputTokens: n[output], UncachedInputTokens: n[uncached],
			ServerToolUse: serverToolUse{n[searches]},
		}
		if s.workspace != standard {
			row.WorkspaceID = text("workspace_id")
		}
		return row
	}
}
